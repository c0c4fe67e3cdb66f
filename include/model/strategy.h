/*
 * What a playbook's strategy comes to for a fleet of so many nodes. Pure.
 */
#ifndef MODEL_STRATEGY_H
#define MODEL_STRATEGY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"
#include "model/playbook.h"

/* replicas-first, unless the playbook says otherwise: one node at a time. */
struct amount strategy_max_unavailable(const struct playbook *playbook);
struct amount strategy_batch(const struct playbook *playbook, size_t index);
size_t strategy_batch_count(const struct playbook *playbook);

/* What of the fleet may be out of service at a time because of us: nodes, or their weights when max_unavailable is a percentage and they differ.
 * A node that is heavier than `out` goes out alone. */
struct capacity {
    bool weighed;
    uint32_t out, of; /* so many of so many nodes, or so much of their weight; 1 at least */
};
/* `weights`: one a node; 1 each when it comes back, unless they count. */
void strategy_capacity(struct capacity *out, const struct playbook *playbook, uint32_t *weights, size_t count);

/* A percent rounds up, `majority` is more than half; ERR_INPUT when it is none of these. */
int quorum_parse(uint32_t *out, const char *text, uint32_t count, struct err *err);
/* 0: none. */
uint32_t strategy_quorum(const struct playbook *playbook, uint32_t count);

#endif
