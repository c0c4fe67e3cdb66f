/* Leases: how long what no node can refuse may be done. */
#include "check.h"

#include "app/lease.h"

static void none_holds_before_one_was_acknowledged(void **state)
{
    struct lease lease = {0};
    (void)state;
    assert_false(lease_holds(&lease, 0));
    lease_sent(&lease, 1000);
    assert_false(lease_holds(&lease, 1001));
}

static void it_holds_until_the_ttl_less_a_margin_has_passed_since_the_request_was_sent(void **state)
{
    struct lease lease = {0};
    (void)state;
    lease_sent(&lease, 1000);
    lease_acknowledged(&lease, 60000); /* whenever the answer came */
    assert_true(lease_holds(&lease, 1000));
    assert_true(lease_holds(&lease, 1000 + 54000 - 1));
    assert_false(lease_holds(&lease, 1000 + 54000));
    assert_int_equal(lease_ends_ms(&lease), 55000);
}

static void a_request_without_an_answer_makes_it_no_longer(void **state)
{
    struct lease lease = {0};
    (void)state;
    lease_sent(&lease, 1000);
    lease_acknowledged(&lease, 10000);
    lease_sent(&lease, 8000);
    assert_false(lease_holds(&lease, 10000));
    lease_acknowledged(&lease, 10000);
    assert_true(lease_holds(&lease, 10000));
    assert_false(lease_holds(&lease, 17000));
}

static void an_answer_that_comes_after_a_suspend_makes_it_no_longer(void **state)
{
    struct lease lease = {0};
    (void)state;
    lease_sent(&lease, 1000);
    lease_acknowledged(&lease, 60000);
    lease_sent(&lease, 6000);
    /* the machine was suspended; the answer was in the socket */
    lease_acknowledged(&lease, 60000);
    assert_false(lease_holds(&lease, 6000 + 70000));
}

static void a_clock_that_went_back_ends_it(void **state)
{
    struct lease lease = {0};
    (void)state;
    lease_sent(&lease, 5000);
    lease_acknowledged(&lease, 60000);
    assert_false(lease_holds(&lease, 4999));
}

static void given_back_it_holds_no_more(void **state)
{
    struct lease lease = {0};
    (void)state;
    lease_sent(&lease, 1000);
    lease_acknowledged(&lease, 60000);
    lease_end(&lease);
    assert_false(lease_holds(&lease, 1001));
}

static enum lease_answer refuse(void *context, size_t member, struct err *why)
{
    *(size_t *)context = member;
    err_set(why, ERR_NO_LEASE, "the lock was lost");
    return LEASE_NONE;
}

static void whoever_has_the_fleet_is_asked(void **state)
{
    size_t asked = 0;
    struct lease_guard guard = {.ask = refuse, .context = &asked};
    struct err why = {0};
    (void)state;
    assert_int_equal(lease_ask(NULL, 7, &why), LEASE_HOLDS);
    assert_int_equal(lease_ask(&guard, 7, &why), LEASE_NONE);
    assert_int_equal(asked, 7);
    assert_string_equal(err_name(why.code), "no lease");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_holds_before_one_was_acknowledged),
        cmocka_unit_test(it_holds_until_the_ttl_less_a_margin_has_passed_since_the_request_was_sent),
        cmocka_unit_test(a_request_without_an_answer_makes_it_no_longer),
        cmocka_unit_test(an_answer_that_comes_after_a_suspend_makes_it_no_longer),
        cmocka_unit_test(a_clock_that_went_back_ends_it),
        cmocka_unit_test(given_back_it_holds_no_more),
        cmocka_unit_test(whoever_has_the_fleet_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
