/*
 * Where the fleet's data stands: what the nodes' records say together about the playbook's migrations, and what that allows. Reads a survey;
 * never asks a node, never runs anything.
 *
 * A migration's record is written on the node that runs it and copied to every node of the run at its end; so each node tells of all that was done,
 * but one that was never reached since. Together: unknown when any node says so, else done when any says so, else pending.
 */
#ifndef APP_MIGRATIONS_H
#define APP_MIGRATIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "app/survey.h"
#include "base/arena.h"
#include "base/err.h"
#include "core/waves.h"
#include "model/playbook.h"

enum data_state { DATA_PENDING, DATA_DONE, DATA_UNKNOWN };
const char *data_state_name(enum data_state state); /* "pending", ... static */

/* The operator's word on one that is unknown: `--migration NAME=done|again`. */
struct migration_word {
    const char *name;
    bool again; /* run it again; else it was done */
};

struct data_change {
    const struct migration *migration; /* of the playbook, in its order */
    enum data_state state;
    bool lives;          /* unknown, since it runs there now */
    bool again;          /* unknown, and the operator lets it run again */
    const char *release; /* that brought it; NULL: none yet */
    const char *where;   /* a node whose record says so; NULL: none */
    size_t node;         /* the member that it is for; SIZE_MAX: any */
};

struct data_plan {
    struct data_change *changes;
    size_t count;
    bool no_way_back; /* some node would go back to before an irreversible one that was run */
};

/* Borrows from survey, fleet and playbook. ERR_INPUT when a word names no migration of the playbook, ERR_REFUSED
 * when it contradicts what is known. */
int data_plan_make(struct data_plan *out, const struct playbook *playbook, const struct fleet *fleet,
                   const struct survey *survey, const struct migration_word *words, size_t word_count,
                   struct arena *arena, struct err *err);
bool data_plan_pending(const struct data_plan *plan);
/* The first pending irreversible one: past it nothing is rolled back. SIZE_MAX: there is none. */
size_t data_plan_no_return(const struct data_plan *plan);

/* Whether a rollout may run what is pending: 0, or ERR_REFUSED with a sentence that says what to do. `limited`: nodes of the service are left out, so
 * that their records are not known and old code may run there. */
int data_plan_check(const struct data_plan *plan, const struct fleet *fleet, const struct survey *survey,
                    bool limited, struct err *err);

/* ERR_REFUSED, naming the migration, when a node would come to, or stay on, a release from before an irreversible migration that was run, or of which
 * nobody knows. `targets`: a release a member; NULL entries, and nodes that did not answer, are passed over. */
int data_check_targets(const struct fleet *fleet, const struct survey *survey, const char *const *targets,
                       struct err *err);
/* The same of what an undo takes back although it is committed: ERR_REFUSED when a migration has contracted the data behind it, which the release
 * before may not bear. `chain`: of the runs that are undone. */
int data_check_undo(const struct fleet *fleet, const struct survey *survey, const char *chain, struct err *err);

/* Some target was found to be later than such a migration by its time alone, since the fleet's commits do not tell: true, with a sentence. */
bool data_judged_by_time(const struct fleet *fleet, const struct survey *survey, const char *const *targets, struct strbuf *out);

#endif
