#include "ssh_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deadline.h"

#define GUARD_MS deadline_ms(90000)
#define KEPT_MAX (1024 * 1024)

static void on_guard(void *context)
{
    struct client *client = context;
    client->guard = NULL;
    client->gave_up = true;
    fprintf(stderr, "test support: nothing happened for 90 s\n");
    loop_stop(client->loop);
}

void client_wait(struct client *client, const bool *done)
{
    client->gave_up = false;
    client->guard = timer_start(client->loop, GUARD_MS, on_guard, client);
    while (!*done && !client->gave_up) {
        uv_run(loop_uv(client->loop), UV_RUN_ONCE);
    }
    timer_stop(client->guard);
    client->guard = NULL;
}

void client_init(struct client *client, const struct sshd *sshd, const char *known_hosts,
                 const char *agent_socket)
{
    struct err error;
    memset(client, 0, sizeof(*client));
    const char *const files[] = {known_hosts != NULL ? known_hosts : sshd->known_hosts, NULL};
    struct ssh_settings settings = {.known_hosts = files,
                                    .agent_socket = agent_socket != NULL ? agent_socket : ""};
    if (loop_create(&client->loop, &error) != 0 ||
        ssh_context_create(&client->shared, client->loop, &settings, &error) != 0) {
        fprintf(stderr, "test support: %s\n", error.message);
        exit(99);
    }
    client->target.name = "node";
    client->target.address = "127.0.0.1";
    if (sshd != NULL) {
        client->target.port = sshd->port;
        client->target.user = sshd->user;
        client->target.key = sshd->key;
    }
}

static void on_ready(void *context, const struct err *error)
{
    struct client *client = context;
    if (error != NULL) {
        client->error = *error;
        client->failed = true;
    }
    client->ready = true;
}

static void on_lost(void *context, const struct err *error)
{
    struct client *client = context;
    client->error = *error;
    client->lost = true;
}

void client_begin(struct client *client, int64_t timeout_ms)
{
    client->ready = client->failed = client->lost = false;
    err_clear(&client->error);
    client->ssh = ssh_open(client->shared, &client->target, timeout_ms, on_ready, on_lost, client);
}

bool client_open(struct client *client, int64_t timeout_ms)
{
    client_begin(client, timeout_ms);
    client_wait(client, &client->ready);
    return client->ready && !client->failed;
}

void client_release(struct client *client)
{
    ssh_close(client->ssh);
    ssh_context_free(client->shared);
    loop_free(client->loop);
}

static void on_opened(void *context)
{
    struct command *command = context;
    command->opened = true;
}

static void on_received(void *context, const char *bytes, size_t length, bool is_error)
{
    struct command *command = context;
    command->received += length;
    strbuf_add(is_error ? &command->errors : &command->out, bytes, length);
}

static void write_more(struct command *command)
{
    while (command->input_at < command->input_length) {
        size_t taken = ssh_channel_write(command->channel, command->input + command->input_at,
                                         command->input_length - command->input_at);
        if (taken == 0) {
            return;
        }
        command->input_at += taken;
    }
    ssh_channel_end(command->channel);
}

static void on_writable(void *context)
{
    write_more(context);
}

static void on_closed(void *context, const struct err *error, int status)
{
    struct command *command = context;
    command->closed = true;
    command->status = status;
    if (error != NULL) {
        command->error = *error;
    }
}

static const struct ssh_channel_events events = {
    .opened = on_opened, .received = on_received, .writable = on_writable, .closed = on_closed};

static void command_init(struct command *command, struct client *client)
{
    memset(command, 0, sizeof(*command));
    command->client = client;
    strbuf_init(&command->out, KEPT_MAX);
    strbuf_init(&command->errors, KEPT_MAX);
}

void command_start(struct command *command, struct client *client, const char *line)
{
    command_init(command, client);
    command->channel = ssh_exec(client->ssh, line, &events, command);
}

void command_start_with_input(struct command *command, struct client *client, const char *line,
                              const char *input, size_t length)
{
    command_start(command, client, line);
    command->input = input;
    command->input_length = length;
    write_more(command);
}

void command_start_tunnel(struct command *command, struct client *client, const char *host,
                          uint16_t port)
{
    command_init(command, client);
    command->channel = ssh_tunnel(client->ssh, host, port, &events, command);
}

void command_wait(struct command *command)
{
    client_wait(command->client, &command->closed);
}

void command_run(struct command *command, struct client *client, const char *line)
{
    command_start(command, client, line);
    command_wait(command);
}

void command_release(struct command *command)
{
    strbuf_release(&command->out);
    strbuf_release(&command->errors);
}
