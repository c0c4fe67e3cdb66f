/*
 * Tries that are made again, of all that a run asks: `max_retries` of [retry] is one budget for nodes, balancers and discoveries,
 * and each wait is core/backoff.h's. Whoever asks here knows that a repetition is safe. Never repeats anything, never waits.
 *
 * The nodes' repetitions are the machine's (core/rollout.h), which counts the same budget: it is told of the others'.
 */
#ifndef APP_RETRIES_H
#define APP_RETRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/backoff.h"

struct retries {
    struct backoff_rules backoff;
    uint32_t max;
    uint32_t nodes, others; /* taken so far */
    struct random random;
};

void retries_init(struct retries *retries, const struct backoff_rules *backoff, uint32_t max, uint64_t seed);
/* One more try, of something else than a node's step, after `tries` that failed (at least 1): true, and when it may be, 1 to `left_ms`
 * from now. False: the budget is spent, or no time is left. */
bool retries_take(struct retries *retries, uint32_t tries, int64_t left_ms, int64_t *delay_ms);
/* The machine has taken one. */
void retries_taken_by_node(struct retries *retries);

#endif
