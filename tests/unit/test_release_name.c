#include "check.h"

#include <string.h>

#include "app/release_name.h"

static struct release_fact first[] = {{.id = "20260101T000000Z-aaaa11112222"}, {.id = "20260102T000000Z-bbbb11112222"}};
static struct release_fact second[] = {{.id = "20260102T000000Z-bbbb11112222"}, {.id = "20260103T000000Z-bbbb33334444"},
                                       {.id = "bbbb"}};

static int find(const char **out, const char *text, size_t second_count, struct err *err)
{
    struct surveyed nodes[3] = {
        {.answered = true, .facts = {.releases = first, .release_count = 2}},
        {.answered = true, .facts = {.releases = second, .release_count = second_count}},
        {.answered = false, .facts = {.releases = second, .release_count = 3}},
    };
    struct survey survey = {.nodes = nodes, .count = 3};
    return release_name_find(out, text, &survey, err);
}

static void names(const char *text, const char *wanted)
{
    const char *found = NULL;
    struct err err;
    assert_int_equal(find(&found, text, 2, &err), 0);
    assert_string_equal(found, wanted);
}

static void letters_of_an_id_or_of_a_commit_name_a_release(void **state)
{
    (void)state;
    names("aaaa", "20260101T000000Z-aaaa11112222");
    names("20260101", "20260101T000000Z-aaaa11112222");
    names("bbbb1", "20260102T000000Z-bbbb11112222");
    names("20260102T000000Z-bbbb11112222", "20260102T000000Z-bbbb11112222");
}

static void what_no_release_begins_with_stays_as_it_is(void **state)
{
    (void)state;
    names("cccc", "cccc");
}

static void several_are_named(void **state)
{
    const char *found = NULL;
    struct err err;
    (void)state;
    assert_int_equal(find(&found, "bbbb", 2, &err), ERR_REFUSED);
    assert_non_null(strstr(err.message, "20260102T000000Z-bbbb11112222, 20260103T000000Z-bbbb33334444; write more"));
}

static void a_whole_id_counts_before_a_beginning(void **state)
{
    const char *found = NULL;
    struct err err;
    (void)state;
    assert_int_equal(find(&found, "bbbb", 3, &err), 0);
    assert_string_equal(found, "bbbb");
}

static void three_letters_are_too_few(void **state)
{
    const char *found = NULL;
    struct err err;
    (void)state;
    assert_int_equal(find(&found, "aaa", 2, &err), ERR_REFUSED);
    assert_non_null(strstr(err.message, "at least 4 letters"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_of_an_id_or_of_a_commit_name_a_release),
        cmocka_unit_test(what_no_release_begins_with_stays_as_it_is),
        cmocka_unit_test(several_are_named),
        cmocka_unit_test(a_whole_id_counts_before_a_beginning),
        cmocka_unit_test(three_letters_are_too_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
