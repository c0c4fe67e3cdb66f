/*
 * The breakers of a service's newest run, as `status` tells them: from the journal that this machine has of it, while it runs and after.
 * Nodes keep nothing of it, so a run that another machine did is not known here. Prints nothing when none has opened.
 */
#ifndef CMD_BREAKERS_H
#define CMD_BREAKERS_H

#include <stdbool.h>

void breakers_print_status(const char *service, bool json);

#endif
