/* Figures from real sources: services behind real sshds, a real Prometheus, commands; and what becomes of them. */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/analysis.h"
#include "deadline.h"
#include "http_server.h"
#include "node_fixture.h"

#define QUICK_MS deadline_ms(20000)
#define LOOK_MS 20

static struct http_server server;
static struct node_fixture fixture; /* of the test that runs */
static struct analyses *analyses;

/* n1 is the control, n2 the canary. */
static const struct analysis_node control = {.member = 0, .release = "r6", .previous = "r5"};
static const struct analysis_node canary = {.member = 1, .release = "r7", .previous = "r6"};

static void begin(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void begin(const char *format, ...)
{
    char playbook[4096] = "start = true\n";
    struct err err;
    size_t length = strlen(playbook);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(playbook + length, sizeof(playbook) - length, format, arguments);
    va_end(arguments);
    length = strlen(playbook);
    snprintf(playbook + length, sizeof(playbook) - length, "\n[strategy]\nbake = 6d\n");
    struct node_options options = {.count = 2, .playbook = playbook, .variables = "note=a+b"};
    node_fixture_start(&fixture, &options);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(node_connect(&fixture, i, QUICK_MS, NULL), 0);
    analyses = analyses_create(fixture.fleet, "run1");
    assert_non_null(analyses);
    assert_int_equal(analyses_begin(analyses, &canary, 1, &control, 1, &err), 0);
}

static void end(void)
{
    analyses_free(analyses);
    node_fixture_stop(&fixture);
}

/* --- waiting for what comes --- */

struct look {
    bool (*enough)(const struct judged *judged);
    bool done;
    struct timer *timer;
};

static void look_again(void *context)
{
    struct look *look = context;
    analyses_judge(analyses, false);
    look->done = look->enough(analyses_judged(analyses, 0));
    look->timer = look->done ? NULL : timer_start(fixture.fleet->loop, LOOK_MS, look_again, look);
}

static void wait_until(bool (*enough)(const struct judged *judged))
{
    struct look look = {.enough = enough};
    look_again(&look);
    if (!node_wait(&fixture, &look.done)) {
        struct strbuf said;
        strbuf_init(&said, 4096);
        judged_sentence(&said, analyses_judged(analyses, 0));
        fail_msg("not within a minute: %s", said.text);
    }
}

static bool both_have_enough(const struct judged *judged)
{
    return judged->evidence.canary_count >= 25 && judged->evidence.control_count >= 25;
}

static bool is_rejected(const struct judged *judged)
{
    return judged->evidence.verdict == VERDICT_FAIL;
}

static bool canary_has_enough(const struct judged *judged)
{
    return judged->evidence.canary_count >= 5;
}

static bool is_troubled(const struct judged *judged)
{
    return judged->trouble != NULL;
}

static void sentence_has(const char *part)
{
    struct strbuf said;
    strbuf_init(&said, 4096);
    judged_sentence(&said, analyses_judged(analyses, 0));
    if (!strstr(said.text, part))
        fail_msg("'%s' is not in: %s", part, said.text);
    strbuf_release(&said);
}

#define RULES "interval = 50ms\nmin_samples = 25\n"

/* --- probes --- */

static void a_slower_canary_is_found_by_probes(void **state)
{
    (void)state;
    /* so much slower that a busy machine cannot hide it */
    begin("port = %u\n[health]\nhttp = /wait/{number}00\n[analysis latency]\ninterval = 50ms\nmin_samples = 12\n",
          server.port);
    wait_until(is_rejected);
    const struct judged *judged = analyses_judged(analyses, 0);
    assert_int_equal(judged->evidence.reason, REASON_HIGHER);
    assert_true(judged->evidence.test.shift > 25 && judged->canary[0] >= 200 && judged->control[0] >= 100);
    sentence_has("analysis latency: fail: latency higher than the control: canary n ");
    end();
}

static void an_equal_canary_passes(void **state)
{
    (void)state;
    begin("port = %u\n[health]\nhttp = /wait/10\n[analysis latency]\nallowed = 50%%\n" RULES, server.port);
    wait_until(both_have_enough);
    assert_int_equal(analyses_judge(analyses, false), VERDICT_PASS);
    sentence_has("analysis latency: pass: latency within limits");
    end();
}

static void silence_counts_as_long_as_it_was_waited_for(void **state)
{
    (void)state;
    begin("port = %u\n[health]\nhttp = /never\n[analysis latency]\ncompare = no\nmax = 50ms\n"
          "timeout = 100ms\ninterval = 50ms\nmin_samples = 5\n",
          server.port);
    wait_until(canary_has_enough);
    assert_int_equal(analyses_judge(analyses, false), VERDICT_FAIL);
    assert_true(analyses_judged(analyses, 0)->canary[2] == 100);
    assert_int_equal(analyses_judged(analyses, 0)->evidence.control_count, 0);
    sentence_has("latency above max");
    sentence_has("median 100 ms (max 50 ms)");
    end();
}

/* n1 answers 201, n2 202. */
static void errors_are_shares_of_ten_answers(void **state)
{
    (void)state;
    begin("port = %u\n[health]\nhttp = /status/20{number}\nexpect = 201\n[analysis errors]\n"
          "metric = errors\nmax = 1%%\ninterval = 50ms\nmin_samples = 3\n",
          server.port);
    wait_until(canary_has_enough);
    assert_int_equal(analyses_judge(analyses, false), VERDICT_FAIL);
    const struct judged *judged = analyses_judged(analyses, 0);
    assert_true(judged->canary[0] == 100 && judged->control[4] == 0);
    sentence_has("errors above max: canary n ");
    sentence_has("mean 100% (max 1%)");
    end();
}

static void a_connection_that_is_gone_gives_no_figure(void **state)
{
    (void)state;
    begin("port = %u\n[health]\nhttp = /wait/1\n[analysis latency]\n" RULES, server.port);
    session_drop(node_session(&fixture, 1), "cut");
    wait_until(is_troubled);
    assert_int_equal(analyses_judge(analyses, false), VERDICT_INCONCLUSIVE);
    sentence_has("too few figures of the canary: canary n 0");
    sentence_has("node n2: not connected");
    end();
}

/* --- commands --- */

static void a_command_says_a_number_for_each_side(void **state)
{
    (void)state;
    begin("[health]\ncommand = true\n[analysis load]\nsource = command\n"
          "command = test $DEPLOYCTL_SIDE = canary && echo \"$DEPLOYCTL_NODE has 30.5\" || echo 20\n"
          "interval = 50ms\nmin_samples = 5\n");
    wait_until(canary_has_enough);
    assert_int_equal(analyses_judge(analyses, false), VERDICT_FAIL);
    assert_true(analyses_judged(analyses, 0)->evidence.test.shift == 10.5);
    end();
}

static void a_command_without_a_number_is_told(void **state)
{
    static const char *const commands[][2] = {{"echo 12ms", "the command printed no number"},
                                              {"echo nan", "the command printed no number"},
                                              {"echo 3; exit 4", "the command ended with exit 4"},
                                              {"sleep 60", "the command did not end in time"}};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        begin("[health]\ncommand = true\n[analysis load]\nsource = command\ncommand = %s\n"
              "timeout = 1s\ninconclusive = fail\n",
              commands[i][0]);
        wait_until(is_troubled);
        assert_int_equal(analyses_judge(analyses, false), VERDICT_FAIL);
        assert_int_equal(analyses_judged(analyses, 0)->evidence.verdict, VERDICT_INCONCLUSIVE);
        sentence_has(commands[i][1]);
        end();
    }
}

/* The commands are ended with the window. */
static void what_is_under_way_ends_with_the_window(void **state)
{
    struct err err;
    (void)state;
    begin("[health]\ncommand = true\n[analysis load]\nsource = command\ncommand = sleep 60\ntimeout = 60s\n");
    for (int i = 0; i < 20; i++)
        uv_run(loop_uv(fixture.fleet->loop), UV_RUN_NOWAIT);
    analyses_end(analyses);
    assert_int_equal(analyses_begin(analyses, &canary, 1, &control, 1, &err), 0);
    for (int i = 0; i < 20; i++)
        uv_run(loop_uv(fixture.fleet->loop), UV_RUN_NOWAIT);
    end();
}

/* --- prometheus --- */

static pid_t prometheus;
static uint16_t prometheus_port;
static char prometheus_folder[] = "/tmp/test-prometheus-XXXXXX";

static void write_config(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nscrape_configs:\n", file);
    for (int node = 1; node <= 2; node++)
        fprintf(file,
                "  - job_name: n%d\n    metrics_path: /gauge/%d0\n    static_configs:\n"
                "      - targets: ['127.0.0.1:%u']\n        labels: {node: n%d, release: r%d}\n",
                node, node, server.port, node, node + 5);
    assert_int_equal(fclose(file), 0);
}

/* A real one, for all tests: scrapes the test's own server, `figure` is 10 for n1 and 20 for n2. */
static void prometheus_begin(void)
{
    char config[128], folder[128], listen[64];
    assert_non_null(mkdtemp(prometheus_folder));
    prometheus_port = port_unused();
    snprintf(config, sizeof(config), "--config.file=%s/prometheus.yml", prometheus_folder);
    snprintf(folder, sizeof(folder), "--storage.tsdb.path=%s/data", prometheus_folder);
    snprintf(listen, sizeof(listen), "--web.listen-address=127.0.0.1:%u", prometheus_port);
    write_config(config + strlen("--config.file="));
    prometheus = fork();
    if (prometheus == 0) {
        int null = open("/dev/null", O_RDWR);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails may end this program */
        dup2(null, 1);
        dup2(null, 2);
        execlp("prometheus", "prometheus", config, folder, listen, NULL);
        _exit(127);
    }
}

static void prometheus_end(void)
{
    int status;
    kill(prometheus, SIGKILL);
    waitpid(prometheus, &status, 0);
    if (WIFEXITED(status))
        print_error("prometheus ended with %d; `make deps` installs it\n", WEXITSTATUS(status));
    free(shell_output("rm -rf %s", prometheus_folder));
}

static void a_prometheus_is_asked_for_each_node(void **state)
{
    (void)state;
    begin("[health]\ncommand = true\n[analysis figure]\nsource = prometheus\n"
          "prometheus = http://127.0.0.1:%u/\nquery = 2 * figure{{node=\"{node}\"}} + 1\n"
          "interval = 50ms\nmin_samples = 25\n",
          prometheus_port);
    wait_until(both_have_enough);
    assert_int_equal(analyses_judge(analyses, false), VERDICT_FAIL);
    assert_true(analyses_judged(analyses, 0)->canary[2] == 41);
    assert_true(analyses_judged(analyses, 0)->control[2] == 21);
    end();
}

static void a_prometheus_is_asked_by_release(void **state)
{
    (void)state;
    begin("[health]\ncommand = true\n[analysis figure]\nsource = prometheus\ncompare = control\n"
          "prometheus = http://127.0.0.1:%u\nquery = sum(figure{{release=\"{release}\"}})\n"
          "direction = decrease\ninterval = 50ms\nmin_samples = 25\n",
          prometheus_port);
    wait_until(both_have_enough);
    assert_int_equal(analyses_judge(analyses, false), VERDICT_PASS);
    assert_true(analyses_judged(analyses, 0)->evidence.test.shift == 10);
    end();
}

static const char *const queries[][2] = {
    {"figure", "the query gives 2 series; make one number of them"},
    {"figure[1m]", "prometheus: the query gives no instant vector"},
    {"sum(", "prometheus: http 400: invalid parameter"}};

static bool all_are_told(const struct judged *judged)
{
    (void)judged;
    for (size_t i = 0; i < 3; i++) {
        const char *trouble = analyses_judged(analyses, i)->trouble;
        if (!trouble || !strstr(trouble, queries[i][1]))
            return false;
    }
    return true;
}

static void what_prometheus_says_is_told(void **state)
{
    char all[3][256];
    (void)state;
    for (size_t i = 0; i < 3; i++)
        snprintf(all[i], sizeof(all[i]),
                 "[analysis a%zu]\nsource = prometheus\ncompare = no\nmax = 1\n"
                 "prometheus = http://127.0.0.1:%u\nquery = %s\ninterval = 50ms\n",
                 i, prometheus_port, queries[i][0]);
    begin("[health]\ncommand = true\n%s%s%s", all[0], all[1], all[2]);
    wait_until(all_are_told);
    end();
}

static void a_value_that_could_end_a_string_is_refused(void **state)
{
    (void)state;
    begin("[health]\ncommand = true\n[analysis figure]\nsource = prometheus\ncompare = control\n"
          "prometheus = http://127.0.0.1:1\nquery = figure{{a=\"{note}\", b=\"{node}\"}}\n");
    wait_until(is_troubled);
    sentence_has("{note} has other bytes than letters, digits and");
    end();
}

static int listen_silently(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(listener >= 0 && bind(listener, (struct sockaddr *)&address, length) == 0 &&
                listen(listener, 16) == 0 &&
                getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    *port = ntohs(address.sin_port);
    return listener;
}

static size_t count_peers(int listener)
{
    size_t count = 0;
    for (int peer; (peer = accept(listener, NULL, NULL)) >= 0; count++)
        close(peer);
    return count;
}

/* Both nodes would ask; the first one waits in vain, and the other one is spared. */
static void a_server_out_of_reach_is_asked_once_a_round(void **state)
{
    uint16_t port;
    int listener = listen_silently(&port);
    (void)state;
    begin("[health]\ncommand = true\n[analysis figure]\nsource = prometheus\n"
          "prometheus = http://127.0.0.1:%u\nquery = figure{{node=\"{node}\"}}\n"
          "timeout = 300ms\ninterval = 1h\n",
          port);
    wait_until(is_troubled);
    sentence_has("no answer from 127.0.0.1");
    assert_int_equal(count_peers(listener), 1);
    close(listener);
    end();
}

static bool is_left_alone(const struct judged *judged)
{
    return judged->trouble && strstr(judged->trouble, "not asked for another");
}

static void a_server_that_is_dead_costs_one_time_out_in_all_rounds(void **state)
{
    uint16_t port;
    int listener = listen_silently(&port);
    (void)state;
    begin("[health]\ncommand = true\n[breaker]\ncool_down = 6h\n[analysis figure]\nsource = prometheus\n"
          "prometheus = http://127.0.0.1:%u\nquery = figure{{node=\"{node}\"}}\n"
          "timeout = 300ms\ninterval = 50ms\n",
          port);
    wait_until(is_left_alone);
    sentence_has("its breaker is open: no answer from 127.0.0.1");
    assert_int_equal(count_peers(listener), 1);
    close(listener);
    end();
}

static void a_server_that_refuses_is_left_alone_after_so_many_failures(void **state)
{
    uint16_t port;
    int listener = listen_silently(&port);
    (void)state;
    close(listener);
    begin("[health]\ncommand = true\n[breaker]\nfailures = 3\ncool_down = 6h\n[analysis figure]\n"
          "source = prometheus\nprometheus = http://127.0.0.1:%u\nquery = figure\ncompare = no\nmax = 1\ninterval = 50ms\n",
          port);
    wait_until(is_left_alone);
    sentence_has("its breaker is open: 127.0.0.1");
    end();
}

/* --- several, and what is left to compare with --- */

static void any_fail_fails_and_too_little_data_follows_its_policy(void **state)
{
    static const struct {
        const char *first, *second;
        enum verdict verdict;
    } cases[] = {{"max = 10", "max = 10", VERDICT_PASS},
                 {"max = 10", "max = 1", VERDICT_FAIL},
                 {"max = 10", "max = 10\nmin_samples = 1000", VERDICT_INCONCLUSIVE},
                 {"max = 1", "max = 10\nmin_samples = 1000", VERDICT_FAIL},
                 {"max = 10", "max = 10\nmin_samples = 1000\ninconclusive = pass", VERDICT_PASS}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin("[health]\ncommand = true\n[analysis a]\nsource = command\ncommand = echo 5\ncompare = no\n"
              "interval = 50ms\n%s%s\n[analysis b]\nsource = command\ncommand = echo 6\ncompare = no\n"
              "interval = 50ms\n%s%s\n",
              cases[i].first, strstr(cases[i].first, "min_samples") ? "" : "\nmin_samples = 2",
              cases[i].second, strstr(cases[i].second, "min_samples") ? "" : "\nmin_samples = 2");
        wait_until(canary_has_enough);
        assert_int_equal(analyses_count(analyses), 2);
        assert_int_equal(analyses_judge(analyses, false), cases[i].verdict);
        end();
    }
}

static void without_a_control_only_limits_are_looked_at(void **state)
{
    (void)state;
    begin("[health]\ncommand = true\n[analysis a]\nsource = command\n"
          "command = test $DEPLOYCTL_SIDE = canary && echo 30 || echo 20\ninterval = 50ms\nmin_samples = 5\n");
    wait_until(canary_has_enough);
    assert_int_equal(analyses_judge(analyses, false), VERDICT_FAIL);
    assert_int_equal(analyses_judge(analyses, true), VERDICT_PASS);
    end();
}

static int serve(void **state)
{
    (void)state;
    http_server_start(&server);
    prometheus_begin();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    prometheus_end();
    http_server_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slower_canary_is_found_by_probes),
        cmocka_unit_test(an_equal_canary_passes),
        cmocka_unit_test(silence_counts_as_long_as_it_was_waited_for),
        cmocka_unit_test(errors_are_shares_of_ten_answers),
        cmocka_unit_test(a_connection_that_is_gone_gives_no_figure),
        cmocka_unit_test(a_command_says_a_number_for_each_side),
        cmocka_unit_test(a_command_without_a_number_is_told),
        cmocka_unit_test(what_is_under_way_ends_with_the_window),
        cmocka_unit_test(a_prometheus_is_asked_for_each_node),
        cmocka_unit_test(a_prometheus_is_asked_by_release),
        cmocka_unit_test(what_prometheus_says_is_told),
        cmocka_unit_test(a_value_that_could_end_a_string_is_refused),
        cmocka_unit_test(a_server_out_of_reach_is_asked_once_a_round),
        cmocka_unit_test(a_server_that_is_dead_costs_one_time_out_in_all_rounds),
        cmocka_unit_test(a_server_that_refuses_is_left_alone_after_so_many_failures),
        cmocka_unit_test(any_fail_fails_and_too_little_data_follows_its_policy),
        cmocka_unit_test(without_a_control_only_limits_are_looked_at),
    };
    return cmocka_run_group_tests(tests, serve, stop);
}
