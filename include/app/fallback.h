/*
 * What a rollout that fails would go back to on a node: a release that has been lying there, so it is compared with its manifest before anything
 * changes, by the run itself and by `plan`. Decides which release that is and what an answer means; asks nobody but in fallbacks_check.
 */
#ifndef APP_FALLBACK_H
#define APP_FALLBACK_H

#include "app/survey.h"

#define RELEASE_DIFFERENCE 300
enum release_look { RELEASE_AS_STAGED, RELEASE_ALTERED, RELEASE_UNKNOWN };
/* What the service wrote beside its files is its own; what it came with must be there, and be the same. RELEASE_ALTERED: `out` names a file.
 * `reply`: to `verify`. */
enum release_look release_look(const struct reply *reply, char out[RELEASE_DIFFERENCE]);

/* The release that is to be compared before a rollout to `target`, with `before` what undoing it goes back to; NULL: none, since this node would
 * not change or not go back. */
const char *fallback_of(const struct facts *facts, const struct playbook *playbook, const char *target, const char *before);
/* Such a one that was altered: ERR_REFUSED with what to do. */
int fallback_refuse(struct err *err, const char *release, const char *difference);

/* Asks each node of the survey that has such a release. `out`, one a node: code 0 unless it was altered, or the node cannot tell. Returns 0, or a
 * signal's number. */
int fallbacks_check(struct err *out, const struct survey *survey, struct fleet *fleet, const char *const *targets, uint32_t forks);

#endif
