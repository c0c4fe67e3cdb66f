#include "check.h"

#include "app/shares.h"

/* 5% on one of four nodes, 25% and 30% on the same one, 50% on one more. */
static const struct wave_rule rules[] = {
    {.share = 50}, {.share = 250}, {.share = 300}, {.share = 500}, {.share = 1000}};
static size_t nodes[] = {0, 1, 2, 3};
static struct wave items[] = {{nodes, 1}, {nodes + 1, 0}, {nodes + 1, 0}, {nodes + 1, 1}, {nodes + 2, 2}};
static const struct waves waves = {.items = items, .rules = rules, .count = 5};

static void a_run_goes_on_at_the_step_whose_share_is_seen(void **state)
{
    (void)state;
    assert_int_equal(shares_waves_passed(&waves, 0, 51), 0);
    assert_int_equal(shares_waves_passed(&waves, 0, 248), 1);
    assert_int_equal(shares_waves_passed(&waves, 0, 301), 2);
    /* ordinary weights, on the way to the next step */
    assert_int_equal(shares_waves_passed(&waves, 0, 333), 2);
}

static void a_step_that_changes_a_node_is_known_by_its_node(void **state)
{
    (void)state;
    assert_int_equal(shares_waves_passed(&waves, 0, 500), 2);
    assert_int_equal(shares_waves_passed(&waves, 3, 20), 3);
    assert_int_equal(shares_waves_passed(&waves, 3, 1000), 3);
    assert_int_equal(shares_waves_passed(&waves, 4, 1000), 4);
}

static void nothing_seen_is_no_step(void **state)
{
    (void)state;
    assert_int_equal(shares_waves_passed(&waves, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_goes_on_at_the_step_whose_share_is_seen),
        cmocka_unit_test(a_step_that_changes_a_node_is_known_by_its_node),
        cmocka_unit_test(nothing_seen_is_no_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
