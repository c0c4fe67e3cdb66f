#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/sink.h"
#include "core/rollout.h"

static const char *const names[] = {"web1", "web2", "web3"};
static const size_t waves[] = {0, 1, 1};
static const struct roster roster = {.verb = "rollout",
                                     .service = "shop",
                                     .rollout = "20261122T235900Z-3f2a",
                                     .release = "20261120T101112Z-1a2b3c4d5e6f",
                                     .description = "main \"fix the cart\"",
                                     .nodes = names,
                                     .waves = waves,
                                     .node_count = 3,
                                     .wave_count = 2};

static struct record about(enum record_kind kind, size_t node, int64_t elapsed_ms)
{
    return (struct record){
        .kind = kind, .roster = &roster, .node = node, .elapsed_ms = elapsed_ms, .wave_count = 2};
}

static void send_phase(struct sink *sink, size_t node, enum node_phase phase, int64_t elapsed_ms)
{
    struct record record = about(RECORD_PHASE, node, elapsed_ms);
    record.phase = node_phase_name(phase);
    sink->record(sink, &record);
}

static void send_text(struct sink *sink, enum record_kind kind, size_t node, int64_t elapsed_ms,
                      const char *text)
{
    struct record record = about(kind, node, elapsed_ms);
    record.text = text;
    record.healthy = true;
    record.phase = "stage";
    record.done = 1200;
    sink->record(sink, &record);
}

/* A rollout in which web1 comes through and web3 does not. */
static void tell_the_story(struct sink *sink)
{
    struct record record = about(RECORD_STARTED, SIZE_MAX, 0);
    sink->record(sink, &record);
    send_phase(sink, 0, PHASE_STAGE, 100);
    send_text(sink, RECORD_RETRY, 0, 200, "connection closed");
    send_phase(sink, 0, PHASE_STAGED, 800);
    record = about(RECORD_WAVE, SIZE_MAX, 900);
    sink->record(sink, &record);
    send_phase(sink, 0, PHASE_ACTIVATE, 900);
    send_phase(sink, 0, PHASE_GATE, 1200);
    send_text(sink, RECORD_PROBE, 0, 1300, "http 200 in 3ms");
    send_phase(sink, 0, PHASE_BAKE, 7300);
    send_text(sink, RECORD_NOTICE, SIZE_MAX, 8000, "the clock of web2 is 5 s off");
    send_text(sink, RECORD_TROUBLE, 2, 12400, "gate closed: http 404");
    send_text(sink, RECORD_OUTPUT, 2, 12500, "cannot bind");
    record = about(RECORD_OUTCOME, 2, 13000);
    record.outcome = node_outcome_name(NODE_RESTORED);
    sink->record(sink, &record);
    record = about(RECORD_RESULT, SIZE_MAX, 14000);
    record.result = rollout_result_name(RESULT_ROLLED_BACK);
    record.exit_code = 1;
    sink->record(sink, &record);
}

static void story_is(enum verbosity verbosity, bool color, const char *expected)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    struct sink *sink = sink_lines_create(stream, color, verbosity);
    tell_the_story(sink);
    sink->finish(sink);
    fclose(stream);
    assert_string_equal(text, expected);
    free(text);
}

static void what_matters_is_said_once(void **state)
{
    (void)state;
    story_is(NORMAL, false,
             "rollout 20261122T235900Z-3f2a of shop to 20261120T101112Z-1a2b3c4d5e6f (main \"fix "
             "the cart\")\n"
             "   0.2s web1 stage again in 1.2s: connection closed\n"
             "   0.8s web1 staged\n"
             "wave 1 of 2: web1\n"
             "   1.2s web1 activated\n"
             "   7.3s web1 healthy: http 200 in 3ms\n"
             "   8.0s      the clock of web2 is 5 s off\n"
             "  12.4s web3 gate closed: http 404\n"
             "  12.5s web3 | cannot bind\n"
             "  13.0s web3 restored\n"
             "  14.0s      rolled back\n");
}

static void quiet_says_troubles_and_the_result(void **state)
{
    (void)state;
    story_is(QUIET, false,
             "  12.4s web3 gate closed: http 404\n"
             "  14.0s      rolled back\n");
}

static void verbose_says_every_event(void **state)
{
    (void)state;
    story_is(VERBOSE, false,
             "rollout 20261122T235900Z-3f2a of shop to 20261120T101112Z-1a2b3c4d5e6f (main \"fix "
             "the cart\")\n"
             "   0.1s web1 stage\n"
             "   0.2s web1 stage again in 1.2s: connection closed\n"
             "   0.8s web1 staged\n"
             "wave 1 of 2: web1\n"
             "   0.9s web1 activate\n"
             "   1.2s web1 gate\n"
             "   1.3s web1 healthy: http 200 in 3ms\n"
             "   7.3s web1 bake\n"
             "   8.0s      the clock of web2 is 5 s off\n"
             "  12.4s web3 gate closed: http 404\n"
             "  12.5s web3 | cannot bind\n"
             "  13.0s web3 restored\n"
             "  14.0s      rolled back\n");
}

static void color_marks_troubles_and_ends_on_its_line(void **state)
{
    (void)state;
    story_is(QUIET, true,
             "\033[2m  12.4s\033[0m web3 \033[31mgate closed: http 404\033[0m\n"
             "\033[2m  14.0s\033[0m      \033[31mrolled back\033[0m\n");
}

static void a_long_wave_is_cut_to_the_line_and_counted(void **state)
{
    (void)state;
    enum { MANY = 100 };
    const char *many[MANY];
    size_t one_wave[MANY] = {0};
    for (size_t i = 0; i < MANY; i++)
        many[i] = "web-server";
    const struct roster large = {
        .nodes = many, .waves = one_wave, .node_count = MANY, .wave_count = 1};
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    struct sink *sink = sink_lines_create(stream, false, NORMAL);
    struct record record = {
        .kind = RECORD_WAVE, .roster = &large, .node = SIZE_MAX, .wave_count = 1};
    sink->record(sink, &record);
    sink->finish(sink);
    fclose(stream);
    assert_string_equal(
        text, "wave 1 of 1: web-server web-server web-server web-server web-server +95 more\n");
    free(text);
}

static void a_record_of_a_node_that_is_not_in_the_roster_is_harmless(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    struct sink *sink = sink_lines_create(stream, false, VERBOSE);
    for (int kind = 0; kind < RECORD_KINDS; kind++) {
        struct record record = {.kind = (enum record_kind)kind, .node = 7};
        sink->record(sink, &record);
        record.roster = &roster;
        sink->record(sink, &record);
    }
    sink->finish(sink);
    fclose(stream);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_matters_is_said_once),
        cmocka_unit_test(quiet_says_troubles_and_the_result),
        cmocka_unit_test(verbose_says_every_event),
        cmocka_unit_test(color_marks_troubles_and_ends_on_its_line),
        cmocka_unit_test(a_long_wave_is_cut_to_the_line_and_counted),
        cmocka_unit_test(a_record_of_a_node_that_is_not_in_the_roster_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
