#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/prober.h"
#include "deadline.h"
#include "http_server.h"
#include "node_fixture.h"

#define QUICK_MS deadline_ms(20000)

static struct http_server server;
static struct node_fixture fixture; /* of the test that runs */

struct round {
    bool done, healthy;
    int calls, code;
    char evidence[ERR_MESSAGE_MAX];
};

static void probed(void *context, bool healthy, const char *evidence, const struct err *error)
{
    struct round *round = context;
    round->calls++;
    round->done = true;
    round->healthy = healthy;
    round->code = error ? error->code : 0;
    snprintf(round->evidence, sizeof(round->evidence), "%s", error ? error->message : evidence);
}

static const struct node_words words = {.release = "r7", .previous = "r6", .rollout = "run1"};
static struct prober *prober;

/* One node, whose [health] is this. */
static void begin(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void begin(const char *format, ...)
{
    char playbook[2048] = "start = true\n[health]\n";
    size_t length = strlen(playbook);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(playbook + length, sizeof(playbook) - length, format, arguments);
    va_end(arguments);
    struct node_options options = {.count = 1, .playbook = playbook, .variables = "color=green"};
    node_fixture_start(&fixture, &options);
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, NULL), 0);
    prober = prober_create(fixture.fleet, 0, &words);
}

static void end(void)
{
    prober_free(prober);
    node_fixture_stop(&fixture);
}

static struct round one_round(void)
{
    struct round round = {.done = false};
    prober_start(prober, probed, &round);
    assert_false(round.done);
    assert_true(node_wait(&fixture, &round.done));
    assert_int_equal(round.calls, 1);
    return round;
}

static void says(const struct round *round, bool healthy, const char *const parts[])
{
    for (size_t i = 0; parts[i]; i++)
        if (!strstr(round->evidence, parts[i]))
            fail_msg("'%s' is not in: %s", parts[i], round->evidence);
    assert_int_equal(round->code, 0);
    assert_int_equal(round->healthy, healthy);
}
#define SAYS(round, healthy, ...) says(round, healthy, (const char *const[]){__VA_ARGS__, NULL})

static void an_answer_as_expected_is_healthy(void **state)
{
    (void)state;
    begin("http = /status/204\nport = %u\n", server.port);
    struct round round = one_round();
    SAYS(&round, true, "http 204 in ", " ms");
    round = one_round();
    SAYS(&round, true, "http 204");
    end();
}

static void another_status_is_not(void **state)
{
    (void)state;
    begin("http = /status/503\nport = %u\nexpect = 200-399\n", server.port);
    struct round round = one_round();
    SAYS(&round, false, "http 503 in ");
    end();
}

static void a_body_that_does_not_match_is_said(void **state)
{
    (void)state;
    begin("http = /status/200\nport = %u\nbody = ^all (well|fine)$\n", server.port);
    struct round round = one_round();
    SAYS(&round, false, "http 200", "does not match '^all (well|fine)$'");
    end();
    begin("http = /status/200\nport = %u\nbody = status [0-9]+\n", server.port);
    round = one_round();
    SAYS(&round, true, "http 200");
    end();
}

static void names_in_url_and_headers_are_replaced(void **state)
{
    (void)state;
    begin("http = /echo?node={node}&color={color}&release={release}\nport = %u\n"
          "headers = X-Release: {release}, X-Node: {node} on {address}\n"
          "body = GET /echo[?]node=n1&color=green&release=r7 .*X-Release: r7.*X-Node: n1 on "
          "127.0.0.1\n",
          server.port);
    struct round round = one_round();
    SAYS(&round, true, "http 200");
    end();
}

/* /echo answers with the request's own headers: what is asked shows in the body. */
static void an_answer_of_another_release_does_not_count_after_an_activation(void **state)
{
    (void)state;
    begin("http = /echo?is={release}\nport = %u\nidentity = body is=r{node}\n", server.port);
    struct round round = one_round();
    SAYS(&round, true, "http 200");
    prober_expect(prober);
    round = one_round();
    SAYS(&round, false, "http 200", "of another instance: the body has no 'is=rn1'");
    end();
    begin("http = /echo?is={release}\nport = %u\nidentity = body is={release}\n", server.port);
    prober_expect(prober);
    round = one_round();
    SAYS(&round, true, "http 200");
    end();
    begin("http = /status/200\nport = %u\nidentity = header X-Release\n", server.port);
    prober_expect(prober);
    round = one_round();
    SAYS(&round, false, "of another instance: header X-Release is '', not 'r7'");
    end();
    begin("http = /gauge/1\nport = %u\nidentity = header Content-Type\n", server.port);
    prober_expect(prober);
    round = one_round();
    SAYS(&round, false, "of another instance: header Content-Type is 'text/plain', not 'r7'");
    end();
}

static void a_value_in_a_body_is_literal(void **state)
{
    (void)state;
    begin("http = /echo?color=gre\nport = %u\nbody = color=gre{color}*\n", server.port);
    struct round round = one_round();
    SAYS(&round, false, "does not match 'color=gregreen*'");
    end();
}

/* The command proves it once; until then no other check begins. */
static void an_identity_command_comes_before_the_other_checks(void **state)
{
    char script[64] = "/tmp/deployctl-identity.XXXXXX";
    (void)state;
    int fd = mkstemp(script);
    assert_true(fd >= 0);
    close(fd);
    begin("command = echo asked >>%s\nidentity = command echo \"is $DEPLOYCTL_RELEASE\"; test -s %s.new\n", script, script);
    prober_expect(prober);
    struct round round = one_round();
    SAYS(&round, false, "of another instance: identity exit 1: is r7");
    char command[200];
    snprintf(command, sizeof(command), "test ! -s %s && echo x >%s.new", script, script);
    assert_int_equal(system(command), 0);
    round = one_round();
    SAYS(&round, true, "command ok");
    snprintf(command, sizeof(command), "rm %s %s.new", script, script);
    assert_int_equal(system(command), 0);
    round = one_round();
    SAYS(&round, true, "command ok");
    unlink(script);
    end();
}

/* The node's program has noted no activation of this release: it counts as before. */
static void an_instance_that_no_activation_is_noted_of_counts(void **state)
{
    (void)state;
    begin("http = /status/200\nport = %u\n", server.port);
    prober_expect(prober);
    assert_true(prober_expects(prober));
    struct round round = one_round();
    SAYS(&round, true, "http 200");
    assert_null(prober_doubt(prober));
    end();
}

static void a_whole_url_goes_where_it_says(void **state)
{
    (void)state;
    begin("http = http://{address}:%u/status/200\nvia = direct\n", server.port);
    struct round round = one_round();
    SAYS(&round, true, "http 200");
    end();
}

static void nobody_listening_is_unhealthy(void **state)
{
    (void)state;
    begin("http = /\nport = %u\n", port_unused());
    struct round round = one_round();
    SAYS(&round, false, "http: ");
    assert_true(session_is_connected(node_session(&fixture, 0)));
    end();
    begin("http = /\nport = %u\nvia = direct\n", port_unused());
    round = one_round();
    SAYS(&round, false, "http: ", "refused");
    end();
}

static void silence_is_unhealthy_within_the_timeout(void **state)
{
    (void)state;
    begin("http = /never\nport = %u\ntimeout = 300ms\n", server.port);
    int64_t before = clock_wall_ms();
    struct round round = one_round();
    SAYS(&round, false, "http: ");
    assert_in_range((uintmax_t)(clock_wall_ms() - before), 250, (uintmax_t)deadline_ms(3000));
    end();
}

static void a_port_that_accepts_is_healthy(void **state)
{
    (void)state;
    begin("tcp = yes\nport = %u\n", server.port);
    struct round round = one_round();
    SAYS(&round, true, "tcp accepted in ");
    end();
    begin("tcp = yes\nport = %u\n", port_unused());
    round = one_round();
    SAYS(&round, false, "tcp: ");
    end();
}

static void a_command_is_asked_on_the_node(void **state)
{
    (void)state;
    begin("command = test \"$DEPLOYCTL_NODE $DEPLOYCTL_RELEASE $DEPLOYCTL_PREVIOUS "
          "$DEPLOYCTL_COLOR\" = "
          "'n1 r7 r6 green'\n");
    struct round round = one_round();
    SAYS(&round, true, "command ok");
    end();
    begin("command = echo 'queue is full' >&2; echo more; exit 3\n");
    round = one_round();
    SAYS(&round, false, "command exit 3: queue is full");
    assert_null(strstr(round.evidence, "more"));
    end();
}

static void a_command_that_hangs_is_unhealthy_and_the_next_round_is_fresh(void **state)
{
    (void)state;
    begin("command = ! [ -e $DEPLOYCTL_ROOT/hang ] || exec sleep 20\ntimeout = 300ms\n");
    free(shell_output("mkdir -p %s && touch %s", node_file(&fixture, 0, ""),
                      node_file(&fixture, 0, "hang")));
    struct round round = one_round();
    assert_false(round.healthy);
    assert_int_equal(round.code, 0);
    free(shell_output("rm %s", node_file(&fixture, 0, "hang")));
    round = one_round();
    SAYS(&round, true, "command ok");
    assert_true(session_is_connected(node_session(&fixture, 0)));
    end();
}

static void all_checks_stand_together(void **state)
{
    (void)state;
    begin("http = /status/200\ntcp = yes\ncommand = exit 4\nport = %u\n", server.port);
    struct round round = one_round();
    SAYS(&round, false, "http 200", "tcp accepted", "command exit 4", "; ");
    end();
    begin("http = /status/200\ntcp = yes\ncommand = true\nport = %u\n", server.port);
    round = one_round();
    SAYS(&round, true, "http 200", "tcp accepted", "command ok");
    end();
}

static void a_unit_that_is_not_there_is_unhealthy(void **state)
{
    (void)state;
    struct node_options options = {.count = 1, .playbook = "unit = no-such-unit.service\n"};
    node_fixture_start(&fixture, &options);
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, NULL), 0);
    prober = prober_create(fixture.fleet, 0, &words);
    assert_true(prober_has_checks(&fixture.playbook.playbook));
    struct round round = one_round();
    SAYS(&round, false, "unit");
    end();
}

static void a_lost_connection_says_nothing_of_health(void **state)
{
    (void)state;
    begin("http = /never\nport = %u\ntimeout = 5s\n", server.port);
    struct round round = {.done = false};
    prober_start(prober, probed, &round);
    sshd_cut(fixture.sshds[0]);
    assert_true(node_wait(&fixture, &round.done));
    assert_int_equal(round.code, ERR_UNREACHABLE);
    round = one_round();
    assert_int_equal(round.code, ERR_UNREACHABLE);
    end();
    begin("command = sleep 5\ntimeout = 5s\n");
    round.done = false;
    round.calls = 0;
    prober_start(prober, probed, &round);
    sshd_cut(fixture.sshds[0]);
    assert_true(node_wait(&fixture, &round.done));
    assert_int_equal(round.code, ERR_UNREACHABLE);
    assert_int_equal(round.calls, 1);
    end();
}

static void never(void *context, bool healthy, const char *evidence, const struct err *error)
{
    (void)context;
    (void)healthy;
    (void)evidence;
    (void)error;
    fail_msg("a cancelled round answered");
}

static void a_cancelled_round_answers_nobody(void **state)
{
    (void)state;
    begin("http = /slow\ntcp = yes\ncommand = sleep 0.3\nport = %u\n", server.port);
    struct answer answer;
    prober_start(prober, never, NULL);
    prober_cancel(prober);
    prober_start(prober, never, NULL);
    node_ask(&fixture, 0, &answer, "exec", "command", "true", NULL);
    prober_free(prober);
    prober = NULL;
    node_ask(&fixture, 0, &answer, "exec", "command", "sleep 0.5", NULL);
    end();
}

static int start_server(void **state)
{
    (void)state;
    http_server_start(&server);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    http_server_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_as_expected_is_healthy),
        cmocka_unit_test(another_status_is_not),
        cmocka_unit_test(a_body_that_does_not_match_is_said),
        cmocka_unit_test(names_in_url_and_headers_are_replaced),
        cmocka_unit_test(an_answer_of_another_release_does_not_count_after_an_activation),
        cmocka_unit_test(a_value_in_a_body_is_literal),
        cmocka_unit_test(an_identity_command_comes_before_the_other_checks),
        cmocka_unit_test(an_instance_that_no_activation_is_noted_of_counts),
        cmocka_unit_test(a_whole_url_goes_where_it_says),
        cmocka_unit_test(nobody_listening_is_unhealthy),
        cmocka_unit_test(silence_is_unhealthy_within_the_timeout),
        cmocka_unit_test(a_port_that_accepts_is_healthy),
        cmocka_unit_test(a_command_is_asked_on_the_node),
        cmocka_unit_test(a_command_that_hangs_is_unhealthy_and_the_next_round_is_fresh),
        cmocka_unit_test(all_checks_stand_together),
        cmocka_unit_test(a_unit_that_is_not_there_is_unhealthy),
        cmocka_unit_test(a_lost_connection_says_nothing_of_health),
        cmocka_unit_test(a_cancelled_round_answers_nobody),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
