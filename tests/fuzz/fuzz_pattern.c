/* Any text as a host pattern over a small inventory. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char inventory_text[] = "lone\n[web]\nweb[1:5]\n[db]\ndb1\nweb3\n2001:db8::1\n"
                                     "[eu:children]\nweb\ndb\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct faults faults;
    struct inventory inventory;
    struct err err = {0};
    size_t *nodes, count;
    bool seen[16] = {false};
    char *pattern = malloc(size + 1);
    if (size)
        memcpy(pattern, data, size);
    pattern[size] = '\0';
    arena_init(&arena);
    faults_init(&faults, &arena);
    assert(inventory_parse(&inventory, "i", inventory_text, sizeof(inventory_text) - 1, &faults,
                           &err) == 0);
    if (pattern_resolve(&nodes, &count, &inventory, pattern, &arena, &err) == 0) {
        for (size_t i = 0; i < count; i++) {
            assert(nodes[i] < inventory.node_count && !seen[nodes[i]]);
            seen[nodes[i]] = true;
        }
    }
    inventory_release(&inventory);
    arena_release(&arena);
    free(pattern);
    return 0;
}
