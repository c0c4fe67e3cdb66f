/*
 * The sinks there are. Each writes to a stdio stream that is the caller's and stays open; write errors are ignored except by the journal.
 */
#ifndef APP_SINK_H
#define APP_SINK_H

#include <stdbool.h>
#include <stdio.h>

#include "app/record.h"
#include "base/err.h"
#include "io/output.h"

enum verbosity { QUIET, NORMAL, VERBOSE };

/* One line an event: `12.3s web1 gate passed`; for CI logs and pipes. NULL when out of memory (for all of these). */
struct sink *sink_lines_create(FILE *stream, bool color, enum verbosity verbosity);
/* The live view: one line a node with phase and time, a bar for staging and waves, redrawn in place; never wider than the terminal, never
 * higher (the nodes at work and the troubled ones come first, the rest are counted); resizing is followed; troubles and notices scroll above it and stay. */
struct sink *sink_live_create(FILE *stream, int terminal_file, bool color, enum verbosity verbosity); /* its size is asked of the file */
/* One JSON object a line: {"v":1,"time":"2026-01-02T03:04:05.678Z","elapsed_ms":..,"event":"phase","node":"web1",...}. */
struct sink *sink_json_create(FILE *stream);
/* The runner's journal: the same JSON lines appended to a file, on the disk after sinks_sync. Nothing is written after the first error, which
 * each further sync returns: what the journal does not hold must not happen. */
struct sink *sink_journal_create(const char *path, struct err *err);
/* The end of a run for people, on stdout: a table of nodes (name, outcome, release, what to do), what the analyses found, the breakers that
 * opened, and the result sentence. Prints on RECORD_RESULT only. */
struct sink *sink_summary_create(FILE *stream, bool color, enum verbosity verbosity);

/* `inner` writes to the stream of `output`, which is borrowed. Its reports of progress and of probes, and its redrawing, are left out while
 * the reader is behind; how many were left out is reported at the end. Takes `inner` over; `inner` itself when out of memory. */
struct sink *sink_paced_create(struct sink *inner, struct output *output);

#endif
