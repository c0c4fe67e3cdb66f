/*
 * Verbs and options as data. One table of verbs (cmd/main.c), one array of option specs a verb; parsing, help, usage, errors and
 * completion all come from these arrays. A verb's file holds no work itself: it reads files, builds model structs and hands them to app/.
 */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/inventory.h"
#include "model/playbook.h"

enum exit_code {
    EXIT_DONE = 0, EXIT_ROLLED_BACK = 1, EXIT_NEEDS_CARE = 2, EXIT_HELD = 3, EXIT_REFUSED = 4, EXIT_USAGE = 64, EXIT_BAD_INPUT = 65,
    EXIT_UNREACHABLE = 69, EXIT_INTERRUPTED = 130, EXIT_TERMINATED = 143
};

struct options {
    const char *inventory;   /* -i, else $DEPLOYCTL_INVENTORY, else inventory.ini */
    const char *limit;       /* -l */
    uint32_t forks;          /* -f; 64 */
    bool json;               /* -o json */
    bool quiet, verbose, no_color;
    const struct playbook_override *overrides; /* --set */
    size_t override_count;
    const char *ref;          /* rollout, plan */
    const char *to;           /* rollback */
    const char *require_plan; /* rollout, rollback */
    uint32_t count;           /* history -n; 20 */
    int64_t timeout_ms;       /* exec --timeout */
    bool yes;                 /* rollback: do not ask on a terminal */
    const char *const *arguments; /* what is left, without the verb */
    size_t argument_count;
    const char *const *command;   /* after `--` (exec) */
    size_t command_count;
};

struct verb {
    const char *name;
    const char *summary;    /* one line, lower case, no stop */
    const char *arguments;  /* for the usage line, e.g. "PLAYBOOK" */
    const char *options;    /* letters or names of the option specs it takes: see options.c */
    const char *details;    /* paragraphs for `help VERB`: what it does, exit codes, an example */
    int (*run)(const struct options *options);
};
extern const struct verb verbs[];
extern const size_t verb_count;

int verb_rollout(const struct options *options);
int verb_rollback(const struct options *options);
int verb_plan(const struct options *options);
int verb_check(const struct options *options);
int verb_status(const struct options *options);
int verb_history(const struct options *options);
int verb_inventory(const struct options *options);
int verb_exec(const struct options *options);
int verb_completion(const struct options *options);
int verb_version(const struct options *options);
int verb_help(const struct options *options);

/* What almost every verb reads first: the inventory and the playbook, with all faults printed to stderr (file:line). */
struct inputs {
    struct arena arena;
    struct inventory inventory;
    struct playbook playbook;
    bool has_playbook;
    size_t *nodes; /* the playbook's hosts (or the pattern's), cut by --limit, in order */
    size_t node_count;
};
/* `playbook_name`: a path, or NAME for playbooks/NAME.ini; NULL: none wanted. `pattern`: nodes when there is no playbook (NULL: all).
 * Returns 0 or an exit code (65, 64) after printing. Always inputs_release. An empty selection is a fault. */
int inputs_read(struct inputs *inputs, const struct options *options, const char *playbook_name, const char *pattern);
void inputs_release(struct inputs *inputs);

/* Prints `deployctl: <message>` to stderr, and returns the exit code that belongs to the error's class. */
int report_error(const struct err *err);

#endif
