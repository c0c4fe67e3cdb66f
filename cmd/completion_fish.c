#include "completion_scripts.h"

static const char head[] =
    "# fish completion of deployctl, printed by 'deployctl completion fish'.\n"
    "\n"
    "# Words that only the files know; nothing when they cannot be read.\n"
    "function __deployctl_ask\n"
    "    set -l words (commandline -opc)\n"
    "    set -l inventory\n"
    "    for at in (seq (count $words))\n"
    "        switch $words[$at]\n"
    "            case -i --inventory\n"
    "                set inventory -i $words[(math $at + 1)]\n"
    "            case '--inventory=*'\n"
    "                set inventory -i (string replace -- --inventory= '' $words[$at])\n"
    "        end\n"
    "    end\n"
    "    $words[1] __complete $argv[1] $inventory 2>/dev/null\n"
    "end\n"
    "\n"
    "# Names behind what is already typed of a pattern, `web:!` and the like.\n"
    "function __deployctl_pattern\n"
    "    set -l typed (commandline -ct | string replace -r '^--[a-z-]+=' '' | string trim -l -c "
    "'\\'\"')\n"
    "    set -l before (string replace -r '[^:,]*$' '' -- $typed)\n"
    "    set -l mark \"\"\n"
    "    if string match -qr '[:,][!&][^:,]*$' -- $typed\n"
    "        set mark (string replace -r '^.*[:,]([!&])[^:,]*$' '$1' -- $typed)\n"
    "    end\n"
    "    for name in (__deployctl_ask nodes)\n"
    "        echo $before$mark$name\n"
    "    end\n"
    "end\n"
    "\n"
    "complete -c deployctl -f\n"
    "complete -c deployctl -n __fish_use_subcommand -s h -l help -d 'explain the program'\n"
    "complete -c deployctl -n __fish_use_subcommand -s V -l version -d 'print the version'\n";

static const char *action(enum completion_kind kind)
{
    static const char *const actions[] = {
        [COMPLETE_NONE] = "",
        [COMPLETE_FILE] = " -F",
        [COMPLETE_PATTERN] = " -a '(__deployctl_pattern)'",
        [COMPLETE_OUTPUT] = " -a 'text json'",
        [COMPLETE_SETTING] = " -a '(__deployctl_ask settings)'",
        [COMPLETE_PLAYBOOK] = " -F -a '(__deployctl_ask playbooks)'",
        [COMPLETE_VERB] = "",
        [COMPLETE_SHELL] = " -a 'bash zsh fish'",
        [COMPLETE_FORMAT] = " -a 'text json junit html'",
        [COMPLETE_ROLLOUT] = " -a '(__deployctl_ask rollouts)'",
    };
    return actions[kind];
}

static void print_quoted(FILE *out, const char *text)
{
    fputs(" -d '", out);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputs("'\n", out);
}

static void print_option(FILE *out, const struct option_spec *spec)
{
    fputs("complete -c deployctl -n '__fish_seen_subcommand_from", out);
    for (size_t i = 0; i < verb_count; i++)
        if (verb_takes(&verbs[i], spec))
            fprintf(out, " %s", verbs[i].name);
    fputc('\'', out);
    if (spec->letter)
        fprintf(out, " -s %c", spec->letter);
    fprintf(out, " -l %s%s%s", spec->name, spec->argument ? " -r" : "",
            spec->argument ? action(spec->completion) : "");
    print_quoted(out, spec->help);
}

static void print_operand(FILE *out, const struct verb *verb)
{
    enum completion_kind kind = verb_operand_kind(verb, 0);
    if (kind == COMPLETE_NONE)
        return;
    fprintf(out, "complete -c deployctl -n '__fish_seen_subcommand_from %s'", verb->name);
    if (kind == COMPLETE_VERB) {
        fputs(" -a '", out);
        for (size_t i = 0; i < verb_count; i++)
            fprintf(out, "%s%s", i ? " " : "", verbs[i].name);
        fputc('\'', out);
    }
    fprintf(out, "%s\n", action(kind));
}

void completion_fish(FILE *out)
{
    fputs(head, out);
    for (size_t i = 0; i < verb_count; i++) {
        fprintf(out, "complete -c deployctl -n __fish_use_subcommand -a %s", verbs[i].name);
        print_quoted(out, verbs[i].summary);
    }
    for (size_t i = 0; i < option_spec_count; i++)
        print_option(out, &option_specs[i]);
    for (size_t i = 0; i < verb_count; i++)
        print_operand(out, &verbs[i]);
}
