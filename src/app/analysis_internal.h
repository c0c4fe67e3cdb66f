/* What the analyses and their sources share. Nobody else includes this. */
#ifndef ANALYSIS_INTERNAL_H
#define ANALYSIS_INTERNAL_H

#include "app/analysis.h"
#include "app/dependency.h"
#include "io/http.h"

enum side { SIDE_CANARY, SIDE_CONTROL, SIDES };

struct analysis_run;
struct command_call;
struct traffic_mark;

/* One thing asked each round. */
struct question {
    struct analysis_run *run;
    size_t member;
    enum side side;
    struct node_words words;
    bool waiting;
    struct http_call *http;
    struct command_call *call;
    struct traffic_mark *marks; /* one a balancer */
    uint32_t tried, failed; /* answers since the last figure, when figures are shares of several */
};

/* One analysis. */
struct analysis_run {
    struct analyses *analyses;
    const struct analysis *rules;
    const struct analysis_asker *asker;
    struct dependency *guard; /* the Prometheus server's breaker; NULL: another source */
    struct sample sides[SIDES];
    struct question *questions;
    size_t *order; /* in which they are asked: by lot each round, since who is asked first waits while the others are asked */
    struct random random;
    size_t question_count, next, waiting;
    bool reached; /* somebody has answered in this round */
    bool failing; /* nobody is asked any more in this round */
    int64_t round_began_ms;
    struct timer *timer;
    char trouble[ERR_MESSAGE_MAX];
    struct judged judged;
};

struct analyses {
    struct fleet *fleet;
    const char *rollout;
    struct arena arena; /* of the window */
    struct analysis_run *runs;
    size_t count;
    size_t commands; /* that run, wanted or not */
    bool looking;    /* at the balancers */
    bool leaving;    /* they are all that is waited for */
};

/* How a source is asked. */
struct analysis_asker {
    /* Begins to ask; the end is one of the two below, from the loop. Negative: it could not be. */
    int (*ask)(struct question *question, struct err *err);
    /* Ends it early, without an answer. */
    void (*cancel)(struct question *question);
    bool shared; /* one server for all: when it cannot be reached for one, it is not asked for the others of the round */
    bool whole;  /* the first question brings the figures of all */
    size_t at_once;
};
extern const struct analysis_asker analysis_probe, analysis_haproxy, analysis_prometheus, analysis_command;

/* A figure, or NaN for none in this round. */
void question_answered(struct question *question, double figure);
void question_failed(struct question *question, const struct err *error);

/* Whether a Prometheus query differs from node to node; else one question a side is enough. */
bool analysis_asks_each_node(const struct analysis *analysis);

#endif
