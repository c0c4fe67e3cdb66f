#include <float.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/json_writer.h"
#include "check.h"

struct fixture {
    struct strbuf out;
    struct json_writer writer;
};

static int set_up(void **state)
{
    struct fixture *fixture = malloc(sizeof(*fixture));
    strbuf_init(&fixture->out, 1 << 20);
    json_writer_init(&fixture->writer, &fixture->out);
    json_writer_begin_object(&fixture->writer, NULL);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    strbuf_release(&fixture->out);
    free(fixture);
    return 0;
}

static void ends_as(struct fixture *fixture, const char *expected)
{
    json_writer_end_object(&fixture->writer);
    assert_string_equal(fixture->out.text, expected);
    json_t *read = json_loads(fixture->out.text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(read);
    json_decref(read);
}

static void an_object_may_be_empty(void **state)
{
    ends_as(*state, "{}");
}

static void values_stand_in_order_with_commas_between(void **state)
{
    struct json_writer *writer = &((struct fixture *)*state)->writer;
    json_writer_text(writer, "a", "x");
    json_writer_text(writer, "absent", NULL);
    json_writer_begin_array(writer, "list");
    json_writer_number(writer, NULL, 1);
    json_writer_begin_object(writer, NULL);
    json_writer_bool(writer, "yes", true);
    json_writer_bool(writer, "no", false);
    json_writer_end_object(writer);
    json_writer_begin_array(writer, NULL);
    json_writer_end_array(writer);
    json_writer_end_array(writer);
    json_writer_begin_object(writer, "inside");
    json_writer_end_object(writer);
    json_writer_number(writer, "z", 0);
    ends_as(*state, "{\"a\":\"x\",\"list\":[1,{\"yes\":true,\"no\":false},[]],\"inside\":{},\"z\":0}");
}

static void numbers_are_written_whole(void **state)
{
    struct json_writer *writer = &((struct fixture *)*state)->writer;
    json_writer_number(writer, "least", INT64_MIN);
    json_writer_number(writer, "most", INT64_MAX);
    json_writer_number(writer, "below", -10);
    ends_as(*state, "{\"least\":-9223372036854775808,\"most\":9223372036854775807,\"below\":-10}");
}

static void a_real_reads_back_as_it_was_and_stays_a_real(void **state)
{
    static const double numbers[] = {0, -0.0, 1, 0.1, -2.5, 1.0 / 3, 1e300, 5e-324, DBL_MAX, DBL_EPSILON, 123456789012345680.0};
    struct fixture *fixture = *state;
    json_writer_real(&fixture->writer, "unknown", NAN);
    json_writer_real(&fixture->writer, "endless", INFINITY);
    json_writer_begin_array(&fixture->writer, "all");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        json_writer_real(&fixture->writer, NULL, numbers[i]);
    json_writer_end_array(&fixture->writer);
    json_writer_end_object(&fixture->writer);
    json_t *read = json_loads(fixture->out.text, 0, NULL);
    json_t *all = json_object_get(read, "all");
    assert_int_equal(json_object_size(read), 1);
    assert_int_equal(json_array_size(all), sizeof(numbers) / sizeof(numbers[0]));
    for (size_t i = 0; i < json_array_size(all); i++) {
        assert_true(json_is_real(json_array_get(all, i)));
        assert_true(json_real_value(json_array_get(all, i)) == numbers[i]);
    }
    json_decref(read);
}

static void what_json_does_not_allow_in_a_text_is_escaped(void **state)
{
    struct fixture *fixture = *state;
    json_writer_text(&fixture->writer, "t", "a\"b\\c\b\f\n\r\t\x01\x1f\x7f/ \xc3\xa9 \xf0\x9f\x98\x80");
    ends_as(fixture, "{\"t\":\"a\\\"b\\\\c\\b\\f\\n\\r\\t\\u0001\\u001F\\u007F/ \xc3\xa9 \xf0\x9f\x98\x80\"}");
}

/* Each byte alone and behind another reads back as jansson reads what it writes itself. */
static void every_byte_is_written_so_that_it_can_be_read(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char text[] = {'x', (char)byte, 'y', '\0'};
        struct strbuf out;
        struct json_writer writer;
        strbuf_init(&out, 1024);
        json_writer_init(&writer, &out);
        json_writer_begin_array(&writer, NULL);
        json_writer_text(&writer, NULL, text);
        json_writer_end_array(&writer);
        json_t *read = json_loads(out.text, 0, NULL);
        const char *found = json_string_value(json_array_get(read, 0));
        assert_non_null(found);
        if (byte < 128)
            assert_string_equal(found, text);
        else
            assert_non_null(strstr(found, "\\x"));
        json_decref(read);
        strbuf_release(&out);
    }
}

static void a_text_that_is_not_utf8_is_kept_and_made_so(void **state)
{
    json_writer_text(&((struct fixture *)*state)->writer, "t", "fine \"then\" \xff");
    ends_as(*state, "{\"t\":\"fine \\\"then\\\" \\\\xff\"}");
}

/* The bound of what is made UTF-8 may stand inside a character. */
static void a_broken_text_is_cut_between_characters(void **state)
{
    struct fixture *fixture = *state;
    for (size_t shift = 0; shift < 4; shift++) {
        size_t length = 80000;
        char *text = malloc(length + 5);
        memset(text, 'a', shift);
        for (size_t at = shift; at + 3 <= length; at += 3)
            memcpy(text + at, "\xe2\x82\xac", 3);
        text[length / 3 * 3] = '\0';
        text[strlen(text) - 1] = '\xff';
        strbuf_reset(&fixture->out);
        json_writer_init(&fixture->writer, &fixture->out);
        json_writer_begin_object(&fixture->writer, NULL);
        json_writer_text(&fixture->writer, "t", text);
        json_writer_end_object(&fixture->writer);
        json_t *read = json_loads(fixture->out.text, 0, NULL);
        assert_non_null(read);
        assert_in_range(json_string_length(json_object_get(read, "t")), 65000, 65536);
        json_decref(read);
        free(text);
    }
}

static void too_much_is_told_by_the_buffer(void **state)
{
    (void)state;
    struct strbuf out;
    struct json_writer writer;
    strbuf_init(&out, 8);
    json_writer_init(&writer, &out);
    json_writer_begin_object(&writer, NULL);
    json_writer_text(&writer, "key", "a long text");
    json_writer_end_object(&writer);
    assert_true(out.overflowed);
    assert_int_equal(out.length, 8);
    strbuf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_object_may_be_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_stand_in_order_with_commas_between, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_are_written_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_real_reads_back_as_it_was_and_stays_a_real, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_json_does_not_allow_in_a_text_is_escaped, set_up, tear_down),
        cmocka_unit_test(every_byte_is_written_so_that_it_can_be_read),
        cmocka_unit_test_setup_teardown(a_text_that_is_not_utf8_is_kept_and_made_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_broken_text_is_cut_between_characters, set_up, tear_down),
        cmocka_unit_test(too_much_is_told_by_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
