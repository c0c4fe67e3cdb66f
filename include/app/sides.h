/*
 * The two sides of a blue-green service: which is live, as the balancers say, which one a run changes, and how far the switch to it is. Read
 * from what a survey has seen, never remembered.
 *
 * A side is what one slot names: an instance on each node, or the one instance of each node of a group.
 */
#ifndef APP_SIDES_H
#define APP_SIDES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/balancer.h"
#include "app/fleet.h"
#include "app/survey.h"
#include "base/err.h"

struct sides {
    size_t live;     /* the slot that serves; SLOTS: nothing does yet */
    size_t target;   /* the slot that a run changes, and switches to */
    bool begun;      /* an earlier run has activated something in it that is not committed, or is and goes back */
    bool switching;  /* and the balancers may send it traffic */
    bool committed;  /* some node has committed what goes back */
    const struct survey *survey;
};

/* `chain`: the runs whose commits go back, ids with a blank between; NULL: none do. ERR_REFUSED when the balancers do not agree on one live side,
 * and nothing tells which run began to switch. */
int sides_read(struct sides *out, const struct fleet *fleet, const struct survey *survey, const char *chain, struct err *err);

/* The member's instance of the side; SLOTS when it has none there. */
size_t sides_slot(const struct member *member, size_t side);
/* A member changes: it has an instance on the target's side. */
bool sides_changes(const struct sides *sides, const struct member *member);
/* Whose instance serves what this member's target will take over: the member itself with slots, else one of the live group. SIZE_MAX: nobody. */
size_t sides_partner(const struct sides *sides, const struct fleet *fleet, size_t member);
/* Where a rollback takes each member: what the other side still has, and where a node stands that does not change. */
void sides_rollback_targets(const struct sides *sides, const struct fleet *fleet, const char **out);
/* Every live instance has this release, committed. */
bool sides_live_at(const struct sides *sides, const struct fleet *fleet, const char *release);
/* The goals of a shift: everything to the target's side, or everything back. `out` has room for each instance; returns how many. */
size_t sides_goals(const struct sides *sides, const struct fleet *fleet, bool forward, struct traffic_goal *out);
/* The goals that take the target's side out, before it changes. */
size_t sides_idle_goals(const struct sides *sides, const struct fleet *fleet, struct traffic_goal *out);

#endif
