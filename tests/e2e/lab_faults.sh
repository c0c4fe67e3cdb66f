#!/bin/bash
# Nodes that break while they are being changed: what can go back goes back, what cannot is named.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

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

test_a_rollback_that_fails_is_named() {
    # the release before cannot start any more: it runs, but a restart would fail
    on web1 sh -c 'chmod 644 /srv/shop/releases/*/run'
    shop 2 rollout --ref v2.1
    says web1
    serve 1.1 web2 web3 web4 web5 web6
}

run_tests "$0" "$@"
