#include "rollout_internal.h"

bool rollout_halted(const struct rollout *rollout)
{
    return rollout->interrupted || rollout->lease_lost;
}

bool rollout_has_hook(const struct rollout *rollout, enum hook_moment moment)
{
    for (size_t i = 0; i < rollout->config.hook_count; i++)
        if (rollout->config.hooks[i].moment == moment)
            return true;
    return false;
}

bool rollout_hook_is_fleetwide(const struct rollout *rollout, const struct rollout_hook *hook)
{
    (void)rollout;
    return hook->place == PLACE_RUNNER &&
           (hook->moment == MOMENT_AFTER_STAGE || hook->moment == MOMENT_ON_FAILURE);
}

static struct note *add_note(struct rollout *rollout)
{
    if (rollout->note_count >= rollout->note_capacity)
        __builtin_trap();
    return &rollout->notes[rollout->note_count++];
}

void rollout_note(struct rollout *rollout, enum note_kind kind, size_t node, int value)
{
    *add_note(rollout) =
        (struct note){.kind = kind, .node = node, .wave = rollout->wave, .value = value};
}

void rollout_note_migration(struct rollout *rollout, size_t node, size_t migration,
                            enum migration_state state)
{
    *add_note(rollout) = (struct note){.kind = NOTE_MIGRATION,
                                       .node = node,
                                       .wave = rollout->wave,
                                       .value = (int)state,
                                       .migration = migration};
}

void rollout_note_delay(struct rollout *rollout, size_t node, int64_t delay_ms)
{
    *add_note(rollout) = (struct note){
        .kind = NOTE_RETRY, .node = node, .wave = rollout->wave, .delay_ms = delay_ms};
}

/* The states of the fleet: what begins on entry, who may begin later, and where it goes once
 * everyone rests. */
struct fleet_state {
    void (*enter)(struct rollout *rollout);
    void (*admit)(struct rollout *rollout);
    enum rollout_state (*next)(struct rollout *rollout);
};

void rollout_begin_all(struct rollout *rollout, enum track_kind track,
                       bool (*wanted)(const struct rollout *, const struct walker *))
{
    for (size_t i = 0; i < rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[rollout->order[i]];

        if (wanted(rollout, walker))
            walker_begin(rollout, walker, track);
    }
}

static bool wants_setup(const struct rollout *rollout, const struct walker *walker)
{
    (void)rollout;
    (void)walker;
    return true;
}

static bool wants_change(const struct rollout *rollout, const struct walker *walker)
{
    (void)rollout;
    return walker->work;
}

static bool wants_bake(const struct rollout *rollout, const struct walker *walker)
{
    return walker->outcome == NODE_UPDATED &&
           (walker->wave == rollout->wave || rollout->config.rules);
}

static bool wants_commit(const struct rollout *rollout, const struct walker *walker)
{
    (void)rollout;
    return walker->outcome == NODE_UPDATED && !walker->committed;
}

static bool wants_failure_hook(const struct rollout *rollout, const struct walker *walker)
{
    (void)rollout;
    return walker->touched && walker->connected;
}

static bool wants_release(const struct rollout *rollout, const struct walker *walker)
{
    (void)rollout;
    return walker->locked;
}

struct walker *rollout_runner(struct rollout *rollout)
{
    return &rollout->walkers[rollout->config.node_count];
}

static void enter_setup(struct rollout *rollout)
{
    rollout_begin_all(rollout, TRACK_SETUP, wants_setup);
}

static void enter_staging(struct rollout *rollout)
{
    rollout_begin_all(rollout, TRACK_STAGE, wants_change);
}

static void enter_staged_hooks(struct rollout *rollout)
{
    rollout_begin_all(rollout, TRACK_STAGED, wants_change);
    walker_begin(rollout, rollout_runner(rollout), TRACK_STAGED);
}

/* A wave with a rule needs no node that is left to change: it has a share, a bake, a verdict. */
static size_t next_wave(const struct rollout *rollout)
{
    bool ruled = rollout->config.rules && rollout->touched_count > 0 &&
                 rollout->waves_passed < rollout->config.waves.count;
    size_t next = ruled ? rollout->waves_passed : SIZE_MAX;

    for (size_t i = 0; i < rollout->config.node_count; i++)
        if (rollout->walkers[i].work && rollout->walkers[i].wave < next)
            next = rollout->walkers[i].wave;
    return next;
}

static void enter_wave(struct rollout *rollout)
{
    rollout->wave = next_wave(rollout);
    rollout->progress_by = rollout->now + rollout->config.progress_deadline_ms;
    rollout_note(rollout, NOTE_WAVE, NO_NODE, (int)rollout->wave);
}

int64_t rollout_bake_ms(const struct rollout *rollout)
{
    return rollout->config.rules ? rollout->config.rules[rollout->wave].bake_ms
                                 : rollout->config.bake_ms;
}

static void enter_bake(struct rollout *rollout)
{
    rollout->bake_until = rollout->now + rollout_bake_ms(rollout);
    rollout_begin_all(rollout, TRACK_BAKE, wants_bake);
}

static void enter_judge(struct rollout *rollout)
{
    walker_begin(rollout, rollout_runner(rollout), TRACK_JUDGE);
}

static void enter_commit(struct rollout *rollout)
{
    rollout_begin_all(rollout, TRACK_COMMIT, wants_commit);
}

static void enter_undo(struct rollout *rollout)
{
    if (rollout->config.unwinds)
        failure_adopt(rollout);
    for (size_t i = 0; i < rollout->touched_count; i++) {
        struct walker *walker = &rollout->walkers[rollout->touch_order[i]];
        bool settled = walker->outcome == NODE_RESTORED || walker->outcome == NODE_NEEDS_CARE;

        if (refresh_made_good(rollout, walker))
            continue;
        walker->undo_due = (walker->track != TRACK_UNDO || walker->parked) && !settled;
    }
}

static void enter_on_failure(struct rollout *rollout)
{
    rollout_begin_all(rollout, TRACK_FAILURE, wants_failure_hook);
    walker_begin(rollout, rollout_runner(rollout), TRACK_FAILURE);
}

static void enter_release(struct rollout *rollout)
{
    failure_freeze(rollout);
    rollout->planned = failure_result(rollout);
    rollout_begin_all(rollout, TRACK_RELEASE, wants_release);
}

static void enter_finished(struct rollout *rollout)
{
    failure_freeze(rollout);
    if (rollout->planned == RESULT_RUNNING)
        rollout->planned = failure_result(rollout);
    rollout->result = rollout->planned;
    rollout_note(rollout, NOTE_RESULT, NO_NODE, (int)rollout->result);
}

static void enter_migrations(struct rollout *rollout)
{
    (void)rollout;
}

static void admit_nobody(struct rollout *rollout)
{
    (void)rollout;
}

static enum rollout_state after_undo(struct rollout *rollout)
{
    if (shift_moved(rollout) && !rollout->config.switches && rollout->state == ROLLOUT_UNDO)
        return ROLLOUT_SHIFT_BACK;
    return !rollout->config.unwinds && rollout_has_hook(rollout, MOMENT_ON_FAILURE)
               ? ROLLOUT_ON_FAILURE
               : ROLLOUT_RELEASE;
}

/* What serves is switched back before anything is taken down. */
static enum rollout_state begin_of_undo(const struct rollout *rollout)
{
    return rollout->config.switches && shift_moved(rollout) ? ROLLOUT_LOOK_BACK : ROLLOUT_UNDO;
}

static enum rollout_state after_look_back(struct rollout *rollout)
{
    if (shift_somebody_to_go_back(rollout))
        return ROLLOUT_SHIFT_BACK;
    return after_undo(rollout);
}

static enum rollout_state to_wave(struct rollout *rollout);

static enum rollout_state after_shift_back(struct rollout *rollout)
{
    if (!rollout->config.switches)
        return rollout->spent || rollout->config.unwinds ? after_undo(rollout) : to_wave(rollout);
    if (!shift_moved(rollout))
        return ROLLOUT_UNDO;
    shift_gives_up(rollout);
    return after_undo(rollout);
}

static enum rollout_state after_failure(struct rollout *rollout)
{
    if (failure_rolls_back(rollout))
        return begin_of_undo(rollout);
    return shift_all_went_back(rollout) ? ROLLOUT_SHIFT_BACK : after_undo(rollout);
}

static enum rollout_state to_release(struct rollout *rollout)
{
    (void)rollout;
    return ROLLOUT_RELEASE;
}

/* Old code may run as long as some node is not on the target: what contracts waits. */
static enum rollout_state to_contract(struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++) {
        enum node_outcome outcome = rollout->walkers[i].outcome;

        if (outcome != NODE_UPDATED && outcome != NODE_UNCHANGED)
            return ROLLOUT_RELEASE;
    }
    return !rollout->spent && migration_waits(rollout, true) ? ROLLOUT_CONTRACT : ROLLOUT_RELEASE;
}

static enum rollout_state to_wave(struct rollout *rollout)
{
    if (rollout->spent)
        return after_failure(rollout);
    if (shift_has_nobody(rollout))
        return ROLLOUT_SHIFT_BACK;
    if (rollout->held)
        return ROLLOUT_RELEASE;
    if (next_wave(rollout) == SIZE_MAX)
        return ROLLOUT_COMMIT;
    rollout->held = rollout->paused;
    return rollout->held ? ROLLOUT_RELEASE : ROLLOUT_WAVE;
}

/* The wave has ended; well, unless the budget is spent or nobody knows. */
static enum rollout_state end_wave(struct rollout *rollout)
{
    const struct wave_rule *rules = rollout->config.rules;

    if (rollout->spent)
        return to_wave(rollout);
    rollout->waves_passed = rollout->wave + 1;
    if (rules && rules[rollout->wave].manual && next_wave(rollout) != SIZE_MAX)
        rollout->held = true;
    return to_wave(rollout);
}

static enum rollout_state to_expand(struct rollout *rollout)
{
    return !rollout->spent && migration_waits(rollout, false) ? ROLLOUT_EXPAND : to_wave(rollout);
}

static enum rollout_state after_staging(struct rollout *rollout)
{
    bool hooks = rollout_has_hook(rollout, MOMENT_AFTER_STAGE);

    return !rollout->spent && hooks && next_wave(rollout) != SIZE_MAX ? ROLLOUT_STAGED_HOOKS
                                                                      : to_expand(rollout);
}

/* A switch moves all instances of a side: while one has to change, those that serve the release already change with it. */
static void change_together(struct rollout *rollout)
{
    bool any = next_wave(rollout) != SIZE_MAX;

    for (size_t i = 0; i < rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[i];
        bool serves = walker->at_target && !walker->stays && !walker->outside && !walker->adopted && !walker->work && !walker->committed;
        if (serves && any)
            walker->work = true;
        else if (serves)
            walker_outcome(rollout, walker, NODE_UNCHANGED);
    }
}

static enum rollout_state after_setup(struct rollout *rollout)
{
    if (rollout->setup_refused || rollout->setup_unreachable)
        return ROLLOUT_RELEASE;
    if (rollout->config.unwinds)
        return begin_of_undo(rollout);
    if (rollout->config.switches)
        change_together(rollout);
    failure_go_on(rollout);
    if (rollout->aborted)
        failure_spend(rollout, SPENT_BY_ABORT);
    if (!rollout->spent && rollout->touched_count == 0 && capacity_quorum_is_hopeless(rollout)) {
        rollout_note(rollout, NOTE_BLOCKED, NO_NODE, 1);
        rollout->setup_refused = true;
        return ROLLOUT_RELEASE;
    }
    if (rollout->spent)
        return to_wave(rollout);
    if (next_wave(rollout) == SIZE_MAX && migration_waits(rollout, false))
        return ROLLOUT_EXPAND;
    if (next_wave(rollout) == SIZE_MAX)
        return rollout->touched_count > 0 ? to_wave(rollout) : to_contract(rollout);
    if (rollout->config.stages)
        return ROLLOUT_STAGING;
    return rollout->config.stages_again ? after_staging(rollout) : to_expand(rollout);
}

static bool someone_bakes(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++)
        if (wants_bake(rollout, &rollout->walkers[i]))
            return true;
    return false;
}

static enum rollout_state to_bake(struct rollout *rollout)
{
    return !rollout->spent && rollout_bake_ms(rollout) > 0 && someone_bakes(rollout)
               ? ROLLOUT_BAKE
               : end_wave(rollout);
}

static enum rollout_state to_shift(struct rollout *rollout)
{
    if (rollout->spent || !shift_is_due(rollout))
        return to_bake(rollout);
    return shift_needs_look(rollout) ? ROLLOUT_LOOK : ROLLOUT_SHIFT;
}

static enum rollout_state after_wave(struct rollout *rollout)
{
    return !rollout->spent && refresh_is_due(rollout) ? ROLLOUT_REFRESH : to_shift(rollout);
}

static enum rollout_state after_bake(struct rollout *rollout)
{
    return !rollout->spent && rollout->config.judged && someone_bakes(rollout) ? ROLLOUT_JUDGE
                                                                               : end_wave(rollout);
}

static enum rollout_state to_finished(struct rollout *rollout)
{
    (void)rollout;
    return ROLLOUT_FINISHED;
}

static const struct fleet_state states[] = {
    [ROLLOUT_SETUP] = {enter_setup, admit_nobody, after_setup},
    [ROLLOUT_STAGING] = {enter_staging, capacity_admit_undo_within, after_staging},
    [ROLLOUT_STAGED_HOOKS] = {enter_staged_hooks, capacity_admit_undo_within, to_expand},
    [ROLLOUT_EXPAND] = {enter_migrations, migration_admit_expand, to_wave},
    [ROLLOUT_WAVE] = {enter_wave, capacity_admit_wave, after_wave},
    [ROLLOUT_REFRESH] = {refresh_enter, capacity_admit_refresh, to_shift},
    [ROLLOUT_LOOK] = {shift_enter_look, capacity_admit_undo, to_shift},
    [ROLLOUT_SHIFT] = {shift_enter, admit_nobody, to_bake},
    [ROLLOUT_BAKE] = {enter_bake, capacity_admit_undo, after_bake},
    [ROLLOUT_JUDGE] = {enter_judge, capacity_admit_undo, end_wave},
    [ROLLOUT_COMMIT] = {enter_commit, admit_nobody, to_contract},
    [ROLLOUT_CONTRACT] = {enter_migrations, migration_admit_contract, to_release},
    [ROLLOUT_LOOK_BACK] = {shift_enter_look_back, admit_nobody, after_look_back},
    [ROLLOUT_SHIFT_BACK] = {shift_enter_back, admit_nobody, after_shift_back},
    [ROLLOUT_UNDO] = {enter_undo, capacity_admit_undo, after_undo},
    [ROLLOUT_ON_FAILURE] = {enter_on_failure, admit_nobody, to_release},
    [ROLLOUT_RELEASE] = {enter_release, admit_nobody, to_finished},
    [ROLLOUT_FINISHED] = {enter_finished, admit_nobody, to_finished},
};

static void enter(struct rollout *rollout, enum rollout_state state)
{
    rollout->state = state;
    rollout_note(rollout, NOTE_STATE, NO_NODE, (int)state);
    states[state].enter(rollout);
}

static enum rollout_state next_state(struct rollout *rollout)
{
    if (rollout_halted(rollout) && rollout->state < ROLLOUT_RELEASE)
        return ROLLOUT_RELEASE;
    return states[rollout->state].next(rollout);
}

/* What is done for the fleet has an end of its own; and a look back begins when nobody is under way. */
static bool undo_waits(const struct rollout *rollout)
{
    return rollout->state == ROLLOUT_EXPAND || rollout->state == ROLLOUT_SHIFT ||
           begin_of_undo(rollout) == ROLLOUT_LOOK_BACK;
}

/* Who comes to rest instead of being sent may let another one go. */
static void launch(struct rollout *rollout)
{
    size_t before;

    do {
        before = rollout->active;
        action_launch_ready(rollout);
    } while (rollout->active < before);
}

/* Starts what may start and moves the fleet on until someone is under way. */
static void settle(struct rollout *rollout)
{
    while (rollout->state != ROLLOUT_FINISHED) {
        bool undoes = rollout->spent && failure_rolls_back(rollout) && !rollout_halted(rollout);

        if (undoes && rollout->state < ROLLOUT_LOOK_BACK && !undo_waits(rollout))
            enter(rollout, begin_of_undo(rollout));
        launch(rollout);
        if (!rollout_halted(rollout))
            states[rollout->state].admit(rollout);
        if (rollout->active > 0)
            return;
        enter(rollout, next_state(rollout));
    }
}

static void take_done(struct rollout *rollout, const struct event *event)
{
    size_t place = event->node == NO_NODE ? rollout->config.node_count : event->node;
    struct walker *walker;

    if (place > rollout->config.node_count || event->status > DONE_UNDECIDED)
        return;
    walker = &rollout->walkers[place];
    if (walker->walk == WALK_FLYING && walker->action_id == event->action_id)
        action_answered(rollout, walker, event);
}

static void take_abort(struct rollout *rollout)
{
    if (!rollout->started || rollout->config.unwinds || rollout->state >= ROLLOUT_COMMIT)
        return;
    rollout->aborted = true;
    if (rollout->state != ROLLOUT_SETUP && rollout->state != ROLLOUT_EXPAND)
        failure_spend(rollout, SPENT_BY_ABORT);
}

/* What another runner has is not ours to give back. */
static void take_lease_lost(struct rollout *rollout, size_t node)
{
    rollout->lease_lost = true;
    if (node < rollout->config.node_count)
        rollout->walkers[node].locked = false;
    time_halt(rollout);
}

static void take_event(struct rollout *rollout, const struct event *event)
{
    switch (event->kind) {
    case EVENT_START:
        if (!rollout->started)
            enter(rollout, ROLLOUT_SETUP);
        rollout->started = true;
        break;
    case EVENT_DONE:
        take_done(rollout, event);
        break;
    case EVENT_LOST:
        if (event->node < rollout->config.node_count)
            action_lost(rollout, &rollout->walkers[event->node]);
        break;
    case EVENT_INTERRUPT:
        rollout->interrupted = true;
        time_halt(rollout);
        break;
    case EVENT_LEASE_LOST:
        take_lease_lost(rollout, event->node);
        break;
    case EVENT_PAUSE:
        rollout->paused = true;
        break;
    case EVENT_ABORT:
        take_abort(rollout);
        break;
    case EVENT_TICK:
        break;
    }
}

void rollout_step(struct rollout *rollout, const struct event *event, struct update *out)
{
    rollout->action_count = 0;
    rollout->note_count = 0;
    if (event->now_ms > rollout->now)
        rollout->now = event->now_ms;
    rollout->others_retries = event->others_retries;
    if (rollout->state != ROLLOUT_FINISHED) {
        take_event(rollout, event);
        if (rollout->started) {
            time_expire(rollout);
            settle(rollout);
        }
    }
    *out = (struct update){rollout->actions, rollout->action_count, rollout->notes,
                           rollout->note_count};
}

enum rollout_state rollout_state(const struct rollout *rollout)
{
    return rollout->state;
}

enum rollout_result rollout_result(const struct rollout *rollout)
{
    return rollout->result;
}

enum migration_state rollout_migration(const struct rollout *rollout, size_t migration)
{
    return rollout->migrations[migration];
}

bool rollout_no_way_back(const struct rollout *rollout)
{
    return rollout->no_way_back;
}

size_t rollout_wave(const struct rollout *rollout)
{
    return rollout->wave;
}

void rollout_node(const struct rollout *rollout, size_t node, struct node_view *out)
{
    const struct walker *walker = &rollout->walkers[node];

    *out = (struct node_view){
        .phase = walker->phase,
        .outcome = walker->outcome,
        .trouble = walker->trouble,
        .trouble_step = walker->trouble_step,
        .wave = walker->wave,
        .touched = walker->touched,
        .committed = walker->committed,
        .unhealthy_before = walker->unhealthy_before,
        .control = walker->control,
        .fresh = walker->fresh,
        .gate = &walker->gate,
    };
}

size_t rollout_waves_passed(const struct rollout *rollout)
{
    return rollout->waves_passed;
}
