#include "model/host_range.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_MAX_BYTES 253

struct expansion {
    struct host_names *out;
    size_t maximum;
    struct arena *arena;
    struct err *err;
};

/* One `[begin:end:step]`; letters count by their place in LETTERS. */
struct range {
    bool letters;
    size_t width; /* digits with leading zeros; 0: none */
    uint64_t from, to, step;
};

static bool is_word(char byte)
{
    return (byte && strchr(LETTERS DIGITS "_", byte)) || (unsigned char)byte >= 0x80;
}

/* Length of a range in brackets as a name may hold it, 0 when there is none. */
static size_t range_length(const char *at)
{
    const char *start = at;
    if (*at++ != '[')
        return 0;
    size_t first = strspn(at, DIGITS);
    if (first == 0 && *at && strchr(LETTERS, *at))
        first = 1;
    at += first;
    if (first == 0 || *at++ != ':')
        return 0;
    size_t second = strspn(at, DIGITS);
    if (second == 0 && *at && strchr(LETTERS, *at))
        second = 1;
    at += second;
    if (second && *at == ':') {
        size_t step = strspn(at + 1, DIGITS);
        if (step == 0)
            return 0;
        at += 1 + step;
    }
    return second && *at == ']' ? (size_t)(at + 1 - start) : 0;
}

/* Labels of word characters, `-` and ranges between dots; none of them empty or ending in `-` or
 * `_`. */
static bool is_host_name(const char *at, const char *end)
{
    while (true) {
        size_t parts = 0;
        char last = '\0';
        while (at < end && *at != '.') {
            size_t length = range_length(at);
            if (length == 0 && !is_word(*at) && !(parts && *at == '-'))
                return false;
            last = *at;
            at += length ? length : 1;
            parts++;
        }
        if (parts == 0 || last == '-' || last == '_')
            return false;
        if (at == end)
            return true;
        at++;
    }
}

/* One part between colons: up to four hexadecimal digits, or a range. */
static size_t hexadecimal_length(const char *at, const char *end)
{
    size_t length = range_length(at);
    if (length)
        return length;
    while (at + length < end && length < 4 && strchr("0123456789abcdefABCDEF", at[length]))
        length++;
    return length;
}

static bool is_ipv4(const char *at, const char *end)
{
    for (int part = 0; part < 4; part++) {
        size_t range = range_length(at);
        size_t digits = range ? range : strspn(at, DIGITS);
        if (digits == 0 || (!range && (digits > 3 || strtoul(at, NULL, 10) > 255)))
            return false;
        at += digits;
        if (part < 3 && (at >= end || *at++ != '.'))
            return false;
    }
    return at == end;
}

static bool is_ipv6(const char *at, const char *end)
{
    int parts = 0;
    bool gap = false;
    if (end - at >= 2 && at[0] == ':' && at[1] == ':') {
        gap = true;
        at += 2;
    }
    while (at < end) {
        if (parts && is_ipv4(at, end)) {
            parts += 2;
            break;
        }
        size_t length = hexadecimal_length(at, end);
        if (length == 0)
            return false;
        parts++;
        at += length;
        if (at == end)
            break;
        if (*at++ != ':' || (at == end))
            return false;
        if (*at == ':') {
            if (gap)
                return false;
            gap = true;
            at++;
        }
    }
    return gap ? parts < 8 : parts == 8;
}

/* Takes `:port` off the end where the rest can be a host; `*end` is then before the colon. */
static int take_port(const char **start, const char **end, uint16_t *port, struct err *err)
{
    const char *word = *start, *stop = *end;
    const char *colon = memrchr(word, ':', (size_t)(stop - word));
    *port = 0;
    if (!colon || colon + 1 == stop || strspn(colon + 1, DIGITS) < (size_t)(stop - colon - 1))
        return 0;
    const char *first = word, *last = colon;
    bool bracketed = *word == '[' && colon > word + 2 && colon[-1] == ']';
    bool is_host = is_host_name(first, last);
    if (!is_host && bracketed) {
        first++;
        last--;
        is_host = is_host_name(first, last) || is_ipv6(first, last);
    }
    if (!is_host)
        return 0;
    uint64_t value;
    if (whole_parse(&value, colon + 1, 1, UINT16_MAX, NULL) < 0)
        return err_set(err, ERR_INPUT, "port '%.20s' is not between 1 and 65535", colon + 1);
    *start = first;
    *end = last;
    *port = (uint16_t)value;
    return 0;
}

static int check_name(const char *name, struct err *err)
{
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX_BYTES)
        return err_set(err, ERR_INPUT,
                       length ? "host name '%.60s...' is longer than 253 bytes"
                              : "a host name is empty",
                       name);
    if (strpbrk(name, "[]|/ \t,{}") || *name == '-' || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0)
        return err_set(err, ERR_INPUT, "'%.100s' is not a usable host name", name);
    if (strchr(name, ':') && !is_ipv6(name, name + length))
        return err_set(err, ERR_INPUT,
                       "'%.100s' is neither host:port nor an IPv6 address; write [address]:port "
                       "for an address with a port",
                       name);
    return 0;
}

static int add_name(struct expansion *expansion, const char *name)
{
    struct host_names *out = expansion->out;
    int code = check_name(name, expansion->err);
    if (code < 0)
        return code;
    if (out->count == expansion->maximum)
        return err_set(expansion->err, ERR_INPUT, "the range makes more than %zu nodes",
                       expansion->maximum);
    const char **items = arena_grow(expansion->arena, out->items, out->count, sizeof(*items));
    if (!items)
        return err_set(expansion->err, ERR_MEMORY, "out of memory");
    out->items = items;
    items[out->count++] = name;
    return 0;
}

/* Bounds that are single letters. */
static int letter_range(struct range *range, const char *from, const char *to, struct err *err)
{
    const char *first = strchr(LETTERS, *from), *last = strchr(LETTERS, *to);
    if (!last || !*to || to[1])
        return err_set(err, ERR_INPUT, "a range goes from letter to letter or number to number");
    range->letters = true;
    range->from = (uint64_t)(first - LETTERS);
    range->to = (uint64_t)(last - LETTERS);
    return 0;
}

static int number_range(struct range *range, const char *from, const char *to, struct err *err)
{
    size_t width = strlen(from);
    if (whole_parse(&range->from, from, 0, 999999999999999999, NULL) < 0 ||
        whole_parse(&range->to, to, 0, 999999999999999999, NULL) < 0)
        return err_set(err, ERR_INPUT, "a range goes from letter to letter or number to number");
    if (width > 1 && *from == '0') {
        if (strlen(to) != width)
            return err_set(err, ERR_INPUT,
                           "a range with leading zeros needs both ends of one length");
        range->width = width;
    }
    return 0;
}

/* Reads `begin:end[:step]`; the text is cut up. */
static int read_range(struct range *range, char *inside, struct err *err)
{
    *range = (struct range){.step = 1};
    char *to = strchr(inside, ':');
    if (!to)
        return err_set(err, ERR_INPUT, "a range is [begin:end] or [begin:end:step]");
    *to++ = '\0';
    char *step = strchr(to, ':');
    if (step)
        *step++ = '\0';
    if (!*to)
        return err_set(err, ERR_INPUT, "a range needs an end");
    bool letter = *inside && strchr(LETTERS, *inside) && !inside[1];
    int code = letter ? letter_range(range, inside, to, err)
                      : number_range(range, *inside ? inside : "0", to, err);
    if (code < 0)
        return code;
    if (step && whole_parse(&range->step, step, 1, 999999999999999999, NULL) < 0)
        return err_set(err, ERR_INPUT, "the step of a range is a whole number above 0");
    if (range->from > range->to)
        return err_set(err, ERR_INPUT, "the range counts down and names no node");
    return 0;
}

static int expand(struct expansion *expansion, const char *text)
{
    const char *open = strchr(text, '[');
    if (!open)
        return add_name(expansion, text);
    const char *close = strchr(text, ']');
    if (!close || close < open)
        return err_set(expansion->err, ERR_INPUT, "'%.100s' has a bracket without its other", text);
    struct range range;
    char *inside = arena_strndup(expansion->arena, open + 1, (size_t)(close - open - 1));
    int code = inside ? read_range(&range, inside, expansion->err)
                      : err_set(expansion->err, ERR_MEMORY, "out of memory");
    for (uint64_t value = range.from; code == 0 && value <= range.to; value += range.step) {
        const char *name =
            range.letters
                ? arena_printf(expansion->arena, "%.*s%c%s", (int)(open - text), text,
                               LETTERS[value], close + 1)
                : arena_printf(expansion->arena, "%.*s%0*" PRIu64 "%s", (int)(open - text), text,
                               (int)range.width, value, close + 1);
        code =
            name ? expand(expansion, name) : err_set(expansion->err, ERR_MEMORY, "out of memory");
    }
    return code;
}

int host_names_expand(struct host_names *out, const char *word, size_t maximum, struct arena *arena,
                      struct err *err)
{
    struct expansion expansion = {.out = out, .maximum = maximum, .arena = arena, .err = err};
    const char *start = word, *end = word + strlen(word);
    *out = (struct host_names){0};
    int code = take_port(&start, &end, &out->port, err);
    if (code < 0)
        return code;
    char *host = arena_strndup(arena, start, (size_t)(end - start));
    if (!host)
        return err_set(err, ERR_MEMORY, "out of memory");
    if (!strchr(host, '[') && strchr(host, ']'))
        return err_set(err, ERR_INPUT, "'%.100s' has a bracket without its other", host);
    return expand(&expansion, host);
}

bool host_word_is_valid(const char *word)
{
    const char *start = word, *end = word + strlen(word);
    uint16_t port;
    if (take_port(&start, &end, &port, NULL) < 0)
        return false;
    return is_host_name(start, end) || is_ipv6(start, end);
}
