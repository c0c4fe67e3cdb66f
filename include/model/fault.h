/*
 * What is wrong with a file, all of it: each fault with its file and line, in the order of the
 * file.
 *
 * A list is bounded: past FAULTS_MAX only the count grows. Never prints.
 */
#ifndef MODEL_FAULT_H
#define MODEL_FAULT_H

#include <stddef.h>

#include "base/arena.h"

#define FAULTS_MAX 200

struct fault {
    const char *file; /* as the user named it */
    int line;         /* 1-based; 0 when the fault belongs to the whole file */
    const char *message;
};

struct faults {
    struct arena *arena; /* owns the texts; outlives the list */
    struct fault *items;
    size_t count; /* stored */
    size_t total; /* found */
};

void faults_init(struct faults *faults, struct arena *arena);
/* Adds one; the format's text is copied into the arena, `file` too. */
void faults_add(struct faults *faults, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts the stored faults from index `from` on in the order of their lines; those of one line keep
 * their order. */
void faults_sort(struct faults *faults, size_t from);

#endif
