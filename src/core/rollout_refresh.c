#include "rollout_internal.h"

/* Updated nodes that have no fresh one beside them. */
static size_t missing(const struct rollout *rollout)
{
    size_t updated = 0, fresh = 0;

    for (size_t i = 0; i < rollout->config.node_count; i++) {
        updated += rollout->walkers[i].outcome == NODE_UPDATED;
        fresh += rollout->walkers[i].fresh;
    }
    return updated > fresh ? updated - fresh : 0;
}

static bool may_be_restarted(const struct walker *walker)
{
    return walker->outcome == NODE_PENDING && walker->work && (!walker->touched || walker->left_out) &&
           !walker->fresh && !walker->out && !walker->unhealthy_before && walker->has_release &&
           walker->connected;
}

/* The last one in the order of the waves that may be, and is left out by an earlier run or not. */
static struct walker *choose(const struct rollout *rollout, bool left_out)
{
    for (size_t i = rollout->config.node_count; i-- > 0;) {
        struct walker *walker = &rollout->walkers[rollout->order[i]];

        if (!walker->refresh_due && walker->left_out == left_out && may_be_restarted(walker))
            return walker;
    }
    return NULL;
}

bool refresh_is_due(const struct rollout *rollout)
{
    return rollout->config.refreshes && rollout_bake_ms(rollout) > 0 && missing(rollout) > 0 &&
           (choose(rollout, true) || choose(rollout, false));
}

void refresh_enter(struct rollout *rollout)
{
    size_t due = missing(rollout);
    struct walker *walker;

    for (; (walker = choose(rollout, true)) != NULL; due -= due > 0)
        walker->refresh_due = true;
    for (; due > 0 && (walker = choose(rollout, false)) != NULL; due--)
        walker->refresh_due = true;
}

struct walker *refresh_next(struct rollout *rollout)
{
    struct walker *next = NULL;

    for (size_t i = 0; i < rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[rollout->order[i]];

        if (walker->refresh_due && (!next || !next->left_out || walker->left_out))
            next = walker;
    }
    return next;
}

void refresh_give_up(struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++)
        rollout->walkers[i].refresh_due = false;
}

bool refresh_made_good(struct rollout *rollout, struct walker *walker)
{
    if (!walker->fresh || walker->outcome != NODE_PENDING)
        return false;
    walker->work = walker->undo_due = false;
    walker_outcome(rollout, walker, NODE_RESTORED);
    return true;
}

void refresh_ended(struct rollout *rollout, struct walker *walker)
{
    walker->fresh = true;
    walker->left_out = false;
    if (walker->undo_due)
        refresh_made_good(rollout, walker);
}
