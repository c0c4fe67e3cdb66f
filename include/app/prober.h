/*
 * One round of a node's health checks: all that the playbook's [health] names, side by side;
 * healthy only if all are.
 *
 * Through the node's SSH connection to its own loopback (via = node) or directly to its address.
 * After an activation the instance that answers is to be the new one (law 12). [health] identity proves it: a header or the body of
 * the `http` check's own answer, or a command. Else the node's program does, by the unit or by the processes that listen on the
 * service's port. Until it is proven a round begins with that question, and ends unhealthy when the old instance answers; the other
 * checks begin after it, so that no answer of the old instance counts. It costs one request a gate, or none where the unit is asked
 * or the header or body is looked at anyway; a round in which the old instance answers, or in which nothing listens on a port that is
 * probed, is followed by another question.
 *
 * Counts nothing and decides nothing: rise, fall and deadlines are core/health.h's.
 */
#ifndef APP_PROBER_H
#define APP_PROBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/fleet.h"
#include "base/err.h"

struct prober;

/* Whether the playbook asks for any check at all. */
bool prober_has_checks(const struct playbook *playbook);

/* For one member; lives as long as its rollout. `words` is borrowed and read at each round. NULL
 * when out of memory. */
struct prober *prober_create(struct fleet *fleet, size_t member, const struct node_words *words);
void prober_free(struct prober *prober);

/* `error`: the connection that the probe needs is gone (class ERR_UNREACHABLE); nothing is known of
 * the health. `evidence`: one sentence, e.g. `http 503 in 12 ms`; borrowed. */
typedef void probed_fn(void *context, bool healthy, const char *evidence, const struct err *error);
/* Starts a round; `fn` comes once, from the loop, within the playbook's timeout, or twice that until the instance is proven. One
 * round at a time. */
void prober_start(struct prober *prober, probed_fn *fn, void *context);
/* The last round found that the service will not recover: its unit has failed, and systemd starts it
 * no more (one that waits for its next restart is `activating`). */
bool prober_is_hopeless(const struct prober *prober);
/* From now on the instance of `words->release` is to be a new one: its activation, restart or start was asked of the node. */
void prober_expect(struct prober *prober);
bool prober_expects(const struct prober *prober);
/* Why the node cannot tell the old instance from the new one, if so; NULL: it can, or was not asked. */
const char *prober_doubt(const struct prober *prober);
/* Into the request under construction: where the instance listens, if it has a port. */
void prober_add_endpoint(const struct fleet *fleet, size_t member, const struct node_words *words, struct session *session);
/* Ends a round without its callback. */
void prober_cancel(struct prober *prober);

#endif
