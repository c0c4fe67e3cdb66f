#include "app/shares.h"

#include <string.h>

#include "app/balancer.h"

uint32_t shares_seen(const struct fleet *fleet, const struct survey *survey, const char *release)
{
    struct arena arena;
    uint32_t seen = 0;
    if (!fleet->balancers)
        return 0;
    arena_init(&arena);
    bool *updated = arena_alloc(&arena, (fleet->count + 1) * sizeof(*updated));
    for (size_t i = 0; updated && i < fleet->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        updated[i] = survey->nodes[i].answered && facts->current && !facts->current_good &&
                     strcmp(facts->current, release) == 0;
    }
    if (updated)
        seen = balancers_share_seen(fleet->balancers, updated);
    arena_release(&arena);
    return seen;
}

static uint32_t distance(const struct waves *waves, size_t wave, uint32_t seen)
{
    uint32_t share = waves->rules[wave].share;
    return share < seen ? seen - share : share - seen;
}

size_t shares_waves_passed(const struct waves *waves, size_t passed, uint32_t seen)
{
    size_t nearest = passed;
    for (size_t wave = passed + 1; seen && wave < waves->count && waves->items[wave].count == 0; wave++)
        if (distance(waves, wave, seen) < distance(waves, nearest, seen))
            nearest = wave;
    return nearest;
}

uint32_t shares_given(const struct waves *waves, const struct open_run *open)
{
    bool known = open->held && waves->rules && open->waves_passed > 0 && open->waves_passed <= waves->count;
    return known ? waves->rules[open->waves_passed - 1].share : SHARE_ALL;
}

bool shares_exceed(uint32_t seen, uint32_t given)
{
    uint32_t rounding = given / 10 > 10 ? given / 10 : 10;
    return seen > given + rounding;
}
