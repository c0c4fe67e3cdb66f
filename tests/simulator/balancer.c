#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define COMMAND_MS 300   /* at most, when nothing is wrong */
#define SESSIONS_MS 9000 /* at most, after a drain */
#define SILENT_MS 60000

/* A command that changes something, on its way: it is carried out though nobody waits any more. */
struct order {
    struct run *run;
    size_t balancer, node, instance;
    enum { ORDERED_OUT, ORDERED_IN, ORDERED_WEIGHT } what;
    uint32_t weight;
};

static void carry_out(void *context)
{
    struct order *order = context;
    struct world *world = order->run->world;
    struct traffic *traffic = &world->traffic[order->balancer][order->instance];
    if (order->what == ORDERED_WEIGHT) {
        traffic->weight = order->weight;
        tell("        %s: weight %u at balancer %zu", world->nodes[order->node].name, order->weight, order->balancer + 1);
    } else {
        if (order->what == ORDERED_OUT && !traffic->out)
            traffic->empty_at = clock_now() + (int64_t)luck_below(SESSIONS_MS);
        laws_traffic(order->run, order->balancer, order->instance, order->what == ORDERED_IN);
    }
    free(order);
}

static const char *value_of(const char *const environment[], const char *name)
{
    size_t length = strlen(name);
    for (; *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return "";
}

static size_t node_of(const struct world *world, const char *name)
{
    for (size_t i = 0; i < world->plan->node_count; i++)
        if (strcmp(world->nodes[i].name, name) == 0)
            return i;
    abort();
}

/* `n1`, or in blue-green `n1-green`. */
static size_t instance_of(const struct world *world, const char *server)
{
    char name[24];
    size_t length = strcspn(server, "-");
    snprintf(name, sizeof(name), "%.*s", (int)length, server);
    return world_instance(node_of(world, name), strcmp(server + length, "-green") == 0);
}

static void say_state(const struct traffic *traffic, char out[64])
{
    bool busy = !traffic->out || clock_now() < traffic->empty_at;
    snprintf(out, 64, "%s %u %d\n", traffic->out ? "drain" : "ready", traffic->weight, busy);
}

static void give_order(struct run *run, size_t balancer, size_t instance, const char *verb, const char *weight, int64_t delay_ms)
{
    struct order *order = malloc(sizeof(*order));
    *order = (struct order){
        .run = run, .balancer = balancer, .node = instance % NODES_MAX, .instance = instance, .what = ORDERED_WEIGHT};
    order->weight = (uint32_t)strtoul(weight, NULL, 10);
    if (strcmp(verb, "weight") != 0)
        order->what = strcmp(verb, "ready") == 0 ? ORDERED_IN : ORDERED_OUT;
    timer_start(NULL, delay_ms, carry_out, order);
}

/* `command` is a verb and the balancer's number. */
static void ask_balancer(struct world *world, struct runner *runner, const char *command, const char *const environment[],
                         struct child_work *out)
{
    char verb[16];
    size_t number = 1;
    if (sscanf(command, "%15s %zu", verb, &number) != 2)
        abort();
    size_t balancer = number - 1, instance = instance_of(world, value_of(environment, "DEPLOYCTL_SERVER"));
    size_t node = instance % NODES_MAX;
    const struct sim_fault *fault = world_strikes(world, node, verb, FAULT_BALANCER_FAILS, FAULT_BALANCER_SILENT);
    bool done = !fault || (fault->kind == FAULT_BALANCER_SILENT && luck_below(2));
    if (strcmp(verb, "state") != 0)
        laws_writes_outside(runner_tag(runner), node, verb);
    *out = (struct child_work){.ms = 20 + (int64_t)luck_below(COMMAND_MS), .status = fault ? 1 : 0};
    if (strcmp(verb, "state") == 0)
        say_state(&world->traffic[balancer][instance], out->output);
    else if (done)
        give_order(runner_tag(runner), balancer, instance, verb, value_of(environment, "DEPLOYCTL_WEIGHT"), out->ms / 2);
    if (fault && fault->kind == FAULT_BALANCER_SILENT)
        out->ms = SILENT_MS;
    if (fault)
        tell("balancer %zu %s %s %s", number, fault->kind == FAULT_BALANCER_FAILS ? "fails to" : "is asked, and says nothing, to",
             verb, world->nodes[node].name);
}

/* A hook on the runner: of a node, or of the run. */
static void run_hook(struct world *world, struct runner *runner, const char *const environment[], struct child_work *out)
{
    const char *name = value_of(environment, "DEPLOYCTL_NODE");
    size_t node = *name ? node_of(world, name) : 0;
    const struct sim_fault *fault = world_strikes(world, node, "hook", FAULT_FAILS, FAULT_DEAF);
    *out = (struct child_work){.ms = 50 + (int64_t)luck_below(COMMAND_MS), .status = fault && fault->kind == FAULT_FAILS};
    if (fault && fault->kind != FAULT_FAILS)
        out->ms = fault->for_ms;
    tell("run %zu: a hook of it runs%s%s", ((struct run *)runner_tag(runner))->index + 1, *name ? " for " : "", name);
    laws_hook(runner_tag(runner), *name ? node : SIZE_MAX, out->status == 0);
}

static void runner_command(void *context, struct runner *runner, const char *const argv[], const char *const environment[],
                    struct child_work *out)
{
    if (strncmp(argv[2], "hook", 4) == 0)
        run_hook(context, runner, environment, out);
    else
        ask_balancer(context, runner, argv[2], environment, out);
}

void balancer_reloads(struct world *world, size_t balancer)
{
    tell("balancer %zu is reloaded, and has forgotten what it was set to", balancer + 1);
    for (size_t i = 0; i < NODES_MAX * MODEL_SLOTS; i++)
        world->traffic[balancer][i] = (struct traffic){.weight = WEIGHT_WHOLE};
    world->reloaded_at = clock_now();
}

void balancers_begin(struct world *world)
{
    for (size_t balancer = 0; balancer < BALANCERS_MAX; balancer++)
        for (size_t i = 0; i < NODES_MAX * MODEL_SLOTS; i++)
            world->traffic[balancer][i] = (struct traffic){.weight = WEIGHT_WHOLE, .out = i >= NODES_MAX};
    world->reloaded_at = -3600000;
    clock_watch_children(runner_command, world);
}
