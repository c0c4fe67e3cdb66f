#include "core/wilcoxon.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

#define STEPS_MAX 1000

/* Two samples, and how x moved by `shift` stands to y. */
struct pair {
    const struct sample *x, *y;
    double nx, ny;
    bool corrected; /* for continuity */
    double target;  /* what the standardised statistic is to be */
};

/* Pairs in which x - shift is above y, ties counted half, and the sum of t^3 - t over groups of t equal ones. */
struct ranks {
    double u, ties;
};

static struct ranks rank_both(const struct pair *pair, double shift)
{
    const struct sample *x = pair->x, *y = pair->y;
    struct ranks ranks = {0};
    size_t i = 0, j = 0;
    while (i < x->count || j < y->count) {
        size_t in_x = 0, below = j;
        double value = INFINITY;
        if (i < x->count)
            value = x->values[i] - shift;
        if (j < y->count && y->values[j] < value)
            value = y->values[j];
        for (; i < x->count && x->values[i] - shift == value; i++)
            in_x++;
        for (; j < y->count && y->values[j] == value; j++)
            ;
        double group = (double)(in_x + (j - below));
        ranks.u += (double)in_x * ((double)below + (double)(j - below) / 2);
        ranks.ties += group * group * group - group;
    }
    return ranks;
}

static double sign(double value)
{
    return (double)((value > 0) - (value < 0));
}

/* The statistic as a number of standard deviations; NaN when all figures are equal. */
static double standardise(const struct pair *pair, double shift, double *u)
{
    double nx = pair->nx, ny = pair->ny;
    struct ranks ranks = rank_both(pair, shift);
    double distance = ranks.u - nx * ny / 2;
    double deviation =
        sqrt((nx * ny / 12) * ((nx + ny + 1) - ranks.ties / ((nx + ny) * (nx + ny - 1))));
    if (u)
        *u = ranks.u;
    return (distance - (pair->corrected ? sign(distance) * 0.5 : 0)) / deviation;
}

static double miss(const struct pair *pair, double shift)
{
    return standardise(pair, shift, NULL) - pair->target;
}

/* Where the normal distribution has `tail` below, by Halley's method on erfc: to the last digits. */
static double normal_quantile(double tail)
{
    static const double root_of_two_pi = 2.50662827463100050242;
    double z = 0;
    for (int i = 0; i < 100; i++) {
        double density = exp(-z * z / 2) / root_of_two_pi;
        double step = (erfc(-z / M_SQRT2) / 2 - tail) / density;
        step /= 1 + z * step / 2;
        /* Far from the root the density says little: no leap. */
        step = step > 1 ? 1 : step < -1 ? -1 : step;
        z -= step;
        if (fabs(step) <= 2 * DBL_EPSILON * fabs(z))
            break;
    }
    return z;
}

/* Brent's bracket: `best` and `other` lie on two sides of the root, `last` was the best before. */
struct bracket {
    double best, at_best;
    double last, at_last;
    double other, at_other;
};

static void best_first(struct bracket *bracket)
{
    if (fabs(bracket->at_other) >= fabs(bracket->at_best))
        return;
    bracket->last = bracket->best;
    bracket->at_last = bracket->at_best;
    bracket->best = bracket->other;
    bracket->at_best = bracket->at_other;
    bracket->other = bracket->last;
    bracket->at_other = bracket->at_last;
}

/* Half the bracket, or a shorter step by a line through two points or an inverse parabola through three (R. P. Brent, Algorithms for
 * Minimization without Derivatives, 1973, chapter 4). */
static double next_step(const struct bracket *bracket, double before, double least)
{
    double width = bracket->other - bracket->best, p, q;
    double to_last = bracket->at_best / bracket->at_last;
    double step = width / 2;
    if (fabs(before) < least || fabs(bracket->at_last) <= fabs(bracket->at_best))
        return step;
    if (bracket->last == bracket->other) {
        p = width * to_last;
        q = 1 - to_last;
    } else {
        double across = bracket->at_last / bracket->at_other;
        double to_other = bracket->at_best / bracket->at_other;
        p = to_last * (width * across * (across - to_other) -
                       (bracket->best - bracket->last) * (to_other - 1));
        q = (across - 1) * (to_other - 1) * (to_last - 1);
    }
    if (p > 0)
        q = -q;
    else
        p = -p;
    if (p < 0.75 * width * q - fabs(least * q) / 2 && p < fabs(before * q / 2))
        step = p / q;
    return step;
}

/* The shift at which the statistic crosses the pair's target. */
static double root(const struct pair *pair, double low, double high, double precision)
{
    struct bracket b = {.last = low, .at_last = miss(pair, low)};
    b.best = high;
    b.at_best = miss(pair, high);
    b.other = b.last;
    b.at_other = b.at_last;
    if (b.at_last == 0)
        return low;
    for (int i = 0; i <= STEPS_MAX; i++) {
        double before = b.best - b.last;
        best_first(&b);
        double least = 2 * DBL_EPSILON * fabs(b.best) + precision / 2;
        if (fabs((b.other - b.best) / 2) <= least || b.at_best == 0)
            return b.best;
        double step = next_step(&b, before, least);
        if (fabs(step) < least)
            step = step > 0 ? least : -least;
        b.last = b.best;
        b.at_last = b.at_best;
        b.best += step;
        b.at_best = miss(pair, b.best);
        if ((b.at_best > 0 && b.at_other > 0) || (b.at_best < 0 && b.at_other < 0)) {
            b.other = b.last;
            b.at_other = b.at_last;
        }
    }
    return b.best;
}

/* One end of the interval; with few figures the statistic never gets that far, and it is the end of what is possible. */
static double end_of_interval(struct pair *pair, double target, double low, double high,
                              double precision)
{
    pair->target = target;
    if (miss(pair, low) <= 0)
        return low;
    if (miss(pair, high) >= 0)
        return high;
    return root(pair, low, high, precision);
}

static double least_of(const struct sample *sample)
{
    return sample->values[0];
}

static double greatest_of(const struct sample *sample)
{
    return sample->values[sample->count - 1];
}

void wilcoxon_test(struct wilcoxon *out, const struct sample *x, const struct sample *y,
                   double confidence, double precision)
{
    struct pair pair = {.x = x, .y = y, .nx = (double)x->count, .ny = (double)y->count};
    *out = (struct wilcoxon){.state = WILCOXON_EMPTY, .u = NAN, .p = NAN, .shift = NAN, .low = NAN, .high = NAN};
    if (!x->count || !y->count)
        return;
    pair.corrected = true;
    out->p = erfc(fabs(standardise(&pair, 0, &out->u)) / M_SQRT2);
    double low = least_of(x) - greatest_of(y), high = greatest_of(x) - least_of(y);
    if (least_of(x) == greatest_of(x) && least_of(y) == greatest_of(y)) {
        out->state = WILCOXON_CONSTANT;
        out->shift = out->low = out->high = low;
        return;
    }
    double tail = (1 - confidence) / 2, z = normal_quantile(tail);
    out->state = WILCOXON_DONE;
    out->low = end_of_interval(&pair, -z, low, high, precision);
    out->high = end_of_interval(&pair, z, low, high, precision);
    pair.corrected = false;
    pair.target = 0;
    out->shift = root(&pair, low, high, precision);
}
