/* A balancer that the playbook's own commands drive, on its nodes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "balancer_internal.h"

static void next_command(struct lane *lane);

static bool is_server(const char *name)
{
    return *name && strlen(name) <= 255;
}

static int compare(const struct traffic_order *order, struct err *err)
{
    bool ready = order->view.state == TRAFFIC_READY;
    if (order->command != ORDER_LOOK && ready != (order->command == ORDER_READY))
        return err_set(err, ERR_FAILED, "%s was set to %s and is in %s", order->server,
                       order->command == ORDER_READY ? "ready" : "drain",
                       traffic_state_name(order->view.state));
    if (ready && order->command == ORDER_READY && order->weight != WEIGHT_KEEP &&
        order->view.weight != order->weight)
        return err_set(err, ERR_FAILED, "%s was set to weight %u and has %" PRIu64, order->server,
                       order->weight, order->view.weight);
    return 0;
}

static void state_told(struct lane *lane, const char *output)
{
    struct traffic_order *order = &lane->first->orders[lane->at];
    struct err error = {0};
    if (balancer_state_parse(&order->view, order->server, output, &error) < 0 || compare(order, &error) < 0) {
        lane_finish(lane, &error);
        return;
    }
    lane->at++;
    lane->step = 0;
    next_command(lane);
}

static void command_ended(struct lane *lane, const char *output)
{
    (void)output;
    lane->step++;
    next_command(lane);
}

static void run(struct lane *lane, const char *what, const char *text,
                void (*ran)(struct lane *lane, const char *output))
{
    const struct traffic_order *order = &lane->first->orders[lane->at];
    const struct balancers *balancers = lane->fleet->balancers;
    size_t slots = balancers->slots;
    char weight[16];
    snprintf(weight, sizeof(weight), "%u", order->weight == WEIGHT_KEEP ? WEIGHT_FULL : order->weight);
    lane_run(lane, &(struct lane_command){
                       .text = text,
                       .what = what,
                       .timeout_ms = lane->front->balancer->timeout_ms,
                       .member = &lane->fleet->members[order->instance / slots],
                       .slot = slots > 1 ? slot_name(order->instance % slots) : NULL,
                       .values = {{"DEPLOYCTL_SERVER", order->server}, {"DEPLOYCTL_WEIGHT", weight}},
                       .ran = ran,
                   });
}

/* For each order: its weight before it comes in, then in or out, then how it stands. */
static void next_command(struct lane *lane)
{
    const struct balancer *balancer = lane->front->balancer;
    if (lane->at == lane->first->count) {
        lane_finish(lane, NULL);
        return;
    }
    const struct traffic_order *order = &lane->first->orders[lane->at];
    if (lane->step == 0 && (order->command != ORDER_READY || order->weight == WEIGHT_KEEP))
        lane->step++;
    if (lane->step == 1 && order->command == ORDER_LOOK)
        lane->step++;
    if (lane->step < 2 && !lane_may_write(lane))
        return;
    if (lane->step == 0 && !balancer->weight)
        lane_fail(lane, ERR_REFUSED, "it has no `weight` command in the playbook");
    else if (lane->step == 0)
        run(lane, "weight", balancer->weight, command_ended);
    else if (lane->step == 1 && order->command == ORDER_READY)
        run(lane, "ready", balancer->ready, command_ended);
    else if (lane->step == 1)
        run(lane, "drain", balancer->drain, command_ended);
    else
        run(lane, "state", balancer->state, state_told);
}

static void carry(struct lane *lane)
{
    lane->step = 0;
    next_command(lane);
}

const struct balancer_type command_type = {
    .is_server = is_server, .carry = carry, .stop = lane_run_stop};
