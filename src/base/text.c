#include "base/text.h"

#include <stdint.h>
#include <string.h>

#define NEAREST_NAME_MAX 64

size_t text_utf8_decode(const char *bytes, size_t length, uint32_t *out_code)
{
    const unsigned char *from = (const unsigned char *)bytes;
    *out_code = 0;
    if (length == 0)
        return 0;
    if (from[0] < 0x80) {
        *out_code = from[0];
        return 1;
    }
    size_t size = from[0] >= 0xf0 ? 4 : from[0] >= 0xe0 ? 3 : 2;
    if (from[0] < 0xc2 || from[0] > 0xf4 || size > length)
        return 0;
    uint32_t code = from[0] & (0xffu >> (size + 1));
    for (size_t at = 1; at < size; at++) {
        if ((from[at] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (from[at] & 0x3fu);
    }
    bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (overlong || surrogate || code > 0x10ffff)
        return 0;
    *out_code = code;
    return size;
}

/* One character of a NUL-terminated text; a broken byte stands for itself, so that progress is
 * certain. */
static const char *next_code(const char *at, uint32_t *code)
{
    size_t size = text_utf8_decode(at, strnlen(at, 4), code);
    if (size)
        return at + size;
    *code = (unsigned char)*at;
    return at + 1;
}

/* The `]` that closes the set opened before `at`, or NULL: the bracket is then a plain character.
 */
static const char *set_end(const char *at)
{
    if (*at == '!')
        at++;
    if (*at == ']')
        at++;
    return strchr(at, ']');
}

static bool set_holds(const char *at, const char *end, uint32_t code)
{
    bool negated = *at == '!';
    bool found = false;
    if (negated)
        at++;
    while (at < end) {
        uint32_t low, high;
        at = next_code(at, &low);
        high = low;
        if (*at == '-' && at + 1 < end)
            at = next_code(at + 1, &high);
        found = found || (code >= low && code <= high);
    }
    return found != negated;
}

/* Matches one character of `name` against one element of `pattern`; NULL when it does not fit. */
static const char *match_one(const char *pattern, uint32_t code)
{
    if (*pattern == '?')
        return pattern + 1;
    const char *end = *pattern == '[' ? set_end(pattern + 1) : NULL;
    if (end)
        return set_holds(pattern + 1, end, code) ? end + 1 : NULL;
    uint32_t wanted;
    const char *after = next_code(pattern, &wanted);
    return wanted == code ? after : NULL;
}

bool text_glob(const char *pattern, const char *name)
{
    const char *star = NULL, *retry = NULL;
    while (*name) {
        uint32_t code;
        if (*pattern == '*') {
            star = ++pattern;
            retry = name;
            continue;
        }
        const char *after_name = next_code(name, &code);
        const char *after = *pattern ? match_one(pattern, code) : NULL;
        if (after) {
            pattern = after;
            name = after_name;
        } else if (star) {
            pattern = star;
            name = retry = next_code(retry, &code);
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static size_t smaller(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* Optimal string alignment: insert, delete, replace, and swap of neighbours each cost one. */
static size_t edit_distance(const char *left, size_t left_length, const char *right,
                            size_t right_length)
{
    size_t rows[3][NEAREST_NAME_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= right_length; j++)
        above[j] = j;
    for (size_t i = 1; i <= left_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= right_length; j++) {
            size_t replace = above[j - 1] + (left[i - 1] != right[j - 1]);
            row[j] = smaller(replace, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[right_length];
}

const char *text_nearest(const char *name, const char *const *candidates, size_t count)
{
    size_t length = strlen(name);
    if (length == 0 || length > NEAREST_NAME_MAX)
        return NULL;
    size_t limit = length / 3 ? length / 3 : 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(candidates[i]);
        if (other > NEAREST_NAME_MAX)
            continue;
        size_t distance = edit_distance(name, length, candidates[i], other);
        if (distance <= limit) {
            nearest = candidates[i];
            if (distance == 0)
                break;
            limit = distance - 1;
        }
    }
    return nearest;
}

bool text_has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        if (length && (at == text || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

void text_shell_quote(struct strbuf *out, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:,@%+";
    if (*text && text[strspn(text, plain)] == '\0') {
        strbuf_adds(out, text);
        return;
    }
    strbuf_addc(out, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            strbuf_adds(out, "'\\''");
        else
            strbuf_addc(out, *text);
    }
    strbuf_addc(out, '\'');
}

bool text_is_deceptive(uint32_t code)
{
    bool control = code < 0x20 || (code >= 0x7f && code <= 0x9f);
    bool separator = code == 0x2028 || code == 0x2029;
    bool direction = code == 0x061c || code == 0x200e || code == 0x200f ||
                     (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return control || separator || direction;
}

static size_t plain_span(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length && bytes[at] >= ' ' && bytes[at] <= '~')
        at++;
    return at;
}

/* Length of a color sequence that our own output has (app/sink_text.h); 0: there is none. */
static size_t color_span(const char *bytes, size_t length)
{
    static const char *const codes[] = {"\033[0m", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (length >= strlen(codes[i]) && memcmp(bytes, codes[i], strlen(codes[i])) == 0)
            return strlen(codes[i]);
    return 0;
}

void text_sanitize_colored(struct strbuf *out, const char *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t color = color_span(bytes + at, length - at);
        strbuf_add(out, bytes + at, color);
        at += color;
        const char *next = at < length ? memchr(bytes + at + (color ? 0 : 1), '\033', length - at - (color ? 0 : 1)) : NULL;
        size_t end = next ? (size_t)(next - bytes) : length;
        text_sanitize(out, bytes + at, end - at, false);
        at = end;
    }
}

void text_sanitize(struct strbuf *out, const char *bytes, size_t length, bool lines)
{
    for (size_t at = 0; at < length;) {
        uint32_t code;
        size_t plain = plain_span(bytes + at, length - at);
        strbuf_add(out, bytes + at, plain);
        at += plain;
        if (at == length)
            break;
        size_t size = text_utf8_decode(bytes + at, length - at, &code);
        bool kept = size && (!text_is_deceptive(code) || code == '\t' || (lines && code == '\n'));
        bool line_end = bytes[at] == '\r' && (at + 1 == length || bytes[at + 1] == '\n');
        if (size == 0)
            size = 1;
        if (kept)
            strbuf_add_whole(out, bytes + at, size);
        else if (!line_end)
            for (size_t i = 0; i < size; i++)
                strbuf_addf(out, "\\x%02x", (unsigned char)bytes[at + i]);
        at += size;
    }
}

bool text_is_name(const char *text)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strnlen(text, 65);
    if (length == 0 || length > 64 || text[0] == '.' || text[0] == '-')
        return false;
    return strspn(text, allowed) == length;
}

char *text_trim(char *text)
{
    static const char blanks[] = " \t\r\n\v\f";
    text += strspn(text, blanks);
    size_t length = strlen(text);
    while (length && strchr(blanks, text[length - 1]))
        text[--length] = '\0';
    return text;
}

struct code_range {
    uint32_t from, to;
};

static bool in_ranges(uint32_t code, const struct code_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (code >= ranges[i].from && code <= ranges[i].to)
            return true;
    return false;
}

size_t text_cut(const char *text, size_t maximum)
{
    size_t length = strnlen(text, maximum + 1);
    if (length <= maximum)
        return length;
    for (length = maximum; length && ((unsigned char)text[length] & 0xc0) == 0x80;)
        length--;
    return length;
}

size_t text_columns(const char *text)
{
    static const struct code_range none[] = {
        {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd},   {0x0610, 0x061a}, {0x064b, 0x065f},
        {0x0900, 0x0902}, {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e},   {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
        {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x206f},   {0x20d0, 0x20ff}, {0xfe00, 0xfe0f},
        {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef},
    };
    static const struct code_range wide[] = {
        {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x4dbf},   {0x4e00, 0xa4cf},
        {0xa960, 0xa97c},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
        {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
        {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
    };
    size_t columns = 0;
    while (*text) {
        uint32_t code;
        text = next_code(text, &code);
        if (in_ranges(code, none, sizeof(none) / sizeof(none[0])))
            continue;
        columns += in_ranges(code, wide, sizeof(wide) / sizeof(wide[0])) ? 2 : 1;
    }
    return columns;
}
