#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "check.h"

static void it_grows_and_stays_terminated(void **state)
{
    (void)state;
    struct strbuf buffer;
    strbuf_init(&buffer, 100000);
    assert_string_equal(buffer.text, "");
    for (int i = 0; i < 5000; i++)
        strbuf_addf(&buffer, "%04d", i);
    assert_int_equal(buffer.length, 20000);
    assert_int_equal(strlen(buffer.text), 20000);
    assert_memory_equal(buffer.text + 19996, "4999", 5);
    strbuf_release(&buffer);
    assert_string_equal(buffer.text, "");
}

static void past_the_maximum_it_keeps_what_fits_and_says_so(void **state)
{
    (void)state;
    struct strbuf buffer;
    strbuf_init(&buffer, 5);
    strbuf_adds(&buffer, "abc");
    strbuf_adds(&buffer, "defg");
    assert_true(buffer.overflowed);
    assert_string_equal(buffer.text, "abcde");
    strbuf_addc(&buffer, 'x');
    assert_string_equal(buffer.text, "abcde");
    strbuf_reset(&buffer);
    assert_false(buffer.overflowed);
    strbuf_adds(&buffer, "xy");
    assert_string_equal(buffer.text, "xy");
    strbuf_release(&buffer);
}

static void a_long_format_is_whole(void **state)
{
    (void)state;
    struct strbuf buffer;
    strbuf_init(&buffer, 4096);
    strbuf_addf(&buffer, "<%*d>", 1000, 7);
    assert_int_equal(buffer.length, 1002);
    assert_int_equal(buffer.text[1001], '>');
    strbuf_release(&buffer);
}

static void consume_takes_from_the_front(void **state)
{
    (void)state;
    struct strbuf buffer;
    strbuf_init(&buffer, 100);
    strbuf_adds(&buffer, "hello");
    strbuf_consume(&buffer, 2);
    assert_string_equal(buffer.text, "llo");
    strbuf_consume(&buffer, 9);
    assert_int_equal(buffer.length, 0);
    strbuf_release(&buffer);
}

static void the_end_is_cut_off(void **state)
{
    (void)state;
    struct strbuf buffer;
    strbuf_init(&buffer, 100);
    strbuf_cut(&buffer, 0);
    strbuf_adds(&buffer, "hello");
    strbuf_cut(&buffer, 9);
    assert_string_equal(buffer.text, "hello");
    strbuf_cut(&buffer, 2);
    assert_string_equal(buffer.text, "he");
    strbuf_adds(&buffer, "y");
    assert_string_equal(buffer.text, "hey");
    strbuf_release(&buffer);
}

static void trim_takes_white_space_only(void **state)
{
    (void)state;
    struct strbuf buffer;
    strbuf_init(&buffer, 100);
    strbuf_add(&buffer, "a\0 \t\r\n", 6);
    strbuf_trim_end(&buffer);
    assert_int_equal(buffer.length, 2);
    strbuf_reset(&buffer);
    strbuf_adds(&buffer, " \n");
    strbuf_trim_end(&buffer);
    assert_int_equal(buffer.length, 0);
    strbuf_release(&buffer);
}

static void a_detached_string_is_the_callers(void **state)
{
    (void)state;
    struct strbuf buffer;
    strbuf_init(&buffer, 100);
    char *nothing = strbuf_detach(&buffer);
    assert_string_equal(nothing, "");
    strbuf_adds(&buffer, "mine");
    char *text = strbuf_detach(&buffer);
    assert_string_equal(text, "mine");
    assert_string_equal(buffer.text, "");
    free(nothing);
    free(text);
    strbuf_release(&buffer);
}

static void an_endless_maximum_does_not_wrap(void **state)
{
    (void)state;
    struct strbuf buffer;
    strbuf_init(&buffer, SIZE_MAX);
    strbuf_adds(&buffer, "ok");
    assert_string_equal(buffer.text, "ok");
    assert_true(buffer.maximum < SIZE_MAX);
    strbuf_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows_and_stays_terminated),
        cmocka_unit_test(past_the_maximum_it_keeps_what_fits_and_says_so),
        cmocka_unit_test(a_long_format_is_whole),
        cmocka_unit_test(consume_takes_from_the_front),
        cmocka_unit_test(the_end_is_cut_off),
        cmocka_unit_test(trim_takes_white_space_only),
        cmocka_unit_test(a_detached_string_is_the_callers),
        cmocka_unit_test(an_endless_maximum_does_not_wrap),
    };
    return cmocka_run_group_tests_name("strbuf", tests, NULL, NULL);
}
