#include "app/etcd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "etcd_answer.h"
#include "io/files.h"

#define ANSWER_MAX ((size_t)8 << 20)
#define PASSWORD_MAX 1024
#define TOKEN_MAX 4096
#define REQUEST_MAX ((size_t)4 << 20)

struct etcd {
    struct loop *loop;
    struct http_client *http;
    const struct etcd_access *access;
    struct strbuf password;
    char *token; /* `Authorization: TOKEN`; NULL: none yet */
    size_t endpoint; /* the one that answered last */
    struct etcd_call *calls;
};

struct etcd_call {
    struct etcd *etcd;
    struct etcd_call *next, **link; /* in etcd->calls */
    const char *method;
    char *body;
    etcd_fn *fn;
    void *context;
    struct http_call *http;
    struct timer *soon;
    int64_t ends_ms;
    size_t tried;        /* endpoints in a row that gave no answer */
    bool authenticating; /* the request under way asks for a token */
    bool renewed;        /* a token was refused once already */
    struct err error;
};

/* --- life --- */

static int read_password(struct etcd *etcd, struct err *err)
{
    const struct etcd_access *access = etcd->access;
    if (!access->user)
        return 0;
    if (access->password_file) {
        int rc = file_read(&etcd->password, access->password_file, err);
        while (etcd->password.length && strchr("\r\n", etcd->password.text[etcd->password.length - 1]))
            etcd->password.text[--etcd->password.length] = '\0';
        if (rc < 0 || etcd->password.length)
            return rc < 0 ? err_prefix(err, "password_file") : 0;
        return err_set(err, ERR_INPUT, "password_file: %s is empty", access->password_file);
    }
    const char *value = access->password_env ? getenv(access->password_env) : NULL;
    if (!value || !*value)
        return err_set(err, ERR_INPUT, "password_env: the environment variable %s is not set",
                       access->password_env ? access->password_env : "");
    strbuf_adds(&etcd->password, value);
    return 0;
}

int etcd_create(struct etcd **out, struct loop *loop, struct http_client *http,
                const struct etcd_access *access, struct err *err)
{
    struct etcd *etcd = calloc(1, sizeof(*etcd));
    *out = NULL;
    if (!etcd)
        return err_set(err, ERR_MEMORY, "out of memory");
    etcd->loop = loop;
    etcd->http = http;
    etcd->access = access;
    strbuf_init(&etcd->password, PASSWORD_MAX);
    int rc = read_password(etcd, err);
    if (rc < 0)
        etcd_free(etcd);
    else
        *out = etcd;
    return rc;
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void call_free(struct etcd_call *call)
{
    http_cancel(call->http);
    timer_stop(call->soon);
    if (call->next)
        call->next->link = call->link;
    if (call->link)
        *call->link = call->next;
    free(call->body);
    free(call);
}

void etcd_free(struct etcd *etcd)
{
    if (!etcd)
        return;
    while (etcd->calls)
        call_free(etcd->calls);
    if (etcd->password.capacity)
        explicit_bzero(etcd->password.text, etcd->password.length);
    strbuf_release(&etcd->password);
    wipe(etcd->token);
    free(etcd);
}

void etcd_cancel(struct etcd_call *call)
{
    if (call)
        call_free(call);
}

int64_t etcd_limit_ms(const struct etcd *etcd)
{
    return etcd->access->timeout_ms;
}

/* --- one call --- */

static void send_next(struct etcd_call *call);

static void end(struct etcd_call *call, const json_t *answer, const struct err *error)
{
    etcd_fn *fn = call->fn;
    void *context = call->context;
    struct err kept;
    if (error)
        kept = *error;
    call_free(call);
    fn(context, answer, error ? &kept : NULL);
}

static const char *endpoint_of(const struct etcd_call *call)
{
    const struct etcd *etcd = call->etcd;
    return etcd->access->urls.items[etcd->endpoint % etcd->access->urls.count];
}

/* The next endpoint, or the end when all have been asked or time is up. */
static void failed_here(struct etcd_call *call, const struct err *error)
{
    struct etcd *etcd = call->etcd;
    call->error = *error;
    err_prefix(&call->error, "etcd %s", endpoint_of(call));
    etcd->endpoint = (etcd->endpoint + 1) % etcd->access->urls.count;
    if (++call->tried < etcd->access->urls.count && loop_now_ms(etcd->loop) < call->ends_ms)
        send_next(call);
    else
        end(call, NULL, &call->error);
}

static void drop_token(struct etcd *etcd)
{
    wipe(etcd->token);
    etcd->token = NULL;
}

static void keep_token(struct etcd_call *call, const json_t *answer)
{
    const char *token = json_string_value(json_object_get(answer, "token"));
    struct err error;
    char *header = NULL;
    drop_token(call->etcd);
    if (!token || strlen(token) > TOKEN_MAX || asprintf(&header, "Authorization: %s", token) < 0) {
        err_set(&error, ERR_PROTOCOL, "no token came for user %s", call->etcd->access->user);
        failed_here(call, &error);
        return;
    }
    call->etcd->token = header;
    send_next(call);
}

/* etcd answered with an error of its own. */
static void refused(struct etcd_call *call, const struct etcd_answer *answer)
{
    struct err error;
    bool token = answer->outcome == ETCD_TOKEN_REFUSED;
    if (token && call->etcd->token && !call->renewed && !call->authenticating) {
        call->renewed = true;
        drop_token(call->etcd);
        send_next(call);
    } else if (answer->outcome == ETCD_UNAVAILABLE) {
        err_set(&error, ERR_UNREACHABLE, "%s", answer->reason);
        failed_here(call, &error);
    } else {
        bool denied = call->authenticating || token || answer->outcome == ETCD_DENIED;
        err_set(&error, denied ? ERR_AUTH : ERR_FAILED, "etcd %s says: %s", endpoint_of(call), answer->reason);
        end(call, NULL, &error);
    }
}

static void answered(void *context, const struct http_response *response)
{
    struct etcd_call *call = context;
    struct etcd_answer answer;
    struct err error;
    call->http = NULL;
    if (response->error) {
        failed_here(call, response->error);
        return;
    }
    etcd_answer_read(&answer, response->status, response->body, response->body_length);
    if (answer.outcome == ETCD_NO_ANSWER) {
        err_set(&error, ERR_PROTOCOL, "HTTP status %d, and no answer of etcd's", response->status);
        failed_here(call, &error);
    } else if (answer.outcome != ETCD_ANSWERED) {
        refused(call, &answer);
    } else if (call->authenticating) {
        keep_token(call, answer.whole);
    } else {
        end(call, answer.result, NULL);
    }
    etcd_answer_release(&answer);
}

static char *authentication(const struct etcd *etcd)
{
    json_t *body = json_pack("{s:s, s:s}", "name", etcd->access->user, "password", etcd->password.text);
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

/* What is left of the time is shared by the endpoints that are left. */
static int64_t time_of(const struct etcd_call *call)
{
    int64_t left = call->ends_ms - loop_now_ms(call->etcd->loop);
    size_t endpoints = call->etcd->access->urls.count - call->tried;
    int64_t share = left / (int64_t)endpoints;
    return share > 1 ? share : 1;
}

static void send_next(struct etcd_call *call)
{
    struct etcd *etcd = call->etcd;
    const struct etcd_access *access = etcd->access;
    struct err error;
    char *password = NULL, *url = NULL;
    call->authenticating = access->user && !etcd->token;
    if (call->authenticating)
        password = authentication(etcd);
    const char *headers[] = {"Content-Type: application/json", etcd->token, NULL};
    if ((call->authenticating && !password) ||
        asprintf(&url, "%s/v3/%s", endpoint_of(call), call->authenticating ? "auth/authenticate" : call->method) < 0) {
        free(password);
        err_set(&error, ERR_MEMORY, "out of memory");
        end(call, NULL, &error);
        return;
    }
    struct http_request request = {
        .url = url,
        .method = "POST",
        .headers = headers,
        .body = password ? password : call->body,
        .verify_tls = true,
        .ca_file = access->ca,
        .certificate_file = access->certificate,
        .key_file = access->key,
        .timeout_ms = time_of(call),
        .body_max = ANSWER_MAX,
    };
    call->http = http_start(etcd->http, &request, answered, call, &error);
    wipe(password);
    free(url);
    if (!call->http)
        end(call, NULL, &error);
}

static void begin(void *context)
{
    struct etcd_call *call = context;
    call->soon = NULL;
    send_next(call);
}

struct etcd_call *etcd_start(struct etcd *etcd, const char *method, json_t *body, etcd_fn *fn, void *context)
{
    struct etcd_call *call = calloc(1, sizeof(*call));
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!call || !text || strlen(text) > REQUEST_MAX) {
        free(call);
        free(text);
        return NULL;
    }
    *call = (struct etcd_call){.etcd = etcd, .method = method, .body = text, .fn = fn, .context = context};
    call->ends_ms = loop_now_ms(etcd->loop) + etcd->access->timeout_ms;
    call->next = etcd->calls;
    call->link = &etcd->calls;
    if (call->next)
        call->next->link = &call->next;
    etcd->calls = call;
    call->soon = timer_start(etcd->loop, 0, begin, call);
    if (!call->soon) {
        call_free(call);
        return NULL;
    }
    return call;
}

/* --- words of etcd's --- */

static json_t *base64_json(const char *text, size_t length)
{
    struct strbuf coded;
    strbuf_init(&coded, REQUEST_MAX);
    base64_encode(&coded, text, length);
    json_t *value = coded.overflowed ? NULL : json_string(coded.text);
    strbuf_release(&coded);
    return value;
}

json_t *etcd_text(const char *text)
{
    return base64_json(text, strlen(text));
}

json_t *etcd_range_end(const char *prefix)
{
    char *last = strdup(prefix);
    size_t length = last ? strlen(last) : 0;
    while (length && (unsigned char)last[length - 1] == 0xff)
        length--;
    if (length)
        last[length - 1] = (char)(last[length - 1] + 1);
    json_t *value = length ? base64_json(last, length) : last ? base64_json("", 1) : NULL;
    free(last);
    return value;
}

json_t *etcd_put(const char *key, const char *value, int64_t lease)
{
    char number[24];
    snprintf(number, sizeof(number), "%" PRId64, lease);
    return json_pack("{s:{s:o, s:o, s:s}}", "requestPut", "key", etcd_text(key), "value", etcd_text(value), "lease",
                     number);
}

json_t *etcd_delete(const char *key)
{
    return json_pack("{s:{s:o}}", "requestDeleteRange", "key", etcd_text(key));
}

json_t *etcd_compare_created(const char *key, int64_t revision)
{
    char number[24];
    snprintf(number, sizeof(number), "%" PRId64, revision);
    return json_pack("{s:o, s:s, s:s, s:s}", "key", etcd_text(key), "target", "CREATE", "result", "EQUAL",
                     "createRevision", number);
}

json_t *etcd_txn(json_t *compare, json_t *success, json_t *failure)
{
    json_t *compares = json_array();
    if (compare)
        json_array_append_new(compares, compare);
    return json_pack("{s:o, s:o, s:o}", "compare", compares, "success", success ? success : json_array(), "failure",
                     failure ? failure : json_array());
}

int64_t etcd_number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_integer(value))
        return json_integer_value(value);
    return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : 0;
}

int etcd_string(struct strbuf *out, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? base64_decode(out, json_string_value(value), json_string_length(value)) : -1;
}
