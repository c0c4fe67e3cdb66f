/*
 * The breakers of a service's newest run, as `status` tells them: from the journal that this machine has of it, while it runs and after.
 * Nodes keep nothing of it, so a run that another machine did is not known here: nothing is printed then, nor when none has opened.
 */
#ifndef CMD_BREAKERS_H
#define CMD_BREAKERS_H

#include <stdbool.h>

/* `open`: the run that the nodes say is open; NULL: none, and the newest one is told of. */
void breakers_print_status(const char *service, const char *open, bool json);

#endif
