#include <stdio.h>
#include <string.h>

#include "app/stateful.h"
#include "engine_step.h"

#define LEADER_TIMEOUT_MS 20000

/* A command that only looks: recorded nowhere, repeated at will. */
static void ask(struct worker *worker, const char *command, int64_t timeout_ms, reply_fn *fn)
{
    struct session *session = worker->member->session;
    const char *release = step_release_of(worker, &worker->action);
    if (worker->action.step == STEP_LEADER)
        release = worker->serving;
    worker->words.release = release ? release : "";
    session_begin(session, "probe");
    session_add(session, "command", command);
    session_addu(session, "timeout_ms", (uint64_t)timeout_ms);
    node_environment(worker->member, &worker->words, step_env, session);
    step_submit(worker, timeout_ms + KILL_GRACE_MS, fn);
}

static void leader_came(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    struct step_result result = step_from_reply(reply);
    struct err err = {0};
    bool leads = false;
    if (!reply->error && leader_read(&leads, worker->member->node, reply, &err) < 0) {
        result.status = DONE_FAILED;
        result.sentence = err.message;
    } else if (!reply->error) {
        result.status = DONE_OK;
        result.leads = leads;
        result.sentence = "";
    }
    step_ended(worker, &result);
}

void carry_leader(struct worker *worker)
{
    ask(worker, worker->engine->playbook->strategy.leader, LEADER_TIMEOUT_MS, leader_came);
}

static void ready_came(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    struct step_result result = step_from_reply(reply);
    const char *status = reply->error ? NULL : reply_get(reply, "status");
    char sentence[SENTENCE_MAX];
    size_t length = reply->error ? 0 : strcspn(reply->output, "\n");
    if (status && result.status == DONE_FAILED) {
        snprintf(sentence, sizeof(sentence), "ready_after exit %s%s%.*s", status,
                 length ? ": " : "", (int)(length < 200 ? length : 200), reply->output);
        result.sentence = sentence;
    }
    result.output = "";
    step_ended(worker, &result);
}

void carry_ready(struct worker *worker)
{
    const struct playbook *playbook = worker->engine->playbook;
    ask(worker, playbook->strategy.ready_after, playbook->health.timeout_ms, ready_came);
}
