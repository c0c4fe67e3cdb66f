#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/past.h"

#define START                                                                                      \
    "{\"v\":1,\"time\":\"2026-01-02T03:04:05.678Z\",\"elapsed_ms\":0,\"event\":\"started\","       \
    "\"rollout\":\"r-1\",\"verb\":\"rollout\",\"service\":\"shop\",\"release\":\"rel-2\","         \
    "\"wave_count\":2,\"nodes\":[{\"node\":\"web1\",\"wave\":1},{\"node\":\"web2\",\"wave\":2}]}\n"
#define TROUBLE                                                                                    \
    "{\"v\":1,\"elapsed_ms\":1500,\"event\":\"trouble\",\"node\":\"web1\",\"phase\":\"gate\","     \
    "\"text\":\"http 503 <&\\\"'\\u001b[31m\\uffff\"}\n"
#define OUTCOME(node, outcome)                                                                     \
    "{\"v\":1,\"elapsed_ms\":2000,\"event\":\"outcome\",\"final\":true,\"node\":\"" node           \
    "\",\"outcome\":\"" outcome "\"}\n"
#define BREAKER(who, state)                                                                        \
    "{\"v\":1,\"time\":\"2026-01-02T03:05:00.000Z\",\"elapsed_ms\":1700,\"event\":\"breaker\"," who     \
    ",\"state\":\"" state "\",\"error\":\"<refused>\",\"text\":\"breaker\"}\n"
#define RESULT                                                                                     \
    "{\"v\":1,\"elapsed_ms\":2500,\"event\":\"result\",\"result\":\"rolled back\","                \
    "\"exit_code\":1,\"text\":\"back\"}\n"

static struct past past;
static struct err err;
static char path[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_past.XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    past = (struct past){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    past_release(&past);
    unlink(path);
    return 0;
}

static int read_bytes(const char *bytes, size_t length)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
    return past_read(&past, path, &err);
}

static int read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

/* What is printed; the caller frees it. */
static char *printed(void (*print)(const struct past *past, FILE *stream))
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    print(&past, stream);
    fclose(stream);
    return text;
}

static void prints(void (*print)(const struct past *past, FILE *stream), const char *wanted)
{
    char *text = printed(print);
    if (!strstr(text, wanted))
        fail_msg("'%s' is not in:\n%s", wanted, text);
    free(text);
}

static void a_journal_becomes_records_again(void **state)
{
    (void)state;
    assert_int_equal(read_text(START TROUBLE OUTCOME("web1", "restored") RESULT), 0);
    assert_int_equal(past.count, 4);
    assert_int_equal(past.malformed, 0);
    assert_int_equal(past.records[0].record.wall_ms, 1767323045678);
    assert_string_equal(past.roster.nodes[1], "web2");
    assert_int_equal(past.roster.waves[1], 1);
    assert_int_equal(past.records[1].record.kind, RECORD_TROUBLE);
    assert_string_equal(past.records[1].record.phase, "gate");
    assert_string_equal(past_outcome(&past, 0)->outcome, "restored");
    assert_null(past_outcome(&past, 1));
    assert_int_equal(past_result(&past)->exit_code, 1);
}

#define ANALYSIS_OF(quartiles)                                                                     \
    "{\"v\":1,\"elapsed_ms\":1800,\"event\":\"analysis\",\"analysis\":\"speed\",\"measure\":\"latency\"," \
    "\"unit\":\"ms\",\"statistic\":\"median\",\"verdict\":\"fail\",\"reason\":\"higher than the "       \
    "control\",\"canary\":{\"n\":60,\"quartiles\":" quartiles                                   \
    "},\"control\":{\"n\":61,\"quartiles\":[1,2,3,4,5]},\"confidence\":0.98,\"u\":9,\"p\":0.001,"          \
    "\"shift\":4.5,\"low\":4,\"high\":5,\"critical\":1.125,\"wave\":1,\"text\":\"too slow\"}\n"

static void what_was_judged_is_shown_again(void **state)
{
    (void)state;
    assert_int_equal(read_text(START ANALYSIS_OF("[5,6,7,8,9]") OUTCOME("web1", "updated") RESULT), 0);
    const struct judged *judged = past.records[1].record.judged;
    assert_string_equal(judged->analysis, "speed");
    assert_int_equal(judged->evidence.canary_count, 60);
    assert_true(judged->evidence.test.shift == 4.5 && judged->control[4] == 5);
    prints(past_print_html, "analysis speed: fail: latency higher than the control\n"
                            "  canary                        |----[====#=====]----| n 60, 7 ms\n"
                            "  control |----[=====#====]-----|                      n 61, 3 ms\n");
    prints(past_print_html, "  shift +4.5 ms, 98% interval 4 to 5, p 0.001, critical 1.12\n</pre>");
    prints(past_print_junit, "tests=\"3\" failures=\"2\"");
    prints(past_print_junit, "<testcase classname=\"shop\" name=\"analysis speed, wave 1\" time=\"1.800\">\n"
                             "      <failure message=\"too slow\"/>\n      <system-out>analysis speed: fail");
}

static void wild_figures_of_an_analysis_do_no_harm(void **state)
{
    static const char *const journals[] = {
        START ANALYSIS_OF("[]"), START ANALYSIS_OF("7"), START ANALYSIS_OF("[9,8,7,6,5]"),
        START ANALYSIS_OF("[-1e308,0,0,0,1e308]"), START ANALYSIS_OF("[-1e99,0,0,0,1e99]")};
    (void)state;
    for (size_t i = 0; i < sizeof(journals) / sizeof(journals[0]); i++) {
        assert_int_equal(read_text(journals[i]), 0);
        prints(past_print_html, "analysis speed: fail");
        past_release(&past);
    }
    assert_int_equal(read_text(START "{\"event\":\"analysis\",\"text\":\"x\"}\n"), 0);
    assert_int_equal(past.malformed, 1);
}

static void a_texts_control_bytes_are_made_safe(void **state)
{
    (void)state;
    assert_int_equal(read_text(START TROUBLE), 0);
    assert_null(strchr(past.records[1].record.text, '\033'));
}

static void lines_that_are_no_record_are_counted_and_left_out(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("nonsense\n" START START "[]\n\"x\"\n{\"event\":\"nothing\"}\n{\"event\":\"phase\"}\n"
                  "{\"event\":\"outcome\",\"node\":\"stranger\",\"outcome\":\"updated\"}\n"
                  "{\"event\":\"result\"}\n{\"event\":\"resu"),
        0);
    assert_int_equal(past.count, 1);
    assert_int_equal(past.malformed, 9);
}

static void zeros_and_wild_numbers_do_no_harm(void **state)
{
    (void)state;
    static const char bytes[] = START "\0\0\0\n{\"event\":\"wave\",\"wave\":-7,\"wave_count\":9e99}\n"
                                      "{\"event\":\"result\",\"result\":\"a\\u0000b\",\"exit_code\":99999999999}\n";
    assert_int_equal(read_bytes(bytes, sizeof bytes - 1), 0);
    assert_int_equal(past.count, 2);
    assert_int_equal(past.records[1].record.wave, 0);
}

static void a_file_without_a_start_is_refused(void **state)
{
    (void)state;
    assert_int_equal(read_text(RESULT), ERR_INPUT);
    assert_non_null(strstr(err.message, "does not begin with the start of a rollout"));
    past_release(&past);
    assert_int_equal(read_text(""), ERR_INPUT);
}

static void a_later_version_is_refused_by_its_number(void **state)
{
    (void)state;
    assert_int_equal(read_text(START "{\"v\":2,\"event\":\"result\"}\n"), ERR_INPUT);
    assert_non_null(strstr(err.message, "version 2, and this deployctl knows version 1"));
}

static void an_over_long_line_is_left_out(void **state)
{
    (void)state;
    char *text = malloc(PAST_LINE_MAX + 4096);
    size_t length = (size_t)sprintf(text, "%s{\"event\":\"notice\",\"text\":\"", START);
    memset(text + length, 'x', PAST_LINE_MAX);
    length += PAST_LINE_MAX;
    length += (size_t)sprintf(text + length, "\"}\n%s", RESULT);
    assert_int_equal(read_bytes(text, length), 0);
    assert_int_equal(past.malformed, 1);
    assert_int_equal(past.count, 2);
    free(text);
}

static void junit_has_a_case_a_node(void **state)
{
    (void)state;
    assert_int_equal(read_text(START TROUBLE OUTCOME("web1", "restored") OUTCOME("web2", "untouched")
                                   RESULT),
                     0);
    prints(past_print_junit, "tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"2.500\" "
                             "timestamp=\"2026-01-02T03:04:05Z\"");
    prints(past_print_junit, "<testcase classname=\"shop\" name=\"web1\" time=\"1.500\">");
    prints(past_print_junit, "<failure message=\"restored\" type=\"restored\">1.5s gate: http 503 "
                             "&lt;&amp;&quot;&#39;\\x1b[31m?\n");
    prints(past_print_junit, "<skipped message=\"untouched\"/>");
}

static void breakers_are_as_they_were_last(void **state)
{
    struct breaker_list list;
    (void)state;
    assert_int_equal(read_text(START BREAKER("\"node\":\"web2\"", "open")
                                   BREAKER("\"phase\":\"prometheus p\"", "open")
                                       BREAKER("\"node\":\"web2\"", "closed") RESULT),
                     0);
    past_breakers(&past, &list);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].node, "web2");
    assert_null(list.items[0].dependency);
    assert_string_equal(list.items[0].state, "closed");
    assert_string_equal(list.items[1].dependency, "prometheus p");
    assert_string_equal(list.items[1].error, "<refused>");
    breaker_list_release(&list);
    prints(past_print_junit, "<property name=\"breaker web2\" value=\"closed since 2026-01-02T03:05:00Z, last error: "
                             "&lt;refused&gt;\"/>");
    prints(past_print_html, "<tr><td>prometheus p</td><td>open</td><td>2026-01-02T03:05:00Z</td><td>&lt;refused&gt;</td></tr>");
}

static void a_rollout_that_did_not_end_has_failed(void **state)
{
    (void)state;
    assert_int_equal(read_text(START OUTCOME("web1", "updated")), 0);
    prints(past_print_junit, "<failure message=\"the rollout did not end\" type=\"no outcome\">");
    prints(past_print_html, "<p class=\"failed\">the rollout did not end</p>");
}

static void a_page_escapes_everything(void **state)
{
    (void)state;
    assert_int_equal(read_text(START TROUBLE RESULT), 0);
    prints(past_print_html, "<td>http 503 &lt;&amp;&quot;&#39;\\x1b[31m?</td>");
}

static void json_is_the_lines_that_could_be_read(void **state)
{
    (void)state;
    assert_int_equal(read_text(START "nonsense\n" RESULT), 0);
    char *text = printed(past_print_json);
    assert_string_equal(text, START RESULT);
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_journal_becomes_records_again),
        TEST(a_texts_control_bytes_are_made_safe),
        TEST(what_was_judged_is_shown_again),
        TEST(wild_figures_of_an_analysis_do_no_harm),
        TEST(lines_that_are_no_record_are_counted_and_left_out),
        TEST(zeros_and_wild_numbers_do_no_harm),
        TEST(a_file_without_a_start_is_refused),
        TEST(a_later_version_is_refused_by_its_number),
        TEST(an_over_long_line_is_left_out),
        TEST(junit_has_a_case_a_node),
        TEST(breakers_are_as_they_were_last),
        TEST(a_rollout_that_did_not_end_has_failed),
        TEST(a_page_escapes_everything),
        TEST(json_is_the_lines_that_could_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
