# shellcheck shell=bash
# All hosts together: the bridge, up, down, and what an SSH client needs to know.

fleet_bridge_owner() { cat "/sys/class/net/$LAB_BRIDGE/ifalias" 2>/dev/null; }

# The bridge carries the name of the lab it belongs to, so that two labs never mix.
fleet_bridge() {
    if [ -e "/sys/class/net/$LAB_BRIDGE" ]; then
        [ "$(fleet_bridge_owner)" = "$LAB_DIR" ] && return
        die "network interface $LAB_BRIDGE is not ours; set LAB_BRIDGE and LAB_NET to others"
    fi
    [ -z "$(ip -4 route show "$LAB_NET.0/24")" ] ||
        die "network $LAB_NET.0/24 is in use here; set LAB_NET"
    ip link add "$LAB_BRIDGE" type bridge forward_delay 0 ||
        die "cannot make the bridge $LAB_BRIDGE"
    # an address of its own, or it would change with the hosts that come and go
    ip link set "$LAB_BRIDGE" alias "$LAB_DIR" address 02:6c:61:62:00:01 up ||
        die "cannot set up the bridge $LAB_BRIDGE"
    ip addr add "$LAB_NET.1/24" dev "$LAB_BRIDGE" || die "cannot give $LAB_BRIDGE its address"
}

fleet_key() {
    [ -s "$LAB_KEY" ] && [ -s "$LAB_KEY.pub" ] && return
    rm -f "$LAB_KEY" "$LAB_KEY.pub"
    ssh-keygen -q -t ed25519 -N '' -C lab -f "$LAB_KEY"
}

fleet_up() {
    local number failed=0
    [[ $1 =~ ^[1-9][0-9]?$ && $1 -le $LAB_MAX ]] ||
        die "up: '$1' hosts; give a number from 1 to $LAB_MAX"
    machine_prepare
    lock
    root_build
    mkdir -p "$LAB_STATE" "$LAB_HOSTS" || die "cannot write in $LAB_DIR"
    fleet_key || die "cannot make the key $LAB_KEY"
    fleet_bridge
    mkdir -p "$(cgroup_top)" || die "cannot make the control group $(cgroup_top)"
    for number in $(seq "$1"); do
        host_start "web$number"
    done
    for number in $(seq "$1"); do
        host_wait_ready "web$number" || { failed=1; continue; }
        say "web$number  $(host_address "web$number")  zone $(host_zone "web$number")  up"
    done
    return "$failed"
}

fleet_cgroup_names() {
    find "$(cgroup_top)" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' 2>/dev/null
}

# SIGTERM to nspawn's own process is the power button. A frozen host could not react to it, and one
# whose nspawn was killed has none.
fleet_power_off() {
    local box pid
    box=$(cgroup_of "$1")/box
    if [ -z "$(cat "$box/supervisor/cgroup.procs" 2>/dev/null)" ]; then
        host_kill "$1"
        return
    fi
    [ ! -e "$box/payload/cgroup.freeze" ] || echo 0 >"$box/payload/cgroup.freeze"
    while read -r pid; do
        kill -TERM "$pid" 2>/dev/null
    done < <(cat "$box/supervisor/cgroup.procs" 2>/dev/null)
}

# Deepest first: a mount may lie on another.
fleet_unmount() {
    local place
    while read -r place; do
        umount "$place" || umount -l "$place" || die "cannot unmount $place"
    done < <(cut -d ' ' -f 2 /proc/mounts | grep -F "$LAB_HOSTS/" | sort -r)
}

# Works from what is there, not from what was written down: so after a crash, and a second time,
# too.
fleet_down() {
    local top name kills=()
    [ "$(id -u)" = 0 ] || die "not root; run it as root"
    top=$(cgroup_top) || die "no control groups version 2 under /sys/fs/cgroup"
    if [ -e "/sys/class/net/$LAB_BRIDGE" ] && [ "$(fleet_bridge_owner)" != "$LAB_DIR" ]; then
        die "network interface $LAB_BRIDGE is not ours; set LAB_BRIDGE to the one of this lab"
    fi
    lock
    if [ "$LAB_STOP_S" != 0 ]; then
        for name in $(fleet_cgroup_names); do
            fleet_power_off "$name"
        done
        wait_until "$LAB_STOP_S" not populated "$top" ||
            warn "some hosts do not end in $LAB_STOP_S s and are killed"
    fi
    for name in $(fleet_cgroup_names); do
        host_kill "$name" &
        kills+=($!)
    done
    [ ${#kills[@]} = 0 ] || wait "${kills[@]}"
    [ ! -d "$top" ] || cgroup_remove "$top" || die "cannot remove $top"
    fleet_unmount
    [ ! -e "/sys/class/net/$LAB_BRIDGE" ] || ip link del "$LAB_BRIDGE" ||
        die "cannot remove the bridge $LAB_BRIDGE"
    rm -rf "$LAB_HOSTS" "$LAB_STATE" "$LAB_KEY" "$LAB_KEY.pub"
    rmdir /run/systemd/nspawn/propagate /run/systemd/nspawn/locks /run/systemd/nspawn 2>/dev/null
    return 0
}

fleet_running() {
    local name
    for name in $(host_names); do
        ! host_is_running "$name" || say "$name"
    done
}

fleet_public_keys() { cat "$LAB_HOSTS/$1/upper/etc/ssh/"ssh_host_*_key.pub; }

# SHA256:... of each host key, joined by commas.
fleet_pins() {
    fleet_public_keys "$1" | while read -r line; do
        ssh-keygen -l -f - <<<"$line" | cut -d ' ' -f 2
    done | paste -s -d ,
}

fleet_inventory() {
    local name
    [[ $1 =~ ^(deploy|plain|dashuser|ashuser)$ ]] ||
        die "inventory: no user $1; there are deploy, plain, dashuser, ashuser"
    say "[web]"
    for name in $(fleet_running); do
        say "$name ansible_host=$(host_address "$name") ansible_user=$1" \
            "ansible_ssh_private_key_file=$LAB_KEY host_key=$(fleet_pins "$name")" \
            "zone=$(host_zone "$name")"
    done
}

fleet_known_hosts() {
    local name
    for name in $(fleet_running); do
        fleet_public_keys "$name" | while read -r type key _; do
            say "$name,$(host_address "$name") $type $key"
        done
    done
}
