#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/dependency.h"

struct seen {
    int changes;
    enum breaker_state state;
    char cause[64];
};

static void changed(void *context, const struct dependency *dependency, enum breaker_state state,
                    const char *cause)
{
    struct seen *seen = context;
    assert_string_equal(dependency_name(dependency), "registry r1");
    seen->changes++;
    seen->state = state;
    strncpy(seen->cause, cause ? cause : "", sizeof(seen->cause) - 1);
}

static struct dependencies *made(struct loop **loop, const struct breaker_rules *rules,
                                 struct seen *seen)
{
    struct err err;
    assert_int_equal(loop_create(loop, &err), 0);
    struct dependencies *all = dependencies_create(*loop, rules);
    assert_non_null(all);
    dependencies_on_change(all, changed, seen);
    return all;
}

static void fails(struct dependency *dependency, int code)
{
    struct err error;
    err_set(&error, code, "no answer within 5 s");
    dependency_failed(dependency, &error);
}

static void a_dead_one_costs_one_time_out(void **state)
{
    const struct breaker_rules rules = {.failures = 5, .cool_down_ms = 3600000};
    struct seen seen = {0};
    struct loop *loop;
    struct err err;
    struct dependencies *all = made(&loop, &rules, &seen);
    struct dependency *one = dependency_named(all, "registry r1");
    (void)state;
    assert_ptr_equal(dependency_named(all, "registry r1"), one);
    assert_int_equal(dependency_ask(one, &err), 0);
    fails(one, ERR_TIMEOUT);
    assert_int_equal(seen.changes, 1);
    assert_int_equal(seen.state, BREAKER_OPEN);
    assert_string_equal(seen.cause, "no answer within 5 s");
    assert_int_equal(dependency_ask(one, &err), ERR_UNREACHABLE);
    assert_non_null(strstr(err.message, "not asked for another"));
    assert_non_null(strstr(err.message, "no answer within 5 s"));
    assert_int_equal(dependency_ask(dependency_named(all, "registry r2"), &err), 0);
    dependencies_free(all);
    loop_free(loop);
}

static void one_that_says_no_is_asked_again_until_it_has_failed_often(void **state)
{
    const struct breaker_rules rules = {.failures = 3, .cool_down_ms = 3600000};
    struct seen seen = {0};
    struct loop *loop;
    struct err err;
    struct dependencies *all = made(&loop, &rules, &seen);
    struct dependency *one = dependency_named(all, "registry r1");
    (void)state;
    fails(one, ERR_UNREACHABLE);
    fails(one, ERR_UNREACHABLE);
    dependency_answered(one);
    fails(one, ERR_UNREACHABLE);
    fails(one, ERR_UNREACHABLE);
    assert_int_equal(dependency_ask(one, &err), 0);
    fails(one, ERR_UNREACHABLE);
    assert_int_equal(dependency_ask(one, &err), ERR_UNREACHABLE);
    dependencies_free(all);
    loop_free(loop);
}

static void a_trial_that_is_answered_closes_it(void **state)
{
    const struct breaker_rules rules = {.failures = 1, .cool_down_ms = 0};
    struct seen seen = {0};
    struct loop *loop;
    struct err err;
    struct dependencies *all = made(&loop, &rules, &seen);
    struct dependency *one = dependency_named(all, "registry r1");
    (void)state;
    fails(one, ERR_UNREACHABLE);
    assert_int_equal(dependency_ask(one, &err), 0);
    assert_int_equal(seen.state, BREAKER_HALF_OPEN);
    dependency_answered(one);
    assert_int_equal(seen.state, BREAKER_CLOSED);
    assert_int_equal(seen.changes, 3);
    dependencies_free(all);
    loop_free(loop);
}

static void what_is_owed_is_a_trial_at_once_and_one_given_up_gives_way(void **state)
{
    const struct breaker_rules rules = {.failures = 1, .cool_down_ms = 3600000};
    struct seen seen = {0};
    struct loop *loop;
    struct err err;
    struct dependencies *all = made(&loop, &rules, &seen);
    struct dependency *one = dependency_named(all, "registry r1");
    (void)state;
    dependency_ask_owed(one);
    assert_int_equal(dependency_state(one), BREAKER_CLOSED);
    fails(one, ERR_UNREACHABLE);
    assert_int_equal(dependency_state(one), BREAKER_OPEN);
    assert_true(dependency_allows_at(one) > loop_now_ms(loop));
    dependency_ask_owed(one);
    assert_int_equal(seen.state, BREAKER_HALF_OPEN);
    assert_string_equal(seen.cause, "no answer within 5 s");
    assert_int_equal(dependency_ask(one, &err), ERR_UNREACHABLE);
    dependency_left(one);
    assert_int_equal(seen.state, BREAKER_OPEN);
    assert_int_equal(dependency_ask(one, &err), 0);
    dependency_answered(one);
    assert_int_equal(dependency_state(one), BREAKER_CLOSED);
    dependencies_free(all);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_one_costs_one_time_out),
        cmocka_unit_test(one_that_says_no_is_asked_again_until_it_has_failed_often),
        cmocka_unit_test(what_is_owed_is_a_trial_at_once_and_one_given_up_gives_way),
        cmocka_unit_test(a_trial_that_is_answered_closes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
