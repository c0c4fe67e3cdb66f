#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "app/fleet.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "command.h"
#include "print.h"

#define COMMAND_MAX (128 * 1024)
#define CONNECT_TIMEOUT_MS 10000
#define ANSWER_GRACE_MS 20000

struct executing {
    const struct options *options;
    struct fleet *fleet;
    struct strbuf command;
    size_t failed, unreached, name_width;
};

/* One argument is a shell's command line, as with ssh; several are one word each, as with kubectl exec. */
static void build_command(struct strbuf *out, const struct options *options)
{
    if (options->command_count == 1) {
        strbuf_adds(out, options->command[0]);
        return;
    }
    for (size_t i = 0; i < options->command_count; i++) {
        if (i)
            strbuf_addc(out, ' ');
        text_shell_quote(out, options->command[i]);
    }
}

static void build(void *context, struct session *session, size_t member)
{
    struct executing *executing = context;
    (void)member;
    session_begin(session, "exec");
    session_add(session, "command", executing->command.text);
    session_addu(session, "timeout_ms", (uint64_t)executing->options->timeout_ms);
}

static void print_lines(const struct executing *executing, const char *node, const char *output)
{
    while (*output) {
        size_t length = strcspn(output, "\n");
        print_out("%-*s | %.*s\n", (int)executing->name_width, node, (int)length, output);
        output += length + (output[length] == '\n');
    }
}

static void print_json(const char *node, const char *status, const char *output, const char *trouble)
{
    json_t *line = json_line("{s:i, s:s, s:s, s:s?, s:s, s:s?}", "v", 1, "event", "exec", "node", node,
                             "status", status, "output", output, "error", trouble);
    print_json_line(line);
}

static void answer(void *context, size_t member, const struct reply *reply, const struct err *error)
{
    struct executing *executing = context;
    const char *node = executing->fleet->members[member].node->name;
    bool refused = error && error->code == ERR_REFUSED;
    bool failed = refused || (reply && reply->status != REPLY_OK);
    const char *trouble = error ? error->message : failed ? reply->sentence : NULL;
    const char *status = reply ? reply_get(reply, "status") : NULL;
    const char *output = reply ? reply->output : "";
    executing->failed += failed;
    executing->unreached += error && !refused;
    if (executing->options->json) {
        print_json(node, status, output, trouble);
        return;
    }
    print_lines(executing, node, output);
    if (trouble)
        print_err("deployctl: %s: %s\n", node, trouble);
    fflush(stdout);
}

static int execute(struct executing *executing)
{
    struct fanout fanout = {
        .forks = executing->options->forks,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .request_timeout_ms = executing->options->timeout_ms + ANSWER_GRACE_MS,
        .build = build,
        .answer = answer,
        .context = executing,
    };
    size_t count = executing->fleet->count;
    for (size_t i = 0; i < count; i++) {
        size_t width = text_columns(executing->fleet->members[i].node->name);
        executing->name_width = width > executing->name_width ? width : executing->name_width;
    }
    int signal_number = fleet_ask(executing->fleet, &fanout);
    if (signal_number)
        return 128 + signal_number;
    if (count && executing->unreached == count)
        return EXIT_UNREACHABLE;
    return executing->failed || executing->unreached ? EXIT_NEEDS_CARE : EXIT_DONE;
}

int verb_exec(const struct options *options)
{
    struct inputs inputs;
    struct executing executing = {.options = options};
    struct err err;
    int code = inputs_read(&inputs, options, NULL, options->arguments[0]);
    strbuf_init(&executing.command, COMMAND_MAX);
    if (code)
        goto out;
    signal(SIGPIPE, SIG_IGN);
    build_command(&executing.command, options);
    if (executing.command.overflowed) {
        err_set(&err, ERR_INPUT, "the command is longer than %d bytes", COMMAND_MAX);
        code = report_error(&err);
        goto out;
    }
    if (fleet_create(&executing.fleet, &inputs.inventory, inputs.nodes, inputs.node_count, NULL, &err) < 0) {
        code = report_error(&err);
        goto out;
    }
    code = execute(&executing);
out:
    fleet_free(executing.fleet);
    strbuf_release(&executing.command);
    inputs_release(&inputs);
    return report_printed(code);
}
