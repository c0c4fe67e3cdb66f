/* A stream whose reader does not read. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/sink.h"
#include "io/output.h"

#define MOST ((size_t)200000)
#define LINE 100

/* A pipe that takes 4096 bytes, and what was read from it in the end. */
struct pipe_end {
    int reads, writes;
    struct strbuf text;
    pthread_t thread;
};

static void open_pipe(struct pipe_end *end)
{
    int files[2];
    assert_int_equal(pipe(files), 0);
    assert_true(fcntl(files[1], F_SETPIPE_SZ, 4096) > 0);
    *end = (struct pipe_end){.reads = files[0], .writes = files[1]};
    strbuf_init(&end->text, 16 << 20);
}

static void *read_all(void *context)
{
    struct pipe_end *end = context;
    char bytes[4096];
    ssize_t got;
    while ((got = read(end->reads, bytes, sizeof(bytes))) > 0)
        strbuf_add(&end->text, bytes, (size_t)got);
    return NULL;
}

static void begin_reading(struct pipe_end *end)
{
    assert_int_equal(pthread_create(&end->thread, NULL, read_all, end), 0);
}

static void close_pipe(struct pipe_end *end)
{
    close(end->writes);
    pthread_join(end->thread, NULL);
    close(end->reads);
}

static void put_line(FILE *stream, size_t number)
{
    fprintf(stream, "%*zu\n", LINE - 1, number);
    fflush(stream);
}

static void it_takes_all_and_waits_for_nobody_until_the_end(void **state)
{
    struct pipe_end end;
    (void)state;
    open_pipe(&end);
    struct output *output = output_create(end.writes, MOST);
    for (size_t i = 0; i < 1000; i++)
        put_line(output_stream(output), i);
    assert_true(output_is_behind(output));
    assert_int_equal(output_dropped(output), 0);
    begin_reading(&end);
    output_wait(output);
    assert_false(output_is_behind(output));
    put_line(output_stream(output), 1000);
    assert_int_equal(output_free(output), 0);
    close_pipe(&end);
    assert_int_equal(end.text.length, 1001 * LINE);
    for (size_t i = 0; i <= 1000; i++)
        assert_int_equal(strtoull(end.text.text + i * LINE, NULL, 10), i);
    strbuf_release(&end.text);
}

static void past_its_bound_whole_lines_are_dropped_and_counted(void **state)
{
    struct pipe_end end;
    (void)state;
    open_pipe(&end);
    struct output *output = output_create(end.writes, MOST);
    for (size_t i = 0; i < 10000; i++)
        put_line(output_stream(output), i);
    size_t dropped = output_dropped(output);
    assert_true(dropped > 0 && dropped % LINE == 0 && dropped >= 10000 * LINE - MOST - 70000);
    begin_reading(&end);
    output_wait(output);
    put_line(output_stream(output), 77777);
    assert_int_equal(output_free(output), 0);
    close_pipe(&end);
    assert_int_equal(end.text.length, 10001 * LINE - dropped);
    assert_int_equal(strtoull(end.text.text + end.text.length - LINE, NULL, 10), 77777);
    strbuf_release(&end.text);
}

/* The buffer of the stream hands it on in pieces. */
static void a_line_that_has_begun_is_not_cut(void **state)
{
    struct pipe_end end;
    static char line[150001];
    (void)state;
    open_pipe(&end);
    struct output *output = output_create(end.writes, 100000);
    memset(line, 'x', sizeof(line) - 1);
    for (int i = 0; i < 5; i++) {
        fprintf(output_stream(output), "%s\n", line);
        fflush(output_stream(output));
    }
    begin_reading(&end);
    output_free(output);
    close_pipe(&end);
    size_t lines = 0;
    for (char *at = end.text.text; *at; at += sizeof(line), lines++)
        assert_int_equal(strcspn(at, "\n"), sizeof(line) - 1);
    assert_true(lines >= 1 && lines < 5);
    strbuf_release(&end.text);
}

static void nobody_to_read_is_an_error_at_the_end_and_nothing_hangs(void **state)
{
    struct pipe_end end;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    open_pipe(&end);
    struct output *output = output_create(end.writes, MOST);
    for (size_t i = 0; i < 1000; i++)
        put_line(output_stream(output), i);
    close(end.reads);
    assert_int_equal(output_free(output), EPIPE);
    close(end.writes);
    strbuf_release(&end.text);
}

/* --- the sink before it --- */

static void record_kind(struct sink *sink, enum record_kind kind, const char *text)
{
    static const char *const nodes[] = {"web1"};
    static const struct roster roster = {.nodes = nodes, .node_count = 1};
    struct record record = {.kind = kind, .node = 0, .roster = &roster, .text = text, .phase = "stage"};
    sink->record(sink, &record);
}

static size_t count(const char *text, const char *what)
{
    size_t times = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        times++;
    return times;
}

static void progress_is_left_out_first_and_the_number_told(void **state)
{
    struct pipe_end end;
    static const struct record notice = {.kind = RECORD_NOTICE, .node = SIZE_MAX};
    (void)state;
    open_pipe(&end);
    struct output *output = output_create(end.writes, 4 << 20);
    struct sink *sink = sink_paced_create(sink_json_create(output_stream(output)), output);
    for (int i = 0; i < 3000; i++) {
        record_kind(sink, RECORD_PROGRESS, "p");
        record_kind(sink, RECORD_NOTICE, "n");
    }
    begin_reading(&end);
    sink->wait(sink, &notice);
    record_kind(sink, RECORD_RESULT, "r");
    sink->finish(sink);
    output_free(output);
    close_pipe(&end);
    size_t progress = count(end.text.text, "\"event\":\"progress\""), left_out = 0;
    const char *told = strstr(end.text.text, "was not read fast enough: ");
    assert_int_equal(count(end.text.text, "\"text\":\"n\""), 3000);
    assert_int_equal(count(end.text.text, "\"event\":\"result\""), 1);
    assert_true(told && sscanf(told, "was not read fast enough: %zu reports", &left_out) == 1);
    assert_true(progress < 3000 && progress + left_out == 3000);
    strbuf_release(&end.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_all_and_waits_for_nobody_until_the_end),
        cmocka_unit_test(past_its_bound_whole_lines_are_dropped_and_counted),
        cmocka_unit_test(a_line_that_has_begun_is_not_cut),
        cmocka_unit_test(nobody_to_read_is_an_error_at_the_end_and_nothing_hangs),
        cmocka_unit_test(progress_is_left_out_first_and_the_number_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
