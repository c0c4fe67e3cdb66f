/*
 * What `deployctl help` says, printed from the tables of verbs and options; 80 columns at most.
 */
#ifndef CMD_HELP_H
#define CMD_HELP_H

#include <stdio.h>

#include "command.h"

/* All verbs in a line each. */
void help_overview(FILE *out);
/* One verb: usage, what it does, options, exit codes, an example. */
void help_verb(FILE *out, const struct verb *verb);

#endif
