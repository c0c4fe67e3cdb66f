/*
 * A simulated world: a fleet of model nodes, runners that run the real engine over them, and faults. The plan says all of it, and is
 * made from a seed; the same plan gives the same run. The laws (laws.c) look at what really happened on the nodes and at what was
 * asked and answered, never into the engine or the machine.
 */
#ifndef SIMULATOR_WORLD_H
#define SIMULATOR_WORLD_H

#include "core/rollout.h"
#include "network.h"

#define NODES_MAX 12
#define RUNS_MAX 8
#define STROKES_MAX 16
#define BALANCERS_MAX 2
#define WEIGHT_WHOLE 1000 /* that a balancer gives each node by itself */
#define HOOKS_MAX 2

enum run_verb { VERB_ROLLOUT, VERB_SUPERSEDE, VERB_RESUME, VERB_ABORT, VERB_ROLLBACK, RUN_VERBS };

struct run_plan {
    enum run_verb verb;
    int release; /* of a rollout: which of the new ones */
    uint32_t limit; /* a bit a node, as --limit; 0: the whole fleet */
    bool after;  /* starts so long after the end of the run before; else after the beginning of the world */
    int64_t at_ms;
};

enum sim_fault_kind {
    FAULT_LOST_REPLY,   /* verb, nth: done, and the connection goes with the answer */
    FAULT_LOST_REQUEST, /* verb, nth: the connection goes before it is read */
    FAULT_FAILS,        /* verb, nth */
    FAULT_SLOW,         /* verb, nth: takes for_ms */
    FAULT_DEAF,         /* verb, nth: takes for_ms, ends by KILL only */
    FAULT_BALANCER_FAILS,  /* verb, nth: of the balancer's commands for the node */
    FAULT_BALANCER_SILENT, /* the same: no answer, done or not */
    FAULT_NODE_DIES,    /* at, for */
    FAULT_POWER_LOSS,   /* the same; files that were not synced are torn or gone */
    FAULT_FROZEN,
    FAULT_CUT,
    FAULT_SPLIT,        /* as a cut, of node and all after it */
    FAULT_RESET,
    FAULT_ILL,          /* does not answer its health check */
    FAULT_STUCK,        /* stop ends no process, and what start starts ends at once: the old process goes on answering */
    FAULT_BAD_RELEASE,  /* the new releases never get healthy here */
    FAULT_WALL_JUMP,    /* the node's; for_ms either way */
    FAULT_RELOAD,       /* node: which balancer; it forgets what it was set to */
    FAULT_RUNNER_DIES,  /* node: which run; at: after its start */
    FAULT_RUNNER_SLEEPS,
    FAULT_RUNNER_JUMPS, /* its wall clock */
    FAULT_INTERRUPT,
    FAULT_DISK_FULL,    /* of the runner, for its journal */
    FAULT_RUNNER_SUSPENDED, /* as it sleeps, and its monotonic clock stands still */
    FAULT_KINDS
};
struct sim_fault {
    enum sim_fault_kind kind;
    size_t node;
    int64_t at_ms, for_ms;
    const char *verb; /* static */
    uint32_t nth;
};

struct world_plan {
    uint64_t seed;
    size_t node_count, run_count, fault_count;
    uint32_t batch, max_unavailable, max_failures, attempts, forks;
    bool skip, confirms, canary, blue_green;
    size_t balancers;    /* in front of all nodes */
    uint32_t fresh;      /* a bit for each node that has no release yet */
    size_t hook_count;
    struct hook_plan {
        const char *when; /* static */
        enum hook_place place;
        bool ignored;     /* its failure */
    } hooks[HOOKS_MAX];
    enum on_failure action;
    int64_t bake_s, boot_ms; /* boot: until a started release answers */
    int expand, contract, irreversible; /* 1: the playbook has such a migration */
    bool has_down;
    struct run_plan runs[RUNS_MAX];
    struct sim_fault faults[STROKES_MAX];
    enum run_verb closing; /* when all is well again: this, twice */
};

void plan_choose(struct world_plan *plan, uint64_t seed);
/* A plan a little smaller, one an attempt; false when there is none more. */
bool plan_smaller(struct world_plan *plan, size_t attempt);
void plan_tell(const struct world_plan *plan, struct strbuf *out);
const char *run_verb_name(enum run_verb verb);
const char *sim_fault_name(enum sim_fault_kind kind);

/* What a run was, and what the laws have seen of it on each node. */
struct seen {
    bool drains, drained; /* the run says that it takes the node out of the balancers' traffic; has taken it out of one's */
    bool hooked;          /* its hook before_activate has succeeded */
    bool touched, goes_back, undone, in, ever_in, ill_before, was_ill, answered, switched, serves;
    uint32_t good_row, bad_row;
    int64_t up_since, failed_at;
    char undo_token[MODEL_NAME], before[MODEL_NAME], target[MODEL_NAME];
    size_t order; /* of its first activation */
    bool lease_lost; /* as it was told */
    int64_t lease_lost_at;
    bool silent; /* the last request, of those that do something there, has no answer */
    uint64_t last_connection;
    uint32_t last_id;
    char outcome[24];
};
struct run {
    struct world *world;
    const struct run_plan *plan;
    size_t index;
    struct runner *runner;
    char rollout[40], journal[64], goes_on[40]; /* goes_on: the run that it goes on with or undoes */
    enum run_verb verb;
    bool started, engine, ended, interrupted, open_found, slept, undoes; /* undoes: an abort, or what goes on with one */
    int64_t began_at, awake_at, ended_at, failed_at, lease_lost_at, undo_at;
    int exit_code, results;
    char result[24];
    size_t touched_count, wave_of[NODES_MAX], firsts; /* firsts: hooks of the first node that were begun */
    size_t member_count, members[NODES_MAX];          /* the nodes that it is for (--limit) */
    struct seen seen[NODES_MAX];
};

struct asked {
    struct asked *next;
    uint64_t connection;
    uint32_t id;
    int64_t at, suspended; /* suspended: how long its runner had been by then */
    char verb[16];
    bool forward;
};

struct world {
    const struct world_plan *plan;
    struct model_hooks hooks;
    struct model_node nodes[NODES_MAX];
    struct run runs[RUNS_MAX + 2];
    size_t run_count;
    uint32_t strikes[STROKES_MAX], in_effect[FAULT_KINDS]; /* how often each kind made a difference */
    int64_t started_serving[NODES_MAX], healed_at;
    struct traffic {
        bool out;
        int64_t empty_at; /* until when it has sessions */
        uint32_t weight;
    } traffic[BALANCERS_MAX][NODES_MAX * MODEL_SLOTS]; /* of a node, or in blue-green of its slot: world_instance */
    int64_t reloaded_at; /* a balancer; the last time */
    uint64_t settled_generation[NODES_MAX], settled_epoch[NODES_MAX];
    char committed[NODES_MAX][MODEL_NAME]; /* what was committed last */
    uint32_t migrated[3];
    bool past_no_return, troubled[NODES_MAX];
    struct asked *asked;
    const char *law; /* that was broken; NULL: none */
    char details[240];
    uint64_t fingerprint, events;
};

extern const char release_older[], release_before[];
const char *release_new(int which);

/* Runs it; false when a law was broken. `story` may be NULL. */
bool world_run(struct world *world, const struct world_plan *plan, struct strbuf *story);

static inline size_t world_instance(size_t node, size_t slot)
{
    return slot * NODES_MAX + node;
}

/* The fault that strikes node's `verb` this time, of those kinds; NULL: none. */
const struct sim_fault *world_strikes(struct world *world, size_t node, const char *verb, enum sim_fault_kind from,
                                      enum sim_fault_kind to);

/* balancer.c: commands on the runner: those that drive the balancers in front of all nodes, and hooks. */
void balancers_begin(struct world *world);
/* What it was set to is gone: every node has traffic. */
void balancer_reloads(struct world *world, size_t balancer);

/* runs.c: the verb as cmd/ does it, on the real engine. Body of a runner. */
struct parsed;
void run_body(void *context);
bool runs_prepare(struct world *world, struct err *err);
void runs_release(void);

/* laws_end.c */
/* All of the fleet's nodes have their ordinary weights once a run has ended well. */
void law_weights(struct run *run);
/* Exit 0 or 1: every node that the run reports as updated, unchanged or restored runs a process of the right release that answers. */
void law_serves(struct run *run);
/* The run has ended within what its config and the faults of the world explain. */
void law_liveness(struct run *run);

/* laws.c */
void law_broken(struct world *world, const char *law, const char *format, ...) __attribute__((format(printf, 3, 4)));
void laws_asked(void *context, struct runner *runner, struct model_node *node, uint64_t connection,
                const struct model_request *request);
void laws_answered(void *context, struct runner *runner, struct model_node *node, uint32_t id, const char *status,
                   uint64_t connection);
void laws_happened(void *context, struct model_node *node, enum model_event event, const struct model_step *step);
/* Told before it is done. */
void laws_drain_begins(struct run *run, size_t node);
/* It writes to the balancer, about the node. */
void laws_writes_outside(struct run *run, size_t node, const char *what);
/* The balancer lets traffic to the node, or no more. */
void laws_traffic(struct run *run, size_t balancer, size_t node, bool in);
/* A hook on the runner; node SIZE_MAX: of the run. */
void laws_hook(struct run *run, size_t node, bool succeeds);
/* laws_slots.c: blue-green. */
void laws_slot_traffic(struct run *run, size_t balancer, size_t instance, bool in);
/* What is committed is not what its slot runs. */
void law_12_slots(struct world *world, const struct model_node *node, const struct model_step *step);
void laws_slot_stops(struct world *world, const struct model_node *node);
void laws_slots_end(struct run *run);
void laws_run_ended(struct run *run);
void laws_world_ended(struct world *world);

#endif
