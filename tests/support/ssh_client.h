/*
 * One connection of io/ssh in a test: opens, runs commands, and turns the loop until something has
 * happened or 90 s have gone.
 */
#ifndef SUPPORT_SSH_CLIENT_H
#define SUPPORT_SSH_CLIENT_H

#include <stdbool.h>

#include "base/strbuf.h"
#include "io/ssh.h"
#include "sshd.h"

struct client {
    struct loop *loop;
    struct ssh_context *shared;
    struct ssh *ssh;
    struct ssh_target target;
    bool ready, failed, lost;
    struct err error;
    bool gave_up; /* the 90 s have gone */
    struct timer *guard;
};

/* A target at 127.0.0.1 with that sshd's port, user and key; known_hosts as given (NULL: that
 * sshd's), no agent unless given. */
void client_init(struct client *client, const struct sshd *sshd, const char *known_hosts,
                 const char *agent_socket);
/* Begins to open. */
void client_begin(struct client *client, int64_t timeout_ms);
/* Opens and waits until it is ready or has failed. True when ready. */
bool client_open(struct client *client, int64_t timeout_ms);
/* Turns the loop until *done, or 90 s. */
void client_wait(struct client *client, const bool *done);
void client_release(struct client *client);

struct command {
    struct client *client;
    struct ssh_channel *channel;
    struct strbuf out, errors;
    bool opened, closed;
    uint64_t received;
    int status;
    struct err error;  /* code 0: ended in order */
    const char *input; /* written as room comes, then the end */
    size_t input_length, input_at;
};
void command_start(struct command *command, struct client *client, const char *line);
void command_start_with_input(struct command *command, struct client *client, const char *line,
                              const char *input, size_t length);
void command_start_tunnel(struct command *command, struct client *client, const char *host,
                          uint16_t port);
/* Starts it and waits for its end. */
void command_run(struct command *command, struct client *client, const char *line);
void command_wait(struct command *command);
void command_release(struct command *command);

#endif
