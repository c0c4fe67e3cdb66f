#include <stdlib.h>
#include <string.h>

#include "ssh_internal.h"
#include "ssh_wire.h"

/* What is asked for, best first. Finite-field DH costs ten times the time: last. CTR with a plain
 * MAC first: it is what libssh2 1.10 has, and a newer one's EtM and GCM paths are younger code. */
static const struct {
    const char *what;
    int method;
    size_t peer_list; /* its place in KEXINIT */
    const char *names;
    const char *setting; /* sshd_config's word for it */
} wanted[] = {
    {"key exchange", LIBSSH2_METHOD_KEX, 0,
     "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,"
     "ecdh-sha2-nistp521,diffie-hellman-group14-sha256,diffie-hellman-group16-sha512,"
     "diffie-hellman-group-exchange-sha256,diffie-hellman-group18-sha512,"
     "diffie-hellman-group14-sha1",
     "KexAlgorithms"},
    {"host key", LIBSSH2_METHOD_HOSTKEY, 1,
     "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,"
     "rsa-sha2-256,ssh-rsa",
     "HostKey"},
    {"cipher", LIBSSH2_METHOD_CRYPT_CS, 2,
     "aes128-ctr,aes192-ctr,aes256-ctr,chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,"
     "aes256-gcm@openssh.com",
     "Ciphers"},
    {"cipher", LIBSSH2_METHOD_CRYPT_SC, 3,
     "aes128-ctr,aes192-ctr,aes256-ctr,chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,"
     "aes256-gcm@openssh.com",
     "Ciphers"},
    {"MAC", LIBSSH2_METHOD_MAC_CS, 4,
     "hmac-sha2-256,hmac-sha2-512,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
     "hmac-sha1",
     "MACs"},
    {"MAC", LIBSSH2_METHOD_MAC_SC, 5,
     "hmac-sha2-256,hmac-sha2-512,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
     "hmac-sha1",
     "MACs"},
};
#define WANTED_COUNT (sizeof(wanted) / sizeof(wanted[0]))

/* Keeps the names that this libssh2 has. libssh2 1.10 drops unknown ones itself, but with an
 * overlapping memcpy. */
static void keep_supported(struct strbuf *out, LIBSSH2_SESSION *session, int method,
                           const char *names)
{
    const char **supported = NULL;
    int count = libssh2_session_supported_algs(session, method, &supported);
    while (*names != '\0') {
        size_t length = strcspn(names, ",");
        for (int i = 0; i < count; i++) {
            if (strlen(supported[i]) == length && memcmp(supported[i], names, length) == 0) {
                strbuf_adds(out, out->length > 0 ? "," : "");
                strbuf_add(out, names, length);
                break;
            }
        }
        names += length;
        names += *names == ',' ? 1 : 0;
    }
    if (count > 0) {
        libssh2_free(session, supported);
    }
}

int algorithms_apply(LIBSSH2_SESSION *session, const char *host_keys)
{
    struct strbuf kept;
    int rc = 0;
    strbuf_init(&kept, 2048);
    for (size_t i = 0; rc == 0 && i < WANTED_COUNT; i++) {
        bool is_host_key = wanted[i].method == LIBSSH2_METHOD_HOSTKEY;
        strbuf_reset(&kept);
        keep_supported(&kept, session, wanted[i].method, is_host_key ? host_keys : wanted[i].names);
        rc = libssh2_session_method_pref(session, wanted[i].method, kept.text);
    }
    strbuf_release(&kept);
    return rc;
}

bool list_has(const char *list, const char *name)
{
    size_t length = strlen(name);
    while (*list != '\0') {
        size_t word = strcspn(list, ",");
        if (word == length && memcmp(list, name, length) == 0) {
            return true;
        }
        list += word;
        list += *list == ',' ? 1 : 0;
    }
    return false;
}

/* The banner is the first line that starts with SSH-; what stands before it may be anything (RFC
 * 4253 section 4.2). */
const char *peer_banner_line(const struct ssh *ssh, size_t *length)
{
    const char *at = ssh->seen.text;
    const char *end = at + ssh->seen.length;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        if (stop - at >= 4 && memcmp(at, "SSH-", 4) == 0) {
            *length = (size_t)(stop - at);
            return at;
        }
        at = newline != NULL ? newline + 1 : end;
    }
    *length = 0;
    return NULL;
}

bool peer_algorithms(const struct ssh *ssh, size_t list, char *out, size_t size)
{
    enum { KEXINIT = 20, COOKIE = 16 };
    struct wire wire;
    size_t length;
    const char *banner = peer_banner_line(ssh, &length);

    if (banner == NULL) {
        return false;
    }
    const char *packet = banner + length + 1;
    const char *end = ssh->seen.text + ssh->seen.length;
    if (packet >= end) {
        return false;
    }
    wire_init(&wire, packet, (size_t)(end - packet));
    wire_u32(&wire);
    wire_byte(&wire);
    if (wire_byte(&wire) != KEXINIT) {
        return false;
    }
    wire_skip(&wire, COOKIE);
    for (size_t i = 0; i < list; i++) {
        wire_string(&wire);
    }
    struct wire_string names = wire_string(&wire);
    if (wire.bad || names.length >= size) {
        return false;
    }
    memcpy(out, names.bytes, names.length);
    out[names.length] = '\0';
    return true;
}

static bool in_common(LIBSSH2_SESSION *session, size_t which, const char *offered)
{
    struct strbuf kept;
    bool found = false;
    strbuf_init(&kept, 2048);
    keep_supported(&kept, session, wanted[which].method, wanted[which].names);
    char *rest = NULL;
    for (char *name = strtok_r(kept.text, ",", &rest); name != NULL && !found;
         name = strtok_r(NULL, ",", &rest)) {
        found = list_has(offered, name);
    }
    strbuf_release(&kept);
    return found;
}

bool algorithms_mismatch(const struct ssh *ssh, struct algorithm_mismatch *out)
{
    for (size_t i = 0; i < WANTED_COUNT; i++) {
        if (!peer_algorithms(ssh, wanted[i].peer_list, out->offered, sizeof(out->offered))) {
            return false;
        }
        if (!in_common(ssh->session, i, out->offered)) {
            out->what = wanted[i].what;
            out->setting = wanted[i].setting;
            out->is_mac = wanted[i].peer_list >= 4;
            out->is_host_key = wanted[i].peer_list == 1;
            return true;
        }
    }
    return false;
}
