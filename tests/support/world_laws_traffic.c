#include "world_laws.h"

/* What serves: laws 2 and 7, the quorum, who leads, who has caught up, the shares. */

/* Their weights. */
static uint64_t sum_out(const struct world *world, size_t besides, bool *recovering)
{
    uint64_t sum = 0;

    *recovering = false;
    for (size_t i = 0; i < world->config.node_count; i++) {
        const struct ledger *ledger = &world->ledgers[i];
        enum node_outcome outcome = outcome_of(world, i);

        if (i == besides || !ledger->out)
            continue;
        if (!ledger->touched &&
            (outcome == NODE_SKIPPED || outcome == NODE_UNREACHABLE || outcome == NODE_REFUSED))
            continue;
        sum += world->weights[i];
        if ((ledger->changed || ledger->undone || ledger->refreshing) && !ledger->settled)
            *recovering = true;
    }
    return sum;
}

/* 2. Never more than max_unavailable of the weights are out of service because of us; a node unhealthy
 * before counts as out. */
void law_2_capacity(struct world *world, const struct action *action)
{
    struct ledger *ledger = ledger_of(world, action->node);
    bool recovering;
    uint64_t others, own;

    if (!touches(action) || ledger->out || world->config.switches)
        return;
    others = sum_out(world, action->node, &recovering);
    own = world->weights[action->node];
    ledger->out = true;
    if (others == 0 || others + own <= world->config.max_unavailable || (action->undo && !recovering))
        return;
    law_broken(world, "law 2", "web%zu goes out, a weight of %llu, while %llu are out, %u allowed", action->node + 1,
               (unsigned long long)own, (unsigned long long)others, world->config.max_unavailable);
}

/* Never fewer members than the quorum because of us. */
void law_quorum(struct world *world, const struct action *action)
{
    const struct ledger *ledger = ledger_of(world, action->node);
    size_t missing = 1;

    if (!touches(action) || ledger->out || world->config.quorum == 0)
        return;
    for (size_t i = 0; i < world->config.node_count; i++) {
        enum node_outcome outcome = outcome_of(world, i);

        missing += i != action->node && (world->ledgers[i].out || outcome == NODE_SKIPPED ||
                                         outcome == NODE_UNREACHABLE);
    }
    if (missing + world->config.quorum > world->config.node_count)
        law_broken(world, "quorum", "web%zu goes out, and %zu of %zu are missing then",
                   action->node + 1, missing, world->config.node_count);
}

static bool others_are_left(const struct world *world, size_t node)
{
    for (size_t i = 0; i < world->config.node_count; i++)
        if (i != node && !world->ledgers[i].touched && outcome_of(world, i) == NODE_PENDING)
            return true;
    return false;
}

/* Who leads goes last, and each is asked before it goes. */
void law_leader_last(struct world *world, const struct action *action)
{
    const struct ledger *ledger = ledger_of(world, action->node);

    if (!world->config.asks_leader || !touches(action) || action->undo || ledger->touched ||
        ledger->out || ledger->led >= 3 || !others_are_left(world, action->node))
        return;
    if (ledger->asked == 0 || ledger->leads)
        law_broken(world, "leader", "web%zu goes before others, and %s", action->node + 1,
                   ledger->asked ? "leads" : "was never asked");
}

/* What is put in, or called updated, has caught up. */
void law_ready(struct world *world, size_t node)
{
    const struct ledger *ledger = &world->ledgers[node];

    if (world->config.waits_ready && (ledger->changed || ledger->refreshing) && !ledger->ready)
        law_broken(world, "ready", "web%zu goes on before it has caught up", node + 1);
}

/* 7. No traffic to an instance that has not passed its gate; no activation before its drain ended
 * or timed out. */
void law_7_traffic(struct world *world, const struct action *action)
{
    const struct ledger *ledger = ledger_of(world, action->node);

    if (action->step == STEP_ENABLE && world->config.probed && !ledger->gate_passed)
        law_broken(world, "law 7", "web%zu gets traffic without its gate", action->node + 1);
    if (action->step == STEP_ENABLE && world->config.probed && ledger->unheard &&
        ledger->work.action.token != action->token)
        law_broken(world, "law 7", "web%zu gets traffic, unheard of since it was cut off",
                   action->node + 1);
    if ((action->step == STEP_ACTIVATE || action->step == STEP_RESTART) && world->config.balanced &&
        !world->config.switches && !ledger->drain_over)
        law_broken(world, "law 7", "web%zu is activated before it is drained", action->node + 1);
}

/* A control is restarted where the old release serves and was well, and on no more nodes than have the new one. */
void law_control(struct world *world, const struct action *action)
{
    const struct ledger *ledger = ledger_of(world, action->node);
    size_t updated = 0, controls = 1;

    if (!refreshes(action) || !touches(action) || ledger->refreshing)
        return;
    for (size_t i = 0; i < world->config.node_count; i++) {
        const struct ledger *other = &world->ledgers[i];

        updated += outcome_of(world, i) == NODE_UPDATED;
        controls += i != action->node && (other->refreshing || other->fresh) && !other->left_out;
    }
    if (!world->config.refreshes || world->state != ROLLOUT_REFRESH || ledger->changed || ledger->undone ||
        ledger->fresh || (ledger->touched && !ledger->left_out) || outcome_of(world, action->node) != NODE_PENDING)
        law_broken(world, "control", "web%zu is restarted, and is no node of the old release", action->node + 1);
    if (ledger->sick || ledger->empty || ledger->out)
        law_broken(world, "control", "web%zu is restarted as control and was not well before", action->node + 1);
    if (!ledger->left_out && controls > updated)
        law_broken(world, "control", "web%zu is one of %zu controls, of %zu updated nodes", action->node + 1, controls,
                   updated);
}

/* Who was taken out for it is in again, or a person is told. */
void law_control_serves(struct world *world, const char *when)
{
    for (size_t i = 0; i < world->config.node_count; i++)
        if (world->ledgers[i].refreshing && outcome_of(world, i) != NODE_NEEDS_CARE)
            law_broken(world, "control", "%s: web%zu was taken out as control and is not in again", when, i + 1);
}

static void law_7_switched(struct world *world, size_t node, bool undo)
{
    const struct ledger *ledger = &world->ledgers[node];
    enum node_outcome outcome = outcome_of(world, node);

    if (!ledger->touched || !world->config.probed || outcome == NODE_NEEDS_CARE ||
        (undo && ledger->empty))
        return;
    if (!ledger->gate_passed)
        law_broken(world, "law 7", "web%zu is switched to without its gate", node + 1);
    if (!undo && (ledger->unheard || outcome != NODE_UPDATED))
        law_broken(world, "law 7", "web%zu is switched to and is not known to be well", node + 1);
}

/* A share is the wave's own, for nodes that are updated and well as far as anybody knows. */
static void law_7_share(struct world *world, const struct action *action)
{
    size_t wave = rollout_wave(world->rollout), updated = 0;

    if (action->share != (action->undo ? 0 : world->config.rules[wave].share))
        law_broken(world, "shift", "wave %zu is shifted to %u of 1000", wave + 1, action->share);
    for (size_t i = 0; i < world->config.node_count; i++) {
        if (outcome_of(world, i) != NODE_UPDATED)
            continue;
        updated++;
        if (world->config.probed && !world->ledgers[i].gate_open)
            law_broken(world, "law 7", "web%zu gets a share without its gate", i + 1);
    }
    if (!action->undo && updated == 0)
        law_broken(world, "law 7", "traffic is shifted, and nobody is updated");
}

/* ... nor by a shift; and what has traffic is not taken down under it. */
void law_7_shift(struct world *world, const struct action *action)
{
    bool serves = world->share > 0 || world->share_unknown;

    if (world->config.switches && action->undo && action->step == STEP_ACTIVATE && serves)
        law_broken(world, "law 7", "web%zu is taken down while it may serve", action->node + 1);
    if (action->step != STEP_SHIFT)
        return;
    if (world->spent && !action->undo)
        law_broken(world, "law 3", "traffic is shifted though the budget is spent");
    for (size_t i = 0; world->config.switches && i < world->config.node_count; i++)
        law_7_switched(world, i, action->undo);
    if (!world->config.switches)
        law_7_share(world, action);
    world->shifts++;
    world->share_unknown = true;
}

/* A node that counts as updated keeps its release: no timer of its own takes it away. */
void rule_confirmed(struct world *world, size_t node)
{
    if (world->nodes[node].confirm_by > 0)
        law_broken(world, "confirm", "web%zu is called updated and was never confirmed", node + 1);
    if (world->nodes[node].put_back)
        law_broken(world, "confirm", "web%zu is called updated and put its release back", node + 1);
}

/* Whom a share was for has gone back: so does the share, before anybody else changes. */
void rule_share_of_nobody(struct world *world)
{
    if (!world->config.shifts || world->config.switches || world->share == 0 ||
        world->touched_count == 0 || !world->config.undo_allowed || world->past_no_return ||
        world->config.no_way_back || rollout_state(world->rollout) != ROLLOUT_WAVE)
        return;
    for (size_t i = 0; i < world->config.node_count; i++)
        if (outcome_of(world, i) == NODE_UPDATED)
            return;
    law_broken(world, "shift", "a wave begins, and nobody has the %u of 1000", world->share);
}

/* Where the traffic is, is known, unless a person is told to look. */
void rule_shifts(struct world *world)
{
    enum rollout_result result = rollout_result(world->rollout);
    size_t last = world->config.waves.count - 1;

    if (!world->config.shifts)
        return;
    if (world->share_unknown &&
        (result == RESULT_DONE || result == RESULT_ROLLED_BACK || result == RESULT_HELD))
        law_broken(world, "shift", "%s, and nobody knows where the traffic is",
                   rollout_result_name(result));
    if (result == RESULT_ROLLED_BACK && world->share > 0 && world->touched_count > 0)
        law_broken(world, "shift", "rolled back, and %u of 1000 go to the target", world->share);
    if (result == RESULT_DONE && !world->config.unwinds && world->touched_count > 0 &&
        world->share != world->config.rules[last].share)
        law_broken(world, "shift", "done, and %u of 1000 go to the target", world->share);
}
