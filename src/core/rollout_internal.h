/*
 * Inside the rollout machine: shared by rollout*.c only.
 *
 * A walker is a node (or the runner, for hooks that belong to no node) on its way along a track.
 * One function assigns how it stands (walker_set), one lets it go on (walker_advance), one takes a
 * failure (walker_failed), one looks at the time (time_expire). Invariants: `active` counts walkers
 * that do not rest; `flying` counts actions in flight that count for forks; `out_count` counts
 * walkers with `out`; a walker has at most one action in flight.
 */
#ifndef CORE_ROLLOUT_INTERNAL_H
#define CORE_ROLLOUT_INTERNAL_H

#include "core/rollout.h"

enum track_kind {
    TRACK_NONE,
    TRACK_SETUP,
    TRACK_STAGE,
    TRACK_STAGED,
    TRACK_EXPAND,
    TRACK_CHANGE,
    TRACK_REFRESH,
    TRACK_LOOK,
    TRACK_SHIFT,
    TRACK_BAKE,
    TRACK_JUDGE,
    TRACK_COMMIT,
    TRACK_CONTRACT,
    TRACK_UNMIGRATE,
    TRACK_LOOK_BACK,
    TRACK_SHIFT_BACK,
    TRACK_UNDO,
    TRACK_FAILURE,
    TRACK_RELEASE,
    TRACKS
};

enum walk {
    WALK_RESTING, /* on no track, or at its end */
    WALK_READY,   /* its next action may be sent */
    WALK_FLYING,  /* an action is in flight until `deadline` */
    WALK_WAITING, /* backs off until `wake_at` */
    WALK_WATCHING /* between two probes, until `wake_at` */
};

enum watch { WATCH_ONCE, WATCH_GATE, WATCH_BAKE, WATCH_READY };

struct walker {
    size_t node; /* NO_NODE: the runner */
    size_t wave;
    enum track_kind track;
    size_t at;   /* step of the track */
    size_t hook; /* first hook not yet passed, in a hook step */
    enum walk walk;
    bool watching; /* the gate of the present step is open */
    enum step_kind flying;
    uint32_t action_id, token;
    int64_t deadline, wake_at;
    bool cancelled, counts;
    uint32_t tries, connect_tries;

    enum node_phase phase;
    enum node_outcome outcome;
    enum node_trouble trouble;
    enum step_kind trouble_step;

    bool connected, locked, touched, activated, drained, out;
    bool at_target, has_release, unhealthy_before;
    bool unseen;   /* nothing was heard of it since its connection was lost */
    bool begun;    /* changed by an earlier run, which we unwind or go on with */
    bool changed;  /* by this run */
    bool committed;
    bool adopted;  /* changed in a wave that an earlier run has passed: is not changed again */
    bool stays;    /* is not to be changed */
    bool outside;  /* is not of this run */
    bool absent;   /* not reached before it was touched, and not out: for the quorum */
    bool deferred; /* leads, and waits until nobody else has to be changed */
    uint32_t defers;
    bool work;     /* still has to be changed */
    bool undo_due; /* still has to be undone */
    bool failed;   /* counted in `failures` */
    bool serves;   /* let in, not yet taken out of service */
    bool parked;   /* let in, then put back where it stood */
    bool left_out; /* by an earlier run, on the release that it had */
    bool refresh_due;
    bool control;  /* taken out to be restarted as it is */
    bool fresh;    /* and in again */
    struct gate gate;
    struct breaker breaker;
    bool trial_failed; /* the last answer opened a half open breaker again */
};

struct track_step {
    enum step_kind kind;
    enum node_phase phase;
    bool (*applies)(const struct rollout *rollout, const struct walker *walker); /* NULL: always */
    enum watch watch;                                                            /* STEP_PROBE */
    enum hook_moment moment;                                                     /* STEP_HOOK */
    bool in_service; /* past this step the node serves again */
};

struct track {
    const struct track_step *steps;
    size_t count;
    enum release_choice release;
    bool undo;
    bool forward;  /* ends when the budget is spent */
    bool finishes; /* but is finished by a touched node when nothing is rolled back */
    void (*ended)(struct rollout *rollout, struct walker *walker);
    void (*failed)(struct rollout *rollout, struct walker *walker, enum node_trouble trouble);
};

struct step_rule {
    const char *name;
    bool retry_failed; /* repeated after FAILED with retryable */
    bool counts;       /* for forks */
    bool connected;    /* goes over the node's connection: a lost connection answers it */
    bool touches;      /* its first one in a change touches the node */
};

struct rollout {
    struct rollout_config config;
    struct random random;
    struct walker *walkers; /* one a node, then the runner */
    size_t *order;          /* nodes, wave by wave */
    size_t *touch_order;    /* touched nodes, oldest first */
    size_t touched_count;
    size_t *undo_order; /* nodes in the order in which their undo began */
    size_t undone_count;
    size_t *hook_holder; /* who runs a hook that runs once, or NO_NODE */
    bool *hook_ended;
    enum migration_state *migrations;
    size_t migration;         /* the one under way; only one is */
    uint32_t migration_sends; /* of its migrate */
    bool migration_failed;    /* no further one is run */
    bool held;                /* nothing new begins */
    bool paused;              /* to be held at the end of the wave */
    bool aborted;
    uint32_t share;           /* what the last shift that was answered OK has brought about */
    bool shift_unsure;        /* one was sent since, and nobody knows what it did */
    bool shift_stale;         /* a node came in since: the share is another */
    size_t waves_passed;
    bool undo_given_up;       /* what was done stays */
    bool data_needs_care;
    size_t lock_first; /* whose lock comes before all others, and goes after them; or NO_NODE */
    bool locks_open;   /* it has its lock */
    bool irreversible_sent; /* in this rollout */
    bool no_way_back;

    enum rollout_state state;
    enum rollout_result result;  /* what rollout_result tells */
    enum rollout_result planned; /* what it will be */
    size_t wave;
    int64_t now, progress_by, bake_until;
    size_t active, flying;
    uint32_t absent_count;
    uint64_t out_weight;
    uint32_t out_count, failures, retries, others_retries, ids, tokens;
    bool started, spent, interrupted, lease_lost, setup_refused, setup_unreachable;

    struct action *actions;
    size_t action_count, action_capacity;
    struct note *notes;
    size_t note_count, note_capacity;
};

extern const struct step_rule step_rules[STEP_KINDS];
extern const struct track tracks[TRACKS];

/* rollout_walk.c: one node's way */
void walker_set(struct rollout *rollout, struct walker *walker, enum walk walk);
void walker_begin(struct rollout *rollout, struct walker *walker, enum track_kind track);
void walker_resume(struct rollout *rollout, struct walker *walker);
void walker_advance(struct rollout *rollout, struct walker *walker);
/* The present step is done: on to the next. */
void walker_passed(struct rollout *rollout, struct walker *walker);
/* Nothing more is known of the node until it is probed again. */
void walker_disconnected(struct walker *walker);
/* One look of the gate, bake or wait under way. */
void walker_watched(struct rollout *rollout, struct walker *walker, bool good);
void walker_watch(struct rollout *rollout, struct walker *walker);
/* When the gate or bake under way may be decided by time alone. */
int64_t walker_verdict_at(const struct rollout *rollout, const struct walker *walker);
void walker_rest(struct rollout *rollout, struct walker *walker);
/* Whether the state of the fleet still lets it take its next step. */
bool walker_may_go_on(const struct rollout *rollout, const struct walker *walker);
const struct track_step *walker_step(const struct walker *walker);
/* The present step is a hook that runs on the runner. */
bool walker_on_runner(const struct rollout *rollout, const struct walker *walker);

/* rollout_actions.c: actions out, answers in */
/* The node counts as touched from now on. */
void action_touch(struct rollout *rollout, struct walker *walker);
void action_launch(struct rollout *rollout, struct walker *walker);
void action_launch_ready(struct rollout *rollout);
void action_cancel(struct rollout *rollout, struct walker *walker);
void action_answered(struct rollout *rollout, struct walker *walker, const struct event *event);
void action_lost(struct rollout *rollout, struct walker *walker);

/* rollout_lock.c: in which order nodes are locked */
/* To be called before actions are launched: who is first, and whether the others may follow. */
void lock_look(struct rollout *rollout);
/* It is not its turn: to be locked, or to give its lock back. */
bool lock_waits(const struct rollout *rollout, const struct walker *walker);

/* rollout_leader.c: who leads goes last */
bool leader_is_asked(const struct rollout *rollout, const struct walker *walker);
bool leader_waits(const struct rollout *rollout, const struct walker *walker);
void leader_defers(struct rollout *rollout, struct walker *walker);

/* rollout_breaker.c: nodes that only fail are left alone for a while */
/* Whether the action must wait; then the walker does, or rests. */
bool breaker_holds(struct rollout *rollout, struct walker *walker, enum step_kind kind);
void breaker_heard(struct rollout *rollout, struct walker *walker, enum done_status status);

/* rollout_capacity.c: how many may be out */
void capacity_set_out(struct rollout *rollout, struct walker *walker, bool out);
/* Nothing of the service ran there before this run, or it was unhealthy: the node is out from the start. */
bool capacity_was_out(const struct walker *walker);
bool capacity_allows(const struct rollout *rollout, const struct walker *walker);
/* Puts a node that was let in back where it stands, if others fell since and taking it out would be
 * too much; true when it did. */
bool capacity_park(struct rollout *rollout, struct walker *walker);
/* Whether taking it out leaves the quorum, and whether nobody could ever be taken out. */
bool capacity_keeps_quorum(const struct rollout *rollout, const struct walker *walker);
bool capacity_quorum_is_hopeless(const struct rollout *rollout);
void capacity_set_absent(struct rollout *rollout, struct walker *walker);
bool capacity_forks_left(const struct rollout *rollout);
/* Lets nodes of the present wave begin. */
void capacity_admit_wave(struct rollout *rollout);
/* Lets due undos begin, as the rules order them; one at a time when nobody under way can bring capacity back. */
void capacity_admit_undo(struct rollout *rollout);
/* Lets nodes begin to be restarted as control, as far as there is room. */
void capacity_admit_refresh(struct rollout *rollout);
/* ... within max_unavailable alone: there are nodes left to change, which may bring some. */
void capacity_admit_undo_within(struct rollout *rollout);

/* rollout_refresh.c: nodes of the old release that are restarted to be compared with */
bool refresh_is_due(const struct rollout *rollout);
void refresh_enter(struct rollout *rollout);
/* In the order in which they are taken; NULL: no more. */
struct walker *refresh_next(struct rollout *rollout);
void refresh_give_up(struct rollout *rollout);
/* Left out by an earlier run, and in again: there is nothing to undo. */
bool refresh_made_good(struct rollout *rollout, struct walker *walker);
void refresh_ended(struct rollout *rollout, struct walker *walker);

/* rollout_shift.c: what share of the traffic the target has */
uint32_t shift_share(const struct rollout *rollout); /* of the wave under way */
bool shift_is_due(const struct rollout *rollout);
bool shift_moved(const struct rollout *rollout); /* the target may have traffic of a shift */
/* A shift of shares that nobody is left for. */
bool shift_has_nobody(const struct rollout *rollout);
/* ... and every touched node is back by itself. */
bool shift_all_went_back(const struct rollout *rollout);
bool shift_needs_look(const struct rollout *rollout);
void shift_enter_look(struct rollout *rollout);
void shift_enter(struct rollout *rollout);
void shift_enter_look_back(struct rollout *rollout);
void shift_enter_back(struct rollout *rollout);
void shift_sent(struct rollout *rollout);
void shift_grew_stale(struct rollout *rollout);
void shift_answered(struct rollout *rollout, const struct walker *walker, enum done_status status);
/* What was switched cannot be switched back: it stays, and needs care. */
void shift_gives_up(struct rollout *rollout);
bool shift_somebody_to_go_back(const struct rollout *rollout);

/* rollout_migration.c: the fleet's data */
bool migration_waits(const struct rollout *rollout, bool contract);
void migration_admit_expand(struct rollout *rollout);
void migration_admit_contract(struct rollout *rollout);
void migration_sent(struct rollout *rollout, enum step_kind kind);
void migration_ended(struct rollout *rollout, struct walker *walker);
void migration_undone(struct rollout *rollout, struct walker *walker);
void failure_in_migration(struct rollout *rollout, struct walker *walker,
                          enum node_trouble trouble);
void failure_in_unmigration(struct rollout *rollout, struct walker *walker,
                            enum node_trouble trouble);
bool migration_has_backup(const struct rollout *rollout, const struct walker *walker);
/* Whether the data may have been changed by this rollout; whether a migration was done, and stands.
 */
bool migration_any_sent(const struct rollout *rollout);
bool migration_any_done(const struct rollout *rollout);

/* rollout_failure.c: failures, the budget and what comes of it all */
void walker_failed(struct rollout *rollout, struct walker *walker, enum node_trouble trouble);
void walker_trouble(struct rollout *rollout, struct walker *walker, enum node_trouble trouble);
void walker_outcome(struct rollout *rollout, struct walker *walker, enum node_outcome outcome);
void failure_in_setup(struct rollout *rollout, struct walker *walker, enum node_trouble trouble);
void failure_in_change(struct rollout *rollout, struct walker *walker, enum node_trouble trouble);
void failure_in_refresh(struct rollout *rollout, struct walker *walker, enum node_trouble trouble);
void failure_needs_care(struct rollout *rollout, struct walker *walker, enum node_trouble trouble);
void failure_spend(struct rollout *rollout, enum spend_reason reason);
bool failure_may_undo(const struct rollout *rollout);
bool failure_rolls_back(const struct rollout *rollout);
void failure_adopt(struct rollout *rollout);
/* From now on nothing goes back, whoever waited for it. */
void failure_past_no_return(struct rollout *rollout);
/* The nodes that an earlier run has changed, after their baseline. */
void failure_go_on(struct rollout *rollout);
void failure_freeze(struct rollout *rollout);
enum rollout_result failure_result(const struct rollout *rollout);

/* rollout_time.c */
void time_expire(struct rollout *rollout);
void time_halt(struct rollout *rollout);

/* rollout.c */
void rollout_begin_all(struct rollout *rollout, enum track_kind track,
                       bool (*wanted)(const struct rollout *, const struct walker *));
int64_t rollout_bake_ms(const struct rollout *rollout); /* of the wave under way */
struct walker *rollout_runner(struct rollout *rollout);
bool rollout_halted(const struct rollout *rollout);
bool rollout_has_hook(const struct rollout *rollout, enum hook_moment moment);
/* Once a rollout on the runner, not once a node. */
bool rollout_hook_is_fleetwide(const struct rollout *rollout, const struct rollout_hook *hook);
void rollout_note(struct rollout *rollout, enum note_kind kind, size_t node, int value);
void rollout_note_migration(struct rollout *rollout, size_t node, size_t migration,
                            enum migration_state state);
void rollout_note_delay(struct rollout *rollout, size_t node, int64_t delay_ms);

#endif
