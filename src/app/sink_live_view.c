#include "sink_live_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "core/rollout.h"
#include "sink_text.h"

#define NAME_COLUMNS_MAX 24
#define PHASE_COLUMNS 14
#define BAR_COLUMNS 12
#define WAVE_BAR_COLUMNS 22
#define LINE_BYTES_MAX 2048

static const char *known_outcome(const char *outcome)
{
    for (int i = 0; outcome && i < NODE_OUTCOMES; i++)
        if (strcmp(node_outcome_name((enum node_outcome)i), outcome) == 0)
            return node_outcome_name((enum node_outcome)i);
    return NULL;
}

static void start(struct live_view *view, const struct roster *roster)
{
    live_view_release(view);
    view->nodes = roster ? calloc(roster->node_count + 1, sizeof *view->nodes) : NULL;
    view->roster = view->nodes ? roster : NULL;
    view->node_count = view->nodes ? roster->node_count : 0;
    view->name_columns = roster_name_columns(roster, NAME_COLUMNS_MAX);
}

static void node_record(struct live_node *node, const struct record *record)
{
    switch (record->kind) {
    case RECORD_PHASE:
        text_keep(node->phase, sizeof node->phase, record->phase);
        *node->evidence = '\0';
        node->since_ms = record->elapsed_ms;
        node->total = 0;
        break;
    case RECORD_PROGRESS:
        node->done = record->done;
        node->total = record->total;
        break;
    case RECORD_PROBE:
    case RECORD_RETRY:
        text_keep(node->evidence, sizeof node->evidence, record->text);
        break;
    case RECORD_TROUBLE:
        text_keep(node->evidence, sizeof node->evidence, record->text);
        node->troubled = true;
        break;
    case RECORD_OUTCOME:
        node->outcome = known_outcome(record->outcome);
        node->troubled = outcome_troubled(record->outcome);
        break;
    default:
        break;
    }
}

void live_view_record(struct live_view *view, const struct record *record)
{
    if (record->kind == RECORD_STARTED)
        start(view, record->roster);
    else if (record->kind == RECORD_STATE)
        text_keep(view->state, sizeof view->state, record->state);
    else if (record->kind == RECORD_WAVE) {
        view->wave = record->wave;
        view->wave_count = record->wave_count;
    }
    if (record->kind == RECORD_RESULT || (record->kind == RECORD_OUTCOME && record->final))
        view->over = true;
    if (record->node < view->node_count)
        node_record(&view->nodes[record->node], record);
}

void live_view_release(struct live_view *view)
{
    free(view->nodes);
    *view = (struct live_view){0};
}

void live_bar(struct strbuf *out, uint64_t done, uint64_t total, size_t columns, bool utf8)
{
    size_t cells = columns > 3 ? columns - 2 : 1;
    double share = total ? (double)done / (double)total : 0;
    size_t full = share >= 1 ? cells : (size_t)(share * (double)cells);
    strbuf_addc(out, '[');
    for (size_t i = 0; i < cells; i++)
        strbuf_adds(out, utf8 ? (i < full ? "\u2588" : "\u2591") : (i < full ? "#" : "-"));
    strbuf_addc(out, ']');
}

static bool in_phase(const struct live_node *node, enum node_phase phase)
{
    return strcmp(node->phase, node_phase_name(phase)) == 0;
}

enum standing { AT_WORK, TROUBLED, WAITING, STAGED, CAME_OUT };

static enum standing standing_of(const struct live_node *node)
{
    bool settled = in_phase(node, PHASE_ENDED) || node->outcome;
    bool waiting = !*node->phase || in_phase(node, PHASE_WAITING);
    if (node->troubled)
        return TROUBLED;
    if (settled)
        return CAME_OUT;
    if (waiting)
        return WAITING;
    return in_phase(node, PHASE_STAGED) || in_phase(node, PHASE_CONTROL) ? STAGED : AT_WORK;
}

/* Whether a node has done its part of what the bar measures: of the wave, else of the staging. */
static bool part_done(const struct live_view *view, const struct live_node *node)
{
    if (node->outcome || in_phase(node, PHASE_ENDED))
        return true;
    if (view->wave_count == 0)
        return in_phase(node, PHASE_STAGED);
    return in_phase(node, PHASE_BAKE) || in_phase(node, PHASE_COMMIT) ||
           in_phase(node, PHASE_RELEASE);
}

/* Appends `line` cut to the style's width, remembers its width, and empties it. */
static void add_line(struct strbuf *out, struct strbuf *line, const struct live_style *style,
                     enum tone tone, size_t *width)
{
    struct strbuf safe;
    strbuf_init(&safe, 4 * LINE_BYTES_MAX);
    strbuf_trim_end(line);
    text_sanitize(&safe, line->text, line->length, false);
    strbuf_adds(out, tone_on(tone, style->color));
    size_t text_at = out->length;
    text_fit(out, safe.text, style->columns, false);
    strbuf_release(&safe);
    *width = text_columns(out->text + text_at);
    strbuf_adds(out, tone_off(tone, style->color));
    strbuf_addc(out, '\n');
    strbuf_reset(line);
}

static void head_line(struct strbuf *line, const struct live_view *view,
                      const struct live_style *style, int64_t now_ms)
{
    const size_t *waves = view->roster->waves;
    size_t total = 0, done = 0;
    char elapsed[DURATION_TEXT_MAX];
    for (size_t i = 0; i < view->node_count; i++) {
        if (view->wave_count && waves && waves[i] != view->wave)
            continue;
        total++;
        done += part_done(view, &view->nodes[i]);
    }
    if (view->wave_count)
        strbuf_addf(line, "wave %zu of %zu ", view->wave + 1, view->wave_count);
    live_bar(line, done, total, style->columns < 70 ? BAR_COLUMNS : WAVE_BAR_COLUMNS, style->utf8);
    if (now_ms < 60000)
        snprintf(elapsed, sizeof elapsed, "%.1fs", (double)now_ms / 1000);
    else
        duration_format(elapsed, now_ms);
    strbuf_addf(line, " %zu of %zu node%s  %s  %s", done, total, total == 1 ? "" : "s", elapsed,
                view->state);
}

static void node_line(struct strbuf *line, const struct live_view *view, size_t index,
                      const struct live_style *style, int64_t now_ms)
{
    const struct live_node *node = &view->nodes[index];
    enum standing standing = standing_of(node);
    char done[DURATION_TEXT_MAX], total[DURATION_TEXT_MAX];
    text_fit(line, view->roster->nodes[index], view->name_columns, true);
    strbuf_addc(line, ' ');
    const char *word = node->outcome ? node->outcome : *node->phase ? node->phase : "waiting";
    text_fit(line, word, PHASE_COLUMNS, true);
    if (standing == AT_WORK || (standing == TROUBLED && !node->outcome))
        strbuf_addf(line, "%7.1fs ", (double)(now_ms - node->since_ms) / 1000);
    else
        strbuf_adds(line, "         ");
    if (node->total) {
        live_bar(line, node->done, node->total, BAR_COLUMNS, style->utf8);
        strbuf_addf(line, " %s of %s", size_format(done, node->done),
                    size_format(total, node->total));
    } else {
        strbuf_adds(line, node->evidence);
    }
}

static void count_word(struct strbuf *line, size_t count, const char *word)
{
    if (count)
        strbuf_addf(line, "%s%zu %s", line->length ? ", " : "", count, word);
}

/* What has no line of its own, counted. */
static void rest_line(struct strbuf *line, const struct live_view *view, const bool *shown)
{
    size_t standings[CAME_OUT + 1] = {0}, outcomes[NODE_OUTCOMES] = {0};
    for (size_t i = 0; i < view->node_count; i++) {
        const struct live_node *node = &view->nodes[i];
        int outcome = 0;
        if (shown[i])
            continue;
        while (node->outcome &&
               strcmp(node_outcome_name((enum node_outcome)outcome), node->outcome) != 0)
            outcome++;
        if (node->outcome)
            outcomes[outcome]++;
        else
            standings[standing_of(node)]++;
    }
    count_word(line, standings[AT_WORK], "more at work");
    count_word(line, standings[TROUBLED], "more in trouble");
    count_word(line, standings[STAGED], "staged");
    count_word(line, standings[WAITING], "waiting");
    count_word(line, standings[CAME_OUT], "ended");
    for (int i = 0; i < NODE_OUTCOMES; i++)
        count_word(line, outcomes[i], node_outcome_name((enum node_outcome)i));
}

/* Marks whose line is drawn: everyone when there is room, else who is at work, then who is in
 * trouble. */
static size_t choose(const struct live_view *view, size_t room, bool *shown)
{
    size_t chosen = 0;
    bool all = view->node_count <= room;
    for (enum standing standing = AT_WORK; standing <= CAME_OUT; standing++)
        for (size_t i = 0; i < view->node_count && chosen < room; i++) {
            bool wanted = all || standing <= TROUBLED;
            if (wanted && standing_of(&view->nodes[i]) == standing) {
                shown[i] = true;
                chosen++;
            }
        }
    return chosen;
}

static enum tone node_tone(const struct live_node *node)
{
    if (node->troubled)
        return TONE_BAD;
    if (node->outcome)
        return outcome_tone(node->outcome);
    return standing_of(node) == AT_WORK ? TONE_PLAIN : TONE_DIM;
}

size_t live_view_render(struct strbuf *out, const struct live_view *view,
                        const struct live_style *style, int64_t now_ms, size_t *widths)
{
    size_t rows = style->rows > VIEW_ROWS_MAX ? VIEW_ROWS_MAX : style->rows;
    size_t count = 0, room = rows > 3 ? rows - 3 : 0;
    if (!view->roster || view->over || rows < 2)
        return 0;
    bool *shown = calloc(view->node_count + 1, sizeof *shown);
    if (!shown)
        return 0;
    struct strbuf line;
    strbuf_init(&line, LINE_BYTES_MAX);
    head_line(&line, view, style, now_ms);
    add_line(out, &line, style, TONE_BOLD, &widths[count++]);
    size_t chosen = choose(view, room, shown);
    for (size_t i = 0; i < view->node_count && chosen; i++) {
        if (!shown[i])
            continue;
        node_line(&line, view, i, style, now_ms);
        add_line(out, &line, style, node_tone(&view->nodes[i]), &widths[count++]);
    }
    rest_line(&line, view, shown);
    if (line.length && count < rows - 1)
        add_line(out, &line, style, TONE_DIM, &widths[count++]);
    strbuf_release(&line);
    free(shown);
    return count;
}
