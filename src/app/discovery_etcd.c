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

static void keep(struct place *place, const char *node, const char *text, int64_t lease)
{
    announced_add(&place->said, node, text);
    struct said *said = announced_item(&place->said, node);
    if (said)
        said->lease = lease;
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
            keep(place, key.text + prefix.length, value.text, etcd_number(kv, "lease"));
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
static void write_keys(struct place *place)
{
    const struct discoveries *discoveries = place->discoveries;
    json_t *operations = json_array();
    struct strbuf key;
    strbuf_init(&key, 4096);
    for (const struct change *change = place->batch; change && json_array_size(operations) < OPERATIONS_MAX;
         change = change->next) {
        if (change->wish <= WISH_RENEW || change_is_done(place, change))
            continue;
        strbuf_reset(&key);
        add_prefix(&key, place);
        strbuf_adds(&key, discoveries->fleet->members[change->member].node->name);
        json_array_append_new(operations, change->wish == WISH_ADD ? etcd_put(key.text, change->text, change->lease)
                                                                    : etcd_delete(key.text));
    }
    strbuf_release(&key);
    if (json_array_size(operations)) {
        start(place, "kv/txn", etcd_txn(NULL, operations, NULL), was_written);
    } else {
        json_decref(operations);
        place_was_written(place, NULL);
    }
}

/* --- leases: one a key, so that each node's key lives and ends by itself --- */

static void next_lease(struct place *place);

static void was_granted(void *context, const json_t *answer, const struct err *error)
{
    struct place *place = context;
    struct err none;
    place->call = NULL;
    if (!error)
        place->at->lease = etcd_number(answer, "ID");
    if (!error && !place->at->lease) {
        err_set(&none, ERR_PROTOCOL, "etcd granted no lease");
        error = &none;
    }
    if (error) {
        place_was_written(place, error);
        return;
    }
    place->at = place->at->next;
    next_lease(place);
}

/* One that has expired meanwhile has taken its key along: there is nothing to renew. */
static void was_renewed(void *context, const json_t *answer, const struct err *error)
{
    struct place *place = context;
    (void)answer;
    place->call = NULL;
    if (error) {
        place_was_written(place, error);
        return;
    }
    place->at->renewed = true;
    place->at = place->at->next;
    next_lease(place);
}

static void next_lease(struct place *place)
{
    const struct fleet *fleet = place->discoveries->fleet;
    while (place->at && (place->at->wish == WISH_LOOK || place->at->wish == WISH_REMOVE || change_is_done(place, place->at)))
        place->at = place->at->next;
    struct change *change = place->at;
    if (!change) {
        write_keys(place);
    } else if (change->wish == WISH_ADD) {
        start(place, "lease/grant", json_pack("{s:I}", "TTL", (json_int_t)((place->discovery->lease_ms + 999) / 1000)),
              was_granted);
    } else {
        const struct said *said = announced_item(&place->said, fleet->members[change->member].node->name);
        start(place, "lease/keepalive", json_pack("{s:I}", "ID", (json_int_t)said->lease), was_renewed);
    }
}

static void etcd_write(struct place *place)
{
    place->at = place->discovery->lease_ms ? place->batch : NULL;
    next_lease(place);
}

static void etcd_stop(struct place *place)
{
    etcd_cancel(place->call);
    place->call = NULL;
    place->at = NULL;
}

const struct discovery_type discovery_etcd_type = {etcd_read, etcd_write, etcd_stop};
