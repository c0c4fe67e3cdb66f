#include "check.h"

#include <stdio.h>
#include <string.h>

#include "app/breaker_list.h"

static struct breaker_list list;

static int set_up(void **state)
{
    (void)state;
    breaker_list_init(&list);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    breaker_list_release(&list);
    return 0;
}

static void note(const char *name, const char *breaker_state, int64_t wall_ms)
{
    struct record record = {
        .kind = RECORD_BREAKER, .node = SIZE_MAX, .phase = name, .state = breaker_state, .cause = "refused", .wall_ms = wall_ms};
    breaker_list_note(&list, &record);
}

static void what_is_noted_later_is_newer_whatever_the_clock_says(void **state)
{
    (void)state;
    note("prometheus p", "open", 5000);
    note("prometheus p", "closed", 4000);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].state, "closed");
    assert_int_equal(list.items[0].since_ms, 4000);
}

static void of_what_others_saw_the_newest_counts(void **state)
{
    (void)state;
    const struct breaker_seen older = {.dependency = "prometheus p", .state = "half open", .since_ms = 4999, .error = "x"},
                              same = {.dependency = "prometheus p", .state = "half open", .since_ms = 5000, .error = "x"},
                              newer = {.dependency = "prometheus p", .state = "closed", .since_ms = 5001},
                              other = {.node = "prometheus p", .state = "open", .since_ms = 1, .error = "y"};
    note("prometheus p", "open", 5000);
    breaker_list_add(&list, &older);
    breaker_list_add(&list, &same);
    assert_string_equal(list.items[0].state, "open");
    breaker_list_add(&list, &newer);
    assert_string_equal(list.items[0].state, "closed");
    assert_string_equal(list.items[0].error, "refused");
    breaker_list_add(&list, &other);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[1].node, "prometheus p");
    assert_null(list.items[1].dependency);
}

static void changes_are_had_one_after_another(void **state)
{
    (void)state;
    size_t told = 0;
    const struct breaker_seen *seen;
    const char *const expected[] = {"b", "a"};
    note("a", "open", 1);
    note("b", "open", 2);
    note("a", "half open", 3);
    for (size_t i = 0; i < 2; i++) {
        seen = breaker_list_after(&list, told);
        assert_non_null(seen);
        assert_string_equal(seen->dependency, expected[i]);
        told = seen->change;
    }
    assert_null(breaker_list_after(&list, told));
    note("b", "closed", 4);
    assert_string_equal(breaker_list_after(&list, told)->dependency, "b");
}

/* --- as nodes are told --- */

static void reads_back(const struct breaker_seen *seen, const char *text)
{
    struct strbuf out;
    struct breaker_seen back;
    strbuf_init(&out, 8192);
    breaker_note_write(&out, seen);
    if (text)
        assert_string_equal(out.text, text);
    assert_true(out.length < 1200);
    assert_null(strpbrk(out.text, "\n\033"));
    assert_true(breaker_note_read(&back, &list.arena, out.text));
    assert_string_equal(back.state, seen->state);
    assert_true(back.since_ms == seen->since_ms);
    assert_int_equal(back.node != NULL, seen->node != NULL);
    note(breaker_seen_name(seen), "open", 1); /* is cut as the list cuts it */
    assert_string_equal(breaker_seen_name(&back), list.items[list.count - 1].dependency);
    strbuf_release(&out);
}

static void a_note_says_it_in_one_line(void **state)
{
    (void)state;
    struct breaker_seen seen = {.dependency = "balancer lb on lb1", .state = "half open", .since_ms = 1764349283123, .error = "connection refused"};
    reads_back(&seen, "half-open 1764349283123 dependency balancer%20lb%20on%20lb1 connection refused");
    seen = (struct breaker_seen){.node = "web3", .state = "closed", .since_ms = 1};
    reads_back(&seen, "closed 1 node web3 -");
    seen = (struct breaker_seen){.node = "50%20", .state = "open", .since_ms = 1, .error = "two\nlines \033[31m"};
    reads_back(&seen, "open 1 node 50%2520 two\\x0alines \\x1b[31m");
}

static void a_note_is_bounded(void **state)
{
    (void)state;
    char name[1000], error[1000];
    memset(name, '%', sizeof(name) - 1);
    memset(error, '\033', sizeof(error) - 1);
    name[sizeof(name) - 1] = error[sizeof(error) - 1] = '\0';
    struct breaker_seen seen = {.dependency = name, .state = "open", .since_ms = INT64_C(999999999999999), .error = error};
    reads_back(&seen, NULL);
}

static void what_is_no_note_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", " ", "open", "open 1", "open 1 node", "open 1 node web1", "ajar 1 node web1 x", "half open 1 node web1 x", "open -1 node web1 x",
        "open 1 service web1 x", "open 1x node web1 x", "open 99999999999999999999 node web1 x", "open 1 node  x", "open 1 node web%2 x",
        "open 1 node web%zz x", "open 1 node web%00 x", "open 1 node % x", "opennnnnnnnnnnnnnnnnnnn 1 node web1 x",
    };
    struct breaker_seen seen;
    char text[2000] = "open 1 node ";
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(breaker_note_read(&seen, &list.arena, bad[i]));
    memset(text + strlen(text), 'w', 900);
    strcat(text, " x");
    assert_false(breaker_note_read(&seen, &list.arena, text));
}

static void hostile_texts_of_a_note_are_made_safe(void **state)
{
    (void)state;
    struct breaker_seen seen;
    assert_true(breaker_note_read(&seen, &list.arena, "open 1 node web%1B%5B31m%0A a\033[0m\xff"));
    assert_string_equal(seen.node, "web\\x1b[31m\\x0a");
    assert_string_equal(seen.error, "a\\x1b[0m\\xff");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_noted_later_is_newer_whatever_the_clock_says),
        TEST(of_what_others_saw_the_newest_counts),
        TEST(changes_are_had_one_after_another),
        TEST(a_note_says_it_in_one_line),
        TEST(a_note_is_bounded),
        TEST(what_is_no_note_is_refused),
        TEST(hostile_texts_of_a_note_are_made_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
