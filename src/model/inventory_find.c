#include <string.h>

#include "model/inventory.h"

void inventory_release(struct inventory *inventory)
{
    arena_release(&inventory->arena);
    *inventory = (struct inventory){0};
}

const struct node *inventory_node(const struct inventory *inventory, const char *name)
{
    size_t index = names_find(&inventory->node_names, name);
    return index == NAMES_NONE ? NULL : &inventory->nodes[index];
}

const struct group *inventory_group(const struct inventory *inventory, const char *name)
{
    size_t index = names_find(&inventory->group_names, name);
    return index == NAMES_NONE ? NULL : &inventory->groups[index];
}

const struct variable *node_find_variable(const struct node *node, const char *name)
{
    size_t from = 0, to = node->variables.count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct variable *variable = &node->variables.items[middle];
        int order = strcmp(name, variable->name);
        if (order == 0)
            return variable;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

const char *node_variable(const struct node *node, const char *name)
{
    const struct variable *variable = node_find_variable(node, name);
    return variable ? variable->value : NULL;
}
