#include <stdlib.h>
#include <string.h>

#include "model/inventory_build.h"

#define GROUP_ALL 0
#define GROUP_UNGROUPED 1

/* Marks without clearing: an element is marked when its stamp is the current one. */
struct marks {
    size_t *stamps;
    size_t current;
};

struct settle {
    struct inventory_build *build;
    struct inventory *inventory;
    struct arena *arena;
    struct marks groups, nodes;
    size_t *queue; /* room for every group */
};

static bool mark(struct marks *marks, size_t index)
{
    if (marks->stamps[index] == marks->current)
        return false;
    marks->stamps[index] = marks->current;
    return true;
}

static bool holds(const size_t *items, size_t count, size_t wanted)
{
    for (size_t i = 0; i < count; i++)
        if (items[i] == wanted)
            return true;
    return false;
}

static bool append(struct arena *arena, size_t **items, size_t *count, size_t value)
{
    size_t *grown = arena_grow(arena, *items, *count, sizeof(*grown));
    if (!grown)
        return false;
    *items = grown;
    grown[(*count)++] = value;
    return true;
}

bool build_add_member(struct inventory_build *build, size_t group, size_t node)
{
    struct node_draft *draft = &build->drafts[node];
    struct group *into = &build->inventory->groups[group];
    if (holds(draft->groups, draft->group_count, group))
        return true;
    return append(build->arena, &draft->groups, &draft->group_count, group) &&
           append(build->arena, &into->own_nodes, &into->own_count, node);
}

bool build_add_child(struct inventory_build *build, size_t parent, size_t child)
{
    struct group *into = &build->inventory->groups[parent];
    struct group_draft *draft = &build->group_drafts[child];
    if (holds(draft->parents, draft->parent_count, parent))
        return true;
    return append(build->arena, &into->children, &into->child_count, child) &&
           append(build->arena, &draft->parents, &draft->parent_count, parent);
}

bool build_is_ancestor(struct inventory_build *build, size_t group, size_t other)
{
    size_t count = build->inventory->group_count;
    size_t *queue = calloc(count, sizeof(*queue));
    bool *seen = calloc(count, sizeof(*seen));
    size_t head = 0, tail = 0;
    bool found = false;
    if (!queue || !seen) {
        build->out_of_memory = true;
        goto out;
    }
    queue[tail++] = other;
    seen[other] = true;
    while (head < tail && !found) {
        const struct group_draft *draft = &build->group_drafts[queue[head]];
        found = queue[head++] == group;
        for (size_t i = 0; i < draft->parent_count; i++) {
            if (!seen[draft->parents[i]]) {
                seen[draft->parents[i]] = true;
                queue[tail++] = draft->parents[i];
            }
        }
    }
out:
    free(queue);
    free(seen);
    return found;
}

/* Fills the queue with every group above the node's own ones, and these; how many there are. */
static size_t groups_above(struct settle *settle, size_t node)
{
    const struct node_draft *draft = &settle->build->drafts[node];
    size_t head = 0, tail = 0;
    settle->groups.current++;
    for (size_t i = 0; i < draft->group_count; i++)
        if (mark(&settle->groups, draft->groups[i]))
            settle->queue[tail++] = draft->groups[i];
    while (head < tail) {
        const struct group_draft *group = &settle->build->group_drafts[settle->queue[head++]];
        for (size_t i = 0; i < group->parent_count; i++)
            if (mark(&settle->groups, group->parents[i]))
                settle->queue[tail++] = group->parents[i];
    }
    return tail;
}

static void remove_member(struct settle *settle, size_t group, size_t node)
{
    struct node_draft *draft = &settle->build->drafts[node];
    size_t kept = 0;
    for (size_t i = 0; i < draft->group_count; i++)
        if (draft->groups[i] != group)
            draft->groups[kept++] = draft->groups[i];
    draft->group_count = kept;
}

/* `ungrouped` holds whoever has no group but `all`, and nobody else: Ansible's reconcile_inventory.
 */
static bool settle_ungrouped(struct settle *settle)
{
    struct inventory *inventory = settle->inventory;
    struct group *ungrouped = &inventory->groups[GROUP_UNGROUPED];
    for (size_t node = 0; node < inventory->node_count; node++) {
        size_t count = groups_above(settle, node);
        bool inside = settle->groups.stamps[GROUP_UNGROUPED] == settle->groups.current;
        bool in_all = settle->groups.stamps[GROUP_ALL] == settle->groups.current;
        size_t others = count - inside - in_all;
        if (inside && others) {
            remove_member(settle, GROUP_UNGROUPED, node);
        } else if (!inside && !others) {
            if (!build_add_member(settle->build, GROUP_UNGROUPED, node))
                return false;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < ungrouped->own_count; i++) {
        const struct node_draft *draft = &settle->build->drafts[ungrouped->own_nodes[i]];
        if (holds(draft->groups, draft->group_count, GROUP_UNGROUPED))
            ungrouped->own_nodes[kept++] = ungrouped->own_nodes[i];
    }
    ungrouped->own_count = kept;
    return true;
}

static bool settle_roots(struct settle *settle)
{
    for (size_t i = 1; i < settle->inventory->group_count; i++)
        if (settle->build->group_drafts[i].parent_count == 0 &&
            !build_add_child(settle->build, GROUP_ALL, i))
            return false;
    return true;
}

/* The longest way from `all`: each group is visited after all of its parents. */
static bool settle_depths(struct settle *settle)
{
    struct inventory *inventory = settle->inventory;
    size_t *waiting = arena_alloc(settle->arena, inventory->group_count * sizeof(*waiting));
    size_t head = 0, tail = 0;
    if (!waiting)
        return false;
    for (size_t i = 0; i < inventory->group_count; i++) {
        waiting[i] = settle->build->group_drafts[i].parent_count;
        if (waiting[i] == 0)
            settle->queue[tail++] = i;
    }
    while (head < tail) {
        const struct group *group = &inventory->groups[settle->queue[head++]];
        for (size_t i = 0; i < group->child_count; i++) {
            struct group *child = &inventory->groups[group->children[i]];
            if (child->depth < group->depth + 1)
                child->depth = group->depth + 1;
            if (--waiting[group->children[i]] == 0)
                settle->queue[tail++] = group->children[i];
        }
    }
    return true;
}

/* Group.get_hosts: the group's own, then its children's, level by level. */
static bool settle_members(struct settle *settle, struct group *group, size_t index)
{
    size_t head = 0, tail = 0;
    settle->groups.current++;
    settle->nodes.current++;
    mark(&settle->groups, index);
    settle->queue[tail++] = index;
    while (head < tail) {
        const struct group *part = &settle->inventory->groups[settle->queue[head++]];
        for (size_t i = 0; i < part->own_count; i++)
            if (mark(&settle->nodes, part->own_nodes[i]) &&
                !append(settle->arena, &group->nodes, &group->node_count, part->own_nodes[i]))
                return false;
        for (size_t i = 0; i < part->child_count; i++)
            if (mark(&settle->groups, part->children[i]))
                settle->queue[tail++] = part->children[i];
    }
    return true;
}

static int by_index(const void *left, const void *right)
{
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    return a < b ? -1 : a > b;
}

static int by_precedence(const void *left, const void *right, void *context)
{
    const struct inventory *inventory = context;
    const struct group *a = &inventory->groups[*(const size_t *)left];
    const struct group *b = &inventory->groups[*(const size_t *)right];
    if (a->depth != b->depth)
        return a->depth < b->depth ? -1 : 1;
    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* A variable and how strong its source is. */
struct ranked {
    struct variable variable;
    size_t rank;
};

static int by_name_and_rank(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    int order = strcmp(a->variable.name, b->variable.name);
    if (order)
        return order;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

static size_t collect(struct ranked *out, const struct variables *variables, size_t rank)
{
    for (size_t i = 0; i < variables->count; i++)
        out[i] = (struct ranked){.variable = variables->items[i], .rank = rank};
    return variables->count;
}

/* Groups from weak to strong, then the node's own; sorted by name, the strongest of a name stays.
 */
static bool merge_variables(struct settle *settle, struct node *node, const size_t *groups,
                            size_t group_count, const struct variables *own)
{
    const struct inventory *inventory = settle->inventory;
    size_t total = own->count, count = 0, kept = 0;
    for (size_t i = 0; i < group_count; i++)
        total += inventory->groups[groups[i]].variables.count;
    if (total == 0)
        return true;
    struct ranked *ranked = calloc(total, sizeof(*ranked));
    if (!ranked)
        return false;
    for (size_t i = 0; i < group_count; i++)
        count += collect(ranked + count, &inventory->groups[groups[i]].variables, i);
    count += collect(ranked + count, own, group_count);
    qsort(ranked, count, sizeof(*ranked), by_name_and_rank);
    for (size_t i = 0; i < count; i++) {
        bool stronger_follows =
            i + 1 < count && strcmp(ranked[i].variable.name, ranked[i + 1].variable.name) == 0;
        if (!stronger_follows)
            ranked[kept++] = ranked[i];
    }
    struct variable *items = arena_alloc(settle->arena, kept * sizeof(*items));
    for (size_t i = 0; items && i < kept; i++)
        items[i] = ranked[i].variable;
    free(ranked);
    node->variables = (struct variables){.items = items, .count = items ? kept : 0};
    return items;
}

static bool settle_node(struct settle *settle, size_t index)
{
    struct node *node = &settle->inventory->nodes[index];
    const struct node_draft *draft = &settle->build->drafts[index];
    size_t count = groups_above(settle, index);
    /* `all` applies to everyone and comes first by its depth 0 */
    if (mark(&settle->groups, GROUP_ALL))
        settle->queue[count++] = GROUP_ALL;
    qsort_r(settle->queue, count, sizeof(*settle->queue), by_precedence, settle->inventory);
    if (!merge_variables(settle, node, settle->queue, count, &draft->own))
        return false;
    node->groups = arena_alloc(settle->arena, count * sizeof(*node->groups));
    if (!node->groups)
        return false;
    for (size_t i = 0; i < count; i++)
        if (settle->queue[i] != GROUP_ALL)
            node->groups[node->group_count++] = settle->queue[i];
    qsort(node->groups, node->group_count, sizeof(*node->groups), by_index);
    return true;
}

int inventory_settle(struct inventory_build *build, struct err *err)
{
    struct inventory *inventory = build->inventory;
    struct settle settle = {.build = build, .inventory = inventory, .arena = build->arena};
    size_t group_bytes = (inventory->group_count + 1) * sizeof(size_t);
    settle.groups.stamps = arena_alloc(build->arena, group_bytes);
    settle.nodes.stamps = arena_alloc(build->arena, (inventory->node_count + 1) * sizeof(size_t));
    settle.queue = arena_alloc(build->arena, group_bytes);
    bool good = settle.groups.stamps && settle.nodes.stamps && settle.queue &&
                settle_roots(&settle) && settle_ungrouped(&settle) && settle_depths(&settle);
    for (size_t i = 0; good && i < inventory->group_count; i++)
        good = settle_members(&settle, &inventory->groups[i], i);
    for (size_t i = 0; good && i < inventory->node_count; i++)
        good = settle_node(&settle, i);
    return good ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}
