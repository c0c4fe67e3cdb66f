#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/stateful.h"
#include "model/strategy.h"

static uint32_t quorum(const char *text, uint32_t count)
{
    struct err err;
    uint32_t out = 0;
    assert_int_equal(quorum_parse(&out, text, count, &err), 0);
    return out;
}

static void a_majority_is_more_than_half(void **state)
{
    (void)state;
    assert_int_equal(quorum("majority", 3), 2);
    assert_int_equal(quorum("majority", 4), 3);
    assert_int_equal(quorum("majority", 1), 1);
}

static void a_percent_of_a_quorum_rounds_up(void **state)
{
    (void)state;
    assert_int_equal(quorum("51%", 3), 2);
    assert_int_equal(quorum("50%", 4), 2);
    assert_int_equal(quorum("2", 5), 2);
}

static void what_is_no_quorum_is_said(void **state)
{
    struct err err;
    uint32_t out;
    (void)state;
    assert_int_equal(quorum_parse(&out, "most", 3, &err), ERR_INPUT);
    assert_int_equal(quorum_parse(&out, "0", 3, &err), ERR_INPUT);
}

static void what_may_be_out_is_of_nodes_or_of_their_weights(void **state)
{
    (void)state;
    struct playbook playbook = {.strategy = {.kind = STRATEGY_ROLLING, .max_unavailable = {.value = 25, .percent = true}}};
    struct capacity capacity;
    uint32_t same[] = {100, 100, 100, 100, 100}, differ[] = {100, 100, 100, 100, 400};
    strategy_capacity(&capacity, &playbook, same, 5);
    assert_true(!capacity.weighed && capacity.out == 1 && capacity.of == 5 && same[0] == 1);
    strategy_capacity(&capacity, &playbook, differ, 5);
    assert_true(capacity.weighed && capacity.out == 200 && capacity.of == 800 && differ[4] == 400);
    playbook.strategy.max_unavailable = (struct amount){.value = 2}; /* a count is of nodes */
    strategy_capacity(&capacity, &playbook, differ, 5);
    assert_true(!capacity.weighed && capacity.out == 2 && capacity.of == 5 && differ[4] == 1);
    playbook.strategy.max_unavailable = (struct amount){.value = 10, .percent = true};
    strategy_capacity(&capacity, &playbook, same, 5);
    assert_int_equal(capacity.out, 1); /* one at least */
}

static int leads(bool *out, enum reply_status status, const char *code, const char *output)
{
    struct node node = {.name = "db2"};
    struct reply_value value = {.key = "status", .value = code};
    struct reply reply = {.status = status, .output = output, .sentence = "exit",
                          .values = &value, .value_count = code ? 1 : 0};
    struct err err;
    node.connection.address = "10.0.0.2";
    return leader_read(out, &node, &reply, &err);
}

static void who_leads_is_a_status_or_a_name(void **state)
{
    bool yes = false;
    (void)state;
    assert_int_equal(leads(&yes, REPLY_OK, "0", ""), 0);
    assert_true(yes);
    assert_int_equal(leads(&yes, REPLY_FAILED, "1", "not me"), 0);
    assert_false(yes);
    assert_int_equal(leads(&yes, REPLY_OK, "0", "db2\n"), 0);
    assert_true(yes);
    assert_int_equal(leads(&yes, REPLY_OK, "0", " 10.0.0.2 rw\n"), 0);
    assert_true(yes);
    assert_int_equal(leads(&yes, REPLY_OK, "0", "db1\n"), 0);
    assert_false(yes);
    assert_int_equal(leads(&yes, REPLY_FAILED, "2", "no such file"), ERR_FAILED);
    assert_int_equal(leads(&yes, REPLY_TIMEOUT, NULL, ""), ERR_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_majority_is_more_than_half),
        cmocka_unit_test(a_percent_of_a_quorum_rounds_up),
        cmocka_unit_test(what_is_no_quorum_is_said),
        cmocka_unit_test(what_may_be_out_is_of_nodes_or_of_their_weights),
        cmocka_unit_test(who_leads_is_a_status_or_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
