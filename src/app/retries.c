#include "app/retries.h"

void retries_init(struct retries *retries, const struct backoff_rules *backoff, uint32_t max, uint64_t seed)
{
    *retries = (struct retries){.backoff = *backoff, .max = max};
    random_init(&retries->random, seed);
}

static bool are_left(const struct retries *retries)
{
    return (uint64_t)retries->nodes + retries->others < retries->max;
}

bool retries_take(struct retries *retries, uint32_t tries, int64_t left_ms, int64_t *delay_ms)
{
    if (left_ms <= 0 || !are_left(retries))
        return false;
    int64_t delay = backoff_delay_ms(&retries->backoff, tries - 1, &retries->random);
    delay = delay < 1 ? 1 : delay;
    *delay_ms = delay < left_ms ? delay : left_ms;
    retries->others++;
    return true;
}

void retries_taken_by_node(struct retries *retries)
{
    retries->nodes++;
}
