/*
 * The lines of a configuration text, with their numbers: the layer beneath both the playbook and
 * the inventory.
 *
 * Takes LF and CRLF, and a byte order mark in front. Blank lines and full-line comments (`#` or `;`
 * as the first character that is not blank) are passed over. What cannot be read faithfully is a
 * fault, and the line is left out: longer than LINE_MAX_BYTES, a NUL or another control byte,
 * broken UTF-8. Nothing is ever cut.
 */
#ifndef MODEL_LINES_H
#define MODEL_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "model/fault.h"

#define LINE_MAX_BYTES 65536

struct lines {
    const char *file; /* for faults */
    const char *at;   /* what is left */
    const char *end;
    int number; /* of the line read last; 1-based */
    struct arena *arena;
    struct faults *faults;
};

/* Borrows everything; lines are copied into `arena`. */
void lines_init(struct lines *lines, const char *file, const char *text, size_t length,
                struct arena *arena, struct faults *faults);

/* The next line that says something, without blanks at its ends; NULL at the end of the text. It
 * lives in the arena and may be written to. `*out_of_memory` becomes true when that is why NULL
 * came back. */
char *lines_next(struct lines *lines, bool *out_of_memory);

#endif
