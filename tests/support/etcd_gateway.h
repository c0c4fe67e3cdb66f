/*
 * As much of etcd's JSON gateway as a registry needs, in a thread of the test's program: range, transactions of puts and
 * deletes without compares, leases that never expire. Like etcd it takes no more than 128 operations in a transaction,
 * and no key twice. What does not work ends the program with a word.
 */
#ifndef SUPPORT_ETCD_GATEWAY_H
#define SUPPORT_ETCD_GATEWAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATEWAY_KEYS_MAX 512
#define GATEWAY_TRANSACTIONS_MAX 16

struct gateway_key {
    char *key, *value;
    int64_t lease;
};

/* To be read when no call is under way. */
struct etcd_gateway {
    pthread_t thread;
    int listener;
    uint16_t port;
    struct gateway_key keys[GATEWAY_KEYS_MAX];
    size_t count;
    int64_t leases; /* granted */
    /* of each transaction, in order */
    struct {
        size_t puts, deletes;
    } transactions[GATEWAY_TRANSACTIONS_MAX];
    size_t transaction_count;
    size_t refused;
};

void etcd_gateway_start(struct etcd_gateway *self);
void etcd_gateway_stop(struct etcd_gateway *self);
void etcd_gateway_put(struct etcd_gateway *self, const char *key, const char *value, int64_t lease);
/* NULL: no such key. Borrowed until the next transaction. */
const char *etcd_gateway_get(const struct etcd_gateway *self, const char *key);

#endif
