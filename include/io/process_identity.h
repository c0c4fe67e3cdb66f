/*
 * Who a process is, as a line that another process, later, compares with what runs: machine id, boot id, PID namespace, PID, start time and
 * host name, a blank between. A runner leaves its own with each lock, so that a later one on the same machine need not wait for the lease
 * of a process that has ended.
 *
 * A process has provably ended when
 *  - machine, boot and PID namespace are ours, and no process has that PID and start time (a zombie has ended), or
 *  - machine and host name are ours, both namespaces are the machine's first one, and the boot is another.
 * Containers share a kernel and often a machine id: hence the namespace. Anything unknown or malformed proves nothing; a process that was
 * stopped has not ended. kill(2) with signal 0 is asked first, since /proc may hide other users' processes (hidepid).
 */
#ifndef IO_PROCESS_IDENTITY_H
#define IO_PROCESS_IDENTITY_H

#include <stdbool.h>

#define PROCESS_IDENTITY_MAX 256

/* This process's line; "" when the system does not say, which proves nothing to anybody. */
void process_identity(char out[PROCESS_IDENTITY_MAX]);
/* NULL: none was left. */
bool process_has_ended(const char *identity);

#endif
