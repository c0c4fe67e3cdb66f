/* Many connections at once, and connections through connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deadline.h"
#include "ssh_client.h"

#define FLEET 50

struct node {
    struct ssh *ssh;
    bool told, lost;
    struct err error;
    unsigned *left;
    bool *all;
};

static void on_ready(void *context, const struct err *error)
{
    struct node *node = context;
    assert_false(node->told);
    node->told = true;
    if (error != NULL) {
        node->error = *error;
    }
    if (--*node->left == 0) {
        *node->all = true;
    }
}

static void on_lost(void *context, const struct err *error)
{
    struct node *node = context;
    assert_false(node->lost);
    node->lost = true;
    node->error = *error;
    if (--*node->left == 0) {
        *node->all = true;
    }
}

/* Opens `count` connections to the client's target and waits until each has been told. */
static void open_all(struct client *client, struct node *nodes, unsigned count, int64_t timeout_ms)
{
    static unsigned left;
    static bool all;
    left = count;
    all = false;
    for (unsigned i = 0; i < count; i++) {
        memset(&nodes[i], 0, sizeof(nodes[i]));
        nodes[i].left = &left;
        nodes[i].all = &all;
        nodes[i].ssh =
            ssh_open(client->shared, &client->target, timeout_ms, on_ready, on_lost, &nodes[i]);
    }
    client_wait(client, &all);
    assert_true(all);
}

static void close_all(struct node *nodes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ssh_close(nodes[i].ssh);
    }
}

static unsigned times_in_log(struct sshd *server, const char *text)
{
    char *log = text_read(sshd_path(server, "log"));
    unsigned times = 0;

    for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
        times++;
    free(log);
    return times;
}

/* So few at once that sshd drops none; on a busy machine it hears late of those who are through, and may drop a few. */
static void fifty_connections_to_one_sshd_all_succeed(void **state)
{
    struct client client;
    struct node nodes[FLEET];
    struct sshd *server = sshd_start(NULL);
    (void)state;
    client_init(&client, server, NULL, NULL);
    open_all(&client, nodes, FLEET, 40000);
    for (unsigned i = 0; i < FLEET; i++) {
        if (nodes[i].error.code != 0) {
            fail_msg("%u: %s", i, nodes[i].error.message);
        }
    }
    assert_true(times_in_log(server, "drop connection") <= FLEET / 10);
    close_all(nodes, FLEET);
    client_release(&client);
    sshd_stop(server);
}

/* With more at once than it takes, sshd drops some; they come back. */
static void what_maxstartups_drops_is_tried_again(void **state)
{
    struct client client;
    struct node nodes[12];
    struct err error;
    struct sshd_options options = {.config = "MaxStartups 2"};
    struct sshd *server = sshd_start(&options);
    const char *const files[] = {server->known_hosts, NULL};
    struct ssh_settings settings = {
        .known_hosts = files, .agent_socket = "", .handshakes_per_address = 12};
    (void)state;
    client_init(&client, server, NULL, NULL);
    ssh_context_free(client.shared);
    assert_int_equal(ssh_context_create(&client.shared, client.loop, &settings, &error), 0);
    open_all(&client, nodes, 12, 40000);
    for (unsigned i = 0; i < 12; i++) {
        if (nodes[i].error.code != 0) {
            fail_msg("%u: %s", i, nodes[i].error.message);
        }
    }
    close_all(nodes, 12);
    client_release(&client);
    sshd_stop(server);
}

struct two {
    struct sshd *jump, *node;
    struct ssh_target jump_target;
    struct client client;
};

static int start_two(void **state)
{
    struct two *two = calloc(1, sizeof(*two));
    two->jump = sshd_start(NULL);
    two->node = sshd_start(NULL);
    char *known = text_read(two->node->known_hosts);
    text_append(two->jump->known_hosts, known);
    free(known);
    client_init(&two->client, two->node, two->jump->known_hosts, NULL);
    two->jump_target = (struct ssh_target){.name = "jump",
                                           .address = "127.0.0.1",
                                           .port = two->jump->port,
                                           .user = two->jump->user,
                                           .key = two->jump->key};
    two->client.target.jump = &two->jump_target;
    *state = two;
    return 0;
}

static int stop_two(void **state)
{
    struct two *two = *state;
    client_release(&two->client);
    sshd_stop(two->node);
    sshd_stop(two->jump);
    free(two);
    return 0;
}

static void a_node_behind_a_jump_host_works(void **state)
{
    struct two *two = *state;
    struct command command;
    size_t length = 4 * 1024 * 1024;
    char *bytes = calloc(1, length);
    if (!client_open(&two->client, deadline_ms(40000))) {
        fail_msg("%s", two->client.error.message);
    }
    command_start_with_input(&command, &two->client, "wc -c; exit 5", bytes, length);
    command_wait(&command);
    assert_int_equal(command.status, 5);
    assert_string_equal(command.out.text, "4194304\n");
    command_release(&command);
    command_run(&command, &two->client, "head -c 4194304 /dev/zero");
    assert_int_equal(command.received, length);
    assert_int_equal(command.status, 0);
    command_release(&command);
    free(bytes);
}

static unsigned logins(const struct sshd *sshd)
{
    char *log = text_read(sshd_path(sshd, "log"));
    unsigned count = 0;
    for (const char *at = log; (at = strstr(at, "Accepted publickey")) != NULL; at++) {
        count++;
    }
    free(log);
    return count;
}

static void nodes_share_one_jump_connection(void **state)
{
    struct two *two = *state;
    struct node nodes[20];
    open_all(&two->client, nodes, 20, 40000);
    for (unsigned i = 0; i < 20; i++) {
        if (nodes[i].error.code != 0) {
            fail_msg("%u: %s", i, nodes[i].error.message);
        }
    }
    assert_int_equal(logins(two->jump), 1);
    assert_int_equal(logins(two->node), 20);
    close_all(nodes, 20);
}

static void a_lost_jump_host_is_told_for_each_node(void **state)
{
    struct two *two = *state;
    struct node nodes[5];
    open_all(&two->client, nodes, 5, 40000);
    static unsigned left;
    static bool all;
    left = 5;
    all = false;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(nodes[i].error.code, 0);
        nodes[i].left = &left;
        nodes[i].all = &all;
    }
    sshd_cut(two->jump);
    client_wait(&two->client, &all);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(nodes[i].lost);
        assert_int_equal(nodes[i].error.code, ERR_UNREACHABLE);
        assert_non_null(strstr(nodes[i].error.message, "jump host"));
    }
    close_all(nodes, 5);
    /* A new one goes through a new jump connection. */
    if (!client_open(&two->client, deadline_ms(40000))) {
        fail_msg("%s", two->client.error.message);
    }
}

static void a_jump_host_that_refuses_us_is_asked_once(void **state)
{
    struct two *two = *state;
    struct node nodes[5];
    key_make(sshd_path(two->jump, "stranger"), "ed25519", "", NULL);
    two->jump_target.key = sshd_path(two->jump, "stranger");
    open_all(&two->client, nodes, 5, 40000);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(nodes[i].error.code, ERR_AUTH);
        assert_non_null(strstr(nodes[i].error.message, "jump host"));
    }
    close_all(nodes, 5);
    assert_false(client_open(&two->client, deadline_ms(40000)));
    assert_int_equal(two->client.error.code, ERR_AUTH);
    assert_int_equal(logins(two->jump), 0);
}

static void a_node_that_the_jump_host_cannot_reach_is_unreachable(void **state)
{
    struct two *two = *state;
    two->client.target.port = port_unused();
    assert_false(client_open(&two->client, deadline_ms(40000)));
    assert_int_equal(two->client.error.code, ERR_UNREACHABLE);
    assert_non_null(strstr(two->client.error.message, "through jump host"));
    assert_non_null(strstr(two->client.error.message, "nothing listens there"));
}

static void a_jump_host_behind_a_jump_host_works(void **state)
{
    struct two *two = *state;
    struct ssh_target outer = two->jump_target;
    outer.address = "127.0.0.2";
    char line[4096];
    char *known = text_read(two->jump->known_hosts);
    snprintf(line, sizeof(line), "[127.0.0.2]%s", strchr(known, ']') + 1);
    text_append(two->jump->known_hosts, line);
    free(known);
    /* known_hosts are read once: a new context. */
    struct client client;
    client_init(&client, two->node, two->jump->known_hosts, NULL);
    two->jump_target.jump = &outer;
    client.target.jump = &two->jump_target;
    if (!client_open(&client, deadline_ms(40000))) {
        fail_msg("%s", client.error.message);
    }
    struct command command;
    command_run(&command, &client, "echo deep");
    assert_string_equal(command.out.text, "deep\n");
    command_release(&command);
    client_release(&client);
}

static void closing_everything_in_the_middle_is_clean(void **state)
{
    struct two *two = *state;
    for (int turns = 0; turns < 60; turns += 3) {
        struct node nodes[4];
        static unsigned left;
        static bool all;
        left = 1000;
        for (unsigned i = 0; i < 4; i++) {
            memset(&nodes[i], 0, sizeof(nodes[i]));
            nodes[i].left = &left;
            nodes[i].all = &all;
            nodes[i].ssh = ssh_open(two->client.shared, &two->client.target, 10000, on_ready,
                                    on_lost, &nodes[i]);
        }
        for (int i = 0; i < turns; i++) {
            uv_run(loop_uv(two->client.loop), UV_RUN_ONCE);
        }
        close_all(nodes, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifty_connections_to_one_sshd_all_succeed),
        cmocka_unit_test(what_maxstartups_drops_is_tried_again),
        cmocka_unit_test_setup_teardown(a_node_behind_a_jump_host_works, start_two, stop_two),
        cmocka_unit_test_setup_teardown(nodes_share_one_jump_connection, start_two, stop_two),
        cmocka_unit_test_setup_teardown(a_lost_jump_host_is_told_for_each_node, start_two,
                                        stop_two),
        cmocka_unit_test_setup_teardown(a_jump_host_that_refuses_us_is_asked_once, start_two,
                                        stop_two),
        cmocka_unit_test_setup_teardown(a_node_that_the_jump_host_cannot_reach_is_unreachable,
                                        start_two, stop_two),
        cmocka_unit_test_setup_teardown(a_jump_host_behind_a_jump_host_works, start_two, stop_two),
        cmocka_unit_test_setup_teardown(closing_everything_in_the_middle_is_clean, start_two,
                                        stop_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
