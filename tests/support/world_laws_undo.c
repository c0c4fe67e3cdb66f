#include "world_laws.h"

/* What stops and goes back: laws 3, 4 and 5, and a wish to abort. */

/* 3. Once the failure budget is spent, no further node is touched. */
void law_3_budget(struct world *world, const struct action *action)
{
    const struct ledger *ledger = ledger_of(world, action->node);
    bool began = refreshes(action) ? ledger->refreshing : ledger->changed;

    if (world->spent && touches(action) && !action->undo && !began)
        law_broken(world, "law 3", "web%zu is touched though the budget is spent",
                   action->node + 1);
    if (world->held && touches(action) && !action->undo)
        law_broken(world, "law 3", "web%zu is touched though its rollout is held", action->node + 1);
}

void law_3_is_spent_in_time(struct world *world)
{
    if (world->failures > world->config.max_failures && !world->spent && !world->interrupted &&
        !world->lease_lost)
        law_broken(world, "law 3", "%u failures and the budget is not spent", world->failures);
}

/* Those who wait for a hook that runs once began in order, and go on together. */
static bool undos_wait_for_a_hook(const struct world *world)
{
    for (size_t i = 0; i < world->plan->hook_count; i++)
        if (world->plan->hooks[i].moment == MOMENT_BEFORE_ROLLBACK &&
            world->plan->hooks[i].place == PLACE_FIRST)
            return true;
    return false;
}

/* 4. action = rollback undoes newest first (those already out before those that serve; who is restarted as a control comes in
 * as it is before its turn)... */
void law_4_newest_first(struct world *world, const struct action *action)
{
    const struct ledger *this = ledger_of(world, action->node);

    if (!action->undo || this->held_by_breaker || this->undone || this->alone || !world->spent || !rolls_back(world) ||
        !world->config.balanced || world->config.switches || undos_wait_for_a_hook(world))
        return;
    for (size_t i = 0; i < world->config.node_count; i++) {
        const struct ledger *other = &world->ledgers[i];

        if (i == action->node || !other->touched || other->undone || other->settled ||
            other->alone || other->refreshing || !is_over(world, &other->last) || is_left_alone(world, other))
            continue;
        if ((other->out && !this->out) ||
            (other->out == this->out && other->touch_number > this->touch_number))
            law_broken(world, "law 4", "web%zu is undone before web%zu", action->node + 1, i + 1);
    }
}

/* ... and brings every touched node back to its own previous release, which the gate proves. */
void law_4_restored(struct world *world, size_t node)
{
    const struct node_truth *truth = &world->nodes[node];
    const struct ledger *ledger = &world->ledgers[node];

    if (truth->runs != truth->ran_before)
        law_broken(world, "law 4", "web%zu is called restored and runs something else", node + 1);
    if (world->config.switches && world->shifts == 0 && world->config.share == 0)
        return; /* what serves was never left */
    if (world->config.probed && !ledger->empty && !ledger->gate_passed)
        law_broken(world, "law 4", "web%zu is called restored without a gate", node + 1);
}

void law_4_all_came_back(struct world *world)
{
    if (!world->spent || !rolls_back(world) || world->interrupted || world->lease_lost)
        return;
    for (size_t i = 0; i < world->config.node_count; i++) {
        enum node_outcome outcome = outcome_of(world, i);

        if (world->ledgers[i].touched && outcome != NODE_RESTORED && outcome != NODE_NEEDS_CARE)
            law_broken(world, "law 4", "web%zu was touched and is %s", i + 1,
                       node_outcome_name(outcome));
    }
}

/* 5. A rollback is never rolled back: what then fails needs care. */
void law_5_one_undo(struct world *world, const struct action *action)
{
    struct ledger *ledger = ledger_of(world, action->node);

    if (ledger->undone && !action->undo &&
        (touches(action) || action->step == STEP_STAGE || action->step == STEP_ENABLE))
        law_broken(world, "law 5", "web%zu goes forward again after its undo", action->node + 1);
    if (!action->undo)
        return;
    if (ledger->settled)
        law_broken(world, "law 5", "web%zu is undone again", action->node + 1);
    if (!world->config.undo_allowed && !world->config.unwinds)
        law_broken(world, "law 5", "web%zu is undone in a rollback", action->node + 1);
    if (action->step == STEP_ACTIVATE && ledger->undo_token != 0 &&
        ledger->undo_token != action->token)
        law_broken(world, "law 5", "web%zu gets its previous release twice", action->node + 1);
    if (action->step == STEP_ACTIVATE)
        ledger->undo_token = action->token;
}

/* An abort goes back only, and in the end what the run before it had changed is back or named. */
void rule_goes_back_only(struct world *world, const struct action *action)
{
    if (world->config.unwinds && !action->undo &&
        (touches(action) || action->step == STEP_STAGE || action->step == STEP_ENABLE || action->step == STEP_SHIFT ||
         action->step == STEP_COMMIT))
        law_broken(world, "abort", "%s goes forward in an abort", step_name(action->step));
}

void rule_unwound(struct world *world)
{
    enum rollout_result result = rollout_result(world->rollout);
    size_t back = 0, bad = 0;

    if (!world->config.unwinds || world->interrupted || world->lease_lost || result == RESULT_REFUSED ||
        result == RESULT_UNREACHABLE)
        return;
    for (size_t i = 0; i < world->config.node_count; i++) {
        enum node_outcome outcome = outcome_of(world, i);

        back += outcome == NODE_RESTORED;
        bad += outcome == NODE_NEEDS_CARE;
        if (world->ledgers[i].begun && outcome != NODE_RESTORED && outcome != NODE_NEEDS_CARE && outcome != NODE_SKIPPED)
            law_broken(world, "abort", "web%zu was changed and is %s", i + 1, node_outcome_name(outcome));
        if (!world->ledgers[i].begun && (outcome == NODE_RESTORED || outcome == NODE_UPDATED))
            law_broken(world, "abort", "web%zu was not changed and is %s", i + 1, node_outcome_name(outcome));
    }
    if (result == RESULT_DONE && (bad > 0 || back == 0 || world->share > 0 || world->share_unknown))
        law_broken(world, "abort", "done, and %zu need care, or the traffic is where it was", bad);
    if (result == RESULT_NOTHING && (bad > 0 || back > 0))
        law_broken(world, "abort", "nothing, and %zu are back", back);
}

void rule_abort(struct world *world)
{
    if (world->abort_counts && !world->spent && !world->interrupted && !world->lease_lost &&
        rollout_result(world->rollout) != RESULT_REFUSED &&
        rollout_result(world->rollout) != RESULT_UNREACHABLE)
        law_broken(world, "abort", "nobody minded it");
}
