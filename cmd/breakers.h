/*
 * The breakers of a service's newest run, as `status` tells them, while it runs and after: what the run has told the nodes, and this machine's
 * journal, if it made the run; of both the newer. Nothing is printed when none has opened.
 */
#ifndef CMD_BREAKERS_H
#define CMD_BREAKERS_H

#include <stdbool.h>

#include "app/survey.h"

/* Of the run that the nodes say is open, else of the newest one that they or this machine know of. */
void breakers_print_status(const char *service, const struct survey *survey, bool json);

#endif
