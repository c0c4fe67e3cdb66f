# shellcheck shell=bash
# A fleet of a few real sshd processes on loopback addresses with a service that costs nothing to start, for tests that need many rollouts.
# Sourced by a script that has set here, place and nodes; counts what holds, as the scripts beside it.
: "${here:?}" "${place:?}" "${nodes:?}" "${program:?}"
passed=0 failed=0
# shellcheck source=tests/demo/nodes.sh
. "$here/../demo/nodes.sh"

verdict() {
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
        return
    fi
    failed=$((failed + 1))
    echo "not ok: $2"
    sed 's/^/  out| /' "$place/out"
    sed 's/^/  err| /' "$place/err"
}
# SENTENCE CODE ARGUMENTS...: what it says is in out and err.
expect() {
    local sentence=$1 code=$2 got
    shift 2
    timeout -k 5 "$(deadline 90)" "$program" "$@" >"$place/out" 2>"$place/err" </dev/null
    got=$?
    [ "$got" = "$code" ]
    verdict $? "$sentence: exit code $got, wanted $code: deployctl $*"
}
# SENTENCE COMMAND...
holds() {
    local sentence=$1
    shift
    "$@" >/dev/null 2>&1
    verdict $? "$sentence: $*"
}
said() { grep -qE -- "$1" "$place/out"; }
warned() { grep -qE -- "$1" "$place/err"; }
# Until the command holds, within 60 s: a busy machine is slow.
eventually() {
    local end
    end=$(until_second 60)
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt "$end" ] || return 1
        pause 0.05
    done
}
# What the nodes serve, in one word when it is the same everywhere.
served() {
    local address
    for address in $nodes; do
        cat "$place/$(name_of "$address")/shop/shared/served" 2>/dev/null || echo nothing
    done | sort -u | paste -s -d ' '
}
serve() { [ "$(served)" = "$1" ]; }
count_done() {
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
}

export HOME="$place/home" XDG_STATE_HOME="$place/state" GIT_CONFIG_NOSYSTEM=1 NO_COLOR=1
unset SSH_AUTH_SOCK DEPLOYCTL_INVENTORY DEPLOYCTL_STATE XDG_CONFIG_HOME

# The service is a file: `start` writes what it serves, unless the test wants it to hang (`hang` in the node's folder).
begin_small_fleet() {
    mkdir -p "$HOME" "$place/project" "$place/state"
    cd "$place/project" || return 1
    : >"$place/out"
    : >"$place/err"
    begin_nodes || return 1
    write_project
    cat >playbooks/shop.ini <<END
[service]
name  = shop
hosts = web
root  = $place/{node}/shop
start = bin/start

[strategy]
batch = 1, 2
max_unavailable = 50%
bake  = 0s

[health]
command = test "\$(cat "\$DEPLOYCTL_ROOT/shared/served")" = "\$(cat public/index.html)"
rise = 1
interval = 50ms
min_healthy_time = 0s
healthy_deadline = 20s

[retry]
connect_timeout = 20s
END
    cat >bin/start <<'END'
#!/bin/sh
printf '%s begin %s\n' "$$" "$DEPLOYCTL_ROLLOUT" >>"$DEPLOYCTL_ROOT/shared/writers"
while [ -e "$DEPLOYCTL_ROOT/hang" ]; do sleep 0.1; done
cp public/index.html "$DEPLOYCTL_ROOT/shared/served"
printf '%s end %s\n' "$$" "$DEPLOYCTL_ROLLOUT" >>"$DEPLOYCTL_ROOT/shared/writers"
END
}
