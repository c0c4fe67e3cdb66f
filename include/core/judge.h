/*
 * The judge of a canary: figures of the new release, and of the old one in the same time, into a verdict with its evidence. Pure.
 *
 * Thresholds look at the canary alone, the comparison at both sides. Either needs `min_samples` on each side that it looks at: with
 * less the verdict is inconclusive, never a guess.
 *
 * The comparison is Kayenta's (MannWhitneyClassifier): the canary is worse when the whole confidence interval of the Hodges-Lehmann
 * shift (core/wilcoxon.h) lies beyond the critical distance in the direction that is bad. Critical is the larger of tolerance *
 * |shift|, Kayenta's rule, which asks how sure the shift is, and allowed * |median of the control|, which asks whether it matters
 * (its effect size, held against the interval, not the estimate). Samples that are each one single value are compared by their
 * difference, which is what Kayenta's noise comes to; two equal ones pass.
 */
#ifndef CORE_JUDGE_H
#define CORE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sample.h"
#include "core/wilcoxon.h"

enum verdict { VERDICT_PASS, VERDICT_INCONCLUSIVE, VERDICT_FAIL, VERDICTS };
const char *verdict_name(enum verdict verdict); /* "pass", ... static */

/* Which way is worse. */
enum judge_direction { DIRECTION_INCREASE, DIRECTION_DECREASE, DIRECTION_EITHER };
/* What thresholds are held against. */
enum judge_statistic { STATISTIC_MEAN, STATISTIC_MEDIAN, STATISTIC_P90, STATISTIC_P95, STATISTIC_P99 };
const char *judge_statistic_name(enum judge_statistic statistic); /* "mean", "median", "p90", ... static */

struct judge_rules {
    bool has_max, has_min;
    double max, min;
    enum judge_statistic statistic;
    bool compares;
    enum judge_direction direction;
    double tolerance;  /* of the shift itself; 0 to 1 */
    double allowed;    /* of the control's median; 0: every sure shift counts */
    double confidence; /* between 0 and 1 */
    uint32_t min_samples; /* at least 1 */
};

enum judge_reason {
    REASON_WITHIN,      /* pass: thresholds kept, not worse than the control */
    REASON_ABOVE_MAX,   /* fail */
    REASON_BELOW_MIN,   /* fail */
    REASON_HIGHER,      /* fail: than the control */
    REASON_LOWER,       /* fail */
    REASON_FEW_CANARY,  /* inconclusive: fewer than min_samples */
    REASON_FEW_CONTROL, /* inconclusive */
    JUDGE_REASONS
};

/* Why, in figures. What was not looked at is NaN. */
struct evidence {
    enum verdict verdict;
    enum judge_reason reason;
    uint64_t canary_count, control_count; /* all that were seen */
    double canary_median, control_median;
    double measured; /* of the canary, by the rules' statistic */
    struct wilcoxon test;
    double critical; /* distance that the interval must lie beyond */
};

/* A threshold that is broken fails whatever the comparison would say. */
void judge_samples(struct evidence *out, const struct judge_rules *rules, const struct sample *canary,
                   const struct sample *control);

/* Of several analyses: any fail fails, else any inconclusive is inconclusive. */
enum verdict verdict_join(enum verdict left, enum verdict right);

#endif
