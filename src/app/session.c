#include "app/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session_internal.h"
#include "base/text.h"

#define ERROR_OUTPUT_MAX 4096

struct session *session_create(const struct session_settings *settings)
{
    struct session *session = calloc(1, sizeof(*session));
    if (!session)
        return NULL;
    session->settings = *settings;
    session->next_id = 1;
    strbuf_init(&session->building, SESSION_REQUEST_MAX);
    strbuf_init(&session->queue, SESSION_QUEUE_MAX);
    strbuf_init(&session->error_output, ERROR_OUTPUT_MAX);
    arena_init(&session->traits_arena);
    return session;
}

struct session *session_create_like(const struct session *session)
{
    return session_create(&session->settings);
}

static void close_connection(struct session *session)
{
    if (session->channel)
        ssh_channel_close(session->channel);
    session->channel = NULL;
    upload_abandon(session);
    requests_unhold(session);
    ssh_close(session->ssh);
    session->ssh = NULL;
    if (session->reader_in_use)
        reply_reader_release(&session->reader);
    session->reader_in_use = false;
    session->boots = false;
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
    requests_release(session);
    strbuf_release(&session->building);
    strbuf_release(&session->queue);
    strbuf_release(&session->error_output);
    arena_release(&session->traits_arena);
    free(session);
}

/* --- loss --- */

static void start_connecting(struct session *session);

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
    waited = requests_answer(session, &error) || waited;
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

static void add_slot_text(struct session *session, const char *key, size_t slot, const char *text)
{
    struct strbuf line;
    if (!text)
        return;
    strbuf_init(&line, 1 << 20);
    strbuf_addf(&line, "%s %s", slot_name(slot), text);
    session_add(session, key, line.text);
    strbuf_release(&line);
}

static void add_slots(struct session *session)
{
    for (size_t i = 0; i < SLOTS; i++) {
        const struct service *instance = session->settings.slots[i];
        if (!instance)
            continue;
        add_slot_text(session, "slot_unit", i, instance->unit ? instance->unit : "-");
        add_slot_text(session, "slot_start", i, instance->start);
        add_slot_text(session, "slot_stop", i, instance->stop);
    }
}

static void send_open(struct session *session)
{
    const struct service *service = session->settings.service;
    session_begin(session, "open");
    session_add(session, "become", session->settings.become ? "yes" : "no");
    if (service) {
        session_add(session, "root", service->root);
        session_add(session, "service", service->name);
        session_add(session, "renamed_from", service->renamed_from);
        session_add(session, "unit", service->unit);
        session_add(session, "start", service->start);
        session_add(session, "stop", service->stop);
        session_add(session, "reload", service->reload);
        session_addu(session, "keep", service->keep);
        for (size_t i = 0; i < service->pin.count; i++)
            session_add(session, "pin", service->pin.items[i]);
        for (size_t i = 0; i < service->shared.count; i++)
            session_add(session, "shared", service->shared.items[i]);
        add_slots(session);
    }
    struct err err;
    if (!session_submit_any(session, "open", session->connect_timeout_ms, NULL, on_opened, session, &err))
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
    .ready = on_ready, .value = request_value, .output = request_output, .started = request_started, .done = request_done};

static void channel_opened(void *context)
{
    struct session *session = context;
    session->boots = true;
    session_flush(session);
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
    session_flush(context);
}

/* The last line that the far side wrote to stderr, else the last one before our program ran (nologin(8) writes to stdout); safe to show. */
static void last_words(struct session *session, struct strbuf *out)
{
    strbuf_trim_end(&session->error_output);
    strbuf_trim_end(&session->reader.noise);
    const char *text = session->error_output.length || session->state != SESSION_BOOTING ? session->error_output.text
                                                                                         : session->reader.noise.text;
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
        err_set(&loss, ERR_UNREACHABLE, "the node's shell ended (exit %d)%s%s%s", status,
                words.length ? ": " : "", words.text,
                session->state == SESSION_BOOTING ? "; may that account run commands, with its login shell?" : "");
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
    char nonce[17];
    if (error) {
        session_lose(session, error);
        return;
    }
    session->state = SESSION_BOOTING;
    /* Until here the SSH layer has its own deadline, which knows what waiting for a turn is. */
    session->connect_timer = timer_start(session->settings.loop, session->connect_timeout_ms,
                                         connect_timed_out, session);
    snprintf(nonce, sizeof(nonce), "%016" PRIx64, clock_random());
    node_boot_init(&session->boot, nonce);
    reply_reader_init(&session->reader, nonce, &reply_handlers, session);
    session->reader_in_use = true;
    session->unasked = 0;
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
    session->epoch++;
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
