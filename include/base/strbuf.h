/*
 * A growing string with a stated maximum.
 *
 * Invariant: `text` is always NUL-terminated and never NULL; `length` excludes that NUL; NUL bytes may stand
 * inside. Once the maximum or memory is exceeded the buffer keeps what fits, sets `overflowed`, and ignores
 * what comes after, so a caller may append freely and ask once at the end. Never reads or writes files.
 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct strbuf {
    char *text;
    size_t length;
    size_t capacity; /* allocated bytes; 0 while `text` is the shared empty string */
    size_t maximum;  /* most bytes `length` may reach */
    bool overflowed;
};

/* Empties without allocating; `maximum` bytes at most. Release with strbuf_release. */
void strbuf_init(struct strbuf *buffer, size_t maximum);
/* Frees the contents; the buffer is as after strbuf_init with the same maximum. */
void strbuf_release(struct strbuf *buffer);
/* Sets the length to 0 and clears `overflowed`; keeps the memory. */
void strbuf_reset(struct strbuf *buffer);

void strbuf_add(struct strbuf *buffer, const void *bytes, size_t length);
/* All of it or nothing: a character is never cut in two. */
void strbuf_add_whole(struct strbuf *buffer, const void *bytes, size_t length);
void strbuf_adds(struct strbuf *buffer, const char *text);
void strbuf_addc(struct strbuf *buffer, char byte);
void strbuf_addf(struct strbuf *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void strbuf_addf_va(struct strbuf *buffer, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Removes what stands after the first `length` bytes; nothing when there is no more. */
void strbuf_cut(struct strbuf *buffer, size_t length);
/* Removes the first `count` bytes (all of them if there are fewer). */
void strbuf_consume(struct strbuf *buffer, size_t count);
/* Removes white space at the end. */
void strbuf_trim_end(struct strbuf *buffer);
/* Hands the malloc'ed string to the caller, who frees it; the buffer is empty after. NULL when out of memory. */
char *strbuf_detach(struct strbuf *buffer);

#endif
