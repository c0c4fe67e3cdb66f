# shellcheck shell=bash
# What this machine must offer, and the Debian packages the lab installs by itself.

# command:package
MACHINE_NEEDS='systemd-nspawn:systemd-container mmdebstrap:mmdebstrap gpg:gpg ip:iproute2
    ssh:openssh-client ssh-keygen:openssh-client nsenter:util-linux flock:util-linux git:git'

machine_missing() {
    local pair
    for pair in $MACHINE_NEEDS; do
        command -v "${pair%%:*}" >/dev/null || say "${pair#*:}"
    done | sort -u
}

# Tries a real overlay in a mount namespace that ends with the trial.
machine_overlay_works() {
    unshare -m sh -c 'mount -t tmpfs none /mnt && cd /mnt && mkdir lower upper work root &&
        mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work root' 2>/dev/null
}

# The nearest folder above $1 that is there.
machine_existing() {
    local path=$1
    while [ ! -d "$path" ]; do path=$(dirname "$path"); done
    say "$path"
}

# 0, or 1 with one sentence on stderr. Changes nothing.
machine_check() {
    local missing kernel
    [ "$(id -u)" = 0 ] || { warn "not root; run it as root"; return 1; }
    [[ $LAB_BRIDGE =~ ^[a-z][a-z0-9]{0,5}$ ]] ||
        { warn "LAB_BRIDGE is '$LAB_BRIDGE'; give 1 to 6 lower-case letters and digits"; return 1; }
    [[ $LAB_NET =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] ||
        { warn "LAB_NET is '$LAB_NET'; give three numbers, as 10.203.0"; return 1; }
    missing=$(machine_missing | tr '\n' ' ')
    if [ -n "$missing" ] && ! command -v apt-get >/dev/null; then
        warn "missing ${missing% } and no apt-get to install it"
        return 1
    fi
    cgroup_top >/dev/null || { warn "no control groups version 2 under /sys/fs/cgroup"; return 1; }
    [ -w "$(dirname "$(cgroup_top)")/cgroup.procs" ] ||
        { warn "the control groups under /sys/fs/cgroup are read-only"; return 1; }
    kernel=$(uname -r)
    [ "$(printf '%s\n' 5.14 "$kernel" | sort -V | head -n 1)" = 5.14 ] ||
        { warn "kernel $kernel is older than 5.14 and cannot end a whole control group"; return 1; }
    machine_overlay_works ||
        { warn "this machine lets us mount no overlay file system"; return 1; }
    [ "$(stat -f -c %T "$(machine_existing "$LAB_DIR")")" != overlayfs ] ||
        { warn "$LAB_DIR lies on an overlay already; set LAB_DIR to a plain folder"; return 1; }
    unshare -n ip link add lab0 type bridge 2>/dev/null || ! command -v ip >/dev/null ||
        { warn "this kernel makes no network bridge"; return 1; }
}

apt_quiet() {
    DEBIAN_FRONTEND=noninteractive timeout 600 \
        apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >"$LAB_DIR/apt.log" 2>&1
}

# Installs what is missing. 0, or the end with a sentence.
machine_prepare() {
    local missing
    machine_check || exit 1
    missing=$(machine_missing)
    mkdir -p "$LAB_DIR" || exit 1
    [ -n "$missing" ] || return 0
    say "installing $(tr '\n' ' ' <<<"$missing")"
    # shellcheck disable=SC2086 # one word a package
    { apt_quiet update && apt_quiet install --no-install-recommends $missing; } ||
        die "apt-get could not install it; see $LAB_DIR/apt.log"
}
