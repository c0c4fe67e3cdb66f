/*
 * What rollout, rollback, plan, status and history have in common: from options to a fleet that can be asked or changed.
 * Knows the way, does no work itself.
 */
#ifndef CMD_RUN_H
#define CMD_RUN_H

#include "app/engine.h"
#include "app/fleet.h"
#include "app/migrations.h"
#include "app/sides.h"
#include "app/service_lock.h"
#include "app/survey.h"
#include "command.h"
#include "core/waves.h"
#include "io/package.h"

struct run {
    const struct options *options;
    struct inputs inputs;
    struct waves waves;
    const char *limit;   /* --limit, of this run or of the one that it goes on with; NULL: all nodes */
    uint32_t share;      /* of the traffic that an open canary has */
    const char *chain;   /* of run_goes_on; NULL: run_go goes on with nothing */
    bool half_committed; /* see app/engine.h */
    bool stages_again;   /* of an open run none of whose waves has passed */
    size_t waves_passed; /* of an open run that run_go goes on with */
    struct package *package;
    struct err undiscovered;   /* why another service's addresses are not known: nothing is changed then */
    struct service_lock *lock; /* while run_go runs */
    struct commits *commits;   /* the source's history; NULL: it is no git repository */
    struct fleet *fleet;
    struct survey survey;
    struct data_plan data; /* of run_data */
    bool has_data;
    struct sides sides; /* of run_sides */
    bool has_sides;
    const char **targets; /* one a node, NULL: unknown or none */
    char rollout[32];     /* this run's id */
    int64_t wait_until_ms; /* of the loop's clock: --wait is over; 0: not begun */
    bool locked_out;       /* run_go was refused because another run holds the lock, or has changed a node since this one was decided */
    char holder[200];
};

/* Reads inventory and playbook and makes the fleet. Returns 0 or an exit code, after printing. Always run_release. */
int run_begin(struct run *run, const struct options *options);
void run_release(struct run *run);
/* run_begin, then `once` and, while it is refused because others hold the lock and --wait is not over, `once` again as a run of its own;
 * run_release. Returns the last exit code. */
int run_verb(const struct options *options, int (*once)(struct run *run));
/* The result of a verb that starts no run: a sentence on stdout, with --output json as the `text` of an object of event `said`. */
void run_say(const struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* With --wait: until no node is locked, saying who is waited for. 0, or an exit code after printing: 4 when the time is over. */
int run_wait(struct run *run);
/* Packs the source at `ref` (NULL: as options and playbook say); its release becomes every node's target. */
int run_pack(struct run *run, const char *ref);
/* Every node of the run is to go to that release. Borrowed. */
void run_aim(struct run *run, const char *release);
/* Asks every node where it stands; `probe`: and how healthy it is. Prints nothing about nodes that did not answer. */
int run_survey(struct run *run, bool probe);
/* Asks the nodes which run did not end; its `rollout` NULL: none. 0, or an exit code after printing. */
int run_open(struct run *run, struct open_run *out);
/* What run_go does belongs to the open run and those before it: where their commits are, an abort takes them back. 0, or an exit code. */
int run_goes_on(struct run *run, const struct open_run *open);
/* The release that --to means; NULL without --to. Surveys when that was not done. 0, or an exit code after saying why not. */
int run_named_release(struct run *run, const char **out);
/* Says that there is nothing to VERB. 0, or 69 after naming the nodes that did not answer, on which something may be open. */
int run_nothing_open(const struct run *run, const char *verb);
/* Says why no node could be reached. Returns 69. */
int run_unreached(const struct run *run);
/* 0, or 4 after saying why the quorum cannot be kept: it is of all nodes of `hosts`, and somebody must be able to be out. */
int run_check_quorum(const struct run *run);
/* With order = replicas-first: asks who leads, and puts it last. Surveys when that was not done. 0, or an exit code. */
int run_leaders(struct run *run);
/* Blue-green: which side is live and which one changes, as the balancers say; surveys when that was not done. To go on with, or to undo, what an
 * earlier run has begun comes after run_goes_on. Nothing to do for another strategy. 0, or an exit code after saying why. */
enum sides_for { SIDES_FOR_NEW, SIDES_FOR_RESUME, SIDES_FOR_UNDO };
int run_sides(struct run *run, enum sides_for what);
/* Where the data stands; surveys when that was not done. Then run_go runs what is pending. */
int run_data(struct run *run);
/* 0, or 4 after saying why the pending migrations cannot be run. */
int run_check_data(struct run *run);
/* Warns when only times tell that the targets are later than an irreversible migration. */
void run_warn_of_time(const struct run *run, const char *const *targets);
/* 0, or 4 when the targets lie before a point of no return and nobody gave a reason. */
int run_check_targets(struct run *run, const char *const *targets);
/* The same of an undo to the run's targets; also when the data was contracted since. */
int run_check_undo(struct run *run);
/* 12 hex digits over all that a plan decides by: service, waves, each node's current and target release. */
void run_plan_hash(const struct run *run, char out[13]);
/* 0, or 4 after saying that the plan is another one. Surveys when that was not done. */
int run_require_plan(struct run *run);
/* Lets the engine go, with the sinks that the options ask for. `resumes`: over what an earlier run left open. Returns the exit code. */
int run_go(struct run *run, enum run_kind kind, bool resumes, const char *description);

#endif
