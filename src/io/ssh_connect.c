#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "ssh_internal.h"

#define ADDRESS_SHARE_MIN_MS 1000

static void next_address(struct ssh *ssh);

static void wait_for_turn(struct ssh *ssh, const char *key)
{
    ssh_clock_pause(ssh);
    ssh_enter(ssh, SSH_WAITING_TURN);
    if (pace_enter(ssh, key) != 0) {
        ssh_failf(ssh, ERR_MEMORY, "out of memory");
    }
}

static void address_text(char *out, size_t size, const struct sockaddr_storage *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    bool is_v6 = address->ss_family == AF_INET6;
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(address->ss_family,
              is_v6 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr, text,
              sizeof(text));
    snprintf(out, size, "%s %u", text, ntohs(is_v6 ? v6->sin6_port : v4->sin_port));
}

static void on_lookup(void *context, const struct sockaddr_storage *addresses, size_t count,
                      const char *error)
{
    struct ssh *ssh = context;
    char key[128];
    ssh->lookup = NULL;
    if (error != NULL) {
        ssh_failf(ssh, ERR_UNREACHABLE,
                  "resolve %s: %s; check the name, or give the node's address in the inventory "
                  "(address=...)",
                  ssh->target->address, error);
        return;
    }
    ssh->address_count = count < SSH_LOOKUP_MAX ? count : SSH_LOOKUP_MAX;
    memcpy(ssh->addresses, addresses, ssh->address_count * sizeof(addresses[0]));
    address_text(key, sizeof(key), &ssh->addresses[0]);
    wait_for_turn(ssh, key);
}

void connect_begin(struct ssh *ssh)
{
    if (ssh->target->jump != NULL) {
        if (ssh->jump == NULL && jump_join(ssh) != 0) {
            ssh_failf(ssh, ERR_MEMORY, "out of memory");
            return;
        }
        if (ssh->jump->failed) {
            ssh_failf(ssh, ssh->jump->error.code, "jump host %s: %s", ssh->target->jump->label,
                      ssh->jump->error.message);
        } else if (ssh->jump->ready) {
            char key[512];
            snprintf(key, sizeof(key), "jump %p", (void *)ssh->jump);
            wait_for_turn(ssh, key);
        } else {
            /* The jump host's own deadline runs. */
            ssh_clock_pause(ssh);
        }
        return;
    }
    if (ssh->address_count > 0) {
        char key[128];
        address_text(key, sizeof(key), &ssh->addresses[0]);
        wait_for_turn(ssh, key);
        return;
    }
    ssh->lookup =
        lookup_start(ssh->shared->loop, ssh->target->address, ssh->target->port, on_lookup, ssh);
    if (ssh->lookup == NULL) {
        ssh_failf(ssh, ERR_MEMORY, "out of memory");
    }
}

static void begin_handshake(struct ssh *ssh)
{
    ssh_enter(ssh, SSH_HANDSHAKE);
    if (transport_session(ssh) != 0) {
        ssh_failf(ssh, ERR_MEMORY, "out of memory");
        return;
    }
    hostkey_prepare(ssh);
    ssh_wake(ssh);
}

static void on_address_timeout(void *context)
{
    struct ssh *ssh = context;
    ssh->later = NULL;
    ssh->connect_errno = ETIMEDOUT;
    next_address(ssh);
}

/* Several addresses share what time is left. */
static void limit_address(struct ssh *ssh)
{
    size_t left = ssh->address_count - ssh->address_at;
    timer_stop(ssh->later);
    ssh->later = NULL;
    if (left > 1) {
        int64_t used = loop_now_ms(ssh->shared->loop) - ssh->clock_since_ms;
        int64_t share = (ssh->left_ms - used) / (int64_t)left;
        ssh->later = timer_start(ssh->shared->loop,
                                 share > ADDRESS_SHARE_MIN_MS ? share : ADDRESS_SHARE_MIN_MS,
                                 on_address_timeout, ssh);
    }
}

static bool start_connect(struct ssh *ssh, const struct sockaddr_storage *address)
{
    socklen_t length =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    ssh->fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (ssh->fd < 0) {
        ssh->connect_errno = errno;
        return false;
    }
    transport_socket_options(ssh->fd);
    if (connect(ssh->fd, (const struct sockaddr *)address, length) != 0 && errno != EINPROGRESS) {
        ssh->connect_errno = errno;
        return false;
    }
    if (transport_watch(ssh) != 0) {
        ssh->connect_errno = ENOMEM;
        return false;
    }
    transport_poll(ssh);
    return true;
}

static void next_address(struct ssh *ssh)
{
    transport_release(ssh, false);
    for (ssh->address_at++; ssh->address_at < ssh->address_count; ssh->address_at++) {
        limit_address(ssh);
        if (start_connect(ssh, &ssh->addresses[ssh->address_at])) {
            return;
        }
        transport_release(ssh, false);
    }
    explain_connect(ssh);
}

void connect_continue(struct ssh *ssh)
{
    int number = 0;
    socklen_t length = sizeof(number);
    if (ssh->fd < 0) {
        return;
    }
    struct sockaddr_storage peer;
    socklen_t peer_length = sizeof(peer);
    getsockopt(ssh->fd, SOL_SOCKET, SO_ERROR, &number, &length);
    if (number == 0 && getpeername(ssh->fd, (struct sockaddr *)&peer, &peer_length) != 0) {
        return; /* woken before its time */
    }
    timer_stop(ssh->later);
    ssh->later = NULL;
    if (number != 0) {
        ssh->connect_errno = number;
        next_address(ssh);
        return;
    }
    begin_handshake(ssh);
}

static void on_tunnel_opened(void *context)
{
    struct ssh *ssh = context;
    if (ssh->phase == SSH_CONNECT) {
        begin_handshake(ssh);
    }
}

static void on_tunnel_received(void *context, const char *bytes, size_t length, bool is_error)
{
    struct ssh *ssh = context;
    if (is_error) {
        return;
    }
    ssh->bytes_in += length;
    ssh->last_in_ms = loop_now_ms(ssh->shared->loop);
    if (queue_add(&ssh->input, bytes, length) != 0) {
        ssh_failf(ssh, ERR_MEMORY, "out of memory");
    }
    if (queue_length(&ssh->input) >= SSH_TUNNEL_HIGH) {
        ssh_channel_pause(ssh->tunnel, true);
    }
    ssh_wake(ssh);
}

static void on_tunnel_writable(void *context)
{
    ssh_wake(context);
}

static void on_tunnel_closed(void *context, const struct err *error, int status)
{
    struct ssh *ssh = context;
    (void)status;
    jump_tunnel_gone(ssh);
    ssh->input_ended = true;
    if (error == NULL) {
        ssh_wake(ssh);
        return;
    }
    ssh_failf(ssh, ERR_UNREACHABLE, "%s through jump host %s: %s",
              ssh->phase == SSH_READY ? "connection lost" : "connect", ssh->target->jump->label,
              error->message);
}

static const struct ssh_channel_events tunnel_events = {
    .opened = on_tunnel_opened,
    .received = on_tunnel_received,
    .writable = on_tunnel_writable,
    .closed = on_tunnel_closed,
};

void connect_turn(struct ssh *ssh)
{
    ssh_clock_run(ssh);
    ssh_enter(ssh, SSH_CONNECT);
    if (ssh->jump != NULL) {
        if (ssh->jump->failed) {
            ssh_failf(ssh, ssh->jump->error.code, "jump host %s: %s", ssh->target->jump->label,
                      ssh->jump->error.message);
            return;
        }
        if (jump_tunnel(ssh, &tunnel_events) == NULL) {
            ssh_failf(ssh, ERR_MEMORY, "out of memory");
        }
        return;
    }
    ssh->address_at = 0;
    limit_address(ssh);
    if (!start_connect(ssh, &ssh->addresses[0])) {
        next_address(ssh);
    }
}

void connect_stop(struct ssh *ssh)
{
    lookup_forget(ssh->lookup);
    ssh->lookup = NULL;
    timer_stop(ssh->later);
    ssh->later = NULL;
}
