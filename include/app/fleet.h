/*
 * The nodes of a run with their sessions, and what they share: one loop, one SSH context, one HTTP client.
 *
 * Also the plain fan-out that verbs without a machine need: connect to every node, ask one thing, collect. Never decides.
 */
#ifndef APP_FLEET_H
#define APP_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/lease.h"
#include "app/retries.h"
#include "app/session.h"
#include "base/arena.h"
#include "base/err.h"
#include "io/http.h"
#include "io/loop.h"
#include "model/inventory.h"
#include "model/playbook.h"
#include "model/service.h"

struct member {
    const struct node *node;
    bool outside; /* of the service, and not of this run (--limit) */
    struct service service; /* as this node has it; empty without a playbook */
    const struct playbook *playbook; /* what it was discovered from other services; NULL: nothing */
    struct service *slots[SLOTS]; /* with slots: the instance in each, NULL where it is not on this node */
    struct session *session;
};
/* The instance that `slot` names; the node's own service when it names none. */
const struct service *member_instance(const struct member *member, const char *slot);

struct fleet;

/* One balancer of the playbook on one node that it runs on, with a session of its own: the node may run the service too. Or one
 * that commands on the runner drive, once. */
struct front {
    const struct balancer *balancer;
    const char *where;       /* the node's name, or `runner` */
    struct session *session; /* NULL on the runner */
    const struct member *member; /* scope = node: the one that it serves; NULL: all */
    const char *upstream_file, *pid_file; /* nginx, as this node has them */
};
/* Whether it sends traffic to the member of this index. */
bool front_serves(const struct fleet *fleet, size_t front, size_t member);

struct balancers;
struct dependencies;
struct discoveries;

struct fleet {
    struct arena arena;
    struct loop *loop;
    struct ssh_context *ssh;
    struct http_client *http;
    const struct playbook *playbook; /* NULL: commands only */
    struct member *members;
    size_t count;
    struct front *fronts;
    size_t front_count;
    struct dependencies *dependencies; /* app/dependency.h; NULL without a playbook */
    struct asking *asking; /* of fleet_ask, made once */
    struct retries retries; /* of what is no node; nothing without a playbook */
    struct balancers *balancers; /* app/balancer.h; NULL: the playbook has none */
    struct discoveries *discoveries; /* app/discovery.h; NULL likewise */
    struct commits *commits; /* io/commits.h: which release contains which; NULL: only their times tell. Borrowed */
    const struct lease_guard *guard; /* of the run that has the fleet; NULL: none has */
};

/* `nodes`: indices into the inventory. Inventory and playbook are borrowed for the fleet's life. */
int fleet_create(struct fleet **out, const struct inventory *inventory, const size_t *nodes, size_t count,
                 const struct playbook *playbook, struct err *err);
void fleet_free(struct fleet *fleet);
/* A session of its own to a node, that may not be a member; free it before the fleet. `service` borrowed for its life; NULL: commands only. */
int fleet_session(struct session **out, struct fleet *fleet, const struct inventory *inventory, const struct node *node,
                  const struct service *service, bool become, struct err *err);

/* One thing asked of every node. */
struct fanout {
    uint32_t forks; /* nodes at work at once */
    int64_t connect_timeout_ms, request_timeout_ms;
    /* Builds the request on a connected session (session_begin, session_add...). */
    void (*build)(void *context, struct session *session, size_t member);
    /* The answer, or why there is none (reply NULL). Once for each node. */
    void (*answer)(void *context, size_t member, const struct reply *reply, const struct err *error);
    /* Which nodes are asked; the others get no answer. NULL: all. */
    bool (*wanted)(void *context, size_t member);
    /* Each line of output as it comes, instead of with the answer; see session_submit_streaming. NULL: with the answer. */
    void (*line)(void *context, size_t member, const char *line);
    void *context;
};
/* Runs the loop until every node has answered. An interrupt (SIGINT, SIGTERM) ends it early: returns the signal's number, else 0. */
int fleet_ask(struct fleet *fleet, const struct fanout *fanout);

/* The variables of a template or of a command's environment for one node: built-in names over inventory variables; `ansible_*` is left out of
 * the environment, since passwords stand there. */
#define NODE_VARIABLES_MAX 64 /* of node_variables */
struct node_words {
    const char *release, *slot, *previous, *rollout;
};
size_t node_variables(struct variable *out, size_t maximum, const struct member *member, const struct node_words *words,
                      struct arena *arena);
/* Calls `add` with NAME and value for each: DEPLOYCTL_NODE, DEPLOYCTL_ADDRESS, ..., DEPLOYCTL_<VARIABLE>. */
void node_environment(const struct member *member, const struct node_words *words,
                      void (*add)(void *context, const char *name, const char *value), void *context);

#endif
