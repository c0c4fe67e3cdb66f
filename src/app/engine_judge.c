#include <stdio.h>

#include "app/analysis.h"
#include "base/strbuf.h"
#include "engine_step.h"

#define NAMES_MAX 400

bool engine_judges(const struct engine *engine)
{
    return engine->settings->kind == RUN_ROLLOUT && engine->playbook->analysis_count > 0;
}

static bool is_canary(const struct node_view *view)
{
    return view->outcome == NODE_UPDATED;
}

/* Serves the old release, and was well before we came. */
static bool is_control(const struct node_view *view, const struct worker *worker)
{
    return view->outcome == NODE_PENDING && !view->touched && !view->unhealthy_before &&
           worker->serving;
}

struct sides {
    struct analysis_node *canary, *control;
    size_t canary_count, control_count;
};

static void add_node(struct analysis_node *nodes, size_t *count, const struct worker *worker)
{
    nodes[(*count)++] = (struct analysis_node){
        .member = worker->index, .release = worker->serving, .previous = worker->previous};
}

/* As many nodes of the old release as there are of the new one, in the order of the waves: the next ones to be changed. */
static void choose_sides(struct engine *engine, struct sides *sides)
{
    const struct waves *waves = &engine->settings->waves;
    struct node_view view;
    for (size_t i = 0; i < engine->fleet->count; i++) {
        rollout_node(engine->machine, i, &view);
        if (is_canary(&view))
            add_node(sides->canary, &sides->canary_count, &engine->workers[i]);
    }
    for (size_t w = 0; w < waves->count; w++)
        for (size_t i = 0; i < waves->items[w].count; i++) {
            struct worker *worker = &engine->workers[waves->items[w].nodes[i]];
            rollout_node(engine->machine, worker->index, &view);
            if (is_control(&view, worker) && sides->control_count < sides->canary_count)
                add_node(sides->control, &sides->control_count, worker);
        }
}

static void tell_sides(struct engine *engine, const struct sides *sides)
{
    struct strbuf names;
    strbuf_init(&names, NAMES_MAX);
    for (size_t i = 0; i < sides->control_count; i++)
        strbuf_addf(&names, " %s", engine->roster.nodes[sides->control[i].member]);
    if (sides->control_count)
        engine_notice(engine, SIZE_MAX, "judged beside the old release on%s", names.text);
    else
        engine_notice(engine, SIZE_MAX,
                      "no node of the old release is left to compare with: only max and min are judged");
    strbuf_release(&names);
}

static void begin_window(struct engine *engine)
{
    struct sides sides = {0};
    struct arena arena;
    struct err err;
    size_t bytes = (engine->fleet->count + 1) * sizeof(*sides.canary);
    arena_init(&arena);
    sides.canary = arena_alloc(&arena, bytes);
    sides.control = arena_alloc(&arena, bytes);
    if (sides.canary && sides.control) {
        choose_sides(engine, &sides);
        tell_sides(engine, &sides);
        engine->without_control = sides.control_count == 0;
        if (analyses_begin(engine->analyses, sides.canary, sides.canary_count, sides.control,
                           sides.control_count, &err) < 0)
            engine_notice(engine, SIZE_MAX, "the analyses: %s", err.message);
    }
    arena_release(&arena);
}

void engine_judge_note(struct engine *engine, const struct note *note)
{
    if (!engine->analyses || note->kind != NOTE_STATE)
        return;
    if (note->value == (int)ROLLOUT_BAKE)
        begin_window(engine);
    else if (note->value != (int)ROLLOUT_JUDGE)
        analyses_end(engine->analyses);
}

static void tell_findings(struct engine *engine)
{
    struct strbuf sentence;
    strbuf_init(&sentence, 2 * SENTENCE_MAX);
    for (size_t i = 0; i < analyses_count(engine->analyses); i++) {
        const struct judged *judged = analyses_judged(engine->analyses, i);
        if (!judged->asked)
            continue;
        strbuf_reset(&sentence);
        judged_sentence(&sentence, judged);
        struct record record = {.kind = RECORD_ANALYSIS,
                                .node = SIZE_MAX,
                                .wave = rollout_wave(engine->machine),
                                .text = sentence.text,
                                .judged = judged};
        engine_record(engine, &record);
    }
    strbuf_release(&sentence);
}

void carry_judge(struct worker *worker)
{
    static const enum done_status meanings[VERDICTS] = {
        [VERDICT_PASS] = DONE_OK, [VERDICT_INCONCLUSIVE] = DONE_UNDECIDED, [VERDICT_FAIL] = DONE_FAILED};
    struct engine *engine = worker->engine;
    analyses_end(engine->analyses);
    enum verdict verdict = analyses_judge(engine->analyses, engine->without_control);
    tell_findings(engine);
    engine->undecided = verdict == VERDICT_INCONCLUSIVE;
    step_end(worker, meanings[verdict], verdict == VERDICT_PASS ? "" : "the analyses do not pass");
}
