#include <limits.h>
#include <string.h>

#include "base/err.h"
#include "check.h"

static void set_keeps_code_and_sentence(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_INPUT, "port %d is odd", 23), ERR_INPUT);
    assert_int_equal(err.code, ERR_INPUT);
    assert_string_equal(err.message, "port 23 is odd");
    err_clear(&err);
    assert_int_equal(err.code, 0);
    assert_string_equal(err.message, "");
}

static void a_prefix_stands_in_front(void **state)
{
    (void)state;
    struct err err = {0};
    err_set(&err, ERR_TIMEOUT, "no answer");
    assert_int_equal(err_prefix(&err, "connect"), ERR_TIMEOUT);
    assert_int_equal(err_prefix(&err, "node %s", "web3"), ERR_TIMEOUT);
    assert_string_equal(err.message, "node web3: connect: no answer");
}

static void without_a_place_the_code_still_returns(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_IO, "x"), ERR_IO);
    assert_true(err_prefix(NULL, "x") < 0);
    err_clear(NULL);
}

static void a_long_message_is_cut_and_terminated(void **state)
{
    (void)state;
    struct err err = {0};
    char text[ERR_MESSAGE_MAX * 2];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    err_set(&err, ERR_INPUT, "%s", text);
    assert_int_equal(strlen(err.message), ERR_MESSAGE_MAX - 1);
    err_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.message), ERR_MESSAGE_MAX - 1);
    err_set(&err, ERR_INPUT, "short");
    err_prefix(&err, "front");
    assert_string_equal(err.message, "front: short");
}

static void every_code_has_a_word(void **state)
{
    (void)state;
    assert_string_equal(err_name(0), "ok");
    assert_string_equal(err_name(ERR_MEMORY), "out of memory");
    assert_string_equal(err_name(ERR_UNREACHABLE), "unreachable");
    assert_string_equal(err_name(ERR_UNSUPPORTED), "unsupported");
    assert_string_equal(err_name(ERR_NO_LEASE), "no lease");
    assert_string_equal(err_name(ERR_NO_LEASE - 1), "unknown error");
    assert_string_equal(err_name(1), "unknown error");
    assert_string_equal(err_name(INT_MIN), "unknown error");
}

static void a_message_is_one_line_and_ends_between_two_characters(void **state)
{
    struct err err;
    char text[ERR_MESSAGE_MAX + 10];
    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t at = shift; at + 3 < sizeof(text); at += 3)
            memcpy(text + at, "\xe2\x82\xac", 4);
        err_set(&err, ERR_INPUT, "%s", text);
        assert_int_equal((strlen(err.message) - shift) % 3, 0);
        err_prefix(&err, "a");
        assert_int_equal((strlen(err.message) - shift) % 3, 0);
    }
    err_set(&err, ERR_INPUT, "one\r\ntwo");
    assert_string_equal(err.message, "one  two");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_keeps_code_and_sentence),
        cmocka_unit_test(a_prefix_stands_in_front),
        cmocka_unit_test(without_a_place_the_code_still_returns),
        cmocka_unit_test(a_long_message_is_cut_and_terminated),
        cmocka_unit_test(every_code_has_a_word),
        cmocka_unit_test(a_message_is_one_line_and_ends_between_two_characters),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
