#include "io/digest.h"

#include <openssl/evp.h>
#include <string.h>

/* struct digest is OpenSSL's context under our name. */
struct digest *digest_begin(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    return (struct digest *)context;
}

void digest_add(struct digest *digest, const void *bytes, size_t length)
{
    if (digest && length)
        EVP_DigestUpdate((EVP_MD_CTX *)digest, bytes, length);
}

void digest_end(struct digest *digest, char out[SHA256_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[EVP_MAX_MD_SIZE] = {0};
    if (digest)
        EVP_DigestFinal_ex((EVP_MD_CTX *)digest, raw, NULL);
    EVP_MD_CTX_free((EVP_MD_CTX *)digest);
    for (size_t i = 0; i < 32; i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[64] = '\0';
}

void digest_sha256_hex(const void *bytes, size_t length, char out[SHA256_HEX_SIZE])
{
    struct digest *digest = digest_begin();
    digest_add(digest, bytes, length);
    digest_end(digest, out);
}
