#include "core/waves.h"

#include <stdbool.h>
#include <string.h>

#include "core/share.h"

/* Sizes of waves as the batch list gives them, one after the other. */
struct sizes {
    const struct amount *batch;
    size_t count, next, node_count;
};

static size_t next_size(struct sizes *sizes)
{
    size_t which = sizes->next < sizes->count ? sizes->next++ : sizes->count - 1;

    return amount_of(sizes->batch[which], (uint32_t)sizes->node_count);
}

static bool same_zone(const char *const *zones, size_t a, size_t b)
{
    if (!zones || zones[a] == zones[b])
        return true;
    return zones[a] && zones[b] && strcmp(zones[a], zones[b]) == 0;
}

/* All nodes, zone by zone, in the order in which zones first appear. */
static void order_by_zone(size_t *order, size_t node_count, const char *const *zones, bool *taken)
{
    size_t filled = 0;

    for (size_t first = 0; first < node_count; first++) {
        if (taken[first])
            continue;
        for (size_t node = first; node < node_count; node++) {
            if (taken[node] || !same_zone(zones, first, node))
                continue;
            taken[node] = true;
            order[filled++] = node;
        }
    }
}

static int check_batch(const struct amount *batch, size_t batch_count, size_t node_count,
                       struct err *err)
{
    if (node_count > UINT32_MAX)
        return err_set(err, ERR_INPUT, "%zu nodes are too many for one rollout", node_count);
    if (batch_count == 0)
        return err_set(err, ERR_INPUT, "the batch list is empty; give at least one size");
    for (size_t i = 0; i < batch_count; i++)
        if (batch[i].value == 0)
            return err_set(err, ERR_INPUT, "batch size %zu is 0; a wave holds at least one node",
                           i + 1);
    return 0;
}

static void cut_into_waves(struct waves *out, size_t *order, size_t node_count,
                           const char *const *zones, struct sizes *sizes)
{
    size_t at = 0;

    while (at < node_count) {
        struct wave *wave = &out->items[out->count++];
        size_t size = next_size(sizes);

        wave->nodes = order + at;
        while (at < node_count && wave->count < size &&
               same_zone(zones, wave->nodes[0], order[at])) {
            wave->count++;
            at++;
        }
    }
}

int waves_compile(struct waves *out, size_t node_count, const char *const *zones,
                  const struct amount *batch, size_t batch_count, struct arena *arena,
                  struct err *err)
{
    struct sizes sizes = {.batch = batch, .count = batch_count, .node_count = node_count};
    size_t *order;
    bool *taken;
    int result;

    *out = (struct waves){0};
    result = check_batch(batch, batch_count, node_count, err);
    if (result < 0 || node_count == 0)
        return result;
    order = arena_alloc(arena, node_count * sizeof(*order));
    taken = arena_alloc(arena, node_count * sizeof(*taken));
    out->items = arena_alloc(arena, node_count * sizeof(*out->items));
    if (!order || !taken || !out->items)
        return err_set(err, ERR_MEMORY, "out of memory for the waves of %zu nodes", node_count);
    order_by_zone(order, node_count, zones, taken);
    cut_into_waves(out, order, node_count, zones, &sizes);
    return 0;
}

size_t waves_canary_count(size_t node_count, uint32_t share)
{
    size_t count = (node_count * share + SHARE_ALL / 2) / SHARE_ALL;

    if (share == 0 || share >= SHARE_ALL || node_count < 2)
        return share == 0 ? 0 : node_count;
    if (count == 0)
        return 1;
    return count == node_count ? node_count - 1 : count;
}

int waves_by_share(struct waves *out, size_t node_count, const uint32_t *weights,
                   const struct wave_rule *rules, size_t count, bool whole_first,
                   struct arena *arena, struct err *err)
{
    size_t *nodes = arena_alloc(arena, (node_count + 1) * sizeof(*nodes));
    size_t taken = 0;

    out->count = count;
    out->rules = rules;
    out->items = arena_alloc(arena, (count + 1) * sizeof(*out->items));
    if (!nodes || !out->items)
        return err_set(err, ERR_MEMORY, "out of memory for the waves of %zu nodes", node_count);
    for (size_t i = 0; i < node_count; i++)
        nodes[i] = i;
    for (size_t i = 0; i < count; i++) {
        bool all = whole_first || i + 1 == count;
        size_t until = all       ? node_count
                       : weights ? share_count(weights, node_count, rules[i].share)
                                 : waves_canary_count(node_count, rules[i].share);

        until = until < taken ? taken : until;
        out->items[i] = (struct wave){.nodes = nodes + taken, .count = until - taken};
        taken = until;
    }
    return 0;
}

void waves_put_last(struct waves *waves, size_t node)
{
    size_t *place = NULL;

    for (size_t w = 0; w < waves->count; w++) {
        for (size_t i = 0; i < waves->items[w].count; i++) {
            size_t *here = &waves->items[w].nodes[i];

            if (place)
                *place = *here;
            if (place || *here == node)
                place = here;
        }
    }
    if (place)
        *place = node;
}
