/*
 * The option specs, and parsing by them. Reads the environment, never a file; never prints.
 */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include "command.h"

enum option_kind {
    OPTION_FLAG,     /* bool */
    OPTION_TEXT,     /* const char *, not empty */
    OPTION_WHOLE,    /* uint32_t from minimum to maximum */
    OPTION_DURATION, /* int64_t milliseconds from minimum to maximum */
    OPTION_OUTPUT,   /* `text` or `json`: bool json */
    OPTION_CHOICE,   /* const char *, one of the words of `argument` */
    OPTION_SETTING,  /* `section.key=value`, may stand several times */
    OPTION_MIGRATION /* `NAME=done` or `NAME=again`, may stand several times */
};

/* What a shell offers after it. */
enum completion_kind {
    COMPLETE_NONE,
    COMPLETE_FILE,
    COMPLETE_PATTERN, /* nodes and groups */
    COMPLETE_OUTPUT,  /* text json */
    COMPLETE_FORMAT,  /* text json junit html */
    COMPLETE_ROLLOUT, /* ids that this machine remembers */
    COMPLETE_SETTING, /* section.key= */
    COMPLETE_PLAYBOOK,
    COMPLETE_VERB,
    COMPLETE_SHELL
};

struct option_spec {
    char letter;          /* 0: none */
    const char *name;     /* long name, without dashes */
    const char *argument; /* the word in the help, e.g. `FILE`; NULL: takes none */
    enum option_kind kind;
    size_t offset; /* in struct options */
    int64_t minimum, maximum;
    enum completion_kind completion;
    const char *help; /* one line, lower case, no stop */
};
extern const struct option_spec option_specs[];
extern const size_t option_spec_count;

/* Every verb takes --help, whatever its list says. */
bool verb_takes(const struct verb *verb, const struct option_spec *spec);
/* NULL when there is none. */
const struct verb *verb_find(const char *name);
/* The verb that a mistyped name may have meant; NULL when none is near. */
const char *verb_nearest(const char *name);
/* Reads verb->arguments: how many operands may stand before `--`, and whether a command follows it.
 */
struct verb_operands {
    size_t minimum, maximum;
    bool command;
};
struct verb_operands verb_operands(const struct verb *verb);
/* What the operand at `index` is; COMPLETE_NONE behind the last. */
enum completion_kind verb_operand_kind(const struct verb *verb, size_t index);

/* What is taken before the verb, as a verb of no name. */
extern const struct verb before_verb;
/* What stands before the verb: options that most verbs take. Puts them behind the verb, so that `-f 5 plan shop` becomes
 * `plan --forks=5 shop`; argv[0] of the result is the verb. With `--help` and no verb that is `help`; without both argc is 0.
 * ERR_INPUT with a sentence for the user. */
struct words {
    int argc;
    char **argv; /* ended by NULL, in the arena */
};
int options_lead(struct words *out, int argc, char **argv, struct arena *arena, struct err *err);

/* `argv[0]` is the verb. Options and operands may mix; `--` ends the options. The result borrows
 * from argv, the environment and `arena`. ERR_INPUT with a sentence for the user. When --help is
 * among the options nothing else is asked for. */
int options_parse(struct options *out, const struct verb *verb, int argc, char **argv,
                  struct arena *arena, struct err *err);

#endif
