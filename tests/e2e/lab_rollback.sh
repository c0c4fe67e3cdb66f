#!/bin/bash
# The verb rollback: each node to its own release before, or all to one.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

release_of() { on "$1" readlink /srv/shop/current | sed 's|.*/||'; }

test_rollback_brings_back_the_release_before() {
    shop 0 rollback
    serve 1.0
}

test_rollback_to_a_release_brings_back_that_one() {
    local first
    first=$(on web1 sh -c 'grep -lx 1.0 /srv/shop/releases/*/VERSION' | cut -d / -f 5)
    shop 0 rollout --ref v2.0
    shop 0 rollback --to "$first"
    serve 1.0
}

test_rollback_to_a_release_that_runs_already_is_nothing_to_do() {
    remember_process "${fleet[@]}"
    shop 0 rollback --to "$(release_of web1)"
    same_process "${fleet[@]}"
    serve 1.1
}

test_rollback_to_an_unknown_release_is_refused() {
    remember_process "${fleet[@]}"
    shop 4 rollback --to 20200101T000000Z-0123456789ab
    same_process "${fleet[@]}"
    serve 1.1
}

test_rollback_of_a_first_release_is_refused() {
    everywhere host_wipe
    shop 0 rollout --ref v2.0
    shop 4 rollback
    serve 2.0
}

test_each_node_goes_back_to_its_own_release() {
    shop 0 rollout --ref v2.0 -l web1,web2
    shop 0 rollout --ref v2.4
    serve 2.4
    shop 0 rollback
    serve 2.0 web1 web2
    serve 1.1 web3 web4 web5 web6
}

run_tests "$0" "$@"
