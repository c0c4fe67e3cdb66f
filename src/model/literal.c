#include "model/literal.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

#define DEPTH_MAX 64
#define TEXT_MAX_BYTES (1u << 20)

struct parser {
    const char *at;
    const char *last; /* behind the last byte that belongs to a value */
    int depth;
};

static json_t *parse_value(struct parser *parser);

static void skip_blanks(struct parser *parser)
{
    parser->at += strspn(parser->at, " \t\f");
}

static bool take(struct parser *parser, char byte)
{
    skip_blanks(parser);
    if (*parser->at != byte)
        return false;
    parser->last = ++parser->at;
    return true;
}

static bool is_word(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte == '_' || (unsigned char)byte >= 0x80;
}

static int digit_value(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return 16;
}

/* Digits of a base with single `_` between them, copied to `out`; how many digits, 0 when
 * malformed. */
static size_t take_digits(const char **at, int base, struct strbuf *out)
{
    size_t count = 0;
    while (digit_value(**at) < base || (**at == '_' && count)) {
        if (**at == '_' && digit_value((*at)[1]) >= base)
            return 0;
        if (**at != '_') {
            strbuf_addc(out, **at);
            count++;
        }
        (*at)++;
    }
    return count;
}

static json_t *whole_number(const char *digits, int base, bool negative)
{
    errno = 0;
    unsigned long long value = strtoull(digits, NULL, base);
    unsigned long long most = negative ? (unsigned long long)LLONG_MAX + 1 : LLONG_MAX;
    if (errno || value > most)
        return NULL;
    return json_integer(negative ? (json_int_t)(0 - value) : (json_int_t)value);
}

static bool only_zeros(const char *digits)
{
    return digits[strspn(digits, "0")] == '\0';
}

/* The rest of a decimal number: fraction and exponent. False when malformed. */
static bool take_fraction(const char **at, struct strbuf *out, bool *is_real)
{
    if (**at == '.') {
        *is_real = true;
        strbuf_addc(out, *(*at)++);
        if (digit_value(**at) < 10 && !take_digits(at, 10, out))
            return false;
    }
    if (**at == 'e' || **at == 'E') {
        *is_real = true;
        strbuf_addc(out, *(*at)++);
        if (**at == '+' || **at == '-')
            strbuf_addc(out, *(*at)++);
        if (!take_digits(at, 10, out))
            return false;
    }
    return true;
}

static json_t *decimal_number(const char **at, struct strbuf *digits, bool negative)
{
    bool is_real = false;
    if (**at != '.' && !take_digits(at, 10, digits))
        return NULL;
    bool leading_zero = digits->length > 1 && digits->text[0] == '0' && !only_zeros(digits->text);
    if (digits->length == 0 && digit_value((*at)[1]) >= 10)
        return NULL;
    if (!take_fraction(at, digits, &is_real))
        return NULL;
    if (!is_real)
        return leading_zero ? NULL : whole_number(digits->text, 10, negative);
    double value = strtod(digits->text, NULL);
    if (value > 1.7976931348623157e308)
        return NULL;
    return json_real(negative ? -value : value);
}

static json_t *parse_number(struct parser *parser, bool negative)
{
    struct strbuf digits;
    const char *at = parser->at;
    json_t *value = NULL;
    strbuf_init(&digits, LINE_MAX);
    char second = *at == '0' ? at[1] | 0x20 : 0;
    int base = second == 'x' ? 16 : second == 'o' ? 8 : second == 'b' ? 2 : 10;
    if (base == 10) {
        value = decimal_number(&at, &digits, negative);
    } else {
        at += at[2] == '_' ? 3 : 2;
        if (take_digits(&at, base, &digits))
            value = whole_number(digits.text, base, negative);
    }
    if (is_word(*at) || *at == '.' || digits.overflowed) {
        json_decref(value);
        value = NULL;
    }
    strbuf_release(&digits);
    parser->at = parser->last = at;
    return value;
}

static void add_code(struct strbuf *out, uint32_t code)
{
    if (code < 0x80) {
        strbuf_addc(out, (char)code);
    } else if (code < 0x800) {
        strbuf_addc(out, (char)(0xc0 | code >> 6));
        strbuf_addc(out, (char)(0x80 | (code & 0x3f)));
    } else {
        if (code < 0x10000) {
            strbuf_addc(out, (char)(0xe0 | code >> 12));
        } else {
            strbuf_addc(out, (char)(0xf0 | code >> 18));
            strbuf_addc(out, (char)(0x80 | (code >> 12 & 0x3f)));
        }
        strbuf_addc(out, (char)(0x80 | (code >> 6 & 0x3f)));
        strbuf_addc(out, (char)(0x80 | (code & 0x3f)));
    }
}

/* `\xNN`, `\uNNNN`, `\UNNNNNNNN`: exactly `count` digits. */
static bool add_hexadecimal(struct parser *parser, struct strbuf *out, int count)
{
    uint32_t code = 0;
    for (int i = 0; i < count; i++) {
        int digit = digit_value(*parser->at);
        if (digit == 16)
            return false;
        code = code << 4 | (uint32_t)digit;
        parser->at++;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return false;
    add_code(out, code);
    return true;
}

/* What stands behind a backslash. */
static bool add_escape(struct parser *parser, struct strbuf *out)
{
    static const char from[] = "\\'\"abfnrtv";
    static const char to[] = "\\'\"\a\b\f\n\r\t\v";
    char byte = *parser->at;
    const char *found = byte ? strchr(from, byte) : NULL;
    if (!byte || byte == 'N')
        return false;
    if (byte >= '0' && byte <= '7') {
        uint32_t code = 0;
        for (int i = 0; i < 3 && *parser->at >= '0' && *parser->at <= '7'; i++)
            code = code << 3 | (uint32_t)(*parser->at++ - '0');
        add_code(out, code);
        return true;
    }
    parser->at++;
    if (byte == 'x' || byte == 'u' || byte == 'U')
        return add_hexadecimal(parser, out, byte == 'x' ? 2 : byte == 'u' ? 4 : 8);
    if (!found)
        strbuf_addc(out, '\\');
    strbuf_addc(out, found ? to[found - from] : byte);
    return true;
}

/* One quoted string from its prefix on, appended. */
static bool add_string(struct parser *parser, struct strbuf *out)
{
    bool raw = false;
    for (; *parser->at != '\'' && *parser->at != '"'; parser->at++) {
        if (raw || !strchr("rRuU", *parser->at))
            return false;
        raw = *parser->at == 'r' || *parser->at == 'R';
        if (!raw && parser->at[1] != '\'' && parser->at[1] != '"')
            return false;
    }
    char quote = *parser->at;
    bool triple = parser->at[1] == quote && parser->at[2] == quote;
    size_t width = triple ? 3 : 1;
    char closing[4] = {quote, triple ? quote : '\0', quote, '\0'};
    parser->at += width;
    while (strncmp(parser->at, closing, width) != 0) {
        if (!*parser->at)
            return false;
        if (*parser->at == '\\' && raw && parser->at[1]) {
            strbuf_add(out, parser->at, 2);
            parser->at += 2;
        } else if (*parser->at == '\\') {
            parser->at++;
            if (raw || !add_escape(parser, out))
                return false;
        } else {
            strbuf_addc(out, *parser->at++);
        }
    }
    parser->at += width;
    parser->last = parser->at;
    return true;
}

static bool at_string(const char *at)
{
    size_t prefix = strspn(at, "rRuU");
    return prefix <= 1 && (at[prefix] == '\'' || at[prefix] == '"');
}

/* Strings side by side are one. */
static json_t *parse_string(struct parser *parser)
{
    struct strbuf text;
    json_t *value = NULL;
    bool whole = true;
    strbuf_init(&text, TEXT_MAX_BYTES);
    while (whole && at_string(parser->at)) {
        whole = add_string(parser, &text);
        skip_blanks(parser);
    }
    if (whole && !text.overflowed)
        value = json_stringn(text.text, text.length);
    strbuf_release(&text);
    return value;
}

/* Items up to `closing`; `*commas` tells a tuple of one from a value in parentheses. */
static json_t *parse_items(struct parser *parser, char closing, bool *commas)
{
    json_t *list = json_array();
    *commas = false;
    while (list && !take(parser, closing)) {
        json_t *item = json_array_size(list) && !*commas ? NULL : parse_value(parser);
        if (!item || json_array_append_new(list, item) < 0) {
            json_decref(list);
            return NULL;
        }
        bool comma = take(parser, ',');
        if (!comma && !take(parser, closing)) {
            json_decref(list);
            return NULL;
        }
        *commas = *commas || comma;
        if (!comma)
            break;
    }
    return list;
}

static json_t *parse_parentheses(struct parser *parser)
{
    bool commas;
    json_t *list = parse_items(parser, ')', &commas);
    if (!list || commas || json_array_size(list) == 0)
        return list;
    json_t *only = json_incref(json_array_get(list, 0));
    json_decref(list);
    return only;
}

/* Keys as Python's json.dumps writes them; a copy for json_decref's sake. */
static json_t *key_text(json_t *key)
{
    char number[32];
    if (json_is_string(key) && strlen(json_string_value(key)) == json_string_length(key))
        return json_incref(key);
    if (json_is_integer(key)) {
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(key));
        return json_string(number);
    }
    if (json_is_true(key) || json_is_false(key))
        return json_string(json_is_true(key) ? "true" : "false");
    return json_is_null(key) ? json_string("null") : NULL;
}

static bool parse_pair(struct parser *parser, json_t *object)
{
    json_t *key = parse_value(parser);
    json_t *name = key ? key_text(key) : NULL;
    json_t *value = name && take(parser, ':') ? parse_value(parser) : NULL;
    bool stored = value && json_object_set_new(object, json_string_value(name), value) == 0;
    json_decref(name);
    json_decref(key);
    return stored;
}

static json_t *parse_braces(struct parser *parser)
{
    json_t *object = json_object();
    while (object && !take(parser, '}')) {
        bool stored = parse_pair(parser, object);
        bool comma = stored && take(parser, ',');
        if (stored && !comma && take(parser, '}'))
            break;
        if (!comma) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *parse_word(struct parser *parser)
{
    static const char *const words[] = {"True", "False", "None"};
    size_t length = 0;
    while (is_word(parser->at[length]))
        length++;
    for (size_t i = 0; i < 3; i++) {
        if (length == strlen(words[i]) && memcmp(parser->at, words[i], length) == 0) {
            parser->last = parser->at += length;
            return i == 0 ? json_true() : i == 1 ? json_false() : json_null();
        }
    }
    return NULL;
}

/* A sign stands before a plain number only, perhaps in parentheses. */
static json_t *parse_signed(struct parser *parser)
{
    json_t *value = NULL;
    size_t open = 0;
    bool negative = *parser->at++ == '-';
    while (open < DEPTH_MAX && take(parser, '('))
        open++;
    skip_blanks(parser);
    if (digit_value(*parser->at) < 10 || *parser->at == '.')
        value = parse_number(parser, negative);
    for (; value && open; open--) {
        if (!take(parser, ')')) {
            json_decref(value);
            value = NULL;
        }
    }
    return value;
}

static json_t *parse_value(struct parser *parser)
{
    json_t *value = NULL;
    bool commas;
    skip_blanks(parser);
    if (parser->depth == DEPTH_MAX)
        return NULL;
    parser->depth++;
    char byte = *parser->at;
    if (byte == '+' || byte == '-') {
        value = parse_signed(parser);
    } else if (digit_value(byte) < 10 || byte == '.') {
        value = parse_number(parser, false);
    } else if (at_string(parser->at)) {
        value = parse_string(parser);
    } else if (take(parser, '[')) {
        value = parse_items(parser, ']', &commas);
    } else if (take(parser, '(')) {
        value = parse_parentheses(parser);
    } else if (take(parser, '{')) {
        value = parse_braces(parser);
    } else {
        value = parse_word(parser);
    }
    parser->depth--;
    return value;
}

/* `1, 2` without parentheses is a tuple. */
static json_t *parse_top(struct parser *parser)
{
    json_t *value = parse_value(parser);
    if (!value || !take(parser, ','))
        return value;
    json_t *list = json_array();
    if (!list || json_array_append_new(list, value) < 0)
        goto refused;
    while (skip_blanks(parser), *parser->at && *parser->at != '#') {
        value = parse_value(parser);
        if (!value || json_array_append_new(list, value) < 0)
            goto refused;
        if (!take(parser, ','))
            break;
    }
    return list;
refused:
    json_decref(list);
    return NULL;
}

json_t *literal_parse(const char *text, size_t *out_length)
{
    struct parser parser = {.at = text, .last = text};
    json_t *value = parse_top(&parser);
    skip_blanks(&parser);
    if (value && *parser.at && *parser.at != '#') {
        json_decref(value);
        value = NULL;
    }
    if (out_length)
        *out_length = (size_t)(parser.last - text);
    return value;
}

const char *literal_text(struct arena *arena, const char *text)
{
    size_t length;
    json_t *value = literal_parse(text, &length);
    const char *result;
    const char *string = json_string_value(value);
    if (string && strlen(string) == json_string_length(value))
        result = arena_strdup(arena, string);
    else if (value && !string)
        result = arena_strndup(arena, text, length);
    else
        result = arena_strdup(arena, text);
    json_decref(value);
    return result;
}
