/*
 * What no single key of a playbook can say: the rules between keys, and the last defaults that
 * depend on others.
 */
#ifndef MODEL_PLAYBOOK_CHECK_H
#define MODEL_PLAYBOOK_CHECK_H

#include "model/playbook.h"

/* Fills in which health checks apply when none is named, then adds a fault for each broken rule, at
 * the line of the key that is wrong. `inventory` may be NULL: names in templates are then only
 * checked for their form. */
void playbook_check(struct playbook *playbook, const struct inventory *inventory,
                    struct faults *faults);

/* The part of it that is about blue-green and [slot NAME]. */
void playbook_check_slots(const struct playbook *playbook, struct faults *faults);
/* The part of it that is about [analysis NAME]; also fills in the defaults that depend on its source. */
void playbook_check_analyses(struct playbook *playbook, struct faults *faults);

#endif
