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

static void a_held_canary_has_no_more_than_its_steps_share(void **state)
{
    (void)state;
    struct open_run held = {.held = true, .waves_passed = 3}, open = {.held = false, .waves_passed = 3};
    assert_int_equal(shares_given(&waves, &held), 300);
    assert_false(shares_exceed(301, 300));
    assert_false(shares_exceed(250, 300));
    assert_true(shares_exceed(500, 300));
    assert_true(shares_exceed(70, 50));
    /* on the way to its next step a run has ordinary weights */
    assert_int_equal(shares_given(&waves, &open), 1000);
    held.waves_passed = 9;
    assert_int_equal(shares_given(&waves, &held), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_goes_on_at_the_step_whose_share_is_seen),
        cmocka_unit_test(a_step_that_changes_a_node_is_known_by_its_node),
        cmocka_unit_test(nothing_seen_is_no_step),
        cmocka_unit_test(a_held_canary_has_no_more_than_its_steps_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
