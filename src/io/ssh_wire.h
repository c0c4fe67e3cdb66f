/*
 * RFC 4251's data types: a bounded reader over borrowed bytes, and writers into a strbuf.
 *
 * A reader that was asked for more than there is becomes `bad` and gives zeros and empty strings
 * from then on, so a caller may read a whole structure and ask once at the end.
 */
#ifndef IO_SSH_WIRE_H
#define IO_SSH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/strbuf.h"

struct wire {
    const unsigned char *at;
    size_t left;
    bool bad;
};

struct wire_string {
    const unsigned char *bytes; /* borrowed from what the reader reads */
    size_t length;
};

void wire_init(struct wire *wire, const void *bytes, size_t length);
uint8_t wire_byte(struct wire *wire);
uint32_t wire_u32(struct wire *wire);
struct wire_string wire_string(struct wire *wire);
void wire_skip(struct wire *wire, size_t count);
bool wire_equals(struct wire_string string, const char *text);

void wire_add_u32(struct strbuf *out, uint32_t value);
void wire_add_string(struct strbuf *out, const void *bytes, size_t length);
/* A positive number's bytes, most significant first; leading zeros are dropped and a sign byte is
 * put where needed. */
void wire_add_mpint(struct strbuf *out, const unsigned char *bytes, size_t length);

/* `SHA256:` and unpadded base64 of the digest, as OpenSSH prints: 50 characters and NUL. */
#define FINGERPRINT_SIZE 64
const char *fingerprint(char out[FINGERPRINT_SIZE], const void *blob, size_t length);

#endif
