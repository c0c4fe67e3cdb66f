/* What the keys of a section that speaks to etcd must have in common. playbook_check's own. */
#ifndef PLAYBOOK_CHECK_ETCD_H
#define PLAYBOOK_CHECK_ETCD_H

#include "model/fault.h"
#include "model/playbook.h"

/* `section` as the playbook writes it, with its name. */
void playbook_check_etcd(const struct playbook *playbook, const char *section, const struct etcd_access *access,
                         struct faults *faults);

#endif
