#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "engine_internal.h"

#define ANSWER_TIMEOUT_MS 15000

bool engine_confirms(const struct engine *engine)
{
    return engine->settings->kind == RUN_ROLLOUT && engine->playbook->strategy.confirm_ms > 0;
}

void engine_add_timer(struct worker *worker, struct session *session)
{
    /* Past a point of no return a node must not go back by itself either. */
    if (!engine_confirms(worker->engine) || rollout_no_way_back(worker->engine->machine))
        return;
    session_add(session, "previous", worker->previous ? worker->previous : "-");
    session_addu(session, "confirm",
                 (uint64_t)(worker->engine->playbook->strategy.confirm_ms + 999) / 1000);
    worker->unconfirmed =
        !worker->previous || !worker->target || strcmp(worker->previous, worker->target) != 0;
}

void engine_tell_reverted(struct worker *worker, const struct reply *reply)
{
    const char *text = reply->error ? NULL : reply_get(reply, "reverted");
    struct strbuf sentence;
    strbuf_init(&sentence, SENTENCE_MAX);
    if (text && reverted_sentence(text, &sentence)) {
        engine_notice(worker->engine, worker->index, "%s", sentence.text);
        worker->unconfirmed = false;
        worker->serving = worker->previous;
    }
    strbuf_release(&sentence);
}

/* --- the second connection --- */

static void free_second(void *context)
{
    struct worker *worker = context;
    worker->second_over = NULL;
    session_free(worker->second);
    worker->second = NULL;
}

static void end(struct worker *worker, struct step_result result)
{
    char sentence[SENTENCE_MAX];
    snprintf(sentence, sizeof(sentence), "not confirmed over a new connection: %.*s",
             SENTENCE_MAX - 64, result.sentence);
    result.sentence = result.status == DONE_OK ? "" : sentence;
    result.output = "";
    if (!worker->second_over)
        worker->second_over = timer_start(worker->engine->fleet->loop, 0, free_second, worker);
    engine_answer(worker, &result);
}

static void end_with_error(struct worker *worker, const struct err *error)
{
    end(worker, step_from_error(error));
}

static void answered(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    if (!reply->error && reply->status == REPLY_OK)
        worker->unconfirmed = false;
    engine_tell_reverted(worker, reply);
    end(worker, step_from_reply(reply));
}

static void opened(void *context, const struct err *error)
{
    struct worker *worker = context;
    struct session *session = worker->second;
    struct err err;
    if (error) {
        end_with_error(worker, error);
        return;
    }
    session_begin(session, "confirm");
    /* On behalf of the main session: it settles nothing, and takes no epoch away. */
    session_addu(session, "fence", worker->fence);
    session_addu(session, "epoch", session_epoch(worker->member->session));
    session_add(session, "release", worker->target);
    if (!session_submit(session, ANSWER_TIMEOUT_MS, answered, worker, &err))
        end_with_error(worker, &err);
}

void engine_carry_confirm(struct worker *worker)
{
    struct err err;
    engine_confirm_release(worker);
    worker->second = session_create_like(worker->member->session);
    if (worker->second) {
        session_connect(worker->second, worker->engine->playbook->retry.connect_timeout_ms, opened,
                        worker);
        return;
    }
    err_set(&err, ERR_MEMORY, "out of memory");
    end_with_error(worker, &err);
}

void engine_cancel_confirm(struct worker *worker)
{
    if (worker->second)
        session_drop(worker->second, "no answer in time");
}

void engine_confirm_release(struct worker *worker)
{
    timer_stop(worker->second_over);
    worker->second_over = NULL;
    session_free(worker->second);
    worker->second = NULL;
}
