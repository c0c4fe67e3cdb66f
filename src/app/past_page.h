/* What the JUnit file and the page share. */
#ifndef APP_PAST_PAGE_H
#define APP_PAST_PAGE_H

#include <stdbool.h>
#include <stdio.h>

#include "app/past.h"

#define PAST_BLOCK_COLUMNS 80

/* Text of XML 1.0 and HTML, also inside quotes; what XML has no place for becomes `?`. NULL prints nothing. */
void print_escaped(FILE *stream, const char *text);
/* `2026-01-02T03:04:05Z`. */
void print_time(FILE *stream, int64_t wall_ms);
/* Milliseconds from the run's begin to the last record of the node, or of the whole run (SIZE_MAX). */
int64_t past_elapsed_ms(const struct past *past, size_t node);

enum case_end { CASE_PASSED, CASE_SKIPPED, CASE_FAILED };
/* `outcome` NULL: the rollout did not end. */
enum case_end past_verdict(const struct record *outcome);
/* Whether people want to see this record to understand what went wrong. */
bool is_evidence(const struct record *record);

#endif
