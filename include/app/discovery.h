/*
 * What serves where, written for others: [discovery NAME]. Announces a node, withdraws it, looks what stands there.
 * Several discoveries, and one on several nodes, are kept in step.
 *
 * What is announced is read, never remembered: every write begins with a look at what stands there, changes this
 * service's nodes only, and is followed by a look at what came of it. Nodes that the service no longer has go by the
 * way. What is asked for before the loop turns, for however many nodes, is one change at each place: one rename of a file,
 * one transaction in etcd of at most 128 keys (what is beyond comes in further ones; withdrawals last). A command is run
 * for one node after the other. Never decides when a node is announced; that is core/rollout.h's.
 *
 * Nothing is written without the lease of the node's lock (app/lease.h), also not what is put back, made up for, or was queued before.
 *
 * A place that cannot be reached costs one timeout, not one a node: its breaker (app/dependency.h) opens. Under
 * `on_error = warn` its changes count as done, are told once, and are made up for when it is back.
 */
#ifndef APP_DISCOVERY_H
#define APP_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/fleet.h"
#include "app/step.h"
#include "base/err.h"
#include "base/strbuf.h"

struct discoveries;

/* For the playbook of the fleet. ERR_INPUT: a node's text comes out of its template as none that can be written. */
int discoveries_create(struct discoveries **out, struct fleet *fleet, const struct inventory *inventory, struct err *err);
/* No callback comes after. NULL is fine. */
void discoveries_free(struct discoveries *discoveries);

/* RENEW: the lease of a key that stands there begins anew; one that has gone is not announced again. */
enum discovery_wish { DISCOVERY_LOOK, DISCOVERY_RENEW, DISCOVERY_OUT, DISCOVERY_IN };
/* One at a time for a member; `fn` comes once, from the loop, in bounded time: DONE_OK, or DONE_FAILED with why. `words`
 * are copied: the release and the slot that serve. An OUT that failed leaves the node announced where it was, as far as
 * can be reached. An IN needs nothing of a place that does not answer and was last seen to say the same already. */
void discoveries_start(struct discoveries *discoveries, size_t member, enum discovery_wish wish,
                       const struct node_words *words, step_done_fn *fn, void *context);
/* A switch of sides: those that serve now are announced and the others withdrawn, at each place in one change, as
 * discoveries_start does. `goals` (one a member) and their words are copied; `fn` comes with what went wrong first. */
struct discovery_goal {
    size_t member;
    bool in;
    struct node_words words;
};
void discoveries_shift(struct discoveries *discoveries, const struct discovery_goal *goals, size_t count,
                       step_done_fn *fn, void *context);
/* Its callback will not come; what has been sent is done all the same. */
void discoveries_cancel(struct discoveries *discoveries, size_t member);
/* Announces a node again as it was before the last OUT; nobody waits for it. */
void discoveries_put_back(struct discoveries *discoveries, size_t member);
/* Withdraws a node; nobody waits for it. */
void discoveries_withdraw(struct discoveries *discoveries, size_t member);
/* Runs the loop until nothing is under way any more, in bounded time. NULL is fine. */
void discoveries_flush(struct discoveries *discoveries);
/* From now on the leases of what stands there are renewed in time, until it is told to end, or freed. NULL is fine. */
void discoveries_keep(struct discoveries *discoveries, bool keeps);
/* The most that an operation takes before it fails by itself. */
int64_t discoveries_limit_ms(const struct discoveries *discoveries);
/* What `on_error = warn` has to say; NULL: nobody is told. */
void discoveries_on_notice(struct discoveries *discoveries, void (*fn)(void *context, const char *text), void *context);

/* Appends what the last looks said, beside what is: `prometheus on mon1: announced; ...`. */
void discoveries_describe(const struct discoveries *discoveries, size_t member, const struct node_words *words,
                          struct strbuf *out);

#endif
