/* Figures from what HAProxy counts for each server: one look at all of it a round. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis_internal.h"
#include "app/balancer.h"

/* HAProxy tells latency as the mean of a server's last 1024 answers: after so many new ones it says nothing of those before. */
#define ANSWERS_OF_A_MEAN 1024
/* So many answers make one share of errors. */
#define ANSWERS_OF_A_SHARE 20

/* What one balancer had counted for one node when its last figure was taken. */
struct traffic_mark {
    bool seen;
    uint64_t sessions, errors;
};

static uint64_t errors_of(const struct traffic_counts *counts)
{
    return counts->status_5xx + counts->connect_errors + counts->response_errors;
}

static double figure_of(enum analysis_metric metric, const struct traffic_counts *counts,
                        const struct traffic_mark *mark)
{
    uint64_t sessions = counts->sessions - mark->sessions, errors = errors_of(counts) - mark->errors;
    if (metric == ANALYSIS_RATE)
        return (double)counts->rate;
    if (metric == ANALYSIS_LATENCY)
        return sessions >= ANSWERS_OF_A_MEAN ? (double)counts->response_ms : NAN;
    return sessions >= ANSWERS_OF_A_SHARE ? fmin(100, 100.0 * (double)errors / (double)sessions) : NAN;
}

/* A balancer that was restarted counts from nothing. */
static bool is_behind(const struct traffic_counts *counts, const struct traffic_mark *mark)
{
    return counts->sessions < mark->sessions || errors_of(counts) < mark->errors;
}

static void take_figure(struct question *question, const struct traffic_counts *counts,
                        struct traffic_mark *mark)
{
    double figure = NAN;
    if (mark->seen && !is_behind(counts, mark))
        figure = figure_of(question->run->rules->metric, counts, mark);
    if (mark->seen && !is_behind(counts, mark) && isnan(figure))
        return;
    sample_add(&question->run->sides[question->side], figure);
    *mark = (struct traffic_mark){
        .seen = true, .sessions = counts->sessions, .errors = errors_of(counts)};
}

/* The balancers' server of the instance: one a node, or one a slot of it. */
static size_t slot_of(const struct question *question)
{
    const struct fleet *fleet = question->run->analyses->fleet;
    const char *slot = question->words.slot;
    bool green = slot && strcmp(slot, slot_name(SLOT_GREEN)) == 0;
    return green && playbook_has_slots(fleet->playbook) ? SLOT_GREEN : 0;
}

static void take_figures(struct analysis_run *run)
{
    struct fleet *fleet = run->analyses->fleet;
    for (size_t i = 0; i < run->question_count; i++)
        for (size_t front = 0; front < fleet->front_count; front++) {
            struct question *question = &run->questions[i];
            const struct traffic_view *view =
                balancers_view(fleet->balancers, front, question->member, slot_of(question));
            if (view && view->counts.counted)
                take_figure(question, &view->counts, &question->marks[front]);
        }
}

/* One look serves all analyses that wait for it. */
static void looked(void *context, const struct step_result *result)
{
    struct analyses *analyses = context;
    analyses->looking = false;
    for (size_t i = 0; i < analyses->count; i++) {
        struct analysis_run *run = &analyses->runs[i];
        struct err err;
        if (run->asker != &analysis_haproxy || !run->waiting)
            continue;
        take_figures(run);
        if (result->status == DONE_OK) {
            question_answered(&run->questions[run->order[0]], NAN);
        } else {
            err_set(&err, ERR_UNREACHABLE, "%s", result->sentence);
            question_failed(&run->questions[run->order[0]], &err);
        }
    }
}

static int ask(struct question *question, struct err *err)
{
    struct analyses *analyses = question->run->analyses;
    struct fleet *fleet = analyses->fleet;
    for (size_t i = 0; i < question->run->question_count; i++) {
        struct question *each = &question->run->questions[i];
        if (!each->marks)
            each->marks = arena_alloc(&analyses->arena, fleet->front_count * sizeof(*each->marks));
        if (!each->marks)
            return err_set(err, ERR_MEMORY, "out of memory");
    }
    if (!analyses->looking)
        balancers_look(fleet->balancers, looked, analyses);
    analyses->looking = true;
    return 0;
}

static void cancel(struct question *question)
{
    struct analyses *analyses = question->run->analyses;
    if (analyses->looking)
        balancers_look_cancel(analyses->fleet->balancers);
    analyses->looking = false;
}

const struct analysis_asker analysis_haproxy = {
    .ask = ask, .cancel = cancel, .shared = true, .whole = true, .at_once = 1};
