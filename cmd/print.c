#include "print.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "app/show.h"
#include "base/text.h"

#define TEXT_MAX ((size_t)64 << 20)

static void print_to(FILE *stream, const char *format, va_list arguments)
{
    struct strbuf text;
    strbuf_init(&text, TEXT_MAX);
    strbuf_addf_va(&text, format, arguments);
    show_lines(stream, text.text);
    strbuf_release(&text);
}

void print_out(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_to(stdout, format, arguments);
    va_end(arguments);
}

void print_err(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_to(stderr, format, arguments);
    va_end(arguments);
}

/* --- JSON --- */

json_t *json_text(const char *text)
{
    if (!text)
        return NULL;
    json_t *value = json_string(text);
    if (value)
        return value;
    struct strbuf safe;
    strbuf_init(&safe, TEXT_MAX);
    text_sanitize(&safe, text, strlen(text), true);
    value = json_string(safe.text);
    strbuf_release(&safe);
    return value;
}

/* Of `type` (`optional`: followed by a question mark); an argument is taken. */
static json_t *value_of(char type, bool optional, va_list *arguments)
{
    const char *text;
    switch (type) {
    case 's':
        text = va_arg(*arguments, const char *);
        return text ? json_text(text) : optional ? json_null() : NULL;
    case 'b':
        return json_boolean(va_arg(*arguments, int));
    case 'i':
        return json_integer(va_arg(*arguments, int));
    case 'I':
        return json_integer(va_arg(*arguments, json_int_t));
    case 'f':
        return json_real(va_arg(*arguments, double));
    case 'o':
        return va_arg(*arguments, json_t *);
    default:
        abort(); /* a mistake in the program */
    }
}

json_t *json_line(const char *format, ...)
{
    json_t *line = json_object();
    va_list arguments;
    va_start(arguments, format);
    for (const char *at = format; (at = strchr(at, ':')) != NULL; at++) {
        const char *key = va_arg(arguments, const char *);
        json_object_set_new(line, key, value_of(at[1], at[2] == '?', &arguments));
    }
    va_end(arguments);
    return line;
}

/* They stand inside strings only, where an escape means the same. */
static void escape_deceptive(struct strbuf *out, const char *text)
{
    size_t length = strlen(text), plain = 0;
    for (size_t at = 0; at < length;) {
        uint32_t code;
        size_t size = text_utf8_decode(text + at, length - at, &code);
        if (code >= 0x7f && text_is_deceptive(code)) {
            strbuf_add(out, text + plain, at - plain);
            strbuf_addf(out, "\\u%04X", (unsigned)code);
            plain = at + size;
        }
        at += size ? size : 1;
    }
    strbuf_add(out, text + plain, length - plain);
}

int print_json_value(json_t *value, size_t flags)
{
    char *text = value ? json_dumps(value, flags) : NULL;
    struct strbuf safe;
    strbuf_init(&safe, SIZE_MAX);
    if (text)
        escape_deceptive(&safe, text);
    strbuf_addc(&safe, '\n');
    fwrite(safe.text, 1, safe.length, stdout);
    strbuf_release(&safe);
    json_decref(value);
    free(text);
    return text ? 0 : -1;
}

void print_json_line(json_t *line)
{
    print_json_value(line, JSON_COMPACT);
}
