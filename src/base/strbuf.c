#include "base/strbuf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char empty[1];

void strbuf_init(struct strbuf *buffer, size_t maximum)
{
    size_t possible = SIZE_MAX / 4; /* doubling the capacity can then never wrap */
    *buffer = (struct strbuf){.text = empty, .maximum = maximum < possible ? maximum : possible};
}

void strbuf_release(struct strbuf *buffer)
{
    if (buffer->capacity)
        free(buffer->text);
    strbuf_init(buffer, buffer->maximum);
}

void strbuf_reset(struct strbuf *buffer)
{
    buffer->length = 0;
    buffer->overflowed = false;
    if (buffer->capacity)
        buffer->text[0] = '\0';
}

/* Room for `extra` more bytes and the NUL; returns how many of `extra` fit. */
static size_t make_room(struct strbuf *buffer, size_t extra)
{
    size_t allowed = buffer->maximum - buffer->length;
    if (extra > allowed) {
        buffer->overflowed = true;
        extra = allowed;
    }
    size_t needed = buffer->length + extra + 1;
    if (needed <= buffer->capacity)
        return extra;
    size_t capacity = buffer->capacity ? buffer->capacity : 64;
    while (capacity < needed)
        capacity *= 2;
    char *grown = realloc(buffer->capacity ? buffer->text : NULL, capacity);
    if (!grown) {
        buffer->overflowed = true;
        return 0;
    }
    if (!buffer->capacity)
        grown[0] = '\0';
    buffer->text = grown;
    buffer->capacity = capacity;
    return extra;
}

void strbuf_add(struct strbuf *buffer, const void *bytes, size_t length)
{
    if (length == 0 || buffer->overflowed)
        return;
    length = make_room(buffer, length);
    if (length == 0)
        return;
    memcpy(buffer->text + buffer->length, bytes, length);
    buffer->length += length;
    buffer->text[buffer->length] = '\0';
}

void strbuf_add_whole(struct strbuf *buffer, const void *bytes, size_t length)
{
    if (length > buffer->maximum - buffer->length)
        buffer->overflowed = true;
    strbuf_add(buffer, bytes, length);
}

void strbuf_adds(struct strbuf *buffer, const char *text)
{
    strbuf_add(buffer, text, strlen(text));
}

void strbuf_addc(struct strbuf *buffer, char byte)
{
    strbuf_add(buffer, &byte, 1);
}

void strbuf_addf_va(struct strbuf *buffer, const char *format, va_list arguments)
{
    char small[256];
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(small, sizeof(small), format, arguments);
    if (length > 0 && !buffer->overflowed) {
        char *text = (size_t)length < sizeof(small) ? small : malloc((size_t)length + 1);
        if (text && text != small)
            vsnprintf(text, (size_t)length + 1, format, again);
        if (text)
            strbuf_add(buffer, text, (size_t)length);
        else
            buffer->overflowed = true;
        if (text != small)
            free(text);
    }
    va_end(again);
}

void strbuf_addf(struct strbuf *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    strbuf_addf_va(buffer, format, arguments);
    va_end(arguments);
}

void strbuf_cut(struct strbuf *buffer, size_t length)
{
    if (length >= buffer->length)
        return;
    buffer->length = length;
    buffer->text[length] = '\0';
}

void strbuf_consume(struct strbuf *buffer, size_t count)
{
    if (count >= buffer->length) {
        strbuf_reset(buffer);
        return;
    }
    buffer->length -= count;
    memmove(buffer->text, buffer->text + count, buffer->length + 1);
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

void strbuf_trim_end(struct strbuf *buffer)
{
    while (buffer->length && is_blank(buffer->text[buffer->length - 1]))
        buffer->text[--buffer->length] = '\0';
}

char *strbuf_detach(struct strbuf *buffer)
{
    char *text = buffer->capacity ? buffer->text : calloc(1, 1);
    strbuf_init(buffer, buffer->maximum);
    return text;
}
