/* Any text as a known_hosts file; asked for a host with and without port, with a key that stands in
 * it. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "io/known_hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct known_hosts *hosts, const char *host, uint16_t port)
{
    struct known_host_keys keys;
    const struct known_host_key *because;
    known_hosts_find(hosts, host, port, &keys);
    assert(keys.count <= KNOWN_HOST_KEYS_MAX);
    for (size_t i = 0; i < keys.count; i++) {
        const struct known_host_key *key = &keys.keys[i];
        assert(key->line > 0 && strcmp(key->file, "fuzz") == 0 && key->blob_length > 4);
        enum known_host_result result =
            known_hosts_judge(&keys, key->blob, key->blob_length, &because);
        /* A key that is listed is known, unless it is revoked; a revoked one always is. */
        assert(result == KNOWN_HOST_MATCH || result == KNOWN_HOST_REVOKED);
        assert(!key->revoked || result == KNOWN_HOST_REVOKED);
        assert(because != NULL);
    }
    known_hosts_judge(&keys, (const unsigned char *)"\0\0\0\1x", 5, &because);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *file;
    unsigned line;
    struct known_hosts *hosts = known_hosts_create();
    if (hosts != NULL && known_hosts_add(hosts, "fuzz", (const char *)data, size) == 0) {
        ask(hosts, "host1", 22);
        ask(hosts, "host1", 2222);
        ask(hosts, "a.b.example", 22);
        size_t bad = known_hosts_bad_lines(hosts, &file, &line);
        assert(bad == 0 || (file != NULL && line > 0));
    }
    known_hosts_free(hosts);
    return 0;
}
