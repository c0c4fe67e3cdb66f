/*
 * A share of the traffic as weights: how much of its ordinary weight each server keeps, so that those that run the new
 * release (the updated ones) have so much of the traffic together. Pure.
 *
 * A balancer sends each server its part of the sum of weights; weights are whole and bounded (HAProxy 0 to 256, nginx 1
 * and more), so what a server keeps is a multiple of a grain, per mille. One side always keeps all of its weight. Weights
 * here are at least one grain: 0 would mean that a server which shall serve does not.
 */
#ifndef CORE_SHARE_H
#define CORE_SHARE_H

#include <stddef.h>
#include <stdint.h>

#include "core/waves.h"

struct share_sides {
    uint64_t updated, old; /* the ordinary weights of those that serve, in sum; each below 2^40 */
    uint64_t promised;     /* of them, what carries all of the traffic at worst (max_unavailable); 0: no bound */
    uint32_t share;        /* per mille for the updated ones; 0 and SHARE_ALL: everyone keeps all of its weight */
    uint32_t grain;        /* per mille, 1 to SHARE_ALL */
};

/* Per mille of its ordinary weight that a server of each side keeps: `grain` to SHARE_ALL. */
struct share_weights {
    uint32_t updated, old;
};

/* Rounded to the nearest grain. Updated ones that are too few to carry the share, by what is promised, get what they
 * carry. Everyone keeps all when a side is empty. */
struct share_weights share_weights(const struct share_sides *sides);
/* The share that weights come to, per mille, rounded. 0 when nobody serves. */
uint32_t share_of(uint64_t updated, uint64_t old);
/* What a server of weight `own` may keep when it comes in as an updated one: as much as leaves the updated ones, who have
 * `updated` now beside `old`, within the share; a grain at least. All three as weights times 1000, each below 2^52. */
uint32_t share_enter(uint64_t own, uint64_t updated, uint64_t old, uint32_t share, uint32_t grain);
/* How many of the first servers must be updated to carry the share by their ordinary weights: never fewer than
 * waves_canary_count, at least one on each side while there are two and the share is neither 0 nor all. Each weight is
 * below 2^32. */
size_t share_count(const uint32_t *weights, size_t count, uint32_t share);

#endif
