/*
 * The network behind io/ssh.h: connections of runners to model nodes, with latency, order within a connection, cuts that heal (what
 * was sent arrives late), cuts that do not (both ends lose the connection after 30 s), resets, hosts that are frozen or gone.
 *
 * SSH is reliable: a reply is lost only with its connection. So every fault of the network is one of a connection.
 */
#ifndef SIMULATOR_NETWORK_H
#define SIMULATOR_NETWORK_H

#include "model.h"

/* The nodes that exist, by name. Both arrays are the caller's until network_end. */
void network_begin(struct model_node *nodes, size_t count);
void network_end(void);
/* Nothing passes to or from the node until then; what is sent waits. */
void network_cut(struct model_node *node, int64_t until);
/* Every connection to the node is reset now. `from`: only those of this runner; NULL: all. */
void network_reset(struct model_node *node, struct runner *from);

/* What is asked of a node and what it answers, as the runner's side sees it: for the laws. A request is seen when the runner writes
 * it, a reply's end when it reaches the runner. */
struct network_watch {
    void (*asked)(void *context, struct runner *runner, struct model_node *node, uint64_t connection,
                  const struct model_request *request);
    void (*answered)(void *context, struct runner *runner, struct model_node *node, uint32_t id, const char *status,
                     uint64_t connection);
    /* A reply's last line leaves the node: true when the connection is to be reset in its place. */
    bool (*loses_reply)(void *context, struct model_node *node, const char *verb);
    /* A request reaches the node: true when the connection is reset before it is read. */
    bool (*loses_request)(void *context, struct model_node *node, const char *verb);
    /* The same: more than 0 when the connection is lost there, and what is on its way to the node is read so much later, in its order. */
    int64_t (*reads_late)(void *context, struct model_node *node, const char *verb);
    void *context;
};
void network_watch(const struct network_watch *watch);

#endif
