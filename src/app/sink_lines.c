#include "app/sink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/show.h"
#include "core/rollout.h"
#include "sink_text.h"

#define LINE_COLUMNS 80
#define NAME_COLUMNS_MAX 24
#define LINE_BYTES_MAX ((size_t)64 << 10)
#define PROGRESS_EVERY_MS 2000
#define EVIDENCE_MAX 160

/* What is remembered of a node, so that one line can say what several records mean. */
struct seen {
    const char *phase; /* static: node_phase_name */
    char evidence[EVIDENCE_MAX];
    int64_t progress_at_ms;
};

struct lines_sink {
    struct sink sink;
    FILE *stream;
    bool color;
    enum verbosity verbosity;
    size_t name_columns;
    struct seen *seen; /* a node each */
    size_t seen_count;
    struct strbuf line;
};

/* Begins a line: when, and who. */
static void begin(struct lines_sink *lines, const struct record *record)
{
    strbuf_reset(&lines->line);
    strbuf_addf(&lines->line, "%s%6.1fs%s ", tone_on(TONE_DIM, lines->color),
                (double)record->elapsed_ms / 1000, tone_off(TONE_DIM, lines->color));
    const char *node = record_node(record);
    text_fit(&lines->line, node ? node : "", lines->name_columns, true);
    strbuf_addc(&lines->line, ' ');
}

static void end(struct lines_sink *lines)
{
    strbuf_trim_end(&lines->line);
    show_line(lines->stream, lines->line.text, lines->color);
    fflush(lines->stream);
}

static void say(struct lines_sink *lines, const struct record *record, enum tone tone,
                const char *format, ...) __attribute__((format(printf, 4, 5)));
static void say(struct lines_sink *lines, const struct record *record, enum tone tone,
                const char *format, ...)
{
    va_list arguments;
    begin(lines, record);
    strbuf_adds(&lines->line, tone_on(tone, lines->color));
    va_start(arguments, format);
    strbuf_addf_va(&lines->line, format, arguments);
    va_end(arguments);
    strbuf_adds(&lines->line, tone_off(tone, lines->color));
    end(lines);
}

static void say_started(struct lines_sink *lines, const struct record *record)
{
    const struct roster *roster = record->roster;
    free(lines->seen);
    lines->seen = roster ? calloc(roster->node_count + 1, sizeof *lines->seen) : NULL;
    lines->seen_count = lines->seen ? roster->node_count : 0;
    lines->name_columns = roster_name_columns(roster, NAME_COLUMNS_MAX);
    if (lines->verbosity == QUIET || !roster)
        return;
    strbuf_reset(&lines->line);
    strbuf_adds(&lines->line, tone_on(TONE_BOLD, lines->color));
    roster_title(&lines->line, roster);
    strbuf_adds(&lines->line, tone_off(TONE_BOLD, lines->color));
    end(lines);
    if (record->text && *record->text)
        show_line(lines->stream, record->text, false);
}

static void say_wave(struct lines_sink *lines, const struct record *record)
{
    strbuf_reset(&lines->line);
    strbuf_adds(&lines->line, tone_on(TONE_BOLD, lines->color));
    if (record->roster)
        roster_wave(&lines->line, record->roster, record->wave, record->wave_count,
                    lines->verbosity == VERBOSE ? 0 : LINE_COLUMNS);
    strbuf_adds(&lines->line, tone_off(TONE_BOLD, lines->color));
    end(lines);
}

static const char *known_phase(const char *phase)
{
    for (int i = 0; phase && i < NODE_PHASES; i++)
        if (strcmp(node_phase_name((enum node_phase)i), phase) == 0)
            return node_phase_name((enum node_phase)i);
    return NULL;
}

static bool is_phase(const char *phase, enum node_phase which)
{
    return phase && strcmp(phase, node_phase_name(which)) == 0;
}

/* A phase says what ended: who enters the gate is activated, who leaves it for the next step is
 * healthy. */
static void say_milestone(struct lines_sink *lines, const struct record *record,
                          const struct seen *seen)
{
    const char *evidence = seen && *seen->evidence ? seen->evidence : NULL;
    const char *colon = evidence ? ": " : "";
    bool next = is_phase(record->phase, PHASE_CONFIRM) || is_phase(record->phase, PHASE_ENABLE) ||
                is_phase(record->phase, PHASE_HOOK) || is_phase(record->phase, PHASE_BAKE) ||
                is_phase(record->phase, PHASE_COMMIT);
    bool undone = is_phase(record->phase, PHASE_UNDO_ENABLE) ||
                  is_phase(record->phase, PHASE_UNDO_HOOK) || is_phase(record->phase, PHASE_ENDED);
    if (is_phase(record->phase, PHASE_STAGED))
        say(lines, record, TONE_PLAIN, "staged");
    else if (is_phase(record->phase, PHASE_GATE))
        say(lines, record, TONE_PLAIN, "activated");
    else if (is_phase(record->phase, PHASE_CONTROL_GATE))
        say(lines, record, TONE_PLAIN, "restarted as control");
    else if (is_phase(record->phase, PHASE_CONTROL))
        say(lines, record, TONE_GOOD, "fresh control%s%s", colon, evidence ? evidence : "");
    else if (is_phase(record->phase, PHASE_UNDO_GATE))
        say(lines, record, TONE_PLAIN, "back on its previous release");
    else if (seen && is_phase(seen->phase, PHASE_GATE) && next)
        say(lines, record, TONE_GOOD, "healthy%s%s", colon, evidence ? evidence : "");
    else if (seen && is_phase(seen->phase, PHASE_UNDO_GATE) && undone && evidence)
        say(lines, record, TONE_GOOD, "healthy again: %s", evidence);
}

static void say_phase(struct lines_sink *lines, const struct record *record, struct seen *seen)
{
    if (lines->verbosity == VERBOSE)
        say(lines, record, TONE_PLAIN, "%s", record->phase ? record->phase : "");
    else if (lines->verbosity == NORMAL)
        say_milestone(lines, record, seen);
    if (!seen)
        return;
    seen->phase = known_phase(record->phase);
    if (is_phase(seen->phase, PHASE_GATE) || is_phase(seen->phase, PHASE_UNDO_GATE) ||
        is_phase(seen->phase, PHASE_CONTROL_GATE))
        *seen->evidence = '\0';
}

static void say_probe(struct lines_sink *lines, const struct record *record, struct seen *seen)
{
    const char *text = record->text ? record->text : "";
    if (seen && record->healthy)
        text_keep(seen->evidence, sizeof seen->evidence, text);
    if (lines->verbosity == VERBOSE)
        say(lines, record, record->healthy ? TONE_PLAIN : TONE_WARN, "%s: %s",
            record->healthy ? "healthy" : "not healthy", text);
}

static void say_progress(struct lines_sink *lines, const struct record *record, struct seen *seen)
{
    bool due = !seen || record->done == record->total ||
               record->elapsed_ms - seen->progress_at_ms >= PROGRESS_EVERY_MS;
    if (lines->verbosity != VERBOSE || !due)
        return;
    if (seen)
        seen->progress_at_ms = record->elapsed_ms;
    say(lines, record, TONE_DIM, "%s %" PRIu64 " of %" PRIu64 " bytes",
        record->phase ? record->phase : "", record->done, record->total);
}

/* The verdict; its evidence stands in the summary. */
static void say_analysis(struct lines_sink *lines, const struct record *record)
{
    struct strbuf text;
    if (!record->judged)
        return;
    strbuf_init(&text, LINE_BYTES_MAX);
    judged_verdict(&text, record->judged);
    say(lines, record, verdict_tone(record->judged->evidence.verdict), "%s", text.text);
    if (lines->verbosity == VERBOSE) {
        strbuf_reset(&text);
        judged_evidence(&text, record->judged, LINE_COLUMNS);
        show_lines(lines->stream, text.text);
        fflush(lines->stream);
    }
    strbuf_release(&text);
}

static void say_other(struct lines_sink *lines, const struct record *record)
{
    const char *text = record->text ? record->text : "";
    const char *phase = record->phase ? record->phase : "step";
    switch (record->kind) {
    case RECORD_STATE:
        if (lines->verbosity == VERBOSE && record->state)
            say(lines, record, TONE_DIM, "now: %s", record->state);
        break;
    case RECORD_RETRY:
        say(lines, record, TONE_WARN, "%s again in %.1fs: %s", phase, (double)record->done / 1000,
            text);
        break;
    case RECORD_OUTPUT:
        say(lines, record, TONE_DIM, "| %s", text);
        break;
    case RECORD_OUTCOME:
        if (!record->final && record->outcome)
            say(lines, record, outcome_tone(record->outcome), "%s%s%s", record->outcome,
                *text ? ": " : "", text);
        break;
    default:
        say(lines, record, TONE_WARN, "%s", text);
        break;
    }
}

static void lines_record(struct sink *sink, const struct record *record)
{
    struct lines_sink *lines = (struct lines_sink *)(void *)sink;
    struct seen *seen = record->node < lines->seen_count ? &lines->seen[record->node] : NULL;
    switch (record->kind) {
    case RECORD_STARTED:
        say_started(lines, record);
        break;
    case RECORD_WAVE:
        if (lines->verbosity != QUIET)
            say_wave(lines, record);
        break;
    case RECORD_PHASE:
        say_phase(lines, record, seen);
        break;
    case RECORD_PROBE:
        say_probe(lines, record, seen);
        break;
    case RECORD_PROGRESS:
        say_progress(lines, record, seen);
        break;
    case RECORD_TROUBLE:
        say(lines, record, TONE_BAD, "%s", record->text ? record->text : "failed");
        break;
    case RECORD_ANALYSIS:
        say_analysis(lines, record);
        break;
    case RECORD_RESULT:
        say(lines, record, result_tone(record->exit_code), "%s",
            record->result ? record->result : "ended");
        break;
    default:
        if (lines->verbosity != QUIET)
            say_other(lines, record);
    }
}

static void lines_finish(struct sink *sink)
{
    struct lines_sink *lines = (struct lines_sink *)(void *)sink;
    fflush(lines->stream);
    strbuf_release(&lines->line);
    free(lines->seen);
    free(lines);
}

struct sink *sink_lines_create(FILE *stream, bool color, enum verbosity verbosity)
{
    struct lines_sink *lines = calloc(1, sizeof *lines);
    if (!lines)
        return NULL;
    lines->sink = (struct sink){.record = lines_record, .finish = lines_finish};
    lines->stream = stream;
    lines->color = color;
    lines->verbosity = verbosity;
    lines->name_columns = 10;
    strbuf_init(&lines->line, LINE_BYTES_MAX);
    return &lines->sink;
}
