#include "rollout_internal.h"

static struct action *add_action(struct rollout *rollout)
{
    if (rollout->action_count >= rollout->action_capacity)
        __builtin_trap();
    return &rollout->actions[rollout->action_count++];
}

void action_touch(struct rollout *rollout, struct walker *walker)
{
    if (walker->touched)
        return;
    walker->touched = true;
    rollout->touch_order[rollout->touched_count++] = walker->node;
}

/* What is true of a node from the moment an action is sent, whatever comes back. */
static void note_sent(struct rollout *rollout, struct walker *walker, enum step_kind kind)
{
    if (step_rules[kind].touches) {
        walker->serves = walker->fresh = false;
        walker->control = walker->track == TRACK_REFRESH;
    }
    if (step_rules[kind].touches && walker->track == TRACK_CHANGE) {
        walker->changed = true;
        action_touch(rollout, walker);
    }
    if (kind == STEP_LOCK)
        walker->locked = true;
    if (kind == STEP_ACTIVATE)
        walker->activated = true;
    if (kind == STEP_ENABLE) {
        walker->drained = false;
        shift_grew_stale(rollout);
    }
    if (kind == STEP_SHIFT)
        shift_sent(rollout);
    if (kind == STEP_BACKUP || kind == STEP_MIGRATE || kind == STEP_UNMIGRATE)
        migration_sent(rollout, kind);
    if (kind == STEP_HOOK && rollout->config.hooks[walker->hook].place == PLACE_FIRST)
        rollout->hook_holder[walker->hook] = walker->node;
}

static int64_t time_limit_ms(const struct rollout *rollout, const struct walker *walker,
                             enum step_kind kind)
{
    if (kind == STEP_BACKUP || kind == STEP_MIGRATE || kind == STEP_UNMIGRATE)
        return rollout->config.migrations[rollout->migration].timeout_ms;
    return kind == STEP_HOOK ? rollout->config.hooks[walker->hook].timeout_ms
                             : rollout->config.timeout_ms[kind];
}

static size_t migration_of(const struct rollout *rollout, enum step_kind kind)
{
    return kind == STEP_BACKUP || kind == STEP_MIGRATE || kind == STEP_UNMIGRATE
               ? rollout->migration
               : 0;
}

static void send_step(struct rollout *rollout, struct walker *walker, enum step_kind kind)
{
    const struct track *track = &tracks[walker->track];
    int64_t timeout_ms = time_limit_ms(rollout, walker, kind);

    if (kind == STEP_CONNECT || walker->token == 0)
        rollout->tokens++;
    if (kind != STEP_CONNECT && walker->token == 0)
        walker->token = rollout->tokens;
    note_sent(rollout, walker, kind);
    walker->flying = kind;
    walker->action_id = ++rollout->ids;
    walker->deadline = rollout->now + timeout_ms;
    walker->cancelled = false;
    walker->counts = step_rules[kind].counts && walker->node != NO_NODE;
    rollout->flying += walker->counts;
    walker_set(rollout, walker, WALK_FLYING);
    *add_action(rollout) = (struct action){
        .kind = ACTION_STEP,
        .id = walker->action_id,
        .node = walker->node,
        .step = kind,
        .release = track->release,
        .hook = kind == STEP_HOOK ? walker->hook : 0,
        .migration = migration_of(rollout, kind),
        .token = kind == STEP_CONNECT ? rollout->tokens : walker->token,
        .undo = track->undo,
        .timeout_ms = timeout_ms,
        .result = rollout->planned,
        .wave = rollout->wave,
        .share = track->undo ? 0 : shift_share(rollout),
    };
}

/* A hook that runs once is waited for by all who come to it. */
static bool waits_for_hook(const struct rollout *rollout, const struct walker *walker)
{
    const struct track_step *step = walker_step(walker);
    size_t holder;

    if (step->kind != STEP_HOOK || rollout->config.hooks[walker->hook].place != PLACE_FIRST)
        return false;
    holder = rollout->hook_holder[walker->hook];
    return holder != NO_NODE && holder != walker->node && !rollout->hook_ended[walker->hook];
}

void action_launch(struct rollout *rollout, struct walker *walker)
{
    enum step_kind kind;

    if (walker->walk != WALK_READY || waits_for_hook(rollout, walker) ||
        lock_waits(rollout, walker))
        return;
    kind = walker_step(walker)->kind;
    if (walker->node != NO_NODE && !walker->connected && !walker_on_runner(rollout, walker))
        kind = STEP_CONNECT;
    if (step_rules[kind].counts && walker->node != NO_NODE && !capacity_forks_left(rollout))
        return;
    if (breaker_holds(rollout, walker, kind))
        return;
    if (step_rules[kind].touches && capacity_park(rollout, walker))
        return;
    send_step(rollout, walker, kind);
}

static void relaunch(struct rollout *rollout, struct walker *walker)
{
    const struct track_step *step;

    if (walker->walk != WALK_READY)
        return;
    step = walker_step(walker);
    if (step->kind == STEP_HOOK && rollout->hook_ended[walker->hook])
        walker_advance(rollout, walker);
    action_launch(rollout, walker);
}

void action_launch_ready(struct rollout *rollout)
{
    lock_look(rollout);
    for (size_t i = 0; i < rollout->undone_count; i++)
        if (rollout->walkers[rollout->undo_order[i]].track == TRACK_UNDO)
            relaunch(rollout, &rollout->walkers[rollout->undo_order[i]]);
    for (size_t i = 0; i < rollout->config.node_count; i++)
        relaunch(rollout, &rollout->walkers[rollout->order[i]]);
    relaunch(rollout, &rollout->walkers[rollout->config.node_count]);
}

void action_cancel(struct rollout *rollout, struct walker *walker)
{
    walker->cancelled = true;
    walker->deadline = rollout->now + rollout->config.cancel_grace_ms;
    *add_action(rollout) = (struct action){
        .kind = ACTION_CANCEL,
        .id = walker->action_id,
        .node = walker->node,
        .step = walker->flying,
        .release = tracks[walker->track].release,
        .hook = walker->flying == STEP_HOOK ? walker->hook : 0,
        .migration = migration_of(rollout, walker->flying),
        .token = walker->token,
        .undo = tracks[walker->track].undo,
        .result = rollout->planned,
    };
}

static void landed(struct rollout *rollout, struct walker *walker)
{
    rollout->flying -= walker->counts;
    walker->counts = false;
    walker->action_id = 0;
    walker_set(rollout, walker, WALK_READY);
}

static enum node_trouble trouble_of(enum done_status status)
{
    static const enum node_trouble troubles[] = {
        [DONE_OK] = TROUBLE_NONE,
        [DONE_FAILED] = TROUBLE_STEP_FAILED,
        [DONE_TIMED_OUT] = TROUBLE_STEP_TIMED_OUT,
        [DONE_CANCELLED] = TROUBLE_STEP_FAILED,
        [DONE_REFUSED] = TROUBLE_REFUSED,
        [DONE_UNREACHABLE] = TROUBLE_UNREACHABLE,
        [DONE_UNDECIDED] = TROUBLE_STEP_FAILED,
    };

    return troubles[status];
}

static bool retries_left(const struct rollout *rollout)
{
    return (uint64_t)rollout->retries + rollout->others_retries < rollout->config.max_retries;
}

/* Backs off before the next try; false when tries, or the rollout's retries, are used up. */
static bool back_off(struct rollout *rollout, struct walker *walker, uint32_t *tries)
{
    int64_t delay_ms;

    if (walker->outside || ++*tries >= rollout->config.attempts || walker->trial_failed || !retries_left(rollout) ||
        rollout_halted(rollout))
        return false;
    rollout->retries++;
    delay_ms = backoff_delay_ms(&rollout->config.backoff, *tries - 1, &rollout->random);
    walker->wake_at = rollout->now + delay_ms;
    walker_set(rollout, walker, WALK_WAITING);
    rollout_note_delay(rollout, walker->node, delay_ms);
    return true;
}

static void connect_answered(struct rollout *rollout, struct walker *walker,
                             const struct event *event)
{
    bool silent = event->status == DONE_UNREACHABLE || event->status == DONE_TIMED_OUT ||
                  event->status == DONE_CANCELLED;

    if (event->status == DONE_OK) {
        walker->connected = true;
        walker->connect_tries = 0;
        walker_advance(rollout, walker);
    } else if (!walker_may_go_on(rollout, walker)) {
        walker_rest(rollout, walker);
    } else if ((silent || event->retryable) && !event->hopeless && walker->track != TRACK_RELEASE &&
               back_off(rollout, walker, &walker->connect_tries)) {
        return;
    } else {
        walker->connect_tries = 0;
        walker_failed(rollout, walker, silent ? TROUBLE_UNREACHABLE : trouble_of(event->status));
    }
}

/* A gate or a bake: an answer that did not come is no evidence of health. */
static void watch_answered(struct rollout *rollout, struct walker *walker,
                           const struct event *event)
{
    bool healthy = event->status == DONE_OK, probe = walker->flying == STEP_PROBE;

    walker_watched(rollout, walker, healthy);
    if (probe && event->status == DONE_FAILED && event->hopeless)
        gate_give_up(&walker->gate);
    if (probe && event->status != DONE_UNREACHABLE)
        walker->unseen = false;
    if (probe)
        rollout_note(rollout, NOTE_PROBE, walker->node, healthy);
    if (walker_may_go_on(rollout, walker))
        walker_watch(rollout, walker);
    else
        walker_rest(rollout, walker);
}

static void baseline_answered(struct rollout *rollout, struct walker *walker, bool healthy)
{
    walker->unhealthy_before = !healthy;
    rollout_note(rollout, NOTE_PROBE, walker->node, healthy);
    if (!healthy)
        walker_trouble(rollout, walker, TROUBLE_UNHEALTHY_BEFORE);
    walker_passed(rollout, walker);
}

/* Its wave has passed without it. */
static void comes_late(const struct rollout *rollout, struct walker *walker)
{
    size_t first = rollout->config.waves_passed, last = rollout->config.waves.count - 1;

    if (walker->wave < first)
        walker->wave = first < last ? first : last;
}

static void take_facts(struct rollout *rollout, struct walker *walker, const struct event *event)
{
    walker->at_target = event->at_target;
    walker->has_release = event->has_release;
    walker->begun = event->touched && !walker->outside;
    walker->stays = event->stays;
    walker->left_out = event->left_out;
    walker->adopted = event->runs_target && !walker->stays && !walker->outside && !rollout->config.unwinds &&
                      walker->wave < rollout->config.waves_passed;
    if (!walker->adopted)
        comes_late(rollout, walker);
}

/* Effects of a step that is done. */
static void step_done(struct rollout *rollout, struct walker *walker, const struct event *event)
{
    if (walker->flying == STEP_PREFLIGHT || (walker->flying == STEP_LOCK && event->retaken))
        take_facts(rollout, walker, event);
    if (walker->flying == STEP_DRAIN)
        walker->drained = true;
    if (walker->flying == STEP_RELEASE)
        walker->locked = false;
    if (walker->flying == STEP_COMMIT)
        walker->committed = true;
    if (walker->flying == STEP_LEADER && event->leads && leader_is_asked(rollout, walker)) {
        leader_defers(rollout, walker);
        return;
    }
    walker_passed(rollout, walker);
}

static void not_reached(struct rollout *rollout, struct walker *walker)
{
    if (!walker_may_go_on(rollout, walker))
        walker_rest(rollout, walker);
    else if (!back_off(rollout, walker, &walker->tries))
        walker_failed(rollout, walker, TROUBLE_UNREACHABLE);
}

static bool retried(struct rollout *rollout, struct walker *walker, const struct event *event)
{
    if (event->status != DONE_FAILED || !event->retryable || !walker_may_go_on(rollout, walker))
        return false;
    if (!step_rules[walker->flying].retry_failed)
        return false;
    walker->token = 0;
    return back_off(rollout, walker, &walker->tries);
}

/* No verdict is neither good nor bad. */
static void judge_answered(struct rollout *rollout, struct walker *walker, enum done_status status)
{
    if (status == DONE_FAILED)
        failure_spend(rollout, SPENT_BY_VERDICT);
    else if (status != DONE_OK)
        rollout->held = true;
    walker_passed(rollout, walker);
}

static void step_answered(struct rollout *rollout, struct walker *walker, const struct event *event)
{
    bool on_runner = walker_on_runner(rollout, walker);
    bool drain_over = walker->flying == STEP_DRAIN && event->status == DONE_TIMED_OUT;

    if (walker->flying == STEP_JUDGE) {
        judge_answered(rollout, walker, event->status);
    } else if (walker->flying == STEP_SHIFT) {
        shift_answered(rollout, walker, event->status);
        walker_passed(rollout, walker);
    } else if (event->status == DONE_OK || drain_over) {
        step_done(rollout, walker, event);
    } else if (event->status == DONE_UNREACHABLE && !on_runner) {
        not_reached(rollout, walker);
    } else if (walker->flying == STEP_PROBE && event->status != DONE_REFUSED) {
        baseline_answered(rollout, walker, false);
    } else if (retried(rollout, walker, event)) {
        return;
    } else if (walker->flying == STEP_HOOK && rollout->config.hooks[walker->hook].ignore_failure) {
        walker_passed(rollout, walker);
    } else {
        walker_failed(rollout, walker,
                      on_runner && event->status == DONE_UNREACHABLE ? TROUBLE_STEP_TIMED_OUT
                                                                     : trouble_of(event->status));
    }
}

/* An action that was cancelled, and says so, ended because of us. */
static enum done_status normal_status(const struct walker *walker, enum done_status status)
{
    return walker->cancelled && (status == DONE_CANCELLED || status == DONE_FAILED) ? DONE_TIMED_OUT
                                                                                    : status;
}

void action_answered(struct rollout *rollout, struct walker *walker, const struct event *event)
{
    struct event answer = *event;
    bool cut_short = walker->cancelled && rollout_halted(rollout);

    answer.status = normal_status(walker, event->status);
    landed(rollout, walker);
    if (!cut_short)
        breaker_heard(rollout, walker, answer.status);
    if (answer.status == DONE_UNREACHABLE && !walker_on_runner(rollout, walker))
        walker_disconnected(walker);
    if (cut_short && answer.status != DONE_OK) {
        walker_trouble(rollout, walker,
                       rollout->lease_lost ? TROUBLE_LEASE_LOST : TROUBLE_INTERRUPTED);
        walker_rest(rollout, walker);
    } else if (walker->flying == STEP_CONNECT) {
        connect_answered(rollout, walker, &answer);
    } else if (walker->flying == STEP_READY || (walker->flying == STEP_PROBE &&
                                                walker_step(walker)->watch != WATCH_ONCE)) {
        watch_answered(rollout, walker, &answer);
    } else if (walker->flying == STEP_PROBE && answer.status == DONE_OK) {
        baseline_answered(rollout, walker, true);
    } else {
        step_answered(rollout, walker, &answer);
    }
}

void action_lost(struct rollout *rollout, struct walker *walker)
{
    static const struct event unreachable = {.kind = EVENT_DONE, .status = DONE_UNREACHABLE};

    walker_disconnected(walker);
    if (walker->walk == WALK_FLYING && step_rules[walker->flying].connected &&
        !walker_on_runner(rollout, walker))
        action_answered(rollout, walker, &unreachable);
}
