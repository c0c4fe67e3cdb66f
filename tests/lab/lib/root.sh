# shellcheck shell=bash
# The root file system all hosts share, read-only under their overlays: built once, and again when
# its recipe changes. The recipe is this file, tests/lab/recipe/ and the Debian release of this
# machine.

ROOT_PACKAGES=systemd,systemd-sysv,dbus,openssh-server,iproute2,sudo,procps
ROOT_PACKAGES+=,nginx-light,zstd,curl,busybox

root_release() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }

root_recipe() {
    {
        root_release
        dpkg --print-architecture
        cat "$LAB_HOME/lib/root.sh"
        find "$LAB_HOME/recipe" -type f | sort | while read -r file; do
            say "${file#"$LAB_HOME"} $(stat -c %a "$file")"
            cat "$file"
        done
    } | sha256sum | cut -d ' ' -f 1
}

root_is_current() {
    [ -d "$LAB_ROOT" ] && [ "$(cat "$LAB_ROOT.recipe" 2>/dev/null)" = "$(root_recipe)" ]
}

# Debian's sources as this machine's own apt has them: no address stands in this repository.
root_sources() {
    apt-get indextargets --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
        'Created-By: Packages' 'Origin: Debian'
}

root_bootstrap() {
    # shellcheck disable=SC2016 # $1 is the hook's
    timeout 900 mmdebstrap --variant=minbase --mode=root --include="$ROOT_PACKAGES" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --aptopt="$LAB_DIR/apt.proxy" \
        --customize-hook="copy-in '$LAB_HOME/recipe' /" \
        --customize-hook='chroot "$1" sh /recipe/setup && rm -r "$1/recipe"' \
        "$(root_release)" "$1" "$LAB_DIR/apt.list"
}

root_mounted() { grep -qs " $LAB_HOSTS/[a-z0-9]*/root overlay " /proc/mounts; }

root_build() {
    local started=$SECONDS
    root_is_current && return
    [ "$LAB_ROOT" = "$LAB_DIR/root" ] || die "$LAB_ROOT is another lab's and not of this recipe; run: lab root"
    if root_mounted; then
        warn "the root's recipe has changed; the running hosts keep the old root until: lab down"
        return
    fi
    root_sources >"$LAB_DIR/apt.list" 2>/dev/null
    if [ ! -s "$LAB_DIR/apt.list" ]; then
        apt_quiet update || die "apt-get update failed; see $LAB_DIR/apt.log"
        root_sources >"$LAB_DIR/apt.list"
    fi
    [ -s "$LAB_DIR/apt.list" ] || die "apt of this machine has no Debian source; add one"
    apt-config dump Acquire::http::Proxy >"$LAB_DIR/apt.proxy"
    apt-config dump Acquire::https::Proxy >>"$LAB_DIR/apt.proxy"
    say "building the root"
    rm -rf "$LAB_ROOT" "$LAB_ROOT.new" "$LAB_HOSTS" # an overlay fits only the root it began on
    root_bootstrap "$LAB_ROOT.new" >"$LAB_DIR/root.log" 2>&1 ||
        { rm -rf "$LAB_ROOT.new"; die "mmdebstrap failed; see $LAB_DIR/root.log"; }
    rm -f "$LAB_ROOT.new/etc/apt/apt.conf.d/99mmdebstrap" "$LAB_DIR/apt.proxy"
    : >"$LAB_ROOT.new/etc/resolv.conf" # no names from outside: a look-up fails at once
    mv "$LAB_ROOT.new" "$LAB_ROOT"
    root_recipe >"$LAB_ROOT.recipe"
    say "built the root in $((SECONDS - started)) s"
}
