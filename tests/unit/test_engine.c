#include "check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/engine.h"
#include "deadline.h"
#include "http_server.h"
#include "node_fixture.h"

#define QUICK_MS deadline_ms(20000)
/* A whole playbook, quick; hooks are added to it. */
#define CHECKS_WITH(OUT)                                                                           \
    "start = \"$DEPLOYCTL_ROOT/current/start\"\n"                                                  \
    "[strategy]\nbatch = 1, 2\nbake = 100ms\nmax_unavailable = " OUT "\n"                          \
    "[health]\ncommand = test ! -e \"$DEPLOYCTL_ROOT/current/bad\" || { echo it is bad; exit 1; "  \
    "}\n"                                                                                          \
    "interval = 100ms\ntimeout = 1500ms\nrise = 1\nmin_healthy_time = 100ms\n"                     \
    "healthy_deadline = 1500ms\nprogress_deadline = 60s\n"
#define CHECKS CHECKS_WITH("2")
#define QUICK                                                                                      \
    CHECKS "[retry]\nbase = 50ms\nattempts = 2\nconnect_timeout = 5s\nstep_timeout = 10s\n"
#define IMPATIENT                                                                                  \
    CHECKS "[retry]\nbase = 50ms\nattempts = 1\nconnect_timeout = 1500ms\nstep_timeout = 10s\n"

/* --- a run and its story --- */

struct run {
    struct node_fixture fixture;
    struct sink sink;
    struct sinks sinks;
    struct strbuf story; /* a line a record */
    void (*seen)(struct run *run, const struct record *record);
    size_t results;
    struct session *other; /* another runner's, to the first node */
    struct answer answer;
    int acted;
    struct engine_outcome outcome;
    int exit_code;
    int64_t took_ms;
};

static void keep(struct sink *sink, const struct record *record)
{
    struct run *run = (struct run *)(void *)((char *)sink - offsetof(struct run, sink));
    struct strbuf *story = &run->story;
    bool noise = record->kind == RECORD_PROBE || record->kind == RECORD_PROGRESS;
    if (!noise)
        strbuf_adds(story, record_kind_name(record->kind));
    const char *const words[] = {record->node == SIZE_MAX ? NULL
                                                          : record->roster->nodes[record->node],
                                 record->phase,
                                 record->state,
                                 record->outcome,
                                 record->result,
                                 record->text};
    for (size_t i = 0; !noise && i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i])
            strbuf_addf(story, " %s", words[i]);
    if (record->kind == RECORD_WAVE)
        strbuf_addf(story, " %zu of %zu", record->wave + 1, record->wave_count);
    if (record->kind == RECORD_OUTCOME && record->final)
        strbuf_adds(story, " (final)");
    if (!noise)
        strbuf_addc(story, '\n');
    run->results += record->kind == RECORD_RESULT;
    if (run->seen)
        run->seen(run, record);
}

static void begin_with(struct run *run, const struct node_options *options)
{
    *run = (struct run){.sink = {.record = keep}};
    strbuf_init(&run->story, 1 << 20);
    sinks_add(&run->sinks, &run->sink);
    node_fixture_start(&run->fixture, options);
    setenv("TEST_FOLDER", run->fixture.folder, 1);
}

static void begin(struct run *run, const char *playbook)
{
    struct node_options options = {.count = 3, .playbook = playbook};
    begin_with(run, &options);
}

static void end(struct run *run)
{
    session_free(run->other);
    node_fixture_stop(&run->fixture);
    strbuf_release(&run->story);
}

static int go(struct run *run, struct package *package, const char *name)
{
    static const struct amount batch[] = {{.value = 1}, {.value = 2}};
    static const struct engine_patience patience = {
        .heartbeat_ms = 300, .answer_ms = 1500, .cancel_ms = 1500};
    const char *targets[FIXTURE_NODES_MAX];
    struct err err;
    for (size_t i = 0; i < FIXTURE_NODES_MAX; i++)
        targets[i] = package_release(package);
    struct engine_settings settings = {
        .fleet = run->fixture.fleet,
        .playbook = &run->fixture.playbook.playbook,
        .sinks = &run->sinks,
        .package = package,
        .targets = targets,
        .kind = RUN_ROLLOUT,
        .rollout = name,
        .holder = "tester@host",
        .description = "a release of the test",
        .forks = 10,
        .patience = &patience,
    };
    assert_int_equal(waves_compile(&settings.waves, run->fixture.count, NULL, batch, 2,
                                   &run->fixture.fleet->arena, &err),
                     0);
    strbuf_reset(&run->story);
    run->results = 0;
    int64_t before = clock_wall_ms();
    assert_int_equal(engine_run(&settings, &run->outcome, &err), 0);
    run->took_ms = clock_wall_ms() - before;
    run->exit_code = engine_exit_code(&run->outcome);
    assert_int_equal(run->results, 1);
    return run->exit_code;
}

static struct package *release_of(struct run *run, const char *version, const char *more)
{
    char shell[600];
    snprintf(
        shell, sizeof(shell),
        "printf '#!/bin/sh\\necho %s >>$DEPLOYCTL_ROOT/started\\n' >start; chmod 755 start; %s",
        version, more ? more : "true");
    return node_release(&run->fixture, version, shell);
}

static void story_has(const struct run *run, const char *part)
{
    if (!strstr(run->story.text, part))
        fail_msg("'%s' is not in:\n%s", part, run->story.text);
}

static void story_lacks(const struct run *run, const char *part)
{
    if (strstr(run->story.text, part))
        fail_msg("'%s' is in:\n%s", part, run->story.text);
}

static void runs(const struct run *run, size_t node, const char *version)
{
    char *found = shell_output("cat %s 2>/dev/null || echo none",
                               node_file(&run->fixture, node, "current/version"));
    if (strcmp(found, version) != 0)
        fail_msg("n%zu runs %s, not %s; the story:\n%s", node + 1, found, version, run->story.text);
    free(found);
}

static void exits(const struct run *run, int code)
{
    if (run->exit_code != code)
        fail_msg("exit code %d, not %d; the story:\n%s", run->exit_code, code, run->story.text);
}

/* No node is left locked. */
static void nobody_is_locked(struct run *run)
{
    char *held =
        shell_output("cd %s; for n in n*; do top=$(ls $n/.deployctl/lock 2>/dev/null | grep -x "
                     "'[0-9]*' | sort -n | tail -1); "
                     "[ -z \"$top\" ] || [ -e $n/.deployctl/lock/$top.end ] || echo $n; done",
                     run->fixture.folder);
    if (*held)
        fail_msg("still locked: %s; the story:\n%s", held, run->story.text);
    free(held);
}

/* --- whole rollouts --- */

static void two_releases_go_to_three_nodes(void **state)
{
    (void)state;
    struct run run;
    begin(&run, QUICK);
    struct package *one = release_of(&run, "one", NULL), *two = release_of(&run, "two", NULL);
    go(&run, one, "r1");
    exits(&run, 0);
    assert_int_equal(run.outcome.result, RESULT_DONE);
    assert_int_equal(strncmp(run.story.text, "started\n", 8), 0);
    story_has(&run, "wave 1 of 2\n");
    story_has(&run, "wave 2 of 2\n");
    assert_true(strstr(run.story.text, "wave 1 of 2") <
                strstr(run.story.text, "phase n1 activate"));
    assert_true(strstr(run.story.text, "wave 2 of 2") <
                strstr(run.story.text, "phase n2 activate"));
    story_has(&run, "outcome n3 updated (final)\n");
    assert_non_null(strstr(run.story.text, "result done"));
    go(&run, two, "r2");
    exits(&run, 0);
    for (size_t i = 0; i < 3; i++)
        runs(&run, i, "two");
    go(&run, two, "r3");
    exits(&run, 0);
    assert_int_equal(run.outcome.result, RESULT_NOTHING);
    story_lacks(&run, "activate");
    char *started = shell_output("cat %s", node_file(&run.fixture, 2, "started"));
    assert_string_equal(started, "one\ntwo");
    free(started);
    nobody_is_locked(&run);
    package_free(one);
    package_free(two);
    end(&run);
}

static void a_percentage_that_may_be_out_is_of_the_weights(void **state)
{
    (void)state;
    struct run run;
    struct node_options options = {.count = 4,
                                   .weights = {50, 200, 50, 50},
                                   .playbook = CHECKS_WITH("50%") "[retry]\nconnect_timeout = 5s\n"};
    begin_with(&run, &options);
    struct package *one = release_of(&run, "one", NULL), *two = release_of(&run, "two", NULL);
    go(&run, one, "r1");
    go(&run, two, "r2");
    exits(&run, 0);
    story_has(&run, "outcome n2 updated\n");
    assert_true(strstr(run.story.text, "outcome n2 updated\n") < strstr(run.story.text, "phase n3 activate"));
    package_free(one);
    package_free(two);
    end(&run);
}

static void a_release_that_fails_goes_back(void **state)
{
    (void)state;
    struct run run;
    begin(&run, QUICK);
    struct package *good = release_of(&run, "good", NULL),
                   *bad = release_of(&run, "bad", "touch bad");
    go(&run, good, "r1");
    exits(&run, 0);
    go(&run, bad, "r2");
    exits(&run, 1);
    story_has(&run, "trouble n1 gate");
    story_has(&run, "it is bad");
    story_has(&run, "outcome n1 restored");
    story_lacks(&run, "n2 activate");
    for (size_t i = 0; i < 3; i++)
        runs(&run, i, "good");
    nobody_is_locked(&run);
    package_free(good);
    package_free(bad);
    end(&run);
}

static void a_first_release_that_fails_leaves_no_release(void **state)
{
    (void)state;
    struct run run;
    begin(&run, QUICK);
    struct package *bad = release_of(&run, "bad", "touch bad");
    go(&run, bad, "r1");
    exits(&run, 1);
    for (size_t i = 0; i < 3; i++)
        runs(&run, i, "none");
    nobody_is_locked(&run);
    package_free(bad);
    end(&run);
}

static void a_start_that_fails_shows_what_it_said(void **state)
{
    (void)state;
    struct run run;
    begin(&run, QUICK);
    struct package *good = release_of(&run, "good", NULL);
    struct package *bad =
        release_of(&run, "bad", "printf '#!/bin/sh\\necho no database >&2; exit 7\\n' >start");
    go(&run, good, "r1");
    go(&run, bad, "r2");
    exits(&run, 1);
    story_has(&run, "trouble n1 activate");
    runs(&run, 0, "good");
    package_free(good);
    package_free(bad);
    end(&run);
}

/* --- hooks --- */

static void hooks_run_where_and_when_they_should(void **state)
{
    (void)state;
    struct run run;
    begin(&run, QUICK "[step staged]\nwhen = after_stage\non = first\nrun = echo first "
                      "$DEPLOYCTL_NODE >>$DEPLOYCTL_ROOT/../log\n"
                      "[step told]\nwhen = after_stage\non = runner\n"
                      "run = echo \"runner $DEPLOYCTL_SERVICE ${DEPLOYCTL_NODE-none} "
                      "$DEPLOYCTL_ROLLOUT\" >>$TEST_FOLDER/log\n"
                      "[step before]\nwhen = before_activate\non = node\n"
                      "run = echo before $DEPLOYCTL_NODE $DEPLOYCTL_NUMBER $DEPLOYCTL_SERVICE "
                      ">>$DEPLOYCTL_ROOT/../log; echo shown\n"
                      "[step after]\nwhen = after_activate\non = runner\n"
                      "run = echo after $DEPLOYCTL_NODE $DEPLOYCTL_RELEASE >>$TEST_FOLDER/log\n");
    struct package *one = release_of(&run, "one", NULL);
    char expected[1000];
    go(&run, one, "r1");
    exits(&run, 0);
    char *log = shell_output("cat %s/log", run.fixture.folder);
    /* The two of after_stage belong to no order of each other. */
    char *head = shell_output("head -2 %s/log | sort; sed -n 3,4p %s/log", run.fixture.folder,
                              run.fixture.folder);
    snprintf(expected, sizeof(expected),
             "first n1\nrunner shop none r1\nbefore n1 1 shop\nafter n1 %s", package_release(one));
    assert_string_equal(head, expected);
    assert_non_null(strstr(log, "before n2 2 shop\n"));
    assert_non_null(strstr(log, "before n3 3 shop\n"));
    story_has(&run, "output n2 hook shown\n");
    free(log);
    free(head);
    package_free(one);
    end(&run);
}

static void a_hook_that_fails_takes_the_release_back(void **state)
{
    (void)state;
    struct run run;
    begin(&run, QUICK "[step check]\nwhen = after_activate\non = node\n"
                      "run = echo not so; [ ! -e $DEPLOYCTL_ROOT/current/refuse ] || exit 9\n"
                      "[step undone]\nwhen = after_rollback\non = runner\nrun = echo undone "
                      "$DEPLOYCTL_NODE >>$TEST_FOLDER/log\n");
    struct package *good = release_of(&run, "good", NULL),
                   *bad = release_of(&run, "bad", "touch refuse");
    go(&run, good, "r1");
    exits(&run, 0);
    go(&run, bad, "r2");
    exits(&run, 1);
    story_has(&run, "output n1 hook not so\n");
    story_has(&run, "step check: exit status 9");
    runs(&run, 0, "good");
    char *log = shell_output("cat %s/log", run.fixture.folder);
    assert_string_equal(log, "undone n1");
    free(log);
    package_free(good);
    package_free(bad);
    end(&run);
}

static void a_hook_on_the_runner_that_hangs_is_ended(void **state)
{
    (void)state;
    struct run run;
    begin(&run, QUICK
          "[step slow]\nwhen = before_activate\non = runner\ntimeout = 300ms\nrun = sleep 30\n");
    struct package *one = release_of(&run, "one", NULL);
    go(&run, one, "r1");
    assert_true(run.exit_code == 1 || run.exit_code == 2);
    assert_true(run.took_ms < deadline_ms(10000));
    story_has(&run, "step slow: it did not end in time");
    package_free(one);
    end(&run);
}

static void a_hook_on_a_node_that_hangs_is_ended_and_told_by_its_time(void **state)
{
    (void)state;
    struct run run;
    begin(&run, QUICK "[step slow]\nwhen = before_activate\non = node\ntimeout = 300ms\nrun = sleep 30\n");
    struct package *one = release_of(&run, "one", NULL);
    go(&run, one, "r1");
    assert_true(run.exit_code == 1 || run.exit_code == 2);
    story_has(&run, "step slow: no end within its timeout of 300ms");
    package_free(one);
    end(&run);
}

/* --- refusals --- */

static void a_node_that_is_not_there_changes_nothing(void **state)
{
    (void)state;
    struct run run;
    struct node_options options = {.count = 3, .playbook = QUICK, .dead_last = true};
    begin_with(&run, &options);
    struct package *one = release_of(&run, "one", NULL);
    go(&run, one, "r1");
    exits(&run, 69);
    story_has(&run, "outcome n3 unreachable");
    story_lacks(&run, "activate");
    runs(&run, 0, "none");
    nobody_is_locked(&run);
    package_free(one);
    end(&run);
}

static void a_node_that_only_fails_is_left_alone_and_told_with_its_cause(void **state)
{
    (void)state;
    struct run run;
    struct node_options options = {.count = 2,
                                   .playbook = CHECKS "[retry]\nbase = 50ms\nattempts = 9\n"
                                                      "[breaker]\nfailures = 2\ncool_down = 100ms\n",
                                   .dead_last = true};
    begin_with(&run, &options);
    struct package *one = release_of(&run, "one", NULL);
    go(&run, one, "r1");
    exits(&run, 69);
    story_has(&run, "breaker n2 open breaker open, left alone for 100ms: connect ");
    story_has(&run, "breaker n2 half open breaker half open: one trial");
    assert_true(run.fixture.fleet->retries.nodes > 0);
    assert_int_equal(run.fixture.fleet->retries.others, 0);
    package_free(one);
    end(&run);
}

static void a_node_that_somebody_locked_refuses(void **state)
{
    (void)state;
    struct run run;
    begin(&run, QUICK);
    struct package *one = release_of(&run, "one", NULL);
    node_connect(&run.fixture, 1, QUICK_MS, NULL);
    node_lock(&run.fixture, 1, "somebody-elses");
    go(&run, one, "r1");
    exits(&run, 4);
    story_has(&run, "locked by tester, rollout somebody-elses");
    story_lacks(&run, "activate");
    package_free(one);
    end(&run);
}

/* --- interrupts --- */

static void interrupt_at_activation(struct run *run, const struct record *record)
{
    if (record->kind == RECORD_PHASE && strcmp(record->phase, "activate") == 0 && !run->acted++)
        kill(getpid(), SIGTERM);
}

static void an_interrupt_ends_what_runs_and_starts_nothing_new(void **state)
{
    (void)state;
    struct run run;
    begin(&run, QUICK);
    struct package *one = release_of(&run, "one", NULL);
    run.seen = interrupt_at_activation;
    go(&run, one, "r1");
    exits(&run, 143);
    assert_int_equal(run.outcome.signal_number, SIGTERM);
    assert_false(run.outcome.left_at_once);
    assert_true(run.took_ms < deadline_ms(10000));
    story_lacks(&run, "n2 activate");
    story_has(&run, "resume");
    nobody_is_locked(&run);
    package_free(one);
    end(&run);
}

static void interrupt_twice(struct run *run, const struct record *record)
{
    bool hook = record->kind == RECORD_PHASE && strcmp(record->phase, "hook") == 0;
    bool told = record->kind == RECORD_NOTICE && strstr(record->text, "interrupted");
    if ((hook && run->acted == 0) || (told && run->acted == 1)) {
        run->acted++;
        kill(getpid(), SIGINT);
    }
}

static void a_second_interrupt_leaves_at_once(void **state)
{
    (void)state;
    static const char *const hooks[] = {
        QUICK "[step slow]\nwhen = before_activate\non = node\nrun = sleep 30\n",
        QUICK "[step slow]\nwhen = before_activate\non = runner\nrun = sleep 30\n"};
    for (size_t i = 0; i < 2; i++) {
        struct run run;
        begin(&run, hooks[i]);
        struct package *one = release_of(&run, "one", NULL);
        run.seen = interrupt_twice;
        go(&run, one, "r1");
        exits(&run, 130);
        assert_true(run.outcome.left_at_once);
        assert_true(run.took_ms < deadline_ms(8000));
        runs(&run, 0, "none");
        package_free(one);
        end(&run);
    }
}

/* --- nodes that stop answering, leases that are lost --- */

static void freeze_at_activation(struct run *run, const struct record *record)
{
    bool activation = record->kind == RECORD_PHASE && strcmp(record->phase, "activate") == 0;
    if (activation && record->node == 0 && !run->acted++) {
        sshd_freeze(run->fixture.sshds[0]);
        kill(run->fixture.sshds[0]->pid, SIGSTOP);
    }
}

static void a_node_that_freezes_in_the_middle_needs_care(void **state)
{
    (void)state;
    struct run run;
    begin(&run, IMPATIENT);
    struct package *one = release_of(&run, "one", NULL);
    run.seen = freeze_at_activation;
    go(&run, one, "r1");
    kill(run.fixture.sshds[0]->pid, SIGCONT);
    sshd_thaw(run.fixture.sshds[0]);
    exits(&run, 2);
    assert_true(run.took_ms < deadline_ms(30000));
    story_has(&run, "outcome n1 needs care");
    story_lacks(&run, "phase n2 activate");
    package_free(one);
    end(&run);
}

static void freeze_connections_at_activation(struct run *run, const struct record *record)
{
    bool activation = record->kind == RECORD_PHASE && strcmp(record->phase, "activate") == 0;
    if (activation && record->node == 0 && !run->acted++)
        sshd_freeze(run->fixture.sshds[0]);
}

static void a_connection_that_freezes_is_made_again(void **state)
{
    (void)state;
    struct run run;
    begin(&run, QUICK);
    struct package *one = release_of(&run, "one", NULL);
    run.seen = freeze_connections_at_activation;
    go(&run, one, "r1");
    exits(&run, 0);
    for (size_t i = 0; i < 3; i++)
        runs(&run, i, "one");
    package_free(one);
    end(&run);
}

static void cut_in_the_bake(struct run *run, const struct record *record)
{
    bool baking = record->kind == RECORD_PHASE && strcmp(record->phase, "bake") == 0;
    if (baking && record->node == 0 && !run->acted++)
        sshd_cut(run->fixture.sshds[0]);
}

static void a_connection_cut_in_the_bake_is_made_again(void **state)
{
    (void)state;
    struct run run;
    struct http_server server;
    char playbook[400];
    http_server_start(&server);
    snprintf(
        playbook, sizeof(playbook),
        "start = true\n[strategy]\nbake = 1s\n[health]\nhttp = /status/200\nport = %u\n"
        "identity = command true\ninterval = 100ms\nrise = 1\nmin_healthy_time = 100ms\n[retry]\nbase = 1ms\nattempts = 2\n",
        server.port);
    begin(&run, playbook);
    struct package *one = release_of(&run, "one", NULL);
    run.seen = cut_in_the_bake;
    go(&run, one, "r1");
    exits(&run, 0);
    assert_int_equal(run.acted, 1);
    story_lacks(&run, "retry");
    nobody_is_locked(&run);
    package_free(one);
    end(&run);
    http_server_stop(&server);
}

static void break_lock(struct run *run, const struct record *record)
{
    struct err err;
    bool baking = record->kind == RECORD_PHASE && strcmp(record->phase, "bake") == 0;
    if (!baking || run->acted++)
        return;
    session_begin(run->other, "break");
    session_add(run->other, "holder", "somebody");
    assert_int_not_equal(session_submit(run->other, QUICK_MS, answer_keep, &run->answer, &err), 0);
}

static void other_connected(void *context, const struct err *error)
{
    struct run *run = context;
    assert_null(error);
    run->answer.came = true;
}

static void connect_other(struct run *run)
{
    const struct sshd *sshd = run->fixture.sshds[0];
    const struct member *member = &run->fixture.fleet->members[0];
    struct session_settings settings = {
        .loop = run->fixture.fleet->loop,
        .ssh = run->fixture.fleet->ssh,
        .target = {.name = "n1",
                   .address = "127.0.0.1",
                   .port = sshd->port,
                   .user = sshd->user,
                   .key = sshd->key,
                   .host_keys = member->node->connection.host_keys,
                   .host_key_count = member->node->connection.host_key_count},
        .service = &member->service,
    };
    run->other = session_create(&settings);
    session_connect(run->other, QUICK_MS, other_connected, run);
    assert_true(node_wait(&run->fixture, &run->answer.came));
}

static void a_lock_that_is_broken_stops_everything(void **state)
{
    (void)state;
    struct run run;
    begin(&run, "start = true\n[strategy]\nbatch = 1, 2\nbake = 10m\n[health]\ncommand = "
                "true\ninterval = 100ms\n"
                "rise = 1\nmin_healthy_time = 100ms\n");
    struct package *one = release_of(&run, "one", NULL);
    connect_other(&run);
    run.seen = break_lock;
    go(&run, one, "r1");
    exits(&run, 2);
    assert_int_equal(run.answer.status, REPLY_OK);
    assert_true(run.took_ms < 600000); /* the bake's end was not awaited */
    story_has(&run, "notice n1 the lock was lost: ");
    story_has(&run, "broken");
    story_lacks(&run, "phase n2 activate");
    story_has(&run, "the locks still held were given back");
    story_has(&run, "when nobody has, `deployctl resume");
    nobody_is_locked(&run); /* the others not either */
    package_free(one);
    end(&run);
}

/* --- exit codes --- */

static void each_result_has_its_exit_code(void **state)
{
    (void)state;
    static const struct {
        struct engine_outcome outcome;
        int code;
    } cases[] = {
        {{.result = RESULT_DONE}, 0},
        {{.result = RESULT_NOTHING}, 0},
        {{.result = RESULT_ROLLED_BACK}, 1},
        {{.result = RESULT_NEEDS_CARE}, 2},
        {{.result = RESULT_HELD}, 3},
        {{.result = RESULT_REFUSED}, 4},
        {{.result = RESULT_UNREACHABLE}, 69},
        {{.result = RESULT_INTERRUPTED, .signal_number = SIGINT}, 130},
        {{.result = RESULT_INTERRUPTED, .signal_number = SIGTERM}, 143},
        {{.result = RESULT_RUNNING, .signal_number = SIGTERM, .left_at_once = true}, 143},
        {{.result = RESULT_ROLLED_BACK, .signal_number = SIGINT}, 1},
        {{.result = RESULT_DONE, .signal_number = SIGINT}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(engine_exit_code(&cases[i].outcome), cases[i].code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_releases_go_to_three_nodes),
        cmocka_unit_test(a_percentage_that_may_be_out_is_of_the_weights),
        cmocka_unit_test(a_release_that_fails_goes_back),
        cmocka_unit_test(a_first_release_that_fails_leaves_no_release),
        cmocka_unit_test(a_start_that_fails_shows_what_it_said),
        cmocka_unit_test(hooks_run_where_and_when_they_should),
        cmocka_unit_test(a_hook_that_fails_takes_the_release_back),
        cmocka_unit_test(a_hook_on_the_runner_that_hangs_is_ended),
        cmocka_unit_test(a_hook_on_a_node_that_hangs_is_ended_and_told_by_its_time),
        cmocka_unit_test(a_node_that_is_not_there_changes_nothing),
        cmocka_unit_test(a_node_that_only_fails_is_left_alone_and_told_with_its_cause),
        cmocka_unit_test(a_node_that_somebody_locked_refuses),
        cmocka_unit_test(an_interrupt_ends_what_runs_and_starts_nothing_new),
        cmocka_unit_test(a_second_interrupt_leaves_at_once),
        cmocka_unit_test(a_node_that_freezes_in_the_middle_needs_care),
        cmocka_unit_test(a_connection_that_freezes_is_made_again),
        cmocka_unit_test(a_connection_cut_in_the_bake_is_made_again),
        cmocka_unit_test(a_lock_that_is_broken_stops_everything),
        cmocka_unit_test(each_result_has_its_exit_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
