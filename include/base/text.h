/*
 * What several layers do with text: compare, match, quote, and make foreign bytes safe to show.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

/* A shell glob over a whole name: `*`, `?`, `[a-z]`, `[!a]`, as Python's fnmatch, which Ansible
 * uses. */
bool text_glob(const char *pattern, const char *name);

/* The candidate nearest to `name` by edit distance (a swap of neighbours counts one), if near
 * enough to be a typing slip (at most a third of the length, at least one); else NULL. Borrowed
 * from `candidates`. */
const char *text_nearest(const char *name, const char *const *candidates, size_t count);

/* Whether `word` is one of the words of `text`, with blanks between. */
bool text_has_word(const char *text, const char *word);

/* Appends `text` as one POSIX shell word. */
void text_shell_quote(struct strbuf *out, const char *text);

/* Appends foreign bytes so that a terminal, a log and a CI page can take them: valid UTF-8 passes,
 * a tab stays, CR at the line's end goes, every other control byte, C1 code, bidirectional override
 * or broken sequence becomes `\xNN`. A newline stays only when `lines`. */
void text_sanitize(struct strbuf *out, const char *bytes, size_t length, bool lines);

/* The same in one line, for text that our own colors are in: those stay. */
void text_sanitize_colored(struct strbuf *out, const char *bytes, size_t length);
/* A control code, or a character that changes how others are shown (U+202E): text_sanitize replaces it. */
bool text_is_deceptive(uint32_t code);

/* Names that become path parts and environment values: 1 to 64 of [A-Za-z0-9._-], not starting with
 * `.` or `-`. */
bool text_is_name(const char *text);

/* Pointer to the first byte after leading blanks; trims blanks at the end in place. */
char *text_trim(char *text);

/* Bytes of the UTF-8 character at `bytes` and its code; 0 when there is none: broken, overlong, a
 * surrogate or cut off. */
size_t text_utf8_decode(const char *bytes, size_t length, uint32_t *out_code);

/* Bytes of the longest beginning of valid UTF-8 that is no longer than `maximum` bytes and ends between two
 * characters. */
size_t text_cut(const char *text, size_t maximum);

/* How many terminal columns valid UTF-8 takes (combining marks 0, wide characters 2). */
size_t text_columns(const char *text);

#endif
