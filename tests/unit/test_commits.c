#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/commits.h"
#include "io/package.h"

/* A repository whose commits' times and ancestry differ: `b` has a migration; `side` is younger and does not contain it, `old` contains it and is
 * older; `one` and `two` are of one second. */
struct fixture {
    char folder[64];
    char release[7][RELEASE_ID_LENGTH + 1];
};
enum { A, B, SIDE, OLD, ONE, TWO, RELEASES };
static const char *const refs[RELEASES] = {"a", "b", "side", "old", "one", "two"};

static void shell(const char *script)
{
    char command[4096];
    snprintf(command, sizeof(command), "set -e; cd $T; %s", script);
    if (system(command) != 0)
        fail_msg("failed: %s", script);
}

static void find_releases(struct fixture *fixture, const char *path)
{
    char location[96];
    struct err err;
    snprintf(location, sizeof(location), "%s/r", fixture->folder);
    for (size_t i = 0; i < RELEASES; i++) {
        struct package *package;
        if (package_from_git(&package, location, refs[i], path, PACKAGE_BYTES_MAX, &err) < 0)
            fail_msg("%s: %s", refs[i], err.message);
        snprintf(fixture->release[i], sizeof(fixture->release[i]), "%s", package_release(package));
        package_free(package);
    }
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    strcpy(fixture->folder, "/tmp/deployctl-commits.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    setenv("T", fixture->folder, 1);
    setenv("HOME", fixture->folder, 1);
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    shell("git init -q -b main r; cd r; git config user.email a@example.org; git config user.name a; mkdir app;"
          "add() { echo $1 >app/file; echo $1 >other; git add -A; GIT_AUTHOR_DATE=\"@$2 +0000\" GIT_COMMITTER_DATE=\"@$2 +0000\" git commit -q -m $1;"
          " git tag $1; }; add a 1700000000; add b 1700000100; add old 1700000050; add one 1700000300; add two 1700000300;"
          "git checkout -q -b branch a; add side 1700000200");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    shell("rm -rf $T");
    free(*state);
    return 0;
}

static void contains(struct commits *commits, const struct fixture *fixture, int release, int other, enum contains wanted)
{
    for (int again = 0; again < 2; again++)
        if (commits_contain(commits, fixture->release[release], fixture->release[other]) != wanted)
            fail_msg("%s (%s) and %s (%s): not %d", refs[release], fixture->release[release], refs[other], fixture->release[other], (int)wanted);
}

static struct commits *open_commits(const struct fixture *fixture, const char *name, const char *path)
{
    char location[96];
    snprintf(location, sizeof(location), "%s/%s", fixture->folder, name);
    struct commits *commits = commits_create(location, path);
    assert_non_null(commits);
    return commits;
}

static void ancestry_decides_and_not_the_time(struct fixture *fixture, const char *path)
{
    find_releases(fixture, path);
    struct commits *commits = open_commits(fixture, "r", path);
    contains(commits, fixture, B, B, CONTAINS_YES);
    contains(commits, fixture, A, B, CONTAINS_NO);
    contains(commits, fixture, SIDE, B, CONTAINS_NO);
    contains(commits, fixture, OLD, B, CONTAINS_YES);
    contains(commits, fixture, TWO, ONE, CONTAINS_YES);
    contains(commits, fixture, ONE, TWO, CONTAINS_NO);
    commits_free(commits);
}

static void of_commits_ancestry_decides_and_not_the_time(void **state)
{
    ancestry_decides_and_not_the_time(*state, NULL);
}

static void of_a_folders_releases_too(void **state)
{
    ancestry_decides_and_not_the_time(*state, "app");
}

static void what_the_repository_does_not_have_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    find_releases(fixture, NULL);
    struct commits *commits = open_commits(fixture, "r", NULL);
    assert_int_equal(commits_contain(commits, fixture->release[A], "20260101T000000Z-0123456789ab"), CONTAINS_UNKNOWN);
    assert_int_equal(commits_contain(commits, "20260101T000000Z-0123456789ab", fixture->release[A]), CONTAINS_UNKNOWN);
    assert_int_equal(commits_contain(commits, "r1", "x"), CONTAINS_UNKNOWN);
    /* the hex of a commit, and another time */
    fixture->release[SIDE][0] = '3';
    contains(commits, fixture, SIDE, A, CONTAINS_UNKNOWN);
    commits_free(commits);
    commits = open_commits(fixture, "nowhere", NULL);
    contains(commits, fixture, B, A, CONTAINS_UNKNOWN);
    commits_free(commits);
    contains(NULL, fixture, B, A, CONTAINS_UNKNOWN);
}

static void a_shallow_clone_may_lack_the_way(void **state)
{
    struct fixture *fixture = *state;
    find_releases(fixture, NULL);
    shell("git clone -q --depth 2 --no-tags --no-single-branch -b main file://$T/r shallow 2>/dev/null");
    struct commits *commits = open_commits(fixture, "shallow", NULL);
    contains(commits, fixture, TWO, TWO, CONTAINS_YES);
    contains(commits, fixture, SIDE, ONE, CONTAINS_UNKNOWN);
    contains(commits, fixture, TWO, SIDE, CONTAINS_UNKNOWN);
    contains(commits, fixture, TWO, B, CONTAINS_UNKNOWN);
    commits_free(commits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(of_commits_ancestry_decides_and_not_the_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_a_folders_releases_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_repository_does_not_have_is_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_shallow_clone_may_lack_the_way, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
