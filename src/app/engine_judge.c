#include <stdio.h>

#include "app/analysis.h"
#include "app/sides.h"
#include "base/strbuf.h"
#include "engine_step.h"

#define NAMES_MAX 400

bool engine_judges(const struct engine *engine)
{
    return engine->settings->kind == RUN_ROLLOUT && engine->playbook->analysis_count > 0;
}

bool engine_refreshes(const struct engine *engine)
{
    return engine_judges(engine) && !engine->settings->sides && engine->playbook->strategy.baseline == BASELINE_FRESH;
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

struct compared {
    struct analysis_node *canary, *control;
    size_t canary_count, control_count;
    bool fresh;
};

static struct analysis_node seen_on(const struct worker *worker)
{
    return (struct analysis_node){.member = worker->index,
                                  .release = worker->serving,
                                  .previous = worker->previous,
                                  .slot = worker->words.slot};
}

static void choose_canary(const struct engine *engine, struct compared *compared)
{
    struct node_view view;
    for (size_t i = 0; i < engine->fleet->count; i++) {
        rollout_node(engine->machine, i, &view);
        if (is_canary(&view))
            compared->canary[compared->canary_count++] = seen_on(&engine->workers[i]);
    }
}

/* As many nodes of the old release as there are of the new one, in the order of the waves: the next ones to be changed. */
static void choose_next_ones(const struct engine *engine, struct compared *compared)
{
    const struct waves *waves = &engine->settings->waves;
    struct node_view view;
    for (size_t w = 0; w < waves->count; w++)
        for (size_t i = 0; i < waves->items[w].count; i++) {
            const struct worker *worker = &engine->workers[waves->items[w].nodes[i]];
            rollout_node(engine->machine, worker->index, &view);
            if (is_control(&view, worker) && compared->control_count < compared->canary_count)
                compared->control[compared->control_count++] = seen_on(worker);
        }
}

/* Those that were restarted for it: their processes are as old as the canary's. */
static void choose_fresh_ones(const struct engine *engine, struct compared *compared)
{
    const struct waves *waves = &engine->settings->waves;
    struct node_view view;
    for (size_t w = waves->count; w-- > 0;)
        for (size_t i = waves->items[w].count; i-- > 0;) {
            const struct worker *worker = &engine->workers[waves->items[w].nodes[i]];
            rollout_node(engine->machine, worker->index, &view);
            if (view.fresh && view.outcome == NODE_PENDING && compared->control_count < compared->canary_count)
                compared->control[compared->control_count++] = seen_on(worker);
        }
    compared->fresh = compared->control_count > 0;
}

/* The instances that had the traffic before the switch, and run on: the partner of each new one, once. */
static void choose_old_side(const struct engine *engine, struct compared *compared)
{
    const struct sides *sides = engine->settings->sides;
    for (size_t i = 0; i < compared->canary_count; i++) {
        const struct worker *worker = &engine->workers[compared->canary[i].member];
        size_t partner = sides_partner(sides, engine->fleet, worker->index);
        bool known = partner == SIZE_MAX;
        struct node_view view;
        rollout_node(engine->machine, worker->index, &view);
        for (size_t k = 0; k < compared->control_count; k++)
            known = known || compared->control[k].member == partner;
        if (!known && !view.unhealthy_before)
            compared->control[compared->control_count++] = (struct analysis_node){
                .member = partner, .release = worker->old_words.release, .slot = worker->old_words.slot};
    }
}

static void tell_compared(struct engine *engine, const struct compared *compared)
{
    const struct sides *sides = engine->settings->sides;
    struct strbuf names;
    strbuf_init(&names, NAMES_MAX);
    for (size_t i = 0; i < compared->control_count; i++)
        strbuf_addf(&names, " %s", engine->roster.nodes[compared->control[i].member]);
    if (compared->control_count && sides)
        engine_notice(engine, SIZE_MAX, "judged beside the old side, %s, on%s", slot_name(sides->live), names.text);
    else if (compared->fresh && compared->control_count < compared->canary_count)
        engine_notice(engine, SIZE_MAX, "judged beside the old release, restarted for it, on%s: %zu of %zu, no more could be restarted",
                      names.text, compared->control_count, compared->canary_count);
    else if (compared->fresh)
        engine_notice(engine, SIZE_MAX, "judged beside the old release, restarted for it, on%s", names.text);
    else if (compared->control_count)
        engine_notice(engine, SIZE_MAX, "judged beside the old release on%s%s", names.text,
                      engine_refreshes(engine) ? ": not restarted, since no node could be taken out for it" : "");
    else
        engine_notice(engine, SIZE_MAX,
                      "no node of the old release is left to compare with: only max and min are judged");
    strbuf_release(&names);
}

static void begin_window(struct engine *engine)
{
    struct compared compared = {0};
    struct arena arena;
    struct err err;
    size_t bytes = (engine->fleet->count + 1) * sizeof(*compared.canary);
    arena_init(&arena);
    compared.canary = arena_alloc(&arena, bytes);
    compared.control = arena_alloc(&arena, bytes);
    if (compared.canary && compared.control) {
        choose_canary(engine, &compared);
        if (engine->settings->sides)
            choose_old_side(engine, &compared);
        else
            choose_fresh_ones(engine, &compared);
        if (!engine->settings->sides && !compared.fresh)
            choose_next_ones(engine, &compared);
        tell_compared(engine, &compared);
        engine->without_control = compared.control_count == 0;
        if (analyses_begin(engine->analyses, compared.canary, compared.canary_count, compared.control,
                           compared.control_count, &err) < 0)
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
