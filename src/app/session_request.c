#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "session_internal.h"

#define OUTPUT_MAX (320 * 1024)
#define REPLY_BYTES_MAX ((uint64_t)8 * 1024 * 1024) /* of one answer; the node's program sends 256 KiB of output, and values */
#define UNASKED_BYTES_MAX ((uint64_t)1024 * 1024)   /* of answers to nothing, on one connection */
#define LINE_OVERHEAD 16                            /* id, kind and line end */

/* --- what waits for an answer --- */

/* The connection counts what is kept of an answer; past its bound it is dropped. */
static void hold(struct pending *pending, size_t bytes)
{
    pending->held += bytes;
    ssh_hold(pending->session->ssh, bytes);
}

void requests_unhold(struct session *session)
{
    for (struct pending *pending = session->pendings; pending; pending = pending->next) {
        if (pending->held)
            ssh_unhold(session->ssh, pending->held);
        pending->held = 0;
    }
}

static void pending_free(struct pending *pending)
{
    if (pending->held)
        ssh_unhold(pending->session->ssh, pending->held);
    timer_stop(pending->timer);
    arena_release(&pending->arena);
    strbuf_release(&pending->output);
    free(pending);
}

void requests_release(struct session *session)
{
    while (session->pendings) {
        struct pending *pending = session->pendings;
        session->pendings = pending->next;
        pending_free(pending);
    }
}

static struct pending *pending_find(struct session *session, uint32_t id)
{
    struct pending *pending = session->pendings;
    while (pending && pending->id != id)
        pending = pending->next;
    return pending;
}

static void pending_unlink(struct session *session, struct pending *pending)
{
    struct pending **link = &session->pendings;
    while (*link != pending)
        link = &(*link)->next;
    *link = pending->next;
}

const char *reply_get(const struct reply *reply, const char *key)
{
    for (size_t i = 0; i < reply->value_count; i++)
        if (strcmp(reply->values[i].key, key) == 0)
            return reply->values[i].value;
    return NULL;
}

static void pending_answer(struct session *session, struct pending *pending,
                           const struct err *error, enum reply_status status, const char *sentence)
{
    struct reply reply = {
        .id = pending->id,
        .error = error,
        .status = status,
        .sentence = sentence,
        .values = pending->values,
        .value_count = pending->value_count,
        .output = pending->output.text,
    };
    pending_unlink(session, pending);
    if (pending->fn)
        pending->fn(pending->context, &reply);
    pending_free(pending);
}

/* A line of `length` bytes came for this request. False: that is more than a node's program sends, and the connection is given up. */
static bool count_line(struct session *session, struct pending *pending, size_t length)
{
    struct err err;
    if (pending && pending->line)
        return true;
    uint64_t *counted = pending ? &pending->received : &session->unasked;
    *counted += length + LINE_OVERHEAD;
    if (*counted <= (pending ? REPLY_BYTES_MAX : UNASKED_BYTES_MAX))
        return true;
    if (pending)
        err_set(&err, ERR_PROTOCOL, "the node's program sent more than 8 MiB in answer to `%s`", pending->verb);
    else
        err_set(&err, ERR_PROTOCOL, "the node's program sent more than 1 MiB that was not asked for");
    session_lose(session, &err);
    return false;
}

void request_started(void *context, uint32_t id, uint32_t process_group)
{
    (void)process_group;
    count_line(context, pending_find(context, id), 0);
}

void request_value(void *context, uint32_t id, const char *key, const char *value)
{
    struct pending *pending = pending_find(context, id);
    bool counted = count_line(context, pending, strlen(key) + strlen(value));
    if (!counted || !pending || pending->value_count >= REPLY_VALUES_MAX)
        return;
    struct reply_value *grown = arena_grow(&pending->arena, pending->values, pending->value_count,
                                           sizeof(*pending->values));
    if (!grown)
        return;
    pending->values = grown;
    struct strbuf safe;
    strbuf_init(&safe, REPLY_LINE_MAX);
    text_sanitize(&safe, value, strlen(value), false);
    hold(pending, strlen(key) + safe.length + 2 * sizeof(*grown));
    grown[pending->value_count].key = arena_strdup(&pending->arena, key);
    grown[pending->value_count].value = arena_strndup(&pending->arena, safe.text, safe.length);
    strbuf_release(&safe);
    if (grown[pending->value_count].key && grown[pending->value_count].value)
        pending->value_count++;
}

void request_output(void *context, uint32_t id, const char *line)
{
    struct pending *pending = pending_find(context, id);
    if (!count_line(context, pending, strlen(line)) || !pending)
        return;
    size_t before = pending->output.length;
    text_sanitize(&pending->output, line, strlen(line), false);
    if (!pending->line) {
        strbuf_addc(&pending->output, '\n');
        hold(pending, pending->output.length - before);
        return;
    }
    if (pending->fn)
        pending->line(pending->context, pending->output.text);
    strbuf_reset(&pending->output);
}

void request_done(void *context, uint32_t id, enum reply_status status, const char *sentence)
{
    struct session *session = context;
    struct pending *pending = pending_find(session, id);
    if (!count_line(session, pending, strlen(sentence)) || !pending)
        return;
    struct strbuf safe;
    strbuf_init(&safe, ERR_MESSAGE_MAX);
    text_sanitize(&safe, sentence, strlen(sentence), false);
    pending_answer(session, pending, NULL, status, safe.text);
    strbuf_release(&safe);
}

/* Only those of before: an answer may ask for the next connection, which has its own. */
bool requests_answer(struct session *session, const struct err *error)
{
    bool waited = false;
    while (session->pendings) {
        waited = waited || session->pendings->fn;
        pending_answer(session, session->pendings, error, REPLY_FAILED, error->message);
    }
    return waited;
}

/* --- sending --- */

/* Whether the node's program has gone before. */
static bool flush_program(struct session *session)
{
    size_t length;
    while (session->boots) {
        const char *piece = node_boot_next(&session->boot, &length);
        session->boots = length > 0;
        size_t taken = length ? ssh_channel_write(session->channel, piece, length) : 0;
        if (length && !taken)
            return false;
        session->boot.written += taken;
    }
    return true;
}

void session_flush(struct session *session)
{
    if (!flush_program(session))
        return;
    while (session->queue.length) {
        size_t taken =
            ssh_channel_write(session->channel, session->queue.text, session->queue.length);
        if (taken == 0)
            return;
        strbuf_consume(&session->queue, taken);
    }
}

void session_begin(struct session *session, const char *verb)
{
    strbuf_reset(&session->building);
    err_clear(&session->building_error);
    snprintf(session->building_verb, sizeof(session->building_verb), "%s", verb);
    request_begin(&session->building, session->next_id, verb);
}

void session_add(struct session *session, const char *key, const char *value)
{
    if (value && !session->building_error.code)
        request_add(&session->building, key, value, &session->building_error);
}

void session_addu(struct session *session, const char *key, uint64_t value)
{
    if (!session->building_error.code)
        request_addu(&session->building, key, value, &session->building_error);
}

void session_env(struct session *session, const char *name, const char *value)
{
    if (value && !session->building_error.code)
        request_env(&session->building, name, value, &session->building_error);
}

void session_add_fence(struct session *session, uint64_t generation)
{
    session_addu(session, "fence", generation);
    session_addu(session, "epoch", session->epoch);
}

uint64_t session_epoch(const struct session *session)
{
    return session->epoch;
}

static void request_timed_out(void *context)
{
    struct pending *pending = context;
    pending->timer = NULL;
    struct err error;
    err_set(&error, ERR_TIMEOUT,
            "no answer to `%s` within %" PRId64 " ms; the connection was given up", pending->verb,
            pending->timeout_ms);
    session_lose(pending->session, &error);
}

uint32_t session_submit_any(struct session *session, const char *verb, int64_t timeout_ms,
                       reply_line_fn *line, reply_fn *fn, void *context, struct err *err)
{
    if (session->building_error.code) {
        *err = session->building_error;
        return 0;
    }
    request_end(&session->building);
    if (session->building.overflowed ||
        session->queue.length + session->building.length > SESSION_QUEUE_MAX) {
        err_set(err, ERR_MEMORY, "request `%s` is too large", verb);
        return 0;
    }
    struct pending *pending = calloc(1, sizeof(*pending));
    if (!pending) {
        err_set(err, ERR_MEMORY, "out of memory");
        return 0;
    }
    pending->session = session;
    pending->id = session->next_id++;
    pending->fn = fn;
    pending->line = line;
    pending->context = context;
    pending->timeout_ms = timeout_ms;
    snprintf(pending->verb, sizeof(pending->verb), "%s", verb);
    arena_init(&pending->arena);
    strbuf_init(&pending->output, OUTPUT_MAX);
    if (timeout_ms)
        pending->timer =
            timer_start(session->settings.loop, timeout_ms, request_timed_out, pending);
    pending->next = session->pendings;
    session->pendings = pending;
    strbuf_add(&session->queue, session->building.text, session->building.length);
    session_flush(session);
    return pending->id;
}

uint32_t session_submit_streaming(struct session *session, int64_t timeout_ms, reply_line_fn *line,
                                  reply_fn *fn, void *context, struct err *err)
{
    if (session->state != SESSION_READY || session->losing) {
        err_set(err, ERR_UNREACHABLE, "not connected");
        return 0;
    }
    return session_submit_any(session, session->building_verb, timeout_ms, line, fn, context, err);
}

uint32_t session_submit(struct session *session, int64_t timeout_ms, reply_fn *fn, void *context,
                        struct err *err)
{
    return session_submit_streaming(session, timeout_ms, NULL, fn, context, err);
}

void session_forget(struct session *session, uint32_t id)
{
    struct pending *pending = id ? pending_find(session, id) : NULL;
    if (pending)
        pending->fn = NULL;
}
