#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "core/share.h"

static struct share_weights weights(uint64_t updated, uint64_t old, uint32_t share, uint32_t grain)
{
    return share_weights(
        &(struct share_sides){.updated = updated, .old = old, .share = share, .grain = grain});
}

static void the_side_with_too_much_keeps_less_of_its_weight(void **state)
{
    struct share_weights out;

    (void)state;
    out = weights(100, 300, 50, 1); /* 15.8 beside 300 */
    assert_int_equal(out.updated, 158);
    assert_int_equal(out.old, 1000);
    out = weights(300, 100, 900, 1); /* 300 beside 33 */
    assert_int_equal(out.updated, 1000);
    assert_int_equal(out.old, 333);
    out = weights(100, 300, 250, 1);
    assert_int_equal(out.updated, 1000);
    assert_int_equal(out.old, 1000);
}

static void nobody_has_a_weight_of_0(void **state)
{
    struct share_weights out = weights(1000000, 1, 1, 10);

    (void)state;
    assert_int_equal(out.updated, 10);
    out = weights(1, 1000000, 999, 10);
    assert_int_equal(out.old, 10);
}

static void ordinary_weights_are_for_none_for_all_and_for_one_side(void **state)
{
    static const uint64_t cases[][3] = {{100, 300, 0}, {100, 300, 1000}, {0, 300, 50}, {100, 0, 50}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct share_weights out = weights(cases[i][0], cases[i][1], (uint32_t)cases[i][2], 10);

        assert_int_equal(out.updated, 1000);
        assert_int_equal(out.old, 1000);
    }
}

static void too_few_get_what_they_carry(void **state)
{
    struct share_sides sides = {
        .updated = 100, .old = 300, .promised = 300, .share = 800, .grain = 1};
    struct share_weights out = share_weights(&sides); /* one of four carries a third at worst */

    (void)state;
    assert_int_equal(share_of(100 * out.updated, 300 * out.old), 333);
    sides.share = 300;
    out = share_weights(&sides);
    assert_int_equal(share_of(100 * out.updated, 300 * out.old), 300);
}

/* Half a grain of the side that keeps less is the most that it is off. */
static void at_the_full_share_too_few_leave_ordinary_weights(void **state)
{
    struct share_sides sides = {
        .updated = 100, .old = 200, .promised = 200, .share = SHARE_ALL, .grain = 1};
    struct share_weights out = share_weights(&sides); /* the others have had the release before */

    (void)state;
    assert_int_equal(out.updated, 1000);
    assert_int_equal(out.old, 1000);
}

static void what_weights_come_to_is_what_was_asked(void **state)
{
    struct random random;

    (void)state;
    random_init(&random, 7);
    for (int i = 0; i < 20000; i++) {
        uint64_t updated = 1 + random_below(&random, 100000), old = 1 + random_below(&random, 100000);
        uint32_t share = 1 + (uint32_t)random_below(&random, 999);
        struct share_weights out = weights(updated, old, share, 1);
        double wanted = (double)share / (SHARE_ALL - share) * (double)old / (double)updated;
        double got = (double)out.updated / out.old;
        double less = wanted < 1 ? wanted : 1 / wanted, kept = wanted < 1 ? got : 1 / got;

        assert_true(out.updated == SHARE_ALL || out.old == SHARE_ALL);
        assert_true(out.updated >= 1 && out.old >= 1);
        assert_true(out.updated == 1 || out.old == 1 || (kept - less < 0.00051 && less - kept < 0.00051));
    }
}

static void who_comes_in_keeps_what_leaves_the_share(void **state)
{
    (void)state;
    /* 5 of 100 beside three of 100: 15.7 */
    assert_int_equal(share_enter(100000, 0, 300000, 50, 10), 150);
    /* the others have the share already */
    assert_int_equal(share_enter(100000, 100000, 300000, 250, 10), 10);
    /* there is room for all of it */
    assert_int_equal(share_enter(100000, 100000, 300000, 500, 10), 1000);
    assert_int_equal(share_enter(100000, 300000, 0, 500, 10), 1000);
    assert_int_equal(share_enter(100000, 300000, 1000, 1000, 10), 1000);
}

static void no_weight_that_comes_in_is_too_much(void **state)
{
    struct random random;

    (void)state;
    random_init(&random, 8);
    for (int i = 0; i < 20000; i++) {
        uint64_t own = 1000 * (1 + random_below(&random, 256));
        uint64_t updated = 1000 * random_below(&random, 2000);
        uint64_t old = 1000 * (1 + random_below(&random, 2000));
        uint32_t share = 1 + (uint32_t)random_below(&random, 999);
        uint32_t kept = share_enter(own, updated, old, share, 1);

        assert_true(kept >= 1 && kept <= SHARE_ALL);
        updated += own / 1000 * kept;
        assert_true(kept == 1 || updated * (SHARE_ALL - share) <= old * share);
    }
}

static void so_many_nodes_as_carry_the_share(void **state)
{
    const uint32_t even[] = {100, 100, 100, 100, 100, 100, 100, 100, 100, 100};
    const uint32_t last[] = {10, 10, 980}, none[] = {0, 0, 0};

    (void)state;
    assert_int_equal(share_count(even, 10, 10), 1);
    assert_int_equal(share_count(even, 10, 210), 3);
    assert_int_equal(share_count(even, 10, 300), 3);
    assert_int_equal(share_count(even, 10, 990), 9);
    assert_int_equal(share_count(even, 10, 1000), 10);
    assert_int_equal(share_count(even, 10, 0), 0);
    assert_int_equal(share_count(last, 3, 500), 2);
    assert_int_equal(share_count(none, 3, 500), 2);
    assert_int_equal(share_count(even, 1, 50), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_side_with_too_much_keeps_less_of_its_weight),
        cmocka_unit_test(nobody_has_a_weight_of_0),
        cmocka_unit_test(ordinary_weights_are_for_none_for_all_and_for_one_side),
        cmocka_unit_test(too_few_get_what_they_carry),
        cmocka_unit_test(at_the_full_share_too_few_leave_ordinary_weights),
        cmocka_unit_test(what_weights_come_to_is_what_was_asked),
        cmocka_unit_test(who_comes_in_keeps_what_leaves_the_share),
        cmocka_unit_test(no_weight_that_comes_in_is_too_much),
        cmocka_unit_test(so_many_nodes_as_carry_the_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
