/*
 * The HTTP request of the playbook's [health], as one node is asked it: what probes and analyses send. Sends nothing.
 */
#ifndef APP_HEALTH_REQUEST_H
#define APP_HEALTH_REQUEST_H

#include <stddef.h>

#include "app/fleet.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "io/http.h"

#define HEALTH_HEADERS_MAX 16

struct health_request {
    struct arena arena;
    struct strbuf url;
    const char *headers[HEALTH_HEADERS_MAX + 1];
    struct http_request request; /* points into this struct; `via` is left to the caller */
};

/* Names in URL and headers are replaced for this node. ERR_INPUT when one is unknown. Always health_request_release. */
int health_request_init(struct health_request *out, const struct fleet *fleet, size_t member,
                        const struct node_words *words, struct err *err);
void health_request_release(struct health_request *request);

/* Appends a template of [health] as this node has it; `quoted`: the names' values are literal in a regular expression. */
int health_expand(struct strbuf *out, const char *text, bool quoted, const struct fleet *fleet, size_t member,
                  const struct node_words *words, struct err *err);

/* Where a node is asked: its own loopback, as it sees it, or its address with via = direct. */
const char *health_host(const struct fleet *fleet, size_t member);
/* The host that is probed, without brackets: the URL's when `http` is a whole one, else health_host. */
void health_address(struct strbuf *out, const struct fleet *fleet, size_t member, const struct node_words *words);
/* [health] port, else that of the instance that `words` name. */
uint16_t health_port(const struct fleet *fleet, size_t member, const struct node_words *words);

#endif
