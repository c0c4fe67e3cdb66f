/*
 * Verbs and options as data. One table of verbs (cmd/verbs.c), one of option specs (cmd/options.c); parsing, help, usage, errors and
 * completion all come from these two tables. A verb's file holds no work itself: it reads files, builds model structs and hands them to app/.
 */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/migrations.h"
#include "base/arena.h"
#include "base/err.h"
#include "core/waves.h"
#include "model/inventory.h"
#include "model/playbook.h"

enum exit_code {
    EXIT_DONE = 0, EXIT_ROLLED_BACK = 1, EXIT_NEEDS_CARE = 2, EXIT_HELD = 3, EXIT_REFUSED = 4, EXIT_USAGE = 64, EXIT_BAD_INPUT = 65,
    EXIT_UNREACHABLE = 69, EXIT_INTERRUPTED = 130, EXIT_TERMINATED = 143
};

struct options {
    const char *inventory;   /* -i, else $DEPLOYCTL_INVENTORY, else inventory.ini */
    const char *inventory_from; /* `--inventory` or `$DEPLOYCTL_INVENTORY`; NULL: nobody named one, it is the default */
    const char *limit;       /* -l */
    uint32_t forks;          /* -f; 64 */
    bool json;               /* -o json */
    bool quiet, verbose;
    bool no_color; /* --no-color, a NO_COLOR that is not empty, or TERM=dumb; whether the stream is a terminal is asked where it is used */
    bool help;     /* --help: print help and do nothing */
    const struct playbook_override *overrides; /* --set */
    size_t override_count;
    const char *ref;          /* rollout, plan */
    const char *to;           /* rollback */
    const char *require_plan; /* rollout, rollback */
    uint32_t count;           /* history -n; 20 */
    int64_t timeout_ms;       /* exec --timeout */
    bool marks_limit;         /* set by a verb that changes nodes: --limit leaves nodes outside of the run instead of leaving them out */
    bool each_own;            /* rollback: each node to its own release before */
    bool only_stale;          /* rollout: the fleet's release, for the nodes that are not at it */
    bool renew;               /* status: the leases of what the discoveries say */
    bool supersede;           /* rollout: over one that did not end */
    int64_t wait_ms;          /* for a lock that is held; 0: not at all */
    bool yes;                 /* rollback, unlock: do not ask on a terminal */
    uint32_t lines;           /* logs: of each node; 100 */
    int64_t since_ms;         /* logs: no older ones; 0: any */
    bool follow;              /* logs */
    const char *format;       /* report: text, json, junit, html; NULL: as `json` says */
    const char *const *arguments; /* what is left, without the verb */
    size_t argument_count;
    const struct migration_word *migrations; /* --migration NAME=done|again */
    size_t migration_count;
    const char *ignore_missing; /* --ignore-missing, a rollout's id; NULL: not given */
    const char *past_reason; /* --past-point-of-no-return; NULL: not given */
    const char *const *command;   /* after `--` (exec) */
    size_t command_count;
};

struct verb {
    const char *name;
    const char *summary;    /* one line, lower case, no stop */
    const char *arguments;  /* for the usage line, e.g. "PLAYBOOK", "[PATTERN]"; how many a verb takes is read from it */
    const char *options;    /* long names of the options it takes, one blank between */
    const char *details;    /* paragraphs for `help VERB`: what it does, exit codes, an example */
    int (*run)(const struct options *options);
};
extern const struct verb verbs[];
extern const size_t verb_count;

int verb_rollout(const struct options *options);
int verb_rollback(const struct options *options);
int verb_resume(const struct options *options);
int verb_pause(const struct options *options);
int verb_promote(const struct options *options);
int verb_abort(const struct options *options);
int verb_plan(const struct options *options);
int verb_check(const struct options *options);
int verb_status(const struct options *options);
int verb_history(const struct options *options);
int verb_inventory(const struct options *options);
int verb_exec(const struct options *options);
int verb_logs(const struct options *options);
int verb_verify(const struct options *options);
int verb_unlock(const struct options *options);
int verb_report(const struct options *options);
int verb_completion(const struct options *options);
int verb_version(const struct options *options);
int verb_help(const struct options *options);

/* What almost every verb reads first: the inventory and the playbook, with all faults printed to stderr (file:line). */
struct inputs {
    struct arena arena;
    struct inventory inventory;
    struct playbook playbook;
    bool has_playbook;
    const char *playbook_path; /* what was opened, relative to where we are; NULL without a playbook */
    size_t *nodes; /* the playbook's hosts (or the pattern's), cut by --limit; in the order of strategy.order */
    size_t node_count;
    bool *outside; /* one a node: --limit leaves it out, and the run locks it all the same (options.marks_limit); else all false */
};
/* `playbook_name`: a path, or NAME for playbooks/NAME.ini; NULL: none wanted. `pattern`: nodes when there is no playbook (NULL: all).
 * Returns 0 or an exit code (65, 64) after printing. Always inputs_release. An empty selection is a fault. */
int inputs_read(struct inputs *inputs, const struct options *options, const char *playbook_name, const char *pattern);
void inputs_release(struct inputs *inputs);

/* Where the source is: source.location with `~/` expanded and made relative to where we are (see model/playbook.h for the rule). Lives
 * in inputs->arena; NULL when out of memory. */
const char *inputs_source_path(struct inputs *inputs);

/* The waves of the nodes in `inputs`, amounts resolved and zones kept apart; indices into inputs->nodes. Lives in inputs->arena. */
int inputs_waves(struct waves *out, struct inputs *inputs, struct err *err);
/* The nodes that `limit` leaves out are outside from now on. ERR_NOT_FOUND when it leaves none inside. */
int inputs_mark_limit(struct inputs *inputs, const char *limit, struct err *err);

/* Prints `deployctl: <message>` to stderr, and returns the exit code that belongs to the error's class. */
int report_error(const struct err *err);

/* Whether stdout could not be written (a full disk, closed), which is said. Who reads a pipe no further has read enough. */
bool report_cut_off(void);
/* For verbs whose result is what they print: `code`, unless report_cut_off, which is no success. */
int report_printed(int code);

#endif
