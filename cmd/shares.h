/*
 * A canary's steps and how far its traffic is, as `plan` and `status` tell them. Prints nothing for another strategy.
 */
#ifndef CMD_SHARES_H
#define CMD_SHARES_H

#include "run.h"

/* The steps: share, bake, hold, and the nodes that each changes. */
void shares_print_plan(const struct run *run, bool json);
/* What an open canary has of the traffic; nothing without balancers. After run_survey. */
void shares_print_status(const struct run *run, bool json);
/* It has more than the rollout gave it, and no runner is at work. */
bool shares_forgotten(const struct run *run);
/* Warns of that on stderr, before a run that sets the weights again. */
void shares_warn(const struct run *run);

#endif
