# shellcheck shell=bash
# Four nodes whose service is nginx, behind real HAProxies (a, b) or an nginx; each node and each balancer is an sshd process of its own on a
# loopback address. Sourced by a script that has set here, house, place, nodes, web, program, load_program and REQUESTS_MIN.
: "${here:?}" "${house:?}" "${place:?}" "${nodes:?}" "${web:?}" "${program:?}" "${load_program:?}" "${REQUESTS_MIN:?}"
# shellcheck source=tests/demo/nodes.sh
. "$here/../demo/nodes.sh"
output=$place/output front_n='' common=() quick=() playbook=''

# What a test that failed has left.
end_load() {
    [ ! -s "$place/load.pid" ] || kill -9 "$(cat "$place/load.pid")" 2>/dev/null
    rm -f "$place/load.pid"
}
end_all() {
    local file
    end_load
    end_haproxy a
    end_haproxy b
    end_nginx
    for file in "$place"/*/shop/shared/nginx.pid; do [ -s "$file" ] && kill "$(cat "$file")" 2>/dev/null; done
    end_nodes
    rm -rf "$place"
}
trap end_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- the project

write_shop() {
    local address
    mkdir -p bin playbooks
    {
        for address in $nodes; do
            echo "$(name_of "$address") ansible_host=$address host_key=$(fingerprint "$place/$(name_of "$address")/host_key.pub")"
        done
        printf '[web]\nnode[1:4]\n[blue]\nnode[1:2]\n[green]\nnode[3:4]\n[lb]\nnode[5:6]\n[all:vars]\nupstream_file=%s\nnginx_conf=%s\nansible_port=%s\nansible_user=%s\nansible_ssh_private_key_file=%s\n' \
            "$place/balancer/shop.upstream" "$place/balancer/nginx.conf" "$ssh_port" "$(id -un)" "$place/key"
    } >inventory.ini
    cat >bin/start <<'END'
#!/bin/sh
# The service: nginx in front of this release's pages, instead of the one that runs already.
set -e
release=$(cd "$(dirname "$0")/.." && pwd -P)
"$release/bin/stop"
shared=$DEPLOYCTL_ROOT/shared
mkdir -p "$shared"
cat >"$shared/nginx.conf" <<CONF
$([ "$(id -u)" != 0 ] || echo "user root;")
pid $shared/nginx.pid;
error_log $shared/nginx.log;
worker_processes 1;
events { worker_connections 512; }
http {
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path $shared/t1; proxy_temp_path $shared/t2; fastcgi_temp_path $shared/t3;
    uwsgi_temp_path $shared/t4; scgi_temp_path $shared/t5;
    server { listen $DEPLOYCTL_ADDRESS:$DEPLOYCTL_PORT; root $release/public;
        location = /slow { limit_rate 100; } }
}
CONF
nginx -e "$shared/nginx.log" -c "$shared/nginx.conf" </dev/null >/dev/null 2>&1
END
    # TERM, not QUIT: what is still served then is lost, and would be counted
    cat >bin/stop <<'END'
#!/bin/sh
file=$DEPLOYCTL_ROOT/shared/nginx.pid
pid=$(cat "$file" 2>/dev/null) || exit 0
kill "$pid" 2>/dev/null
while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
rm -f "$file"
END
    chmod 755 bin/start bin/stop
    mkdir -p public
    head -c 100000 /dev/zero >public/slow
    git init -q -b main .
}

# NAME PORTS...: its socket's and its frontend's.
write_haproxy() {
    local name=$1 socket=$2 front=$3 address
    {
        cat <<END
global
    stats socket ipv4@127.0.0.1:$socket level ${4:-admin}
    maxconn 4000
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
    timeout check 5s
    retries 0
frontend in
    bind 127.0.0.1:$front
    default_backend shop
backend shop
    balance roundrobin
    option httpchk GET /healthz
END
        for address in $web; do
            echo "    server $(name_of "$address") $address:$http_port check inter 300ms fall 2 rise 2"
        done
    } >"$place/$name.cfg"
}
# It leaves the shell, and is ended by its pid file.
begin_haproxy() { haproxy -D -p "$place/haproxy.$1.pid" -f "$place/$1.cfg" >"$place/$1.log" 2>&1; }
end_haproxy() {
    local pid
    [ -s "$place/haproxy.$1.pid" ] || return 0
    pid=$(cat "$place/haproxy.$1.pid")
    rm -f "$place/haproxy.$1.pid"
    kill "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}
# PORT: an nginx as balancer of the four, its upstream in a file of its own.
write_nginx() {
    local address
    mkdir -p "$place/balancer"
    cat >"$place/balancer/nginx.conf" <<END
$([ "$(id -u)" != 0 ] || echo "user root;")
pid $place/balancer/nginx.pid;
error_log $place/balancer/error.log;
worker_processes 2;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path $place/balancer/t1; proxy_temp_path $place/balancer/t2; fastcgi_temp_path $place/balancer/t3;
    uwsgi_temp_path $place/balancer/t4; scgi_temp_path $place/balancer/t5;
    include $place/balancer/shop.upstream;
    server { listen 127.0.0.1:$1; location / { proxy_pass http://shop; proxy_http_version 1.1; proxy_set_header Connection "";
        proxy_next_upstream off; } }
}
END
    {
        echo "upstream shop {"
        for address in $web; do echo "    server $address:$http_port max_fails=0;"; done
        echo "    keepalive 16;"
        echo "}"
    } >"$place/balancer/shop.upstream"
}
begin_nginx() { nginx -e "$place/balancer/error.log" -c "$place/balancer/nginx.conf" </dev/null >/dev/null 2>&1; }
end_nginx() {
    local pid
    pid=$(cat "$place/balancer/nginx.pid" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}
wait_port() { for _ in $(seq "$(deadline 100)"); do is_free 127.0.0.1 "$1" || return 0; sleep 0.05; done; fail "nothing listens on $1"; }

# --- assertions: each ends the test

fail() {
    echo "  $*"
    exit 1
}
# COMMAND: what HAProxy a says.
ask() { local out; exec 9<>"/dev/tcp/127.0.0.1/$1" || return; printf '%s\n' "$2" >&9; out=$(cat <&9); exec 9>&-; echo "$out"; }
# PORT NODE...: those servers are out or down at the HAProxy there, the others are in.
in_at() {
    local port=$1 bad
    bad=$(ask "$port" "show servers state shop" | awk '$2 == "shop" && ($6 != 2 || $7 != 0) { print $4 }')
    [ -z "$bad" ] || fail "not in the traffic at $port: $bad"
    return 0
}
serves() {
    local address body
    for address in $web; do
        body=$(curl -s -m 3 "http://$address:$http_port/")
        [ "$body" = "the shop, $1" ] || fail "$address says '$body', wanted: the shop, $1"
    done
}
shop() {
    local wanted=$1 verb=$2 code
    shift 2
    timeout -k 5 "$(deadline "${LIMIT_S:-90}")" "$program" "$verb" -i inventory.ini "${quick[@]}" "$@" "$playbook" >"$output" 2>&1 </dev/null
    code=$?
    sed 's/^/  | /' "$output"
    [ $code = "$wanted" ] || fail "exit code $code, wanted $wanted"
}
says() { grep -qE -- "$1" "$output" || fail "it did not say: $1"; }

# PORT: load there, in the background, over kept and over new connections; its report goes to $place/load. Some hundred requests a second, which leave
# the processors to others, unless a number was asked for.
begin_load() {
    "$load_program" 127.0.0.1 "$1" 6 2 "$REQUESTS_MIN" "${LOAD_PAUSE_MS:-10}" >"$place/load" 2>"$place/load.begun" &
    load=$!
    echo "$load" >"$place/load.pid"
    for _ in $(seq "$(deadline 400)"); do
        grep -q begun "$place/load.begun" && break
        pause 0.05
    done
    kill -USR1 "$load"
}
# Until there were enough requests; none failed.
load_is_clean() {
    local requests
    sleep "${LOAD_S:-1}"
    kill -TERM "$load"
    wait "$load"
    rm -f "$place/load.pid"
    sed 's/^/NUMBERS /' "$place/load"
    requests=$(awk -F '[: ]+' '{ for (i = 2; i <= NF; i++) if ($i == "requests,") n += $(i - 1) } END { print n + 0 }' "$place/load")
    [ "$requests" -ge "$REQUESTS_MIN" ] || fail "only $requests requests"
    ! grep -qv ' 0 failures,' "$place/load" || fail "requests failed"
}

# Everything in nginx's file is in, with its whole weight.
all_in_nginx() {
    ! grep -q 'down' "$place/balancer/shop.upstream" || fail "$(cat "$place/balancer/shop.upstream")"
    [ "$(grep -c 'weight=100 max_fails=0; # full=100' "$place/balancer/shop.upstream")" = 4 ] || fail "$(cat "$place/balancer/shop.upstream")"
}
# Options for the nginx that write_nginx makes.
nginx_options() {
    quick=("${common[@]}" --set "balancer front.nodes=node5" --set "balancer front.file=$place/balancer/shop.upstream"
        --set "balancer front.test=PATH=\$PATH:/usr/sbin nginx -t -c $place/balancer/nginx.conf"
        --set "balancer front.reload=PATH=\$PATH:/usr/sbin nginx -s reload -c $place/balancer/nginx.conf" --set "balancer front.pid=$place/balancer/nginx.pid"
        --set "balancer front.drain_timeout=5s")
}
# The test at hand goes on behind nginx.
behind_nginx() {
    write_nginx "$front_n"
    begin_nginx || fail "nginx: $(cat "$place/balancer/error.log")"
    wait_port "$front_n"
    playbook=$house/playbooks/nginx.ini
    nginx_options
    quick+=(--set "balancer front.warmup=10%:200ms, 50%:200ms")
}
