#include "check.h"

#include <string.h>

#include "base/base64.h"

/* RFC 4648, section 10. */
static const char *const vectors[][2] = {{"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},       {"foo", "Zm9v"},
                                         {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};

static void the_vectors_of_the_standard_come_out(void **state)
{
    (void)state;
    struct strbuf text;
    strbuf_init(&text, 64);
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        strbuf_reset(&text);
        base64_encode(&text, vectors[i][0], strlen(vectors[i][0]));
        assert_string_equal(text.text, vectors[i][1]);
        strbuf_reset(&text);
        assert_int_equal(base64_decode(&text, vectors[i][1], strlen(vectors[i][1])), 0);
        assert_string_equal(text.text, vectors[i][0]);
    }
    strbuf_release(&text);
}

static void every_byte_comes_back(void **state)
{
    (void)state;
    unsigned char bytes[256];
    struct strbuf text, back;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(255 - i);
    strbuf_init(&text, 400);
    strbuf_init(&back, 256);
    base64_encode(&text, bytes, sizeof(bytes));
    assert_int_equal(base64_decode(&back, text.text, text.length), 0);
    assert_memory_equal(back.text, bytes, sizeof(bytes));
    strbuf_release(&text);
    strbuf_release(&back);
}

static void what_is_no_base64_is_refused(void **state)
{
    (void)state;
    struct strbuf back;
    strbuf_init(&back, 2);
    assert_int_equal(base64_decode(&back, "Zm9v!", 5), -1);
    assert_int_equal(base64_decode(&back, "Zm9vY", 5), -1);
    strbuf_reset(&back);
    assert_int_equal(base64_decode(&back, "Zm9v", 4), -1); /* there is no room for it */
    strbuf_release(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_standard_come_out),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(what_is_no_base64_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
