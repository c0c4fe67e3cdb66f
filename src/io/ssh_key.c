#include "ssh_key.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <stdlib.h>
#include <string.h>

#include "ssh_wire.h"

#define SIGNATURE_MAX 4096

static bool algorithm_known(const char *name)
{
    static const char *const known[] = {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                                        "ecdsa-sha2-nistp521", "ssh-rsa"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i], name) == 0) {
            return true;
        }
    }
    return false;
}

int ssh_key_from_blob(struct ssh_key **out, const char *label, const void *blob, size_t length,
                      struct err *err)
{
    struct wire wire;
    struct ssh_key *key = calloc(1, sizeof(*key));

    *out = NULL;
    if (key == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    key->references = 1;
    wire_init(&wire, blob, length);
    struct wire_string type = wire_string(&wire);
    if (type.length < sizeof(key->algorithm)) {
        memcpy(key->algorithm, type.bytes, type.length);
    }
    if (wire.bad || !algorithm_known(key->algorithm)) {
        ssh_key_drop(key);
        return err_set(err, ERR_UNSUPPORTED,
                       "its kind is not supported: use ed25519, ecdsa or RSA");
    }
    key->label = strdup(label);
    key->blob = malloc(length);
    if (key->label == NULL || key->blob == NULL) {
        ssh_key_drop(key);
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    memcpy(key->blob, blob, length);
    key->blob_length = length;
    *out = key;
    return 0;
}

struct ssh_key *ssh_key_hold(struct ssh_key *key)
{
    key->references++;
    return key;
}

void ssh_key_drop(struct ssh_key *key)
{
    if (key != NULL && --key->references == 0) {
        EVP_PKEY_free(key->private_key);
        free(key->label);
        free(key->blob);
        free(key);
    }
}

bool ssh_key_is_rsa(const struct ssh_key *key)
{
    return strcmp(key->algorithm, "ssh-rsa") == 0;
}

/* NULL: the algorithm has its hash inside (ed25519). */
static const EVP_MD *hash_of(const char *algorithm)
{
    static const struct {
        const char *name;
        const EVP_MD *(*hash)(void);
    } hashes[] = {
        {"rsa-sha2-512", EVP_sha512},
        {"rsa-sha2-256", EVP_sha256},
        {"ssh-rsa", EVP_sha1},
        {"ecdsa-sha2-nistp256", EVP_sha256},
        {"ecdsa-sha2-nistp384", EVP_sha384},
        {"ecdsa-sha2-nistp521", EVP_sha512},
    };
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        if (strcmp(hashes[i].name, algorithm) == 0) {
            return hashes[i].hash();
        }
    }
    return NULL;
}

/* OpenSSL gives ECDSA signatures in DER; SSH wants two mpints (RFC 5656 section 3.1.2). */
static int add_ecdsa(struct strbuf *out, const unsigned char *der, size_t length)
{
    unsigned char number[128];
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)length);
    if (pair == NULL) {
        return -1;
    }
    const BIGNUM *halves[2] = {ECDSA_SIG_get0_r(pair), ECDSA_SIG_get0_s(pair)};
    for (size_t i = 0; i < 2; i++) {
        if (BN_num_bytes(halves[i]) > (int)sizeof(number)) {
            ECDSA_SIG_free(pair);
            return -1;
        }
        int bytes = BN_bn2bin(halves[i], number);
        wire_add_mpint(out, number, (size_t)bytes);
    }
    ECDSA_SIG_free(pair);
    return 0;
}

int ssh_key_sign(const struct ssh_key *key, const char *algorithm, const void *data, size_t length,
                 struct strbuf *out, struct err *err)
{
    unsigned char signature[SIGNATURE_MAX];
    size_t signature_length = sizeof(signature);
    bool ok = false;
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context != NULL &&
        EVP_DigestSignInit(context, NULL, hash_of(algorithm), NULL, key->private_key) == 1 &&
        EVP_DigestSign(context, signature, &signature_length, data, length) == 1) {
        if (strncmp(algorithm, "ecdsa-", 6) == 0) {
            ok = add_ecdsa(out, signature, signature_length) == 0;
        } else {
            strbuf_add(out, signature, signature_length);
            ok = true;
        }
    }
    EVP_MD_CTX_free(context);
    if (!ok || out->overflowed) {
        return err_set(err, ERR_AUTH, "key %s cannot sign as %s: OpenSSL refused", key->label,
                       algorithm);
    }
    return 0;
}
