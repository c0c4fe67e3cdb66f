# shellcheck shell=bash
# The demo's nodes and its project. Sourced by demo, which sets place, nodes and house; sets ssh_port and http_port.
: "${place:?}" "${nodes:?}"
sshd_pids=()
# shellcheck source=tests/support/deadline.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/deadline.sh"

# 127.0.0.12 is node2.
name_of() { echo "node${1##*.1}"; }
is_free() { ! (: <>"/dev/tcp/$1/$2") 2>/dev/null; }

# The first of 40 ports that no node's address uses yet. Of scripts that run at once each has a range of its own (TEST_LANE).
free_ports() {
    local lane=${TEST_LANE:-$((RANDOM % 6))} port address tries
    for tries in $(seq "$(deadline 50)"); do
        port=$((20000 + lane % 6 * 1600 + RANDOM % 40 * 40))
        for address in 127.0.0.1 $nodes; do
            is_free "$address" $port && is_free "$address" $((port + 5)) && is_free "$address" $((port + 6)) || continue 2
        done
        echo $port
        return
    done
    echo "no free port after $tries tries" >&2
    return 1
}

# sshd checks that an account is not locked ('!' in its password field) unless PAM decides; only root can look.
pam() {
    if [ "$(id -u)" = 0 ] && getent shadow root | cut -d : -f 2 | grep -q '^!'; then echo yes; else echo no; fi
}

begin_node() {
    local address=$1 home
    home=$place/$(name_of "$1")
    mkdir -p "$home"
    ssh-keygen -q -t ed25519 -N '' -C "$(name_of "$address")" -f "$home/host_key" || return 1
    # SHLVL: else bash reads your start-up file for each session, and the demo would show how long that takes
    cat >"$home/sshd.conf" <<END
ListenAddress $address:$ssh_port
HostKey $home/host_key
PidFile $home/sshd.pid
AuthorizedKeysFile $place/key.pub
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM $(pam)
SetEnv SHLVL=5 ${node_environment:-}
END
    # it ends with the demo's own group of processes, and is ended by its id
    /usr/sbin/sshd -D -e -f "$home/sshd.conf" >"$home/sshd.log" 2>&1 &
    sshd_pids+=($!)
}

begin_nodes() {
    local address tries
    ssh_port=$(free_ports) || return 1
    # and as many after it as a script needs
    http_port=$((ssh_port + 5))
    ssh-keygen -q -t ed25519 -N '' -C demo -f "$place/key" || return 1
    if [ "$(id -u)" = 0 ] && [ ! -d /run/sshd ]; then
        mkdir -m 0755 /run/sshd
        made_run_sshd=yes
    fi
    for address in $nodes; do
        begin_node "$address" || return 1
    done
    for address in $nodes; do
        for tries in $(seq "$(deadline 100)"); do
            is_free "$address" "$ssh_port" || continue 2
            sleep 0.05
        done
        echo "demo: the node $address does not listen after $tries tries:" >&2
        cat "$place/$(name_of "$address")/sshd.log" >&2
        return 1
    done
}

# Ends what begin_nodes and the releases started: sshd by the ids kept here, the web servers by their own pid files.
end_nodes() {
    local pid file
    for file in "$place"/node*/shop/shared/httpd.pid; do
        [ -s "$file" ] && kill "$(cat "$file")" 2>/dev/null
    done
    for pid in "${sshd_pids[@]}"; do
        kill "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    [ "${made_run_sshd:-}" != yes ] || rmdir /run/sshd 2>/dev/null
}

fingerprint() { ssh-keygen -l -f "$1" | cut -d ' ' -f 2; }

write_project() {
    local address
    mkdir -p playbooks bin public
    {
        echo "[web]"
        for address in $nodes; do
            echo "$(name_of "$address") ansible_host=$address host_key=$(fingerprint "$place/$(name_of "$address")/host_key.pub")"
        done
        printf '\n[web:vars]\nansible_port=%s\nansible_user=%s\nansible_ssh_private_key_file=%s\n' \
            "$ssh_port" "$(id -un)" "$place/key"
    } >inventory.ini
    cat >playbooks/shop.ini <<END
[service]
name  = shop
hosts = web
root  = $place/{node}/shop
port  = $http_port
; a command in the release's folder that starts the service, or starts it again; or unit = NAME.service
start = bin/start

[strategy]
batch = 1, 2
max_unavailable = 50%
bake  = 2s

[health]
http = http://{address}:$http_port/healthz
interval = 200ms
min_healthy_time = 1s
healthy_deadline = 3s
END
    cat >bin/start <<'END'
#!/bin/sh
# Starts the shop of this release, instead of the one that runs.
set -e
pid_file=$DEPLOYCTL_ROOT/shared/httpd.pid
if pid=$(cat "$pid_file" 2>/dev/null) && kill "$pid" 2>/dev/null; then
    while [ -n "$(tr -d '\0' <"/proc/$pid/cmdline" 2>/dev/null)" ]; do sleep 0.05; done
fi
setsid busybox httpd -f -p "$DEPLOYCTL_ADDRESS:$DEPLOYCTL_PORT" -h "$(pwd -P)/public" </dev/null >/dev/null 2>&1 &
echo $! >"$pid_file"
END
    chmod 755 bin/start
    git init -q -b main .
}

# VERSION [bad]: a commit with its tag; a bad one has no health page.
release() {
    echo "the shop, $1" >public/index.html
    echo ok >public/healthz
    [ "${2:-}" != bad ] || rm public/healthz
    git add -A
    git -c user.name=demo -c user.email=demo@example.invalid -c commit.gpgsign=false commit -q -m "shop: $1"
    git tag "$1"
}
