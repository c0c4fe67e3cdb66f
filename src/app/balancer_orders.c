/* What each stage of an operation asks of one instance at one balancer. Asks nobody. */
#include "balancer_internal.h"

bool cell_differs(const struct hold *hold, const struct cell *cell)
{
    const struct traffic_view *view = &cell->view;
    uint32_t weight = hold->weight == WEIGHT_BY_SHARE ? cell->keeps : hold->weight;
    static const enum traffic_state wanted[] = {[ORDER_DRAIN] = TRAFFIC_DRAIN,
                                                [ORDER_MAINT] = TRAFFIC_MAINT,
                                                [ORDER_READY] = TRAFFIC_READY};
    bool partial = weight != WEIGHT_KEEP && weight < WEIGHT_FULL;
    if (!hold->held)
        return false;
    if (hold->command != ORDER_READY)
        return view->state < (view->one_way_out ? TRAFFIC_DRAIN : wanted[hold->command]);
    return partial && view->weight == view->full_weight && view->state == TRAFFIC_READY;
}

/* How much a server gets at this step of its warm-up, within its share. */
static uint32_t warm_weight(const struct task *task, size_t front, const struct item *item)
{
    const struct balancer *balancer = task->balancers->fleet->fronts[front].balancer;
    uint32_t keeps = cell_at(task->balancers, front, item->instance)->keeps;
    if (item->weight == WEIGHT_BY_SHARE &&
        (task->warm >= balancer->warmup_count || balancer->warmup[task->warm].weight > keeps))
        return keeps;
    if (balancer->warmup_count == 0)
        return WEIGHT_KEEP;
    return task->warm < balancer->warmup_count ? balancer->warmup[task->warm].weight : WEIGHT_FULL;
}

int64_t warm_hold_ms(const struct balancers *balancers, size_t step)
{
    int64_t longest = -1;
    for (size_t i = 0; i < balancers->count; i++) {
        const struct balancer *balancer = balancers->fleet->fronts[i].balancer;
        if (step < balancer->warmup_count && balancer->warmup[step].hold_ms > longest)
            longest = balancer->warmup[step].hold_ms;
    }
    return longest;
}

int64_t warmup_limit_ms(const struct balancers *balancers)
{
    int64_t sum = 0, hold_ms;
    for (size_t step = 0; (hold_ms = warm_hold_ms(balancers, step)) >= 0; step++)
        sum += hold_ms + ERRANDS_MS / 4;
    return sum;
}

bool task_order(struct traffic_order *out, const struct task *task, size_t front,
                const struct item *item)
{
    static const enum traffic_command commands[] = {
        [STAGE_LOOK] = ORDER_LOOK,   [STAGE_READY] = ORDER_READY, [STAGE_UP] = ORDER_LOOK,
        [STAGE_DRAIN] = ORDER_DRAIN, [STAGE_EMPTY] = ORDER_LOOK,  [STAGE_SHUT] = ORDER_MAINT,
        [STAGE_WATCH] = ORDER_LOOK,
    };
    static const enum traffic_command back[] = {[TRAFFIC_READY] = ORDER_READY,
                                                [TRAFFIC_DRAIN] = ORDER_DRAIN,
                                                [TRAFFIC_MAINT] = ORDER_MAINT};
    const struct cell *cell = cell_at(task->balancers, front, item->instance);
    const struct hold *hold = &task->balancers->holds[item->instance];
    *out = (struct traffic_order){
        .instance = item->instance, .server = cell->server, .weight = WEIGHT_KEEP};
    if (!cell->server)
        return false;
    switch (task->stage) {
    case STAGE_READY:
    case STAGE_UP:
        if (task->stage == STAGE_READY)
            out->weight = task->wish == BALANCER_IN         ? warm_weight(task, front, item)
                          : item->weight == WEIGHT_BY_SHARE ? cell->keeps
                                                            : item->weight;
        out->command = commands[task->stage];
        return item->in && (!task->shares || cell->found.state == TRAFFIC_READY);
    case STAGE_DRAIN:
    case STAGE_EMPTY:
    case STAGE_SHUT:
        out->command = commands[task->stage];
        return !item->in;
    case STAGE_PUT_BACK:
        out->command = back[cell->found.state];
        if (task->wish == BALANCER_SHIFT && cell->found.full_weight && cell->found.weight)
            out->weight = (uint32_t)(cell->found.weight * WEIGHT_FULL / cell->found.full_weight);
        return (task->wish == BALANCER_SHIFT && !task->shares) || cell->found.state == TRAFFIC_READY;
    case STAGE_REMIND:
        out->command = hold->command;
        out->weight = hold->weight == WEIGHT_BY_SHARE ? cell->keeps : hold->weight;
        return cell_differs(hold, cell);
    case STAGE_NONE:
    case STAGE_LOOK:
    case STAGE_WATCH:
        break;
    }
    out->command = commands[task->stage];
    return true;
}
