/* Figures from a command on the runner: the last word that it prints. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis_internal.h"
#include "app/environment.h"
#include "base/text.h"

/* A command outlives the question when that is over: it is asked to end, and waited for. */
struct command_call {
    struct analyses *analyses;
    struct question *question; /* NULL: nobody wants the figure any more */
    struct child *child;
};

#define OUTPUT_MAX 4096
#define AT_ONCE 8

/* A decimal number, alone; false when it is none. */
static bool read_number(const char *text, double *out)
{
    char *end;
    if (text[strspn(text, "0123456789+-.eE")])
        return false;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

static const char *last_word(char *text)
{
    char *trimmed = text_trim(text);
    size_t length = strlen(trimmed);
    while (length && (trimmed[length - 1] == '\n' || trimmed[length - 1] == '\r'))
        trimmed[--length] = '\0';
    while (length && !strchr(" \t\r\n", trimmed[length - 1]))
        length--;
    return trimmed + length;
}

static int explain(const struct child_result *child, struct err *err)
{
    if (child->timed_out)
        return err_set(err, ERR_TIMEOUT, "the command did not end in time and was killed");
    if (child->signal_number)
        return err_set(err, ERR_FAILED, "the command was ended by signal %d", child->signal_number);
    return err_set(err, ERR_FAILED, "the command ended with exit %d", child->status);
}

static void take_output(struct question *question, const struct child_result *child)
{
    char text[OUTPUT_MAX + 1];
    struct err err;
    double figure;
    size_t length = child->output_length < OUTPUT_MAX ? child->output_length : OUTPUT_MAX;
    memcpy(text, child->output, length);
    text[length] = '\0';
    if (child->timed_out || child->signal_number || child->status != 0) {
        explain(child, &err);
        question_failed(question, &err);
    } else if (!read_number(last_word(text), &figure)) {
        err_set(&err, ERR_FAILED, "the command printed no number");
        question_failed(question, &err);
    } else {
        question_answered(question, figure);
    }
}

static void ended(void *context, const struct child_result *child)
{
    struct command_call *call = context;
    struct question *question = call->question;
    struct analyses *analyses = call->analyses;
    free(call);
    analyses->commands--;
    if (question) {
        question->call = NULL;
        take_output(question, child);
    } else if (analyses->leaving && !analyses->commands) {
        loop_stop(analyses->fleet->loop);
    }
}

static struct child *start(struct command_call *call, struct err *err)
{
    struct question *question = call->question;
    struct fleet *fleet = call->analyses->fleet;
    const struct analysis *rules = question->run->rules;
    const char *const argv[] = {"/bin/sh", "-c", rules->command, NULL};
    struct environment environment;
    struct arena arena;
    struct child *child = NULL;
    arena_init(&arena);
    environment_init(&environment, &arena);
    node_environment(&fleet->members[question->member], &question->words, environment_add,
                     &environment);
    environment_add(&environment, "DEPLOYCTL_SIDE",
                    question->side == SIDE_CANARY ? "canary" : "control");
    const char *const *items = environment_items(&environment);
    if (items)
        child = child_start(fleet->loop, argv, items, rules->timeout_ms, OUTPUT_MAX, ended, call, err);
    else
        err_set(err, ERR_MEMORY, "out of memory");
    arena_release(&arena);
    return child;
}

static int ask(struct question *question, struct err *err)
{
    struct command_call *call = calloc(1, sizeof(*call));
    if (!call)
        return err_set(err, ERR_MEMORY, "out of memory");
    call->analyses = question->run->analyses;
    call->question = question;
    call->child = start(call, err);
    if (!call->child) {
        free(call);
        return err->code;
    }
    call->analyses->commands++;
    question->call = call;
    return 0;
}

static void cancel(struct question *question)
{
    struct command_call *call = question->call;
    question->call = NULL;
    if (!call)
        return;
    call->question = NULL;
    child_stop(call->child);
}

const struct analysis_asker analysis_command = {.ask = ask, .cancel = cancel, .at_once = AT_ONCE};
