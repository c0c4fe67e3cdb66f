/*
 * What a person at another terminal wishes of a rollout that runs: to hold, or to undo what it did. Left on the nodes that it has locked,
 * and read there by its runner with the next renewal of the lease, so within seconds. Changes nothing itself, and needs no lock.
 */
#ifndef APP_WISH_H
#define APP_WISH_H

#include <stddef.h>
#include <stdint.h>

#include "app/survey.h"

enum wish_kind { WISH_NONE, WISH_PAUSE, WISH_ABORT };
/* `pause|abort WHO`, as a node says it; WISH_NONE for anything else. */
enum wish_kind wish_read(const char *text);

/* The rollout that holds the locks of some nodes, and whose runner has renewed them lately; NULL: none. The latest when there are several.
 * Borrowed from the survey; `holder` gets whose it is. */
const char *survey_live_run(const struct survey *survey, const char **holder);

struct wish_order {
    struct fleet *fleet;
    uint32_t forks;
    enum wish_kind kind;
    const char *rollout; /* whose runner is asked */
    const char *holder;  /* who asks */
};
/* Runs the loop. Returns 0 or a signal's number; `left`: on how many nodes the wish was left. 0: that rollout runs no more. */
int wish_leave(const struct wish_order *order, size_t *left);

#endif
