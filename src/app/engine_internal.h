/* What the engine's files share. Nobody else includes this. */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include "app/analysis.h"
#include "app/breaker_list.h"
#include "app/delivery.h"
#include "app/dependency.h"
#include "app/engine.h"
#include "app/facts.h"
#include "app/lease.h"
#include "app/migrations.h"
#include "app/prober.h"
#include "app/step.h"
#include "app/wish.h"

#define SENTENCE_MAX ERR_MESSAGE_MAX

struct engine;

/* One node's side of the run. */
struct worker {
    struct engine *engine;
    size_t index;
    struct member *member;
    struct prober *prober;
    struct delivery *delivery;
    struct facts facts;
    bool has_facts;
    const char *compared; /* the release that was compared with its manifest in this setup; NULL: none */
    const char *target;
    const char *previous;  /* release before us; NULL: none */
    bool takes_back;       /* what is committed here is undone, should we undo: the commit is taken back before the activation */
    const char *serving;   /* what is current as far as we know; NULL: none */
    struct node_words words; /* of the release at hand */
    struct prober *old_prober;  /* blue-green: of what serves before the switch; NULL: nothing does */
    struct node_words old_words;
    void (*then)(struct worker *worker); /* what goes on with the action at hand, */
    step_done_fn *failed;                /* and what ends it */
    bool preparing;                      /* waits until the idle side is out of the traffic, or weights are ordinary */
    struct action action;  /* in flight when `busy` */
    bool busy;
    bool announcing;       /* the discoveries are at work on it */
    bool balancing;        /* the balancers are at work on it */
    uint32_t request;      /* of the node's program, for cancel; 0: none */
    struct child *child;   /* a hook on the runner */
    struct session *second; /* the connection that confirms */
    bool unconfirmed;       /* as far as we know a confirm timer runs on the node */
    struct timer *second_over; /* frees it, outside its own callback */
    bool overdue;           /* the node was asked to end it since its time was over, and not since the run ends */
    struct timer *cancel_timer;
    struct timer *heartbeat;
    uint32_t renewal; /* the request under way, 0: none */
    uint64_t fence;        /* 0: no lock */
    struct lease lease;    /* of the lock, as its renewals were acknowledged */
    void (*with_lease)(struct worker *worker); /* what waits for a renewal, */
    struct timer *lease_timer;                 /* which is looked for again then */
    enum done_status unsettled_status; /* of a lock that is given back at once, as what ran there could not be ended, */
    char unsettled[SENTENCE_MAX];      /* and why */
    bool refused;          /* connected, but the node's program cannot work there: told at preflight */
    char sentence[SENTENCE_MAX]; /* why the last step or probe failed */
    char trouble[SENTENCE_MAX];  /* the first trouble's sentence */
    const char *opened_by;       /* why its breaker opened last; NULL: it never did */
    size_t breakers_told;        /* the last change of the run's breakers that it was told over this connection, */
    size_t breakers_noted;       /* and how many it was told at all */
};

struct engine {
    const struct engine_settings *settings;
    const struct playbook *playbook;
    struct engine_patience patience;
    struct fleet *fleet;
    struct arena arena;
    struct rollout *machine;
    struct worker *workers;
    struct worker runner;  /* for hooks that belong to no node */
    struct analyses *analyses; /* NULL: nothing is judged */
    bool without_control;      /* no node of the old release was left in this wave */
    bool undecided;            /* the last judgement gave no verdict */
    struct rollout_hook *hooks;
    struct rollout_migration *migrations;  /* what is pending, */
    const struct data_change **changes;    /* and what each is in the plan */
    size_t migration_count;
    struct traffic_goal *goals; /* of a shift */
    size_t goal_count;
    enum { IDLE_UNKNOWN, IDLE_GOING, IDLE_OUT } idle_state; /* blue-green: the side that changes */
    /* a canary's weights: as a shift left them, on their way, ordinary for the old nodes, ordinary for all */
    enum { SHARE_SET, SHARE_GOING, SHARE_SAFE, SHARE_LEVEL } share_state;
    bool share_undoes;        /* the way under way is an undo's */
    bool *updated, *chosen;   /* of a share, one a node */
    uint32_t *weights;        /* of max_unavailable, one a node: 1 each when it counts nodes */
    uint32_t weight_sum, max_unavailable;
    struct roster roster;
    struct lease_guard guard;
    int64_t lease_ms;
    bool lease_lost;       /* the machine was told: nothing goes out any more, not even the second half of an action */
    struct event *events;  /* a ring of what is still to be told to the machine */
    size_t event_first, event_count, event_capacity;
    struct timer *turn, *tick, *redraw;
    bool finished;
    enum wish_kind wish; /* of somebody at another terminal, as it was told to the machine */
    bool spent; /* the failure budget */
    bool doubted; /* it was told that the gate cannot tell the old process from the new one */
    int64_t began_ms;
    char lock_token[64]; /* tells a repeated lock of ours from another runner's of the same run */
    struct err unwritten;  /* with outcome.unwritten: why */
    struct breaker_list breakers; /* as they are now */
    struct engine_outcome outcome;
};

/* The members by address, port and name: in which order all runners lock them. Lives as long as the engine; NULL with `err`. */
const size_t *engine_lock_order(struct engine *engine, struct err *err);
/* Posts an event; the machine sees it on the loop's next turn. */
void engine_post(struct engine *engine, const struct event *event);
/* Ends the worker's action: keeps the sentence, records output, posts EVENT_DONE. `facts`: for preflight. */
void engine_answer(struct worker *worker, const struct step_result *result);
/* Posts EVENT_LOST: the worker's connection went while it had nothing to do. */
void engine_lost(struct worker *worker, const struct err *error);
/* A record with the run's times and roster filled in. */
void engine_record(struct engine *engine, struct record *record);
void engine_notice(struct engine *engine, size_t node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Not of this run: locked and looked at, nothing else. */
bool engine_is_outside(const struct worker *worker);
/* Carries one action out: engine_steps.c. */
void engine_carry(struct engine *engine, const struct action *action);
/* Ends a hook on the runner that an engine left at once leaves behind, and waits for its end: seconds at most. */
void engine_end_hook(struct worker *worker);
/* Each activation of a change is to be confirmed: engine_confirm.c. */
bool engine_confirms(const struct engine *engine);
void engine_add_timer(struct worker *worker, struct session *session);
void engine_carry_confirm(struct worker *worker);
/* Ends the second connection, and by that the step: as if it had been lost. */
void engine_cancel_confirm(struct worker *worker);
void engine_confirm_release(struct worker *worker);
/* Tells that the node went back by itself, when its reply says so. */
void engine_tell_reverted(struct worker *worker, const struct reply *reply);
/* Blue-green: engine_switch.c. What the machine is told of the node, and who looks at what serves before the switch. */
int engine_make_sides(struct engine *engine, struct err *err);
void engine_add_side(const struct worker *worker, struct event *event);
/* engine_lease.c: who is asked before each effect that no node can refuse; see app/lease.h. */
void engine_guard(struct engine *engine);
/* The locks were given back, or are for another run: what is still queued for balancers and registries stays undone. */
void engine_guard_ends(struct engine *engine);
/* A canary behind balancers: engine_share.c. */
bool engine_shares(const struct engine *engine);
int engine_make_shares(struct engine *engine, struct err *err);
/* What may be out of service: engine_capacity.c. By the nodes' weights when it is a percentage and they differ. */
int engine_make_capacity(struct engine *engine, struct err *err);
/* The part of the fleet, of `full`, that serves at worst. */
uint32_t engine_promised(const struct engine *engine, uint32_t full);
/* Ends heartbeats, deliveries, probes of a worker. */
void engine_worker_release(struct worker *worker);
/* Last lines of the service's journal, as output records. */
void engine_ask_evidence(struct worker *worker);
/* engine_discovery.c: what others are told of the nodes */
void engine_watch_discoveries(struct engine *engine);
void engine_end_discoveries(struct engine *engine);
void engine_withdraw_failed(struct engine *engine, size_t node);
/* Waves are judged: engine_judge.c. Figures are taken from when a wave begins to bake until something else begins. */
bool engine_judges(const struct engine *engine);
/* ... beside nodes of the old release that are restarted for it. */
bool engine_refreshes(const struct engine *engine);
void engine_judge_note(struct engine *engine, const struct note *note);
/* Breakers: engine_breakers.c */
void engine_report_breaker(struct engine *engine, const struct note *note);
/* What the playbook is called in `deployctl resume NAME`. */
const char *engine_playbook_name(const struct engine *engine);
/* For dependencies_on_change. */
void engine_dependency_changed(void *context, const struct dependency *dependency,
                               enum breaker_state state, const char *cause);
/* What the node was not told yet, into the request under construction, which has a fence. `last`: no other follows. */
void engine_add_breakers(struct worker *worker, bool last);
/* What became of each node, and the last sentence: engine_report.c. */
void engine_report_note(struct engine *engine, const struct note *note);
void engine_report_end(struct engine *engine);

#endif
