# What the node's tests stand on: a session over pipes, requests and replies, packages. Sourced by bash.
program=${NODE_PROGRAM:-$here/../../src/node/node.sh}
# The C constant, its parts put together and unquoted.
bootstrap=$(sed -n '/^#define BOOTSTRAP/,/[^\\]$/p' "$here/../../src/node/program.c" | sed -n 's/^ *"\(.*\)" *\\*$/\1/p' | tr -d '\n' | sed 's/\\\(["\\]\)/\1/g')
nonce=0123456789abcdef
# shellcheck source=tests/support/deadline.sh
. "$here/../support/deadline.sh"
ready_s=$(deadline 10) answer_s=$(deadline 30)

# --- running a test ---

# run_test SHELL NAME: 0 passed, 77 skipped, else failed. The test has a folder of its own, $work, and $root in it.
run_test() {
    local result log
    work=$(mktemp -d "${TMPDIR:-/tmp}/node-test.XXXXXX")
    log=$work/log
    (
        set -u
        root=$work/root
        shims "$1"
        trap 'stop_nodes' EXIT
        "$2"
    ) >"$log" 2>&1
    result=$?
    case $result in
    0) ;;
    77) echo "skipped $1 ${2#test_}: $(tail -n 1 "$log")" ;;
    *)
        echo "FAILED $1 ${2#test_}"
        sed 's/^/    /' "$log" | tail -n 30
        ;;
    esac
    rm -rf "$work"
    return "$result"
}

# A PATH in which `sh` is the shell under test; for busybox every other tool too.
shims() {
    mkdir "$work/bin" "$work/tmp"
    if [ "$1" = busybox ]; then
        busybox --install -s "$work/bin"
        ln -s "$(command -v zstd)" "$work/bin/zstd"
        node_path=$work/bin
    else
        ln -s "$(command -v "$1")" "$work/bin/sh"
        node_path=$work/bin:$PATH
    fi
}

fail() {
    echo "line ${BASH_LINENO[0]}${BASH_LINENO[1]:+, from ${BASH_LINENO[1]}}: $*"
    exit 1
}

skip() {
    echo "$*"
    exit 77
}

# expect WHAT ACTUAL WANTED
expect() {
    [ "$2" = "$3" ] || { echo "line ${BASH_LINENO[0]}: $1: got '$2', wanted '$3'"; printf '%s\n' "last reply:" "${reply:-}"; exit 1; }
}

# --- sessions ---

program_text=$(sed -e 's/^[[:blank:]]*//' -e '/^#/d' -e '/^$/d' "$program")
program_lines=$(wc -l <<<"$program_text")
boot_text() { printf 'boot-%s\n%s\n%s\n' "$nonce" "$program_lines" "$program_text"; }

node_pids=()
next_id=1
sessions=0

# start_node NAME [COMMAND...]: a session; its fds in ${NAME}_in, ${NAME}_out, its pid in ${NAME}_pid, its epoch in ${NAME}_epoch: each is
# newer than those before. COMMAND runs before the program in the same shell, as a start-up file would.
start_node() {
    local name=$1 before=${2:-:} in out
    mkfifo "$work/$name.in" "$work/$name.out"
    PATH=$node_path TMPDIR=$work/tmp ${as_user:-} sh -c "$before
$bootstrap" <"$work/$name.in" >"$work/$name.out" 2>"$work/$name.err" &
    printf -v "${name}_pid" %s "$!"
    printf -v "${name}_epoch" %s "$((++sessions))"
    node_pids+=("$!")
    exec {in}>"$work/$name.in" {out}<"$work/$name.out"
    printf -v "${name}_in" %s "$in"
    printf -v "${name}_out" %s "$out"
    boot_text >&"$in"
    rm -f "$work/$name.in" "$work/$name.out"
    use "$name"
    ready=
    while IFS= read -r -t "$ready_s" line <&"$node_out"; do
        [ "$line" = "deployctl-node 1 $nonce" ] && ready=yes && break
        noise=${noise:-}$line
    done
    [ -n "$ready" ] || fail "no ready line: $(cat "$work/$name.err")"
}

# The session that requests go to.
use() {
    local in=$1_in out=$1_out pid=$1_pid epoch=$1_epoch
    node=$1 node_in=${!in} node_out=${!out} node_pid=${!pid} node_epoch=${!epoch}
}

stop_nodes() {
    local pid
    for pid in "${node_pids[@]}"; do
        kill "$pid" 2>/dev/null
    done
    for pid in $(sed -n 's/^leader \([0-9]*\) .*/\1/p' "$root"/.deployctl/steps/* 2>/dev/null); do
        kill -KILL -- "-$pid" 2>/dev/null
    done
    for pid in "$root"/.deployctl/confirm/*.pid; do
        [ ! -s "$pid" ] || { read -r pid _ <"$pid" && kill -KILL -- "-$pid" 2>/dev/null; }
    done
    return 0
}

# Both ends of the session's pipes go, as when the connection is lost.
lose_connection() {
    exec {node_in}>&- {node_out}<&-
}

# send VERB [KEY VALUE]...: the request's id is in $id. One with a fence has the session's epoch, unless it names one.
send() {
    local text
    id=$next_id
    next_id=$((next_id + 1))
    text="$id $1"$'\n'
    shift
    case " $* " in
    *" epoch "*) ;;
    *" fence "*) text+="epoch $node_epoch"$'\n' ;;
    esac
    while [ $# -gt 0 ]; do
        text+="$1 $2"$'\n'
        shift 2
    done
    printf '%s\n' "$text" >&"$node_in"
}

# await [ID]: the whole reply in $reply (without the id), $status, $sentence. Lines of other requests are kept in $others.
others=
await() {
    local want=${1:-$id} line
    reply= status=
    while IFS= read -r line; do
        [ "${line%% *}" = "$want" ] && take_line "${line#* }" && [ -n "$status" ] && return 0
    done <<<"$others"
    while IFS= read -r -t "${patience:-$answer_s}" line <&"$node_out"; do
        if [ "${line%% *}" != "$want" ]; then
            others+=$line$'\n'
            continue
        fi
        take_line "${line#* }"
        [ -z "$status" ] || return 0
    done
    status=lost sentence="no answer to $want"
    return 1
}

take_line() {
    reply+=$1$'\n'
    case $1 in
    '. '*)
        status=${1#. }
        sentence=${status#* }
        status=${status%% *}
        ;;
    esac
}

ask() {
    send "$@"
    await
}

# ask, which must come back with status $1.
must() {
    local wanted=$1
    shift
    ask "$@"
    [ "$status" = "$wanted" ] || { echo "line ${BASH_LINENO[0]}: $1: $status $sentence, wanted $wanted"; printf '%s\n' "$reply"; exit 1; }
}

# The (first) value of a key in the last reply.
value_of() {
    local line
    while IFS= read -r line; do
        [[ $line != "= $1 "* ]] || { printf '%s\n' "${line#"= $1 "}"; return; }
    done <<<"$reply"
}

output_of() {
    sed -n 's/^| //p' <<<"$reply"
}

# Opens $root in a fresh session NAME.
open_node() {
    local name=$1
    shift
    start_node "$name"
    must ok open root "$root" service shop keep 3 "$@"
}

# must ok lock ...: then settles; the generation is in $fence.
take_lock() {
    must ok lock "$@"
    fence=$(value_of generation)
    must ok settle fence "$fence"
}

# open_node and take_lock.
locked_node() {
    open_node "$@"
    take_lock rollout "roll-$1" holder "tester@here job $1" ttl 60
}

# The records of steps have a line that matches $1.
recorded() {
    grep -q "$1" "$root"/.deployctl/steps/*
}

# The process group of the step that is recorded; waits until its leader has begun.
step_group() {
    eventually recorded '^leader '
    sed -n 's/^leader \([0-9]*\) .*/\1/p' "$root"/.deployctl/steps/* | head -n 1
}

# Waits, by short looks, until a command succeeds.
eventually() {
    local tries
    for ((tries = 600 * ${TEST_TIME_FACTOR:-1}; tries > 0; tries--)); do
        "$@" >/dev/null 2>&1 && return 0
        pause 0.05
    done
    fail "never came true: $*"
}

group_is_gone() {
    ! ps -e -o pgid=,stat= | awk -v group="$1" '$1 == group && $2 !~ /^Z/ { found = 1 } END { exit !found }'
}

# --- races ---

# shim TOOL...: puts a program before each on the nodes' PATH, which does as the files of $work/shim say: `hold` writes them, and while
# $work/shim/log is there each call is a line of it. Before the sessions start: a shell keeps where it has found a program.
shim() {
    local tool real
    mkdir -p "$work/shim"
    for tool; do
        real=$(PATH=$node_path command -v "$tool")
        [ ! -L "$work/bin/$tool" ] || real="$(readlink "$work/bin/$tool") $tool"
        rm -f "$work/bin/$tool"
        cat >"$work/bin/$tool" <<END
#!/bin/bash
PATH=$PATH
[ ! -e '$work/shim/log' ] || printf '%s %s\n' '$tool' "\$*" >>'$work/shim/log'
if [ -s '$work/shim/$tool.hold' ] && read -r pattern <'$work/shim/$tool.hold' && [[ "\$*" == \$pattern ]] && mkdir '$work/shim/$tool.held' 2>/dev/null; then
    while [ -d '$work/shim/$tool.held' ]; do sleep 0.02; done
fi
exec $real "\$@"
END
        chmod 755 "$work/bin/$tool"
    done
}

# hold TOOL PATTERN: the next call of TOOL whose arguments match PATTERN waits until `let_go TOOL`; calls after it pass.
hold() {
    printf '%s\n' "$2" >"$work/shim/$1.hold"
}

# Waits until a call of TOOL is held.
until_held() {
    eventually test -d "$work/shim/$1.held"
    rm -f "$work/shim/$1.hold"
}

let_go() {
    rmdir "$work/shim/$1.held"
}

# --- packages ---

# make_package ID [COMPRESSION]: packs $work/tree: $archive, $sha256, $bytes, $manifest_sha256, $unpacked.
make_package() {
    local path sum rest mode size target
    archive=$work/$1.tar
    (
        cd "$work/tree" || exit 1
        find . -mindepth 1 ! -type d -printf '%m %s %l\n%P\n' | while IFS= read -r rest && IFS= read -r path; do
            read -r mode size target <<<"$rest"
            if [ -n "$target" ]; then
                read -r sum _ < <(printf %s "$target" | sha256sum)
                echo "$sum 120000 0 $path"
            else
                read -r sum _ < <(sha256sum <"./$path")
                echo "$sum 100$mode $size $path"
            fi
        done | sort -k 4 >"$work/manifest"
        cp "$work/manifest" .deployctl-manifest
        tar -cf "$archive" .
        rm .deployctl-manifest
    )
    read -r unpacked _ < <(du -sb "$work/tree")
    case ${2:-gzip} in
    gzip) gzip -f "$archive" && archive=$archive.gz ;;
    zstd) zstd -q -f --rm "$archive" && archive=$archive.zst ;;
    esac
    compression=${2:-gzip}
    read -r sha256 _ < <(sha256sum <"$archive")
    bytes=$(stat -c %s "$archive")
    read -r manifest_sha256 _ < <(sha256sum <"$work/manifest")
}

# A small release with a folder, a link, a script and the text $1.
make_tree() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree/bin" "$work/tree/config"
    echo "$1" >"$work/tree/version"
    printf '#!/bin/sh\ncat version\n' >"$work/tree/bin/run"
    chmod 755 "$work/tree/bin/run"
    echo setting >"$work/tree/config/app.env"
    ln -s ../version "$work/tree/bin/version"
    chmod 644 "$work/tree/version" "$work/tree/config/app.env"
}

# stage RELEASE: the request, answered; the archive is where the node wants it.
stage() {
    must ok stage fence "$fence" release "$1" sha256 "$sha256" bytes "$bytes" unpacked "$unpacked" manifest_sha256 "$manifest_sha256"
    received=$(value_of path)
    [ -z "$received" ] || cp "$archive" "$received"
}

unpack() {
    ask unpack fence "$fence" release "$1" sha256 "$sha256" compression "$compression" manifest_sha256 "$manifest_sha256"
}

# A complete release RELEASE on the node.
deliver() {
    make_tree "$1"
    make_package "$1" "${2:-gzip}"
    stage "$1"
    unpack "$1"
    expect "unpack $1" "$status" ok
}
