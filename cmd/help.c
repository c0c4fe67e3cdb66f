#include "help.h"

#include <string.h>

#include "options.h"

#define HELP_COLUMN 27 /* where the options' explanations begin */

void help_overview(FILE *out)
{
    fputs("deployctl updates a service on many nodes over SSH, in waves, and rolls back\n"
          "when its health gates do not pass.\n"
          "\n"
          "Usage: deployctl VERB [options] [PLAYBOOK]\n"
          "\n"
          "Verbs:\n",
          out);
    for (size_t i = 0; i < verb_count; i++)
        fprintf(out, "  %-12s%s\n", verbs[i].name, verbs[i].summary);
    fputs("\n"
          "PLAYBOOK is a path, or NAME for playbooks/NAME.ini. The nodes come from\n"
          "--inventory FILE, else $DEPLOYCTL_INVENTORY, else inventory.ini.\n"
          "\n"
          "'deployctl help VERB' explains a verb, its options and exit codes.\n",
          out);
}

static void print_option(FILE *out, const struct option_spec *spec)
{
    char left[64];
    int length = spec->letter ? snprintf(left, sizeof left, "  -%c, --%s", spec->letter, spec->name)
                              : snprintf(left, sizeof left, "      --%s", spec->name);
    if (spec->argument)
        length += snprintf(left + length, sizeof left - (size_t)length, " %s", spec->argument);
    fprintf(out, "%s", left);
    if (length + 2 > HELP_COLUMN)
        fprintf(out, "\n%*s%s\n", HELP_COLUMN, "", spec->help);
    else
        fprintf(out, "%*s%s\n", HELP_COLUMN - length, "", spec->help);
}

void help_verb(FILE *out, const struct verb *verb)
{
    const char *gap = *verb->arguments ? " " : "";
    fprintf(out, "deployctl %s: %s\n\n", verb->name, verb->summary);
    fprintf(out, "Usage: deployctl %s [options]%s%s\n\n", verb->name, gap, verb->arguments);
    const char *rest = strstr(verb->details, "\nExit codes:");
    const char *examples = strstr(verb->details, "\nExample");
    const char *end = rest ? rest : examples ? examples : verb->details + strlen(verb->details);
    fprintf(out, "%.*s\nOptions:\n", (int)(end - verb->details), verb->details);
    for (size_t i = 0; i < option_spec_count; i++)
        if (verb_takes(verb, &option_specs[i]))
            print_option(out, &option_specs[i]);
    fputs(end, out);
}

int verb_help(const struct options *options)
{
    if (options->argument_count == 0) {
        help_overview(stdout);
        return EXIT_DONE;
    }
    const char *name = options->arguments[0];
    const struct verb *verb = verb_find(name);
    if (verb) {
        help_verb(stdout, verb);
        return EXIT_DONE;
    }
    const char *nearest = verb_nearest(name);
    fprintf(stderr, "deployctl: there is no verb '%s'%s%s%s\ntry 'deployctl help'\n", name,
            nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return EXIT_USAGE;
}
