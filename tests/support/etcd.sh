# shellcheck shell=bash
# A real etcd with TLS, client certificates and a user, for tests. Sourced; the script sets place (a folder of its own) and etcd_port.
: "${place:?}" "${etcd_port=}"
etcd_pid=''

# Once: who signs, etcd's certificate and ours.
make_certificates() {
    local name
    mkdir -p "$place/tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test-ca \
        -keyout "$place/tls/ca.key" -out "$place/tls/ca.pem" 2>/dev/null || return 1
    # the gateway inside etcd speaks to etcd with etcd's own certificate, so that is a client's too
    printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >"$place/tls/ext"
    for name in server client; do
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/O=$name" \
            -keyout "$place/tls/$name.key" -out "$place/tls/$name.csr" 2>/dev/null &&
            openssl x509 -req -in "$place/tls/$name.csr" -CA "$place/tls/ca.pem" -CAkey "$place/tls/ca.key" -CAcreateserial \
                -days 2 -extfile "$place/tls/ext" -out "$place/tls/$name.pem" 2>/dev/null || return 1
    done
}

begin_etcd() {
    local tries
    [ ! -s "$place/etcd.pid" ] || return 0
    etcd --name test --data-dir "$place/etcd" --log-level warn \
        --listen-client-urls "https://127.0.0.1:$etcd_port" --advertise-client-urls "https://127.0.0.1:$etcd_port" \
        --listen-peer-urls "http://127.0.0.1:$((etcd_port + 1))" --initial-advertise-peer-urls "http://127.0.0.1:$((etcd_port + 1))" \
        --initial-cluster "test=http://127.0.0.1:$((etcd_port + 1))" \
        --cert-file "$place/tls/server.pem" --key-file "$place/tls/server.key" --trusted-ca-file "$place/tls/ca.pem" --client-cert-auth \
        >"$place/etcd.log" 2>&1 &
    etcd_pid=$!
    disown "$etcd_pid"
    echo "$etcd_pid" >"$place/etcd.pid"
    for tries in $(seq "$(deadline 200)"); do
        curl -s -o /dev/null --cacert "$place/tls/ca.pem" --cert "$place/tls/client.pem" --key "$place/tls/client.key" \
            "https://127.0.0.1:$etcd_port/health" && return 0
        kill -0 "$etcd_pid" 2>/dev/null || break
        pause 0.1
    done
    echo "etcd does not answer after $tries tries:" >&2
    tail -n 20 "$place/etcd.log" >&2
    return 1
}
# Dead at once, as by a power cut; what it has kept stays.
kill_etcd() {
    [ -s "$place/etcd.pid" ] || return 0
    etcd_pid=$(cat "$place/etcd.pid")
    rm -f "$place/etcd.pid"
    kill -KILL "$etcd_pid" 2>/dev/null
    while kill -0 "$etcd_pid" 2>/dev/null; do sleep 0.05; done
}
# ARG...: etcdctl as root, with time for a busy machine.
ctl() {
    ETCDCTL_API=3 etcdctl --command-timeout 60s --dial-timeout 30s --endpoints "https://127.0.0.1:$etcd_port" --cacert "$place/tls/ca.pem" --cert "$place/tls/client.pem" \
        --key "$place/tls/client.key" --user root:root-word "$@"
}
# A user `runner` who may write everything; password in $place/password.
make_etcd_users() {
    local bare
    bare=(etcdctl --endpoints "https://127.0.0.1:$etcd_port" --cacert "$place/tls/ca.pem" --cert "$place/tls/client.pem" --key "$place/tls/client.key")
    export ETCDCTL_API=3
    "${bare[@]}" user add root:root-word &&
        "${bare[@]}" user grant-role root root &&
        "${bare[@]}" user add runner:runner-word &&
        "${bare[@]}" role add writer &&
        "${bare[@]}" role grant-permission writer --prefix=true readwrite / &&
        "${bare[@]}" user grant-role runner writer &&
        "${bare[@]}" auth enable
    echo runner-word >"$place/password"
}
