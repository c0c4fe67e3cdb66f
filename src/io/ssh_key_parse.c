#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "ssh_key.h"
#include "ssh_wire.h"

/* Secrets must not stay in freed memory. */
static void wipe(struct strbuf *buffer)
{
    if (buffer->capacity > 0) {
        OPENSSL_cleanse(buffer->text, buffer->capacity);
    }
    strbuf_release(buffer);
}

static BIGNUM *bignum(struct wire_string string)
{
    return BN_bin2bn(string.bytes, (int)string.length, NULL);
}

static EVP_PKEY *from_parameters(const char *kind, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    if (context == NULL || parameters == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, parameters) != 1) {
        key = NULL;
    }
    OSSL_PARAM_free(parameters);
    EVP_PKEY_CTX_free(context);
    return key;
}

/* mpint n, e, d, iqmp, p, q (OpenSSH's sshkey.c); the two exponents are computed. */
static EVP_PKEY *read_rsa(struct wire *wire)
{
    static const char *const names[8] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
        OSSL_PKEY_PARAM_RSA_FACTOR1,   OSSL_PKEY_PARAM_RSA_FACTOR2,
        OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2};
    enum { D = 2, P = 4, Q = 5, DP = 6, DQ = 7 };
    BIGNUM *numbers[8] = {NULL};
    BIGNUM *less_one = BN_new();
    BN_CTX *context = BN_CTX_new();
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    bool ok = less_one != NULL && context != NULL && builder != NULL;

    for (size_t i = 0; i < 6; i++) {
        numbers[i] = bignum(wire_string(wire));
        ok = ok && numbers[i] != NULL && !BN_is_zero(numbers[i]);
    }
    numbers[DP] = BN_new();
    numbers[DQ] = BN_new();
    ok = ok && !wire->bad && numbers[DP] != NULL && numbers[DQ] != NULL &&
         BN_sub(less_one, numbers[P], BN_value_one()) == 1 &&
         BN_mod(numbers[DP], numbers[D], less_one, context) == 1 &&
         BN_sub(less_one, numbers[Q], BN_value_one()) == 1 &&
         BN_mod(numbers[DQ], numbers[D], less_one, context) == 1;
    for (size_t i = 0; i < 8 && ok; i++) {
        ok = OSSL_PARAM_BLD_push_BN(builder, names[i], numbers[i]) == 1;
    }
    if (ok) {
        key = from_parameters("RSA", builder);
    }
    for (size_t i = 0; i < 8; i++) {
        BN_clear_free(numbers[i]);
    }
    BN_clear_free(less_one);
    BN_CTX_free(context);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* string curve, string point, mpint secret */
static EVP_PKEY *read_ecdsa(struct wire *wire)
{
    struct wire_string curve = wire_string(wire);
    struct wire_string point = wire_string(wire);
    BIGNUM *secret = bignum(wire_string(wire));
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    const char *group = wire_equals(curve, "nistp256")   ? "prime256v1"
                        : wire_equals(curve, "nistp384") ? "secp384r1"
                        : wire_equals(curve, "nistp521") ? "secp521r1"
                                                         : NULL;

    if (!wire->bad && group != NULL && secret != NULL && builder != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.bytes,
                                         point.length) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1) {
        key = from_parameters("EC", builder);
    }
    OSSL_PARAM_BLD_free(builder);
    BN_clear_free(secret);
    return key;
}

static EVP_PKEY *read_private(struct wire_string section)
{
    struct wire wire;
    wire_init(&wire, section.bytes, section.length);
    uint32_t check = wire_u32(&wire);
    if (check != wire_u32(&wire) || wire.bad) {
        return NULL;
    }
    struct wire_string type = wire_string(&wire);
    if (wire_equals(type, "ssh-ed25519")) {
        wire_string(&wire);
        struct wire_string pair = wire_string(&wire);
        if (pair.length != 64) {
            return NULL;
        }
        return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, pair.bytes, 32);
    }
    if (wire_equals(type, "ssh-rsa")) {
        return read_rsa(&wire);
    }
    return type.length > 6 && memcmp(type.bytes, "ecdsa-", 6) == 0 ? read_ecdsa(&wire) : NULL;
}

static int garbage(const char *path, struct err *err)
{
    return err_set(err, ERR_AUTH,
                   "key file %s: not a private key that can be read (damaged, or a kind other than "
                   "ed25519, ecdsa and RSA); check it with ssh-keygen -y -f %s",
                   path, path);
}

/* OpenSSH's PROTOCOL.key. The public half stands in clear even when the rest is encrypted. */
static int parse_openssh(struct ssh_key **out, const char *path, const char *text, struct err *err)
{
    static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
    const char *from = strstr(text, begin) + strlen(begin);
    const char *end = strstr(from, "-----END");
    struct strbuf base64;
    struct strbuf bytes;
    struct wire wire;
    int rc = 0;

    strbuf_init(&base64, SSH_KEY_FILE_MAX);
    strbuf_init(&bytes, SSH_KEY_FILE_MAX);
    for (; end != NULL && from < end; from++) {
        if (*from != '\n' && *from != '\r' && *from != ' ' && *from != '\t') {
            strbuf_addc(&base64, *from);
        }
    }
    if (end == NULL || base64_decode(&bytes, base64.text, base64.length) != 0 ||
        bytes.length < 15 || memcmp(bytes.text, "openssh-key-v1", 15) != 0) {
        rc = garbage(path, err);
        goto out;
    }
    wire_init(&wire, bytes.text + 15, bytes.length - 15);
    struct wire_string cipher = wire_string(&wire);
    wire_string(&wire);
    wire_string(&wire);
    uint32_t keys = wire_u32(&wire);
    struct wire_string blob = wire_string(&wire);
    struct wire_string section = wire_string(&wire);
    if (wire.bad || keys != 1) {
        rc = garbage(path, err);
        goto out;
    }
    rc = ssh_key_from_blob(out, path, blob.bytes, blob.length, err);
    if (rc != 0) {
        err_prefix(err, "key file %s", path);
        goto out;
    }
    if (wire_equals(cipher, "none")) {
        (*out)->private_key = read_private(section);
        if ((*out)->private_key == NULL) {
            ssh_key_drop(*out);
            *out = NULL;
            rc = garbage(path, err);
        }
    }
out:
    wipe(&base64);
    wipe(&bytes);
    return rc;
}

/* `ssh-ed25519 AAAA... comment` */
static int parse_public(struct ssh_key **out, const char *path, const char *text, struct err *err)
{
    const char *from = strchr(text, ' ');
    struct strbuf blob;
    int rc;

    strbuf_init(&blob, SSH_KEY_FILE_MAX);
    from = from != NULL ? from + 1 : "";
    if (base64_decode(&blob, from, strcspn(from, " \t\r\n")) != 0 || blob.length == 0) {
        rc = garbage(path, err);
    } else {
        rc = ssh_key_from_blob(out, path, blob.text, blob.length, err);
        if (rc != 0) {
            err_prefix(err, "key file %s", path);
        } else {
            (*out)->is_public = true;
        }
    }
    strbuf_release(&blob);
    return rc;
}

static void add_number(struct strbuf *blob, EVP_PKEY *key, const char *name)
{
    unsigned char bytes[2048];
    BIGNUM *number = NULL;
    if (EVP_PKEY_get_bn_param(key, name, &number) == 1 &&
        BN_num_bytes(number) <= (int)sizeof(bytes)) {
        int length = BN_bn2bin(number, bytes);
        wire_add_mpint(blob, bytes, (size_t)length);
    }
    BN_free(number);
}

static bool add_ecdsa_blob(struct strbuf *blob, EVP_PKEY *key)
{
    static const struct {
        const char *group, *curve;
    } curves[] = {{"prime256v1", "nistp256"}, {"secp384r1", "nistp384"}, {"secp521r1", "nistp521"}};
    char group[64] = "";
    char type[64];
    unsigned char point[256];
    size_t length = 0;

    EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL);
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
                                        &length) != 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
        if (strcmp(group, curves[i].group) == 0) {
            snprintf(type, sizeof(type), "ecdsa-sha2-%s", curves[i].curve);
            wire_add_string(blob, type, strlen(type));
            wire_add_string(blob, curves[i].curve, strlen(curves[i].curve));
            wire_add_string(blob, point, length);
            return true;
        }
    }
    return false;
}

static bool add_blob(struct strbuf *blob, EVP_PKEY *key)
{
    unsigned char raw[64];
    size_t length = sizeof(raw);
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        wire_add_string(blob, "ssh-rsa", 7);
        add_number(blob, key, OSSL_PKEY_PARAM_RSA_E);
        add_number(blob, key, OSSL_PKEY_PARAM_RSA_N);
        return true;
    case EVP_PKEY_EC:
        return add_ecdsa_blob(blob, key);
    case EVP_PKEY_ED25519:
        wire_add_string(blob, "ssh-ed25519", 11);
        if (EVP_PKEY_get_raw_public_key(key, raw, &length) != 1) {
            return false;
        }
        wire_add_string(blob, raw, length);
        return true;
    default:
        return false;
    }
}

/* Called for an encrypted PEM: no passphrase, rather than a prompt on the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *asked)
{
    (void)buffer;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static int parse_pem(struct ssh_key **out, const char *path, const char *text, struct err *err)
{
    struct strbuf blob;
    bool asked = false;
    int rc;
    BIO *memory = BIO_new_mem_buf(text, (int)strlen(text));
    EVP_PKEY *key =
        memory != NULL ? PEM_read_bio_PrivateKey(memory, NULL, no_passphrase, &asked) : NULL;
    BIO_free(memory);
    strbuf_init(&blob, SSH_KEY_FILE_MAX);
    if (key == NULL && asked) {
        /* Its public half is not in the file. */
        *out = calloc(1, sizeof(**out));
        rc = 0;
        if (*out != NULL) {
            (*out)->references = 1;
            (*out)->label = strdup(path);
        }
        if (*out == NULL || (*out)->label == NULL) {
            ssh_key_drop(*out);
            *out = NULL;
            rc = err_set(err, ERR_MEMORY, "out of memory");
        }
    } else if (key == NULL || !add_blob(&blob, key)) {
        rc = garbage(path, err);
    } else {
        rc = ssh_key_from_blob(out, path, blob.text, blob.length, err);
        if (rc == 0) {
            (*out)->private_key = key;
            key = NULL;
        }
    }
    EVP_PKEY_free(key);
    strbuf_release(&blob);
    return rc;
}

int ssh_key_parse(struct ssh_key **out, const char *path, const char *text, struct err *err)
{
    *out = NULL;
    if (strstr(text, "-----BEGIN OPENSSH PRIVATE KEY-----") != NULL) {
        return parse_openssh(out, path, text, err);
    }
    if (strncmp(text, "ssh-", 4) == 0 || strncmp(text, "ecdsa-", 6) == 0) {
        return parse_public(out, path, text, err);
    }
    return parse_pem(out, path, text, err);
}
