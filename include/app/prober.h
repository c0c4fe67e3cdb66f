/*
 * One round of a node's health checks: all that the playbook's [health] names, side by side;
 * healthy only if all are.
 *
 * Through the node's SSH connection to its own loopback (via = node) or directly to its address.
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
/* Starts a round; `fn` comes once, from the loop, within the playbook's timeout. One round at a
 * time. */
void prober_start(struct prober *prober, probed_fn *fn, void *context);
/* The last round found that the service will not recover: its unit has failed, and systemd starts it
 * no more (one that waits for its next restart is `activating`). */
bool prober_is_hopeless(const struct prober *prober);
/* Ends a round without its callback. */
void prober_cancel(struct prober *prober);

#endif
