#include <string.h>

#include "discovery_internal.h"

#define OPERATIONS_MAX 128 /* etcd takes so many in one transaction, unless told otherwise (--max-txn-ops) */

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
    struct strbuf prefix;
    struct err err;
    place->call = NULL;
    if (error) {
        place_was_read(place, error);
        return;
    }
    announced_release(&place->said);
    strbuf_init(&prefix, 2048);
    add_prefix(&prefix, place);
    int rc = etcd_keys_parse(&place->said, answer, prefix.text, &err);
    strbuf_release(&prefix);
    place_was_read(place, rc < 0 ? &err : NULL);
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

/* A key that this service has written, whose node it has no more. What does not look like it is left alone. */
static bool is_stale(const struct place *place, const struct said *said)
{
    const char *service = place->discoveries->fleet->playbook->service.name;
    if (place_has_host(place, said->node))
        return false;
    return etcd_value_is_of(said->text, service, said->node);
}

static void add_operation(const struct place *place, json_t *operations, const char *node, const struct change *change)
{
    struct strbuf key;
    strbuf_init(&key, 4096);
    add_prefix(&key, place);
    strbuf_adds(&key, node);
    json_array_append_new(operations, change ? etcd_put(key.text, change->text, change->lease) : etcd_delete(key.text));
    strbuf_release(&key);
}

/* Those that come in are first. */
static json_t *operations_of(const struct place *place)
{
    static const enum change_wish wishes[] = {WISH_ADD, WISH_REMOVE};
    const struct discoveries *discoveries = place->discoveries;
    json_t *operations = json_array();
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++)
        for (const struct change *change = place->batch; change; change = change->next)
            if (change->wish == wishes[i] && !change_is_done(place, change))
                add_operation(place, operations, discoveries->fleet->members[change->member].node->name,
                              change->wish == WISH_ADD ? change : NULL);
    for (size_t i = 0; i < place->said.count; i++)
        if (is_stale(place, &place->said.items[i]))
            add_operation(place, operations, place->said.items[i].node, NULL);
    return operations;
}

static void was_written(void *context, const json_t *answer, const struct err *error);

/* One transaction, and another one when there is more than one takes. */
static void write_keys(struct place *place)
{
    json_t *all = operations_of(place), *some = json_array();
    size_t count = json_array_size(all);
    while (place->sent < count && json_array_size(some) < OPERATIONS_MAX)
        json_array_append(some, json_array_get(all, place->sent++));
    json_decref(all);
    if (json_array_size(some) && !place_may_write(place)) {
        json_decref(some);
    } else if (json_array_size(some)) {
        start(place, "kv/txn", etcd_txn(NULL, some, NULL), was_written);
    } else {
        json_decref(some);
        place_was_written(place, NULL);
    }
}

static void was_written(void *context, const json_t *answer, const struct err *error)
{
    struct place *place = context;
    (void)answer;
    place->call = NULL;
    if (error)
        place_was_written(place, error);
    else
        write_keys(place);
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
    } else if (!place_may_write(place)) {
        return;
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
    place->sent = 0;
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
