#include "app/sink.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "sink_live_view.h"

#define FRAME_BYTES_MAX ((size_t)1 << 20)
#define FRAME_EVERY_MS 100
#define COLUMNS_MIN 40
#define ROWS_MIN 4

struct live {
    struct sink sink;
    FILE *stream;
    int terminal;
    enum verbosity verbosity;
    struct live_style style;
    struct live_view view;
    struct sink *lines; /* says what stays, above the view */
    size_t widths[VIEW_ROWS_MAX];
    size_t drawn; /* lines of the view that stand on the screen */
    int64_t drawn_at_ms;
    bool hidden; /* the cursor */
};

/* Asked before every picture, so a resized window needs no signal. */
static bool ask_size(int file, struct live_style *style)
{
    struct winsize size;
    if (file < 0 || !isatty(file) || ioctl(file, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 ||
        size.ws_row == 0)
        return false;
    style->columns = size.ws_col;
    style->rows = size.ws_row;
    return true;
}

/* Goes back to where the view began and clears from there. After a resize its lines may have been
 * wrapped. */
static void add_erase(struct live *live, struct strbuf *frame)
{
    size_t rows = 0;
    for (size_t i = 0; i < live->drawn; i++)
        rows +=
            live->widths[i] ? (live->widths[i] + live->style.columns - 1) / live->style.columns : 1;
    if (rows)
        strbuf_addf(frame, "\r\033[%zuA\033[J", rows);
    live->drawn = 0;
}

static void put(struct live *live, struct strbuf *frame)
{
    fwrite(frame->text, 1, frame->length, live->stream);
    fflush(live->stream);
    strbuf_release(frame);
}

static void erase(struct live *live)
{
    struct strbuf frame;
    strbuf_init(&frame, FRAME_BYTES_MAX);
    add_erase(live, &frame);
    put(live, &frame);
}

static void draw(struct live *live, int64_t now_ms)
{
    struct strbuf frame;
    strbuf_init(&frame, FRAME_BYTES_MAX);
    ask_size(live->terminal, &live->style);
    if (!live->hidden)
        strbuf_adds(&frame, "\033[?25l");
    live->hidden = true;
    add_erase(live, &frame);
    live->drawn = live_view_render(&frame, &live->view, &live->style, now_ms, live->widths);
    live->drawn_at_ms = now_ms;
    put(live, &frame);
}

/* What must stay readable after the view has moved on. */
static bool stays(const struct live *live, const struct record *record)
{
    switch (record->kind) {
    case RECORD_STARTED:
    case RECORD_TROUBLE:
    case RECORD_NOTICE:
    case RECORD_BREAKER:
    case RECORD_OUTPUT:
    case RECORD_ANALYSIS:
        return true;
    case RECORD_PROGRESS:
    case RECORD_RESULT:
        return false;
    default:
        return live->verbosity == VERBOSE;
    }
}

static void live_record(struct sink *sink, const struct record *record)
{
    struct live *live = (struct live *)(void *)sink;
    bool permanent = stays(live, record);
    live_view_record(&live->view, record);
    if (permanent || live->view.over) {
        ask_size(live->terminal, &live->style);
        erase(live);
    }
    if (permanent)
        live->lines->record(live->lines, record);
    if (!live->view.over && record->elapsed_ms - live->drawn_at_ms >= FRAME_EVERY_MS)
        draw(live, record->elapsed_ms);
}

static void live_tick(struct sink *sink, int64_t elapsed_ms)
{
    struct live *live = (struct live *)(void *)sink;
    if (live->view.roster && !live->view.over && elapsed_ms - live->drawn_at_ms >= FRAME_EVERY_MS)
        draw(live, elapsed_ms);
}

static void live_finish(struct sink *sink)
{
    struct live *live = (struct live *)(void *)sink;
    erase(live);
    if (live->hidden)
        fputs("\033[?25h", live->stream);
    fflush(live->stream);
    live->lines->finish(live->lines);
    live_view_release(&live->view);
    free(live);
}

static bool locale_is_utf8(void)
{
    const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
    }
    return false;
}

struct sink *sink_live_create(FILE *stream, int terminal_file, bool color, enum verbosity verbosity)
{
    struct live_style style = {.color = color, .utf8 = locale_is_utf8()};
    const char *terminal = getenv("TERM");
    struct sink *lines = sink_lines_create(stream, color, verbosity);
    bool able = terminal && *terminal && strcmp(terminal, "dumb") != 0 &&
                ask_size(terminal_file, &style) && style.columns >= COLUMNS_MIN && style.rows >= ROWS_MIN;
    struct live *live = lines && able ? calloc(1, sizeof *live) : NULL;
    if (!live)
        return lines;
    live->sink = (struct sink){.record = live_record, .tick = live_tick, .finish = live_finish};
    live->stream = stream;
    live->terminal = terminal_file;
    live->verbosity = verbosity;
    live->style = style;
    live->lines = lines;
    live->drawn_at_ms = -FRAME_EVERY_MS;
    return &live->sink;
}
