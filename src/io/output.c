#include "io/output.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define BEHIND ((size_t)64 << 10)
#define BUFFER ((size_t)64 << 10)

struct chunk {
    struct chunk *next;
    size_t length;
    char bytes[];
};

struct output {
    int file;
    FILE *stream;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    struct chunk *first, **last;
    size_t queued, most, dropped; /* queued: bytes, the chunk that is being written included */
    bool open_line, cut_line;     /* the last chunk has begun a line; its line is being dropped */
    bool waits, over;
    int error;
};

static int write_all(int file, const char *bytes, size_t length)
{
    while (length) {
        ssize_t written = write(file, bytes, length);
        if (written < 0 && errno != EINTR)
            return errno;
        bytes += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

/* --- the thread --- */

static void *work(void *context)
{
    struct output *output = context;
    pthread_mutex_lock(&output->mutex);
    while (output->first || !output->over) {
        struct chunk *chunk = output->first;
        if (!chunk) {
            pthread_cond_wait(&output->changed, &output->mutex);
            continue;
        }
        output->first = chunk->next;
        if (!output->first)
            output->last = &output->first;
        bool gone = output->error != 0;
        pthread_mutex_unlock(&output->mutex);
        int error = gone ? 0 : write_all(output->file, chunk->bytes, chunk->length);
        pthread_mutex_lock(&output->mutex);
        output->error = output->error ? output->error : error;
        output->queued -= chunk->length;
        free(chunk);
        pthread_cond_broadcast(&output->changed);
    }
    pthread_mutex_unlock(&output->mutex);
    return NULL;
}

/* Signals are the loop's. */
static bool start_thread(struct output *output)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&output->thread, NULL, work, output);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0;
}

/* --- the stream --- */

static bool ends_line(const char *bytes, size_t length)
{
    return length && bytes[length - 1] == '\n';
}

/* A line that has begun is ended, so that what is read is whole lines. */
static bool is_dropped(const struct output *output)
{
    return output->cut_line || (!output->open_line && output->queued >= output->most);
}

static void enqueue(struct output *output, const char *bytes, size_t length)
{
    struct chunk *chunk = is_dropped(output) ? NULL : malloc(sizeof(*chunk) + length);
    if (!chunk) {
        output->dropped += length;
        output->cut_line = !ends_line(bytes, length);
        return;
    }
    chunk->next = NULL;
    chunk->length = length;
    memcpy(chunk->bytes, bytes, length);
    *output->last = chunk;
    output->last = &chunk->next;
    output->queued += length;
    output->open_line = !ends_line(bytes, length);
    pthread_cond_broadcast(&output->changed);
}

static ssize_t take(void *context, const char *bytes, size_t length)
{
    struct output *output = context;
    pthread_mutex_lock(&output->mutex);
    bool now = output->waits || !output->has_thread;
    if (!now && !output->error)
        enqueue(output, bytes, length);
    if (now && !output->error)
        output->error = write_all(output->file, bytes, length);
    int error = output->error;
    pthread_mutex_unlock(&output->mutex);
    errno = error;
    return error ? -1 : (ssize_t)length;
}

/* --- life --- */

struct output *output_create(int file, size_t most)
{
    static const cookie_io_functions_t functions = {.write = take};
    struct output *output = calloc(1, sizeof(*output));
    if (!output)
        return NULL;
    output->file = file;
    output->most = most;
    output->last = &output->first;
    pthread_mutex_init(&output->mutex, NULL);
    pthread_cond_init(&output->changed, NULL);
    output->stream = fopencookie(output, "w", functions);
    if (!output->stream) {
        free(output);
        return NULL;
    }
    setvbuf(output->stream, NULL, _IOFBF, BUFFER);
    output->has_thread = start_thread(output);
    return output;
}

FILE *output_stream(struct output *output)
{
    return output->stream;
}

bool output_is_behind(struct output *output)
{
    pthread_mutex_lock(&output->mutex);
    bool behind = output->queued >= (output->most < BEHIND ? output->most : BEHIND);
    pthread_mutex_unlock(&output->mutex);
    return behind;
}

size_t output_dropped(struct output *output)
{
    pthread_mutex_lock(&output->mutex);
    size_t dropped = output->dropped;
    pthread_mutex_unlock(&output->mutex);
    return dropped;
}

void output_wait(struct output *output)
{
    fflush(output->stream);
    pthread_mutex_lock(&output->mutex);
    while (output->has_thread && output->queued && !output->error)
        pthread_cond_wait(&output->changed, &output->mutex);
    output->waits = true;
    pthread_mutex_unlock(&output->mutex);
}

int output_free(struct output *output)
{
    if (!output)
        return 0;
    output_wait(output);
    pthread_mutex_lock(&output->mutex);
    output->over = true;
    pthread_cond_broadcast(&output->changed);
    pthread_mutex_unlock(&output->mutex);
    if (output->has_thread)
        pthread_join(output->thread, NULL);
    int error = output->error;
    fclose(output->stream);
    pthread_cond_destroy(&output->changed);
    pthread_mutex_destroy(&output->mutex);
    free(output);
    return error;
}
