#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deadline.h"
#include "hostile_peer.h"
#include "http_server.h"
#include "io/http.h"
#include "ssh_client.h"

struct fixture {
    struct http_server server;
    struct loop *loop;
    struct http_client *client;
};

/* What came of one request or probe. */
struct outcome {
    struct loop *loop;
    struct http_call *call;
    int times;
    int status;
    char body[65536];
    size_t length;
    uint64_t total;
    int64_t total_ms;
    struct err error;
};

static void on_response(void *context, const struct http_response *response)
{
    struct outcome *outcome = context;
    outcome->times++;
    outcome->status = response->status;
    outcome->length = response->body_length;
    outcome->total = response->body_total;
    outcome->total_ms = response->total_ms;
    assert_true(response->body_length < sizeof(outcome->body));
    memcpy(outcome->body, response->body, response->body_length + 1);
    if (response->error)
        outcome->error = *response->error;
    loop_stop(outcome->loop);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct err err;
    http_server_start(&fixture->server);
    assert_int_equal(loop_create(&fixture->loop, &err), 0);
    assert_int_equal(http_client_create(&fixture->client, fixture->loop, &err), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    http_client_free(fixture->client);
    loop_free(fixture->loop);
    http_server_stop(&fixture->server);
    free(fixture);
    return 0;
}

static void ask_fully(struct fixture *fixture, struct outcome *outcome,
                      struct http_request *request)
{
    struct err err = {0};
    memset(outcome, 0, sizeof(*outcome));
    outcome->loop = fixture->loop;
    outcome->call = http_start(fixture->client, request, on_response, outcome, &err);
    if (!outcome->call)
        fail_msg("%s", err.message);
    assert_int_equal(outcome->times, 0);
    loop_run(fixture->loop);
    assert_int_equal(outcome->times, 1);
}

static void ask(struct fixture *fixture, struct outcome *outcome, const char *path,
                int64_t timeout_ms)
{
    char url[200];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", fixture->server.port, path);
    struct http_request request = {
        .url = url, .timeout_ms = timeout_ms, .body_max = 1000, .verify_tls = true};
    ask_fully(fixture, outcome, &request);
}

#define assert_says(text, part)                                                                    \
    do {                                                                                           \
        if (!strstr(text, part))                                                                   \
            fail_msg("'%s' does not say '%s'", text, part);                                        \
    } while (0)

static struct outcome got; /* large; one test at a time */

static void a_status_and_a_body_come_back(void **state)
{
    ask(*state, &got, "/status/503", 10000);
    assert_int_equal(got.error.code, 0);
    assert_int_equal(got.status, 503);
    assert_string_equal(got.body, "status 503");
    assert_int_equal(got.total, 10);
}

static void a_redirect_is_not_followed(void **state)
{
    ask(*state, &got, "/redirect", 10000);
    assert_int_equal(got.status, 302);
}

static void a_large_body_is_counted_and_not_kept(void **state)
{
    ask(*state, &got, "/body/3000000", 20000);
    assert_int_equal(got.error.code, 0);
    assert_int_equal(got.status, 200);
    assert_int_equal(got.length, 1000);
    assert_int_equal(got.total, 3000000);
}

static void a_silent_server_ends_at_the_timeout_with_a_word(void **state)
{
    ask(*state, &got, "/never", 150);
    assert_int_equal(got.error.code, ERR_TIMEOUT);
    assert_int_equal(got.status, 0);
    assert_says(got.error.message, "no answer from 127.0.0.1:");
    assert_says(got.error.message, "within 150ms");
    assert_true(got.total_ms >= 140);
}

static void an_endless_body_ends_at_the_timeout(void **state)
{
    ask(*state, &got, "/slow", 150);
    assert_int_equal(got.error.code, ERR_TIMEOUT);
    assert_says(got.error.message, "no whole answer");
}

static void a_server_that_closes_is_told_apart(void **state)
{
    ask(*state, &got, "/close", 10000);
    assert_int_equal(got.error.code, ERR_PROTOCOL);
    assert_says(got.error.message, "closed without an answer");
}

static void a_body_cut_short_is_no_answer(void **state)
{
    ask(*state, &got, "/short", 10000);
    assert_int_equal(got.error.code, ERR_PROTOCOL);
    assert_int_equal(got.status, 0);
}

static void garbage_is_no_answer(void **state)
{
    ask(*state, &got, "/garbage", 10000);
    assert_int_equal(got.error.code, ERR_PROTOCOL);
    assert_says(got.error.message, "does not speak HTTP");
    assert_null(strchr(got.error.message, '\x1b'));
}

static void a_header_without_an_end_is_said(void **state)
{
    struct hostile_peer peer;
    char url[100];
    hostile_peer_start(&peer, "HTTP/1.1 200 OK\r\nX: ", "xxxxxxxxxxxxxxxx", 16);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", peer.port);
    struct http_request request = {.url = url, .timeout_ms = 20000, .body_max = 1000, .verify_tls = true};
    ask_fully(*state, &got, &request);
    hostile_peer_stop(&peer);
    assert_int_equal(got.error.code, ERR_PROTOCOL);
    assert_says(got.error.message, "header of more than 100 KiB");
}

static void a_closed_port_refuses(void **state)
{
    struct fixture *fixture = *state;
    char url[100];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port_unused());
    struct http_request request = {.url = url, .timeout_ms = deadline_ms(10000)};
    ask_fully(fixture, &got, &request);
    assert_int_equal(got.error.code, ERR_UNREACHABLE);
    assert_says(got.error.message, "refused the connection");
}

static void an_unknown_name_is_said(void **state)
{
    struct http_request request = {.url = "http://no-such-host.invalid/", .timeout_ms = deadline_ms(20000)};
    ask_fully(*state, &got, &request);
    assert_int_equal(got.error.code, ERR_UNREACHABLE);
    assert_says(got.error.message, "no-such-host.invalid");
}

static void headers_method_and_body_are_sent(void **state)
{
    struct fixture *fixture = *state;
    const char *headers[] = {"X-Token: t 1", "Content-Type: application/json", NULL};
    char url[100];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/echo?a=b", fixture->server.port);
    struct http_request request = {.url = url,
                                   .method = "PUT",
                                   .headers = headers,
                                   .body = "{\"a\":1}",
                                   .timeout_ms = deadline_ms(10000),
                                   .body_max = 4000};
    ask_fully(fixture, &got, &request);
    assert_says(got.body, "PUT /echo?a=b HTTP/1.1\r\n");
    assert_says(got.body, "X-Token: t 1\r\n");
    assert_says(got.body, "\r\n\r\n{\"a\":1}");
}

static void the_host_header_is_the_url_s_when_connecting_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    struct http_request request = {.url = "http://shop.example/echo",
                                   .timeout_ms = deadline_ms(10000),
                                   .body_max = 4000,
                                   .connect_host = "127.0.0.1",
                                   .connect_port = fixture->server.port};
    ask_fully(fixture, &got, &request);
    assert_int_equal(got.status, 200);
    assert_says(got.body, "Host: shop.example\r\n");
}

static void proxies_of_the_environment_are_ignored(void **state)
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    ask(*state, &got, "/status/200", 10000);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    assert_int_equal(got.status, 200);
}

static void malformed_requests_are_refused_at_once(void **state)
{
    struct fixture *fixture = *state;
    static const char *const urls[] = {
        "ftp://127.0.0.1/", "file:///etc/passwd",     "nonsense", "", "http://",
        "http://a b/",      "http://127.0.0.1:99999/"};
    const char *headers[] = {"X: a\r\nInjected: yes", NULL};
    struct err err;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct http_request request = {.url = urls[i], .timeout_ms = 1000};
        assert_null(http_start(fixture->client, &request, on_response, &got, &err));
        assert_int_equal(err.code, ERR_INPUT);
    }
    struct http_request request = {
        .url = "http://127.0.0.1/", .timeout_ms = 1000, .headers = headers};
    assert_null(http_start(fixture->client, &request, on_response, &got, &err));
    request.headers = NULL;
    request.method = "GET /x";
    assert_null(http_start(fixture->client, &request, on_response, &got, &err));
}

static void a_cancelled_call_says_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct outcome *other = calloc(1, sizeof(*other));
    struct err err;
    char url[100];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/slow", fixture->server.port);
    struct http_request request = {.url = url, .timeout_ms = deadline_ms(10000), .body_max = 100};
    other->loop = fixture->loop;
    struct http_call *call = http_start(fixture->client, &request, on_response, other, &err);
    ask(fixture, &got, "/status/200", 10000); /* turns the loop while the other is under way */
    http_cancel(call);
    ask(fixture, &got, "/status/200", 10000);
    assert_int_equal(other->times, 0);
    free(other);
}

struct crowd {
    struct loop *loop;
    int left, good;
};

static void on_one_of_many(void *context, const struct http_response *response)
{
    struct crowd *crowd = context;
    crowd->good += response->status == 200;
    if (--crowd->left == 0)
        loop_stop(crowd->loop);
}

static void many_calls_go_side_by_side(void **state)
{
    struct fixture *fixture = *state;
    struct crowd crowd = {.loop = fixture->loop};
    struct err err;
    char url[100];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/body/20000", fixture->server.port);
    struct http_request request = {.url = url, .timeout_ms = deadline_ms(30000), .body_max = 100};
    for (; crowd.left < 60; crowd.left++)
        assert_non_null(http_start(fixture->client, &request, on_one_of_many, &crowd, &err));
    loop_run(fixture->loop);
    assert_int_equal(crowd.good, 60);
}

/* --- TLS --- */

struct tls_server {
    char folder[64];
    pid_t pid;
    uint16_t port;
};

static int quiet(const char *command)
{
    return system(command);
}

/* Returns when it says ACCEPT. */
static void tls_start(struct tls_server *server)
{
    char command[700], port[8], line[100];
    int out[2];
    strcpy(server->folder, "/tmp/deployctl-tls.XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    snprintf(command, sizeof(command),
             "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
             "-keyout key "
             "-out cert -days 2 -subj /CN=shop.example -addext subjectAltName=DNS:shop.example "
             "2>/dev/null",
             server->folder);
    assert_int_equal(quiet(command), 0);
    server->port = port_unused();
    snprintf(port, sizeof(port), "%u", server->port);
    assert_int_equal(pipe(out), 0);
    server->pid = fork();
    if (server->pid == 0) {
        if (chdir(server->folder) != 0)
            _exit(1);
        dup2(out[1], 1);
        close(out[0]);
        close(2);
        execlp("openssl", "openssl", "s_server", "-www", "-accept", port, "-key", "key", "-cert",
               "cert", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *said = fdopen(out[0], "r");
    bool accepts = false;
    while (!accepts && fgets(line, sizeof(line), said))
        accepts = strncmp(line, "ACCEPT", 6) == 0;
    assert_true(accepts);
    fclose(said);
}

static void tls_stop(struct tls_server *server)
{
    char command[100];
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    snprintf(command, sizeof(command), "rm -rf %s", server->folder);
    assert_int_equal(quiet(command), 0);
}

static void tls_is_verified_unless_told_otherwise(void **state)
{
    struct fixture *fixture = *state;
    struct tls_server server;
    if (quiet("openssl version >/dev/null 2>&1") != 0)
        skip();
    tls_start(&server);
    struct http_request request = {.url = "https://shop.example/",
                                   .timeout_ms = deadline_ms(20000),
                                   .body_max = 100,
                                   .verify_tls = true,
                                   .connect_host = "127.0.0.1",
                                   .connect_port = server.port};
    ask_fully(fixture, &got, &request);
    assert_int_equal(got.error.code, ERR_PROTOCOL);
    assert_says(got.error.message, "TLS certificate of shop.example not trusted");
    request.verify_tls = false;
    ask_fully(fixture, &got, &request);
    assert_int_equal(got.error.code, 0);
    assert_int_equal(got.status, 200);
    tls_stop(&server);
}

static void plain_http_where_tls_is_wanted_is_said(void **state)
{
    struct fixture *fixture = *state;
    char url[100];
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/garbage", fixture->server.port);
    struct http_request request = {.url = url, .timeout_ms = 1000, .verify_tls = true};
    ask_fully(fixture, &got, &request);
    assert_true(got.error.code == ERR_PROTOCOL || got.error.code == ERR_TIMEOUT);
}

/* --- TCP --- */

static void on_probe(void *context, const struct err *error, int64_t total_ms)
{
    struct outcome *outcome = context;
    outcome->times++;
    outcome->total_ms = total_ms;
    outcome->error = error ? *error : (struct err){0};
    loop_stop(outcome->loop);
}

static void probe(struct loop *loop, struct ssh *via, const char *host, uint16_t port)
{
    memset(&got, 0, sizeof(got));
    got.loop = loop;
    assert_non_null(tcp_probe_start(loop, via, host, port, 10000, on_probe, &got));
    assert_int_equal(got.times, 0);
    loop_run(loop);
    assert_int_equal(got.times, 1);
}

static void a_tcp_probe_tells_open_from_refused(void **state)
{
    struct fixture *fixture = *state;
    probe(fixture->loop, NULL, "127.0.0.1", fixture->server.port);
    assert_int_equal(got.error.code, 0);
    probe(fixture->loop, NULL, "localhost", fixture->server.port);
    assert_int_equal(got.error.code, 0);
    probe(fixture->loop, NULL, "127.0.0.1", port_unused());
    assert_int_equal(got.error.code, ERR_UNREACHABLE);
    assert_says(got.error.message, "refused the connection");
    probe(fixture->loop, NULL, "no-such-host.invalid", 80);
    assert_int_equal(got.error.code, ERR_UNREACHABLE);
}

static void a_tcp_probe_can_be_cancelled(void **state)
{
    struct fixture *fixture = *state;
    struct outcome *other = calloc(1, sizeof(*other));
    other->loop = fixture->loop;
    tcp_probe_cancel(tcp_probe_start(fixture->loop, NULL, "127.0.0.1", fixture->server.port, 5000,
                                     on_probe, other));
    tcp_probe_cancel(tcp_probe_start(fixture->loop, NULL, "localhost", fixture->server.port, 5000,
                                     on_probe, other));
    probe(fixture->loop, NULL, "127.0.0.1", fixture->server.port);
    assert_int_equal(other->times, 0);
    free(other);
}

/* --- through a node --- */

struct node {
    struct sshd *sshd;
    struct client client;
    struct http_client *http;
};

static void node_start(struct node *node)
{
    struct err err;
    node->sshd = sshd_start(NULL);
    client_init(&node->client, node->sshd, NULL, NULL);
    if (!client_open(&node->client, deadline_ms(20000)))
        fail_msg("%s", node->client.error.message);
    assert_int_equal(http_client_create(&node->http, node->client.loop, &err), 0);
}

static void node_stop(struct node *node)
{
    http_client_free(node->http);
    client_release(&node->client);
    sshd_stop(node->sshd);
}

static void ask_through(struct node *node, struct fixture *fixture, const char *path,
                        int64_t timeout_ms)
{
    char url[200];
    snprintf(url, sizeof(url), "http://name.only.the.node.knows.invalid:%u%s", fixture->server.port,
             path);
    struct fixture there = {.loop = node->client.loop, .client = node->http};
    struct http_request request = {.url = url,
                                   .timeout_ms = timeout_ms,
                                   .body_max = 4000,
                                   .via = node->client.ssh,
                                   .connect_host = "127.0.0.1"};
    ask_fully(&there, &got, &request);
}

static void a_request_goes_through_a_node(void **state)
{
    struct node node;
    node_start(&node);
    ask_through(&node, *state, "/echo", 20000);
    if (got.error.code)
        fail_msg("%s", got.error.message);
    assert_int_equal(got.status, 200);
    assert_says(got.body, "Host: name.only.the.node.knows.invalid:");
    ask_through(&node, *state, "/body/20000000", 60000);
    assert_int_equal(got.error.code, 0);
    assert_int_equal(got.total, 20000000);
    ask_through(&node, *state, "/close", 20000);
    assert_says(got.error.message, "closed without an answer");
    ask_through(&node, *state, "/never", 300);
    assert_int_equal(got.error.code, ERR_TIMEOUT);
    ask_through(&node, *state, "/slow", 300);
    assert_int_equal(got.error.code, ERR_TIMEOUT);
    ask_through(&node, *state, "/status/204", 20000);
    assert_int_equal(got.status, 204);
    node_stop(&node);
}

static void a_large_request_body_goes_through_a_node(void **state)
{
    struct fixture *fixture = *state;
    struct node node;
    char url[100];
    char *body = calloc(1, 50001);
    memset(body, 'b', 50000);
    node_start(&node);
    struct fixture there = {.loop = node.client.loop, .client = node.http};
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/echo", fixture->server.port);
    struct http_request request = {.url = url,
                                   .method = "POST",
                                   .body = body,
                                   .timeout_ms = deadline_ms(20000),
                                   .body_max = 60000,
                                   .via = node.client.ssh};
    ask_fully(&there, &got, &request);
    assert_int_equal(got.status, 200);
    assert_true(got.length > 50000);
    assert_int_equal(got.body[got.length - 1], 'b');
    node_stop(&node);
    free(body);
}

static void a_port_closed_on_the_node_is_said(void **state)
{
    struct fixture nowhere = {.server.port = port_unused()};
    struct node node;
    (void)state;
    node_start(&node);
    ask_through(&node, &nowhere, "/", 20000);
    assert_int_not_equal(got.error.code, 0);
    assert_null(strstr(got.error.message, "closed without an answer"));
    print_message("through a node: %s\n", got.error.message);
    node_stop(&node);
}

static void a_tcp_probe_goes_through_a_node(void **state)
{
    struct fixture *fixture = *state;
    struct node node;
    node_start(&node);
    probe(node.client.loop, node.client.ssh, "127.0.0.1", fixture->server.port);
    assert_int_equal(got.error.code, 0);
    probe(node.client.loop, node.client.ssh, "127.0.0.1", port_unused());
    assert_int_not_equal(got.error.code, 0);
    print_message("through a node: %s\n", got.error.message);
    probe(node.client.loop, node.client.ssh, "127.0.0.1", fixture->server.port);
    assert_int_equal(got.error.code, 0);
    node_stop(&node);
}

static void a_lost_node_ends_the_call(void **state)
{
    struct fixture *fixture = *state;
    struct node node;
    struct err err = {0};
    char url[100];
    node_start(&node);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/never", fixture->server.port);
    struct http_request request = {.url = url, .timeout_ms = deadline_ms(20000), .via = node.client.ssh};
    memset(&got, 0, sizeof(got));
    got.loop = node.client.loop;
    assert_non_null(http_start(node.http, &request, on_response, &got, &err));
    sshd_cut(node.sshd);
    while (!got.times)
        loop_run(node.client.loop);
    assert_int_equal(got.times, 1);
    assert_int_equal(got.error.code, ERR_UNREACHABLE);
    node_stop(&node);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_status_and_a_body_come_back),
        TEST(a_redirect_is_not_followed),
        TEST(a_large_body_is_counted_and_not_kept),
        TEST(a_silent_server_ends_at_the_timeout_with_a_word),
        TEST(an_endless_body_ends_at_the_timeout),
        TEST(a_server_that_closes_is_told_apart),
        TEST(a_body_cut_short_is_no_answer),
        TEST(garbage_is_no_answer),
        TEST(a_header_without_an_end_is_said),
        TEST(a_closed_port_refuses),
        TEST(an_unknown_name_is_said),
        TEST(headers_method_and_body_are_sent),
        TEST(the_host_header_is_the_url_s_when_connecting_elsewhere),
        TEST(proxies_of_the_environment_are_ignored),
        TEST(malformed_requests_are_refused_at_once),
        TEST(a_cancelled_call_says_nothing),
        TEST(many_calls_go_side_by_side),
        TEST(tls_is_verified_unless_told_otherwise),
        TEST(plain_http_where_tls_is_wanted_is_said),
        TEST(a_tcp_probe_tells_open_from_refused),
        TEST(a_tcp_probe_can_be_cancelled),
        TEST(a_request_goes_through_a_node),
        TEST(a_large_request_body_goes_through_a_node),
        TEST(a_port_closed_on_the_node_is_said),
        TEST(a_tcp_probe_goes_through_a_node),
        TEST(a_lost_node_ends_the_call),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
