/*
 * The environment of a command that runs where deployctl runs: its own, without what begins with DEPLOYCTL_, and the words of a node
 * or of the run. Runs nothing.
 */
#ifndef APP_ENVIRONMENT_H
#define APP_ENVIRONMENT_H

#include <stddef.h>

#include "base/arena.h"

struct environment {
    struct arena *arena; /* everything lives there */
    const char **items;
    size_t count;
};

/* The caller's own, without DEPLOYCTL_*. */
void environment_init(struct environment *environment, struct arena *arena);
/* One more; fits node_environment's callback with the environment as its context. What memory does not hold is left out. */
void environment_add(void *environment, const char *name, const char *value);
/* For child_start: ended by NULL; itself NULL when out of memory. */
const char *const *environment_items(struct environment *environment);

#endif
