# shellcheck shell=bash
# What goes wrong with a host, on purpose, and its opposite.

fault_link() {
    [ -e "/sys/class/net/$(host_link "$1")" ] || die "$1 has no network link now; is it rebooting?"
    ip link set "$(host_link "$1")" "$2"
}

fault_is_frozen() { grep -qs "^frozen $2" "$(cgroup_of "$1")/box/payload/cgroup.events"; }

# HOST 1|0. The host's own kernel-side TCP still answers, as that of a machine whose disk hangs.
fault_freeze() {
    echo "$2" >"$(cgroup_of "$1")/box/payload/cgroup.freeze" ||
        die "$1: cannot write its control group"
    wait_until 5 fault_is_frozen "$1" "$2" || die "$1: not all of its processes changed within 5 s"
}

# Runs the function $2 of the text below inside HOST $1, with the further arguments.
fault_srv() {
    local name=$1 code
    shift
    code=$(host_run "$name" sh -s -- "$@" 2>&1 <<'END'
set -e
scratch=/run/lab-srv

is_small() { [ "$(findmnt -rn -M /srv -o SOURCE | tail -n 1)" = lab-srv ]; }
is_read_only() { findmnt -rn -M /srv -o OPTIONS | tail -n 1 | grep -q '^ro'; }

disk_on() {
    if is_small; then
        mount -o "remount,size=$1" /srv
        return
    fi
    mkdir -p "$scratch"
    mount -t tmpfs -o "size=$1,mode=0755" lab-srv "$scratch"
    cp -a /srv/. "$scratch/" || { umount "$scratch"; return 1; }
    mount --bind "$scratch" /srv
    umount "$scratch"
}

disk_off() {
    is_small || return 0
    mkdir -p "$scratch"
    mount --bind /srv "$scratch"
    umount -l /srv
    find /srv -mindepth 1 -delete
    cp -a "$scratch/." /srv/
    umount -l "$scratch"
}

read_only_on() {
    is_read_only && return
    mount --bind /srv /srv
    mount -o remount,bind,ro /srv
}

read_only_off() { is_read_only && umount -l /srv || true; }

verb=$1
shift
case $verb in
disk_*) ! is_read_only || { echo "/srv is read-only; make it writable first"; exit 1; } ;;
esac
"$verb" "$@"
END
    ) || die "$name: $code"
}

# A tmpfs, so that a full one costs nothing; what /srv holds goes with it, both ways. A boot ends
# it.
fault_disk() {
    if [ "$2" = off ]; then
        fault_srv "$1" disk_off
    elif [[ $2 =~ ^[1-9][0-9]*[kKmMgG]$ ]]; then
        fault_srv "$1" disk_on "$2"
    else
        die "disk: '$2' is no size; give 8M, 512k or off"
    fi
}

fault_readonly() {
    case $2 in
    on) fault_srv "$1" read_only_on ;;
    off) fault_srv "$1" read_only_off ;;
    *) die "readonly: '$2'; give on or off" ;;
    esac
}

fault_sudo() {
    case $2 in
    on) host_run "$1" install -m 0440 /usr/share/lab/sudoers /etc/sudoers.d/lab ;;
    off) host_run "$1" rm -f /etc/sudoers.d/lab ;;
    *) die "sudo: '$2'; give on or off" ;;
    esac
}
