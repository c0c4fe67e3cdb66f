#include <stdio.h>
#include <stdlib.h>

#include "balancer_internal.h"

static void run_next(struct lane *lane);

int lane_init(struct lane *lane, struct fleet *fleet, const struct front *front)
{
    char name[200];
    snprintf(name, sizeof(name), "balancer %s on %s", front->balancer->name, front->where);
    *lane = (struct lane){
        .fleet = fleet, .front = front, .type = balancer_type_of(front->balancer)};
    strbuf_init(&lane->request, 256 * 1024);
    strbuf_init(&lane->answer, HAPROXY_ANSWER_MAX);
    lane->guard = dependency_named(fleet->dependencies, name);
    return lane->guard ? 0 : -1;
}

void lane_release(struct lane *lane)
{
    if (lane->busy && lane->first)
        lane->type->stop(lane);
    lane_run_wait(lane);
    timer_stop(lane->next);
    lane->next = NULL;
    while (lane->first) {
        struct errand *errand = lane->first;
        lane->first = errand->next;
        free(errand);
    }
    strbuf_release(&lane->request);
    strbuf_release(&lane->answer);
}

/* --- what the breaker is told --- */

static bool is_answer(const struct err *error)
{
    return !error || error->code == ERR_REFUSED || error->code == ERR_FAILED || error->code == ERR_INPUT;
}

/* What passes by itself is no error until it has lasted; then it has cost that long, as a time-out does. */
static void heard(struct lane *lane, const struct err *error)
{
    int64_t now = loop_now_ms(lane->fleet->loop);
    if (is_answer(error)) {
        lane->silent = lane->in_vain = false;
        dependency_answered(lane->guard);
        return;
    }
    struct err cause = *error;
    bool passing = error->code == ERR_UNREACHABLE || error->code == ERR_PROTOCOL;
    if (!lane->silent || lane->began_ms - lane->erred_ms > RELOAD_MS)
        lane->silent_ms = lane->began_ms;
    lane->silent = true;
    lane->erred_ms = now;
    if (now - lane->silent_ms >= RELOAD_MS)
        cause.code = ERR_TIMEOUT;
    else if (passing && dependency_state(lane->guard) == BREAKER_CLOSED)
        return;
    dependency_failed(lane->guard, &cause);
}

/* Told to whoever waits for the first errand. */
static void end_first(struct lane *lane, const struct err *error)
{
    struct errand *errand = lane->first;
    lane->first = errand->next;
    lane->busy = false;
    if (errand->done)
        errand->done(errand->context, errand->orders, errand->count, error);
    free(errand);
}

void lane_finish(struct lane *lane, const struct err *error)
{
    lane->type->stop(lane);
    heard(lane, error);
    if (error && error->code == ERR_FAILED)
        lane->disagreed = *error;
    end_first(lane, error);
    run_next(lane);
}

void lane_fail(struct lane *lane, int code, const char *message)
{
    struct err error;
    err_set(&error, code, "%s", message);
    lane_finish(lane, &error);
}

/* --- leases --- */

static bool writes(const struct traffic_order *order)
{
    return order->command != ORDER_LOOK;
}

static enum lease_answer ask_for(const struct lane *lane, const struct traffic_order *order, struct err *why)
{
    return lease_ask(lane->fleet->guard, order->instance / lane->fleet->balancers->slots, why);
}

/* What the first errand may do: the worst of its orders' answers. An undo goes without those that have none, unless all have none. */
static enum lease_answer ask_leases(struct lane *lane, struct err *why)
{
    struct errand *errand = lane->first;
    enum lease_answer worst = LEASE_HOLDS;
    size_t held = 0;
    struct err ignored;
    for (size_t i = 0; i < errand->count; i++)
        if (writes(&errand->orders[i]) && ask_for(lane, &errand->orders[i], &ignored) != LEASE_NONE)
            held++;
    for (size_t i = 0; i < errand->count; i++) {
        struct traffic_order *order = &errand->orders[i];
        enum lease_answer answer = writes(order) ? ask_for(lane, order, why) : LEASE_HOLDS;
        if (answer == LEASE_NONE && errand->partial && held) {
            order->command = ORDER_LOOK;
            order->weight = WEIGHT_KEEP;
            order->denied = true;
        } else if (answer > worst) {
            worst = answer;
        }
    }
    return worst;
}

bool lane_may_write(struct lane *lane)
{
    struct err why;
    if (ask_leases(lane, &why) == LEASE_HOLDS)
        return true;
    lane->type->stop(lane);
    lane->busy = false;
    run_next(lane);
    return false;
}

/* --- turns --- */

/* The node's program may refuse to work there (no sudo, a read-only disk): a tunnel needs none of
 * that. */
static void on_connected(void *context, const struct err *error)
{
    struct lane *lane = context;
    if (!error || (lane->front->session && session_ssh(lane->front->session))) {
        lane->at = 0;
        lane->type->carry(lane);
        return;
    }
    /* Everybody who waits gets the same answer: they would only wait for the same time-out, one
     * after the other. */
    struct err reason = *error;
    struct errand *last = lane->first;
    while (last->next)
        last = last->next;
    heard(lane, &reason);
    for (bool more = true; more;) {
        more = lane->first != last;
        end_first(lane, &reason);
    }
    run_next(lane);
}

static void begin_first(void *context)
{
    struct lane *lane = context;
    struct err error;
    lane->next = NULL;
    enum lease_answer lease = ask_leases(lane, &error);
    if (lease == LEASE_UNSURE) {
        lane->next = timer_start(lane->fleet->loop, LEASE_POLL_MS, begin_first, lane);
        return;
    }
    if (lease == LEASE_NONE) {
        if (lane->first->asked)
            dependency_left(lane->guard);
        err_prefix(&error, "not written");
        end_first(lane, &error);
        run_next(lane);
        return;
    }
    if (lane->first->asked) {
        /* the lease ran out while it was under way */
    } else if (lane->first->owed) {
        dependency_ask_owed(lane->guard);
    } else if (dependency_ask(lane->guard, &error) < 0) {
        end_first(lane, &error);
        run_next(lane);
        return;
    }
    lane->first->asked = true;
    lane->busy = true;
    lane->began_ms = loop_now_ms(lane->fleet->loop);
    if (!lane->front->session || session_is_connected(lane->front->session))
        on_connected(lane, NULL);
    else
        session_connect(lane->front->session, lane->fleet->playbook->retry.connect_timeout_ms,
                        on_connected, lane);
}

static void run_next(struct lane *lane)
{
    if (lane->first && !lane->busy && !lane->next)
        lane->next = timer_start(lane->fleet->loop, 0, begin_first, lane);
}

struct errand *errand_create(size_t count, errand_done_fn *done, void *context)
{
    struct errand *errand = calloc(1, sizeof(*errand) + count * sizeof(errand->orders[0]));
    if (!errand)
        return NULL;
    errand->done = done;
    errand->context = context;
    errand->count = count;
    return errand;
}

void lane_send(struct lane *lane, struct errand *errand)
{
    struct errand **end = &lane->first;
    while (*end)
        end = &(*end)->next;
    *end = errand;
    run_next(lane);
}

void lane_forget(struct lane *lane, const void *context)
{
    for (struct errand *errand = lane->first; errand; errand = errand->next)
        if (errand->context == context)
            errand->done = NULL;
}
