#include "rollout_internal.h"

bool failure_may_undo(const struct rollout *rollout)
{
    return rollout->config.undo_allowed && !rollout->no_way_back;
}

bool failure_rolls_back(const struct rollout *rollout)
{
    return (rollout->config.action == ON_FAILURE_ROLLBACK || rollout->aborted) &&
           failure_may_undo(rollout);
}

static void rest_who_may_not_go_on(struct rollout *rollout)
{
    for (size_t i = 0; i <= rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[i];

        if (walker->walk == WALK_RESTING || walker->walk == WALK_FLYING ||
            walker_may_go_on(rollout, walker))
            continue;
        walker_rest(rollout, walker);
    }
}

void failure_spend(struct rollout *rollout, enum spend_reason reason)
{
    bool again = rollout->spent && reason != SPENT_BY_ABORT;

    if (again)
        return;
    if (!rollout->spent)
        rollout_note(rollout, NOTE_BUDGET_SPENT, NO_NODE, (int)reason);
    rollout->spent = true;
    rest_who_may_not_go_on(rollout);
}

void walker_trouble(struct rollout *rollout, struct walker *walker, enum node_trouble trouble)
{
    if (walker->trouble == TROUBLE_NONE || walker->trouble == TROUBLE_UNHEALTHY_BEFORE) {
        const struct track_step *step = walker_step(walker);

        walker->trouble = trouble;
        walker->trouble_step = step ? step->kind : STEP_CONNECT;
    }
    rollout_note(rollout, NOTE_TROUBLE, walker->node, (int)trouble);
}

void walker_outcome(struct rollout *rollout, struct walker *walker, enum node_outcome outcome)
{
    walker->outcome = outcome;
    rollout_note(rollout, NOTE_OUTCOME, walker->node, (int)outcome);
}

static void count_failure(struct rollout *rollout, struct walker *walker)
{
    if (walker->failed)
        return;
    walker->failed = true;
    rollout->failures++;
    if (rollout->failures > rollout->config.max_failures || rollout->config.switches)
        failure_spend(rollout, SPENT_BY_FAILURES);
}

/* A hook that runs once did for the fleet what is now missing. */
static bool hook_ran_once(const struct rollout *rollout, const struct walker *walker)
{
    const struct track_step *step = walker_step(walker);

    return walker->node == NO_NODE ||
           (step && step->kind == STEP_HOOK && walker->hook < rollout->config.hook_count &&
            rollout->config.hooks[walker->hook].place == PLACE_FIRST &&
            rollout->hook_holder[walker->hook] == walker->node);
}

void walker_failed(struct rollout *rollout, struct walker *walker, enum node_trouble trouble)
{
    const struct track *track = &tracks[walker->track];
    bool once = track->failed && hook_ran_once(rollout, walker);

    walker_trouble(rollout, walker, trouble);
    walker_rest(rollout, walker);
    if (rollout_halted(rollout))
        return;
    if (once)
        failure_spend(rollout, SPENT_BY_HOOK);
    if (track->failed && walker->node != NO_NODE)
        track->failed(rollout, walker, trouble);
}

void failure_in_setup(struct rollout *rollout, struct walker *walker, enum node_trouble trouble)
{
    if (trouble == TROUBLE_UNREACHABLE && walker->outside) {
        walker_outcome(rollout, walker, NODE_OUTSIDE);
        capacity_set_absent(rollout, walker);
    } else if (trouble != TROUBLE_UNREACHABLE) {
        walker->locked = false;
        rollout->setup_refused = true;
        walker_outcome(rollout, walker, NODE_REFUSED);
    } else if (rollout->config.unreachable == ON_UNREACHABLE_SKIP) {
        walker_outcome(rollout, walker, NODE_SKIPPED);
        capacity_set_absent(rollout, walker);
    } else {
        rollout->setup_unreachable = true;
        walker_outcome(rollout, walker, NODE_UNREACHABLE);
    }
}

static void failure_untouched(struct rollout *rollout, struct walker *walker, enum node_trouble trouble)
{
    walker->work = false;
    if (trouble == TROUBLE_UNREACHABLE)
        capacity_set_absent(rollout, walker);
    if (trouble != TROUBLE_UNREACHABLE) {
        walker_outcome(rollout, walker, NODE_FAILED);
    } else if (rollout->config.unreachable == ON_UNREACHABLE_SKIP) {
        walker_outcome(rollout, walker, NODE_SKIPPED);
        return;
    } else {
        walker_outcome(rollout, walker, NODE_UNREACHABLE);
    }
    count_failure(rollout, walker);
}

void failure_needs_care(struct rollout *rollout, struct walker *walker, enum node_trouble trouble)
{
    (void)trouble;
    walker_outcome(rollout, walker, NODE_NEEDS_CARE);
}

void failure_in_change(struct rollout *rollout, struct walker *walker, enum node_trouble trouble)
{
    if (!walker->touched) {
        failure_untouched(rollout, walker, trouble);
        return;
    }
    if (walker->track == TRACK_BAKE || trouble == TROUBLE_UNREACHABLE)
        capacity_set_out(rollout, walker, true);
    walker->outcome = NODE_PENDING;
    walker->work = false;
    count_failure(rollout, walker);
    if (!failure_may_undo(rollout) || (rollout->spent && !failure_rolls_back(rollout)))
        walker_outcome(rollout, walker, NODE_NEEDS_CARE);
    else
        walker->undo_due = true;
}

/* It runs what it ran: there is nothing that it could go back to. */
void failure_in_refresh(struct rollout *rollout, struct walker *walker, enum node_trouble trouble)
{
    if (!walker->control) {
        failure_in_change(rollout, walker, trouble);
        return;
    }
    walker->work = walker->undo_due = false;
    walker_outcome(rollout, walker, NODE_NEEDS_CARE);
    failure_spend(rollout, SPENT_BY_CONTROL);
}

/* What an earlier run touched counts as touched by us, in the order of the waves. */
void failure_adopt(struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[rollout->order[i]];

        if (!walker->begun || walker->outcome != NODE_PENDING || walker->touched)
            continue;
        walker->activated = true;
        action_touch(rollout, walker);
    }
}

void failure_past_no_return(struct rollout *rollout)
{
    rollout->irreversible_sent = rollout->no_way_back = true;
    for (size_t i = 0; i < rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[i];

        if (!walker->undo_due)
            continue;
        walker->undo_due = false;
        walker_outcome(rollout, walker, NODE_NEEDS_CARE);
    }
}

static void go_on_with(struct rollout *rollout, struct walker *walker)
{
    walker->activated = true;
    action_touch(rollout, walker);
    if (!walker->unhealthy_before) {
        walker_outcome(rollout, walker, NODE_UPDATED);
        return;
    }
    capacity_set_out(rollout, walker, true);
    walker_trouble(rollout, walker, TROUBLE_FELL_IN_BAKE);
    failure_in_change(rollout, walker, TROUBLE_FELL_IN_BAKE);
}

void failure_go_on(struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[rollout->order[i]];

        if (walker->outcome != NODE_PENDING)
            continue;
        if (walker->adopted || walker->committed) {
            go_on_with(rollout, walker);
        } else if (walker->begun) {
            walker->activated = true;
            action_touch(rollout, walker);
        }
    }
}

/* The end of all changes: a touched node that is neither updated nor restored needs care, and so does a control that was
 * not put back in. */
void failure_freeze(struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.node_count; i++) {
        struct walker *walker = &rollout->walkers[i];

        if (walker->undo_due && rollout->config.quorum > 0 && !rollout_halted(rollout)) {
            walker_trouble(rollout, walker, TROUBLE_QUORUM);
            walker->outcome = NODE_PENDING;
        }
        walker->undo_due = false;
        bool ours = walker->touched || (walker->control && !walker->fresh);
        bool stands = walker->fresh || (walker->outcome != NODE_PENDING &&
                      !(walker->outcome == NODE_UPDATED && rollout->lease_lost && !walker->committed));

        if (!ours || stands)
            continue;
        if (walker->trouble == TROUBLE_NONE && (rollout_halted(rollout) || walker->begun))
            walker_trouble(rollout, walker,
                           rollout->lease_lost    ? TROUBLE_LEASE_LOST
                           : rollout->interrupted ? TROUBLE_INTERRUPTED
                                                  : TROUBLE_UNFINISHED);
        walker_outcome(rollout, walker, NODE_NEEDS_CARE);
    }
}

static enum rollout_result result_of_failure(const struct rollout *rollout, const size_t *count)
{
    bool touched = rollout->touched_count > 0;
    bool past_no_return = rollout->irreversible_sent || (rollout->no_way_back && touched);

    if (rollout->data_needs_care || past_no_return || rollout->shift_unsure)
        return RESULT_NEEDS_CARE;
    if (rollout->config.action == ON_FAILURE_PAUSE && rollout->spent && !rollout->aborted)
        return RESULT_HELD;
    if (count[NODE_NEEDS_CARE] > 0 || count[NODE_UPDATED] > 0)
        return RESULT_NEEDS_CARE;
    if (!touched && !rollout->migration_failed && count[NODE_UNREACHABLE] > 0 &&
        count[NODE_FAILED] == 0)
        return RESULT_UNREACHABLE;
    return RESULT_ROLLED_BACK;
}

enum rollout_result failure_result(const struct rollout *rollout)
{
    size_t count[NODE_OUTCOMES] = {0};
    size_t failed;

    for (size_t i = 0; i < rollout->config.node_count; i++)
        count[rollout->walkers[i].outcome]++;
    if (rollout->interrupted)
        return RESULT_INTERRUPTED;
    if (rollout->lease_lost)
        return rollout->touched_count > 0 || migration_any_sent(rollout) ? RESULT_NEEDS_CARE
                                                                         : RESULT_REFUSED;
    if (rollout->setup_refused)
        return RESULT_REFUSED;
    if (rollout->setup_unreachable)
        return RESULT_UNREACHABLE;
    if (rollout->config.unwinds && rollout->shift_unsure)
        return RESULT_NEEDS_CARE;
    if (rollout->config.unwinds && count[NODE_NEEDS_CARE] == 0)
        return count[NODE_RESTORED] > 0 ? RESULT_DONE : RESULT_NOTHING;
    if (rollout->held && !rollout->spent)
        return RESULT_HELD;
    failed = count[NODE_NEEDS_CARE] + count[NODE_FAILED] + count[NODE_RESTORED] +
             count[NODE_UNREACHABLE];
    if (rollout->spent || rollout->migration_failed || failed > 0)
        return result_of_failure(rollout, count);
    if (count[NODE_UPDATED] > 0 || migration_any_done(rollout))
        return RESULT_DONE;
    return count[NODE_UNCHANGED] > 0 || count[NODE_SKIPPED] == 0 ? RESULT_NOTHING
                                                                 : RESULT_UNREACHABLE;
}
