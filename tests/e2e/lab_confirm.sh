#!/bin/bash
# The confirm timer under a real systemd: the host is cut off, loses its sshd, or its runner dies; each goes back by itself.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

confirm=(--set "strategy.confirm=$(allowed 8)s")

# HOST VERSION SECONDS: the current release comes to be that one, seen from inside, not over the network.
becomes() {
    local end
    end=$(until_second "$3")
    until [ "$(on "$1" cat /srv/shop/current/VERSION 2>/dev/null)" = "$2" ]; do
        [ $SECONDS -lt "$end" ] || fail "$1 is not on $2 after $3 s"
        pause 0.2
    done
}
timers() { on "$1" systemctl list-units --all --plain --no-legend 'deployctl-confirm-*'; }

test_a_confirmed_rollout_leaves_no_timer() {
    shop 0 rollout --ref v2.0 "${confirm[@]}"
    serve 2.0
    for host in "${fleet[@]}"; do
        on "$host" grep -q ' confirm end .* ok confirmed over a new connection' /srv/shop/.deployctl/journal || fail "$host was not confirmed"
        [ -z "$(timers "$host")" ] || fail "$host still has $(timers "$host")"
    done
    sleep $(($(allowed 8) + 1))
    serve 2.0
}

test_a_host_whose_link_is_cut_after_the_activation_goes_back_by_itself() {
    begin_shop rollout --ref v2.0 "${confirm[@]}" --set retry.attempts=2
    wait_said 'web1 +gate'
    case $(timers web1) in *deployctl-confirm-*.timer*) ;; *) fail "no timer of systemd's: $(timers web1)" ;; esac
    "$lab" cut web1
    ended 2
    says 'its own timer puts [^ ]* back'
    becomes web1 1.1 15
    "$lab" heal web1
    serve 1.1 web2 web3 web4 web5 web6
    shop 0 status
    says 'web1 .*reverted by its confirm timer at .* UTC, release'
    [ "$(http web1)" = "ok 1.1" ] || fail "web1 serves '$(http web1)'"
}

test_a_host_whose_sshd_is_stopped_goes_back_over_the_connection_that_stands() {
    begin_shop rollout --ref v2.0 "${confirm[@]}" --set strategy.confirm=30s
    wait_said 'web1 +gate'
    on web1 sh -c 'systemctl stop ssh.socket ssh.service 2>/dev/null; true'
    ended 1
    says 'not confirmed over a new connection'
    on web1 systemctl start ssh.service
    serve 1.1
}

test_a_runner_that_is_killed_leaves_a_host_that_goes_back() {
    begin_shop rollout --ref v2.0 "${confirm[@]}" --set health.min_healthy_time=5s
    wait_said 'web1 +gate'
    kill -KILL "$(background_child)"
    ended 137
    becomes web1 1.1 15
    shop 0 status
    says 'web1 .*reverted by its confirm timer'
    [ -z "$(timers web1)" ] || fail "left behind: $(timers web1)"
}

run_tests "$0" "$@"
