#include <string.h>

#include "discovery_internal.h"

#define OPERATIONS_MAX 100 /* etcd takes 128 in one transaction, unless told otherwise */
#define VALUE_MAX ((size_t)64 << 10)

/* Everything of the service begins with this. */
static void add_prefix(struct strbuf *out, const struct place *place)
{
    strbuf_addf(out, "%s/%s/", place->discovery->prefix, place->discoveries->fleet->playbook->service.name);
}

static void start(struct place *place, const char *method, json_t *body, etcd_fn *fn)
{
    place->call = etcd_start(place->etcd, method, body, fn, place);
    if (place->call)
        return;
    struct err err;
    err_set(&err, ERR_MEMORY, "out of memory");
    fn(place, NULL, &err);
}

static void was_read(void *context, const json_t *answer, const struct err *error)
{
    struct place *place = context;
    struct strbuf key, value, prefix;
    json_t *kv;
    size_t index;
    place->call = NULL;
    if (error) {
        place_was_read(place, error);
        return;
    }
    announced_release(&place->said);
    strbuf_init(&prefix, 2048);
    strbuf_init(&key, 4096);
    strbuf_init(&value, VALUE_MAX);
    add_prefix(&prefix, place);
    json_array_foreach(json_object_get(answer, "kvs"), index, kv)
    {
        strbuf_reset(&key);
        strbuf_reset(&value);
        if (etcd_string(&key, kv, "key") == 0 && key.length > prefix.length)
            etcd_string(&value, kv, "value");
        if (key.length > prefix.length)
            announced_add(&place->said, key.text + prefix.length, value.text);
    }
    strbuf_release(&prefix);
    strbuf_release(&key);
    strbuf_release(&value);
    place_was_read(place, NULL);
}

static void etcd_read(struct place *place)
{
    struct strbuf prefix;
    strbuf_init(&prefix, 2048);
    add_prefix(&prefix, place);
    start(place, "kv/range",
          json_pack("{s:o, s:o}", "key", etcd_text(prefix.text), "range_end", etcd_range_end(prefix.text)), was_read);
    strbuf_release(&prefix);
}

static void was_written(void *context, const json_t *answer, const struct err *error)
{
    struct place *place = context;
    (void)answer;
    place->call = NULL;
    place_was_written(place, error);
}

/* What is beyond one transaction is found missing by the look after it, and comes with the next try. */
static void etcd_write(struct place *place)
{
    const struct discoveries *discoveries = place->discoveries;
    json_t *operations = json_array();
    struct strbuf key;
    strbuf_init(&key, 4096);
    for (const struct change *change = place->batch; change && json_array_size(operations) < OPERATIONS_MAX;
         change = change->next) {
        if (change_is_done(place, change))
            continue;
        strbuf_reset(&key);
        add_prefix(&key, place);
        strbuf_adds(&key, discoveries->fleet->members[change->member].node->name);
        json_array_append_new(operations, change->wish == WISH_ADD ? etcd_put(key.text, change->text, 0)
                                                                    : etcd_delete(key.text));
    }
    strbuf_release(&key);
    start(place, "kv/txn", etcd_txn(NULL, operations, NULL), was_written);
}

static void etcd_stop(struct place *place)
{
    etcd_cancel(place->call);
    place->call = NULL;
}

const struct discovery_type discovery_etcd_type = {etcd_read, etcd_write, etcd_stop};
