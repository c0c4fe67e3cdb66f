/*
 * A TCP server for tests that sends a greeting to each connection and then the same bytes again and again until the other side
 * hangs up. Runs in a thread. For tests: anything that does not work ends the program with a word.
 */
#ifndef SUPPORT_HOSTILE_PEER_H
#define SUPPORT_HOSTILE_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hostile_peer {
    const char *greeting;
    const void *flood; /* NULL: nothing more is sent */
    size_t flood_length;
    uint16_t port; /* on 127.0.0.1 */
    int listener;
    uint64_t sent; /* in all; to be read after hostile_peer_stop */
    pthread_t thread;
};

/* Listens when it returns. The bytes are borrowed until hostile_peer_stop. */
void hostile_peer_start(struct hostile_peer *peer, const char *greeting, const void *flood, size_t flood_length);
void hostile_peer_stop(struct hostile_peer *peer);

#endif
