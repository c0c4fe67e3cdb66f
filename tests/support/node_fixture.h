/*
 * Real nodes for tests of app/: each a real sshd with a root folder of its own below one temporary
 * folder, an inventory and a playbook that name them, and the fleet that reaches them. The node's
 * program runs there as it does on a server.
 *
 * Nodes are called n1, n2, ...; node N has the variable `number = N`. A test that waits does so by
 * the loop, never longer than 60 s. Anything that does not work ends the program with a word.
 */
#ifndef SUPPORT_NODE_FIXTURE_H
#define SUPPORT_NODE_FIXTURE_H

#include <stdbool.h>

#include "app/fleet.h"
#include "io/package.h"
#include "parsed.h"
#include "sshd.h"

#define FIXTURE_NODES_MAX 4

struct node_options {
    size_t count;
    const char *playbook; /* what follows `[service]` with name, hosts and root; NULL: a start and a
                             check that do nothing */
    const char *variables; /* further words of each node's line, e.g. `weight=1` */
    unsigned weights[FIXTURE_NODES_MAX]; /* 0: none is said */
    const char *sshd;      /* further lines of sshd_config, for all */
    bool dead_last;        /* the last node's port has no listener */
};

struct node_fixture {
    char folder[64]; /* n1, n2, ...: the roots */
    size_t count;
    struct sshd *sshds[FIXTURE_NODES_MAX]; /* NULL: the dead one */
    struct parsed inventory, playbook;
    struct fleet *fleet;
    struct timer *guard;
    bool gave_up; /* the 60 s have gone */
};

void node_fixture_start(struct node_fixture *fixture, const struct node_options *options);
void node_fixture_stop(struct node_fixture *fixture);
struct session *node_session(struct node_fixture *fixture, size_t node);

/* Turns the loop until *done; false when 60 s have gone. */
bool node_wait(struct node_fixture *fixture, const bool *done);
/* The file `name` below the root of node N (0-based), in a buffer that the next eight calls leave
 * alone. */
const char *node_file(const struct node_fixture *fixture, size_t node, const char *name);
/* A folder that becomes a release: `version` holds the text, and what else the shell line makes in
 * it. Its package is the caller's. */
struct package *node_release(struct node_fixture *fixture, const char *version, const char *shell);
/* What a shell line prints, without the last newline; malloc'ed. */
char *shell_output(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One request and its answer, copied. */
struct answer {
    bool came;
    int code; /* of the error; 0: the node answered */
    uint32_t id;
    enum reply_status status;
    char sentence[600];
    char output[4096];
    char values[4096]; /* lines `key value` */
};
void answer_keep(void *context, const struct reply *reply);
/* Connects node N; the error's code, 0 when it is connected; `said` may be NULL. */
int node_connect(struct node_fixture *fixture, size_t node, int64_t timeout_ms, struct err *said);
/* Verb and `key, value, ..., NULL`; waits for the answer. The session's epoch goes with `fence`. */
void node_ask(struct node_fixture *fixture, size_t node, struct answer *answer, const char *verb,
              ...) __attribute__((sentinel));
/* The same without waiting, and with the request's own timeout; its id. */
uint32_t node_send(struct node_fixture *fixture, size_t node, int64_t timeout_ms,
                   struct answer *answer, const char *verb, ...) __attribute__((sentinel));
/* Value of a key in an answer, malloc'ed; NULL: none. */
char *answer_value(const struct answer *answer, const char *key);
/* Locks node N, and settles: the fence. */
uint64_t node_lock(struct node_fixture *fixture, size_t node, const char *rollout);

#endif
