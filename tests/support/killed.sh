# shellcheck shell=bash
# A runner that is killed (SIGKILL) at a chosen point of the journals: at the moment when the line is on the disk and what it announces has
# not begun, or what it tells is not yet answered. Sourced by a script that has set here, place, nodes and program, beside small_fleet.sh,
# which it sources. The nodes' lines are points, in the order in which they are written; with `count_runner=yes` also the runner's own, of
# which it writes those before a step at once.
: "${here:?}" "${place:?}" "${nodes:?}" "${program:?}"
# The nodes find this `sync` first: the line of the journal is on the disk when it ends, and node.sh waits for that.
# shellcheck disable=SC2034
node_environment=PATH=$place/tools:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# shellcheck source=tests/support/small_fleet.sh
. "$here/../support/small_fleet.sh"

# What a script may say more of its shape: a state that is compared, and how it is put back.
more_state() { :; }
more_back() { :; }
# The nodes that are deployed to.
fleet="node1 node2"
count_runner=no

begin_points() {
    mkdir "$place/tools"
    cat >"$place/tools/sync" <<'END_SYNC'
#!/bin/sh
/bin/sync "$@"
status=$?
case ${1-} in
*/.deployctl/journal) ;;
*) exit $status ;;
esac
place=$(dirname "$(dirname "$0")")
exec 9>>"$place/points.lock"
flock 9
echo "$(tail -n 1 "$1")" >>"$place/points"
[ "$(wc -l <"$place/points")" != "$(cat "$place/die_at")" ] || kill -9 "$(cat "$place/runner")"
exit $status
END_SYNC
    chmod 755 "$place/tools/sync"
    echo 0 >"$place/die_at"
    echo 0 >"$place/runner"
    : >"$place/points"
}
count_runners_points() {
    "${CC:-gcc}" -O1 -D_GNU_SOURCE -shared -fPIC -o "$place/tools/die_at_sync.so" "$here/../support/preload/die_at_sync.c" || return
    count_runner=yes
}
# COMMAND...: with the runner's own points, where they count.
counted() {
    if [ $count_runner = no ]; then "$@"; else LD_PRELOAD=$place/tools/die_at_sync.so DEPLOYCTL_POINTS_IN=$place "$@"; fi
}

# --- what is compared

timers_of() {
    local file pid
    for file in "$place/$1"/shop/.deployctl/confirm/*.pid; do
        [ -s "$file" ] && read -r pid _ <"$file" && kill -0 "$pid" 2>/dev/null && echo "$pid"
    done
}
# What a node is: what it serves, its current release, which releases are good in which order, what was done to the data, what would still
# happen by itself.
state_of_fleet() {
    local node state pid
    for node in $fleet; do
        state=$place/$node/shop/.deployctl
        (
            cd "$place/$node/shop" || exit
            grep -sH '' shared/served*
            for link in current slots/*; do [ ! -L "$link" ] || echo "$link $(readlink "$link")"; done
            grep -sH '' .deployctl/good/* | cut -d ' ' -f 1
        )
        [ ! -d "$state/migrations" ] || (cd "$state/migrations" && grep -H '' ./* 2>/dev/null | cut -d ' ' -f 1,4,5)
        for pid in $(timers_of "$node"); do echo "a timer: $(sed -n 's/^kind //p; s/^slot //p' "$state/confirm/armed" | tr '\n' ' ')"; done
    done
    more_state
}
journals() {
    local node
    for node in $fleet; do cat "$place/$node/shop/.deployctl/journal"; done | wc -l
}
no_lock_is_held() {
    local node state top
    for node in $fleet; do
        state=$place/$node/shop/.deployctl
        top=$(cat "$state/generation")
        [ -e "$state/lock/$top.end" ] || return 1
    done
}
# Every node has noted the end of the run that it knows last.
all_ended() {
    local node
    for node in $fleet; do
        grep ' rollout ' "$place/$node/shop/.deployctl/journal" | tail -n 1 | grep -q ' rollout end ' || return 1
    done
}

# --- worlds: what the nodes have on their disks, under a name

keep_as() {
    local node
    mkdir -p "$place/kept/$1"
    for node in $fleet; do
        rm -rf "$place/kept/$1/$node"
        [ ! -e "$place/$node/shop" ] || cp -a "$place/$node/shop" "$place/kept/$1/$node"
    done
}
back_to() {
    local node pid
    for node in $fleet; do
        for pid in $(timers_of "$node"); do kill "$pid"; done
        rm -rf "$place/$node/shop"
        cp -a "$place/kept/$1/$node" "$place/$node/shop"
    done
    more_back "$1"
    : >"$place/points"
}

# --- dying

# As if the dead runner had been silent for long.
expire_locks() {
    local node state top
    for node in $fleet; do
        state=$place/$node/shop/.deployctl
        top=$(cat "$state/generation")
        echo "1 $(cat /proc/sys/kernel/random/boot_id)" >"$state/lock/$top.beat"
    done
}
# VERB POINT [OPTION]...: a run that is killed there; its exit code is in $killed: 137, or its own when it has no such point.
die_in() {
    local verb=$1
    : >"$place/points"
    echo "$2" >"$place/die_at"
    echo 0 >"$place/runner"
    # the number is there before it does anything
    { counted sh -c 'echo $$ >"$0"; exec "$@"' "$place/runner" "$program" "$verb" shop "${@:3}" -q >"$place/out" 2>"$place/err" </dev/null; } 2>/dev/null
    # shellcheck disable=SC2034
    killed=$?
    echo 0 >"$place/die_at"
    expire_locks
}
# VERB [OPTION]...: the same without an end; its points are counted in $count.
live_through() {
    : >"$place/points"
    echo 0 >"$place/runner"
    counted timeout -k 5 "$(deadline 90)" "$program" "$1" shop "${@:2}" -q >"$place/out" 2>"$place/err" </dev/null
    verdict $? "the uninterrupted $1"
    cp "$place/points" "$place/points.whole"
    state_of_fleet >"$place/ended"
    # shellcheck disable=SC2034
    count=$(wc -l <"$place/points")
}
point_named() { echo "point $1 ($(sed -n "${1}s/^1 [0-9]* [0-9]* [^ ]* //p; ${1}s/^the/the/p" "$place/points" | cut -c 1-60))"; }

# Where a run leads that was killed now: where it is, when nothing is open any more or nothing was yet; else to WANTED.
leads_to() {
    if ! all_ended; then
        echo "$1"
    elif diff -q "$place/ended" <(state_of_fleet) >"$place/out"; then
        echo "$place/ended"
    else
        echo "$place/began"
    fi
}
# WHAT WANTED VERB [CODE [OPTION...]]: goes on so, to the wanted state, and the same once more changes nothing; CODE other than 0: is
# refused with it, and changes nothing of what is compared.
goes_to() {
    local what=$1 wanted=$2 verb=$3 code=${4:-0} lines
    expect "$what: $verb" "$code" "$verb" shop -q "${@:5}"
    cp "$place/err" "$place/said"
    state_of_fleet >"$place/came_out"
    diff "$wanted" "$place/came_out" >"$place/out"
    verdict $? "$what: $verb ends where it should"
    [ "$code" = 0 ] || return
    holds "$what: $verb leaves no lock" no_lock_is_held
    lines=$(journals)
    expect "$what: $verb again" 0 "$verb" shop -q
    holds "$what: $verb again does nothing" test "$(journals)" = "$lines"
    holds "$what: $verb again leaves all as it is" diff "$place/came_out" <(state_of_fleet)
}
# COUNT N: N numbers from 1 to COUNT, spread evenly, one a line with what ends the run that died there: resume and abort in turn. With
# DEPLOYCTL_POINTS=all every number, or those that it lists, each with both.
points() {
    local i
    case ${DEPLOYCTL_POINTS:-} in
    '') for ((i = 0; i < $2; i++)); do echo $((1 + (2 * i + 1) * $1 / (2 * $2))) $((i % 2)); done | sed 's/ 0$/ resume/; s/ 1$/ abort/' ;;
    all) seq "$1" | sed 's/$/ resume abort/' ;;
    *) tr ' ' '\n' <<<"$DEPLOYCTL_POINTS" | sed 's/$/ resume abort/' ;;
    esac
}
