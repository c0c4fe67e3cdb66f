/* Every way a host key can be known, unknown, changed or revoked, against a real sshd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deadline.h"
#include "ssh_client.h"

#define KEYS "ed25519,ecdsa"

static struct sshd *server;

static int start(void **state)
{
    struct sshd_options options = {.host_keys = KEYS};
    (void)state;
    server = sshd_start(&options);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sshd_stop(server);
    return 0;
}

/* The public half of one of the server's keys, without its comment's newline. */
static char *public_key(const char *type)
{
    char name[64];
    snprintf(name, sizeof(name), "host_%s.pub", type);
    char *text = text_read(sshd_path(server, name));
    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* Opens with these known_hosts lines; `%s` of each line's format is the address. */
static bool opens_with(struct client *client, const char *lines)
{
    const char *path = sshd_path(server, "known");
    text_write(path, lines);
    client_init(client, server, path, NULL);
    return client_open(client, deadline_ms(40000));
}

static void assert_says(const struct client *client, int code, const char *word)
{
    if (client->error.code != code || strstr(client->error.message, word) == NULL) {
        fail_msg("expected %s with \"%s\", got %s: %s", err_name(code), word,
                 err_name(client->error.code), client->error.message);
    }
}

static char line_text[8192];
static const char *line_for(const char *host, const char *type)
{
    char *key = public_key(type);
    snprintf(line_text, sizeof(line_text), "%s %s\n", host, key);
    free(key);
    return line_text;
}

static const char *with_port(void)
{
    static char text[64];
    snprintf(text, sizeof(text), "[127.0.0.1]:%u", server->port);
    return text;
}

static void a_known_key_is_accepted(void **state)
{
    struct client client;
    (void)state;
    assert_true(opens_with(&client, line_for(with_port(), "ed25519")));
    client_release(&client);
}

static void the_type_that_is_known_is_the_one_asked_for(void **state)
{
    struct client client;
    (void)state;
    assert_true(opens_with(&client, line_for(with_port(), "ecdsa")));
    client_release(&client);
}

static void a_line_without_the_port_is_accepted_too(void **state)
{
    struct client client;
    (void)state;
    assert_true(opens_with(&client, line_for("127.0.0.1", "ed25519")));
    client_release(&client);
}

static void a_hashed_line_is_accepted(void **state)
{
    struct client client;
    (void)state;
    const char *path = sshd_path(server, "hashed");
    text_write(path, line_for(with_port(), "ed25519"));
    const char *const argv[] = {"ssh-keygen", "-H", "-f", path, NULL};
    program_run(argv);
    char *text = text_read(path);
    assert_non_null(strstr(text, "|1|"));
    assert_true(opens_with(&client, text));
    free(text);
    client_release(&client);
}

static void an_unknown_host_is_refused_with_its_fingerprint(void **state)
{
    struct client client;
    (void)state;
    assert_false(opens_with(&client, "other.example ssh-ed25519 AAAA\n"));
    assert_says(&client, ERR_HOST_KEY, "is unknown");
    assert_says(&client, ERR_HOST_KEY, sshd_fingerprint(server, "ed25519"));
    assert_says(&client, ERR_HOST_KEY, "ssh-keyscan -p");
    assert_says(&client, ERR_HOST_KEY, "known:1)"); /* the line that could not be read */
    client_release(&client);
}

static void a_changed_key_is_refused_with_the_line_that_knew_another(void **state)
{
    struct client client;
    char text[4096];
    (void)state;
    key_make(sshd_path(server, "another"), "ed25519", "", NULL);
    char *another = text_read(sshd_path(server, "another.pub"));
    snprintf(text, sizeof(text), "# a comment\n%s %s", with_port(), another);
    free(another);
    assert_false(opens_with(&client, text));
    assert_says(&client, ERR_HOST_KEY, "has changed");
    assert_says(&client, ERR_HOST_KEY, "known:2 knows SHA256:");
    assert_says(&client, ERR_HOST_KEY, sshd_fingerprint(server, "ed25519"));
    client_release(&client);
}

static void a_key_of_another_type_only_is_refused_and_said(void **state)
{
    struct client client;
    char text[4096];
    (void)state;
    key_make(sshd_path(server, "rsa_key"), "rsa", "", NULL);
    char *another = text_read(sshd_path(server, "rsa_key.pub"));
    snprintf(text, sizeof(text), "%s %s", with_port(), another);
    free(another);
    assert_false(opens_with(&client, text));
    assert_says(&client, ERR_HOST_KEY, "knows only its ssh-rsa key");
    client_release(&client);
}

static void a_revoked_key_is_refused_although_a_line_knows_it(void **state)
{
    struct client client;
    char text[9000];
    (void)state;
    size_t length = (size_t)snprintf(text, sizeof(text), "%s", line_for(with_port(), "ed25519"));
    snprintf(text + length, sizeof(text) - length, "@revoked * %s", line_for("", "ed25519") + 1);
    assert_false(opens_with(&client, text));
    assert_says(&client, ERR_HOST_KEY, "known:2 marks @revoked");
    client_release(&client);
}

static bool opens_pinned(struct client *client, const char *pin, const char *lines)
{
    const char *pins[] = {"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", pin};
    const char *path = sshd_path(server, "known");
    text_write(path, lines);
    client_init(client, server, path, NULL);
    client->target.host_keys = pins;
    client->target.host_key_count = pin != NULL ? 2 : 1;
    return client_open(client, deadline_ms(40000));
}

static void a_pinned_key_needs_no_known_hosts(void **state)
{
    struct client client;
    (void)state;
    assert_true(opens_pinned(&client, sshd_fingerprint(server, "ed25519"), ""));
    client_release(&client);
}

static void a_pin_of_the_servers_second_key_is_found(void **state)
{
    struct client client;
    (void)state;
    assert_true(opens_pinned(&client, sshd_fingerprint(server, "ecdsa"), ""));
    client_release(&client);
}

static void a_pin_wins_over_what_known_hosts_says(void **state)
{
    struct client client;
    (void)state;
    assert_false(opens_pinned(&client, NULL, line_for(with_port(), "ed25519")));
    assert_says(&client, ERR_HOST_KEY, "which is not the pinned SHA256:AAAA");
    client_release(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_key_is_accepted),
        cmocka_unit_test(the_type_that_is_known_is_the_one_asked_for),
        cmocka_unit_test(a_line_without_the_port_is_accepted_too),
        cmocka_unit_test(a_hashed_line_is_accepted),
        cmocka_unit_test(an_unknown_host_is_refused_with_its_fingerprint),
        cmocka_unit_test(a_changed_key_is_refused_with_the_line_that_knew_another),
        cmocka_unit_test(a_key_of_another_type_only_is_refused_and_said),
        cmocka_unit_test(a_revoked_key_is_refused_although_a_line_knows_it),
        cmocka_unit_test(a_pinned_key_needs_no_known_hosts),
        cmocka_unit_test(a_pin_of_the_servers_second_key_is_found),
        cmocka_unit_test(a_pin_wins_over_what_known_hosts_says),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
