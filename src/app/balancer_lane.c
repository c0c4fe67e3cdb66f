#include <inttypes.h>
#include <stdlib.h>

#include "balancer_internal.h"

#define EXCHANGE_MS 5000

static void run_next(struct lane *lane);

void lane_init(struct lane *lane, struct fleet *fleet, const struct front *front)
{
    *lane = (struct lane){.fleet = fleet, .front = front};
    strbuf_init(&lane->request, 4096);
    strbuf_init(&lane->answer, HAPROXY_ANSWER_MAX);
}

/* Only what was to come of the exchange: the errand stays first. */
static void stop_exchange(struct lane *lane)
{
    if (lane->channel)
        ssh_channel_close(lane->channel);
    timer_stop(lane->deadline);
    lane->channel = NULL;
    lane->deadline = NULL;
}

void lane_release(struct lane *lane)
{
    stop_exchange(lane);
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

/* The answer, or why there is none, told to whoever waits for the first errand; then the next one's
 * turn. */
static void finish_first(struct lane *lane, const struct traffic_view *view,
                         const struct err *error)
{
    struct errand *errand = lane->first;
    stop_exchange(lane);
    lane->first = errand->next;
    lane->busy = false;
    if (errand->done)
        errand->done(errand->context, view, error);
    free(errand);
    run_next(lane);
}

static void fail_first(struct lane *lane, int code, const char *message)
{
    struct err error;
    err_set(&error, code, "%s", message);
    finish_first(lane, NULL, &error);
}

/* --- one exchange --- */

static void read_answer(struct lane *lane)
{
    const struct errand *errand = lane->first;
    struct traffic_view view;
    struct err error = {0};
    if (lane->answer.overflowed) {
        fail_first(lane, ERR_PROTOCOL, "the answer is too long for a stats socket");
        return;
    }
    int rc = haproxy_answer(&view, errand->order, lane->front->balancer->backend, errand->server,
                            lane->answer.text, lane->answer.length, &error);
    finish_first(lane, rc == 0 ? &view : NULL, rc == 0 ? NULL : &error);
}

static void on_received(void *context, const char *bytes, size_t length, bool is_error)
{
    struct lane *lane = context;
    if (!is_error)
        strbuf_add(&lane->answer, bytes, length);
}

static void on_closed(void *context, const struct err *error, int status)
{
    struct lane *lane = context;
    (void)status;
    lane->channel = NULL;
    if (error && error->code == ERR_UNREACHABLE && !session_is_connected(lane->front->session))
        fail_first(lane, ERR_UNREACHABLE, error->message);
    else if (error || lane->answer.length == 0)
        fail_first(lane, ERR_UNREACHABLE,
                   error ? error->message : "the connection was closed without an answer");
    else
        read_answer(lane);
}

static void on_deadline(void *context)
{
    struct lane *lane = context;
    lane->deadline = NULL;
    stop_exchange(lane);
    /* Whether it is HAProxy or the connection that is silent cannot be known: the next errand
     * connects anew. */
    session_drop(lane->front->session, "a balancer did not answer in time");
    fail_first(lane, ERR_UNREACHABLE, "no answer within 5 s");
}

static void exchange(struct lane *lane)
{
    static const struct ssh_channel_events events = {.received = on_received, .closed = on_closed};
    const struct balancer *balancer = lane->front->balancer;
    strbuf_reset(&lane->answer);
    strbuf_reset(&lane->request);
    haproxy_request(&lane->request, lane->first->order, balancer->backend, lane->first->server);
    lane->deadline = timer_start(lane->fleet->loop, EXCHANGE_MS, on_deadline, lane);
    lane->channel = ssh_tunnel(session_ssh(lane->front->session), balancer->host, balancer->port,
                               &events, lane);
    if (!lane->channel || !lane->deadline) {
        fail_first(lane, ERR_MEMORY, "out of memory");
        return;
    }
    /* far below what a channel takes at once; HAProxy closes by itself after its answers */
    ssh_channel_write(lane->channel, lane->request.text, lane->request.length);
}

/* --- turns --- */

/* The node's program may refuse to work there (no sudo, a read-only disk): a tunnel needs none of
 * that. */
static void on_connected(void *context, const struct err *error)
{
    struct lane *lane = context;
    if (!error || session_ssh(lane->front->session)) {
        exchange(lane);
        return;
    }
    /* Everybody who waits gets the same answer: they would only wait for the same time-out, one
     * after the other. */
    struct err reason = *error;
    struct errand *last = lane->first;
    while (last->next)
        last = last->next;
    bool more = true;
    while (more) {
        struct errand *errand = lane->first;
        more = errand != last;
        lane->first = errand->next;
        if (errand->done)
            errand->done(errand->context, NULL, &reason);
        free(errand);
    }
    lane->busy = false;
    run_next(lane);
}

static void begin_first(void *context)
{
    struct lane *lane = context;
    lane->next = NULL;
    lane->busy = true;
    if (session_is_connected(lane->front->session))
        exchange(lane);
    else
        session_connect(lane->front->session, lane->fleet->playbook->retry.connect_timeout_ms,
                        on_connected, lane);
}

static void run_next(struct lane *lane)
{
    if (lane->first && !lane->busy && !lane->next)
        lane->next = timer_start(lane->fleet->loop, 0, begin_first, lane);
}

struct errand *lane_send(struct lane *lane, enum haproxy_order order, const char *server,
                         void (*done)(void *context, const struct traffic_view *view,
                                      const struct err *error),
                         void *context)
{
    struct errand *errand = calloc(1, sizeof(*errand)), **end = &lane->first;
    if (!errand)
        return NULL;
    *errand = (struct errand){.order = order, .server = server, .done = done, .context = context};
    while (*end)
        end = &(*end)->next;
    *end = errand;
    run_next(lane);
    return errand;
}

void lane_forget(struct lane *lane, const void *context)
{
    for (struct errand *errand = lane->first; errand; errand = errand->next)
        if (errand->context == context)
            errand->done = NULL;
}
