#include "check.h"

#include <string.h>

#include "app/fallback.h"

static struct release_fact releases[] = {{"a", RELEASE_GOOD, 1}, {"b", RELEASE_STAGED, 0}, {"half", RELEASE_INCOMPLETE, 0}};
static struct facts facts;
static struct playbook playbook;

static int set_up(void **state)
{
    (void)state;
    facts = (struct facts){.current = "a", .current_good = true, .releases = releases, .release_count = 3};
    playbook = (struct playbook){.strategy = {.kind = STRATEGY_ROLLING}, .failure = {.action = FAILURE_ROLLBACK}};
    return 0;
}

static void what_a_node_that_changes_goes_back_to_is_compared(void **state)
{
    (void)state;
    assert_string_equal(fallback_of(&facts, &playbook, "b", "a"), "a");
    playbook.failure.action = FAILURE_PAUSE; /* an abort goes back */
    assert_string_equal(fallback_of(&facts, &playbook, "b", "a"), "a");
    facts.current_good = false; /* half done: it changes, whatever it runs */
    assert_string_equal(fallback_of(&facts, &playbook, "a", "a"), "a");
}

static void nothing_is_compared_where_nothing_goes_back(void **state)
{
    (void)state;
    assert_null(fallback_of(&facts, &playbook, "a", "a"));
    assert_null(fallback_of(&facts, &playbook, NULL, "a"));
    assert_null(fallback_of(&facts, &playbook, "b", NULL));
    assert_null(fallback_of(&facts, &playbook, "b", "gone"));
    assert_null(fallback_of(&facts, &playbook, "b", "half"));
    playbook.failure.action = FAILURE_STOP;
    assert_null(fallback_of(&facts, &playbook, "b", "a"));
    playbook.failure.action = FAILURE_ROLLBACK;
    playbook.strategy.kind = STRATEGY_BLUE_GREEN;
    assert_null(fallback_of(&facts, &playbook, "b", "a"));
}

static enum release_look look_at(const char *key, const char *value, char out[RELEASE_DIFFERENCE])
{
    const struct reply_value values[] = {{"release", "a"}, {key, value}};
    const struct reply reply = {.status = REPLY_FAILED, .values = values, .value_count = 2};
    return release_look(&reply, out);
}

static void an_answer_is_read_with_care(void **state)
{
    (void)state;
    char text[RELEASE_DIFFERENCE], longer[1000];
    const struct err lost = {.code = ERR_UNREACHABLE, .message = "gone"};
    const struct reply unheard = {.error = &lost};
    assert_int_equal(look_at("differences", "0", text), RELEASE_AS_STAGED);
    assert_int_equal(look_at("extra", "log", text), RELEASE_UNKNOWN);
    assert_int_equal(look_at("changed", "bin/run", text), RELEASE_ALTERED);
    assert_string_equal(text, "bin/run is changed");
    assert_int_equal(look_at("missing", "bin/run", text), RELEASE_ALTERED);
    assert_string_equal(text, "bin/run is missing");
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(look_at("missing", longer, text), RELEASE_ALTERED);
    assert_non_null(strstr(text, "x is missing"));
    assert_int_equal(release_look(&unheard, text), RELEASE_UNKNOWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_node_that_changes_goes_back_to_is_compared),
        TEST(nothing_is_compared_where_nothing_goes_back),
        TEST(an_answer_is_read_with_care),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
