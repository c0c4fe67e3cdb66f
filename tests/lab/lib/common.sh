# shellcheck shell=bash
# Paths, bounds and the small tools of all parts. Runs nothing by itself.
# shellcheck disable=SC2034 # the other parts use what stands here

: "${LAB_HOME:?set by tests/lab/lab}"
LAB_DIR=$(realpath -m "${LAB_DIR:-$LAB_HOME/../../build/lab}")

# A lab's number N names its bridge dctlN and its network 10.203.N. One that is up keeps its number; another takes
# the first that no bridge and no route has, so that the tests of two checkouts never meet.
lab_number() {
    local number owner free=
    for number in {0..9}; do
        if [ -e "/sys/class/net/dctl$number" ]; then
            owner=
            read -r owner <"/sys/class/net/dctl$number/ifalias"
            [ "$owner" != "$LAB_DIR" ] || { free=$number; break; }
        elif [ -z "$free" ] && ! grep -qs "$(printf '[[:space:]]00%02XCB0A[[:space:]]' "$number")" /proc/net/route; then
            free=$number
        fi
    done
    printf '%s' "${free:-0}"
}
if [ -z "${LAB_BRIDGE:-}" ] && [ -z "${LAB_NET:-}" ]; then
    LAB_NET=$(lab_number)
    LAB_BRIDGE=dctl$LAB_NET
    LAB_NET=10.203.$LAB_NET
fi
LAB_BRIDGE=${LAB_BRIDGE:-dctl0}
LAB_NET=${LAB_NET:-10.203.0}
LAB_HOST_KEYS=${LAB_HOST_KEYS:-ed25519}
LAB_MAX=32      # hosts; an address is LAB_NET.(10 + number)
LAB_READY_S=60  # for one host to answer after its boot
LAB_STOP_S=${LAB_STOP_S:-20} # for an orderly shutdown, before the hard one; 0: the hard one at once
LAB_ROOT=${LAB_ROOT:-$LAB_DIR/root} # another lab's is only read
LAB_HOSTS=$LAB_DIR/hosts
LAB_STATE=$LAB_DIR/state
LAB_KEY=$LAB_DIR/key

export LC_ALL=C

say() { printf '%s\n' "$*"; }
warn() { printf 'lab: %s\n' "$*" >&2; }
die() {
    warn "$*"
    exit 1
}

# VERB LEAST MOST GIVEN; MOST may be - for no limit.
arguments() {
    [ "$4" -ge "$2" ] && { [ "$3" = - ] || [ "$4" -le "$3" ]; } && return
    warn "$1: wrong number of arguments; see: lab help"
    exit 64
}

# SECONDS CMD...: repeats CMD, which must be bounded itself, until it succeeds; 1 when the time is
# over.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

not() { ! "$@"; }

# Only one lab command changes the fleet at a time. The descriptor must not reach what outlives this
# command.
lock() {
    mkdir -p "$LAB_DIR" || exit 1
    exec 9>"$LAB_DIR/lock"
    flock -w 300 9 ||
        die "another lab command holds $LAB_DIR/lock for 5 minutes now; wait for it or end it"
}

# What a process that outlives its caller must not hold: the caller may wait for the end of a pipe.
close_inherited() {
    local path fd
    for path in "/proc/$$/fd/"*; do
        fd=${path##*/}
        # 255 is where bash reads this script from
        if [ "$fd" -gt 2 ] && [ "$fd" != 255 ]; then
            exec {fd}>&-
        fi
    done
}

# The lab's own control group: one folder a host. A hybrid machine has version 2 beside version 1.
cgroup_top() {
    if [ -e /sys/fs/cgroup/cgroup.procs ] && [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        say "/sys/fs/cgroup/$LAB_BRIDGE"
    elif [ -e /sys/fs/cgroup/unified/cgroup.procs ]; then
        say "/sys/fs/cgroup/unified/$LAB_BRIDGE"
    else
        return 1
    fi
}

cgroup_of() { say "$(cgroup_top)/$1"; }

# Removes an empty tree of control groups, and nspawn's shadow of it in version 1.
cgroup_remove() {
    local path=$1 shadow
    shadow=/sys/fs/cgroup/systemd/${path#/sys/fs/cgroup/unified/}
    find "$path" -depth -type d -exec rmdir {} + 2>/dev/null
    case $path in
    /sys/fs/cgroup/unified/*) find "$shadow" -depth -type d -exec rmdir {} + 2>/dev/null ;;
    esac
    [ ! -d "$path" ]
}

populated() { grep -qs '^populated 1' "$1/cgroup.events"; }
