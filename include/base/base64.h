/*
 * Standard base64 (RFC 4648, section 4). Works on memory only.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

#include "base/strbuf.h"

/* Appends the text of `length` bytes, padded. */
void base64_encode(struct strbuf *out, const void *bytes, size_t length);
/* Appends the bytes; padding is optional. 0, or -1 for anything else in the text, or when `out` overflows. */
int base64_decode(struct strbuf *out, const char *text, size_t length);

#endif
