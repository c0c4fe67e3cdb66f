#include "core/sample.h"

#include <math.h>
#include <string.h>

void sample_init(struct sample *sample, uint64_t seed)
{
    sample->count = 0;
    sample->seen = 0;
    sample->sum = 0;
    random_init(&sample->random, seed);
}

static void take_out(struct sample *sample, size_t at)
{
    sample->count--;
    memmove(&sample->values[at], &sample->values[at + 1],
            (sample->count - at) * sizeof(sample->values[0]));
}

static void put_in(struct sample *sample, double value)
{
    size_t low = 0, high = sample->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sample->values[middle] <= value)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(&sample->values[low + 1], &sample->values[low],
            (sample->count - low) * sizeof(sample->values[0]));
    sample->values[low] = value;
    sample->count++;
}

bool sample_add(struct sample *sample, double value)
{
    if (!isfinite(value) || fabs(value) > SAMPLE_LARGEST)
        return false;
    sample->seen++;
    sample->sum += value;
    if (sample->count == SAMPLE_MAX) {
        uint64_t place = random_below(&sample->random, sample->seen);
        if (place >= SAMPLE_MAX)
            return true;
        take_out(sample, (size_t)place);
    }
    put_in(sample, value);
    return true;
}

double sample_mean(const struct sample *sample)
{
    return sample->seen ? sample->sum / (double)sample->seen : NAN;
}

double sample_quantile(const struct sample *sample, double share)
{
    if (!sample->count)
        return NAN;
    double place = share * (double)(sample->count - 1);
    size_t below = (size_t)place;
    if (below + 1 >= sample->count)
        return sample->values[sample->count - 1];
    double part = place - (double)below;
    return sample->values[below] + part * (sample->values[below + 1] - sample->values[below]);
}
