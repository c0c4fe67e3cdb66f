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
 * key takes (a root that climbs, a unit that is none). */
int service_of_node(struct service *out, const struct playbook *playbook, const struct node *node,
                    struct arena *arena, struct err *err);

#endif
