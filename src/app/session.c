#include "app/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session_internal.h"
#include "base/text.h"
#include "node/program.h"

#define OUTPUT_MAX (320 * 1024)
#define ERROR_OUTPUT_MAX 4096
#define REQUEST_MAX (256 * 1024)
#define SEND_QUEUE_MAX (1024 * 1024)

struct session *session_create(const struct session_settings *settings)
{
    struct session *session = calloc(1, sizeof(*session));
    if (!session)
        return NULL;
    session->settings = *settings;
    session->next_id = 1;
    strbuf_init(&session->building, REQUEST_MAX);
    strbuf_init(&session->queue, SEND_QUEUE_MAX);
    strbuf_init(&session->error_output, ERROR_OUTPUT_MAX);
    arena_init(&session->traits_arena);
    return session;
}

static void pending_free(struct pending *pending)
{
    timer_stop(pending->timer);
    arena_release(&pending->arena);
    strbuf_release(&pending->output);
    free(pending);
}

static void close_connection(struct session *session)
{
    if (session->channel)
        ssh_channel_close(session->channel);
    session->channel = NULL;
    upload_abandon(session);
    ssh_close(session->ssh);
    session->ssh = NULL;
    if (session->reader_in_use)
        reply_reader_release(&session->reader);
    session->reader_in_use = false;
    strbuf_reset(&session->queue);
}

void session_free(struct session *session)
{
    if (!session)
        return;
    timer_stop(session->connect_timer);
    timer_stop(session->later);
    close_connection(session);
    upload_release(session);
    while (session->pendings) {
        struct pending *pending = session->pendings;
        session->pendings = pending->next;
        pending_free(pending);
    }
    strbuf_release(&session->building);
    strbuf_release(&session->queue);
    strbuf_release(&session->error_output);
    arena_release(&session->traits_arena);
    free(session);
}

/* --- replies --- */

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

static void on_value(void *context, uint32_t id, const char *key, const char *value)
{
    struct pending *pending = pending_find(context, id);
    if (!pending || pending->value_count >= REPLY_VALUES_MAX)
        return;
    struct reply_value *grown = arena_grow(&pending->arena, pending->values, pending->value_count,
                                           sizeof(*pending->values));
    if (!grown)
        return;
    pending->values = grown;
    struct strbuf safe;
    strbuf_init(&safe, REPLY_LINE_MAX);
    text_sanitize(&safe, value, strlen(value), false);
    grown[pending->value_count].key = arena_strdup(&pending->arena, key);
    grown[pending->value_count].value = arena_strndup(&pending->arena, safe.text, safe.length);
    strbuf_release(&safe);
    if (grown[pending->value_count].key && grown[pending->value_count].value)
        pending->value_count++;
}

static void on_output(void *context, uint32_t id, const char *line)
{
    struct pending *pending = pending_find(context, id);
    if (!pending)
        return;
    text_sanitize(&pending->output, line, strlen(line), false);
    if (!pending->line) {
        strbuf_addc(&pending->output, '\n');
        return;
    }
    if (pending->fn)
        pending->line(pending->context, pending->output.text);
    strbuf_reset(&pending->output);
}

static void on_done(void *context, uint32_t id, enum reply_status status, const char *sentence)
{
    struct session *session = context;
    struct pending *pending = pending_find(session, id);
    if (!pending)
        return;
    struct strbuf safe;
    strbuf_init(&safe, ERR_MESSAGE_MAX);
    text_sanitize(&safe, sentence, strlen(sentence), false);
    pending_answer(session, pending, NULL, status, safe.text);
    strbuf_release(&safe);
}

/* --- loss --- */

static void start_connecting(struct session *session);

/* Only those of before: an answer may ask for the next connection, which has its own. */
static bool answer_all(struct session *session, const struct err *error)
{
    bool waited = false;
    while (session->pendings) {
        waited = waited || session->pendings->fn;
        pending_answer(session, session->pendings, error, REPLY_FAILED, error->message);
    }
    return waited;
}

/* Runs from the loop, so that no connection is closed inside its own callback. */
static void lose_now(void *context)
{
    struct session *session = context;
    struct err error = session->loss;
    bool again = session->connect_again;
    session_connected_fn *connecting = again ? NULL : session->connected_fn;
    session->later = NULL;
    session->losing = false;
    session->connect_again = false;
    session->state = SESSION_IDLE;
    timer_stop(session->connect_timer);
    session->connect_timer = NULL;
    if (connecting)
        session->connected_fn = NULL;
    close_connection(session);
    if (again)
        start_connecting(session);
    bool waited = upload_failed(session, &error);
    waited = answer_all(session, &error) || waited;
    if (connecting)
        connecting(session->connected_context, &error);
    else if (!waited && !again && session->lost_fn)
        session->lost_fn(session->lost_context, &error);
}

void session_lose(struct session *session, const struct err *error)
{
    if (session->losing || session->state == SESSION_IDLE)
        return;
    session->losing = true;
    session->loss = *error;
    session->later = timer_start(session->settings.loop, 0, lose_now, session);
}

void session_drop(struct session *session, const char *why)
{
    struct err error;
    err_set(&error, ERR_UNREACHABLE, "%s", why);
    session_lose(session, &error);
}

/* --- sending --- */

static void flush(struct session *session)
{
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

static uint32_t submit(struct session *session, const char *verb, int64_t timeout_ms,
                       reply_line_fn *line, reply_fn *fn, void *context, struct err *err)
{
    if (session->building_error.code) {
        *err = session->building_error;
        return 0;
    }
    request_end(&session->building);
    if (session->building.overflowed ||
        session->queue.length + session->building.length > SEND_QUEUE_MAX) {
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
    flush(session);
    return pending->id;
}

uint32_t session_submit_streaming(struct session *session, int64_t timeout_ms, reply_line_fn *line,
                                  reply_fn *fn, void *context, struct err *err)
{
    if (session->state != SESSION_READY || session->losing) {
        err_set(err, ERR_UNREACHABLE, "not connected");
        return 0;
    }
    char verb[32] = "";
    sscanf(session->building.text, "%*u %31s", verb);
    return submit(session, verb, timeout_ms, line, fn, context, err);
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

/* --- connecting --- */

/* Also of a connection that stands: a node's program that refused once says the same again. */
static void connected(struct session *session)
{
    const struct err *error = session->refusal.code ? &session->refusal : NULL;
    session_connected_fn *fn = session->connected_fn;
    timer_stop(session->connect_timer);
    session->connect_timer = NULL;
    session->connected_fn = NULL;
    session->state = SESSION_READY;
    if (fn)
        fn(session->connected_context, error);
}

static void keep_traits(struct session *session, const struct reply *reply)
{
    arena_release(&session->traits_arena);
    session->trait_count = 0;
    for (size_t i = 0; i < reply->value_count && session->trait_count < SESSION_TRAITS_MAX; i++) {
        struct reply_value *trait = &session->traits[session->trait_count];
        const char *key = reply->values[i].key, *value = reply->values[i].value;
        const char *blank = strchr(value, ' ');
        if (strcmp(key, "tool") == 0 && blank) {
            trait->key =
                arena_printf(&session->traits_arena, "tool %.*s", (int)(blank - value), value);
            trait->value = arena_strdup(&session->traits_arena, blank + 1);
        } else {
            trait->key = arena_strdup(&session->traits_arena, key);
            trait->value = arena_strdup(&session->traits_arena, value);
        }
        if (trait->key && trait->value)
            session->trait_count++;
    }
}

static void on_opened(void *context, const struct reply *reply)
{
    struct session *session = context;
    if (reply->error)
        return;
    keep_traits(session, reply);
    err_clear(&session->refusal);
    if (reply->status != REPLY_OK)
        err_set(&session->refusal, ERR_REFUSED, "%s", reply->sentence);
    connected(session);
}

static void send_open(struct session *session)
{
    const struct service *service = session->settings.service;
    session_begin(session, "open");
    session_add(session, "become", session->settings.become ? "yes" : "no");
    if (service) {
        session_add(session, "root", service->root);
        session_add(session, "service", service->name);
        session_add(session, "unit", service->unit);
        session_add(session, "start", service->start);
        session_add(session, "stop", service->stop);
        session_add(session, "reload", service->reload);
        session_addu(session, "keep", service->keep);
        for (size_t i = 0; i < service->shared.count; i++)
            session_add(session, "shared", service->shared.items[i]);
    }
    struct err err;
    if (!submit(session, "open", session->connect_timeout_ms, NULL, on_opened, session, &err))
        session_lose(session, &err);
}

static void on_ready(void *context)
{
    struct session *session = context;
    if (session->state == SESSION_BOOTING) {
        session->state = SESSION_OPENING;
        send_open(session);
    }
}

static const struct reply_events reply_handlers = {
    .ready = on_ready, .value = on_value, .output = on_output, .done = on_done};

static void channel_opened(void *context)
{
    struct session *session = context;
    node_boot_text(&session->queue, session->nonce);
    flush(session);
}

static void channel_received(void *context, const char *bytes, size_t length, bool is_error)
{
    struct session *session = context;
    if (is_error) {
        size_t room = ERROR_OUTPUT_MAX;
        if (session->error_output.length + length > room)
            strbuf_reset(&session->error_output);
        strbuf_add(&session->error_output, length > room ? bytes + length - room : bytes,
                   length > room ? room : length);
        return;
    }
    if (session->losing)
        return;
    struct err err;
    if (reply_reader_feed(&session->reader, bytes, length, &err) < 0)
        session_lose(session, &err);
}

static void channel_writable(void *context)
{
    flush(context);
}

/* The last line that the far side wrote to stderr, safe to show. */
static void last_words(struct session *session, struct strbuf *out)
{
    strbuf_trim_end(&session->error_output);
    const char *text = session->error_output.text;
    const char *line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    text_sanitize(out, line, strlen(line), false);
}

static void channel_closed(void *context, const struct err *error, int status)
{
    struct session *session = context;
    session->channel = NULL;
    struct err loss;
    if (error) {
        loss = *error;
    } else {
        struct strbuf words;
        strbuf_init(&words, 300);
        last_words(session, &words);
        err_set(&loss, ERR_UNREACHABLE, "the node's shell ended (exit %d)%s%s", status,
                words.length ? ": " : "", words.text);
        strbuf_release(&words);
    }
    session_lose(session, &loss);
}

static const struct ssh_channel_events channel_handlers = {.opened = channel_opened,
                                                           .received = channel_received,
                                                           .writable = channel_writable,
                                                           .closed = channel_closed};

static void connect_timed_out(void *context)
{
    struct session *session = context;
    session->connect_timer = NULL;
    struct err error;
    err_set(&error, ERR_TIMEOUT,
            "starting the node's program: no answer within %" PRId64
            " ms; does a start-up file of the login shell wait for something?",
            session->connect_timeout_ms);
    session_lose(session, &error);
}

static void ssh_is_ready(void *context, const struct err *error)
{
    struct session *session = context;
    if (error) {
        session_lose(session, error);
        return;
    }
    session->state = SESSION_BOOTING;
    /* Until here the SSH layer has its own deadline, which knows what waiting for a turn is. */
    session->connect_timer = timer_start(session->settings.loop, session->connect_timeout_ms,
                                         connect_timed_out, session);
    snprintf(session->nonce, sizeof(session->nonce), "%016" PRIx64, clock_random());
    reply_reader_init(&session->reader, session->nonce, &reply_handlers, session);
    session->reader_in_use = true;
    session->channel = ssh_exec(session->ssh, node_bootstrap(), &channel_handlers, session);
    if (!session->channel)
        session_drop(session, "out of memory");
}

static void ssh_was_lost(void *context, const struct err *error)
{
    session_lose(context, error);
}

static void already_connected(void *context)
{
    struct session *session = context;
    session->connect_timer = NULL;
    connected(session);
}

static void start_connecting(struct session *session)
{
    session->state = SESSION_CONNECTING;
    strbuf_reset(&session->error_output);
    session->ssh = ssh_open(session->settings.ssh, &session->settings.target,
                            session->connect_timeout_ms, ssh_is_ready, ssh_was_lost, session);
    if (!session->ssh)
        session_drop(session, "out of memory");
}

void session_connect(struct session *session, int64_t timeout_ms, session_connected_fn *fn,
                     void *context)
{
    session->connected_fn = fn;
    session->connected_context = context;
    session->connect_timeout_ms = timeout_ms;
    if (session->state != SESSION_IDLE && session->state != SESSION_READY)
        session_drop(session, "connecting again");
    if (session->losing)
        session->connect_again = true;
    else if (session->state == SESSION_READY)
        session->connect_timer = timer_start(session->settings.loop, 0, already_connected, session);
    else
        start_connecting(session);
}

bool session_is_connected(const struct session *session)
{
    return session->state == SESSION_READY && !session->losing;
}

void session_on_lost(struct session *session, void (*fn)(void *context, const struct err *error),
                     void *context)
{
    session->lost_fn = fn;
    session->lost_context = context;
}

struct ssh *session_ssh(struct session *session)
{
    return session_is_connected(session) ? session->ssh : NULL;
}

const char *session_trait(const struct session *session, const char *key)
{
    for (size_t i = 0; i < session->trait_count; i++)
        if (strcmp(session->traits[i].key, key) == 0)
            return session->traits[i].value;
    return NULL;
}
