#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/text.h"
#include "discovery_internal.h"
#include "model/template.h"

#define TEXT_MAX 8192

/* --- what is announced --- */

void announced_release(struct announced *announced)
{
    for (size_t i = 0; i < announced->count; i++) {
        free(announced->items[i].node);
        free(announced->items[i].text);
    }
    free(announced->items);
    free(announced->head);
    free(announced->tail);
    *announced = (struct announced){0};
}

static size_t place_of(const struct announced *announced, const char *node)
{
    size_t i = 0;
    while (i < announced->count && strcmp(announced->items[i].node, node) != 0)
        i++;
    return i;
}

int announced_append(struct announced *announced, const char *node, const char *text)
{
    char *copy = strdup(text);
    char *name = strdup(node);
    struct said *grown = reallocarray(announced->items, announced->count + 1, sizeof(*grown));
    if (grown)
        announced->items = grown;
    if (!grown || !name || !copy) {
        free(name);
        free(copy);
        return -1;
    }
    grown[announced->count++] = (struct said){.node = name, .text = copy};
    return 0;
}

int announced_add(struct announced *announced, const char *node, const char *text)
{
    size_t at = place_of(announced, node);
    if (at == announced->count)
        return announced_append(announced, node, text);
    char *copy = strdup(text);
    if (!copy)
        return -1;
    free(announced->items[at].text);
    announced->items[at].text = copy;
    return 0;
}

void announced_remove(struct announced *announced, const char *node)
{
    size_t at = place_of(announced, node);
    if (at == announced->count)
        return;
    free(announced->items[at].node);
    free(announced->items[at].text);
    memmove(&announced->items[at], &announced->items[at + 1], (announced->count - at - 1) * sizeof(*announced->items));
    announced->count--;
}

struct said *announced_item(const struct announced *announced, const char *node)
{
    size_t at = place_of(announced, node);
    return at < announced->count ? &announced->items[at] : NULL;
}

const char *announced_find(const struct announced *announced, const char *node)
{
    size_t at = place_of(announced, node);
    return at < announced->count ? announced->items[at].text : NULL;
}

/* --- file_sd --- */

static void add_group(struct strbuf *out, const char *text)
{
    strbuf_addf(out, "%s%s", out->length ? ",\n" : "", text);
}

/* What is no object is no group, and Prometheus would refuse the file for it. */
static int take_group(struct announced *out, struct strbuf *others, json_t *group, const char *service)
{
    if (!json_is_object(group))
        return 0;
    json_t *labels = json_object_get(group, "labels");
    const char *whose = json_string_value(json_object_get(labels, "service"));
    const char *node = json_string_value(json_object_get(labels, "node"));
    char *text = json_dumps(group, JSON_COMPACT | JSON_SORT_KEYS);
    int rc = text ? 0 : -1;
    if (text && whose && node && strcmp(whose, service) == 0)
        rc = announced_add(out, node, text);
    else if (text)
        add_group(others, text);
    free(text);
    return rc;
}

int file_sd_parse(struct announced *out, const char *text, size_t length, const char *service, struct err *err)
{
    struct strbuf others;
    json_error_t error;
    size_t index;
    json_t *group;
    if (length == 0)
        return 0;
    json_t *list = json_loadb(text, length, 0, &error);
    if (!json_is_array(list)) {
        json_decref(list);
        return err_set(err, ERR_PROTOCOL, "the file is no file_sd list in JSON (line %d); mend it or move it away",
                       list ? 1 : error.line);
    }
    strbuf_init(&others, length * 8 + 64);
    int rc = 0;
    json_array_foreach(list, index, group)
        rc = rc ? rc : take_group(out, &others, group, service);
    if (others.length)
        out->head = strbuf_detach(&others);
    strbuf_release(&others);
    json_decref(list);
    return rc ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}

void file_sd_write(struct strbuf *out, const struct announced *announced, const char *service)
{
    struct strbuf groups;
    (void)service;
    strbuf_init(&groups, out->maximum);
    if (announced->head)
        strbuf_adds(&groups, announced->head);
    for (size_t i = 0; i < announced->count; i++)
        add_group(&groups, announced->items[i].text);
    strbuf_addf(out, "[\n%s%s]\n", groups.text, groups.length ? "\n" : "");
    strbuf_release(&groups);
}

/* --- hosts: a block between two comments, a comment with the node's name before each line --- */

#define MARK "# deployctl %s: %s"

static const char *line_end(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return newline ? newline + 1 : end;
}

static bool line_is(const char *at, const char *next, const char *wanted)
{
    size_t length = (size_t)(next - at);
    while (length && (at[length - 1] == '\n' || at[length - 1] == '\r'))
        length--;
    return length == strlen(wanted) && memcmp(at, wanted, length) == 0;
}

static char *copy_line(const char *at, const char *next)
{
    return strndup(at, (size_t)(next - at) - (next > at && next[-1] == '\n'));
}

/* `# NODE` and its line, up to the end mark: what comes behind it, or NULL. */
static const char *take_block(struct announced *out, const char *at, const char *end, const char *mark)
{
    while (at < end) {
        const char *next = line_end(at, end);
        if (line_is(at, next, mark))
            return next;
        if (next - at > 2 && at[0] == '#' && at[1] == ' ' && next < end) {
            const char *after = line_end(next, end);
            char *node = copy_line(at + 2, next), *text = copy_line(next, after);
            if (line_is(next, after, mark))
                after = next;
            else if (node && text)
                announced_add(out, node, text);
            free(node);
            free(text);
            next = after;
        }
        at = next;
    }
    return NULL;
}

int hosts_parse(struct announced *out, const char *text, size_t length, const char *service, struct err *err)
{
    char begin[128], finish[128];
    const char *end = text + length;
    snprintf(begin, sizeof(begin), MARK, service, "begin");
    snprintf(finish, sizeof(finish), MARK, service, "end");
    for (const char *at = text; at < end; at = line_end(at, end)) {
        const char *next = line_end(at, end);
        if (!line_is(at, next, begin))
            continue;
        const char *behind = take_block(out, next, end, finish);
        if (!behind)
            return err_set(err, ERR_PROTOCOL, "the line '%s' has no '%s' behind it; mend the file", begin, finish);
        out->head = strndup(text, (size_t)(at - text));
        out->tail = strndup(behind, (size_t)(end - behind));
        return 0;
    }
    out->head = strndup(text, length);
    return out->head ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}

void hosts_write(struct strbuf *out, const struct announced *announced, const char *service)
{
    if (announced->head)
        strbuf_adds(out, announced->head);
    if (out->length && out->text[out->length - 1] != '\n')
        strbuf_addc(out, '\n');
    strbuf_addf(out, MARK "\n", service, "begin");
    for (size_t i = 0; i < announced->count; i++)
        strbuf_addf(out, "# %s\n%s\n", announced->items[i].node, announced->items[i].text);
    strbuf_addf(out, MARK "\n", service, "end");
    if (announced->tail)
        strbuf_adds(out, announced->tail);
}

/* --- what a node and a command send --- */

/* The last two lines are the size and the digest. */
int file_reply_parse(struct strbuf *content, char digest[SHA256_HEX], const char *output, const char *file, struct err *err)
{
    struct strbuf text;
    unsigned long long size = 0;
    memcpy(digest, "-", 2);
    if (strncmp(output, "absent\n", 7) == 0)
        return 0;
    /* from the end: digest, size, base64 */
    size_t length = strlen(output);
    while (length && output[length - 1] == '\n')
        length--;
    const char *last = memrchr(output, '\n', length);
    const char *number = last ? memrchr(output, '\n', (size_t)(last - output)) : NULL;
    number = number ? number + 1 : output;
    if (!last || (size_t)(output + length - last) < SHA256_HEX)
        return err_set(err, ERR_PROTOCOL, "%s cannot be read", file);
    memcpy(digest, last + 1, SHA256_HEX - 1);
    digest[SHA256_HEX - 1] = '\0';
    for (const char *at = number; at < last; at++)
        if (*at >= '0' && *at <= '9' && size < DISCOVERY_FILE_MAX * 10)
            size = size * 10 + (unsigned long long)(*at - '0');
    strbuf_init(&text, (size_t)512 << 10);
    for (const char *at = output; at < number; at++)
        if (*at != '\n')
            strbuf_addc(&text, *at);
    int rc = size > DISCOVERY_FILE_MAX || base64_decode(content, text.text, text.length) < 0 || content->length != size;
    strbuf_release(&text);
    return rc ? err_set(err, ERR_UNSUPPORTED, "%s is larger than %zu KiB, the most that is kept here", file,
                        DISCOVERY_FILE_MAX >> 10)
              : 0;
}

int list_parse(struct announced *out, const char *output)
{
    int rc = 0;
    while (rc == 0 && *output) {
        size_t length = strcspn(output, "\n");
        char node[256];
        snprintf(node, sizeof(node), "%.*s", length < sizeof(node) ? (int)length : 0, output);
        char *name = text_trim(node);
        rc = *name ? announced_add(out, name, "") : 0;
        output += length + (output[length] == '\n');
    }
    return rc;
}

/* --- one node's text --- */

static char *expand(const char *template, const struct discovery *discovery, const struct member *member,
                    const struct variable *known, size_t count, struct err *err)
{
    struct template_scope scope = {.node = member->node, .extra = known, .extra_count = count};
    struct strbuf text;
    strbuf_init(&text, TEXT_MAX);
    int rc = template_expand(&text, template, &scope, err);
    if (rc == 0 && strpbrk(text.text, "\r\n"))
        rc = err_set(err, ERR_INPUT, "what is said of a node is one line");
    if (rc < 0)
        err_prefix(err, "node %s: [discovery %s]", member->node->name, discovery->name);
    char *copy = rc < 0 ? NULL : strdup(text.text);
    strbuf_release(&text);
    return copy;
}

static const char *value_of(const struct variable *known, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(known[i].name, name) == 0 && *known[i].value)
            return known[i].value;
    return NULL;
}

/* The words that are not empty, as an object. */
static json_t *words_json(const struct member *member, const struct variable *known, size_t count,
                          const char *const *names)
{
    json_t *object = json_object();
    for (; *names; names++) {
        const char *value = value_of(known, count, *names);
        if (!value && strcmp(*names, "zone") == 0)
            value = node_variable(member->node, "zone");
        if (value)
            json_object_set_new(object, *names, json_string(value));
    }
    return object;
}

char *discovery_text(const struct discovery *discovery, const struct member *member, const struct node_words *words,
                     struct err *err)
{
    static const char *const labels[] = {"service", "node", "release", "slot", "zone", NULL};
    static const char *const fields[] = {"service", "node", "address", "port", "release", "slot", "zone", NULL};
    struct variable known[NODE_VARIABLES_MAX];
    struct arena arena;
    char *text = NULL;
    arena_init(&arena);
    size_t count = node_variables(known, NODE_VARIABLES_MAX, member, words, &arena);
    const char *template = discovery->kind == DISCOVERY_HOSTS && discovery->line   ? discovery->line
                           : discovery->kind == DISCOVERY_ETCD && discovery->value ? discovery->value
                                                                                   : discovery->target;
    char *plain = discovery->kind == DISCOVERY_COMMAND ? strdup("") : expand(template, discovery, member, known, count, err);
    if (plain && discovery->kind == DISCOVERY_FILE_SD) {
        json_t *group = json_pack("{s:[s], s:o}", "targets", plain, "labels", words_json(member, known, count, labels));
        text = group ? json_dumps(group, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        json_decref(group);
    } else if (plain && discovery->kind == DISCOVERY_ETCD && !discovery->value) {
        json_t *object = words_json(member, known, count, fields);
        json_object_set_new(object, "target", json_string(plain));
        text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
        json_decref(object);
    } else if (plain) {
        text = strdup(plain);
    }
    if (plain && !text)
        err_set(err, ERR_INPUT, "node %s: [discovery %s]: what is said of a node is no text in UTF-8", member->node->name,
                discovery->name);
    free(plain);
    arena_release(&arena);
    return text;
}
