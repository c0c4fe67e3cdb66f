#include "app/discover.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "discovery_internal.h"
#include "io/files.h"

#define FILE_MAX ((size_t)1 << 20)
#define VALUE_MAX ((size_t)60000) /* it goes into the environment of commands */

/* --- from what is announced to one text --- */

static int by_node(const void *left, const void *right)
{
    return strcmp(((const struct said *)left)->node, ((const struct said *)right)->node);
}

/* The target in an object of file_sd or of etcd; else the text itself. */
static char *target_of(const char *text)
{
    json_t *object = *text == '{' ? json_loads(text, 0, NULL) : NULL;
    const char *target = json_string_value(json_array_get(json_object_get(object, "targets"), 0));
    if (!target)
        target = json_string_value(json_object_get(object, "target"));
    char *copy = strdup(target ? target : text);
    json_decref(object);
    return copy;
}

static int join(struct playbook *playbook, struct discover *discover, struct announced *announced, struct err *err)
{
    struct strbuf value;
    strbuf_init(&value, VALUE_MAX);
    if (announced->count)
        qsort(announced->items, announced->count, sizeof(*announced->items), by_node);
    for (size_t i = 0; i < announced->count; i++) {
        char *target = target_of(announced->items[i].text);
        strbuf_adds(&value, i ? discover->separator : "");
        text_sanitize(&value, target ? target : "", target ? strlen(target) : 0, false);
        free(target);
    }
    discover->value = arena_strdup(&playbook->arena, value.text);
    bool overflowed = value.overflowed;
    strbuf_release(&value);
    if (overflowed || !discover->value)
        return err_set(err, ERR_MEMORY, "service %s has more nodes than %zu bytes hold", discover->service, VALUE_MAX);
    if (announced->count == 0 && discover->needed)
        return err_set(err, ERR_NOT_FOUND, "no node of service %s is announced; needed = no goes on without one",
                       discover->service);
    return 0;
}

/* --- from a file --- */

static int read_announced(struct announced *out, const struct discover *discover, struct err *err)
{
    struct strbuf text;
    strbuf_init(&text, FILE_MAX);
    int rc = file_read(&text, discover->file, err);
    bool json = text.text[strspn(text.text, " \t\r\n")] == '[';
    if (rc == 0)
        rc = (json ? file_sd_parse : hosts_parse)(out, text.text, text.length, discover->service, err);
    if (rc < 0 && rc != ERR_NOT_FOUND && rc != ERR_IO)
        err_prefix(err, "%s", discover->file);
    strbuf_release(&text);
    return rc;
}

/* --- from etcd --- */

struct asking {
    struct loop *loop;
    struct announced *out;
    const char *prefix;
    struct err error;
    bool done;
};

/* A key without a value names no target. */
static void drop_empty(struct announced *announced)
{
    size_t kept = 0;
    for (size_t i = 0; i < announced->count; i++) {
        struct said *item = &announced->items[i];
        if (*item->text) {
            announced->items[kept++] = *item;
        } else {
            free(item->node);
            free(item->text);
        }
    }
    announced->count = kept;
}

static void answered(void *context, const json_t *answer, const struct err *error)
{
    struct asking *asking = context;
    struct err err;
    if (error)
        asking->error = *error;
    else if (etcd_keys_parse(asking->out, answer, asking->prefix, &err) < 0)
        asking->error = err;
    drop_empty(asking->out);
    asking->done = true;
    loop_stop(asking->loop);
}

static int ask(struct announced *out, struct loop *loop, struct http_client *http, const struct discover *discover,
               struct err *err)
{
    struct asking asking = {.loop = loop, .out = out};
    struct strbuf prefix;
    struct etcd *etcd;
    int rc = etcd_create(&etcd, loop, http, &discover->etcd, err);
    if (rc < 0)
        return rc;
    strbuf_init(&prefix, 2048);
    strbuf_addf(&prefix, "%s/%s/", discover->prefix, discover->service);
    asking.prefix = prefix.text;
    if (!etcd_start(etcd, "kv/range",
                    json_pack("{s:o, s:o}", "key", etcd_text(prefix.text), "range_end", etcd_range_end(prefix.text)),
                    answered, &asking))
        rc = err_set(err, ERR_MEMORY, "out of memory");
    while (rc == 0 && !asking.done)
        loop_run(loop);
    if (rc == 0 && asking.error.code) {
        *err = asking.error;
        rc = err->code;
    }
    strbuf_release(&prefix);
    etcd_free(etcd);
    return rc;
}

static int ask_announced(struct announced *out, const struct discover *discover, struct err *err)
{
    struct loop *loop;
    struct http_client *http;
    int rc = loop_create(&loop, err);
    if (rc < 0)
        return rc;
    rc = http_client_create(&http, loop, err);
    if (rc == 0) {
        rc = ask(out, loop, http, discover, err);
        http_client_free(http);
    }
    loop_free(loop);
    return rc;
}

/* --- all of them --- */

int discovers_read(struct playbook *playbook, struct err *err)
{
    int first = 0;
    for (size_t i = 0; i < playbook->discover_count; i++) {
        struct discover *discover = &playbook->discovers[i];
        struct announced announced = {.count = 0};
        struct err error;
        discover->value = "";
        int rc = discover->file ? read_announced(&announced, discover, &error) : ask_announced(&announced, discover, &error);
        if (rc == 0)
            rc = join(playbook, discover, &announced, &error);
        announced_release(&announced);
        if (rc < 0 && first == 0) {
            err_prefix(&error, "[discover %s]", discover->name);
            *err = error;
            first = rc;
        }
    }
    return first;
}
