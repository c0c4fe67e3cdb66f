#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/digest.h"
#include "io/files.h"

struct fixture {
    char folder[64];
    char path[200];
    struct strbuf text;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    strcpy(fixture->folder, "/tmp/deployctl-files.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    strbuf_init(&fixture->text, 1000);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char command[100];
    snprintf(command, sizeof(command), "rm -rf %s", fixture->folder);
    assert_int_equal(system(command), 0);
    strbuf_release(&fixture->text);
    free(fixture);
    return 0;
}

static const char *in(struct fixture *fixture, const char *name)
{
    snprintf(fixture->path, sizeof(fixture->path), "%s/%s", fixture->folder, name);
    return fixture->path;
}

static void what_is_written_is_read(void **state)
{
    struct fixture *fixture = *state;
    const char *path = in(fixture, "a");
    struct stat status;
    assert_int_equal(file_write(path, "one\0two", 7, 0640, &fixture->err), 0);
    assert_int_equal(file_read(&fixture->text, path, &fixture->err), 0);
    assert_int_equal(fixture->text.length, 7);
    assert_memory_equal(fixture->text.text, "one\0two", 7);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(file_write(path, "", 0, 0600, &fixture->err), 0);
    assert_int_equal(file_read(&fixture->text, path, &fixture->err), 0);
    assert_int_equal(fixture->text.length, 0);
}

static void a_failed_write_leaves_the_old_file_and_nothing_beside_it(void **state)
{
    struct fixture *fixture = *state;
    char command[200];
    assert_int_equal(folder_make(in(fixture, "a"), &fixture->err), 0);
    assert_int_equal(file_write(in(fixture, "a"), "x", 1, 0600, &fixture->err), ERR_IO);
    snprintf(command, sizeof(command), "test \"$(ls %s)\" = a", fixture->folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(file_write(in(fixture, "no/such"), "x", 1, 0600, &fixture->err),
                     ERR_NOT_FOUND);
    assert_non_null(strstr(fixture->err.message, "no/such"));
}

static void reading_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    char bytes[1001] = {0};
    assert_int_equal(file_write(in(fixture, "a"), bytes, 1000, 0600, &fixture->err), 0);
    assert_int_equal(file_read(&fixture->text, in(fixture, "a"), &fixture->err), 0);
    assert_int_equal(file_write(in(fixture, "a"), bytes, 1001, 0600, &fixture->err), 0);
    assert_int_equal(file_read(&fixture->text, in(fixture, "a"), &fixture->err), ERR_INPUT);
    assert_non_null(strstr(fixture->err.message, "larger than 1000 bytes"));
}

static void only_regular_files_are_read(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(file_read(&fixture->text, fixture->folder, &fixture->err), ERR_INPUT);
    assert_non_null(strstr(fixture->err.message, "a folder"));
    assert_int_equal(mkfifo(in(fixture, "pipe"), 0600), 0);
    assert_int_equal(file_read(&fixture->text, in(fixture, "pipe"), &fixture->err), ERR_INPUT);
    assert_int_equal(file_read(&fixture->text, "/dev/zero", &fixture->err), ERR_INPUT);
    assert_int_equal(file_read(&fixture->text, in(fixture, "none"), &fixture->err), ERR_NOT_FOUND);
}

static void folders_are_made_with_their_parents(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    assert_int_equal(folder_make(in(fixture, "a/b//c/"), &fixture->err), 0);
    assert_int_equal(folder_make(in(fixture, "a/b/c"), &fixture->err), 0);
    assert_int_equal(stat(in(fixture, "a/b"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(file_write(in(fixture, "a/file"), "", 0, 0600, &fixture->err), 0);
    assert_int_equal(folder_make(in(fixture, "a/file/d"), &fixture->err), ERR_IO);
    assert_non_null(strstr(fixture->err.message, "a/file"));
    assert_int_equal(folder_make("", &fixture->err), ERR_INPUT);
}

static void a_tilde_is_the_home_folder(void **state)
{
    struct fixture *fixture = *state;
    setenv("HOME", "/home/of", 1);
    path_expand_home(&fixture->text, "~/x");
    assert_string_equal(fixture->text.text, "/home/of/x");
    strbuf_reset(&fixture->text);
    path_expand_home(&fixture->text, "~");
    assert_string_equal(fixture->text.text, "/home/of");
    strbuf_reset(&fixture->text);
    path_expand_home(&fixture->text, "~other/x");
    assert_string_equal(fixture->text.text, "~other/x");
    strbuf_reset(&fixture->text);
    unsetenv("HOME");
    path_expand_home(&fixture->text, "~/x");
    assert_int_equal(fixture->text.text[0], '/');
}

static void runs_are_remembered_where_the_environment_says(void **state)
{
    struct fixture *fixture = *state;
    setenv("HOME", "/home/of", 1);
    unsetenv("DEPLOYCTL_STATE");
    unsetenv("XDG_STATE_HOME");
    path_state(&fixture->text);
    assert_string_equal(fixture->text.text, "/home/of/.local/state/deployctl");
    setenv("XDG_STATE_HOME", "/xdg", 1);
    strbuf_reset(&fixture->text);
    path_state(&fixture->text);
    assert_string_equal(fixture->text.text, "/xdg/deployctl");
    setenv("DEPLOYCTL_STATE", "/own", 1);
    strbuf_reset(&fixture->text);
    path_state(&fixture->text);
    assert_string_equal(fixture->text.text, "/own");
    unsetenv("DEPLOYCTL_STATE");
    unsetenv("XDG_STATE_HOME");
}

static void lines_are_appended_whole(void **state)
{
    struct fixture *fixture = *state;
    struct append_file *one, *two;
    assert_int_equal(append_open(&one, in(fixture, "log"), &fixture->err), 0);
    assert_int_equal(append_open(&two, in(fixture, "log"), &fixture->err), 0);
    assert_int_equal(append_line(one, "a", 0, &fixture->err), 0);
    assert_int_equal(append_line(two, "b", 1, &fixture->err), 0);
    assert_int_equal(append_line(one, "", 0, &fixture->err), 0);
    append_close(one);
    append_close(two);
    assert_int_equal(file_read(&fixture->text, in(fixture, "log"), &fixture->err), 0);
    assert_string_equal(fixture->text.text, "a\nb\n\n");
    assert_int_equal(append_open(&one, in(fixture, "no/log"), &fixture->err), ERR_NOT_FOUND);
    assert_null(one);
    append_close(NULL);
}

static void a_full_disk_is_said(void **state)
{
    struct fixture *fixture = *state;
    struct append_file *full;
    assert_int_equal(append_open(&full, "/dev/full", &fixture->err), 0);
    assert_int_equal(append_line(full, "a", 0, &fixture->err), ERR_IO);
    assert_non_null(strstr(fixture->err.message, "/dev/full"));
    append_close(full);
}

/* The examples of FIPS 180-2. */
static void digests_are_sha256(void **state)
{
    char hex[SHA256_HEX];
    unsigned char bytes[SHA256_BYTES];
    struct digest *digest = digest_create();
    (void)state;
    digest_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    for (int again = 0; again < 2; again++) {
        assert_int_equal(digest_start(digest), 0);
        assert_int_equal(digest_add(digest, "a", 1), 0);
        assert_int_equal(digest_add(digest, "bc", 2), 0);
        assert_int_equal(digest_end(digest, bytes), 0);
        char other[SHA256_HEX];
        digest_hex(bytes, other);
        assert_string_equal(hex, other);
    }
    digest_free(digest);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),
        TEST(a_failed_write_leaves_the_old_file_and_nothing_beside_it),
        TEST(reading_is_bounded),
        TEST(only_regular_files_are_read),
        TEST(folders_are_made_with_their_parents),
        TEST(a_tilde_is_the_home_folder),
        TEST(runs_are_remembered_where_the_environment_says),
        TEST(lines_are_appended_whole),
        TEST(a_full_disk_is_said),
        TEST(digests_are_sha256),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
