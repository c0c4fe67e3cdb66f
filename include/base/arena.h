/*
 * Memory that lives and dies together: what a parsed file becomes is freed in one call.
 *
 * Nothing is freed alone. Every pointer stays valid until arena_release. All functions return NULL only when
 * memory is exhausted.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
};

void arena_init(struct arena *arena);
void arena_release(struct arena *arena);

/* `size` zeroed bytes, aligned for any object. */
void *arena_alloc(struct arena *arena, size_t size);
/* A NUL-terminated copy. */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* An array grown by one element: returns the new array (the old one stays in the arena), the added element zeroed.
 * Amortised: capacities are powers of two, so `count` alone tells when to grow. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t element_size);

#endif
