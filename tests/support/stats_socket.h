/*
 * A stats socket of HAProxy's on a loopback port, in a thread of the test's program: a backend `shop` with servers n1, n2,
 * ... of weight 100, all in. It can be shut and opened again, and can be made to lie: to take a command without a word
 * against it and stand otherwise. What does not work ends the program with a word.
 */
#ifndef SUPPORT_STATS_SOCKET_H
#define SUPPORT_STATS_SOCKET_H

#include <pthread.h>
#include <stdint.h>

#include "app/balancer.h"

#define STATS_SERVERS_MAX 4

struct stats_socket {
    pthread_t thread;
    pthread_mutex_t lock;
    int listener;
    uint16_t port; /* the same whenever it is opened */
    size_t servers;
    enum traffic_state states[STATS_SERVERS_MAX];
    unsigned weights[STATS_SERVERS_MAX];
    int outs[STATS_SERVERS_MAX]; /* how often each was told to go out */
    int asked;
    const char *ignores; /* a command that begins so is acknowledged, and nothing comes of it; NULL: none */
    const char *loses;   /* one that begins so is carried out, and undone after the answer; NULL: none */
};

void stats_socket_init(struct stats_socket *self, size_t servers);
/* All in with their whole weights, and an honest one; its counts at 0. */
void stats_socket_reset(struct stats_socket *self);
void stats_socket_open(struct stats_socket *self);
void stats_socket_shut(struct stats_socket *self);
/* Static texts; NULL: it is honest. */
void stats_socket_lies(struct stats_socket *self, const char *ignores, const char *loses);
enum traffic_state stats_socket_state(struct stats_socket *self, size_t server);
unsigned stats_socket_weight(struct stats_socket *self, size_t server);
int stats_socket_outs(struct stats_socket *self, size_t server);
int stats_socket_asked(struct stats_socket *self);

#endif
