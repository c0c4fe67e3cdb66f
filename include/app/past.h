/*
 * A past rollout, read back from this machine's journal as the records it was written from, and told again: through the sinks, as a
 * JUnit file or as a page. Connects to nothing.
 *
 * The journal is foreign: its size and its lines are bounded, texts are made safe to show, and lines that are no record are counted and
 * left out.
 */
#ifndef APP_PAST_H
#define APP_PAST_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "app/breaker_list.h"
#include "app/record.h"
#include "base/arena.h"
#include "base/err.h"

#define PAST_FILE_MAX ((size_t)64 << 20)
#define PAST_LINE_MAX ((size_t)4 << 20)

struct past_record {
    struct record record; /* its roster is that of the past */
    const char *line;     /* as it stands in the file */
};

struct past {
    struct arena arena;
    struct roster roster;
    struct past_record *records;
    size_t count;
    size_t malformed; /* lines that were left out */
    int64_t version;  /* the highest of a line */
};

/* Always past_release. ERR_INPUT: no such file, too large, of a later version, or it does not begin with a run's start. */
int past_read(struct past *out, const char *path, struct err *err);
/* The same for a journal's bytes; `name` is its name in messages. */
int past_parse(struct past *out, const char *name, const char *text, size_t length, struct err *err);
void past_release(struct past *past);

/* The last word on node `node`, or NULL; and the run's end, or NULL when it did not end. */
const struct record *past_outcome(const struct past *past, size_t node);
const struct record *past_result(const struct past *past);

/* The breakers as they were last; for breaker_list_release. */
void past_breakers(const struct past *past, struct breaker_list *out);

/* The lines as they stand in the file. */
void past_print_json(const struct past *past, FILE *stream);
/* One test case a node; one that is not updated or unchanged has failed, with what it said, or was skipped. */
void past_print_junit(const struct past *past, FILE *stream);
/* One page that needs nothing else: no script, nothing to load. */
void past_print_html(const struct past *past, FILE *stream);

#endif
