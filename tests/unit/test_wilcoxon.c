/* The test's figures beside those of R, for some hundred samples of many shapes, and what holds for every pair of samples. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/wilcoxon.h"

#define CASES 360
#define NEAR 1e-6

struct pair {
    double confidence, precision;
    struct sample x, y;
};

static struct pair *pairs; /* CASES of them; some MiB */

static double evenly(struct random *random)
{
    return (double)(random_next(random) >> 11) / 9007199254740992.0;
}

static double normal(struct random *random)
{
    return sqrt(-2 * log(1 - evenly(random))) * cos(2 * M_PI * evenly(random));
}

enum shape {
    SHAPE_NORMAL,
    SHAPE_LATENCY, /* log-normal */
    SHAPE_HEAVY,   /* Pareto, no mean */
    SHAPE_WHOLE,   /* small whole numbers: many ties */
    SHAPE_COARSE,  /* rounded to a tenth, so that ties come of rounding */
    SHAPE_RARE,    /* nearly all zero */
    SHAPE_CONSTANT,
    SHAPE_TWO,     /* 0 or 1 */
    SHAPES
};

static double draw(struct random *random, enum shape shape)
{
    switch (shape) {
    case SHAPE_NORMAL:
        return normal(random);
    case SHAPE_LATENCY:
        return 20 * exp(0.5 * normal(random));
    case SHAPE_HEAVY:
        return pow(1 - evenly(random), -1.5);
    case SHAPE_WHOLE:
        return (double)random_below(random, 6);
    case SHAPE_COARSE:
        return floor(100 * evenly(random)) / 10;
    case SHAPE_RARE:
        return random_below(random, 12) ? 0 : 10 * (double)(1 + random_below(random, 3));
    case SHAPE_TWO:
        return (double)random_below(random, 2);
    default:
        return 7.25;
    }
}

static void fill(struct sample *sample, struct random *random, enum shape shape, size_t count,
                 double shift, double scale)
{
    sample_init(sample, 1);
    for (size_t i = 0; i < count; i++)
        sample_add(sample, scale * (draw(random, shape) + shift));
}

/* Every shape with itself, at several sizes and shifts, and some with others; empty sides too. */
static void make_pair(struct pair *pair, size_t index)
{
    static const size_t sizes[] = {1, 2, 3, 5, 9, 20, 50, 120, 333, 0};
    static const double shifts[] = {0, 0, 0.5, -2, 30, 0.1};
    static const double scales[] = {1, 1, 1000, 0.01};
    static const double confidences[] = {0.98, 0.95, 0.9, 0.999, 0.5};
    struct random random;
    random_init(&random, 1000 + index);
    enum shape x = (enum shape)(index % SHAPES);
    enum shape y = index % 5 == 4 ? (enum shape)random_below(&random, SHAPES) : x;
    size_t nx = sizes[random_below(&random, index % 9 ? 9 : 10)];
    size_t ny = sizes[random_below(&random, index % 9 ? 9 : 10)];
    double scale = scales[random_below(&random, 4)];
    pair->confidence = confidences[random_below(&random, 5)];
    pair->precision = index % 4 == 3 ? 1e-9 : WILCOXON_PRECISION;
    fill(&pair->x, &random, x, nx, shifts[random_below(&random, 6)], scale);
    fill(&pair->y, &random, y, ny, 0, scale);
    if (index == CASES - 1) { /* as large as it gets */
        fill(&pair->x, &random, SHAPE_LATENCY, SAMPLE_MAX, 1, 1);
        fill(&pair->y, &random, SHAPE_LATENCY, SAMPLE_MAX, 0, 1);
    }
}

static int make_pairs(void **state)
{
    (void)state;
    pairs = calloc(CASES, sizeof(*pairs));
    for (size_t i = 0; pairs && i < CASES; i++)
        make_pair(&pairs[i], i);
    return pairs ? 0 : -1;
}

static int free_pairs(void **state)
{
    (void)state;
    free(pairs);
    return 0;
}

static void write_sample(FILE *file, const struct sample *sample)
{
    for (size_t i = 0; i < sample->count; i++)
        fprintf(file, "%s%a", i ? " " : "", sample->values[i]);
    fputc('\n', file);
}

static void write_pairs(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < CASES; i++) {
        fprintf(file, "%a\n%a\n", pairs[i].confidence, pairs[i].precision);
        write_sample(file, &pairs[i].x);
        write_sample(file, &pairs[i].y);
    }
    assert_int_equal(fclose(file), 0);
}

static bool near(double ours, double theirs)
{
    double size = fabs(theirs) > 1 ? fabs(theirs) : 1;
    return fabs(ours - theirs) <= NEAR * size;
}

/* Whether one line of R's says what we say; `refused` counts where R stops, which is where we say why. */
static void compare(size_t index, const char *line, size_t *refused)
{
    const struct pair *pair = &pairs[index];
    struct wilcoxon ours;
    double u, p, shift, low, high;
    wilcoxon_test(&ours, &pair->x, &pair->y, pair->confidence, pair->precision);
    if (ours.state != WILCOXON_DONE) {
        ++*refused;
        if (strncmp(line, "refused ", 8) != 0)
            fail_msg("case %zu: we have state %d, R says %s", index, (int)ours.state, line);
        return;
    }
    if (sscanf(line, "%lf %lf %lf %lf %lf", &u, &p, &shift, &low, &high) != 5)
        fail_msg("case %zu: R says %s", index, line);
    if (!near(ours.u, u) || !near(ours.p, p) || !near(ours.shift, shift) || !near(ours.low, low) ||
        !near(ours.high, high))
        fail_msg("case %zu (%zu and %zu figures): %.9g %.9g %.9g [%.9g, %.9g], R says %s", index,
                 pair->x.count, pair->y.count, ours.u, ours.p, ours.shift, ours.low, ours.high, line);
}

static void every_figure_is_that_of_r(void **state)
{
    char path[] = "/tmp/wilcoxon.XXXXXX", command[256], line[512];
    size_t refused = 0, lines = 0;
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    write_pairs(path);
    snprintf(command, sizeof(command), "Rscript --vanilla tests/unit/wilcoxon_reference.R <%s", path);
    FILE *answer = popen(command, "r");
    assert_non_null(answer);
    for (; fgets(line, sizeof(line), answer) && lines < CASES; lines++)
        compare(lines, line, &refused);
    if (pclose(answer) != 0)
        fail_msg("Rscript does not work here; `make deps` installs r-base-core");
    unlink(path);
    assert_int_equal(lines, CASES);
    assert_in_range(refused, 10, CASES / 4);
}

static void sides_that_are_swapped_get_the_same_test(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct wilcoxon there, back;
        wilcoxon_test(&there, &pairs[i].x, &pairs[i].y, 0.95, 1e-9);
        wilcoxon_test(&back, &pairs[i].y, &pairs[i].x, 0.95, 1e-9);
        assert_int_equal(there.state, back.state);
        if (there.state == WILCOXON_EMPTY)
            continue;
        double pairs_in_all = (double)pairs[i].x.count * (double)pairs[i].y.count;
        assert_true(there.u + back.u == pairs_in_all);
        assert_true(near(there.p, back.p) || (isnan(there.p) && isnan(back.p)));
        assert_true(there.low <= there.high);
    }
}

static void a_shift_is_found_again(void **state)
{
    static struct sample x, y;
    struct random random;
    struct wilcoxon test;
    (void)state;
    random_init(&random, 5);
    sample_init(&x, 1);
    sample_init(&y, 1);
    for (size_t i = 0; i < 500; i++) {
        sample_add(&y, normal(&random));
        sample_add(&x, normal(&random) + 3);
    }
    wilcoxon_test(&test, &x, &y, 0.98, 1e-9);
    assert_true(test.low < 3 && test.high > 3 && test.high - test.low < 0.5);
    assert_true(test.p < 1e-6);
}

static void two_constants_are_apart_by_their_difference(void **state)
{
    static struct sample x, y;
    struct wilcoxon test;
    (void)state;
    sample_init(&x, 1);
    sample_init(&y, 1);
    for (size_t i = 0; i < 30; i++) {
        sample_add(&x, 4);
        sample_add(&y, 1.5);
    }
    wilcoxon_test(&test, &x, &y, 0.98, WILCOXON_PRECISION);
    assert_int_equal(test.state, WILCOXON_CONSTANT);
    assert_true(test.shift == 2.5 && test.low == 2.5 && test.high == 2.5 && test.p < 1e-9);
    wilcoxon_test(&test, &x, &x, 0.98, WILCOXON_PRECISION);
    assert_true(test.shift == 0 && test.low == 0 && test.high == 0 && isnan(test.p));
}

static void a_sample_is_sorted_and_bounded(void **state)
{
    static struct sample sample;
    struct random random;
    (void)state;
    random_init(&random, 3);
    sample_init(&sample, 9);
    for (size_t i = 0; i < 50000; i++)
        assert_true(sample_add(&sample, evenly(&random)));
    assert_int_equal(sample.count, SAMPLE_MAX);
    assert_int_equal(sample.seen, 50000);
    for (size_t i = 1; i < sample.count; i++)
        assert_true(sample.values[i - 1] <= sample.values[i]);
    /* An even choice of all: not the first ones, not the last ones. */
    assert_true(fabs(sample_quantile(&sample, 0.5) - 0.5) < 0.05);
    assert_true(fabs(sample_mean(&sample) - 0.5) < 0.01);
}

static void what_is_no_number_is_left_out(void **state)
{
    static struct sample sample;
    (void)state;
    sample_init(&sample, 1);
    assert_false(sample_add(&sample, NAN));
    assert_false(sample_add(&sample, INFINITY));
    assert_false(sample_add(&sample, -1e300));
    assert_true(isnan(sample_quantile(&sample, 0.5)) && isnan(sample_mean(&sample)));
    assert_true(sample_add(&sample, 2) && sample_add(&sample, 1));
    assert_true(sample_quantile(&sample, 0.5) == 1.5 && sample_quantile(&sample, 1) == 2);
    assert_true(sample_quantile(&sample, 0) == 1 && sample_quantile(&sample, 0.25) == 1.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_figure_is_that_of_r),
        cmocka_unit_test(sides_that_are_swapped_get_the_same_test),
        cmocka_unit_test(a_shift_is_found_again),
        cmocka_unit_test(two_constants_are_apart_by_their_difference),
        cmocka_unit_test(a_sample_is_sorted_and_bounded),
        cmocka_unit_test(what_is_no_number_is_left_out),
    };
    return cmocka_run_group_tests(tests, make_pairs, free_pairs);
}
