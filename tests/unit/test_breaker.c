#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "core/breaker.h"

static const struct breaker_rules rules = {.failures = 3, .cool_down_ms = 1000};

static struct breaker opened_at(int64_t now)
{
    struct breaker breaker = {0};

    for (int i = 0; i < 3; i++)
        breaker_failed(&breaker, &rules, now);
    return breaker;
}

static void errors_in_a_row_open_it_and_a_success_forgets_them(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    breaker_failed(&breaker, &rules, 0);
    breaker_failed(&breaker, &rules, 0);
    breaker_succeeded(&breaker);
    breaker_failed(&breaker, &rules, 0);
    breaker_failed(&breaker, &rules, 0);
    assert_true(breaker_allows(&breaker, &rules, 0));
    breaker_failed(&breaker, &rules, 5);
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_false(breaker_allows(&breaker, &rules, 5));
}

static void nothing_goes_through_until_it_has_cooled_down(void **state)
{
    struct breaker breaker = opened_at(100);

    (void)state;
    assert_int_equal(breaker_allows_at(&breaker, &rules, 100), 1100);
    assert_false(breaker_allows(&breaker, &rules, 1099));
    assert_true(breaker_allows(&breaker, &rules, 1100));
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
}

static void one_trial_goes_through_at_a_time(void **state)
{
    struct breaker breaker = opened_at(0);

    (void)state;
    assert_true(breaker_allows(&breaker, &rules, 1000));
    assert_false(breaker_allows(&breaker, &rules, 1001));
    assert_true(breaker_allows(&breaker, &rules, 2000)); /* nothing was heard of the first one */
}

static void a_trial_that_was_given_up_is_made_again(void **state)
{
    struct breaker breaker = opened_at(0), closed = {0};
    (void)state;
    assert_true(breaker_allows(&breaker, &rules, 1000));
    breaker_unheard(&breaker, &rules, 1200);
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_int_equal(breaker_allows_at(&breaker, &rules, 1200), 1200);
    assert_true(breaker_allows(&breaker, &rules, 1200));
    breaker_unheard(&closed, &rules, 0);
    assert_int_equal(closed.state, BREAKER_CLOSED);
}

static void a_trial_that_succeeds_closes_it_and_one_that_fails_opens_it_again(void **state)
{
    struct breaker good = opened_at(0), bad = opened_at(0);

    (void)state;
    assert_true(breaker_allows(&good, &rules, 1000));
    breaker_succeeded(&good);
    assert_int_equal(good.state, BREAKER_CLOSED);
    assert_true(breaker_allows(&good, &rules, 1000));
    assert_true(breaker_allows(&bad, &rules, 1000));
    breaker_failed(&bad, &rules, 1500);
    assert_int_equal(bad.state, BREAKER_OPEN);
    assert_int_equal(breaker_allows_at(&bad, &rules, 1500), 2500);
}

static void late_errors_of_calls_under_way_do_not_put_the_trial_off(void **state)
{
    struct breaker breaker = opened_at(0);

    (void)state;
    breaker_failed(&breaker, &rules, 900);
    assert_true(breaker_allows(&breaker, &rules, 1000));
}

static void without_failures_it_never_opens(void **state)
{
    const struct breaker_rules never = {.failures = 0, .cool_down_ms = 1000};
    struct breaker breaker = {0};

    (void)state;
    breaker_trip(&breaker, &never, 0);
    assert_true(breaker_allows(&breaker, &never, 0));
}

/* Whatever comes: between an opening and cool_down later nothing goes through, and it opens only
 * after enough errors in a row or a failed trial. */
static void its_laws_hold_for_random_calls(void **state)
{
    struct random random;

    (void)state;
    random_init(&random, 11);
    for (int world = 0; world < 2000; world++) {
        struct breaker_rules some = {.failures = 1 + (uint32_t)random_below(&random, 6),
                                     .cool_down_ms = 1 + (int64_t)random_below(&random, 500)};
        struct breaker breaker = {0};
        uint32_t in_a_row = 0;
        int64_t now = 0, closed_until = 0;

        for (int i = 0; i < 100; i++) {
            now += (int64_t)random_below(&random, 100);
            if (!breaker_allows(&breaker, &some, now)) {
                assert_true(now < closed_until);
                continue;
            }
            assert_true(now >= closed_until);
            bool trial = breaker.state == BREAKER_HALF_OPEN;
            assert_true(trial || in_a_row < some.failures);
            if (random_below(&random, 3) == 0) {
                breaker_succeeded(&breaker);
                in_a_row = 0;
                continue;
            }
            breaker_failed(&breaker, &some, now);
            in_a_row++;
            assert_int_equal(breaker.state == BREAKER_OPEN, trial || in_a_row >= some.failures);
            closed_until = breaker.state == BREAKER_OPEN ? now + some.cool_down_ms : 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_in_a_row_open_it_and_a_success_forgets_them),
        cmocka_unit_test(nothing_goes_through_until_it_has_cooled_down),
        cmocka_unit_test(one_trial_goes_through_at_a_time),
        cmocka_unit_test(a_trial_that_was_given_up_is_made_again),
        cmocka_unit_test(a_trial_that_succeeds_closes_it_and_one_that_fails_opens_it_again),
        cmocka_unit_test(late_errors_of_calls_under_way_do_not_put_the_trial_off),
        cmocka_unit_test(without_failures_it_never_opens),
        cmocka_unit_test(its_laws_hold_for_random_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
