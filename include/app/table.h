/*
 * Text in columns for people: each column as wide as its widest cell, the last one free, never
 * trailing blanks. Cells are made safe to show.
 */
#ifndef APP_TABLE_H
#define APP_TABLE_H

#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"

#define TABLE_COLUMNS_MAX 12

struct table {
    struct arena arena;
    size_t columns;
    const char ***rows; /* row 0 is the heading */
    size_t count;
};

/* `headings`: `columns` texts. */
void table_init(struct table *table, const char *const *headings, size_t columns);
/* `cells`: `columns` texts, copied; NULL shows as `-`. */
void table_row(struct table *table, const char *const *cells);
void table_print(const struct table *table, FILE *stream);
void table_release(struct table *table);

#endif
