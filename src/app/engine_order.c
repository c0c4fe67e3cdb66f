#include <stdlib.h>
#include <string.h>

#include "engine_internal.h"

struct place {
    const struct node *node;
    size_t index;
};

/* By where a node is, not by what an inventory calls it or in which wave it comes: two people's inventories agree on that. */
static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    int order = strcmp(a->node->connection.address, b->node->connection.address);
    if (order == 0)
        order = (a->node->connection.port > b->node->connection.port) -
                (a->node->connection.port < b->node->connection.port);
    return order ? order : strcmp(a->node->name, b->node->name);
}

const size_t *engine_lock_order(struct engine *engine, struct err *err)
{
    size_t count = engine->fleet->count;
    struct place *places = arena_alloc(&engine->arena, count * sizeof(*places));
    size_t *order = arena_alloc(&engine->arena, count * sizeof(*order));
    if (!places || !order) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        places[i] = (struct place){engine->fleet->members[i].node, i};
    qsort(places, count, sizeof(*places), compare_places);
    for (size_t i = 0; i < count; i++)
        order[i] = places[i].index;
    return order;
}
