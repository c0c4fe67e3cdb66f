/*
 * The event loop and the only clock: a thin face over libuv, so that what is above needs none of its types for
 * timers, signals, name look-ups and children. One thread. Never decides anything.
 *
 * Callbacks run from loop_run only, never from inside the call that asked for them. Every handle belongs to one loop and must be
 * stopped or finished before loop_free.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/err.h"

struct loop;

int loop_create(struct loop **out, struct err *err);
void loop_free(struct loop *loop);
/* Turns until loop_stop, or until nothing is left to wait for. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* For io/ modules that poll sockets themselves. */
uv_loop_t *loop_uv(struct loop *loop);

/* Monotonic milliseconds, read once a turn. */
int64_t loop_now_ms(const struct loop *loop);
/* Wall clock, milliseconds since 1970 UTC: for names and journals only, never for deadlines. */
int64_t clock_wall_ms(void);
/* Milliseconds since the machine started, those in which it was suspended included: read anew by each call, unlike the loop's
 * time, which stands still then. For leases. */
int64_t clock_boot_ms(void);
/* 64 random bits from the kernel: seeds, nonces. */
uint64_t clock_random(void);

/* One-shot timer. When the loop did not turn for a second past its time (the program was stopped), what has arrived by then comes
 * first: an answer that is there is no time-out. The handle is freed when it has fired or been stopped: forget it then. NULL when out of memory. */
struct timer;
typedef void timer_fn(void *context);
struct timer *timer_start(struct loop *loop, int64_t delay_ms, timer_fn *fn, void *context);
/* May be NULL. */
void timer_stop(struct timer *timer);

/* Calls `fn` for each arrival of a signal until loop_free. */
typedef void signal_fn(void *context, int signal_number);
int loop_on_signal(struct loop *loop, int signal_number, signal_fn *fn, void *context,
                   struct err *err);

/* Name or literal address to socket addresses, off the loop's thread. `fn` is called once, with at most 8 addresses in the
 * resolver's order; `error` NULL on success. A look-up can be forgotten: the callback then never comes. */
struct lookup;
typedef void lookup_fn(void *context, const struct sockaddr_storage *addresses, size_t count,
                       const char *error);
struct lookup *lookup_start(struct loop *loop, const char *host, uint16_t port, lookup_fn *fn,
                            void *context);
void lookup_forget(struct lookup *lookup);

/* A child process on the runner (at most 16 words), in its own process group; stdin is empty; stdout and stderr together are kept, last
 * `output_max` bytes. At the deadline the group gets SIGTERM, 2 s later SIGKILL. */
struct child_result {
    int status;           /* exit status; -1 when it never started */
    int signal_number;    /* what ended it, or 0 */
    bool timed_out;
    const char *output;   /* borrowed until the callback returns */
    size_t output_length;
};
struct child;
typedef void child_fn(void *context, const struct child_result *result);
struct child *child_start(struct loop *loop, const char *const argv[], const char *const environment[],
                          int64_t timeout_ms, size_t output_max, child_fn *fn, void *context,
                          struct err *err);
/* Raises the limit of open files to the hard limit, for fleets of hundreds of nodes. Children get the limit from before. Once, at the start. */
void files_limit_raise(void);
/* Asks it to end now (SIGTERM, then SIGKILL); the callback still comes. */
void child_stop(struct child *child);

#endif
