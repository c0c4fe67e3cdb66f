#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "check.h"
#include "node/program.h"

static void the_program_is_embedded_whole(void **state)
{
    (void)state;
    assert_int_equal(strlen(node_program), node_program_length);
    assert_true(node_program_length > 1000);
    assert_int_equal(node_program[node_program_length - 1], '\n');
    assert_non_null(strstr(node_program, "deployctl-step) lead ;;"));
}

/* One argument of execve holds 128 KiB; a leader gets the program as one. */
static void the_program_fits_one_argument(void **state)
{
    (void)state;
    assert_true(node_program_length < 128 * 1024 - 1);
}

static void the_boot_text_is_the_program_behind_its_number_of_lines(void **state)
{
    (void)state;
    struct strbuf out;
    struct node_boot boot;
    const char *piece;
    size_t length;
    strbuf_init(&out, 1u << 20);
    node_boot_init(&boot, "0123456789abcdef");
    while (piece = node_boot_next(&boot, &length), length) {
        size_t taken = length > 1000 ? 1000 : length / 2 + 1; /* as a channel takes them */
        strbuf_add(&out, piece, taken);
        boot.written += taken;
    }
    char head[64];
    size_t size = (size_t)snprintf(head, sizeof(head), "boot-0123456789abcdef\n%zu\n", node_program_lines);
    assert_int_equal(out.length, size + node_program_length);
    assert_memory_equal(out.text, head, size);
    assert_string_equal(out.text + size, node_program);
    size_t lines = 0;
    for (const char *at = node_program; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, node_program_lines);
    strbuf_release(&out);
}

/* What stands between the quotes must read the same in sh, csh and fish. */
static void the_command_lines_hold_nothing_that_login_shells_read_differently(void **state)
{
    (void)state;
    const char *const lines[] = {node_bootstrap(), node_receive_command(0), node_receive_command(1)};
    for (size_t i = 0; i < 3; i++) {
        assert_null(strpbrk(lines[i], "!\n"));
        assert_null(strstr(lines[i], "\\\\"));
        const char *quote = strchr(lines[i], '\'');
        assert_non_null(quote);
        quote = strchr(quote + 1, '\'');
        assert_non_null(quote);
        assert_string_equal(quote, "'");
    }
    assert_non_null(strstr(node_receive_command(1), "sudo -n"));
    assert_null(strstr(node_receive_command(0), "sudo"));
}

static void the_node_has_the_protocol_of_the_header(void **state)
{
    (void)state;
    char line[32];
    snprintf(line, sizeof(line), "\nprotocol=%d\n", NODE_PROTOCOL);
    assert_non_null(strstr(node_program, line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_is_embedded_whole),
        cmocka_unit_test(the_program_fits_one_argument),
        cmocka_unit_test(the_boot_text_is_the_program_behind_its_number_of_lines),
        cmocka_unit_test(the_command_lines_hold_nothing_that_login_shells_read_differently),
        cmocka_unit_test(the_node_has_the_protocol_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
