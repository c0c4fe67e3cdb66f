#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outside.h"

#define HEAL_MS 300000      /* every fault and every run that can end has ended by then */
#define HOURS_MAX 12
#define TURNS_MAX 2000000

static size_t index_of(const struct world *world, const struct model_node *node)
{
    return (size_t)(node - world->nodes);
}

/* --- faults that strike a step --- */

const struct sim_fault *world_strikes(struct world *world, size_t node, const char *verb, enum sim_fault_kind from,
                                      enum sim_fault_kind to)
{
    for (size_t i = 0; !world->healed_at && i < world->plan->fault_count; i++) {
        const struct sim_fault *fault = &world->plan->faults[i];
        if (fault->kind < from || fault->kind > to || fault->node != node || strcmp(fault->verb, verb) != 0)
            continue;
        if (++world->strikes[i] != fault->nth)
            continue;
        world->in_effect[fault->kind]++;
        return fault;
    }
    return NULL;
}

static bool loses_reply(void *context, struct model_node *node, const char *verb)
{
    struct world *world = context;
    bool lost = world_strikes(world, index_of(world, node), verb, FAULT_LOST_REPLY, FAULT_LOST_REPLY);
    if (lost)
        tell("%s: the connection is lost in place of the reply to %s", node->name, verb);
    return lost;
}

static bool loses_request(void *context, struct model_node *node, const char *verb)
{
    struct world *world = context;
    bool lost = world_strikes(world, index_of(world, node), verb, FAULT_LOST_REQUEST, FAULT_LOST_REQUEST);
    if (lost)
        tell("%s: the connection is lost before it reads %s", node->name, verb);
    return lost;
}

static bool active(const struct sim_fault *fault)
{
    return clock_now() >= fault->at_ms && clock_now() < fault->at_ms + fault->for_ms;
}

static bool is_stuck(struct world *world, size_t node)
{
    for (size_t i = 0; i < world->plan->fault_count; i++) {
        const struct sim_fault *fault = &world->plan->faults[i];
        if (fault->kind == FAULT_STUCK && fault->node == node && active(fault))
            return true;
    }
    return false;
}

static void shape(void *context, struct model_node *node, struct model_step *step)
{
    struct world *world = context;
    const struct sim_fault *fault = world_strikes(world, index_of(world, node), step->request->verb, FAULT_FAILS, FAULT_DEAF);
    step->takes_ms = step->recorded ? 30 + (int64_t)luck_below(400) : 10 + (int64_t)luck_below(30);
    step->sticks = *node->serving && model_starts(step) && is_stuck(world, index_of(world, node));
    world->in_effect[FAULT_STUCK] += step->sticks;
    if (!fault)
        return;
    step->fails = fault->kind == FAULT_FAILS;
    step->deaf = fault->kind == FAULT_DEAF;
    if (fault->kind != FAULT_FAILS)
        step->takes_ms = fault->for_ms;
    tell("%s: %s %s", node->name, step->request->verb, step->fails ? "fails" : step->deaf ? "is slow and deaf" : "is slow");
}

static bool healthy(void *context, struct model_node *node, const struct model_slot *slot)
{
    struct world *world = context;
    size_t index = index_of(world, node);
    const char *release = slot ? slot->process : node->serving;
    if (!*release || clock_now() < (slot ? slot->since : world->started_serving[index]) + world->plan->boot_ms)
        return false;
    for (size_t i = 0; i < world->plan->fault_count; i++) {
        const struct sim_fault *fault = &world->plan->faults[i];
        if (fault->node != index)
            continue;
        bool is_new = strcmp(release, release_before) > 0;
        if ((fault->kind == FAULT_ILL && active(fault)) || (fault->kind == FAULT_BAD_RELEASE && is_new)) {
            world->in_effect[fault->kind]++;
            return false;
        }
    }
    return true;
}

static void happened(void *context, struct model_node *node, enum model_event event, const struct model_step *step)
{
    struct world *world = context;
    if (event == MODEL_SERVES)
        world->started_serving[index_of(world, node)] = clock_now();
    laws_happened(context, node, event, step);
}

/* --- faults that come at a time --- */

struct stroke {
    struct world *world;
    const struct sim_fault *fault;
};

static void node_returns(void *context)
{
    struct model_node *node = context;
    if (node->up)
        return;
    tell("%s: the host is up again", node->name);
    model_boot(node);
}

static struct runner *live_runner(struct world *world, size_t run)
{
    struct run *of = run < world->run_count ? &world->runs[run] : NULL;
    return of && of->runner && !runner_ended(of->runner) ? of->runner : NULL;
}

static void strike_node(struct world *world, const struct sim_fault *fault, struct model_node *node)
{
    int64_t until = clock_now() + fault->for_ms;
    if ((fault->kind == FAULT_NODE_DIES || fault->kind == FAULT_POWER_LOSS) && !node->up)
        return;
    /* those of the health checks count when one is asked */
    if (fault->kind != FAULT_ILL && fault->kind != FAULT_BAD_RELEASE && fault->kind != FAULT_STUCK)
        world->in_effect[fault->kind]++;
    switch (fault->kind) {
    case FAULT_NODE_DIES:
    case FAULT_POWER_LOSS:
        tell("%s: the host %s", node->name, fault->kind == FAULT_NODE_DIES ? "goes down" : "loses power");
        if (fault->kind == FAULT_POWER_LOSS)
            model_lose_unsynced(node, luck_below(2));
        node->refuses = fault->nth == 1;
        network_reset(node, NULL);
        model_crash(node);
        timer_start(NULL, fault->for_ms, node_returns, node);
        break;
    case FAULT_FROZEN:
        tell("%s: the host is frozen", node->name);
        network_cut(node, until);
        if (until > node->frozen_until)
            node->frozen_until = until;
        break;
    case FAULT_SPLIT:
        for (struct model_node *other = node; other < &world->nodes[world->plan->node_count]; other++)
            network_cut(other, until);
        tell("%s and all after it are split off", node->name);
        break;
    case FAULT_CUT:
        tell("%s: the network is cut", node->name);
        network_cut(node, until);
        break;
    case FAULT_RESET:
        tell("%s: its connections are reset", node->name);
        network_reset(node, NULL);
        break;
    case FAULT_RELOAD:
        balancer_reloads(world, fault->node);
        break;
    case FAULT_WALL_JUMP:
        node->wall_offset += fault->nth == 1 ? 3600000 : -3600000;
        break;
    default:
        break;
    }
}

static void strike_runner(struct world *world, const struct sim_fault *fault)
{
    struct runner *runner = live_runner(world, fault->node);
    struct run *run = &world->runs[fault->node];
    if (fault->kind == FAULT_DISK_FULL) {
        outside_fill_disk(run->journal);
        tell("run %zu: its disk is full", run->index + 1);
    }
    if (!runner)
        return;
    world->in_effect[fault->kind]++;
    switch (fault->kind) {
    case FAULT_RUNNER_DIES:
        tell("run %zu: killed", run->index + 1);
        runner_kill(runner);
        run->ended_at = clock_now();
        break;
    case FAULT_RUNNER_SLEEPS:
        tell("run %zu: stopped for %.1f s", run->index + 1, (double)fault->for_ms / 1000);
        run->slept = true;
        run->awake_at = clock_now() + fault->for_ms;
        runner_pause(runner, clock_now() + fault->for_ms);
        break;
    case FAULT_RUNNER_SUSPENDED:
        tell("run %zu: its machine is suspended for %.1f s", run->index + 1, (double)fault->for_ms / 1000);
        run->slept = true;
        run->awake_at = clock_now() + fault->for_ms;
        runner_suspend(runner, clock_now() + fault->for_ms);
        break;
    case FAULT_RUNNER_JUMPS:
        runner_jump(runner, fault->nth == 1 ? 3600000 : -3600000);
        break;
    case FAULT_INTERRUPT:
        tell("run %zu: SIGINT", run->index + 1);
        run->interrupted = true;
        runner_signal(runner, SIGINT);
        break;
    default:
        break;
    }
}

static void strike(void *context)
{
    struct stroke *stroke = context;
    struct world *world = stroke->world;
    const struct sim_fault *fault = stroke->fault;
    if (fault->kind < FAULT_RUNNER_DIES)
        strike_node(world, fault, &world->nodes[fault->node]);
    else
        strike_runner(world, fault);
    free(stroke);
}

static void plan_stroke(struct world *world, const struct sim_fault *fault, int64_t from)
{
    struct stroke *stroke = malloc(sizeof(*stroke));
    *stroke = (struct stroke){world, fault};
    timer_start(NULL, from + fault->at_ms - clock_now(), strike, stroke);
}

/* --- runs --- */

static void start_run(struct world *world, size_t index, enum run_verb verb, const struct run_plan *plan)
{
    struct run *run = &world->runs[index];
    *run = (struct run){.world = world, .plan = plan, .index = index, .verb = verb, .started = true, .began_at = clock_now()};
    if (world->run_count <= index)
        world->run_count = index + 1;
    run->runner = runner_start(run_body, run, run);
    for (size_t i = 0; i < world->plan->fault_count; i++) {
        const struct sim_fault *fault = &world->plan->faults[i];
        if (fault->kind >= FAULT_RUNNER_DIES && fault->node == index && index < world->plan->run_count)
            plan_stroke(world, fault, clock_now());
    }
}

static bool over(const struct run *run)
{
    return run->started && runner_ended(run->runner);
}

/* Starts what is due; true when all runs of the plan have ended. */
static bool start_due(struct world *world, struct strbuf *story)
{
    (void)story;
    for (size_t i = 0; i < world->plan->run_count; i++) {
        const struct run_plan *plan = &world->plan->runs[i];
        if (world->runs[i].started)
            continue;
        if (plan->after && i > 0 && !over(&world->runs[i - 1]))
            return false;
        int64_t at = plan->at_ms + (plan->after && i > 0 ? world->runs[i - 1].ended_at : 0);
        if (clock_now() < at)
            return false;
        start_run(world, i, plan->verb, plan);
    }
    for (size_t i = 0; i < world->plan->run_count; i++)
        if (!over(&world->runs[i]))
            return false;
    return true;
}

static void nudge(void *context)
{
    (void)context;
}

/* Turns until all that runs has ended, or a law was broken. */
static void turn_until_over(struct world *world, struct strbuf *story, bool (*due)(struct world *, struct strbuf *))
{
    while (!world->law && !due(world, story)) {
        if (++world->events > TURNS_MAX || clock_now() > (int64_t)HOURS_MAX * 3600000) {
            law_broken(world, "law 1", "a run does not come to its end");
            return;
        }
        if (!clock_turn())
            timer_start(NULL, 1000, nudge, NULL);
    }
}

static bool closing_over(struct world *world, struct strbuf *story)
{
    (void)story;
    return over(&world->runs[world->run_count - 1]);
}

static bool waited(struct world *world, struct strbuf *story)
{
    (void)story;
    return clock_now() >= world->healed_at;
}

static void pulse(void *context)
{
    int64_t *left = context;
    if (--*left > 0)
        timer_start(NULL, 500, pulse, left);
}

static void close_world(struct world *world, struct strbuf *story)
{
    world->healed_at = clock_now() + HEAL_MS;
    timer_start(NULL, HEAL_MS, nudge, NULL);
    outside_fill_disk(NULL);
    turn_until_over(world, story, waited);
    for (int time = 0; time < 2 && !world->law; time++) {
        start_run(world, world->run_count, world->plan->closing, NULL);
        turn_until_over(world, story, closing_over);
    }
}

static void fill_blue(struct model_node *node)
{
    struct model_slot *blue = &node->slots[0];
    memcpy(blue->release, node->current, sizeof(blue->release));
    memcpy(blue->process, node->current, sizeof(blue->process));
    blue->started = node->boot;
    blue->since = -3600000;
    snprintf(node->live_slot, sizeof(node->live_slot), "blue 1767225600");
    node->serving[0] = '\0';
}

static void make_nodes(struct world *world)
{
    world->hooks = (struct model_hooks){.happened = happened, .shape = shape, .healthy = healthy, .context = world};
    for (size_t i = 0; i < world->plan->node_count; i++) {
        struct model_node *node = &world->nodes[i];
        char name[24];
        snprintf(name, sizeof(name), "n%zu", i + 1);
        model_node_init(node, name, &world->hooks);
        world->started_serving[i] = -3600000;
        node->has_slots = world->plan->blue_green;
        if (world->plan->fresh >> i & 1)
            continue;
        model_add_release(node, release_older, 1);
        model_add_release(node, release_before, 2);
        snprintf(node->current, sizeof(node->current), "%s", release_before);
        memcpy(node->serving, node->current, sizeof(node->serving));
        memcpy(world->committed[i], node->current, sizeof(node->current));
        if (node->has_slots)
            fill_blue(node);
    }
}

static void free_asked(struct world *world)
{
    while (world->asked) {
        struct asked *asked = world->asked;
        world->asked = asked->next;
        free(asked);
    }
}

bool world_run(struct world *world, const struct world_plan *plan, struct strbuf *story)
{
    struct err err;
    int64_t pulses = 2 * 3600;
    memset(world, 0, sizeof(*world));
    world->plan = plan;
    clock_begin(plan->seed, story);
    outside_begin();
    make_nodes(world);
    network_begin(world->nodes, plan->node_count);
    balancers_begin(world);
    network_watch(&(struct network_watch){laws_asked, laws_answered, loses_reply, loses_request, world});
    if (!runs_prepare(world, &err)) {
        law_broken(world, "simulator", "%s", err.message);
    } else {
        for (size_t i = 0; i < plan->fault_count; i++)
            if (plan->faults[i].kind >= FAULT_NODE_DIES && plan->faults[i].kind < FAULT_RUNNER_DIES)
                plan_stroke(world, &plan->faults[i], 0);
        timer_start(NULL, 0, pulse, &pulses);
        turn_until_over(world, story, start_due);
        pulses = 0;
        if (!world->law)
            close_world(world, story);
        if (!world->law)
            laws_world_ended(world);
        for (size_t i = 0; i < world->run_count; i++)
            if (world->runs[i].started && !runner_ended(world->runs[i].runner))
                runner_kill(world->runs[i].runner);
    }
    runs_release();
    network_end();
    clock_end();
    outside_end();
    for (size_t i = 0; i < plan->node_count; i++)
        model_node_release(&world->nodes[i]);
    free_asked(world);
    return world->law == NULL;
}
