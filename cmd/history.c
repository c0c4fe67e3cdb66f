#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/table.h"
#include "base/text.h"
#include "run.h"
#include "print.h"

#define REQUEST_TIMEOUT_MS 30000
#define EPOCH_MAX 253402300799 /* the last second of the year 9999 */

/* One rollout, as the nodes' journals tell it together. */
struct past {
    const char *id, *kind, *who, *release; /* kind: rollout, rollback or abort */
    int64_t start, end; /* epoch seconds; end 0: open on some node */
    size_t nodes, open;
    const char *result; /* the worst that a node noted */
    bool mixed;         /* several releases */
};

struct reading {
    struct run *run;
    struct past *items;
    size_t count, unanswered;
};

static struct past *past_of(struct reading *reading, const char *id)
{
    struct arena *arena = &reading->run->inputs.arena;
    for (size_t i = 0; i < reading->count; i++)
        if (strcmp(reading->items[i].id, id) == 0)
            return &reading->items[i];
    struct past *grown = arena_grow(arena, reading->items, reading->count, sizeof(*grown));
    if (!grown)
        return NULL;
    reading->items = grown;
    grown[reading->count] = (struct past){.id = arena_strdup(arena, id)};
    return &grown[reading->count++];
}

/* `ID START END WHO RELEASE RESULT...`, END `-` and RESULT `open` when the node's journal has no end. */
static void add_line(struct reading *reading, const char *line)
{
    struct arena *arena = &reading->run->inputs.arena;
    char *fields[6] = {0};
    char *rest = arena_strdup(arena, line);
    for (size_t i = 0; i < 6 && rest; i++)
        fields[i] = i < 5 ? strsep(&rest, " ") : rest;
    uint64_t start = 0, end = 0;
    bool open = fields[5] && strcmp(fields[2], "-") == 0;
    if (!fields[5] || !text_is_name(fields[0]) ||
        whole_parse(&start, fields[1], 0, EPOCH_MAX, NULL) < 0 ||
        (!open && whole_parse(&end, fields[2], 0, EPOCH_MAX, NULL) < 0))
        return;
    struct past *past = past_of(reading, fields[0]);
    if (!past)
        return;
    past->start = past->nodes == 0 || (int64_t)start < past->start ? (int64_t)start : past->start;
    past->end = (int64_t)end > past->end ? (int64_t)end : past->end;
    past->open += open;
    past->who = fields[3];
    past->mixed = past->mixed || (past->release && strcmp(past->release, fields[4]) != 0);
    past->release = fields[4];
    /* `STATUS RESULT`: the node's own outcome, then the rollout's result. */
    const char *result = strchr(fields[5], ' ');
    past->result = open ? past->result : result ? result + 1 : fields[5];
    past->nodes++;
}

/* `ID KIND`, behind the rollout's line. */
static void add_kind(struct reading *reading, const char *line)
{
    size_t length = strcspn(line, " ");
    for (size_t i = 0; i < reading->count; i++)
        if (strlen(reading->items[i].id) == length && memcmp(reading->items[i].id, line, length) == 0 && line[length])
            reading->items[i].kind = arena_strdup(&reading->run->inputs.arena, line + length + 1);
}

static void build(void *context, struct session *session, size_t member)
{
    struct reading *reading = context;
    (void)member;
    session_begin(session, "history");
    session_addu(session, "lines", reading->run->options->count);
}

static void answer(void *context, size_t member, const struct reply *reply, const struct err *error)
{
    struct reading *reading = context;
    if (error || reply->status != REPLY_OK) {
        print_err("deployctl: warning: %s: %s\n", reading->run->fleet->members[member].node->name,
                error ? error->message : reply->sentence);
        reading->unanswered++;
        return;
    }
    for (size_t i = 0; i < reply->value_count; i++) {
        if (strcmp(reply->values[i].key, "rollout") == 0)
            add_line(reading, reply->values[i].value);
        else if (strcmp(reply->values[i].key, "kind") == 0)
            add_kind(reading, reply->values[i].value);
    }
}

static int newest_first(const void *left, const void *right)
{
    const struct past *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? 1 : -1;
    return strcmp(b->id, a->id);
}

static const char *time_text(char out[32], int64_t epoch)
{
    time_t seconds = (time_t)epoch;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(out, 32, "%Y-%m-%d %H:%M:%SZ", &utc);
    return out;
}

static const char *result_of(const struct past *past)
{
    return past->open ? "did not end" : past->result ? past->result : "unknown";
}

static void print_text(const struct reading *reading, size_t count)
{
    /* A rollout's id begins with its time, so the time stands apart only when asked for. */
    static const char *const headings[] = {"rollout", "kind", "result", "took", "nodes", "release", "who", "started"};
    struct table table;
    table_init(&table, headings, reading->run->options->verbose ? 8 : 7);
    for (size_t i = 0; i < count; i++) {
        const struct past *past = &reading->items[i];
        char started[32], took[DURATION_TEXT_MAX] = "", nodes[24];
        snprintf(nodes, sizeof(nodes), "%zu", past->nodes);
        if (!past->open)
            duration_format(took, past->end > past->start ? (past->end - past->start) * 1000 : 0);
        const char *cells[] = {past->id, past->kind ? past->kind : "", result_of(past), took, nodes,
                               past->mixed ? "several" : past->release, past->who,
                               time_text(started, past->start)};
        table_row(&table, cells);
    }
    table_print(&table, stdout);
    table_release(&table);
}

static void print_json(const struct reading *reading, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct past *past = &reading->items[i];
        json_t *line = json_line("{s:i, s:s, s:s, s:s?, s:I, s:I, s:i, s:s?, s:s, s:s}", "v", 1, "event",
                                 "history", "rollout", past->id, "kind", past->kind, "start", (json_int_t)past->start, "end",
                                 (json_int_t)past->end, "nodes", (int)past->nodes, "release",
                                 past->mixed ? NULL : past->release, "result", result_of(past), "who",
                                 past->who);
        print_json_line(line);
    }
}

static int history(struct run *run)
{
    struct reading reading = {.run = run};
    struct fanout fanout = {
        .forks = run->options->forks,
        .connect_timeout_ms = run->inputs.playbook.retry.connect_timeout_ms,
        .request_timeout_ms = REQUEST_TIMEOUT_MS,
        .build = build,
        .answer = answer,
        .context = &reading,
    };
    int signal_number = fleet_ask(run->fleet, &fanout);
    if (signal_number)
        return 128 + signal_number;
    if (reading.unanswered == run->fleet->count)
        return EXIT_UNREACHABLE;
    if (reading.count)
        qsort(reading.items, reading.count, sizeof(*reading.items), newest_first);
    size_t count = reading.count < run->options->count ? reading.count : run->options->count;
    (run->options->json ? print_json : print_text)(&reading, count);
    return EXIT_DONE;
}

int verb_history(const struct options *options)
{
    struct run run;
    int code = run_begin(&run, options);
    if (!code)
        code = history(&run);
    run_release(&run);
    return report_printed(code);
}
