/*
 * [analysis NAME] of a playbook: what is measured of a canary, what it is compared with, and what that means. Words only: app/analysis.h
 * takes the figures, core/judge.h judges them.
 */
#ifndef MODEL_ANALYSIS_H
#define MODEL_ANALYSIS_H

#include <stdbool.h>
#include <stdint.h>

/* A limit as it is written: `1%`, `250ms`, `0.5`. */
enum figure_unit { FIGURE_PLAIN, FIGURE_PERCENT, FIGURE_TIME };
struct figure {
    double value; /* percent, or milliseconds for FIGURE_TIME */
    enum figure_unit unit;
    bool given;
};

/* Orders as in core/judge.h where it has the same. */
enum analysis_source { ANALYSIS_PROBE, ANALYSIS_HAPROXY, ANALYSIS_PROMETHEUS, ANALYSIS_COMMAND };
enum analysis_metric { ANALYSIS_LATENCY, ANALYSIS_ERRORS, ANALYSIS_RATE };
enum analysis_compare { COMPARE_CONTROL, COMPARE_NO };
enum worse_direction { WORSE_INCREASE, WORSE_DECREASE, WORSE_EITHER };
enum figure_statistic { FIGURE_MEAN, FIGURE_MEDIAN, FIGURE_P90, FIGURE_P95, FIGURE_P99 };
enum inconclusive_policy { INCONCLUSIVE_HOLD, INCONCLUSIVE_FAIL, INCONCLUSIVE_PASS };
#define ANALYSES_MAX 16
#define ANALYSIS_ANSWERS_A_SHARE 10 /* probes of errors: so many answers of one node are one figure */
struct analysis {
    const char *name;            /* from [analysis NAME] */
    enum analysis_source source; /* probe */
    enum analysis_metric metric; /* latency; of probe and haproxy: milliseconds, or percent */
    const char *prometheus;      /* URL of the server, without the API's path */
    const char *query;           /* PromQL template; names stand for letters, digits and `._:/@-` only */
    const char *command;         /* on the runner; the last word that it prints is the figure */
    struct figure max, min;      /* of the canary alone */
    enum figure_statistic statistic; /* that max and min are held against; median, of errors the mean */
    enum analysis_compare compare;   /* control */
    enum worse_direction direction;  /* increase */
    double tolerance, allowed, confidence; /* 0.25, 0.1, 0.98 */
    uint32_t min_samples;                  /* 50, on each side that is looked at */
    int64_t interval_ms; /* from one round to the next: 1 s for probe, 15 s for prometheus, else 5 s */
    int64_t timeout_ms;  /* 2 s; of one question */
    enum inconclusive_policy inconclusive; /* hold */
    int line;
};
const char *analysis_source_name(enum analysis_source source); /* "probe", ... static */
const char *analysis_metric_name(enum analysis_metric metric); /* "latency", ... static */

#endif
