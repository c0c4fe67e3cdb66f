#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "app/table.h"

static void prints(struct table *table, const char *expected)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    table_print(table, stream);
    fclose(stream);
    assert_string_equal(text, expected);
    free(text);
    table_release(table);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, (const char *const[]){"node", "release", "note"}, 3);
    table_row(&table, (const char *const[]){"a", "20260101", "one"});
    table_row(&table, (const char *const[]){"longer-name", "b", "two"});
    prints(&table, "node         release   note\n"
                   "a            20260101  one\n"
                   "longer-name  b         two\n");
}

static void what_is_missing_is_a_dash_and_no_line_ends_in_blanks(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, (const char *const[]){"node", "note"}, 2);
    table_row(&table, (const char *const[]){NULL, ""});
    prints(&table, "node  note\n-     -\n");
}

static void wide_and_combining_characters_are_counted_in_columns(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, (const char *const[]){"node", "note"}, 2);
    table_row(&table, (const char *const[]){"日本", "x"});
    table_row(&table, (const char *const[]){"e\xcc\x81", "y"});
    prints(&table, "node  note\n日本  x\ne\xcc\x81     y\n");
}

static void cells_are_copied(void **state)
{
    (void)state;
    struct table table;
    char cell[] = "before";
    table_init(&table, (const char *const[]){"node"}, 1);
    table_row(&table, (const char *const[]){cell});
    strcpy(cell, "after");
    prints(&table, "node\nbefore\n");
}

static void a_table_without_rows_is_its_heading(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, (const char *const[]){"node", "note"}, 2);
    prints(&table, "node  note\n");
}

static void many_rows_stay_in_order(void **state)
{
    (void)state;
    struct table table;
    char expected[8192] = "node\n";
    table_init(&table, (const char *const[]){"node"}, 1);
    for (int i = 0; i < 500; i++) {
        char cell[16];
        snprintf(cell, sizeof(cell), "n%d", i);
        table_row(&table, (const char *const[]){cell});
        strcat(strcat(expected, cell), "\n");
    }
    prints(&table, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(what_is_missing_is_a_dash_and_no_line_ends_in_blanks),
        cmocka_unit_test(wide_and_combining_characters_are_counted_in_columns),
        cmocka_unit_test(cells_are_copied),
        cmocka_unit_test(a_table_without_rows_is_its_heading),
        cmocka_unit_test(many_rows_stay_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
