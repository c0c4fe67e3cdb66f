#include "app/show.h"

#include <string.h>

#include "base/text.h"

static void write_safe(FILE *stream, struct strbuf *safe)
{
    fwrite(safe->text, 1, safe->length, stream);
    strbuf_release(safe);
}

void show_lines(FILE *stream, const char *text)
{
    struct strbuf safe;
    size_t length = strlen(text);
    strbuf_init(&safe, 4 * length + 1);
    text_sanitize(&safe, text, length, true);
    write_safe(stream, &safe);
}

void show_line(FILE *stream, const char *text, bool colors)
{
    struct strbuf safe;
    size_t length = strlen(text);
    strbuf_init(&safe, 4 * length + 2);
    if (colors)
        text_sanitize_colored(&safe, text, length);
    else
        text_sanitize(&safe, text, length, false);
    strbuf_addc(&safe, '\n');
    write_safe(stream, &safe);
}
