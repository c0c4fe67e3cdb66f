/*
 * A client of the operator's ssh-agent (draft-miller-ssh-agent) that never blocks: libssh2's own
 * does, so that a hung agent or a confirmation prompt would stop the whole loop. One request a
 * connection; several may run at once.
 *
 * Callbacks run from the loop only, exactly once, unless cancelled. A reply is at most 256 KiB.
 */
#ifndef IO_AGENT_H
#define IO_AGENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"

#define AGENT_KEYS_MAX 64

struct agent_key {
    const unsigned char *blob; /* public key, RFC 4253 form */
    size_t blob_length;
    const char *comment; /* foreign bytes: sanitize before showing */
};

struct agent_call;

/* `keys` are borrowed until it returns. Further keys than AGENT_KEYS_MAX are left out. */
typedef void agent_list_fn(void *context, const struct err *error, const struct agent_key *keys,
                           size_t count);
/* `signature` is RFC 4253's signature blob: string algorithm, string signature. ERR_AUTH when the
 * agent refuses. */
typedef void agent_sign_fn(void *context, const struct err *error, const unsigned char *signature,
                           size_t length);

#define AGENT_SIGN_RSA_SHA256 2u /* flags of RSA keys: the hash of RFC 8332 instead of SHA-1 */
#define AGENT_SIGN_RSA_SHA512 4u

/* NULL when out of memory; every other failure comes by the callback. */
struct agent_call *agent_list(struct loop *loop, const char *socket_path, int64_t timeout_ms,
                              agent_list_fn *fn, void *context);
/* The blob and data are copied. */
struct agent_call *agent_sign(struct loop *loop, const char *socket_path, int64_t timeout_ms,
                              const void *blob, size_t blob_length, const void *data,
                              size_t data_length, uint32_t flags, agent_sign_fn *fn, void *context);
/* No callback comes after. NULL is fine; a call whose callback has run must not be cancelled. */
void agent_cancel(struct agent_call *call);

#endif
