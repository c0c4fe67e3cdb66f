/*
 * Deadlines of the tests. The suite measures how slow the machine is (tests/checks/calibrate) and
 * exports TEST_TIME_FACTOR, 1 to 9; each deadline of a test that must not be missed on a busy
 * machine is multiplied by it.
 */
#ifndef DEADLINE_H
#define DEADLINE_H

#include <stdint.h>
#include <stdlib.h>

/* The time in milliseconds on two idle cores; the result is that on this machine. */
static inline int64_t deadline_ms(int64_t idle_ms)
{
    const char *text = getenv("TEST_TIME_FACTOR");
    int factor = text ? atoi(text) : 1;

    return idle_ms * (factor >= 1 && factor <= 9 ? factor : 1);
}

#endif
