# bash completion of deployctl, printed by 'deployctl completion bash'.

# What stands behind an option; nothing when it takes no value.
_deployctl_value()
{
    case "$1 $2" in
    '-f logs') return ;;
    esac
    case $1 in
    -i | --inventory) echo file ;;
    -l | --limit) echo pattern ;;
    --ref) echo none ;;
    --to) echo none ;;
    --require-plan) echo none ;;
    --wait) echo none ;;
    --migration) echo none ;;
    --ignore-missing) echo rollout ;;
    --past-point-of-no-return) echo none ;;
    -n | --count) echo none ;;
    --timeout) echo none ;;
    --lines) echo none ;;
    --since) echo none ;;
    --format) echo format ;;
    -f | --forks) echo none ;;
    --set) echo setting ;;
    -o | --output) echo output ;;
    esac
}

# The options of a verb; without one, those of the program.
_deployctl_options()
{
    case $1 in
    '') echo --version --inventory --limit --forks --set --output --quiet --verbose --no-color --help ;;
    rollout)
        echo --inventory --limit --ref --require-plan --only-stale --supersede --wait --migration --ignore-missing --past-point-of-no-return --forks --set --output --quiet --verbose --no-color --help ;;
    rollback)
        echo --inventory --limit --to --each-own --require-plan --wait --ignore-missing --past-point-of-no-return --yes --forks --set --output --quiet --verbose --no-color --help ;;
    resume)
        echo --inventory --limit --wait --migration --ignore-missing --past-point-of-no-return --forks --set --output --quiet --verbose --no-color --help ;;
    promote)
        echo --inventory --limit --wait --migration --ignore-missing --past-point-of-no-return --forks --set --output --quiet --verbose --no-color --help ;;
    abort)
        echo --inventory --limit --wait --ignore-missing --past-point-of-no-return --forks --set --output --quiet --verbose --no-color --help ;;
    pause)
        echo --inventory --limit --forks --set --output --quiet --verbose --no-color --help ;;
    plan)
        echo --inventory --limit --ref --ignore-missing --forks --set --output --quiet --verbose --no-color --help ;;
    check)
        echo --inventory --limit --set --output --quiet --help ;;
    status)
        echo --inventory --limit --renew --forks --set --output --quiet --verbose --no-color --help ;;
    history)
        echo --inventory --limit --count --forks --set --output --quiet --verbose --no-color --help ;;
    inventory)
        echo --inventory --limit --output --no-color --help ;;
    exec)
        echo --inventory --limit --timeout --forks --output --quiet --verbose --no-color --help ;;
    logs)
        echo --inventory --limit --lines --since --follow --set --output --quiet --verbose --no-color --help ;;
    verify)
        echo --inventory --limit --to --forks --set --output --quiet --verbose --no-color --help ;;
    unlock)
        echo --inventory --limit --yes --forks --set --output --quiet --verbose --no-color --help ;;
    report)
        echo --format --output --quiet --verbose --no-color --help ;;
    completion)
        echo --help ;;
    version)
        echo --output --help ;;
    help)
        echo --help ;;
    esac
}

# What a verb's operands are, in order.
_deployctl_operands()
{
    case $1 in
    rollout) echo playbook ;;
    rollback) echo playbook ;;
    resume) echo playbook ;;
    promote) echo playbook ;;
    abort) echo playbook ;;
    pause) echo playbook ;;
    plan) echo playbook ;;
    check) echo playbook ;;
    status) echo playbook ;;
    history) echo playbook ;;
    inventory) echo pattern ;;
    exec) echo pattern ;;
    logs) echo playbook ;;
    verify) echo playbook ;;
    unlock) echo playbook ;;
    report) echo rollout ;;
    completion) echo shell ;;
    help) echo verb ;;
    esac
}

_deployctl_verbs='rollout rollback resume promote abort pause plan check status history inventory exec logs verify unlock report completion version help'

# Words that only the files know, one a line; nothing when they cannot be read.
_deployctl_ask()
{
    local program=${COMP_WORDS[0]/#\~/$HOME}
    "$program" __complete "$1" ${2:+-i "${2/#\~/$HOME}"} 2>/dev/null
}

# Adds to COMPREPLY the lines of stdin that begin with $2, each behind $1.
_deployctl_add()
{
    local word
    while IFS= read -r word; do
        [[ $word != "$2"* ]] || COMPREPLY+=("$1$word")
    done
}

# $1 kind, $2 what is typed of the value, $3 what stands before it, $4 inventory, $5 verb.
_deployctl_fill()
{
    local part
    case $1 in
    file)
        compopt -o filenames
        _deployctl_add "$3" "$2" < <(compgen -f -- "$2") ;;
    playbook)
        compopt -o filenames
        _deployctl_add "$3" "$2" < <(_deployctl_ask playbooks)
        _deployctl_add "$3" "$2" < <(compgen -f -X '!*.ini' -- "$2"; compgen -d -- "$2") ;;
    pattern)
        part=${2##*[:,]}
        part=${part#[&!]}
        _deployctl_add "$3${2%"$part"}" "$part" < <(_deployctl_ask nodes "$4") ;;
    setting)
        compopt -o nospace
        _deployctl_add "$3" "$2" < <(_deployctl_ask settings) ;;
    rollout)
        _deployctl_add "$3" "$2" < <(_deployctl_ask rollouts) ;;
    format)
        _deployctl_add "$3" "$2" < <(printf '%s\n' text json junit html) ;;
    output)
        _deployctl_add "$3" "$2" < <(printf '%s\n' text json) ;;
    shell)
        _deployctl_add "$3" "$2" < <(printf '%s\n' bash zsh fish) ;;
    verb)
        _deployctl_add "$3" "$2" < <(compgen -W "$_deployctl_verbs") ;;
    options)
        _deployctl_add "$3" "$2" < <(compgen -W "$(_deployctl_options "$5")") ;;
    esac
}

_deployctl()
{
    # The words are taken from the line: bash would split them at ':' and '='.
    local line=${COMP_LINE:0:COMP_POINT} current='' verb='' kind=''
    local inventory='' value='' before='' quote='' expects='' option='' mark='' cut='' at=0 operand=0
    local -a words operands
    COMPREPLY=()
    read -ra words <<<"$line"
    if [[ $line != *[[:space:]] ]]; then
        current=${words[-1]}
        unset 'words[-1]'
    fi
    for ((at = 1; at < ${#words[@]}; at++)); do
        if [[ $expects ]]; then
            [[ $option != -i && $option != --inventory ]] || inventory=${words[at]}
            expects=''
            continue
        fi
        option=${words[at]}
        case $option in
        --) return ;;
        --inventory=*) inventory=${option#*=} ;;
        --*=*) ;;
        -?*) expects=$(_deployctl_value "$option" "$verb") ;;
        *)
            # What stands before the verb are options alone.
            if [[ $verb ]]; then
                operand=$((operand + 1))
            else
                verb=$option
            fi
            ;;
        esac
    done
    value=$current
    if [[ $expects ]]; then
        kind=$expects
    elif [[ $current == --*=* ]]; then
        before=${current%%=*}=
        value=${current#*=}
        kind=$(_deployctl_value "${before%=}" "$verb")
    elif [[ $current == -* ]]; then
        kind=options
    elif [[ -z $verb ]]; then
        kind=verb
    else
        read -ra operands <<<"$(_deployctl_operands "$verb")"
        kind=${operands[operand]-}
    fi
    if [[ $value == [\'\"]* ]]; then
        # Behind a quote bash takes the whole value for one word.
        quote=yes
        value=${value:1}
        before=''
    fi
    _deployctl_fill "$kind" "$value" "$before" "$inventory" "$verb"
    [[ -z $quote ]] || return
    # What bash takes for the word begins behind the last of its word breaks.
    for mark in : =; do
        [[ $COMP_WORDBREAKS == *$mark* && $current == *$mark* ]] || continue
        before=${current%"${current##*"$mark"}"}
        [[ ${#before} -le ${#cut} ]] || cut=$before
    done
    COMPREPLY=("${COMPREPLY[@]#"$cut"}")
}

complete -F _deployctl deployctl
