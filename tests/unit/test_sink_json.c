#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/sink.h"
#include "core/rollout.h"

static const char *const names[] = {"web1", "web2"};
static const size_t waves[] = {0, 1};
static const struct roster roster = {.verb = "rollout",
                                     .service = "shop",
                                     .rollout = "20261122T235900Z-3f2a",
                                     .release = "20261120T101112Z-1a2b3c4d5e6f",
                                     .nodes = names,
                                     .waves = waves,
                                     .node_count = 2,
                                     .wave_count = 2};

static char *text;
static size_t length;

static void one_line_is(const struct record *record, const char *expected)
{
    FILE *stream = open_memstream(&text, &length);
    struct sink *sink = sink_json_create(stream);
    sink->record(sink, record);
    sink->finish(sink);
    fclose(stream);
    assert_string_equal(text, expected);
    free(text);
}

static struct record about(enum record_kind kind, size_t node)
{
    return (struct record){.kind = kind,
                           .wall_ms = INT64_C(1767323045678),
                           .elapsed_ms = 1200,
                           .roster = &roster,
                           .node = node};
}

static void a_phase_is_one_object_on_one_line(void **state)
{
    (void)state;
    struct record record = about(RECORD_PHASE, 1);
    record.phase = "gate";
    one_line_is(&record, "{\"v\":1,\"time\":\"2026-01-02T03:04:05.678Z\",\"elapsed_ms\":1200,"
                         "\"event\":\"phase\",\"rollout\":\"20261122T235900Z-3f2a\","
                         "\"node\":\"web2\",\"phase\":\"gate\"}\n");
}

static void the_start_holds_the_nodes_and_their_waves_counted_from_one(void **state)
{
    (void)state;
    struct record record = about(RECORD_STARTED, SIZE_MAX);
    one_line_is(&record,
                "{\"v\":1,\"time\":\"2026-01-02T03:04:05.678Z\",\"elapsed_ms\":1200,"
                "\"event\":\"started\",\"rollout\":\"20261122T235900Z-3f2a\",\"verb\":\"rollout\","
                "\"service\":\"shop\",\"release\":\"20261120T101112Z-1a2b3c4d5e6f\","
                "\"wave_count\":2,\"nodes\":[{\"node\":\"web1\",\"wave\":1},"
                "{\"node\":\"web2\",\"wave\":2}]}\n");
}

static void a_wave_is_counted_from_one(void **state)
{
    (void)state;
    struct record record = about(RECORD_WAVE, SIZE_MAX);
    record.wave = 1;
    record.wave_count = 2;
    one_line_is(&record, "{\"v\":1,\"time\":\"2026-01-02T03:04:05.678Z\",\"elapsed_ms\":1200,"
                         "\"event\":\"wave\",\"rollout\":\"20261122T235900Z-3f2a\","
                         "\"wave\":2,\"wave_count\":2}\n");
}

static void the_result_holds_the_exit_code(void **state)
{
    (void)state;
    struct record record = about(RECORD_RESULT, SIZE_MAX);
    record.result = "done";
    record.text = "shop is updated";
    one_line_is(&record, "{\"v\":1,\"time\":\"2026-01-02T03:04:05.678Z\",\"elapsed_ms\":1200,"
                         "\"event\":\"result\",\"rollout\":\"20261122T235900Z-3f2a\","
                         "\"result\":\"done\",\"exit_code\":0,\"text\":\"shop is updated\"}\n");
}

/* Every kind, with and without everything, is JSON that names its kind; foreign bytes do not break
 * it. */
static void every_kind_is_valid_json(void **state)
{
    (void)state;
    for (int kind = 0; kind < RECORD_KINDS; kind++) {
        struct record record = {.kind = (enum record_kind)kind, .node = SIZE_MAX};
        struct record full = about((enum record_kind)kind, 0);
        full.text = "broken \xff\xfe, \"quoted\"\nand a line";
        full.done = UINT64_MAX;
        full.total = UINT64_MAX;
        const struct record *const both[] = {&record, &full};
        for (size_t i = 0; i < 2; i++) {
            FILE *stream = open_memstream(&text, &length);
            struct sink *sink = sink_json_create(stream);
            sink->record(sink, both[i]);
            sink->finish(sink);
            fclose(stream);
            json_t *object = json_loads(text, 0, NULL);
            assert_non_null(object);
            assert_string_equal(json_string_value(json_object_get(object, "event")),
                                record_kind_name((enum record_kind)kind));
            assert_ptr_equal(strchr(text, '\n'), text + length - 1);
            json_decref(object);
            free(text);
        }
    }
}

static void the_journal_appends_and_leaves_out_progress(void **state)
{
    (void)state;
    char path[] = "/tmp/test_journal_XXXXXX", content[1024] = "";
    struct err err = {0};
    int file = mkstemp(path);
    assert_true(file >= 0);
    for (int run = 0; run < 2; run++) {
        struct sink *sink = sink_journal_create(path, &err);
        assert_non_null(sink);
        struct record record = about(RECORD_PHASE, 0);
        record.phase = "stage";
        sink->record(sink, &record);
        record.kind = RECORD_PROGRESS;
        sink->record(sink, &record);
        assert_int_equal(sink->sync(sink, &err), 0);
        sink->finish(sink);
    }
    ssize_t count = read(file, content, sizeof content - 1);
    assert_true(count > 0);
    const char *second = strchr(content, '\n') + 1;
    assert_int_equal(strlen(second) * 2, (size_t)count);
    assert_memory_equal(content, second, strlen(second));
    assert_non_null(strstr(content, "\"phase\":\"stage\""));
    close(file);
    unlink(path);
}

static void a_journal_that_cannot_be_opened_says_why(void **state)
{
    (void)state;
    struct err err = {0};
    assert_null(sink_journal_create("/nonexistent/folder/journal", &err));
    assert_non_null(strstr(err.message, "/nonexistent/folder/journal"));
}

static void a_journal_that_cannot_be_written_keeps_its_error(void **state)
{
    (void)state;
    struct err err = {0};
    struct sink *sink = sink_journal_create("/dev/full", &err);
    if (!sink) { /* files that are no regular ones may be refused at once */
        assert_int_not_equal(err.code, 0);
        return;
    }
    struct record record = about(RECORD_PHASE, 0);
    sink->record(sink, &record);
    assert_int_equal(sink->sync(sink, &err), ERR_IO);
    sink->record(sink, &record);
    assert_int_equal(sink->sync(sink, &err), ERR_IO);
    assert_non_null(strstr(err.message, "/dev/full"));
    sink->finish(sink);
}

static void send_outcome(struct sink *sink, const struct roster *of, size_t node,
                         enum node_outcome outcome, const char *note, bool final)
{
    struct record record = {.kind = RECORD_OUTCOME, .roster = of, .node = node, .final = final};
    record.outcome = node_outcome_name(outcome);
    record.release = of->release;
    record.text = note;
    sink->record(sink, &record);
}

static void send_result(struct sink *sink, int exit_code, const char *sentence)
{
    struct record record = {.kind = RECORD_RESULT, .node = SIZE_MAX, .exit_code = exit_code};
    record.text = sentence;
    sink->record(sink, &record);
}

static void the_summary_is_a_table_and_a_sentence(void **state)
{
    (void)state;
    FILE *stream = open_memstream(&text, &length);
    struct sink *sink = sink_summary_create(stream, false, NORMAL);
    send_outcome(sink, &roster, 0, NODE_NEEDS_CARE, "log in and look at shop.service", true);
    send_outcome(sink, &roster, 1, NODE_UPDATED, NULL, false);
    send_outcome(sink, &roster, 1, NODE_UPDATED, NULL, true);
    send_result(sink, 2, "web1 needs care");
    sink->finish(sink);
    fclose(stream);
    assert_string_equal(
        text, "NODE  RESULT      RELEASE                        NOTE\n"
              "web2  updated     20261120T101112Z-1a2b3c4d5e6f\n"
              "web1  needs care  20261120T101112Z-1a2b3c4d5e6f  log in and look at shop.service\n"
              "web1 needs care\n");
    free(text);
}

static void send_breaker(struct sink *sink, size_t node, const char *dependency, const char *breaker, const char *cause)
{
    struct record record = {.kind = RECORD_BREAKER, .roster = &roster, .node = node, .phase = dependency};
    record.state = breaker;
    record.cause = cause;
    record.text = "in a sentence";
    record.wall_ms = 1767323045000;
    sink->record(sink, &record);
}

static void the_summary_has_each_breaker_as_it_was_last(void **state)
{
    (void)state;
    FILE *stream = open_memstream(&text, &length);
    struct sink *sink = sink_summary_create(stream, false, NORMAL);
    send_breaker(sink, 1, NULL, "open", "no answer");
    send_breaker(sink, SIZE_MAX, "balancer lb on lb1", "open", "refused");
    send_breaker(sink, 1, NULL, "half open", "no answer");
    send_breaker(sink, 1, NULL, "closed", NULL);
    send_result(sink, 0, "done");
    sink->finish(sink);
    fclose(stream);
    assert_string_equal(text, "breaker of web2: closed since 2026-01-02T03:04:05Z, last error: no answer\n"
                              "breaker of balancer lb on lb1: open since 2026-01-02T03:04:05Z, last error: refused\n"
                              "done\n");
    free(text);
}

static void a_large_fleet_is_counted_and_the_troubled_are_named(void **state)
{
    (void)state;
    enum { MANY = 200 };
    static char texts[MANY][32];
    const char *many[MANY];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(texts[i], sizeof texts[i], "web%zu", i + 1);
        many[i] = texts[i];
    }
    const struct roster large = {.nodes = many, .node_count = MANY, .release = "r1"};
    for (enum verbosity verbosity = QUIET; verbosity <= VERBOSE; verbosity++) {
        FILE *stream = open_memstream(&text, &length);
        struct sink *sink = sink_summary_create(stream, false, verbosity);
        for (size_t i = 0; i < MANY; i++)
            send_outcome(sink, &large, i,
                         i == 7 || i == 9 ? NODE_NEEDS_CARE
                         : i == 11        ? NODE_SKIPPED
                                          : NODE_UPDATED,
                         i == 11 ? "no route to host" : NULL, true);
        send_result(sink, 2, "2 nodes need care");
        sink->finish(sink);
        fclose(stream);
        size_t lines = 0;
        for (const char *at = text; (at = strchr(at, '\n')); at++)
            lines++;
        assert_int_equal(lines, verbosity == VERBOSE ? 202 : verbosity == NORMAL ? 6 : 4);
        assert_non_null(
            strstr(text, "\nweb8          needs care  r1\nweb10         needs care  r1\n"));
        if (verbosity == NORMAL) {
            assert_non_null(strstr(text, "\n197 nodes     updated     r1\n"));
            assert_non_null(
                strstr(text, "\nweb12         skipped     r1       no route to host\n"));
        }
        free(text);
    }
}

static void too_many_sinks_are_finished_not_lost(void **state)
{
    (void)state;
    struct sinks sinks = {.count = 0};
    FILE *stream = open_memstream(&text, &length);
    for (size_t i = 0; i < SINKS_MAX + 2; i++)
        sinks_add(&sinks, sink_json_create(stream));
    sinks_add(&sinks, NULL);
    assert_int_equal(sinks.count, SINKS_MAX);
    struct record record = about(RECORD_NOTICE, SIZE_MAX);
    sinks_record(&sinks, &record);
    sinks_tick(&sinks, 1);
    sinks_finish(&sinks);
    fclose(stream);
    assert_int_equal(sinks.count, 0);
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, SINKS_MAX);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_phase_is_one_object_on_one_line),
        cmocka_unit_test(the_start_holds_the_nodes_and_their_waves_counted_from_one),
        cmocka_unit_test(a_wave_is_counted_from_one),
        cmocka_unit_test(the_result_holds_the_exit_code),
        cmocka_unit_test(every_kind_is_valid_json),
        cmocka_unit_test(the_journal_appends_and_leaves_out_progress),
        cmocka_unit_test(a_journal_that_cannot_be_opened_says_why),
        cmocka_unit_test(a_journal_that_cannot_be_written_keeps_its_error),
        cmocka_unit_test(the_summary_is_a_table_and_a_sentence),
        cmocka_unit_test(the_summary_has_each_breaker_as_it_was_last),
        cmocka_unit_test(a_large_fleet_is_counted_and_the_troubled_are_named),
        cmocka_unit_test(too_many_sinks_are_finished_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
