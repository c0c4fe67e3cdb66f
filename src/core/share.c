#include "core/share.h"

/* Of SHARE_ALL the part that `less` is of `more`, to the nearest grain. */
static uint32_t to_grain(uint64_t less, uint64_t more, uint32_t grain)
{
    uint64_t grains = (2 * SHARE_ALL * less + more * grain) / (2 * more * grain);

    if (grains == 0)
        return grain;
    return grains * grain > SHARE_ALL ? SHARE_ALL : (uint32_t)(grains * grain);
}

static uint32_t carried(const struct share_sides *sides)
{
    uint64_t most = sides->promised > 0 ? sides->updated * SHARE_ALL / sides->promised : SHARE_ALL;

    return most < sides->share ? (uint32_t)most : sides->share;
}

struct share_weights share_weights(const struct share_sides *sides)
{
    struct share_weights out = {.updated = SHARE_ALL, .old = SHARE_ALL};
    uint64_t share = carried(sides), updated, old;

    if (sides->updated == 0 || sides->old == 0 || sides->share == 0 || sides->share >= SHARE_ALL || share >= SHARE_ALL)
        return out;
    updated = share * sides->old;
    old = (SHARE_ALL - share) * sides->updated;
    if (updated < old)
        out.updated = to_grain(updated, old, sides->grain);
    else
        out.old = to_grain(old, updated, sides->grain);
    return out;
}

uint32_t share_of(uint64_t updated, uint64_t old)
{
    uint64_t sum = updated + old;

    return sum > 0 ? (uint32_t)((updated * SHARE_ALL + sum / 2) / sum) : 0;
}

uint32_t share_enter(uint64_t own, uint64_t updated, uint64_t old, uint32_t share, uint32_t grain)
{
    uint64_t room, kept;

    if (share >= SHARE_ALL || old == 0 || own == 0)
        return SHARE_ALL;
    if (share * old <= (SHARE_ALL - share) * updated)
        return grain;
    room = (share * old - (SHARE_ALL - share) * updated) / (SHARE_ALL - share);
    kept = room >= own ? SHARE_ALL : SHARE_ALL * room / own;
    kept -= kept % grain;
    return kept < grain ? grain : (uint32_t)kept;
}

size_t share_count(const uint32_t *weights, size_t count, uint32_t share)
{
    size_t fewest = waves_canary_count(count, share), taken = 0;
    uint64_t total = 0, sum = 0;

    for (size_t i = 0; i < count; i++)
        total += weights[i];
    while (taken < count && (taken < fewest || sum * SHARE_ALL < share * total))
        sum += weights[taken++];
    return share < SHARE_ALL && count > 1 && taken == count ? count - 1 : taken;
}
