/*
 * The virtual clock behind io/loop.h, and the runners that live by it: each is a coroutine that runs real code and yields in
 * loop_run. Events are worked off by time, then in the order in which they were made; the same seed gives the same run.
 *
 * A timer whose loop is NULL belongs to the world. A runner that was killed turns its loop no more: every loop_run
 * reports a signal to those that watch for one and returns at once, and nothing that the runner still does reaches the outside, so that its
 * memory is given back by its own code.
 */
#ifndef SIMULATOR_CLOCK_H
#define SIMULATOR_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "base/strbuf.h"
#include "io/loop.h"

struct runner;

/* Time begins again at 0; all randomness of the outside comes from `seed`. `story`: told to; may be NULL. */
void clock_begin(uint64_t seed, struct strbuf *story);
/* Frees what is left. */
void clock_end(void);
int64_t clock_now(void);
/* Works off the next event; false when there is none. */
bool clock_turn(void);
/* Adds a line with the time to the story, if one is told. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool telling(void);
/* The outside's own luck: latencies and the like. */
uint64_t luck_below(uint64_t bound);

/* `body` runs on a stack of its own at the clock's next turn. `tag` is the world's. */
struct runner *runner_start(void (*body)(void *context), void *context, void *tag);
/* The runner whose code is running; NULL: the world. */
struct runner *runner_current(void);
void *runner_tag(const struct runner *runner);
bool runner_ended(const struct runner *runner);
bool runner_dead(const struct runner *runner);
/* As kill -9. It has ended when this returns. */
void runner_kill(struct runner *runner);
void runner_signal(struct runner *runner, int signal_number);
/* As SIGSTOP and SIGCONT: nothing of it moves before `until`. */
void runner_pause(struct runner *runner, int64_t until);
/* As a machine that is suspended: the same, and its monotonic clock, which its timers go by, stands still meanwhile. */
void runner_suspend(struct runner *runner, int64_t until);
/* How long it has been suspended in all. */
int64_t runner_suspended_ms(const struct runner *runner);
/* Its own wall clock. */
void runner_jump(struct runner *runner, int64_t by_ms);

/* What a child of a runner does: how long it takes, its exit status, what it prints. */
struct child_work {
    int64_t ms;
    int status;
    char output[64];
};
/* Asked when one starts; set after clock_begin. Without it a child takes 100 ms and says nothing. */
typedef void child_work_fn(void *context, struct runner *runner, const char *const argv[], const char *const environment[],
                           struct child_work *out);
void clock_watch_children(child_work_fn *fn, void *context);

#endif
