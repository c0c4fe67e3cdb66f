/* Going on with a run that did not end: what `resume`, `promote` and `rollout --only-stale` have in common. */
#ifndef CMD_OPEN_RUN_H
#define CMD_OPEN_RUN_H

#include "run.h"

/* Packs the source so that it gives `release`, unless every node has that. 0, or an exit code after saying that it gives another one now, what to
 * do being `advice`: the end of a command. */
int pack_release(struct run *run, const char *release, const char *advice);
/* Takes every node where the open run would have taken it. Nodes of the waves in run->waves_passed that run its release are not changed again. Returns
 * the exit code, after printing. */
int open_run_go_on(struct run *run, const struct open_run *open);

#endif
