/*
 * A circuit breaker: after enough errors in a row nothing more is asked for a while, then one trial
 * decides (M. Nygard, "Release It!"; Fowler, "CircuitBreaker"). Pure: time is an argument; never
 * calls what it guards.
 *
 * Closed: calls go through; errors in a row are counted, a success forgets them. Open: no call until
 * cool_down has passed since it opened. Half open: one call, the trial, is under way: its success
 * closes, its error opens again for another cool_down; one of which nothing was heard for cool_down
 * gives way to another. With `failures` 0 it never opens.
 */
#ifndef CORE_BREAKER_H
#define CORE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct breaker_rules {
    uint32_t failures; /* errors in a row that open it; 0: never */
    int64_t cool_down_ms;
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
const char *breaker_state_name(enum breaker_state state); /* "closed", "open", "half open"; static */

struct breaker {
    enum breaker_state state; /* all zero: closed, nothing counted */
    uint32_t errors;          /* in a row */
    int64_t since;            /* when it opened, or its trial began; valid unless closed */
};

/* Whether a call may be made at `now`. The first yes after cool_down is the trial: half open. */
bool breaker_allows(struct breaker *breaker, const struct breaker_rules *rules, int64_t now);
/* When a call may be made: `now` when closed. */
int64_t breaker_allows_at(const struct breaker *breaker, const struct breaker_rules *rules,
                          int64_t now);
void breaker_succeeded(struct breaker *breaker);
void breaker_failed(struct breaker *breaker, const struct breaker_rules *rules, int64_t now);
/* The call was given up, so that nothing is known of it: a trial may be made again at once. */
void breaker_unheard(struct breaker *breaker, const struct breaker_rules *rules, int64_t now);
/* Opens it whatever was counted: one error that cost so much time that no second one is wanted. */
void breaker_trip(struct breaker *breaker, const struct breaker_rules *rules, int64_t now);

#endif
