#include "model/service.h"

#include "base/strbuf.h"
#include "model/playbook_keys.h"
#include "model/template.h"

#define VALUE_MAX 8192

struct expanding {
    struct template_scope scope;
    struct arena *arena;
    struct strbuf text;
    struct err *err;
};

static int expand(struct expanding *expanding, const char *text, const char *key)
{
    strbuf_reset(&expanding->text);
    int rc = template_expand(&expanding->text, text, &expanding->scope, expanding->err);
    if (rc == 0 && expanding->text.overflowed)
        rc = err_set(expanding->err, ERR_INPUT, "is longer than %d bytes", VALUE_MAX);
    if (rc < 0)
        err_prefix(expanding->err, "node %s: key '%s' in [service]", expanding->scope.node->name, key);
    return rc;
}

/* What comes out passes the same door as what a playbook writes. */
static int store(struct expanding *expanding, struct playbook *into, const char *key, const char *text)
{
    const struct playbook_key *known = playbook_key_find("service", key);
    int rc = playbook_key_store(known, into, text, expanding->arena, expanding->err);
    if (rc < 0)
        err_prefix(expanding->err, "node %s: key '%s' in [service]", expanding->scope.node->name, key);
    return rc;
}

static int expand_one(struct expanding *expanding, struct playbook *into, const char *key, const char *text)
{
    if (!text)
        return 0;
    int rc = expand(expanding, text, key);
    return rc < 0 ? rc : store(expanding, into, key, expanding->text.text);
}

static int expand_shared(struct expanding *expanding, struct playbook *into, const struct string_list *shared)
{
    struct strbuf joined;
    int rc = 0;
    strbuf_init(&joined, VALUE_MAX);
    for (size_t i = 0; i < shared->count && rc == 0; i++) {
        rc = expand(expanding, shared->items[i], "shared");
        strbuf_addf(&joined, "%s%s", i ? ", " : "", expanding->text.text);
    }
    if (rc == 0 && shared->count)
        rc = store(expanding, into, "shared", joined.text);
    strbuf_release(&joined);
    return rc;
}

/* Of a node, or of the slot of it that is not SLOTS. */
static int service_of(struct service *out, const struct playbook *playbook, const struct node *node, size_t index,
                      struct arena *arena, struct err *err)
{
    const struct service *service = &playbook->service;
    const struct slot *slot = index < SLOTS ? &playbook->slots[index] : NULL;
    struct playbook into = {.service = *service};
    if (slot && slot->port)
        into.service.port = slot->port;
    const struct variable known[] = {
        {.name = "port", .value = arena_printf(arena, "%u", into.service.port)},
        {.name = "service", .value = service->name},
        {.name = "slot", .value = slot ? slot_name(index) : ""},
    };
    struct expanding expanding = {.scope = {.node = node, .extra = known, .extra_count = slot ? 3 : 2},
                                  .arena = arena,
                                  .err = err};
    if (slot && slot->start)
        into.service.start = slot->start;
    if (slot && slot->stop)
        into.service.stop = slot->stop;
    const char *unit = slot && (slot->unit || slot->start) ? slot->unit : service->unit;
    into.service.unit = NULL;
    strbuf_init(&expanding.text, VALUE_MAX);
    int rc = expand_one(&expanding, &into, "root", service->root);
    if (rc == 0 && (slot || playbook->strategy.kind != STRATEGY_BLUE_GREEN))
        rc = expand_one(&expanding, &into, "unit", unit);
    if (rc == 0)
        rc = expand_shared(&expanding, &into, &service->shared);
    strbuf_release(&expanding.text);
    *out = into.service;
    return rc;
}

int service_of_node(struct service *out, const struct playbook *playbook, const struct node *node,
                    struct arena *arena, struct err *err)
{
    return service_of(out, playbook, node, SLOTS, arena, err);
}

int service_of_slot(struct service *out, const struct playbook *playbook, const struct node *node, size_t slot,
                    struct arena *arena, struct err *err)
{
    return service_of(out, playbook, node, slot, arena, err);
}
