#include <stdio.h>
#include <string.h>

#include "check.h"
#include "model/ini.h"
#include "model/lines.h"

/* One text read, with all of its faults as lines of text. */
struct reading {
    struct arena arena;
    struct faults faults;
    struct ini_document document;
    char told[8192];
};

static void read_bytes(struct reading *reading, const char *text, size_t length)
{
    struct err err = {0};
    arena_init(&reading->arena);
    faults_init(&reading->faults, &reading->arena);
    reading->told[0] = '\0';
    assert_int_equal(ini_read(&reading->document, &reading->arena, "a.ini", text, length,
                              &reading->faults, &err),
                     0);
    size_t used = 0;
    for (size_t i = 0; i < reading->faults.count && used < sizeof(reading->told); i++)
        used += (size_t)snprintf(reading->told + used, sizeof(reading->told) - used, "%d: %s\n",
                                 reading->faults.items[i].line, reading->faults.items[i].message);
}

static void read_text(struct reading *reading, const char *text)
{
    read_bytes(reading, text, strlen(text));
}

static void assert_told(const char *text, const char *told)
{
    struct reading reading;
    read_text(&reading, text);
    assert_string_equal(reading.told, told);
    arena_release(&reading.arena);
}

static const struct ini_entry *entry_at(const struct reading *reading, size_t section, size_t entry)
{
    assert_true(section < reading->document.section_count);
    assert_true(entry < reading->document.sections[section].entry_count);
    return &reading->document.sections[section].entries[entry];
}

static void sections_labels_and_lines_are_kept(void **state)
{
    (void)state;
    struct reading reading;
    read_text(&reading, "; first\n[a]\nk = 1\n\n# c\n[ step  migrate ]\nrun=x y\nlast = z");
    assert_string_equal(reading.told, "");
    assert_int_equal(reading.document.section_count, 2);
    assert_string_equal(reading.document.sections[0].name, "a");
    assert_null(reading.document.sections[0].label);
    assert_string_equal(reading.document.sections[1].name, "step");
    assert_string_equal(reading.document.sections[1].label, "migrate");
    assert_int_equal(reading.document.sections[1].line, 6);
    assert_string_equal(entry_at(&reading, 1, 1)->value, "z");
    assert_int_equal(entry_at(&reading, 1, 1)->line, 8);
    arena_release(&reading.arena);
}

static void a_value_is_never_cut(void **state)
{
    (void)state;
    struct reading reading;
    read_text(&reading,
              "[a]\nrun = echo a ; echo b # c\nurl = http://x:80/?a=b;c\nq = \"x ; y\"\n");
    assert_string_equal(reading.told, "");
    assert_string_equal(entry_at(&reading, 0, 0)->value, "echo a ; echo b # c");
    assert_string_equal(entry_at(&reading, 0, 1)->value, "http://x:80/?a=b;c");
    assert_string_equal(entry_at(&reading, 0, 2)->value, "\"x ; y\"");
    arena_release(&reading.arena);
}

static void a_value_of_five_thousand_bytes_is_whole(void **state)
{
    (void)state;
    char text[6000] = "[a]\nlong = ";
    char value[5001];
    struct reading reading;
    for (size_t i = 0; i < 5000; i++)
        value[i] = (char)('a' + i % 26);
    value[5000] = '\0';
    strcat(text, value);
    strcat(text, "\nnext = 1\n");
    read_text(&reading, text);
    assert_string_equal(reading.told, "");
    assert_string_equal(entry_at(&reading, 0, 0)->value, value);
    assert_int_equal(entry_at(&reading, 0, 1)->line, 3);
    arena_release(&reading.arena);
}

static void a_line_over_the_limit_is_a_fault_and_reading_goes_on(void **state)
{
    (void)state;
    static char text[LINE_MAX_BYTES + 100];
    struct reading reading;
    memset(text, 'x', sizeof(text));
    memcpy(text, "[a]\nk=", 6);
    size_t length = 4 + LINE_MAX_BYTES;
    memcpy(text + length, "\nj=1\n", 5);
    read_bytes(&reading, text, length + 5);
    assert_string_equal(reading.told, "");
    assert_int_equal(strlen(entry_at(&reading, 0, 0)->value), LINE_MAX_BYTES - 2);
    arena_release(&reading.arena);
    memcpy(text + length, "x\nj=1\n", 6);
    read_bytes(&reading, text, length + 6);
    assert_string_equal(reading.told, "2: the line has 65537 bytes; at most 65536 are read\n");
    assert_string_equal(entry_at(&reading, 0, 0)->key, "j");
    arena_release(&reading.arena);
}

static void an_indented_key_is_a_key(void **state)
{
    (void)state;
    struct reading reading;
    read_text(&reading, "[a]\n  k = 1\n\tj = 2\n  [b]\n   l = 3\n");
    assert_string_equal(reading.told, "");
    assert_int_equal(reading.document.sections[0].entry_count, 2);
    assert_string_equal(entry_at(&reading, 0, 0)->value, "1");
    assert_string_equal(entry_at(&reading, 0, 1)->value, "2");
    assert_string_equal(entry_at(&reading, 1, 0)->key, "l");
    arena_release(&reading.arena);
}

static void keys_below_a_malformed_header_belong_nowhere(void **state)
{
    (void)state;
    struct reading reading;
    read_text(&reading, "[prod]\nhost=p\n[staging\nhost=s\n[]\nx=1\n[c]\ny=2\n");
    assert_string_equal(reading.told, "3: section header '[staging' does not end in ']'\n"
                                      "5: section header '[]' is not [name] or [name label]\n");
    assert_int_equal(reading.document.sections[0].entry_count, 1);
    assert_string_equal(entry_at(&reading, 0, 0)->value, "p");
    assert_string_equal(entry_at(&reading, 1, 0)->key, "y");
    arena_release(&reading.arena);
}

static void a_comment_behind_a_header_is_refused(void **state)
{
    (void)state;
    assert_told("[a] ; why\nk=1\n", "1: section header '[a] ; why' does not end in ']'\n");
    assert_told("[b ;c]\nk=1\n", "");
}

static void a_colon_does_not_separate(void **state)
{
    (void)state;
    struct reading reading;
    read_text(&reading, "[a]\nhost: b\nkey:val=1\ntime = 10:30\n");
    assert_string_equal(reading.told, "2: 'host: b' is neither [section] nor key = value\n"
                                      "3: 'key:val' is not a key; write key = value on one line\n");
    assert_string_equal(entry_at(&reading, 0, 0)->value, "10:30");
    arena_release(&reading.arena);
}

static void repetitions_are_told_and_empty_sections_are_none(void **state)
{
    (void)state;
    assert_told("[a]\nk=1\nk=2\n[b]\n[a]\nj=1\n[s x]\nr=1\n[s y]\nr=1\n[last]\n",
                "3: key 'k' stands twice in [a], first in line 2\n"
                "5: section [a] stands twice, first in line 1; join them\n");
}

static void keys_before_any_section_are_told_once(void **state)
{
    (void)state;
    assert_told("k=1\nj=2\n[a]\nl=1\n", "1: key 'k' stands before the first [section]\n");
}

static void bytes_that_cannot_be_read_are_told(void **state)
{
    (void)state;
    struct reading reading;
    static const char text[] = "[a]\nk=a\0b\nl=\xff\nm=\x1b[0m\nn=1\n# \xff comment\n";
    read_bytes(&reading, text, sizeof(text) - 1);
    assert_string_equal(reading.told,
                        "2: byte 4 of the line is a control character (U+0000); remove it\n"
                        "3: byte 3 of the line (0xff) is not UTF-8\n"
                        "4: byte 3 of the line is a control character (U+001B); remove it\n");
    assert_string_equal(entry_at(&reading, 0, 0)->key, "n");
    arena_release(&reading.arena);
}

static void windows_files_are_read(void **state)
{
    (void)state;
    struct reading reading;
    read_text(&reading, "\xef\xbb\xbf[a]\r\nk = v\r\n\r\nj = w\r\n");
    assert_string_equal(reading.told, "");
    assert_string_equal(entry_at(&reading, 0, 0)->value, "v");
    assert_int_equal(entry_at(&reading, 0, 1)->line, 4);
    arena_release(&reading.arena);
}

static void long_names_are_refused_not_cut(void **state)
{
    (void)state;
    struct reading reading;
    read_text(&reading, "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nk=1\n[b]\n"
                        "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk=1\n");
    assert_int_equal(reading.faults.count, 2); /* the section and the key */
    assert_int_equal(reading.document.section_count, 1);
    arena_release(&reading.arena);
    assert_told("[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n"
                "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk=1\n",
                "");
}

static void odd_entries_are_told(void **state)
{
    (void)state;
    assert_told("[a]\n= 1\nword\ntwo words = 1\nk =\n",
                "2: a key is missing before '= 1'\n"
                "3: 'word' is neither [section] nor key = value\n"
                "4: 'two words' is not a key; write key = value on one line\n");
}

static void an_empty_text_has_no_section(void **state)
{
    (void)state;
    struct reading reading;
    read_bytes(&reading, "", 0);
    assert_int_equal(reading.document.section_count, 0);
    assert_string_equal(reading.told, "");
    arena_release(&reading.arena);
}

static void past_the_most_faults_only_the_count_grows(void **state)
{
    (void)state;
    struct reading reading;
    static char text[10000];
    size_t length = 0;
    for (int i = 0; i < 500; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "word\n");
    read_bytes(&reading, text, length);
    assert_int_equal(reading.faults.count, FAULTS_MAX);
    assert_int_equal(reading.faults.total, 500);
    arena_release(&reading.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_labels_and_lines_are_kept),
        cmocka_unit_test(a_value_is_never_cut),
        cmocka_unit_test(a_value_of_five_thousand_bytes_is_whole),
        cmocka_unit_test(a_line_over_the_limit_is_a_fault_and_reading_goes_on),
        cmocka_unit_test(an_indented_key_is_a_key),
        cmocka_unit_test(keys_below_a_malformed_header_belong_nowhere),
        cmocka_unit_test(a_comment_behind_a_header_is_refused),
        cmocka_unit_test(a_colon_does_not_separate),
        cmocka_unit_test(repetitions_are_told_and_empty_sections_are_none),
        cmocka_unit_test(keys_before_any_section_are_told_once),
        cmocka_unit_test(bytes_that_cannot_be_read_are_told),
        cmocka_unit_test(windows_files_are_read),
        cmocka_unit_test(long_names_are_refused_not_cut),
        cmocka_unit_test(odd_entries_are_told),
        cmocka_unit_test(an_empty_text_has_no_section),
        cmocka_unit_test(past_the_most_faults_only_the_count_grows),
    };
    return cmocka_run_group_tests_name("ini", tests, NULL, NULL);
}
