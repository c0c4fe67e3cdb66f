#include "model/lines.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"

void lines_init(struct lines *lines, const char *file, const char *text, size_t length,
                struct arena *arena, struct faults *faults)
{
    static const char mark[] = "\xef\xbb\xbf";
    if (length >= 3 && memcmp(text, mark, 3) == 0) {
        text += 3;
        length -= 3;
    }
    *lines = (struct lines){.file = file,
                            .at = text,
                            .end = length ? text + length : text,
                            .arena = arena,
                            .faults = faults};
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* Says what makes the line unreadable; true when nothing does. */
static bool line_is_clean(struct lines *lines, const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        uint32_t code;
        size_t size = text_utf8_decode(text + at, length - at, &code);
        if (size == 0) {
            faults_add(lines->faults, lines->file, lines->number,
                       "byte %zu of the line (0x%02x) is not UTF-8", at + 1,
                       (unsigned char)text[at]);
            return false;
        }
        bool control = (code < 0x20 && code != '\t') || (code >= 0x7f && code <= 0x9f);
        if (control || code == 0x2028 || code == 0x2029) {
            faults_add(lines->faults, lines->file, lines->number,
                       "byte %zu of the line is a control character (U+%04X); remove it", at + 1,
                       (unsigned)code);
            return false;
        }
        at += size;
    }
    return true;
}

/* Takes one line off the text, trimmed, into `*text` and `*length`. */
static void take_line(struct lines *lines, const char **text, size_t *length)
{
    const char *start = lines->at;
    const char *stop = memchr(start, '\n', (size_t)(lines->end - start));
    lines->at = stop ? stop + 1 : lines->end;
    lines->number++;
    if (!stop)
        stop = lines->end;
    while (start < stop && is_blank(*start))
        start++;
    while (stop > start && is_blank(stop[-1]))
        stop--;
    *text = start;
    *length = (size_t)(stop - start);
}

char *lines_next(struct lines *lines, bool *out_of_memory)
{
    *out_of_memory = false;
    while (lines->at < lines->end) {
        const char *text;
        size_t length;
        take_line(lines, &text, &length);
        if (length == 0 || *text == '#' || *text == ';')
            continue;
        if (length > LINE_MAX_BYTES) {
            faults_add(lines->faults, lines->file, lines->number,
                       "the line has %zu bytes; at most %d are read", length, LINE_MAX_BYTES);
            continue;
        }
        if (!line_is_clean(lines, text, length))
            continue;
        char *copy = arena_strndup(lines->arena, text, length);
        *out_of_memory = !copy;
        return copy;
    }
    return NULL;
}
