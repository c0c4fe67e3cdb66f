/*
 * How far a canary's traffic is, as the balancers say: what `resume` and `promote` go on with, and `status` tells. Never
 * remembered, never changed here.
 */
#ifndef APP_SHARES_H
#define APP_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/fleet.h"
#include "app/survey.h"
#include "core/waves.h"

/* What the nodes that run `release`, not committed, have together of the traffic, per mille, in the balancer where it is
 * least. 0 without balancers, and when there is none of them. */
uint32_t shares_seen(const struct fleet *fleet, const struct survey *survey, const char *release);
/* How many waves were over when a run ended: `passed` by the nodes alone (survey_waves_passed), and of those that change
 * no node after that wave all before the one whose share is the nearest to what is seen. */
size_t shares_waves_passed(const struct waves *waves, size_t passed, uint32_t seen);

/* What a held rollout has given its release, per mille: the share of the step that it is held after. SHARE_ALL of one that is not held: it may have
 * been on the way to its next step, with ordinary weights. */
uint32_t shares_given(const struct waves *waves, const struct open_run *open);
/* The release has more of the traffic than it was given, by more than weights are rounded: a balancer has forgotten weights, e.g. in a reload. */
bool shares_exceed(uint32_t seen, uint32_t given);

#endif
