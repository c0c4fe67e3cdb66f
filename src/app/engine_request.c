#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "engine_step.h"

#define OUTPUT_LINE_MAX 1000

/* --- ends of steps --- */

void step_end(struct worker *worker, enum done_status status, const char *sentence)
{
    struct step_result result = {.status = status, .sentence = sentence, .output = ""};
    engine_answer(worker, &result);
}

void step_end_error(struct worker *worker, const struct err *error)
{
    struct step_result result = step_from_error(error);
    engine_answer(worker, &result);
}

void step_output(struct worker *worker, const char *output)
{
    while (*output) {
        size_t length = strcspn(output, "\n");
        size_t most = text_cut(output, OUTPUT_LINE_MAX);
        char line[OUTPUT_LINE_MAX + 1];
        snprintf(line, sizeof(line), "%.*s", (int)(length < most ? length : most), output);
        struct record record = {.kind = RECORD_OUTPUT,
                                .node = worker->index,
                                .phase = step_name(worker->action.step),
                                .text = line};
        engine_record(worker->engine, &record);
        output += length + (output[length] == '\n');
    }
}

void step_ended(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    if (!worker->busy)
        return;
    step_output(worker, result->output);
    engine_answer(worker, result);
}

/* The node knows only that it was asked to end the step: why is known here. */
struct step_result step_judge(const struct worker *worker, const struct reply *reply, char sentence[SENTENCE_MAX])
{
    struct step_result result = step_from_reply(reply);
    char limit[DURATION_TEXT_MAX];
    if (result.status == DONE_CANCELLED && worker->overdue) {
        snprintf(sentence, SENTENCE_MAX, "no end within its timeout of %s; ended it with everything it had started",
                 duration_format(limit, worker->action.timeout_ms));
        result.sentence = sentence;
    }
    return result;
}

void step_replied(void *context, const struct reply *reply)
{
    char sentence[SENTENCE_MAX];
    struct step_result result = step_judge(context, reply, sentence);
    step_ended(context, &result);
}

/* --- requests --- */

void step_env(void *context, const char *name, const char *value)
{
    session_env(context, name, value);
}

/* Begins a request that changes something: fenced, and with a token by which the node knows a repeated one. */
struct session *step_begin_change(struct worker *worker, const char *verb)
{
    return step_begin_keyed(worker, verb, "");
}

struct session *step_begin_keyed(struct worker *worker, const char *verb, const char *key)
{
    struct session *session = worker->member->session;
    char token[80];
    snprintf(token, sizeof(token), "%s.%" PRIu32 "%s", worker->engine->settings->rollout,
             worker->action.token, key);
    session_begin(session, verb);
    session_add(session, "rollout", worker->engine->settings->rollout);
    session_add(session, "token", token);
    session_add_fence(session, worker->fence);
    engine_add_breakers(worker, strcmp(verb, "finish") == 0);
    return session;
}

void step_submit(struct worker *worker, int64_t timeout_ms, reply_fn *fn)
{
    struct err err;
    worker->request = session_submit(worker->member->session, timeout_ms, fn, worker, &err);
    if (!worker->request)
        step_end_error(worker, &err);
}

/* The release that an action is about: the target, what the node ran before us, or what it runs. NULL: none. */
const char *step_release_of(const struct worker *worker, const struct action *action)
{
    if (action->release == RELEASE_PRESENT)
        return worker->serving;
    return action->release == RELEASE_TARGET ? worker->target : worker->previous;
}

void step_look_into(struct worker *worker, const char *release, reply_fn *fn)
{
    session_begin(worker->member->session, "verify");
    session_add(worker->member->session, "release", release);
    step_submit(worker, worker->engine->playbook->retry.step_timeout_ms, fn);
}
