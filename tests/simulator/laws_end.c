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
        if (fault->node == node && (fault->kind == FAULT_ILL || fault->kind == FAULT_NODE_DIES || fault->kind == FAULT_POWER_LOSS))
            return true;
    }
    return false;
}

static void check_serves(struct run *run, size_t index)
{
    struct world *world = run->world;
    struct model_node *node = &world->nodes[index];
    const struct seen *seen = &run->seen[index];
    bool forward = is(seen->outcome, "updated") || is(seen->outcome, "unchanged");
    if (!(forward || is(seen->outcome, "restored")) || !node->up || !is_last_holder(run, node))
        return;
    const char *wanted = forward && !run->undoes ? seen->target : node->current;
    if (!is(node->serving, wanted))
        law_broken(world, "serves", "run %zu ends with %d, and %s, %s, runs %s and not %s", run->index + 1, run->exit_code, node->name,
                   seen->outcome, *node->serving ? node->serving : "nothing", *wanted ? wanted : "nothing");
    else if (*wanted && !has_excuse(world, index) && !world->hooks.healthy(world->hooks.context, node, NULL))
        law_broken(world, "serves", "run %zu ends with %d, and %s, %s, does not answer", run->index + 1, run->exit_code, node->name,
                   seen->outcome);
}

void law_serves(struct run *run)
{
    for (size_t i = 0; (run->exit_code == 0 || run->exit_code == 1) && i < run->world->plan->node_count; i++)
        check_serves(run, i);
}

static void check_weights(struct run *run, size_t balancer)
{
    struct world *world = run->world;
    for (size_t i = 0; i < run->member_count; i++) {
        const struct model_node *node = &world->nodes[run->members[i]];
        const struct traffic *traffic = &world->traffic[balancer][run->members[i]];
        const char *outcome = run->seen[run->members[i]].outcome;
        bool ours = is(outcome, "updated") || is(outcome, "restored") || is(outcome, "unchanged");
        if (*node->current && ours && is_last_holder(run, node) && (traffic->out || traffic->weight != WEIGHT_WHOLE))
            law_broken(world, "weights", "run %zu ends with %d, and %s, %s, has weight %u at balancer %zu%s", run->index + 1,
                       run->exit_code, node->name, outcome, traffic->weight, balancer + 1, traffic->out ? " and is out" : "");
    }
}

void law_weights(struct run *run)
{
    for (size_t i = 0; i < run->world->plan->balancers && (run->exit_code == 0 || run->exit_code == 1); i++)
        check_weights(run, i);
}

/* --- liveness: a run ends within what its config allows, and what the faults that struck meanwhile explain --- */

#define SETUP_MS 20000   /* connects, facts, locks, stages, commits and the ends of all nodes, when nothing is wrong */
#define NODE_MS 12000    /* a change or an undo with its gate, of a node that gets healthy */
#define HEALTHY_MS 20000 /* the playbook's healthy_deadline, for one that does not */
#define BALANCER_MS 12000 /* sessions that end, and its commands */
#define RECOVER_MS 30000 /* a step that times out, or a node that is looked for in vain */

/* One node after another: each is changed and undone. */
static int64_t quiet_ms(const struct run *run)
{
    const struct world_plan *plan = run->world->plan;
    int64_t node_ms = 2 * (NODE_MS + (int64_t)plan->balancers * BALANCER_MS) + plan->bake_s * 1000;
    return SETUP_MS + (int64_t)run->member_count * node_ms + (int64_t)(plan->max_failures + 1) * HEALTHY_MS;
}

static int64_t fault_ms(const struct world_plan *plan, const struct sim_fault *fault)
{
    int64_t lasts = fault->kind == FAULT_WALL_JUMP || fault->kind == FAULT_RUNNER_JUMPS ? 0 : fault->for_ms;
    return lasts + (int64_t)plan->attempts * RECOVER_MS;
}

void law_liveness(struct run *run)
{
    const struct world_plan *plan = run->world->plan;
    int64_t bound_ms = quiet_ms(run), took_ms = run->ended_at - run->began_at;
    for (size_t i = 0; i < plan->fault_count; i++)
        bound_ms += fault_ms(plan, &plan->faults[i]);
    if (took_ms > bound_ms)
        law_broken(run->world, "liveness", "run %zu has taken %.1f s, %.1f s at most explained", run->index + 1,
                   (double)took_ms / 1000, (double)bound_ms / 1000);
}
