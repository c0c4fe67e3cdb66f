#include "io/known_hosts.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "base/base64.h"
#include "ssh_wire.h"

#define SHA1_LENGTH 20
#define BLOB_MAX (64 * 1024)
#define NAME_MAX_LENGTH 300 /* a host name of 255, brackets and a port */

struct entry {
    const char *patterns; /* comma-separated, lower case; NULL when hashed */
    size_t patterns_length;
    unsigned char salt[SHA1_LENGTH];
    unsigned char hash[SHA1_LENGTH];
    struct known_host_key key;
    struct entry *next;
};

struct known_hosts {
    struct arena arena;
    struct entry *first;
    struct entry **last;
    size_t bad_lines;
    const char *bad_file;
    unsigned bad_line;
};

struct known_hosts *known_hosts_create(void)
{
    struct known_hosts *hosts = calloc(1, sizeof(*hosts));
    if (hosts != NULL) {
        arena_init(&hosts->arena);
        hosts->last = &hosts->first;
    }
    return hosts;
}

void known_hosts_free(struct known_hosts *hosts)
{
    if (hosts != NULL) {
        arena_release(&hosts->arena);
        free(hosts);
    }
}

size_t known_hosts_bad_lines(const struct known_hosts *hosts, const char **file, unsigned *line)
{
    *file = hosts->bad_file;
    *line = hosts->bad_line;
    return hosts->bad_lines;
}

/* Cuts the next word off `*rest`; length 0 at the end. */
static struct wire_string next_word(struct wire_string *rest)
{
    struct wire_string word;
    while (rest->length > 0 && (*rest->bytes == ' ' || *rest->bytes == '\t')) {
        rest->bytes++;
        rest->length--;
    }
    word.bytes = rest->bytes;
    word.length = 0;
    while (rest->length > 0 && *rest->bytes != ' ' && *rest->bytes != '\t') {
        rest->bytes++;
        rest->length--;
        word.length++;
    }
    return word;
}

/* `|1|salt|hash`, both base64 of 20 bytes. */
static int parse_hashed(struct entry *entry, struct wire_string word)
{
    const char *salt = (const char *)word.bytes + 3;
    const char *end = (const char *)word.bytes + word.length;
    const char *bar = memchr(salt, '|', (size_t)(end - salt));
    struct strbuf bytes;
    int rc = -1;

    strbuf_init(&bytes, 2 * SHA1_LENGTH);
    if (bar != NULL && base64_decode(&bytes, salt, (size_t)(bar - salt)) == 0 &&
        bytes.length == SHA1_LENGTH &&
        base64_decode(&bytes, bar + 1, (size_t)(end - bar - 1)) == 0 &&
        bytes.length == 2 * SHA1_LENGTH) {
        memcpy(entry->salt, bytes.text, SHA1_LENGTH);
        memcpy(entry->hash, bytes.text + SHA1_LENGTH, SHA1_LENGTH);
        rc = 0;
    }
    strbuf_release(&bytes);
    return rc;
}

static int parse_names(struct arena *arena, struct entry *entry, struct wire_string word)
{
    if (word.length > 3 && memcmp(word.bytes, "|1|", 3) == 0) {
        return parse_hashed(entry, word);
    }
    if (word.length == 0 || *word.bytes == '|') {
        return -1;
    }
    char *copy = arena_strndup(arena, (const char *)word.bytes, word.length);
    if (copy == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < word.length; i++) {
        copy[i] = (char)tolower((unsigned char)copy[i]);
    }
    entry->patterns = copy;
    entry->patterns_length = word.length;
    return 0;
}

/* The blob begins with its own type, which must be the one that stands before it. */
static int parse_key(struct arena *arena, struct entry *entry, struct wire_string type,
                     struct wire_string base64)
{
    struct strbuf blob;
    struct wire wire;
    int rc = -1;

    strbuf_init(&blob, BLOB_MAX);
    if (base64.length == 0 ||
        base64_decode(&blob, (const char *)base64.bytes, base64.length) != 0) {
        goto out;
    }
    wire_init(&wire, blob.text, blob.length);
    struct wire_string inner = wire_string(&wire);
    if (wire.bad || wire.left == 0 || inner.length != type.length ||
        memcmp(inner.bytes, type.bytes, type.length) != 0) {
        goto out;
    }
    unsigned char *copy = arena_alloc(arena, blob.length);
    entry->key.type = arena_strndup(arena, (const char *)type.bytes, type.length);
    if (copy == NULL || entry->key.type == NULL) {
        rc = ERR_MEMORY;
        goto out;
    }
    memcpy(copy, blob.text, blob.length);
    entry->key.blob = copy;
    entry->key.blob_length = blob.length;
    rc = 0;
out:
    strbuf_release(&blob);
    return rc;
}

/* 0, or negative for a line that cannot be read. */
static int parse_line(struct known_hosts *hosts, const char *file, unsigned number,
                      struct wire_string line)
{
    struct wire_string word = next_word(&line);
    bool revoked = false;

    if (word.length == 0 || *word.bytes == '#') {
        return 0;
    }
    if (*word.bytes == '@') {
        if (wire_equals(word, "@cert-authority")) {
            return 0;
        }
        if (!wire_equals(word, "@revoked")) {
            return -1;
        }
        revoked = true;
        word = next_word(&line);
    }
    struct entry *entry = arena_alloc(&hosts->arena, sizeof(*entry));
    if (entry == NULL || parse_names(&hosts->arena, entry, word) != 0) {
        return -1;
    }
    struct wire_string type = next_word(&line);
    if (parse_key(&hosts->arena, entry, type, next_word(&line)) != 0) {
        return -1;
    }
    entry->key.file = file;
    entry->key.line = number;
    entry->key.revoked = revoked;
    *hosts->last = entry;
    hosts->last = &entry->next;
    return 0;
}

int known_hosts_add(struct known_hosts *hosts, const char *name, const char *text, size_t length)
{
    const char *end = text + length;
    const char *file = arena_strdup(&hosts->arena, name);
    if (file == NULL) {
        return ERR_MEMORY;
    }
    for (unsigned number = 1; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline != NULL ? newline : end;
        struct wire_string line = {(const unsigned char *)text, (size_t)(stop - text)};
        if (line.length > 0 && line.bytes[line.length - 1] == '\r') {
            line.length--;
        }
        if (parse_line(hosts, file, number, line) != 0 && hosts->bad_lines++ == 0) {
            hosts->bad_file = file;
            hosts->bad_line = number;
        }
        text = newline != NULL ? newline + 1 : end;
    }
    return 0;
}

/* `*` and `?` only, as OpenSSH's match_pattern: here brackets are part of a name. Linear: one point
 * of return is enough. */
static bool pattern_matches(const char *pattern, size_t pattern_length, const char *name)
{
    const char *p = pattern;
    const char *end = pattern + pattern_length;
    const char *star = NULL;
    const char *retry = NULL;

    while (*name != '\0') {
        if (p < end && *p == '*') {
            star = ++p;
            retry = name;
        } else if (p < end && (*p == '?' || *p == *name)) {
            p++;
            name++;
        } else if (star != NULL) {
            p = star;
            name = ++retry;
        } else {
            return false;
        }
    }
    while (p < end && *p == '*') {
        p++;
    }
    return p == end;
}

/* A negated pattern that matches wins over the rest of its line. */
static bool list_matches(const struct entry *entry, const char *name)
{
    const char *at = entry->patterns;
    const char *end = at + entry->patterns_length;
    bool found = false;

    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma != NULL ? comma : end;
        bool negated = *at == '!';
        const char *from = negated ? at + 1 : at;
        if (from < stop && pattern_matches(from, (size_t)(stop - from), name)) {
            if (negated) {
                return false;
            }
            found = true;
        }
        at = comma != NULL ? comma + 1 : end;
    }
    return found;
}

static bool entry_matches(const struct entry *entry, const char *name)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int length = 0;

    if (entry->patterns != NULL) {
        return list_matches(entry, name);
    }
    return HMAC(EVP_sha1(), entry->salt, SHA1_LENGTH, (const unsigned char *)name, strlen(name),
                hash, &length) != NULL &&
           length == SHA1_LENGTH && memcmp(hash, entry->hash, SHA1_LENGTH) == 0;
}

static void keep(struct known_host_keys *out, const struct entry *entry, bool without_port)
{
    size_t at = out->count;
    if (out->count == KNOWN_HOST_KEYS_MAX) {
        /* A revocation must not be crowded out. */
        for (at = 0; at < out->count && out->keys[at].revoked; at++) {
        }
        if (!entry->key.revoked || at == out->count) {
            return;
        }
    } else {
        out->count++;
    }
    out->keys[at] = entry->key;
    out->keys[at].without_port = without_port;
}

void known_hosts_find(const struct known_hosts *hosts, const char *host, uint16_t port,
                      struct known_host_keys *out)
{
    char plain[NAME_MAX_LENGTH];
    char with_port[NAME_MAX_LENGTH + 16];

    out->count = 0;
    if (strlen(host) >= sizeof(plain)) {
        return;
    }
    for (size_t i = 0; i <= strlen(host); i++) {
        plain[i] = (char)tolower((unsigned char)host[i]);
    }
    snprintf(with_port, sizeof(with_port), "[%s]:%u", plain, port);
    for (const struct entry *entry = hosts->first; entry != NULL; entry = entry->next) {
        if (port != 22 && entry_matches(entry, with_port)) {
            keep(out, entry, false);
        } else if (entry_matches(entry, plain)) {
            keep(out, entry, port != 22);
        }
    }
}

static bool same_type(const struct known_host_key *key, const unsigned char *blob, size_t length)
{
    struct wire wire;
    wire_init(&wire, blob, length);
    struct wire_string type = wire_string(&wire);
    return wire_equals(type, key->type);
}

enum known_host_result known_hosts_judge(const struct known_host_keys *keys,
                                         const unsigned char *blob, size_t blob_length,
                                         const struct known_host_key **because)
{
    enum known_host_result result = KNOWN_HOST_UNKNOWN;

    *because = NULL;
    for (size_t i = 0; i < keys->count; i++) {
        const struct known_host_key *key = &keys->keys[i];
        bool same = key->blob_length == blob_length && memcmp(key->blob, blob, blob_length) == 0;
        enum known_host_result says = KNOWN_HOST_UNKNOWN;
        if (same && key->revoked) {
            *because = key;
            return KNOWN_HOST_REVOKED;
        }
        if (same) {
            says = KNOWN_HOST_MATCH;
        } else if (!key->revoked && !key->without_port) {
            says = same_type(key, blob, blob_length) ? KNOWN_HOST_CHANGED : KNOWN_HOST_OTHER_TYPE;
        }
        if (result == KNOWN_HOST_MATCH || says == KNOWN_HOST_UNKNOWN) {
            continue;
        }
        if (says == KNOWN_HOST_MATCH || says > result) {
            result = says;
            *because = key;
        }
    }
    return result;
}
