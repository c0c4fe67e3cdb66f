#include "rollout_internal.h"

uint32_t shift_share(const struct rollout *rollout)
{
    const struct wave_rule *rules = rollout->config.rules;

    return rules && rollout->wave < rollout->config.waves.count ? rules[rollout->wave].share
                                                                : SHARE_ALL;
}

static bool someone_is_updated(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++)
        if (rollout->walkers[i].outcome == NODE_UPDATED)
            return true;
    return false;
}

bool shift_is_due(const struct rollout *rollout)
{
    if (!rollout->config.shifts || rollout->touched_count == 0)
        return false;
    if (!rollout->config.switches && !someone_is_updated(rollout))
        return false;
    return shift_share(rollout) != rollout->share || rollout->shift_stale;
}

bool shift_has_nobody(const struct rollout *rollout)
{
    return shift_moved(rollout) && !rollout->config.switches && rollout->touched_count > 0 &&
           failure_may_undo(rollout) && !someone_is_updated(rollout);
}

bool shift_all_went_back(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->touched_count; i++) {
        const struct walker *walker = &rollout->walkers[rollout->touch_order[i]];

        if (walker->outcome != NODE_RESTORED && !walker->fresh)
            return false;
    }
    return shift_has_nobody(rollout);
}

bool shift_moved(const struct rollout *rollout)
{
    return rollout->config.shifts && (rollout->share > 0 || rollout->shift_unsure);
}

static bool wants_look(const struct rollout *rollout, const struct walker *walker)
{
    return rollout->config.switches && rollout->config.probed && walker->unseen &&
           walker->outcome == NODE_UPDATED;
}

bool shift_needs_look(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++)
        if (wants_look(rollout, &rollout->walkers[i]))
            return true;
    return false;
}

void shift_enter_look(struct rollout *rollout)
{
    rollout_begin_all(rollout, TRACK_LOOK, wants_look);
}

void shift_enter(struct rollout *rollout)
{
    walker_begin(rollout, rollout_runner(rollout), TRACK_SHIFT);
}

static bool wants_look_back(const struct rollout *rollout, const struct walker *walker)
{
    (void)rollout;
    return walker->touched && walker->outcome != NODE_NEEDS_CARE;
}

void shift_enter_look_back(struct rollout *rollout)
{
    if (rollout->config.unwinds)
        failure_adopt(rollout);
    rollout_begin_all(rollout, TRACK_LOOK_BACK, wants_look_back);
}

void shift_enter_back(struct rollout *rollout)
{
    walker_begin(rollout, rollout_runner(rollout), TRACK_SHIFT_BACK);
}

void shift_sent(struct rollout *rollout)
{
    rollout->shift_unsure = true;
}

void shift_grew_stale(struct rollout *rollout)
{
    rollout->shift_stale = rollout->config.shifts && !rollout->config.switches;
}

void shift_answered(struct rollout *rollout, const struct walker *walker, enum done_status status)
{
    bool back = walker->track == TRACK_SHIFT_BACK;

    if (status == DONE_OK) {
        rollout->shift_unsure = false;
        rollout->shift_stale = false;
        rollout->share = back ? 0 : shift_share(rollout);
    } else if (!back || !rollout->config.switches) {
        failure_spend(rollout, SPENT_BY_SHIFT);
    }
}

/* Those who passed; a node that served nothing before has nowhere to go back to, and is as good. */
bool shift_somebody_to_go_back(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->touched_count; i++)
        if (rollout->walkers[rollout->touch_order[i]].outcome != NODE_NEEDS_CARE)
            return true;
    return false;
}

void shift_gives_up(struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->touched_count; i++) {
        struct walker *walker = &rollout->walkers[rollout->touch_order[i]];

        walker->undo_due = false;
        if (walker->outcome == NODE_NEEDS_CARE)
            continue;
        walker_trouble(rollout, walker, TROUBLE_STEP_FAILED);
        if (walker->trouble == TROUBLE_STEP_FAILED)
            walker->trouble_step = STEP_SHIFT;
        walker_outcome(rollout, walker, NODE_NEEDS_CARE);
    }
}
