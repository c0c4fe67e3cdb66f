#include "rollout_internal.h"

static uint64_t weight_of(const struct rollout *rollout, const struct walker *walker)
{
    return rollout->config.weights ? rollout->config.weights[walker->node] : 1;
}

void capacity_set_out(struct rollout *rollout, struct walker *walker, bool out)
{
    if (out && !walker->out) {
        rollout->out_count++;
        rollout->out_weight += weight_of(rollout, walker);
    }
    if (!out && walker->out) {
        rollout->out_count--;
        rollout->out_weight -= weight_of(rollout, walker);
    }
    walker->out = out;
}

/* What an earlier run has activated serves, also where no release was before. */
bool capacity_was_out(const struct walker *walker)
{
    return walker->unhealthy_before || !(walker->has_release || walker->begun);
}

/* Beside `others` that are out. A node that is heavier than max_unavailable goes out alone. */
static bool weight_fits(const struct rollout *rollout, const struct walker *walker, uint64_t others)
{
    uint64_t limit = rollout->config.max_unavailable;

    return others == 0 || others + weight_of(rollout, walker) <= limit;
}

/* In service, or at least not out because of us, while `out` more are out. */
static bool quorum_stands(const struct rollout *rollout, uint32_t more)
{
    uint64_t missing = (uint64_t)rollout->out_count + rollout->absent_count + more;

    return rollout->config.quorum == 0 ||
           missing + rollout->config.quorum <= rollout->config.node_count;
}

bool capacity_keeps_quorum(const struct rollout *rollout, const struct walker *walker)
{
    return walker->out || quorum_stands(rollout, 1);
}

bool capacity_quorum_is_hopeless(const struct rollout *rollout)
{
    bool wanted = false;

    for (size_t i = 0; i < rollout->config.node_count; i++) {
        const struct walker *walker = &rollout->walkers[i];

        if (walker->work && walker->out)
            return false;
        wanted |= walker->work;
    }
    return wanted && !quorum_stands(rollout, 1);
}

void capacity_set_absent(struct rollout *rollout, struct walker *walker)
{
    if (walker->absent || walker->out)
        return;
    walker->absent = true;
    rollout->absent_count++;
}

bool capacity_allows(const struct rollout *rollout, const struct walker *walker)
{
    return walker->out || rollout->config.switches ||
           (weight_fits(rollout, walker, rollout->out_weight) && quorum_stands(rollout, 1));
}

bool capacity_forks_left(const struct rollout *rollout)
{
    return rollout->flying < rollout->config.forks;
}

bool capacity_park(struct rollout *rollout, struct walker *walker)
{
    bool alone_in_undo = walker->track == TRACK_UNDO && rollout->active == 1;
    uint64_t others = rollout->out_weight - (walker->out ? weight_of(rollout, walker) : 0);

    if (rollout->config.switches || !walker->serves)
        return false;
    if (quorum_stands(rollout, 0) && (weight_fits(rollout, walker, others) || alone_in_undo))
        return false;
    walker->parked = true;
    walker->work = walker->track != TRACK_UNDO;
    walker->undo_due = walker->track == TRACK_UNDO;
    capacity_set_out(rollout, walker, false);
    walker_rest(rollout, walker);
    return true;
}

static void admit(struct rollout *rollout, struct walker *walker, enum track_kind track)
{
    walker->work = track == TRACK_REFRESH; /* its change is to come */
    walker->undo_due = walker->refresh_due = false;
    if (track == TRACK_UNDO && walker->outcome != NODE_PENDING)
        walker->outcome = NODE_PENDING;
    walker->serves = !walker->out;
    if (!rollout->config.switches)
        capacity_set_out(rollout, walker, true);
    if (walker->parked && walker->track == track) {
        walker->parked = false;
        walker_resume(rollout, walker);
    } else {
        walker_begin(rollout, walker, track);
    }
    action_launch(rollout, walker);
}

static void admit_some(struct rollout *rollout, bool out)
{
    for (size_t i = 0; i < rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[rollout->order[i]];

        if (!walker->work || walker->wave != rollout->wave || walker->out != out ||
            leader_waits(rollout, walker))
            continue;
        if (!capacity_allows(rollout, walker) || !capacity_forks_left(rollout))
            return;
        admit(rollout, walker, TRACK_CHANGE);
    }
}

static bool wave_waits(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++)
        if (rollout->walkers[i].work && rollout->walkers[i].wave == rollout->wave)
            return true;
    return false;
}

/* Nodes that were out before we came, and keep this wave from starting, come into it; into a step of a canary only those that serve
 * nothing, whose part of the traffic is none. */
static bool join_later_ones(struct rollout *rollout)
{
    bool joined = false;

    for (size_t i = 0; i < rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[i];

        if (!walker->work || !walker->out || walker->wave == rollout->wave ||
            (rollout->config.rules && (walker->has_release || walker->begun)))
            continue;
        walker->wave = rollout->wave;
        joined = true;
    }
    return joined;
}

static struct walker *touched_at(struct rollout *rollout, size_t place)
{
    size_t newest = rollout->touched_count - 1;

    return &rollout->walkers[rollout->touch_order[newest - place]];
}

static bool may_be_undone(const struct walker *walker)
{
    return walker->undo_due && walker->walk == WALK_RESTING;
}

static bool undo_is_allowed(const struct rollout *rollout, const struct walker *walker, bool alone)
{
    return capacity_allows(rollout, walker) ||
           (alone && rollout->active == 0 && capacity_keeps_quorum(rollout, walker));
}

/* Newest first. False when one had to wait. */
static bool undo_some(struct rollout *rollout, bool out, bool alone)
{
    for (size_t i = 0; i < rollout->touched_count; i++) {
        struct walker *walker = touched_at(rollout, i);

        if (!may_be_undone(walker) || walker->out != out)
            continue;
        if (!capacity_forks_left(rollout) || !undo_is_allowed(rollout, walker, alone))
            return false;
        admit(rollout, walker, TRACK_UNDO);
    }
    return true;
}

static void admit_undo(struct rollout *rollout, bool alone)
{
    if (rollout->config.switches && rollout->state != ROLLOUT_UNDO)
        return; /* all go back together */
    if (undo_some(rollout, true, alone))
        undo_some(rollout, false, alone);
}

void capacity_admit_undo_within(struct rollout *rollout)
{
    admit_undo(rollout, false);
}

void capacity_admit_undo(struct rollout *rollout)
{
    admit_undo(rollout, true);
}

void capacity_admit_refresh(struct rollout *rollout)
{
    struct walker *walker;

    admit_undo(rollout, true);
    while (!rollout->spent && (walker = refresh_next(rollout)) != NULL && capacity_forks_left(rollout)) {
        if (!capacity_allows(rollout, walker))
            break;
        admit(rollout, walker, TRACK_REFRESH);
    }
    if (rollout->active == 0)
        refresh_give_up(rollout);
}

void capacity_admit_wave(struct rollout *rollout)
{
    admit_undo(rollout, false);
    if (!rollout->spent) {
        admit_some(rollout, true);
        admit_some(rollout, false);
    }
    admit_undo(rollout, true);
    if (rollout->spent || rollout->active > 0 || !wave_waits(rollout))
        return;
    if (join_later_ones(rollout)) {
        admit_some(rollout, true);
    } else {
        rollout_note(rollout, NOTE_BLOCKED, NO_NODE, 0);
        failure_spend(rollout, SPENT_BY_CAPACITY);
    }
}
