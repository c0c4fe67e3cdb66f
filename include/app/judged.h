/*
 * What an analysis found, as people and journals are told it: a sentence, and a plot of both sides. Decides nothing.
 */
#ifndef APP_JUDGED_H
#define APP_JUDGED_H

#include <stdbool.h>

#include "base/strbuf.h"
#include "core/judge.h"

/* least, first quartile, median, third quartile, greatest; NaN when there are no figures */
#define JUDGED_QUARTILES 5
struct judged {
    bool asked; /* false: it only compares, and no node of the old release was left */
    const char *analysis; /* from [analysis NAME] */
    const char *measure;  /* `latency`, `errors`, `query`, `command` */
    const char *unit;     /* `ms`, `%`; "" when unknown */
    const char *statistic; /* judge_statistic_name */
    const char *trouble;   /* the last thing that kept a figure from coming; NULL: nothing did */
    double confidence;
    double max, min; /* NaN: not asked for */
    struct evidence evidence;
    double canary[JUDGED_QUARTILES], control[JUDGED_QUARTILES];
};

/* Appends all of it in one line: `analysis latency: fail: latency higher than the control: canary n 60 median 30.2 ms, ...`. */
void judged_sentence(struct strbuf *out, const struct judged *judged);
/* Appends the verdict alone: `analysis errors: fail: errors above max, mean 3% (max 1%)`. */
void judged_verdict(struct strbuf *out, const struct judged *judged);
/* Appends what it rests on, as lines of at most `columns` (60 to 200; only a trouble may be longer), each ended by a newline: a box plot
 * of each side, from the least to the greatest figure of both, and the figures of the test. ASCII. */
void judged_evidence(struct strbuf *out, const struct judged *judged, size_t columns);
/* Both, the verdict on a line of its own. */
void judged_block(struct strbuf *out, const struct judged *judged, size_t columns);

const char *judge_reason_name(enum judge_reason reason); /* `above max`, ... static */

#endif
