#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "io/http.h"

#define ADDRESSES_MAX 8

struct tcp_probe {
    struct loop *loop;
    tcp_probe_fn *fn;
    void *context;
    char *host;
    uint16_t port;
    int64_t started_ms;
    int64_t timeout_ms;
    struct timer *timer;

    struct ssh_channel *channel; /* through a node */

    struct lookup *lookup; /* directly */
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    size_t address_count, address_next;
    uv_tcp_t *socket;
    uv_connect_t *request;
};

static void on_socket_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_connected(uv_connect_t *request, int status);

/* The request's callback comes later, with UV_ECANCELED, and finds no probe. */
static void drop_socket(struct tcp_probe *probe)
{
    if (probe->request)
        probe->request->data = NULL;
    if (probe->socket)
        uv_close((uv_handle_t *)probe->socket, on_socket_closed);
    probe->request = NULL;
    probe->socket = NULL;
}

void tcp_probe_cancel(struct tcp_probe *probe)
{
    if (!probe)
        return;
    timer_stop(probe->timer);
    lookup_forget(probe->lookup);
    drop_socket(probe);
    if (probe->channel)
        ssh_channel_close(probe->channel);
    free(probe->host);
    free(probe);
}

static void finish(struct tcp_probe *probe, const struct err *error)
{
    tcp_probe_fn *fn = probe->fn;
    void *context = probe->context;
    int64_t total_ms = loop_now_ms(probe->loop) - probe->started_ms;
    tcp_probe_cancel(probe);
    fn(context, error, total_ms);
}

static void fail(struct tcp_probe *probe, int code, const char *reason)
{
    struct err err;
    err_set(&err, code, "%s:%u %s", probe->host, probe->port, reason);
    finish(probe, &err);
}

static void on_timeout(void *context)
{
    struct tcp_probe *probe = context;
    char time[DURATION_TEXT_MAX], reason[DURATION_TEXT_MAX + 32];
    probe->timer = NULL;
    snprintf(reason, sizeof(reason), "did not accept within %s",
             duration_format(time, probe->timeout_ms));
    fail(probe, ERR_TIMEOUT, reason);
}

/* --- directly --- */

/* 0, or why it cannot even be started. */
static int connect_to(struct tcp_probe *probe, const struct sockaddr_storage *address)
{
    uv_connect_t *request = calloc(1, sizeof(*request));
    uv_tcp_t *socket = calloc(1, sizeof(*socket));
    if (!request || !socket || uv_tcp_init(loop_uv(probe->loop), socket) != 0) {
        free(request);
        free(socket);
        return UV_ENOMEM;
    }
    request->data = probe;
    probe->socket = socket;
    int rc = uv_tcp_connect(request, socket, (const struct sockaddr *)address, on_connected);
    if (rc == 0)
        probe->request = request;
    else
        free(request);
    return rc;
}

static void connect_next(struct tcp_probe *probe, int reason)
{
    while (probe->address_next < probe->address_count) {
        drop_socket(probe);
        reason = connect_to(probe, &probe->addresses[probe->address_next++]);
        if (reason == 0)
            return;
    }
    if (reason == UV_ECONNREFUSED)
        fail(probe, ERR_UNREACHABLE, "refused the connection");
    else
        fail(probe, reason == UV_ENOMEM ? ERR_MEMORY : ERR_UNREACHABLE, uv_strerror(reason));
}

static void on_connected(uv_connect_t *request, int status)
{
    struct tcp_probe *probe = request->data;
    free(request);
    if (!probe)
        return;
    probe->request = NULL;
    if (status == 0)
        finish(probe, NULL);
    else
        connect_next(probe, status);
}

static void on_addresses(void *context, const struct sockaddr_storage *addresses, size_t count,
                         const char *error)
{
    struct tcp_probe *probe = context;
    struct err err;
    probe->lookup = NULL;
    if (error) {
        err_set(&err, ERR_UNREACHABLE, "the name %s is not known: %s", probe->host, error);
        finish(probe, &err);
        return;
    }
    probe->address_count = count < ADDRESSES_MAX ? count : ADDRESSES_MAX;
    memcpy(probe->addresses, addresses, probe->address_count * sizeof(*addresses));
    connect_next(probe, UV_EADDRNOTAVAIL);
}

/* --- through a node --- */

static void on_opened(void *context)
{
    finish(context, NULL);
}

static void on_received(void *context, const char *bytes, size_t length, bool is_error)
{
    (void)context, (void)bytes, (void)length, (void)is_error;
}

static void on_closed(void *context, const struct err *error, int status)
{
    struct tcp_probe *probe = context;
    (void)status;
    probe->channel = NULL;
    if (error)
        finish(probe, error);
    else
        fail(probe, ERR_UNREACHABLE, "closed before it accepted");
}

static const struct ssh_channel_events tunnel_events = {
    .opened = on_opened, .received = on_received, .closed = on_closed};

struct tcp_probe *tcp_probe_start(struct loop *loop, struct ssh *via, const char *host,
                                  uint16_t port, int64_t timeout_ms, tcp_probe_fn *fn,
                                  void *context)
{
    struct tcp_probe *probe = calloc(1, sizeof(*probe));
    if (!probe)
        return NULL;
    *probe = (struct tcp_probe){.loop = loop,
                                .fn = fn,
                                .context = context,
                                .host = strdup(host),
                                .port = port,
                                .started_ms = loop_now_ms(loop),
                                .timeout_ms = timeout_ms};
    if (probe->host)
        probe->timer = timer_start(loop, timeout_ms, on_timeout, probe);
    if (probe->timer && via)
        probe->channel = ssh_tunnel(via, host, port, &tunnel_events, probe);
    else if (probe->timer)
        probe->lookup = lookup_start(loop, host, port, on_addresses, probe);
    if (!probe->channel && !probe->lookup) {
        tcp_probe_cancel(probe);
        return NULL;
    }
    return probe;
}
