#include "rollout_internal.h"

#define DEFERS_MAX 3

static bool others_are_left(const struct rollout *rollout, const struct walker *walker)
{
    for (size_t i = 0; i < rollout->config.node_count; i++) {
        const struct walker *other = &rollout->walkers[i];
        bool under_way = other->track == TRACK_CHANGE && other->walk != WALK_RESTING;

        if (other != walker && (other->work || under_way))
            return true;
    }
    return false;
}

bool leader_is_asked(const struct rollout *rollout, const struct walker *walker)
{
    return rollout->config.asks_leader && walker->serves && walker->defers < DEFERS_MAX &&
           others_are_left(rollout, walker);
}

bool leader_waits(const struct rollout *rollout, const struct walker *walker)
{
    return walker->deferred && others_are_left(rollout, walker);
}

static void to_the_end(struct rollout *rollout, struct walker *walker)
{
    size_t count = rollout->config.node_count, at = 0;

    while (rollout->order[at] != walker->node)
        at++;
    for (; at + 1 < count; at++)
        rollout->order[at] = rollout->order[at + 1];
    rollout->order[count - 1] = walker->node;
    walker->wave = rollout->config.waves.count - 1;
}

void leader_defers(struct rollout *rollout, struct walker *walker)
{
    for (size_t i = 0; i < rollout->config.node_count; i++)
        rollout->walkers[i].deferred = false;
    walker->deferred = true;
    walker->defers++;
    walker->work = true;
    to_the_end(rollout, walker);
    walker_rest(rollout, walker);
    rollout_note(rollout, NOTE_DEFERRED, walker->node, 0);
}
