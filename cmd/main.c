#include <stdio.h>
#include <string.h>

#include "completion.h"
#include "help.h"
#include "options.h"

static int unknown_verb(const char *name)
{
    const char *nearest = verb_nearest(name);
    if (*name == '-')
        fprintf(stderr, "deployctl: unknown option %s; options stand behind the verb\n", name);
    else
        fprintf(stderr, "deployctl: there is no verb '%s'%s%s%s\n", name,
                nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    fputs("try 'deployctl help'\n", stderr);
    return EXIT_USAGE;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    struct arena arena;
    struct options options;
    struct err err = {0};
    int code;
    arena_init(&arena);
    if (options_parse(&options, verb, argc, argv, &arena, &err)) {
        fprintf(stderr, "deployctl: %s\ntry 'deployctl help %s'\n", err.message, verb->name);
        code = err.code == ERR_MEMORY ? report_error(&err) : EXIT_USAGE;
    } else if (options.help) {
        help_verb(stdout, verb);
        code = EXIT_DONE;
    } else {
        code = verb->run(&options);
    }
    arena_release(&arena);
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help_overview(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "__complete") == 0)
        return complete_words(argc - 2, argv + 2);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    const struct verb *verb = verb_find(name);
    if (!verb)
        return unknown_verb(name);
    return run_verb(verb, argc - 1, argv + 1);
}
