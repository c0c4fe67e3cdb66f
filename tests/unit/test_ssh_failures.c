/* What is said when a connection cannot be made: each kind of peer that is no good. */
#include <arpa/inet.h>
#include <pthread.h>
#include <libssh2.h>
#include <setjmp.h>
#include <signal.h>
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

static struct sshd *server; /* for its key and user only */

static int start(void **state)
{
    (void)state;
    server = sshd_start(NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sshd_stop(server);
    return 0;
}

/* Listens, and answers each connection with `greeting` (NULL: nothing), then closes it or keeps it.
 */
struct rogue {
    int listener;
    uint16_t port;
    const char *greeting;
    bool closes;
    unsigned accepted;
    pthread_t thread;
};

static void *rogue_serve(void *context)
{
    struct rogue *rogue = context;
    int kept = -1;
    for (;;) {
        int fd = accept(rogue->listener, NULL, NULL);
        if (fd < 0) {
            break;
        }
        rogue->accepted++;
        if (rogue->greeting != NULL &&
            send(fd, rogue->greeting, strlen(rogue->greeting), MSG_NOSIGNAL) < 0) {
            close(fd);
            continue;
        }
        if (rogue->closes) {
            char bytes[512];
            /* The rest is read first: closing over unread bytes would send a reset that eats the
             * greeting. */
            if (rogue->greeting != NULL && recv(fd, bytes, sizeof(bytes), 0) < 0) {
                rogue->closes = true;
            }
            close(fd);
        } else {
            kept = fd;
        }
    }
    if (kept >= 0) {
        close(kept);
    }
    return NULL;
}

static void rogue_start(struct rogue *rogue, const char *greeting, bool closes)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    memset(rogue, 0, sizeof(*rogue));
    rogue->greeting = greeting;
    rogue->closes = closes;
    rogue->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(rogue->listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(rogue->listener, 16), 0);
    assert_int_equal(getsockname(rogue->listener, (struct sockaddr *)&address, &length), 0);
    rogue->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&rogue->thread, NULL, rogue_serve, rogue), 0);
}

static void rogue_stop(struct rogue *rogue)
{
    shutdown(rogue->listener, SHUT_RDWR);
    pthread_join(rogue->thread, NULL);
    close(rogue->listener);
}

static void assert_fails(struct client *client, int64_t timeout_ms, int code, const char *word)
{
    bool opened = client_open(client, timeout_ms);
    if (opened || client->error.code != code || strstr(client->error.message, word) == NULL) {
        fail_msg("expected %s with \"%s\", got %s: %s", err_name(code), word,
                 opened ? "a connection" : err_name(client->error.code), client->error.message);
    }
    assert_int_equal(ssh_phase(client->ssh), SSH_CLOSED);
}

static void a_name_that_does_not_resolve_is_said(void **state)
{
    struct client client;
    (void)state;
    client_init(&client, server, NULL, NULL);
    client.target.address = "no-such-host.invalid";
    assert_fails(&client, 20000, ERR_UNREACHABLE, "resolve no-such-host.invalid");
    client_release(&client);
}

static void a_refused_port_is_unreachable(void **state)
{
    struct client client;
    (void)state;
    client_init(&client, server, NULL, NULL);
    client.target.port = port_unused();
    assert_fails(&client, 5000, ERR_UNREACHABLE, "Connection refused; is sshd running");
    client_release(&client);
}

static void a_network_without_a_way_is_unreachable_or_times_out(void **state)
{
    struct client client;
    (void)state;
    client_init(&client, server, NULL, NULL);
    client.target.address = "240.0.0.1"; /* reserved: no route leads there */
    assert_false(client_open(&client, 400));
    assert_true(client.error.code == ERR_UNREACHABLE || client.error.code == ERR_TIMEOUT);
    assert_non_null(strstr(client.error.message, "connect to "));
    client_release(&client);
}

static void a_silent_server_meets_the_deadline(void **state)
{
    struct client client;
    struct rogue rogue;
    (void)state;
    rogue_start(&rogue, NULL, false);
    client_init(&client, server, NULL, NULL);
    client.target.port = rogue.port;
    int64_t before = loop_now_ms(client.loop);
    assert_fails(&client, 300, ERR_TIMEOUT, "no SSH banner within 300 ms");
    assert_in_range(loop_now_ms(client.loop) - before, 250, (uintmax_t)deadline_ms(15000));
    client_release(&client);
    rogue_stop(&rogue);
}

static void a_server_that_falls_silent_after_its_banner_meets_the_deadline(void **state)
{
    struct client client;
    struct rogue rogue;
    (void)state;
    rogue_start(&rogue, "SSH-2.0-Silent\r\n", false);
    client_init(&client, server, NULL, NULL);
    client.target.port = rogue.port;
    assert_fails(&client, 300, ERR_TIMEOUT, "fell silent after its banner");
    client_release(&client);
    rogue_stop(&rogue);
}

static void a_web_server_is_recognised(void **state)
{
    struct client client;
    struct rogue rogue;
    (void)state;
    rogue_start(&rogue, "HTTP/1.1 400 Bad Request\r\n\r\n", true);
    client_init(&client, server, NULL, NULL);
    client.target.port = rogue.port;
    assert_fails(&client, 5000, ERR_PROTOCOL,
                 "not an SSH server: it says \"HTTP/1.1 400 Bad Request\"");
    client_release(&client);
    rogue_stop(&rogue);
}

static void another_greeting_is_recognised_at_the_deadline(void **state)
{
    struct client client;
    struct rogue rogue;
    (void)state;
    rogue_start(&rogue, "220 mail.example ESMTP \033[2J\r\n", false);
    client_init(&client, server, NULL, NULL);
    client.target.port = rogue.port;
    assert_fails(&client, 300, ERR_PROTOCOL, "it says \"220 mail.example ESMTP \\x1b[2J\"");
    client_release(&client);
    rogue_stop(&rogue);
}

static void a_drop_before_the_banner_is_tried_again_until_the_deadline(void **state)
{
    struct client client;
    struct rogue rogue;
    (void)state;
    rogue_start(&rogue, NULL, true);
    client_init(&client, server, NULL, NULL);
    client.target.port = rogue.port;
    assert_fails(&client, 1500, ERR_UNREACHABLE, "closed the connection before its SSH banner");
    client_release(&client);
    rogue_stop(&rogue);
    assert_in_range(rogue.accepted, 2, 8);
}

static void penalties_are_said_and_not_tried_again(void **state)
{
    struct client client;
    struct rogue rogue;
    (void)state;
    rogue_start(&rogue, "Not allowed at this time\r\n", true);
    client_init(&client, server, NULL, NULL);
    client.target.port = rogue.port;
    assert_fails(&client, 5000, ERR_UNREACHABLE, "PerSourcePenalties");
    client_release(&client);
    rogue_stop(&rogue);
    assert_int_equal(rogue.accepted, 1);
}

static void a_close_after_the_banner_is_said(void **state)
{
    struct client client;
    struct rogue rogue;
    (void)state;
    rogue_start(&rogue, "SSH-2.0-Rude\r\n", true);
    client_init(&client, server, NULL, NULL);
    client.target.port = rogue.port;
    assert_fails(&client, 5000, ERR_UNREACHABLE, "closed the connection after its banner");
    client_release(&client);
    rogue_stop(&rogue);
}

static void an_impossible_packet_is_a_protocol_error(void **state)
{
    struct client client;
    struct rogue rogue;
    (void)state;
    rogue_start(&rogue, "SSH-2.0-Odd\r\n\377\377\377\377\377\377\377\377\377\377\377\377", false);
    client_init(&client, server, NULL, NULL);
    client.target.port = rogue.port;
    assert_fails(&client, 5000, ERR_PROTOCOL, "key exchange");
    client_release(&client);
    rogue_stop(&rogue);
}

static void assert_mismatch(const struct sshd_options *options, const char *word)
{
    struct client client;
    struct sshd *odd = sshd_start(options);
    client_init(&client, odd, NULL, NULL);
    if (libssh2_version(0x010b00) == NULL) {
        assert_fails(&client, 5000, ERR_PROTOCOL, word);
    }
    client_release(&client);
    sshd_stop(odd);
}

static void a_server_with_etm_macs_only_is_explained(void **state)
{
    struct sshd_options options = {.config = "MACs hmac-sha2-256-etm@openssh.com"};
    (void)state;
    assert_mismatch(&options,
                    "no MAC algorithm in common: it offers only hmac-sha2-256-etm@openssh.com");
}

static void a_server_with_an_rsa_host_key_only_is_explained(void **state)
{
    struct sshd_options options = {.host_keys = "rsa"};
    (void)state;
    assert_mismatch(&options, "no host key algorithm in common: it offers only rsa-sha2-512");
}

static void a_server_with_an_unknown_cipher_only_is_explained(void **state)
{
    struct sshd_options options = {.config = "Ciphers chacha20-poly1305@openssh.com"};
    (void)state;
    assert_mismatch(&options, "add one that we have to Ciphers");
}

static void a_frozen_sshd_meets_the_deadline(void **state)
{
    struct client client;
    (void)state;
    struct sshd *frozen = sshd_start(NULL);
    client_init(&client, frozen, NULL, NULL);
    kill(frozen->pid, SIGSTOP);
    assert_fails(&client, 300, ERR_TIMEOUT, "no SSH banner");
    kill(frozen->pid, SIGCONT);
    client_release(&client);
    sshd_stop(frozen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_does_not_resolve_is_said),
        cmocka_unit_test(a_refused_port_is_unreachable),
        cmocka_unit_test(a_network_without_a_way_is_unreachable_or_times_out),
        cmocka_unit_test(a_silent_server_meets_the_deadline),
        cmocka_unit_test(a_server_that_falls_silent_after_its_banner_meets_the_deadline),
        cmocka_unit_test(a_web_server_is_recognised),
        cmocka_unit_test(another_greeting_is_recognised_at_the_deadline),
        cmocka_unit_test(a_drop_before_the_banner_is_tried_again_until_the_deadline),
        cmocka_unit_test(penalties_are_said_and_not_tried_again),
        cmocka_unit_test(a_close_after_the_banner_is_said),
        cmocka_unit_test(an_impossible_packet_is_a_protocol_error),
        cmocka_unit_test(a_server_with_etm_macs_only_is_explained),
        cmocka_unit_test(a_server_with_an_rsa_host_key_only_is_explained),
        cmocka_unit_test(a_server_with_an_unknown_cipher_only_is_explained),
        cmocka_unit_test(a_frozen_sshd_meets_the_deadline),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
