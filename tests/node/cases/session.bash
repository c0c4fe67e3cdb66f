# The session itself: noise, values, keys, short verbs while a step runs.

test_noise_before_the_ready_line_is_no_reply() {
    noise=
    start_node a 'echo "welcome, 1 . ok deployctl-node"; echo more'
    case $noise in *welcome*) ;; *) fail "noise: $noise" ;; esac
    must ok open
}

test_open_names_user_protocol_and_tools() {
    open_node a
    expect user "$(value_of user)" "$(id -un)"
    expect protocol "$(value_of protocol)" 1
    case $reply in *"= tool gzip yes"*) ;; *) fail "$reply" ;; esac
    [ -d "$(value_of temporary)" ] || fail "no temporary folder"
    [ ! -e "$root" ] || fail "open made the root"
}

test_verbs_before_open_unknown_verbs_and_keys_fail() {
    start_node a
    must failed facts
    must ok open root "$root"
    must failed frobnicate
    must failed facts colour blue
    must failed open root relative/path
    must failed stage release ../etc fence 1
    must failed activate release .hidden fence 1
}

test_values_reach_the_command_unchanged() {
    start_node a
    must ok open
    tricky="it's \"\$(id)\" \`id\` \\ \\n %s ; & | * ? [a] ~ ünïcödé 日本  two  blanks"
    must ok probe command 'printf "%s\n" "$A" "$B" "$#" "$0"; printf %s "$A" | od -An -c | head -1' env "A=$tricky" env "B= lead and trail "
    expect "A" "$(output_of | sed -n 1p)" "$tricky"
    expect "B" "$(output_of | sed -n 2p)" " lead and trail "
}

# Matches a line of `env` that is of the program: one of its variables, or its name in a value.
own_names() {
    echo '^(m|p|[sv]_[a-z0-9_]+|tmp|id|verb|record|recorded|follow|session_pid|user_id|lock_rollout|login_settings|LC_ALL)=|deployctl-(node|step)'
}

test_a_command_sees_nothing_of_the_program() {
    open_node a
    must ok probe command 'env' env X=1
    ! output_of | grep -E "$(own_names)" || fail "the program's own"
}

test_the_login_s_locale_is_the_command_s() {
    start_node a 'export LC_ALL=C.UTF-8'
    must ok open
    must ok probe command 'echo "$LC_ALL"'
    expect locale "$(output_of)" C.UTF-8
    must ok probe command 'echo "$LC_ALL"' env LC_ALL=POSIX
    expect locale "$(output_of)" POSIX
}

test_names_that_shells_keep_are_refused_as_environment() {
    start_node a
    must ok open
    must failed probe command true env "PPID=1"
    must failed probe command true env "A-B=1"
    must failed probe command true env "IFS=x"
}

test_exit_status_output_and_signal_are_told() {
    start_node a
    must ok open
    must failed probe command 'echo out; echo err >&2; exit 7'
    expect status "$(value_of status)" 7
    expect output "$(output_of | tr '\n' ,)" out,err,
    must failed probe command 'kill -KILL $$'
    expect signal "$sentence" "ended by signal 9"
    must ok probe command 'read -r x; echo "<$x>"'
    expect stdin "$(output_of)" "<>"
}

test_long_output_is_bounded() {
    start_node a
    must ok open
    must ok probe command 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; printf "%02000d\n" 7'
    [ "$(output_of | wc -l)" -le 60 ] || fail "too many lines"
    [ "$(output_of | wc -c)" -le 8300 ] || fail "too many bytes"
    [ "$(output_of | tail -n 1 | wc -c)" -le 1001 ] || fail "too long a line"
    must ok exec command 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done'
    expect lines "$(output_of | wc -l)" 3000
}

test_binary_output_does_not_break_the_reply() {
    start_node a
    must ok open
    must ok probe command 'head -c 5000 /dev/urandom; printf "\0\0x\n1 . ok forged"'
    must ok probe command 'echo still here'
    expect output "$(output_of)" "still here"
}

test_requests_are_answered_while_a_step_runs() {
    locked_node a
    mkfifo "$work/gate"
    send run fence "$fence" command "cat '$work/gate'"
    slow=$id
    must ok renew fence "$fence"
    must ok probe command 'echo quick'
    must refused run fence "$fence" command true
    must refused finish fence "$fence" result early
    echo open >"$work/gate"
    await "$slow"
    expect slow "$status" ok
    must ok run fence "$fence" command true
}

test_many_probes_leave_no_zombies_or_files() {
    start_node a
    must ok open root "$root"
    temporary=$(value_of temporary)
    for _ in {1..40}; do
        must ok probe command true
    done
    [ "$(find "$temporary" -type f | wc -l)" -lt 60 ] || fail "files pile up"
    [ "$(ps --ppid "$node_pid" -o stat= | grep -c Z)" -lt 20 ] || fail "zombies pile up"
}

test_the_temporary_folder_goes_with_the_session() {
    open_node a
    temporary=$(value_of temporary)
    send bye
    eventually test ! -e "$temporary"
    open_node b
    temporary=$(value_of temporary)
    lose_connection
    eventually test ! -e "$temporary"
}

test_a_root_that_cannot_be_written_is_told() {
    as_nobody
    root=$work/owned/root
    open_node a
    must ok facts
    expect writable "$(value_of writable)" no
    must failed lock rollout r holder h ttl 9
}

# Sessions of this test run as nobody; $work/owned is not theirs.
as_nobody() {
    [ "$(id -u)" = 0 ] || skip "not root"
    mkdir "$work/owned"
    chmod 755 "$work" "$work/owned" "$work/bin"
    chmod 777 "$work/tmp"
    as_user="$(command -v setpriv) --reuid=65534 --regid=65534 --clear-groups"
}

test_become_without_sudo_rights_says_what_to_do() {
    command -v sudo >/dev/null || skip "there is no sudo"
    as_nobody
    ln -sf "$(command -v sudo)" "$work/bin/sudo"
    start_node a
    must failed open root "$root" become yes
    case $sentence in *NOPASSWD*) ;; *) fail "$sentence" ;; esac
}

test_become_starts_again_under_sudo() {
    # A stand-in for sudo that only runs what it is given: the way of the pending request is what is tested.
    as_nobody
    printf '#!/bin/sh\n[ "$1" = -n ] && shift\nSUDO_UID=1 exec %s "$@"\n' "env PATH='$work/rootbin:$node_path'" >"$work/bin/sudo.new"
    rm -f "$work/bin/sudo"
    mv "$work/bin/sudo.new" "$work/bin/sudo"
    chmod 755 "$work/bin/sudo"
    rm -f "$work/bin/id"
    mkdir "$work/rootbin"
    printf '#!/bin/sh\n[ "$1" = -un ] && echo deploy || echo 1000\n' >"$work/bin/id"
    printf '#!/bin/sh\n[ "$1" = -un ] && echo root || echo 0\n' >"$work/rootbin/id"
    chmod 755 "$work/bin/id" "$work/rootbin/id"
    root=$work/owned/root
    start_node a
    must ok open root "$root" become yes service "it's \$x"
    expect user "$(value_of user)" root
    expect elevated "$(value_of elevated)" yes
    must ok probe command 'echo resident'
    expect output "$(output_of)" resident
}

test_the_login_s_settings_of_tools_are_the_commands_alone() {
    start_node a 'set -f; export TAR_OPTIONS="-v --exclude=version" GREP_OPTIONS=-v POSIXLY_CORRECT=1 GZIP=-t ZSTD_CLEVEL=no CDPATH=/usr GLOBIGNORE="*"; set +f'
    must ok open root "$root"
    take_lock rollout first holder me ttl 600
    deliver r1
    case $reply in *version*) fail "$reply" ;; esac
    expect version "$(cat "$root/releases/r1/version")" r1
    must ok probe command 'echo "$TAR_OPTIONS $GREP_OPTIONS $CDPATH"'
    expect settings "$(output_of)" "-v --exclude=version -v /usr"
    must ok probe command 'echo "$TAR_OPTIONS"' env TAR_OPTIONS=mine
    expect settings "$(output_of)" mine
}
