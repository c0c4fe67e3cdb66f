#include <stdlib.h>
#include <string.h>

#include "ssh_internal.h"
#include "ssh_wire.h"

#define AGENT_SIGN_TIMEOUT_MS                                                                      \
    60000 /* a person may have to confirm or touch; the connection's deadline is shorter as a rule \
           */

static bool peer_is_openssh(const struct ssh *ssh)
{
    const char *banner = libssh2_session_banner_get(ssh->session);
    return banner != NULL && strncmp(banner, "SSH-2.0-OpenSSH_", 16) == 0;
}

/* libssh2 before 1.11 signs with RSA only as ssh-rsa (SHA-1), which OpenSSH has refused since 8.8.
 * A public blob relabelled rsa-sha2-512 makes it send that name; OpenSSH takes it. RFC 8332 wants
 * the blob to stay ssh-rsa, so others get the stock form. */
static void choose_method(struct ssh *ssh, const struct ssh_key *key)
{
    struct auth *auth = &ssh->auth;
    bool relabel = ssh_key_is_rsa(key) && peer_is_openssh(ssh);

    strbuf_reset(&auth->blob);
    if (!relabel) {
        snprintf(auth->method, sizeof(auth->method), "%s", key->algorithm);
        strbuf_add(&auth->blob, key->blob, key->blob_length);
        return;
    }
    struct wire wire;
    wire_init(&wire, key->blob, key->blob_length);
    wire_string(&wire);
    snprintf(auth->method, sizeof(auth->method), "rsa-sha2-512");
    wire_add_string(&auth->blob, auth->method, strlen(auth->method));
    strbuf_add(&auth->blob, wire.at, wire.left);
}

/* What is signed names the algorithm (RFC 4252 section 7): a newer libssh2 may have chosen another
 * than ours. */
static void algorithm_in(char *out, size_t size, const void *data, size_t length)
{
    struct wire wire;
    wire_init(&wire, data, length);
    wire_string(&wire); /* session id */
    wire_byte(&wire);
    wire_string(&wire); /* user */
    wire_string(&wire); /* service */
    wire_string(&wire); /* "publickey" */
    wire_byte(&wire);
    struct wire_string name = wire_string(&wire);
    snprintf(out, size, "%.*s", (int)(name.length < size ? name.length : size - 1),
             (const char *)name.bytes);
}

static void on_agent_signature(void *context, const struct err *error,
                               const unsigned char *signature, size_t length)
{
    struct ssh *ssh = context;
    struct auth *auth = &ssh->auth;
    struct wire wire;

    auth->agent_call = NULL;
    auth->sign = SIGN_FAILED;
    if (error != NULL) {
        strbuf_addf(&auth->notes, "%s%s", auth->notes.length > 0 ? "; " : "", error->message);
    } else {
        wire_init(&wire, signature, length);
        wire_string(&wire);
        struct wire_string inner = wire_string(&wire);
        if (!wire.bad) {
            strbuf_reset(&auth->signature);
            strbuf_add(&auth->signature, inner.bytes, inner.length);
            auth->sign = SIGN_GOOD;
        }
    }
    ssh_wake(ssh);
}

static void ask_agent(struct ssh *ssh, const struct ssh_key *key, const char *algorithm,
                      const void *data, size_t length)
{
    struct auth *auth = &ssh->auth;
    uint32_t flags = strcmp(algorithm, "rsa-sha2-512") == 0   ? AGENT_SIGN_RSA_SHA512
                     : strcmp(algorithm, "rsa-sha2-256") == 0 ? AGENT_SIGN_RSA_SHA256
                                                              : 0;
    auth->agent_call =
        agent_sign(ssh->shared->loop, ssh->shared->agent_socket, AGENT_SIGN_TIMEOUT_MS, key->blob,
                   key->blob_length, data, length, flags, on_agent_signature, ssh);
    auth->sign = auth->agent_call != NULL ? SIGN_ASKED : SIGN_FAILED;
}

static void sign_here(struct ssh *ssh, const struct ssh_key *key, const char *algorithm,
                      const void *data, size_t length)
{
    struct auth *auth = &ssh->auth;
    struct err error;
    strbuf_reset(&auth->signature);
    if (ssh_key_sign(key, algorithm, data, length, &auth->signature, &error) == 0) {
        auth->sign = SIGN_GOOD;
    } else {
        strbuf_addf(&auth->notes, "%s%s", auth->notes.length > 0 ? "; " : "", error.message);
        auth->sign = SIGN_FAILED;
    }
}

/* libssh2 calls it again, with the same data, after LIBSSH2_ERROR_EAGAIN (userauth.c of 1.10, state
 * sent1). */
static LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC(on_sign)
{
    struct ssh *ssh = *abstract;
    struct auth *auth = &ssh->auth;
    const struct ssh_key *key = auth->keys[auth->at];
    char algorithm[64];
    (void)session;

    if (auth->sign == SIGN_IDLE) {
        algorithm_in(algorithm, sizeof(algorithm), data, data_len);
        if (key->private_key != NULL) {
            sign_here(ssh, key, algorithm, data, data_len);
        } else {
            ask_agent(ssh, key, algorithm, data, data_len);
        }
    }
    if (auth->sign == SIGN_ASKED) {
        return LIBSSH2_ERROR_EAGAIN;
    }
    if (auth->sign != SIGN_GOOD) {
        return LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED;
    }
    /* libssh2 frees it with the session's allocator. */
    *sig = bounds_alloc(auth->signature.length, abstract);
    if (*sig == NULL) {
        return LIBSSH2_ERROR_ALLOC;
    }
    memcpy(*sig, auth->signature.text, auth->signature.length);
    *sig_len = auth->signature.length;
    return 0;
}

static void remember_tried(struct ssh *ssh)
{
    struct auth *auth = &ssh->auth;
    const struct ssh_key *key = auth->keys[auth->at];
    char print[FINGERPRINT_SIZE];
    strbuf_addf(&auth->tried, "%s%s (%s %s)", auth->tried.length > 0 ? ", " : "", key->label,
                auth->method, fingerprint(print, key->blob, key->blob_length));
}

/* Next form of this key, or the next key. */
static void advance(struct ssh *ssh)
{
    struct auth *auth = &ssh->auth;
    remember_tried(ssh);
    auth->taken = auth->taken || auth->sign == SIGN_GOOD;
    auth->sign = SIGN_IDLE;
    strbuf_reset(&auth->blob);
    auth->at++;
}

static bool is_refusal(int rc)
{
    return rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED || rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED;
}

/* No key was enough: which ways are open says whether one could have been (RFC 4252 section 5.2). */
static bool ask_ways(struct ssh *ssh)
{
    const char *user = ssh->target->user;
    const char *ways = libssh2_userauth_list(ssh->session, user, (unsigned)strlen(user));
    if (ways == NULL && libssh2_session_last_errno(ssh->session) == LIBSSH2_ERROR_EAGAIN) {
        return false;
    }
    explain_auth(ssh, ways);
    return false;
}

static bool try_keys(struct ssh *ssh)
{
    struct auth *auth = &ssh->auth;
    while (auth->at < auth->key_count) {
        if (auth->blob.length == 0) {
            choose_method(ssh, auth->keys[auth->at]);
        }
        /* As `void **` libssh2 hands our pointer's address to on_sign, as it does with the
         * session's. */
        void *self = ssh;
        int rc = libssh2_userauth_publickey(ssh->session, ssh->target->user,
                                            (const unsigned char *)auth->blob.text,
                                            auth->blob.length, on_sign, &self);
        if (rc == LIBSSH2_ERROR_EAGAIN) {
            return false;
        }
        if (rc == 0) {
            return true;
        }
        if (!is_refusal(rc)) {
            explain_lost(ssh, auth->tried.length > 0 ? "login, after refused keys" : "login");
            return false;
        }
        advance(ssh);
    }
    auth->step = AUTH_ASK_WAYS;
    return ask_ways(ssh);
}

bool auth_step(struct ssh *ssh)
{
    struct auth *auth = &ssh->auth;
    switch (auth->step) {
    case AUTH_START:
        if (!auth_collect(ssh)) {
            return false;
        }
        auth->step = AUTH_TRY;
        return try_keys(ssh);
    case AUTH_WAIT_AGENT_LIST:
        return false;
    case AUTH_TRY:
        return try_keys(ssh);
    case AUTH_ASK_WAYS:
        return ask_ways(ssh);
    default:
        return true;
    }
}

void auth_release(struct ssh *ssh)
{
    struct auth *auth = &ssh->auth;
    auth_agent_forget(ssh);
    agent_cancel(auth->agent_call);
    auth->agent_call = NULL;
    for (size_t i = 0; i < auth->key_count; i++) {
        ssh_key_drop(auth->keys[i]);
    }
    auth->key_count = 0;
    auth->at = 0;
    strbuf_release(&auth->blob);
    strbuf_release(&auth->signature);
    strbuf_release(&auth->tried);
    strbuf_release(&auth->notes);
}
