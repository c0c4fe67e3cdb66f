/*
 * The engine: carries the machine's actions to the nodes and brings back what happened as the next event. Decides nothing: which node is
 * next, what a failure means, when to wait is core/rollout.h's; what a step is on a node is node.sh's.
 *
 * Order of things for one action: record it (runner's journal first; no action goes out that is not on record there, but for giving back
 * the locks), send it, wait for its end, post the event. Events are worked off one by one from
 * the loop, never recursively.
 */
#ifndef APP_ENGINE_H
#define APP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/fleet.h"
#include "app/record.h"
#include "base/err.h"
#include "core/rollout.h"
#include "io/package.h"

enum run_kind {
    RUN_ROLLOUT,  /* forward, undone when it fails */
    RUN_ROLLBACK, /* forward to older releases, never undone: what fails needs care */
    RUN_ABORT     /* no way forward: what an earlier run has changed, or committed, is undone */
};
const char *run_kind_name(enum run_kind kind); /* "rollout", ... as the nodes' journals say it; static */

/* How long a node is believed in. */
struct engine_patience {
    int64_t heartbeat_ms; /* between two renewals of a node's lease */
    int64_t answer_ms;    /* for the answer to one; after that the connection is given up */
    int64_t cancel_ms;    /* for a cancelled step to have ended; the node's program takes up to 15 s to end one by force */
};
struct data_plan;
struct facts;
struct sides;
struct service_lock;

struct engine_outcome;

struct engine_settings {
    struct fleet *fleet;
    const struct playbook *playbook;
    struct sinks *sinks;
    struct package *package;    /* NULL: nothing is staged; the nodes must have their targets */
    const char *const *targets; /* release id of each member; unused by an abort */
    const struct facts *const *seen; /* of each member, when the run was decided by them (NULL: that one did not answer): a node that is not so any
                                      * more once it is locked refuses the run. NULL: decided by nothing but what is read with the lock */
    const bool *outside;        /* one a member: not of this run (--limit), and locked all the same. NULL: none */
    const char *limit;          /* the run's --limit, for whoever goes on with it; NULL: none */
    enum run_kind kind;
    bool resumes;               /* goes on with, or starts over, what an earlier run left open */
    const char *chain;           /* ids of the runs that it goes on with or undoes, a blank between; NULL: none */
    bool half_committed;         /* some of those runs' nodes have committed, not all: a failure takes their commits back, too */
    const char *rollout;         /* id of this run */
    const char *holder;          /* who, for locks and journals: one line */
    const char *playbook_name;   /* as the command line has it, for what to do next; NULL: the service's name */
    const char *description;     /* for the roster */
    struct waves waves;          /* indices of members; their rules hold for a rollout */
    bool only_stale;             /* a node that is at its target stays, however healthy it is */
    bool stages_again;           /* goes on with a run of which no wave has passed: see core/rollout.h */
    size_t waves_passed;         /* by an earlier run, which this one goes on with: their nodes are not changed again */
    uint32_t share;              /* of the traffic that its release has, per mille, as the balancers say */
    const struct sides *sides;   /* blue-green: which side changes; NULL: another strategy */
    uint32_t forks;
    const struct engine_patience *patience; /* NULL: 5, 15 and 18 s */
    const struct data_plan *data; /* what is pending is run; NULL: no migration is looked at */
    /* All is done and the nodes' locks are given back; the result is printed after it, which takes as long as a terminal is blocked. May be NULL. */
    void (*over)(void *context, const struct engine_outcome *outcome);
    void *context;
    struct service_lock *lock;    /* taken; NULL: the playbook has none */
    const char *past_reason;      /* why a release from before an irreversible migration is gone to all the same; NULL: it is refused */
};

struct engine_outcome {
    enum rollout_result result;
    int signal_number; /* what interrupted it, or 0 */
    bool left_at_once; /* a second signal */
    bool locked_out;   /* refused because somebody else holds a node's lock */
    bool outdated;     /* refused because another run has changed a node since this one was decided */
    bool unwritten;    /* the sinks could not keep a record, so it was stopped before the action that came next */
    bool touched;      /* some node is or was another than before */
};

/* Runs the rollout to its end. An error means that it could not even begin. */
int engine_run(const struct engine_settings *settings, struct engine_outcome *out, struct err *err);

/* The exit code of DESIGN section 2 that an outcome stands for. */
int engine_exit_code(const struct engine_outcome *outcome);

#endif
