#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "run.h"
#include "print.h"

#define REQUEST_TIMEOUT_MS 70000 /* the node's own limit is a minute */

struct log_line {
    const char *text; /* in the run's arena */
    int64_t time_us; /* since 1970; of a line without a time that of the one before it, 0 when there
                        is none */
    size_t member, order;
};

struct logging {
    struct run *run;
    struct log_line *lines;
    size_t count, unreached, failed, name_width;
    bool out_of_memory;
};

/* --- times --- */

/* `+0000`, `+00:00` or `Z` in seconds; 0 when it is none of these. */
static int64_t zone_seconds(const char *text)
{
    int hours = 0, minutes = 0;
    if (*text != '+' && *text != '-')
        return 0;
    if (sscanf(text + 1, "%2d:%2d", &hours, &minutes) != 2 &&
        sscanf(text + 1, "%2d%2d", &hours, &minutes) != 2)
        return 0;
    return (*text == '-' ? -60 : 60) * (int64_t)(hours * 60 + minutes);
}

/* The time that a line begins with, as `2026-11-23T01:14:36.123456+0000`; 0 when it begins with
 * none. `rest`: behind it. */
static int64_t line_time(const char *line, const char **rest)
{
    struct tm parts = {0};
    int64_t micros = 0, unit = 100000;
    const char *at = strptime(line, "%Y-%m-%dT%H:%M:%S", &parts);
    *rest = line;
    if (!at)
        return 0;
    if (*at == '.' || *at == ',')
        for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10)
            micros += (*at - '0') * unit;
    int64_t seconds = (int64_t)timegm(&parts) - zone_seconds(at);
    *rest = at + strcspn(at, " \t");
    *rest += strspn(*rest, " \t");
    return seconds * 1000000 + micros;
}

/* --- lines --- */

static const char *node_name(const struct logging *logging, size_t member)
{
    return logging->run->fleet->members[member].node->name;
}

static void print_json(const char *node, const char *text)
{
    const char *message;
    int64_t time_us = line_time(text, &message);
    json_t *line = json_line("{s:i, s:s, s:s}", "v", 1, "event", "log", "node", node);
    if (time_us) {
        char stamp[40];
        time_t seconds = (time_t)(time_us / 1000000);
        struct tm utc;
        gmtime_r(&seconds, &utc);
        size_t length = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
        snprintf(stamp + length, sizeof(stamp) - length, ".%06" PRId64 "Z", time_us % 1000000);
        json_object_set_new(line, "time", json_text(stamp));
    }
    json_object_set_new(line, "text", json_text(message));
    print_json_line(line);
}

static void print_line(const struct logging *logging, size_t member, const char *text)
{
    const char *node = node_name(logging, member);
    if (logging->run->options->json)
        print_json(node, text);
    else
        print_out("%-*s | %s\n", (int)logging->name_width, node, text);
}

/* With -f: as it comes. A reader that went away ends it. */
static void line_came(void *context, size_t member, const char *line)
{
    struct logging *logging = context;
    print_line(logging, member, line);
    if (fflush(stdout) != 0)
        loop_stop(logging->run->fleet->loop);
}

static void keep_line(struct logging *logging, size_t member, const char *text, size_t length,
                      int64_t *last_us)
{
    struct arena *arena = &logging->run->inputs.arena;
    struct log_line *grown = arena_grow(arena, logging->lines, logging->count, sizeof(*grown));
    char *copy = arena_strndup(arena, text, length);
    if (!grown || !copy) {
        logging->out_of_memory = true;
        return;
    }
    const char *rest;
    int64_t time_us = line_time(copy, &rest);
    *last_us = time_us ? time_us : *last_us;
    logging->lines = grown;
    grown[logging->count] = (struct log_line){
        .text = copy, .time_us = *last_us, .member = member, .order = logging->count};
    logging->count++;
}

static void keep_lines(struct logging *logging, size_t member, const char *output)
{
    int64_t last_us = 0;
    while (*output) {
        size_t length = strcspn(output, "\n");
        keep_line(logging, member, output, length, &last_us);
        output += length + (output[length] == '\n');
    }
}

static int by_time(const void *left, const void *right)
{
    const struct log_line *a = left, *b = right;
    if (a->time_us != b->time_us)
        return a->time_us < b->time_us ? -1 : 1;
    if (a->member != b->member)
        return a->member < b->member ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static void print_merged(struct logging *logging)
{
    if (logging->count)
        qsort(logging->lines, logging->count, sizeof(*logging->lines), by_time);
    for (size_t i = 0; i < logging->count; i++)
        print_line(logging, logging->lines[i].member, logging->lines[i].text);
    fflush(stdout);
}

/* --- asking --- */

static void build(void *context, struct session *session, size_t member)
{
    const struct logging *logging = context;
    const struct options *options = logging->run->options;
    (void)member;
    session_begin(session, "logs");
    session_addu(session, "lines", options->lines);
    if (options->since_ms)
        session_addu(session, "since", (uint64_t)((options->since_ms + 999) / 1000));
    if (options->follow)
        session_add(session, "follow", "yes");
}

static void answer(void *context, size_t member, const struct reply *reply, const struct err *error)
{
    struct logging *logging = context;
    const char *node = node_name(logging, member);
    const char *rights = reply ? reply_get(reply, "rights") : NULL;
    bool failed = reply && reply->status != REPLY_OK;
    logging->unreached += error && error->code != ERR_REFUSED;
    logging->failed += failed || (error && error->code == ERR_REFUSED);
    if (reply)
        keep_lines(logging, member, reply->output);
    if (rights)
        print_err("deployctl: warning: %s: %s\n", node, rights);
    if (error || failed)
        print_err("deployctl: %s: %s\n", node, error ? error->message : reply->sentence);
    else if (!reply->output[0] && !logging->run->options->quiet)
        print_err("deployctl: %s: no lines\n", node);
}

static int logs(struct run *run)
{
    struct logging logging = {.run = run};
    size_t count = run->fleet->count;
    bool follow = run->options->follow;
    struct fanout fanout = {
        .forks = follow ? (uint32_t)count : run->options->forks,
        .connect_timeout_ms = run->inputs.playbook.retry.connect_timeout_ms,
        .request_timeout_ms = follow ? 0 : REQUEST_TIMEOUT_MS,
        .build = build,
        .answer = answer,
        .line = follow ? line_came : NULL,
        .context = &logging,
    };
    for (size_t i = 0; i < count; i++) {
        size_t width = text_columns(node_name(&logging, i));
        logging.name_width = width > logging.name_width ? width : logging.name_width;
    }
    if (run->options->since_ms && !run->inputs.playbook.service.unit)
        print_err("deployctl: warning: a service without a unit has no times in its log: "
                        "--since is not looked at\n");
    int signal_number = fleet_ask(run->fleet, &fanout);
    if (signal_number)
        return 128 + signal_number;
    if (logging.out_of_memory)
        return report_error(&(struct err){.code = ERR_MEMORY, .message = "out of memory"});
    print_merged(&logging);
    if (logging.unreached == count)
        return EXIT_UNREACHABLE;
    return logging.unreached || logging.failed ? EXIT_NEEDS_CARE : EXIT_DONE;
}

int verb_logs(const struct options *options)
{
    struct run run;
    int code = run_begin(&run, options);
    if (!code)
        code = logs(&run);
    run_release(&run);
    return report_printed(code);
}
