/* The agent's client, against a real ssh-agent and against sockets that misbehave. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent_process.h"
#include "io/agent.h"
#include "sshd.h"

static char folder[64];
static struct loop *loop;

static int start(void **state)
{
    struct err error;
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/test-agent-XXXXXX");
    return mkdtemp(folder) != NULL && loop_create(&loop, &error) == 0 ? 0 : -1;
}

static int stop(void **state)
{
    const char *const argv[] = {"rm", "-rf", folder, NULL};
    (void)state;
    loop_free(loop);
    program_run(argv);
    return 0;
}

static const char *in_folder(const char *name)
{
    static char buffers[4][128];
    static unsigned next;
    char *out = buffers[next++ % 4];
    snprintf(out, sizeof(buffers[0]), "%s/%s", folder, name);
    return out;
}

struct answer {
    unsigned calls;
    struct err error;
    size_t count;
    unsigned char blob[1024];
    size_t blob_length;
    char comment[128];
    unsigned char signature[1024];
    size_t signature_length;
};

static void on_list(void *context, const struct err *error, const struct agent_key *keys,
                    size_t count)
{
    struct answer *answer = context;
    answer->calls++;
    answer->count = count;
    if (error != NULL) {
        answer->error = *error;
    }
    if (count > 0) {
        answer->blob_length = keys[0].blob_length;
        memcpy(answer->blob, keys[0].blob, keys[0].blob_length);
        snprintf(answer->comment, sizeof(answer->comment), "%s", keys[0].comment);
    }
}

static void on_sign(void *context, const struct err *error, const unsigned char *signature,
                    size_t length)
{
    struct answer *answer = context;
    answer->calls++;
    if (error != NULL) {
        answer->error = *error;
    }
    answer->signature_length = length;
    if (length <= sizeof(answer->signature) && length > 0) {
        memcpy(answer->signature, signature, length);
    }
}

static void list(const char *socket_path, int64_t timeout_ms, struct answer *answer)
{
    memset(answer, 0, sizeof(*answer));
    assert_non_null(agent_list(loop, socket_path, timeout_ms, on_list, answer));
    assert_int_equal(answer->calls, 0);
    loop_run(loop);
    assert_int_equal(answer->calls, 1);
}

static void keys_are_listed_and_sign(void **state)
{
    struct agent_process agent;
    struct answer answer;
    (void)state;
    const char *const argv[] = {"ssh-keygen", "-q",        "-t", "ed25519",        "-N", "",
                                "-C",         "a comment", "-f", in_folder("key"), NULL};
    program_run(argv);
    agent_process_start(&agent, folder);
    list(agent.socket, 5000, &answer);
    assert_int_equal(answer.count, 0);
    assert_int_equal(answer.error.code, 0);

    agent_process_add(&agent, in_folder("key"));
    list(agent.socket, 5000, &answer);
    assert_int_equal(answer.count, 1);
    assert_string_equal(answer.comment, "a comment");

    assert_non_null(agent_sign(loop, agent.socket, 5000, answer.blob, answer.blob_length, "data", 4,
                               0, on_sign, &answer));
    loop_run(loop);
    assert_int_equal(answer.calls, 2);
    assert_int_equal(answer.error.code, 0);
    assert_int_equal(answer.signature_length, 4 + 11 + 4 + 64);
    assert_memory_equal(answer.signature + 4, "ssh-ed25519", 11);
    agent_process_stop(&agent);
}

static void a_key_that_it_does_not_hold_is_refused(void **state)
{
    struct agent_process agent;
    struct answer answer = {0};
    (void)state;
    agent_process_start(&agent, folder);
    agent_sign(loop, agent.socket, 5000, "nonsense", 8, "data", 4, 0, on_sign, &answer);
    loop_run(loop);
    assert_int_equal(answer.error.code, ERR_AUTH);
    assert_non_null(strstr(answer.error.message, "refused to sign"));
    agent_process_stop(&agent);
}

static void two_hundred_requests_at_once_are_all_answered(void **state)
{
    struct agent_process agent;
    static struct answer answers[200];
    (void)state;
    memset(answers, 0, sizeof(answers));
    agent_process_start(&agent, folder);
    for (size_t i = 0; i < 200; i++) {
        assert_non_null(agent_list(loop, agent.socket, 20000, on_list, &answers[i]));
    }
    loop_run(loop);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].error.code, 0);
    }
    agent_process_stop(&agent);
}

static void a_socket_that_nobody_serves_is_an_error(void **state)
{
    struct answer answer;
    (void)state;
    list(in_folder("nobody"), 5000, &answer);
    assert_int_equal(answer.error.code, ERR_AUTH);
    assert_non_null(strstr(answer.error.message, "is it running?"));
}

static void a_path_that_is_too_long_is_an_error(void **state)
{
    struct answer answer;
    char path[301];
    (void)state;
    memset(path, 'a', 300);
    path[300] = '\0';
    list(path, 5000, &answer);
    assert_int_equal(answer.error.code, ERR_AUTH);
}

/* Answers every connection with the same bytes and closes it; NULL: accepts nothing and says
 * nothing. */
struct rogue {
    int listener;
    const char *bytes;
    size_t length;
    pthread_t thread;
};

static void *rogue_serve(void *context)
{
    struct rogue *rogue = context;
    char request[256];
    int fd = accept(rogue->listener, NULL, NULL);
    if (fd >= 0) {
        if (recv(fd, request, sizeof(request), 0) > 0 && rogue->length > 0) {
            send(fd, rogue->bytes, rogue->length, MSG_NOSIGNAL);
        }
        close(fd);
    }
    return NULL;
}

static void answer_with(const char *bytes, size_t length, struct answer *answer)
{
    struct rogue rogue = {.bytes = bytes, .length = length};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", in_folder("rogue"));
    unlink(address.sun_path);
    rogue.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(rogue.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(rogue.listener, 4), 0);
    assert_int_equal(pthread_create(&rogue.thread, NULL, rogue_serve, &rogue), 0);
    list(address.sun_path, 5000, answer);
    pthread_join(rogue.thread, NULL);
    close(rogue.listener);
}

static void nonsense_answers_are_protocol_errors(void **state)
{
    struct answer answer;
    (void)state;
    answer_with("", 0, &answer);
    assert_int_equal(answer.error.code, ERR_PROTOCOL);
    answer_with("\377\377\377\377", 4, &answer);
    assert_int_equal(answer.error.code, ERR_PROTOCOL);
    answer_with("\0\0\0\0", 4, &answer);
    assert_int_equal(answer.error.code, ERR_PROTOCOL);
    answer_with("\0\0\0\5\14\377\377\377\377", 9, &answer);
    assert_int_equal(answer.error.code, ERR_PROTOCOL);
    answer_with("\0\0\0\1\5", 5, &answer);
    assert_int_equal(answer.error.code, ERR_AUTH);
    answer_with("\0\0\0\5\14\0", 6, &answer);
    assert_int_equal(answer.error.code, ERR_PROTOCOL);
}

static void a_hung_agent_meets_the_deadline(void **state)
{
    struct agent_process agent;
    struct answer answer;
    (void)state;
    agent_process_start(&agent, folder);
    kill(agent.pid, SIGSTOP);
    list(agent.socket, 100, &answer);
    assert_int_equal(answer.error.code, ERR_TIMEOUT);
    kill(agent.pid, SIGCONT);
    agent_process_stop(&agent);
}

static void a_cancelled_call_says_nothing(void **state)
{
    struct agent_process agent;
    struct answer answer = {0};
    (void)state;
    agent_process_start(&agent, folder);
    agent_cancel(agent_list(loop, agent.socket, 5000, on_list, &answer));
    struct agent_call *call = agent_list(loop, agent.socket, 5000, on_list, &answer);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    if (answer.calls == 0) {
        agent_cancel(call);
    }
    agent_cancel(NULL);
    unsigned calls = answer.calls;
    loop_run(loop);
    assert_int_equal(answer.calls, calls);
    agent_process_stop(&agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_listed_and_sign),
        cmocka_unit_test(a_key_that_it_does_not_hold_is_refused),
        cmocka_unit_test(two_hundred_requests_at_once_are_all_answered),
        cmocka_unit_test(a_socket_that_nobody_serves_is_an_error),
        cmocka_unit_test(a_path_that_is_too_long_is_an_error),
        cmocka_unit_test(nonsense_answers_are_protocol_errors),
        cmocka_unit_test(a_hung_agent_meets_the_deadline),
        cmocka_unit_test(a_cancelled_call_says_nothing),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
