#include <stdio.h>
#include <string.h>

#include "app/environment.h"
#include "base/text.h"
#include "discovery_internal.h"

#define OUTPUT_MAX ((size_t)256 << 10)

/* A command on the runner or on the place's node, for the change at hand; NULL: for none. */
typedef void ended_fn(struct place *place, const char *output, const struct err *error);

static void add_to_session(void *context, const char *name, const char *value)
{
    session_env(context, name, value);
}

static void give_words(const struct place *place, void (*add)(void *context, const char *name, const char *value),
                       void *context)
{
    const struct change *change = place->at;
    struct fleet *fleet = place->discoveries->fleet;
    if (change) {
        struct node_words words = {.release = change->release ? change->release : "", .slot = change->slot};
        node_environment(&fleet->members[change->member], &words, add, context);
    } else {
        add(context, "DEPLOYCTL_SERVICE", fleet->playbook->service.name);
    }
    add(context, "DEPLOYCTL_DISCOVERY", place->discovery->name);
}

static void was_done(struct place *place, const char *output, const struct err *error);

static void child_ended(void *context, const struct child_result *child)
{
    struct place *place = context;
    struct err err;
    struct strbuf output;
    int rc = 0;
    place->child = NULL;
    if (place->releasing) {
        loop_stop(place->discoveries->fleet->loop);
        return;
    }
    strbuf_init(&output, OUTPUT_MAX * 4);
    text_sanitize(&output, child->output, child->output_length, true);
    size_t length = strcspn(output.text, "\n");
    if (child->timed_out)
        rc = err_set(&err, ERR_TIMEOUT, "the command did not end in time and was killed");
    else if (child->signal_number || child->status)
        rc = err_set(&err, ERR_FAILED, "the command ended with %s %d%s%.*s", child->signal_number ? "signal" : "exit",
                     child->signal_number ? child->signal_number : child->status, length ? ": " : "",
                     length < 400 ? (int)length : 400, output.text);
    was_done(place, output.text, rc < 0 ? &err : NULL);
    strbuf_release(&output);
}

static void run_here(struct place *place, const char *command)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    struct environment environment;
    struct arena arena;
    struct err err;
    arena_init(&arena);
    environment_init(&environment, &arena);
    give_words(place, environment_add, &environment);
    const char *const *items = environment_items(&environment);
    place->child = items ? child_start(place->discoveries->fleet->loop, argv, items, place->discovery->etcd.timeout_ms, OUTPUT_MAX,
                                       child_ended, place, &err)
                         : NULL;
    if (!items)
        err_set(&err, ERR_MEMORY, "out of memory");
    arena_release(&arena);
    if (!place->child)
        was_done(place, "", &err);
}

static void replied(void *context, const struct reply *reply)
{
    struct place *place = context;
    struct err err;
    place->request = 0;
    if (reply->error) {
        was_done(place, "", reply->error);
    } else if (reply->status == REPLY_OK) {
        was_done(place, reply->output, NULL);
    } else {
        size_t length = strcspn(reply->output, "\n");
        err_set(&err, reply->status == REPLY_TIMEOUT ? ERR_TIMEOUT : ERR_FAILED, "the command: %s%s%.*s", reply->sentence,
                length ? ": " : "", length < 400 ? (int)length : 400, reply->output);
        was_done(place, "", &err);
    }
}

static const char *command_of(const struct place *place)
{
    if (!place->at)
        return place->discovery->list;
    return place->at->wish == WISH_ADD ? place->discovery->add : place->discovery->remove;
}

static void connected(void *context, const struct err *error)
{
    struct place *place = context;
    struct session *session = place->session;
    int64_t timeout_ms = place->discovery->etcd.timeout_ms;
    struct err err;
    if (error) {
        was_done(place, "", error);
        return;
    }
    if (place->stage == PLACE_WRITE && !place_may_write(place))
        return;
    session_begin(session, "exec");
    session_add(session, "command", command_of(place));
    session_addu(session, "timeout_ms", (uint64_t)timeout_ms);
    give_words(place, add_to_session, session);
    place->request = session_submit(session, timeout_ms + 20000, replied, place, &err);
    if (!place->request)
        was_done(place, "", &err);
}

static void run(struct place *place)
{
    if (place->session)
        session_connect(place->session, place->discovery->etcd.timeout_ms, connected, place);
    else
        run_here(place, command_of(place));
}

/* --- the type --- */

static void write_next(struct place *place, struct change *change)
{
    while (change && (change->wish == WISH_LOOK || (!place->said.unknown && change_is_done(place, change))))
        change = change->next;
    place->at = change;
    if (!change)
        place_was_written(place, NULL);
    else if (place_may_write(place))
        run(place);
}

static void was_done(struct place *place, const char *output, const struct err *error)
{
    if (place->stage == PLACE_WRITE && error) {
        place->at = NULL;
        place_was_written(place, error);
    } else if (place->stage == PLACE_WRITE) {
        write_next(place, place->at->next);
    } else {
        announced_release(&place->said);
        if (!error)
            list_parse(&place->said, output);
        place_was_read(place, error);
    }
}

static void command_read(struct place *place)
{
    place->at = NULL;
    if (place->discovery->list) {
        run(place);
        return;
    }
    place->said.unknown = true;
    place_was_read(place, NULL);
}

static void command_write(struct place *place)
{
    write_next(place, place->batch);
}

static void command_stop(struct place *place)
{
    if (place->session && place->request)
        session_forget(place->session, place->request);
    place->request = 0;
    place->at = NULL;
    if (place->child)
        child_stop(place->child);
}

const struct discovery_type discovery_command_type = {command_read, command_write, command_stop};
