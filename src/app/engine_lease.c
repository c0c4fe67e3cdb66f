/* Before each effect that no node can refuse: does the lease of the lock hold that the effect needs? The rule is in app/lease.h. */
#include <inttypes.h>

#include "app/service_lock.h"
#include "engine_step.h"

static enum lease_answer ask_node(struct worker *worker, struct err *why)
{
    const char *name = worker->member->node->name;
    const struct lease *lease = &worker->lease;
    int64_t now = clock_boot_ms();
    if (lease_holds(lease, now))
        return LEASE_HOLDS;
    if (!worker->fence || !lease->ttl_ms) {
        err_set(why, ERR_NO_LEASE, "the lock of %s is not held", name);
        return LEASE_NONE;
    }
    err_set(why, ERR_NO_LEASE, "the lock of %s was last renewed %" PRId64 " s ago, and the node does not answer", name,
            (now - lease->since_ms) / 1000);
    return step_renew(worker) ? LEASE_UNSURE : LEASE_NONE;
}

/* The best of all nodes. */
static enum lease_answer ask_any(struct engine *engine, struct err *why)
{
    enum lease_answer best = LEASE_NONE;
    for (size_t i = 0; i < engine->fleet->count && best != LEASE_HOLDS; i++) {
        enum lease_answer answer = ask_node(&engine->workers[i], why);
        best = answer < best ? answer : best;
    }
    return best;
}

static enum lease_answer ask(void *context, size_t member, struct err *why)
{
    struct engine *engine = context;
    bool lost = engine->lease_lost || !service_lock_holds(engine->settings->lock);
    if (lost) {
        err_set(why, ERR_NO_LEASE, "the lock was lost");
        return LEASE_NONE;
    }
    return member < engine->fleet->count ? ask_node(&engine->workers[member], why) : ask_any(engine, why);
}

void engine_guard(struct engine *engine)
{
    engine->guard = (struct lease_guard){.ask = ask, .context = engine};
    engine->fleet->guard = &engine->guard;
}

static enum lease_answer ask_nobody(void *context, size_t member, struct err *why)
{
    (void)context, (void)member;
    err_set(why, ERR_NO_LEASE, "the run has ended");
    return LEASE_NONE;
}

void engine_guard_ends(struct engine *engine)
{
    static const struct lease_guard over = {.ask = ask_nobody};
    engine->fleet->guard = &over;
}

static void look_again(void *context)
{
    struct worker *worker = context;
    worker->lease_timer = NULL;
    step_with_lease(worker, worker->with_lease);
}

void step_with_lease(struct worker *worker, void (*then)(struct worker *worker))
{
    struct engine *engine = worker->engine;
    struct err why;
    enum lease_answer answer = lease_ask(engine->fleet->guard, worker->member ? worker->index : SIZE_MAX, &why);
    worker->with_lease = then;
    if (answer == LEASE_UNSURE)
        worker->lease_timer = timer_start(engine->fleet->loop, LEASE_POLL_MS, look_again, worker);
    if (answer == LEASE_HOLDS) {
        then(worker);
    } else if (!worker->lease_timer) {
        err_prefix(&why, "not run");
        struct step_result result = step_outside(worker, &(struct step_result){.status = DONE_FAILED, .sentence = why.message, .output = ""});
        engine_answer(worker, &result);
    }
}

void step_forget_lease(struct worker *worker)
{
    timer_stop(worker->lease_timer);
    worker->lease_timer = NULL;
}

struct step_result step_outside(const struct worker *worker, const struct step_result *result)
{
    struct step_result judged = *result;
    bool failed = result->status == DONE_FAILED && worker->member && worker->fence && !worker->engine->lease_lost;
    if (failed && !lease_holds(&worker->lease, clock_boot_ms()) && !session_is_connected(worker->member->session))
        judged.status = DONE_UNREACHABLE;
    return judged;
}
