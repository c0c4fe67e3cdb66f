/*
 * Private key files: OpenSSH's own format and PEM (PKCS#1, PKCS#8, SEC 1); ed25519, ecdsa and RSA.
 *
 * Read once a run and shared by all connections, so that a bad file is said in one clear sentence
 * and a login costs one signature. Never asks for a passphrase: an encrypted file gives its public
 * half only, and the agent must sign.
 */
#ifndef IO_SSH_KEY_H
#define IO_SSH_KEY_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

#define SSH_KEY_FILE_MAX (64 * 1024)

struct ssh_key {
    char *label;         /* for messages: the path, or `agent key COMMENT` */
    char algorithm[32];  /* the blob's type */
    unsigned char *blob; /* public key, RFC 4253 form; NULL: not known */
    size_t blob_length;
    EVP_PKEY *private_key; /* NULL: the agent must sign */
    bool is_public;        /* the file holds no private half at all, not even an encrypted one */
    unsigned references;
};

/* ERR_NOT_FOUND: no such file; ERR_AUTH: permissions, garbage, a kind that is not supported. An
 * encrypted file is no error: private_key is NULL. A public key file (`*.pub` content) is taken as
 * one whose private half the agent holds. */
int ssh_key_load(struct ssh_key **out, const char *path, struct err *err);
/* The same for a file's text of at most SSH_KEY_FILE_MAX bytes; `path` is its name in messages. */
int ssh_key_parse(struct ssh_key **out, const char *path, const char *text, struct err *err);
/* A key that the agent holds; ERR_UNSUPPORTED for certificates, security keys and DSA. */
int ssh_key_from_blob(struct ssh_key **out, const char *label, const void *blob, size_t length,
                      struct err *err);
struct ssh_key *ssh_key_hold(struct ssh_key *key);
void ssh_key_drop(struct ssh_key *key);

bool ssh_key_is_rsa(const struct ssh_key *key);
/* Appends the signature's inner bytes (without the algorithm's name) for `algorithm`, which for RSA
 * decides the hash. */
int ssh_key_sign(const struct ssh_key *key, const char *algorithm, const void *data, size_t length,
                 struct strbuf *out, struct err *err);

#endif
