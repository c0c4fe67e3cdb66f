/*
 * What a node says about a service: the reply to `facts`, as a struct. Reads only; decides only
 * what a preflight must refuse.
 */
#ifndef APP_FACTS_H
#define APP_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/breaker_list.h"
#include "app/session.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "model/playbook.h"

enum release_state { RELEASE_GOOD, RELEASE_STAGED, RELEASE_FAILED, RELEASE_INCOMPLETE };
const char *release_state_name(enum release_state state);

struct release_fact {
    const char *id;
    enum release_state state;
    uint64_t since_s; /* of its last commit, when it is good; else 0 */
};

/* What a node's record says of a migration. */
enum migration_record {
    RECORDED_RUNNING, /* lives now */
    RECORDED_DONE,
    RECORDED_FAILED,  /* it ended by itself and failed */
    RECORDED_UNDONE,
    RECORDED_UNKNOWN  /* it began, and nobody knows its end */
};
struct migration_fact {
    const char *name;
    enum migration_record record;
    const char *release; /* that brought it */
    enum change_kind kind;
    uint64_t since_s; /* of its record */
};

/* One slot of the node. */
struct slot_fact {
    bool known;          /* the node has it */
    const char *release; /* that it links; NULL: none */
    bool running;
    bool uncommitted;    /* a release was activated in it and not committed */
    bool timed;          /* it is stopped in */
    uint64_t left_s;
};

/* What a commit has changed. */
struct commit_fact {
    const char *release, *rollout;
    const char *before; /* the release committed before it; NULL: none */
    bool rollback;      /* by a rollback */
    bool retracts;      /* taking it back has begun, and perhaps not ended */
};

struct facts {
    struct arena arena;
    const char *current;  /* release id; NULL: none */
    const char *current_state; /* the link `current`: ok, none, dangling, foreign (leads elsewhere), not-a-link */
    bool current_good;    /* committed */
    const char *previous; /* where a rollback would go; NULL: nowhere */
    struct commit_fact committed; /* the last commit, when it can be taken back; else its release is NULL */
    const char *chain;     /* the run that locked the node last, and those that it went on with; NULL: none */
    uint64_t disk_free, disk_total, inodes_free;
    bool writable;
    const char *sudo; /* NULL: not needed; "ok"; else what sudo said */
    const char *unit_load, *unit_active, *unit_sub; /* NULL without a unit */
    const char *lock_holder, *lock_rollout;         /* NULL: free */
    uint64_t lock_age_s, lock_ttl_s; /* since its last renewal */
    uint64_t lock_held_s;            /* since it was taken */
    const char *wish; /* `pause|abort WHO`: what somebody wishes of the run that holds the lock; else NULL */
    bool lock_expired;
    uint64_t lock_generation;
    const char *lock_runner; /* io/process_identity.h; NULL: it left none */
    bool lock_abandoned;     /* its runner is a process of this machine that has ended */
    /* The last run in the journal, when it has no end: interrupted, held, or its runner died. */
    const char *open_rollout, *open_step;
    bool held; /* at the end of a wave, for `promote`; open_step says it as a sentence */
    size_t waves_passed; /* when held */
    const char *open_release; /* where it took this node; NULL: to no release */
    const char *open_kind;    /* its verb: `rollout`, `rollback`, `abort` */
    const char *open_limit;   /* its --limit; NULL: none */
    const char *open_members; /* its nodes, as app/missing.h notes them; NULL: not noted */
    /* Read by the run that holds the lock, which is the open one then: what was open before it; NULL: nothing. */
    const char *before_rollout, *before_step;
    /* What the open run, or one that it goes on with, has started last has not passed its gate, as far as the node knows. */
    bool unproven;
    /* `VERB RELEASE ROLLOUT`: a change of the service that has begun and not ended well, so that it may be stopped whatever is current; NULL:
     * none. */
    const char *unsettled;
    const char *service; /* that the root belongs to; NULL: none was noted */
    /* The last run that has an end in the journal, and its result; NULL: none. */
    const char *ended_rollout, *ended_result;
    const char *breaker_rollout; /* the newest run, when some of its breakers have opened, as the node was told; else NULL */
    struct breaker_seen *breakers;
    size_t breaker_count;
    /* `armed|lost SECONDS RELEASE PREVIOUS`: the confirm timer that runs, or that a reboot ended;
     * else NULL. */
    const char *confirm;
    /* `EPOCH RELEASE PREVIOUS ROLLOUT ok|failed SENTENCE`: what such a timer put back last; else
     * NULL. */
    const char *reverted;
    struct release_fact *releases; /* oldest sequence first */
    size_t release_count;
    struct migration_fact *migrations;
    size_t migration_count;
    struct slot_fact slots[SLOTS];
    const char *live_slot; /* `NAME EPOCH` of the last commit in a slot; NULL: there was none */
};

/* Always facts_release. ERR_PROTOCOL when a value is malformed. */
int facts_read(struct facts *out, const struct reply *reply, struct err *err);
void facts_release(struct facts *facts);
/* Whether a run holds the lock: its lease lives, and its process is not known to have ended. */
bool facts_locked(const struct facts *facts);
/* The slot of the last commit, or of the side that the node is: `blue`; NULL without slots. */
const char *facts_live_slot(const struct facts *facts);
/* Seconds that a node reported, in milliseconds; the largest number when they do not fit. */
int64_t facts_ms(uint64_t seconds);
/* What each slot has: `blue RELEASE running, stopped in 14m; green ...`, appended. */
void facts_tell_slots(const struct facts *facts, struct strbuf *out);
bool facts_has(const struct facts *facts, const char *release, enum release_state *state);

/* What another run may have done between two readings: true, with a sentence, when `now` is not what a run that was decided by `seen` counts on.
 * `now` is read by that run with the lock. */
bool facts_moved(const struct facts *seen, const struct facts *now, struct strbuf *out);
/* The change that did not end, as a sentence; nothing when there is none. */
void facts_tell_unsettled(const struct facts *facts, struct strbuf *out);

/* Both as a sentence, appended; nothing when there is none. */
void facts_tell_timer(const struct facts *facts, struct strbuf *out);
/* `reverted yes` of a node's reply, as a sentence: false when it is malformed. */
bool reverted_sentence(const char *text, struct strbuf *out);

/* What stands in the way of changing this node: 0, or ERR_REFUSED with a sentence that says what to
 * do. `needed_bytes`: what staging takes, 0 when nothing is staged. */
int facts_check(const struct facts *facts, const struct service *service, bool become,
                uint64_t needed_bytes, struct err *err);

/* The root belongs to this service, by `renamed_from` also under its earlier name, or to none yet: 0, or ERR_REFUSED with a sentence that says
 * what to do. Part of facts_check. */
int facts_check_service(const struct facts *facts, const struct service *service, struct err *err);

/* What a rollout to `target` that fails would have to go back to, and cannot: what `current` leads to was staged by nobody here, e.g. by another tool.
 * 0, or ERR_REFUSED with a sentence that says what to do. */
int facts_check_way_back(const struct facts *facts, const char *target, struct err *err);

/* What undoing goes back to: what runs, or what was committed last when an earlier run left something uncommitted. NULL: to no release. */
const char *facts_release_before(const struct facts *facts);

/* The current release was committed by one of the runs in `chain` (ids, a blank between; NULL: none): true, and what was committed before it
 * (NULL: nothing). */
bool facts_take_back(const struct facts *facts, const char *chain, const char **before);

#endif
