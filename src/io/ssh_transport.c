#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "ssh_internal.h"

#define READ_AHEAD_MAX (32 * 1024)
#define SEEN_CHUNK 4096
#define USER_TIMEOUT_MS 30000u /* sent bytes unacknowledged so long: the connection is lost */
#define KEEPALIVE_IDLE_S 15    /* with nothing to send: first probe, */
#define KEEPALIVE_INTERVAL_S 5 /* then one each, */
#define KEEPALIVE_COUNT 3      /* lost after so many: a silent peer is noticed within 30 s */

int transport_socket_options(int fd)
{
    int on = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S, count = KEEPALIVE_COUNT;
    unsigned timeout = USER_TIMEOUT_MS;
    /* Without NODELAY and QUICKACK Nagle and delayed acknowledgements cost two steps of 40 ms a
     * login. */
    int rc = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
    return rc;
}

int transport_outer_fd(const struct ssh *ssh)
{
    while (ssh->jump != NULL && ssh->jump->ssh != NULL) {
        ssh = ssh->jump->ssh;
    }
    return ssh->fd;
}

static ssize_t socket_receive(struct ssh *ssh, void *buffer, size_t length)
{
    int on = 1;
    ssize_t got;
    if (ssh->drained) {
        return -EAGAIN;
    }
    do {
        got = recv(ssh->fd, buffer, length, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        ssh->bytes_in += (uint64_t)got;
        ssh->last_in_ms = loop_now_ms(ssh->shared->loop);
        /* The kernel takes the option back after a while: asked for again each time. */
        setsockopt(ssh->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
        ssh->drained = (size_t)got < length;
    } else if (got == 0) {
        ssh->input_ended = true;
    } else if (errno == EAGAIN) {
        ssh->drained = true;
    } else {
        ssh->transport_errno = errno;
    }
    return got < 0 ? -errno : got;
}

static ssize_t queue_receive(struct ssh *ssh, void *buffer, size_t length)
{
    size_t queued = queue_length(&ssh->input);
    length = length < queued ? length : queued;
    memcpy(buffer, queue_front(&ssh->input), length);
    queue_consume(&ssh->input, length);
    if (ssh->tunnel != NULL && queue_length(&ssh->input) < SSH_TUNNEL_HIGH) {
        ssh_channel_pause(ssh->tunnel, false);
    }
    return (ssize_t)length;
}

static ssize_t raw_receive(struct ssh *ssh, void *buffer, size_t length)
{
    ssize_t got;
    if (ssh->transport_dead) {
        return 0;
    }
    if (bounds_memory_exceeded(ssh)) {
        return -ENOBUFS;
    }
    if (bounds_turn_ended(ssh)) {
        return -EAGAIN;
    }
    length = length < ssh->turn_left ? length : ssh->turn_left;
    if (queue_length(&ssh->input) > 0) {
        got = queue_receive(ssh, buffer, length);
    } else if (ssh->fd >= 0) {
        got = socket_receive(ssh, buffer, length);
    } else {
        return ssh->input_ended ? 0 : -EAGAIN;
    }
    bounds_count_turn(ssh, got > 0 ? (size_t)got : 0);
    return got;
}

/* What the peer says in clear is kept for a while, so that a failure can be explained; it also
 * saves libssh2's reading the banner by single bytes. */
static ssize_t receive_seen(struct ssh *ssh, void *buffer, size_t length)
{
    size_t left = ssh->seen.length - ssh->seen_at;
    if (left == 0) {
        char chunk[SEEN_CHUNK];
        size_t room = SSH_SEEN_MAX - ssh->seen.length;
        ssize_t got = raw_receive(ssh, chunk, room < sizeof(chunk) ? room : sizeof(chunk));
        if (got <= 0) {
            return got;
        }
        strbuf_add(&ssh->seen, chunk, (size_t)got);
        left = ssh->seen.length - ssh->seen_at;
        if (left == 0) {
            return -ENOMEM;
        }
    }
    length = length < left ? length : left;
    memcpy(buffer, ssh->seen.text + ssh->seen_at, length);
    bounds_count_banner(ssh, ssh->seen_at, ssh->seen_at + length);
    ssh->seen_at += length;
    return (ssize_t)length;
}

static LIBSSH2_RECV_FUNC(on_receive)
{
    struct ssh *ssh = *abstract;
    (void)socket;
    (void)flags;
    if (!ssh->transport_dead && bounds_banner_exceeded(ssh)) {
        return -EPROTO;
    }
    if (ssh->seen_at < ssh->seen.length ||
        (!ssh->handshake_done && ssh->seen.length < SSH_SEEN_MAX)) {
        return receive_seen(ssh, buffer, length);
    }
    if (ssh->phase > SSH_HOST_KEY && ssh->seen.capacity > 0) {
        strbuf_release(&ssh->seen);
        ssh->seen_at = 0;
    }
    return raw_receive(ssh, buffer, length);
}

/* How much went out now; negative errno. */
static ssize_t raw_send(struct ssh *ssh, const char *bytes, size_t length)
{
    if (ssh->fd < 0) {
        return ssh->tunnel != NULL ? (ssize_t)ssh_channel_write(ssh->tunnel, bytes, length) : 0;
    }
    ssize_t sent;
    do {
        sent = send(ssh->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN) {
        return 0;
    }
    if (sent < 0) {
        ssh->transport_errno = errno;
        return -errno;
    }
    return sent;
}

/* Always takes the whole packet: a packet sent by halves makes libssh2 1.10 refuse every other call
 * (-39). The back-pressure is in channels_step, before libssh2_channel_write. */
static LIBSSH2_SEND_FUNC(on_send)
{
    struct ssh *ssh = *abstract;
    ssize_t sent = 0;
    (void)socket;
    (void)flags;
    if (ssh->transport_dead) {
        return (ssize_t)length;
    }
    if (queue_length(&ssh->out) == 0) {
        sent = raw_send(ssh, buffer, length);
        if (sent < 0) {
            return sent;
        }
    }
    if (queue_add(&ssh->out, (const char *)buffer + sent, length - (size_t)sent) != 0) {
        return -ENOMEM;
    }
    ssh->bytes_out += length;
    return (ssize_t)length;
}

void transport_flush(struct ssh *ssh)
{
    while (!ssh->transport_dead && queue_length(&ssh->out) > 0) {
        ssize_t sent = raw_send(ssh, queue_front(&ssh->out), queue_length(&ssh->out));
        if (sent < 0) {
            explain_lost(ssh, "send");
            return;
        }
        if (sent == 0) {
            return;
        }
        queue_consume(&ssh->out, (size_t)sent);
    }
}

void transport_read_ahead(struct ssh *ssh)
{
    char chunk[SEEN_CHUNK];
    while (ssh->fd >= 0 && queue_length(&ssh->input) < READ_AHEAD_MAX) {
        ssize_t got = socket_receive(ssh, chunk, sizeof(chunk));
        if (got == -EAGAIN) {
            return;
        }
        if (got <= 0 || queue_add(&ssh->input, chunk, (size_t)got) != 0) {
            explain_lost(ssh, "wait");
            return;
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct ssh *ssh = poll->data;
    (void)events;
    ssh->drained = false;
    if (status < 0) {
        /* libuv stops a handle that reports an error; the next recv says which. */
        ssh->poll_events = 0;
    }
    ssh_pump(ssh);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

int transport_watch(struct ssh *ssh)
{
    ssh->poll = calloc(1, sizeof(*ssh->poll));
    if (ssh->poll == NULL) {
        return ERR_MEMORY;
    }
    if (uv_poll_init(loop_uv(ssh->shared->loop), ssh->poll, ssh->fd) != 0) {
        free(ssh->poll);
        ssh->poll = NULL;
        return ERR_IO;
    }
    ssh->poll->data = ssh;
    ssh->poll_events = 0;
    ssh->drained = false;
    return 0;
}

void transport_poll(struct ssh *ssh)
{
    int events = 0;
    if (ssh->poll == NULL || ssh->transport_dead) {
        return;
    }
    if (ssh->phase == SSH_CONNECT) {
        events = UV_WRITABLE;
    } else {
        bool reads = ssh->phase != SSH_READY || ssh->channels != NULL || ssh->spare != NULL ||
                     queue_length(&ssh->input) < READ_AHEAD_MAX;
        events =
            (reads ? UV_READABLE : UV_DISCONNECT) | (queue_length(&ssh->out) > 0 ? UV_WRITABLE : 0);
    }
    if (events != ssh->poll_events) {
        ssh->poll_events = events;
        uv_poll_start(ssh->poll, events, on_poll);
    }
}

static void set_callback(LIBSSH2_SESSION *session, int kind, void (*fn)(void))
{
#if LIBSSH2_VERSION_NUM >= 0x010b01
    libssh2_session_callback_set2(session, kind, (libssh2_cb_generic *)fn);
#else
    libssh2_session_callback_set(session, kind, (void *)(uintptr_t)fn);
#endif
}

int transport_session(struct ssh *ssh)
{
    ssh->session_memory = 0;
    ssh->session = libssh2_session_init_ex(bounds_alloc, bounds_free, bounds_realloc, ssh);
    if (ssh->session == NULL) {
        return ERR_MEMORY;
    }
    libssh2_session_set_blocking(ssh->session, 0);
    set_callback(ssh->session, LIBSSH2_CALLBACK_SEND, (void (*)(void))on_send);
    set_callback(ssh->session, LIBSSH2_CALLBACK_RECV, (void (*)(void))on_receive);
    ssh->handshake_begun = false;
    ssh->handshake_done = false;
    strbuf_reset(&ssh->seen);
    ssh->seen_at = 0;
    ssh->banner_found = false;
    ssh->banner_line = 0;
    ssh->banner_lines = 0;
    return 0;
}

static LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC(refuse_to_sign)
{
    (void)session;
    (void)sig;
    (void)sig_len;
    (void)data;
    (void)data_len;
    (void)abstract;
    return -1;
}

/* On a dead transport every call ends at once; one that was under way must be ended before the
 * session is freed, or what it holds is lost. */
static void end_pending_call(struct ssh *ssh)
{
    if (ssh->handshake_begun && !ssh->handshake_done) {
        libssh2_session_handshake(ssh->session, transport_outer_fd(ssh));
    } else if (ssh->phase == SSH_AUTHENTICATE && ssh->auth.blob.length > 0) {
        libssh2_userauth_publickey(ssh->session, ssh->target->user,
                                   (const unsigned char *)ssh->auth.blob.text,
                                   ssh->auth.blob.length, refuse_to_sign, NULL);
    }
}

static void session_release(struct ssh *ssh, bool polite)
{
    if (ssh->session == NULL) {
        return;
    }
    if (polite && ssh->handshake_done && !ssh->transport_dead) {
        libssh2_session_disconnect(ssh->session, "done");
        transport_flush(ssh);
    }
    ssh->transport_dead = true;
    end_pending_call(ssh);
    /* Bounded: nothing can return EAGAIN any more, and if something did, a leak is better than a
     * hang. */
    for (int turn = 0; turn < 100 && libssh2_session_free(ssh->session) == LIBSSH2_ERROR_EAGAIN;
         turn++) {
    }
    ssh->session = NULL;
    ssh->spare = NULL;
}

void transport_release(struct ssh *ssh, bool polite)
{
    session_release(ssh, polite);
    if (ssh->tunnel != NULL) {
        ssh_channel_close(ssh->tunnel);
        jump_tunnel_gone(ssh);
    }
    if (ssh->poll != NULL) {
        uv_poll_stop(ssh->poll);
        uv_close((uv_handle_t *)ssh->poll, on_poll_closed);
        ssh->poll = NULL;
    }
    if (ssh->fd >= 0) {
        close(ssh->fd);
        ssh->fd = -1;
    }
    queue_release(&ssh->input);
    queue_release(&ssh->out);
    strbuf_release(&ssh->seen);
    ssh->seen_at = 0;
    ssh->transport_dead = false;
    ssh->input_ended = false;
}
