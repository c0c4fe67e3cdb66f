#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DURATION_MAX_MS ((int64_t)365 * 24 * 3600 * 1000)
#define FRACTION_DIGITS_MAX 9

/* A decimal number as it was written: whole + fraction / scale. */
struct decimal {
    uint64_t whole, fraction, scale;
};

struct unit {
    const char *name;
    uint64_t factor;
};

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Reads digits, with a fraction after one dot; NULL when there is none or too many of them. */
static const char *scan_decimal(const char *at, struct decimal *out)
{
    *out = (struct decimal){.scale = 1};
    const char *start = at;
    for (; is_digit(*at); at++) {
        if (at - start >= 18)
            return NULL;
        out->whole = out->whole * 10 + (uint64_t)(*at - '0');
    }
    if (at == start)
        return NULL;
    if (*at != '.')
        return at;
    start = ++at;
    for (; is_digit(*at); at++) {
        if (at - start >= FRACTION_DIGITS_MAX)
            return NULL;
        out->fraction = out->fraction * 10 + (uint64_t)(*at - '0');
        out->scale *= 10;
    }
    return at == start ? NULL : at;
}

/* number * factor; false when it does not fit. `exact` tells whether nothing was rounded away. */
static bool scale_up(struct decimal number, uint64_t factor, uint64_t *out, bool *exact)
{
    uint64_t whole, part;
    if (__builtin_mul_overflow(number.whole, factor, &whole) ||
        __builtin_mul_overflow(number.fraction, factor, &part) ||
        __builtin_add_overflow(whole, part / number.scale, out))
        return false;
    *exact = part % number.scale == 0;
    return true;
}

static const struct unit *find_unit(const struct unit *units, size_t count, const char *at,
                                    size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(units[i].name) == length && memcmp(units[i].name, at, length) == 0)
            return &units[i];
    return NULL;
}

int duration_parse(int64_t *out_ms, const char *text, struct err *err)
{
    static const struct unit units[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    const struct unit *next_allowed = units;
    uint64_t total = 0;
    const char *at = text;
    if (strcmp(text, "0") == 0) {
        *out_ms = 0;
        return 0;
    }
    do {
        struct decimal number;
        uint64_t part;
        bool exact;
        at = scan_decimal(at, &number);
        size_t length = at ? strspn(at, "dhms") : 0;
        const struct unit *unit = at ? find_unit(units, 5, at, length) : NULL;
        if (!unit || unit < next_allowed)
            return err_set(err, ERR_INPUT,
                           "'%.100s' is not a duration; write it like 500ms, 10s, 5m, 1h or 1m30s",
                           text);
        if (!scale_up(number, unit->factor, &part, &exact) || part > (uint64_t)DURATION_MAX_MS ||
            (total += part) > (uint64_t)DURATION_MAX_MS)
            return err_set(err, ERR_INPUT, "'%.100s' is longer than 365 days", text);
        if (!exact)
            return err_set(err, ERR_INPUT, "'%.100s' is not a whole number of milliseconds", text);
        next_allowed = unit + 1;
        at += length;
    } while (*at);
    *out_ms = (int64_t)total;
    return 0;
}

int size_parse(uint64_t *out_bytes, const char *text, struct err *err)
{
    static const struct unit units[] = {{"", 1},
                                        {"B", 1},
                                        {"kB", 1000},
                                        {"MB", 1000000},
                                        {"GB", 1000000000},
                                        {"TB", 1000000000000},
                                        {"KiB", 1024},
                                        {"MiB", 1048576},
                                        {"GiB", 1073741824},
                                        {"TiB", 1099511627776}};
    struct decimal number;
    bool exact;
    const char *at = scan_decimal(text, &number);
    const struct unit *unit =
        at ? find_unit(units, sizeof(units) / sizeof(units[0]), at, strlen(at)) : NULL;
    if (!unit || (unit->factor == 1 && number.scale != 1))
        return err_set(
            err, ERR_INPUT,
            "'%.100s' is not a size; write it like 512KiB, 10MiB, 1GiB or a number of bytes", text);
    if (!scale_up(number, unit->factor, out_bytes, &exact))
        return err_set(err, ERR_INPUT, "'%.100s' is too large a size", text);
    return 0;
}

int whole_parse(uint64_t *out, const char *text, uint64_t minimum, uint64_t maximum,
                struct err *err)
{
    uint64_t value = 0;
    bool fits = true;
    const char *at = text;
    for (; is_digit(*at); at++)
        fits = fits && !__builtin_mul_overflow(value, (uint64_t)10, &value) &&
               !__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
    if (at == text || *at)
        return err_set(err, ERR_INPUT, "'%.100s' is not a whole number", text);
    if (!fits || value < minimum || value > maximum)
        return err_set(err, ERR_INPUT, "'%.100s' is not between %" PRIu64 " and %" PRIu64, text,
                       minimum, maximum);
    *out = value;
    return 0;
}

int amount_parse(struct amount *out, const char *text, struct err *err)
{
    char digits[32];
    size_t length = strnlen(text, sizeof(digits));
    bool percent = length && length < sizeof(digits) && text[length - 1] == '%';
    uint64_t value;
    snprintf(digits, sizeof(digits), "%.*s", (int)(percent ? length - 1 : length), text);
    if (length >= sizeof(digits) || !*digits || strspn(digits, "0123456789") != strlen(digits))
        return err_set(err, ERR_INPUT, "'%.100s' is not a count of nodes; write it like 2 or 25%%",
                       text);
    if (whole_parse(&value, digits, 0, percent ? 100 : UINT32_MAX, NULL) < 0)
        return err_set(err, ERR_INPUT, "'%.100s' is more than %s", text,
                       percent ? "100%" : "any fleet has");
    *out = (struct amount){.value = (uint32_t)value, .percent = percent};
    return 0;
}

uint32_t amount_tolerated(struct amount amount, uint32_t total)
{
    uint64_t value = amount.percent ? (uint64_t)amount.value * total / 100 : amount.value;
    return value > total ? total : (uint32_t)value;
}

uint32_t amount_of(struct amount amount, uint32_t total)
{
    uint32_t value = amount_tolerated(amount, total);
    bool rounded_away = amount.percent && amount.value > 0 && total > 0 && value == 0;
    return rounded_away ? 1 : value;
}

const char *duration_format(char out[DURATION_TEXT_MAX], int64_t ms)
{
    const char *sign = ms < 0 ? "-" : "";
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    uint64_t seconds = left / 1000;
    uint64_t tenths = left % 1000 / 100;
    if (left < 1000)
        snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "ms", sign, left);
    else if (seconds < 60 && tenths)
        snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 ".%" PRIu64 "s", sign, seconds, tenths);
    else if (seconds < 60)
        snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "s", sign, seconds);
    else if (seconds < 3600)
        snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "m%02" PRIu64 "s", sign, seconds / 60,
                 seconds % 60);
    else if (seconds < 86400)
        snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "h%02" PRIu64 "m", sign, seconds / 3600,
                 seconds / 60 % 60);
    else
        snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "d%02" PRIu64 "h", sign, seconds / 86400,
                 seconds / 3600 % 24);
    return out;
}

const char *size_format(char out[DURATION_TEXT_MAX], uint64_t bytes)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t power = 0;
    uint64_t divisor = 1;
    while (power < 6 && bytes / divisor >= 1024) {
        divisor *= 1024;
        power++;
    }
    unsigned whole = (unsigned)(bytes / divisor);
    unsigned tenths = power ? (unsigned)(bytes % divisor / (divisor / 1024) * 10 / 1024) : 0;
    if (power == 0)
        snprintf(out, DURATION_TEXT_MAX, "%u B", whole);
    else
        snprintf(out, DURATION_TEXT_MAX, "%u.%u %s", whole, tenths, names[power]);
    return out;
}
