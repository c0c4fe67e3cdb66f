#include "core/health.h"

static uint32_t top(const struct health_rules *rules)
{
    return rules->rise + rules->fall - 1;
}

void gate_open(struct gate *gate, const struct health_rules *rules, int64_t now)
{
    (void)rules;
    *gate = (struct gate){.opened_at = now, .next_probe_at = now};
}

void gate_open_healthy(struct gate *gate, const struct health_rules *rules, int64_t now)
{
    gate_open(gate, rules, now);
    gate->level = top(rules);
    gate->up = true;
    gate->up_since = now;
}

void gate_probed(struct gate *gate, const struct health_rules *rules, bool healthy, int64_t now)
{
    bool was_up = gate->up;

    gate->probes++;
    if (healthy) {
        gate->level = gate->level + 1 >= rules->rise ? top(rules) : gate->level + 1;
    } else {
        gate->failures++;
        gate->level = gate->level > rules->rise ? gate->level - 1 : 0;
    }
    gate->up = gate->level >= rules->rise;
    if (gate->up && !was_up)
        gate->up_since = now;
    gate->next_probe_at = now + rules->interval_ms;
}

void gate_give_up(struct gate *gate)
{
    gate->hopeless = true;
    gate->up = false;
    gate->level = 0;
}

bool gate_steady(const struct gate *gate, const struct health_rules *rules)
{
    return gate->up && gate->level == top(rules);
}

static bool came_up_in_time(const struct gate *gate, const struct health_rules *rules)
{
    return gate->up && gate->up_since <= gate->opened_at + rules->healthy_deadline_ms;
}

enum gate_verdict gate_verdict(const struct gate *gate, const struct health_rules *rules,
                               int64_t now)
{
    if (gate->hopeless)
        return GATE_CLOSED;
    if (came_up_in_time(gate, rules))
        return now >= gate->up_since + rules->min_healthy_time_ms ? GATE_PASSED : GATE_WAITING;
    return now >= gate->opened_at + rules->healthy_deadline_ms ? GATE_CLOSED : GATE_WAITING;
}

int64_t gate_deadline(const struct gate *gate, const struct health_rules *rules)
{
    return came_up_in_time(gate, rules) ? gate->up_since + rules->min_healthy_time_ms
                                        : gate->opened_at + rules->healthy_deadline_ms;
}
