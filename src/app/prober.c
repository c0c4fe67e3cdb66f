#include "app/prober.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/health_request.h"
#include "base/text.h"
#include "model/expression.h"

#define EVIDENCE_MAX 600
#define EVIDENCE_LINE_MAX 200

enum check { CHECK_HTTP, CHECK_TCP, CHECK_COMMAND, CHECK_UNIT, CHECKS };

struct prober {
    struct fleet *fleet;
    size_t member;
    const struct node_words *words;
    unsigned waiting; /* bits of enum check: no answer yet */
    bool healthy;
    bool hopeless;
    bool lost;
    struct err loss;
    struct strbuf evidence;
    struct http_call *http;
    struct tcp_probe *tcp;
    struct timer *deadline;
    struct timer *deliver;
    uint32_t asked[CHECKS]; /* ids of this round's requests to the node's program */
    bool has_restarts;
    uint64_t restarts;
    probed_fn *fn;
    void *context;
};

static struct member *member_of(const struct prober *prober)
{
    return &prober->fleet->members[prober->member];
}

static const struct health *health_of(const struct prober *prober)
{
    return &prober->fleet->playbook->health;
}

bool prober_has_checks(const struct playbook *playbook)
{
    const struct health *health = &playbook->health;
    return health->http || health->tcp || health->command || health->unit;
}

struct prober *prober_create(struct fleet *fleet, size_t member, const struct node_words *words)
{
    struct prober *prober = calloc(1, sizeof(*prober));
    if (!prober)
        return NULL;
    prober->fleet = fleet;
    prober->member = member;
    prober->words = words;
    strbuf_init(&prober->evidence, EVIDENCE_MAX);
    return prober;
}

static void stop_calls(struct prober *prober)
{
    if (prober->http)
        http_cancel(prober->http);
    if (prober->tcp)
        tcp_probe_cancel(prober->tcp);
    timer_stop(prober->deadline);
    timer_stop(prober->deliver);
    prober->http = NULL;
    prober->tcp = NULL;
    prober->deadline = NULL;
    prober->deliver = NULL;
    for (int check = 0; check < CHECKS; check++)
        session_forget(member_of(prober)->session, prober->asked[check]);
    memset(prober->asked, 0, sizeof(prober->asked));
}

void prober_cancel(struct prober *prober)
{
    stop_calls(prober);
}

void prober_free(struct prober *prober)
{
    if (!prober)
        return;
    prober_cancel(prober);
    strbuf_release(&prober->evidence);
    free(prober);
}

bool prober_is_hopeless(const struct prober *prober)
{
    return prober->hopeless;
}

/* --- joining the checks --- */

static void deliver(void *context)
{
    struct prober *prober = context;
    prober->deliver = NULL;
    stop_calls(prober);
    /* What a tunnel said when it broke is no word about the service. */
    if (!session_is_connected(member_of(prober)->session) && health_of(prober)->via == VIA_NODE &&
        !prober->lost) {
        prober->lost = true;
        err_set(&prober->loss, ERR_UNREACHABLE, "the connection was lost during the probe");
    }
    if (prober->lost)
        prober->fn(prober->context, false, "", &prober->loss);
    else
        prober->fn(prober->context, prober->healthy, prober->evidence.text, NULL);
}

static void deliver_soon(struct prober *prober)
{
    if (!prober->deliver)
        prober->deliver = timer_start(prober->fleet->loop, 0, deliver, prober);
}

static void connection_lost(struct prober *prober, const struct err *error)
{
    if (prober->lost)
        return;
    prober->lost = true;
    prober->loss = *error;
    prober->waiting = 0;
    deliver_soon(prober);
}

static void check_ended(struct prober *prober, enum check check, bool healthy, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));
static void check_ended(struct prober *prober, enum check check, bool healthy, const char *format,
                        ...)
{
    if (!(prober->waiting & (1u << check)))
        return;
    prober->waiting &= ~(1u << check);
    prober->healthy = prober->healthy && healthy;
    if (prober->evidence.length)
        strbuf_adds(&prober->evidence, "; ");
    va_list arguments;
    va_start(arguments, format);
    strbuf_addf_va(&prober->evidence, format, arguments);
    va_end(arguments);
    if (!prober->waiting)
        deliver_soon(prober);
}

static void timed_out(void *context)
{
    static const char *const names[CHECKS] = {"http", "tcp", "command", "unit"};
    struct prober *prober = context;
    prober->deadline = NULL;
    for (int check = 0; check < CHECKS; check++)
        check_ended(prober, (enum check)check, false, "%s: no answer within %" PRId64 " ms",
                    names[check], health_of(prober)->timeout_ms);
}

/* --- http --- */

static bool body_matches(const char *pattern, const char *body)
{
    regex_t regex;
    struct err err;
    if (expression_compile(&regex, pattern, REG_NOSUB, &err) < 0)
        return false;
    bool matches = regexec(&regex, body, 0, NULL, 0) == 0;
    regfree(&regex);
    return matches;
}

static void http_ended(void *context, const struct http_response *response)
{
    struct prober *prober = context;
    const struct health *health = health_of(prober);
    prober->http = NULL;
    if (response->error) {
        check_ended(prober, CHECK_HTTP, false, "http: %s", response->error->message);
        return;
    }
    bool expected =
        response->status >= health->expect_from && response->status <= health->expect_to;
    bool matches = expected && (!health->body || body_matches(health->body, response->body));
    check_ended(prober, CHECK_HTTP, expected && matches, "http %d in %" PRId64 " ms%s%s%s",
                response->status, response->total_ms,
                expected && !matches ? ", the body does not match '" : "",
                expected && !matches ? health->body : "", expected && !matches ? "'" : "");
}

static const char *probe_host(const struct prober *prober)
{
    return health_host(prober->fleet, prober->member);
}

static void start_http(struct prober *prober, struct ssh *via)
{
    struct health_request health;
    struct err err;
    int rc = health_request_init(&health, prober->fleet, prober->member, prober->words, &err);
    health.request.via = via;
    if (rc == 0)
        prober->http = http_start(prober->fleet->http, &health.request, http_ended, prober, &err);
    if (rc < 0 || !prober->http)
        check_ended(prober, CHECK_HTTP, false, "http: %s", err.message);
    health_request_release(&health);
}

/* --- tcp --- */

static void tcp_ended(void *context, const struct err *error, int64_t total_ms)
{
    struct prober *prober = context;
    prober->tcp = NULL;
    if (error)
        check_ended(prober, CHECK_TCP, false, "tcp: %s", error->message);
    else
        check_ended(prober, CHECK_TCP, true, "tcp accepted in %" PRId64 " ms", total_ms);
}

static void start_tcp(struct prober *prober, struct ssh *via)
{
    const struct health *health = health_of(prober);
    prober->tcp = tcp_probe_start(prober->fleet->loop, via, probe_host(prober), health_port(prober->fleet, prober->member, prober->words),
                                  health->timeout_ms, tcp_ended, prober);
    if (!prober->tcp)
        check_ended(prober, CHECK_TCP, false, "tcp: out of memory");
}

/* --- command and unit: asked of the node's program --- */

static void add_env(void *context, const char *name, const char *value)
{
    session_env(context, name, value);
}

static void command_answered(struct prober *prober, const struct reply *reply)
{
    const char *status = reply_get(reply, "status");
    size_t line = strcspn(reply->output, "\n"), most = text_cut(reply->output, EVIDENCE_LINE_MAX);
    int length = (int)(line < most ? line : most);
    if (reply->status == REPLY_OK)
        check_ended(prober, CHECK_COMMAND, true, "command ok");
    else if (status)
        check_ended(prober, CHECK_COMMAND, false, "command exit %s%s%.*s", status,
                    length ? ": " : "", length, reply->output);
    else
        check_ended(prober, CHECK_COMMAND, false, "command: %s", reply->sentence);
}

static void unit_answered(struct prober *prober, const struct reply *reply)
{
    const char *active = reply_get(reply, "unit_active"), *sub = reply_get(reply, "unit_sub");
    const char *count = reply_get(reply, "unit_restarts");
    struct err err;
    uint64_t restarts = 0;
    if (reply->status != REPLY_OK || !active || !sub) {
        check_ended(prober, CHECK_UNIT, false, "unit: %s", reply->sentence);
        return;
    }
    bool counted = count && whole_parse(&restarts, count, 0, UINT64_MAX, &err) == 0;
    bool again = counted && prober->has_restarts && restarts > prober->restarts;
    prober->has_restarts = counted;
    prober->restarts = restarts;
    prober->hopeless = strcmp(active, "failed") == 0;
    check_ended(prober, CHECK_UNIT, strcmp(active, "active") == 0 && !again, "unit %s (%s)%s",
                active, sub, again ? ", it was restarted since the last probe" : "");
}

static void node_answered(struct prober *prober, enum check check, const struct reply *reply)
{
    prober->asked[check] = 0;
    if (reply->error)
        connection_lost(prober, reply->error);
    else if (check == CHECK_COMMAND)
        command_answered(prober, reply);
    else
        unit_answered(prober, reply);
}

static void on_command(void *context, const struct reply *reply)
{
    node_answered(context, CHECK_COMMAND, reply);
}

static void on_unit(void *context, const struct reply *reply)
{
    node_answered(context, CHECK_UNIT, reply);
}

static void start_asking(struct prober *prober, enum check check)
{
    const struct health *health = health_of(prober);
    struct session *session = member_of(prober)->session;
    struct err err;
    session_begin(session, check == CHECK_COMMAND ? "probe" : "unit");
    session_add(session, "slot", prober->words->slot);
    if (check == CHECK_COMMAND) {
        session_add(session, "command", health->command);
        session_addu(session, "timeout_ms", (uint64_t)health->timeout_ms);
        node_environment(member_of(prober), prober->words, add_env, session);
    }
    /* The round has its own deadline; the connection is only given up when the node is mute for
     * longer. */
    prober->asked[check] =
        session_submit(session, health->timeout_ms * 3 + 10000,
                       check == CHECK_COMMAND ? on_command : on_unit, prober, &err);
    if (!prober->asked[check])
        connection_lost(prober, &err);
}

/* --- a round --- */

void prober_start(struct prober *prober, probed_fn *fn, void *context)
{
    const struct health *health = health_of(prober);
    struct session *session = member_of(prober)->session;
    bool wanted[CHECKS] = {health->http != NULL, health->tcp, health->command != NULL,
                           health->unit};
    struct ssh *via = health->via == VIA_NODE ? session_ssh(session) : NULL;
    prober->fn = fn;
    prober->context = context;
    prober->hopeless = false;
    prober->healthy = true;
    prober->lost = false;
    prober->waiting = 0;
    strbuf_reset(&prober->evidence);
    if (!session_is_connected(session)) {
        struct err err;
        err_set(&err, ERR_UNREACHABLE, "not connected");
        connection_lost(prober, &err);
        return;
    }
    for (int check = 0; check < CHECKS; check++)
        prober->waiting |= wanted[check] ? 1u << check : 0;
    prober->deadline =
        timer_start(prober->fleet->loop, health->timeout_ms + 200, timed_out, prober);
    if (wanted[CHECK_HTTP])
        start_http(prober, via);
    if (wanted[CHECK_TCP])
        start_tcp(prober, via);
    if (wanted[CHECK_COMMAND])
        start_asking(prober, CHECK_COMMAND);
    if (wanted[CHECK_UNIT])
        start_asking(prober, CHECK_UNIT);
    if (!prober->waiting)
        deliver_soon(prober);
}
