/*
 * [discover NAME]: what another service's discovery says, as {discover.NAME} and DEPLOYCTL_DISCOVER_NAME: the targets
 * of its nodes in the order of their names, with a separator between. Read once, when a run begins; never written.
 */
#ifndef APP_DISCOVER_H
#define APP_DISCOVER_H

#include "base/err.h"
#include "model/playbook.h"

/* Fills in every `value` that can be read, in the playbook's arena; the others become "". Turns a loop of its own, in
 * bounded time. ERR_NOT_FOUND: nobody is announced, and somebody is needed; else as files.h and etcd.h say. The first
 * error is returned, after all were tried. */
int discovers_read(struct playbook *playbook, struct err *err);

#endif
