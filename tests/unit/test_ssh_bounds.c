/* What a hostile SSH peer can cost: each sends without end, and the loop turns, deadlines are kept, memory stays small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hostile_peer.h"
#include "ssh_client.h"

#define LIMIT_S 100 /* a loop that does not turn does not look at its own guard */
#define MIB ((uint64_t)1024 * 1024)

static struct sshd *server;

static int start(void **state)
{
    (void)state;
    alarm(LIMIT_S);
    server = sshd_start(NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sshd_stop(server);
    return 0;
}

static void assert_fails(const struct hostile_peer *peer, int64_t timeout_ms, int code, const char *word)
{
    struct client client;
    client_init(&client, server, NULL, NULL);
    client.target.port = peer->port;
    bool opened = client_open(&client, timeout_ms);
    if (opened || client.error.code != code || strstr(client.error.message, word) == NULL)
        fail_msg("expected %s with \"%s\", got %s: %s", err_name(code), word,
                 opened ? "a connection" : err_name(client.error.code), client.error.message);
    client_release(&client);
}

/* --- before the banner --- */

static void assert_no_banner_is_bounded(const char *flood, const char *word)
{
    struct hostile_peer peer;
    hostile_peer_start(&peer, "", flood, strlen(flood));
    assert_fails(&peer, 60000, ERR_PROTOCOL, word);
    hostile_peer_stop(&peer);
    assert_true(peer.sent < 64 * MIB);
}

static void lines_without_a_banner_end_the_connection(void **state)
{
    (void)state;
    assert_no_banner_is_bounded("this is no SSH server, and goes on and on\r\n", "it says \"this is no SSH server");
}

static void many_short_lines_without_a_banner_end_the_connection(void **state)
{
    (void)state;
    assert_no_banner_is_bounded("x\n", "it says \"x\"");
}

static void a_line_without_an_end_ends_the_connection(void **state)
{
    (void)state;
    assert_no_banner_is_bounded("SSH.SSH.SSH.", "not an SSH server");
}

/* --- before the keys --- */

/* A packet in clear (RFC 4253 section 6) of that type, as often as fits. */
static size_t packets(unsigned char *out, size_t size, unsigned char type)
{
    static const unsigned char packet[16] = {0, 0, 0, 12, 10};
    size_t length = 0;
    while (length + sizeof(packet) <= size) {
        memcpy(out + length, packet, sizeof(packet));
        out[length + 5] = type;
        length += sizeof(packet);
    }
    return length;
}

static void unknown_messages_before_the_keys_are_not_kept_without_bound(void **state)
{
    static unsigned char flood[64 * 1024];
    struct hostile_peer peer;
    (void)state;
    hostile_peer_start(&peer, "SSH-2.0-Flood\r\n", flood, packets(flood, sizeof(flood), 192));
    assert_fails(&peer, 60000, ERR_PROTOCOL, "8.0 MiB");
    hostile_peer_stop(&peer);
    assert_true(peer.sent < 64 * MIB);
}

static void ignored_messages_before_the_keys_end_at_the_deadline(void **state)
{
    static unsigned char flood[64 * 1024];
    struct hostile_peer peer;
    (void)state;
    size_t length = packets(flood, sizeof(flood), 2);
    hostile_peer_start(&peer, "SSH-2.0-Flood\r\n", flood, length);
    assert_fails(&peer, 500, ERR_TIMEOUT, "500 ms");
    hostile_peer_stop(&peer);
}

static void another_connection_works_on_while_a_peer_floods(void **state)
{
    static unsigned char flood[64 * 1024];
    struct hostile_peer peer;
    struct client hostile, good;
    struct command command;
    (void)state;
    hostile_peer_start(&peer, "SSH-2.0-Flood\r\n", flood, packets(flood, sizeof(flood), 2));
    client_init(&good, server, NULL, NULL);
    hostile = good; /* the same loop for both */
    hostile.target.port = peer.port;
    client_begin(&hostile, 60000);
    assert_true(client_open(&good, 30000));
    command_run(&command, &good, "echo here");
    assert_string_equal(command.out.text, "here\n");
    command_release(&command);
    assert_false(hostile.ready);
    ssh_close(hostile.ssh);
    client_release(&good);
    hostile_peer_stop(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_without_a_banner_end_the_connection),
        cmocka_unit_test(many_short_lines_without_a_banner_end_the_connection),
        cmocka_unit_test(a_line_without_an_end_ends_the_connection),
        cmocka_unit_test(unknown_messages_before_the_keys_are_not_kept_without_bound),
        cmocka_unit_test(ignored_messages_before_the_keys_end_at_the_deadline),
        cmocka_unit_test(another_connection_works_on_while_a_peer_floods),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
