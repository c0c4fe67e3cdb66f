#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/known_hosts.h"

/* Public keys made for this file; their private halves are gone. */
#define ED25519_A_BASE64 "AAAAC3NzaC1lZDI1NTE5AAAAIAncQm66L7/ZuON+5mHfP4G+vWFD+E8ZWckRpX2bOObg"
#define ED25519_A "ssh-ed25519 " ED25519_A_BASE64
#define ED25519_B                                                                                  \
    "ssh-ed25519 "                                                                                 \
    "AAAAC3NzaC1lZDI1NTE5AAAAIGzid3KKFr4Y17NenyCorSlZ7rrJD1b/vH0EOKvl2pWR"
#define ECDSA_E                                                                                    \
    "ecdsa-sha2-nistp256 "                                                                         \
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBKucrlr+YhoL7+fM+R5ZMZBtm32/"             \
    "IvBmT+DqAt588NLhYFXFs8K4hw2Xzi0u6k0t37PjAIcIK2/e6hLSZAz0zrs="
#define HASHED_HOST1 "|1|dBh+E9euuCMrRuHqz7PFopqm6JI=|dV1JBJJ/R366FamkZt6DRa1QW8I="
#define HASHED_HOST1_2222 "|1|+18GbAG3945985aBF1n2QIOaK6Q=|7b7HUXh6YX1Sr4wOfmP8jHeFQ+0="

struct fixture {
    struct known_hosts *hosts;
    struct known_host_keys keys;
    const struct known_host_key *because;
    struct known_host_keys blobs;
};

/* The blobs to ask with are read by the parser itself, from lines without any trick. */
static int start(void **state)
{
    static const char text[] = "a " ED25519_A "\nb " ED25519_B "\ne " ECDSA_E "\n";
    struct fixture *f = calloc(1, sizeof(*f));
    f->hosts = known_hosts_create();
    struct known_hosts *plain = known_hosts_create();
    known_hosts_add(plain, "plain", text, strlen(text));
    const char *const names[] = {"a", "b", "e"};
    for (size_t i = 0; i < 3; i++) {
        struct known_host_keys one;
        known_hosts_find(plain, names[i], 22, &one);
        assert_int_equal(one.count, 1);
        f->blobs.keys[i] = one.keys[0];
        unsigned char *copy = malloc(one.keys[0].blob_length);
        memcpy(copy, one.keys[0].blob, one.keys[0].blob_length);
        f->blobs.keys[i].blob = copy;
    }
    known_hosts_free(plain);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        free((void *)(uintptr_t)f->blobs.keys[i].blob);
    }
    known_hosts_free(f->hosts);
    free(f);
    return 0;
}

enum { A, B, E };

static void add(struct fixture *f, const char *text)
{
    assert_int_equal(known_hosts_add(f->hosts, "file", text, strlen(text)), 0);
}

static enum known_host_result ask(struct fixture *f, const char *host, uint16_t port, int key)
{
    known_hosts_find(f->hosts, host, port, &f->keys);
    return known_hosts_judge(&f->keys, f->blobs.keys[key].blob, f->blobs.keys[key].blob_length,
                             &f->because);
}

static void a_plain_line_matches(void **state)
{
    struct fixture *f = *state;
    add(f, "# comment\n\n  \nhost1 " ED25519_A " somebody@somewhere\n");
    assert_int_equal(ask(f, "host1", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(f->because->line, 4);
    assert_string_equal(f->because->file, "file");
    assert_string_equal(f->because->type, "ssh-ed25519");
    assert_int_equal(ask(f, "host2", 22, A), KNOWN_HOST_UNKNOWN);
    assert_null(f->because);
}

static void names_of_two_characters_and_one_count(void **state)
{
    struct fixture *f = *state;
    add(f, "db " ED25519_A "\nx " ED25519_B "\n");
    assert_int_equal(ask(f, "db", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "x", 22, B), KNOWN_HOST_MATCH);
}

static void case_does_not_matter(void **state)
{
    struct fixture *f = *state;
    add(f, "Host1.Example " ED25519_A "\n");
    assert_int_equal(ask(f, "hOST1.example", 22, A), KNOWN_HOST_MATCH);
}

static void a_list_names_several_hosts(void **state)
{
    struct fixture *f = *state;
    add(f, "host1,10.0.0.1,fe80::1 " ED25519_A "\n");
    assert_int_equal(ask(f, "10.0.0.1", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "fe80::1", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "10.0.0.11", 22, A), KNOWN_HOST_UNKNOWN);
}

static void wildcards_match_and_negation_wins(void **state)
{
    struct fixture *f = *state;
    add(f, "*.example,!bad.example,web? " ED25519_A "\n");
    assert_int_equal(ask(f, "good.example", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "a.b.example", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "bad.example", 22, A), KNOWN_HOST_UNKNOWN);
    assert_int_equal(ask(f, "web1", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "web12", 22, A), KNOWN_HOST_UNKNOWN);
}

static void negation_alone_names_nobody(void **state)
{
    struct fixture *f = *state;
    add(f, "!bad.example " ED25519_A "\n");
    assert_int_equal(ask(f, "good.example", 22, A), KNOWN_HOST_UNKNOWN);
}

static void another_port_is_another_name(void **state)
{
    struct fixture *f = *state;
    add(f, "[host1]:2222 " ED25519_A "\n");
    assert_int_equal(ask(f, "host1", 2222, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "host1", 2222, B), KNOWN_HOST_CHANGED);
    assert_int_equal(ask(f, "host1", 22, A), KNOWN_HOST_UNKNOWN);
    assert_int_equal(ask(f, "host1", 2223, A), KNOWN_HOST_UNKNOWN);
}

static void a_line_without_port_can_say_yes_but_not_changed(void **state)
{
    struct fixture *f = *state;
    add(f, "host1 " ED25519_A "\n");
    assert_int_equal(ask(f, "host1", 2222, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "host1", 2222, B), KNOWN_HOST_UNKNOWN);
}

static void another_key_of_the_type_is_a_change(void **state)
{
    struct fixture *f = *state;
    add(f, "host1 " ECDSA_E "\nhost1 " ED25519_B "\n");
    assert_int_equal(ask(f, "host1", 22, A), KNOWN_HOST_CHANGED);
    assert_int_equal(f->because->line, 2);
}

static void a_key_of_another_type_only_is_said_so(void **state)
{
    struct fixture *f = *state;
    add(f, "host1 " ECDSA_E "\n");
    assert_int_equal(ask(f, "host1", 22, A), KNOWN_HOST_OTHER_TYPE);
    assert_string_equal(f->because->type, "ecdsa-sha2-nistp256");
}

static void one_of_several_keys_is_enough(void **state)
{
    struct fixture *f = *state;
    add(f, "host1 " ED25519_B "\nhost1 " ED25519_A "\n");
    assert_int_equal(ask(f, "host1", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(f->because->line, 2);
}

static void revoked_wins_wherever_it_stands(void **state)
{
    struct fixture *f = *state;
    add(f, "host1 " ED25519_A "\n@revoked * " ED25519_A "\n");
    assert_int_equal(ask(f, "host1", 22, A), KNOWN_HOST_REVOKED);
    assert_int_equal(f->because->line, 2);
    assert_int_equal(ask(f, "host1", 2222, A), KNOWN_HOST_REVOKED);
    assert_int_equal(ask(f, "host1", 22, B), KNOWN_HOST_CHANGED);
}

static void a_revoked_line_alone_makes_nothing_known(void **state)
{
    struct fixture *f = *state;
    add(f, "@revoked host1 " ED25519_A "\n");
    assert_int_equal(ask(f, "host1", 22, B), KNOWN_HOST_UNKNOWN);
}

static void a_revocation_is_not_crowded_out(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3 * KNOWN_HOST_KEYS_MAX; i++) {
        add(f, "host1 " ED25519_B "\n");
    }
    add(f, "@revoked host1 " ED25519_A "\n");
    assert_int_equal(ask(f, "host1", 22, A), KNOWN_HOST_REVOKED);
    assert_int_equal(f->keys.count, KNOWN_HOST_KEYS_MAX);
}

static void authorities_are_passed_over(void **state)
{
    struct fixture *f = *state;
    const char *file;
    unsigned line;
    add(f, "@cert-authority *.example " ED25519_A "\n");
    assert_int_equal(ask(f, "a.example", 22, A), KNOWN_HOST_UNKNOWN);
    assert_int_equal(known_hosts_bad_lines(f->hosts, &file, &line), 0);
}

/* Made by `ssh-keygen -H` from host1 and [host1]:2222. */
static void hashed_names_match(void **state)
{
    struct fixture *f = *state;
    add(f, HASHED_HOST1 " " ED25519_A "\n" HASHED_HOST1_2222 " " ED25519_B "\n");
    assert_int_equal(ask(f, "host1", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "host2", 22, A), KNOWN_HOST_UNKNOWN);
    assert_int_equal(ask(f, "host1", 2222, B), KNOWN_HOST_MATCH);
}

static void windows_line_ends_and_a_missing_last_one_are_fine(void **state)
{
    struct fixture *f = *state;
    add(f, "host1 " ED25519_A "\r\nhost2 " ED25519_B);
    assert_int_equal(ask(f, "host1", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "host2", 22, B), KNOWN_HOST_MATCH);
}

static void bad_lines_are_skipped_counted_and_named(void **state)
{
    struct fixture *f = *state;
    const char *file = NULL;
    unsigned line = 0;
    add(f, "host0 " ED25519_A "\n"
           "garbage\n"
           "host1 ssh-ed25519\n"
           "host1 ssh-ed25519 !!!!\n"
           "host1 ssh-ed25519 AAAA\n"
           "host1 ssh-rsa " ED25519_A_BASE64 "\n"
           "@unknown host1 " ED25519_A "\n"
           "|1|short|hash= " ED25519_A "\n"
           "|2|x|y " ED25519_A "\n"
           "host9 " ED25519_B "\n");
    assert_int_equal(known_hosts_bad_lines(f->hosts, &file, &line), 8);
    assert_string_equal(file, "file");
    assert_int_equal(line, 2);
    assert_int_equal(ask(f, "host1", 22, A), KNOWN_HOST_UNKNOWN);
    assert_int_equal(ask(f, "host9", 22, B), KNOWN_HOST_MATCH);
    assert_int_equal(f->because->line, 10);
}

static void a_line_of_any_length_is_read(void **state)
{
    struct fixture *f = *state;
    size_t size = 300000;
    char *text = malloc(size + 1000);
    size_t length = 0;
    for (unsigned i = 0; length < size; i++) {
        length += (size_t)sprintf(text + length, "host%u,", i);
    }
    sprintf(text + length, "last " ED25519_A "\nafter " ED25519_B "\n");
    add(f, text);
    free(text);
    assert_int_equal(ask(f, "last", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "host17", 22, A), KNOWN_HOST_MATCH);
    assert_int_equal(ask(f, "after", 22, B), KNOWN_HOST_MATCH);
    assert_int_equal(f->because->line, 2);
}

static void a_name_that_is_too_long_is_unknown(void **state)
{
    struct fixture *f = *state;
    char name[1001];
    memset(name, 'a', 1000);
    name[1000] = '\0';
    add(f, "* " ED25519_A "\n");
    assert_int_equal(ask(f, name, 22, A), KNOWN_HOST_UNKNOWN);
}

static void tabs_separate_as_blanks_do(void **state)
{
    struct fixture *f = *state;
    add(f, "\thost1\t" ED25519_A "\n");
    assert_int_equal(ask(f, "host1", 22, A), KNOWN_HOST_MATCH);
}

static void several_files_add_up(void **state)
{
    struct fixture *f = *state;
    add(f, "host1 " ED25519_A "\n");
    assert_int_equal(
        known_hosts_add(f->hosts, "second", "host2 " ED25519_B, strlen("host2 " ED25519_B)), 0);
    assert_int_equal(ask(f, "host2", 22, B), KNOWN_HOST_MATCH);
    assert_string_equal(f->because->file, "second");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_plain_line_matches),
        CASE(names_of_two_characters_and_one_count),
        CASE(case_does_not_matter),
        CASE(a_list_names_several_hosts),
        CASE(wildcards_match_and_negation_wins),
        CASE(negation_alone_names_nobody),
        CASE(another_port_is_another_name),
        CASE(a_line_without_port_can_say_yes_but_not_changed),
        CASE(another_key_of_the_type_is_a_change),
        CASE(a_key_of_another_type_only_is_said_so),
        CASE(one_of_several_keys_is_enough),
        CASE(revoked_wins_wherever_it_stands),
        CASE(a_revoked_line_alone_makes_nothing_known),
        CASE(a_revocation_is_not_crowded_out),
        CASE(authorities_are_passed_over),
        CASE(hashed_names_match),
        CASE(windows_line_ends_and_a_missing_last_one_are_fine),
        CASE(bad_lines_are_skipped_counted_and_named),
        CASE(a_line_of_any_length_is_read),
        CASE(a_name_that_is_too_long_is_unknown),
        CASE(tabs_separate_as_blanks_do),
        CASE(several_files_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
