#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ssh_internal.h"
#include "ssh_wire.h"

/* Key types in the order that ssh(1) prefers them, with the algorithms that use each (RFC 8332 for
 * RSA). */
static const struct {
    const char *type;
    const char *algorithms;
} types[] = {
    {"ssh-ed25519", "ssh-ed25519"},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"},
    {"ssh-rsa", "rsa-sha2-512,rsa-sha2-256,ssh-rsa"},
};
#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

static size_t type_index(const char *name, size_t length)
{
    size_t i = 0;
    while (i < TYPE_COUNT &&
           (strlen(types[i].type) != length || memcmp(types[i].type, name, length) != 0)) {
        i++;
    }
    return i;
}

static bool pin_matches(const char *pin, const unsigned char *blob, size_t length)
{
    char actual[FINGERPRINT_SIZE];
    size_t pin_length = strlen(pin);
    fingerprint(actual, blob, length);
    while (pin_length > 0 && pin[pin_length - 1] == '=') {
        pin_length--;
    }
    return pin_length == strlen(actual) && strncmp(pin, actual, pin_length) == 0;
}

static bool is_pinned(const struct target *target, const unsigned char *blob, size_t length)
{
    for (size_t i = 0; i < target->host_key_count; i++) {
        if (pin_matches(target->host_keys[i], blob, length)) {
            return true;
        }
    }
    return false;
}

static void add_type(struct strbuf *out, unsigned *listed, size_t type)
{
    if (type < TYPE_COUNT && (*listed & 1u << type) == 0) {
        strbuf_addf(out, "%s%s", out->length > 0 ? "," : "", types[type].algorithms);
        *listed |= 1u << type;
    }
}

/* Asks for the types that are known first: a server has several keys, and ours must be one that we
 * can compare. Types whose key matched no pin come last. */
static void prefer_known(struct ssh *ssh, struct strbuf *out)
{
    unsigned listed = 0;
    bool pinned = ssh->target->host_key_count > 0;

    for (size_t i = 0; i < ssh->known->count; i++) {
        const struct known_host_key *key = &ssh->known->keys[i];
        size_t type = type_index(key->type, strlen(key->type));
        bool wanted = pinned ? is_pinned(ssh->target, key->blob, key->blob_length) : !key->revoked;
        if (wanted && (ssh->types_refused & 1u << type) == 0) {
            add_type(out, &listed, type);
        }
    }
    for (size_t type = 0; type < TYPE_COUNT; type++) {
        if ((ssh->types_refused & 1u << type) == 0) {
            add_type(out, &listed, type);
        }
    }
    for (size_t type = 0; type < TYPE_COUNT; type++) {
        add_type(out, &listed, type);
    }
}

void hostkey_prepare(struct ssh *ssh)
{
    struct strbuf order;
    strbuf_init(&order, 1024);
    if (ssh->known == NULL) {
        ssh->known = calloc(1, sizeof(*ssh->known));
        if (ssh->known == NULL) {
            ssh_failf(ssh, ERR_MEMORY, "out of memory");
            return;
        }
        known_hosts_find(ssh->shared->known_hosts, ssh->target->address, ssh->target->port,
                         ssh->known);
    }
    prefer_known(ssh, &order);
    int rc = algorithms_apply(ssh->session, order.text);
    strbuf_release(&order);
    if (rc != 0) {
        ssh_failf(ssh, ERR_UNSUPPORTED, "this libssh2 (%s) knows none of our algorithms",
                  libssh2_version(0));
    }
}

static void explain_pin(struct ssh *ssh, const char *type, const char *print)
{
    struct strbuf pins;
    strbuf_init(&pins, 512);
    for (size_t i = 0; i < ssh->target->host_key_count; i++) {
        strbuf_addf(&pins, "%s%s", i > 0 ? ", " : "", ssh->target->host_keys[i]);
    }
    ssh_failf(
        ssh, ERR_HOST_KEY,
        "host key: %s sent %s %s, which is not the pinned %s; if the server was reinstalled, "
        "compare with `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` on its console and correct "
        "host_key in the inventory; otherwise somebody may be in between",
        ssh->target->label, type, print, pins.text);
    strbuf_release(&pins);
}

static void explain_known(struct ssh *ssh, enum known_host_result result,
                          const struct known_host_key *because, const char *type, const char *print)
{
    const struct target *target = ssh->target;
    char known_print[FINGERPRINT_SIZE] = "";
    if (because != NULL) {
        fingerprint(known_print, because->blob, because->blob_length);
    }
    switch (result) {
    case KNOWN_HOST_REVOKED:
        ssh_failf(
            ssh, ERR_HOST_KEY,
            "host key: %s sent %s %s, which %s:%u marks @revoked; give the server a new host key "
            "(ssh-keygen -A after removing the old ones); never take the mark away",
            target->label, type, print, because->file, because->line);
        break;
    case KNOWN_HOST_CHANGED:
        ssh_failf(
            ssh, ERR_HOST_KEY,
            "host key: %s has changed: it sent %s %s, but %s:%u knows %s; if the server was "
            "reinstalled, compare the fingerprint on its console, then remove that line "
            "(ssh-keygen -f %s -R '[%s]:%u' or -R %s) and add the new key; otherwise somebody "
            "may be in between",
            target->label, type, print, because->file, because->line, known_print, because->file,
            target->address, target->port, target->address);
        break;
    case KNOWN_HOST_OTHER_TYPE:
        ssh_failf(
            ssh, ERR_HOST_KEY,
            "host key: %s sent %s %s, but %s:%u knows only its %s key %s, which it does not "
            "offer%s; compare with ssh-keyscan -p %u %s and the server's console, then add the "
            "line to known_hosts, or pin host_key=%s in the inventory",
            target->label, type, print, because->file, because->line, because->type, known_print,
            strcmp(because->type, "ssh-rsa") == 0 && libssh2_version(0x010b00) == NULL
                ? " in a form that libssh2 before 1.11 can check"
                : "",
            target->port, target->address, print);
        break;
    default:
        ssh_failf(
            ssh, ERR_HOST_KEY,
            "host key: %s is unknown: it sent %s %s, and no line of %s names it; get its line by "
            "ssh-keyscan -p %u %s, compare the fingerprint on the server's console, then add it "
            "there, or pin host_key=%s in the inventory",
            target->label, type, print, ssh->shared->known_hosts_files, target->port,
            target->address, print);
        break;
    }
}

static void mention_bad_lines(struct ssh *ssh)
{
    const char *file;
    unsigned line;
    size_t count = known_hosts_bad_lines(ssh->shared->known_hosts, &file, &line);
    if (count > 0) {
        size_t length = strlen(ssh->failure.message);
        snprintf(ssh->failure.message + length, sizeof(ssh->failure.message) - length,
                 " (%zu unreadable lines were skipped, the first is %s:%u)", count, file, line);
    }
}

/* A pin says nothing about its key's type. When the server has keys of further types, one of those
 * may be the pinned one. */
static bool try_other_type(struct ssh *ssh, size_t type)
{
    char offered[1024];
    if (type < TYPE_COUNT) {
        ssh->types_refused |= 1u << type;
    }
    if (!peer_algorithms(ssh, 1, offered, sizeof(offered))) {
        return false;
    }
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        bool is_rsa = strcmp(types[i].type, "ssh-rsa") == 0;
        bool possible = is_rsa
                            ? libssh2_version(0x010b00) != NULL && list_has(offered, "rsa-sha2-512")
                            : list_has(offered, types[i].type);
        if (possible && (ssh->types_refused & 1u << i) == 0) {
            ssh_try_again(ssh, 0);
            return true;
        }
    }
    return false;
}

bool hostkey_check(struct ssh *ssh)
{
    char print[FINGERPRINT_SIZE];
    char type_name[64];
    size_t length = 0;
    int kind = 0;
    struct wire wire;
    const unsigned char *blob =
        (const unsigned char *)libssh2_session_hostkey(ssh->session, &length, &kind);

    if (blob == NULL) {
        ssh_failf(ssh, ERR_PROTOCOL, "host key: %s sent none", ssh->target->label);
        return false;
    }
    wire_init(&wire, blob, length);
    struct wire_string type = wire_string(&wire);
    snprintf(type_name, sizeof(type_name), "%.*s", (int)(type.length < 60 ? type.length : 60),
             (const char *)type.bytes);
    fingerprint(print, blob, length);

    const struct known_host_key *because;
    enum known_host_result result = known_hosts_judge(ssh->known, blob, length, &because);
    if (ssh->target->host_key_count > 0 && result != KNOWN_HOST_REVOKED) {
        if (is_pinned(ssh->target, blob, length)) {
            return true;
        }
        if (!try_other_type(ssh, type_index((const char *)type.bytes, type.length))) {
            explain_pin(ssh, type_name, print);
        }
        return false;
    }
    if (result == KNOWN_HOST_MATCH) {
        return true;
    }
    explain_known(ssh, result, because, type_name, print);
    mention_bad_lines(ssh);
    return false;
}
