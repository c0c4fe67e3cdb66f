/*
 * SHA-256 by libcrypto: of a buffer at once, or of a stream piece by piece.
 */
#ifndef IO_DIGEST_H
#define IO_DIGEST_H

#include <stddef.h>

#define SHA256_BYTES 32
#define SHA256_HEX 65 /* with the NUL */

/* The digest of `length` bytes in lower-case hex. Empty text when libcrypto has no memory. */
void digest_sha256_hex(const void *bytes, size_t length, char out[SHA256_HEX]);
void digest_hex(const unsigned char digest[SHA256_BYTES], char out[SHA256_HEX]);

/* A stream, used again and again: start, add, end. */
struct digest;
/* NULL when out of memory. */
struct digest *digest_create(void);
void digest_free(struct digest *digest);
/* Each returns 0, or -1 when libcrypto fails. */
int digest_start(struct digest *digest);
int digest_add(struct digest *digest, const void *bytes, size_t length);
int digest_end(struct digest *digest, unsigned char out[SHA256_BYTES]);

#endif
