/*
 * Repeatable pseudo-random numbers for jitter and for tests: splitmix64. Not for secrets.
 * The state is the caller's value; the same seed gives the same numbers on every machine.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

void random_init(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
/* Evenly 0 to bound-1; 0 when bound is 0. */
uint64_t random_below(struct random *random, uint64_t bound);

#endif
