/*
 * The Mann-Whitney test (Wilcoxon's rank sum) of two samples, and the Hodges-Lehmann shift between them with its confidence
 * interval: how far x lies above y.
 *
 * The figures are those of R's wilcox.test(x, y, exact = FALSE, conf.int = TRUE, conf.level = confidence, tol.root = precision):
 * normal approximation with average ranks, tie correction and continuity correction (Mann & Whitney 1947; Hollander & Wolfe,
 * Nonparametric Statistical Methods); the shift and the ends of its interval are roots of the standardised statistic in the shift
 * (Bauer 1972), found by Brent's method to `precision`, in the samples' own unit. tests/unit/test_wilcoxon runs both.
 *
 * Pure; never allocates; at most some hundred passes over both samples.
 */
#ifndef CORE_WILCOXON_H
#define CORE_WILCOXON_H

#include "core/sample.h"

#define WILCOXON_PRECISION 1e-4 /* R's default */

/* Where R stops with an error, this says what is the case instead. */
enum wilcoxon_state {
    WILCOXON_DONE,
    /* Each side is one value only. The shift is their difference and the interval that one point; `p` is that of the test, NaN when
     * the values are the same, so that nothing tells the sides apart. */
    WILCOXON_CONSTANT,
    WILCOXON_EMPTY /* a side has no figures: all results are NaN */
};

struct wilcoxon {
    enum wilcoxon_state state;
    double u;         /* R's W: pairs in which x is the larger one, ties count a half */
    double p;         /* two-sided */
    double shift;     /* Hodges-Lehmann: about the median of all differences x - y */
    double low, high; /* its interval */
};

/* `confidence` between 0 and 1, `precision` above 0. */
void wilcoxon_test(struct wilcoxon *out, const struct sample *x, const struct sample *y,
                   double confidence, double precision);

#endif
