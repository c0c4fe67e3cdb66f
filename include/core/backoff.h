/*
 * How long to wait before trying again: exponential with full jitter (AWS Architecture Blog,
 * "Exponential Backoff And Jitter"): evenly between 0 and min(max, base * 2^attempt). Pure:
 * randomness is the caller's generator.
 */
#ifndef CORE_BACKOFF_H
#define CORE_BACKOFF_H

#include <stdint.h>

#include "base/random.h"

struct backoff_rules {
    int64_t base_ms, max_ms;
};

/* `attempt`: 0 for the first retry. Never negative, never above max_ms. */
int64_t backoff_delay_ms(const struct backoff_rules *rules, uint32_t attempt,
                         struct random *random);

#endif
