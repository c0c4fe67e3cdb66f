/* Verdicts: thresholds, the comparison by direction, tolerance and what is allowed, and too little data. */
#include "check.h"

#include <math.h>
#include <string.h>

#include "core/judge.h"

static struct sample canary, control;

static const struct judge_rules usual = {.compares = true,
                                         .direction = DIRECTION_INCREASE,
                                         .statistic = STATISTIC_MEDIAN,
                                         .tolerance = 0.25,
                                         .confidence = 0.98,
                                         .min_samples = 50};

/* `count` figures from `middle`, evenly within 5 on both sides, in no order. */
static void fill(struct sample *sample, size_t count, double middle, uint64_t seed)
{
    struct random random;
    random_init(&random, seed);
    sample_init(sample, seed);
    for (size_t i = 0; i < count; i++)
        sample_add(sample, middle - 5 + (double)random_below(&random, 10001) / 1000);
}

static void given(size_t canaries, double canary_middle, size_t controls, double control_middle)
{
    fill(&canary, canaries, canary_middle, 11);
    fill(&control, controls, control_middle, 12);
}

static void expect(const struct judge_rules *rules, enum verdict verdict, enum judge_reason reason)
{
    struct evidence evidence;
    judge_samples(&evidence, rules, &canary, &control);
    assert_string_equal(verdict_name(evidence.verdict), verdict_name(verdict));
    assert_int_equal(evidence.reason, reason);
}

static void an_equal_canary_passes(void **state)
{
    (void)state;
    given(100, 20, 100, 20);
    expect(&usual, VERDICT_PASS, REASON_WITHIN);
}

static void a_slower_canary_fails(void **state)
{
    (void)state;
    given(100, 30, 100, 20);
    expect(&usual, VERDICT_FAIL, REASON_HIGHER);
}

static void a_better_canary_passes_unless_either_way_is_bad(void **state)
{
    struct judge_rules rules = usual;
    (void)state;
    given(100, 10, 100, 20);
    expect(&rules, VERDICT_PASS, REASON_WITHIN);
    rules.direction = DIRECTION_DECREASE;
    expect(&rules, VERDICT_FAIL, REASON_LOWER);
    rules.direction = DIRECTION_EITHER;
    expect(&rules, VERDICT_FAIL, REASON_LOWER);
    given(100, 30, 100, 20);
    expect(&rules, VERDICT_FAIL, REASON_HIGHER);
    rules.direction = DIRECTION_DECREASE;
    expect(&rules, VERDICT_PASS, REASON_WITHIN);
}

static void a_shift_that_is_allowed_passes(void **state)
{
    struct judge_rules rules = usual;
    struct evidence evidence;
    (void)state;
    given(500, 21, 500, 20);
    expect(&rules, VERDICT_FAIL, REASON_HIGHER);
    rules.allowed = 0.1;
    expect(&rules, VERDICT_PASS, REASON_WITHIN);
    judge_samples(&evidence, &rules, &canary, &control);
    assert_true(evidence.critical == 0.1 * evidence.control_median);
    given(500, 23, 500, 20);
    expect(&rules, VERDICT_FAIL, REASON_HIGHER);
}

static void a_shift_that_is_not_sure_enough_passes(void **state)
{
    struct judge_rules rules = usual;
    struct evidence evidence;
    (void)state;
    given(60, 22, 60, 20);
    judge_samples(&evidence, &rules, &canary, &control);
    assert_true(evidence.test.low > 0);
    rules.tolerance = 1.1 * evidence.test.low / evidence.test.shift;
    expect(&rules, VERDICT_PASS, REASON_WITHIN);
    rules.tolerance = 0.9 * evidence.test.low / evidence.test.shift;
    expect(&rules, VERDICT_FAIL, REASON_HIGHER);
}

static void too_little_data_is_inconclusive(void **state)
{
    (void)state;
    given(49, 30, 100, 20);
    expect(&usual, VERDICT_INCONCLUSIVE, REASON_FEW_CANARY);
    given(100, 30, 49, 20);
    expect(&usual, VERDICT_INCONCLUSIVE, REASON_FEW_CONTROL);
    given(0, 30, 0, 20);
    expect(&usual, VERDICT_INCONCLUSIVE, REASON_FEW_CANARY);
    given(50, 30, 50, 20);
    expect(&usual, VERDICT_FAIL, REASON_HIGHER);
}

static void thresholds_look_at_the_canary_alone(void **state)
{
    struct judge_rules rules = {.has_max = true,
                                .max = 24,
                                .statistic = STATISTIC_MEDIAN,
                                .confidence = 0.98,
                                .min_samples = 50};
    (void)state;
    given(100, 20, 0, 0);
    expect(&rules, VERDICT_PASS, REASON_WITHIN);
    rules.statistic = STATISTIC_P99;
    expect(&rules, VERDICT_FAIL, REASON_ABOVE_MAX);
    rules.max = 30;
    rules.has_min = true;
    rules.min = 25;
    expect(&rules, VERDICT_FAIL, REASON_BELOW_MIN);
    rules.min = 10;
    expect(&rules, VERDICT_PASS, REASON_WITHIN);
}

static void a_broken_threshold_fails_without_a_control(void **state)
{
    struct judge_rules rules = usual;
    (void)state;
    rules.has_max = true;
    rules.max = 25;
    given(100, 40, 0, 20);
    expect(&rules, VERDICT_FAIL, REASON_ABOVE_MAX);
}

static void the_mean_is_of_all_that_were_seen(void **state)
{
    struct judge_rules rules = {
        .has_max = true, .max = 1, .statistic = STATISTIC_MEAN, .min_samples = 10};
    struct evidence evidence;
    (void)state;
    sample_init(&control, 1);
    sample_init(&canary, 1);
    for (size_t i = 0; i < 10000; i++)
        sample_add(&canary, i % 100 ? 0 : 101);
    judge_samples(&evidence, &rules, &canary, &control);
    assert_true(fabs(evidence.measured - 1.01) < 1e-9);
    assert_int_equal(evidence.canary_count, 10000);
    assert_int_equal(evidence.reason, REASON_ABOVE_MAX);
}

/* As Kayenta decides them, who adds noise to constants. */
static void constants_are_compared_by_their_difference(void **state)
{
    (void)state;
    sample_init(&canary, 1);
    sample_init(&control, 1);
    for (size_t i = 0; i < 60; i++) {
        sample_add(&canary, 5);
        sample_add(&control, 5);
    }
    expect(&usual, VERDICT_PASS, REASON_WITHIN);
    sample_init(&canary, 1);
    for (size_t i = 0; i < 60; i++)
        sample_add(&canary, 5.5);
    expect(&usual, VERDICT_FAIL, REASON_HIGHER);
}

static void small_units_are_compared_as_well_as_large_ones(void **state)
{
    static const double scales[] = {1e-9, 1e-3, 1, 1e6};
    (void)state;
    for (size_t s = 0; s < 4; s++) {
        struct random random;
        random_init(&random, 4);
        sample_init(&canary, 1);
        sample_init(&control, 1);
        for (size_t i = 0; i < 80; i++) {
            sample_add(&canary, scales[s] * (double)(30 + random_below(&random, 10)));
            sample_add(&control, scales[s] * (double)(20 + random_below(&random, 10)));
        }
        expect(&usual, VERDICT_FAIL, REASON_HIGHER);
    }
}

static void the_worst_of_several_counts(void **state)
{
    (void)state;
    assert_int_equal(verdict_join(VERDICT_PASS, VERDICT_PASS), VERDICT_PASS);
    assert_int_equal(verdict_join(VERDICT_PASS, VERDICT_INCONCLUSIVE), VERDICT_INCONCLUSIVE);
    assert_int_equal(verdict_join(VERDICT_FAIL, VERDICT_INCONCLUSIVE), VERDICT_FAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_equal_canary_passes),
        cmocka_unit_test(a_slower_canary_fails),
        cmocka_unit_test(a_better_canary_passes_unless_either_way_is_bad),
        cmocka_unit_test(a_shift_that_is_allowed_passes),
        cmocka_unit_test(a_shift_that_is_not_sure_enough_passes),
        cmocka_unit_test(too_little_data_is_inconclusive),
        cmocka_unit_test(thresholds_look_at_the_canary_alone),
        cmocka_unit_test(a_broken_threshold_fails_without_a_control),
        cmocka_unit_test(the_mean_is_of_all_that_were_seen),
        cmocka_unit_test(constants_are_compared_by_their_difference),
        cmocka_unit_test(small_units_are_compared_as_well_as_large_ones),
        cmocka_unit_test(the_worst_of_several_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
