/* The breakers of a run: told to who watches it, and to the nodes that it holds, so that another machine can ask them. */
#include <stdio.h>

#include "app/dependency.h"
#include "base/units.h"
#include "engine_internal.h"

#define NOTES_A_REQUEST 8
#define NOTES_AT_THE_END 24
#define NOTES_A_NODE 100 /* while the run goes on: a breaker that opens and closes for days must not fill a journal */

static void tell_breaker(struct engine *engine, size_t node, const char *name, enum breaker_state state, const char *cause)
{
    char left[DURATION_TEXT_MAX], text[SENTENCE_MAX + 128];
    struct record record = {.kind = RECORD_BREAKER,
                            .node = node,
                            .phase = name,
                            .state = breaker_state_name(state),
                            .cause = cause,
                            .text = text};
    if (state == BREAKER_OPEN)
        snprintf(text, sizeof(text), "%s%sbreaker open, left alone for %s: %s", name ? name : "", name ? ": " : "",
                 duration_format(left, engine->playbook->breaker.cool_down_ms), cause ? cause : "");
    else
        snprintf(text, sizeof(text), "%s%sbreaker %s", name ? name : "", name ? ": " : "",
                 state == BREAKER_HALF_OPEN ? "half open: one trial" : "closed: it answers again");
    engine_record(engine, &record);
    breaker_list_note(&engine->breakers, &record);
}

void engine_report_breaker(struct engine *engine, const struct note *note)
{
    struct worker *worker = &engine->workers[note->node];
    enum breaker_state state = (enum breaker_state)note->value;
    if (state == BREAKER_OPEN)
        worker->opened_by = arena_strdup(&engine->arena, worker->sentence);
    tell_breaker(engine, note->node, NULL, state, worker->opened_by);
}

void engine_dependency_changed(void *context, const struct dependency *dependency, enum breaker_state state,
                               const char *cause)
{
    tell_breaker(context, SIZE_MAX, dependency_name(dependency), state, cause);
}

void engine_add_breakers(struct worker *worker, bool last)
{
    const struct breaker_list *breakers = &worker->engine->breakers;
    const struct breaker_seen *seen;
    struct strbuf text;
    size_t most = last ? NOTES_AT_THE_END : NOTES_A_REQUEST;
    strbuf_init(&text, 2 * ERR_MESSAGE_MAX);
    for (size_t added = 0; added < most && (last || worker->breakers_noted < NOTES_A_NODE) &&
                           (seen = breaker_list_after(breakers, worker->breakers_told)) != NULL;
         added++) {
        strbuf_reset(&text);
        breaker_note_write(&text, seen);
        session_add(worker->member->session, "breaker", text.text);
        worker->breakers_told = seen->change;
        worker->breakers_noted++;
    }
    strbuf_release(&text);
}
