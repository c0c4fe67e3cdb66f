/*
 * The playbook's analyses: takes figures of canary and control side by side while a wave bakes, and has core/judge.h judge them.
 *
 * Figures come in rounds, each node once a round, on both sides in the same window; a round begins `interval` after the one before,
 * and not before that one has ended, so nothing piles up. Never blocks, never decides what a verdict means for the rollout.
 *
 * Sources: app/analysis_probe.c asks [health]'s URL through the nodes' connections, app/analysis_haproxy.c what HAProxy
 * counts, app/analysis_prometheus.c a Prometheus server, app/analysis_command.c a command on the runner. A source that all nodes share and that cannot be reached is asked once a round, not
 * once a node; a Prometheus server has a breaker (app/dependency.h), and while that is open is not asked at all.
 */
#ifndef APP_ANALYSIS_H
#define APP_ANALYSIS_H

#include <stddef.h>

#include "app/fleet.h"
#include "app/judged.h"
#include "base/err.h"

struct analyses;

/* For all analyses of the fleet's playbook. NULL when out of memory. */
struct analyses *analyses_create(struct fleet *fleet, const char *rollout);
/* Ends what is under way, and waits for commands to have ended: seconds at most, by the loop, so not from one of its callbacks. NULL
 * is fine. */
void analyses_free(struct analyses *analyses);

/* An instance that is looked at, and the release that it serves, borrowed until the end. `slot`: which side it is on; NULL without sides. */
struct analysis_node {
    size_t member;
    const char *release, *previous, *slot;
};

/* Begins a new window: what was collected before is gone. Both arrays are copied. */
int analyses_begin(struct analyses *analyses, const struct analysis_node *canary,
                   size_t canary_count, const struct analysis_node *control, size_t control_count,
                   struct err *err);
/* No more figures; what was collected stays. */
void analyses_end(struct analyses *analyses);

/* Judges what was collected: any fail fails, else any inconclusive one does what its `inconclusive` says, and VERDICT_INCONCLUSIVE
 * means to hold. `without_control`: no node of the old release is left, so that only max and min are looked at. */
enum verdict analyses_judge(struct analyses *analyses, bool without_control);
size_t analyses_count(const struct analyses *analyses);
/* What the last judgement found; borrowed until the next begin, judgement or free. */
const struct judged *analyses_judged(const struct analyses *analyses, size_t index);

#endif
