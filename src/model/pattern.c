#include "model/pattern.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "model/expression.h"
#include "model/host_range.h"

#define BLANKS " \t\r\n"
#define PATTERN_MAX 65536
#define PARTS_MAX 1000
#define SUBSCRIPT_OPEN ((int64_t)-1) /* `[2:]`: to the end */

/* Indices into inventory->nodes, in order. */
struct node_list {
    size_t *items;
    size_t count;
};

struct resolve {
    const struct inventory *inventory;
    struct arena *arena;
    struct err *err;
    struct node_list result;
    bool *held; /* by the result, for each node */
    char **parts;
    size_t part_count;
};

/* `[3]`, `[-1]`, `[0:2]` (both ends are included) or `[1:]` behind a name. */
struct subscript {
    bool given, range;
    int64_t from, to;
};

static int out_of_memory(struct resolve *resolve)
{
    return err_set(resolve->err, ERR_MEMORY, "out of memory");
}

static int append(struct resolve *resolve, struct node_list *list, size_t node)
{
    size_t *items = arena_grow(resolve->arena, list->items, list->count, sizeof(*items));
    if (!items)
        return out_of_memory(resolve);
    list->items = items;
    items[list->count++] = node;
    return 0;
}

static int add_part(struct resolve *resolve, const char *start, size_t length)
{
    if (resolve->part_count == PARTS_MAX)
        return err_set(resolve->err, ERR_INPUT, "the pattern has more than %d parts", PARTS_MAX);
    char **parts = arena_grow(resolve->arena, resolve->parts, resolve->part_count, sizeof(*parts));
    char *copy = arena_strndup(resolve->arena, start, length);
    if (!parts || !copy)
        return out_of_memory(resolve);
    resolve->parts = parts;
    copy = text_trim(copy);
    if (*copy)
        parts[resolve->part_count++] = copy;
    return 0;
}

/* Length of a part that ends at a blank or at a `:` outside of brackets; 0 for a bracket without
 * its other. */
static size_t part_length(const char *start)
{
    const char *at = start;
    while (*at && *at != ':' && !strchr(BLANKS, *at)) {
        if (*at == ']')
            return 0;
        if (*at == '[')
            at = strchr(at, ']');
        if (!at)
            return 0;
        at++;
    }
    return (size_t)(at - start);
}

/* split_host_pattern: by comma when there is one; whole when it is a host or an address; else by
 * colon. */
static int split_parts(struct resolve *resolve, const char *pattern)
{
    int code = 0;
    if (strchr(pattern, ',')) {
        while (code == 0) {
            size_t length = strcspn(pattern, ",");
            code = add_part(resolve, pattern, length);
            if (!pattern[length])
                break;
            pattern += length + 1;
        }
        return code;
    }
    if (host_word_is_valid(pattern))
        return add_part(resolve, pattern, strlen(pattern));
    while (code == 0 && *(pattern += strspn(pattern, ":" BLANKS))) {
        size_t length = part_length(pattern);
        if (length == 0)
            return err_set(resolve->err, ERR_INPUT, "'%.100s' has a bracket without its other",
                           pattern);
        code = add_part(resolve, pattern, length);
        pattern += length;
    }
    return code;
}

/* Cuts a subscript off the end of `part`. What looks otherwise stays part of a glob. */
static struct subscript take_subscript(char *part)
{
    struct subscript subscript = {0};
    char *open = strrchr(part, '[');
    size_t length = strlen(part);
    uint64_t from, to = 0;
    if (!open || open == part || part[length - 1] != ']' || *part == '~')
        return subscript;
    char inside[48];
    size_t size = (size_t)(part + length - 1 - open - 1);
    if (size == 0 || size >= sizeof(inside))
        return subscript;
    memcpy(inside, open + 1, size);
    inside[size] = '\0';
    bool negative = inside[0] == '-';
    char *separator = strpbrk(inside + negative, ":-");
    bool open_end = separator && !separator[1];
    if (separator)
        *separator = '\0';
    if ((negative && separator) || whole_parse(&from, inside + negative, 0, INT32_MAX, NULL) < 0)
        return subscript;
    if (separator && !open_end && whole_parse(&to, separator + 1, 0, INT32_MAX, NULL) < 0)
        return subscript;
    *open = '\0';
    subscript = (struct subscript){.given = true,
                                   .range = separator && (open_end || to != 0),
                                   .from = negative ? -(int64_t)from : (int64_t)from,
                                   .to = open_end ? SUBSCRIPT_OPEN : (int64_t)to};
    return subscript;
}

static int apply_subscript(struct resolve *resolve, const struct subscript *subscript,
                           struct node_list *list)
{
    int64_t count = (int64_t)list->count;
    if (!subscript->given || count == 0)
        return 0;
    int64_t from = subscript->from < 0 ? count + subscript->from : subscript->from;
    int64_t to = !subscript->range ? from : subscript->to;
    if (to == SUBSCRIPT_OPEN || to >= count)
        to = subscript->range ? count - 1 : to;
    if (!subscript->range && (from < 0 || from >= count))
        return err_set(resolve->err, ERR_NOT_FOUND, "there is no node [%lld]: only %lld match",
                       (long long)subscript->from, (long long)count);
    list->items += from < count ? from : count;
    list->count = from <= to ? (size_t)(to - from + 1) : 0;
    return 0;
}

/* A glob or a `~regex` over names. */
struct matcher {
    const char *glob;
    regex_t expression;
};

static bool matches(const struct matcher *matcher, const char *name)
{
    regmatch_t found;
    if (matcher->glob)
        return text_glob(matcher->glob, name);
    return regexec(&matcher->expression, name, 1, &found, 0) == 0 && found.rm_so == 0;
}

static int add_matches(struct resolve *resolve, const struct matcher *matcher, bool nodes_too,
                       struct node_list *list, bool *any)
{
    const struct inventory *inventory = resolve->inventory;
    int code = 0;
    for (size_t i = 0; code == 0 && i < inventory->group_count; i++) {
        const struct group *group = &inventory->groups[i];
        if (!matches(matcher, group->name))
            continue;
        *any = true;
        for (size_t j = 0; code == 0 && j < group->node_count; j++)
            code = append(resolve, list, group->nodes[j]);
    }
    for (size_t i = 0; code == 0 && (nodes_too || !*any) && i < inventory->node_count; i++)
        if (matches(matcher, inventory->nodes[i].name))
            code = append(resolve, list, i);
    *any = *any || list->count;
    return code;
}

static int tell_nothing(struct resolve *resolve, const char *part)
{
    const struct inventory *inventory = resolve->inventory;
    size_t total = inventory->group_count + inventory->node_count;
    const char **names = arena_alloc(resolve->arena, total * sizeof(*names));
    if (!names)
        return out_of_memory(resolve);
    for (size_t i = 0; i < inventory->group_count; i++)
        names[i] = inventory->groups[i].name;
    for (size_t i = 0; i < inventory->node_count; i++)
        names[inventory->group_count + i] = inventory->nodes[i].name;
    const char *nearest = *part == '~' ? NULL : text_nearest(part, names, total);
    if (nearest)
        return err_set(resolve->err, ERR_NOT_FOUND,
                       "'%.100s' matches no group or node; did you mean '%s'?", part, nearest);
    return err_set(resolve->err, ERR_NOT_FOUND,
                   "'%.100s' matches no group or node of the inventory", part);
}

/* The nodes of one part without its `&` or `!`, repeats included: Ansible counts them in a
 * subscript. */
static int find_nodes(struct resolve *resolve, char *part, struct node_list *list)
{
    struct subscript subscript = take_subscript(part);
    struct matcher matcher = {.glob = part};
    bool any = false;
    int code = 0;
    if (*part == '~') {
        matcher.glob = NULL;
        code = expression_compile(&matcher.expression, part + 1, 0, resolve->err);
        if (code < 0)
            return code;
    }
    bool nodes_too = *part == '~' || strpbrk(part, ".?*[");
    code = add_matches(resolve, &matcher, nodes_too, list, &any);
    if (!matcher.glob)
        regfree(&matcher.expression);
    if (code == 0 && !any)
        code = tell_nothing(resolve, part);
    if (code == 0)
        code = apply_subscript(resolve, &subscript, list);
    return code;
}

static int add_to_result(struct resolve *resolve, const struct node_list *list)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < list->count; i++) {
        size_t node = list->items[i];
        if (!resolve->held[node])
            code = append(resolve, &resolve->result, node);
        resolve->held[node] = true;
    }
    return code;
}

/* Keeps of the result what is in the list, or with `!` what is not. */
static int filter_result(struct resolve *resolve, const struct node_list *list, bool exclude)
{
    bool *listed = arena_alloc(resolve->arena, resolve->inventory->node_count + 1);
    size_t kept = 0;
    if (!listed)
        return out_of_memory(resolve);
    for (size_t i = 0; i < list->count; i++)
        listed[list->items[i]] = true;
    for (size_t i = 0; i < resolve->result.count; i++) {
        size_t node = resolve->result.items[i];
        if (listed[node] != exclude)
            resolve->result.items[kept++] = node;
    }
    resolve->result.count = kept;
    return 0;
}

static int apply_part(struct resolve *resolve, char *part)
{
    struct node_list list = {0};
    char kind = *part;
    bool filter = kind == '&' || kind == '!';
    size_t node = names_find(&resolve->inventory->node_names, part);
    if (filter)
        part++;
    if (!*part)
        return err_set(resolve->err, ERR_INPUT, "'%c' in a pattern needs a name behind it", kind);
    int code = node != NAMES_NONE && !filter ? append(resolve, &list, node)
                                             : find_nodes(resolve, part, &list);
    if (code < 0)
        return code;
    return filter ? filter_result(resolve, &list, kind == '!') : add_to_result(resolve, &list);
}

static int is_in_turn(const char *part, int turn)
{
    return turn == (*part == '!' ? 2 : *part == '&' ? 1 : 0);
}

/* Unions first, then `&`, then `!`; without any union it starts from `all`. */
static int apply_parts(struct resolve *resolve)
{
    bool has_union = false;
    int code = 0;
    for (size_t i = 0; i < resolve->part_count; i++)
        has_union = has_union || is_in_turn(resolve->parts[i], 0);
    if (!has_union) {
        const struct group *all = &resolve->inventory->groups[0];
        code = add_to_result(resolve,
                             &(struct node_list){.items = all->nodes, .count = all->node_count});
    }
    for (int turn = 0; turn < 3; turn++)
        for (size_t i = 0; code == 0 && i < resolve->part_count; i++)
            if (is_in_turn(resolve->parts[i], turn))
                code = apply_part(resolve, resolve->parts[i]);
    return code;
}

int pattern_resolve(size_t **out_nodes, size_t *out_count, const struct inventory *inventory,
                    const char *pattern, struct arena *arena, struct err *err)
{
    struct resolve resolve = {.inventory = inventory, .arena = arena, .err = err};
    *out_nodes = NULL;
    *out_count = 0;
    if (strnlen(pattern, PATTERN_MAX) == PATTERN_MAX)
        return err_set(err, ERR_INPUT, "the pattern is longer than %d bytes", PATTERN_MAX - 1);
    resolve.held = arena_alloc(arena, inventory->node_count + 1);
    if (!resolve.held)
        return out_of_memory(&resolve);
    int code = split_parts(&resolve, pattern);
    if (code == 0 && resolve.part_count == 0)
        code = err_set(err, ERR_INPUT, "the pattern is empty; write 'all' for every node");
    if (code == 0)
        code = apply_parts(&resolve);
    if (code < 0)
        return code;
    *out_nodes = resolve.result.items;
    *out_count = resolve.result.count;
    return 0;
}
