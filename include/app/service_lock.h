/*
 * `[lock] etcd =`: one lock of the whole service, beside the nodes' own, for runners that share no node (each has a
 * --limit of its own, or the fleet changes between them). Never locks a node.
 *
 * The key PREFIX/SERVICE is made by a transaction that demands that there is none, and hangs on a lease. The revision
 * that made it is the fencing number: the nodes' locks get it as the least generation that they may have, so that a
 * node, etcd and every message name the same number. Revisions only grow, and so do generations. Where a node's own
 * number is ahead (it was locked without etcd, or etcd was set up anew) the node counts on from its own, and the
 * highest one seen is kept in PREFIX/SERVICE/generation: the next lock begins above it, everywhere.
 *
 * The lease is kept alive from the loop, three times in its ttl. Its loss is told before etcd can give the lock to
 * somebody else: by the time since the last renewal that was answered had been sent (app/lease.h), suspended time included.
 */
#ifndef APP_SERVICE_LOCK_H
#define APP_SERVICE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "app/fleet.h"
#include "base/err.h"

struct service_lock;

struct service_lock_order {
    struct fleet *fleet;
    const char *rollout, *holder; /* borrowed for the call */
    int64_t wait_ms;              /* how long a held lock is waited for; 0: not at all */
    /* Called once, when it has to wait, with who holds it; NULL: nobody is told. */
    void (*waiting)(void *context, const char *sentence);
    void *context;
};
/* Runs the fleet's loop until it is taken or not to be had. 0, a signal's number when interrupted, or ERR_REFUSED: held
 * by somebody, the sentence names them; the errors of etcd.h. `out` NULL, and 0: the playbook has no such lock. */
int service_lock_take(struct service_lock **out, const struct service_lock_order *order, struct err *err);
/* The fencing number; 0 for NULL. */
uint64_t service_lock_generation(const struct service_lock *lock);
/* A node's lock has this generation, which may be ahead. NULL is fine. */
void service_lock_seen(struct service_lock *lock, uint64_t generation);
/* Whether it holds now, by clock_boot_ms: what `fn` below tells may come later, when the loop turns. True for NULL. */
bool service_lock_holds(struct service_lock *lock);
/* `fn` comes once, from the loop, when the lock is lost: nothing may be changed any more. NULL is fine. */
void service_lock_on_lost(struct service_lock *lock, void (*fn)(void *context, const char *sentence), void *context);
/* Gives it back, unless it was lost or `keeps` (it then ends with its ttl), and frees: runs the loop, in bounded time.
 * NULL is fine. An error is only told: the ttl ends the lock all the same. */
int service_lock_release(struct service_lock *lock, bool keeps, struct err *err);

struct service_lock_view {
    bool held;
    char holder[200], rollout[64];
    uint64_t generation;
    int64_t lease;
    int64_t left_s, ttl_s; /* until etcd gives it up, when nobody renews it */
};
/* Who holds it. Runs the loop. 0, a signal's number, or an error of etcd's. */
int service_lock_look(struct service_lock_view *out, struct fleet *fleet, struct err *err);
/* Breaks the lock that was looked at. ERR_REFUSED: it has changed hands. */
int service_lock_break(struct fleet *fleet, const struct service_lock_view *view, struct err *err);

#endif
