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
#define ADDRESS_MAX 300
#define ADDRESS_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:_-" /* what node.sh takes */

#define PATTERN_MAX 65536

enum check { CHECK_HTTP, CHECK_TCP, CHECK_COMMAND, CHECK_UNIT, CHECK_INSTANCE, CHECKS };

struct prober {
    struct fleet *fleet;
    size_t member;
    const struct node_words *words;
    unsigned waiting; /* bits of enum check: no answer yet */
    unsigned later;   /* likewise: to be started when the instance is proven */
    bool expects;     /* a new instance is to answer, */
    bool proven;      /* and does, or nothing is to be found out about it */
    char doubt[EVIDENCE_LINE_MAX];
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
    prober->later = 0;
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
    prober->waiting = prober->later = 0;
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
    if (prober->evidence.length && *format)
        strbuf_adds(&prober->evidence, "; ");
    va_list arguments;
    va_start(arguments, format);
    strbuf_addf_va(&prober->evidence, format, arguments);
    va_end(arguments);
    if (!prober->waiting && !prober->later)
        deliver_soon(prober);
}

static void timed_out(void *context)
{
    static const char *const names[CHECKS] = {"http", "tcp", "command", "unit", "instance"};
    struct prober *prober = context;
    prober->deadline = NULL;
    prober->later = 0;
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

/* A template of [health] for this round; NULL when it cannot be filled in. */
static const char *expand(const struct prober *prober, struct strbuf *out, const char *text, bool quoted)
{
    struct err err;
    strbuf_init(out, PATTERN_MAX);
    int rc = health_expand(out, text, quoted, prober->fleet, prober->member, prober->words, &err);
    return rc == 0 ? out->text : NULL;
}

/* What is wrong with an answer of an expected status, into `out`. */
static bool answer_is_expected(const struct prober *prober, const struct http_response *response, struct strbuf *out)
{
    const struct health *health = health_of(prober);
    const char *release = prober->words->release ? prober->words->release : "";
    bool proves = prober->expects && health->identity.kind != IDENTITY_NONE;
    struct strbuf text;
    if (health->body) {
        const char *pattern = expand(prober, &text, health->body, true);
        if (!pattern || !body_matches(pattern, response->body))
            strbuf_addf(out, ", the body does not match '%.300s'", pattern ? pattern : health->body);
        strbuf_release(&text);
    }
    if (proves && health->identity.kind == IDENTITY_BODY) {
        const char *wanted = expand(prober, &text, health->identity.text, false);
        if (!wanted || !strstr(response->body, wanted))
            strbuf_addf(out, ", of another instance: the body has no '%.200s'", wanted ? wanted : health->identity.text);
        strbuf_release(&text);
    }
    if (proves && health->identity.kind == IDENTITY_HEADER && (!response->header || strcmp(response->header, release) != 0))
        strbuf_addf(out, ", of another instance: header %.60s is '%.100s', not '%s'", health->identity.text,
                    response->header ? response->header : "", release);
    return out->length == 0;
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
    struct strbuf wrong;
    strbuf_init(&wrong, EVIDENCE_MAX);
    bool expected =
        response->status >= health->expect_from && response->status <= health->expect_to;
    bool matches = expected && answer_is_expected(prober, response, &wrong);
    check_ended(prober, CHECK_HTTP, matches, "http %d in %" PRId64 " ms%s", response->status, response->total_ms,
                wrong.length ? wrong.text : "");
    strbuf_release(&wrong);
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

static void begin_checks(struct prober *prober, unsigned checks);

/* Ends the round: what the other checks would find is the old instance's. */
static void refute(struct prober *prober, enum check check, const char *sentence)
{
    prober->later = 0;
    prober->waiting = 1u << check;
    check_ended(prober, check, false, "%s", sentence);
}

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    return strncmp(text, word, length) == 0 && (text[length] == ' ' || !text[length]);
}

/* False when the round ended by it. Where nothing listens, the next round asks again if the port is one that is probed. */
static bool instance_counts(struct prober *prober, enum check check, const struct reply *reply)
{
    const struct health *health = health_of(prober);
    const char *instance = reply_get(reply, "instance"), *text = instance ? strchr(instance, ' ') : NULL;
    if (!instance || prober->proven)
        return true;
    if (has_word(instance, "old")) {
        refute(prober, check, text ? text + 1 : "the old process still answers");
        return false;
    }
    if (has_word(instance, "unknown"))
        snprintf(prober->doubt, sizeof(prober->doubt), "%s", text ? text + 1 : "");
    prober->proven = !has_word(instance, "none") || (!health->http && !health->tcp);
    return true;
}

static void instance_answered(struct prober *prober, const struct reply *reply)
{
    const char *status = reply_get(reply, "status");
    bool by_command = health_of(prober)->identity.kind == IDENTITY_COMMAND;
    if (by_command && reply->status != REPLY_OK) {
        char text[EVIDENCE_LINE_MAX];
        size_t line = strcspn(reply->output, "\n"), most = text_cut(reply->output, 120);
        snprintf(text, sizeof(text), "of another instance: identity exit %s%s%.*s", status ? status : reply->sentence,
                 line ? ": " : "", (int)(line < most ? line : most), reply->output);
        refute(prober, CHECK_INSTANCE, text);
        return;
    }
    if (!by_command && reply->status != REPLY_OK) {
        check_ended(prober, CHECK_INSTANCE, false, "instance: %s", reply->sentence);
        return;
    }
    if (by_command)
        prober->proven = true;
    else if (!instance_counts(prober, CHECK_INSTANCE, reply))
        return;
    check_ended(prober, CHECK_INSTANCE, true, "%s", "");
    begin_checks(prober, prober->later);
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
    if (!prober->hopeless && !instance_counts(prober, CHECK_UNIT, reply))
        return;
    check_ended(prober, CHECK_UNIT, strcmp(active, "active") == 0 && !again, "unit %s (%s)%s",
                active, sub, again ? ", it was restarted since the last probe" : "");
    begin_checks(prober, prober->later);
}

static void node_answered(struct prober *prober, enum check check, const struct reply *reply)
{
    prober->asked[check] = 0;
    if (reply->error)
        connection_lost(prober, reply->error);
    else if (check == CHECK_COMMAND)
        command_answered(prober, reply);
    else if (check == CHECK_UNIT)
        unit_answered(prober, reply);
    else
        instance_answered(prober, reply);
}

static void on_command(void *context, const struct reply *reply)
{
    node_answered(context, CHECK_COMMAND, reply);
}

static void on_unit(void *context, const struct reply *reply)
{
    node_answered(context, CHECK_UNIT, reply);
}

static void on_instance(void *context, const struct reply *reply)
{
    node_answered(context, CHECK_INSTANCE, reply);
}

static void add_command(struct prober *prober, struct session *session, const char *command)
{
    session_add(session, "command", command);
    session_addu(session, "timeout_ms", (uint64_t)health_of(prober)->timeout_ms);
    node_environment(member_of(prober), prober->words, add_env, session);
}

void prober_add_endpoint(const struct fleet *fleet, size_t member, const struct node_words *words, struct session *session)
{
    uint16_t port = health_port(fleet, member, words);
    struct strbuf address;
    if (!port)
        return;
    strbuf_init(&address, ADDRESS_MAX);
    health_address(&address, fleet, member, words);
    session_addu(session, "port", port);
    if (address.length && !address.overflowed && !address.text[strspn(address.text, ADDRESS_BYTES)])
        session_add(session, "address", address.text);
    strbuf_release(&address);
}

static void add_expected(struct prober *prober, struct session *session)
{
    session_add(session, "release", prober->words->release);
    prober_add_endpoint(prober->fleet, prober->member, prober->words, session);
}

static bool asks_of_processes(const struct prober *prober)
{
    return prober->expects && !prober->proven && health_of(prober)->identity.kind == IDENTITY_NONE;
}

static void build_asking(struct prober *prober, enum check check, struct session *session)
{
    static const char *const verbs[CHECKS] = {[CHECK_COMMAND] = "probe", [CHECK_UNIT] = "unit", [CHECK_INSTANCE] = "instance"};
    const struct health *health = health_of(prober);
    bool proves = check == CHECK_INSTANCE && health->identity.kind == IDENTITY_COMMAND;
    session_begin(session, proves ? "probe" : verbs[check]);
    session_add(session, "slot", prober->words->slot);
    if (check == CHECK_COMMAND || proves)
        add_command(prober, session, proves ? health->identity.text : health->command);
    else if (asks_of_processes(prober))
        add_expected(prober, session);
}

static void start_asking(struct prober *prober, enum check check)
{
    static reply_fn *const answers[CHECKS] = {
        [CHECK_COMMAND] = on_command, [CHECK_UNIT] = on_unit, [CHECK_INSTANCE] = on_instance};
    struct session *session = member_of(prober)->session;
    struct err err;
    build_asking(prober, check, session);
    /* The round has its own deadline; the connection is only given up when the node is mute for
     * longer. */
    prober->asked[check] =
        session_submit(session, health_of(prober)->timeout_ms * 3 + 10000, answers[check], prober, &err);
    if (!prober->asked[check])
        connection_lost(prober, &err);
}

/* --- a round --- */

/* Which check proves the instance before the others begin: the unit's, where it is asked anyway; CHECKS: none. */
static enum check proving_check(const struct prober *prober)
{
    const struct health *health = health_of(prober);
    const struct service *service = member_instance(member_of(prober), prober->words->slot);
    bool runs = service->unit || (service->start && health_port(prober->fleet, prober->member, prober->words));
    if (!prober->expects || prober->proven || !prober->words->release || !*prober->words->release)
        return CHECKS;
    if (health->identity.kind == IDENTITY_COMMAND)
        return CHECK_INSTANCE;
    if (health->identity.kind != IDENTITY_NONE || !runs)
        return CHECKS;
    return health->unit && service->unit ? CHECK_UNIT : CHECK_INSTANCE;
}

/* Starts those checks, which have a time of their own. */
static void begin_checks(struct prober *prober, unsigned checks)
{
    struct session *session = member_of(prober)->session;
    struct ssh *via = health_of(prober)->via == VIA_NODE ? session_ssh(session) : NULL;
    if (!checks)
        return;
    prober->later &= ~checks;
    prober->waiting |= checks;
    timer_stop(prober->deadline);
    prober->deadline =
        timer_start(prober->fleet->loop, health_of(prober)->timeout_ms + 200, timed_out, prober);
    if (checks & (1u << CHECK_HTTP))
        start_http(prober, via);
    if (checks & (1u << CHECK_TCP))
        start_tcp(prober, via);
    for (enum check check = CHECK_COMMAND; check < CHECKS; check++)
        if ((checks & (1u << check)) && !prober->lost)
            start_asking(prober, check);
}

void prober_expect(struct prober *prober)
{
    prober->expects = true;
    prober->proven = false;
    prober->doubt[0] = '\0';
}

bool prober_expects(const struct prober *prober)
{
    return prober->expects;
}

const char *prober_doubt(const struct prober *prober)
{
    return prober->doubt[0] ? prober->doubt : NULL;
}

void prober_start(struct prober *prober, probed_fn *fn, void *context)
{
    const struct health *health = health_of(prober);
    enum check first = proving_check(prober);
    bool wanted[CHECKS] = {health->http != NULL, health->tcp, health->command != NULL,
                           health->unit};
    unsigned checks = 0;
    prober->fn = fn;
    prober->context = context;
    prober->hopeless = false;
    prober->healthy = true;
    prober->lost = false;
    prober->waiting = prober->later = 0;
    strbuf_reset(&prober->evidence);
    if (!session_is_connected(member_of(prober)->session)) {
        struct err err;
        err_set(&err, ERR_UNREACHABLE, "not connected");
        connection_lost(prober, &err);
        return;
    }
    for (int check = 0; check < CHECKS; check++)
        checks |= wanted[check] ? 1u << check : 0;
    if (first != CHECKS)
        prober->later = checks & ~(1u << first);
    begin_checks(prober, first == CHECKS ? checks : 1u << first);
    if (!prober->waiting)
        deliver_soon(prober);
}
