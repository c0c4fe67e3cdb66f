#include <stdlib.h>
#include <string.h>

#include "ssh_internal.h"

#define QUEUE_FIRST 4096

size_t queue_length(const struct byte_queue *queue)
{
    return queue->end - queue->start;
}

const char *queue_front(const struct byte_queue *queue)
{
    return queue->bytes + queue->start;
}

static int make_room(struct byte_queue *queue, size_t length)
{
    size_t used = queue_length(queue);
    if (queue->end + length <= queue->capacity) {
        return 0;
    }
    if (used + length <= queue->capacity / 2 || (used == 0 && length <= queue->capacity)) {
        memmove(queue->bytes, queue->bytes + queue->start, used);
    } else {
        size_t capacity = queue->capacity > 0 ? queue->capacity : QUEUE_FIRST;
        while (capacity < 2 * (used + length)) {
            capacity *= 2;
        }
        char *bytes = malloc(capacity);
        if (bytes == NULL) {
            return ERR_MEMORY;
        }
        if (used > 0) {
            memcpy(bytes, queue->bytes + queue->start, used);
        }
        free(queue->bytes);
        queue->bytes = bytes;
        queue->capacity = capacity;
    }
    queue->start = 0;
    queue->end = used;
    return 0;
}

int queue_add(struct byte_queue *queue, const void *bytes, size_t length)
{
    if (length == 0) {
        return 0;
    }
    if (make_room(queue, length) != 0) {
        return ERR_MEMORY;
    }
    memcpy(queue->bytes + queue->end, bytes, length);
    queue->end += length;
    return 0;
}

void queue_consume(struct byte_queue *queue, size_t length)
{
    queue->start += length;
    if (queue->start == queue->end) {
        /* An idle connection should cost nothing. */
        queue_release(queue);
    }
}

void queue_release(struct byte_queue *queue)
{
    free(queue->bytes);
    memset(queue, 0, sizeof(*queue));
}
