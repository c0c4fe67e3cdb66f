#include "base/units.h"
#include "check.h"

static void assert_duration(const char *text, int64_t expected)
{
    int64_t ms = -1;
    struct err err = {0};
    assert_int_equal(duration_parse(&ms, text, &err), 0);
    assert_true(ms == expected);
}

static void assert_no_duration(const char *text)
{
    int64_t ms = 77;
    struct err err = {0};
    assert_int_equal(duration_parse(&ms, text, &err), ERR_INPUT);
    assert_true(ms == 77);
}

static void durations_have_units(void **state)
{
    (void)state;
    assert_duration("500ms", 500);
    assert_duration("10s", 10000);
    assert_duration("5m", 300000);
    assert_duration("1h", 3600000);
    assert_duration("2d", 172800000);
    assert_duration("1.5s", 1500);
    assert_duration("1m30s", 90000);
    assert_duration("1h0m0.25s", 3600250);
    assert_duration("0", 0);
    assert_duration("0s", 0);
    assert_duration("365d", INT64_C(31536000000));
}

static void anything_else_is_no_duration(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "5",
                                        "-1s",
                                        "+1s",
                                        "1 s",
                                        "s",
                                        "1S",
                                        "1.s",
                                        ".5s",
                                        "1s1m",
                                        "1s1s",
                                        "1sx",
                                        "366d",
                                        "1.5ms",
                                        "1e3s",
                                        "0x1s",
                                        " 1s",
                                        "1s ",
                                        "inf",
                                        "1.0005s",
                                        "99999999999999999999s",
                                        "999999999999999999d"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_no_duration(texts[i]);
    struct err err = {0};
    int64_t ms;
    duration_parse(&ms, "5", &err);
    assert_string_equal(err.message,
                        "'5' is not a duration; write it like 500ms, 10s, 5m, 1h or 1m30s");
}

static void sizes_know_both_powers(void **state)
{
    (void)state;
    uint64_t bytes;
    assert_int_equal(size_parse(&bytes, "10MiB", NULL), 0);
    assert_true(bytes == 10485760);
    assert_int_equal(size_parse(&bytes, "1kB", NULL), 0);
    assert_true(bytes == 1000);
    assert_int_equal(size_parse(&bytes, "1.5GiB", NULL), 0);
    assert_true(bytes == 1610612736);
    assert_int_equal(size_parse(&bytes, "100", NULL), 0);
    assert_true(bytes == 100);
    assert_int_equal(size_parse(&bytes, "1.5", NULL), ERR_INPUT);
    assert_int_equal(size_parse(&bytes, "1Mib", NULL), ERR_INPUT);
    assert_int_equal(size_parse(&bytes, "-1B", NULL), ERR_INPUT);
    assert_int_equal(size_parse(&bytes, "999999999999TiB", NULL), ERR_INPUT);
}

static void amounts_are_counts_or_percents(void **state)
{
    (void)state;
    struct amount amount;
    assert_int_equal(amount_parse(&amount, "2", NULL), 0);
    assert_int_equal(amount.value, 2);
    assert_false(amount.percent);
    assert_int_equal(amount_parse(&amount, "25%", NULL), 0);
    assert_int_equal(amount.value, 25);
    assert_true(amount.percent);
    static const char *const wrong[] = {"", "%", "101%", "-1", "2.5", "25 %", "4294967296", "x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(amount_parse(&amount, wrong[i], NULL), ERR_INPUT);
}

static void a_percent_of_a_fleet_is_at_least_one_node(void **state)
{
    (void)state;
    struct amount quarter = {.value = 25, .percent = true}, three = {.value = 3};
    assert_int_equal(amount_of(quarter, 10), 2);
    assert_int_equal(amount_of(quarter, 3), 1);
    assert_int_equal(amount_of(quarter, 0), 0);
    assert_int_equal(amount_of((struct amount){.percent = true}, 10), 0);
    assert_int_equal(amount_of(three, 10), 3);
    assert_int_equal(amount_of(three, 2), 2);
    assert_int_equal(amount_of((struct amount){.value = 100, .percent = true}, UINT32_MAX),
                     UINT32_MAX);
}

static void a_tolerated_percent_may_be_no_node(void **state)
{
    (void)state;
    struct amount quarter = {.value = 25, .percent = true};
    assert_int_equal(amount_tolerated(quarter, 3), 0);
    assert_int_equal(amount_tolerated(quarter, 8), 2);
}

static void whole_numbers_keep_their_bounds(void **state)
{
    (void)state;
    uint64_t value;
    struct err err = {0};
    assert_int_equal(whole_parse(&value, "65535", 1, 65535, &err), 0);
    assert_int_equal(whole_parse(&value, "65536", 1, 65535, &err), ERR_INPUT);
    assert_string_equal(err.message, "'65536' is not between 1 and 65535");
    assert_int_equal(whole_parse(&value, "99999999999999999999999", 0, UINT64_MAX, NULL),
                     ERR_INPUT);
    assert_int_equal(whole_parse(&value, "1x", 0, 9, NULL), ERR_INPUT);
    assert_int_equal(whole_parse(&value, "", 0, 9, NULL), ERR_INPUT);
}

static void assert_shown(int64_t ms, const char *expected)
{
    char text[DURATION_TEXT_MAX];
    assert_string_equal(duration_format(text, ms), expected);
}

static void durations_read_well(void **state)
{
    (void)state;
    assert_shown(0, "0ms");
    assert_shown(250, "250ms");
    assert_shown(1500, "1.5s");
    assert_shown(10000, "10s");
    assert_shown(125000, "2m05s");
    assert_shown(3720000, "1h02m");
    assert_shown(180000000, "2d02h");
    assert_shown(-1500, "-1.5s");
    assert_shown(INT64_MIN, "-106751991167d07h");
}

static void sizes_read_well(void **state)
{
    (void)state;
    char text[DURATION_TEXT_MAX];
    assert_string_equal(size_format(text, 1023), "1023 B");
    assert_string_equal(size_format(text, 1024), "1.0 KiB");
    assert_string_equal(size_format(text, 12897484), "12.2 MiB");
    assert_string_equal(size_format(text, UINT64_MAX), "15.9 EiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(anything_else_is_no_duration),
        cmocka_unit_test(sizes_know_both_powers),
        cmocka_unit_test(amounts_are_counts_or_percents),
        cmocka_unit_test(a_percent_of_a_fleet_is_at_least_one_node),
        cmocka_unit_test(a_tolerated_percent_may_be_no_node),
        cmocka_unit_test(whole_numbers_keep_their_bounds),
        cmocka_unit_test(durations_read_well),
        cmocka_unit_test(sizes_read_well),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
