#include "base/random.h"

void random_init(struct random *random, uint64_t seed)
{
    random->state = seed;
}

uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t random_below(struct random *random, uint64_t bound)
{
    if (bound == 0)
        return 0;
    uint64_t reject = (0 - bound) % bound; /* the part of 2^64 that would favour small numbers */
    uint64_t value;
    do
        value = random_next(random);
    while (value < reject);
    return value % bound;
}
