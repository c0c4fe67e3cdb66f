#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/balancer_haproxy.h"
#include "base/random.h"

/* As HAProxy 2.6 answers, shortened at the right. */
#define STATES                                                                                     \
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n"
#define STATS "# pxname,svname,qcur,qmax,scur,smax,status,last_chk,weight\n"
#define ANSWER                                                                                     \
    "admin\n\n" STATES "3 shop 1 node1 127.0.0.11 2 0 100\n3 shop 2 node2 127.0.0.12 0 8 50\n"     \
    "3 shop 3 node3 127.0.0.13 2 1 1\n\n" STATS                                                    \
    "shop,node1,1,2,3,9,UP,\"L7OK, fine\",100,\nshop,node2,0,0,0,0,DOWN,,50,\n"                    \
    "shop,node3,0,0,7,9,MAINT,,1,\n\n"

static int read_text(struct traffic_view *view, enum traffic_command order, const char *server,
                     const char *text, struct err *err)
{
    /* exactly so many bytes, so that a read past them is found */
    size_t length = strlen(text);
    char *copy = malloc(length ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    memset(err, 0, sizeof(*err));
    struct traffic_order orders[] = {{.command = order, .weight = WEIGHT_KEEP, .server = server}};
    int rc = haproxy_answer(orders, 1, "shop", copy, length, err);
    *view = orders[0].view;
    free(copy);
    return rc;
}

static void a_view_is_read_from_both_tables(void **state)
{
    struct traffic_view view;
    struct err err;
    (void)state;
    assert_int_equal(read_text(&view, ORDER_LOOK, "node1", ANSWER, &err), 0);
    assert_int_equal(view.state, TRAFFIC_READY);
    assert_true(view.up);
    assert_int_equal(view.weight, 100);
    assert_int_equal(view.sessions, 4); /* current and queued */
    assert_int_equal(read_text(&view, ORDER_LOOK, "node2", ANSWER, &err), 0);
    assert_int_equal(view.state, TRAFFIC_DRAIN);
    assert_false(view.up);
    assert_int_equal(read_text(&view, ORDER_LOOK, "node3", ANSWER, &err), 0);
    assert_int_equal(view.state, TRAFFIC_MAINT);
    assert_int_equal(view.sessions, 7);
}

static void columns_are_found_by_name(void **state)
{
    struct traffic_view view;
    struct err err;
    (void)state;
    assert_int_equal(
        read_text(
            &view, ORDER_LOOK, "a",
            "admin\n\n1\n# be_id srv_uweight new srv_admin_state srv_op_state srv_name be_name\n"
            "1 7 x 16 1 a shop\n\n# pxname,scur,svname,qcur\nshop,5,a,0\n",
            &err),
        0);
    assert_int_equal(view.state, TRAFFIC_DRAIN);
    assert_true(view.up);
    assert_int_equal(view.weight, 7);
    assert_int_equal(view.sessions, 5);
}

static void what_was_set_is_compared(void **state)
{
    struct traffic_view view;
    struct err err;
    (void)state;
    assert_int_equal(read_text(&view, ORDER_DRAIN, "node2", ANSWER, &err), 0);
    assert_int_equal(read_text(&view, ORDER_MAINT, "node3", ANSWER, &err), 0);
    assert_int_equal(read_text(&view, ORDER_READY, "node1", ANSWER, &err), 0);
    assert_int_equal(read_text(&view, ORDER_MAINT, "node1", ANSWER, &err), ERR_FAILED);
    assert_string_equal(err.message, "server shop/node1 was set to maint and is in ready");
}

static void what_haproxy_says_instead_is_told(void **state)
{
    static const struct {
        const char *server, *text;
        int code;
        const char *sentence;
    } cases[] = {
        {"node1", "admin\n\nCan't find backend.\n\n", ERR_REFUSED,
         "HAProxy says: Can't find backend."},
        {"node1", "admin\n\nNo such \x1b[31mserver.\n\n" STATES "\n" STATS, ERR_REFUSED,
         "backend shop has no server node1"},
        {"node9", ANSWER, ERR_REFUSED, "backend shop has no server node9"},
        {"node1", "operator\n\nPermission denied\n\n", ERR_REFUSED, "level operator"},
        {"node1", "user\n", ERR_REFUSED, "level user"},
        {"node1", "HTTP/1.0 400 Bad request\r\n\r\n", ERR_PROTOCOL, "not HAProxy's"},
        {"node1", "", ERR_PROTOCOL, "not HAProxy's"},
        {"node1", "admin\n", ERR_PROTOCOL, "not HAProxy's"},
        {"node1", "admin\n\n" STATES "3 shop 1 node1 x two 0 1\n\n" STATS, ERR_PROTOCOL,
         "not HAProxy's"},
        {"node1", "admin\n\n" STATES "3 shop 1 node1 x 2 0 1\n\n", ERR_PROTOCOL, "cut off"},
        {"node1",
         "admin\n\n" STATES "3 shop 1 node1 x 2 0 1\n\n" STATS "shop,node1,,,99999999999999,0\n",
         ERR_PROTOCOL, "not HAProxy's"},
        {"node1", "admin\n\n" STATES "3 shop 1 node1\n", ERR_PROTOCOL, "not HAProxy's"},
    };
    struct traffic_view view;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_text(&view, ORDER_LOOK, cases[i].server, cases[i].text, &err),
                         cases[i].code);
        if (!strstr(err.message, cases[i].sentence))
            fail_msg("'%s' does not hold '%s'", err.message, cases[i].sentence);
    }
}

static void control_bytes_of_an_answer_are_not_shown(void **state)
{
    struct traffic_view view;
    struct err err;
    (void)state;
    assert_int_equal(read_text(&view, ORDER_DRAIN, "node1", "admin\n\nNo \x1b[31mway\n\n", &err),
                     ERR_REFUSED);
    assert_string_equal(err.message, "HAProxy says: No \\x1b[31mway");
}

/* A write that was refused is told even when the state happens to be the wanted one. */
static void an_error_before_the_tables_is_an_error(void **state)
{
    struct traffic_view view;
    struct err err;
    (void)state;
    assert_int_equal(read_text(&view, ORDER_READY, "node1",
                               "admin\n\nsomething is wrong\n\n" STATES
                               "3 shop 1 node1 x 2 0 1\n\n" STATS "shop,node1,0,0,0,0\n",
                               &err),
                     ERR_REFUSED);
    assert_string_equal(err.message, "HAProxy says: something is wrong");
}

static void an_answer_cut_anywhere_is_never_taken(void **state)
{
    struct traffic_view view;
    struct err err;
    (void)state;
    const char *complete =
        strstr(ANSWER, "shop,node3,0,0,7") + strlen("shop,node3,0,0,7,9,MAINT,,1,\n");
    for (size_t length = 0; length < (size_t)(complete - ANSWER); length++) {
        char text[sizeof(ANSWER)];
        memcpy(text, ANSWER, length);
        text[length] = '\0';
        assert_true(read_text(&view, ORDER_LOOK, "node3", text, &err) < 0);
    }
}

static void broken_answers_are_bounded(void **state)
{
    struct random random;
    struct traffic_view view;
    struct err err;
    (void)state;
    random_init(&random, 7);
    for (int round = 0; round < 20000; round++) {
        char text[sizeof(ANSWER)];
        memcpy(text, ANSWER, sizeof(ANSWER));
        for (int hits = 0; hits < 6; hits++)
            text[random_below(&random, sizeof(ANSWER) - 1)] = " ,\n\"#\x01\xff"
                                                              "7"[random_below(&random, 8)];
        read_text(&view, (enum traffic_command)random_below(&random, 4), "node2", text, &err);
    }
    char *wide = malloc(200001);
    assert_non_null(wide);
    memset(wide, ',', 200000);
    memcpy(wide, "admin\n# be_id ", 14);
    wide[199999] = '\n';
    wide[200000] = '\0';
    assert_true(read_text(&view, ORDER_LOOK, "node2", wide, &err) < 0);
    free(wide);
}

#define WEIGHED "1\n# be_id be_name srv_name srv_op_state srv_admin_state srv_uweight srv_iweight\n"

static void a_request_is_one_line_that_ends_with_a_look(void **state)
{
    struct traffic_order orders[] = {
        {.command = ORDER_READY, .weight = 54, .server = "node2"},
        {.command = ORDER_DRAIN, .weight = WEIGHT_KEEP, .server = "node1"},
        {.command = ORDER_LOOK, .weight = WEIGHT_KEEP, .server = "node3"},
    };
    static const char look[] = "admin\n\n" WEIGHED "3 shop node2 2 1 100 100\n3 shop node1 2 0 100 100\n\n";
    struct strbuf text;
    struct err err = {0};
    (void)state;
    strbuf_init(&text, 4096);
    assert_true(haproxy_must_look(orders, 3));
    assert_int_equal(haproxy_request(&text, "shop", orders, 3, look, strlen(look), &err), 0);
    assert_string_equal(text.text, "show cli level; set server shop/node1 weight 200; "
                                   "set server shop/node2 weight 11; "
                                   "set server shop/node2 state ready; "
                                   "set server shop/node1 state drain; "
                                   "show servers state shop; show stat shop 4 -1\n");
    strbuf_reset(&text);
    assert_false(haproxy_must_look(&orders[1], 2));
    assert_int_equal(haproxy_request(&text, "shop", &orders[2], 1, NULL, 0, &err), 0);
    assert_null(strstr(text.text, "set "));
    strbuf_release(&text);
}

/* Whether a look that says `rows` has server a told so much of its weight, and what all are told then. */
static void is_told(const char *rows, uint32_t weight, const char *wanted)
{
    struct traffic_order order = {.command = ORDER_READY, .weight = weight, .server = "a"};
    struct strbuf text;
    struct err err = {0};
    char look[600];
    snprintf(look, sizeof(look), "admin\n\n" WEIGHED "%s\n", rows);
    strbuf_init(&text, 4096);
    assert_int_equal(haproxy_request(&text, "shop", &order, 1, look, strlen(look), &err), 0);
    char *end = strstr(text.text, "set server shop/a state ready;");
    assert_non_null(end);
    *end = '\0';
    assert_string_equal(text.text + strlen("show cli level; "), wanted);
    strbuf_release(&text);
}

static void weights_are_raised_while_one_has_a_part_and_configured_again_after(void **state)
{
    (void)state;
    is_told("3 shop a 2 0 1 1\n3 shop b 2 0 1 1\n", 158,
            "set server shop/a weight 16; set server shop/b weight 100; ");
    is_told("3 shop a 2 0 16 1\n3 shop b 2 0 100 1\n", WEIGHT_FULL,
            "set server shop/a weight 1; set server shop/b weight 1; ");
    /* another one keeps its part */
    is_told("3 shop a 2 0 16 1\n3 shop b 2 0 100 1\n3 shop c 2 0 20 1\n", WEIGHT_FULL,
            "set server shop/a weight 100; set server shop/b weight 100; set server shop/c weight 20; ");
    is_told("3 shop a 2 0 1 1\n3 shop b 2 0 1 1\n", WEIGHT_FULL, "set server shop/a weight 1; ");
}

static void configured_proportions_are_kept(void **state)
{
    (void)state;
    is_told("3 shop a 2 0 100 100\n3 shop b 2 0 50 50\n", 55,
            "set server shop/b weight 100; set server shop/a weight 11; ");
    is_told("3 shop a 2 0 11 100\n3 shop b 2 0 100 50\n", WEIGHT_FULL,
            "set server shop/a weight 100; set server shop/b weight 50; ");
    /* what somebody set by hand is neither lost nor more than HAProxy takes */
    is_told("3 shop a 2 0 100 100\n3 shop b 2 0 25 50\n", 55,
            "set server shop/a weight 6; ");
    is_told("3 shop a 2 0 256 256\n3 shop b 2 0 10 10\n", 55, "set server shop/a weight 14; ");
    is_told("3 shop a 2 0 0 0\n3 shop b 2 0 10 10\n", 55, "");
    /* nobody has its whole weight: the nearest of the configured one */
    is_told("3 shop a 2 0 100 100\n", 55, "set server shop/a weight 6; ");
}

static void a_name_that_is_none_never_becomes_a_command(void **state)
{
    (void)state;
    is_told("3 shop a 2 0 1 1\n3 shop b;disable 2 0 1 1\n3 shop \"b;set server shop/a state maint\" 2 0 1 1\n", 158,
            "set server shop/a weight 16; ");
}

static void a_backend_whose_weights_are_no_line_is_refused(void **state)
{
    struct traffic_order order = {.command = ORDER_READY, .weight = 50, .server = "server1"};
    struct strbuf look, text;
    struct err err = {0};
    (void)state;
    strbuf_init(&look, 1 << 20);
    strbuf_init(&text, 1 << 20);
    strbuf_adds(&look, "admin\n\n" WEIGHED);
    for (int i = 0; i < 1000; i++)
        strbuf_addf(&look, "3 shop server%d 2 0 1 1\n", i);
    assert_int_equal(haproxy_request(&text, "shop", &order, 1, look.text, look.length, &err), ERR_REFUSED);
    assert_non_null(strstr(err.message, "too many servers"));
    /* ordinary weights are told to those that the order is about */
    order.weight = WEIGHT_FULL;
    strbuf_reset(&text);
    assert_int_equal(haproxy_request(&text, "shop", &order, 1, look.text, look.length, &err), 0);
    assert_int_equal(haproxy_request(&text, "shop", &order, 1, "user\n", 5, &err), ERR_REFUSED);
    assert_int_equal(haproxy_request(&text, "shop", &order, 1, "", 0, &err), ERR_PROTOCOL);
    strbuf_release(&look);
    strbuf_release(&text);
}

static int answered(struct traffic_order *order, const char *rows, struct err *err)
{
    char text[600];
    snprintf(text, sizeof(text), "admin\n\n" WEIGHED "%s\n" STATS "shop,a,0,0,0,0\n", rows);
    memset(err, 0, sizeof(*err));
    return haproxy_answer(order, 1, "shop", text, strlen(text), err);
}

/* A reload in between gives the configured weights back. */
static void weights_are_read_back(void **state)
{
    static const struct {
        const char *rows;
        int code;
        const char *sentence;
    } cases[] = {
        {"3 shop a 2 0 5 1\n3 shop b 2 0 100 1\n", 0, ""},
        {"3 shop a 2 0 5 100\n3 shop b 2 0 50 50\n", 0, ""},
        {"3 shop a 2 0 5 100\n", 0, ""},
        {"3 shop a 2 0 1 1\n3 shop b 2 0 1 1\n", ERR_FAILED, "was set to weight 5 and has 1"},
        {"3 shop a 2 0 100 100\n", ERR_FAILED, "was set to weight 5 and has 100"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct traffic_order order = {.command = ORDER_READY, .weight = 50, .server = "a"};
        struct err err;
        assert_int_equal(answered(&order, cases[i].rows, &err), cases[i].code);
        assert_true(!err.code || strstr(err.message, cases[i].sentence));
    }
}

/* So that looks before and after weights were raised compare. */
static void a_view_has_the_same_weight_raised_or_not(void **state)
{
    struct traffic_order order = {.command = ORDER_LOOK, .server = "a"};
    struct err err;
    (void)state;
    for (int raised = 0; raised < 2; raised++) {
        const char *rows = raised ? "3 shop a 2 0 100 1\n3 shop b 2 0 5 1\n" : "3 shop a 2 0 1 1\n3 shop b 2 0 1 1\n";
        assert_int_equal(answered(&order, rows, &err), 0);
        assert_int_equal(order.view.weight, 100);
        assert_int_equal(order.view.full_weight, 100);
        assert_int_equal(order.view.parts, 100);
    }
}

/* HAProxy tells for ever that a server began disabled. */
static void a_server_that_began_disabled_can_be_in(void **state)
{
    struct traffic_order order = {.command = ORDER_READY, .weight = WEIGHT_KEEP, .server = "a"};
    struct err err;
    (void)state;
    assert_int_equal(answered(&order, "3 shop a 2 4 1 1\n", &err), 0);
    assert_int_equal(order.view.state, TRAFFIC_READY);
    assert_int_equal(answered(&order, "3 shop a 2 5 1 1\n", &err), ERR_FAILED);
    assert_int_equal(order.view.state, TRAFFIC_MAINT);
}

static void all_servers_are_read_from_one_answer_with_what_was_counted(void **state)
{
    struct traffic_order orders[] = {{.server = "b"}, {.server = "a"}};
    struct err err = {0};
    static const char text[] =
        "admin\n\n" WEIGHED "3 shop a 2 0 50 100\n3 shop b 2 1 100 100\n\n"
        "# pxname,svname,qcur,scur,stot,hrsp_5xx,econ,eresp,rate,rtime,ttime\n"
        "shop,a,0,1,700,3,2,1,40,5,9\nshop,b,0,0,8,,0,0,0,0,0\n\n";
    (void)state;
    assert_int_equal(haproxy_answer(orders, 2, "shop", text, strlen(text), &err), 0);
    assert_int_equal(orders[0].view.state, TRAFFIC_MAINT);
    assert_int_equal(orders[0].view.counts.status_5xx, 0);
    assert_int_equal(orders[1].view.weight, 100);
    assert_int_equal(orders[1].view.full_weight, 200);
    const struct traffic_counts *counts = &orders[1].view.counts;
    assert_true(counts->counted);
    assert_int_equal(counts->sessions, 700);
    assert_int_equal(counts->status_5xx, 3);
    assert_int_equal(counts->connect_errors, 2);
    assert_int_equal(counts->response_errors, 1);
    assert_int_equal(counts->rate, 40);
    assert_int_equal(counts->response_ms, 5);
    assert_int_equal(counts->total_ms, 9);
}

static void names_that_would_say_more_are_none(void **state)
{
    static const char *const bad[] = {"", "a;b", "a b", "a\nb", "a/b", "a,b", "\"a"};
    (void)state;
    assert_true(haproxy_is_name("web-1.example_x:80"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(haproxy_is_name(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_is_read_from_both_tables),
        cmocka_unit_test(columns_are_found_by_name),
        cmocka_unit_test(what_was_set_is_compared),
        cmocka_unit_test(what_haproxy_says_instead_is_told),
        cmocka_unit_test(control_bytes_of_an_answer_are_not_shown),
        cmocka_unit_test(an_error_before_the_tables_is_an_error),
        cmocka_unit_test(an_answer_cut_anywhere_is_never_taken),
        cmocka_unit_test(broken_answers_are_bounded),
        cmocka_unit_test(a_request_is_one_line_that_ends_with_a_look),
        cmocka_unit_test(weights_are_raised_while_one_has_a_part_and_configured_again_after),
        cmocka_unit_test(configured_proportions_are_kept),
        cmocka_unit_test(a_name_that_is_none_never_becomes_a_command),
        cmocka_unit_test(a_backend_whose_weights_are_no_line_is_refused),
        cmocka_unit_test(weights_are_read_back),
        cmocka_unit_test(a_view_has_the_same_weight_raised_or_not),
        cmocka_unit_test(a_server_that_began_disabled_can_be_in),
        cmocka_unit_test(all_servers_are_read_from_one_answer_with_what_was_counted),
        cmocka_unit_test(names_that_would_say_more_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
