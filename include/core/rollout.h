/*
 * The rollout machine: events in, actions out. It alone decides what happens next on which node.
 *
 * Pure: no clock (time is `event.now_ms`), no IO, no allocation in a step; the same events give the
 * same actions, byte for byte. A rollout, its automatic rollback and the verb `rollback` are one
 * mechanism: every node walks a track, an array of steps; undoing is another track with the node's
 * previous release. Strategies are waves (core/waves.h).
 *
 * Tracks. A step whose condition does not hold is passed over (no balancer, no such hook, ...); at
 * `|` the whole fleet waits:
 *
 *   setup   connect, preflight, lock, baseline | stage | hooks after_stage
 *   expand  (one migration after another, each: backup, migrate) |
 *   change  hooks before_drain, drain, hooks before_activate, activate, hooks after_activate,
 *           gate, confirm, enable, hooks after_enable
 *   settle  (bake of the wave | its judgement) | commit | contract (one migration after another) | release (of the
 *           lock, with the result)
 *   undo    hooks before_rollback, drain, activate previous, gate, enable, hooks after_rollback
 *
 *   refresh (of a judged wave's control) drain, restart, gate, enable
 *
 *   A wave with rules (below) goes on: shift (of traffic) | bake | judgement | a hold | the next one.
 *   shift   the runner's: traffic to the share of the wave;  undo: back to none
 *
 * What follows are the rules where the laws of the contract leave a choice.
 *
 * Setup and staging
 * - In setup a connect that is unreachable or silent makes a node unreachable; any other failure
 *   there is a refusal. Both are looked for on all nodes, then end the run before anything changed
 *   (refused before unreachable), unless unreachable nodes are skipped.
 * - Locks are asked for once every node has answered its preflight, and only when none stands in
 *   the way. The first of those nodes in lock_order is locked alone; once it is, the others are, all
 *   at once. All runners have the same order, so of those that want the same nodes exactly one gets
 *   the first one, and nobody but it asks for another; and it costs one more round trip, however
 *   large the fleet is. Runners whose nodes only overlap may refuse each other, never both win. One
 *   refusal gives back what was locked; the first node's lock goes last, so that whoever gets it
 *   next finds the others free.
 * - A node without a release has no baseline.
 * - A node whose current release is the target, committed, and whose baseline is healthy has
 *   nothing to do. Any other node that is not to be changed (an untouched one of an abort, one that `stays`) and whose
 *   baseline is bad needs attention: what is called unchanged serves.
 * - What a node is was read before it was locked, and is read again with the lock: the later reading counts.
 * - A node that is `outside` is not of this run (--limit). It is locked, so that no other run takes nodes out at the same
 *   time, and looked at: out when its baseline is bad or it is `left_out`. Nothing else is done there. One that
 *   cannot be reached is not tried again and hinders nothing; one whose lock is refused does. Its outcome is NODE_OUTSIDE.
 * - Later an untouched node that cannot be reached follows `unreachable` too: skipped, or counted
 *   against max_failures. So does a stage or hook that failed; the class stays its own. A touched
 *   node that cannot be reached always counts as a failure.
 *
 * Capacity
 * - Out of service because of us: from when a node is let into its change, or its undo, until it
 *   has passed gate and enable there. A node unhealthy before (or without a release) counts as out
 *   from the start, so changing it costs nothing. One that an earlier run has given its first release serves. One that fell in its bake is out. A node that
 *   could not be reached at setup is not counted.
 * - Who is out is counted by weight. A node that is heavier than `max_unavailable` goes out when nobody else is.
 * - Within a wave, nodes that are out already go first. When only nodes that were out before, in
 *   later waves, keep the present wave from starting, they join it; a step of a canary only those without a release.
 * - A node let in whose first drain or activate would be one too many, because others fell
 *   meanwhile, is put back where it stands until there is room.
 * - When no node under way can bring capacity back and nodes of the wave wait for it, the rollout
 *   is blocked (NOTE_BLOCKED): the budget is spent.
 *
 * Stateful services
 * - With `asks_leader` a node that serves is asked whether it leads before anything else of its
 *   change, as long as another one still has to be changed. Who leads defers: it goes back
 *   untouched, to the end of the last wave, and comes in once it is the last, whoever leads then. Who
 *   deferred before it is no longer the last one. Three times a node defers; who always leads would
 *   keep the rollout from its end. An undo goes newest first, whoever leads.
 * - With `waits_ready` a changed node, or one that went back, is asked after its gate until it says
 *   that it has caught up, or ready_deadline has passed: a failure. It is out until then.
 * - `quorum`: nobody that serves is taken out, be it to undo it, unless so many others are in. Nodes
 *   that cannot be reached count as not in, a node that is out costs nothing. When nobody could ever
 *   be taken out, the run is refused after its setup. What cannot be undone for it needs care.
 *
 * Gate, bake, commit
 * - A drain that timed out is over: the change goes on. One that failed is a failure.
 * - An unreachable probe is a bad one; the node connects again before the next.
 * - A probe that says `hopeless` (a unit that has failed and is not restarted) is the last one.
 * - A bake does not end on a bad probe: it waits for a good one or the fall. Without health checks
 *   it only waits.
 * - The progress deadline runs while a wave changes, from its start and from each node that came
 *   (back) into service; when it passes, the budget is spent and the slow nodes are named.
 * - The whole fleet commits once the last wave has baked: a release is good when the rollout is
 *   (Nomad's Stable). A failed commit undoes nothing: that node needs care. Pause and stop leave
 *   their nodes uncommitted. A failed release or on_failure hook is told and changes no outcome.
 *
 * Judgement (with `judged`)
 * - A wave that has baked is judged, by the runner, when a node of it is updated. A pass lets the
 *   next wave begin, or the fleet commit; a fail spends the budget, whatever max_failures says.
 * - Anything else (UNDECIDED, or no word in time) is no verdict: the rollout is held. Nothing new
 *   begins, the nodes stay as they are and uncommitted, the result is HELD.
 *
 * A fresh control (with `refreshes`)
 * - What was just restarted is not like what has run for days (caches, memory). So once a wave has changed, and before
 *   its bake, as many nodes of the old release as are updated are restarted on the release that they have: the last ones
 *   in the order of the waves first, since those stay control the longest. Who was restarted for an earlier wave is not
 *   restarted again, so that both sides are as old, node by node. A later run begins anew.
 * - Only nodes that serve, were healthy before and are connected; only within max_unavailable and the quorum, as a change
 *   would be. What is not possible is left out: the control is smaller, or none of it is fresh.
 * - No hooks, no confirm, no undo: nothing changes. The node is not touched.
 * - One that fails once it was taken out has nothing to go back to: it needs care, and the budget is spent, whatever
 *   max_failures says. One that fails before follows the rules of an untouched node.
 * - Once the budget is spent, who is taken out comes back in; nobody else is taken out.
 * - Who an earlier run has left out of service so (`left_out`) comes first, beside the others.
 *
 * Waves with rules: canary and blue-green (`rules`, one a wave)
 * - With `shifts` a balancer moves the target's share of the traffic: once the nodes of a wave have
 *   passed, the runner shifts to the wave's share, when it is another than before. Then the wave
 *   bakes, on all nodes that are updated so far, for its own time. A wave with no node left to change
 *   (a canary's share that grows with the same nodes; the switch of blue-green) does all that too,
 *   once a node was touched.
 * - Without `switches` (a canary) a shift is due again when a node came in since the last one, and none is made while
 *   nobody is updated: a share that nobody is left for goes back to 0 before anybody else changes. A shift back that
 *   fails then spends the budget too.
 * - A shift that does not come back OK spends the budget, whatever max_failures says: nobody knows
 *   what the balancers do now. Undone nodes, then a shift back that succeeds, make that good; else
 *   the result is NEEDS_CARE.
 * - When all touched nodes are undone, the runner shifts back to share 0: the balancers' own weights.
 * - With `switches` (blue-green) a change is made on an instance that serves nothing: no drain, no
 *   enable, no capacity asked for. Before a shift, those who were lost since their gate pass one again.
 *   When one node has to change, those that are at the target already change too: the switch moves the whole side.
 *   All instances of the wave must pass: one that fails spends the budget. As long as nothing was
 *   shifted, an undo only puts the touched instances back. After a shift was sent, first what the node
 *   served before must pass a gate (a node where it does not needs care), then the runner shifts back,
 *   then the instances are put back. When nobody passes, or the shift back fails, nothing more is
 *   taken down: NEEDS_CARE.
 * - `manual`: after the wave nothing new begins, the result is HELD; so it is when EVENT_PAUSE came, at
 *   the next end of a wave, or when staging has ended. Not when only the commit is left.
 * - A later run goes on with `waves_passed` and `share`. A node of those waves that runs the target
 *   (`runs_target`) is updated, and touched, by its baseline: a bad one is a fall in its bake. One that
 *   does not run it is changed in the first wave.
 * - EVENT_ABORT before the commit spends the budget and rolls back, whatever `action` says, if an
 *   undo is allowed. The setup, and a migration under way, end first; then those of this rollout are undone as after
 *   a failed one.
 * - A node that `stays` (the side that serves, of a blue-green of two groups) is locked and not changed.
 *
 * Confirm (with `confirms`)
 * - An activation of the change arms a timer on the node, which puts the previous release back
 *   unless it is confirmed over a connection of its own. So a node that passed its gate is
 *   confirmed before anything else, and one that cannot be is a failed node like one whose gate
 *   closed. An undo's activation ends the timer. A node that put its release back itself refuses
 *   to confirm.
 * - A confirm goes over another connection than the node's: a lost one does not answer it. When the
 *   node was lost meanwhile, or at first out of reach for the confirm, its gate opens once more.
 *
 * Migrations (the config holds the pending ones only)
 * - Each runs once, one at a time, in their order: expand and irreversible ones before the first
 *   node changes, contract ones after the last commit. They run also when no node has anything to
 *   do.
 * - One that is for any node (NO_NODE) runs on the first node in the order of the waves that is
 *   locked and has not failed. One whose own node is none of these fails.
 * - A backup must succeed before its migration is sent.
 * - A failed backup or migration spends the budget, whatever max_failures says, before any node is
 *   touched. Those that were done in this rollout are undone in reverse order, if all of them can
 *   be, no irreversible one was sent and nobody wonders about any; else none is.
 * - One that failed is known not to have been done only when it says FAILED or REFUSED. After any
 *   other answer nobody knows: the result is NEEDS_CARE; so it is when an irreversible one or an
 *   undo fails. A repeated action has the same token, so that nothing is done twice.
 * - Once an irreversible one was sent, or with config.no_way_back, nothing is rolled back: what
 *   action = stop says holds instead, and the result is NEEDS_CARE, never HELD. No node arms a
 *   timer that would put its release back, so none is confirmed.
 * - Contract ones need every node on the target and committed; else they stay pending. One that
 *   fails undoes nothing: NEEDS_CARE.
 *
 * Going on with an earlier run, or over it
 * - A node that it has changed (`touched`) is touched from its baseline on: whatever fails in this run, it goes back
 *   too, and one that is not finished needs care. It is changed again in its wave, unless that run has committed it
 *   (`at_target` as well) and its baseline is good: then it is updated. `has_release` says whether it has a release to
 *   go back to.
 *
 * Failure and undo
 * - A failed node within the failure budget is undone alone, at once (when it still serves, as
 *   after a failed after_enable hook: once max_unavailable allows); the rollout goes on.
 * - Once the budget is spent, action rollback undoes all touched nodes within max_unavailable:
 *   those that are out anyway before those that serve (they cost nothing and give capacity back),
 *   newest first among each. When nobody under way can bring capacity back, it goes on with one
 *   node at a time: waiting would leave the fleet half updated.
 * - Pause and stop (and undo_allowed = false) let touched nodes finish their change, start none,
 *   and leave the rest; the node that spent the budget stays as it is and needs care.
 * - An undo waits for the end of the step under way, and passes over what was not done: no drain
 *   for what is drained, no activation for what was not activated. Back to no release there is no
 *   gate and no enable. What fails in an undo needs care, be it that the node was unhealthy before
 *   and does not pass its gate now.
 *
 * Hooks
 * - With `stages_again` those of after_stage run once more, also when nothing is staged.
 * - Nodes that come to a PLACE_FIRST hook wait until it has ended.
 * - When a hook that runs once a rollout fails, the budget is spent: what it does for the fleet is
 *   missing. A runner hook is never repeated; UNREACHABLE is its failure.
 *
 * Time, retries, connections
 * - A step is repeated only after its action came back UNREACHABLE (same token: the node answers
 *   with what it recorded) or, for connect, preflight, lock, stage and commit, after FAILED with
 *   retryable set (fresh token); a hopeless connect never. Each wait is backoff.h; `max_retries`
 * bounds the sum, with those that others have taken (event.others_retries).
 * - Every action has a deadline, its timeout_ms from when it was sent. When it passes without an
 *   answer the machine sends ACTION_CANCEL for it once; the answer must come within
 *   `cancel_grace_ms` (the engine's part: it answers UNREACHABLE by itself then). After that the
 *   machine goes on as if UNREACHABLE had come. A late OK, even after a cancel, is an OK.
 * - After UNREACHABLE the node must connect again (which proves that its last step has ended)
 *   before anything else happens there.
 * - A gate or a bake passes only on a probe that was answered since the node's connection was last
 *   lost. To give back a lock, a lost node is looked for once.
 * - EVENT_LOST answers, with UNREACHABLE, what is in flight over the node's connection (not drain,
 *   enable, runner hooks); a later answer to it is ignored.
 *
 * Breaker (core/breaker.h, one a node)
 * - It counts the answers of steps over the node's connection: FAILED, TIMED_OUT and UNREACHABLE
 *   are errors, an unhealthy probe and REFUSED are answers of a node that lives. A connect that
 *   succeeds closes nothing: the step after it does, so a trial is a connect and one step.
 * - While it is open nothing is sent to the node but a cancel. A step that would be (the next one,
 *   a retry whose back-off has ended, a probe) waits for the trial; then it is a try like any
 *   other, within `attempts` and `max_retries`, but the step's last one when it fails: no step
 *   waits for two trials. A gate or bake goes on counting its time.
 * - Others do not wait for such a node: the undo of the next one may begin before its.
 * - It is not waited for to give back a lock: the lease ends by itself.
 *
 * The end
 * - Interrupt: nothing new starts but the release, once a node; what is in flight gets
 *   `interrupt_grace_ms`, then it is cancelled; nothing is undone.
 * - Lease lost, on one node: as an interrupt, everywhere, and that node's own lock is not given back. The result is
 *   NEEDS_CARE if a node was touched, else REFUSED; a touched node that has not committed needs care:
 *   whoever has the lock now decides about it.
 * - A touched node that is neither updated nor restored needs care. HELD only with action = pause
 *   and the budget spent, or without a verdict. Failures, no node on the target, none that needs care: ROLLED_BACK
 *   (UNREACHABLE when nothing was touched and that was all). Any other failure is NEEDS_CARE, be it
 *   that one tolerated node is not on the target.
 */
#ifndef CORE_ROLLOUT_H
#define CORE_ROLLOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/random.h"
#include "core/backoff.h"
#include "core/breaker.h"
#include "core/health.h"
#include "core/waves.h"

enum step_kind {
    STEP_CONNECT,   /* connect, and prove that whatever ran there before has ended */
    STEP_PREFLIGHT, /* read facts; changes nothing */
    STEP_LOCK,
    STEP_PROBE, /* one round of all health checks: baseline, gate, bake */
    STEP_STAGE,
    STEP_LEADER, /* whether the node leads; changes nothing */
    STEP_DRAIN,
    STEP_ACTIVATE,
    STEP_RESTART, /* of the service, on the release that the node has */
    STEP_READY, /* one look whether the node has caught up */
    STEP_CONFIRM, /* over a connection of its own: ends the timer that the activation armed */
    STEP_ENABLE,
    STEP_SHIFT, /* the runner's: the target gets `share` of the traffic */
    STEP_JUDGE, /* the runner's: what the wave that has baked is worth */
    STEP_HOOK,
    STEP_BACKUP, /* before an irreversible migration */
    STEP_MIGRATE,
    STEP_UNMIGRATE, /* a migration's way back */
    STEP_COMMIT,
    STEP_RELEASE, /* note the result in the node's journal and give back the lock */
    STEP_KINDS
};
const char *step_name(enum step_kind kind); /* "connect", ... static */

enum release_choice { RELEASE_TARGET, RELEASE_PREVIOUS, RELEASE_PRESENT };

/* Where a node stands: what people are shown. */
enum node_phase {
    PHASE_WAITING,
    PHASE_CONNECT,
    PHASE_PREFLIGHT,
    PHASE_LOCK,
    PHASE_BASELINE,
    PHASE_STAGE,
    PHASE_STAGED,
    PHASE_BACKUP,
    PHASE_MIGRATE,
    PHASE_UNMIGRATE,
    PHASE_LEADER,
    PHASE_DRAIN,
    PHASE_ACTIVATE,
    PHASE_GATE,
    PHASE_READY,
    PHASE_CONFIRM,
    PHASE_ENABLE,
    PHASE_HOOK,
    PHASE_CONTROL_DRAIN,
    PHASE_CONTROL_RESTART,
    PHASE_CONTROL_GATE,
    PHASE_CONTROL_READY,
    PHASE_CONTROL_ENABLE,
    PHASE_CONTROL, /* serves the old release, fresh */
    PHASE_BAKE,
    PHASE_COMMIT,
    PHASE_RELEASE,
    PHASE_UNDO_DRAIN,
    PHASE_UNDO_ACTIVATE,
    PHASE_UNDO_GATE,
    PHASE_UNDO_READY,
    PHASE_UNDO_ENABLE,
    PHASE_UNDO_HOOK,
    PHASE_ENDED,
    NODE_PHASES
};
const char *node_phase_name(enum node_phase phase);

/* What became of a node; the four classes of law 10 never mix. */
enum node_outcome {
    NODE_PENDING,   /* not reached by the rollout: runs what it ran */
    NODE_UNCHANGED, /* had nothing to do */
    NODE_UPDATED,   /* runs the target, gate passed */
    NODE_RESTORED,  /* touched, back on its previous release, gate passed (or back to no release) */
    NODE_SKIPPED,   /* unreachable before it was touched; unreachable = skip */
    NODE_UNREACHABLE, /* unreachable before it was touched; unreachable = fail */
    NODE_REFUSED,     /* preflight or lock said no; untouched */
    NODE_FAILED,      /* failed before it was touched (stage, hook): runs what it ran */
    NODE_NEEDS_CARE,  /* touched, and neither updated nor restored; or left as it was, and unhealthy */
    NODE_OUTSIDE,     /* not of this run: runs what it ran */
    NODE_OUTCOMES
};
const char *node_outcome_name(enum node_outcome outcome);

/* The first thing that went wrong on a node. NOTE_TROUBLE tells each one, also of the runner
 * (NO_NODE). TROUBLE_UNHEALTHY_BEFORE gives way to what goes wrong later. */
enum node_trouble {
    TROUBLE_NONE,
    TROUBLE_UNREACHABLE,
    TROUBLE_REFUSED,
    TROUBLE_STEP_FAILED,
    TROUBLE_STEP_TIMED_OUT,
    TROUBLE_GATE_CLOSED,
    TROUBLE_FELL_IN_BAKE,
    TROUBLE_INTERRUPTED,
    TROUBLE_LEASE_LOST,
    TROUBLE_UNHEALTHY_BEFORE,
    TROUBLE_NOT_READY, /* had not caught up by its deadline */
    TROUBLE_QUORUM,    /* stays: taking it out would break the quorum */
    TROUBLE_UNFINISHED, /* an earlier run has changed it, and this one ended before its wave */
    NODE_TROUBLES
};
const char *node_trouble_name(enum node_trouble trouble);

enum rollout_result {
    RESULT_RUNNING,
    RESULT_DONE,        /* exit 0: every node updated, unchanged or skipped by choice */
    RESULT_NOTHING,     /* exit 0: no node had anything to do */
    RESULT_ROLLED_BACK, /* exit 1: failed; every touched node restored */
    RESULT_NEEDS_CARE,  /* exit 2 */
    RESULT_HELD,        /* exit 3: action = pause */
    RESULT_REFUSED,     /* exit 4: nothing changed */
    RESULT_UNREACHABLE, /* exit 69: nothing changed */
    RESULT_INTERRUPTED  /* exit 130 or 143 */
};
const char *rollout_result_name(enum rollout_result result);

enum rollout_state {
    ROLLOUT_SETUP,
    ROLLOUT_STAGING,
    ROLLOUT_STAGED_HOOKS,
    ROLLOUT_EXPAND,
    ROLLOUT_WAVE,
    ROLLOUT_REFRESH,
    ROLLOUT_LOOK, /* before a switch, at what was lost meanwhile */
    ROLLOUT_SHIFT,
    ROLLOUT_BAKE,
    ROLLOUT_JUDGE,
    ROLLOUT_COMMIT,
    ROLLOUT_CONTRACT,
    ROLLOUT_LOOK_BACK, /* after a switch: at what served before */
    ROLLOUT_SHIFT_BACK,
    ROLLOUT_UNDO,
    ROLLOUT_ON_FAILURE,
    ROLLOUT_RELEASE,
    ROLLOUT_FINISHED
};
const char *rollout_state_name(enum rollout_state state);

enum on_unreachable { ON_UNREACHABLE_FAIL, ON_UNREACHABLE_SKIP };
enum on_failure { ON_FAILURE_ROLLBACK, ON_FAILURE_PAUSE, ON_FAILURE_STOP };

enum hook_moment {
    MOMENT_AFTER_STAGE,
    MOMENT_BEFORE_DRAIN,
    MOMENT_BEFORE_ACTIVATE,
    MOMENT_AFTER_ACTIVATE,
    MOMENT_AFTER_ENABLE,
    MOMENT_BEFORE_ROLLBACK,
    MOMENT_AFTER_ROLLBACK,
    MOMENT_ON_FAILURE,
    MOMENT_BEFORE_SWITCH /* with `switches`: on what passed its gate and serves nothing yet */
};
enum hook_place { PLACE_NODE, PLACE_FIRST, PLACE_RUNNER };
/* PLACE_NODE: on each node at its moment. PLACE_FIRST: on the first node that comes to the moment,
 * once a rollout. PLACE_RUNNER: on the runner, for each node, but after_stage and on_failure once.
 * on_failure hooks run once the budget is spent and all undoing has ended (node: on each touched
 * node that is reachable). */
struct rollout_hook {
    enum hook_moment moment;
    enum hook_place place;
    int64_t timeout_ms;
    bool ignore_failure;
};

enum migration_kind { MIGRATION_EXPAND, MIGRATION_CONTRACT, MIGRATION_IRREVERSIBLE };
struct rollout_migration {
    enum migration_kind kind;
    size_t node;        /* NO_NODE: any */
    int64_t timeout_ms; /* also of its backup and of its way back */
    bool backed_up;     /* a backup comes first; irreversible ones only */
    bool has_down;
};

struct rollout_config {
    size_t node_count;
    struct waves waves;       /* borrowed; together they hold every node once */
    const struct wave_rule *rules; /* borrowed; one a wave, shares never fall; NULL: none */
    bool shifts;              /* a balancer moves the shares of the rules */
    bool switches;            /* changed instances serve nothing until a shift; with `shifts` */
    size_t waves_passed; /* by an earlier run, which this one goes on with; then only migrations that
                          * contract are pending */
    uint32_t share;           /* what the target has at the start, as the balancers tell */
    const bool *outside;      /* borrowed, one a node; NULL: every node is of this run */
    const size_t *lock_order; /* borrowed; every node once, the same for all runners; NULL: by index */
    const uint32_t *weights;  /* of the nodes, borrowed; NULL: 1 each */
    uint32_t max_unavailable; /* resolved, of the sum of weights; at least 1 */
    uint32_t quorum;       /* healthy nodes that we leave in any case; 0: none */
    bool asks_leader;      /* who leads goes last */
    bool waits_ready;      /* a changed node must have caught up */
    int64_t ready_deadline_ms;
    uint32_t max_failures;    /* resolved; more than this many failed nodes spend the budget */
    enum on_unreachable unreachable;
    enum on_failure action;
    bool undo_allowed; /* false for the verb rollback: what fails in it needs care */
    bool unwinds;      /* abort: nothing goes forward; what an earlier run touched is undone */
    bool stages;       /* false for the verb rollback */
    bool stages_again; /* of an earlier run no wave has passed: its after_stage hooks may not have run */
    bool balanced;     /* a balancer exists: drain and enable are steps */
    bool probed;       /* any health check exists */
    bool confirms;     /* each activation of a change must be confirmed */
    bool judged;       /* each wave is judged at the end of its bake */
    bool refreshes;    /* beside a fresh control; with `judged`, without `switches` and `asks_leader` */
    struct health_rules health;
    int64_t bake_ms; /* without rules */
    int64_t progress_deadline_ms; /* from the last node that became healthy (Nomad); 0: none */
    struct backoff_rules backoff;
    struct breaker_rules breaker; /* of each node */
    uint32_t attempts;    /* tries of one step in all, at least 1 */
    uint32_t max_retries; /* of the whole rollout */
    uint32_t forks;       /* nodes with an action in flight at once, probes apart */
    int64_t timeout_ms[STEP_KINDS];
    int64_t cancel_grace_ms, interrupt_grace_ms;
    const struct rollout_hook *hooks; /* borrowed, in order */
    size_t hook_count;
    const struct rollout_migration *migrations; /* borrowed, in order: those still to be run */
    size_t migration_count;
    bool no_way_back; /* what some node would go back to is from before an irreversible migration
                       * that an earlier rollout has run */
    uint64_t seed;    /* jitter */
};

enum action_kind { ACTION_STEP, ACTION_CANCEL };
#define NO_NODE SIZE_MAX
struct action {
    enum action_kind kind;
    uint32_t id; /* grows; a cancel has the id of what it cancels */
    size_t node; /* NO_NODE: a runner hook that belongs to no node */
    enum step_kind step;
    enum release_choice release;
    size_t hook;        /* index, for STEP_HOOK */
    size_t migration;   /* index, for STEP_BACKUP, STEP_MIGRATE and STEP_UNMIGRATE */
    uint32_t token;     /* the same for a repeated action whose first answer was lost; else fresh */
    bool undo;          /* part of an undo track */
    int64_t timeout_ms; /* the node's or engine's own limit for the work */
    enum rollout_result result; /* for STEP_RELEASE */
    size_t wave;
    uint32_t share; /* for STEP_SHIFT: to bring about; for STEP_ENABLE: of the wave under way */
};

enum event_kind {
    EVENT_START,
    EVENT_DONE,
    EVENT_TICK,
    EVENT_LOST,
    EVENT_INTERRUPT,
    EVENT_LEASE_LOST,
    EVENT_PAUSE, /* hold at the end of the wave */
    EVENT_ABORT  /* undo */
};
enum done_status {
    DONE_OK,
    DONE_FAILED,
    DONE_TIMED_OUT,
    DONE_CANCELLED,
    DONE_REFUSED,
    DONE_UNREACHABLE,
    DONE_UNDECIDED /* STEP_JUDGE */
};
struct event {
    enum event_kind kind;
    int64_t now_ms;          /* never smaller than the last one's */
    size_t node;             /* EVENT_DONE, EVENT_LOST */
    uint32_t action_id;      /* EVENT_DONE: answers to unknown or finished ids are ignored */
    enum done_status status; /* a probe: DONE_OK healthy, DONE_FAILED unhealthy */
    bool retryable;          /* DONE_FAILED: another try may help */
    bool hopeless;           /* a connect that is DONE_UNREACHABLE: the next try would be answered
                              * the same way (credentials, host key), so none is made 
                              * A probe that is DONE_FAILED: what runs there will not recover; its
                              * gate closes, or its bake ends, at once */
    bool leads;               /* STEP_LEADER, DONE_OK */
    uint32_t others_retries;  /* of `max_retries`: taken so far by what is no node (balancers, discoveries) */
    bool retaken; /* STEP_LOCK, DONE_OK: what follows was read again */
    /* STEP_PREFLIGHT, DONE_OK, and with `retaken`: */
    bool at_target;   /* current release is the target and committed */
    bool has_release; /* something is current; with touched or runs_target: there is a release to go
                       * back to */
    bool touched;     /* an earlier run, which this one undoes, goes on with or replaces, has changed this node */
    bool runs_target; /* with waves_passed: the target runs here, not committed */
    bool stays;       /* is not to be changed */
    bool left_out;    /* with touched, or outside: runs what it ran, and an earlier run has left it out of service */
};

/* What happened, for the sinks; in order. */
enum note_kind {
    NOTE_STATE,
    NOTE_WAVE,
    NOTE_PHASE,
    NOTE_PROBE,
    NOTE_RETRY,
    NOTE_BREAKER,
    NOTE_TROUBLE,
    NOTE_OUTCOME,
    NOTE_BUDGET_SPENT,
    NOTE_BLOCKED, /* value 1: by the quorum, from the start */
    NOTE_DEFERRED, /* it leads: it goes last */
    NOTE_MIGRATION,
    NOTE_RESULT
};
enum spend_reason {
    SPENT_BY_FAILURES,
    SPENT_BY_PROGRESS_DEADLINE,
    SPENT_BY_CAPACITY,
    SPENT_BY_HOOK,
    SPENT_BY_MIGRATION,
    SPENT_BY_VERDICT,
    SPENT_BY_SHIFT,
    SPENT_BY_CONTROL,
    SPENT_BY_ABORT
};
const char *spend_reason_name(enum spend_reason reason);
struct note {
    enum note_kind kind;
    size_t node; /* or NO_NODE */
    size_t wave; /* NOTE_WAVE: 0-based */
    int value;   /* the enum value that belongs to the kind: state, phase, trouble, outcome, result;
                  * NOTE_BUDGET_SPENT: enum spend_reason;   NOTE_PROBE: 1 healthy, 0 not;
                  * NOTE_MIGRATION: enum migration_state; NOTE_BREAKER: enum breaker_state */
    size_t migration; /* NOTE_MIGRATION */
    int64_t delay_ms; /* NOTE_RETRY */
};

/* What this rollout knows of a migration. */
enum migration_state {
    MIGRATION_PENDING,
    MIGRATION_DONE,
    MIGRATION_FAILED,  /* not done, and known not to be */
    MIGRATION_UNKNOWN, /* sent, and nobody knows what became of it */
    MIGRATION_UNDONE,
    MIGRATION_STATES
};
const char *migration_state_name(enum migration_state state);

struct rollout;

/* Allocates everything it will ever need in `arena`. ERR_INPUT when the config breaks a stated
 * bound. */
int rollout_create(struct rollout **out, const struct rollout_config *config, struct arena *arena,
                   struct err *err);

/* Both arrays are the machine's, valid until the next step. */
struct update {
    const struct action *actions;
    size_t action_count;
    const struct note *notes;
    size_t note_count;
};
void rollout_step(struct rollout *rollout, const struct event *event, struct update *out);

/* When to send EVENT_TICK if nothing else comes; INT64_MAX: nothing to wait for. */
int64_t rollout_next_tick_ms(const struct rollout *rollout);

enum rollout_state rollout_state(const struct rollout *rollout);
enum rollout_result
rollout_result(const struct rollout *rollout); /* RESULT_RUNNING until it finished */
size_t rollout_wave(const struct rollout *rollout);
/* Waves that have ended well, those of an earlier run too: what a later run goes on after. */
size_t rollout_waves_passed(const struct rollout *rollout);

enum migration_state rollout_migration(const struct rollout *rollout, size_t migration);
/* An irreversible migration was sent, or config.no_way_back: nothing is rolled back. */
bool rollout_no_way_back(const struct rollout *rollout);

/* One node as it stands. */
struct node_view {
    enum node_phase phase;
    enum node_outcome outcome;
    enum node_trouble trouble;
    enum step_kind trouble_step;
    size_t wave;
    bool touched;
    bool committed; /* by this run, or by one that it goes on with */
    bool unhealthy_before;
    bool control; /* this run has taken it out to restart it as it was */
    bool fresh;   /* ... it came in again, and was not changed since */
    const struct gate *gate; /* counts of the gate or bake under way */
};
void rollout_node(const struct rollout *rollout, size_t node, struct node_view *out);

#endif
