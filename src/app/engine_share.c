/* A canary behind balancers: its share of the traffic, by weights. */
#include <stdio.h>

#include "base/strbuf.h"
#include "core/share.h"
#include "engine_step.h"

#define NAMES_MAX 400

bool engine_shares(const struct engine *engine)
{
    return engine->fleet->balancers && engine->playbook->strategy.kind == STRATEGY_CANARY;
}

int engine_make_shares(struct engine *engine, struct err *err)
{
    size_t bytes = engine->fleet->count + 1;
    engine->updated = arena_alloc(&engine->arena, bytes * sizeof(*engine->updated));
    engine->chosen = arena_alloc(&engine->arena, bytes * sizeof(*engine->chosen));
    return engine->updated && engine->chosen ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}

/* In an undo whoever was touched and is not back yet counts as updated still. */
static struct traffic_share share_of_wave(struct engine *engine, uint32_t share, bool undo)
{
    struct node_view view;
    for (size_t i = 0; i < engine->fleet->count; i++) {
        const struct worker *worker = &engine->workers[i];
        bool busy = worker->busy && worker->balancing, outside = engine_is_outside(worker);
        rollout_node(engine->machine, i, &view);
        engine->updated[i] = view.outcome == NODE_UPDATED || (undo && view.touched && view.outcome != NODE_RESTORED);
        /* one of the updated that is out is a balancer that disagrees */
        engine->chosen[i] = !busy && !outside && ((engine->updated[i] && !undo) ||
                                                  !balancers_holds_out(engine->fleet->balancers, i));
    }
    return (struct traffic_share){.share = share,
                                  .promised = engine_promised(engine, WEIGHT_FULL),
                                  .updated = engine->updated,
                                  .chosen = engine->chosen};
}

/* --- before a node is taken out: those that are to carry its traffic have all of their weight --- */

static void prepared(void *context, const struct step_result *result)
{
    struct engine *engine = context;
    bool fine = result->status == DONE_OK;
    engine->share_state = !fine ? SHARE_SET : engine->share_undoes ? SHARE_SAFE : SHARE_LEVEL;
    for (size_t i = 0; i < engine->fleet->count; i++) {
        struct worker *worker = &engine->workers[i];
        if (!worker->preparing)
            continue;
        worker->preparing = false;
        if (fine && worker->busy)
            share_prepare(worker, worker->then);
        else
            worker->failed(worker, result);
    }
}

static void begin_preparing(struct engine *engine, bool undo)
{
    struct traffic_share share = share_of_wave(engine, 0, undo);
    for (size_t i = 0; undo && i < engine->fleet->count; i++)
        engine->chosen[i] &= !engine->updated[i]; /* what goes back gets no more than it has */
    engine->share_state = SHARE_GOING;
    engine->share_undoes = undo;
    balancers_share(engine->fleet->balancers, &share, undo, prepared, engine);
}

void share_prepare(struct worker *worker, void (*then)(struct worker *worker))
{
    struct engine *engine = worker->engine;
    bool undo = worker->action.undo;
    if (!engine_shares(engine) || engine->share_state == SHARE_LEVEL ||
        (undo && engine->share_state == SHARE_SAFE)) {
        then(worker);
        return;
    }
    worker->then = then;
    worker->preparing = true;
    if (engine->share_state != SHARE_GOING)
        begin_preparing(engine, undo);
}

/* --- a node comes in --- */

void share_put_in(struct worker *worker, step_done_fn *fn)
{
    struct engine *engine = worker->engine;
    bool undo = worker->action.undo, updated = worker->action.release == RELEASE_TARGET;
    struct traffic_share share = share_of_wave(engine, updated ? worker->action.share : SHARE_ALL, undo);
    engine->updated[worker->index] = updated;
    worker->balancing = true;
    balancers_enter(engine->fleet->balancers, worker->index, &share, fn, worker);
}

/* --- the shift --- */

static void tell_share(struct engine *engine, uint32_t wanted)
{
    struct strbuf names;
    uint32_t reached = balancers_share_reached(engine->fleet->balancers);
    strbuf_init(&names, NAMES_MAX);
    for (size_t i = 0; i < engine->fleet->count; i++)
        if (engine->updated[i])
            strbuf_addf(&names, " %s", engine->roster.nodes[i]);
    bool fewer = wanted < SHARE_ALL && reached + wanted / 5 < wanted;
    engine_notice(engine, SIZE_MAX, "the new release has %g%% of the traffic, on%s%s", reached / 10.0, names.text,
                  fewer ? ": they are too few to carry more" : "");
    strbuf_release(&names);
}

static void shared(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    struct engine *engine = worker->engine;
    worker->balancing = false;
    if (result->status == DONE_OK && worker->action.undo)
        engine_notice(engine, SIZE_MAX, "every node has its ordinary share of the traffic");
    else if (result->status == DONE_OK)
        tell_share(engine, worker->action.share);
    else
        engine_notice(engine, SIZE_MAX, "%s", result->sentence);
    engine_answer(worker, result);
}

void share_shift(struct worker *worker)
{
    struct engine *engine = worker->engine;
    bool undo = worker->action.undo;
    struct traffic_share share = share_of_wave(engine, undo ? 0 : worker->action.share, false);
    engine->share_state = SHARE_SET;
    worker->balancing = true;
    balancers_share(engine->fleet->balancers, &share, undo, shared, worker);
}
