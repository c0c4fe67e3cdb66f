/*
 * Who leads, as the `leader` command of a stateful service says it. Reads answers; never decides who
 * goes when, which is core/rollout.h's.
 *
 * The command runs on a node, as a hook does. Exit status 0 where the node leads and 1 where it does
 * not; or exit status 0 and the leader's node name or address as the first word that it prints.
 */
#ifndef APP_STATEFUL_H
#define APP_STATEFUL_H

#include <stdbool.h>
#include <stdint.h>

#include "app/fleet.h"
#include "app/session.h"
#include "app/survey.h"
#include "base/err.h"
#include "model/inventory.h"

/* Whether `node` leads, by the reply to a `probe` of the command there. ERR_FAILED: the command
 * failed (any other status, or it did not end in time). */
int leader_read(bool *leads, const struct node *node, const struct reply *reply, struct err *err);
/* Asks every node that has answered and has a release; into `leads` and `leader_error` of the survey.
 * Returns 0, or the signal's number that ended it early. */
int leader_survey(struct survey *survey, struct fleet *fleet, uint32_t forks);

#endif
