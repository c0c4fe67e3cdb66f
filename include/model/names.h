/*
 * From a name to its index, in constant time: what nodes and groups are found by.
 * The names are borrowed and must stay; nothing is ever removed.
 */
#ifndef MODEL_NAMES_H
#define MODEL_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

#define NAMES_NONE ((size_t)-1)

struct names_slot {
    const char *name;
    size_t index;
};

struct names {
    struct arena *arena;
    struct names_slot *slots; /* open addressing; NULL while empty */
    size_t capacity;          /* a power of two */
    size_t count;
};

void names_init(struct names *names, struct arena *arena);
/* False when out of memory. The name must not be there yet. */
bool names_add(struct names *names, const char *name, size_t index);
/* NAMES_NONE when it is not there. */
size_t names_find(const struct names *names, const char *name);

#endif
