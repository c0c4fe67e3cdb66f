/*
 * Balancers, and the service's lock in etcd, in virtual time: what they wait for, and for how long. Two balancers that commands drive, with
 * scripted servers behind them; etcd's answers by a table. No engine: who holds leases is scripted, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/balancer.h"
#include "app/service_lock.h"
#include "clock.h"
#include "network.h"
#include "outside.h"
#include "parsed.h"

/* --- counting --- */

static int passed, failed;
static const char *test_name;
static bool test_fine;

static void check(bool holds, const char *what, int line)
{
    if (!holds)
        printf("%s: line %d: %s, at %.3f s\n", test_name, line, what, (double)clock_now() / 1000);
    test_fine = test_fine && holds;
}
#define CHECK(condition) check((condition), #condition, __LINE__)

/* --- the balancers' servers, one each: n1 --- */

static struct server {
    bool out;
    int64_t sessions_until; /* it has one until then */
    int looks, drains, readies; /* looks: since the last drain */
    int looks_before_last_drain;
    int forgets_at;  /* the look at which it has lost its drain; 0: never */
    int sticks_at;   /* the look at which a session shows that was chosen while it was lost */
    int hangs_drain_ms;
} servers[2];

static void work(void *context, struct runner *runner, const char *const argv[], const char *const environment[],
                 struct child_work *out)
{
    struct server *server = &servers[argv[2][strlen(argv[2]) - 1] == 'b'];
    (void)context, (void)runner, (void)environment;
    *out = (struct child_work){.ms = 10};
    if (strncmp(argv[2], "drain", 5) == 0) {
        server->out = true;
        server->drains++;
        server->looks_before_last_drain = server->looks;
        server->looks = 0;
        out->ms += server->hangs_drain_ms;
    } else if (strncmp(argv[2], "ready", 5) == 0) {
        server->out = false;
        server->readies++;
    } else {
        server->looks++;
        if (server->forgets_at && server->drains == 1 && server->looks == server->forgets_at)
            server->out = false;
        bool busy = clock_now() < server->sessions_until || (server->drains == 2 && server->looks == server->sticks_at && server->sticks_at);
        snprintf(out->output, sizeof(out->output), "%s 1000 %d\n", server->out ? "drain" : "ready", busy);
    }
}

/* --- etcd, for io/http.h: stands in for outside.c's --- */

struct http_client {
    struct loop *loop;
};
struct http_call {
    struct timer *timer;
    http_fn *fn;
    void *context;
    char body[200];
};
static int64_t keepalive_answer_ms; /* how long the first takes; further ones get none */
static int keepalives;
static int64_t lost_at;

int http_client_create(struct http_client **out, struct loop *loop, struct err *err)
{
    (void)err;
    *out = malloc(sizeof(**out));
    (*out)->loop = loop;
    return 0;
}

void http_client_free(struct http_client *client)
{
    free(client);
}

static void answer(void *context)
{
    struct http_call *call = context;
    struct http_response response = {.status = 200, .body = call->body, .body_length = strlen(call->body)};
    call->fn(call->context, &response);
    free(call);
}

struct http_call *http_start(struct http_client *client, const struct http_request *request, http_fn *fn, void *context,
                             struct err *err)
{
    static const char *const answers[][2] = {
        {"lease/grant", "{\"ID\":\"7\",\"TTL\":\"60\"}"},
        {"lease/keepalive", "{\"result\":{\"ID\":\"7\",\"TTL\":\"60\"}}"},
        {"kv/txn", "{\"header\":{\"revision\":\"5\"},\"succeeded\":true}"},
        {"kv/range", "{\"header\":{\"revision\":\"5\"}}"},
    };
    struct http_call *call = calloc(1, sizeof(*call));
    int64_t delay_ms = 5;
    (void)err;
    *call = (struct http_call){.fn = fn, .context = context};
    snprintf(call->body, sizeof(call->body), "{}");
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        if (strstr(request->url, answers[i][0]))
            snprintf(call->body, sizeof(call->body), "%s", answers[i][1]);
    if (strstr(request->url, "keepalive"))
        delay_ms = keepalives++ == 0 ? keepalive_answer_ms : 3600000;
    call->timer = timer_start(client->loop, delay_ms, answer, call);
    return call;
}

void http_cancel(struct http_call *call)
{
    if (!call)
        return;
    timer_stop(call->timer);
    free(call);
}

/* --- a fleet of one node --- */

static const char playbook_text[] = "[service]\nname = shop\nhosts = all\nroot = /srv/shop\nstart = run\n[source]\ndir = .\n"
                                    "[health]\ncommand = ask\n[breaker]\ncool_down = 1s\n"
                                    "[lock]\netcd = http://etcd:2379\ntimeout = 30s\n"
                                    "[balancer a]\ntype = command\non = runner\nserver = {node}\ndrain = drain-a\nready = ready-a\n"
                                    "state = state-a\ntimeout = 10m\ndrain_timeout = 10s\n"
                                    "[balancer b]\ntype = command\non = runner\nserver = {node}\ndrain = drain-b\nready = ready-b\n"
                                    "state = state-b\ntimeout = 10m\ndrain_timeout = 10s\n";
static struct parsed inventory, playbook;
static struct fleet *fleet;

/* Who holds leases. */
static int64_t unsure_until, none_from;
static int asked;

static enum lease_answer ask(void *context, size_t member, struct err *why)
{
    (void)context, (void)member;
    asked++;
    err_set(why, ERR_NO_LEASE, "nobody knows");
    return clock_now() >= none_from ? LEASE_NONE : clock_now() < unsure_until ? LEASE_UNSURE : LEASE_HOLDS;
}
static const struct lease_guard guard = {.ask = ask};

struct operation {
    bool done;
    enum done_status status;
    int64_t at;
    char sentence[300];
};

static void ended(void *context, const struct step_result *result)
{
    struct operation *operation = context;
    *operation = (struct operation){.done = true, .status = result->status, .at = clock_now()};
    snprintf(operation->sentence, sizeof(operation->sentence), "%.290s", result->sentence);
    loop_stop(fleet->loop);
}

static void until_done(struct operation *operation)
{
    while (!operation->done)
        loop_run(fleet->loop);
}

static void take_out(struct operation *operation)
{
    *operation = (struct operation){.done = false};
    balancers_start(fleet->balancers, 0, BALANCER_OUT, false, ended, operation);
    until_done(operation);
}

static void stop(void *context)
{
    (void)context;
    loop_stop(fleet->loop);
}

static void let_pass(int64_t ms)
{
    int64_t end = clock_now() + ms;
    timer_start(fleet->loop, ms, stop, NULL);
    while (clock_now() < end)
        loop_run(fleet->loop);
}

/* --- tests --- */

static void sessions_of_each_balancer_are_waited_for(void)
{
    for (int busy = 0; busy < 2; busy++) {
        struct operation operation;
        servers[0] = servers[1] = (struct server){0};
        servers[busy].sessions_until = clock_now() + 5000;
        int64_t busy_until = servers[busy].sessions_until;
        take_out(&operation);
        CHECK(operation.status == DONE_OK);
        CHECK(operation.at >= busy_until);
        balancers_start(fleet->balancers, 0, BALANCER_IN, false, ended, &(struct operation){0});
        let_pass(2000);
    }
}

/* Two looks in a row, both after the drain that is in force: a session that was chosen before counts a moment later. */
static void a_drain_that_was_forgotten_is_no_quiet_look(void)
{
    struct operation operation;
    servers[0] = (struct server){.forgets_at = 2, .sticks_at = 3};
    take_out(&operation);
    CHECK(operation.status == DONE_OK);
    CHECK(servers[0].drains == 3); /* drained, drained again, shut */
    CHECK(servers[0].looks_before_last_drain >= 5); /* of the drain itself, one that is quiet, one with the session, two that are quiet */
}

static void what_was_taken_out_is_put_back_when_time_is_over(void)
{
    struct operation operation;
    servers[1].hangs_drain_ms = 400000;
    take_out(&operation);
    CHECK(operation.status == DONE_FAILED);
    CHECK(strstr(operation.sentence, "did not answer in time") != NULL);
    CHECK(servers[0].drains == 1);
    let_pass(1000);
    CHECK(!servers[0].out && servers[0].readies == 1);
    let_pass(500000);
    CHECK(!servers[1].out && servers[1].readies == 1);
}

static void nothing_is_written_before_a_lease_is_renewed(void)
{
    struct operation operation;
    unsure_until = clock_now() + 3000;
    int64_t from = unsure_until;
    *(&operation) = (struct operation){.done = false};
    balancers_start(fleet->balancers, 0, BALANCER_OUT, false, ended, &operation);
    let_pass(2900);
    CHECK(servers[0].drains == 0 && asked > 10 && !operation.done);
    until_done(&operation);
    CHECK(operation.status == DONE_OK && operation.at >= from);
    CHECK(servers[0].out && servers[1].out);
}

static void without_a_lease_nothing_is_written_and_the_operation_fails_at_once(void)
{
    struct operation operation;
    none_from = 0;
    take_out(&operation);
    CHECK(operation.status == DONE_FAILED && operation.at < 1000);
    CHECK(strstr(operation.sentence, "not written: nobody knows") != NULL);
    CHECK(servers[0].drains + servers[1].drains + servers[0].readies + servers[1].readies == 0);
    CHECK(balancers_unwritten(fleet->balancers, 0));
}

static void after_a_lost_lease_nothing_is_put_back_not_by_a_retry_and_not_by_watching(void)
{
    struct operation operation;
    servers[0].sessions_until = servers[1].sessions_until = 1 << 30;
    none_from = 2000;
    *(&operation) = (struct operation){.done = false};
    balancers_start(fleet->balancers, 0, BALANCER_OUT, false, ended, &operation);
    let_pass(3000);
    CHECK(servers[0].out && servers[1].out);
    balancers_stop(fleet->balancers, 0);
    until_done(&operation);
    CHECK(operation.status == DONE_CANCELLED);
    /* another run puts it in */
    servers[0].out = servers[1].out = false;
    let_pass(120000);
    CHECK(servers[0].drains == 1 && servers[1].drains == 1);
    CHECK(servers[0].readies + servers[1].readies == 0);
    CHECK(balancers_holds_out(fleet->balancers, 0));
}

static void what_is_watched_is_not_told_again_without_a_lease(void)
{
    struct operation operation;
    take_out(&operation);
    CHECK(operation.status == DONE_OK);
    none_from = clock_now();
    int drains = servers[0].drains;
    servers[0].out = false;
    let_pass(60000);
    CHECK(servers[0].drains == drains && !servers[0].out);
    none_from = INT64_MAX;
    let_pass(5000);
    CHECK(servers[0].drains == drains + 1 && servers[0].out);
}

static void is_lost(void *context, const char *sentence)
{
    (void)context, (void)sentence;
    lost_at = clock_now();
    loop_stop(fleet->loop);
}

static void the_service_lock_ends_by_when_its_last_renewal_was_sent(void)
{
    struct service_lock *lock;
    struct err err;
    struct service_lock_order order = {.fleet = fleet, .rollout = "r1", .holder = "me"};
    keepalive_answer_ms = 19000;
    keepalives = 0;
    lost_at = 0;
    CHECK(service_lock_take(&lock, &order, &err) == 0);
    service_lock_on_lost(lock, is_lost, NULL);
    int64_t first_beat = clock_now();
    CHECK(service_lock_holds(lock));
    while (!lost_at)
        loop_run(fleet->loop);
    /* etcd's lease ends no later than 60 s after the last one that it answered was sent */
    CHECK(keepalives >= 1);
    CHECK(lost_at <= first_beat + 54000 + 100 && lost_at > first_beat + 50000);
    CHECK(!service_lock_holds(lock));
    service_lock_release(lock, true, &err);
}

static void (*const tests[])(void) = {
    sessions_of_each_balancer_are_waited_for,
    a_drain_that_was_forgotten_is_no_quiet_look,
    what_was_taken_out_is_put_back_when_time_is_over,
    nothing_is_written_before_a_lease_is_renewed,
    without_a_lease_nothing_is_written_and_the_operation_fails_at_once,
    after_a_lost_lease_nothing_is_put_back_not_by_a_retry_and_not_by_watching,
    what_is_watched_is_not_told_again_without_a_lease,
    the_service_lock_ends_by_when_its_last_renewal_was_sent,
};
static const char *const names[] = {
    "sessions of each balancer are waited for",
    "a drain that was forgotten is no quiet look",
    "what was taken out is put back when time is over",
    "nothing is written before a lease is renewed",
    "without a lease nothing is written, and the operation fails at once",
    "after a lost lease nothing is put back, not by a retry and not by watching",
    "what is watched is not told again without a lease",
    "the service's lock ends by when its last renewal was sent",
};

static void body(void *context)
{
    size_t test = *(size_t *)context, node = 0;
    struct err err = {0};
    if (fleet_create(&fleet, &inventory.inventory, &node, 1, &playbook.playbook, &err) < 0) {
        check(false, err.message, __LINE__);
        return;
    }
    fleet->guard = &guard;
    tests[test]();
    fleet_free(fleet);
}

int main(void)
{
    static const char inventory_text[] = "n1 address=10.0.0.1\n";
    static struct model_node node;
    parsed_inventory(&inventory, inventory_text, sizeof(inventory_text) - 1);
    parsed_playbook(&playbook, playbook_text, sizeof(playbook_text) - 1, NULL, 0, &inventory.inventory);
    if (inventory.code < 0 || playbook.code < 0)
        printf("%s%s\n", inventory.told, playbook.told);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        test_name = names[i];
        test_fine = true;
        memset(servers, 0, sizeof(servers));
        unsure_until = asked = 0;
        none_from = INT64_MAX;
        clock_begin(1, NULL);
        outside_begin();
        network_begin(&node, 0);
        clock_watch_children(work, NULL);
        runner_start(body, &i, NULL);
        while (clock_turn()) {
        }
        network_end();
        clock_end();
        outside_end();
        if (!test_fine)
            printf("FAILED  %s\n", test_name);
        *(test_fine ? &passed : &failed) += 1;
    }
    parsed_release(&playbook);
    parsed_release(&inventory);
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
