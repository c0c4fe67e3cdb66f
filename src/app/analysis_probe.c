/* Figures from requests of our own: the URL of [health], asked of each node through its connection. */
#include <math.h>

#include "analysis_internal.h"
#include "app/health_request.h"
#include "app/session.h"

/* Latency: an answer that is no good says nothing about it, silence counts as long as it was waited for. */
static double latency(const struct question *question, const struct http_response *response, bool good)
{
    if (response->error && response->error->code == ERR_TIMEOUT)
        return (double)question->run->rules->timeout_ms;
    return good ? (double)response->answer_us / 1000 : NAN;
}

static double errors(struct question *question, bool good)
{
    question->tried++;
    question->failed += !good;
    if (question->tried < ANALYSIS_ANSWERS_A_SHARE)
        return NAN;
    double percent = 100.0 * question->failed / question->tried;
    question->tried = 0;
    question->failed = 0;
    return percent;
}

static void answered(void *context, const struct http_response *response)
{
    struct question *question = context;
    const struct fleet *fleet = question->run->analyses->fleet;
    const struct health *health = &fleet->playbook->health;
    bool good = !response->error && response->status >= health->expect_from &&
                response->status <= health->expect_to;
    question->http = NULL;
    /* What a tunnel said when it broke is no word about the service. */
    if (response->error && health->via == VIA_NODE &&
        !session_is_connected(fleet->members[question->member].session))
        question_failed(question, response->error);
    else if (question->run->rules->metric == ANALYSIS_ERRORS)
        question_answered(question, errors(question, good));
    else
        question_answered(question, latency(question, response, good));
}

static int ask(struct question *question, struct err *err)
{
    struct fleet *fleet = question->run->analyses->fleet;
    struct session *session = fleet->members[question->member].session;
    struct health_request health;
    if (!session_is_connected(session))
        return err_set(err, ERR_UNREACHABLE, "node %s: not connected",
                       fleet->members[question->member].node->name);
    int rc = health_request_init(&health, fleet, question->member, &question->words, err);
    health.request.via = fleet->playbook->health.via == VIA_NODE ? session_ssh(session) : NULL;
    health.request.timeout_ms = question->run->rules->timeout_ms;
    if (rc == 0)
        question->http = http_start(fleet->http, &health.request, answered, question, err);
    health_request_release(&health);
    return question->http ? 0 : err->code;
}

static void cancel(struct question *question)
{
    http_cancel(question->http);
    question->http = NULL;
}

const struct analysis_asker analysis_probe = {.ask = ask, .cancel = cancel, .at_once = SIZE_MAX};
