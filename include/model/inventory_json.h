/*
 * The inventory as `ansible-inventory --list` prints it: groups with `hosts` and `children`, and
 * each host's variables, typed, under `_meta.hostvars`.
 */
#ifndef MODEL_INVENTORY_JSON_H
#define MODEL_INVENTORY_JSON_H

#include <jansson.h>

#include "model/inventory.h"

/* A new reference, which the caller gives back with json_decref; NULL when out of memory. Print it
 * with json_dumps(value, JSON_INDENT(4) | JSON_SORT_KEYS) for Ansible's own layout. */
json_t *inventory_json(const struct inventory *inventory);

/* One node's variables as an object, typed as Ansible types them; a new reference. */
json_t *node_variables_json(const struct node *node);

#endif
