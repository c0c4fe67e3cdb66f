#include "ssh_channel.h"

#include <stdlib.h>
#include <string.h>

static struct ssh_channel *channel_new(struct ssh *ssh, const struct ssh_channel_events *events,
                                       void *context)
{
    struct ssh_channel *channel = calloc(1, sizeof(*channel));
    if (channel != NULL) {
        channel->ssh = ssh;
        channel->events = *events;
        channel->context = context;
    }
    return channel;
}

static void channel_free(struct ssh_channel *channel)
{
    queue_release(&channel->queue);
    free(channel->command);
    free(channel->host);
    free(channel);
}

static void add(struct ssh *ssh, struct ssh_channel *channel)
{
    *ssh->channels_last = channel;
    ssh->channels_last = &channel->next;
    ssh_wake(ssh);
}

struct ssh_channel *ssh_exec(struct ssh *ssh, const char *command,
                             const struct ssh_channel_events *events, void *context)
{
    struct ssh_channel *channel = channel_new(ssh, events, context);
    if (channel == NULL || (channel->command = strdup(command)) == NULL) {
        free(channel);
        return NULL;
    }
    add(ssh, channel);
    return channel;
}

struct ssh_channel *ssh_tunnel(struct ssh *ssh, const char *host, uint16_t port,
                               const struct ssh_channel_events *events, void *context)
{
    struct ssh_channel *channel = channel_new(ssh, events, context);
    if (channel == NULL || (channel->host = strdup(host)) == NULL) {
        free(channel);
        return NULL;
    }
    channel->port = port;
    add(ssh, channel);
    return channel;
}

size_t ssh_channel_write(struct ssh_channel *channel, const void *bytes, size_t length)
{
    size_t queued = queue_length(&channel->queue);
    size_t room = queued < SSH_CHANNEL_HIGH ? SSH_CHANNEL_HIGH - queued : 0;
    if (channel->end_wanted || channel->state >= CHANNEL_CLOSING) {
        return 0;
    }
    if (length > room) {
        channel->refused_bytes = true;
        length = room;
    }
    if (length == 0) {
        return 0;
    }
    if (queue_add(&channel->queue, bytes, length) != 0) {
        ssh_failf(channel->ssh, ERR_MEMORY, "out of memory");
        return 0;
    }
    ssh_wake(channel->ssh);
    return length;
}

void ssh_channel_pause(struct ssh_channel *channel, bool paused)
{
    if (channel->paused && !paused) {
        ssh_wake(channel->ssh);
    }
    channel->paused = paused;
}

void ssh_channel_end(struct ssh_channel *channel)
{
    channel->end_wanted = true;
    ssh_wake(channel->ssh);
}

void ssh_channel_close(struct ssh_channel *channel)
{
    channel->forgotten = true;
    if (channel->state == CHANNEL_QUEUED) {
        channel->state = CHANNEL_DONE;
    } else if (channel->state == CHANNEL_OPEN) {
        channel->state = CHANNEL_CLOSING;
    }
    ssh_wake(channel->ssh);
}

void channel_tell_closed(struct ssh_channel *channel, const struct err *error, int status)
{
    if (!channel->forgotten && !channel->ssh->closed) {
        channel->forgotten = true;
        channel->events.closed(channel->context, error, status);
    }
}

void channels_fail(struct ssh *ssh, const struct err *error)
{
    for (struct ssh_channel *c = ssh->channels; c != NULL && !ssh->closed; c = c->next) {
        channel_tell_closed(c, error, -1);
        /* Its libssh2 half goes with the session. */
        c->state = CHANNEL_DONE;
        c->raw = NULL;
    }
}

/* Frees those that are done; never while a pump walks the list. */
void channels_sweep(struct ssh *ssh)
{
    struct ssh_channel **at = &ssh->channels;
    while (*at != NULL) {
        struct ssh_channel *channel = *at;
        if (channel->state == CHANNEL_DONE) {
            *at = channel->next;
            channel_free(channel);
        } else {
            at = &channel->next;
        }
    }
    ssh->channels_last = at;
}

void channels_release(struct ssh *ssh)
{
    while (ssh->channels != NULL) {
        struct ssh_channel *channel = ssh->channels;
        ssh->channels = channel->next;
        channel_free(channel);
    }
    ssh->channels_last = &ssh->channels;
    ssh->opening = NULL;
}
