#include "io/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct digest {
    EVP_MD *algorithm; /* fetched once: fetching costs more than a small file */
    EVP_MD_CTX *stream;
};

void digest_hex(const unsigned char digest[SHA256_BYTES], char out[SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[2 * SHA256_BYTES] = '\0';
}

void digest_sha256_hex(const void *bytes, size_t length, char out[SHA256_HEX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    out[0] = '\0';
    if (EVP_Digest(bytes, length, digest, NULL, EVP_sha256(), NULL) == 1)
        digest_hex(digest, out);
}

struct digest *digest_create(void)
{
    struct digest *digest = calloc(1, sizeof(*digest));
    if (!digest)
        return NULL;
    digest->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    digest->stream = EVP_MD_CTX_new();
    if (!digest->algorithm || !digest->stream) {
        digest_free(digest);
        return NULL;
    }
    return digest;
}

void digest_free(struct digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->stream);
    EVP_MD_free(digest->algorithm);
    free(digest);
}

int digest_start(struct digest *digest)
{
    return EVP_DigestInit_ex2(digest->stream, digest->algorithm, NULL) == 1 ? 0 : -1;
}

int digest_add(struct digest *digest, const void *bytes, size_t length)
{
    return EVP_DigestUpdate(digest->stream, bytes, length) == 1 ? 0 : -1;
}

int digest_end(struct digest *digest, unsigned char out[SHA256_BYTES])
{
    return EVP_DigestFinal_ex(digest->stream, out, NULL) == 1 ? 0 : -1;
}
