/* Shares of the traffic: what weight each server keeps, balancer by balancer, from how the balancer has them. */
#include "core/share.h"

#include <stdio.h>
#include <string.h>

#include "balancer_internal.h"

static const struct balancer *balancer_of(const struct balancers *balancers, size_t front)
{
    return balancers->fleet->fronts[front].balancer;
}

/* A command is told shares of 1000; what a node's whole weight is, the inventory says. */
static uint64_t ordinary_weight(const struct balancers *balancers, size_t front, size_t instance)
{
    if (balancer_of(balancers, front)->kind == BALANCER_COMMAND)
        return balancers->fleet->members[instance / balancers->slots].node->weight;
    return cell_at(balancers, front, instance)->view.full_weight;
}

/* Per mille of a unit of ordinary weight. */
static uint64_t present_weight(const struct balancers *balancers, size_t front, size_t instance)
{
    const struct traffic_view *view = &cell_at(balancers, front, instance)->view;
    return view->full_weight ? ordinary_weight(balancers, front, instance) * SHARE_ALL * view->weight /
                                   view->full_weight
                             : 0;
}

static uint32_t grain_of(const struct balancers *balancers, size_t front)
{
    return balancer_of(balancers, front)->kind == BALANCER_COMMAND ? 1 : SHARE_ALL / 100;
}

static bool serves(const struct cell *cell)
{
    return cell->known && !cell->error.code && cell->view.state == TRAFFIC_READY;
}

bool share_is_ordinary(const struct task *task)
{
    return task->balancers->share.share == 0 || task->balancers->share.share >= SHARE_ALL;
}

static void remember(struct balancers *balancers, const struct traffic_share *share)
{
    balancers->share = *share;
    balancers->share.chosen = NULL;
    memcpy(balancers->updated, share->updated, balancers->fleet->count * sizeof(*share->updated));
    balancers->share.updated = balancers->updated;
}

/* --- a shift of shares --- */

static int no_share(struct task *task, size_t front, const struct cell *cell, const char *why)
{
    const struct front *at = &task->balancers->fleet->fronts[front];
    snprintf(task->sentence, sizeof(task->sentence), "balancer %.80s on %.80s: server %.100s %s", at->balancer->name,
             at->where, cell->server, why);
    return -1;
}

static int plan_front(struct task *task, size_t front)
{
    struct balancers *balancers = task->balancers;
    const struct traffic_share *share = &balancers->share;
    struct share_sides sides = {.share = share->share, .grain = grain_of(balancers, front)};
    for (size_t i = 0; i < task->item_count; i++) {
        size_t instance = task->items[i].instance;
        const struct cell *cell = cell_at(balancers, front, instance);
        uint64_t weight = ordinary_weight(balancers, front, instance);
        sides.promised += weight;
        if (share->updated[instance] && !serves(cell))
            return no_share(task, front, cell, "runs the new release and is to have its share, and is taken out there");
        if (!serves(cell))
            continue;
        *(share->updated[instance] ? &sides.updated : &sides.old) += weight;
    }
    sides.promised = sides.promised * share->promised / SHARE_ALL;
    struct share_weights weights = share_weights(&sides);
    for (size_t i = 0; i < task->item_count; i++) {
        size_t instance = task->items[i].instance;
        cell_at(balancers, front, instance)->keeps =
            share->updated[instance] ? weights.updated : weights.old;
    }
    uint32_t reached = share_of(sides.updated * weights.updated, sides.old * weights.old);
    if (reached < balancers->reached)
        balancers->reached = reached;
    return 0;
}

int share_plan(struct task *task)
{
    task->balancers->reached = SHARE_ALL;
    for (size_t front = 0; front < task->balancers->count; front++)
        if (plan_front(task, front) < 0)
            return -1;
    return 0;
}

void balancers_share(struct balancers *balancers, const struct traffic_share *share, bool owed, step_done_fn *fn,
                     void *context)
{
    struct task *task = &balancers->shift;
    task_rest(task);
    task->empties = false;
    task->shares = true;
    task->owed = owed;
    task->item_count = 0;
    for (size_t i = 0; i < balancers->instances; i++)
        if (share->chosen[i])
            task->items[task->item_count++] = (struct item){.instance = i, .in = true, .weight = WEIGHT_BY_SHARE};
    remember(balancers, share);
    task_start(task, BALANCER_SHIFT, task->item_count ? STAGE_LOOK : STAGE_NONE, fn, context);
}

uint32_t balancers_share_reached(const struct balancers *balancers)
{
    return balancers->reached;
}

/* --- an updated member comes in --- */

static void plan_entry(struct balancers *balancers, size_t front, size_t member)
{
    const struct traffic_share *share = &balancers->share;
    uint64_t updated = 0, old = 0;
    for (size_t i = 0; i < balancers->instances; i++)
        if (i != member && serves(cell_at(balancers, front, i)))
            *(share->updated[i] ? &updated : &old) += present_weight(balancers, front, i);
    cell_at(balancers, front, member)->keeps =
        share_enter(ordinary_weight(balancers, front, member) * SHARE_ALL, updated, old, share->share,
                    grain_of(balancers, front));
}

void balancers_enter(struct balancers *balancers, size_t member, const struct traffic_share *share,
                     step_done_fn *fn, void *context)
{
    struct task *task = &balancers->tasks[member];
    remember(balancers, share);
    for (size_t front = 0; front < balancers->count; front++)
        plan_entry(balancers, front, member);
    task->items[0].in = true;
    task->items[0].weight = WEIGHT_BY_SHARE;
    task_start(task, BALANCER_IN, STAGE_READY, fn, context);
}

/* --- as the balancers have it --- */

uint32_t balancers_share_seen(const struct balancers *balancers, const bool *updated)
{
    uint32_t least = SHARE_ALL;
    for (size_t front = 0; front < balancers->count; front++) {
        uint64_t sums[2] = {0};
        for (size_t i = 0; i < balancers->instances; i++)
            if (serves(cell_at(balancers, front, i)))
                sums[updated[i]] += present_weight(balancers, front, i);
        uint32_t share = share_of(sums[true], sums[false]);
        least = share < least ? share : least;
    }
    return least;
}
