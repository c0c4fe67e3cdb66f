# Timeouts, cancelling, lost connections, records.

test_a_timeout_ends_the_group_with_a_child_that_ignores_term() {
    locked_node a
    send run fence "$fence" timeout_ms 300 command "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo \$! >'$work/child'; while :; do sleep 1; done"
    await
    expect status "$status" timeout
    group=$(sed -n 's/^> //p' <<<"$reply")
    group_is_gone "$group" || fail "group $group lives"
    case $(ps -o stat= -p "$(cat "$work/child")") in '' | Z*) ;; *) fail "the child lives" ;; esac
    must ok run fence "$fence" command true
}

test_cancel_ends_a_step_and_its_own_reply_says_so() {
    locked_node a
    send run fence "$fence" command "echo \$\$ >'$work/pid'; sleep 300"
    slow=$id
    eventually test -s "$work/pid"
    must ok cancel target "$slow"
    await "$slow"
    expect status "$status" cancelled
    group_is_gone "$(cat "$work/pid")" || fail "it lives"
    must ok cancel target "$slow"
    must ok cancel target 9999
    must ok cancel target x
}

test_a_cancel_sent_at_once_is_not_lost() {
    locked_node a
    for _ in 1 2 3 4 5; do
        send run fence "$fence" command 'sleep 300'
        slow=$id
        send cancel target "$slow"
        await "$slow"
        expect status "$status" cancelled
    done
}

test_a_zombie_does_not_count_as_alive() {
    locked_node a
    must timeout run fence "$fence" timeout_ms 200 command 'sleep 0.01 & exec sleep 300'
}

test_a_step_goes_on_when_the_connection_is_lost_and_its_result_is_on_record() {
    locked_node a
    mkfifo "$work/gate"
    send run fence "$fence" token t-1 command "read -r x <'$work/gate'; echo done >'$work/result'; exit 4"
    eventually recorded '^leader'
    lose_connection
    echo go >"$work/gate"
    eventually recorded '^end failed'
    open_node b
    must ok settle fence "$fence"
    expect token "$(value_of last_token)" t-1
    expect state "$(value_of last_state)" failed
    rm "$work/result"
    must failed run fence "$fence" token t-1 command "echo again >'$work/result'"
    expect recorded "$(value_of recorded)" yes
    expect status "$(value_of status)" 4
    [ ! -e "$work/result" ] || fail "it was done again"
    must ok run fence "$fence" token t-2 command "echo again >'$work/result'"
    [ -e "$work/result" ] || fail "another token was not done"
}

test_the_watchdog_of_a_lost_session_still_ends_its_step() {
    locked_node a
    send run fence "$fence" token t-1 timeout 2 command "sleep 300"
    eventually recorded '^2 t-1 run'
    group=$(step_group)
    lose_connection
    eventually recorded '^end timeout'
    group_is_gone "$group" || fail "it lives"
}

test_settle_ends_what_an_earlier_session_left() {
    locked_node a
    send run fence "$fence" token t-1 command "trap '' TERM; while :; do sleep 1; done"
    eventually recorded '^2 t-1 run'
    group=$(step_group)
    lose_connection
    open_node b
    must refused run fence "$fence" token t-2 command true
    must refused settle
    must ok settle fence "$fence"
    expect token "$(value_of last_token)" t-1
    expect state "$(value_of last_state)" killed
    group_is_gone "$group" || fail "it lives"
    must ok run fence "$fence" token t-1 command true
    expect recorded "$(value_of recorded)" ""
}

test_settle_does_not_touch_a_stranger_with_the_same_pid() {
    locked_node a
    setsid sleep 300 &
    stranger=$!
    eventually kill -0 -- "-$stranger"
    read -r boot </proc/sys/kernel/random/boot_id
    echo "1 t-9 run $stranger 12345 $boot" >"$root/.deployctl/step"
    must ok settle fence "$fence"
    expect state "$(value_of last_state)" lost
    kill -0 "$stranger" || fail "the stranger was killed"
    kill "$stranger"
}

test_settle_with_nothing_on_record() {
    open_node a
    must ok settle
    expect state "$(value_of last_state)" none
    must ok lock rollout r holder h ttl 9
    must ok settle fence 1
    expect token "$(value_of last_token)" -
}

test_killed_with_its_supervisor_the_step_is_found_and_ended() {
    locked_node a
    send run fence "$fence" token t-1 command "sleep 300"
    eventually recorded '^2 t-1 run'
    group=$(step_group)
    kill -KILL $(descendants "$node_pid") "$node_pid"
    kill -0 "$group" || fail "the leader was killed too"
    lose_connection
    open_node b
    must ok settle fence "$fence"
    expect state "$(value_of last_state)" killed
    group_is_gone "$group" || fail "it lives"
}

# Processes below $1 that are still in its process group: supervisors and timers, not leaders.
descendants() {
    local child
    for child in $(ps --ppid "$1" -o pid=); do
        if [ "$(ps -o pgid= -p "$child" | tr -d ' ')" = "$(ps -o pgid= -p "$1" | tr -d ' ')" ]; then
            echo "$child"
            descendants "$child"
        fi
    done
}

# The program, killed at some moment of a whole delivery with all that it started, leaves what a new session can finish.
# must ok; what a killed session had just begun may come late and is settled once more, since both have the same generation.
settled() {
    local tries
    for tries in {1..20}; do
        ask "$@"
        case $status,$sentence in
        refused,*busy*) must ok settle fence 1 ;;
        *) break ;;
        esac
    done
    expect "$1" "$status" ok
}

test_killed_at_any_moment_a_new_session_goes_on() {
    make_tree v1
    make_package r1
    local moment
    for moment in 0.000 0.003 0.006 0.010 0.014 0.018 0.022 0.027 0.032 0.038 0.045 0.052 0.060 0.070 0.080 0.095 0.110 0.130 0.150 0.180; do
        rm -rf "$root"
        locked_node a
        ( ask stage fence 1 release r1 sha256 "$sha256" bytes "$bytes" unpacked "$unpacked" manifest_sha256 "$manifest_sha256" token s1
          cp "$archive" "$(value_of path)"
          ask unpack fence 1 release r1 sha256 "$sha256" compression gzip manifest_sha256 "$manifest_sha256" token u1
          ask activate fence 1 release r1 token a1
          ask commit fence 1 release r1 token c1 ) >/dev/null 2>&1 &
        client=$!
        sleep "$moment"
        kill -KILL $(everything "$node_pid") 2>/dev/null
        kill "$client" 2>/dev/null
        wait "$client" 2>/dev/null
        lose_connection
        if [ -e "$root/releases/r1" ]; then
            [ -f "$root/.deployctl/manifests/r1" ] && [ -x "$root/releases/r1/bin/run" ] || fail "at $moment: half a release"
        fi
        open_node b
        must ok settle fence 1
        settled stage fence 1 release r1 sha256 "$sha256" bytes "$bytes" unpacked "$unpacked" manifest_sha256 "$manifest_sha256" token s1
        [ -z "$(value_of path)" ] || cp "$archive" "$(value_of path)"
        settled unpack fence 1 release r1 sha256 "$sha256" compression gzip manifest_sha256 "$manifest_sha256" token u1
        settled activate fence 1 release r1 token a1
        settled commit fence 1 release r1 token c1
        must ok verify release r1
        must ok facts
        expect "current at $moment" "$(value_of current)" r1
        expect "good at $moment" "$(value_of current_good)" yes
        lose_connection
    done
}

everything() {
    local child
    echo "$1"
    for child in $(ps --ppid "$1" -o pid=); do
        everything "$child"
    done
}

test_a_step_that_leaves_its_group_is_answered_all_the_same() {
    locked_node a
    must ok run fence "$fence" command "sleep 300 >/dev/null 2>&1 & echo \$! >'$work/daemon'"
    kill -0 "$(cat "$work/daemon")" || fail "the background process ended with the step"
    kill "$(cat "$work/daemon")"
}
