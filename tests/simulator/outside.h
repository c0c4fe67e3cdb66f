/*
 * What else of the outside the engine touches, in memory: the runner's journal (io/files.h), packages (io/package.h). HTTP and TCP
 * are not simulated: worlds ask for health by a command on the node, which goes the same way as every step.
 */
#ifndef SIMULATOR_OUTSIDE_H
#define SIMULATOR_OUTSIDE_H

#include <stdbool.h>

#include "base/strbuf.h"
#include "io/package.h"

void outside_begin(void);
void outside_end(void);
/* The file as it would be found after a crash of the runner's machine: what was synced. NULL: no such file. */
const struct strbuf *outside_file(const char *path);
/* From now on no line can be written to files whose path ends so: a full disk. NULL: all is well. */
void outside_fill_disk(const char *suffix);
/* Borrowed for the program's life of the world. */
struct package *outside_package(const char *release);

#endif
