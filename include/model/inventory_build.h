/*
 * An inventory on its way from lines to nodes: what the parts of the inventory's parser share.
 * Nobody else includes this.
 *
 * The lines fill groups, nodes and `drafts` in the order of the file, as Ansible's ini plugin does;
 * then inventory_settle does what Ansible does at the end (every root below `all`, homeless hosts
 * into `ungrouped`, depths, variables by precedence); then connection_resolve reads how to reach
 * each node.
 */
#ifndef MODEL_INVENTORY_BUILD_H
#define MODEL_INVENTORY_BUILD_H

#include "model/inventory.h"

/* What a node is known to have before groups are settled. */
struct node_draft {
    struct variables own; /* of its host lines */
    size_t *groups;       /* direct ones */
    size_t group_count;
};

struct group_draft {
    size_t *parents;
    size_t parent_count;
};

struct inventory_build {
    struct inventory *inventory;
    struct arena *arena; /* the inventory's */
    struct faults *faults;
    struct node_draft *drafts;        /* beside inventory->nodes */
    struct group_draft *group_drafts; /* beside inventory->groups */
    bool out_of_memory;
};

/* Adds a direct member or a child group once; false when out of memory. */
bool build_add_member(struct inventory_build *build, size_t group, size_t node);
bool build_add_child(struct inventory_build *build, size_t parent, size_t child);
/* Whether `group` is `other` or above it. */
bool build_is_ancestor(struct inventory_build *build, size_t group, size_t other);

/* Memberships, orders, depths and merged variables; 0 or ERR_MEMORY. */
int inventory_settle(struct inventory_build *build, struct err *err);

/* Reads `node`'s connection, zone and weight from its variables. What cannot be used is a fault at
 * the variable's line, told once however many nodes inherit it. False when out of memory. */
bool connection_resolve(struct inventory_build *build, struct node *node);

#endif
