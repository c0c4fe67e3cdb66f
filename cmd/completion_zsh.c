#include "completion_scripts.h"

#include <string.h>

static const char head[] =
    "#compdef deployctl\n"
    "# zsh completion of deployctl, printed by 'deployctl completion zsh'.\n"
    "\n"
    "# Words that only the files know; nothing when they cannot be read.\n"
    "_deployctl_ask() {\n"
    "  local inventory=${opt_args[-i]:-${opt_args[--inventory]}}\n"
    "  reply=(${(f)\"$(${~deployctl_program} __complete $1 ${inventory:+-i} ${~inventory} "
    "2>/dev/null)\"})\n"
    "}\n"
    "\n"
    "_deployctl_playbook() {\n"
    "  local -a reply\n"
    "  _deployctl_ask playbooks\n"
    "  compadd -- $reply\n"
    "  _files -g '*.ini'\n"
    "}\n"
    "\n"
    "_deployctl_pattern() {\n"
    "  local -a reply\n"
    "  _deployctl_ask nodes\n"
    "  compset -P '*[:,]'\n"
    "  compset -P '[&!]'\n"
    "  compadd -- $reply\n"
    "}\n"
    "\n"
    "_deployctl_setting() {\n"
    "  local -a reply\n"
    "  _deployctl_ask settings\n"
    "  compadd -S '' -- $reply\n"
    "}\n"
    "\n"
    "_deployctl_rollout() {\n"
    "  local -a reply\n"
    "  _deployctl_ask rollouts\n"
    "  compadd -- $reply\n"
    "}\n"
    "\n"
    "_deployctl_verb() {\n"
    "  local -a verbs\n"
    "  verbs=(\n";

static const char middle[] =
    "  )\n"
    "  _describe verb verbs\n"
    "}\n"
    "\n"
    "_deployctl() {\n"
    "  local curcontext=$curcontext state line deployctl_program=$words[1]\n"
    "  typeset -A opt_args\n"
    "  _arguments -C -A '-*' \\\n"
    "    '(- *)'{-h,--help}'[explain the program]' \\\n"
    "    '(- *)'{-V,--version}'[print the version]'";

static const char rest[] =
    " \\\n"
    "    '1: :_deployctl_verb' \\\n"
    "    '*:: :->rest'\n"
    "  [[ $state == rest ]] || return\n"
    "  case $words[1] in\n";

static const char tail[] = "  esac\n"
                           "}\n"
                           "\n"
                           "if [[ $funcstack[1] == _deployctl ]]; then\n"
                           "  _deployctl \"$@\"\n"
                           "else\n"
                           "  compdef _deployctl deployctl\n"
                           "fi\n";

static const char *action(enum completion_kind kind)
{
    static const char *const actions[] = {
        [COMPLETE_NONE] = " ",
        [COMPLETE_FILE] = "_files",
        [COMPLETE_PATTERN] = "_deployctl_pattern",
        [COMPLETE_OUTPUT] = "(text json)",
        [COMPLETE_SETTING] = "_deployctl_setting",
        [COMPLETE_PLAYBOOK] = "_deployctl_playbook",
        [COMPLETE_VERB] = "_deployctl_verb",
        [COMPLETE_SHELL] = "(bash zsh fish)",
        [COMPLETE_FORMAT] = "(text json junit html)",
        [COMPLETE_ROLLOUT] = "_deployctl_rollout",
    };
    return actions[kind];
}

/* Text inside single quotes and, for _arguments and _describe, with their own marks escaped. */
static void print_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (*text == '[' || *text == ']' || *text == ':' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void print_option(FILE *out, const struct option_spec *spec)
{
    const char *takes = spec->argument ? "=" : "";
    fputs(" \\\n        ", out);
    if (spec->kind == OPTION_SETTING)
        fprintf(out, "'*--%s=[", spec->name);
    else if (spec->letter)
        fprintf(out, "'(-%c --%s)'{-%c%s,--%s%s}'[", spec->letter, spec->name, spec->letter,
                spec->argument ? "+" : "", spec->name, takes);
    else
        fprintf(out, "'--%s%s[", spec->name, takes);
    print_text(out, spec->help);
    fputc(']', out);
    if (spec->argument)
        fprintf(out, ":%s:%s", spec->argument, action(spec->completion));
    fputc('\'', out);
}

static void print_verb(FILE *out, const struct verb *verb)
{
    size_t operands = verb_operands(verb).maximum;
    fprintf(out, "  %s)\n      _arguments -s -S", verb->name);
    for (size_t i = 0; i < option_spec_count; i++)
        if (verb_takes(verb, &option_specs[i]))
            print_option(out, &option_specs[i]);
    for (size_t i = 0; i < operands; i++)
        fprintf(out, " \\\n        '%zu: :%s'", i + 1, action(verb_operand_kind(verb, i)));
    if (verb_operands(verb).command)
        fputs(" \\\n        '*:: :_normal'", out);
    fputs(" ;;\n", out);
}

void completion_zsh(FILE *out)
{
    fputs(head, out);
    for (size_t i = 0; i < verb_count; i++) {
        fprintf(out, "    '%s:", verbs[i].name);
        print_text(out, verbs[i].summary);
        fputs("'\n", out);
    }
    fputs(middle, out);
    for (size_t i = 0; i < option_spec_count; i++)
        if (verb_takes(&before_verb, &option_specs[i]) && strcmp(option_specs[i].name, "help") != 0)
            print_option(out, &option_specs[i]);
    fputs(rest, out);
    for (size_t i = 0; i < verb_count; i++)
        print_verb(out, &verbs[i]);
    fputs(tail, out);
}
