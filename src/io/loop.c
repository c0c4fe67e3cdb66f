#include "io/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct signal_watch {
    uv_signal_t handle;
    signal_fn *fn;
    void *context;
    struct signal_watch *next;
};

struct loop {
    uv_loop_t uv;
    struct signal_watch *signals;
};

#define LATE_MS 1000
#define READ_FIRST_MS 50

struct timer {
    uv_timer_t handle;
    uint64_t due;
    bool put_off;
    timer_fn *fn;
    void *context;
};

int loop_create(struct loop **out, struct err *err)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    *out = NULL;
    if (loop == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    int rc = uv_loop_init(&loop->uv);
    if (rc != 0) {
        free(loop);
        return err_set(err, ERR_IO, "event loop: %s; raise the limit of open files (ulimit -n)",
                       uv_strerror(rc));
    }
    *out = loop;
    return 0;
}

static void on_signal_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    while (loop->signals != NULL) {
        struct signal_watch *watch = loop->signals;
        loop->signals = watch->next;
        uv_close((uv_handle_t *)&watch->handle, on_signal_closed);
    }
    /* Handles give their memory back in their close callbacks, which need a turn. */
    while (uv_run(&loop->uv, UV_RUN_ONCE) != 0) {
    }
    uv_loop_close(&loop->uv);
    free(loop);
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

int64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_boot_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t clock_random(void)
{
    uint64_t value = 0;
    while (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value)) {
        /* Only a signal can interrupt a read of eight bytes. */
    }
    return value;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_timer(uv_timer_t *handle)
{
    struct timer *timer = handle->data;
    timer_fn *fn = timer->fn;
    void *context = timer->context;
    if (uv_now(handle->loop) > timer->due + LATE_MS && !timer->put_off) {
        timer->put_off = true;
        uv_timer_start(handle, on_timer, READ_FIRST_MS, 0);
        return;
    }
    uv_close((uv_handle_t *)handle, on_timer_closed);
    fn(context);
}

struct timer *timer_start(struct loop *loop, int64_t delay_ms, timer_fn *fn, void *context)
{
    struct timer *timer = calloc(1, sizeof(*timer));
    if (timer == NULL) {
        return NULL;
    }
    timer->fn = fn;
    timer->context = context;
    uv_timer_init(&loop->uv, &timer->handle);
    timer->handle.data = timer;
    timer->due = uv_now(&loop->uv) + (delay_ms > 0 ? (uint64_t)delay_ms : 0);
    uv_timer_start(&timer->handle, on_timer, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0);
    return timer;
}

void timer_stop(struct timer *timer)
{
    if (timer != NULL) {
        uv_close((uv_handle_t *)&timer->handle, on_timer_closed);
    }
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
    struct signal_watch *watch = handle->data;
    watch->fn(watch->context, signal_number);
}

int loop_on_signal(struct loop *loop, int signal_number, signal_fn *fn, void *context,
                   struct err *err)
{
    struct signal_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    watch->fn = fn;
    watch->context = context;
    uv_signal_init(&loop->uv, &watch->handle);
    watch->handle.data = watch;
    int rc = uv_signal_start(&watch->handle, on_signal, signal_number);
    if (rc != 0) {
        uv_close((uv_handle_t *)&watch->handle, on_signal_closed);
        return err_set(err, ERR_IO, "signal %s: %s", strsignal(signal_number), uv_strerror(rc));
    }
    /* Waiting for a signal alone is not a reason to stay. */
    uv_unref((uv_handle_t *)&watch->handle);
    watch->next = loop->signals;
    loop->signals = watch;
    return 0;
}
