#include <stdio.h>
#include <string.h>

#include "balancer_internal.h"

static void add_env(void *context, const char *name, const char *value)
{
    session_env(context, name, value);
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
    snprintf(out, 300, "%.*s", (int)(length - begin), output + begin);
}

static void replied(void *context, const struct reply *reply)
{
    struct lane *lane = context;
    char line[300];
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
    last_line(line, reply->output);
    int code = reply->status == REPLY_FAILED    ? ERR_REFUSED
               : reply->status == REPLY_TIMEOUT ? ERR_TIMEOUT
                                                : ERR_FAILED;
    err_set(&error, code, "%s: %s%s%s", lane->what, line, *line ? "; " : "", reply->sentence);
    lane_finish(lane, &error);
}

void lane_run(struct lane *lane, const struct lane_command *command)
{
    struct session *session = lane->front->session;
    struct err err = {0};
    lane->ran = command->ran;
    lane->what = command->what;
    session_begin(session, "exec");
    session_add(session, "command", command->text);
    session_addu(session, "timeout_ms", (uint64_t)command->timeout_ms);
    if (command->member) {
        struct node_words words = {.release = "", .slot = command->slot};
        node_environment(command->member, &words, add_env, session);
    }
    for (size_t i = 0; i < LANE_VALUES_MAX && command->values[i].name; i++)
        session_env(session, command->values[i].name, command->values[i].value);
    lane->request_id =
        session_submit(session, command->timeout_ms + KILL_MS, replied, lane, &err);
    if (!lane->request_id)
        lane_finish(lane, &err);
}

void lane_run_stop(struct lane *lane)
{
    session_forget(lane->front->session, lane->request_id);
    lane->request_id = 0;
}
