#include "model/template.h"

#include <string.h>

#include "base/text.h"

#define NAME_MAX_BYTES 128
#define CANDIDATES_MAX 512

/* Reads the piece at `*at` and moves behind it: plain text in `*plain` and `*length`, or a name in
 * `name`. 0, or ERR_INPUT. */
static int next_piece(const char **at, const char **plain, size_t *length,
                      char name[NAME_MAX_BYTES + 1], struct err *err)
{
    const char *from = *at;
    *plain = from;
    *length = strcspn(from, "{}");
    name[0] = '\0';
    if (*length) {
        *at = from + *length;
        return 0;
    }
    if (from[1] == from[0]) {
        *length = 1;
        *at = from + 2;
        return 0;
    }
    if (*from == '}')
        return err_set(err, ERR_INPUT, "'}' stands alone; write }} for a brace");
    size_t size = strcspn(from + 1, "{}");
    if (from[1 + size] != '}')
        return err_set(err, ERR_INPUT, "'%.60s' is not closed; write {name}, or {{ for a brace",
                       from);
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    static const char found[] = "discover."; /* its second part is a section's name */
    size_t plain_size = strncmp(from + 1, found, sizeof(found) - 1) == 0
                            ? sizeof(found) - 1 + strspn(from + sizeof(found), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
                            : strspn(from + 1, allowed);
    if (size == 0 || size > NAME_MAX_BYTES || plain_size < size)
        return err_set(err, ERR_INPUT, "'{%.*s}' is not a name; write {{ for a brace",
                       size < 60 ? (int)size : 60, from + 1);
    memcpy(name, from + 1, size);
    name[size] = '\0';
    *at = from + size + 2;
    return 0;
}

static const char *look_up(const struct template_scope *scope, const char *name)
{
    for (size_t i = 0; i < scope->extra_count; i++)
        if (strcmp(scope->extra[i].name, name) == 0)
            return scope->extra[i].value;
    if (!scope->node)
        return NULL;
    if (strcmp(name, "node") == 0)
        return scope->node->name;
    if (strcmp(name, "address") == 0)
        return scope->node->connection.address;
    return node_variable(scope->node, name);
}

static int unknown_name(const struct template_scope *scope, const char *name, struct err *err)
{
    const char *candidates[CANDIDATES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < scope->extra_count && count < CANDIDATES_MAX; i++)
        candidates[count++] = scope->extra[i].name;
    if (scope->node && count + 2 <= CANDIDATES_MAX) {
        candidates[count++] = "node";
        candidates[count++] = "address";
    }
    const struct variables *variables = scope->node ? &scope->node->variables : NULL;
    for (size_t i = 0; variables && i < variables->count && count < CANDIDATES_MAX; i++)
        candidates[count++] = variables->items[i].name;
    const char *nearest = text_nearest(name, candidates, count);
    if (nearest)
        return err_set(err, ERR_INPUT, "unknown name '%s'; did you mean '%s'?", name, nearest);
    return err_set(err, ERR_INPUT, "unknown name '%s'", name);
}

static void add_value(struct strbuf *out, const char *value, bool quoted)
{
    for (; *value; value++) {
        if (quoted && strchr("\\.[]()*+?{}|^$", *value))
            strbuf_addc(out, '\\');
        strbuf_addc(out, *value);
    }
}

int template_expand(struct strbuf *out, const char *text, const struct template_scope *scope,
                    struct err *err)
{
    while (*text) {
        const char *plain;
        size_t length;
        char name[NAME_MAX_BYTES + 1];
        int code = next_piece(&text, &plain, &length, name, err);
        if (code < 0)
            return code;
        if (!*name) {
            strbuf_add(out, plain, length);
            continue;
        }
        const char *value = look_up(scope, name);
        if (!value)
            value = scope->stand_in;
        if (!value)
            return unknown_name(scope, name, err);
        add_value(out, value, scope->quoted);
    }
    return out->overflowed ? err_set(err, ERR_MEMORY, "the expanded text is too long") : 0;
}

int template_names(const char *text, int (*found)(void *context, const char *name), void *context,
                   struct err *err)
{
    while (*text) {
        const char *plain;
        size_t length;
        char name[NAME_MAX_BYTES + 1];
        int code = next_piece(&text, &plain, &length, name, err);
        if (code < 0)
            return code;
        if (*name && (code = found(context, name)) < 0)
            return code;
    }
    return 0;
}
