#include "rollout_internal.h"

/* When a walker wants to be looked at, if nothing happens before. */
static int64_t walker_due(const struct walker *walker)
{
    switch (walker->walk) {
    case WALK_FLYING:
        return walker->deadline;
    case WALK_WAITING:
    case WALK_WATCHING:
        return walker->wake_at;
    case WALK_RESTING:
    case WALK_READY:
        break;
    }
    return INT64_MAX;
}

static bool progress_counts(const struct rollout *rollout)
{
    return rollout->config.progress_deadline_ms > 0 && rollout->state == ROLLOUT_WAVE &&
           !rollout->spent && !rollout_halted(rollout);
}

static void flight_overdue(struct rollout *rollout, struct walker *walker)
{
    static const struct event silence = {.kind = EVENT_DONE, .status = DONE_UNREACHABLE};

    if (walker->cancelled)
        action_answered(rollout, walker, &silence);
    else
        action_cancel(rollout, walker);
}

static void walker_expire(struct rollout *rollout, struct walker *walker)
{
    if (walker_due(walker) > rollout->now)
        return;
    if (walker->walk == WALK_FLYING)
        flight_overdue(rollout, walker);
    else if (walker->walk == WALK_WAITING)
        walker_advance(rollout, walker);
    else if (walker->walk == WALK_WATCHING)
        walker_watch(rollout, walker);
}

/* Names the nodes that were too slow. */
static void progress_expire(struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[i];

        if (walker->track == TRACK_CHANGE && walker->walk != WALK_RESTING && walker->touched &&
            walker->out)
            walker_trouble(rollout, walker, TROUBLE_STEP_TIMED_OUT);
    }
    failure_spend(rollout, SPENT_BY_PROGRESS_DEADLINE);
}

void time_expire(struct rollout *rollout)
{
    for (size_t i = 0; i <= rollout->config.node_count; i++)
        walker_expire(rollout, &rollout->walkers[i]);
    if (progress_counts(rollout) && rollout->now >= rollout->progress_by)
        progress_expire(rollout);
}

/* Nothing new; what is in flight gets its grace, then it is cancelled. */
void time_halt(struct rollout *rollout)
{
    int64_t limit = rollout->now + rollout->config.interrupt_grace_ms;

    for (size_t i = 0; i <= rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[i];

        if (walker->walk == WALK_FLYING && !walker->cancelled && walker->deadline > limit)
            walker->deadline = limit;
        else if (walker->walk != WALK_RESTING && walker->walk != WALK_FLYING &&
                 !walker_may_go_on(rollout, walker))
            walker_rest(rollout, walker);
    }
}

int64_t rollout_next_tick_ms(const struct rollout *rollout)
{
    int64_t next = INT64_MAX;

    if (!rollout->started || rollout->state == ROLLOUT_FINISHED)
        return INT64_MAX;
    for (size_t i = 0; i <= rollout->config.node_count; i++) {
        int64_t due = walker_due(&rollout->walkers[i]);

        next = due < next ? due : next;
    }
    if (progress_counts(rollout) && rollout->progress_by < next)
        next = rollout->progress_by;
    return next;
}
