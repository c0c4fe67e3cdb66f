/* Any bytes as an inventory: read, checked for its invariants, printed as JSON. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "model/inventory_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct inventory *inventory)
{
    for (size_t i = 0; i < inventory->group_count; i++)
        for (size_t j = 0; j < inventory->groups[i].node_count; j++)
            assert(inventory->groups[i].nodes[j] < inventory->node_count);
    for (size_t i = 0; i < inventory->node_count; i++) {
        const struct node *node = &inventory->nodes[i];
        assert(inventory_node(inventory, node->name) == node);
        assert(node->connection.address && node->connection.port);
        for (size_t j = 0; j < node->variables.count; j++)
            assert(node_variable(node, node->variables.items[j].name) ==
                   node->variables.items[j].value);
    }
    json_t *json = inventory_json(inventory);
    assert(json);
    char *text = json_dumps(json, JSON_SORT_KEYS);
    assert(text);
    free(text);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct faults faults;
    struct inventory inventory;
    struct err err = {0};
    arena_init(&arena);
    faults_init(&faults, &arena);
    int code =
        inventory_parse(&inventory, "inventory.ini", (const char *)data, size, &faults, &err);
    assert((code == 0) == (faults.total == 0));
    if (code == 0)
        check(&inventory);
    inventory_release(&inventory);
    arena_release(&arena);
    return 0;
}
