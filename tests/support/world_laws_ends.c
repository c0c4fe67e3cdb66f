#include "world_laws.h"

#include <inttypes.h>

/* What a run says of itself: laws 1 and 10, its holds, its result. */

static bool ended_silent(const struct record *record)
{
    bool no_answer = !record->answered || record->status == DONE_UNREACHABLE;
    bool connect_timed_out =
        record->action.step == STEP_CONNECT &&
        (record->status == DONE_TIMED_OUT || record->status == DONE_CANCELLED || record->cancelled);

    return no_answer || connect_timed_out;
}

/* 1. It finishes exactly once, and within its deadlines. */
void law_1_finishes_once(struct world *world)
{
    const struct rollout_config *config = &world->config;
    int64_t step_ms = 10000 + config->cancel_grace_ms + 4000 + 16000;
    int64_t node_ms =
        60 * (int64_t)config->attempts * step_ms + 4 * (config->health.healthy_deadline_ms + 60000);
    int64_t data_ms = 3 * (int64_t)config->migration_count * config->attempts * 2 * step_ms;
    int64_t limit_ms = (int64_t)config->node_count * (node_ms + config->bake_ms) + data_ms;

    if (world->stuck)
        law_broken(world, "law 1", "stuck in state %s after %u steps",
                   rollout_state_name(world->state), world->steps);
    else if (world->results != 1)
        law_broken(world, "law 1", "%u results", world->results);
    else if (world->now > limit_ms)
        law_broken(world, "law 1", "took %" PRId64 " ms of %" PRId64, world->now, limit_ms);
}

/* 10. Unreachable, failed, unhealthy and unhealthy-before are four classes. */
void law_10_classes(struct world *world, size_t node, enum node_outcome outcome)
{
    const struct ledger *ledger = &world->ledgers[node];
    bool silent = ended_silent(&ledger->last);

    if ((outcome == NODE_UNREACHABLE || outcome == NODE_SKIPPED) && (!silent || ledger->touched))
        law_broken(world, "law 10", "web%zu is called %s and is not", node + 1,
                   node_outcome_name(outcome));
    if ((outcome == NODE_FAILED || outcome == NODE_REFUSED) &&
        ((silent && !world_on_runner(world, &ledger->last.action)) || ledger->touched))
        law_broken(world, "law 10", "web%zu is called %s and is not", node + 1,
                   node_outcome_name(outcome));
    bool stays = world->plan->natures[node].stays;
    bool sick = ledger->sick && !world->config.switches;
    bool elsewhere = world->nodes[node].runs != RUNS_TARGET && !world->config.switches;
    if (outcome == NODE_UNCHANGED && !stays &&
        (ledger->touched || sick || ((ledger->empty || elsewhere) && !world->config.unwinds)))
        law_broken(world, "law 10", "web%zu is called unchanged", node + 1);
    if ((outcome == NODE_OUTSIDE) != (world->outside[node] && outcome != NODE_REFUSED && outcome != NODE_PENDING))
        law_broken(world, "outside", "web%zu is called %s", node + 1, node_outcome_name(outcome));
}

void law_10_unhealthy_before(struct world *world)
{
    struct node_view view;

    for (size_t i = 0; i < world->config.node_count; i++) {
        rollout_node(world->rollout, i, &view);
        if (view.unhealthy_before != world->ledgers[i].sick)
            law_broken(world, "law 10", "web%zu: unhealthy before is told wrong", i + 1);
        if (view.outcome == NODE_NEEDS_CARE && view.trouble == TROUBLE_NONE)
            law_broken(world, "law 10", "web%zu needs care and nobody says why", i + 1);
    }
}

/* A manual gate and a wish to pause end a run before its next wave. */
void rule_holds(struct world *world, size_t wave)
{
    if (world->paused)
        law_broken(world, "hold", "wave %zu begins though it is to be paused", wave + 1);
    if (world->config.rules && world->waves_begun > 0 && world->waves_begun <= wave &&
        world->config.rules[world->waves_begun - 1].manual)
        law_broken(world, "hold", "wave %zu begins and nobody let it", wave + 1);
    world->waves_begun = wave + 1;
}

static bool has_manual_wave(const struct world *world)
{
    for (size_t i = 0; world->config.rules && i < world->config.waves.count; i++)
        if (world->config.rules[i].manual)
            return true;
    return false;
}

/* What the exit code says is true. */
void rule_result(struct world *world)
{
    enum rollout_result result = rollout_result(world->rollout);
    size_t count[NODE_OUTCOMES] = {0};
    size_t bad;

    for (size_t i = 0; i < world->config.node_count; i++) {
        enum node_outcome outcome = outcome_of(world, i);

        count[outcome]++;
        if (outcome == NODE_UPDATED && (world->nodes[i].runs != RUNS_TARGET ||
                                        (world->config.probed && !world->ledgers[i].gate_open)))
            law_broken(world, "result", "web%zu is called updated and is not", i + 1);
    }
    bad = count[NODE_FAILED] + count[NODE_NEEDS_CARE] + count[NODE_RESTORED] +
          count[NODE_UNREACHABLE] + count[NODE_REFUSED];
    if (result == RESULT_DONE && !world->config.unwinds && (bad > 0 || count[NODE_PENDING] > 0 ||
                                  (count[NODE_UPDATED] == 0 && world->plan->migration_count == 0)))
        law_broken(world, "result", "done, and %zu nodes are not", bad);
    if (result == RESULT_ROLLED_BACK && (count[NODE_NEEDS_CARE] > 0 || count[NODE_UPDATED] > 0))
        law_broken(world, "result", "rolled back, and some node is not");
    if ((result == RESULT_REFUSED || result == RESULT_UNREACHABLE || result == RESULT_NOTHING) &&
        world->touched_count > 0)
        law_broken(world, "result", "%s, though %zu nodes were touched",
                   rollout_result_name(result), world->touched_count);
    if (result == RESULT_INTERRUPTED && !world->interrupted)
        law_broken(world, "result", "interrupted by nobody");
    bool unjudged = world->ledgers[world->config.node_count].last.cancelled; /* its answer came too late */
    if (result == RESULT_HELD && !world->held && !unjudged && !world->paused && !has_manual_wave(world) &&
        (world->config.action != ON_FAILURE_PAUSE || !world->spent))
        law_broken(world, "result", "held without a reason");
}
