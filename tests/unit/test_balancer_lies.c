/* Balancers that say yes to a write and stand otherwise after it, behind a real sshd: who is put back, who is known to be
 * out, and that nobody else is taken out. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "app/balancer.h"
#include "node_fixture.h"
#include "stats_socket.h"

#define MEMBERS 3

static struct node_fixture fixture;
static struct stats_socket honest, liar;

/* Both balancers have all three nodes. */
static void begin(const char *rest)
{
    char playbook[1024];
    stats_socket_init(&honest, MEMBERS);
    stats_socket_init(&liar, MEMBERS);
    stats_socket_open(&honest);
    stats_socket_open(&liar);
    snprintf(playbook, sizeof(playbook),
             "start = true\n[health]\ncommand = true\n"
             "[balancer honest]\ntype = haproxy\nnodes = n1\nbackend = shop\nsocket = 127.0.0.1:%u\ndrain_timeout = 20s\n"
             "[balancer liar]\ntype = haproxy\nnodes = n1\nbackend = shop\nsocket = 127.0.0.1:%u\ndrain_timeout = 20s\n%s",
             honest.port, liar.port, rest);
    struct node_options options = {.count = MEMBERS, .playbook = playbook};
    node_fixture_start(&fixture, &options);
}

static void end(void)
{
    node_fixture_stop(&fixture);
    stats_socket_shut(&honest);
    stats_socket_shut(&liar);
}

struct operation {
    bool done;
    enum done_status status;
    char sentence[400];
};

static void ended(void *context, const struct step_result *result)
{
    struct operation *operation = context;
    operation->status = result->status;
    snprintf(operation->sentence, sizeof(operation->sentence), "%.390s", result->sentence);
    operation->done = true;
}

static struct operation carry(size_t member, enum balancer_wish wish, bool owed)
{
    struct operation operation = {.done = false};
    balancers_start(fixture.fleet->balancers, member, wish, owed, ended, &operation);
    assert_true(node_wait(&fixture, &operation.done));
    return operation;
}

static void failed_with(const struct operation *operation, const char *sentence)
{
    assert_int_equal(operation->status, DONE_FAILED);
    if (!strstr(operation->sentence, sentence))
        fail_msg("'%s' does not hold '%s'", operation->sentence, sentence);
}

static void is_in_everywhere(size_t member)
{
    assert_int_equal(stats_socket_state(&honest, member), TRAFFIC_READY);
    assert_int_equal(stats_socket_state(&liar, member), TRAFFIC_READY);
    assert_false(balancers_holds_out(fixture.fleet->balancers, member));
}

/* Nobody else is taken out, at no balancer, not for a moment; an undo's is. */
static void only_an_undo_takes_another_out(size_t member)
{
    struct operation operation = carry(member, BALANCER_OUT, false);
    failed_with(&operation, "balancer liar on n1: not told to take another one out: server");
    assert_int_equal(stats_socket_outs(&honest, member), 0);
    assert_int_equal(stats_socket_outs(&liar, member), 0);
    is_in_everywhere(member);
    stats_socket_lies(&liar, NULL, NULL);
    operation = carry(member, BALANCER_OUT, true);
    assert_int_equal(operation.status, DONE_OK);
    operation = carry(member, BALANCER_IN, true);
    assert_int_equal(operation.status, DONE_OK);
    is_in_everywhere(member);
}

static void a_drain_that_is_acknowledged_and_not_done_is_put_back_and_is_the_last_one(void **state)
{
    (void)state;
    begin("");
    stats_socket_lies(&liar, "set server shop/n1 state drain", NULL);
    struct operation operation = carry(0, BALANCER_OUT, false);
    failed_with(&operation, "balancer liar on n1: server shop/n1 was set to drain and is in ready");
    is_in_everywhere(0);
    only_an_undo_takes_another_out(1);
    end();
}

static void a_maintenance_that_is_acknowledged_and_not_done_is_put_back(void **state)
{
    (void)state;
    begin("");
    stats_socket_lies(&liar, "set server shop/n1 state maint", NULL);
    struct operation operation = carry(0, BALANCER_OUT, false);
    failed_with(&operation, "server shop/n1 was set to maint and is in drain");
    is_in_everywhere(0);
    only_an_undo_takes_another_out(1);
    end();
}

static void what_is_acknowledged_and_not_put_back_is_known_to_be_out(void **state)
{
    (void)state;
    begin("");
    struct operation operation = carry(0, BALANCER_OUT, false);
    assert_int_equal(operation.status, DONE_OK);
    stats_socket_lies(&liar, "set server shop/n1 state ready", NULL);
    operation = carry(0, BALANCER_IN, false);
    failed_with(&operation, "server shop/n1 was set to ready and is in maint");
    assert_true(balancers_holds_out(fixture.fleet->balancers, 0));
    only_an_undo_takes_another_out(1);
    operation = carry(0, BALANCER_IN, true);
    assert_int_equal(operation.status, DONE_OK);
    is_in_everywhere(0);
    end();
}

/* It lies when it is to take out, and when it is to put back. */
static void one_that_neither_shuts_nor_puts_back_leaves_the_node_named(void **state)
{
    struct strbuf text;
    (void)state;
    begin("");
    stats_socket_lies(&honest, "set server shop/n1 state ready", NULL);
    stats_socket_lies(&liar, "set server shop/n1 state", NULL);
    struct operation operation = carry(0, BALANCER_OUT, false);
    failed_with(&operation, "balancer liar on n1: server shop/n1 was set to drain and is in ready");
    assert_int_equal(stats_socket_state(&honest, 0), TRAFFIC_DRAIN);
    assert_true(balancers_holds_out(fixture.fleet->balancers, 0));
    strbuf_init(&text, 4096);
    balancers_describe(fixture.fleet->balancers, 0, &text);
    assert_non_null(strstr(text.text, "server shop/n1 was set to ready and is in drain"));
    strbuf_release(&text);
    end();
}

/* A weight that a warm-up asks for. */
static void a_weight_that_is_acknowledged_and_ignored_is_no_success(void **state)
{
    (void)state;
    begin("warmup = 10%:10s\n");
    struct operation operation = carry(0, BALANCER_OUT, false);
    assert_int_equal(operation.status, DONE_OK);
    stats_socket_lies(&liar, "set server shop/n1 weight", NULL);
    operation = carry(0, BALANCER_IN, false);
    failed_with(&operation, "balancer liar on n1: server shop/n1 was set to weight 10 and has 100");
    assert_true(balancers_holds_out(fixture.fleet->balancers, 0));
    stats_socket_lies(&liar, NULL, NULL);
    end();
}

static struct operation move(bool owed)
{
    static const struct traffic_goal goals[] = {{.member = 1, .weight = WEIGHT_FULL, .in = true}, {.member = 0}};
    struct operation operation = {.done = false};
    balancers_switch(fixture.fleet->balancers, goals, 2, owed, ended, &operation);
    assert_true(node_wait(&fixture, &operation.done));
    return operation;
}

static void is_as_found(struct stats_socket *at)
{
    assert_int_equal(stats_socket_state(at, 0), TRAFFIC_READY);
    assert_int_equal(stats_socket_state(at, 1), TRAFFIC_MAINT);
}

/* A switch of sides: what one balancer does not do, none does; and the way back is open. */
static void a_switch_that_one_does_not_make_is_made_by_none(void **state)
{
    static const char *const lies[] = {"set server shop/n2 state ready", "set server shop/n1 state drain",
                                       "set server shop/n1 state maint"};
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        begin("");
        struct operation operation = carry(1, BALANCER_OUT, false);
        assert_int_equal(operation.status, DONE_OK);
        stats_socket_lies(&liar, lies[i], NULL);
        operation = move(false);
        failed_with(&operation, "balancer liar on n1: server shop/n");
        is_as_found(&honest);
        is_as_found(&liar);
        stats_socket_lies(&liar, NULL, NULL);
        operation = move(false);
        failed_with(&operation, "not told to take another one out");
        is_as_found(&honest);
        operation = move(true);
        assert_int_equal(operation.status, DONE_OK);
        end();
    }
}

/* Turns the loop until somebody was reminded so often. */
struct awaited {
    struct timer *timer;
    int outs;
    bool done;
};

static void look(void *context)
{
    struct awaited *awaited = context;
    awaited->done = stats_socket_outs(&liar, 0) >= awaited->outs;
    awaited->timer = awaited->done ? NULL : timer_start(fixture.fleet->loop, 50, look, awaited);
}

/* What it shows right after a write is true for a moment. */
static void one_that_loses_what_it_was_told_again_and_again_takes_nobody_else_out(void **state)
{
    struct awaited awaited = {.done = false};
    (void)state;
    begin("");
    struct operation operation = carry(0, BALANCER_OUT, false);
    assert_int_equal(operation.status, DONE_OK);
    stats_socket_lies(&liar, NULL, "set server shop/n1 state maint");
    awaited.outs = stats_socket_outs(&liar, 0) + 5;
    /* now it is in, by a hand; each reminder is lost again */
    pthread_mutex_lock(&liar.lock);
    liar.states[0] = TRAFFIC_READY;
    pthread_mutex_unlock(&liar.lock);
    look(&awaited);
    assert_true(node_wait(&fixture, &awaited.done));
    operation = carry(1, BALANCER_OUT, false);
    failed_with(&operation, "balancer liar on n1: not told to take another one out: server n1 does not stay as it was set");
    assert_int_equal(stats_socket_outs(&honest, 1), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drain_that_is_acknowledged_and_not_done_is_put_back_and_is_the_last_one),
        cmocka_unit_test(a_maintenance_that_is_acknowledged_and_not_done_is_put_back),
        cmocka_unit_test(what_is_acknowledged_and_not_put_back_is_known_to_be_out),
        cmocka_unit_test(one_that_neither_shuts_nor_puts_back_leaves_the_node_named),
        cmocka_unit_test(a_weight_that_is_acknowledged_and_ignored_is_no_success),
        cmocka_unit_test(a_switch_that_one_does_not_make_is_made_by_none),
        cmocka_unit_test(one_that_loses_what_it_was_told_again_and_again_takes_nobody_else_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
