#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "check.h"

static void memory_is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    unsigned char *blocks[200];
    for (size_t i = 0; i < 200; i++) {
        blocks[i] = arena_alloc(&arena, i + 1);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j <= i; j++)
            assert_int_equal(blocks[i][j], 0);
        memset(blocks[i], (int)i, i + 1);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t j = 0; j <= i; j++)
            assert_int_equal(blocks[i][j], i);
    arena_release(&arena);
}

static void a_block_larger_than_a_page_fits(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char *large = arena_alloc(&arena, 1u << 20);
    assert_non_null(large);
    large[(1u << 20) - 1] = 'x';
    assert_null(arena_alloc(&arena, SIZE_MAX));
    arena_release(&arena);
    arena_release(&arena);
}

static void texts_are_copied_and_formatted(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    assert_string_equal(arena_strdup(&arena, "web1"), "web1");
    assert_string_equal(arena_strndup(&arena, "web1:22", 4), "web1");
    assert_string_equal(arena_printf(&arena, "%s-%03d", "n", 7), "n-007");
    arena_release(&arena);
}

static void an_array_grows_and_keeps_its_elements(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    size_t *items = NULL;
    for (size_t i = 0; i < 1000; i++) {
        items = arena_grow(&arena, items, i, sizeof(*items));
        assert_int_equal(items[i], 0);
        items[i] = i;
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(a_block_larger_than_a_page_fits),
        cmocka_unit_test(texts_are_copied_and_formatted),
        cmocka_unit_test(an_array_grows_and_keeps_its_elements),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
