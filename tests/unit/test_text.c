#include <string.h>

#include "base/text.h"
#include "check.h"

static void a_glob_matches_the_whole_name(void **state)
{
    (void)state;
    assert_true(text_glob("web*", "web12"));
    assert_true(text_glob("*", ""));
    assert_true(text_glob("w?b[1-3]", "web2"));
    assert_true(text_glob("*.example.com", "a.b.example.com"));
    assert_true(text_glob("a*b*c", "aXbYbc"));
    assert_false(text_glob("web", "web1"));
    assert_false(text_glob("w?b", "wb"));
    assert_false(text_glob("", "x"));
    assert_false(text_glob("a*b*c", "aXbYb"));
}

static void glob_sets_are_pythons(void **state)
{
    (void)state;
    assert_true(text_glob("[!a]x", "bx"));
    assert_false(text_glob("[!a]x", "ax"));
    assert_true(text_glob("[]x]", "]"));
    assert_true(text_glob("[a-]", "-"));
    assert_true(text_glob("[^a]", "^"));
    assert_false(text_glob("[^a]", "b"));
    assert_true(text_glob("[x", "[x"));
    assert_false(text_glob("[z-a]", "m"));
    assert_true(text_glob("h?st", "höst"));
    assert_true(text_glob("[à-ü]", "ö"));
}

static void a_glob_with_many_stars_ends_soon(void **state)
{
    (void)state;
    char name[2001];
    memset(name, 'a', 2000);
    name[2000] = '\0';
    assert_false(text_glob("*a*a*a*a*a*a*a*a*b", name));
}

static void the_nearest_name_is_a_typing_slip_away(void **state)
{
    (void)state;
    static const char *const names[] = {"interval", "timeout", "http", "rise", "fall"};
    assert_string_equal(text_nearest("intervall", names, 5), "interval");
    assert_string_equal(text_nearest("tiemout", names, 5), "timeout");
    assert_string_equal(text_nearest("htp", names, 5), "http");
    assert_string_equal(text_nearest("rise", names, 5), "rise");
    assert_null(text_nearest("port", names, 5));
    assert_null(text_nearest("", names, 5));
    assert_null(text_nearest("x", names, 0));
}

static void assert_quoted(const char *text, const char *quoted)
{
    struct strbuf out;
    strbuf_init(&out, 1000);
    text_shell_quote(&out, text);
    assert_string_equal(out.text, quoted);
    strbuf_release(&out);
}

static void a_shell_word_is_quoted_when_it_must_be(void **state)
{
    (void)state;
    assert_quoted("/srv/shop", "/srv/shop");
    assert_quoted("", "''");
    assert_quoted("a b", "'a b'");
    assert_quoted("it's", "'it'\\''s'");
    assert_quoted("$(rm)", "'$(rm)'");
    assert_quoted("~root", "'~root'");
    assert_quoted("a\nb", "'a\nb'");
}

static void assert_sanitized(const char *bytes, size_t length, bool lines, const char *expected)
{
    struct strbuf out;
    strbuf_init(&out, 1000);
    text_sanitize(&out, bytes, length, lines);
    assert_string_equal(out.text, expected);
    strbuf_release(&out);
}

static void foreign_bytes_cannot_drive_a_terminal(void **state)
{
    (void)state;
    assert_sanitized("a\tb\r\nc\r", 7, true, "a\tb\nc");
    assert_sanitized("a\nb", 3, false, "a\\x0ab");
    assert_sanitized("\x1b[31mred", 8, true, "\\x1b[31mred");
    assert_sanitized("a\rb", 3, true, "a\\x0db");
    assert_sanitized("caf\xc3\xa9", 5, true, "caf\xc3\xa9");
    assert_sanitized("\xc2\x9b"
                     "1m",
                     4, true, "\\xc2\\x9b1m");
    assert_sanitized("\xe2\x80\xaetxt", 6, true, "\\xe2\\x80\\xaetxt");
    assert_sanitized("\xff\xc3", 2, true, "\\xff\\xc3");
    assert_sanitized("\xc0\xaf", 2, true, "\\xc0\\xaf");
    assert_sanitized("\xed\xa0\x80", 3, true, "\\xed\\xa0\\x80");
    assert_sanitized("a\0b", 3, true, "a\\x00b");
    assert_sanitized("\x7f", 1, true, "\\x7f");
}

static void no_character_is_cut_where_the_room_ends(void **state)
{
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 6);
    text_sanitize(&out, "caf\xc3\xa9\xc3\xa9 au lait", 16, false);
    assert_string_equal(out.text, "caf\xc3\xa9");
    assert_true(out.overflowed);
    strbuf_release(&out);
}

static void names_are_safe_path_parts(void **state)
{
    (void)state;
    char longest[66];
    memset(longest, 'a', 65);
    longest[64] = '\0';
    assert_true(text_is_name("shop-2.0_x"));
    assert_true(text_is_name(longest));
    longest[64] = 'a';
    longest[65] = '\0';
    assert_false(text_is_name(longest));
    assert_false(text_is_name(""));
    assert_false(text_is_name(".hidden"));
    assert_false(text_is_name("-x"));
    assert_false(text_is_name("a/b"));
    assert_false(text_is_name("a b"));
    assert_false(text_is_name("a\n"));
}

static void trim_leaves_the_inside(void **state)
{
    (void)state;
    char text[] = " \t a b \r\n";
    char blank[] = "  \t";
    assert_string_equal(text_trim(text), "a b");
    assert_string_equal(text_trim(blank), "");
}

static void columns_count_what_is_seen(void **state)
{
    (void)state;
    assert_int_equal(text_columns("abc"), 3);
    assert_int_equal(text_columns("höst"), 4);
    assert_int_equal(text_columns("日本"), 4);
    assert_int_equal(text_columns("e\xcc\x81"), 1);
    assert_int_equal(text_columns(""), 0);
}

static void a_cut_falls_between_characters(void **state)
{
    (void)state;
    assert_int_equal(text_cut("abc", 5), 3);
    assert_int_equal(text_cut("abc", 3), 3);
    assert_int_equal(text_cut("abc", 2), 2);
    assert_int_equal(text_cut("a\xe2\x82\xac", 4), 4);
    assert_int_equal(text_cut("a\xe2\x82\xac", 3), 1);
    assert_int_equal(text_cut("a\xe2\x82\xac", 2), 1);
    assert_int_equal(text_cut("\xe2\x82\xac", 1), 0);
    assert_int_equal(text_cut("", 0), 0);
}

static void our_colors_stay_and_no_other_sequence(void **state)
{
    static const char text[] = "\033[31mred\033[0m \033[2J\033[8m\033";
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 200);
    text_sanitize_colored(&out, text, sizeof(text) - 1);
    assert_string_equal(out.text, "\033[31mred\033[0m \\x1b[2J\\x1b[8m\\x1b");
    strbuf_reset(&out);
    text_sanitize_colored(&out, "a\nb\033[1m", 7);
    assert_string_equal(out.text, "a\\x0ab\033[1m");
    strbuf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_glob_matches_the_whole_name),
        cmocka_unit_test(glob_sets_are_pythons),
        cmocka_unit_test(a_glob_with_many_stars_ends_soon),
        cmocka_unit_test(the_nearest_name_is_a_typing_slip_away),
        cmocka_unit_test(a_shell_word_is_quoted_when_it_must_be),
        cmocka_unit_test(foreign_bytes_cannot_drive_a_terminal),
        cmocka_unit_test(no_character_is_cut_where_the_room_ends),
        cmocka_unit_test(names_are_safe_path_parts),
        cmocka_unit_test(trim_leaves_the_inside),
        cmocka_unit_test(columns_count_what_is_seen),
        cmocka_unit_test(a_cut_falls_between_characters),
        cmocka_unit_test(our_colors_stay_and_no_other_sequence),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
