#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/health.h"

static const struct health_rules rules = {.rise = 3,
                                          .fall = 2,
                                          .interval_ms = 1000,
                                          .timeout_ms = 2000,
                                          .min_healthy_time_ms = 5000,
                                          .healthy_deadline_ms = 20000};

/* Probes as text, one a second from `now`: g good, b bad. Returns the time of the last one. */
static int64_t probe(struct gate *gate, const char *results, int64_t now)
{
    for (; *results; results++, now += 1000)
        gate_probed(gate, &rules, *results == 'g', now);
    return now - 1000;
}

static void the_first_probe_is_due_at_once(void **state)
{
    struct gate gate;

    (void)state;
    gate_open(&gate, &rules, 700);
    assert_int_equal(gate.next_probe_at, 700);
    gate_probed(&gate, &rules, false, 900);
    assert_int_equal(gate.next_probe_at, 1900);
}

static void a_node_is_up_after_rise_good_probes(void **state)
{
    struct gate gate;

    (void)state;
    gate_open(&gate, &rules, 0);
    probe(&gate, "gg", 0);
    assert_false(gate.up);
    assert_int_equal(gate.level, 2);
    probe(&gate, "g", 2000);
    assert_true(gate.up);
    assert_int_equal(gate.level, 4);
    assert_int_equal(gate.up_since, 2000);
}

static void a_bad_probe_while_down_starts_again(void **state)
{
    struct gate gate;

    (void)state;
    gate_open(&gate, &rules, 0);
    probe(&gate, "ggbgg", 0);
    assert_false(gate.up);
    probe(&gate, "g", 5000);
    assert_true(gate.up);
}

static void an_up_node_falls_after_fall_bad_probes(void **state)
{
    struct gate gate;

    (void)state;
    gate_open(&gate, &rules, 0);
    probe(&gate, "gggb", 0);
    assert_true(gate.up);
    assert_false(gate_steady(&gate, &rules));
    probe(&gate, "b", 4000);
    assert_false(gate.up);
    assert_int_equal(gate.level, 0);
}

static void one_good_probe_brings_an_up_node_back_to_the_top(void **state)
{
    struct gate gate;

    (void)state;
    gate_open(&gate, &rules, 0);
    probe(&gate, "gggbgb", 0);
    assert_true(gate.up);
    assert_int_equal(gate.up_since, 2000);
    assert_int_equal(gate.probes, 6);
    assert_int_equal(gate.failures, 2);
}

static void rise_one_and_fall_one_follow_every_probe(void **state)
{
    const struct health_rules quick = {
        .rise = 1, .fall = 1, .interval_ms = 1, .healthy_deadline_ms = 10};
    struct gate gate;

    (void)state;
    gate_open(&gate, &quick, 0);
    gate_probed(&gate, &quick, true, 0);
    assert_int_equal(gate_verdict(&gate, &quick, 0), GATE_PASSED);
    gate_probed(&gate, &quick, false, 1);
    assert_false(gate.up);
    assert_int_equal(gate_verdict(&gate, &quick, 1), GATE_WAITING);
}

static void the_gate_passes_when_min_healthy_time_is_over(void **state)
{
    struct gate gate;

    (void)state;
    gate_open(&gate, &rules, 0);
    probe(&gate, "ggg", 0);
    assert_int_equal(gate_deadline(&gate, &rules), 7000);
    assert_int_equal(gate_verdict(&gate, &rules, 6999), GATE_WAITING);
    assert_int_equal(gate_verdict(&gate, &rules, 7000), GATE_PASSED);
}

static void a_fall_starts_min_healthy_time_again(void **state)
{
    struct gate gate;

    (void)state;
    gate_open(&gate, &rules, 0);
    probe(&gate, "gggbbggg", 0);
    assert_int_equal(gate.up_since, 7000);
    assert_int_equal(gate_verdict(&gate, &rules, 11999), GATE_WAITING);
    assert_int_equal(gate_verdict(&gate, &rules, 12000), GATE_PASSED);
}

static void the_gate_closes_at_the_healthy_deadline(void **state)
{
    struct gate gate;

    (void)state;
    gate_open(&gate, &rules, 1000);
    probe(&gate, "gbg", 1000);
    assert_int_equal(gate_deadline(&gate, &rules), 21000);
    assert_int_equal(gate_verdict(&gate, &rules, 20999), GATE_WAITING);
    assert_int_equal(gate_verdict(&gate, &rules, 21000), GATE_CLOSED);
}

static void up_in_time_may_finish_its_min_healthy_time(void **state)
{
    struct gate gate;

    (void)state;
    gate_open(&gate, &rules, 0);
    probe(&gate, "ggg", 18000);
    assert_int_equal(gate.up_since, 20000);
    assert_int_equal(gate_verdict(&gate, &rules, 24999), GATE_WAITING);
    assert_int_equal(gate_verdict(&gate, &rules, 25000), GATE_PASSED);
}

static void up_too_late_is_closed(void **state)
{
    struct gate gate;

    (void)state;
    gate_open(&gate, &rules, 0);
    probe(&gate, "ggg", 18001);
    assert_true(gate.up);
    assert_int_equal(gate_verdict(&gate, &rules, 20001), GATE_CLOSED);
}

static void a_fall_after_the_deadline_closes(void **state)
{
    struct gate gate;

    (void)state;
    gate_open(&gate, &rules, 0);
    probe(&gate, "gggbb", 18000);
    assert_int_equal(gate_verdict(&gate, &rules, 22000), GATE_CLOSED);
}

static void a_bake_begins_up_and_ends_with_a_fall(void **state)
{
    struct gate gate;

    (void)state;
    gate_open_healthy(&gate, &rules, 50);
    assert_true(gate_steady(&gate, &rules));
    assert_int_equal(gate.next_probe_at, 50);
    probe(&gate, "bb", 50);
    assert_false(gate.up);
}

static void one_that_will_not_recover_closes_at_once(void **state)
{
    struct gate gate;

    (void)state;
    gate_open_healthy(&gate, &rules, 0);
    gate_probed(&gate, &rules, false, 10);
    gate_give_up(&gate);
    assert_false(gate.up);
    assert_int_equal(gate_verdict(&gate, &rules, 10), GATE_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_probe_is_due_at_once),
        cmocka_unit_test(a_node_is_up_after_rise_good_probes),
        cmocka_unit_test(a_bad_probe_while_down_starts_again),
        cmocka_unit_test(an_up_node_falls_after_fall_bad_probes),
        cmocka_unit_test(one_good_probe_brings_an_up_node_back_to_the_top),
        cmocka_unit_test(rise_one_and_fall_one_follow_every_probe),
        cmocka_unit_test(the_gate_passes_when_min_healthy_time_is_over),
        cmocka_unit_test(a_fall_starts_min_healthy_time_again),
        cmocka_unit_test(the_gate_closes_at_the_healthy_deadline),
        cmocka_unit_test(up_in_time_may_finish_its_min_healthy_time),
        cmocka_unit_test(up_too_late_is_closed),
        cmocka_unit_test(a_fall_after_the_deadline_closes),
        cmocka_unit_test(one_that_will_not_recover_closes_at_once),
        cmocka_unit_test(a_bake_begins_up_and_ends_with_a_fall),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
