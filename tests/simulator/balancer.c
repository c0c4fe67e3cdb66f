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
    size_t node;
    bool in;
};

static void carry_out(void *context)
{
    struct order *order = context;
    struct world *world = order->run->world;
    if (!order->in && !world->traffic[order->node].out)
        world->traffic[order->node].empty_at = clock_now() + (int64_t)luck_below(SESSIONS_MS);
    laws_traffic(order->run, order->node, order->in);
    free(order);
}

static size_t node_of(const struct world *world, const char *const environment[])
{
    static const char name[] = "DEPLOYCTL_SERVER=";
    for (; *environment; environment++)
        if (strncmp(*environment, name, sizeof(name) - 1) == 0)
            for (size_t i = 0; i < world->plan->node_count; i++)
                if (strcmp(world->nodes[i].name, *environment + sizeof(name) - 1) == 0)
                    return i;
    abort();
}

static void say_state(const struct world *world, size_t node, char out[64])
{
    const struct traffic *traffic = &world->traffic[node];
    bool busy = !traffic->out || clock_now() < traffic->empty_at;
    snprintf(out, 64, "%s 1000 %d\n", traffic->out ? "drain" : "ready", busy);
}

void balancer_command(void *context, struct runner *runner, const char *const argv[], const char *const environment[],
                      struct child_work *out)
{
    struct world *world = context;
    const char *verb = argv[2];
    size_t node = node_of(world, environment);
    const struct sim_fault *fault = world_strikes(world, node, verb, FAULT_BALANCER_FAILS, FAULT_BALANCER_SILENT);
    bool done = !fault || (fault->kind == FAULT_BALANCER_SILENT && luck_below(2));
    if (strcmp(verb, "state") != 0)
        laws_writes_outside(runner_tag(runner), node, verb);
    *out = (struct child_work){.ms = 20 + (int64_t)luck_below(COMMAND_MS), .status = fault ? 1 : 0};
    if (strcmp(verb, "state") == 0) {
        say_state(world, node, out->output);
    } else if (done) {
        struct order *order = malloc(sizeof(*order));
        *order = (struct order){runner_tag(runner), node, strcmp(verb, "ready") == 0};
        timer_start(NULL, out->ms / 2, carry_out, order);
    }
    if (fault && fault->kind == FAULT_BALANCER_SILENT)
        out->ms = SILENT_MS;
    if (fault)
        tell("the balancer %s %s %s", fault->kind == FAULT_BALANCER_FAILS ? "fails to" : "is asked, and says nothing, to", verb,
             world->nodes[node].name);
}
