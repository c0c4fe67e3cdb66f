/* HAProxy as a type of balancer: its stats socket through a tunnel of the node's SSH connection. */
#include "balancer_internal.h"

static void exchange(struct lane *lane);

/* A weight is told after a look at those of its whole backend. */
enum { STEP_WEIGHTS, STEP_ORDERS };

static void stop(struct lane *lane)
{
    if (lane->channel)
        ssh_channel_close(lane->channel);
    timer_stop(lane->deadline);
    lane->channel = NULL;
    lane->deadline = NULL;
    lane_run_stop(lane);
}

static size_t chunk_of(const struct lane *lane)
{
    size_t left = lane->first->count - lane->at;
    return left < HAPROXY_ORDERS_MAX ? left : HAPROXY_ORDERS_MAX;
}

static void tell(struct lane *lane);

static void read_answer(struct lane *lane)
{
    struct err error = {0};
    size_t count = chunk_of(lane);
    if (lane->answer.overflowed) {
        lane_fail(lane, ERR_PROTOCOL, "the answer is too long for a stats socket");
        return;
    }
    if (lane->step == STEP_WEIGHTS) {
        tell(lane);
        return;
    }
    if (haproxy_answer(&lane->first->orders[lane->at], count, lane->front->balancer->backend,
                       lane->answer.text, lane->answer.length, &error) < 0) {
        lane_finish(lane, &error);
        return;
    }
    lane->at += count;
    if (lane->at < lane->first->count)
        exchange(lane);
    else
        lane_finish(lane, NULL);
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
    stop(lane);
    if (error || lane->answer.length == 0)
        lane_fail(lane, ERR_UNREACHABLE,
                  error ? error->message : "the connection was closed without an answer");
    else
        read_answer(lane);
}

static void on_deadline(void *context)
{
    struct lane *lane = context;
    lane->deadline = NULL;
    stop(lane);
    /* Whether it is HAProxy or the connection that is silent cannot be known: the next errand
     * connects anew. */
    session_drop(lane->front->session, "a balancer did not answer in time");
    lane_fail(lane, ERR_UNREACHABLE, "no answer within 5 s");
}

/* libssh2 1.10 opens no unix sockets at the far side, so a small program there does. */
static const char relay_text[] =
    "if command -v socat >/dev/null; then printf '%s\\n' \"$DEPLOYCTL_REQUEST\" | "
    "socat -t 5 - \"UNIX-CONNECT:$DEPLOYCTL_SOCKET\"; elif command -v perl >/dev/null; then "
    "exec perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => $ENV{DEPLOYCTL_SOCKET}) "
    "or die \"$ENV{DEPLOYCTL_SOCKET}: $!\\n\"; print $s \"$ENV{DEPLOYCTL_REQUEST}\\n\"; $s->flush; "
    "print while <$s>'; elif command -v python3 >/dev/null; then exec python3 -c 'import os, socket; "
    "s = socket.socket(socket.AF_UNIX); s.connect(os.environ[\"DEPLOYCTL_SOCKET\"]); "
    "s.sendall((os.environ[\"DEPLOYCTL_REQUEST\"] + chr(10)).encode()); "
    "print(s.makefile().read(), end=\"\")'; else "
    "echo 'a socket by its path needs socat, perl or python3 on this node'; exit 1; fi";

static void relayed(struct lane *lane, const char *output)
{
    strbuf_adds(&lane->answer, output);
    read_answer(lane);
}

static void relay(struct lane *lane)
{
    if (lane->request.length && lane->request.text[lane->request.length - 1] == '\n')
        lane->request.text[--lane->request.length] = '\0';
    lane_run(lane, &(struct lane_command){
                       .text = relay_text,
                       .what = "stats socket",
                       .timeout_ms = EXCHANGE_MS,
                       .values = {{"DEPLOYCTL_SOCKET", lane->front->balancer->socket},
                                  {"DEPLOYCTL_REQUEST", lane->request.text}},
                       .ran = relayed,
                   });
}

/* What changes something is held back until it can go at once. */
static void on_opened(void *context)
{
    struct lane *lane = context;
    if (lane->step == STEP_ORDERS && !lane_may_write(lane))
        return;
    /* far below what a channel takes at once; HAProxy closes by itself after its answers */
    ssh_channel_write(lane->channel, lane->request.text, lane->request.length);
}

static void converse(struct lane *lane)
{
    static const struct ssh_channel_events events = {.opened = on_opened, .received = on_received, .closed = on_closed};
    const struct balancer *balancer = lane->front->balancer;
    strbuf_reset(&lane->answer);
    if (lane->step == STEP_ORDERS && !lane_may_write(lane))
        return;
    if (!balancer->host) {
        relay(lane);
        return;
    }
    lane->deadline = timer_start(lane->fleet->loop, EXCHANGE_MS, on_deadline, lane);
    lane->channel = ssh_tunnel(session_ssh(lane->front->session), balancer->host, balancer->port,
                               &events, lane);
    if (!lane->channel || !lane->deadline)
        lane_fail(lane, ERR_MEMORY, "out of memory");
}

static void tell(struct lane *lane)
{
    struct err error = {0};
    lane->step = STEP_ORDERS;
    strbuf_reset(&lane->request);
    if (haproxy_request(&lane->request, lane->front->balancer->backend, &lane->first->orders[lane->at],
                        chunk_of(lane), lane->answer.text, lane->answer.length, &error) < 0)
        lane_finish(lane, &error);
    else
        converse(lane);
}

static void exchange(struct lane *lane)
{
    if (!haproxy_must_look(&lane->first->orders[lane->at], chunk_of(lane))) {
        tell(lane);
        return;
    }
    lane->step = STEP_WEIGHTS;
    strbuf_reset(&lane->request);
    haproxy_look(&lane->request, lane->front->balancer->backend);
    converse(lane);
}

const struct balancer_type haproxy_type = {
    .is_server = haproxy_is_name, .carry = exchange, .stop = stop};
