#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/loop.h"

#define TERMINATE_GRACE_MS 2000
#define OUTPUT_GRACE_MS 200 /* how long a grandchild may hold the pipe after the child has gone */
#define READ_CHUNK 16384

struct child {
    uv_process_t process;
    uv_pipe_t pipe;
    struct loop *loop;
    struct timer *timer; /* deadline, then SIGKILL, then the end of waiting for output */
    child_fn *fn;
    void *context;
    struct child_result result;
    char *output; /* up to twice output_max, so that the tail is moved seldom */
    size_t output_length;
    size_t output_max;
    int handles_open;
    bool exited;
    bool output_ended;
    bool ending;
    char chunk[READ_CHUNK];
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    if (--child->handles_open == 0) {
        free(child->output);
        free(child);
    }
}

static void finish(struct child *child)
{
    struct child_result *result = &child->result;
    size_t kept =
        child->output_length < child->output_max ? child->output_length : child->output_max;
    timer_stop(child->timer);
    child->timer = NULL;
    result->output = child->output + (child->output_length - kept);
    result->output_length = kept;
    child->fn(child->context, result);
    uv_close((uv_handle_t *)&child->pipe, on_handle_closed);
    uv_close((uv_handle_t *)&child->process, on_handle_closed);
}

static void on_output_grace(void *context)
{
    struct child *child = context;
    child->timer = NULL;
    finish(child);
}

static void finish_if_over(struct child *child)
{
    if (!child->exited) {
        return;
    }
    if (child->output_ended) {
        finish(child);
        return;
    }
    timer_stop(child->timer);
    child->timer = timer_start(child->loop, OUTPUT_GRACE_MS, on_output_grace, child);
    if (child->timer == NULL) {
        finish(child);
    }
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal_number)
{
    struct child *child = process->data;
    child->exited = true;
    child->result.status = signal_number != 0 ? -1 : (int)status;
    child->result.signal_number = signal_number;
    if (child->ending) {
        /* What the leader left behind in its group was asked to end as well. */
        kill(-process->pid, SIGKILL);
    }
    finish_if_over(child);
}

static void give_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct child *child = handle->data;
    (void)suggested;
    *out = uv_buf_init(child->chunk, sizeof(child->chunk));
}

static void keep_output(struct child *child, const char *bytes, size_t length)
{
    size_t capacity = 2 * child->output_max;
    if (length > child->output_max) {
        bytes += length - child->output_max;
        length = child->output_max;
    }
    if (child->output_length + length > capacity) {
        size_t kept = child->output_max - length;
        kept = kept < child->output_length ? kept : child->output_length;
        memmove(child->output, child->output + child->output_length - kept, kept);
        child->output_length = kept;
    }
    memcpy(child->output + child->output_length, bytes, length);
    child->output_length += length;
}

static void on_output(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct child *child = stream->data;
    if (length > 0) {
        keep_output(child, buffer->base, (size_t)length);
    } else if (length < 0) {
        uv_read_stop(stream);
        child->output_ended = true;
        finish_if_over(child);
    }
}

static void on_kill(void *context)
{
    struct child *child = context;
    child->timer = NULL;
    kill(-child->process.pid, SIGKILL);
}

static void terminate(struct child *child)
{
    timer_stop(child->timer);
    child->ending = true;
    child->timer = timer_start(child->loop, TERMINATE_GRACE_MS, on_kill, child);
    kill(-child->process.pid, child->timer != NULL ? SIGTERM : SIGKILL);
}

static void on_deadline(void *context)
{
    struct child *child = context;
    child->timer = NULL;
    child->result.timed_out = true;
    terminate(child);
}

void child_stop(struct child *child)
{
    if (!child->exited && !child->ending) {
        terminate(child);
    }
}

static rlim_t limit_before; /* 0: as it was */

void files_limit_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) {
        return;
    }
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit_before = before;
    }
}

/* Puts the limit back between fork and exec: programs that close, or select on, every descriptor expect a small one. */
#define LIMITED_ARGV_MAX 16
static void limited_argv(const char *out[LIMITED_ARGV_MAX + 5], char number[24], const char *const argv[])
{
    size_t count = 0;
    if (limit_before != 0) {
        snprintf(number, 24, "%llu", (unsigned long long)limit_before);
        out[count++] = "/bin/sh";
        out[count++] = "-c";
        out[count++] = "ulimit -S -n \"$0\"; exec \"$@\"";
        out[count++] = number;
    }
    for (size_t i = 0; i < LIMITED_ARGV_MAX && argv[i] != NULL; i++) {
        out[count++] = argv[i];
    }
    out[count] = NULL;
}

static int spawn(struct child *child, const char *const argv[], const char *const environment[],
                 int write_end)
{
    const char *words[LIMITED_ARGV_MAX + 5];
    char number[24];
    limited_argv(words, number, argv);
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = write_end},
        {.flags = UV_INHERIT_FD, .data.fd = write_end},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = words[0],
        .args = (char **)(uintptr_t)words,
        .env = (char **)(uintptr_t)environment,
        .stdio = stdio,
        .stdio_count = 3,
        .flags = UV_PROCESS_DETACHED, /* a session, and so a process group, of its own */
    };
    return uv_spawn(loop_uv(child->loop), &child->process, &options);
}

/* Both handles must be closed through the loop once they were initialised. */
static void discard(struct child *child)
{
    timer_stop(child->timer);
    uv_close((uv_handle_t *)&child->pipe, on_handle_closed);
    uv_close((uv_handle_t *)&child->process, on_handle_closed);
}

static struct child *child_new(struct loop *loop, size_t output_max, child_fn *fn, void *context)
{
    struct child *child = calloc(1, sizeof(*child));
    if (child == NULL) {
        return NULL;
    }
    child->output_max = output_max > 0 ? output_max : 1;
    child->output = malloc(2 * child->output_max);
    if (child->output == NULL) {
        free(child);
        return NULL;
    }
    child->loop = loop;
    child->fn = fn;
    child->context = context;
    child->result.status = -1;
    child->handles_open = 2;
    uv_pipe_init(loop_uv(loop), &child->pipe, 0);
    child->pipe.data = child;
    child->process.data = child;
    return child;
}

struct child *child_start(struct loop *loop, const char *const argv[],
                          const char *const environment[], int64_t timeout_ms, size_t output_max,
                          child_fn *fn, void *context, struct err *err)
{
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        err_set(err, ERR_IO, "start %s: %s", argv[0], strerror(errno));
        return NULL;
    }
    struct child *child = child_new(loop, output_max, fn, context);
    if (child == NULL) {
        err_set(err, ERR_MEMORY, "start %s: out of memory", argv[0]);
        close(ends[0]);
        close(ends[1]);
        return NULL;
    }
    int rc = spawn(child, argv, environment, ends[1]);
    close(ends[1]);
    if (rc == 0) {
        rc = uv_pipe_open(&child->pipe, ends[0]);
    }
    if (rc == 0) {
        ends[0] = -1;
        rc = uv_read_start((uv_stream_t *)&child->pipe, give_chunk, on_output);
    }
    if (rc == 0) {
        child->timer = timer_start(loop, timeout_ms, on_deadline, child);
        rc = child->timer == NULL ? UV_ENOMEM : 0;
    }
    if (rc != 0) {
        err_set(err, ERR_IO, "start %s: %s; is it installed and executable?", argv[0],
                uv_strerror(rc));
        if (child->process.pid > 0) {
            kill(-child->process.pid, SIGKILL);
        }
        if (ends[0] >= 0) {
            close(ends[0]);
        }
        discard(child);
        return NULL;
    }
    return child;
}
