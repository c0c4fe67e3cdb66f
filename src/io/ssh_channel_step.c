#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ssh_channel.h"

#define WINDOW (2 * 1024 * 1024)
#define PACKET 32768

static bool alive(const struct ssh *ssh)
{
    return !ssh->closed && ssh->failure.code == 0;
}

/* Errors of one channel; everything else means that the connection is gone. */
static bool is_channel_error(int rc)
{
    switch (rc) {
    case LIBSSH2_ERROR_CHANNEL_FAILURE:
    case LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED:
    case LIBSSH2_ERROR_CHANNEL_UNKNOWN:
    case LIBSSH2_ERROR_CHANNEL_CLOSED:
    case LIBSSH2_ERROR_CHANNEL_EOF_SENT:
    case LIBSSH2_ERROR_OUT_OF_BOUNDARY:
    case LIBSSH2_ERROR_INVAL:
        return true;
    default:
        return false;
    }
}

static void explain_open(struct ssh_channel *channel, struct err *error)
{
    struct err detail;
    explain_session(channel->ssh, &detail, "open");
    const char *label = channel->ssh->target->label;
    bool prohibited = strstr(detail.message, "prohibited") != NULL;
    if (channel->command != NULL) {
        err_set(
            error, ERR_REFUSED,
            "%s refused another channel (%s); its sshd allows MaxSessions at once (10 by default)",
            label, detail.message);
    } else if (prohibited) {
        err_set(error, ERR_REFUSED,
                "%s may not forward to %s:%u (%s); set AllowTcpForwarding yes in its sshd_config",
                label, channel->host, channel->port, detail.message);
    } else {
        err_set(error, ERR_UNREACHABLE,
                "%s cannot connect to %s:%u (%s): nothing listens there, the name does not resolve "
                "there, or a firewall is in between",
                label, channel->host, channel->port, detail.message);
    }
}

/* The channel failed before it was of use. */
static void give_up(struct ssh_channel *channel, const struct err *error)
{
    channel_tell_closed(channel, error, -1);
    channel->state = channel->raw != NULL ? CHANNEL_CLOSING : CHANNEL_DONE;
}

static bool step_opening(struct ssh *ssh)
{
    struct ssh_channel *channel = ssh->opening;
    struct err error;

    if (channel->command != NULL) {
        channel->raw = libssh2_channel_open_ex(ssh->session, "session", 7, WINDOW, PACKET, NULL, 0);
    } else {
        channel->raw = libssh2_channel_direct_tcpip_ex(ssh->session, channel->host, channel->port,
                                                       "127.0.0.1", 22);
    }
    int rc = channel->raw != NULL ? 0 : libssh2_session_last_errno(ssh->session);
    if (rc == LIBSSH2_ERROR_EAGAIN) {
        return false;
    }
    ssh->opening = NULL;
    if (channel->raw == NULL) {
        if (!is_channel_error(rc)) {
            explain_lost(ssh, "open a channel");
            return true;
        }
        explain_open(channel, &error);
        give_up(channel, &error);
        return true;
    }
    if (channel->command != NULL) {
        channel->state = CHANNEL_STARTING;
    } else {
        channel->state = channel->forgotten ? CHANNEL_CLOSING : CHANNEL_OPEN;
        if (!channel->forgotten && channel->events.opened != NULL) {
            channel->events.opened(channel->context);
        }
    }
    return true;
}

static bool step_starting(struct ssh_channel *channel)
{
    struct err error;
    int rc = libssh2_channel_process_startup(channel->raw, "exec", 4, channel->command,
                                             (unsigned)strlen(channel->command));
    if (rc == LIBSSH2_ERROR_EAGAIN) {
        return false;
    }
    if (rc != 0 && !is_channel_error(rc) && rc != LIBSSH2_ERROR_OUT_OF_BOUNDARY) {
        explain_lost(channel->ssh, "start a command");
        return true;
    }
    if (rc != 0) {
        explain_session(channel->ssh, &error, "start a command");
        err_prefix(&error, "%s refused to run a command; is ForceCommand or a restricted key set?",
                   channel->ssh->target->label);
        give_up(channel, &error);
        return true;
    }
    free(channel->command);
    channel->command = strdup(""); /* it is a command still, and its text is not needed any more */
    channel->state = channel->forgotten ? CHANNEL_CLOSING : CHANNEL_OPEN;
    if (!channel->forgotten && channel->events.opened != NULL) {
        channel->events.opened(channel->context);
    }
    return true;
}

/* One read of one stream. 0: nothing there now. */
static size_t read_stream(struct ssh_channel *channel, int stream)
{
    struct ssh *ssh = channel->ssh;
    ssize_t got = libssh2_channel_read_ex(channel->raw, stream, ssh->shared->scratch, SSH_SCRATCH);
    if (got > 0) {
        if (!channel->forgotten) {
            channel->events.received(channel->context, ssh->shared->scratch, (size_t)got,
                                     stream != 0);
        }
        return (size_t)got;
    }
    if (got < 0 && got != LIBSSH2_ERROR_EAGAIN && !is_channel_error((int)got)) {
        explain_lost(ssh, "read");
    }
    return 0;
}

static bool step_reading(struct ssh_channel *channel, size_t *budget)
{
    bool moved = false;
    /* Both streams share one window: one that nobody reads stops the other. */
    for (int stream = 0; stream < 2; stream++) {
        size_t got;
        do {
            bool wanted = !channel->paused || channel->forgotten;
            got = wanted && *budget > 0 && alive(channel->ssh) && channel->state < CHANNEL_DONE
                      ? read_stream(channel, stream)
                      : 0;
            *budget -= got < *budget ? got : *budget;
            moved = moved || got > 0;
        } while (got > 0);
    }
    return moved;
}

static void tell_writable(struct ssh_channel *channel)
{
    if (channel->refused_bytes && !channel->end_wanted &&
        queue_length(&channel->queue) < SSH_CHANNEL_LOW) {
        channel->refused_bytes = false;
        if (!channel->forgotten && channel->events.writable != NULL) {
            channel->events.writable(channel->context);
        }
    }
}

static bool step_writing(struct ssh_channel *channel)
{
    struct ssh *ssh = channel->ssh;
    bool moved = false;

    while (alive(ssh) && channel->state == CHANNEL_OPEN && queue_length(&channel->queue) > 0 &&
           queue_length(&ssh->out) < SSH_OUT_HIGH) {
        size_t length = queue_length(&channel->queue);
        length = length < SSH_WRITE_MAX ? length : SSH_WRITE_MAX;
        ssize_t written =
            libssh2_channel_write_ex(channel->raw, 0, queue_front(&channel->queue), length);
        if (written == LIBSSH2_ERROR_EAGAIN || written == 0) {
            break;
        }
        if (written < 0 && !is_channel_error((int)written)) {
            explain_lost(ssh, "write");
            return true;
        }
        /* A peer that has closed the channel takes nothing any more; that it closed comes by
         * `closed`. */
        queue_consume(&channel->queue, written > 0 ? (size_t)written : length);
        moved = true;
        tell_writable(channel);
    }
    if (alive(ssh) && channel->state == CHANNEL_OPEN && channel->end_wanted && !channel->end_sent &&
        queue_length(&channel->queue) == 0) {
        int rc = libssh2_channel_send_eof(channel->raw);
        if (rc != LIBSSH2_ERROR_EAGAIN) {
            channel->end_sent = true;
            moved = true;
        }
    }
    return moved;
}

/* The last finished one stays: by it an idle connection's packets (the peer's own keep-alive
 * questions) are read and answered. */
static void retire(struct ssh_channel *channel)
{
    struct ssh *ssh = channel->ssh;
    if (ssh->spare == NULL) {
        ssh->spare = channel->raw;
    } else {
        libssh2_channel_free(channel->raw);
    }
    channel->raw = NULL;
    channel->state = CHANNEL_DONE;
}

static void tell_result(struct ssh_channel *channel)
{
    char *signal_name = NULL;
    int status = libssh2_channel_get_exit_status(channel->raw);
    libssh2_channel_get_exit_signal(channel->raw, &signal_name, NULL, NULL, NULL, NULL, NULL);
    if (signal_name != NULL) {
        status = -1;
        libssh2_free(channel->ssh->session, signal_name);
    }
    channel_tell_closed(channel, NULL, channel->command != NULL ? status : 0);
}

/* In order: end of both streams, then the peer's close; only then the exit status is what the peer
 * meant. */
static bool step_ending(struct ssh_channel *channel)
{
    if (!channel->peer_ended) {
        if (!libssh2_channel_eof(channel->raw)) {
            return false;
        }
        channel->peer_ended = true;
        if (channel->command == NULL) {
            channel->end_wanted = true; /* so that the far sshd closes too */
        }
        return true;
    }
    int rc = libssh2_channel_wait_closed(channel->raw);
    if (rc == LIBSSH2_ERROR_EAGAIN) {
        return false;
    }
    if (rc != 0) {
        explain_lost(channel->ssh, "close a channel");
        return true;
    }
    rc = libssh2_channel_close(channel->raw);
    if (rc == LIBSSH2_ERROR_EAGAIN) {
        return false;
    }
    tell_result(channel);
    retire(channel);
    return true;
}

/* A number must not be used again while the peer still sends to it, so the peer's close is awaited
 * here too. */
static bool step_closing(struct ssh_channel *channel, size_t *budget)
{
    if (!channel->close_sent) {
        int rc = libssh2_channel_close(channel->raw);
        channel->close_sent = rc != LIBSSH2_ERROR_EAGAIN;
        if (rc < 0 && rc != LIBSSH2_ERROR_EAGAIN && !is_channel_error(rc)) {
            explain_lost(channel->ssh, "close a channel");
            return true;
        }
    }
    bool moved = step_reading(channel, budget);
    if (alive(channel->ssh) && channel->close_sent && libssh2_channel_eof(channel->raw) &&
        libssh2_channel_wait_closed(channel->raw) == 0) {
        retire(channel);
        return true;
    }
    return moved;
}

static bool channel_step(struct ssh_channel *channel, size_t *budget)
{
    struct ssh *ssh = channel->ssh;
    bool moved = false;
    switch (channel->state) {
    case CHANNEL_QUEUED:
        if (ssh->opening != NULL) {
            return false;
        }
        ssh->opening = channel;
        channel->state = CHANNEL_OPENING;
        return step_opening(ssh);
    case CHANNEL_OPENING:
        return step_opening(ssh);
    case CHANNEL_STARTING:
        return step_starting(channel);
    case CHANNEL_OPEN:
        moved = step_reading(channel, budget);
        moved = step_writing(channel) || moved;
        if (alive(ssh) && channel->state == CHANNEL_OPEN && *budget > 0) {
            moved = step_ending(channel) || moved;
        }
        return moved;
    case CHANNEL_CLOSING:
        return step_closing(channel, budget);
    default:
        return false;
    }
}

static void read_idle(struct ssh *ssh)
{
    if (ssh->spare == NULL) {
        transport_read_ahead(ssh);
        return;
    }
    ssize_t got = libssh2_channel_read_ex(ssh->spare, 0, ssh->shared->scratch, SSH_SCRATCH);
    if (got < 0 && got != LIBSSH2_ERROR_EAGAIN && !is_channel_error((int)got)) {
        explain_lost(ssh, "wait");
    }
}

void channels_step(struct ssh *ssh)
{
    size_t budget = SSH_READ_BUDGET;
    bool moved = true;

    if (ssh->channels == NULL) {
        read_idle(ssh);
        return;
    }
    while (moved && budget > 0 && alive(ssh)) {
        uint64_t before = ssh->bytes_in;
        moved = false;
        for (struct ssh_channel *c = ssh->channels; c != NULL && alive(ssh); c = c->next) {
            moved = channel_step(c, &budget) || moved;
        }
        transport_flush(ssh);
        /* Every call of libssh2 may take packets for any channel and stream off the socket: what came after its reader
         * had looked would wait for the next event, which need not come. */
        moved = moved || ssh->bytes_in != before;
    }
    if (moved && alive(ssh)) {
        ssh_wake(ssh);
    }
}
