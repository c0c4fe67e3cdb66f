#include "rollout_internal.h"

const struct step_rule step_rules[STEP_KINDS] = {
    [STEP_CONNECT] = {.name = "connect", .retry_failed = true, .counts = true, .connected = true},
    [STEP_PREFLIGHT] = {.name = "preflight",
                        .retry_failed = true,
                        .counts = true,
                        .connected = true},
    [STEP_LOCK] = {.name = "lock", .retry_failed = true, .counts = true, .connected = true},
    [STEP_PROBE] = {.name = "probe", .connected = true},
    [STEP_STAGE] = {.name = "stage", .retry_failed = true, .counts = true, .connected = true},
    [STEP_LEADER] = {.name = "leader", .retry_failed = true, .counts = true, .connected = true},
    [STEP_READY] = {.name = "ready", .connected = true},
    [STEP_DRAIN] = {.name = "drain", .counts = true, .touches = true},
    [STEP_ACTIVATE] = {.name = "activate", .counts = true, .connected = true, .touches = true},
    [STEP_RESTART] = {.name = "restart", .counts = true, .connected = true, .touches = true},
    [STEP_CONFIRM] = {.name = "confirm", .counts = true},
    [STEP_ENABLE] = {.name = "enable", .counts = true},
    [STEP_SHIFT] = {.name = "shift"},
    [STEP_JUDGE] = {.name = "judge"},
    [STEP_HOOK] = {.name = "hook", .counts = true, .connected = true},
    [STEP_BACKUP] = {.name = "backup", .counts = true, .connected = true},
    [STEP_MIGRATE] = {.name = "migrate", .counts = true, .connected = true},
    [STEP_UNMIGRATE] = {.name = "unmigrate", .counts = true, .connected = true},
    [STEP_COMMIT] = {.name = "commit", .retry_failed = true, .counts = true, .connected = true},
    [STEP_RELEASE] = {.name = "release", .counts = true, .connected = true},
};

static bool not_connected(const struct rollout *rollout, const struct walker *walker)
{
    (void)rollout;
    return !walker->connected;
}

static bool runs_something(const struct rollout *rollout, const struct walker *walker)
{
    return rollout->config.probed && (walker->has_release || walker->adopted || walker->begun);
}

static bool is_staged(const struct rollout *rollout, const struct walker *walker)
{
    (void)walker;
    return rollout->config.stages;
}

/* What is switched has no traffic of its own to be taken from it or given to it. */
static bool is_balanced(const struct rollout *rollout, const struct walker *walker)
{
    (void)walker;
    return rollout->config.balanced && !rollout->config.switches;
}

static bool is_switched(const struct rollout *rollout, const struct walker *walker)
{
    (void)walker;
    return rollout->config.switches;
}

static bool is_put_in(const struct rollout *rollout, const struct walker *walker)
{
    (void)walker;
    return !rollout->config.switches;
}

static bool drains(const struct rollout *rollout, const struct walker *walker)
{
    return is_balanced(rollout, walker);
}

static bool is_probed(const struct rollout *rollout, const struct walker *walker)
{
    (void)walker;
    return rollout->config.probed;
}

static bool control_drains(const struct rollout *rollout, const struct walker *walker)
{
    return is_balanced(rollout, walker);
}

static bool control_is_probed(const struct rollout *rollout, const struct walker *walker)
{
    return is_probed(rollout, walker);
}

static bool is_confirmed(const struct rollout *rollout, const struct walker *walker)
{
    (void)walker;
    return rollout->config.confirms && !rollout->no_way_back;
}

/* The gate's word is old when the node was lost after it. */
static bool was_lost_since(const struct rollout *rollout, const struct walker *walker)
{
    return (is_confirmed(rollout, walker) || is_balanced(rollout, walker)) &&
           is_probed(rollout, walker) && walker->unseen;
}

static bool still_serves(const struct rollout *rollout, const struct walker *walker)
{
    return is_balanced(rollout, walker) && !walker->drained && walker->activated;
}

static bool was_activated(const struct rollout *rollout, const struct walker *walker)
{
    (void)rollout;
    return walker->activated;
}

static bool previous_is_probed(const struct rollout *rollout, const struct walker *walker)
{
    return rollout->config.probed && walker->has_release && !rollout->config.switches;
}

static bool served_before(const struct rollout *rollout, const struct walker *walker)
{
    return rollout->config.probed && walker->has_release;
}

static bool previous_is_balanced(const struct rollout *rollout, const struct walker *walker)
{
    return is_balanced(rollout, walker) && walker->has_release;
}

static bool was_lost_in_undo(const struct rollout *rollout, const struct walker *walker)
{
    return previous_is_balanced(rollout, walker) && previous_is_probed(rollout, walker) &&
           walker->unseen;
}

/* Nothing is done there; what is called unchanged serves. */
static void leave_alone(struct rollout *rollout, struct walker *walker)
{
    bool sick = walker->unhealthy_before && !rollout->config.switches;

    walker_outcome(rollout, walker, sick ? NODE_NEEDS_CARE : NODE_UNCHANGED);
    if (sick)
        capacity_set_out(rollout, walker, true);
}

static void setup_ended(struct rollout *rollout, struct walker *walker)
{
    bool sick = capacity_was_out(walker);

    if (walker->outside) {
        walker_outcome(rollout, walker, NODE_OUTSIDE);
        capacity_set_out(rollout, walker, walker->unhealthy_before || walker->left_out);
        return;
    }
    if (walker->stays) {
        leave_alone(rollout, walker);
        return;
    }
    if (walker->adopted)
        return;
    if (rollout->config.unwinds) {
        if (!walker->begun)
            leave_alone(rollout, walker);
        capacity_set_out(rollout, walker, sick);
        return;
    }
    walker->committed = walker->begun && walker->at_target && !walker->unhealthy_before;
    walker->work = !walker->committed && !(walker->at_target && !sick);
    if (sick && !walker->committed)
        capacity_set_out(rollout, walker, true);
    if (!walker->work && !walker->committed && !rollout->config.switches)
        walker_outcome(rollout, walker, NODE_UNCHANGED);
}

static void change_ended(struct rollout *rollout, struct walker *walker)
{
    walker_outcome(rollout, walker, NODE_UPDATED);
}

static void undo_ended(struct rollout *rollout, struct walker *walker)
{
    walker_outcome(rollout, walker, NODE_RESTORED);
}

static const struct track_step setup_steps[] = {
    {.kind = STEP_CONNECT, .phase = PHASE_CONNECT, .applies = not_connected},
    {.kind = STEP_PREFLIGHT, .phase = PHASE_PREFLIGHT},
    {.kind = STEP_LOCK, .phase = PHASE_LOCK},
    {.kind = STEP_PROBE, .phase = PHASE_BASELINE, .applies = runs_something, .watch = WATCH_ONCE},
};

static const struct track_step stage_steps[] = {
    {.kind = STEP_STAGE, .phase = PHASE_STAGE, .applies = is_staged},
};

static const struct track_step staged_steps[] = {
    {.kind = STEP_HOOK, .phase = PHASE_HOOK, .moment = MOMENT_AFTER_STAGE},
};

static const struct track_step migrate_steps[] = {
    {.kind = STEP_BACKUP, .phase = PHASE_BACKUP, .applies = migration_has_backup},
    {.kind = STEP_MIGRATE, .phase = PHASE_MIGRATE},
};

static const struct track_step unmigrate_steps[] = {
    {.kind = STEP_UNMIGRATE, .phase = PHASE_UNMIGRATE},
};

static bool must_be_ready(const struct rollout *rollout, const struct walker *walker)
{
    (void)walker;
    return rollout->config.waits_ready;
}

static bool previous_must_be_ready(const struct rollout *rollout, const struct walker *walker)
{
    return must_be_ready(rollout, walker) && walker->has_release;
}

static const struct track_step change_steps[] = {
    {.kind = STEP_LEADER, .phase = PHASE_LEADER, .applies = leader_is_asked},
    {.kind = STEP_HOOK, .phase = PHASE_HOOK, .moment = MOMENT_BEFORE_DRAIN},
    {.kind = STEP_DRAIN, .phase = PHASE_DRAIN, .applies = drains},
    {.kind = STEP_HOOK, .phase = PHASE_HOOK, .moment = MOMENT_BEFORE_ACTIVATE},
    {.kind = STEP_ACTIVATE, .phase = PHASE_ACTIVATE},
    {.kind = STEP_HOOK, .phase = PHASE_HOOK, .moment = MOMENT_AFTER_ACTIVATE},
    {.kind = STEP_PROBE, .phase = PHASE_GATE, .applies = is_probed, .watch = WATCH_GATE},
    {.kind = STEP_CONFIRM, .phase = PHASE_CONFIRM, .applies = is_confirmed},
    {.kind = STEP_READY, .phase = PHASE_READY, .applies = must_be_ready, .watch = WATCH_READY},
    {.kind = STEP_HOOK,
     .phase = PHASE_HOOK,
     .applies = is_switched,
     .moment = MOMENT_BEFORE_SWITCH},
    {.kind = STEP_PROBE, .phase = PHASE_CONFIRM, .applies = was_lost_since, .watch = WATCH_GATE},
    {.kind = STEP_ENABLE, .phase = PHASE_ENABLE, .applies = is_balanced, .in_service = true},
    {.kind = STEP_HOOK,
     .phase = PHASE_HOOK,
     .applies = is_put_in,
     .moment = MOMENT_AFTER_ENABLE},
};

static bool control_was_lost(const struct rollout *rollout, const struct walker *walker)
{
    return is_balanced(rollout, walker) && control_is_probed(rollout, walker) && walker->unseen;
}

static const struct track_step refresh_steps[] = {
    {.kind = STEP_DRAIN, .phase = PHASE_CONTROL_DRAIN, .applies = control_drains},
    {.kind = STEP_RESTART, .phase = PHASE_CONTROL_RESTART},
    {.kind = STEP_PROBE,
     .phase = PHASE_CONTROL_GATE,
     .applies = control_is_probed,
     .watch = WATCH_GATE},
    {.kind = STEP_READY,
     .phase = PHASE_CONTROL_READY,
     .applies = must_be_ready,
     .watch = WATCH_READY},
    {.kind = STEP_PROBE,
     .phase = PHASE_CONTROL_GATE,
     .applies = control_was_lost,
     .watch = WATCH_GATE},
    {.kind = STEP_ENABLE,
     .phase = PHASE_CONTROL_ENABLE,
     .applies = is_balanced,
     .in_service = true},
};

static const struct track_step look_steps[] = {
    {.kind = STEP_PROBE, .phase = PHASE_GATE, .watch = WATCH_GATE},
};

static const struct track_step shift_steps[] = {
    {.kind = STEP_SHIFT, .phase = PHASE_ENABLE},
};

static const struct track_step look_back_steps[] = {
    {.kind = STEP_PROBE, .phase = PHASE_UNDO_GATE, .applies = served_before, .watch = WATCH_GATE},
};

static const struct track_step bake_steps[] = {
    {.kind = STEP_PROBE, .phase = PHASE_BAKE, .watch = WATCH_BAKE},
};

static const struct track_step judge_steps[] = {
    {.kind = STEP_JUDGE, .phase = PHASE_BAKE},
};

static const struct track_step commit_steps[] = {
    {.kind = STEP_COMMIT, .phase = PHASE_COMMIT},
};

static const struct track_step undo_steps[] = {
    {.kind = STEP_HOOK, .phase = PHASE_UNDO_HOOK, .moment = MOMENT_BEFORE_ROLLBACK},
    {.kind = STEP_DRAIN, .phase = PHASE_UNDO_DRAIN, .applies = still_serves},
    {.kind = STEP_ACTIVATE, .phase = PHASE_UNDO_ACTIVATE, .applies = was_activated},
    {.kind = STEP_PROBE,
     .phase = PHASE_UNDO_GATE,
     .applies = previous_is_probed,
     .watch = WATCH_GATE},
    {.kind = STEP_READY,
     .phase = PHASE_UNDO_READY,
     .applies = previous_must_be_ready,
     .watch = WATCH_READY},
    {.kind = STEP_PROBE,
     .phase = PHASE_UNDO_GATE,
     .applies = was_lost_in_undo,
     .watch = WATCH_GATE},
    {.kind = STEP_ENABLE,
     .phase = PHASE_UNDO_ENABLE,
     .applies = previous_is_balanced,
     .in_service = true},
    {.kind = STEP_HOOK, .phase = PHASE_UNDO_HOOK, .moment = MOMENT_AFTER_ROLLBACK},
};

static const struct track_step failure_steps[] = {
    {.kind = STEP_HOOK, .phase = PHASE_HOOK, .moment = MOMENT_ON_FAILURE},
};

static const struct track_step release_steps[] = {
    {.kind = STEP_RELEASE, .phase = PHASE_RELEASE},
};

#define STEPS(array) .steps = (array), .count = sizeof(array) / sizeof((array)[0])
const struct track tracks[TRACKS] = {
    [TRACK_SETUP] = {STEPS(setup_steps), .forward = true, .ended = setup_ended,
                     .failed = failure_in_setup},
    [TRACK_STAGE] = {STEPS(stage_steps), .forward = true, .failed = failure_in_change},
    [TRACK_STAGED] = {STEPS(staged_steps), .forward = true, .failed = failure_in_change},
    [TRACK_EXPAND] = {STEPS(migrate_steps), .forward = true, .ended = migration_ended,
                      .failed = failure_in_migration},
    [TRACK_CHANGE] = {STEPS(change_steps), .forward = true, .finishes = true, .ended = change_ended,
                      .failed = failure_in_change},
    [TRACK_REFRESH] = {STEPS(refresh_steps), .release = RELEASE_PRESENT, .forward = true,
                       .ended = refresh_ended, .failed = failure_in_refresh},
    [TRACK_LOOK] = {STEPS(look_steps), .forward = true, .failed = failure_in_change},
    [TRACK_SHIFT] = {STEPS(shift_steps), .forward = true},
    [TRACK_BAKE] = {STEPS(bake_steps), .forward = true, .failed = failure_in_change},
    [TRACK_JUDGE] = {STEPS(judge_steps), .forward = true},
    [TRACK_COMMIT] = {STEPS(commit_steps), .failed = failure_needs_care},
    [TRACK_CONTRACT] = {STEPS(migrate_steps), .ended = migration_ended,
                        .failed = failure_in_migration},
    [TRACK_UNMIGRATE] = {STEPS(unmigrate_steps), .ended = migration_undone,
                         .failed = failure_in_unmigration},
    [TRACK_LOOK_BACK] = {STEPS(look_back_steps), .release = RELEASE_PREVIOUS, .undo = true,
                         .failed = failure_needs_care},
    [TRACK_SHIFT_BACK] = {STEPS(shift_steps), .release = RELEASE_PREVIOUS, .undo = true},
    [TRACK_UNDO] = {STEPS(undo_steps), .release = RELEASE_PREVIOUS, .undo = true,
                    .ended = undo_ended, .failed = failure_needs_care},
    [TRACK_FAILURE] = {STEPS(failure_steps)},
    [TRACK_RELEASE] = {STEPS(release_steps)},
};
