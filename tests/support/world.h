/*
 * A fleet that exists only in memory and virtual time: it carries out the machine's actions, breaks
 * what it is told to break, keeps the truth (what really runs where, who serves, what is in
 * flight), and asks after each step whether a law of the machine was broken.
 *
 * The same plan gives the same run. Nothing here looks into the machine: it sees actions, notes and
 * node views, as the engine does.
 */
#ifndef SUPPORT_WORLD_H
#define SUPPORT_WORLD_H

#include "base/random.h"
#include "base/strbuf.h"
#include "core/rollout.h"

#define WORLD_NODES_MAX 256
#define WORLD_FAULTS_MAX 24
#define WORLD_HAPPENINGS_MAX 24
#define WORLD_HOOKS_MAX 8
#define WORLD_BATCH_MAX 4
#define WORLD_MIGRATIONS_MAX 6
#define WORLD_RULES_MAX 6
#define WORLD_FLIGHTS_MAX (3 * WORLD_NODES_MAX)

enum effect {
    EFFECT_FAIL,      /* the work fails */
    EFFECT_FAIL_ONCE, /* fails, another try may help */
    EFFECT_REFUSE,
    EFFECT_TIME_OUT,    /* the node's own limit */
    EFFECT_UNDECIDED,   /* a judge without a verdict; any other work fails */
    EFFECT_UNREACHABLE, /* never arrived */
    EFFECT_LOST_REPLY, /* the work is done, the answer is lost at once, the work runs on for a while
                        */
    EFFECT_SLOW,       /* takes `ms`; ends when cancelled */
    EFFECT_STUBBORN,   /* takes `ms`; does not mind a cancel and answers when it is done */
    EFFECT_DEAF,       /* takes `ms`; never answers, not even a cancel */
    EFFECTS
};

struct fault {
    size_t node; /* NO_NODE: the runner's own hooks */
    enum step_kind step;
    bool undo;
    uint32_t skip, times; /* passes over the first `skip`, then strikes `times` times */
    enum effect effect;
    int64_t ms;
};

enum happening_kind {
    HAPPEN_DIES,
    HAPPEN_RETURNS,
    HAPPEN_FALLS,
    HAPPEN_RECOVERS,
    HAPPEN_CUT,
    HAPPEN_INTERRUPT,
    HAPPEN_LEASE_LOST,
    HAPPEN_TICK,
    HAPPEN_STALE_ANSWER,
    HAPPEN_PAUSE,
    HAPPEN_ABORT
};
struct happening {
    int64_t at_ms;
    enum happening_kind kind;
    size_t node;
};

/* What a node is like. */
struct nature {
    bool dead, sick, empty, at_target; /* at the start; empty: has no release */
    int64_t catches_up_ms; /* not ready for so long after an activation */
    bool gives_up; /* an unhealthy target says that it will not recover */
    bool stays;                        /* of the side that serves */
    bool outside;                      /* not of this run */
    bool moved;                        /* another run has changed it between the first look and the lock */
    bool changed_before;               /* runs the target since an earlier run; see waves_passed */
    bool begun;      /* runs the target since an earlier run; with at_target it was committed by that */
    bool left_out;   /* runs what it ran, out of service since an earlier run; with config.refreshes */
    bool bad_target;                   /* the target never gets healthy here */
    bool bad_undo;                     /* the previous release does not come up again */
    int64_t boot_ms;                   /* unhealthy for so long after an activation */
    int64_t falls_after_ms;            /* the target falls so long after its activation; 0: never */
    uint32_t flap_percent;             /* of the probes that are wrong */
    const char *zone;
    uint32_t weight; /* with weighs */
};

struct world_plan {
    struct rollout_config config; /* waves, hooks and node_count are filled in by world_run */
    size_t node_count;
    struct amount batch[WORLD_BATCH_MAX];
    size_t batch_count;
    bool spread;
    bool weighs;
    struct wave_rule rules[WORLD_RULES_MAX]; /* canary, or blue-green with config.switches */
    size_t rule_count;                       /* 0: batches */
    struct nature natures[WORLD_NODES_MAX];
    struct rollout_hook hooks[WORLD_HOOKS_MAX];
    size_t hook_count;
    struct rollout_migration migrations[WORLD_MIGRATIONS_MAX];
    size_t migration_count;
    struct fault faults[WORLD_FAULTS_MAX];
    size_t fault_count;
    struct happening happenings[WORLD_HAPPENINGS_MAX];
    size_t happening_count;
    int64_t step_ms[STEP_KINDS];
    int64_t confirm_ms; /* with config.confirms: until a node puts its release back itself */
    uint32_t failover_percent; /* of the answers to who leads, after which somebody else does */
    uint32_t chaos_per_mille; /* of the actions that meet a random effect */
    uint32_t jitter_percent;  /* of the durations */
    uint64_t seed;
    bool tell_probes;             /* in the story */
    enum rollout_state tell_from; /* the story of the steps begins with this state */
};

/* A whole fleet with sane numbers and nothing wrong; change what the test is about. */
void world_plan_init(struct world_plan *plan, size_t node_count);

struct flight {
    struct action action;
    int64_t answers_at; /* INT64_MAX: never */
    int64_t works_until;
    enum done_status status;
    bool leads;
    bool retryable, does, working, minds_cancel, cancelled;
};

enum running { RUNS_NOTHING, RUNS_PREVIOUS, RUNS_TARGET };

/* The truth about a node, and what was seen of it. */
struct node_truth {
    bool alive, fallen, enabled, drained;
    enum running runs, ran_before;
    int64_t activated_at;
    int64_t confirm_by; /* of the timer that runs; 0: none */
    bool put_back;      /* by its timer, since the last activation */
    uint32_t token; /* of the last work that ended here, with its result */
    enum done_status token_status;
    uint32_t strikes[STEP_KINDS][2];
};

/* One action as the ledger remembers it, and how it ended. */
struct record {
    struct action action;
    bool sent, answered, cancelled;
    enum done_status status;
    bool retryable;
    int64_t sent_at, cancelled_at;
    uint32_t tries;
};

/* What the laws have seen of a migration, and how often it was really done. */
struct migration_ledger {
    uint32_t token, undo_token;
    bool backed_up, done, undone;
    int runs;
};

/* What the laws have seen of a node: from actions, answers and notes alone. */
struct ledger {
    bool sick, empty, touched, out, undone, settled, failed, alone;
    bool changed; /* by this run */
    bool locked;  /* and nobody was asked to give it back */
    bool changed_before, begun, left_out, held_by_breaker;
    bool refreshing, fresh; /* taken out as a control; and in again */
    bool drain_over, gate_open, gate_passed;
    enum node_phase told; /* the last one that was noted */
    bool unheard; /* no probe answered since its connection was lost */
    size_t touch_number;
    struct gate gate;
    struct record last; /* of all */
    struct record work; /* without connects and probes */
    uint32_t undo_token;
    uint32_t asked, led; /* answers to who leads: all, and those that said yes */
    bool leads;          /* the last one */
    bool ready;          /* since its last activation */
    uint32_t errors; /* in a row, of steps over its connection */
    int64_t error_at;
};

struct world {
    const struct world_plan *plan;
    struct rollout *rollout;
    struct rollout_config config;
    uint32_t weights[WORLD_NODES_MAX];
    bool outside[WORLD_NODES_MAX];
    struct arena arena;
    struct random random;
    struct strbuf *story; /* NULL: not told */
    int64_t now;
    struct node_truth nodes[WORLD_NODES_MAX + 1]; /* the last one: the runner */
    struct flight flights[WORLD_FLIGHTS_MAX];
    size_t flight_count;
    size_t leader;
    bool happened[WORLD_HAPPENINGS_MAX];
    struct ledger ledgers[WORLD_NODES_MAX + 1];
    uint32_t last_id, retries, steps, results, failures;
    uint32_t hook_token[WORLD_HOOKS_MAX];
    struct migration_ledger migrations[WORLD_MIGRATIONS_MAX];
    bool past_no_return;
    size_t touched_count;
    bool changed; /* a node, by this run */
    enum rollout_state state; /* as the notes told */
    enum rollout_result result;
    bool held, spent, interrupted, lease_lost, result_planned, stuck, telling;
    bool lease_gone[WORLD_NODES_MAX]; /* of that node */
    bool paused, aborted, abort_counts;
    uint32_t share;      /* of the traffic, as the balancers have it */
    bool share_unknown;  /* a shift was sent and not answered OK */
    uint32_t shifts;     /* that were sent */
    size_t waves_begun; /* up to the last one that began */
    int64_t halted_at;    /* of the interrupt or the lost lease */
    bool too_slow;        /* this update's troubles are the progress deadline's */
    uint64_t fingerprint; /* of all actions and notes, in order */
    const char *broken;   /* the law that was broken, NULL: none */
    char details[160];
};

/* Runs a plan to its end, or to the first broken law (returns false; `broken` and `details` say
 * which). Release after. */
bool world_run(struct world *world, const struct world_plan *plan, struct strbuf *story);
void world_release(struct world *world);

/* world_laws.c: called by world_run. */
void laws_check_update(struct world *world, const struct update *update);
void laws_see_answer(struct world *world, const struct flight *flight);
/* Whether an action goes to a balancer or the runner instead of the node. */
bool world_over_connection(const struct world *world, const struct action *action);
bool world_on_runner(const struct world *world, const struct action *action);
void laws_check_end(struct world *world);
void law_broken(struct world *world, const char *law, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* world_story.c: one line an event, as `  12.000 web3 gate closed`. */
void story_event(struct world *world, const struct event *event);
void story_update(struct world *world, const struct update *update);
void story_say(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
