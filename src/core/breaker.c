#include "core/breaker.h"

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[] = {"closed", "open", "half open"};

    return names[state];
}

int64_t breaker_allows_at(const struct breaker *breaker, const struct breaker_rules *rules,
                          int64_t now)
{
    int64_t at = breaker->since + rules->cool_down_ms;

    return breaker->state != BREAKER_CLOSED && at > now ? at : now;
}

bool breaker_allows(struct breaker *breaker, const struct breaker_rules *rules, int64_t now)
{
    if (breaker_allows_at(breaker, rules, now) > now)
        return false;
    if (breaker->state != BREAKER_CLOSED) {
        breaker->state = BREAKER_HALF_OPEN;
        breaker->since = now;
    }
    return true;
}

void breaker_succeeded(struct breaker *breaker)
{
    *breaker = (struct breaker){.state = BREAKER_CLOSED};
}

void breaker_trip(struct breaker *breaker, const struct breaker_rules *rules, int64_t now)
{
    if (rules->failures == 0)
        return;
    breaker->state = BREAKER_OPEN;
    breaker->since = now;
}

void breaker_unheard(struct breaker *breaker, const struct breaker_rules *rules, int64_t now)
{
    if (breaker->state != BREAKER_HALF_OPEN)
        return;
    breaker->state = BREAKER_OPEN;
    breaker->since = now - rules->cool_down_ms;
}

/* An error while it is open is of a call that was under way when it opened. */
void breaker_failed(struct breaker *breaker, const struct breaker_rules *rules, int64_t now)
{
    if (breaker->errors < UINT32_MAX)
        breaker->errors++;
    if (breaker->state == BREAKER_HALF_OPEN ||
        (breaker->state == BREAKER_CLOSED && breaker->errors >= rules->failures))
        breaker_trip(breaker, rules, now);
}
