/*
 * The balancers in front of a fleet: take a node out of the traffic, put it in, look how it stands,
 * move shares of the traffic. A server of a balancer is one instance: a node, or one slot of a node.
 * Several balancers, and one balancer on several nodes, are kept in step: each of them must answer
 * and agree, else the operation has failed.
 *
 * What a balancer thinks is read from it, never remembered: every write is followed by a look in
 * the same exchange. Never decides when a node is taken out or put in; that is core/rollout.h's.
 *
 * Nothing is written without the lease of the node's lock (app/lease.h): not by another try, not when a node is put back, not by what
 * is watched. An operation whose lease ran out waits for its renewal; without one it fails, and leaves everything as it is.
 *
 * While a node is out, each balancer is looked at once a second: one that has lost the state (its
 * reload) is told again.
 *
 * One that says yes to a write and stands otherwise after it, or loses again and again what it was told, disagrees: the
 * operation has failed, and for the rest of the run it is told to take nobody else out but for an undo. What puts a node
 * back into the traffic is told to it all the same.
 *
 * Each balancer on each of its nodes is a dependency with a breaker (app/dependency.h): one that is
 * silent for longer than a reload takes costs that time once; until its trial nothing is sent to it, and
 * who wants to take a node out is told so at once. What puts a node back into the traffic is never
 * given up for that: it waits for the trial, at most a minute, and when that fails the node is known to
 * be held out.
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

/* What a balancer has counted for a server since it started (its restart or reload begins anew):
 * counters only grow, gauges are of now. `counted` false: the type of balancer counts nothing. */
struct traffic_counts {
    bool counted;
    /* counters: sessions (with HTTP: requests) sent to the server; its answers of 5xx; connections
     * that failed; answers that broke off */
    uint64_t sessions, status_5xx, connect_errors, response_errors;
    /* gauges: sessions of the last second; means of the last 1024 in milliseconds, of the
     * server's answer and of the whole session */
    uint64_t rate, response_ms, total_ms;
};

/* One server as one balancer sees it. */
struct traffic_view {
    enum traffic_state state;
    bool one_way_out; /* drain and maintenance are the same to it */
    bool up; /* the balancer's own checks, when it has some, let it serve */
    uint64_t weight, sessions;
    uint64_t full_weight; /* what `weight` is when the server has its whole share */
    uint64_t parts;       /* of both that are one of the configuration's weight; 0: they are that weight */
    struct traffic_counts counts;
};

#define WEIGHT_FULL 1000
#define WEIGHT_KEEP UINT32_MAX
/* What a server of a balancer is told; answered by how it stands then. */
enum traffic_command { ORDER_LOOK, ORDER_DRAIN, ORDER_MAINT, ORDER_READY };
struct traffic_order {
    enum traffic_command command;
    uint32_t weight; /* per mille of its full weight, or WEIGHT_KEEP */
    const char *server;
    size_t instance; /* member * slots + slot */
    bool denied; /* it was to be changed, and is looked at only: no lease (app/lease.h) */
    struct traffic_view view;
};

/* What a shift wants of an instance: `in`, with a weight of 1 to 1000 per mille of its full one; else
 * drained (no new sessions; those that it has are not waited for). */
struct traffic_goal {
    size_t member, slot; /* slot 0 where there are none */
    uint32_t weight;
    bool in;
};

/* A share of the traffic, of a canary: in each balancer the updated members together have `share`, per mille, by weights
 * (core/share.h) that follow from the ordinary ones, as the balancer has them. */
struct traffic_share {
    uint32_t share;      /* 0 and 1000: everyone has its ordinary weight */
    uint32_t promised;   /* per mille of the ordinary weights that carry all traffic at worst: more no one is asked to carry */
    const bool *updated; /* one a member */
    const bool *chosen;  /* one a member: whose weights are set; the others are not looked at. Only balancers_share's */
};

struct balancers;

/* For the fronts of the fleet. ERR_INPUT: a server's name comes out of its template as something
 * that no balancer has. */
int balancers_create(struct balancers **out, struct fleet *fleet, struct err *err);
/* No callback comes after. NULL is fine. */
void balancers_free(struct balancers *balancers);

enum balancer_wish {
    BALANCER_LOOK, /* every balancer is reached, may be told, and knows the node's instances */
    /* Drained, until no session is left or drain_timeout has passed (DONE_TIMED_OUT), then shut
     * (MAINT): nothing comes to an instance that has not passed its gate, not by a cookie either.
     * When that fails, nothing stays changed where it can be reached. */
    BALANCER_OUT,
    /* Ready, and up by the balancer's own checks. Nothing to do for a node that is known to be in. */
    BALANCER_IN,
    BALANCER_SHIFT /* balancers_shift only */
};
/* One at a time for a member; `fn` comes once, from the loop, in bounded time: DONE_OK,
 * DONE_FAILED, DONE_TIMED_OUT or DONE_CANCELLED. `owed`: an undo's; like BALANCER_IN it waits, once, for
 * the trial of a breaker that is open. */
void balancers_start(struct balancers *balancers, size_t member, enum balancer_wish wish, bool owed,
                     step_done_fn *fn, void *context);
/* Ends an operation early: a node that was being taken out is put back where it can be, then its
 * callback comes with DONE_CANCELLED. */
void balancers_stop(struct balancers *balancers, size_t member);
/* Its callback will not come. What has been sent to a balancer is done there all the same. */
void balancers_cancel(struct balancers *balancers, size_t member);
/* Moves traffic: first those that come in (ready, weight read back, up), then those that go out, in
 * one exchange each with a balancer where it can. When that fails, each is put back to how it was found,
 * where it can be reached. One at a time, and none while a goal's member has an operation of its
 * own. `goals` are copied. The new state is watched like a node that is out. */
void balancers_shift(struct balancers *balancers, const struct traffic_goal *goals, size_t count,
                     bool owed, step_done_fn *fn, void *context);
/* The same, and what goes out is emptied and shut as by BALANCER_OUT (DONE_TIMED_OUT: sessions were still open after drain_timeout). */
void balancers_switch(struct balancers *balancers, const struct traffic_goal *goals, size_t count,
                      bool owed, step_done_fn *fn, void *context);
/* Sets weights, in one exchange each, and reads them back. Nobody comes in or goes out: an old member that a balancer has
 * out stays out and has no part; an updated one that is out is a disagreement, DONE_FAILED. Else as balancers_shift. The
 * new weights are watched like a node that is out. `share` is copied. */
void balancers_share(struct balancers *balancers, const struct traffic_share *share, bool owed, step_done_fn *fn,
                     void *context);
/* What the last share came to in the balancer where it is least, per mille: rounded to what weights can be, and no more
 * than the updated ones carry. */
uint32_t balancers_share_reached(const struct balancers *balancers);
/* BALANCER_IN with no more weight than leaves the updated members, this one too, within the share. */
void balancers_enter(struct balancers *balancers, size_t member, const struct traffic_share *share, step_done_fn *fn,
                     void *context);
/* What the updated members have together by the weights of the last looks, in the balancer where it is least. */
uint32_t balancers_share_seen(const struct balancers *balancers, const bool *updated);
/* As balancers_stop and balancers_cancel, for the shift. */
void balancers_shift_stop(struct balancers *balancers);
void balancers_shift_cancel(struct balancers *balancers);
/* Looks at every instance at once, one exchange a balancer; not while a shift is under way. */
void balancers_look(struct balancers *balancers, step_done_fn *fn, void *context);
/* Its callback will not come. */
void balancers_look_cancel(struct balancers *balancers);

/* How an instance stands by the last looks, over all balancers: IN, when each has it ready with some
 * weight; OUT, when none has; MIXED, when they differ; UNKNOWN, when one was not asked yet or did not
 * answer. */
enum traffic_sight { SIGHT_UNKNOWN, SIGHT_OUT, SIGHT_IN, SIGHT_MIXED };
enum traffic_sight balancers_sight(const struct balancers *balancers, size_t member, size_t slot);
/* The last look of one balancer (below fleet->front_count) at an instance. NULL: none yet. Borrowed
 * until the loop turns. */
const struct traffic_view *balancers_view(const struct balancers *balancers, size_t front,
                                          size_t member, size_t slot);

/* The most that an operation takes before it fails by itself. */
int64_t balancers_limit_ms(const struct balancers *balancers, enum balancer_wish wish);

/* Whether some balancer may keep traffic from the node, as far as looks and writes of this run
 * tell. */
bool balancers_holds_out(const struct balancers *balancers, size_t member);
/* Whether the last write about the node was left out at some balancer because there was no lease. */
bool balancers_unwritten(const struct balancers *balancers, size_t member);
/* Appends where the last looks had the node out: `balancer front on lb1 had it in drain; ...`. */
void balancers_describe_out(const struct balancers *balancers, size_t member, struct strbuf *out);
/* Appends what the last looks said: `lb1 ready, weight 100, 3 sessions; lb2 ...`. Nothing when
 * there was none. */
void balancers_describe(const struct balancers *balancers, size_t member, struct strbuf *out);

#endif
