/* Figures from a Prometheus server: instant queries by its HTTP API, GET /api/v1/query. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis_internal.h"
#include "analysis_prometheus_answer.h"
#include "model/template.h"

#define QUERY_MAX 8192
#define BODY_MAX ((size_t)256 << 10)
#define AT_ONCE 8

/* Nothing that could end a string of the query, or be more than a name in a regular expression than a dot is. */
static const char plain[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@-";

struct name_check {
    const struct template_scope *scope;
    struct err *err;
};

static const char *value_of(const struct template_scope *scope, const char *name)
{
    for (size_t i = 0; i < scope->extra_count; i++)
        if (strcmp(scope->extra[i].name, name) == 0)
            return scope->extra[i].value;
    return NULL;
}

/* --- the query --- */

static int check_value(void *context, const char *name)
{
    struct name_check *check = context;
    struct strbuf value;
    char text[160];
    strbuf_init(&value, QUERY_MAX);
    int rc = 0;
    const char *known = value_of(check->scope, name);
    if (known) {
        strbuf_adds(&value, known);
    } else {
        snprintf(text, sizeof(text), "{%s}", name);
        rc = template_expand(&value, text, check->scope, check->err);
    }
    if (rc == 0 && value.text[strspn(value.text, plain)])
        rc = err_set(check->err, ERR_INPUT,
                     "{%s} has other bytes than letters, digits and `._:/@-`, and cannot stand in a query",
                     name);
    strbuf_release(&value);
    return rc;
}

static int expand(struct strbuf *out, const struct question *question, struct err *err)
{
    const struct member *member = &question->run->analyses->fleet->members[question->member];
    const char *query = question->run->rules->query;
    struct variable known[NODE_VARIABLES_MAX];
    struct arena arena;
    struct template_scope scope = {.node = member->node, .extra = known};
    struct name_check check = {.scope = &scope, .err = err};
    arena_init(&arena);
    scope.extra_count = node_variables(known, NODE_VARIABLES_MAX, member, &question->words, &arena);
    int rc = template_names(query, check_value, &check, err);
    if (rc == 0)
        rc = template_expand(out, query, &scope, err);
    arena_release(&arena);
    return rc;
}

/* RFC 3986, section 2.1. */
static void add_escaped(struct strbuf *out, const char *text)
{
    for (; *text; text++)
        if (strchr("._~-", *text) || isalnum((unsigned char)*text))
            strbuf_addc(out, *text);
        else
            strbuf_addf(out, "%%%02X", (unsigned char)*text);
}

static int build_url(struct strbuf *out, const struct question *question, struct err *err)
{
    const char *server = question->run->rules->prometheus;
    size_t length = strlen(server);
    struct strbuf query;
    strbuf_init(&query, QUERY_MAX);
    int rc = expand(&query, question, err);
    while (length && server[length - 1] == '/')
        length--;
    strbuf_add(out, server, length);
    strbuf_adds(out, "/api/v1/query?query=");
    add_escaped(out, query.text);
    if (rc == 0 && out->overflowed)
        rc = err_set(err, ERR_MEMORY, "the query is too long");
    strbuf_release(&query);
    return rc;
}

static int note_node(void *context, const char *name)
{
    static const char *const shared[] = {"release", "service", "slot"};
    bool *each = context;
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
        if (strcmp(name, shared[i]) == 0)
            return 0;
    *each = true;
    return 0;
}

bool analysis_asks_each_node(const struct analysis *analysis)
{
    bool each = analysis->source != ANALYSIS_PROMETHEUS;
    if (!each)
        template_names(analysis->query, note_node, &each, NULL);
    return each;
}

/* --- the answer --- */

static int read_answer(double *out, const struct http_response *response, struct err *err)
{
    if (response->error) {
        *err = *response->error;
        return err_prefix(err, "prometheus");
    }
    if (response->body_total > response->body_length)
        return err_set(err, ERR_FAILED, "prometheus: an answer of %zu bytes is too large",
                       (size_t)response->body_total);
    return prometheus_answer(out, response->status, response->body, response->body_length, err);
}

/* An error of the query is an answer; one of the server is none. */
static void tell_guard(struct dependency *guard, const struct http_response *response, const struct err *error)
{
    if (response->error)
        dependency_failed(guard, response->error);
    else if (response->status >= 500)
        dependency_failed(guard, error);
    else
        dependency_answered(guard);
}

static void answered(void *context, const struct http_response *response)
{
    struct question *question = context;
    struct err err;
    double figure = NAN;
    question->http = NULL;
    int rc = read_answer(&figure, response, &err);
    tell_guard(question->run->guard, response, &err);
    if (rc < 0)
        question_failed(question, &err);
    else
        question_answered(question, figure);
}

static int begin(struct question *question, const struct http_request *request, struct err *err)
{
    struct dependency *guard = question->run->guard;
    if (dependency_ask(guard, err) < 0)
        return err_prefix(err, "prometheus");
    question->http = http_start(question->run->analyses->fleet->http, request, answered, question, err);
    if (!question->http)
        dependency_left(guard); /* it is not the server's fault */
    return question->http ? 0 : err->code;
}

static int ask(struct question *question, struct err *err)
{
    struct strbuf url;
    strbuf_init(&url, 3 * QUERY_MAX);
    struct http_request request = {.verify_tls = true,
                                   .timeout_ms = question->run->rules->timeout_ms,
                                   .body_max = BODY_MAX};
    int rc = build_url(&url, question, err);
    request.url = url.text;
    if (rc == 0)
        rc = begin(question, &request, err);
    strbuf_release(&url);
    return rc;
}

static void cancel(struct question *question)
{
    http_cancel(question->http);
    question->http = NULL;
    dependency_left(question->run->guard);
}

const struct analysis_asker analysis_prometheus = {
    .ask = ask, .cancel = cancel, .shared = true, .at_once = AT_ONCE};
