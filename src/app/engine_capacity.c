#include "engine_internal.h"
#include "model/strategy.h"

static uint32_t weight_at(const struct engine *engine, size_t node)
{
    return engine->fleet->members[node].node->weight;
}

/* A percentage is of the traffic that the nodes carry, a count is of nodes. */
static bool is_weighed(const struct engine *engine)
{
    if (!strategy_max_unavailable(engine->playbook).percent)
        return false;
    for (size_t i = 1; i < engine->fleet->count; i++)
        if (weight_at(engine, i) != weight_at(engine, 0))
            return true;
    return false;
}

int engine_make_capacity(struct engine *engine, struct err *err)
{
    size_t count = engine->fleet->count;
    uint32_t *weights = arena_alloc(&engine->arena, (count + 1) * sizeof(*weights));
    bool weighed = is_weighed(engine);
    if (!weights)
        return err_set(err, ERR_MEMORY, "out of memory");
    engine->weights = weights;
    engine->weight_sum = 0;
    for (size_t i = 0; i < count; i++) {
        weights[i] = weighed ? weight_at(engine, i) : 1;
        engine->weight_sum += weights[i];
    }
    uint32_t out = amount_of(strategy_max_unavailable(engine->playbook), engine->weight_sum);
    engine->max_unavailable = out ? out : 1;
    return 0;
}

uint32_t engine_promised(const struct engine *engine, uint32_t full)
{
    uint32_t out = engine->max_unavailable, sum = engine->weight_sum;
    for (size_t i = 0; i < engine->fleet->count; i++)
        if (engine->weights[i] > out)
            out = engine->weights[i]; /* it goes out alone */
    return out < sum ? (uint32_t)((uint64_t)(sum - out) * full / sum) : 0;
}
