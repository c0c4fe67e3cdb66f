/* Commands and tunnels over a ready connection, against a real sshd. */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "deadline.h"
#include "ssh_client.h"

struct world {
    struct sshd *sshd;
    struct client client;
};

static int start(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    world->sshd = sshd_start(NULL);
    client_init(&world->client, world->sshd, NULL, NULL);
    *state = world;
    if (!client_open(&world->client, deadline_ms(40000))) {
        fprintf(stderr, "%s\n", world->client.error.message);
        return -1;
    }
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;
    client_release(&world->client);
    sshd_stop(world->sshd);
    free(world);
    return 0;
}

static void a_command_gives_output_errors_and_status(void **state)
{
    struct world *world = *state;
    struct command command;
    command_run(&command, &world->client, "echo hello; echo trouble >&2; exit 5");
    assert_true(command.opened);
    assert_int_equal(command.error.code, 0);
    assert_int_equal(command.status, 5);
    assert_string_equal(command.out.text, "hello\n");
    assert_string_equal(command.errors.text, "trouble\n");
    command_release(&command);
}

static void a_status_that_comes_after_the_end_of_output_is_not_missed(void **state)
{
    struct world *world = *state;
    struct command command;
    command_run(&command, &world->client, "exec >&- 2>&-; sleep 0.2; exit 6");
    assert_int_equal(command.status, 6);
    command_release(&command);
}

static void a_command_killed_by_a_signal_is_no_success(void **state)
{
    struct world *world = *state;
    struct command command;
    command_run(&command, &world->client, "kill -KILL $$");
    assert_int_equal(command.error.code, 0);
    assert_int_equal(command.status, -1);
    command_release(&command);
}

static void three_mebibytes_on_both_streams_do_not_stall(void **state)
{
    struct world *world = *state;
    struct command command;
    command_run(&command, &world->client,
                "head -c 3145728 /dev/zero >&2; head -c 3145728 /dev/zero");
    assert_int_equal(command.status, 0);
    assert_int_equal(command.received, 2 * 3145728);
    command_release(&command);
}

static char *noise(size_t length)
{
    char *bytes = malloc(length);
    uint32_t state = 1;
    for (size_t i = 0; i < length; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (char)(state >> 24);
    }
    return bytes;
}

static void hex_digest(char out[65], const char *bytes, size_t length)
{
    unsigned char digest[32];
    EVP_Digest(bytes, length, digest, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < sizeof(digest); i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

static void an_upload_of_20_mebibytes_arrives_whole(void **state)
{
    struct world *world = *state;
    size_t length = 20 * 1024 * 1024;
    char *bytes = noise(length);
    char expected[65];
    struct command command;
    hex_digest(expected, bytes, length);
    command_start_with_input(&command, &world->client, "sha256sum", bytes, length);
    command_wait(&command);
    assert_int_equal(command.status, 0);
    assert_memory_equal(command.out.text, expected, 64);
    assert_true(ssh_bytes_out(world->client.ssh) > length);
    command_release(&command);
    free(bytes);
}

static void a_write_never_takes_more_than_the_high_mark(void **state)
{
    struct world *world = *state;
    size_t length = 4 * SSH_CHANNEL_HIGH;
    char *bytes = noise(length);
    struct command command;
    command_start(&command, &world->client, "cat > /dev/null");
    assert_int_equal(ssh_channel_write(command.channel, bytes, length), SSH_CHANNEL_HIGH);
    assert_int_equal(ssh_channel_write(command.channel, bytes, length), 0);
    ssh_channel_end(command.channel);
    command_wait(&command);
    assert_int_equal(command.status, 0);
    command_release(&command);
    free(bytes);
}

static void three_channels_work_at_once(void **state)
{
    struct world *world = *state;
    size_t length = 3 * 1024 * 1024;
    char *bytes = noise(length);
    struct command commands[3];
    for (size_t i = 0; i < 3; i++) {
        command_start_with_input(&commands[i], &world->client, "cat; echo ok >&2", bytes, length);
    }
    for (size_t i = 0; i < 3; i++) {
        command_wait(&commands[i]);
        assert_int_equal(commands[i].status, 0);
        assert_int_equal(commands[i].received, length + 3);
        assert_memory_equal(commands[i].out.text, bytes, commands[i].out.length);
        command_release(&commands[i]);
    }
    free(bytes);
}

static void an_eleventh_command_is_refused_and_the_connection_lives_on(void **state)
{
    struct world *world = *state;
    struct command commands[11];
    for (size_t i = 0; i < 11; i++) {
        command_start(&commands[i], &world->client, "cat");
    }
    command_wait(&commands[10]);
    assert_int_equal(commands[10].error.code, ERR_REFUSED);
    assert_non_null(strstr(commands[10].error.message, "MaxSessions"));
    for (size_t i = 0; i < 10; i++) {
        ssh_channel_end(commands[i].channel);
        command_wait(&commands[i]);
        assert_int_equal(commands[i].error.code, 0);
        assert_int_equal(commands[i].status, 0);
    }
    for (size_t i = 0; i < 11; i++) {
        command_release(&commands[i]);
    }
    struct command after;
    command_run(&after, &world->client, "echo still here");
    assert_string_equal(after.out.text, "still here\n");
    command_release(&after);
}

static void a_forgotten_channel_says_nothing_more_and_its_number_is_safe(void **state)
{
    struct world *world = *state;
    struct command noisy;
    command_start(&noisy, &world->client, "while :; do echo noise; done");
    client_wait(&world->client, &noisy.opened);
    ssh_channel_close(noisy.channel);
    uint64_t received = noisy.received;
    for (int i = 0; i < 5; i++) {
        struct command quiet;
        command_run(&quiet, &world->client, "echo quiet");
        assert_string_equal(quiet.out.text, "quiet\n");
        command_release(&quiet);
    }
    assert_int_equal(noisy.received, received);
    assert_false(noisy.closed);
    command_release(&noisy);
}

static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void a_tunnel_carries_bytes_to_a_listening_port(void **state)
{
    struct world *world = *state;
    struct command tunnel;
    uint16_t port;
    int listener = listen_somewhere(&port);
    command_start_tunnel(&tunnel, &world->client, "127.0.0.1", port);
    client_wait(&world->client, &tunnel.opened);
    assert_true(tunnel.opened);
    int peer = accept(listener, NULL, NULL);
    assert_int_equal(write(peer, "welcome", 7), 7);
    assert_int_equal(ssh_channel_write(tunnel.channel, "hello", 5), 5);
    ssh_channel_end(tunnel.channel);
    while (tunnel.received < 7) {
        uv_run(loop_uv(world->client.loop), UV_RUN_ONCE);
    }
    char bytes[16] = "";
    assert_int_equal(recv(peer, bytes, 5, MSG_WAITALL), 5);
    assert_string_equal(bytes, "hello");
    close(peer);
    command_wait(&tunnel);
    assert_int_equal(tunnel.error.code, 0);
    assert_string_equal(tunnel.out.text, "welcome");
    command_release(&tunnel);
    close(listener);
}

static void a_tunnel_ends_when_the_far_end_closes(void **state)
{
    struct world *world = *state;
    struct command tunnel;
    uint16_t port;
    int listener = listen_somewhere(&port);
    command_start_tunnel(&tunnel, &world->client, "127.0.0.1", port);
    client_wait(&world->client, &tunnel.opened);
    close(accept(listener, NULL, NULL));
    command_wait(&tunnel);
    assert_true(tunnel.closed);
    assert_int_equal(tunnel.error.code, 0);
    command_release(&tunnel);
    close(listener);
}

static void a_tunnel_to_a_closed_port_is_unreachable(void **state)
{
    struct world *world = *state;
    struct command tunnel;
    command_start_tunnel(&tunnel, &world->client, "127.0.0.1", port_unused());
    command_wait(&tunnel);
    assert_false(tunnel.opened);
    assert_int_equal(tunnel.error.code, ERR_UNREACHABLE);
    assert_non_null(strstr(tunnel.error.message, "nothing listens there"));
    command_release(&tunnel);
}

static void a_cut_connection_ends_its_channels_and_is_told_once(void **state)
{
    struct world *world = *state;
    struct command command;
    command_start(&command, &world->client, "cat");
    client_wait(&world->client, &command.opened);
    sshd_cut(world->sshd);
    client_wait(&world->client, &world->client.lost);
    assert_true(world->client.lost);
    assert_true(command.closed);
    assert_int_equal(command.error.code, ERR_UNREACHABLE);
    assert_int_equal(world->client.error.code, ERR_UNREACHABLE);
    command_release(&command);
}

static void an_idle_connection_notices_that_it_was_cut(void **state)
{
    struct world *world = *state;
    sshd_cut(world->sshd);
    client_wait(&world->client, &world->client.lost);
    assert_true(world->client.lost);
}

static void a_frozen_peer_cannot_hold_a_close(void **state)
{
    struct world *world = *state;
    struct command command;
    command_start(&command, &world->client, "cat");
    client_wait(&world->client, &command.opened);
    sshd_freeze(world->sshd);
    char *bytes = noise(SSH_CHANNEL_HIGH);
    ssh_channel_write(command.channel, bytes, SSH_CHANNEL_HIGH);
    for (int i = 0; i < 20; i++) {
        uv_run(loop_uv(world->client.loop), UV_RUN_NOWAIT);
    }
    uv_update_time(loop_uv(world->client.loop));
    int64_t before = loop_now_ms(world->client.loop);
    ssh_close(world->client.ssh);
    world->client.ssh = NULL;
    uv_update_time(loop_uv(world->client.loop));
    assert_true(loop_now_ms(world->client.loop) - before < deadline_ms(2000));
    assert_false(command.closed);
    command_release(&command);
    free(bytes);
}

static void an_idle_connection_answers_the_servers_own_questions(void **state)
{
    struct world *world = *state;
    struct sshd_options options = {.config = "ClientAliveInterval 1\nClientAliveCountMax 2"};
    struct sshd *asking = sshd_start(&options);
    struct client client;
    struct command command;
    (void)world;
    client_init(&client, asking, NULL, NULL);
    assert_true(client_open(&client, deadline_ms(40000)));
    command_run(&command, &client, "true");
    command_release(&command);
    /* Two unanswered questions would end it in the third second. */
    uint64_t answered = ssh_bytes_in(client.ssh);
    while (ssh_bytes_in(client.ssh) < answered + 4 * 40 && !client.lost) {
        uv_run(loop_uv(client.loop), UV_RUN_ONCE);
    }
    assert_false(client.lost);
    client_release(&client);
    sshd_stop(asking);
}

static void on_opened_close_all(void *context)
{
    struct client *client = context;
    ssh_close(client->ssh);
    client->ssh = NULL;
    client->ready = true;
}

static void never_received(void *context, const char *bytes, size_t length, bool is_error)
{
    (void)context;
    (void)bytes;
    (void)length;
    (void)is_error;
    fail();
}

static void never_closed(void *context, const struct err *error, int status)
{
    (void)context;
    (void)error;
    (void)status;
    fail();
}

static void a_callback_may_close_its_own_connection(void **state)
{
    struct world *world = *state;
    static const struct ssh_channel_events events = {
        .opened = on_opened_close_all, .received = never_received, .closed = never_closed};
    world->client.ready = false;
    ssh_exec(world->client.ssh, "echo too late", &events, &world->client);
    ssh_exec(world->client.ssh, "echo too late", &events, &world->client);
    client_wait(&world->client, &world->client.ready);
    assert_null(world->client.ssh);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_command_gives_output_errors_and_status),
        CASE(a_status_that_comes_after_the_end_of_output_is_not_missed),
        CASE(a_command_killed_by_a_signal_is_no_success),
        CASE(three_mebibytes_on_both_streams_do_not_stall),
        CASE(an_upload_of_20_mebibytes_arrives_whole),
        CASE(a_write_never_takes_more_than_the_high_mark),
        CASE(three_channels_work_at_once),
        CASE(an_eleventh_command_is_refused_and_the_connection_lives_on),
        CASE(a_forgotten_channel_says_nothing_more_and_its_number_is_safe),
        CASE(a_tunnel_carries_bytes_to_a_listening_port),
        CASE(a_tunnel_ends_when_the_far_end_closes),
        CASE(a_tunnel_to_a_closed_port_is_unreachable),
        CASE(a_cut_connection_ends_its_channels_and_is_told_once),
        CASE(an_idle_connection_notices_that_it_was_cut),
        CASE(a_frozen_peer_cannot_hold_a_close),
        CASE(an_idle_connection_answers_the_servers_own_questions),
        CASE(a_callback_may_close_its_own_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
