/*
 * What a run may still change where no node can refuse it: balancers, registries, commands on the runner. A node compares
 * the fencing number of every request; those do not. For them the lock's lease is the fence: a node gives its lock to
 * no other run until the ttl has passed since it received the last renewal, so what happens before that is ours alone.
 *
 * A lease holds until `ttl - margin` has passed since the last acknowledged renewal was sent (the node received it later,
 * so it counts longer). The times are those of clock_boot_ms: it counts the time that the machine was suspended, as the
 * node's clock did. Pure: every time is given.
 *
 * The rule:
 *   one node      an effect about a node needs the lease of that node's lock, each time something is written: also for
 *                 another try, for what is put back, and for what was queued before
 *   several       a shift or a switch needs the lease of each node whose server it changes. An undo changes those whose
 *                 lease holds and leaves the others as they are
 *   the run       a hook that runs once a rollout needs one lease of any of its nodes: another run needs all of their
 *                 locks, so one that holds keeps it out
 *   the service   with `[lock] etcd` the service's lock must hold, too
 * A lease that has run out is renewed before the effect (LEASE_UNSURE: come again). When another run has the lock, or
 * nothing can be asked, the effect does not happen (LEASE_NONE); once a run has lost one lock it has none.
 */
#ifndef APP_LEASE_H
#define APP_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* All zero: no lock was taken. */
struct lease {
    int64_t ttl_ms;   /* 0: none */
    int64_t sent_ms;  /* when the last request to take or renew it was sent */
    int64_t since_ms; /* when the last acknowledged one had been sent */
};

/* Before the request is sent. One is under way at a time; one without an answer is replaced by the next. */
void lease_sent(struct lease *lease, int64_t now_ms);
/* The one sent last was acknowledged. */
void lease_acknowledged(struct lease *lease, int64_t ttl_ms);
/* Given back, or lost. */
void lease_end(struct lease *lease);
bool lease_holds(const struct lease *lease, int64_t now_ms);
/* When it holds no more, unless it is renewed. */
int64_t lease_ends_ms(const struct lease *lease);
/* For clocks that differ in speed, and for what is on its way. */
int64_t lease_margin_ms(int64_t ttl_ms);

enum lease_answer { LEASE_HOLDS, LEASE_UNSURE, LEASE_NONE };

/* Who is asked before each effect; of the run that has the fleet. */
struct lease_guard {
    /* `why` is set unless it holds: ERR_NO_LEASE. `member` SIZE_MAX: for the run as a whole. UNSURE: a renewal is under way, ask
     * again in LEASE_POLL_MS. */
    enum lease_answer (*ask)(void *context, size_t member, struct err *why);
    void *context;
};
#define LEASE_POLL_MS 50
/* `guard` NULL: no run has the fleet; only looks, and what a verb without a run does. */
enum lease_answer lease_ask(const struct lease_guard *guard, size_t member, struct err *why);

#endif
