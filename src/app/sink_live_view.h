/*
 * What the live view shows: the state of every node, gathered from records, and its picture in a
 * given number of columns and rows. Knows no terminal and no clock.
 */
#ifndef APP_SINK_LIVE_VIEW_H
#define APP_SINK_LIVE_VIEW_H

#include "app/record.h"
#include "base/strbuf.h"

#define VIEW_ROWS_MAX 512

struct live_node {
    char phase[24];
    char evidence[96];    /* the last probe, or why it waits */
    int64_t since_ms;     /* the phase began */
    uint64_t done, total; /* bytes of the stage; total 0: none */
    const char *outcome;  /* static: node_outcome_name; NULL: none yet */
    bool troubled;
};

struct live_view {
    const struct roster *roster; /* borrowed for the run; NULL before it began */
    struct live_node *nodes;
    size_t node_count;
    size_t name_columns; /* of the longest name, within reason */
    char state[24];
    size_t wave, wave_count; /* wave_count 0: no wave began yet */
    bool over;               /* the last words are being said: nothing is left to show */
};

struct live_style {
    size_t columns, rows;
    bool utf8, color;
};

void live_view_record(struct live_view *view, const struct record *record);
void live_view_release(struct live_view *view);

/* Appends at most rows - 1 lines, each at most `columns` wide and ended by `\n`; nothing when there
 * is nothing to show. `widths` gets the columns of each line (VIEW_ROWS_MAX of them). Returns how
 * many lines. */
size_t live_view_render(struct strbuf *out, const struct live_view *view,
                        const struct live_style *style, int64_t now_ms, size_t *widths);

/* `[#####-----]`, `columns` wide with its brackets, at least 3. */
void live_bar(struct strbuf *out, uint64_t done, uint64_t total, size_t columns, bool utf8);

#endif
