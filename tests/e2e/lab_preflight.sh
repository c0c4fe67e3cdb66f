#!/bin/bash
# What stands in the way is found before anything changes: nodes are named, and the exit code is 4 or 69.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

test_a_root_that_cannot_be_written_is_refused() {
    remember "${fleet[@]}"
    shop 4 rollout --ref v2.0 --set service.become=no
    says web1 '/srv/shop'
    untouched "${fleet[@]}"
}

test_a_full_disk_is_refused_before_anything_is_switched() {
    "$lab" disk web3 8M || fail "no small disk"
    on web3 sh -c 'dd if=/dev/zero of=/srv/filler bs=4k 2>/dev/null; sync'
    remember_process "${fleet[@]}"
    shop 4 rollout --ref v2.0
    says web3 'disk|space'
    "$lab" disk web3 off
    on web3 rm -f /srv/filler
    same_process "${fleet[@]}"
    serve 1.1
}

test_a_read_only_disk_is_refused_before_anything_is_switched() {
    "$lab" readonly web3 on || fail "not read-only"
    remember_process "${fleet[@]}"
    shop 4 rollout --ref v2.0
    says web3
    "$lab" readonly web3 off
    same_process "${fleet[@]}"
    serve 1.1
}

test_sudo_that_wants_a_password_is_refused() {
    remember "${fleet[@]}"
    inventory=$work/inventory.plain.ini shop 4 rollout --ref v2.0
    says sudo web1
    untouched "${fleet[@]}"
}

test_sudo_taken_away_on_one_node_is_refused() {
    remember web1 web2 web3 web5 web6
    "$lab" sudo web4 off
    remember web4
    shop 4 rollout --ref v2.0
    "$lab" sudo web4 on
    says web4 sudo
    serve 1.1
}

test_a_unit_that_is_not_there_is_refused() {
    remember_process "${fleet[@]}"
    shop 4 rollout --ref v2.0 --set service.unit=shpo.service
    says 'shpo\.service'
    same_process "${fleet[@]}"
    serve 1.1
}

test_a_host_key_that_is_not_the_pinned_one_is_refused() {
    local pin
    pin=$(sed -n 's/^web3 .*host_key=\([^ ]*\).*/\1/p' "$work/inventory.ini")
    sed "s|^\(web4 .*host_key=\)[^ ]*|\1$pin|" "$work/inventory.ini" >"$work/pin.inventory.ini"
    remember "${fleet[@]}"
    inventory=$work/pin.inventory.ini shop 69 rollout --ref v2.0
    says web4 'host key'
    untouched "${fleet[@]}"
}

test_a_host_key_that_changed_since_known_hosts_is_refused() {
    mkdir -p "$HOME/.ssh"
    # web4's line gets web3's key
    "$lab" known_hosts | awk -v bad="web4,$(address web4)" '/^web3,/ { key = $3 } $1 == bad { $3 = key } { print }' >"$HOME/.ssh/known_hosts"
    sed 's/ host_key=[^ ]*//' "$work/inventory.ini" >"$work/known.inventory.ini"
    remember "${fleet[@]}"
    inventory=$work/known.inventory.ini shop 69 rollout --ref v2.0
    rm -r "$HOME/.ssh"
    says web4 'host key'
    untouched "${fleet[@]}"
}

test_known_hosts_alone_is_enough() {
    mkdir -p "$HOME/.ssh"
    "$lab" known_hosts >"$HOME/.ssh/known_hosts"
    sed 's/ host_key=[^ ]*//' "$work/inventory.ini" >"$work/known.inventory.ini"
    inventory=$work/known.inventory.ini shop 0 rollout --ref v2.0
    rm -r "$HOME/.ssh"
    serve 2.0
}

test_a_node_that_is_down_fails_and_nothing_changes() {
    remember web1 web2 web3 web4 web6
    "$lab" cut web5
    shop 69 rollout --ref v2.0
    "$lab" heal web5
    says web5
    untouched web1 web2 web3 web4 web6
    serve 1.1
}

test_a_node_that_is_down_is_skipped_when_the_playbook_says_so() {
    "$lab" cut web5
    shop 0 rollout --ref v2.0 --set failure.unreachable=skip
    "$lab" heal web5
    says web5
    serve 2.0 web1 web2 web3 web4 web6
    serve 1.1 web5
    shop 0 rollout --ref v2.0
    serve 2.0
}

test_a_second_rollout_at_once_is_refused() {
    begin_shop rollout --ref v2.0 --set strategy.bake=4s
    wait_said 'web1 +(activate|gate)'
    local first=$output
    output=$work/output.second
    shop 4 rollout --ref v2.4
    says 'lock'
    output=$first
    ended 0
    serve 2.0
}

run_tests "$0" "$@"
