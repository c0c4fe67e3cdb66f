#include "model/inventory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/host_range.h"
#include "model/inventory_build.h"
#include "model/lines.h"
#include "model/literal.h"
#include "model/words.h"

#define GROUP_ALL 0
#define GROUP_UNGROUPED 1

enum section_kind { SECTION_HOSTS, SECTION_CHILDREN, SECTION_VARS, SECTION_UNREADABLE };

/* A group that was named before it was declared. */
struct pending {
    const char *name;
    int line;
    enum section_kind kind; /* where it was named */
    size_t *parents;
    size_t parent_count;
    bool declared;
};

struct parse {
    struct inventory_build build;
    struct inventory *inventory;
    struct arena *arena;
    struct faults *faults;
    struct lines lines;
    size_t group; /* of the current section */
    enum section_kind kind;
    struct pending *pendings;
    size_t pending_count;
    struct names pending_names;
};

static void out_of_memory(struct parse *parse)
{
    parse->build.out_of_memory = true;
}

#define REFUSE(parse, ...)                                                                         \
    faults_add((parse)->faults, (parse)->lines.file, (parse)->lines.number, __VA_ARGS__)

/* The group's index, made when it is new; NAMES_NONE when out of memory. */
static size_t ensure_group(struct parse *parse, const char *name)
{
    struct inventory *inventory = parse->inventory;
    size_t index = names_find(&inventory->group_names, name);
    if (index != NAMES_NONE)
        return index;
    index = inventory->group_count;
    struct group *groups = arena_grow(parse->arena, inventory->groups, index, sizeof(*groups));
    struct group_draft *drafts =
        arena_grow(parse->arena, parse->build.group_drafts, index, sizeof(*drafts));
    const char *copy = arena_strdup(parse->arena, name);
    if (!groups || !drafts || !copy || !names_add(&inventory->group_names, copy, index)) {
        out_of_memory(parse);
        return NAMES_NONE;
    }
    inventory->groups = groups;
    parse->build.group_drafts = drafts;
    groups[index] = (struct group){.name = copy, .line = parse->lines.number, .priority = 1};
    drafts[index] = (struct group_draft){0};
    inventory->group_count++;
    return index;
}

static size_t ensure_node(struct parse *parse, const char *name)
{
    struct inventory *inventory = parse->inventory;
    size_t index = names_find(&inventory->node_names, name);
    if (index != NAMES_NONE)
        return index;
    index = inventory->node_count;
    if (index == INVENTORY_NODES_MAX) {
        REFUSE(parse, "more than %d nodes", INVENTORY_NODES_MAX);
        return NAMES_NONE;
    }
    struct node *nodes = arena_grow(parse->arena, inventory->nodes, index, sizeof(*nodes));
    struct node_draft *drafts =
        arena_grow(parse->arena, parse->build.drafts, index, sizeof(*drafts));
    if (!nodes || !drafts || !names_add(&inventory->node_names, name, index)) {
        out_of_memory(parse);
        return NAMES_NONE;
    }
    inventory->nodes = nodes;
    parse->build.drafts = drafts;
    nodes[index] = (struct node){.name = name, .line = parse->lines.number};
    drafts[index] = (struct node_draft){0};
    inventory->node_count++;
    return index;
}

/* The last value of a name wins and keeps the first one's place, as in a Python dict. */
static void set_variable(struct parse *parse, struct variables *variables, struct variable variable)
{
    for (size_t i = 0; i < variables->count; i++) {
        if (strcmp(variables->items[i].name, variable.name) == 0) {
            variables->items[i] = variable;
            return;
        }
    }
    struct variable *items =
        arena_grow(parse->arena, variables->items, variables->count, sizeof(*items));
    if (!items) {
        out_of_memory(parse);
        return;
    }
    variables->items = items;
    items[variables->count++] = variable;
}

static struct variable make_variable(struct parse *parse, const char *name, const char *written)
{
    const char *value = literal_text(parse->arena, written);
    if (!value)
        out_of_memory(parse);
    return (struct variable){
        .name = name, .value = value, .line = parse->lines.number, .written = written};
}

static void set_priority(struct parse *parse, struct group *group, const char *value)
{
    char *end;
    errno = 0;
    long long priority = strtoll(value, &end, 10);
    if (errno || end == value || *end || !strchr("0123456789+-", *value)) {
        REFUSE(parse, "ansible_group_priority: '%.100s' is not a whole number", value);
        return;
    }
    group->priority = priority;
}

static void set_group_variable(struct parse *parse, size_t index, struct variable variable)
{
    struct group *group = &parse->inventory->groups[index];
    if (strcmp(variable.name, "ansible_group_priority") == 0)
        set_priority(parse, group, variable.value);
    else
        set_variable(parse, &group->variables, variable);
}

/* A group of the same name takes a host's variables, as Ansible's InventoryData.set_variable has
 * it. */
static void set_host_variable(struct parse *parse, size_t node, struct variable variable)
{
    size_t group = names_find(&parse->inventory->group_names, parse->inventory->nodes[node].name);
    if (group != NAMES_NONE)
        set_group_variable(parse, group, variable);
    else
        set_variable(parse, &parse->build.drafts[node].own, variable);
}

/* `[group]`, `[group:vars]`, `[group:children]`, perhaps with a `#` comment behind. Cuts the line
 * up; false when the line has not this form. */
static bool split_header(char *line, char **name, char **kind)
{
    size_t length = strcspn(line + 1, ":] \t");
    char *at = line + 1 + length;
    *name = line + 1;
    *kind = NULL;
    if (length == 0)
        return false;
    if (*at == ':') {
        size_t size = strcspn(at + 1, ":] \t[");
        if (size == 0)
            return false;
        *kind = at + 1;
        at += 1 + size;
    }
    if (*at != ']')
        return false;
    const char *rest = at + 1 + strspn(at + 1, " \t");
    if (*rest && *rest != '#')
        return false;
    line[1 + length] = '\0';
    *at = '\0';
    return true;
}

static struct pending *find_pending(struct parse *parse, const char *name)
{
    size_t index = names_find(&parse->pending_names, name);
    return index == NAMES_NONE ? NULL : &parse->pendings[index];
}

static struct pending *add_pending(struct parse *parse, const char *name)
{
    struct pending *pending = find_pending(parse, name);
    if (pending && !pending->declared)
        return pending;
    if (pending) {
        pending->declared = false;
        pending->line = parse->lines.number;
        pending->kind = parse->kind;
        pending->parent_count = 0;
        return pending;
    }
    struct pending *pendings =
        arena_grow(parse->arena, parse->pendings, parse->pending_count, sizeof(*pendings));
    if (!pendings || !names_add(&parse->pending_names, name, parse->pending_count)) {
        out_of_memory(parse);
        return NULL;
    }
    parse->pendings = pendings;
    pendings[parse->pending_count] =
        (struct pending){.name = name, .line = parse->lines.number, .kind = parse->kind};
    return &pendings[parse->pending_count++];
}

static void add_child(struct parse *parse, size_t parent, size_t child)
{
    const struct group *groups = parse->inventory->groups;
    if (child == GROUP_ALL)
        REFUSE(parse, "group 'all' cannot be a child of '%s': it holds every group",
               groups[parent].name);
    else if (build_is_ancestor(&parse->build, child, parent))
        REFUSE(parse, "group '%s' cannot be a child of '%s': it is '%s' itself or above it",
               groups[child].name, groups[parent].name, groups[parent].name);
    else if (!build_add_child(&parse->build, parent, child))
        out_of_memory(parse);
}

static void take_header(struct parse *parse, const char *name, const char *kind)
{
    parse->kind = SECTION_UNREADABLE;
    if (kind && strcmp(kind, "vars") != 0 && strcmp(kind, "children") != 0 &&
        strcmp(kind, "hosts") != 0) {
        REFUSE(parse, "section [%s:%s]: '%s' is not known; use [%s], [%s:vars] or [%s:children]",
               name, kind, kind, name, name, name);
        return;
    }
    parse->kind = !kind || *kind == 'h' ? SECTION_HOSTS
                  : *kind == 'v'        ? SECTION_VARS
                                        : SECTION_CHILDREN;
    bool is_new = names_find(&parse->inventory->group_names, name) == NAMES_NONE;
    struct pending *pending = find_pending(parse, name);
    if (is_new && parse->kind == SECTION_VARS && (!pending || pending->declared))
        pending = add_pending(parse, name);
    parse->group = ensure_group(parse, name);
    if (parse->group == NAMES_NONE) {
        parse->kind = SECTION_UNREADABLE;
        return;
    }
    if (pending && !pending->declared && parse->kind != SECTION_VARS) {
        pending->declared = true;
        for (size_t i = 0; i < pending->parent_count; i++)
            add_child(parse, pending->parents[i], parse->group);
    }
}

static void take_child(struct parse *parse, char *line)
{
    size_t length = strcspn(line, ":] \t");
    const char *rest = line + length + strspn(line + length, " \t");
    if (length == 0 || (*rest && *rest != '#')) {
        REFUSE(parse, "'%.100s' is not a group name; [%s:children] holds one name a line", line,
               parse->inventory->groups[parse->group].name);
        return;
    }
    line[length] = '\0';
    size_t child = names_find(&parse->inventory->group_names, line);
    if (child != NAMES_NONE) {
        add_child(parse, parse->group, child);
        return;
    }
    struct pending *pending = add_pending(parse, line);
    if (!pending)
        return;
    size_t *parents =
        arena_grow(parse->arena, pending->parents, pending->parent_count, sizeof(*parents));
    if (!parents) {
        out_of_memory(parse);
        return;
    }
    pending->parents = parents;
    parents[pending->parent_count++] = parse->group;
}

static void take_group_variable(struct parse *parse, char *line)
{
    char *equals = strchr(line, '=');
    if (!equals) {
        REFUSE(parse, "'%.100s' is not key = value", line);
        return;
    }
    *equals = '\0';
    const char *name = text_trim(line);
    if (!*name) {
        REFUSE(parse, "a variable's name is missing before '='");
        return;
    }
    struct variable variable = make_variable(parse, name, text_trim(equals + 1));
    if (variable.value)
        set_group_variable(parse, parse->group, variable);
}

/* The `key=value` words of a host line; false when one of them is malformed. */
static bool read_host_variables(struct parse *parse, char **words, size_t count,
                                struct variables *out)
{
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        char *equals = strchr(words[i], '=');
        if (!equals || equals == words[i]) {
            REFUSE(parse, "'%.100s' is not key=value; quote a value that has blanks", words[i]);
            good = false;
            continue;
        }
        *equals = '\0';
        struct variable variable = make_variable(parse, words[i], equals + 1);
        if (variable.value)
            set_variable(parse, out, variable);
    }
    return good;
}

static void add_host(struct parse *parse, const char *name, uint16_t port,
                     const struct variables *variables)
{
    size_t known = parse->inventory->node_count;
    size_t node = ensure_node(parse, name);
    if (node == NAMES_NONE)
        return;
    if (node == known && port) {
        const char *value = arena_printf(parse->arena, "%u", port);
        struct variable variable = {
            .name = "ansible_port", .value = value, .line = parse->lines.number, .written = value};
        if (value)
            set_variable(parse, &parse->build.drafts[node].own, variable);
        else
            out_of_memory(parse);
    }
    if (!build_add_member(&parse->build, parse->group, node))
        out_of_memory(parse);
    for (size_t i = 0; i < variables->count; i++)
        set_host_variable(parse, node, variables->items[i]);
}

static void take_host_line(struct parse *parse, const char *line)
{
    char **words;
    size_t count;
    struct err err = {0};
    struct host_names names;
    struct variables variables = {0};
    int code = words_split(&words, &count, line, true, parse->arena, &err);
    if (code == 0 && count == 0)
        return;
    if (code == 0)
        code = host_names_expand(&names, words[0], INVENTORY_NODES_MAX, parse->arena, &err);
    if (code == ERR_MEMORY)
        out_of_memory(parse);
    else if (code < 0)
        REFUSE(parse, "%s", err.message);
    else if (read_host_variables(parse, words + 1, count - 1, &variables))
        for (size_t i = 0; i < names.count && !parse->build.out_of_memory; i++)
            add_host(parse, names.items[i], names.port, &variables);
}

/* A line that begins with `[` and is no header can only be a host range (`[a:c].example.com`) or an
 * address with a port (`[::1]:22`). */
static bool may_be_host(const char *line)
{
    const char *close = strchr(line, ']');
    return close && close[1] && !strchr(" \t#;", close[1]) &&
           (close[1] == ':' || memchr(line, ':', (size_t)(close - line)));
}

static void take_line(struct parse *parse, char *line)
{
    char *name, *kind;
    if (*line == '[' && split_header(line, &name, &kind)) {
        take_header(parse, name, kind);
        return;
    }
    if (*line == '[' && !may_be_host(line)) {
        parse->kind = SECTION_UNREADABLE;
        REFUSE(parse,
               "section header '%.100s' is not [group], [group:vars] or [group:children]; "
               "only a '#' comment may stand behind it",
               line);
        return;
    }
    switch (parse->kind) {
    case SECTION_HOSTS:
        take_host_line(parse, line);
        break;
    case SECTION_CHILDREN:
        take_child(parse, line);
        break;
    case SECTION_VARS:
        take_group_variable(parse, line);
        break;
    case SECTION_UNREADABLE:
        break;
    }
}

/* Names that were never declared, with the nearest group. */
static void tell_undeclared(struct parse *parse)
{
    const struct inventory *inventory = parse->inventory;
    const char **known = arena_alloc(parse->arena, inventory->group_count * sizeof(*known));
    for (size_t i = 0; i < parse->pending_count; i++) {
        const struct pending *pending = &parse->pendings[i];
        if (pending->declared)
            continue;
        size_t count = 0;
        for (size_t j = 0; known && j < inventory->group_count; j++)
            if (strcmp(inventory->groups[j].name, pending->name) != 0)
                known[count++] = inventory->groups[j].name;
        const char *nearest = known ? text_nearest(pending->name, known, count) : NULL;
        faults_add(parse->faults, parse->lines.file, pending->line,
                   "group '%s' is not declared%s%s%s", pending->name,
                   nearest ? "; did you mean '" : "; add a section [",
                   nearest ? nearest : pending->name, nearest ? "'?" : "]");
    }
}

/* What Ansible reads beside INI, told by its first line; NULL: INI. */
static const char *other_form(const char *line)
{
    size_t length = strlen(line);
    if (*line == '{')
        return "JSON";
    return strcmp(line, "---") == 0 || line[length - 1] == ':' ? "YAML" : NULL;
}

static int read_lines(struct parse *parse, struct err *err)
{
    bool exhausted;
    char *line = lines_next(&parse->lines, &exhausted);
    const char *form = line ? other_form(line) : NULL;
    if (form) {
        REFUSE(parse, "this looks like %s; an inventory is Ansible's INI here: [group], and below it a node a line", form);
        line = NULL;
    }
    for (; line && !parse->build.out_of_memory; line = lines_next(&parse->lines, &exhausted))
        take_line(parse, line);
    tell_undeclared(parse);
    if (exhausted || parse->build.out_of_memory)
        return err_set(err, ERR_MEMORY, "%s: out of memory", parse->lines.file);
    int code = inventory_settle(&parse->build, err);
    for (size_t i = 0; code == 0 && i < parse->inventory->node_count; i++)
        if (!connection_resolve(&parse->build, &parse->inventory->nodes[i]))
            code = err_set(err, ERR_MEMORY, "%s: out of memory", parse->lines.file);
    return code;
}

int inventory_parse(struct inventory *out, const char *file, const char *text, size_t length,
                    struct faults *faults, struct err *err)
{
    size_t faults_before = faults->count, total_before = faults->total;
    *out = (struct inventory){0};
    arena_init(&out->arena);
    names_init(&out->node_names, &out->arena);
    names_init(&out->group_names, &out->arena);
    struct parse parse = {.inventory = out,
                          .arena = &out->arena,
                          .faults = faults,
                          .group = GROUP_UNGROUPED,
                          .kind = SECTION_HOSTS,
                          .build = {.inventory = out, .arena = &out->arena, .faults = faults}};
    names_init(&parse.pending_names, &out->arena);
    lines_init(&parse.lines, file, text, length, &out->arena, faults);
    out->file = arena_strdup(&out->arena, file);
    bool ready = out->file && ensure_group(&parse, "all") == GROUP_ALL &&
                 ensure_group(&parse, "ungrouped") == GROUP_UNGROUPED &&
                 build_add_child(&parse.build, GROUP_ALL, GROUP_UNGROUPED);
    int code = ready ? read_lines(&parse, err) : err_set(err, ERR_MEMORY, "out of memory");
    if (code < 0)
        return code;
    faults_sort(faults, faults_before);
    size_t found = faults->total - total_before;
    if (found)
        return err_set(err, ERR_INPUT, "%s: %zu fault%s", file, found, found == 1 ? "" : "s");
    return 0;
}
