/*
 * A channel's inside: for ssh_channel.c (the layer above's calls) and ssh_channel_step.c (what
 * libssh2 is asked).
 */
#ifndef IO_SSH_CHANNEL_H
#define IO_SSH_CHANNEL_H

#include "ssh_internal.h"

enum channel_state {
    CHANNEL_QUEUED, /* libssh2 opens one at a time a session */
    CHANNEL_OPENING,
    CHANNEL_STARTING, /* the command was sent, its acceptance is awaited */
    CHANNEL_OPEN,
    CHANNEL_CLOSING, /* given up here: what still comes is thrown away until the peer has closed too
                      */
    CHANNEL_DONE     /* to be swept */
};

struct ssh_channel {
    struct ssh *ssh;
    LIBSSH2_CHANNEL *raw;
    enum channel_state state;
    struct ssh_channel_events events;
    void *context;
    char *command; /* NULL: a tunnel */
    char *host;
    uint16_t port;
    struct byte_queue queue;
    bool end_wanted, end_sent;
    bool refused_bytes; /* a write did not fit: `writable` is owed */
    bool peer_ended;
    bool forgotten; /* no callback may come */
    bool close_sent;
    bool paused; /* the layer above takes no more for now */
    struct ssh_channel *next;
};

/* Tells `closed` unless forgotten; the channel is done with the layer above. */
void channel_tell_closed(struct ssh_channel *channel, const struct err *error, int status);

#endif
