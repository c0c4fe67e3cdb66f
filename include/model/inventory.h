/*
 * The inventory: the nodes of a cluster, their groups and their variables, from the INI that
 * Ansible reads.
 *
 * Text in memory becomes structs; never opens files, never connects. Reference for every doubt:
 * what `ansible-inventory --list` prints for the same text (host and group names, order, variable
 * precedence, quoting and value types of host lines against `:vars` sections).
 *
 * Only `ansible_ssh_common_args` differs on purpose: of it the jump host is read, and anything else
 * is a fault rather than ignored. Other connection settings of Ansible are variables like any
 * other.
 *
 * Invariant after a parse without faults: every group's `nodes` holds indices into `nodes`; group 0
 * is `all`, group 1 is `ungrouped`; the order of nodes is the order of the file, `all` lists them
 * in Ansible's order.
 */
#ifndef MODEL_INVENTORY_H
#define MODEL_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/fault.h"
#include "model/names.h"

#define INVENTORY_NODES_MAX 100000 /* a range that would make more is a fault */
#define NODE_HOST_KEYS_MAX 8

struct variable {
    const char *name;
    const char *value; /* as text, unquoted as Ansible does */
    int line;
    const char *written; /* as it stood, for model/literal.h to type; NULL: `value` is plain text */
};

struct variables {
    struct variable *items;
    size_t count;
};

/* How to reach a node. Everything is resolved: our own names (`address`, `port`, ...) win over
 * `ansible_*`, host variables over group variables, child groups over parents, as Ansible's
 * precedence. */
struct connection {
    const char *address; /* node name when nothing says otherwise */
    uint16_t port;       /* 22 by default */
    const char *user;    /* NULL: the operator's own login name */
    /* private key file as written (`~/` allowed); NULL: ~/.ssh/id_* and the agent */
    const char *key;
    const char *jump; /* `[user@]host[:port]` or the name of another node; NULL: direct */
    /* pinned `SHA256:...` fingerprints; none: known_hosts */
    const char *host_keys[NODE_HOST_KEYS_MAX];
    size_t host_key_count;
    bool become;
};

struct node {
    const char *name;
    int line; /* where it first stands */
    struct connection connection;
    const char *zone;           /* NULL when it has none */
    uint32_t weight;            /* 100 by default */
    struct variables variables; /* all that apply, sorted by name, ours and theirs */
    size_t *groups;             /* indices of every group that holds it, without `all` */
    size_t group_count;
};

struct group {
    const char *name;
    int line;
    size_t *nodes; /* members in Ansible's inventory order, each once: its own, then level by level
                      its children's */
    size_t node_count;
    size_t *children; /* direct child groups */
    size_t child_count;
    size_t *own_nodes; /* direct members */
    size_t own_count;
    struct variables variables; /* own `:vars`, file order */
    int64_t priority;           /* ansible_group_priority; 1 by default */
    size_t depth;               /* longest way up to `all` */
};

struct inventory {
    struct arena arena;
    const char *file; /* as the user named it; for messages */
    struct node *nodes;
    size_t node_count;
    struct group *groups;
    size_t group_count;
    struct names node_names, group_names; /* to indices */
};

/* Parses `length` bytes of `text`. Faults go to `faults` (whose arena is the caller's); returns
 * ERR_INPUT when there was any, and the inventory is then only good for inventory_release. Release
 * always. */
int inventory_parse(struct inventory *out, const char *file, const char *text, size_t length,
                    struct faults *faults, struct err *err);
void inventory_release(struct inventory *inventory);

/* Borrowed; NULL when there is none. */
const struct node *inventory_node(const struct inventory *inventory, const char *name);
const struct group *inventory_group(const struct inventory *inventory, const char *name);
/* A node's variable, by name; NULL when it has none. */
const struct variable *node_find_variable(const struct node *node, const char *name);
/* Its value as text. */
const char *node_variable(const struct node *node, const char *name);
/* Adds to `out` what the node's Ansible variables ask for and nobody here heeds, e.g. ansible_become_method = su; once a line of `file`. */
void node_tell_unread(const struct node *node, const char *file, struct faults *out);

#endif
