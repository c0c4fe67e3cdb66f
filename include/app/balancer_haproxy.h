/*
 * HAProxy's Runtime API as text: what is said to its stats socket, and what its answers mean. Never
 * connects.
 *
 * HAProxy 2.x, management guide, section 9.3. One exchange is one line of commands joined by `;`,
 * answered in order; then HAProxy closes. Its answers come from outside: columns are found by the
 * names in their heading, never by their place, and every number is bounded.
 */
#ifndef APP_BALANCER_HAPROXY_H
#define APP_BALANCER_HAPROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "app/balancer.h"
#include "base/err.h"
#include "base/strbuf.h"

#define HAPROXY_ANSWER_MAX ((size_t)4 << 20) /* bytes; a backend of thousands of servers has less  \
                                              */

enum haproxy_order { HAPROXY_LOOK, HAPROXY_DRAIN, HAPROXY_MAINT, HAPROXY_READY };

/* Whether HAProxy can have a server or backend of this name, so that a request says what it means.
 */
bool haproxy_is_name(const char *name);
/* Appends one line: the order, and a look at the server after it. */
void haproxy_request(struct strbuf *out, enum haproxy_order order, const char *backend,
                     const char *server);
/* The view that an answer gives. ERR_REFUSED: HAProxy says no (level, no such backend or server);
 * ERR_FAILED: the state is not what the order asked for; ERR_PROTOCOL: not an answer of HAProxy's,
 * or cut off. */
int haproxy_answer(struct traffic_view *out, enum haproxy_order order, const char *backend,
                   const char *server, const char *text, size_t length, struct err *err);

#endif
