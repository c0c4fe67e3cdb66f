/*
 * Where the verb `rollback` takes each node: the whole fleet to one release. Decides from what the nodes have answered; asks no node.
 *
 * A node's own release before is its previous good one (Nomad's last stable version). Nodes with different histories would each go
 * somewhere else, which no one chose (Capistrano's old complaint), so the nodes that go back must agree.
 */
#ifndef APP_ROLLBACK_TARGETS_H
#define APP_ROLLBACK_TARGETS_H

#include "app/survey.h"

/*
 * Who goes back: when some node runs a release that it has not committed, those nodes and the ones that have committed that release;
 * otherwise the nodes that are at the release that most are at. They must have one release before, to which every other node goes too, when
 * it has it as a good one; a node that does not have it stays. ERR_REFUSED with each node's own release before when they differ.
 * `each_own`: every node that goes back to its own, and no other node moves.
 *
 * `out`: one a node; NULL: it has nowhere to go back to, or did not answer, or is outside the run. Borrowed from the survey.
 */
int rollback_targets(const struct survey *survey, bool each_own, const char **out, struct err *err);

#endif
