#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "app/balancer_nginx.h"
#include "base/random.h"

#define FILE_TEXT                                                                                  \
    "# ours\nupstream other {\n\tserver 10.0.0.1:80;\n}\nupstream shop {\n    server 10.0.0.1:80;\n"  \
    "    server 10.0.0.2:80 weight=2 max_fails=0 down;\n    keepalive 16;\n}\n"

static int edit(struct strbuf *out, bool *changed, struct traffic_order *order, const char *text,
                struct err *err)
{
    memset(err, 0, sizeof(*err));
    strbuf_init(out, NGINX_FILE_MAX * 2);
    return nginx_edit(out, changed, order, 1, "shop", text, err);
}

/* `down` alone changes, and only in the upstream that is meant; what is so already changes nothing. */
static void a_server_goes_down_and_comes_in(void **state)
{
    struct traffic_order order = {
        .command = ORDER_DRAIN, .weight = WEIGHT_KEEP, .server = "10.0.0.1:80"};
    struct strbuf out, again;
    struct err err;
    bool changed;
    (void)state;
    assert_int_equal(edit(&out, &changed, &order, FILE_TEXT, &err), 0);
    assert_true(changed);
    assert_non_null(strstr(out.text, "\tserver 10.0.0.1:80;\n"));
    assert_non_null(strstr(out.text, "\n    server 10.0.0.1:80 weight=1 down;\n"));
    assert_int_equal(order.view.state, TRAFFIC_MAINT);
    assert_int_equal(edit(&again, &changed, &order, out.text, &err), 0);
    assert_false(changed);
    assert_string_equal(again.text, out.text);
    strbuf_release(&again);
    order.command = ORDER_READY;
    assert_int_equal(edit(&again, &changed, &order, out.text, &err), 0);
    assert_non_null(strstr(again.text, "\n    server 10.0.0.1:80 weight=1;\n"));
    assert_int_equal(order.view.state, TRAFFIC_READY);
    strbuf_release(&again);
    strbuf_release(&out);
}

/* The first share multiplies all weights, so that they keep their proportions. */
static void a_share_is_of_the_whole_weight(void **state)
{
    struct traffic_order order = {.command = ORDER_READY, .weight = 250, .server = "10.0.0.2:80"};
    struct strbuf out, again;
    struct err err;
    bool changed;
    (void)state;
    assert_int_equal(edit(&out, &changed, &order, FILE_TEXT, &err), 0);
    assert_non_null(strstr(out.text, "server 10.0.0.1:80 weight=100; # full=100\n"));
    assert_non_null(strstr(out.text, "server 10.0.0.2:80 weight=50 max_fails=0; # full=200\n"));
    assert_int_equal(order.view.weight, 50);
    assert_int_equal(order.view.full_weight, 200);
    order.weight = WEIGHT_FULL;
    assert_int_equal(edit(&again, &changed, &order, out.text, &err), 0);
    assert_non_null(strstr(again.text, "server 10.0.0.2:80 weight=200 max_fails=0; # full=200\n"));
    strbuf_release(&again);
    strbuf_release(&out);
}

/* Too large to be multiplied, and its whole weight is noted all the same. */
static void a_share_of_a_large_weight_is_done_once(void **state)
{
    struct traffic_order order = {.command = ORDER_READY, .weight = 250, .server = "10.0.0.1:80"};
    struct strbuf out, again;
    struct err err;
    bool changed;
    (void)state;
    assert_int_equal(edit(&out, &changed, &order, "upstream shop {\n  server 10.0.0.1:80 weight=999999;\n}\n", &err), 0);
    assert_non_null(strstr(out.text, "server 10.0.0.1:80 weight=250000; # full=999999\n"));
    assert_int_equal(edit(&again, &changed, &order, out.text, &err), 0);
    assert_false(changed);
    strbuf_release(&again);
    strbuf_release(&out);
}

static void what_is_missing_is_told(void **state)
{
    struct traffic_order order = {.command = ORDER_LOOK, .weight = WEIGHT_KEEP, .server = "10.0.0.9:80"};
    struct strbuf out;
    struct err err;
    bool changed;
    (void)state;
    assert_int_equal(edit(&out, &changed, &order, FILE_TEXT, &err), ERR_REFUSED);
    assert_non_null(strstr(err.message, "upstream shop has no server 10.0.0.9:80"));
    strbuf_release(&out);
    assert_int_equal(edit(&out, &changed, &order, "server 10.0.0.9:80;\n", &err), ERR_REFUSED);
    assert_non_null(strstr(err.message, "the file has no `upstream shop {`"));
    strbuf_release(&out);
}

static void a_broken_file_is_bounded(void **state)
{
    struct random random;
    (void)state;
    random_init(&random, 11);
    for (int round = 0; round < 20000; round++) {
        struct traffic_order order = {.command = ORDER_READY, .weight = 100, .server = "10.0.0.2:80"};
        char text[sizeof(FILE_TEXT)];
        struct strbuf out;
        struct err err;
        bool changed;
        memcpy(text, FILE_TEXT, sizeof(FILE_TEXT));
        for (int hits = 0; hits < 5; hits++)
            text[random_below(&random, sizeof(FILE_TEXT) - 1)] = " ;\n{}#w9"[random_below(&random, 8)];
        edit(&out, &changed, &order, text, &err);
        strbuf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_goes_down_and_comes_in),
        cmocka_unit_test(a_share_is_of_the_whole_weight),
        cmocka_unit_test(a_share_of_a_large_weight_is_done_once),
        cmocka_unit_test(what_is_missing_is_told),
        cmocka_unit_test(a_broken_file_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
