/*
 * Waiting until a fleet's nodes are free. Only asks: it takes no lock and leaves nothing on a node, so that ending it at any moment
 * costs nobody anything; who sets out afterwards may still be refused, and waits again.
 *
 * No order is kept: all who wait ask again after a random time (evenly between 0 and a bound, see core/backoff.h), and so have the same
 * chance each time. The bound is 4 s at first and 1 s after two minutes: who waits long asks more often than who has just come.
 */
#ifndef APP_QUEUE_H
#define APP_QUEUE_H

#include <stdint.h>

#include "app/fleet.h"
#include "base/err.h"

struct queue_order {
    struct fleet *fleet;
    uint32_t forks;
    int64_t wait_ms;     /* at most so long */
    const char *rollout; /* waits only for the end of this one; NULL: of any */
    /* Who is waited for, for people: at first, then each minute, and when it changes. Borrowed for the call. */
    void (*waiting)(void *context, const char *sentence);
    void *context;
};
/* Runs the loop. 0 when no lock is held on a node that answers; a signal's number when interrupted; ERR_REFUSED when the time is over,
 * with who holds it. */
int queue_wait(const struct queue_order *order, struct err *err);

#endif
