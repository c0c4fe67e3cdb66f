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

int service_of_node(struct service *out, const struct playbook *playbook, const struct node *node,
                    struct arena *arena, struct err *err)
{
    const struct service *service = &playbook->service;
    const struct variable known[] = {
        {.name = "port", .value = arena_printf(arena, "%u", service->port)},
        {.name = "service", .value = service->name},
    };
    struct playbook into = {.service = *service};
    struct expanding expanding = {.scope = {.node = node, .extra = known, .extra_count = 2},
                                  .arena = arena,
                                  .err = err};
    strbuf_init(&expanding.text, VALUE_MAX);
    int rc = expand_one(&expanding, &into, "root", service->root);
    if (rc == 0)
        rc = expand_one(&expanding, &into, "unit", service->unit);
    if (rc == 0)
        rc = expand_shared(&expanding, &into, &service->shared);
    strbuf_release(&expanding.text);
    *out = into.service;
    return rc;
}
