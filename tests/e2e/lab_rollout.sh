#!/bin/bash
# Rollouts over six real hosts: good releases and all kinds of bad ones.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

test_a_good_release_reaches_all_six() {
    shop 0 rollout --ref v2.0
    serve 2.0
}

test_a_release_that_runs_already_is_nothing_to_do() {
    remember_process "${fleet[@]}"
    shop 0 rollout --ref v1.1
    same_process "${fleet[@]}"
    serve 1.1
}

test_a_release_that_never_gets_healthy_is_rolled_back() {
    remember_process web2 web3 web4 web5 web6
    shop 1 rollout --ref v2.1
    says web1 404
    serve 1.1
    same_process web2 web3 web4 web5 web6
}

test_a_release_whose_unit_fails_is_rolled_back() {
    remember_process web2 web3 web4 web5 web6
    shop 1 rollout --ref v2.2
    says web1
    serve 1.1
    same_process web2 web3 web4 web5 web6
}

test_a_release_that_falls_in_the_bake_is_rolled_back() {
    remember_process web2 web3 web4 web5 web6
    shop 1 rollout --ref v2.3 --set strategy.bake=8s
    serve 1.1
    same_process web2 web3 web4 web5 web6
}

test_a_first_release_reaches_nodes_that_have_nothing() {
    everywhere host_wipe
    shop 0 rollout --ref v2.0
    serve 2.0
}

test_a_first_release_that_fails_leaves_nothing_running() {
    everywhere host_wipe
    shop 1 rollout --ref v2.1
    serve -
    shop 0 rollout --ref v2.0
    serve 2.0
}

test_after_a_failed_release_the_next_good_one_goes_out() {
    shop 1 rollout --ref v2.1
    shop 0 rollout --ref v2.4
    serve 2.4
    shop 0 rollback
    serve 1.1
}

test_a_group_of_the_fleet_alone_is_moved() {
    remember web3 web4 web5 web6
    shop 0 rollout --ref v2.0 -l 'web1,web2'
    serve 2.0 web1 web2
    serve 1.1 web3 web4 web5 web6
    untouched web3 web4 web5 web6
}

test_one_failure_within_the_budget_goes_back_alone_and_is_named() {
    on web4 touch /srv/refuses
    {
        sed 's/^max_failures = 0/max_failures = 1/' playbooks/rolling.ini
        printf '\n[step accept]\nwhen = after_activate\nrun = test ! -e /srv/refuses\n'
    } >"$work/budget.ini"
    deployctl 2 rollout -i "$work/inventory.ini" "${quick[@]}" --ref v2.0 "$work/budget.ini"
    on web4 rm -f /srv/refuses
    says web4
    serve 2.0 web1 web2 web3 web5 web6
    serve 1.1 web4
}

test_a_file_of_five_million_bytes_arrives_whole() {
    rm -rf "$work/big"
    git clone -q "$shop" "$work/big"
    git -C "$work/big" checkout -q v2.0
    head -c 5000000 /dev/urandom >"$work/big/blob"
    git -C "$work/big" add blob
    git -C "$work/big" -c user.name=t -c user.email=t@example.invalid commit -q -m big
    shop 0 rollout --set "source.git=$work/big" --ref HEAD
    serve 2.0
    [ "$(on web6 sha256sum /srv/shop/current/blob | cut -d ' ' -f 1)" = "$(sha256sum <"$work/big/blob" | cut -d ' ' -f 1)" ] ||
        fail "web6 has other bytes"
}

run_tests "$0" "$@"
