/* Blue-green: what has traffic runs, and is not stopped; after a run that ended well all of it is on one release. */
#include <string.h>

#include "world.h"

static bool is(const char *a, const char *b)
{
    return *a == *b && strcmp(a, b) == 0;
}

static const char *slot_word(size_t slot)
{
    return slot ? "green" : "blue";
}

/* Something else than a run may have taken the instance down, or let traffic to it. */
static bool has_excuse(const struct world *world, size_t node)
{
    for (size_t i = 0; i < world->plan->fault_count; i++) {
        const struct sim_fault *fault = &world->plan->faults[i];
        bool down = fault->kind == FAULT_ILL || fault->kind == FAULT_NODE_DIES || fault->kind == FAULT_POWER_LOSS;
        if ((down && fault->node == node) || fault->kind == FAULT_RELOAD)
            return true;
    }
    return false;
}

void laws_slot_traffic(struct run *run, size_t balancer, size_t instance, bool in)
{
    struct world *world = run->world;
    size_t index = instance % NODES_MAX, at = instance / NODES_MAX;
    struct model_node *node = &world->nodes[index];
    struct traffic *traffic = &world->traffic[balancer][instance];
    tell("        %s-%s: traffic of balancer %zu %s", node->name, slot_word(at), balancer + 1, in ? "on" : "off");
    if (in && traffic->out && !has_excuse(world, index) &&
        !world->hooks.healthy(world->hooks.context, node, &node->slots[at]))
        law_broken(world, "law 7", "%s-%s gets traffic and does not answer", node->name, slot_word(at));
    traffic->out = !in;
}

void laws_slot_stops(struct world *world, const struct model_node *node)
{
    size_t index = (size_t)(node - world->nodes);
    tell("        %s-%s is stopped", node->name, slot_word(node->stopped_slot));
    for (size_t i = 0; i < world->plan->balancers && !has_excuse(world, index); i++)
        if (!world->traffic[i][world_instance(index, node->stopped_slot)].out)
            law_broken(world, "law 7", "%s-%s is stopped while it gets traffic of balancer %zu", node->name,
                       slot_word(node->stopped_slot), i + 1);
}

void law_12_slots(struct world *world, const struct model_node *node, const struct model_step *step)
{
    const char *name = model_request_get(step->request, "slot");
    const char *process = node->slots[name && is(name, slot_word(1))].process;
    if (*process && !is(process, step->release))
        law_broken(world, "law 12", "%s-%s: release %s is committed while the process of %s answers", node->name, name ? name : "?",
                   step->release, process);
}

static void check_side(struct run *run, size_t index, size_t balancer)
{
    struct world *world = run->world;
    struct model_node *node = &world->nodes[index];
    for (size_t at = 0; at < MODEL_SLOTS; at++) {
        const struct model_slot *slot = &node->slots[at];
        bool in = !world->traffic[balancer][world_instance(index, at)].out;
        if (in && !is(slot->process, node->current))
            law_broken(world, "serves", "run %zu ends with %d, and %s-%s has traffic and runs %s, not %s", run->index + 1,
                       run->exit_code, node->name, slot_word(at), *slot->process ? slot->process : "nothing", node->current);
    }
}

void laws_slots_end(struct run *run)
{
    struct world *world = run->world;
    bool well = run->exit_code == 0 || (run->exit_code == 1 && !run->undoes);
    for (size_t i = 0; well && i < run->member_count; i++) {
        size_t index = run->members[i];
        const struct model_node *node = &world->nodes[index];
        const char *outcome = run->seen[index].outcome;
        if (has_excuse(world, index) || !node->up || !is(node->lock.rollout, run->rollout) || !*node->current)
            continue;
        if (is(outcome, "updated") && !run->undoes && !is(node->current, run->seen[index].target))
            law_broken(world, "serves", "run %zu ends with %d, and %s is called updated and has %s", run->index + 1, run->exit_code,
                       node->name, node->current);
        for (size_t k = 0; k < world->plan->balancers; k++)
            check_side(run, index, k);
    }
}
