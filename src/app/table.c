#include "app/table.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

#define CELL_MAX ((size_t)64 << 10)

void table_init(struct table *table, const char *const *headings, size_t columns)
{
    *table = (struct table){.columns = columns < TABLE_COLUMNS_MAX ? columns : TABLE_COLUMNS_MAX};
    arena_init(&table->arena);
    table_row(table, headings);
}

/* Safe to show, so that its width is what is shown. */
static const char *safe_cell(struct table *table, const char *cell)
{
    struct strbuf safe;
    strbuf_init(&safe, CELL_MAX);
    text_sanitize(&safe, cell, strlen(cell), false);
    const char *kept = arena_strdup(&table->arena, safe.text);
    strbuf_release(&safe);
    return kept ? kept : "";
}

void table_row(struct table *table, const char *const *cells)
{
    const char **row = arena_alloc(&table->arena, table->columns * sizeof(*row));
    const char ***rows = arena_grow(&table->arena, table->rows, table->count, sizeof(*rows));
    if (!row || !rows)
        return;
    for (size_t i = 0; i < table->columns; i++)
        row[i] = safe_cell(table, cells[i] && cells[i][0] ? cells[i] : "-");
    table->rows = rows;
    rows[table->count++] = row;
}

void table_print(const struct table *table, FILE *stream)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t row = 0; row < table->count; row++)
        for (size_t i = 0; i < table->columns; i++) {
            size_t width = text_columns(table->rows[row][i]);
            widths[i] = width > widths[i] ? width : widths[i];
        }
    for (size_t row = 0; row < table->count; row++) {
        for (size_t i = 0; i < table->columns; i++) {
            const char *cell = table->rows[row][i];
            bool last = i + 1 == table->columns;
            size_t blanks = last ? 0 : widths[i] - text_columns(cell) + 2;
            fprintf(stream, "%s%*s", cell, (int)blanks, "");
        }
        fputc('\n', stream);
    }
}

void table_release(struct table *table)
{
    arena_release(&table->arena);
}
