#include "engine_internal.h"
#include "model/strategy.h"

int engine_make_capacity(struct engine *engine, struct err *err)
{
    size_t count = engine->fleet->count;
    uint32_t *weights = arena_alloc(&engine->arena, (count + 1) * sizeof(*weights));
    struct capacity capacity;
    if (!weights)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        weights[i] = engine->fleet->members[i].node->weight;
    strategy_capacity(&capacity, engine->playbook, weights, count);
    engine->weights = weights;
    engine->max_unavailable = capacity.out;
    return 0;
}

uint32_t engine_promised(const struct engine *engine, uint32_t full)
{
    uint32_t out = engine->max_unavailable, sum = 0;
    for (size_t i = 0; i < engine->fleet->count; i++) {
        if (engine_is_outside(&engine->workers[i]))
            continue;
        sum += engine->weights[i];
        if (engine->weights[i] > out)
            out = engine->weights[i]; /* it goes out alone */
    }
    return out < sum ? (uint32_t)((uint64_t)(sum - out) * full / sum) : 0;
}
