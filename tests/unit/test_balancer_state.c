#include "check.h"

#include <string.h>

#include "../../src/app/balancer_internal.h"

static int parse(struct traffic_view *view, const char *output)
{
    struct err err = {0};
    int rc = balancer_state_parse(view, "web1", output, &err);
    assert_true(rc == 0 || strstr(err.message, "web1"));
    return rc;
}

static void a_state_has_a_weight_and_sessions_or_none(void **state)
{
    struct traffic_view view;
    (void)state;
    assert_int_equal(parse(&view, "ready\n"), 0);
    assert_true(view.state == TRAFFIC_READY && view.weight == WEIGHT_FULL && view.sessions == 0);
    assert_int_equal(parse(&view, "  drain 250\n"), 0);
    assert_true(view.state == TRAFFIC_DRAIN && view.weight == 250);
    assert_int_equal(parse(&view, "maint 0 17\nand a second line\n"), 0);
    assert_true(view.state == TRAFFIC_MAINT && view.weight == 0 && view.sessions == 17);
}

/* `-03` is no large number. */
static void a_number_has_no_sign_and_is_bounded(void **state)
{
    struct traffic_view view;
    (void)state;
    assert_int_equal(parse(&view, "ready 1 -03\n"), ERR_REFUSED);
    assert_int_equal(parse(&view, "ready 1-03\n"), ERR_REFUSED);
    assert_int_equal(parse(&view, "ready 99999999999999999999\n"), ERR_REFUSED);
    assert_int_equal(parse(&view, "ready 1000000000\n"), ERR_REFUSED);
}

static void what_is_no_state_is_refused(void **state)
{
    static const char *const texts[] = {"", "\n", "up\n", "readyready 1\n", "ready 1 2 3\n", "1 ready\n"};
    struct traffic_view view;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(parse(&view, texts[i]), ERR_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_has_a_weight_and_sessions_or_none),
        cmocka_unit_test(a_number_has_no_sign_and_is_bounded),
        cmocka_unit_test(what_is_no_state_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
