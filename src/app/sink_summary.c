#include "app/sink.h"

#include <stdlib.h>
#include <string.h>

#include "app/breaker_list.h"
#include "app/show.h"
#include "base/arena.h"
#include "base/text.h"
#include "sink_text.h"

#define EACH_MAX 16 /* up to so many nodes everyone has a line */
#define NAME_COLUMNS_MAX 32
#define BLOCK_COLUMNS 80
#define ROW_BYTES_MAX ((size_t)8 << 10)

struct row {
    const char *node, *outcome, *release, *note; /* in the arena; "" when there is none */
    bool troubled, printed;
};

struct finding {
    const char *analysis, *block; /* in the arena */
};

struct summary {
    struct sink sink;
    FILE *stream;
    bool color;
    enum verbosity verbosity;
    struct arena arena;
    struct row *rows;
    size_t row_count;
    struct finding *findings; /* the last of each analysis */
    size_t finding_count;
    struct breaker_list breakers;
};

static const char *keep(struct summary *summary, const char *text)
{
    const char *copy = arena_strdup(&summary->arena, text ? text : "");
    return copy ? copy : "";
}

static void add_row(struct summary *summary, const struct record *record)
{
    const char *node = record_node(record);
    struct row *rows = arena_grow(&summary->arena, summary->rows, summary->row_count, sizeof *rows);
    if (!rows || !node)
        return;
    summary->rows = rows;
    struct row *row = &rows[summary->row_count++];
    row->node = keep(summary, node);
    row->outcome = keep(summary, record->outcome);
    row->release = keep(summary, record->release);
    row->note = keep(summary, record->text);
    row->troubled = outcome_troubled(record->outcome);
}

struct widths {
    size_t node, outcome, release;
};

static size_t wider(size_t width, const char *text)
{
    size_t columns = text_columns(text);
    return columns > width ? columns : width;
}

static void print_row(const struct summary *summary, const struct widths *widths, const char *node,
                      const struct row *row)
{
    struct strbuf line;
    enum tone tone = outcome_tone(row->outcome);
    strbuf_init(&line, ROW_BYTES_MAX);
    text_fit(&line, node, widths->node, true);
    strbuf_adds(&line, "  ");
    strbuf_adds(&line, tone_on(tone, summary->color));
    text_fit(&line, row->outcome, widths->outcome, true);
    strbuf_adds(&line, tone_off(tone, summary->color));
    strbuf_adds(&line, "  ");
    text_fit(&line, *row->release ? row->release : "-", widths->release, true);
    strbuf_addf(&line, "  %s", row->note);
    strbuf_trim_end(&line);
    show_line(summary->stream, line.text, summary->color);
    strbuf_release(&line);
}

static bool same(const struct row *left, const struct row *right)
{
    return !right->troubled && strcmp(left->outcome, right->outcome) == 0 &&
           strcmp(left->release, right->release) == 0 && strcmp(left->note, right->note) == 0;
}

/* One line for all nodes that came out as this one, and marks them. */
static void print_group(const struct summary *summary, const struct widths *widths, size_t first)
{
    struct row *row = &summary->rows[first];
    size_t count = 0;
    char label[32];
    for (size_t i = first; i < summary->row_count; i++) {
        if (!same(row, &summary->rows[i]))
            continue;
        summary->rows[i].printed = true;
        count++;
    }
    snprintf(label, sizeof label, "%zu nodes", count);
    print_row(summary, widths, count > 1 ? label : row->node, row);
}

static struct widths measure(const struct summary *summary)
{
    struct widths widths = {strlen("100000 nodes"), strlen("RESULT"), strlen("RELEASE")};
    widths.node = summary->row_count > EACH_MAX ? widths.node : strlen("NODE");
    for (size_t i = 0; i < summary->row_count; i++) {
        widths.node = wider(widths.node, summary->rows[i].node);
        widths.outcome = wider(widths.outcome, summary->rows[i].outcome);
        widths.release = wider(widths.release, summary->rows[i].release);
    }
    widths.node = widths.node < NAME_COLUMNS_MAX ? widths.node : NAME_COLUMNS_MAX;
    return widths;
}

/* The troubled ones come last: nearest to the sentence and to the prompt. */
static void print_table(struct summary *summary)
{
    struct widths widths = measure(summary);
    const struct row header = {.outcome = "RESULT", .release = "RELEASE", .note = "NOTE"};
    bool grouped = summary->row_count > EACH_MAX && summary->verbosity != VERBOSE;
    size_t troubled = 0;
    for (size_t i = 0; i < summary->row_count; i++)
        troubled += summary->rows[i].troubled;
    if (summary->row_count == 0 || (summary->verbosity == QUIET && troubled == 0))
        return;
    print_row(summary, &widths, "NODE", &header);
    for (size_t i = 0; i < summary->row_count && summary->verbosity != QUIET; i++) {
        const struct row *row = &summary->rows[i];
        if (row->troubled || row->printed)
            continue;
        if (grouped)
            print_group(summary, &widths, i);
        else
            print_row(summary, &widths, row->node, row);
    }
    for (size_t i = 0; i < summary->row_count; i++)
        if (summary->rows[i].troubled)
            print_row(summary, &widths, summary->rows[i].node, &summary->rows[i]);
}

static void keep_finding(struct summary *summary, const struct judged *judged)
{
    struct strbuf block;
    size_t at = 0;
    while (at < summary->finding_count && strcmp(summary->findings[at].analysis, judged->analysis) != 0)
        at++;
    if (at == summary->finding_count) {
        struct finding *findings =
            arena_grow(&summary->arena, summary->findings, at, sizeof(*findings));
        if (!findings)
            return;
        summary->findings = findings;
        findings[summary->finding_count++].analysis = keep(summary, judged->analysis);
    }
    strbuf_init(&block, ROW_BYTES_MAX);
    judged_block(&block, judged, BLOCK_COLUMNS);
    summary->findings[at].block = keep(summary, block.text);
    strbuf_release(&block);
}

static void print_breakers(const struct summary *summary)
{
    for (size_t i = 0; i < summary->breakers.count && summary->verbosity != QUIET; i++) {
        const struct breaker_seen *seen = &summary->breakers.items[i];
        struct strbuf line;
        strbuf_init(&line, ROW_BYTES_MAX);
        strbuf_addf(&line, "breaker of %s: ", breaker_seen_name(seen));
        breaker_seen_text(&line, seen);
        show_line(summary->stream, line.text, false);
        strbuf_release(&line);
    }
}

static void print_end(const struct summary *summary, enum tone tone, const char *text)
{
    struct strbuf line;
    strbuf_init(&line, ROW_BYTES_MAX);
    strbuf_addf(&line, "%s%s%s", tone_on(tone, summary->color), text, tone_off(tone, summary->color));
    show_line(summary->stream, line.text, summary->color);
    strbuf_release(&line);
}

static void summary_record(struct sink *sink, const struct record *record)
{
    struct summary *summary = (struct summary *)(void *)sink;
    if (record->kind == RECORD_OUTCOME && record->final)
        add_row(summary, record);
    breaker_list_note(&summary->breakers, record);
    if (record->kind == RECORD_ANALYSIS && record->judged)
        keep_finding(summary, record->judged);
    if (record->kind != RECORD_RESULT)
        return;
    const char *text = record->text ? record->text : record->result ? record->result : "ended";
    print_table(summary);
    for (size_t i = 0; i < summary->finding_count; i++)
        show_lines(summary->stream, summary->findings[i].block);
    print_breakers(summary);
    print_end(summary, result_tone(record->exit_code), text);
    fflush(summary->stream);
}

static void summary_finish(struct sink *sink)
{
    struct summary *summary = (struct summary *)(void *)sink;
    breaker_list_release(&summary->breakers);
    arena_release(&summary->arena);
    free(summary);
}

struct sink *sink_summary_create(FILE *stream, bool color, enum verbosity verbosity)
{
    struct summary *summary = calloc(1, sizeof *summary);
    if (!summary)
        return NULL;
    summary->sink = (struct sink){.record = summary_record, .finish = summary_finish};
    summary->stream = stream;
    summary->color = color;
    summary->verbosity = verbosity;
    arena_init(&summary->arena);
    breaker_list_init(&summary->breakers);
    return &summary->sink;
}
