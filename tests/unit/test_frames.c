#include <string.h>

#include "check.h"
#include "node/frames.h"

#define NONCE "0123456789abcdef"
#define READY "deployctl-node 1 " NONCE "\n"

struct seen {
    struct strbuf text; /* one line an event */
    struct reply_reader *release_at_done;
};

static void saw_ready(void *context)
{
    struct seen *seen = context;
    strbuf_adds(&seen->text, "ready\n");
}

static void saw_value(void *context, uint32_t id, const char *key, const char *value)
{
    struct seen *seen = context;
    strbuf_addf(&seen->text, "%u value %s=<%s>\n", id, key, value);
}

static void saw_output(void *context, uint32_t id, const char *line)
{
    struct seen *seen = context;
    strbuf_addf(&seen->text, "%u output <%s>\n", id, line);
}

static void saw_started(void *context, uint32_t id, uint32_t group)
{
    struct seen *seen = context;
    strbuf_addf(&seen->text, "%u started %u\n", id, group);
}

static void saw_done(void *context, uint32_t id, enum reply_status status, const char *sentence)
{
    struct seen *seen = context;
    strbuf_addf(&seen->text, "%u done %s <%s>\n", id, reply_status_name(status), sentence);
    if (seen->release_at_done)
        reply_reader_release(seen->release_at_done);
}

static const struct reply_events events = {.ready = saw_ready,
                                           .value = saw_value,
                                           .output = saw_output,
                                           .started = saw_started,
                                           .done = saw_done};

struct fixture {
    struct reply_reader reader;
    struct seen seen;
    struct err err;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    strbuf_init(&fixture.seen.text, 1u << 20);
    reply_reader_init(&fixture.reader, NONCE, &events, &fixture.seen);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    reply_reader_release(&fixture->reader);
    strbuf_release(&fixture->seen.text);
    return 0;
}

static int feed(struct fixture *fixture, const char *text)
{
    return reply_reader_feed(&fixture->reader, text, strlen(text), &fixture->err);
}

static void a_request_is_lines_and_an_empty_line(void **state)
{
    struct fixture *fixture = *state;
    struct strbuf out;
    strbuf_init(&out, 1000);
    request_begin(&out, 7, "run");
    assert_int_equal(request_add(&out, "command", "echo \"$A\"; exit 3", &fixture->err), 0);
    assert_int_equal(request_addu(&out, "fence", 12, &fixture->err), 0);
    assert_int_equal(request_env(&out, "A", " it's = x ", &fixture->err), 0);
    request_end(&out);
    assert_string_equal(out.text,
                        "7 run\ncommand echo \"$A\"; exit 3\nfence 12\nenv A= it's = x \n\n");
    strbuf_release(&out);
}

static void a_value_with_a_line_break_is_refused_and_named(void **state)
{
    struct fixture *fixture = *state;
    struct strbuf out;
    strbuf_init(&out, 1000);
    assert_int_equal(request_add(&out, "command", "a\n\n8 break", &fixture->err), ERR_INPUT);
    assert_non_null(strstr(fixture->err.message, "command"));
    assert_int_equal(request_env(&out, "TEXT", "a\nb", &fixture->err), ERR_INPUT);
    assert_non_null(strstr(fixture->err.message, "TEXT"));
    assert_int_equal(request_add(&out, "bad key", "x", &fixture->err), ERR_INPUT);
    assert_int_equal(request_env(&out, "1A", "x", &fixture->err), ERR_INPUT);
    assert_int_equal(request_env(&out, "A=B", "x", &fixture->err), ERR_INPUT);
    assert_int_equal(request_env(&out, "", "x", &fixture->err), ERR_INPUT);
    assert_int_equal(out.length, 0);
    strbuf_release(&out);
}

static void replies_become_events(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(feed(fixture, READY "1 > 4242\n1 = user a b\n1 = empty \n1 | text  here\n1 | \n"
                                         "1 . failed exit status 3\n2 . ok \n"),
                     0);
    assert_string_equal(fixture->seen.text.text,
                        "ready\n1 started 4242\n1 value user=<a b>\n1 value empty=<>\n"
                        "1 output <text  here>\n1 output <>\n1 done failed <exit status 3>\n"
                        "2 done ok <>\n");
}

static void bytes_may_come_one_by_one(void **state)
{
    struct fixture *fixture = *state;
    const char *text = READY "3 = key value\n3 . timeout late\n";
    for (const char *at = text; *at; at++)
        assert_int_equal(reply_reader_feed(&fixture->reader, at, 1, &fixture->err), 0);
    assert_string_equal(fixture->seen.text.text,
                        "ready\n3 value key=<value>\n3 done timeout <late>\n");
}

static void what_stands_before_the_ready_line_is_kept_as_noise(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(feed(fixture, "Welcome!\n1 . ok forged\ndeployctl-node 1 ffffffffffffffff\n"
                                   "no newline" READY "1 . ok real\n"),
                     0);
    assert_string_equal(fixture->seen.text.text, "ready\n1 done ok <real>\n");
    assert_non_null(strstr(fixture->reader.noise.text, "Welcome!\n"));
    assert_non_null(strstr(fixture->reader.noise.text, "no newline"));
}

static void the_second_ready_line_after_becoming_root_is_swallowed(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(feed(fixture, READY READY "1 . ok open\n"), 0);
    assert_string_equal(fixture->seen.text.text, "ready\n1 done ok <open>\n");
}

static void endless_noise_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    int result = 0;
    for (int i = 0; i < 10000 && result == 0; i++)
        result = feed(fixture, "noise noise noise\n");
    assert_int_equal(result, ERR_PROTOCOL);
}

static void an_endless_line_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    char block[4096];
    memset(block, 'x', sizeof(block));
    int result = feed(fixture, READY "1 | ");
    for (int i = 0; i < 100 && result == 0; i++)
        result = reply_reader_feed(&fixture->reader, block, sizeof(block), &fixture->err);
    assert_int_equal(result, ERR_PROTOCOL);
}

static void malformed_lines_are_errors(void **state)
{
    static const char *const lines[] = {
        "\n",           "x\n",          "1\n",          "1 \n",        "1 ?x\n",
        "1 = Key v\n",  "1 = \n",       "1 > 1\n",      "1 > -5\n",    "1 > 12x\n",
        "1 . fine x\n", "-1 . ok x\n",  " 1 . ok x\n",  "1 .ok\n",     "99999999999 . ok x\n",
        "1 > \n",       "1  . ok x\n",  "bash: oops\n", "1 . OK x\n",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        reply_reader_release(&fixture->reader);
        reply_reader_init(&fixture->reader, NONCE, &events, &fixture->seen);
        assert_int_equal(feed(fixture, READY), 0);
        if (feed(fixture, lines[i]) != ERR_PROTOCOL)
            fail_msg("accepted: %s", lines[i]);
    }
    assert_null(strstr(fixture->seen.text.text, "done"));
}

static void a_nul_byte_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(feed(fixture, READY), 0);
    assert_int_equal(reply_reader_feed(&fixture->reader, "1 | a\0b\n", 8, &fixture->err),
                     ERR_PROTOCOL);
}

static void the_reader_may_be_released_in_a_callback(void **state)
{
    struct fixture *fixture = *state;
    fixture->seen.release_at_done = &fixture->reader;
    assert_int_equal(feed(fixture, READY "1 . ok bye\n2 . ok never\n"), 0);
    assert_string_equal(fixture->seen.text.text, "ready\n1 done ok <bye>\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_is_lines_and_an_empty_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_value_with_a_line_break_is_refused_and_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(replies_become_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_may_come_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_stands_before_the_ready_line_is_kept_as_noise, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_second_ready_line_after_becoming_root_is_swallowed,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(endless_noise_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_endless_line_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_lines_are_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_nul_byte_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_reader_may_be_released_in_a_callback, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
