/*
 * A line split into words as Python's shlex.split does in its POSIX mode, which Ansible uses for
 * host lines: single quotes keep everything, double quotes let a backslash escape `"` and `\`,
 * outside of quotes a backslash keeps the next character, and with `comments` a `#` outside of
 * quotes ends the line, even inside a word.
 */
#ifndef MODEL_WORDS_H
#define MODEL_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

/* The words live in `arena`. ERR_INPUT for a quote that is not closed or a backslash at the end. */
int words_split(char ***out_words, size_t *out_count, const char *line, bool comments,
                struct arena *arena, struct err *err);

#endif
