#include "app/judged.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS_MIN 60
#define BAR_MAX 200
#define SIDES_COLUMNS 36 /* of a row, beside the plot */

const char *judge_reason_name(enum judge_reason reason)
{
    static const char *const names[JUDGE_REASONS] = {
        [REASON_WITHIN] = "within limits",
        [REASON_ABOVE_MAX] = "above max",
        [REASON_BELOW_MIN] = "below min",
        [REASON_HIGHER] = "higher than the control",
        [REASON_LOWER] = "lower than the control",
        [REASON_FEW_CANARY] = "too few figures of the canary",
        [REASON_FEW_CONTROL] = "too few figures of the control",
    };
    return names[reason];
}

/* --- the sentence --- */

static const char *gap(const struct judged *judged)
{
    return *judged->unit && strcmp(judged->unit, "%") != 0 ? " " : "";
}

static void add_value(struct strbuf *out, const struct judged *judged, double value)
{
    strbuf_addf(out, "%.4g%s%s", value, gap(judged), judged->unit);
}

static void add_limit(struct strbuf *out, const struct judged *judged, const char *name, double limit)
{
    if (isnan(limit))
        return;
    strbuf_addf(out, ", %s ", judged->statistic);
    add_value(out, judged, judged->evidence.measured);
    strbuf_addf(out, " (%s ", name);
    add_value(out, judged, limit);
    strbuf_adds(out, ")");
}

static void add_limits(struct strbuf *out, const struct judged *judged)
{
    if (isnan(judged->evidence.measured))
        return;
    add_limit(out, judged, "max", judged->max);
    add_limit(out, judged, "min", judged->min);
}

static void add_reason(struct strbuf *out, const struct judged *judged)
{
    strbuf_addf(out, "analysis %s: %s: %s %s", judged->analysis, verdict_name(judged->evidence.verdict),
                judged->measure, judge_reason_name(judged->evidence.reason));
}

static void add_shift(struct strbuf *out, const struct judged *judged)
{
    const struct wilcoxon *test = &judged->evidence.test;
    strbuf_addf(out, "shift %+.4g%s%s, %g%% interval %.4g to %.4g", test->shift, gap(judged),
                judged->unit, 100 * judged->confidence, test->low, test->high);
    if (!isnan(test->p))
        strbuf_addf(out, ", p %.2g", test->p);
    strbuf_addf(out, ", critical %.3g", judged->evidence.critical);
}

static bool is_tested(const struct judged *judged)
{
    return judged->evidence.test.state != WILCOXON_EMPTY;
}

static void add_side(struct strbuf *out, const struct judged *judged, const char *name,
                     uint64_t count, double median)
{
    strbuf_addf(out, "%s n %" PRIu64, name, count);
    if (!count)
        return;
    strbuf_adds(out, " median ");
    add_value(out, judged, median);
}

static bool wants_control(const struct evidence *evidence)
{
    return evidence->control_count || evidence->reason == REASON_FEW_CONTROL;
}

void judged_sentence(struct strbuf *out, const struct judged *judged)
{
    const struct evidence *evidence = &judged->evidence;
    add_reason(out, judged);
    add_side(out, judged, ": canary", evidence->canary_count, evidence->canary_median);
    if (wants_control(evidence))
        add_side(out, judged, ", control", evidence->control_count, evidence->control_median);
    add_limits(out, judged);
    if (is_tested(judged)) {
        strbuf_adds(out, "; ");
        add_shift(out, judged);
    }
    if (judged->trouble)
        strbuf_addf(out, "; figures are missing, at last: %s", judged->trouble);
}

/* --- the plot --- */

struct scale {
    double from, to;
    size_t width;
};

static size_t place(const struct scale *scale, double value)
{
    double span = scale->to - scale->from;
    double share = span > 0 ? (value - scale->from) / span : 0;
    return (size_t)(share * (double)(scale->width - 1) + 0.5);
}

/* `  |---[==#===]-----|  ` */
static void draw(char *bar, const struct scale *scale, const double quartiles[JUDGED_QUARTILES])
{
    static const char marks[JUDGED_QUARTILES] = {'|', '[', '#', ']', '|'};
    static const size_t order[JUDGED_QUARTILES] = {0, 4, 1, 3, 2};
    size_t at[JUDGED_QUARTILES];
    for (size_t i = 0; i < JUDGED_QUARTILES; i++)
        at[i] = place(scale, quartiles[i]);
    memset(bar, ' ', scale->width);
    memset(bar + at[0], '-', at[4] - at[0]);
    memset(bar + at[1], '=', at[3] - at[1]);
    for (size_t i = 0; i < JUDGED_QUARTILES; i++)
        bar[at[order[i]]] = marks[order[i]];
    bar[scale->width] = '\0';
}

static void add_row(struct strbuf *out, const struct judged *judged, const char *name, uint64_t count,
                    const double quartiles[JUDGED_QUARTILES], const struct scale *scale)
{
    char bar[BAR_MAX + 1] = "";
    if (!isnan(quartiles[0]))
        draw(bar, scale, quartiles);
    strbuf_addf(out, "  %-7s %-*s n %" PRIu64, name, (int)scale->width, bar, count);
    if (!isnan(quartiles[0])) {
        strbuf_adds(out, ", ");
        add_value(out, judged, quartiles[2]);
    }
    strbuf_addc(out, '\n');
}

static void add_plot(struct strbuf *out, const struct judged *judged, size_t columns)
{
    const struct evidence *evidence = &judged->evidence;
    struct scale scale = {.from = fmin(judged->canary[0], judged->control[0]),
                          .to = fmax(judged->canary[4], judged->control[4]),
                          .width = columns - SIDES_COLUMNS};
    char left[32], right[32];
    add_row(out, judged, "canary", evidence->canary_count, judged->canary, &scale);
    if (wants_control(evidence))
        add_row(out, judged, "control", evidence->control_count, judged->control, &scale);
    if (isnan(scale.from))
        return;
    snprintf(left, sizeof(left), "%.4g", scale.from);
    snprintf(right, sizeof(right), "%.4g", scale.to);
    strbuf_addf(out, "          %s%*s  medians\n", left, (int)(scale.width - strlen(left)), right);
}

void judged_verdict(struct strbuf *out, const struct judged *judged)
{
    add_reason(out, judged);
    add_limits(out, judged);
}

void judged_evidence(struct strbuf *out, const struct judged *judged, size_t columns)
{
    size_t width = columns < COLUMNS_MIN ? COLUMNS_MIN : columns > BAR_MAX ? BAR_MAX : columns;
    add_plot(out, judged, width);
    if (is_tested(judged)) {
        strbuf_adds(out, "  ");
        add_shift(out, judged);
        strbuf_addc(out, '\n');
    }
    if (judged->trouble)
        strbuf_addf(out, "  figures are missing, at last: %s\n", judged->trouble);
}

void judged_block(struct strbuf *out, const struct judged *judged, size_t columns)
{
    judged_verdict(out, judged);
    strbuf_addc(out, '\n');
    judged_evidence(out, judged, columns);
}
