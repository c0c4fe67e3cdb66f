/* What must be true when a run ends. */
#include <string.h>

#include "world.h"

static bool is(const char *a, const char *b)
{
    return *a == *b && strcmp(a, b) == 0;
}

/* No other run has had the node since. */
static bool is_last_holder(const struct run *run, const struct model_node *node)
{
    return is(node->lock.rollout, run->rollout);
}

/* Another reason than the run keeps the node from answering: the host went down, or a health check fails by itself. */
static bool has_excuse(const struct world *world, size_t node)
{
    for (size_t i = 0; i < world->plan->fault_count; i++) {
        const struct sim_fault *fault = &world->plan->faults[i];
        if (fault->node == node && (fault->kind == FAULT_ILL || fault->kind == FAULT_NODE_DIES))
            return true;
    }
    return false;
}

static void check_serves(struct run *run, size_t index)
{
    struct world *world = run->world;
    const struct model_node *node = &world->nodes[index];
    const struct seen *seen = &run->seen[index];
    bool updated = is(seen->outcome, "updated"), unchanged = is(seen->outcome, "unchanged");
    if (!(updated || unchanged) || !node->up || !is_last_holder(run, node) || has_excuse(world, index))
        return;
    const char *wanted = run->undoes ? node->current : seen->target;
    if (!is(node->serving, wanted))
        law_broken(world, "serves", "run %zu ends with 0, and %s, %s, runs %s and not %s", run->index + 1, node->name, seen->outcome,
                   *node->serving ? node->serving : "nothing", *wanted ? wanted : "nothing");
    else if (*wanted && !world->hooks.healthy(world->hooks.context, &world->nodes[index]))
        law_broken(world, "serves", "run %zu ends with 0, and %s, %s, does not answer", run->index + 1, node->name, seen->outcome);
}

void law_serves(struct run *run)
{
    for (size_t i = 0; run->exit_code == 0 && !run->undoes && i < run->world->plan->node_count; i++)
        check_serves(run, i);
}

static void check_weights(struct run *run, size_t balancer)
{
    struct world *world = run->world;
    for (size_t i = 0; i < run->member_count; i++) {
        const struct model_node *node = &world->nodes[run->members[i]];
        const struct traffic *traffic = &world->traffic[balancer][run->members[i]];
        const char *outcome = run->seen[run->members[i]].outcome;
        bool gone = is(outcome, "unreachable") || is(outcome, "skipped");
        if (*node->current && !gone && is_last_holder(run, node) && (traffic->out || traffic->weight != WEIGHT_WHOLE))
            law_broken(world, "weights", "run %zu ends with %d, and %s, %s, has weight %u at balancer %zu%s", run->index + 1,
                       run->exit_code, node->name, outcome, traffic->weight, balancer + 1, traffic->out ? " and is out" : "");
    }
}

void law_weights(struct run *run)
{
    for (size_t i = 0; i < run->world->plan->balancers && (run->exit_code == 0 || run->exit_code == 1); i++)
        check_weights(run, i);
}

void law_liveness(struct run *run)
{
    (void)run;
}
