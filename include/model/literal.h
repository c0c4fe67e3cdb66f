/*
 * Values of an inventory, typed as Ansible types them: through Python's ast.literal_eval, and plain
 * text when that refuses. So `8080` is a number, `[1, 2]` and `1, 2` are lists, `True` is a
 * boolean, `"x"` loses its quotes, and `yes`, `10.0.0.1` or `007` stay text.
 *
 * Kept as text although Python has a value for them: what JSON has no form for (sets, bytes,
 * complex numbers, infinity, `...`), whole numbers beyond 64 bits, named characters (`\N{...}`),
 * nesting deeper than 64. The keys 1 and True of one dictionary stay two.
 */
#ifndef MODEL_LITERAL_H
#define MODEL_LITERAL_H

#include <jansson.h>
#include <stddef.h>

#include "base/arena.h"

/* The typed value as a new reference, NULL when the text is no literal. `*out_length` (may be
 * NULL): how many bytes of `text` made the value, without blanks or a comment behind it. */
json_t *literal_parse(const char *text, size_t *out_length);

/* What a value reads as: a quoted string without its quotes, everything else as it is written. In
 * `arena`; NULL when out of memory. */
const char *literal_text(struct arena *arena, const char *text);

#endif
