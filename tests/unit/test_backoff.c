#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/backoff.h"

static int64_t largest_of_many(const struct backoff_rules *rules, uint32_t attempt)
{
    struct random random;
    int64_t largest = -1;

    random_init(&random, 7);
    for (int i = 0; i < 2000; i++) {
        int64_t delay = backoff_delay_ms(rules, attempt, &random);

        assert_true(delay >= 0);
        largest = delay > largest ? delay : largest;
    }
    return largest;
}

static void the_ceiling_doubles_with_each_attempt(void **state)
{
    const struct backoff_rules rules = {100, 100000};

    (void)state;
    assert_in_range(largest_of_many(&rules, 0), 95, 100);
    assert_in_range(largest_of_many(&rules, 1), 190, 200);
    assert_in_range(largest_of_many(&rules, 4), 1520, 1600);
}

static void no_delay_is_above_the_maximum(void **state)
{
    const struct backoff_rules rules = {100, 1000};

    (void)state;
    assert_in_range(largest_of_many(&rules, 5), 950, 1000);
    assert_in_range(largest_of_many(&rules, UINT32_MAX), 950, 1000);
}

static void a_maximum_below_the_base_wins(void **state)
{
    const struct backoff_rules rules = {5000, 20};

    (void)state;
    assert_in_range(largest_of_many(&rules, 0), 15, 20);
}

static void huge_numbers_do_not_overflow(void **state)
{
    const struct backoff_rules rules = {INT64_MAX / 3, INT64_MAX - 1};
    struct random random;

    (void)state;
    random_init(&random, 1);
    for (uint32_t attempt = 0; attempt < 100; attempt++)
        assert_true(backoff_delay_ms(&rules, attempt, &random) >= 0);
}

static void a_base_of_zero_never_waits(void **state)
{
    const struct backoff_rules rules = {0, 1000};

    (void)state;
    assert_int_equal(largest_of_many(&rules, 9), 0);
}

static void the_same_seed_gives_the_same_delays(void **state)
{
    const struct backoff_rules rules = {100, 30000};
    struct random one, two;

    (void)state;
    random_init(&one, 42);
    random_init(&two, 42);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(backoff_delay_ms(&rules, i, &one), backoff_delay_ms(&rules, i, &two));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ceiling_doubles_with_each_attempt),
        cmocka_unit_test(no_delay_is_above_the_maximum),
        cmocka_unit_test(a_maximum_below_the_base_wins),
        cmocka_unit_test(huge_numbers_do_not_overflow),
        cmocka_unit_test(a_base_of_zero_never_waits),
        cmocka_unit_test(the_same_seed_gives_the_same_delays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
