/* What an open run changed on nodes, or in root folders, that the inventory and the playbook no longer name: never left half done in silence. */
#ifndef CMD_MISSING_H
#define CMD_MISSING_H

#include "run.h"

/* 0, or 4 after saying which nodes those are and what to do; 0 also when --ignore-missing names the run. Surveys when the runner's journal gives a
 * reason to. */
int run_check_missing(struct run *run);
/* status: a line on stdout when there are any. Whether there are. */
bool missing_print_status(struct run *run);

#endif
