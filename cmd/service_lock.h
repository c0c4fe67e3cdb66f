/*
 * The service's lock in etcd, as plan, status and unlock show it. Breaks nothing.
 */
#ifndef CMD_SERVICE_LOCK_H
#define CMD_SERVICE_LOCK_H

#include <stdbool.h>

#include "app/service_lock.h"
#include "run.h"

/* One line on stdout; nothing as text when it is free. */
void service_lock_print(const struct service_lock_view *view, bool json);
/* Looks and prints. 0 or an exit code, after saying why etcd cannot be asked. Nothing, and 0, when the playbook has no
 * such lock. */
int service_lock_show(struct run *run, struct service_lock_view *view);

#endif
