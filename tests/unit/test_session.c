#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/digest.h"
#include "deadline.h"
#include "node/program.h"
#include "node_fixture.h"

#define QUICK_MS deadline_ms(20000)

static const struct node_options one_node = {.count = 1};

static void contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in: %s", part, text);
}

struct losses {
    int count;
    bool any;
    struct err error;
};

static void lost(void *context, const struct err *error)
{
    struct losses *losses = context;
    losses->count++;
    losses->any = true;
    losses->error = *error;
}

/* --- connecting --- */

static void noise_of_a_start_up_file_is_passed_over(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct answer answer;
    struct node_options options = {.count = 1,
                                   .sshd = "ForceCommand echo 'Welcome to n1'; printf "
                                           "'deployctl-node 1 0000\\n1 . ok no\\nno end'; "
                                           "eval \"$SSH_ORIGINAL_COMMAND\""};
    node_fixture_start(&fixture, &options);
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, NULL), 0);
    node_ask(&fixture, 0, &answer, "exec", "command", "echo here", NULL);
    assert_int_equal(answer.status, REPLY_OK);
    assert_string_equal(answer.output, "here\n");
    node_fixture_stop(&fixture);
}

static void a_shell_that_ends_at_once_says_why(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct err err;
    struct node_options options = {
        .count = 1,
        .sshd = "ForceCommand echo first >&2; echo 'This account is not available' >&2; exit 3"};
    node_fixture_start(&fixture, &options);
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, &err), ERR_UNREACHABLE);
    contains(err.message, "exit 3");
    contains(err.message, "This account is not available");
    assert_false(session_is_connected(node_session(&fixture, 0)));
    node_fixture_stop(&fixture);
}

static void what_a_login_shell_says_instead_of_a_prompt_is_told(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct err err;
    struct node_options options = {
        .count = 1, .sshd = "ForceCommand echo 'This account is currently not available.'; exit 1"};
    node_fixture_start(&fixture, &options);
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, &err), ERR_UNREACHABLE);
    contains(err.message, "exit 1): This account is currently not available.; may that account run commands");
    node_fixture_stop(&fixture);
}

static void a_shell_that_never_starts_is_given_up(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct err err;
    struct node_options options = {.count = 1, .sshd = "ForceCommand exec sleep 600"};
    node_fixture_start(&fixture, &options);
    assert_int_equal(node_connect(&fixture, 0, 1500, &err), ERR_TIMEOUT);
    contains(err.message, "starting the node's program");
    assert_int_equal(node_connect(&fixture, 0, 1500, &err), ERR_TIMEOUT);
    node_fixture_stop(&fixture);
}

static void nobody_listening_is_unreachable(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct node_options options = {.count = 2, .dead_last = true};
    node_fixture_start(&fixture, &options);
    assert_int_equal(node_connect(&fixture, 1, 2000, NULL), ERR_UNREACHABLE);
    node_fixture_stop(&fixture);
}

/* Its words are legal, and there is no end of them. */
static void a_node_that_answers_without_end_is_dropped(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct err err;
    char config[400];
    snprintf(config, sizeof(config),
             "ForceCommand IFS= read -r m; printf 'deployctl-node %d %%s\\n' \"${m#boot-}\"; v=$(head -c 60000 /dev/zero | tr '\\0' x); "
             "while printf '1 = key %%s\\n' \"$v\"; do :; done",
             NODE_PROTOCOL);
    struct node_options options = {.count = 1, .sshd = config};
    node_fixture_start(&fixture, &options);
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, &err), ERR_PROTOCOL);
    contains(err.message, "8.0 MiB");
    node_fixture_stop(&fixture);
}

/* What it sends is not kept, so that no memory grows. */
static void assert_flood_is_dropped(const char *line, const char *word)
{
    struct node_fixture fixture;
    struct err err;
    char config[400];
    snprintf(config, sizeof(config),
             "ForceCommand IFS= read -r m; printf 'deployctl-node %d %%s\\n' \"${m#boot-}\"; exec yes '%s %0200d'", NODE_PROTOCOL, line, 0);
    struct node_options options = {.count = 1, .sshd = config};
    node_fixture_start(&fixture, &options);
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, &err), ERR_PROTOCOL);
    contains(err.message, word);
    node_fixture_stop(&fixture);
}

static void a_node_that_prints_without_end_is_dropped(void **state)
{
    (void)state;
    assert_flood_is_dropped("1 |", "more than 8 MiB in answer to `open`");
}

static void a_node_that_answers_what_was_not_asked_is_dropped(void **state)
{
    (void)state;
    assert_flood_is_dropped("4711 |", "more than 1 MiB that was not asked for");
    assert_flood_is_dropped("4711 . ok", "more than 1 MiB that was not asked for");
}

/* A PATH with nothing but a shell. */
static void a_node_that_cannot_work_refuses_each_time(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct err err;
    char folder[] = "/tmp/test-tools-XXXXXX", config[200], link[64];
    assert_non_null(mkdtemp(folder));
    snprintf(link, sizeof(link), "%s/sh", folder);
    assert_int_equal(symlink("/bin/sh", link), 0);
    snprintf(config, sizeof(config),
             "ForceCommand PATH=%s; export PATH; eval \"$SSH_ORIGINAL_COMMAND\"", folder);
    struct node_options options = {.count = 1, .sshd = config};
    node_fixture_start(&fixture, &options);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(node_connect(&fixture, 0, QUICK_MS, &err), ERR_REFUSED);
        contains(err.message, "setsid");
        contains(err.message, "install");
    }
    node_fixture_stop(&fixture);
    unlink(link);
    rmdir(folder);
}

static void a_connection_that_stands_is_told_again(void **state)
{
    (void)state;
    struct node_fixture fixture;
    node_fixture_start(&fixture, &one_node);
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, NULL), 0);
    struct ssh *ssh = session_ssh(node_session(&fixture, 0));
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, NULL), 0);
    assert_ptr_equal(session_ssh(node_session(&fixture, 0)), ssh);
    const char *tar = session_trait(node_session(&fixture, 0), "tool tar");
    assert_non_null(tar);
    assert_string_equal(tar, "yes");
    assert_null(session_trait(node_session(&fixture, 0), "tool spoon"));
    node_fixture_stop(&fixture);
}

/* --- requests --- */

static void a_renewal_is_answered_while_a_step_runs(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct answer step, renewal;
    char fence[24], command[300];
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    snprintf(fence, sizeof(fence), "%llu", (unsigned long long)node_lock(&fixture, 0, "r1"));
    snprintf(command, sizeof(command), "until [ -e %s ]; do sleep 0.02; done; echo over",
             node_file(&fixture, 0, "go"));
    uint32_t id = node_send(&fixture, 0, QUICK_MS, &step, "run", "fence", fence, "token", "t1",
                            "rollout", "r1", "name", "wait", "command", command, NULL);
    node_ask(&fixture, 0, &renewal, "renew", "fence", fence, NULL);
    assert_int_equal(renewal.status, REPLY_OK);
    assert_false(step.came);
    text_write(node_file(&fixture, 0, "go"), "");
    assert_true(node_wait(&fixture, &step.came));
    assert_int_equal(step.id, id);
    assert_int_equal(step.status, REPLY_OK);
    assert_string_equal(step.output, "over\n");
    node_fixture_stop(&fixture);
}

static void several_requests_are_answered_each_with_its_own(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct answer answers[6];
    uint32_t ids[6];
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    for (int i = 0; i < 6; i++) {
        char command[64];
        snprintf(command, sizeof(command), "sleep 0.%d; echo %d", 6 - i, i);
        ids[i] = node_send(&fixture, 0, QUICK_MS, &answers[i], "exec", "command", command, NULL);
    }
    for (int i = 0; i < 6; i++) {
        char expected[24];
        snprintf(expected, sizeof(expected), "%d\n", i);
        assert_true(node_wait(&fixture, &answers[i].came));
        assert_int_equal(answers[i].id, ids[i]);
        assert_string_equal(answers[i].output, expected);
    }
    node_fixture_stop(&fixture);
}

static void a_request_without_an_answer_gives_the_connection_up(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct answer answer, other;
    struct losses losses = {0};
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    session_on_lost(node_session(&fixture, 0), lost, &losses);
    node_send(&fixture, 0, QUICK_MS, &other, "exec", "command", "sleep 5", NULL);
    node_send(&fixture, 0, 200, &answer, "exec", "command", "sleep 5", NULL);
    assert_true(node_wait(&fixture, &answer.came));
    assert_int_equal(answer.code, ERR_TIMEOUT);
    contains(answer.sentence, "exec");
    contains(answer.sentence, "200 ms");
    assert_true(node_wait(&fixture, &other.came));
    assert_int_equal(other.code, ERR_TIMEOUT);
    assert_false(session_is_connected(node_session(&fixture, 0)));
    assert_int_equal(losses.count, 0);
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, NULL), 0);
    node_fixture_stop(&fixture);
}

static void a_value_that_cannot_be_sent_makes_the_request_fail_alone(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct answer answer = {.came = false};
    struct err err;
    node_fixture_start(&fixture, &one_node);
    struct session *session = node_session(&fixture, 0);
    session_begin(session, "exec");
    session_add(session, "command", "true");
    assert_int_equal(session_submit(session, 1000, answer_keep, &answer, &err), 0);
    assert_int_equal(err.code, ERR_UNREACHABLE);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    session_begin(session, "exec");
    session_add(session, "command", "true\nfalse");
    session_add(session, "token", "t");
    assert_int_equal(session_submit(session, 1000, answer_keep, &answer, &err), 0);
    assert_int_equal(err.code, ERR_INPUT);
    contains(err.message, "command");
    session_begin(session, "exec");
    char *much = calloc(1, 300 * 1024);
    memset(much, 'x', 300 * 1024 - 1);
    session_add(session, "command", much);
    assert_int_equal(session_submit(session, 1000, answer_keep, &answer, &err), 0);
    contains(err.message, "too large");
    free(much);
    node_ask(&fixture, 0, &answer, "exec", "command", "echo fine", NULL);
    assert_string_equal(answer.output, "fine\n");
    node_fixture_stop(&fixture);
}

static void what_a_node_says_is_safe_to_show(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct answer answer;
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    node_ask(&fixture, 0, &answer, "exec", "command", "printf '\\033[31mred\\a\\n\\377\\n'", NULL);
    assert_null(strchr(answer.output, '\033'));
    assert_null(strchr(answer.output, '\a'));
    contains(answer.output, "\\x1b");
    contains(answer.output, "\\xff");
    node_fixture_stop(&fixture);
}

static void a_forgotten_request_answers_nobody(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct answer forgotten, answer;
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    uint32_t id = node_send(&fixture, 0, QUICK_MS, &forgotten, "exec", "command", "true", NULL);
    session_forget(node_session(&fixture, 0), id);
    session_forget(node_session(&fixture, 0), 0);
    session_forget(node_session(&fixture, 0), 999);
    node_ask(&fixture, 0, &answer, "exec", "command", "sleep 0.2; echo after", NULL);
    assert_string_equal(answer.output, "after\n");
    assert_false(forgotten.came);
    node_fixture_stop(&fixture);
}

/* --- losses --- */

static void a_loss_while_idle_is_told_once(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct losses losses = {0};
    struct answer answer;
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    session_on_lost(node_session(&fixture, 0), lost, &losses);
    sshd_cut(fixture.sshds[0]);
    assert_true(node_wait(&fixture, &losses.any));
    assert_int_equal(losses.error.code, ERR_UNREACHABLE);
    assert_false(session_is_connected(node_session(&fixture, 0)));
    assert_null(session_ssh(node_session(&fixture, 0)));
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, NULL), 0);
    node_ask(&fixture, 0, &answer, "exec", "command", "echo again", NULL);
    assert_string_equal(answer.output, "again\n");
    assert_int_equal(losses.count, 1);
    node_fixture_stop(&fixture);
}

static void a_loss_answers_the_requests_that_wait(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct losses losses = {0};
    struct answer answers[3];
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    session_on_lost(node_session(&fixture, 0), lost, &losses);
    for (int i = 0; i < 3; i++)
        node_send(&fixture, 0, QUICK_MS, &answers[i], "exec", "command", "sleep 5", NULL);
    sshd_cut(fixture.sshds[0]);
    for (int i = 0; i < 3; i++) {
        assert_true(node_wait(&fixture, &answers[i].came));
        assert_int_equal(answers[i].code, ERR_UNREACHABLE);
    }
    assert_int_equal(losses.count, 0);
    node_fixture_stop(&fixture);
}

struct again {
    struct node_fixture *fixture;
    bool done;
    int code;
};

static void again_connected(void *context, const struct err *error)
{
    struct again *again = context;
    again->done = true;
    again->code = error ? error->code : 0;
}

static void connect_again(void *context, const struct reply *reply)
{
    struct again *again = context;
    assert_non_null(reply->error);
    session_connect(node_session(again->fixture, 0), QUICK_MS, again_connected, again);
}

static void an_answer_may_ask_for_the_next_connection(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct again again = {.fixture = &fixture};
    struct err err;
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    struct session *session = node_session(&fixture, 0);
    session_begin(session, "exec");
    session_add(session, "command", "sleep 5");
    assert_int_not_equal(session_submit(session, QUICK_MS, connect_again, &again, &err), 0);
    session_drop(session, "dropped by the test");
    assert_true(node_wait(&fixture, &again.done));
    assert_int_equal(again.code, 0);
    assert_true(session_is_connected(session));
    node_fixture_stop(&fixture);
}

static void a_connection_asked_for_while_one_is_dropped_is_a_new_one(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct answer waiting, answer;
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    node_send(&fixture, 0, QUICK_MS, &waiting, "exec", "command", "sleep 5", NULL);
    session_drop(node_session(&fixture, 0), "dropped by the test");
    assert_false(session_is_connected(node_session(&fixture, 0)));
    assert_int_equal(node_connect(&fixture, 0, QUICK_MS, NULL), 0);
    assert_true(waiting.came);
    assert_int_equal(waiting.code, ERR_UNREACHABLE);
    contains(waiting.sentence, "dropped by the test");
    node_ask(&fixture, 0, &answer, "exec", "command", "echo new", NULL);
    assert_string_equal(answer.output, "new\n");
    node_fixture_stop(&fixture);
}

static void first_of_two(void *context, const struct err *error)
{
    (void)context;
    (void)error;
    fail_msg("the first of two connects was answered");
}

static void a_connect_asked_for_twice_answers_the_last(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct again again = {.fixture = &fixture};
    struct answer answer;
    node_fixture_start(&fixture, &one_node);
    session_connect(node_session(&fixture, 0), QUICK_MS, first_of_two, NULL);
    session_connect(node_session(&fixture, 0), QUICK_MS, again_connected, &again);
    assert_true(node_wait(&fixture, &again.done));
    assert_int_equal(again.code, 0);
    node_ask(&fixture, 0, &answer, "exec", "command", "echo here", NULL);
    assert_string_equal(answer.output, "here\n");
    node_fixture_stop(&fixture);
}

/* --- uploads --- */

struct sending {
    bool done;
    struct err error;
    uint64_t told, total;
    bool backwards;
};

static void told(void *context, uint64_t sent, uint64_t total)
{
    struct sending *sending = context;
    sending->backwards = sending->backwards || sent < sending->told;
    sending->told = sent;
    sending->total = total;
}

static void sent(void *context, const struct err *error)
{
    struct sending *sending = context;
    assert_false(sending->done);
    sending->done = true;
    if (error)
        sending->error = *error;
}

#define UPLOAD_LENGTH (3 * 1024 * 1024 + 17)
static char *bytes_of_all_kinds(void)
{
    char *bytes = malloc(UPLOAD_LENGTH);
    unsigned number = 1;
    for (size_t i = 0; i < UPLOAD_LENGTH; i++) {
        number = number * 1103515245 + 12345;
        bytes[i] = (char)(number >> 16);
    }
    return bytes;
}

static void begin_upload(struct node_fixture *fixture, const char *path, const char *bytes,
                         size_t length, struct sending *sending)
{
    *sending = (struct sending){.done = false};
    session_upload(node_session(fixture, 0), path, bytes, length, QUICK_MS, told, sent, sending);
}

static void an_upload_arrives_as_it_was_sent(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct sending sending;
    struct answer answer;
    char expected[65], command[300];
    char *bytes = bytes_of_all_kinds();
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    mkdir(node_file(&fixture, 0, ""), 0755);
    const char *path = node_file(&fixture, 0, "a name with 'quotes' and $HOME");
    begin_upload(&fixture, path, bytes, UPLOAD_LENGTH, &sending);
    assert_true(node_wait(&fixture, &sending.done));
    assert_int_equal(sending.error.code, 0);
    assert_false(sending.backwards);
    assert_true(sending.told == UPLOAD_LENGTH && sending.total == UPLOAD_LENGTH);
    digest_sha256_hex(bytes, UPLOAD_LENGTH, expected);
    snprintf(command, sizeof(command), "cd %s && cat *quotes* | sha256sum",
             node_file(&fixture, 0, ""));
    node_ask(&fixture, 0, &answer, "exec", "command", command, NULL);
    contains(answer.output, expected);
    begin_upload(&fixture, node_file(&fixture, 0, "empty"), bytes, 0, &sending);
    assert_true(node_wait(&fixture, &sending.done));
    assert_int_equal(sending.error.code, 0);
    free(bytes);
    node_fixture_stop(&fixture);
}

static void an_upload_into_a_missing_folder_says_so(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct sending sending;
    struct answer answer;
    char *bytes = bytes_of_all_kinds();
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    begin_upload(&fixture, node_file(&fixture, 0, "no/such/folder"), bytes, UPLOAD_LENGTH,
                 &sending);
    assert_true(node_wait(&fixture, &sending.done));
    assert_int_equal(sending.error.code, ERR_FAILED);
    contains(sending.error.message, "no/such/folder");
    node_ask(&fixture, 0, &answer, "exec", "command", "echo stands", NULL);
    assert_string_equal(answer.output, "stands\n");
    free(bytes);
    node_fixture_stop(&fixture);
}

static void an_upload_onto_a_full_disk_says_so(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct sending sending;
    char *bytes;
    if (getuid() != 0)
        skip();
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    mkdir(node_file(&fixture, 0, ""), 0755);
    if (mount("none", node_file(&fixture, 0, ""), "tmpfs", 0, "size=65536") != 0) {
        node_fixture_stop(&fixture);
        skip();
    }
    bytes = bytes_of_all_kinds();
    begin_upload(&fixture, node_file(&fixture, 0, "large"), bytes, UPLOAD_LENGTH, &sending);
    bool done = node_wait(&fixture, &sending.done);
    umount2(node_file(&fixture, 0, ""), MNT_DETACH);
    assert_true(done);
    assert_int_equal(sending.error.code, ERR_FAILED);
    contains(sending.error.message, "No space left");
    free(bytes);
    node_fixture_stop(&fixture);
}

static void an_upload_ends_with_its_connection(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct sending sending;
    char *bytes = bytes_of_all_kinds();
    node_fixture_start(&fixture, &one_node);
    begin_upload(&fixture, "/nowhere", bytes, 10, &sending);
    assert_false(sending.done);
    assert_true(node_wait(&fixture, &sending.done));
    assert_int_equal(sending.error.code, ERR_UNREACHABLE);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    mkdir(node_file(&fixture, 0, ""), 0755);
    begin_upload(&fixture, node_file(&fixture, 0, "half"), bytes, UPLOAD_LENGTH, &sending);
    sshd_freeze(fixture.sshds[0]);
    sshd_cut(fixture.sshds[0]);
    assert_true(node_wait(&fixture, &sending.done));
    assert_int_equal(sending.error.code, ERR_UNREACHABLE);
    assert_false(session_is_connected(node_session(&fixture, 0)));
    free(bytes);
    node_fixture_stop(&fixture);
}

static void an_upload_that_stalls_gives_the_connection_up(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct sending sending = {.done = false};
    char *bytes = bytes_of_all_kinds();
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    sshd_freeze(fixture.sshds[0]);
    session_upload(node_session(&fixture, 0), "/dev/null", bytes, UPLOAD_LENGTH, 300, told, sent,
                   &sending);
    assert_true(node_wait(&fixture, &sending.done));
    assert_int_equal(sending.error.code, ERR_TIMEOUT);
    contains(sending.error.message, "300 ms");
    free(bytes);
    node_fixture_stop(&fixture);
}

static void a_cancelled_upload_leaves_the_connection(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct sending sending;
    struct answer answer;
    char *bytes = bytes_of_all_kinds();
    node_fixture_start(&fixture, &one_node);
    node_connect(&fixture, 0, QUICK_MS, NULL);
    session_upload_cancel(node_session(&fixture, 0));
    begin_upload(&fixture, "/dev/null", bytes, UPLOAD_LENGTH, &sending);
    session_upload_cancel(node_session(&fixture, 0));
    assert_false(sending.done);
    assert_true(node_wait(&fixture, &sending.done));
    assert_int_equal(sending.error.code, ERR_CANCELLED);
    node_ask(&fixture, 0, &answer, "exec", "command", "echo stands", NULL);
    assert_string_equal(answer.output, "stands\n");
    begin_upload(&fixture, "/dev/null", bytes, UPLOAD_LENGTH, &sending);
    assert_true(node_wait(&fixture, &sending.done));
    assert_int_equal(sending.error.code, 0);
    free(bytes);
    node_fixture_stop(&fixture);
}

/* --- freeing --- */

static void never(void *context, const struct reply *reply)
{
    (void)context;
    (void)reply;
    fail_msg("an answer came after the session was freed");
}

static void never_connected(void *context, const struct err *error)
{
    (void)context;
    (void)error;
    fail_msg("a connection came after the session was freed");
}

static void never_sent(void *context, const struct err *error)
{
    (void)context;
    (void)error;
    fail_msg("an upload ended after the session was freed");
}

static void stop(void *loop)
{
    loop_stop(loop);
}

/* Each lasts 2 ms. */
static void some_turns(struct node_fixture *fixture, int turns)
{
    for (int i = 0; i < turns; i++) {
        timer_start(fixture->fleet->loop, 2, stop, fixture->fleet->loop);
        loop_run(fixture->fleet->loop);
    }
}

static void free_session(struct node_fixture *fixture)
{
    session_free(node_session(fixture, 0));
    fixture->fleet->members[0].session = NULL;
    some_turns(fixture, 5);
}

static void fresh_session(struct node_fixture *fixture)
{
    const struct sshd *sshd = fixture->sshds[0];
    const struct node *node = fixture->fleet->members[0].node;
    struct session_settings settings = {
        .loop = fixture->fleet->loop,
        .ssh = fixture->fleet->ssh,
        .target = {.name = "n1",
                   .address = "127.0.0.1",
                   .port = sshd->port,
                   .user = sshd->user,
                   .key = sshd->key,
                   .host_keys = node->connection.host_keys,
                   .host_key_count = node->connection.host_key_count},
        .service = &fixture->fleet->members[0].service,
    };
    fixture->fleet->members[0].session = session_create(&settings);
}

static void a_session_may_be_freed_at_any_moment_of_connecting(void **state)
{
    (void)state;
    struct node_fixture fixture;
    node_fixture_start(&fixture, &one_node);
    for (int turns = 0; turns < 60; turns += turns < 10 ? 1 : 10) {
        session_free(node_session(&fixture, 0));
        fresh_session(&fixture);
        session_connect(node_session(&fixture, 0), QUICK_MS,
                        turns < 10 ? never_connected : again_connected,
                        &(struct again){.fixture = &fixture});
        some_turns(&fixture, turns);
        free_session(&fixture);
    }
    node_fixture_stop(&fixture);
}

static void a_session_may_be_freed_in_the_middle_of_everything(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct err err;
    char *bytes = bytes_of_all_kinds();
    node_fixture_start(&fixture, &one_node);
    for (int round = 0; round < 3; round++) {
        session_free(node_session(&fixture, 0));
        fresh_session(&fixture);
        struct session *session = node_session(&fixture, 0);
        assert_int_equal(node_connect(&fixture, 0, QUICK_MS, NULL), 0);
        mkdir(node_file(&fixture, 0, ""), 0755);
        session_begin(session, "exec");
        session_add(session, "command", "sleep 5");
        session_submit(session, QUICK_MS, never, NULL, &err);
        session_upload(session, node_file(&fixture, 0, "half"), bytes, UPLOAD_LENGTH, QUICK_MS,
                       NULL, never_sent, NULL);
        if (round == 1)
            session_drop(session, "dropped by the test");
        if (round == 2)
            session_connect(session, QUICK_MS, never_connected, NULL);
        free_session(&fixture);
    }
    free(bytes);
    node_fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_of_a_start_up_file_is_passed_over),
        cmocka_unit_test(a_shell_that_ends_at_once_says_why),
        cmocka_unit_test(what_a_login_shell_says_instead_of_a_prompt_is_told),
        cmocka_unit_test(a_shell_that_never_starts_is_given_up),
        cmocka_unit_test(nobody_listening_is_unreachable),
        cmocka_unit_test(a_node_that_answers_without_end_is_dropped),
        cmocka_unit_test(a_node_that_prints_without_end_is_dropped),
        cmocka_unit_test(a_node_that_answers_what_was_not_asked_is_dropped),
        cmocka_unit_test(a_node_that_cannot_work_refuses_each_time),
        cmocka_unit_test(a_connection_that_stands_is_told_again),
        cmocka_unit_test(a_renewal_is_answered_while_a_step_runs),
        cmocka_unit_test(several_requests_are_answered_each_with_its_own),
        cmocka_unit_test(a_request_without_an_answer_gives_the_connection_up),
        cmocka_unit_test(a_value_that_cannot_be_sent_makes_the_request_fail_alone),
        cmocka_unit_test(what_a_node_says_is_safe_to_show),
        cmocka_unit_test(a_forgotten_request_answers_nobody),
        cmocka_unit_test(a_loss_while_idle_is_told_once),
        cmocka_unit_test(a_loss_answers_the_requests_that_wait),
        cmocka_unit_test(an_answer_may_ask_for_the_next_connection),
        cmocka_unit_test(a_connection_asked_for_while_one_is_dropped_is_a_new_one),
        cmocka_unit_test(a_connect_asked_for_twice_answers_the_last),
        cmocka_unit_test(an_upload_arrives_as_it_was_sent),
        cmocka_unit_test(an_upload_into_a_missing_folder_says_so),
        cmocka_unit_test(an_upload_onto_a_full_disk_says_so),
        cmocka_unit_test(an_upload_ends_with_its_connection),
        cmocka_unit_test(an_upload_that_stalls_gives_the_connection_up),
        cmocka_unit_test(a_cancelled_upload_leaves_the_connection),
        cmocka_unit_test(a_session_may_be_freed_at_any_moment_of_connecting),
        cmocka_unit_test(a_session_may_be_freed_in_the_middle_of_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
