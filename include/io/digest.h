/*
 * SHA-256 by OpenSSL's libcrypto, which libssh2 brings anyway. In one call or in parts.
 */
#ifndef IO_DIGEST_H
#define IO_DIGEST_H

#include <stddef.h>

#define SHA256_HEX_SIZE 65 /* 64 digits and the NUL */

/* `out` is always set; all zeros digits when libcrypto fails, which no digest of anything equals. */
void digest_sha256_hex(const void *bytes, size_t length, char out[SHA256_HEX_SIZE]);

struct digest; /* one under way; NULL is accepted everywhere and yields zeros */
struct digest *digest_begin(void);
void digest_add(struct digest *digest, const void *bytes, size_t length);
/* Writes the digest and frees. */
void digest_end(struct digest *digest, char out[SHA256_HEX_SIZE]);

#endif
