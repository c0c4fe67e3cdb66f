/* Every way to log in, and not to, against a real sshd and a real ssh-agent. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent_process.h"
#include "deadline.h"
#include "ssh_client.h"

static struct sshd *server;

static const struct {
    const char *name, *type, *passphrase, *format;
} user_keys[] = {
    {"id_ecdsa", "ecdsa", "", NULL},          {"id_rsa", "rsa", "", NULL},
    {"id_rsa_pem", "rsa", "", "PEM"},         {"id_ecdsa_pem", "ecdsa", "", "PEM"},
    {"id_locked", "ed25519", "secret", NULL}, {"id_locked_pem", "rsa", "secret", "PEM"},
};

static int start(void **state)
{
    (void)state;
    server = sshd_start(NULL);
    for (size_t i = 0; i < sizeof(user_keys) / sizeof(user_keys[0]); i++) {
        char public_name[64];
        key_make(sshd_path(server, user_keys[i].name), user_keys[i].type, user_keys[i].passphrase,
                 user_keys[i].format);
        snprintf(public_name, sizeof(public_name), "%s.pub", user_keys[i].name);
        char *text = text_read(sshd_path(server, public_name));
        text_append(sshd_path(server, "authorized_keys"), text);
        free(text);
    }
    key_make(sshd_path(server, "stranger"), "ed25519", "", NULL);
    /* No test may find the keys of whoever runs it. */
    setenv("HOME", server->folder, 1);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sshd_stop(server);
    return 0;
}

static bool logs_in(struct client *client, const char *key, const char *agent_socket)
{
    client_init(client, server, NULL, agent_socket);
    client->target.key = key;
    return client_open(client, deadline_ms(40000));
}

static void assert_logs_in(const char *name, const char *agent_socket)
{
    struct client client;
    if (!logs_in(&client, name != NULL ? sshd_path(server, name) : NULL, agent_socket)) {
        fail_msg("%s", client.error.message);
    }
    client_release(&client);
}

static void assert_refused(const char *name, const char *agent_socket, const char *word)
{
    struct client client;
    bool opened = logs_in(&client, name != NULL ? sshd_path(server, name) : NULL, agent_socket);
    if (opened || client.error.code != ERR_AUTH || strstr(client.error.message, word) == NULL) {
        fail_msg("expected a refusal with \"%s\", got %s", word,
                 opened ? "a login" : client.error.message);
    }
    client_release(&client);
}

static void an_ed25519_key_file_logs_in(void **state)
{
    (void)state;
    assert_logs_in("id", NULL);
}

static void an_ecdsa_key_file_logs_in(void **state)
{
    (void)state;
    assert_logs_in("id_ecdsa", NULL);
    assert_logs_in("id_ecdsa_pem", NULL);
}

static void an_rsa_key_file_logs_in_as_rsa_sha2(void **state)
{
    (void)state;
    assert_logs_in("id_rsa", NULL);
    assert_logs_in("id_rsa_pem", NULL);
}

static void agent_keys_of_each_kind_log_in(void **state)
{
    static const char *const names[] = {"id", "id_ecdsa", "id_rsa"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct agent_process agent;
        agent_process_start(&agent, server->folder);
        agent_process_add(&agent, sshd_path(server, names[i]));
        assert_logs_in(NULL, agent.socket);
        agent_process_stop(&agent);
    }
}

static void an_encrypted_key_is_signed_for_by_the_agent(void **state)
{
    struct agent_process agent;
    (void)state;
    agent_process_start(&agent, server->folder);
    agent_process_add_encrypted(&agent, sshd_path(server, "id_locked"), "secret");
    agent_process_add_encrypted(&agent, sshd_path(server, "id_locked_pem"), "secret");
    assert_logs_in("id_locked", agent.socket);
    assert_logs_in("id_locked_pem", agent.socket);
    assert_logs_in("id_locked.pub", agent.socket);
    agent_process_stop(&agent);
}

static void an_encrypted_key_without_an_agent_says_ssh_add(void **state)
{
    struct agent_process agent;
    (void)state;
    assert_refused("id_locked", NULL, "is encrypted and no ssh-agent is set");
    agent_process_start(&agent, server->folder);
    assert_refused("id_locked", agent.socket, "does not hold it; load it into the agent: ssh-add");
    assert_refused("id_locked_pem", agent.socket, "ssh-add");
    agent_process_stop(&agent);
    assert_refused("id_locked", agent.socket, "is it running?");
}

static void a_public_key_file_is_called_one(void **state)
{
    (void)state;
    assert_refused("id_locked.pub", NULL, "is a public key and no ssh-agent is set (SSH_AUTH_SOCK); name the private one");
}

/* CONFIG, and what is said of the login there. */
static void assert_refused_with(const char *config, const char *word)
{
    struct sshd *usual = server;
    const struct sshd_options options = {.config = config};
    server = sshd_start(&options);
    assert_refused("id", NULL, word);
    sshd_stop(server);
    server = usual;
}

static void an_sshd_that_wants_no_key_or_more_than_a_key_is_told(void **state)
{
    (void)state;
    assert_refused_with("PubkeyAuthentication no\nPasswordAuthentication yes\n", "it takes no keys, only ");
    assert_refused_with("PasswordAuthentication yes\nAuthenticationMethods publickey,password\n",
                        "it takes the key, and then wants more (password)");
}

static void a_wrong_key_is_named_with_its_fingerprint(void **state)
{
    (void)state;
    assert_refused("stranger", NULL, "every key was refused");
    assert_refused("stranger", NULL, "stranger (ssh-ed25519 SHA256:");
}

static void a_missing_key_file_is_said(void **state)
{
    (void)state;
    assert_refused("nowhere", NULL, "No such file");
}

static void a_key_file_that_others_may_read_is_refused(void **state)
{
    (void)state;
    key_make(sshd_path(server, "open_key"), "ed25519", "", NULL);
    chmod(sshd_path(server, "open_key"), 0644);
    assert_refused("open_key", NULL, "chmod 600");
}

static void garbage_is_no_key(void **state)
{
    (void)state;
    text_write(sshd_path(server, "garbage"), "this is no key\n");
    chmod(sshd_path(server, "garbage"), 0600);
    assert_refused("garbage", NULL, "not a private key that can be read");
    text_write(sshd_path(server, "garbage"),
               "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n"
               "-----END OPENSSH PRIVATE KEY-----\n");
    assert_refused("garbage", NULL, "not a private key that can be read");
}

static void without_any_key_the_ways_to_one_are_said(void **state)
{
    (void)state;
    assert_refused(NULL, NULL, "no key to try");
}

static void an_unknown_account_is_a_refused_key(void **state)
{
    struct client client;
    (void)state;
    client_init(&client, server, NULL, NULL);
    client.target.user = "nobody-of-that-name";
    assert_false(client_open(&client, deadline_ms(40000)));
    assert_int_equal(client.error.code, ERR_AUTH);
    assert_non_null(strstr(client.error.message, "does the account exist"));
    client_release(&client);
}

static void only_six_keys_are_tried(void **state)
{
    struct agent_process agent;
    struct client client;
    (void)state;
    agent_process_start(&agent, server->folder);
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof(name), "many_%d", i);
        key_make(sshd_path(server, name), "ed25519", "", NULL);
        agent_process_add(&agent, sshd_path(server, name));
    }
    assert_false(logs_in(&client, NULL, agent.socket));
    assert_int_equal(client.error.code, ERR_AUTH);
    if (strstr(client.error.message, "after refusing") == NULL &&
        strstr(client.error.message, "2 more were not tried") == NULL) {
        fail_msg("%s", client.error.message);
    }
    client_release(&client);
    agent_process_stop(&agent);
}

static void a_hung_agent_is_named_at_the_deadline(void **state)
{
    struct agent_process agent;
    (void)state;
    agent_process_start(&agent, server->folder);
    agent_process_add(&agent, sshd_path(server, "id_ecdsa"));
    kill(agent.pid, SIGSTOP);
    struct client client;
    client_init(&client, server, NULL, agent.socket);
    client.target.key = NULL;
    assert_false(client_open(&client, 700));
    assert_int_equal(client.error.code, ERR_TIMEOUT);
    assert_non_null(strstr(client.error.message, "ssh-agent at"));
    client_release(&client);
    kill(agent.pid, SIGCONT);
    agent_process_stop(&agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ed25519_key_file_logs_in),
        cmocka_unit_test(an_ecdsa_key_file_logs_in),
        cmocka_unit_test(an_rsa_key_file_logs_in_as_rsa_sha2),
        cmocka_unit_test(agent_keys_of_each_kind_log_in),
        cmocka_unit_test(an_encrypted_key_is_signed_for_by_the_agent),
        cmocka_unit_test(an_encrypted_key_without_an_agent_says_ssh_add),
        cmocka_unit_test(a_public_key_file_is_called_one),
        cmocka_unit_test(an_sshd_that_wants_no_key_or_more_than_a_key_is_told),
        cmocka_unit_test(a_wrong_key_is_named_with_its_fingerprint),
        cmocka_unit_test(a_missing_key_file_is_said),
        cmocka_unit_test(a_key_file_that_others_may_read_is_refused),
        cmocka_unit_test(garbage_is_no_key),
        cmocka_unit_test(without_any_key_the_ways_to_one_are_said),
        cmocka_unit_test(an_unknown_account_is_a_refused_key),
        cmocka_unit_test(only_six_keys_are_tried),
        cmocka_unit_test(a_hung_agent_is_named_at_the_deadline),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
