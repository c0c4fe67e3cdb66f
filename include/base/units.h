/*
 * Durations, sizes, counts and percents as playbooks write them, and as people read them.
 *
 * Parsing takes the whole text; anything left over, a sign, or a value outside the bounds is
 * ERR_INPUT with a sentence that names the accepted form. Never depends on the locale.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A count of nodes, absolute or a share of the fleet. */
struct amount {
    uint32_t value;
    bool percent;
};

/* `500ms 10s 5m 1h 2d`, whole numbers or decimals (`1.5s`), parts may be joined (`1m30s`); `0`
 * needs no unit. At most 365 days. */
int duration_parse(int64_t *out_ms, const char *text, struct err *err);
/* `10MiB 1GiB 512KiB 100B`, also kB MB GB (powers of 1000); a bare number is bytes. */
int size_parse(uint64_t *out_bytes, const char *text, struct err *err);
/* `2` or `25%`; a percent is 0 to 100. */
int amount_parse(struct amount *out, const char *text, struct err *err);
/* A whole number without sign between minimum and maximum. */
int whole_parse(uint64_t *out, const char *text, uint64_t minimum, uint64_t maximum,
                struct err *err);

/* How many of `total` an amount means. A percent rounds down and is at least 1, as Kubernetes'
 * maxUnavailable (ResolveFenceposts: both zero becomes one); an absolute count is returned as it
 * is, though never above total. 0 stays 0, and nothing of nothing is 0. */
uint32_t amount_of(struct amount amount, uint32_t total);
/* The same for a tolerance (max_failures): a percent rounds down and may be 0. */
uint32_t amount_tolerated(struct amount amount, uint32_t total);

/* `1.5s`, `250ms`, `2m05s`, `1h02m`: into `out`, always terminated. Returns `out`. */
#define DURATION_TEXT_MAX 32
const char *duration_format(char out[DURATION_TEXT_MAX], int64_t ms);
/* `12.3 MiB`. */
const char *size_format(char out[DURATION_TEXT_MAX], uint64_t bytes);

#endif
