/*
 * The two keys of a service's lock, as etcd answers them: who holds it, and the highest generation of a node. Anybody may have written
 * them. Never asks etcd.
 */
#ifndef SERVICE_LOCK_VALUE_H
#define SERVICE_LOCK_VALUE_H

#include <stdint.h>

#include "app/etcd.h"
#include "app/service_lock.h"

#define SERVICE_LOCK_TOKEN 24

/* Texts are safe to show, and cut where they are too long. */
void service_lock_value_read(struct service_lock_view *out, char token[SERVICE_LOCK_TOKEN], const json_t *kv);
/* 0 when there is none, or it is no number that a generation can have. */
uint64_t service_lock_counter_read(const json_t *kv);

#endif
