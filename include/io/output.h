/*
 * A stream whose reader never delays the loop: what is written is queued, and a thread of its own writes it to the terminal,
 * pipe or file. A run renews its leases whatever becomes of its output.
 *
 * The queue has a bound. When what is queued is past it, further whole lines are dropped and their bytes counted; who writes
 * what can be left out asks first whether the reader is behind. After output_wait, for the end of a run, each write blocks
 * until it was taken, nothing is dropped, and two streams to one pipe keep their order.
 */
#ifndef IO_OUTPUT_H
#define IO_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct output;

/* `file` is the caller's and stays open; at most `most` bytes are queued, and the rest of a line that has begun. NULL when out of memory;
 * without a thread, writes block. */
struct output *output_create(int file, size_t most);
/* Of whole lines, flushed each; the output's, until it is freed. */
FILE *output_stream(struct output *output);
/* The reader has not taken what was written a while ago: more than a pipe's worth is queued. */
bool output_is_behind(struct output *output);
/* Bytes that were dropped until now. */
size_t output_dropped(struct output *output);
/* Until all that is queued was written, or cannot be; from then on writes block. */
void output_wait(struct output *output);
/* As output_wait, then ends the thread. The number of the error (errno) that ended the writing, or 0. */
int output_free(struct output *output);

#endif
