# The service's log, at once and followed.

# log_line TEXT: by the service, into its log.
log_line() {
    echo "$1" >>"$root/.deployctl/service.log"
}

# has_said REQUEST TEXT: the request has sent this line by now; what it sends is kept in $others.
has_said() {
    local line
    while IFS= read -r -t 0.05 line <&"$node_out"; do others+=$line$'\n'; done
    others+=$line # a line whose rest is to come
    grep -qxF -- "$1 | $2" <<<"$others"
}

# A journalctl that says $1 about its arguments and then lines of its own.
fake_journalctl() {
    cat >"$work/bin/journalctl" <<END
#!/bin/sh
echo "\$*" >>"$work/journalctl.arguments"
case " \$* " in
*" -n 0 "*) echo "$1" >&2; exit ;;
esac
echo "2026-01-02T03:04:05.000001+0000 host shop[7]: first"
echo "2026-01-02T03:04:06.000001+0000 host shop[7]: second"
case " \$* " in
*" -f "*) echo \$\$ >"$work/journalctl.pid"; exec sleep 300 ;;
esac
END
    chmod 755 "$work/bin/journalctl"
}

test_the_last_lines_of_the_service_log_are_told() {
    locked_node a
    must ok logs lines 5
    expect output "$(output_of)" ''
    for number in 1 2 3; do log_line "line $number"; done
    must ok logs lines 2
    expect output "$(output_of)" $'line 2\nline 3'
}

test_a_followed_log_comes_line_by_line_until_it_is_cancelled() {
    locked_node a
    log_line before
    send logs follow yes lines 5
    follower=$id
    eventually has_said "$follower" before
    group=$(sed -n "s/^$follower > //p" <<<"$others")
    log_line 'while followed'
    eventually has_said "$follower" 'while followed'
    must ok renew fence "$fence"
    log_line "$(printf '%05000d' 7)"
    eventually has_said "$follower" "$(printf '%04000d' 0)"
    must ok cancel target "$follower"
    await "$follower"
    expect status "$status" cancelled
    group_is_gone "$group" || fail "the follower stayed behind"
}

test_a_follower_ends_with_its_connection() {
    locked_node a
    log_line before
    send logs follow yes
    follower=$id
    eventually has_said "$follower" before
    group=$(sed -n "s/^$follower > //p" <<<"$others")
    lose_connection
    eventually group_is_gone "$group"
    eventually rmdir "$work/tmp"
}

test_a_follower_ends_when_its_session_is_killed() {
    locked_node a
    log_line before
    send logs follow yes
    follower=$id
    eventually has_said "$follower" before
    group=$(sed -n "s/^$follower > //p" <<<"$others")
    kill -KILL "$node_pid"
    eventually group_is_gone "$group"
}

test_a_unit_is_asked_of_its_journal_with_times() {
    fake_journalctl ''
    open_node a unit shop.service
    must ok logs lines 1 since 600
    expect output "$(output_of)" '2026-01-02T03:04:06.000001+0000 host shop[7]: second'
    expect rights "$(value_of rights)" ''
    expect arguments "$(tail -n 1 "$work/journalctl.arguments")" \
        '-u shop.service --since=-600s -q --no-pager -o short-iso-precise'
    fake_journalctl 'Hint: You are not seeing everything'
    must ok logs
    expect rights "$(value_of rights)" 'Hint: You are not seeing everything'
}

test_a_followed_journal_leaves_nothing_behind() {
    fake_journalctl ''
    open_node a unit shop.service
    send logs follow yes
    follower=$id
    eventually has_said "$follower" '2026-01-02T03:04:05.000001+0000 host shop[7]: first'
    eventually test -s "$work/journalctl.pid"
    lose_connection
    eventually test ! -e "/proc/$(cat "$work/journalctl.pid")"
}

test_verify_without_a_release_takes_the_current_one() {
    locked_node a start true
    must failed verify
    expect sentence "$sentence" 'no release is current on this node'
    deliver r1
    must ok activate fence 1 release r1
    must ok verify
    expect release "$(value_of release)" r1
    echo changed >>"$root/releases/r1/version"
    must failed verify
    expect changed "$(value_of changed)" version
}
