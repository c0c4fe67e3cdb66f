/*
 * From a batch list to waves: which nodes change together, in which order. Pure; allocates only in
 * waves_compile, in the caller's arena.
 *
 * Batch sizes are taken in turn, the last one repeats, until no node is left (Ansible's `serial`);
 * a percent is of the whole fleet, rounds down, at least 1. With spread, a wave never holds nodes
 * of two zones: nodes are taken zone by zone, in the order in which zones first appear, and a wave
 * ends where its zone ends. A wave larger than max_unavailable is still one wave: the machine lets
 * at most max_unavailable of its nodes be out at once.
 */
#ifndef CORE_WAVES_H
#define CORE_WAVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/units.h"

struct wave {
    size_t *nodes; /* 0 .. node_count-1, in order */
    size_t count;
};

#define SHARE_ALL 1000
struct wave_rule {
    uint32_t share; /* of the traffic, per mille: what the target has once the wave's nodes passed */
    int64_t bake_ms;
    bool manual; /* held at its end */
};

struct waves {
    struct wave *items;
    const struct wave_rule *rules; /* one a wave; NULL: none */
    size_t count;
};

/* `zones[i]`: any text, NULL for none (nodes without a zone are a zone of their own); `zones` NULL:
 * no spreading. */
int waves_compile(struct waves *out, size_t node_count, const char *const *zones,
                  const struct amount *batch, size_t batch_count, struct arena *arena,
                  struct err *err);

/* The nodes of a canary's step: those nearest to its share, ties up, at least one on each side while
 * there are two and the share is neither 0 nor all (Argo Rollouts' rule without a traffic router). */
size_t waves_canary_count(size_t node_count, uint32_t share);

/* One wave a rule, nodes in their order; a wave may be empty. Without `weights` a share is the nearest number of nodes;
 * with them (one a node: a balancer shifts the traffic) as many nodes as carry it (core/share.h). `whole_first`: all
 * nodes in the first wave, whatever its share (blue-green: they serve nothing before the switch). */
int waves_by_share(struct waves *out, size_t node_count, const uint32_t *weights,
                   const struct wave_rule *rules, size_t count, bool whole_first,
                   struct arena *arena, struct err *err);

/* The node comes last: to the end of the last wave; the sizes stay, those behind it move up. */
void waves_put_last(struct waves *waves, size_t node);

#endif
