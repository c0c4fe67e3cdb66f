/* Balancers that do not answer, behind real sshds: their breakers, what is owed, and what a reload costs. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/balancer.h"
#include "app/dependency.h"
#include "node_fixture.h"
#include "stats_socket.h"

/* two servers, n1 and n2 */
static struct stats_socket balancer;

static void open_balancer(void)
{
    stats_socket_open(&balancer);
}

static void shut_balancer(void)
{
    stats_socket_shut(&balancer);
}

/* --- the fleet, and operations --- */

static struct node_fixture fixture;
static struct dependency *guard;

static void begin_with(const char *cool_down, const char *retry, const char *rest)
{
    char playbook[1024];
    snprintf(playbook, sizeof(playbook),
             "start = true\n[health]\ncommand = true\n[breaker]\ncool_down = %s\n[retry]\n%s\n[balancer lb]\n"
             "nodes = n1\n%s",
             cool_down, retry, rest);
    struct node_options options = {.count = 2, .playbook = playbook};
    node_fixture_start(&fixture, &options);
    stats_socket_reset(&balancer);
    guard = dependency_named(fixture.fleet->dependencies, "balancer lb on n1");
    assert_int_equal(dependency_state(guard), BREAKER_CLOSED);
}

static void begin(const char *cool_down, const char *retry)
{
    char rest[200];
    snprintf(rest, sizeof(rest), "type = haproxy\nbackend = shop\nsocket = 127.0.0.1:%u\ndrain_timeout = 5s\n",
             balancer.port);
    begin_with(cool_down, retry, rest);
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

static void start(struct operation *operation, size_t member, enum balancer_wish wish, bool owed)
{
    *operation = (struct operation){.done = false};
    balancers_start(fixture.fleet->balancers, member, wish, owed, ended, operation);
}

static enum done_status carry(struct operation *operation, size_t member, enum balancer_wish wish, bool owed)
{
    start(operation, member, wish, owed);
    assert_true(node_wait(&fixture, &operation->done));
    return operation->status;
}

/* What a listener on another thread's behalf does: when the loop turns after so long. */
struct later {
    struct timer *timer;
    void (*act)(void);
    bool done;
};

static void act(void *context)
{
    struct later *later = context;
    later->act();
    later->done = true;
}

static void after(struct later *later, int64_t delay_ms, void (*fn)(void))
{
    *later = (struct later){.act = fn};
    later->timer = timer_start(fixture.fleet->loop, delay_ms, act, later);
    assert_non_null(later->timer);
}

/* --- tests --- */

static void a_dead_balancer_costs_one_time_out_and_not_one_a_node(void **state)
{
    struct operation first, second;
    (void)state;
    open_balancer();
    begin("6h", "");
    shut_balancer();
    start(&first, 0, BALANCER_OUT, false);
    assert_int_equal(carry(&second, 1, BALANCER_OUT, false), DONE_FAILED);
    assert_true(node_wait(&fixture, &first.done));
    assert_int_equal(first.status, DONE_FAILED);
    assert_int_equal(dependency_state(guard), BREAKER_OPEN);
    open_balancer();
    int asked = stats_socket_asked(&balancer);
    assert_int_equal(carry(&second, 1, BALANCER_LOOK, false), DONE_FAILED);
    assert_non_null(strstr(second.sentence, "balancer lb on n1: not asked for another"));
    assert_int_equal(stats_socket_asked(&balancer), asked);
    assert_false(balancers_holds_out(fixture.fleet->balancers, 1));
    node_fixture_stop(&fixture);
    shut_balancer();
}

static void a_command_that_hangs_is_run_once_and_not_once_a_node(void **state)
{
    struct operation operation;
    (void)state;
    begin_with("6h", "",
               "type = command\ntimeout = 300ms\ndrain = true\nready = true\n"
               "state = echo asked >>${DEPLOYCTL_ROOT%/*}/asked; sleep 30\n");
    assert_int_equal(carry(&operation, 0, BALANCER_LOOK, false), DONE_FAILED);
    assert_int_equal(dependency_state(guard), BREAKER_OPEN);
    assert_int_equal(carry(&operation, 1, BALANCER_LOOK, false), DONE_FAILED);
    assert_non_null(strstr(operation.sentence, "balancer lb on n1: not asked for another"));
    char *asked = shell_output("cat %s/asked", fixture.folder);
    assert_string_equal(asked, "asked");
    free(asked);
    node_fixture_stop(&fixture);
}

/* Turns the loop until the commands were asked for n1's state five times more. */
struct looks {
    struct timer *timer;
    bool done;
};

static void count_looks(void *context)
{
    struct looks *looks = context;
    char *lines = shell_output("grep -c look %s/n1.told", fixture.folder);
    looks->done = atoi(lines) >= 8;
    looks->timer = looks->done ? NULL : timer_start(fixture.fleet->loop, 50, count_looks, looks);
    free(lines);
}

/* Commands know one way out: whose state is then `drain` is as it was told, also while it is down for its activation. */
static void a_command_that_drains_is_not_told_again(void **state)
{
    struct operation operation;
    struct looks looks = {.done = false};
    (void)state;
    begin_with("6h", "",
               "type = command\n"
               "drain = echo drain >>${DEPLOYCTL_ROOT%/*}/$DEPLOYCTL_SERVER.told\n"
               "ready = echo ready >>${DEPLOYCTL_ROOT%/*}/$DEPLOYCTL_SERVER.told\n"
               "state = t=${DEPLOYCTL_ROOT%/*}/$DEPLOYCTL_SERVER.told; echo look >>$t; grep -v look $t | tail -n 1 | grep . || echo ready\n");
    assert_int_equal(carry(&operation, 0, BALANCER_OUT, false), DONE_OK);
    count_looks(&looks);
    assert_true(node_wait(&fixture, &looks.done));
    assert_int_equal(carry(&operation, 1, BALANCER_OUT, false), DONE_OK);
    char *drains = shell_output("grep -c drain %s/n1.told", fixture.folder);
    assert_string_equal(drains, "2"); /* out, and down */
    free(drains);
    node_fixture_stop(&fixture);
}

/* Opens the balancer when it was asked again. */
static void open_when_asked_again(void *context)
{
    struct later *later = context;
    later->done = fixture.fleet->retries.others > 0;
    if (later->done)
        open_balancer();
    later->timer = later->done ? NULL : timer_start(fixture.fleet->loop, 10, open_when_asked_again, later);
}

static void a_reload_is_no_error(void **state)
{
    struct operation operation;
    struct later later = {.done = false};
    (void)state;
    open_balancer();
    begin("6h", "");
    assert_int_equal(carry(&operation, 0, BALANCER_LOOK, false), DONE_OK);
    shut_balancer();
    open_when_asked_again(&later);
    assert_int_equal(carry(&operation, 0, BALANCER_OUT, false), DONE_OK);
    assert_true(later.done);
    assert_int_equal(dependency_state(guard), BREAKER_CLOSED);
    assert_int_equal(stats_socket_state(&balancer, 0), TRAFFIC_MAINT);
    node_fixture_stop(&fixture);
    shut_balancer();
}

static void without_retries_a_balancer_is_asked_once(void **state)
{
    struct operation operation;
    (void)state;
    open_balancer();
    begin("6h", "max_retries = 0\n[failure]\nmax_failures = 0");
    shut_balancer();
    for (int i = 0; i < 5 && dependency_state(guard) == BREAKER_CLOSED; i++) {
        assert_int_equal(carry(&operation, 0, BALANCER_LOOK, false), DONE_FAILED);
        assert_null(strstr(operation.sentence, "not asked"));
    }
    assert_int_equal(dependency_state(guard), BREAKER_OPEN);
    assert_int_equal(fixture.fleet->retries.others, 0);
    node_fixture_stop(&fixture);
}

static void bringing_a_node_back_waits_for_the_trial(void **state)
{
    struct operation operation;
    struct err error;
    (void)state;
    open_balancer();
    begin("2s", "");
    assert_int_equal(carry(&operation, 0, BALANCER_OUT, false), DONE_OK);
    assert_int_equal(stats_socket_state(&balancer, 0), TRAFFIC_MAINT);
    err_set(&error, ERR_TIMEOUT, "away");
    dependency_failed(guard, &error);
    assert_int_equal(dependency_state(guard), BREAKER_OPEN);
    assert_int_equal(carry(&operation, 0, BALANCER_IN, false), DONE_OK);
    assert_int_equal(stats_socket_state(&balancer, 0), TRAFFIC_READY);
    assert_false(balancers_holds_out(fixture.fleet->balancers, 0));
    assert_int_equal(dependency_state(guard), BREAKER_CLOSED);
    node_fixture_stop(&fixture);
    shut_balancer();
}

static void what_an_undo_takes_out_waits_for_the_trial_too(void **state)
{
    struct operation operation;
    struct err error;
    (void)state;
    open_balancer();
    begin("1s", "");
    err_set(&error, ERR_TIMEOUT, "away");
    dependency_failed(guard, &error);
    assert_int_equal(carry(&operation, 0, BALANCER_OUT, true), DONE_OK);
    assert_int_equal(stats_socket_state(&balancer, 0), TRAFFIC_MAINT);
    node_fixture_stop(&fixture);
    shut_balancer();
}

static void a_trial_that_fails_leaves_it_known_to_be_out(void **state)
{
    struct operation operation;
    struct err error;
    (void)state;
    open_balancer();
    begin("1s", "");
    assert_int_equal(carry(&operation, 0, BALANCER_OUT, false), DONE_OK);
    shut_balancer();
    err_set(&error, ERR_TIMEOUT, "away");
    dependency_failed(guard, &error);
    assert_int_equal(carry(&operation, 0, BALANCER_IN, false), DONE_FAILED);
    assert_true(balancers_holds_out(fixture.fleet->balancers, 0));
    assert_int_equal(dependency_state(guard), BREAKER_OPEN);
    node_fixture_stop(&fixture);
}

/* A rollback of many nodes does not wait once for each. */
static void one_trial_in_vain_is_enough_for_all_that_an_undo_takes_out(void **state)
{
    struct operation operation;
    struct err error;
    bool at_once = false;
    (void)state;
    open_balancer();
    begin("1s", "");
    shut_balancer();
    err_set(&error, ERR_TIMEOUT, "away");
    dependency_failed(guard, &error);
    assert_int_equal(carry(&operation, 0, BALANCER_OUT, true), DONE_FAILED);
    for (int i = 0; i < 10 && !at_once; i++) {
        int64_t trial_at = dependency_allows_at(guard);
        assert_int_equal(carry(&operation, 1, BALANCER_OUT, true), DONE_FAILED);
        at_once = loop_now_ms(fixture.fleet->loop) < trial_at;
    }
    assert_true(at_once);
    assert_non_null(strstr(operation.sentence, "not asked for another"));
    node_fixture_stop(&fixture);
}

static void stop_first(void)
{
    balancers_stop(fixture.fleet->balancers, 0);
}

static void waiting_for_a_trial_ends_when_it_is_stopped(void **state)
{
    struct operation operation;
    struct later later;
    struct err error;
    (void)state;
    open_balancer();
    begin("50s", "");
    assert_int_equal(carry(&operation, 0, BALANCER_OUT, false), DONE_OK);
    err_set(&error, ERR_TIMEOUT, "away");
    dependency_failed(guard, &error);
    after(&later, 200, stop_first);
    assert_int_equal(carry(&operation, 0, BALANCER_IN, false), DONE_CANCELLED);
    assert_true(balancers_holds_out(fixture.fleet->balancers, 0));
    assert_int_equal(dependency_state(guard), BREAKER_OPEN);
    node_fixture_stop(&fixture);
    shut_balancer();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_balancer_costs_one_time_out_and_not_one_a_node),
        cmocka_unit_test(a_command_that_hangs_is_run_once_and_not_once_a_node),
        cmocka_unit_test(a_command_that_drains_is_not_told_again),
        cmocka_unit_test(a_reload_is_no_error),
        cmocka_unit_test(without_retries_a_balancer_is_asked_once),
        cmocka_unit_test(bringing_a_node_back_waits_for_the_trial),
        cmocka_unit_test(what_an_undo_takes_out_waits_for_the_trial_too),
        cmocka_unit_test(a_trial_that_fails_leaves_it_known_to_be_out),
        cmocka_unit_test(one_trial_in_vain_is_enough_for_all_that_an_undo_takes_out),
        cmocka_unit_test(waiting_for_a_trial_ends_when_it_is_stopped),
    };
    stats_socket_init(&balancer, 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
