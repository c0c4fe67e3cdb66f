/*
 * What a playbook's strategy comes to for a fleet of so many nodes. Pure.
 */
#ifndef MODEL_STRATEGY_H
#define MODEL_STRATEGY_H

#include <stdint.h>

#include "base/units.h"
#include "model/playbook.h"

/* replicas-first, unless the playbook says otherwise: one node at a time. */
struct amount strategy_max_unavailable(const struct playbook *playbook);
struct amount strategy_batch(const struct playbook *playbook, size_t index);
size_t strategy_batch_count(const struct playbook *playbook);

/* A percent rounds up, `majority` is more than half; ERR_INPUT when it is none of these. */
int quorum_parse(uint32_t *out, const char *text, uint32_t count, struct err *err);
/* 0: none. */
uint32_t strategy_quorum(const struct playbook *playbook, uint32_t count);

#endif
