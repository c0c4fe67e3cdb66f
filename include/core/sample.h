/*
 * The figures of one side of a comparison, sorted. Bounded: beyond SAMPLE_MAX each further figure takes the place of a random one,
 * so that what is kept stays an even choice of all that were seen (Vitter's algorithm R); count and mean are of all. Pure: its
 * randomness is a generator of its own, so the same figures give the same sample.
 *
 * 16 KiB each. Never allocates.
 */
#ifndef CORE_SAMPLE_H
#define CORE_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"

#define SAMPLE_MAX 2000
#define SAMPLE_LARGEST 1e100 /* what is larger, either way, is no figure: differences stay finite */

struct sample {
    double values[SAMPLE_MAX]; /* ascending, all finite */
    size_t count;              /* of values */
    uint64_t seen;             /* all that were added */
    double sum;                /* of all that were added */
    struct random random;
};

void sample_init(struct sample *sample, uint64_t seed);
/* False when the figure is too large or no number: it is left out. */
bool sample_add(struct sample *sample, double value);
/* Of all that were seen; NaN when there was none. */
double sample_mean(const struct sample *sample);
/* `share` 0 to 1, between neighbours by line (R's type 7, Hyndman & Fan 1996); 0.5 is the median. NaN when there is none. */
double sample_quantile(const struct sample *sample, double share);

#endif
