#include "http_tunnel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/strbuf.h"

#define PENDING_HIGH (256 * 1024)
#define PENDING_MAX (4 * PENDING_HIGH)

struct http_tunnel {
    struct loop *loop;
    uv_poll_t
        *poll;      /* closed before its socket: libuv asks the kernel about the number once more */
    int socket;     /* the listener, then our end; -1 once closed */
    bool connected; /* libcurl has come */
    struct ssh_channel *channel; /* NULL once closed */
    char outgoing[16384];        /* read from the pair, not yet taken by the channel */
    size_t outgoing_length;
    struct strbuf incoming; /* from the channel, not yet written to the pair */
    size_t incoming_at;
    bool local_ended;
    bool remote_ended;
    struct err error;
};

static void on_ready(uv_poll_t *poll, int status, int events);

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

/* libcurl then sees the end of the connection. */
static void close_socket(struct http_tunnel *tunnel)
{
    if (tunnel->socket < 0)
        return;
    uv_close((uv_handle_t *)tunnel->poll, on_poll_closed);
    close(tunnel->socket);
    tunnel->socket = -1;
    tunnel->poll = NULL;
}

static void watch(struct http_tunnel *tunnel)
{
    int events = 0;
    if (tunnel->socket < 0 || !tunnel->connected)
        return;
    if (!tunnel->local_ended && tunnel->outgoing_length == 0)
        events |= UV_READABLE;
    if (tunnel->incoming_at < tunnel->incoming.length)
        events |= UV_WRITABLE;
    if (events)
        uv_poll_start(tunnel->poll, events, on_ready);
    else
        uv_poll_stop(tunnel->poll);
}

static void fail(struct http_tunnel *tunnel, int code, const char *message)
{
    if (!tunnel->error.code)
        err_set(&tunnel->error, code, "%s", message);
    close_socket(tunnel);
}

/* --- to the node --- */

static void pass_outgoing(struct http_tunnel *tunnel)
{
    if (!tunnel->channel) {
        tunnel->outgoing_length = 0;
        return;
    }
    size_t taken = ssh_channel_write(tunnel->channel, tunnel->outgoing, tunnel->outgoing_length);
    tunnel->outgoing_length -= taken;
    memmove(tunnel->outgoing, tunnel->outgoing + taken, tunnel->outgoing_length);
    if (tunnel->local_ended && tunnel->outgoing_length == 0)
        ssh_channel_end(tunnel->channel);
}

static void read_outgoing(struct http_tunnel *tunnel)
{
    while (tunnel->socket >= 0 && tunnel->connected && !tunnel->local_ended &&
           tunnel->outgoing_length == 0) {
        ssize_t got =
            recv(tunnel->socket, tunnel->outgoing, sizeof(tunnel->outgoing), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        tunnel->local_ended = got <= 0;
        tunnel->outgoing_length = got > 0 ? (size_t)got : 0;
        pass_outgoing(tunnel);
    }
}

static void on_writable(void *context)
{
    struct http_tunnel *tunnel = context;
    pass_outgoing(tunnel);
    read_outgoing(tunnel);
    watch(tunnel);
}

/* --- from the node --- */

static void write_incoming(struct http_tunnel *tunnel)
{
    if (!tunnel->connected)
        return;
    while (tunnel->socket >= 0 && tunnel->incoming_at < tunnel->incoming.length) {
        ssize_t put =
            send(tunnel->socket, tunnel->incoming.text + tunnel->incoming_at,
                 tunnel->incoming.length - tunnel->incoming_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN)
            return;
        if (put < 0) { /* libcurl has had enough */
            close_socket(tunnel);
            return;
        }
        tunnel->incoming_at += (size_t)put;
    }
    strbuf_reset(&tunnel->incoming);
    tunnel->incoming_at = 0;
    if (tunnel->channel)
        ssh_channel_pause(tunnel->channel, false);
    if (tunnel->remote_ended)
        close_socket(tunnel);
}

static void on_received(void *context, const char *bytes, size_t length, bool is_error)
{
    struct http_tunnel *tunnel = context;
    if (is_error || tunnel->socket < 0)
        return;
    strbuf_add(&tunnel->incoming, bytes, length);
    if (tunnel->incoming.overflowed)
        fail(tunnel, ERR_MEMORY, "the answer comes faster than it can be read");
    write_incoming(tunnel);
    if (tunnel->incoming.length - tunnel->incoming_at > PENDING_HIGH)
        ssh_channel_pause(tunnel->channel, true);
    watch(tunnel);
}

static void on_closed(void *context, const struct err *error, int status)
{
    struct http_tunnel *tunnel = context;
    (void)status;
    tunnel->channel = NULL;
    tunnel->remote_ended = true;
    if (error && !tunnel->error.code)
        tunnel->error = *error;
    write_incoming(tunnel);
    watch(tunnel);
}

static int watch_socket(struct http_tunnel *tunnel, int socket)
{
    uv_poll_t *poll = calloc(1, sizeof(*poll));
    if (!poll || uv_poll_init(loop_uv(tunnel->loop), poll, socket) != 0) {
        free(poll);
        return -1;
    }
    poll->data = tunnel;
    tunnel->poll = poll;
    tunnel->socket = socket;
    return 0;
}

/* Another process that found the name is turned away. */
static void accept_own(struct http_tunnel *tunnel)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    int own = accept4(tunnel->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (own < 0)
        return;
    if (getsockopt(own, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.pid != getpid()) {
        close(own);
        return;
    }
    close_socket(tunnel);
    if (watch_socket(tunnel, own) < 0) {
        close(own);
        fail(tunnel, ERR_MEMORY, "out of memory");
        return;
    }
    tunnel->connected = true;
    write_incoming(tunnel);
    watch(tunnel);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct http_tunnel *tunnel = poll->data;
    if (status < 0) {
        fail(tunnel, ERR_IO, uv_strerror(status));
        return;
    }
    if (!tunnel->connected) {
        accept_own(tunnel);
        return;
    }
    if (events & UV_WRITABLE)
        write_incoming(tunnel);
    if (events & UV_READABLE)
        read_outgoing(tunnel);
    watch(tunnel);
}

/* --- its life --- */

static const struct ssh_channel_events events_of_tunnel = {
    .received = on_received, .writable = on_writable, .closed = on_closed};

/* Listens under a name that the kernel gives: autobind, unix(7). */
static int listen_locally(char name_out[HTTP_TUNNEL_NAME])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(address);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return -1;
    if (bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
        listen(listener, 4) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
        length <= sizeof(sa_family_t) + 1 || length > sizeof(sa_family_t) + HTTP_TUNNEL_NAME) {
        close(listener);
        return -1;
    }
    length -= (socklen_t)sizeof(sa_family_t) + 1;
    memcpy(name_out, address.sun_path + 1, length);
    name_out[length] = '\0';
    return listener;
}

struct http_tunnel *http_tunnel_open(struct loop *loop, struct ssh *via, const char *host,
                                     uint16_t port, char name_out[HTTP_TUNNEL_NAME],
                                     struct err *err)
{
    struct http_tunnel *tunnel = calloc(1, sizeof(*tunnel));
    if (!tunnel) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    tunnel->loop = loop;
    tunnel->socket = -1;
    strbuf_init(&tunnel->incoming, PENDING_MAX);
    int listener = listen_locally(name_out);
    if (listener < 0 || watch_socket(tunnel, listener) < 0) {
        err_set(err, ERR_IO, "cannot listen on a local socket: %s", strerror(errno));
        if (listener >= 0)
            close(listener);
        http_tunnel_free(tunnel);
        return NULL;
    }
    tunnel->channel = ssh_tunnel(via, host, port, &events_of_tunnel, tunnel);
    if (!tunnel->channel) {
        err_set(err, ERR_MEMORY, "out of memory");
        http_tunnel_free(tunnel);
        return NULL;
    }
    uv_poll_start(tunnel->poll, UV_READABLE, on_ready);
    return tunnel;
}

const struct err *http_tunnel_error(const struct http_tunnel *tunnel)
{
    return tunnel && tunnel->error.code ? &tunnel->error : NULL;
}

void http_tunnel_free(struct http_tunnel *tunnel)
{
    if (!tunnel)
        return;
    if (tunnel->channel)
        ssh_channel_close(tunnel->channel);
    close_socket(tunnel);
    strbuf_release(&tunnel->incoming);
    free(tunnel);
}
