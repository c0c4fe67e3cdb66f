#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/past.h"
#include "app/sink.h"
#include "base/text.h"
#include "command.h"
#include "io/files.h"
#include "reports.h"
#include "print.h"

#define LISTED_MAX 20
#define NAMES_MAX 100000
#define SUFFIX ".jsonl"

/* --- which there are --- */

static int newest_first(const void *left, const void *right)
{
    const struct journal_name *a = left, *b = right;
    int order = strcmp(b->rollout, a->rollout);
    return order ? order : strcmp(a->service, b->service);
}

static void add_name(struct journal_names *names, const char *service, const char *file)
{
    size_t length = strlen(file), suffix = strlen(SUFFIX);
    if (length <= suffix || strcmp(file + length - suffix, SUFFIX) != 0 ||
        names->count >= NAMES_MAX)
        return;
    struct journal_name *grown =
        arena_grow(&names->arena, names->items, names->count, sizeof(*grown));
    char *rollout = arena_strndup(&names->arena, file, length - suffix);
    if (!grown || !rollout)
        return;
    names->items = grown;
    if (text_is_name(rollout))
        grown[names->count++] = (struct journal_name){.service = service, .rollout = rollout};
}

static void add_service(struct journal_names *names, const char *state, const char *service)
{
    char *path =
        text_is_name(service) ? arena_printf(&names->arena, "%s/%s", state, service) : NULL;
    char *kept = path ? arena_strdup(&names->arena, service) : NULL;
    DIR *folder = kept ? opendir(path) : NULL;
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        add_name(names, kept, entry->d_name);
    if (folder)
        closedir(folder);
}

void journal_names_read(struct journal_names *out)
{
    struct strbuf state;
    struct dirent *entry;
    *out = (struct journal_names){0};
    arena_init(&out->arena);
    strbuf_init(&state, 4096);
    path_state(&state);
    DIR *folder = opendir(state.text);
    while (folder && (entry = readdir(folder)))
        add_service(out, state.text, entry->d_name);
    if (folder)
        closedir(folder);
    strbuf_release(&state);
    if (out->count)
        qsort(out->items, out->count, sizeof(*out->items), newest_first);
}

void journal_names_release(struct journal_names *names)
{
    arena_release(&names->arena);
}

const struct journal_name *journal_names_of_service(const struct journal_names *names, const char *service,
                                                    const char *rollout)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i].service, service) == 0 &&
            (!rollout || strcmp(names->items[i].rollout, rollout) == 0))
            return &names->items[i];
    return NULL;
}

static void add_path(struct strbuf *out, const struct journal_name *name)
{
    path_state(out);
    strbuf_addf(out, "/%s/%s" SUFFIX, name->service, name->rollout);
}

int journal_read(struct past *out, const struct journal_name *name, struct err *err)
{
    struct strbuf path;
    strbuf_init(&path, 4096);
    add_path(&path, name);
    int rc = past_read(out, path.text, err);
    strbuf_release(&path);
    return rc;
}

/* By a rollout's id, or by a service: its newest one. */
static const struct journal_name *find(const struct journal_names *names, const char *wanted)
{
    for (size_t i = 0; i < names->count; i++)
        if (!wanted || strcmp(names->items[i].rollout, wanted) == 0 ||
            strcmp(names->items[i].service, wanted) == 0)
            return &names->items[i];
    return NULL;
}

static int say_unknown(struct journal_names *names, const char *wanted)
{
    struct strbuf state;
    strbuf_init(&state, 4096);
    path_state(&state);
    const char **candidates = arena_alloc(&names->arena, (names->count + 1) * sizeof(*candidates));
    for (size_t i = 0; candidates && i < names->count; i++)
        candidates[i] = names->items[i].rollout;
    const char *nearest =
        wanted && candidates ? text_nearest(wanted, candidates, names->count) : NULL;
    if (!names->count)
        print_err("deployctl: no rollout is remembered on this machine, in %s\n", state.text);
    else
        print_err("deployctl: no rollout '%s' is remembered in %s%s%s%s\nthere is, the newest first:\n",
            wanted, state.text, nearest ? "; did you mean " : "", nearest ? nearest : "",
            nearest ? "?" : "");
    for (size_t i = 0; i < names->count && i < LISTED_MAX; i++)
        print_err("  %s  %s\n", names->items[i].rollout, names->items[i].service);
    if (names->count > LISTED_MAX)
        print_err("  and %zu more\n", names->count - LISTED_MAX);
    strbuf_release(&state);
    return EXIT_USAGE;
}

/* --- telling it --- */

static void print_text(const struct past *past, const struct options *options)
{
    enum verbosity verbosity = options->quiet ? QUIET : options->verbose ? VERBOSE : NORMAL;
    bool color = isatty(STDOUT_FILENO) && !options->no_color;
    struct sinks sinks = {.count = 0};
    sinks_add(&sinks, sink_lines_create(stdout, color, verbosity));
    sinks_add(&sinks, sink_summary_create(stdout, color, verbosity));
    for (size_t i = 0; i < past->count; i++)
        sinks_record(&sinks, &past->records[i].record);
    sinks_finish(&sinks);
    if (!past_result(past))
        print_out("the rollout did not end; `deployctl status` says where its nodes are now\n");
}

static void print_past(const struct past *past, const struct options *options)
{
    const char *format = options->format ? options->format : options->json ? "json" : "text";
    if (strcmp(format, "json") == 0)
        past_print_json(past, stdout);
    else if (strcmp(format, "junit") == 0)
        past_print_junit(past, stdout);
    else if (strcmp(format, "html") == 0)
        past_print_html(past, stdout);
    else
        print_text(past, options);
}

static int report(const struct journal_name *name, const struct options *options)
{
    struct strbuf path;
    struct past past;
    struct err err;
    strbuf_init(&path, 4096);
    add_path(&path, name);
    int code = EXIT_DONE;
    if (past_read(&past, path.text, &err) < 0)
        code = report_error(&err);
    else
        print_past(&past, options);
    if (code == EXIT_DONE && past.malformed)
        print_err("deployctl: warning: %s: %zu line%s could not be read and %s left out\n",
                path.text, past.malformed, past.malformed == 1 ? "" : "s",
                past.malformed == 1 ? "is" : "are");
    past_release(&past);
    strbuf_release(&path);
    return code;
}

int verb_report(const struct options *options)
{
    const char *wanted = options->argument_count ? options->arguments[0] : NULL;
    struct journal_names names;
    journal_names_read(&names);
    const struct journal_name *name = find(&names, wanted);
    int code = name ? report(name, options) : say_unknown(&names, wanted);
    journal_names_release(&names);
    return report_printed(code);
}
