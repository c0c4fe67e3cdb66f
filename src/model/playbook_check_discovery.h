/* What the keys of [discovery NAME] and [discover NAME] must have in common. playbook_check's own. */
#ifndef PLAYBOOK_CHECK_DISCOVERY_H
#define PLAYBOOK_CHECK_DISCOVERY_H

#include "model/fault.h"
#include "model/playbook.h"

void playbook_check_discoveries(struct playbook *playbook, struct faults *faults);
void playbook_check_discovers(struct playbook *playbook, struct faults *faults);

#endif
