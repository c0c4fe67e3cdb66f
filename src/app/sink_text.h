/*
 * What the sinks for people share: colors, and how a run and a record are said in a line.
 */
#ifndef APP_SINK_TEXT_H
#define APP_SINK_TEXT_H

#include "app/record.h"
#include "base/strbuf.h"

enum tone { TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_WARN, TONE_DIM, TONE_BOLD };

/* The escape sequence that begins and ends a tone; "" without color and for TONE_PLAIN. Static. */
const char *tone_on(enum tone tone, bool color);
const char *tone_off(enum tone tone, bool color);

/* How good an outcome is: `updated`, `needs care`, ... */
enum tone outcome_tone(const char *outcome);
/* Whether people must look at a node with this outcome. */
bool outcome_troubled(const char *outcome);
enum tone result_tone(int exit_code);

/* `rollout 2026... of shop to 2026... (main "fix the cart")`; what is not known is left out. */
void roster_title(struct strbuf *out, const struct roster *roster);
/* `wave 1 of 3: web1 web2 +4 more`, at most `columns` wide; names without end when `columns` is 0.
 */
void roster_wave(struct strbuf *out, const struct roster *roster, size_t wave, size_t wave_count,
                 size_t columns);
/* How good what an analysis found is. */
enum tone verdict_tone(enum verdict verdict);
/* NULL when the record has none. */
const char *record_node(const struct record *record);
/* Columns of the longest node name, at least 4, at most `maximum`. */
size_t roster_name_columns(const struct roster *roster, size_t maximum);

/* Appends `text` cut to `columns` (then ending in `~`); pads with blanks when `pad`. */
void text_fit(struct strbuf *out, const char *text, size_t columns, bool pad);

/* Keeps as many whole characters of `text` (NULL: none) as `out` holds, in one line: tabs become
 * blanks. */
void text_keep(char *out, size_t size, const char *text);

#endif
