/*
 * A session of the real node's program, src/node/node.sh under `sh` over pipes, and the same session of model.c beside it: what is asked of both,
 * and what both answer.
 *
 * Interleavings: functions in front of the program stand for sync, sleep, ln and mv. They wait where `both_hold` says, so that a supervisor hangs in
 * the sync of the journal, a session with its claim of the lock, or a leader with the switch of `current`; nothing is synced, and short sleeps
 * are shorter.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <stdio.h>
#include <sys/types.h>

#include "model.h"

/* One connection: the real program and its model. */
struct side {
    FILE *in, *out;
    pid_t pid; /* 0: there is none */
    struct model_session *session;
    uint64_t epoch;
};

struct both {
    char folder[64], root[96];
    char archive[2][128], sha256[2][65], manifest[2][65];
    struct model_node model;
    struct side now, before; /* the newest session, and the one before it */
    struct strbuf real_said, model_said, story;
    uint32_t id, model_ended; /* the last request, and the last that the model has answered */
    uint32_t held_id;         /* the request that is held; 0: none */
    bool held_ended;
    struct strbuf held_said; /* its answers by the model */
    unsigned runs;
    uint64_t connections, generation;
    struct random random;
};

/* Makes the folder's own things; once. */
void both_init(struct both *both, const char *folder);
void both_release(struct both *both);
/* The rest returns false when the two differ; `story` says where. */
bool both_open(struct both *both);
void both_stop(struct side *side);
/* Sends one request to both; `text`: its lines after the first. The model goes on until it has answered, or holds the request: false. */
bool both_send(struct both *both, struct side *side, const char *verb, const char *text);
/* The answers to request `id`, which the model has given. */
bool both_compare(struct both *both, struct side *side, uint32_t id, const struct strbuf *model_said);
/* Both of these, for a request that nothing holds. */
bool both_ask(struct both *both, struct side *side, const char *verb, const char *text);

/* The first that comes there is held, until it is let go, and answers then. */
void both_hold(struct both *both, enum model_hold hold);
void both_hold_none(struct both *both);
/* After both_send has returned false. */
bool both_await_hold(struct both *both);
bool both_let_go(struct both *both, struct side *side);

bool both_same_journals(struct both *both);

#endif
