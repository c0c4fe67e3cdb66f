#include "base/json_writer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define BROKEN_TEXT_MAX ((size_t)64 << 10)

void json_writer_init(struct json_writer *writer, struct strbuf *out)
{
    *writer = (struct json_writer){.out = out};
}

/* What stands before a value. */
static void begin_value(struct json_writer *writer, const char *key)
{
    if (writer->follows)
        strbuf_addc(writer->out, ',');
    writer->follows = true;
    if (!key)
        return;
    strbuf_addc(writer->out, '"');
    strbuf_adds(writer->out, key);
    strbuf_add(writer->out, "\":", 2);
}

static void begin_inside(struct json_writer *writer, const char *key, char bracket)
{
    begin_value(writer, key);
    strbuf_addc(writer->out, bracket);
    writer->follows = false;
}

static void end_inside(struct json_writer *writer, char bracket)
{
    strbuf_addc(writer->out, bracket);
    writer->follows = true;
}

void json_writer_begin_object(struct json_writer *writer, const char *key)
{
    begin_inside(writer, key, '{');
}

void json_writer_end_object(struct json_writer *writer)
{
    end_inside(writer, '}');
}

void json_writer_begin_array(struct json_writer *writer, const char *key)
{
    begin_inside(writer, key, '[');
}

void json_writer_end_array(struct json_writer *writer)
{
    end_inside(writer, ']');
}

/* --- texts --- */

static void add_escaped(struct strbuf *out, char byte)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *known = memchr(from, byte, sizeof(from) - 1);
    if (!known) {
        strbuf_addf(out, "\\u%04X", (unsigned)(unsigned char)byte);
        return;
    }
    strbuf_addc(out, '\\');
    strbuf_addc(out, to[known - from]);
}

/* Whether it was UTF-8; if not, part of it was added. */
static bool add_text(struct strbuf *out, const char *text, size_t length)
{
    size_t plain = 0; /* where what was not added yet begins */
    for (size_t at = 0; at < length;) {
        unsigned char byte = (unsigned char)text[at];
        uint32_t code;
        if (byte >= 0x80) {
            size_t size = text_utf8_decode(text + at, length - at, &code);
            if (!size)
                return false;
            if (text_is_deceptive(code)) {
                strbuf_add(out, text + plain, at - plain);
                strbuf_addf(out, "\\u%04X", (unsigned)code);
                plain = at + size;
            }
            at += size;
            continue;
        }
        if (byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\') {
            strbuf_add(out, text + plain, at - plain);
            add_escaped(out, text[at]);
            plain = at + 1;
        }
        at++;
    }
    strbuf_add(out, text + plain, length - plain);
    return true;
}

void json_writer_text(struct json_writer *writer, const char *key, const char *text)
{
    struct strbuf *out = writer->out;
    if (!text)
        return;
    begin_value(writer, key);
    strbuf_addc(out, '"');
    size_t begun = out->length;
    if (!add_text(out, text, strlen(text))) {
        struct strbuf safe;
        strbuf_init(&safe, BROKEN_TEXT_MAX);
        text_sanitize(&safe, text, strlen(text), true);
        strbuf_cut(out, begun);
        /* Its bound may stand inside a character. */
        add_text(out, safe.text, text_cut(safe.text, safe.overflowed ? safe.length - 1 : safe.length));
        strbuf_release(&safe);
    }
    strbuf_addc(out, '"');
}

/* --- numbers --- */

void json_writer_number(struct json_writer *writer, const char *key, int64_t number)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    begin_value(writer, key);
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0)
        digits[--at] = '-';
    strbuf_add(writer->out, digits + at, sizeof(digits) - at);
}

void json_writer_real(struct json_writer *writer, const char *key, double number)
{
    char text[40];
    if (!isfinite(number))
        return;
    begin_value(writer, key);
    snprintf(text, sizeof(text), "%.17g", number);
    strbuf_adds(writer->out, text);
    if (!strpbrk(text, ".e"))
        strbuf_add(writer->out, ".0", 2);
}

void json_writer_bool(struct json_writer *writer, const char *key, bool value)
{
    begin_value(writer, key);
    strbuf_adds(writer->out, value ? "true" : "false");
}
