#include "app/analysis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis_internal.h"
#include "io/loop.h"

_Static_assert((int)WORSE_EITHER == (int)DIRECTION_EITHER && (int)FIGURE_P99 == (int)STATISTIC_P99,
               "the playbook's orders are the judge's");

static const struct analysis_asker *asker_of(enum analysis_source source)
{
    static const struct analysis_asker *const askers[] = {
        [ANALYSIS_PROBE] = &analysis_probe,
        [ANALYSIS_HAPROXY] = &analysis_haproxy,
        [ANALYSIS_PROMETHEUS] = &analysis_prometheus,
        [ANALYSIS_COMMAND] = &analysis_command,
    };
    return askers[source];
}

/* Analyses that ask the same server share its breaker. */
static int make_run(struct analysis_run *run, struct analyses *analyses, const struct analysis *rules)
{
    char name[ERR_MESSAGE_MAX];
    run->analyses = analyses;
    run->rules = rules;
    run->asker = asker_of(rules->source);
    if (rules->source != ANALYSIS_PROMETHEUS)
        return 0;
    snprintf(name, sizeof(name), "prometheus %s", rules->prometheus);
    run->guard = dependency_named(analyses->fleet->dependencies, name);
    return run->guard ? 0 : -1;
}

struct analyses *analyses_create(struct fleet *fleet, const char *rollout)
{
    const struct playbook *playbook = fleet->playbook;
    struct analyses *analyses = calloc(1, sizeof(*analyses));
    if (!analyses)
        return NULL;
    analyses->fleet = fleet;
    analyses->rollout = rollout;
    arena_init(&analyses->arena);
    analyses->runs = calloc(playbook->analysis_count + 1, sizeof(*analyses->runs));
    if (!analyses->runs) {
        free(analyses);
        return NULL;
    }
    int rc = 0;
    for (; analyses->count < playbook->analysis_count && rc == 0; analyses->count++)
        rc = make_run(&analyses->runs[analyses->count], analyses, &playbook->analyses[analyses->count]);
    if (rc == 0)
        return analyses;
    analyses_free(analyses);
    return NULL;
}

/* --- rounds --- */

static void begin_round(void *context);

static void end_round(struct analysis_run *run)
{
    struct loop *loop = run->analyses->fleet->loop;
    int64_t wait = run->round_began_ms + run->rules->interval_ms - loop_now_ms(loop);
    run->timer = timer_start(loop, wait > 0 ? wait : 0, begin_round, run);
}

static void ask_on(struct analysis_run *run)
{
    /* A shared server is tried with one question; then come the others. */
    size_t most = run->asker->shared && !run->reached ? 1 : run->asker->at_once;
    while (!run->failing && run->next < run->question_count && run->waiting < most) {
        struct question *question = &run->questions[run->order[run->next]];
        run->next = run->asker->whole ? run->question_count : run->next + 1;
        struct err err;
        run->waiting++;
        question->waiting = true;
        if (run->asker->ask(question, &err) < 0) {
            run->waiting--;
            question->waiting = false;
            snprintf(run->trouble, sizeof(run->trouble), "%s", err.message);
        }
    }
    if (!run->waiting && !run->timer)
        end_round(run);
}

/* Fisher and Yates'. */
static void shuffle(struct analysis_run *run)
{
    for (size_t i = run->question_count; i > 1; i--) {
        size_t place = (size_t)random_below(&run->random, i), last = run->order[i - 1];
        run->order[i - 1] = run->order[place];
        run->order[place] = last;
    }
}

static void begin_round(void *context)
{
    struct analysis_run *run = context;
    shuffle(run);
    run->timer = NULL;
    run->next = 0;
    run->reached = false;
    run->failing = false;
    run->round_began_ms = loop_now_ms(run->analyses->fleet->loop);
    ask_on(run);
}

static void question_ended(struct question *question)
{
    question->waiting = false;
    question->run->waiting--;
    ask_on(question->run);
}

void question_answered(struct question *question, double figure)
{
    question->run->reached = true;
    sample_add(&question->run->sides[question->side], figure);
    question_ended(question);
}

static const char *name_of(const struct question *question)
{
    return question->run->analyses->fleet->members[question->member].node->name;
}

void question_failed(struct question *question, const struct err *error)
{
    struct analysis_run *run = question->run;
    bool out_of_reach = error->code == ERR_UNREACHABLE || error->code == ERR_TIMEOUT;
    if (run->asker->shared)
        snprintf(run->trouble, sizeof(run->trouble), "%s", error->message);
    else
        snprintf(run->trouble, sizeof(run->trouble), "%s: %.*s", name_of(question),
                 ERR_MESSAGE_MAX - 300, error->message);
    run->failing = run->failing || (run->asker->shared && out_of_reach);
    run->reached = run->reached || !out_of_reach;
    question_ended(question);
}

/* --- windows --- */

static bool compares(const struct analysis_run *run)
{
    return run->rules->compare == COMPARE_CONTROL;
}

static void add_questions(struct analysis_run *run, enum side side,
                          const struct analysis_node *nodes, size_t count)
{
    if (!analysis_asks_each_node(run->rules) && count > 1)
        count = 1;
    for (size_t i = 0; i < count; i++)
        run->questions[run->question_count++] =
            (struct question){.run = run,
                              .member = nodes[i].member,
                              .side = side,
                              .words = {.release = nodes[i].release,
                                        .slot = nodes[i].slot,
                                        .previous = nodes[i].previous,
                                        .rollout = run->analyses->rollout}};
}

static int begin_run(struct analysis_run *run, const struct analysis_node *canary,
                     size_t canary_count, const struct analysis_node *control, size_t control_count)
{
    size_t most = canary_count + control_count + 1;
    run->questions = arena_alloc(&run->analyses->arena, most * sizeof(*run->questions));
    run->order = arena_alloc(&run->analyses->arena, most * sizeof(*run->order));
    if (!run->questions || !run->order)
        return ERR_MEMORY;
    for (size_t i = 0; i < most; i++)
        run->order[i] = i;
    random_init(&run->random, 1);
    run->question_count = 0;
    run->trouble[0] = '\0';
    for (size_t side = 0; side < SIDES; side++)
        sample_init(&run->sides[side], side + 1);
    add_questions(run, SIDE_CANARY, canary, canary_count);
    if (compares(run))
        add_questions(run, SIDE_CONTROL, control, control_count);
    run->timer = timer_start(run->analyses->fleet->loop, 0, begin_round, run);
    return run->timer ? 0 : ERR_MEMORY;
}

int analyses_begin(struct analyses *analyses, const struct analysis_node *canary,
                   size_t canary_count, const struct analysis_node *control, size_t control_count,
                   struct err *err)
{
    analyses_end(analyses);
    arena_release(&analyses->arena);
    arena_init(&analyses->arena);
    for (size_t i = 0; i < analyses->count; i++)
        if (begin_run(&analyses->runs[i], canary, canary_count, control, control_count) < 0)
            return err_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

static void end_run(struct analysis_run *run)
{
    timer_stop(run->timer);
    run->timer = NULL;
    for (size_t i = 0; i < run->question_count; i++)
        if (run->questions[i].waiting)
            run->asker->cancel(&run->questions[i]);
    run->question_count = 0;
    run->waiting = 0;
}

void analyses_end(struct analyses *analyses)
{
    for (size_t i = 0; i < analyses->count; i++)
        end_run(&analyses->runs[i]);
}

void analyses_free(struct analyses *analyses)
{
    if (!analyses)
        return;
    analyses_end(analyses);
    analyses->leaving = true;
    if (analyses->commands)
        loop_run(analyses->fleet->loop);
    arena_release(&analyses->arena);
    free(analyses->runs);
    free(analyses);
}

/* --- verdicts --- */

static struct judge_rules rules_of(const struct analysis_run *run, bool without_control)
{
    const struct analysis *rules = run->rules;
    return (struct judge_rules){
        .has_max = rules->max.given,
        .max = rules->max.value,
        .has_min = rules->min.given,
        .min = rules->min.value,
        .statistic = (enum judge_statistic)rules->statistic,
        .compares = compares(run) && !without_control,
        .direction = (enum judge_direction)rules->direction,
        .tolerance = rules->tolerance,
        .allowed = rules->allowed,
        .confidence = rules->confidence,
        .min_samples = rules->min_samples,
    };
}

static const char *measure_of(const struct analysis *rules)
{
    if (rules->source == ANALYSIS_PROMETHEUS)
        return "query";
    return rules->source == ANALYSIS_COMMAND ? "command" : analysis_metric_name(rules->metric);
}

static const char *unit_of(const struct analysis *rules)
{
    if (rules->source == ANALYSIS_PROMETHEUS || rules->source == ANALYSIS_COMMAND)
        return "";
    static const char *const units[] = {[ANALYSIS_LATENCY] = "ms", [ANALYSIS_ERRORS] = "%", [ANALYSIS_RATE] = "/s"};
    return units[rules->metric];
}

static enum verdict judge_run(struct analysis_run *run, bool without_control)
{
    static const enum verdict policies[] = {[INCONCLUSIVE_HOLD] = VERDICT_INCONCLUSIVE,
                                            [INCONCLUSIVE_FAIL] = VERDICT_FAIL,
                                            [INCONCLUSIVE_PASS] = VERDICT_PASS};
    const struct analysis *rules = run->rules;
    struct judge_rules judge_rules = rules_of(run, without_control);
    struct judged *judged = &run->judged;
    bool asked = !without_control || rules->max.given || rules->min.given;
    *judged = (struct judged){
        .asked = asked,
        .analysis = rules->name,
        .measure = measure_of(rules),
        .unit = unit_of(rules),
        .statistic = judge_statistic_name(judge_rules.statistic),
        .trouble = run->trouble[0] ? run->trouble : NULL,
        .confidence = rules->confidence,
        .max = rules->max.given ? rules->max.value : NAN,
        .min = rules->min.given ? rules->min.value : NAN,
    };
    judge_samples(&judged->evidence, &judge_rules, &run->sides[SIDE_CANARY], &run->sides[SIDE_CONTROL]);
    for (size_t i = 0; i < JUDGED_QUARTILES; i++) {
        double share = (double)i / (JUDGED_QUARTILES - 1);
        judged->canary[i] = sample_quantile(&run->sides[SIDE_CANARY], share);
        judged->control[i] = sample_quantile(&run->sides[SIDE_CONTROL], share);
    }
    if (!asked)
        return VERDICT_PASS;
    return judged->evidence.verdict == VERDICT_INCONCLUSIVE ? policies[rules->inconclusive]
                                                            : judged->evidence.verdict;
}

enum verdict analyses_judge(struct analyses *analyses, bool without_control)
{
    enum verdict all = VERDICT_PASS;
    for (size_t i = 0; i < analyses->count; i++)
        all = verdict_join(all, judge_run(&analyses->runs[i], without_control));
    return all;
}

size_t analyses_count(const struct analyses *analyses)
{
    return analyses->count;
}

const struct judged *analyses_judged(const struct analyses *analyses, size_t index)
{
    return &analyses->runs[index].judged;
}
