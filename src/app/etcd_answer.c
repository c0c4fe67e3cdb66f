#include "etcd_answer.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* gRPC's codes, as the gateway gives them in `code`. */
enum { GRPC_DEADLINE = 4, GRPC_DENIED = 7, GRPC_UNAVAILABLE = 14, GRPC_UNAUTHENTICATED = 16 };

static void read_error(struct etcd_answer *out, int status, const json_t *error)
{
    const char *said = json_string_value(json_object_get(error, "error"));
    json_int_t code = json_integer_value(json_object_get(error, "code"));
    struct strbuf words;
    strbuf_init(&words, sizeof(out->reason));
    said = said ? said : "no reason given";
    text_sanitize(&words, said, strlen(said), false);
    snprintf(out->reason, sizeof(out->reason), "%.*s", (int)text_cut(words.text, sizeof(out->reason) - 1), words.text);
    strbuf_release(&words);
    if (code == GRPC_UNAUTHENTICATED || status == 401)
        out->outcome = ETCD_TOKEN_REFUSED;
    else if (code == GRPC_UNAVAILABLE || code == GRPC_DEADLINE || status == 503)
        out->outcome = ETCD_UNAVAILABLE;
    else
        out->outcome = code == GRPC_DENIED ? ETCD_DENIED : ETCD_REFUSED;
}

/* A stream's answer (keepalive) is wrapped once more, and so are its errors. */
static const json_t *wrapped(const json_t *whole, const char *name)
{
    const json_t *inner = json_object_get(whole, name);
    return json_is_object(inner) ? inner : NULL;
}

void etcd_answer_read(struct etcd_answer *out, int status, const char *body, size_t length)
{
    *out = (struct etcd_answer){.outcome = ETCD_NO_ANSWER};
    out->whole = json_loadb(body, length, JSON_DISABLE_EOF_CHECK, NULL);
    if (!json_is_object(out->whole))
        return;
    const json_t *error = wrapped(out->whole, "error"), *result = wrapped(out->whole, "result");
    if (status != 200 || error) {
        read_error(out, status, error ? error : out->whole);
    } else {
        out->outcome = ETCD_ANSWERED;
        out->result = result ? result : out->whole;
    }
}

void etcd_answer_release(struct etcd_answer *answer)
{
    json_decref(answer->whole);
}
