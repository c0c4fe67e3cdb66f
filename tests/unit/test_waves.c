#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/waves.h"

/* Waves as text: `0 1|2 3`. */
static const char *compiled(size_t nodes, const char *const *zones, const struct amount *batch,
                            size_t batch_count)
{
    static char text[4096];
    struct arena arena;
    struct waves waves;
    struct err err = {0};
    size_t at = 0;

    arena_init(&arena);
    if (waves_compile(&waves, nodes, zones, batch, batch_count, &arena, &err) < 0) {
        snprintf(text, sizeof(text), "error %d: %s", err.code, err.message);
        arena_release(&arena);
        return text;
    }
    text[0] = '\0';
    for (size_t w = 0; w < waves.count; w++)
        for (size_t i = 0; i < waves.items[w].count; i++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%zu",
                                   i > 0   ? " "
                                   : w > 0 ? "|"
                                           : "",
                                   waves.items[w].nodes[i]);
    arena_release(&arena);
    return text;
}

static void sizes_are_taken_in_turn_and_the_last_repeats(void **state)
{
    const struct amount batch[] = {{1, false}, {2, false}};

    (void)state;
    assert_string_equal(compiled(6, NULL, batch, 2), "0|1 2|3 4|5");
}

static void a_percent_is_of_the_whole_fleet_and_rounds_down(void **state)
{
    const struct amount batch[] = {{1, false}, {25, true}, {50, true}};
    const struct amount third[] = {{30, true}};

    (void)state;
    assert_string_equal(compiled(8, NULL, batch, 3), "0|1 2|3 4 5 6|7");
    assert_string_equal(compiled(9, NULL, third, 1), "0 1|2 3|4 5|6 7|8");
}

static void a_small_percent_is_at_least_one(void **state)
{
    const struct amount batch[] = {{1, true}};

    (void)state;
    assert_string_equal(compiled(3, NULL, batch, 1), "0|1|2");
}

static void a_batch_above_the_fleet_is_one_wave(void **state)
{
    const struct amount batch[] = {{100, false}};

    (void)state;
    assert_string_equal(compiled(3, NULL, batch, 1), "0 1 2");
}

static void a_wave_never_holds_two_zones(void **state)
{
    const char *const zones[] = {"b", "a", "b", "a", "b"};
    const struct amount batch[] = {{2, false}};

    (void)state;
    assert_string_equal(compiled(5, zones, batch, 1), "0 2|4|1 3");
}

static void nodes_without_a_zone_are_a_zone(void **state)
{
    const char *const zones[] = {"a", NULL, "a", NULL};
    const struct amount batch[] = {{10, false}};

    (void)state;
    assert_string_equal(compiled(4, zones, batch, 1), "0 2|1 3");
}

static void zones_are_compared_as_text(void **state)
{
    char one[] = "eu", two[] = "eu";
    const char *const zones[] = {one, two};
    const struct amount batch[] = {{2, false}};

    (void)state;
    assert_string_equal(compiled(2, zones, batch, 1), "0 1");
}

static void a_zone_end_does_not_hand_on_the_rest_of_a_size(void **state)
{
    const char *const zones[] = {"a", "b", "b", "b"};
    const struct amount batch[] = {{3, false}, {1, false}};

    (void)state;
    assert_string_equal(compiled(4, zones, batch, 2), "0|1|2|3");
}

static void an_empty_batch_list_is_refused(void **state)
{
    const struct amount zero[] = {{0, false}};

    (void)state;
    assert_non_null(strstr(compiled(3, NULL, zero, 0), "batch list is empty"));
    assert_non_null(strstr(compiled(3, NULL, zero, 1), "is 0"));
}

static void no_node_makes_no_wave(void **state)
{
    const struct amount batch[] = {{1, false}};

    (void)state;
    assert_string_equal(compiled(0, NULL, batch, 1), "");
}

/* Waves as text: `0 @50 20ms|1 2 @1000 0ms manual`. */
static const char *stepped(size_t nodes, const uint32_t *weights, const struct wave_rule *steps,
                           size_t count)
{
    static char text[4096];
    struct arena arena;
    struct waves waves;
    struct err err = {0};
    size_t at = 0;

    arena_init(&arena);
    text[0] = '\0';
    if (waves_by_share(&waves, nodes, weights, steps, count, false, &arena, &err) < 0)
        snprintf(text, sizeof(text), "error %d: %s", err.code, err.message);
    for (size_t w = 0; w < waves.count; w++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", w > 0 ? "|" : "");
        for (size_t i = 0; i < waves.items[w].count; i++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%zu ", waves.items[w].nodes[i]);
        at += (size_t)snprintf(text + at, sizeof(text) - at, "@%u %dms%s", waves.rules[w].share,
                               (int)waves.rules[w].bake_ms, waves.rules[w].manual ? " manual" : "");
    }
    arena_release(&arena);
    return text;
}

static const struct wave_rule four_steps[] = {
    {50, 20, false}, {250, 50, true}, {500, 50, false}, {1000, 10, false}};

static void a_step_is_the_nearest_number_of_nodes(void **state)
{
    const struct wave_rule third[] = {{300, 1, false}, {1000, 0, false}};

    (void)state;
    assert_string_equal(stepped(10, NULL, four_steps, 4),
                        "0 @50 20ms|1 2 @250 50ms manual|3 4 @500 50ms|5 6 7 8 9 @1000 10ms");
    assert_string_equal(stepped(4, NULL, third, 2), "0 @300 1ms|1 2 3 @1000 0ms");
    assert_string_equal(stepped(5, NULL, third, 2), "0 1 @300 1ms|2 3 4 @1000 0ms");
}

static void both_sides_keep_a_node_until_the_last_step(void **state)
{
    const struct wave_rule nearly[] = {{10, 1, false}, {990, 2, false}, {1000, 3, false}};

    (void)state;
    assert_string_equal(stepped(2, NULL, nearly, 3), "0 @10 1ms|@990 2ms|1 @1000 3ms");
    assert_string_equal(stepped(3, NULL, nearly, 3), "0 @10 1ms|1 @990 2ms|2 @1000 3ms");
    assert_string_equal(stepped(0, NULL, four_steps, 4),
                        "@50 20ms|@250 50ms manual|@500 50ms|@1000 10ms");
}

static void with_a_balancer_a_step_has_the_nodes_that_carry_it(void **state)
{
    const struct wave_rule third[] = {{300, 1, false}, {1000, 0, false}};
    const uint32_t even[] = {100, 100, 100, 100}, heavy[] = {300, 100, 100, 100};

    (void)state;
    assert_string_equal(stepped(4, even, third, 2), "0 1 @300 1ms|2 3 @1000 0ms");
    assert_string_equal(stepped(4, heavy, third, 2), "0 @300 1ms|1 2 3 @1000 0ms");
    assert_string_equal(stepped(4, even, four_steps, 4),
                        "0 @50 20ms|@250 50ms manual|1 @500 50ms|2 3 @1000 10ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_taken_in_turn_and_the_last_repeats),
        cmocka_unit_test(a_percent_is_of_the_whole_fleet_and_rounds_down),
        cmocka_unit_test(a_small_percent_is_at_least_one),
        cmocka_unit_test(a_batch_above_the_fleet_is_one_wave),
        cmocka_unit_test(a_wave_never_holds_two_zones),
        cmocka_unit_test(nodes_without_a_zone_are_a_zone),
        cmocka_unit_test(zones_are_compared_as_text),
        cmocka_unit_test(a_zone_end_does_not_hand_on_the_rest_of_a_size),
        cmocka_unit_test(an_empty_batch_list_is_refused),
        cmocka_unit_test(no_node_makes_no_wave),
        cmocka_unit_test(a_step_is_the_nearest_number_of_nodes),
        cmocka_unit_test(both_sides_keep_a_node_until_the_last_step),
        cmocka_unit_test(with_a_balancer_a_step_has_the_nodes_that_carry_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
