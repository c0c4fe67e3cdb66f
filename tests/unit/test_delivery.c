#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/delivery.h"
#include "deadline.h"
#include "node_fixture.h"

#define QUICK_MS deadline_ms(20000)

struct delivering {
    bool done;
    int calls;
    enum done_status status;
    bool retryable;
    char sentence[ERR_MESSAGE_MAX];
    uint64_t sent, total;
};

static void ended(void *context, const struct step_result *result)
{
    struct delivering *delivering = context;
    delivering->done = true;
    delivering->calls++;
    delivering->status = result->status;
    delivering->retryable = result->retryable;
    snprintf(delivering->sentence, sizeof(delivering->sentence), "%s", result->sentence);
}

static void progress(void *context, uint64_t sent, uint64_t total)
{
    struct delivering *delivering = context;
    assert_true(sent <= total);
    delivering->sent = sent;
    delivering->total = total;
}

static struct delivery *begin(struct node_fixture *fixture, struct package *package, uint64_t fence,
                              const char *token, struct delivering *delivering)
{
    struct delivery_order order = {.session = node_session(fixture, 0),
                                   .package = package,
                                   .rollout = "r1",
                                   .token = token,
                                   .fence = fence,
                                   .timeout_ms = QUICK_MS};
    *delivering = (struct delivering){.done = false};
    struct delivery *delivery = delivery_start(&order, progress, ended, delivering);
    assert_non_null(delivery);
    return delivery;
}

static struct delivering deliver(struct node_fixture *fixture, struct package *package,
                                 uint64_t fence, const char *token)
{
    struct delivering delivering;
    struct delivery *delivery = begin(fixture, package, fence, token, &delivering);
    assert_true(node_wait(fixture, &delivering.done));
    assert_int_equal(delivery_request(delivery), 0);
    delivery_free(delivery);
    assert_int_equal(delivering.calls, 1);
    return delivering;
}

static void starts(struct node_fixture *fixture, const char *sshd)
{
    struct node_options options = {.count = 1, .sshd = sshd};
    node_fixture_start(fixture, &options);
    assert_int_equal(node_connect(fixture, 0, QUICK_MS, NULL), 0);
}

static const char *on_node(struct node_fixture *fixture, struct package *package, const char *name)
{
    char path[160];
    snprintf(path, sizeof(path), "releases/%s/%s", package_release(package), name);
    return node_file(fixture, 0, path);
}

static void a_release_arrives_whole(void **state)
{
    (void)state;
    struct node_fixture fixture;
    starts(&fixture, NULL);
    struct package *package =
        node_release(&fixture, "one", "head -c 700000 /dev/urandom >large; ln -s version link");
    uint64_t fence = node_lock(&fixture, 0, "r1");
    struct delivering result = deliver(&fixture, package, fence, "t1");
    assert_string_equal(result.sentence, "");
    assert_int_equal(result.status, DONE_OK);
    assert_true(result.total > 700000 && result.sent == result.total);
    char *version = shell_output("cat %s", on_node(&fixture, package, "version"));
    char *same = shell_output("cmp %s/source-one/large %s && echo same", fixture.folder,
                              on_node(&fixture, package, "large"));
    assert_string_equal(version, "one");
    assert_string_equal(same, "same");
    free(version);
    free(same);
    assert_true(delivery_needs_bytes(package) >= 2 * 700000);
    package_free(package);
    node_fixture_stop(&fixture);
}

static void what_is_there_is_not_sent_again(void **state)
{
    (void)state;
    struct node_fixture fixture;
    starts(&fixture, NULL);
    struct package *package = node_release(&fixture, "one", NULL);
    uint64_t fence = node_lock(&fixture, 0, "r1");
    assert_int_equal(deliver(&fixture, package, fence, "t1").status, DONE_OK);
    struct delivering result = deliver(&fixture, package, fence, "t2");
    assert_int_equal(result.status, DONE_OK);
    assert_true(result.total == 0);
    package_free(package);
    node_fixture_stop(&fixture);
}

static void the_same_release_with_other_contents_is_refused(void **state)
{
    (void)state;
    struct node_fixture fixture;
    starts(&fixture, NULL);
    struct package *package = node_release(&fixture, "one", NULL);
    uint64_t fence = node_lock(&fixture, 0, "r1");
    assert_int_equal(deliver(&fixture, package, fence, "t1").status, DONE_OK);
    free(shell_output("echo x >>%s/n1/.deployctl/manifests/%s", fixture.folder,
                      package_release(package)));
    struct delivering result = deliver(&fixture, package, fence, "t2");
    assert_int_equal(result.status, DONE_FAILED);
    assert_non_null(strstr(result.sentence, "other contents"));
    assert_false(result.retryable);
    package_free(package);
    node_fixture_stop(&fixture);
}

static void without_the_lock_nothing_is_sent(void **state)
{
    (void)state;
    struct node_fixture fixture;
    starts(&fixture, NULL);
    struct package *package = node_release(&fixture, "one", NULL);
    uint64_t fence = node_lock(&fixture, 0, "r1");
    struct delivering result = deliver(&fixture, package, fence + 1, "t1");
    assert_int_equal(result.status, DONE_REFUSED);
    assert_true(result.total == 0);
    package_free(package);
    node_fixture_stop(&fixture);
}

/* A PATH with every tool but zstd. */
static void a_node_without_zstd_gets_gzip(void **state)
{
    (void)state;
    struct node_fixture fixture;
    char folder[] = "/tmp/test-tools-XXXXXX", config[200];
    assert_non_null(mkdtemp(folder));
    free(shell_output("cd %s && ln -s /usr/bin/* . && rm -f *zst*", folder));
    snprintf(config, sizeof(config),
             "ForceCommand PATH=%s; export PATH; eval \"$SSH_ORIGINAL_COMMAND\"", folder);
    starts(&fixture, config);
    assert_string_equal(session_trait(node_session(&fixture, 0), "tool zstd"), "no");
    struct package *package = node_release(&fixture, "one", NULL);
    uint64_t fence = node_lock(&fixture, 0, "r1");
    struct delivering result = deliver(&fixture, package, fence, "t1");
    assert_string_equal(result.sentence, "");
    assert_int_equal(result.status, DONE_OK);
    assert_int_equal(access(on_node(&fixture, package, "version"), F_OK), 0);
    package_free(package);
    node_fixture_stop(&fixture);
    free(shell_output("rm -r %s", folder));
}

static void a_full_disk_is_told_before_anything_is_sent(void **state)
{
    (void)state;
    struct node_fixture fixture;
    if (getuid() != 0)
        skip();
    starts(&fixture, NULL);
    mkdir(node_file(&fixture, 0, ""), 0755);
    if (mount("none", node_file(&fixture, 0, ""), "tmpfs", 0, "size=1m,mode=0755") != 0) {
        node_fixture_stop(&fixture);
        skip();
    }
    struct package *package = node_release(&fixture, "one", "head -c 2000000 /dev/urandom >large");
    uint64_t fence = node_lock(&fixture, 0, "r1");
    struct delivering result = deliver(&fixture, package, fence, "t1");
    umount2(node_file(&fixture, 0, ""), MNT_DETACH);
    assert_int_equal(result.status, DONE_FAILED);
    assert_non_null(strstr(result.sentence, "disk"));
    assert_true(result.total == 0);
    package_free(package);
    node_fixture_stop(&fixture);
}

static void a_connection_lost_meanwhile_is_unreachable(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct delivering delivering;
    starts(&fixture, NULL);
    struct package *package = node_release(&fixture, "one", "head -c 4000000 /dev/urandom >large");
    uint64_t fence = node_lock(&fixture, 0, "r1");
    struct delivery *delivery = begin(&fixture, package, fence, "t1", &delivering);
    assert_int_not_equal(delivery_request(delivery), 0);
    sshd_cut(fixture.sshds[0]);
    assert_true(node_wait(&fixture, &delivering.done));
    assert_int_equal(delivering.status, DONE_UNREACHABLE);
    delivery_free(delivery);
    delivery = begin(&fixture, package, fence, "t2", &delivering);
    assert_true(delivering.done);
    assert_int_equal(delivering.status, DONE_UNREACHABLE);
    delivery_free(delivery);
    package_free(package);
    node_fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_release_arrives_whole),
        cmocka_unit_test(what_is_there_is_not_sent_again),
        cmocka_unit_test(the_same_release_with_other_contents_is_refused),
        cmocka_unit_test(without_the_lock_nothing_is_sent),
        cmocka_unit_test(a_node_without_zstd_gets_gzip),
        cmocka_unit_test(a_full_disk_is_told_before_anything_is_sent),
        cmocka_unit_test(a_connection_lost_meanwhile_is_unreachable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
