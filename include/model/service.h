/*
 * A service as one node has it: the playbook's [service] with `{name}` replaced in root, unit and shared. Pure.
 */
#ifndef MODEL_SERVICE_H
#define MODEL_SERVICE_H

#include "base/arena.h"
#include "base/err.h"
#include "model/inventory.h"
#include "model/playbook.h"

/* Strings live in `arena` or in the playbook. ERR_INPUT when a name is no variable of this node, or when what comes out is no value that the
 * key takes (a root that climbs, a unit that is none). With slots a node has no unit of its own. */
int service_of_node(struct service *out, const struct playbook *playbook, const struct node *node,
                    struct arena *arena, struct err *err);

/* The same for the instance in a slot: with its port, unit, start and stop, where the slot has none the service's; `{slot}` is known. */
int service_of_slot(struct service *out, const struct playbook *playbook, const struct node *node, size_t slot,
                    struct arena *arena, struct err *err);

#endif
