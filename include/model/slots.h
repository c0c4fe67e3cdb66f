/*
 * Which of two groups of nodes a node of a blue-green service is in: `hosts` of [slot blue] and [slot green]. Pure.
 */
#ifndef MODEL_SLOTS_H
#define MODEL_SLOTS_H

#include "base/arena.h"
#include "base/err.h"
#include "model/inventory.h"
#include "model/playbook.h"

/* The slot of each of `nodes` (indices into the inventory), in `arena`, for a playbook that playbook_has_sides. ERR_INPUT when a node is in both or
 * in none, a group has no node of them, or its pattern names nothing; then `wrong` is the slot to blame. */
int slots_of_nodes(size_t **out, size_t *wrong, const struct playbook *playbook, const struct inventory *inventory,
                   const size_t *nodes, size_t count, struct arena *arena, struct err *err);

#endif
