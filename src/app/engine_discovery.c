#include "engine_step.h"

#include "app/discovery.h"
#include "app/sides.h"

/* A step of a worker that goes to the discoveries first, or last. `then` NULL: the step ends with it. */
static void ask(struct worker *worker, enum discovery_wish wish, step_done_fn *fn)
{
    worker->announcing = true;
    discoveries_start(worker->engine->fleet->discoveries, worker->index, wish, &worker->words, fn, worker);
}

static bool failed(struct worker *worker, const struct step_result *result)
{
    worker->announcing = false;
    if (result->status == DONE_OK)
        return false;
    struct step_result judged = step_outside(worker, result);
    engine_answer(worker, &judged);
    return true;
}

/* --- preflight --- */

static void balancers_or_end(struct worker *worker)
{
    if (worker->engine->fleet->balancers && !worker->engine->settings->sides)
        step_ask_balancers(worker, BALANCER_LOOK, step_balancers_looked);
    else
        step_end(worker, DONE_OK, "");
}

static void looked(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    worker->announcing = false;
    if (result->status == DONE_OK)
        balancers_or_end(worker);
    else
        step_end(worker, DONE_REFUSED, result->sentence);
}

void step_look_outside(struct worker *worker)
{
    if (worker->engine->fleet->discoveries)
        ask(worker, DISCOVERY_LOOK, looked);
    else
        balancers_or_end(worker);
}

/* --- drain: withdrawn before the balancers take it out --- */

static void withdrawn(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    if (failed(worker, result))
        return;
    if (worker->engine->fleet->balancers)
        step_drain_balancers(worker);
    else
        step_end(worker, DONE_OK, "");
}

void carry_drain(struct worker *worker)
{
    if (worker->engine->fleet->discoveries)
        ask(worker, DISCOVERY_OUT, withdrawn);
    else
        step_drain_balancers(worker);
}

/* A node that stays in the balancers' traffic stays announced. */
void step_announce_again(struct worker *worker)
{
    if (worker->engine->fleet->discoveries)
        discoveries_put_back(worker->engine->fleet->discoveries, worker->index);
}

/* --- enable: announced when the balancers have it up --- */

static void announced(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    if (!failed(worker, result))
        step_end(worker, DONE_OK, "");
}

void step_announce(struct worker *worker)
{
    if (!worker->engine->fleet->discoveries) {
        step_end(worker, DONE_OK, "");
        return;
    }
    if (worker->serving)
        worker->words.release = worker->serving;
    ask(worker, DISCOVERY_IN, announced);
}

void carry_enable(struct worker *worker)
{
    if (worker->engine->fleet->balancers)
        step_enable_balancers(worker);
    else
        step_announce(worker);
}

void step_cancel_discovery(struct worker *worker)
{
    worker->announcing = false;
    discoveries_cancel(worker->engine->fleet->discoveries, worker->index);
    if (worker->busy && worker->action.step == STEP_DRAIN)
        step_announce_again(worker);
}

/* --- a switch of sides: what serves now is announced, then the others withdrawn --- */

static void sides_announced(void *context, const struct step_result *result)
{
    engine_answer(context, result);
}

static bool comes_in(const struct engine *engine, size_t count, size_t member)
{
    for (size_t i = 0; i < count; i++)
        if (engine->goals[i].member == member && engine->goals[i].in)
            return true;
    return false;
}

void step_announce_sides(struct worker *worker, size_t count)
{
    struct engine *engine = worker->engine;
    const struct sides *sides = engine->settings->sides;
    struct discovery_goal *goals =
        arena_alloc(&engine->arena, (engine->fleet->count + 1) * sizeof(*goals));
    if (!engine->fleet->discoveries || !goals) {
        step_end(worker, goals ? DONE_OK : DONE_FAILED, goals ? "" : "out of memory");
        return;
    }
    for (size_t i = 0; i < engine->fleet->count; i++) {
        struct worker *node = &engine->workers[i];
        const char *live = sides->survey->nodes[i].facts.current;
        const char *release = worker->action.undo ? live : node->serving ? node->serving : node->target;
        size_t slot = worker->action.undo ? sides->live : sides->target;
        goals[i] = (struct discovery_goal){.member = i, .in = comes_in(engine, count, i)};
        goals[i].words = (struct node_words){.release = release ? release : "",
                                             .slot = slot == SLOTS ? NULL : slot_name(slot),
                                             .rollout = engine->settings->rollout};
    }
    discoveries_shift(engine->fleet->discoveries, goals, engine->fleet->count, sides_announced, worker);
}

/* --- the end: what stands there is what became of the node --- */

static bool goes_on(enum rollout_result result)
{
    return result == RESULT_INTERRUPTED || result == RESULT_HELD;
}

static void settled(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    worker->announcing = false;
    if (result->status != DONE_OK)
        engine_notice(worker->engine, worker->index, "%s; the next run makes up for it", result->sentence);
    step_give_back(worker);
}

void carry_release(struct worker *worker)
{
    struct node_view view;
    rollout_node(worker->engine->machine, worker->index, &view);
    bool serves = view.outcome == NODE_UPDATED || view.outcome == NODE_UNCHANGED || view.outcome == NODE_RESTORED;
    bool known = serves || view.outcome == NODE_NEEDS_CARE;
    /* of two sides the switch alone speaks */
    if (!worker->engine->fleet->discoveries || !known || goes_on(worker->action.result) ||
        worker->engine->lease_lost || worker->engine->settings->sides) {
        step_give_back(worker);
        return;
    }
    if (worker->serving)
        worker->words.release = worker->serving;
    ask(worker, serves && worker->serving ? DISCOVERY_IN : DISCOVERY_OUT, settled);
}

/* A node that needs care is not announced, though it cannot be reached itself; an interrupted run leaves all as it is. */
void engine_withdraw_failed(struct engine *engine, size_t node)
{
    struct node_view view;
    if (node == NO_NODE || !engine->fleet->discoveries || engine->outcome.signal_number || engine->settings->sides)
        return;
    rollout_node(engine->machine, node, &view);
    if (view.outcome == NODE_NEEDS_CARE && view.trouble != TROUBLE_LEASE_LOST && view.trouble != TROUBLE_INTERRUPTED)
        discoveries_withdraw(engine->fleet->discoveries, node);
}

static void tell(void *context, const char *text)
{
    engine_notice(context, SIZE_MAX, "%s", text);
}

void engine_watch_discoveries(struct engine *engine)
{
    if (!engine->fleet->discoveries)
        return;
    discoveries_on_notice(engine->fleet->discoveries, tell, engine);
    discoveries_keep(engine->fleet->discoveries, true);
}

void engine_end_discoveries(struct engine *engine)
{
    struct discoveries *discoveries = engine->fleet->discoveries;
    if (!discoveries)
        return;
    discoveries_keep(discoveries, false);
    if (!engine->outcome.left_at_once)
        discoveries_flush(discoveries);
    discoveries_on_notice(discoveries, NULL, NULL);
}
