/*
 * Bringing a release to one node: asked whether it has it, sent what it lacks, unpacked and checked
 * there. The one interface for every way of delivery; today the whole package goes over the node's
 * own connection.
 *
 * Never switches anything; a release is complete on the node or absent.
 */
#ifndef APP_DELIVERY_H
#define APP_DELIVERY_H

#include <stdint.h>

#include "app/session.h"
#include "app/step.h"
#include "io/package.h"

struct delivery_order {
    struct session *session;
    struct package *package;
    const char *rollout, *token; /* borrowed until done */
    uint64_t fence;
    int64_t timeout_ms; /* of the unpacking, and longest stall of the upload */
};

struct delivery;
/* `done` comes once, perhaps inside this call. NULL when out of memory. */
struct delivery *delivery_start(const struct delivery_order *order, upload_progress_fn *progress,
                                step_done_fn *done, void *context);
/* After `done` only: an upload or request under way would still answer it. */
void delivery_free(struct delivery *delivery);
/* Id of the request that runs on the node now, 0: none. */
uint32_t delivery_request(const struct delivery *delivery);

/* Free space that staging takes on a node. */
uint64_t delivery_needs_bytes(const struct package *package);

#endif
