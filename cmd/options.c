#include "options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

#define AT(field) offsetof(struct options, field)
#define DAY_MS INT64_C(86400000)

const struct option_spec option_specs[] = {
    {'i', "inventory", "FILE", OPTION_TEXT, AT(inventory), 0, 0, COMPLETE_FILE,
     "nodes; else $DEPLOYCTL_INVENTORY or inventory.ini"},
    {'l', "limit", "PATTERN", OPTION_TEXT, AT(limit), 0, 0, COMPLETE_PATTERN,
     "only these of the nodes"},
    {0, "ref", "REV", OPTION_TEXT, AT(ref), 0, 0, COMPLETE_NONE,
     "the commit, tag or branch, instead of [source] ref"},
    {0, "to", "RELEASE", OPTION_TEXT, AT(to), 0, 0, COMPLETE_NONE, "release for all, by 4 letters or more"},
    {0, "each-own", NULL, OPTION_FLAG, AT(each_own), 0, 0, COMPLETE_NONE, "each node to its own release before"},
    {0, "require-plan", "HASH", OPTION_TEXT, AT(require_plan), 0, 0, COMPLETE_NONE,
     "refuse to run unless the plan is still this one"},
    {0, "only-stale", NULL, OPTION_FLAG, AT(only_stale), 0, 0, COMPLETE_NONE,
     "only nodes that are not at the fleet's release"},
    {0, "renew", NULL, OPTION_FLAG, AT(renew), 0, 0, COMPLETE_NONE,
     "renew the leases of what serves in [discovery]"},
    {0, "supersede", NULL, OPTION_FLAG, AT(supersede), 0, 0, COMPLETE_NONE,
     "start over an earlier rollout that did not end"},
    {0, "wait", "TIME", OPTION_DURATION, AT(wait_ms), 1000, DAY_MS, COMPLETE_NONE,
     "wait so long for a lock that is held, e.g. 15m"},
    {0, "migration", "NAME=done|again", OPTION_MIGRATION, AT(migrations), 0, 0, COMPLETE_NONE,
     "what a migration was whose end is unknown; repeatable"},
    {0, "ignore-missing", "ROLLOUT", OPTION_TEXT, AT(ignore_missing), 0, 0, COMPLETE_ROLLOUT,
     "leave its nodes that are not in the inventory"},
    {0, "past-point-of-no-return", "REASON", OPTION_TEXT, AT(past_reason), 0, 0, COMPLETE_NONE,
     "go back across an irreversible migration; recorded"},
    {'y', "yes", NULL, OPTION_FLAG, AT(yes), 0, 0, COMPLETE_NONE, "do not ask"},
    {'n', "count", "N", OPTION_WHOLE, AT(count), 1, 10000, COMPLETE_NONE, "at most N rollouts; 20"},
    {0, "timeout", "TIME", OPTION_DURATION, AT(timeout_ms), 1, DAY_MS, COMPLETE_NONE,
     "end the command after this time, e.g. 30s; 5m"},
    {0, "lines", "N", OPTION_WHOLE, AT(lines), 0, 10000, COMPLETE_NONE,
     "the last N lines of each node; 100"},
    {0, "since", "TIME", OPTION_DURATION, AT(since_ms), 1000, 366 * DAY_MS, COMPLETE_NONE,
     "only lines of this time, e.g. 10m; 2h"},
    {'f', "follow", NULL, OPTION_FLAG, AT(follow), 0, 0, COMPLETE_NONE,
     "go on with new lines, until Ctrl-C"},
    {0, "format", "text|json|junit|html", OPTION_CHOICE, AT(format), 0, 0, COMPLETE_FORMAT,
     "text for people, JUnit for CI, or one page"},
    {'f', "forks", "N", OPTION_WHOLE, AT(forks), 1, 1000, COMPLETE_NONE,
     "work on at most N nodes at once; 64"},
    {0, "set", "SECTION.KEY=VALUE", OPTION_SETTING, AT(overrides), 0, 0, COMPLETE_SETTING,
     "a value instead of the playbook's; repeatable"},
    {'o', "output", "text|json", OPTION_OUTPUT, AT(json), 0, 0, COMPLETE_OUTPUT,
     "for people, or one JSON object a line"},
    {'q', "quiet", NULL, OPTION_FLAG, AT(quiet), 0, 0, COMPLETE_NONE,
     "only troubles and the result"},
    {'v', "verbose", NULL, OPTION_FLAG, AT(verbose), 0, 0, COMPLETE_NONE, "every event"},
    {0, "no-color", NULL, OPTION_FLAG, AT(no_color), 0, 0, COMPLETE_NONE,
     "no colors; also by NO_COLOR"},
    {'h', "help", NULL, OPTION_FLAG, AT(help), 0, 0, COMPLETE_NONE, "this help"},
};
const size_t option_spec_count = sizeof option_specs / sizeof *option_specs;

#define SPECS (sizeof option_specs / sizeof *option_specs)
#define LONG_CODE 256 /* getopt codes of long options start here, above every letter */

bool verb_takes(const struct verb *verb, const struct option_spec *spec)
{
    size_t length = strlen(spec->name);
    if (strcmp(spec->name, "help") == 0)
        return true;
    for (const char *at = verb->options; *at; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (word == length && memcmp(at, spec->name, length) == 0)
            return true;
        at += word;
    }
    return false;
}

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < verb_count; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

const char *verb_nearest(const char *name)
{
    const char *names[64];
    size_t count = 0;
    for (; count < verb_count && count < 64; count++)
        names[count] = verbs[count].name;
    return text_nearest(name, names, count);
}

struct verb_operands verb_operands(const struct verb *verb)
{
    struct verb_operands operands = {0};
    for (const char *at = verb->arguments; *at; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (word == 2 && memcmp(at, "--", 2) == 0) {
            operands.command = true;
            break;
        }
        operands.minimum += *at != '[';
        operands.maximum++;
        at += word;
    }
    return operands;
}

enum completion_kind verb_operand_kind(const struct verb *verb, size_t index)
{
    static const struct {
        const char *word;
        enum completion_kind kind;
    } words[] = {{"PLAYBOOK", COMPLETE_PLAYBOOK},
                 {"PATTERN", COMPLETE_PATTERN},
                 {"VERB", COMPLETE_VERB},
                 {"ROLLOUT", COMPLETE_ROLLOUT},
                 {"bash|zsh|fish", COMPLETE_SHELL}};
    if (index >= verb_operands(verb).maximum)
        return COMPLETE_NONE;
    const char *at = verb->arguments;
    for (; index; index--) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    at += strspn(at, "[");
    size_t length = strcspn(at, " ]");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].word) == length && memcmp(words[i].word, at, length) == 0)
            return words[i].kind;
    return COMPLETE_NONE;
}

/* Two options may have the same letter, if no verb takes both. */
static const struct option_spec *spec_of(const struct verb *verb, int code)
{
    if (code >= LONG_CODE)
        return &option_specs[code - LONG_CODE];
    for (size_t i = 0; i < SPECS; i++)
        if (option_specs[i].letter == code && verb_takes(verb, &option_specs[i]))
            return &option_specs[i];
    return NULL;
}

/* How a spec is called in a message: `-f/--forks`, `--ref`. */
static const char *spec_label(char out[64], const struct option_spec *spec)
{
    if (spec->letter)
        snprintf(out, 64, "-%c/--%s", spec->letter, spec->name);
    else
        snprintf(out, 64, "--%s", spec->name);
    return out;
}

/* The options of a verb as getopt wants them. */
struct getopt_table {
    char letters[2 * SPECS + 3];
    struct option names[SPECS + 1];
};

/* `order`: what getopt does with operands, `-` hands them over in order, `+` stops at the first. */
static void build_table(struct getopt_table *table, const struct verb *verb, char order)
{
    size_t letters = 0, names = 0;
    memset(table, 0, sizeof *table);
    table->letters[letters++] = order;
    table->letters[letters++] = ':';
    for (size_t i = 0; i < SPECS; i++) {
        const struct option_spec *spec = &option_specs[i];
        if (!verb_takes(verb, spec))
            continue;
        if (spec->letter) {
            table->letters[letters++] = spec->letter;
            if (spec->argument)
                table->letters[letters++] = ':';
        }
        table->names[names++] =
            (struct option){.name = spec->name,
                            .has_arg = spec->argument ? required_argument : no_argument,
                            .val = LONG_CODE + (int)i};
    }
}

/* `--set section.key=value`; the key is what stands behind the last dot, as labels may hold dots.
 */
static int add_setting(struct options *options, const char *text, struct arena *arena,
                       struct err *err)
{
    const char *equals = strchr(text, '=');
    const char *dot = equals ? memrchr(text, '.', (size_t)(equals - text)) : NULL;
    if (!dot || dot == text || dot + 1 == equals)
        return err_set(err, ERR_INPUT, "--set takes section.key=value, not '%s'", text);
    struct playbook_override *items =
        arena_grow(arena, (void *)options->overrides, options->override_count, sizeof *items);
    if (!items)
        return err_set(err, ERR_MEMORY, "out of memory");
    struct playbook_override *item = &items[options->override_count];
    item->section = arena_strndup(arena, text, (size_t)(dot - text));
    item->key = arena_strndup(arena, dot + 1, (size_t)(equals - dot - 1));
    item->value = equals + 1;
    if (!item->section || !item->key)
        return err_set(err, ERR_MEMORY, "out of memory");
    options->overrides = items;
    options->override_count++;
    return 0;
}

static int add_word(struct options *options, const char *text, struct arena *arena, struct err *err)
{
    const char *equals = strrchr(text, '=');
    bool again = equals && strcmp(equals, "=again") == 0;
    if (!equals || equals == text || (!again && strcmp(equals, "=done") != 0))
        return err_set(err, ERR_INPUT, "--migration takes NAME=done or NAME=again, not '%s'", text);
    struct migration_word *items =
        arena_grow(arena, (void *)options->migrations, options->migration_count, sizeof *items);
    if (!items)
        return err_set(err, ERR_MEMORY, "out of memory");
    items[options->migration_count] = (struct migration_word){
        .name = arena_strndup(arena, text, (size_t)(equals - text)), .again = again};
    if (!items[options->migration_count].name)
        return err_set(err, ERR_MEMORY, "out of memory");
    options->migrations = items;
    options->migration_count++;
    return 0;
}

static int store_output(struct options *options, const char *text, struct err *err)
{
    static const char *const forms[] = {"text", "json"};
    options->json = strcmp(text, "json") == 0;
    if (options->json || strcmp(text, "text") == 0)
        return 0;
    const char *nearest = text_nearest(text, forms, 2);
    return err_set(err, ERR_INPUT, "-o/--output takes text or json, not '%s'%s%s%s", text,
                   nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static int store_choice(const char **field, const struct option_spec *spec, const char *text,
                        struct err *err)
{
    size_t length = strlen(text);
    *field = text;
    for (const char *at = spec->argument; *at; at += strspn(at, "|")) {
        size_t word = strcspn(at, "|");
        if (word == length && memcmp(at, text, length) == 0)
            return 0;
        at += word;
    }
    return err_set(err, ERR_INPUT, "--%s takes %s, not '%s'", spec->name, spec->argument, text);
}

static int store_number(struct options *options, const struct option_spec *spec, const char *text,
                        struct err *err)
{
    char *field = (char *)options + spec->offset;
    char label[64];
    int status;
    if (spec->kind == OPTION_WHOLE) {
        uint64_t number = 0;
        status = whole_parse(&number, text, (uint64_t)spec->minimum, (uint64_t)spec->maximum, err);
        if (!status)
            *(uint32_t *)(void *)field = (uint32_t)number;
    } else {
        int64_t ms = 0;
        status = duration_parse(&ms, text, err);
        if (!status && (ms < spec->minimum || ms > spec->maximum))
            status = err_set(err, ERR_INPUT, "'%s' is not between %" PRId64 "ms and %" PRId64 "h",
                             text, spec->minimum, spec->maximum / 3600000);
        if (!status)
            *(int64_t *)(void *)field = ms;
    }
    return status ? err_prefix(err, "%s", spec_label(label, spec)) : 0;
}

static int store(struct options *options, const struct option_spec *spec, const char *text,
                 struct arena *arena, struct err *err)
{
    char *field = (char *)options + spec->offset;
    char label[64];
    if (spec->kind == OPTION_FLAG) {
        *(bool *)(void *)field = true;
        return 0;
    }
    if (*text == '\0')
        return err_set(err, ERR_INPUT, "%s needs a %s, not an empty text", spec_label(label, spec),
                       spec->argument);
    switch (spec->kind) {
    case OPTION_SETTING:
        return add_setting(options, text, arena, err);
    case OPTION_MIGRATION:
        return add_word(options, text, arena, err);
    case OPTION_OUTPUT:
        return store_output(options, text, err);
    case OPTION_CHOICE:
        return store_choice((const char **)(void *)field, spec, text, err);
    case OPTION_TEXT:
        *(const char **)(void *)field = text;
        return 0;
    default:
        return store_number(options, spec, text, err);
    }
}

/* An option that this verb does not take: says who takes it, or which one is near. */
static int unknown_option(const struct verb *verb, const char *word, struct err *err)
{
    char name[64];
    const char *names[SPECS];
    size_t count = 0;
    bool is_long = strncmp(word, "--", 2) == 0;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (size_t i = 0; i < SPECS; i++) {
        const struct option_spec *spec = &option_specs[i];
        if (verb_takes(verb, spec))
            names[count++] = spec->name;
        else if (is_long ? strcmp(spec->name, name) == 0 : spec->letter && spec->letter == word[1])
            return verb == &before_verb
                       ? err_set(err, ERR_INPUT, "option %s stands behind the verb", word)
                       : err_set(err, ERR_INPUT, "'%s' takes no option %s", verb->name, word);
    }
    const char *nearest = is_long ? text_nearest(name, names, count) : NULL;
    if (nearest)
        return err_set(err, ERR_INPUT, "unknown option %s; did you mean --%s?", word, nearest);
    return err_set(err, ERR_INPUT, "unknown option %s", word);
}

/* What getopt could not take; `code` is `?` or `:`. */
static int refused(const struct verb *verb, int code, char **argv, struct err *err)
{
    const struct option_spec *spec = optopt ? spec_of(verb, optopt) : NULL;
    char label[64], letter[3] = {'-', (char)optopt, 0};
    if (code == ':' && spec)
        return err_set(err, ERR_INPUT, "%s needs a %s", spec_label(label, spec), spec->argument);
    if (spec && optopt >= LONG_CODE)
        return err_set(err, ERR_INPUT, "--%s takes no value", spec->name);
    return unknown_option(verb, optopt ? letter : argv[optind - 1], err);
}

/* `--to --help` must not take `--help` for a release. */
static int check_value(const struct option_spec *spec, char **argv, struct err *err)
{
    char label[64];
    if (!spec->argument || optarg != argv[optind - 1] || *optarg != '-' || !optarg[1])
        return 0;
    return err_set(err, ERR_INPUT, "%s needs a %s, and '%s' looks like an option",
                   spec_label(label, spec), spec->argument, optarg);
}

static int add_operand(struct options *options, const char *text, struct arena *arena,
                       struct err *err)
{
    const char **items =
        arena_grow(arena, (void *)options->arguments, options->argument_count, sizeof *items);
    if (!items)
        return err_set(err, ERR_MEMORY, "out of memory");
    items[options->argument_count++] = text;
    options->arguments = items;
    return 0;
}

static int take_options(struct options *out, const struct verb *verb, int argc, char **argv,
                        struct arena *arena, struct err *err)
{
    struct getopt_table table;
    /* Operands come in order, so that those before `--` are known. */
    build_table(&table, verb, '-');
    opterr = 0;
    optind = 0;
    int code, status = 0;
    while (!status && (code = getopt_long(argc, argv, table.letters, table.names, NULL)) != -1) {
        const struct option_spec *spec = spec_of(verb, code);
        if (code == '?' || code == ':')
            status = refused(verb, code, argv, err);
        else if (code == 1)
            status = add_operand(out, optarg, arena, err);
        else if ((status = check_value(spec, argv, err)) == 0)
            status = store(out, spec, optarg, arena, err);
    }
    return status;
}

static int check_operands(const struct options *options, const struct verb *verb, struct err *err)
{
    struct verb_operands wanted = verb_operands(verb);
    size_t count = options->argument_count;
    if (options->quiet && options->verbose)
        return err_set(err, ERR_INPUT, "--quiet and --verbose exclude each other");
    if (count > wanted.maximum)
        return err_set(err, ERR_INPUT, "unexpected argument '%s'%s",
                       options->arguments[wanted.maximum],
                       wanted.command ? "; the command stands behind --" : "");
    if (count < wanted.minimum && verb_operand_kind(verb, count) == COMPLETE_PLAYBOOK)
        return err_set(err, ERR_INPUT,
                       "%s needs a PLAYBOOK: a path, or NAME for playbooks/NAME.ini", verb->name);
    if (count < wanted.minimum)
        return err_set(err, ERR_INPUT, "%s needs %s", verb->name, verb->arguments);
    if (wanted.command && options->command_count == 0)
        return err_set(err, ERR_INPUT, "%s needs a command behind --", verb->name);
    return 0;
}

/* What is not given on the command line. */
static void set_defaults(struct options *out)
{
    const char *inventory = getenv("DEPLOYCTL_INVENTORY");
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    if (out->inventory) {
        out->inventory_from = "--inventory";
    } else if (inventory && *inventory) {
        out->inventory = inventory;
        out->inventory_from = "$DEPLOYCTL_INVENTORY";
    } else {
        out->inventory = "inventory.ini";
    }
    if ((no_color && *no_color) || (terminal && strcmp(terminal, "dumb") == 0))
        out->no_color = true;
}

int options_parse(struct options *out, const struct verb *verb, int argc, char **argv,
                  struct arena *arena, struct err *err)
{
    *out = (struct options){.forks = 64, .count = 20, .lines = 100, .timeout_ms = 300000};
    int status = take_options(out, verb, argc, argv, arena, err);
    if (status || out->help)
        return status;
    bool command = verb_operands(verb).command;
    if (command) {
        out->command = (const char *const *)argv + optind;
        out->command_count = (size_t)(argc - optind);
    }
    for (int at = optind; !command && at < argc && !status; at++)
        status = add_operand(out, argv[at], arena, err);
    if (!status)
        status = check_operands(out, verb, err);
    set_defaults(out);
    return status;
}

/* --- before the verb --- */

const struct verb before_verb = {
    .name = "deployctl", .arguments = "", .options = "inventory limit forks set output quiet verbose no-color"};

int options_lead(struct words *out, int argc, char **argv, struct arena *arena, struct err *err)
{
    struct getopt_table table;
    int code, status = 0, count = 0;
    bool help = false;
    char **words = arena_alloc(arena, (size_t)(argc + 2) * sizeof(*words));
    *out = (struct words){0};
    if (!words)
        return err_set(err, ERR_MEMORY, "out of memory");
    build_table(&table, &before_verb, '+');
    opterr = 0;
    optind = 0;
    while (!status && (code = getopt_long(argc, argv, table.letters, table.names, NULL)) != -1) {
        const struct option_spec *spec = spec_of(&before_verb, code);
        if (code == '?' || code == ':')
            status = refused(&before_verb, code, argv, err);
        else if ((status = check_value(spec, argv, err)) == 0) {
            help = help || strcmp(spec->name, "help") == 0;
            words[1 + count++] = spec->argument ? arena_printf(arena, "--%s=%s", spec->name, optarg)
                                                : arena_printf(arena, "--%s", spec->name);
        }
    }
    if (status || (optind >= argc && !help))
        return status;
    if (optind >= argc)
        count = 0;
    words[0] = optind < argc ? argv[optind++] : arena_strdup(arena, "help");
    while (optind < argc)
        words[1 + count++] = argv[optind++];
    *out = (struct words){.argc = 1 + count, .argv = words};
    return 0;
}
