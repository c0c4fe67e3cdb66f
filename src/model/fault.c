#include "model/fault.h"

#include <stdarg.h>
#include <stdio.h>

#define FAULT_MESSAGE_MAX 1024

void faults_init(struct faults *faults, struct arena *arena)
{
    *faults = (struct faults){.arena = arena};
}

void faults_add(struct faults *faults, const char *file, int line, const char *format, ...)
{
    char message[FAULT_MESSAGE_MAX];
    va_list arguments;
    faults->total++;
    if (faults->count == FAULTS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    struct fault *items =
        arena_grow(faults->arena, faults->items, faults->count, sizeof(*faults->items));
    if (!items)
        return;
    faults->items = items;
    const char *copied_file = arena_strdup(faults->arena, file);
    const char *copied_message = arena_strdup(faults->arena, message);
    if (!copied_file || !copied_message)
        return;
    items[faults->count++] =
        (struct fault){.file = copied_file, .line = line, .message = copied_message};
}

void faults_sort(struct faults *faults, size_t from)
{
    for (size_t i = from; i < faults->count; i++) {
        struct fault moved = faults->items[i];
        size_t at = i;
        for (; at > from && faults->items[at - 1].line > moved.line; at--)
            faults->items[at] = faults->items[at - 1];
        faults->items[at] = moved;
    }
}
