#!/bin/bash
# Nodes that break while they are being changed: what can go back goes back, what cannot is named.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# HOST REGEX CMD...: until it ended; CMD ends the fault. The release is everywhere, or the host is named with its reason and nobody has it.
ended_in_one_way() {
    local code host=$1 reason=$2
    shift 2
    wait "$background"
    code=$?
    sed 's/^/  | /' "$output"
    "$@"
    case $code in
    0) serve 2.0 ;;
    1 | 2)
        says "$host .*($reason)"
        for host in "${fleet[@]}"; do [ "$(http "$host")" = "ok 1.1" ] || fail "$host serves '$(http "$host")'"; done
        shop 0 abort
        serve 1.1
        ;;
    *) fail "exit code $code" ;;
    esac
}

restore() { "$lab" boot "$1" >/dev/null 2>&1; }

test_a_node_that_dies_in_its_wave_needs_care_and_the_others_go_back() {
    begin_shop rollout --ref v2.0 --set strategy.bake=3s
    wait_said 'web2 +gate'
    "$lab" kill web2
    ended 2
    restore web2
    says web2
    serve 1.1 web1 web3 web4 web5 web6
}

test_a_node_that_dies_in_the_bake_needs_care_and_the_others_go_back() {
    begin_shop rollout --ref v2.0 --set strategy.bake=6s
    wait_said 'web1 +bake'
    "$lab" kill web1
    ended 2
    restore web1
    says web1
    serve 1.1 web2 web3 web4 web5 web6
}

test_a_node_that_is_frozen_for_good_needs_care_and_the_others_go_back() {
    begin_shop rollout --ref v2.0 --set strategy.bake=3s --set retry.step_timeout=5s --set retry.attempts=2
    wait_said 'web2 +(activate|gate)'
    "$lab" freeze web2
    ended 2
    "$lab" thaw web2
    says web2
    serve 1.1 web1 web3 web4 web5 web6
}

test_a_node_that_is_frozen_for_a_moment_is_waited_for() {
    begin_shop rollout --ref v2.0 --set strategy.bake=2s
    wait_said 'web2 +(activate|gate)'
    "$lab" freeze web2
    sleep 2
    "$lab" thaw web2
    ended 0
    serve 2.0
}

test_a_link_that_is_cut_for_a_moment_costs_nothing() {
    begin_shop rollout --ref v2.0 --set strategy.bake=4s --set health.fall=20
    wait_said 'web1 +bake'
    "$lab" cut web1
    sleep 1.5
    "$lab" heal web1
    ended 0
    serve 2.0
}

# web6 is the balancer of the first three: whom it sends traffic to stands in a file for each.
behind_web6() {
    playbook=$work/balanced.ini
    {
        cat playbooks/rolling.ini
        cat <<'END'

[balancer front]
type  = command
nodes = web6
drain = echo drain >/var/tmp/front/$DEPLOYCTL_SERVER
ready = echo ready >/var/tmp/front/$DEPLOYCTL_SERVER
state = cat /var/tmp/front/$DEPLOYCTL_SERVER
timeout = 2s
END
    } >"$playbook"
    on web6 sh -c 'mkdir -p /var/tmp/front && cd /var/tmp/front && for i in 1 2 3; do echo ready >web$i; done && chmod -R a+rwX .'
}
test_a_balancer_that_is_cut_off_stops_it_names_who_is_out_and_resume_finishes() {
    local playbook
    behind_web6
    remember_process web2 web3
    trap '"$lab" heal web6' EXIT
    LIMIT_S=180 begin_shop rollout --ref v2.0 --limit web1:web2:web3 --set strategy.batch=1 --set failure.action=pause
    wait_said 'web1 +(activate|gate)'
    "$lab" cut web6
    ended 3
    says 'web1 .*balancer front on web6: ' 'web1 .*left out of the balancers. traffic'
    same_process web2 web3
    "$lab" heal web6
    [ "$(on web6 cat /var/tmp/front/web1 /var/tmp/front/web2 /var/tmp/front/web3 | paste -s -d ' ')" = "drain ready ready" ] ||
        fail "somebody else was taken out, or web1 is in"
    LIMIT_S=120 shop 0 resume --limit web1:web2:web3
    serve 2.0 web1 web2 web3
    [ "$(on web6 cat /var/tmp/front/web1 /var/tmp/front/web2 /var/tmp/front/web3 | sort -u)" = ready ] || fail "not all are in again"
}

test_a_rollback_that_fails_is_named() {
    # the release before is as it was staged, and the machine does not let it start any more
    trap "on web1 sh -c 'rm -r /run/systemd/system/shop.service.d && systemctl daemon-reload'" EXIT
    on web1 sh -c 'cd /run/systemd/system && mkdir -p shop.service.d &&
        printf "[Service]\nExecStartPre=/usr/bin/grep -qv ^1[.]1 /srv/shop/current/VERSION\n" >shop.service.d/refuse.conf &&
        systemctl daemon-reload'
    shop 2 rollout --ref v2.1
    says web1
    serve 1.1 web2 web3 web4 web5 web6
}

test_an_sshd_that_is_killed_in_a_step_is_connected_to_again() {
    begin_shop rollout --ref v2.0 --set strategy.bake=2s --set retry.attempts=10
    wait_said 'web2 +(activate|gate)'
    # the listener and every session; systemd starts the listener again
    on web2 pkill -KILL -x sshd
    ended 0
    serve 2.0
}

test_a_host_that_is_rebooted_in_a_step_comes_back_or_is_named() {
    begin_shop rollout --ref v2.0 --set strategy.bake=3s --set retry.attempts=6 --set health.healthy_deadline=40s
    wait_said 'web2 +(activate|gate)'
    "$lab" reboot web2
    ended 0
    serve 2.0
}

disk_is_free() {
    on web3 rm -f /srv/filler
    "$lab" disk web3 off
}
test_a_disk_that_is_full_by_the_time_of_the_switch_costs_nobody_its_service() {
    "$lab" disk web3 8M || fail "no small disk"
    begin_shop rollout --ref v2.0 --set strategy.batch=1 --set strategy.bake=4s
    wait_said 'web1 +bake'
    on web3 sh -c 'dd if=/dev/zero of=/srv/filler bs=4k 2>/dev/null; sync'
    ended_in_one_way web3 'disk|space' disk_is_free
}

test_a_disk_that_is_read_only_by_the_time_of_the_switch_costs_nobody_its_service() {
    begin_shop rollout --ref v2.0 --set strategy.batch=1 --set strategy.bake=4s
    wait_said 'web1 +bake'
    "$lab" readonly web3 on || fail "not read-only"
    ended_in_one_way web3 'read-only|Read-only|writ' "$lab" readonly web3 off
}

# The hosts share this machine's clock: what is set back is what `date` says to the node's program.
clock_can_be_set() {
    on "$1" sh -c 'cat >/usr/local/bin/date && chmod 755 /usr/local/bin/date' <<'END'
#!/bin/sh
[ ! -e /run/clock-is-back ] || set -- -d '1 hour ago' "$@"
exec /usr/bin/date "$@"
END
}
clock_is_right_again() { on "$1" rm -f /usr/local/bin/date /run/clock-is-back; }
test_a_clock_that_is_set_back_an_hour_breaks_no_lock_and_no_order() {
    local last
    clock_can_be_set web1
    clock_can_be_set web2
    begin_shop rollout --ref v2.0 --set strategy.bake=3s
    wait_said 'web1 +bake'
    on web1 touch /run/clock-is-back
    on web2 touch /run/clock-is-back
    ended 0
    serve 2.0
    # a session asks the wall clock once, so it is the next one that has the earlier time
    shop 0 rollout --ref v2.4
    last=$(on web1 tail -n 1 /srv/shop/.deployctl/journal | cut -d ' ' -f 2)
    serve 2.4
    shop 0 rollback
    clock_is_right_again web1
    clock_is_right_again web2
    serve 2.0
    [ "$last" -lt $(($(date +%s) - 3000)) ] || fail "the clock was not set back"
}

run_tests "$0" "$@"
