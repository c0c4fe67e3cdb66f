/*
 * Shell completion. The scripts are printed from the tables of verbs and options; what only files
 * know (playbooks, nodes, groups) the scripts ask of `deployctl __complete WHAT`, which never says
 * an error.
 */
#ifndef CMD_COMPLETION_H
#define CMD_COMPLETION_H

#include "command.h"

/* `deployctl __complete nodes|playbooks|rollouts|settings [-i FILE]`: one word a line on stdout. `argv`
 * begins with WHAT. Always returns 0. */
int complete_words(int argc, char **argv);

#endif
