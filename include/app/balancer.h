/*
 * The balancers in front of a fleet: take a node out of the traffic, put it in, look how it stands.
 * Several balancers, and one balancer on several nodes, are kept in step: each of them must answer
 * and agree, else the operation has failed.
 *
 * What a balancer thinks is read from it, never remembered: every write is followed by a look in
 * the same exchange. Never decides when a node is taken out or put in; that is core/rollout.h's.
 *
 * While a node is out, each balancer is looked at once a second: one that has lost the state (its
 * reload) is told again.
 */
#ifndef APP_BALANCER_H
#define APP_BALANCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/fleet.h"
#include "app/step.h"
#include "base/err.h"
#include "base/strbuf.h"

/* READY: gets traffic when it is up. DRAIN: no new sessions, those that have chosen it (cookies)
 * excepted. MAINT: none at all. */
enum traffic_state { TRAFFIC_READY, TRAFFIC_DRAIN, TRAFFIC_MAINT };
const char *traffic_state_name(enum traffic_state state); /* static */

/* One server as one balancer sees it. */
struct traffic_view {
    enum traffic_state state;
    bool up; /* the balancer's own checks, when it has some, let it serve */
    uint64_t weight, sessions;
};

struct balancers;

/* For the fronts of the fleet. ERR_INPUT: a server's name comes out of its template as something
 * that no balancer has. */
int balancers_create(struct balancers **out, struct fleet *fleet, struct err *err);
/* No callback comes after. NULL is fine. */
void balancers_free(struct balancers *balancers);

enum balancer_wish {
    BALANCER_LOOK, /* every balancer is reached, may be told, and knows the node */
    /* Drained, until no session is left or drain_timeout has passed (DONE_TIMED_OUT), then shut
     * (MAINT): nothing comes to an instance that has not passed its gate, not by a cookie either.
     * When that fails, nothing stays changed where it can be reached. */
    BALANCER_OUT,
    BALANCER_IN /* ready, and up by the balancer's own checks. Nothing to do for a node that is
                   known to be in. */
};
/* One at a time for a member; `fn` comes once, from the loop, in bounded time: DONE_OK,
 * DONE_FAILED, DONE_TIMED_OUT or DONE_CANCELLED. */
void balancers_start(struct balancers *balancers, size_t member, enum balancer_wish wish,
                     step_done_fn *fn, void *context);
/* Ends an operation early: a node that was being taken out is put back where it can be, then its
 * callback comes with DONE_CANCELLED. */
void balancers_stop(struct balancers *balancers, size_t member);
/* Its callback will not come. What has been sent to a balancer is done there all the same. */
void balancers_cancel(struct balancers *balancers, size_t member);
/* The most that an operation takes before it fails by itself. */
int64_t balancers_limit_ms(const struct balancers *balancers, enum balancer_wish wish);

/* Whether some balancer may keep traffic from the node, as far as looks and writes of this run
 * tell. */
bool balancers_holds_out(const struct balancers *balancers, size_t member);
/* Appends what the last looks said: `lb1 ready, weight 100, 3 sessions; lb2 ...`. Nothing when
 * there was none. */
void balancers_describe(const struct balancers *balancers, size_t member, struct strbuf *out);

#endif
