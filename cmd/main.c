#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "completion.h"
#include "help.h"
#include "io/loop.h"
#include "options.h"
#include "print.h"

static int unknown_verb(const char *name)
{
    const char *nearest = verb_nearest(name);
    print_err("deployctl: there is no verb '%s'%s%s%s\ntry 'deployctl help'\n", name,
            nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
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
        print_err("deployctl: %s\ntry 'deployctl help %s'\n", err.message, verb->name);
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

/* Options may stand before the verb, as with git and kubectl. */
static int run_words(int argc, char **argv)
{
    struct arena arena;
    struct words words;
    struct err err = {0};
    int code;
    arena_init(&arena);
    if (options_lead(&words, argc, argv, &arena, &err)) {
        print_err("deployctl: %s\ntry 'deployctl help'\n", err.message);
        code = err.code == ERR_MEMORY ? report_error(&err) : EXIT_USAGE;
    } else if (words.argc == 0) {
        help_overview(stderr);
        code = EXIT_USAGE;
    } else {
        const struct verb *verb = verb_find(words.argv[0]);
        code = verb ? run_verb(verb, words.argc, words.argv) : unknown_verb(words.argv[0]);
    }
    arena_release(&arena);
    return code;
}

/* Else the first file or socket takes the place of a standard stream that is closed. Opened the wrong way round, so that its use still fails. */
static void hold_standard_streams(void)
{
    for (int stream = 0; stream < 3; stream++)
        if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY) < 0)
            return;
}

int main(int argc, char **argv)
{
    static char version[] = "version";
    hold_standard_streams();
    files_limit_raise();
    if (argc > 1 && strcmp(argv[1], "__complete") == 0)
        return complete_words(argc - 2, argv + 2);
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
        argv[1] = version;
    return run_words(argc, argv);
}
