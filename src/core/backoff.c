#include "core/backoff.h"

int64_t backoff_delay_ms(const struct backoff_rules *rules, uint32_t attempt, struct random *random)
{
    int64_t ceiling = rules->base_ms < rules->max_ms ? rules->base_ms : rules->max_ms;

    for (uint32_t i = 0; i < attempt && ceiling > 0 && ceiling < rules->max_ms; i++)
        ceiling = ceiling > rules->max_ms / 2 ? rules->max_ms : ceiling * 2;
    if (ceiling <= 0)
        return 0;
    return (int64_t)random_below(random, (uint64_t)ceiling + 1);
}
