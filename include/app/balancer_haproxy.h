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

#define HAPROXY_ORDERS_MAX 100 /* in one exchange: a line of commands has at most 16 KiB */

/* Whether HAProxy can have a server or backend of this name, so that a request says what it means.
 */
bool haproxy_is_name(const char *name);
/* Whether an order is about a weight, so that the request for it needs an answer to haproxy_look first. */
bool haproxy_must_look(const struct traffic_order *orders, size_t count);
/* Appends one line that asks for the weights of the whole backend. */
void haproxy_look(struct strbuf *out, const char *backend);
/* Appends one line: the orders, and a look at the servers after it. At most HAPROXY_ORDERS_MAX.
 *
 * Weights are absolute, 0 to 256. While a server keeps a part of its weight, all of its backend are a multiple of the configured
 * ones, so that `weight 1` has small parts too and proportions stay; when no one does, they are the configured ones. `look` is
 * what haproxy_look was answered, not read without a weight. ERR_REFUSED and ERR_PROTOCOL as haproxy_answer; ERR_REFUSED too
 * when the line would be longer than HAProxy takes. */
int haproxy_request(struct strbuf *out, const char *backend, const struct traffic_order *orders,
                    size_t count, const char *look, size_t look_length, struct err *err);
/* Fills in the orders' views. ERR_REFUSED: HAProxy says no (level, no such backend or server);
 * ERR_FAILED: a state or a weight is not what an order asked for; ERR_PROTOCOL: not an answer of
 * HAProxy's, or cut off. */
int haproxy_answer(struct traffic_order *orders, size_t count, const char *backend, const char *text,
                   size_t length, struct err *err);

#endif
