/*
 * What src/node/node.sh does on a node, in C and in virtual time: the lock and its generations, the fence, one recorded step at a
 * time, tokens, settle, cancel, the journal, releases, migrations, the confirm timer. Written from node.sh and
 * include/node/frames.h; tests/simulator/test_conformance.c drives both with the same requests and compares what they say and keep.
 *
 * What stays after a crash of the host is in the node; what dies with it is in its sessions and steps.
 */
#ifndef SIMULATOR_MODEL_H
#define SIMULATOR_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "clock.h"

#define MODEL_NAME 64
#define MODEL_RELEASES 12
#define MODEL_MIGRATIONS 8
#define MODEL_SLOTS 2
#define MODEL_FIELDS 96
#define MODEL_TEXT 8192

struct model_request {
    uint32_t id;
    char verb[16];
    size_t count;
    struct model_field {
        const char *key, *value;
    } fields[MODEL_FIELDS];
    size_t length;
    char text[MODEL_TEXT]; /* `length` bytes of it; a copy has no more */
};
/* False when it is no whole request. */
bool model_request_parse(struct model_request *out, const char *text);
/* The verb alone, of a whole request or not; "" when there is none. */
void model_request_verb(char out[16], const char *text);
/* As large as it must be; freed by free(). */
struct model_request *model_request_copy(const struct model_request *request);
const char *model_request_get(const struct model_request *request, const char *key); /* NULL: absent */

struct model_release {
    char id[MODEL_NAME];
    bool there, manifest; /* the folder; a release is complete with both */
    uint32_t sequence;    /* of its last commit; 0: not good */
    int64_t failed;       /* epoch; 0: not */
};

/* What the last commit changed. */
struct model_before {
    bool any;
    char rollout[MODEL_NAME], kind[16], release[MODEL_NAME], was[MODEL_NAME];
    struct {
        char id[MODEL_NAME];
        uint32_t sequence;
    } good[MODEL_RELEASES];
    size_t good_count;
    bool in_slot; /* and in a slot what that linked, and what was live and current */
    size_t slot;
    char linked[MODEL_NAME], live[32], current[MODEL_NAME];
};

struct model_slot {
    char release[MODEL_NAME]; /* that it links; "": none */
    char before[MODEL_NAME];  /* what it linked before an activation that is not committed */
    bool uncommitted;
    uint32_t started;         /* in which boot, as the node's program has noted; 0: it does not run */
    char process[MODEL_NAME]; /* what really runs in it */
    int64_t since;
};

/* keep_old's timer. */
struct model_keep {
    bool any;
    uint32_t number, boot;
    size_t slot;
    int64_t until_s;
};

struct model_journal_line {
    uint64_t generation;
    int64_t at;
    char rollout[MODEL_NAME], step[MODEL_NAME], mark[8], release[MODEL_NAME], status[12], sentence[80];
};

struct model_migration {
    char name[MODEL_NAME], release[MODEL_NAME], kind[16], state[10];
};

struct model_lock {
    uint64_t generation; /* 0: none yet */
    bool ended;
    char rollout[MODEL_NAME], holder[96], token[MODEL_NAME], runner[MODEL_NAME];
    int64_t ttl_s, beat_s;
    uint32_t boot;
    uint64_t epoch; /* of the session that has settled last; 0: none has */
};

struct model_record {
    bool any, ended;
    char token[MODEL_NAME], verb[16], end[12], sentence[160];
    uint32_t pid, boot;
    struct strbuf values;
};

struct model_timer {
    bool any;
    uint32_t number, boot;
    uint64_t generation, connection;
    char rollout[MODEL_NAME], release[MODEL_NAME], previous[MODEL_NAME];
    int64_t until_s, seconds;
    enum { TIMER_RUNS, TIMER_SUPERSEDED, TIMER_CONFIRMED, TIMER_REVERTING } end;
    bool done;
};

/* What really happens, for the laws. */
enum model_event {
    MODEL_LOCKED,      /* a generation was taken */
    MODEL_SETTLED,     /* settle answered ok */
    MODEL_UNSETTLED,   /* a step was asked for by a session that has not settled, and is refused */
    MODEL_LEADS,       /* a step's leader has passed its fence: what it does, it does from here on */
    MODEL_LEFT,        /* the leader is gone */
    MODEL_SWITCHED,    /* current points at the step's release */
    MODEL_SERVES,      /* the service runs its release */
    MODEL_SLOT_STOPS,  /* stopped_slot; the step may be NULL */
    MODEL_COMMITTED,
    MODEL_RETRACTED,   /* that commit is taken back */
    MODEL_MIGRATED,    /* the command's work is done */
    MODEL_UNMIGRATED,
    MODEL_REVERTED
};
struct model_step;
struct model_node;
struct model_hooks {
    void (*happened)(void *context, struct model_node *node, enum model_event event, const struct model_step *step);
    /* How a step goes here: called once, when its leader begins. */
    void (*shape)(void *context, struct model_node *node, struct model_step *step);
    /* Whether the service, or its instance in the slot, answers its health check now. */
    bool (*healthy)(void *context, struct model_node *node, const struct model_slot *slot);
    void *context;
};

/* What waits until model_let_go, as a process that hangs in a call: the first that comes there, once. */
enum model_hold {
    HOLD_NOTHING,
    HOLD_SYNC, /* a supervisor, in the sync of its step's beginning in the journal */
    HOLD_LINK, /* a session, with its claim of the lock */
    HOLD_MOVE  /* a leader, with the switch of `current` */
};

struct model_session;
struct model_node {
    char name[32];
    bool up, refuses; /* refuses: says so at once when it is down */
    int64_t frozen_until, cut_until;
    uint32_t boot, pids, timers;
    uint64_t settled_connection; /* the session that settled last */
    int64_t booted_at, wall_offset;
    /* on the disk */
    struct model_lock lock;
    struct model_record record;
    struct model_timer timer;
    char reverted[300];
    struct model_release releases[MODEL_RELEASES];
    size_t release_count;
    struct model_before before;
    char chain[400], chain_before[400];
    char service[MODEL_NAME]; /* that the root belongs to; "": none yet. Each session here is of one and the same */
    char unsettled[200]; /* the change of the service that has not ended well; "": none */
    char current[MODEL_NAME]; /* "": none */
    bool has_slots;
    struct model_slot slots[MODEL_SLOTS];
    char live_slot[32];
    struct model_keep keep;
    size_t stopped_slot;
    struct model_migration migrations[MODEL_MIGRATIONS];
    size_t migration_count;
    struct model_journal_line *journal;
    size_t journal_count;
    char incoming[160];
    size_t incoming_length;
    struct model_mark {
        char release[MODEL_NAME], was[MODEL_NAME]; /* "": no activation yet; "-": what it was is no longer current */
        uint32_t boot, since, before, kept;         /* processes, by number; since: the last one before the activation */
    } mark;
    /* what runs */
    char serving[MODEL_NAME]; /* "": nothing */
    uint32_t process, processes; /* the number of the one that serves, and of the last one */
    struct model_session *sessions;
    struct model_step *steps;
    const struct model_hooks *hooks;
    enum model_hold hold; /* what is to be held */
    struct model_step *held_step;
    struct model_session *held_session; /* with this request, and the generation that it saw */
    struct model_request *held_request;
    uint64_t held_seen;
};

/* A step while it lives; all of them stay until model_end. */
struct model_step {
    struct model_step *next;
    struct model_node *node;
    struct model_session *session;
    struct model_request *request;
    uint32_t pid, boot;
    bool recorded, plain, leader, supervisor, begun; /* begun: passed its fence */
    bool deaf;    /* does its work to the end whatever signal comes, and ends by KILL */
    bool fails;   /* its work fails */
    bool sticks;  /* the process that serves is not stopped, and the one that is started ends, since its port is taken */
    bool reverts; /* the confirm timer's own */
    int64_t takes_ms;
    uint64_t generation, epoch, connection;
    char rollout[MODEL_NAME], release[MODEL_NAME], step_name[MODEL_NAME];
    char late[12], status[12], sentence[160];
    int code;
    int64_t limit_ms, killed_at;
    int part;
    struct strbuf values;
};

/* Whether it stops and starts the service. */
bool model_starts(const struct model_step *step);
void model_node_init(struct model_node *node, const char *name, const struct model_hooks *hooks);
void model_node_release(struct model_node *node);
/* A release as a rollout of before left it. `sequence` 0: staged and not committed. */
struct model_release *model_add_release(struct model_node *node, const char *id, uint32_t sequence);
struct model_release *model_find_release(struct model_node *node, const char *id);
/* The host goes down, with all that runs; it comes back by model_boot, and serves what is current. */
void model_crash(struct model_node *node);
/* Before a crash in which the machine's power goes: what node.sh had not synced is torn, or, with `gone`, is not there. */
void model_lose_unsynced(struct model_node *node, bool gone);
void model_boot(struct model_node *node);
int64_t model_uptime_s(const struct model_node *node);
/* Whether a recorded step's leader lives. */
struct model_step *model_working(struct model_node *node);

/* `out` gets each line of a reply; `last`: of a request, whose verb is given. `connection` tells sessions apart. */
typedef void model_out_fn(void *context, const char *verb, const char *line, bool last);
struct model_session *model_session_open(struct model_node *node, uint64_t connection, model_out_fn *out, void *context);
void model_session_feed(struct model_session *session, const char *bytes, size_t length);
void model_session_hangup(struct model_session *session);
/* Whether something is held. */
bool model_holds(const struct model_node *node);
void model_let_go(struct model_node *node);
/* The data channel: a path line, then bytes. */
void model_receive(struct model_node *node, const char *bytes, size_t length);

#endif
