#include "core/judge.h"

#include <math.h>

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[VERDICTS] = {"pass", "inconclusive", "fail"};
    return names[verdict];
}

const char *judge_statistic_name(enum judge_statistic statistic)
{
    static const char *const names[] = {"mean", "median", "p90", "p95", "p99"};
    return names[statistic];
}

static double measure(const struct sample *sample, enum judge_statistic statistic)
{
    static const double shares[] = {[STATISTIC_MEDIAN] = 0.5,
                                    [STATISTIC_P90] = 0.9,
                                    [STATISTIC_P95] = 0.95,
                                    [STATISTIC_P99] = 0.99};
    return statistic == STATISTIC_MEAN ? sample_mean(sample)
                                       : sample_quantile(sample, shares[statistic]);
}

static void decide(struct evidence *out, enum verdict verdict, enum judge_reason reason)
{
    out->verdict = verdict;
    out->reason = reason;
}

/* The roots are looked for to a millionth of what the figures span: one rule for seconds and for microseconds. */
static double precision_for(const struct sample *canary, const struct sample *control)
{
    double low = fmin(canary->values[0], control->values[0]);
    double high = fmax(canary->values[canary->count - 1], control->values[control->count - 1]);
    double fine = (high - low) / 1e6;
    return fine > 0 && fine < WILCOXON_PRECISION ? fine : WILCOXON_PRECISION;
}

static void compare(struct evidence *out, const struct judge_rules *rules,
                    const struct sample *canary, const struct sample *control)
{
    wilcoxon_test(&out->test, canary, control, rules->confidence, precision_for(canary, control));
    out->critical = fmax(rules->tolerance * fabs(out->test.shift),
                         rules->allowed * fabs(out->control_median));
    if (rules->direction != DIRECTION_DECREASE && out->test.low > out->critical)
        decide(out, VERDICT_FAIL, REASON_HIGHER);
    else if (rules->direction != DIRECTION_INCREASE && out->test.high < -out->critical)
        decide(out, VERDICT_FAIL, REASON_LOWER);
}

void judge_samples(struct evidence *out, const struct judge_rules *rules, const struct sample *canary,
           const struct sample *control)
{
    *out = (struct evidence){
        .canary_count = canary->seen,
        .control_count = control->seen,
        .canary_median = sample_quantile(canary, 0.5),
        .control_median = sample_quantile(control, 0.5),
        .measured = measure(canary, rules->statistic),
        .critical = NAN,
        .test = {.state = WILCOXON_EMPTY, .u = NAN, .p = NAN, .shift = NAN, .low = NAN, .high = NAN},
    };
    decide(out, VERDICT_PASS, REASON_WITHIN);
    if (canary->seen < rules->min_samples)
        decide(out, VERDICT_INCONCLUSIVE, REASON_FEW_CANARY);
    else if (rules->has_max && out->measured > rules->max)
        decide(out, VERDICT_FAIL, REASON_ABOVE_MAX);
    else if (rules->has_min && out->measured < rules->min)
        decide(out, VERDICT_FAIL, REASON_BELOW_MIN);
    else if (rules->compares && control->seen < rules->min_samples)
        decide(out, VERDICT_INCONCLUSIVE, REASON_FEW_CONTROL);
    else if (rules->compares)
        compare(out, rules, canary, control);
}

enum verdict verdict_join(enum verdict left, enum verdict right)
{
    return left > right ? left : right;
}
