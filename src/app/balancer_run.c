#include <stdio.h>
#include <string.h>

#include "app/environment.h"
#include "balancer_internal.h"
#include "base/text.h"

#define OUTPUT_MAX 8192 /* of a command on the runner */

/* --- on the balancer's node --- */

static void add_env(void *context, const char *name, const char *value)
{
    session_env(context, name, value);
}

/* The node's words, and what this command is told beside them. */
static void give_words(const struct lane_command *command, void (*add)(void *context, const char *name, const char *value),
                       void *context)
{
    struct node_words words = {.release = "", .slot = command->slot};
    if (command->member)
        node_environment(command->member, &words, add, context);
    for (size_t i = 0; i < LANE_VALUES_MAX && command->values[i].name; i++)
        add(context, command->values[i].name, command->values[i].value);
}

/* The last line of what a command said, or nothing. */
static void last_line(char out[300], const char *output)
{
    size_t length = strlen(output);
    while (length && output[length - 1] == '\n')
        length--;
    size_t begin = length;
    while (begin && output[begin - 1] != '\n')
        begin--;
    size_t cut = text_cut(output + begin, 299);
    snprintf(out, 300, "%.*s", (int)(cut < length - begin ? cut : length - begin), output + begin);
}

static void said_no(struct lane *lane, int code, const char *output, const char *sentence)
{
    char line[300];
    struct err error = {0};
    last_line(line, output);
    err_set(&error, code, "%s: %s%s%s", lane->what, line, *line ? "; " : "", sentence);
    lane_finish(lane, &error);
}

static void replied(void *context, const struct reply *reply)
{
    struct lane *lane = context;
    struct err error = {0};
    lane->request_id = 0;
    if (reply->error) {
        error = *reply->error;
        if (error.code != ERR_UNREACHABLE)
            err_set(&error, ERR_UNREACHABLE, "%s", reply->error->message);
        lane_finish(lane, &error);
        return;
    }
    if (reply->status == REPLY_OK) {
        lane->ran(lane, reply->output);
        return;
    }
    said_no(lane, reply->status == REPLY_TIMEOUT ? ERR_TIMEOUT : ERR_REFUSED, reply->output, reply->sentence);
}

static void run_there(struct lane *lane, const struct lane_command *command)
{
    struct session *session = lane->front->session;
    struct err err = {0};
    session_begin(session, "exec");
    session_add(session, "command", command->text);
    session_addu(session, "timeout_ms", (uint64_t)command->timeout_ms);
    give_words(command, add_env, session);
    lane->request_id =
        session_submit(session, command->timeout_ms + KILL_MS, replied, lane, &err);
    if (!lane->request_id)
        lane_finish(lane, &err);
}

/* --- on the runner --- */

static void ended(void *context, const struct child_result *child)
{
    struct lane *lane = context;
    struct strbuf output;
    char sentence[80] = "";
    lane->child = NULL;
    if (lane->leaving) {
        loop_stop(lane->fleet->loop);
        return;
    }
    strbuf_init(&output, OUTPUT_MAX * 4);
    text_sanitize(&output, child->output, child->output_length, true);
    if (child->timed_out)
        snprintf(sentence, sizeof(sentence), "it did not end in time and was killed");
    else if (child->signal_number)
        snprintf(sentence, sizeof(sentence), "ended by signal %d", child->signal_number);
    else if (child->status)
        snprintf(sentence, sizeof(sentence), "exit %d", child->status);
    if (*sentence)
        said_no(lane, child->timed_out ? ERR_TIMEOUT : ERR_REFUSED, output.text, sentence);
    else
        lane->ran(lane, output.text);
    strbuf_release(&output);
}

static void run_here(struct lane *lane, const struct lane_command *command)
{
    const char *const argv[] = {"/bin/sh", "-c", command->text, NULL};
    struct environment environment;
    struct arena arena;
    struct err err = {0};
    arena_init(&arena);
    environment_init(&environment, &arena);
    give_words(command, environment_add, &environment);
    const char *const *items = environment_items(&environment);
    if (items)
        lane->child = child_start(lane->fleet->loop, argv, items, command->timeout_ms, OUTPUT_MAX, ended, lane, &err);
    else
        err_set(&err, ERR_MEMORY, "out of memory");
    arena_release(&arena);
    if (!lane->child)
        lane_finish(lane, &err);
}

/* --- either --- */

void lane_run(struct lane *lane, const struct lane_command *command)
{
    lane->ran = command->ran;
    lane->what = command->what;
    if (lane->front->session)
        run_there(lane, command);
    else
        run_here(lane, command);
}

void lane_run_stop(struct lane *lane)
{
    if (lane->front->session)
        session_forget(lane->front->session, lane->request_id);
    lane->request_id = 0;
    if (lane->child)
        child_stop(lane->child);
}

void lane_run_wait(struct lane *lane)
{
    lane->leaving = true;
    while (lane->child)
        loop_run(lane->fleet->loop);
}
