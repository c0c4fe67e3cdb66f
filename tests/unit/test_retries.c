#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/retries.h"

static const struct backoff_rules rules = {.base_ms = 100, .max_ms = 1000};

static void one_budget_is_for_all(void **state)
{
    struct retries retries;
    int64_t delay;
    (void)state;
    retries_init(&retries, &rules, 3, 7);
    assert_true(retries_take(&retries, 1, 5000, &delay));
    retries_taken_by_node(&retries);
    assert_true(retries_take(&retries, 1, 5000, &delay));
    assert_false(retries_take(&retries, 1, 5000, &delay));
    assert_int_equal(retries.others, 2);
    assert_int_equal(retries.nodes, 1);
}

static void without_a_budget_nothing_is_repeated(void **state)
{
    struct retries retries;
    int64_t delay;
    (void)state;
    retries_init(&retries, &rules, 0, 7);
    assert_false(retries_take(&retries, 1, 5000, &delay));
}

/* Full jitter: every wait up to the bound comes up, and the bound doubles. */
static void waits_are_spread_over_all_of_a_growing_bound(void **state)
{
    static const int64_t bounds[] = {100, 200, 400, 800, 1000, 1000};
    struct retries retries;
    (void)state;
    retries_init(&retries, &rules, UINT32_MAX, 7);
    for (uint32_t tries = 1; tries <= 6; tries++) {
        int64_t least = INT64_MAX, most = 0;
        for (int i = 0; i < 1000; i++) {
            int64_t delay = 0;
            assert_true(retries_take(&retries, tries, INT64_MAX, &delay));
            least = delay < least ? delay : least;
            most = delay > most ? delay : most;
        }
        assert_in_range(least, 1, bounds[tries - 1] / 10);
        assert_in_range(most, bounds[tries - 1] * 9 / 10, bounds[tries - 1]);
    }
}

static void the_last_one_is_made_when_the_time_ends(void **state)
{
    struct retries retries;
    int64_t delay = 0;
    (void)state;
    retries_init(&retries, &rules, 2000, 7);
    for (int i = 0; i < 1000; i++) {
        assert_true(retries_take(&retries, 5, 3, &delay));
        assert_in_range(delay, 1, 3);
    }
    assert_false(retries_take(&retries, 5, 0, &delay));
    assert_int_equal(retries.others, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_budget_is_for_all),
        cmocka_unit_test(without_a_budget_nothing_is_repeated),
        cmocka_unit_test(waits_are_spread_over_all_of_a_growing_bound),
        cmocka_unit_test(the_last_one_is_made_when_the_time_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
