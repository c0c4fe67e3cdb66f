#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/loop.h"
#include "deadline.h"

static int start(void **state)
{
    struct err error;
    struct loop *loop;
    if (loop_create(&loop, &error) != 0) {
        return -1;
    }
    *state = loop;
    return 0;
}

static int stop(void **state)
{
    loop_free(*state);
    return 0;
}

static void note_char(void *context, char c)
{
    char *text = context;
    text[strlen(text)] = c;
}

static void say_a(void *context)
{
    note_char(context, 'a');
}

static void say_b(void *context)
{
    note_char(context, 'b');
}

static void timers_fire_in_the_order_of_their_times(void **state)
{
    char text[8] = "";
    assert_non_null(timer_start(*state, 20, say_b, text));
    assert_non_null(timer_start(*state, 5, say_a, text));
    assert_string_equal(text, "");
    loop_run(*state);
    assert_string_equal(text, "ab");
}

static void stop_turning(void *context)
{
    struct timespec pause = {.tv_sec = 1, .tv_nsec = 300000000};
    while (nanosleep(&pause, &pause) != 0) {
    }
    note_char(context, 's');
}

static void say_ended(void *context, const struct child_result *result)
{
    (void)result;
    note_char(context, 'e');
}

/* As after SIGSTOP: the time-out is due, and so is the answer. */
static void what_came_while_the_loop_stood_is_before_time_outs(void **state)
{
    static const char *const argv[] = {"/bin/true", NULL}, *const environment[] = {NULL};
    struct err error;
    char text[8] = "";
    assert_non_null(child_start(*state, argv, environment, 60000, 100, say_ended, text, &error));
    assert_non_null(timer_start(*state, 0, stop_turning, text));
    assert_non_null(timer_start(*state, 200, say_a, text));
    loop_run(*state);
    assert_string_equal(text, "sea");
}

static void the_boot_clock_goes_on_while_the_loop_stands(void **state)
{
    int64_t before = clock_boot_ms(), loop_before = loop_now_ms(*state);
    struct timespec pause = {.tv_nsec = 5000000};
    nanosleep(&pause, NULL);
    assert_true(clock_boot_ms() >= before + 5);
    assert_true(loop_now_ms(*state) == loop_before);
}

static void a_stopped_timer_never_fires(void **state)
{
    char text[8] = "";
    struct timer *timer = timer_start(*state, 1, say_a, text);
    timer_start(*state, 10, say_b, text);
    timer_stop(timer);
    timer_stop(NULL);
    loop_run(*state);
    assert_string_equal(text, "b");
}

static void time_goes_on_by_at_least_the_delay(void **state)
{
    char text[8] = "";
    int64_t before = loop_now_ms(*state);
    timer_start(*state, 30, say_a, text);
    loop_run(*state);
    assert_in_range(loop_now_ms(*state) - before, 29, (uintmax_t)deadline_ms(15000));
}

struct stopper {
    struct loop *loop;
    struct timer *never;
};

static void stop_loop(void *context)
{
    struct stopper *stopper = context;
    loop_stop(stopper->loop);
}

static void never(void *context)
{
    (void)context;
    fail();
}

static void the_loop_stops_when_told(void **state)
{
    struct stopper stopper = {.loop = *state};
    stopper.never = timer_start(*state, 60000, never, NULL);
    timer_start(*state, 1, stop_loop, &stopper);
    loop_run(*state);
    timer_stop(stopper.never);
}

static int signals_seen;

static void on_signal(void *context, int signal_number)
{
    assert_int_equal(signal_number, SIGUSR1);
    if (++signals_seen == 2) {
        loop_stop(context);
    } else {
        raise(SIGUSR1);
    }
}

static void each_arrival_of_a_signal_is_told(void **state)
{
    struct err error;
    struct timer *guard = timer_start(*state, 5000, never, NULL);
    signals_seen = 0;
    assert_int_equal(loop_on_signal(*state, SIGUSR1, on_signal, *state, &error), 0);
    raise(SIGUSR1);
    loop_run(*state);
    assert_int_equal(signals_seen, 2);
    timer_stop(guard);
}

static void waiting_for_a_signal_alone_does_not_keep_the_loop(void **state)
{
    struct err error;
    assert_int_equal(loop_on_signal(*state, SIGUSR2, on_signal, *state, &error), 0);
    loop_run(*state);
}

struct found {
    unsigned calls;
    size_t count;
    struct sockaddr_storage first;
    char error[128];
};

static void on_found(void *context, const struct sockaddr_storage *addresses, size_t count,
                     const char *error)
{
    struct found *found = context;
    found->calls++;
    found->count = count;
    if (count > 0) {
        found->first = addresses[0];
    }
    snprintf(found->error, sizeof(found->error), "%s", error != NULL ? error : "");
}

static void literal_addresses_need_no_resolver(void **state)
{
    struct found found = {0};
    char text[INET6_ADDRSTRLEN];
    assert_non_null(lookup_start(*state, "192.0.2.7", 22, on_found, &found));
    assert_int_equal(found.calls, 0);
    loop_run(*state);
    assert_int_equal(found.calls, 1);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&found.first;
    assert_string_equal(inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)), "192.0.2.7");
    assert_int_equal(ntohs(v4->sin_port), 22);

    assert_non_null(lookup_start(*state, "2001:db8::1", 2222, on_found, &found));
    loop_run(*state);
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&found.first;
    assert_int_equal(v6->sin6_family, AF_INET6);
    assert_int_equal(ntohs(v6->sin6_port), 2222);
}

static void names_are_resolved_with_their_port(void **state)
{
    struct found found = {0};
    lookup_start(*state, "localhost", 80, on_found, &found);
    loop_run(*state);
    assert_int_equal(found.calls, 1);
    assert_true(found.count >= 1);
    assert_int_equal(ntohs(((struct sockaddr_in *)&found.first)->sin_port), 80);
}

static void a_name_that_does_not_exist_is_an_error(void **state)
{
    struct found found = {0};
    lookup_start(*state, "no-such-host.invalid", 80, on_found, &found);
    loop_run(*state);
    assert_int_equal(found.calls, 1);
    assert_int_equal(found.count, 0);
    assert_true(strlen(found.error) > 0);
}

static void a_forgotten_lookup_says_nothing(void **state)
{
    struct found found = {0};
    lookup_forget(lookup_start(*state, "192.0.2.7", 22, on_found, &found));
    lookup_forget(lookup_start(*state, "localhost", 22, on_found, &found));
    lookup_forget(NULL);
    loop_run(*state);
    assert_int_equal(found.calls, 0);
}

struct ended {
    unsigned calls;
    struct child_result result;
    char output[4096];
};

static void on_ended(void *context, const struct child_result *result)
{
    struct ended *ended = context;
    ended->calls++;
    ended->result = *result;
    size_t length = result->output_length < sizeof(ended->output) - 1 ? result->output_length
                                                                      : sizeof(ended->output) - 1;
    memcpy(ended->output, result->output, length);
    ended->output[length] = '\0';
    ended->result.output = NULL;
}

static struct child *run(struct loop *loop, const char *script, int64_t timeout_ms, size_t most,
                         struct ended *ended)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct err error;
    memset(ended, 0, sizeof(*ended));
    return child_start(loop, argv, NULL, timeout_ms, most, on_ended, ended, &error);
}

static void a_child_gives_both_streams_and_its_status(void **state)
{
    struct ended ended;
    assert_non_null(run(*state, "echo out; echo err >&2; cat; exit 7", 5000, 1000, &ended));
    loop_run(*state);
    assert_int_equal(ended.calls, 1);
    assert_int_equal(ended.result.status, 7);
    assert_int_equal(ended.result.signal_number, 0);
    assert_false(ended.result.timed_out);
    assert_string_equal(ended.output, "out\nerr\n");
}

static void only_the_end_of_long_output_is_kept(void **state)
{
    struct ended ended;
    assert_non_null(
        run(*state, "head -c 1000000 /dev/zero | tr '\\0' x; printf the-end", 9000, 100, &ended));
    loop_run(*state);
    assert_int_equal(ended.result.output_length, 100);
    assert_string_equal(ended.output + 93, "the-end");
    assert_int_equal(ended.output[0], 'x');
}

static void a_child_has_the_environment_it_is_given(void **state)
{
    const char *const argv[] = {"/bin/sh", "-c", "echo $COLOUR$HOME", NULL};
    const char *const environment[] = {"COLOUR=green", NULL};
    struct err error;
    struct ended ended = {0};
    assert_non_null(child_start(*state, argv, environment, 5000, 100, on_ended, &ended, &error));
    loop_run(*state);
    assert_string_equal(ended.output, "green\n");
}

/* Last of all that start children: it changes the process. */
static void a_child_gets_the_limit_of_open_files_from_before(void **state)
{
    struct ended ended;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_max > 200);
    limit.rlim_cur = 200;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    files_limit_raise();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, limit.rlim_max);
    assert_non_null(run(*state, "ulimit -Sn; exit 7", 5000, 100, &ended));
    loop_run(*state);
    assert_string_equal(ended.output, "200\n");
    assert_int_equal(ended.result.status, 7);
}

static void a_child_that_takes_too_long_is_ended_with_its_group(void **state)
{
    struct ended ended;
    int64_t before = loop_now_ms(*state);
    assert_non_null(run(*state, "sleep 60 & sleep 60", 50, 100, &ended));
    loop_run(*state);
    assert_true(ended.result.timed_out);
    assert_int_equal(ended.result.signal_number, SIGTERM);
    assert_true(loop_now_ms(*state) - before < deadline_ms(15000));
}

static void a_child_that_ignores_the_first_word_gets_the_last(void **state)
{
    struct ended ended;
    assert_non_null(run(*state, "trap '' TERM; while :; do sleep 60; done", deadline_ms(200), 100,
                        &ended));
    loop_run(*state);
    assert_true(ended.result.timed_out);
    assert_int_equal(ended.result.signal_number, SIGKILL);
}

static void a_child_can_be_stopped(void **state)
{
    struct ended ended;
    struct child *child = run(*state, "sleep 60", 30000, 100, &ended);
    child_stop(child);
    child_stop(child);
    loop_run(*state);
    assert_int_equal(ended.calls, 1);
    assert_false(ended.result.timed_out);
    assert_int_equal(ended.result.signal_number, SIGTERM);
}

static void a_grandchild_that_holds_the_pipe_does_not_hold_us(void **state)
{
    struct ended ended;
    int64_t before = loop_now_ms(*state);
    assert_non_null(run(*state, "sleep 20 & echo gone", 30000, 100, &ended));
    loop_run(*state);
    assert_string_equal(ended.output, "gone\n");
    assert_int_equal(ended.result.status, 0);
    assert_true(loop_now_ms(*state) - before < deadline_ms(15000));
}

static void a_program_that_does_not_exist_is_an_error(void **state)
{
    const char *const argv[] = {"/nowhere/program", NULL};
    struct err error;
    struct ended ended = {0};
    assert_null(child_start(*state, argv, NULL, 1000, 100, on_ended, &ended, &error));
    assert_non_null(strstr(error.message, "/nowhere/program"));
    loop_run(*state);
    assert_int_equal(ended.calls, 0);
}

static void random_numbers_differ(void **state)
{
    (void)state;
    assert_true(clock_random() != clock_random());
    assert_true(clock_wall_ms() > 1700000000000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(timers_fire_in_the_order_of_their_times),
        CASE(what_came_while_the_loop_stood_is_before_time_outs),
        CASE(the_boot_clock_goes_on_while_the_loop_stands),
        CASE(a_stopped_timer_never_fires),
        CASE(time_goes_on_by_at_least_the_delay),
        CASE(the_loop_stops_when_told),
        CASE(each_arrival_of_a_signal_is_told),
        CASE(waiting_for_a_signal_alone_does_not_keep_the_loop),
        CASE(literal_addresses_need_no_resolver),
        CASE(names_are_resolved_with_their_port),
        CASE(a_name_that_does_not_exist_is_an_error),
        CASE(a_forgotten_lookup_says_nothing),
        CASE(a_child_gives_both_streams_and_its_status),
        CASE(only_the_end_of_long_output_is_kept),
        CASE(a_child_has_the_environment_it_is_given),
        CASE(a_child_that_takes_too_long_is_ended_with_its_group),
        CASE(a_child_that_ignores_the_first_word_gets_the_last),
        CASE(a_child_can_be_stopped),
        CASE(a_grandchild_that_holds_the_pipe_does_not_hold_us),
        CASE(a_program_that_does_not_exist_is_an_error),
        CASE(random_numbers_differ),
        CASE(a_child_gets_the_limit_of_open_files_from_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
