#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../src/app/sink_live_view.h"
#include "app/sink.h"
#include "base/text.h"
#include "core/rollout.h"

#define FLEET 200

static const char *names[FLEET];
static size_t waves[FLEET];
static struct roster roster = {.verb = "rollout",
                               .service = "shop",
                               .rollout = "20261122T235900Z-3f2a",
                               .release = "20261120T101112Z-1a2b3c4d5e6f",
                               .description = "main \"fix the cart\"",
                               .nodes = names,
                               .waves = waves};

/* `count` nodes: one in the first wave, the rest in the second. */
static void make_fleet(size_t count)
{
    static char texts[FLEET][32];
    for (size_t i = 0; i < count; i++) {
        snprintf(texts[i], sizeof texts[i], "web%zu", i + 1);
        names[i] = texts[i];
        waves[i] = i > 0;
    }
    roster.node_count = count;
    roster.wave_count = 2;
}

static struct record about(enum record_kind kind, size_t node, int64_t elapsed_ms)
{
    return (struct record){.kind = kind, .roster = &roster, .node = node, .elapsed_ms = elapsed_ms};
}

static void phase(struct live_view *view, size_t node, enum node_phase what, int64_t elapsed_ms)
{
    struct record record = about(RECORD_PHASE, node, elapsed_ms);
    record.phase = node_phase_name(what);
    live_view_record(view, &record);
}

static void begin(struct live_view *view, size_t count)
{
    struct record started = about(RECORD_STARTED, SIZE_MAX, 0);
    make_fleet(count);
    *view = (struct live_view){0};
    live_view_record(view, &started);
}

static void second_wave(struct live_view *view)
{
    struct record wave = about(RECORD_WAVE, SIZE_MAX, 1000);
    wave.wave = 1;
    wave.wave_count = 2;
    live_view_record(view, &wave);
}

static size_t widths[VIEW_ROWS_MAX];

static size_t render(struct strbuf *out, const struct live_view *view, size_t columns, size_t rows)
{
    const struct live_style style = {.columns = columns, .rows = rows};
    strbuf_init(out, 1 << 20);
    return live_view_render(out, view, &style, 5000, widths);
}

static void a_small_fleet_has_a_line_a_node(void **state)
{
    (void)state;
    struct live_view view;
    struct strbuf out;
    begin(&view, 3);
    second_wave(&view);
    phase(&view, 0, PHASE_ENDED, 900);
    phase(&view, 1, PHASE_GATE, 3800);
    struct record probe = about(RECORD_PROBE, 1, 4000);
    probe.text = "http 503 in 12ms";
    live_view_record(&view, &probe);
    phase(&view, 2, PHASE_STAGED, 1000);
    render(&out, &view, 80, 24);
    assert_string_equal(out.text, "wave 2 of 2 [--------------------] 0 of 2 nodes  5.0s\n"
                                  "web1 ended\n"
                                  "web2 gate              1.2s http 503 in 12ms\n"
                                  "web3 staged\n");
    strbuf_release(&out);
    live_view_release(&view);
}

static void staging_shows_a_bar_of_bytes(void **state)
{
    (void)state;
    struct live_view view;
    struct strbuf out;
    begin(&view, 2);
    phase(&view, 0, PHASE_STAGE, 4000);
    struct record progress = about(RECORD_PROGRESS, 0, 4500);
    progress.done = 5 << 20;
    progress.total = 10 << 20;
    live_view_record(&view, &progress);
    phase(&view, 1, PHASE_STAGED, 4000);
    render(&out, &view, 80, 24);
    assert_non_null(strstr(out.text, "[##########----------] 1 of 2 nodes"));
    assert_non_null(
        strstr(out.text, "web1 stage             1.0s [#####-----] 5.0 MiB of 10.0 MiB\n"));
    strbuf_release(&out);
    live_view_release(&view);
}

static void a_picture_is_never_wider_or_higher_than_the_terminal(void **state)
{
    (void)state;
    struct live_view view;
    begin(&view, FLEET);
    second_wave(&view);
    for (size_t i = 0; i < 100; i++) {
        phase(&view, i, PHASE_GATE, 1000);
        struct record probe = about(RECORD_PROBE, i, 1000);
        probe.text = "http 503 in 12ms: a sentence that is longer than any terminal here is wide, "
                     "with \u4e2d\u6587 in it";
        live_view_record(&view, &probe);
    }
    for (size_t columns = 1; columns < 120; columns += 7)
        for (size_t rows = 1; rows < 60; rows++) {
            struct strbuf out;
            size_t count = render(&out, &view, columns, rows), newlines = 0;
            for (const char *at = out.text; (at = strchr(at, '\n')); at++)
                newlines++;
            assert_int_equal(count, newlines);
            assert_true(count < rows || count == 0);
            for (char *line = strtok(out.text, "\n"); line; line = strtok(NULL, "\n"))
                assert_true(text_columns(line) <= columns);
            strbuf_release(&out);
        }
    live_view_release(&view);
}

static void who_works_and_who_is_in_trouble_come_first_and_the_rest_are_counted(void **state)
{
    (void)state;
    struct live_view view;
    struct strbuf out;
    begin(&view, FLEET);
    second_wave(&view);
    for (size_t i = 0; i < FLEET; i++)
        phase(&view, i, i < 50 ? PHASE_ENDED : PHASE_STAGED, 1000);
    for (size_t i = 0; i < 50; i++) {
        struct record outcome = about(RECORD_OUTCOME, i, 2000);
        outcome.outcome = node_outcome_name(NODE_UPDATED);
        live_view_record(&view, &outcome);
    }
    phase(&view, 180, PHASE_GATE, 4000);
    struct record trouble = about(RECORD_TROUBLE, 150, 3000);
    trouble.text = "gate closed: http 404";
    live_view_record(&view, &trouble);
    render(&out, &view, 80, 10);
    assert_string_equal(out.text, "wave 2 of 2 [####----------------] 49 of 199 nodes  5.0s\n"
                                  "web151 staged            4.0s gate closed: http 404\n"
                                  "web181 gate              1.0s\n"
                                  "148 staged, 50 updated\n");
    strbuf_release(&out);
    live_view_release(&view);
}

static void nothing_is_shown_before_the_run_and_after_its_last_word(void **state)
{
    (void)state;
    struct live_view view = {0};
    struct strbuf out;
    assert_int_equal(render(&out, &view, 80, 24), 0);
    begin(&view, 2);
    struct record last = about(RECORD_OUTCOME, 0, 1000);
    last.outcome = node_outcome_name(NODE_UPDATED);
    last.final = true;
    live_view_record(&view, &last);
    assert_int_equal(render(&out, &view, 80, 24), 0);
    live_view_release(&view);
}

static void a_bar_is_full_only_at_the_end(void **state)
{
    (void)state;
    struct strbuf out;
    strbuf_init(&out, 1000);
    live_bar(&out, 0, 0, 12, false);
    live_bar(&out, 99, 100, 12, false);
    live_bar(&out, 100, 100, 12, false);
    live_bar(&out, 1, 2, 6, true);
    assert_string_equal(out.text, "[----------][#########-][##########][\u2588\u2588\u2591\u2591]");
    strbuf_release(&out);
}

/* All that a sink wrote to a terminal of the given size. */
struct terminal {
    int master;
    FILE *stream;
};

static void terminal_open(struct terminal *terminal, unsigned short columns, unsigned short rows)
{
    int slave;
    struct winsize size = {.ws_col = columns, .ws_row = rows};
    assert_int_equal(openpty(&terminal->master, &slave, NULL, NULL, &size), 0);
    terminal->stream = fdopen(slave, "w");
    assert_non_null(terminal->stream);
}

static void terminal_read(struct terminal *terminal, char *out, size_t size)
{
    size_t length = 0;
    struct pollfd ready = {.fd = terminal->master, .events = POLLIN};
    fflush(terminal->stream);
    while (length + 1 < size && poll(&ready, 1, 0) > 0) {
        ssize_t count = read(terminal->master, out + length, size - 1 - length);
        if (count <= 0)
            break;
        length += (size_t)count;
    }
    out[length] = '\0';
}

static void terminal_close(struct terminal *terminal)
{
    fclose(terminal->stream);
    close(terminal->master);
}

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        count++;
    return count;
}

static void it_draws_ten_times_a_second_at_most_and_shows_the_cursor_again(void **state)
{
    (void)state;
    static char text[1 << 16];
    struct terminal terminal;
    terminal_open(&terminal, 80, 24);
    setenv("TERM", "xterm", 1);
    make_fleet(2);
    struct sink *sink = sink_live_create(terminal.stream, fileno(terminal.stream), false, NORMAL);
    struct record record = about(RECORD_STARTED, SIZE_MAX, 0);
    sink->record(sink, &record);
    for (int64_t now = 1; now <= 1000; now++)
        sink->tick(sink, now);
    terminal_read(&terminal, text, sizeof text);
    assert_int_equal(occurrences(text, "of 2 nodes"), 11);
    assert_int_equal(occurrences(text, "\033[?25l"), 1);
    assert_int_equal(occurrences(text, "\033[?25h"), 0);
    sink->finish(sink);
    terminal_read(&terminal, text, sizeof text);
    assert_string_equal(text, "\r\033[3A\033[J\033[?25h");
    terminal_close(&terminal);
}

static void a_resized_terminal_is_asked_again(void **state)
{
    (void)state;
    static char text[1 << 16];
    struct terminal terminal;
    terminal_open(&terminal, 80, 24);
    setenv("TERM", "xterm", 1);
    make_fleet(20);
    struct sink *sink = sink_live_create(terminal.stream, fileno(terminal.stream), false, NORMAL);
    struct record record = about(RECORD_STARTED, SIZE_MAX, 0);
    sink->record(sink, &record);
    terminal_read(&terminal, text, sizeof text);
    assert_int_equal(occurrences(text, "waiting\r\n"), 20);
    struct winsize small = {.ws_col = 30, .ws_row = 6};
    assert_int_equal(ioctl(terminal.master, TIOCSWINSZ, &small), 0);
    sink->tick(sink, 200);
    terminal_read(&terminal, text, sizeof text);
    assert_non_null(
        strstr(text, "\r\033[22A\033[J")); /* the head's 43 columns had become two lines */
    assert_non_null(strstr(text, "20 waiting\r\n"));
    sink->finish(sink);
    terminal_close(&terminal);
}

static void troubles_stay_above_the_view(void **state)
{
    (void)state;
    static char text[1 << 16];
    struct terminal terminal;
    terminal_open(&terminal, 80, 24);
    setenv("TERM", "xterm", 1);
    make_fleet(2);
    struct sink *sink = sink_live_create(terminal.stream, fileno(terminal.stream), false, NORMAL);
    struct record record = about(RECORD_STARTED, SIZE_MAX, 0);
    sink->record(sink, &record);
    terminal_read(&terminal, text, sizeof text);
    record = about(RECORD_TROUBLE, 1, 1500);
    record.text = "gate closed: http 404";
    sink->record(sink, &record);
    terminal_read(&terminal, text, sizeof text);
    assert_int_equal(strncmp(text, "\r\033[3A\033[J   1.5s web2 gate closed: http 404\r\n", 44), 0);
    assert_non_null(strstr(text + 44, "of 2 nodes"));
    sink->finish(sink);
    terminal_close(&terminal);
}

static void a_dumb_or_narrow_terminal_gets_lines(void **state)
{
    (void)state;
    static char text[1 << 16];
    struct terminal terminal;
    const struct {
        const char *name;
        unsigned short columns;
    } cases[] = {{"dumb", 80}, {"xterm", 39}, {"", 80}};
    for (size_t i = 0; i < 3; i++) {
        terminal_open(&terminal, cases[i].columns, 24);
        setenv("TERM", cases[i].name, 1);
        make_fleet(2);
        struct sink *sink = sink_live_create(terminal.stream, fileno(terminal.stream), false, NORMAL);
        struct record record = about(RECORD_STARTED, SIZE_MAX, 0);
        sink->record(sink, &record);
        sink->finish(sink);
        terminal_read(&terminal, text, sizeof text);
        assert_int_equal(strncmp(text, "rollout 2026", 12), 0);
        assert_null(strchr(text, '\033'));
        terminal_close(&terminal);
    }
}

/* `test_sink_live show`: a made-up rollout on this terminal, to be looked at. */
static void pass_time(struct sink *sink, int64_t *now, int64_t ms)
{
    for (int64_t end = *now + ms; *now < end; *now += 50) {
        usleep(50000);
        sink->tick(sink, *now);
    }
}

static void show_phase(struct sink *sink, size_t node, enum node_phase what, int64_t now)
{
    struct record record = about(RECORD_PHASE, node, now);
    record.phase = node_phase_name(what);
    sink->record(sink, &record);
}

static int show(size_t count)
{
    struct sink *sink = sink_live_create(stderr, STDERR_FILENO, true, NORMAL);
    int64_t now = 0;
    make_fleet(count);
    struct record record = about(RECORD_STARTED, SIZE_MAX, now);
    sink->record(sink, &record);
    for (size_t i = 0; i < count; i++)
        show_phase(sink, i, PHASE_STAGE, now);
    for (uint64_t done = 1; done <= 10; done++) {
        for (size_t i = 0; i < count; i++) {
            record = about(RECORD_PROGRESS, i, now);
            record.done = done << 20;
            record.total = 10 << 20;
            sink->record(sink, &record);
        }
        pass_time(sink, &now, 200);
    }
    for (size_t i = 0; i < count; i++)
        show_phase(sink, i, PHASE_STAGED, now);
    for (size_t wave = 0; wave < 2; wave++) {
        record = about(RECORD_WAVE, SIZE_MAX, now);
        record.wave = wave;
        record.wave_count = 2;
        sink->record(sink, &record);
        for (size_t i = 0; i < count; i++) {
            if (waves[i] != wave)
                continue;
            show_phase(sink, i, PHASE_GATE, now);
            pass_time(sink, &now, 400);
            record = about(i == 3 ? RECORD_TROUBLE : RECORD_PROBE, i, now);
            record.text = i == 3 ? "gate closed: http 404 in 3ms; see the unit's journal below"
                                 : "http 200 in 3ms";
            sink->record(sink, &record);
            pass_time(sink, &now, 300);
            if (i != 3)
                show_phase(sink, i, PHASE_BAKE, now);
        }
    }
    pass_time(sink, &now, 1000);
    sink->finish(sink);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_fleet_has_a_line_a_node),
        cmocka_unit_test(staging_shows_a_bar_of_bytes),
        cmocka_unit_test(a_picture_is_never_wider_or_higher_than_the_terminal),
        cmocka_unit_test(who_works_and_who_is_in_trouble_come_first_and_the_rest_are_counted),
        cmocka_unit_test(nothing_is_shown_before_the_run_and_after_its_last_word),
        cmocka_unit_test(a_bar_is_full_only_at_the_end),
        cmocka_unit_test(it_draws_ten_times_a_second_at_most_and_shows_the_cursor_again),
        cmocka_unit_test(a_resized_terminal_is_asked_again),
        cmocka_unit_test(troubles_stay_above_the_view),
        cmocka_unit_test(a_dumb_or_narrow_terminal_gets_lines),
    };
    if (argc > 1 && strcmp(argv[1], "show") == 0)
        return show(argc > 2 ? (size_t)atoi(argv[2]) % (FLEET + 1) : 6);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
