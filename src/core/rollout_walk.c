#include "rollout_internal.h"

void walker_set(struct rollout *rollout, struct walker *walker, enum walk walk)
{
    if (walker->walk == WALK_RESTING && walk != WALK_RESTING)
        rollout->active++;
    if (walker->walk != WALK_RESTING && walk == WALK_RESTING)
        rollout->active--;
    walker->walk = walk;
}

const struct track_step *walker_step(const struct walker *walker)
{
    const struct track *track = &tracks[walker->track];

    return walker->at < track->count ? &track->steps[walker->at] : NULL;
}

bool walker_on_runner(const struct rollout *rollout, const struct walker *walker)
{
    const struct track_step *step = walker_step(walker);

    if (step && (step->kind == STEP_JUDGE || step->kind == STEP_SHIFT))
        return true;
    return step && step->kind == STEP_HOOK && walker->hook < rollout->config.hook_count &&
           rollout->config.hooks[walker->hook].place == PLACE_RUNNER;
}

bool walker_may_go_on(const struct rollout *rollout, const struct walker *walker)
{
    const struct track *track = &tracks[walker->track];

    if (rollout->lease_lost)
        return walker->track == TRACK_RELEASE && walker->locked;
    if (rollout->interrupted)
        return walker->track == TRACK_RELEASE;
    if (!rollout->spent || !track->forward)
        return true;
    if (walker->track == TRACK_REFRESH)
        return walker->control;
    return track->finishes && walker->changed && !failure_rolls_back(rollout);
}

static void set_phase(struct rollout *rollout, struct walker *walker, enum node_phase phase)
{
    if (walker->phase == phase)
        return;
    walker->phase = phase;
    rollout_note(rollout, NOTE_PHASE, walker->node, (int)phase);
}

static bool hook_is_for(const struct rollout *rollout, const struct walker *walker, size_t index)
{
    const struct rollout_hook *hook = &rollout->config.hooks[index];
    bool is_runner = walker->node == NO_NODE;

    if (hook->place == PLACE_RUNNER)
        return rollout_hook_is_fleetwide(rollout, hook) == is_runner;
    if (hook->place == PLACE_FIRST && rollout->hook_ended[index])
        return false;
    return !is_runner;
}

/* Moves walker->hook on to the next hook of this moment that is for it. */
static bool find_hook(const struct rollout *rollout, struct walker *walker, enum hook_moment moment)
{
    for (size_t i = walker->hook; i < rollout->config.hook_count; i++) {
        if (rollout->config.hooks[i].moment != moment || !hook_is_for(rollout, walker, i))
            continue;
        walker->hook = i;
        return true;
    }
    return false;
}

static bool step_applies(const struct rollout *rollout, struct walker *walker,
                         const struct track_step *step)
{
    if (step->applies && !step->applies(rollout, walker))
        return false;
    return step->kind != STEP_HOOK || find_hook(rollout, walker, step->moment);
}

static void forget_step(struct walker *walker)
{
    walker->tries = 0;
    walker->token = 0;
    walker->watching = false;
}

static void came_back_into_service(struct rollout *rollout, struct walker *walker)
{
    if (walker->track == TRACK_UNDO && !walker->has_release)
        return;
    capacity_set_out(rollout, walker, false);
    rollout->progress_by = rollout->now + rollout->config.progress_deadline_ms;
}

static void step_over(struct rollout *rollout, struct walker *walker)
{
    if (walker_step(walker)->in_service)
        came_back_into_service(rollout, walker);
    forget_step(walker);
    walker->hook = 0;
    walker->at++;
}

static void release_hook(struct rollout *rollout, const struct walker *walker)
{
    const struct track_step *step = walker_step(walker);

    if (!step || step->kind != STEP_HOOK || walker->hook >= rollout->config.hook_count)
        return;
    if (walker->node != NO_NODE && rollout->hook_holder[walker->hook] == walker->node)
        rollout->hook_ended[walker->hook] = true;
}

/* A place that was taken for a change which has not begun. */
static void give_place_back(struct rollout *rollout, struct walker *walker)
{
    if (walker->track == TRACK_CHANGE && !walker->changed)
        capacity_set_out(rollout, walker, capacity_was_out(walker));
    if (walker->track == TRACK_REFRESH && !walker->control)
        capacity_set_out(rollout, walker, false);
}

void walker_rest(struct rollout *rollout, struct walker *walker)
{
    give_place_back(rollout, walker);
    release_hook(rollout, walker);
    forget_step(walker);
    walker_set(rollout, walker, WALK_RESTING);
}

static void track_ended(struct rollout *rollout, struct walker *walker)
{
    static const enum node_phase phase_after[TRACKS] = {
        [TRACK_SETUP] = PHASE_WAITING,    [TRACK_STAGE] = PHASE_STAGED,
        [TRACK_STAGED] = PHASE_STAGED,    [TRACK_EXPAND] = PHASE_MIGRATE,
        [TRACK_CONTRACT] = PHASE_MIGRATE, [TRACK_UNMIGRATE] = PHASE_UNMIGRATE,
        [TRACK_REFRESH] = PHASE_CONTROL,
        [TRACK_CHANGE] = PHASE_BAKE,      [TRACK_BAKE] = PHASE_BAKE,
        [TRACK_LOOK] = PHASE_BAKE,        [TRACK_LOOK_BACK] = PHASE_UNDO_GATE,
        [TRACK_COMMIT] = PHASE_COMMIT,    [TRACK_UNDO] = PHASE_ENDED,
        [TRACK_FAILURE] = PHASE_ENDED,    [TRACK_RELEASE] = PHASE_ENDED,
    };
    const struct track *track = &tracks[walker->track];

    walker_rest(rollout, walker);
    if (walker->node == NO_NODE)
        return;
    if (track->count > 0)
        set_phase(rollout, walker, phase_after[walker->track]);
    if (track->ended)
        track->ended(rollout, walker);
}

/* Opens the watch of a gate or bake that begins; then lets its probes decide. */
/* Ready at the first look that says so. */
static struct health_rules watch_rules(const struct rollout *rollout, enum watch watch)
{
    struct health_rules rules = rollout->config.health;

    if (watch != WATCH_READY)
        return rules;
    rules.rise = rules.fall = 1;
    rules.min_healthy_time_ms = 0;
    rules.healthy_deadline_ms = rollout->config.ready_deadline_ms;
    return rules;
}

void walker_watched(struct rollout *rollout, struct walker *walker, bool good)
{
    struct health_rules rules = watch_rules(rollout, walker_step(walker)->watch);

    gate_probed(&walker->gate, &rules, good, rollout->now);
}

static void enter_watch(struct rollout *rollout, struct walker *walker, enum watch watch)
{
    struct health_rules own = watch_rules(rollout, watch), *rules = &own;

    if (!walker->watching) {
        walker->watching = true;
        if (watch == WATCH_BAKE)
            gate_open_healthy(&walker->gate, rules, rollout->now);
        else
            gate_open(&walker->gate, rules, rollout->now);
        if (!rollout->config.probed && watch != WATCH_READY)
            walker->gate.next_probe_at = INT64_MAX;
    }
    walker_watch(rollout, walker);
}

/* Lost while it waited for its turn to be enabled: back to the look that stands before it. */
static void look_again(const struct rollout *rollout, struct walker *walker)
{
    const struct track_step *step = walker_step(walker);

    if (step && step->kind == STEP_ENABLE && rollout->config.probed && walker->unseen &&
        walker->token == 0)
        walker->at--;
}

void walker_advance(struct rollout *rollout, struct walker *walker)
{
    const struct track_step *step;

    look_again(rollout, walker);

    for (; (step = walker_step(walker)) != NULL; step_over(rollout, walker)) {
        if (!step_applies(rollout, walker, step))
            continue;
        if (!walker_may_go_on(rollout, walker)) {
            walker_rest(rollout, walker);
            return;
        }
        if (walker->node != NO_NODE)
            set_phase(rollout, walker, step->phase);
        if (step->watch == WATCH_ONCE)
            walker_set(rollout, walker, WALK_READY);
        else
            enter_watch(rollout, walker, step->watch);
        return;
    }
    track_ended(rollout, walker);
}

void walker_passed(struct rollout *rollout, struct walker *walker)
{
    if (walker_step(walker)->kind == STEP_HOOK) {
        release_hook(rollout, walker);
        forget_step(walker);
        walker->hook++;
    } else {
        step_over(rollout, walker);
    }
    walker_advance(rollout, walker);
}

void walker_begin(struct rollout *rollout, struct walker *walker, enum track_kind track)
{
    if (track == TRACK_UNDO && walker->track != TRACK_UNDO)
        rollout->undo_order[rollout->undone_count++] = walker->node;
    walker->track = track;
    walker->at = 0;
    walker->hook = 0;
    forget_step(walker);
    /* who is updated already has passed its gate before, and has no other */
    walker->unseen = !walker->connected || (walker->unseen && walker->outcome == NODE_UPDATED);
    walker->parked = false;
    walker_resume(rollout, walker);
}

void walker_resume(struct rollout *rollout, struct walker *walker)
{
    walker_set(rollout, walker, WALK_READY);
    walker_advance(rollout, walker);
}

void walker_disconnected(struct walker *walker)
{
    walker->connected = false;
    walker->unseen = true;
}

static enum gate_verdict bake_verdict(const struct rollout *rollout, const struct walker *walker)
{
    if (!walker->gate.up)
        return GATE_CLOSED;
    if (rollout->now < rollout->bake_until)
        return GATE_WAITING;
    return gate_steady(&walker->gate, &rollout->config.health) ? GATE_PASSED : GATE_WAITING;
}

int64_t walker_verdict_at(const struct rollout *rollout, const struct walker *walker)
{
    struct health_rules rules = watch_rules(rollout, walker_step(walker)->watch);

    return walker_step(walker)->watch == WATCH_BAKE
               ? rollout->bake_until
               : gate_deadline(&walker->gate, &rules);
}

static enum node_trouble trouble_of_watch(enum watch watch)
{
    return watch == WATCH_BAKE    ? TROUBLE_FELL_IN_BAKE
           : watch == WATCH_READY ? TROUBLE_NOT_READY
                                  : TROUBLE_GATE_CLOSED;
}

void walker_watch(struct rollout *rollout, struct walker *walker)
{
    enum watch watch = walker_step(walker)->watch;
    struct health_rules own = watch_rules(rollout, watch), *rules = &own;
    bool bakes = watch == WATCH_BAKE;
    enum gate_verdict verdict =
        bakes ? bake_verdict(rollout, walker) : gate_verdict(&walker->gate, rules, rollout->now);
    int64_t verdict_at = walker_verdict_at(rollout, walker);

    if (verdict == GATE_PASSED && rollout->config.probed && watch != WATCH_READY && walker->unseen) {
        walker->gate.next_probe_at = rollout->now;
        verdict = GATE_WAITING;
    }
    if (verdict == GATE_PASSED) {
        walker_passed(rollout, walker);
    } else if (verdict == GATE_CLOSED) {
        walker_failed(rollout, walker, trouble_of_watch(watch));
    } else if (walker->gate.next_probe_at <= rollout->now) {
        walker_set(rollout, walker, WALK_READY);
    } else {
        walker->wake_at = walker->gate.next_probe_at;
        if (verdict_at > rollout->now && verdict_at < walker->wake_at)
            walker->wake_at = verdict_at;
        walker_set(rollout, walker, WALK_WATCHING);
    }
}
