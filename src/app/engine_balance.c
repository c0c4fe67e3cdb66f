#include "engine_step.h"

void step_ask_balancers(struct worker *worker, enum balancer_wish wish, step_done_fn *fn)
{
    worker->balancing = true;
    balancers_start(worker->engine->fleet->balancers, worker->index, wish, worker->action.undo, fn, worker);
}

/* A balancer that cannot be asked is found before anything is changed. */
void step_balancers_looked(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    struct engine *engine = worker->engine;
    worker->balancing = false;
    if (result->status != DONE_OK) {
        bool cancelled = result->status == DONE_CANCELLED;
        step_end(worker, cancelled ? DONE_CANCELLED : DONE_REFUSED, result->sentence);
        return;
    }
    if (balancers_holds_out(engine->fleet->balancers, worker->index))
        engine_notice(engine, worker->index,
                      "is out of the balancers' traffic already; it comes in when it has passed its gate");
    step_end(worker, DONE_OK, "");
}

static void drained(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    worker->balancing = false;
    if (result->status == DONE_TIMED_OUT)
        engine_notice(worker->engine, worker->index, "drain: %s; going on", result->sentence);
    else if (result->status != DONE_OK)
        step_announce_again(worker);
    struct step_result judged = step_outside(worker, result);
    engine_answer(worker, &judged);
}

static void drain(struct worker *worker)
{
    step_ask_balancers(worker, BALANCER_OUT, drained);
}

void step_drain_balancers(struct worker *worker)
{
    worker->failed = drained;
    share_prepare(worker, drain);
}

static void enabled(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    worker->balancing = false;
    struct step_result judged = step_outside(worker, result);
    if (result->status == DONE_OK)
        step_announce(worker);
    else
        engine_answer(worker, &judged);
}

void step_enable_balancers(struct worker *worker)
{
    if (engine_shares(worker->engine))
        share_put_in(worker, enabled);
    else
        step_ask_balancers(worker, BALANCER_IN, enabled);
}
