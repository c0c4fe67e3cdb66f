#include "app/health_request.h"

#include <string.h>

#include "model/template.h"

#define BODY_MAX (64 * 1024)
#define TEXT_MAX 4096

const char *health_host(const struct fleet *fleet, size_t member)
{
    return fleet->playbook->health.via == VIA_NODE ? "127.0.0.1"
                                                   : fleet->members[member].node->connection.address;
}

uint16_t health_port(const struct fleet *fleet, size_t member, const struct node_words *words)
{
    uint16_t port = fleet->playbook->health.port;
    return port ? port : member_instance(&fleet->members[member], words->slot)->port;
}

static int build_url(struct health_request *out, const struct fleet *fleet, size_t member,
                     const struct node_words *words, const struct template_scope *scope, struct err *err)
{
    const struct health *health = &fleet->playbook->health;
    if (health->http[0] == '/') {
        const char *host = health->host ? health->host : health_host(fleet, member);
        bool v6 = strchr(host, ':') != NULL;
        strbuf_addf(&out->url, "http://%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
                    health_port(fleet, member, words));
    }
    return template_expand(&out->url, health->http, scope, err);
}

static int build_headers(struct health_request *out, const struct health *health,
                         const struct template_scope *scope, struct err *err)
{
    struct strbuf header;
    int rc = 0;
    strbuf_init(&header, TEXT_MAX);
    for (size_t i = 0; rc == 0 && i < health->headers.count && i < HEALTH_HEADERS_MAX; i++) {
        strbuf_reset(&header);
        rc = template_expand(&header, health->headers.items[i], scope, err);
        out->headers[i] = arena_strdup(&out->arena, header.text);
    }
    strbuf_release(&header);
    return rc;
}

int health_request_init(struct health_request *out, const struct fleet *fleet, size_t member,
                        const struct node_words *words, struct err *err)
{
    const struct health *health = &fleet->playbook->health;
    struct variable known[NODE_VARIABLES_MAX];
    struct template_scope scope = {.node = fleet->members[member].node, .extra = known};
    *out = (struct health_request){0};
    arena_init(&out->arena);
    strbuf_init(&out->url, TEXT_MAX);
    scope.extra_count = node_variables(known, NODE_VARIABLES_MAX, &fleet->members[member], words, &out->arena);
    int rc = build_url(out, fleet, member, words, &scope, err);
    if (rc == 0)
        rc = build_headers(out, health, &scope, err);
    out->request = (struct http_request){
        .url = out->url.text,
        .headers = out->headers,
        .verify_tls = health->tls_verify,
        .timeout_ms = health->timeout_ms,
        .wanted_header = health->identity.kind == IDENTITY_HEADER ? health->identity.text : NULL,
        .body_max = BODY_MAX,
        .connect_host = health->http[0] == '/' ? health_host(fleet, member) : NULL,
    };
    return rc;
}

int health_expand(struct strbuf *out, const char *text, bool quoted, const struct fleet *fleet, size_t member,
                  const struct node_words *words, struct err *err)
{
    struct variable known[NODE_VARIABLES_MAX];
    struct template_scope scope = {.node = fleet->members[member].node, .extra = known, .quoted = quoted};
    struct arena arena;
    arena_init(&arena);
    scope.extra_count = node_variables(known, NODE_VARIABLES_MAX, &fleet->members[member], words, &arena);
    int rc = template_expand(out, text, &scope, err);
    arena_release(&arena);
    return rc;
}

void health_address(struct strbuf *out, const struct fleet *fleet, size_t member, const struct node_words *words)
{
    const char *http = fleet->playbook->health.http;
    struct strbuf url;
    struct err err;
    strbuf_init(&url, TEXT_MAX);
    bool whole = http && *http != '/' && health_expand(&url, http, false, fleet, member, words, &err) == 0;
    const char *host = whole ? strstr(url.text, "://") : NULL;
    if (host && host[3] == '[')
        strbuf_add(out, host + 4, strcspn(host + 4, "]/"));
    else if (host)
        strbuf_add(out, host + 3, strcspn(host + 3, ":/?#"));
    else
        strbuf_adds(out, health_host(fleet, member));
    strbuf_release(&url);
}

void health_request_release(struct health_request *request)
{
    strbuf_release(&request->url);
    arena_release(&request->arena);
}
