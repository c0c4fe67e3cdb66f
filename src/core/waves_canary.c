#include "core/waves.h"

static bool grows_to_all(const struct wave_rule *steps, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (steps[i].share <= steps[i - 1].share)
            return false;
    return count > 0 && steps[0].share > 0 && steps[count - 1].share == SHARE_ALL;
}

static void add_to(struct wave_rule *rule, const struct wave_rule *step)
{
    rule->share = step->share;
    rule->bake_ms += step->bake_ms;
    rule->manual |= step->manual;
}

static void cut_by_steps(struct waves *out, struct wave_rule *rules, size_t *order,
                         size_t node_count, const struct wave_rule *steps, size_t step_count)
{
    size_t taken = 0;

    for (size_t i = 0; i < step_count; i++) {
        size_t upto = waves_canary_count(node_count, steps[i].share);

        if (upto > taken)
            out->items[out->count++].nodes = order + taken;
        add_to(&rules[out->count - 1], &steps[i]);
        out->items[out->count - 1].count += upto - taken;
        taken = upto;
    }
}

int waves_of_steps(struct waves *out, size_t node_count, const struct wave_rule *steps,
                   size_t step_count, struct arena *arena, struct err *err)
{
    struct wave_rule *rules;
    size_t *order;

    *out = (struct waves){0};
    if (!grows_to_all(steps, step_count))
        return err_set(err, ERR_INPUT, "the steps of a canary do not grow to all of the fleet");
    if (node_count == 0)
        return 0;
    order = arena_alloc(arena, node_count * sizeof(*order));
    rules = arena_alloc(arena, step_count * sizeof(*rules));
    out->items = arena_alloc(arena, step_count * sizeof(*out->items));
    if (!order || !rules || !out->items)
        return err_set(err, ERR_MEMORY, "out of memory for the waves of %zu nodes", node_count);
    for (size_t i = 0; i < node_count; i++)
        order[i] = i;
    out->rules = rules;
    cut_by_steps(out, rules, order, node_count, steps, step_count);
    return 0;
}
