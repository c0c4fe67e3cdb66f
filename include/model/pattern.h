/*
 * Ansible's host patterns: `all`, `web`, `web:db` or `web,db`, `web:&eu`, `web:!web3`,
 * `*.example.com`,
 * `~regex`, `web[0]`, `web[0:2]`, `web[-1]`, `web[1:]`. Intersections and exclusions apply after
 * all unions, whatever their place, as in Ansible.
 */
#ifndef MODEL_PATTERN_H
#define MODEL_PATTERN_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/inventory.h"

/* The nodes a pattern means, in Ansible's order, each once, as indices into inventory->nodes; the
 * array lives in `arena`. A part that names nothing is ERR_NOT_FOUND with the nearest name; a
 * malformed one ERR_INPUT. An empty result is no error here: the caller knows whether it matters.
 */
int pattern_resolve(size_t **out_nodes, size_t *out_count, const struct inventory *inventory,
                    const char *pattern, struct arena *arena, struct err *err);

#endif
