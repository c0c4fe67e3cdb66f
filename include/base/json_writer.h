/*
 * JSON written in order, straight into a strbuf: for what is written often and needs no tree.
 *
 * Invariant: what was begun is ended in the reverse order by the caller; commas are the writer's. A key is NULL inside an array and at
 * the top; it is a name of the program's own, and is not escaped. Compact: no blank, no line break. Never reads JSON.
 */
#ifndef BASE_JSON_WRITER_H
#define BASE_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

struct json_writer {
    struct strbuf *out; /* borrowed; asked for `overflowed` at the end */
    bool follows;       /* a value stands before, in the same object or array */
};

void json_writer_init(struct json_writer *writer, struct strbuf *out);

void json_writer_begin_object(struct json_writer *writer, const char *key);
void json_writer_end_object(struct json_writer *writer);
void json_writer_begin_array(struct json_writer *writer, const char *key);
void json_writer_end_array(struct json_writer *writer);

/* NULL is left out. A text that is not UTF-8 is made so by text_sanitize (the first 64 KiB of it), rather than lost.
 * Control codes and characters that change how others are shown (U+202E) are escaped, so that a line can be shown as it is. */
void json_writer_text(struct json_writer *writer, const char *key, const char *text);
void json_writer_number(struct json_writer *writer, const char *key, int64_t number);
/* JSON knows no NaN and no infinity: they are left out. Reads back as the same double. */
void json_writer_real(struct json_writer *writer, const char *key, double number);
void json_writer_bool(struct json_writer *writer, const char *key, bool value);

#endif
