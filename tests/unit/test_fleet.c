#include "check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deadline.h"
#include "node_fixture.h"

struct asking {
    const char *command;
    size_t answers[FIXTURE_NODES_MAX];
    int codes[FIXTURE_NODES_MAX];
    char outputs[FIXTURE_NODES_MAX][ERR_MESSAGE_MAX];
    size_t at_work, most_at_work;
};

static void build(void *context, struct session *session, size_t member)
{
    struct asking *asking = context;
    (void)member;
    asking->at_work++;
    if (asking->at_work > asking->most_at_work)
        asking->most_at_work = asking->at_work;
    session_begin(session, "exec");
    session_add(session, "command", asking->command);
}

static void answer(void *context, size_t member, const struct reply *reply, const struct err *error)
{
    struct asking *asking = context;
    assert_true((reply != NULL) != (error != NULL));
    asking->answers[member]++;
    asking->at_work -= error ? 0 : 1;
    asking->codes[member] = error ? error->code : 0;
    snprintf(asking->outputs[member], sizeof(asking->outputs[member]), "%s",
             error ? error->message : reply->output);
}

static int ask(struct node_fixture *fixture, struct asking *asking, uint32_t forks)
{
    struct fanout fanout = {.forks = forks,
                            .connect_timeout_ms = deadline_ms(5000),
                            .request_timeout_ms = deadline_ms(20000),
                            .build = build,
                            .answer = answer,
                            .context = asking};
    return fleet_ask(fixture->fleet, &fanout);
}

static void every_node_answers_for_itself(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct node_options options = {.count = 3};
    struct asking asking = {.command = "echo hello"};
    node_fixture_start(&fixture, &options);
    assert_int_equal(ask(&fixture, &asking, 3), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(asking.answers[i], 1);
        assert_string_equal(asking.outputs[i], "hello\n");
    }
    assert_int_equal(ask(&fixture, &asking, 3), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(asking.answers[i], 2);
    node_fixture_stop(&fixture);
}

static void no_more_nodes_than_forks_are_at_work(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct node_options options = {.count = 4};
    struct asking one = {.command = "sleep 0.1"}, two = {.command = "sleep 0.3"};
    node_fixture_start(&fixture, &options);
    assert_int_equal(ask(&fixture, &one, 1), 0);
    assert_int_equal(one.most_at_work, 1);
    assert_int_equal(ask(&fixture, &two, 2), 0);
    assert_int_equal(two.most_at_work, 2);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(one.answers[i], 1);
        assert_int_equal(two.answers[i], 1);
    }
    node_fixture_stop(&fixture);
}

static void one_that_is_not_there_keeps_nobody(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct node_options options = {.count = 3, .dead_last = true};
    struct asking asking = {.command = "echo hello"};
    node_fixture_start(&fixture, &options);
    assert_int_equal(ask(&fixture, &asking, 1), 0);
    assert_string_equal(asking.outputs[0], "hello\n");
    assert_string_equal(asking.outputs[1], "hello\n");
    assert_int_equal(asking.answers[2], 1);
    assert_int_equal(asking.codes[2], ERR_UNREACHABLE);
    node_fixture_stop(&fixture);
}

static void cut(void *context)
{
    sshd_cut(context);
}

static void one_that_is_cut_off_meanwhile_is_told(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct node_options options = {.count = 2};
    struct asking asking = {.command = "sleep 1.5; echo hello"};
    node_fixture_start(&fixture, &options);
    timer_start(fixture.fleet->loop, 1000, cut, fixture.sshds[1]);
    assert_int_equal(ask(&fixture, &asking, 2), 0);
    assert_string_equal(asking.outputs[0], "hello\n");
    assert_int_equal(asking.codes[1], ERR_UNREACHABLE);
    node_fixture_stop(&fixture);
}

static void interrupt(void *context)
{
    (void)context;
    kill(getpid(), SIGINT);
}

static void an_interrupt_ends_it_early(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct node_options options = {.count = 2};
    struct asking asking = {.command = "sleep 20"};
    node_fixture_start(&fixture, &options);
    timer_start(fixture.fleet->loop, 400, interrupt, NULL);
    int64_t before = clock_wall_ms();
    assert_int_equal(ask(&fixture, &asking, 2), SIGINT);
    assert_true(clock_wall_ms() - before < deadline_ms(5000));
    assert_int_equal(asking.answers[0] + asking.answers[1], 0);
    node_fixture_stop(&fixture);
}

static void nobody_to_ask_is_no_wait(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct node_options options = {.count = 1};
    struct asking asking = {.command = "true"};
    node_fixture_start(&fixture, &options);
    fixture.fleet->count = 0;
    assert_int_equal(ask(&fixture, &asking, 4), 0);
    fixture.fleet->count = 1;
    node_fixture_stop(&fixture);
}

/* --- making a fleet --- */

static int make(const char *text, struct err *err)
{
    struct parsed inventory;
    struct fleet *fleet;
    size_t nodes[] = {0};
    parsed_inventory(&inventory, text, strlen(text));
    assert_string_equal(inventory.told, "");
    int rc = fleet_create(&fleet, &inventory.inventory, nodes, 1, NULL, err);
    fleet_free(fleet);
    parsed_release(&inventory);
    return rc;
}

static void jump_hosts_are_read(void **state)
{
    (void)state;
    static const char *const good[] = {"a jump=b\nb\n", "a jump=ann@host:2222\n",
                                       "a jump=[::1]:22\n", "a jump=none\n",
                                       "a jump=b\nb jump=c\nc\n"};
    struct err err;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(make(good[i], &err), 0);
}

static void jump_hosts_in_a_circle_are_refused(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(make("a jump=b\nb jump=a\n", &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "jump hosts"));
}

/* --- words --- */

struct words {
    char text[4096];
};

static void keep(void *context, const char *name, const char *value)
{
    struct words *words = context;
    size_t length = strlen(words->text);
    snprintf(words->text + length, sizeof(words->text) - length, "%s=%s\n", name, value);
}

static void commands_get_every_name_but_passwords(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct node_options options = {
        .count = 1,
        .playbook = "start = true\nport = 8080\n[health]\ncommand = true\n",
        .variables = "color=green ansible_become_password=secret release=mine odd-name=x"};
    struct words words = {""};
    struct node_words ours = {.release = "r7", .previous = "r6", .rollout = "run1"};
    char root[200];
    node_fixture_start(&fixture, &options);
    node_environment(&fixture.fleet->members[0], &ours, keep, &words);
    snprintf(root, sizeof(root), "DEPLOYCTL_ROOT=%s/n1\n", fixture.folder);
    const char *const wanted[] = {"DEPLOYCTL_NODE=n1\n",
                                  "DEPLOYCTL_ADDRESS=127.0.0.1\n",
                                  "DEPLOYCTL_PORT=8080\n",
                                  "DEPLOYCTL_SERVICE=shop\n",
                                  root,
                                  "DEPLOYCTL_RELEASE=r7\n",
                                  "DEPLOYCTL_PREVIOUS=r6\n",
                                  "DEPLOYCTL_ROLLOUT=run1\n",
                                  "DEPLOYCTL_SLOT=\n",
                                  "DEPLOYCTL_COLOR=green\n",
                                  "DEPLOYCTL_NUMBER=1\n"};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (!strstr(words.text, wanted[i]))
            fail_msg("'%s' is not in: %s", wanted[i], words.text);
    assert_null(strstr(words.text, "secret"));
    assert_null(strstr(words.text, "mine"));
    assert_null(strstr(words.text, "odd"));
    node_fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_answers_for_itself),
        cmocka_unit_test(no_more_nodes_than_forks_are_at_work),
        cmocka_unit_test(one_that_is_not_there_keeps_nobody),
        cmocka_unit_test(one_that_is_cut_off_meanwhile_is_told),
        cmocka_unit_test(an_interrupt_ends_it_early),
        cmocka_unit_test(nobody_to_ask_is_no_wait),
        cmocka_unit_test(jump_hosts_are_read),
        cmocka_unit_test(jump_hosts_in_a_circle_are_refused),
        cmocka_unit_test(commands_get_every_name_but_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
