# Whether what answers is the instance that the activation started: real processes that listen on a loopback port.

# A port that is free now, below those that the kernel gives to clients.
free_port() {
    local tries
    for tries in {1..50}; do
        port=$((10000 + RANDOM % 20000))
        (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 0
    done
    fail "no free port"
}

# serving_node NAME START STOP [KEY VALUE]...: its releases' bin/serve is a web server in the background, which ends when the port is taken.
serving_node() {
    local name=$1 start=$2 stop=$3
    shift 3
    free_port
    server=$(command -v busybox)
    locked_node "$name" start "$start" ${stop:+stop "$stop"} "$@"
}

# Ended with the test, by their ids.
end_servers() {
    local pid
    while read -r pid; do kill "$pid" 2>/dev/null; done <"$work/pids"
}

# A release that serves from its own folder.
serving_release() {
    make_tree "$1"
    cat >"$work/tree/bin/serve" <<END
#!/bin/sh
echo "starting $1"
setsid "$server" httpd -f -p 127.0.0.1:$port -h "\${1:-.}" </dev/null >/dev/null 2>&1 3>&- &
echo "\$!" >>"$work/pids"
echo "\$!" >"$work/pid"
END
    chmod 755 "$work/tree/bin/serve"
    make_package "$1"
    stage "$1"
    unpack "$1"
    expect "unpack $1" "$status" ok
}

listens() { (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
# A child that has lost its port is a zombie until its shell is gone, or gone.
has_ended() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
server_pid() { cat "$work/pid"; }
put() { ask activate fence "$fence" release "$1" port "$port" address 127.0.0.1 "${@:2}"; }
put_well() { put "$@"; expect "activate $1" "$status" ok; eventually listens; }
instance_of() { must ok instance release "$1" port "$port" address 127.0.0.1 "${@:2}"; value_of instance; }
stop_server='kill "$(cat '"'"'WORK/pid'"'"')"; while [ -e "/proc/$(cat '"'"'WORK/pid'"'"')/exe" ]; do sleep 0.05; done'

test_a_process_that_started_since_and_runs_from_the_release_is_the_new_one() {
    trap 'end_servers; stop_nodes' EXIT
    serving_node a bin/serve "${stop_server//WORK/$work}"
    serving_release r1
    serving_release r2
    put_well r1
    expect first "$(instance_of r1)" new
    put_well r2
    expect second "$(instance_of r2)" new
    expect "not asked about" "$(instance_of r1)" unmarked
    # the same with a port only, and where nothing listens there
    must ok instance release r2 port "$port"
    expect "no address" "$(value_of instance)" "none nothing listens on port $port"
    must ok instance release r2
    case $(value_of instance) in "unknown "*) ;; *) fail "$reply" ;; esac
}

test_the_old_process_that_keeps_its_port_is_told_by_its_number() {
    trap 'end_servers; stop_nodes' EXIT
    serving_node a bin/serve ''
    serving_release r1
    serving_release r2
    put_well r1
    old=$(server_pid)
    put_well r2
    eventually has_ended "$(server_pid)"
    expect old "$(instance_of r2)" "old the old process still answers on port $port (pid $old, started before the activation)"
    # the same activation once more finds nothing else
    put_well r2
    expect again "$(instance_of r2)" "old the old process still answers on port $port (pid $old, started before the activation)"
    # it is the one that the undo goes back to
    put_well r1
    expect back "$(instance_of r1)" new
    kill "$old"
    eventually has_ended "$old"
    expect none "$(instance_of r1)" "none nothing listens on port $port"
}

test_a_stop_that_fails_while_the_old_process_listens_fails_the_activation() {
    trap 'end_servers; stop_nodes' EXIT
    serving_node a bin/serve 'exit 3'
    serving_release r1
    serving_release r2
    put_well r1
    old=$(server_pid)
    put r2
    expect status "$status" failed
    expect sentence "$sentence" "stop: exit status 3, and process $old still listens on port $port"
    expect "the link stays" "$(readlink "$root/current")" releases/r1
    # going back to what was never stopped
    put_well r1
    expect back "$sentence" "release r1 is current; its process was not stopped and goes on"
    expect "not started again" "$(server_pid)" "$old"
    expect instance "$(instance_of r1)" new
    # with nothing that listens it is a warning, as before
    kill "$old"
    eventually has_ended "$old"
    put_well r2
    expect instance "$(instance_of r2)" new
}

test_a_failed_first_release_without_stop_is_not_told_to_be_gone() {
    trap 'end_servers; stop_nodes' EXIT
    serving_node a bin/serve ''
    serving_release r1
    put_well r1
    new=$(server_pid)
    put -
    expect status "$status" failed
    case $sentence in
    "no release is current, but process $new of release r1 still listens on port $port: "*"add \`stop\`"*) ;;
    *) fail "$sentence" ;;
    esac
    [ ! -e "$root/current" ] || fail "current is there"
    put -
    expect "once more" "$status" failed
    kill "$new"
    eventually has_ended "$new"
    put -
    expect ended "$status" ok
    case $(value_of warning) in *"no \`stop\`"*unknown*) ;; *) fail "$reply" ;; esac
    # what listened before the activation is not its own
    (cd "$work" && exec "$server" httpd -f -p "127.0.0.1:$port") &
    echo "$!" >>"$work/pids"
    eventually listens
    put r1
    put -
    expect stranger "$status" ok
}

test_a_process_of_another_release_and_one_of_no_release() {
    trap 'end_servers; stop_nodes' EXIT
    serving_node a "sh bin/serve" "${stop_server//WORK/$work}"
    serving_release r1
    serving_release r2
    put_well r1
    put_well r2
    kill "$(server_pid)"
    eventually has_ended "$(server_pid)"
    (cd "$root/releases/r1" && exec bin/serve) 3>&-
    eventually listens
    expect other "$(instance_of r2)" "old what answers on port $port runs from release r1 (pid $(server_pid))"
    kill "$(server_pid)"
    eventually has_ended "$(server_pid)"
    (cd / && exec sh "$root/releases/r2/bin/serve" /tmp) 3>&-
    eventually listens
    case $(instance_of r2) in "unknown process $(server_pid), "*) ;; *) fail "$reply" ;; esac
}

test_a_reload_is_shown_by_a_new_worker_only() {
    trap 'end_servers; stop_nodes' EXIT
    serving_node a bin/serve '' reload true
    serving_release r1
    serving_release r2
    put_well r1
    put_well r2
    case $(instance_of r2) in "unknown "*reloaded*) ;; *) fail "$reply" ;; esac
}

test_a_restart_needs_a_process_that_started_since() {
    trap 'end_servers; stop_nodes' EXIT
    serving_node a bin/serve ''
    serving_release r1
    put_well r1
    must ok restart fence "$fence" release r1 port "$port" address 127.0.0.1
    case $(instance_of r1) in "old "*) ;; *) fail "$reply" ;; esac
}

test_evidence_is_of_the_activation_of_that_release_alone() {
    locked_node a start 'echo "lines of $(cat version)"; printf "no end"'
    deliver r1
    deliver r2
    must ok activate fence "$fence" release r1
    must ok activate fence "$fence" release r2
    must ok evidence lines 20 release r2
    expect output "$(output_of)" $'lines of r2\nno end'
    must ok activate fence "$fence" release r1
    must ok evidence lines 20 release r2
    expect "while the undo runs" "$(output_of)" $'lines of r2\nno end'
    must ok evidence lines 20 release r3
    expect "not activated" "$(output_of)" ''
    must ok evidence lines 1
    expect "of no release: the last ones" "$(output_of)" 'no end'
    # a log that was cut to its bound keeps the last mark
    { for number in {1..9000}; do printf '%040d\n' "$number"; done; } >>"$root/.deployctl/service.log"
    must ok activate fence "$fence" release r2
    must ok evidence lines 2 release r1
    expect cut "$(output_of)" "$(printf '%040d\n%040d' 8999 9000)"
}

# A systemctl whose unit is what the file $work/unit says; restart makes another one of it.
unit_of_the_test() {
    cat >"$work/bin/systemctl" <<END
#!/bin/sh
case "\$*" in
*show*) cat "$work/unit" ;;
*restart*) cp "$work/unit.next" "$work/unit" ;;
esac
END
    chmod 755 "$work/bin/systemctl"
    unit_is 1 100 aaaa unit
}
unit_is() {
    printf '%s\n' LoadState=loaded ActiveState=active SubState=running "MainPID=$1" NRestarts=0 Result=success "InvocationID=$3" \
        "ExecMainStartTimestampMonotonic=$2" >"$work/$4"
}

test_a_unit_is_new_when_its_invocation_is() {
    unit_of_the_test
    locked_node a unit shop.service
    deliver r1
    unit_is 2 200 bbbb unit.next
    must ok activate fence "$fence" release r1
    must ok unit release r1
    expect new "$(value_of instance)" new
    # a restart that restarts nothing
    must ok restart fence "$fence" release r1
    must ok unit release r1
    expect old "$(value_of instance)" "old unit shop.service still runs the old process (pid 2, started before the activation)"
    must ok instance release r1
    expect "asked alone" "$(value_of instance)" "old unit shop.service still runs the old process (pid 2, started before the activation)"
    # a systemd that has no invocations
    unit_is 2 200 '' unit
    must ok restart fence "$fence" release r1
    unit_is 3 300 '' unit
    must ok unit release r1
    expect stamp "$(value_of instance)" new
    must ok unit
    expect "not asked" "$(value_of instance)" ''
}

test_a_unit_s_evidence_begins_with_its_activation() {
    unit_of_the_test
    fake_journalctl ''
    locked_node a unit shop.service
    deliver r1
    deliver r2
    unit_is 2 200 bbbb unit.next
    before=$(date +%s)
    must ok activate fence "$fence" release r1
    must ok activate fence "$fence" release r2
    must ok evidence lines 5 release r1
    since=$(sed -n 's/.*--since=@\([0-9]*\).*/\1/p' "$work/journalctl.arguments")
    [ "$since" -ge "$before" ] && [ "$since" -le "$(date +%s)" ] || fail "since $since"
    must ok evidence lines 5 release r3
    expect "not activated" "$(output_of)" ''
    must ok evidence lines 5
    case $(tail -n 1 "$work/journalctl.arguments") in *"-n 5 "*) ;; *) fail "$(cat "$work/journalctl.arguments")" ;; esac
}
