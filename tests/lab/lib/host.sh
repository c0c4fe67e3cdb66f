# shellcheck shell=bash
# One host: its disk (an overlay), its boot, its end. hosts/NAME/ holds the disk and survives kill,
# boot and reboot.
#
# Its control group has two parts: keeper, the shell that starts nspawn again when the host reboots
# itself, and box, where nspawn sits (box/supervisor) beside all processes of the host
# (box/payload). So no process id is ever stored: what runs is what the group holds.

host_number() { say "${1#web}"; }
host_address() { say "$LAB_NET.$((10 + $(host_number "$1")))"; }
host_zone() { local zones=(c a b); say "${zones[$(host_number "$1") % 3]}"; }
host_link() { say "vb-$LAB_BRIDGE-$1"; }
host_is_running() { populated "$(cgroup_of "$1")/box"; }

host_names() {
    find "$LAB_HOSTS" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' 2>/dev/null | sort -V
}

known() {
    [[ $1 =~ ^web[1-9][0-9]?$ ]] && [ -d "$LAB_HOSTS/$1" ] && return
    die "no host $1; there are: $(host_names | tr '\n' ' ')(lab up makes them)"
}

running() {
    known "$1"
    host_is_running "$1" || die "$1 is not running; lab boot $1 starts it"
}

# The process id, outside, of the host's own pid 1; nothing while it has none.
host_init() { head -n 1 "$(cgroup_of "$1")/box/payload/init.scope/cgroup.procs" 2>/dev/null; }

# HOST CMD...: inside as root, in every namespace of the host.
host_run() {
    local init
    init=$(host_init "$1")
    [ -n "$init" ] || { warn "$1 has no pid 1 yet"; return 1; }
    shift
    nsenter -t "$init" -a -r -w -- env -i \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        LANG=C.UTF-8 TERM="${TERM:-dumb}" "$@"
}

host_write_names() {
    local number
    say "127.0.0.1 localhost"
    for number in $(seq "$LAB_MAX"); do
        say "$(host_address "web$number") web$number"
    done
}

host_write_keys() {
    local disk=$1 type user home
    for type in $LAB_HOST_KEYS; do
        ssh-keygen -q -t "$type" -N '' -C '' -f "$disk/etc/ssh/ssh_host_${type}_key" || return 1
    done
    for user in deploy plain dashuser ashuser; do
        home=$disk/home/$user
        mkdir -m 0700 "$home/.ssh" && cp "$LAB_KEY.pub" "$home/.ssh/authorized_keys" &&
            chown -R --reference="$home" "$home/.ssh" || return 1
    done
}

host_mount() {
    local place=$LAB_HOSTS/$1
    mountpoint -q "$place/root" && return
    mount -t overlay "lab-$1" \
        -o "lowerdir=$LAB_ROOT,upperdir=$place/upper,workdir=$place/work" "$place/root"
}

# Makes the host's disk when it has none, and mounts it.
host_make() {
    local name=$1 place=$LAB_HOSTS/$1
    if [ -e "$place/made" ]; then
        host_mount "$name"
        return
    fi
    ! mountpoint -q "$place/root" || umount "$place/root" || return 1
    rm -rf "$place"
    mkdir -p "$place/upper" "$place/work" "$place/root" || return 1
    host_mount "$name" || return 1
    say "$name" >"$place/root/etc/hostname"
    host_write_names >"$place/root/etc/hosts"
    say "$(host_address "$name")/24" >"$place/root/etc/lab-address"
    tr -d - </proc/sys/kernel/random/uuid >"$place/root/etc/machine-id"
    host_write_keys "$place/root" || return 1
    : >"$place/made"
}

# Starts the host in the background; it outlives this command. Waits for nothing.
host_start() {
    host_is_running "$1" && return
    host_make "$1" || die "$1: cannot make its disk under $LAB_HOSTS/$1; is there space?"
    host_clear "$1"
    mkdir -p "$(cgroup_of "$1")/keeper" "$(cgroup_of "$1")/box" ||
        die "$1: cannot make its control group"
    setsid "$LAB_HOME/lab" keep "$1" </dev/null >"$LAB_STATE/$1.console" 2>&1 9>&- &
}

# The life of the keeper: nspawn ends with 133 when the host asks for a reboot, and is started
# again.
host_keep() {
    local group code
    group=$(cgroup_of "$1")
    cd / || exit 1
    close_inherited
    echo $$ >"$group/keeper/cgroup.procs" || exit 1
    while true; do
        host_box "$1" "$group"
        code=$?
        [ "$code" = 133 ] || break
        host_clear_link "$1"
        find "$group/box" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null
    done
    say "nspawn of $1 ended with $code"
}

host_box() (
    echo "$BASHPID" >"$2/box/cgroup.procs" || exit 1
    export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
    exec systemd-nspawn -q -D "$LAB_HOSTS/$1/root" --machine="$LAB_BRIDGE-$1" --hostname="$1" \
        --register=no --keep-unit --boot --network-bridge="$LAB_BRIDGE" \
        --link-journal=no --resolv-conf=off --timezone=off
)

host_link_is_gone() { [ ! -e "/sys/class/net/$(host_link "$1")" ]; }

# The kernel takes the link away a moment after the host's last process.
host_clear_link() {
    wait_until 2 host_link_is_gone "$1" || ip link del "$(host_link "$1")" 2>/dev/null
}

# nspawn's lock on the disk, which only an orderly end removes.
host_lock() {
    say "/run/systemd/nspawn/locks/inode-$(stat -c %d:%i "$LAB_HOSTS/$1/root" 2>/dev/null)"
}

# What an ended host leaves behind, its disk apart.
host_clear() {
    local group
    group=$(cgroup_of "$1")
    host_clear_link "$1"
    [ ! -d "$group" ] || wait_until 5 cgroup_remove "$group" || warn "$1: cannot remove $group"
    rmdir "/run/systemd/nspawn/propagate/$LAB_BRIDGE-$1" 2>/dev/null
    rm -f "$(host_lock "$1")"
}

host_has_banner() {
    # shellcheck disable=SC2016 # $1 and $line are the inner shell's
    timeout 2 bash -c 'exec 3<>"/dev/tcp/$1/22" && read -r line <&3 && [[ $line == SSH-2.0-* ]]' \
        banner "$(host_address "$1")" 2>/dev/null
}

host_systemd_is_up() {
    case $(timeout 5 "$LAB_HOME/lab" run "$1" systemctl is-system-running 2>/dev/null) in
    running | degraded) return 0 ;;
    *) return 1 ;;
    esac
}

host_wait_ready() {
    wait_until "$LAB_READY_S" host_systemd_is_up "$1" &&
        wait_until "$LAB_READY_S" host_has_banner "$1" && return
    warn "$1 did not come up within $LAB_READY_S s; see $LAB_STATE/$1.console"
    return 1
}

# Power off hard: every process of the host at once, no shutdown, no sync. The disk stays.
host_kill() {
    local group
    group=$(cgroup_of "$1")
    [ ! -e "$group/cgroup.kill" ] || echo 1 >"$group/cgroup.kill"
    wait_until 10 not populated "$group" || die "$1: processes in $group do not end"
    host_clear "$1"
}

host_boot() {
    host_start "$1"
    host_wait_ready "$1"
}

host_has_new_init() { [ -n "$(host_init "$1")" ] && [ "$(host_init "$1")" != "$2" ]; }

host_reboot() {
    local before
    before=$(host_init "$1")
    timeout 10 "$LAB_HOME/lab" run "$1" systemctl reboot || die "$1: systemctl reboot failed"
    wait_until "$LAB_READY_S" host_has_new_init "$1" "$before" ||
        die "$1 does not come back from its reboot"
    host_wait_ready "$1"
}
