#include "rollout_internal.h"

static size_t nth(const struct rollout *rollout, size_t i)
{
    return rollout->config.lock_order ? rollout->config.lock_order[i] : i;
}

/* Where a walker stands beside the lock of its setup: -1 before it, 0 at it, 1 past it. */
static int beside_lock(const struct walker *walker)
{
    const struct track *setup = &tracks[TRACK_SETUP];
    size_t lock = 0;

    while (setup->steps[lock].kind != STEP_LOCK)
        lock++;
    return walker->at < lock ? -1 : walker->at > lock;
}

static bool someone_is_before(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++)
        if (rollout->walkers[i].walk != WALK_RESTING && beside_lock(&rollout->walkers[i]) < 0)
            return true;
    return false;
}

static void give_up(struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[i];
        bool idle = walker->walk == WALK_READY || walker->walk == WALK_WAITING;

        if (idle && beside_lock(walker) == 0)
            walker_rest(rollout, walker);
    }
}

void lock_look(struct rollout *rollout)
{
    if (rollout->state != ROLLOUT_SETUP)
        return;
    rollout->lock_first = NO_NODE;
    rollout->locks_open = false;
    if (rollout->setup_refused || rollout->setup_unreachable)
        give_up(rollout);
    if (someone_is_before(rollout))
        return;
    for (size_t i = 0; i < rollout->config.node_count; i++) {
        const struct walker *walker = &rollout->walkers[nth(rollout, i)];

        if (beside_lock(walker) <= 0 && walker->walk == WALK_RESTING)
            continue;
        rollout->lock_first = walker->node;
        rollout->locks_open |= beside_lock(walker) > 0;
        return;
    }
}

bool lock_waits(const struct rollout *rollout, const struct walker *walker)
{
    bool first = walker->node == rollout->lock_first;

    if (walker->node == NO_NODE)
        return false;
    if (walker->track == TRACK_SETUP && beside_lock(walker) == 0)
        return !rollout->locks_open && !first;
    return walker->track == TRACK_RELEASE && first && rollout->active > 1 &&
           !rollout_halted(rollout);
}
