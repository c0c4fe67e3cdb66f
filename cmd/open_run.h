/* Going on with a run that did not end: what `resume` and `promote` have in common. */
#ifndef CMD_OPEN_RUN_H
#define CMD_OPEN_RUN_H

#include "run.h"

/* Takes every node where the open run would have taken it. Nodes of the waves in run->waves_passed that run its release are not changed again. Returns
 * the exit code, after printing. */
int open_run_go_on(struct run *run, const struct open_run *open);

#endif
