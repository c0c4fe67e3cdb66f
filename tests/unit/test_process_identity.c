#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "io/process_identity.h"

static char ours[PROCESS_IDENTITY_MAX];

/* Our identity with word `number` (0-based) replaced. */
static const char *with(size_t number, const char *word)
{
    static char out[2 * PROCESS_IDENTITY_MAX];
    char copy[PROCESS_IDENTITY_MAX], *rest = copy;
    size_t length = 0;
    memcpy(copy, ours, sizeof(copy));
    for (size_t i = 0; i < 6; i++)
        length += (size_t)snprintf(out + length, sizeof(out) - length, "%s%s", i ? " " : "", i == number ? (strsep(&rest, " "), word) : strsep(&rest, " "));
    return out;
}

/* A child's identity; it waits to be ended. */
static pid_t child(char out[PROCESS_IDENTITY_MAX])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        process_identity(out);
        if (write(ends[1], out, PROCESS_IDENTITY_MAX) != PROCESS_IDENTITY_MAX)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ends[0], out, PROCESS_IDENTITY_MAX), PROCESS_IDENTITY_MAX);
    close(ends[0]);
    close(ends[1]);
    return pid;
}

static void a_process_that_runs_has_not_ended(void **state)
{
    (void)state;
    assert_false(process_has_ended(ours));
}

static void a_process_that_was_stopped_has_not_ended_and_one_that_was_killed_has(void **state)
{
    (void)state;
    char identity[PROCESS_IDENTITY_MAX];
    siginfo_t information;
    int status;
    pid_t pid = child(identity);
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_false(process_has_ended(identity));
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &information, WEXITED | WNOWAIT), 0);
    assert_true(process_has_ended(identity)); /* a zombie */
    waitpid(pid, &status, 0);
    assert_true(process_has_ended(identity));
}

static void another_process_with_its_number_is_not_it(void **state)
{
    (void)state;
    assert_true(process_has_ended(with(4, "1")));
}

static void what_is_of_another_machine_or_namespace_is_not_known_to_have_ended(void **state)
{
    (void)state;
    char gone[PROCESS_IDENTITY_MAX];
    int status;
    pid_t pid = child(gone);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_true(process_has_ended(gone));
    memcpy(ours, gone, sizeof(ours));
    assert_false(process_has_ended(with(0, "another-machine")));
    assert_false(process_has_ended(with(2, "4026530000")));
    process_identity(ours);
}

static void after_a_reboot_all_of_this_machine_have_ended(void **state)
{
    (void)state;
    bool first = strstr(ours, " 4026531836 ") != NULL;
    assert_int_equal(process_has_ended(with(1, "another-boot")), first);
    char host[2 * PROCESS_IDENTITY_MAX];
    snprintf(host, sizeof(host), "%s", with(1, "another-boot"));
    snprintf(strrchr(host, ' '), 16, " another-host");
    assert_false(process_has_ended(host));
}

static void what_is_malformed_proves_nothing(void **state)
{
    (void)state;
    static const char *const lines[] = {"", "x", "a b c d e", "a b c d e f g"};
    assert_false(process_has_ended(NULL));
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_false(process_has_ended(lines[i]));
    assert_false(process_has_ended(with(3, "-1")));
    assert_false(process_has_ended(with(3, "0")));
    assert_false(process_has_ended(with(3, "1x")));
}

static int find_ours(void **state)
{
    (void)state;
    process_identity(ours);
    return 0;
}

/* A machine without an id leaves none. */
static void a_machine_without_an_id_leaves_none(void **state)
{
    (void)state;
    assert_int_equal(access("/etc/machine-id", R_OK) != 0, !*ours);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_process_that_runs_has_not_ended),
        cmocka_unit_test(a_process_that_was_stopped_has_not_ended_and_one_that_was_killed_has),
        cmocka_unit_test(another_process_with_its_number_is_not_it),
        cmocka_unit_test(what_is_of_another_machine_or_namespace_is_not_known_to_have_ended),
        cmocka_unit_test(after_a_reboot_all_of_this_machine_have_ended),
        cmocka_unit_test(what_is_malformed_proves_nothing),
        cmocka_unit_test(a_machine_without_an_id_leaves_none),
    };
    const struct CMUnitTest bare[] = {
        cmocka_unit_test(what_is_malformed_proves_nothing),
        cmocka_unit_test(a_machine_without_an_id_leaves_none),
    };
    find_ours(NULL);
    return *ours ? cmocka_run_group_tests(all, find_ours, NULL) : cmocka_run_group_tests(bare, find_ours, NULL);
}
