#include "completion_scripts.h"

static const char head[] =
    "# bash completion of deployctl, printed by 'deployctl completion bash'.\n"
    "\n"
    "# What stands behind an option; nothing when it takes no value.\n"
    "_deployctl_value()\n"
    "{\n"
    "    case \"$1 $2\" in\n"
    "    '-f logs') return ;;\n"
    "    esac\n"
    "    case $1 in\n";

static const char tail[] =
    "# Words that only the files know, one a line; nothing when they cannot be read.\n"
    "_deployctl_ask()\n"
    "{\n"
    "    local program=${COMP_WORDS[0]/#\\~/$HOME}\n"
    "    \"$program\" __complete \"$1\" ${2:+-i \"${2/#\\~/$HOME}\"} 2>/dev/null\n"
    "}\n"
    "\n"
    "# Adds to COMPREPLY the lines of stdin that begin with $2, each behind $1.\n"
    "_deployctl_add()\n"
    "{\n"
    "    local word\n"
    "    while IFS= read -r word; do\n"
    "        [[ $word != \"$2\"* ]] || COMPREPLY+=(\"$1$word\")\n"
    "    done\n"
    "}\n"
    "\n"
    "# $1 kind, $2 what is typed of the value, $3 what stands before it, $4 inventory, $5 verb.\n"
    "_deployctl_fill()\n"
    "{\n"
    "    local part\n"
    "    case $1 in\n"
    "    file)\n"
    "        compopt -o filenames\n"
    "        _deployctl_add \"$3\" \"$2\" < <(compgen -f -- \"$2\") ;;\n"
    "    playbook)\n"
    "        compopt -o filenames\n"
    "        _deployctl_add \"$3\" \"$2\" < <(_deployctl_ask playbooks)\n"
    "        _deployctl_add \"$3\" \"$2\" < <(compgen -f -X '!*.ini' -- \"$2\"; compgen -d -- "
    "\"$2\") "
    ";;\n"
    "    pattern)\n"
    "        part=${2##*[:,]}\n"
    "        part=${part#[&!]}\n"
    "        _deployctl_add \"$3${2%\"$part\"}\" \"$part\" < <(_deployctl_ask nodes \"$4\") ;;\n"
    "    setting)\n"
    "        compopt -o nospace\n"
    "        _deployctl_add \"$3\" \"$2\" < <(_deployctl_ask settings) ;;\n"
    "    rollout)\n"
    "        _deployctl_add \"$3\" \"$2\" < <(_deployctl_ask rollouts) ;;\n"
    "    format)\n"
    "        _deployctl_add \"$3\" \"$2\" < <(printf '%s\\n' text json junit html) ;;\n"
    "    output)\n"
    "        _deployctl_add \"$3\" \"$2\" < <(printf '%s\\n' text json) ;;\n"
    "    shell)\n"
    "        _deployctl_add \"$3\" \"$2\" < <(printf '%s\\n' bash zsh fish) ;;\n"
    "    verb)\n"
    "        _deployctl_add \"$3\" \"$2\" < <(compgen -W \"$_deployctl_verbs\") ;;\n"
    "    options)\n"
    "        _deployctl_add \"$3\" \"$2\" < <(compgen -W \"$(_deployctl_options \"$5\")\") ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_deployctl()\n"
    "{\n"
    "    # The words are taken from the line: bash would split them at ':' and '='.\n"
    "    local line=${COMP_LINE:0:COMP_POINT} current='' verb='' kind=''\n"
    "    local inventory='' value='' before='' quote='' expects='' option='' mark='' cut='' at=0 "
    "operand=0\n"
    "    local -a words operands\n"
    "    COMPREPLY=()\n"
    "    read -ra words <<<\"$line\"\n"
    "    if [[ $line != *[[:space:]] ]]; then\n"
    "        current=${words[-1]}\n"
    "        unset 'words[-1]'\n"
    "    fi\n"
    "    for ((at = 1; at < ${#words[@]}; at++)); do\n"
    "        if [[ $expects ]]; then\n"
    "            [[ $option != -i && $option != --inventory ]] || inventory=${words[at]}\n"
    "            expects=''\n"
    "            continue\n"
    "        fi\n"
    "        option=${words[at]}\n"
    "        case $option in\n"
    "        --) return ;;\n"
    "        --inventory=*) inventory=${option#*=} ;;\n"
    "        --*=*) ;;\n"
    "        -?*) expects=$(_deployctl_value \"$option\" \"$verb\") ;;\n"
    "        *)\n"
    "            # What stands before the verb are options alone.\n"
    "            if [[ $verb ]]; then\n"
    "                operand=$((operand + 1))\n"
    "            else\n"
    "                verb=$option\n"
    "            fi\n"
    "            ;;\n"
    "        esac\n"
    "    done\n"
    "    value=$current\n"
    "    if [[ $expects ]]; then\n"
    "        kind=$expects\n"
    "    elif [[ $current == --*=* ]]; then\n"
    "        before=${current%%=*}=\n"
    "        value=${current#*=}\n"
    "        kind=$(_deployctl_value \"${before%=}\" \"$verb\")\n"
    "    elif [[ $current == -* ]]; then\n"
    "        kind=options\n"
    "    elif [[ -z $verb ]]; then\n"
    "        kind=verb\n"
    "    else\n"
    "        read -ra operands <<<\"$(_deployctl_operands \"$verb\")\"\n"
    "        kind=${operands[operand]-}\n"
    "    fi\n"
    "    if [[ $value == [\\'\\\"]* ]]; then\n"
    "        # Behind a quote bash takes the whole value for one word.\n"
    "        quote=yes\n"
    "        value=${value:1}\n"
    "        before=''\n"
    "    fi\n"
    "    _deployctl_fill \"$kind\" \"$value\" \"$before\" \"$inventory\" \"$verb\"\n"
    "    [[ -z $quote ]] || return\n"
    "    # What bash takes for the word begins behind the last of its word breaks.\n"
    "    for mark in : =; do\n"
    "        [[ $COMP_WORDBREAKS == *$mark* && $current == *$mark* ]] || continue\n"
    "        before=${current%\"${current##*\"$mark\"}\"}\n"
    "        [[ ${#before} -le ${#cut} ]] || cut=$before\n"
    "    done\n"
    "    COMPREPLY=(\"${COMPREPLY[@]#\"$cut\"}\")\n"
    "}\n"
    "\n"
    "complete -F _deployctl deployctl\n";

static void print_taken(FILE *out, const struct verb *verb)
{
    for (size_t k = 0; k < option_spec_count; k++)
        if (verb_takes(verb, &option_specs[k]))
            fprintf(out, " --%s", option_specs[k].name);
    fputs(" ;;\n", out);
}

static void print_options(FILE *out)
{
    fputs("# The options of a verb; without one, those of the program.\n"
          "_deployctl_options()\n{\n    case $1 in\n    '') echo --version",
          out);
    print_taken(out, &before_verb);
    for (size_t i = 0; i < verb_count; i++) {
        fprintf(out, "    %s)\n        echo", verbs[i].name);
        print_taken(out, &verbs[i]);
    }
    fputs("    esac\n}\n\n", out);
}

static void print_operands(FILE *out)
{
    fputs("# What a verb's operands are, in order.\n"
          "_deployctl_operands()\n{\n    case $1 in\n",
          out);
    for (size_t i = 0; i < verb_count; i++) {
        size_t count = verb_operands(&verbs[i]).maximum;
        if (count == 0)
            continue;
        fprintf(out, "    %s) echo", verbs[i].name);
        for (size_t k = 0; k < count; k++)
            fprintf(out, " %s", completion_word(verb_operand_kind(&verbs[i], k)));
        fputs(" ;;\n", out);
    }
    fputs("    esac\n}\n\n", out);
}

void completion_bash(FILE *out)
{
    fputs(head, out);
    for (size_t i = 0; i < option_spec_count; i++) {
        const struct option_spec *spec = &option_specs[i];
        if (!spec->argument)
            continue;
        fputs("    ", out);
        if (spec->letter)
            fprintf(out, "-%c | ", spec->letter);
        fprintf(out, "--%s) echo %s ;;\n", spec->name, completion_word(spec->completion));
    }
    fputs("    esac\n}\n\n", out);
    print_options(out);
    print_operands(out);
    fputs("_deployctl_verbs='", out);
    for (size_t i = 0; i < verb_count; i++)
        fprintf(out, "%s%s", i ? " " : "", verbs[i].name);
    fputs("'\n\n", out);
    fputs(tail, out);
}
