#!/bin/bash
# What is wrong in a playbook or an inventory is said with its place, ends with 65, and no node is touched.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# SED-SCRIPT: the rolling playbook, changed.
changed_playbook() { sed "$1" playbooks/rolling.ini >"$work/changed.ini"; }
# Arguments go to deployctl.
refused() {
    remember "${fleet[@]}"
    deployctl 65 rollout -i "${inventory:-$work/inventory.ini}" "${quick[@]}" --ref v2.0 "$@" "$work/changed.ini"
    not_even_written "${fleet[@]}"
}

test_an_unknown_key_is_named_with_the_nearest_one() {
    changed_playbook 's/^interval = 1s/intervall = 1s/'
    refused --no-color
    says "changed\.ini:$(grep -n '^intervall' "$work/changed.ini" | cut -d : -f 1)" intervall 'interval[^l]'
}

test_a_duplicate_key_is_refused() {
    changed_playbook 's/^port   = 8080/port = 8080\nport = 8081/'
    refused --no-color
    says "changed\.ini:$(grep -n '^port = 8081' "$work/changed.ini" | cut -d : -f 1)" port
}

test_all_faults_are_said_in_one_run() {
    changed_playbook 's/^interval = 1s/interval = soon/; s/^keep   = 5/keep = many/; s/^\[failure\]/[failures]/'
    refused --no-color
    says interval keep failures
}

test_a_group_that_is_not_there_is_named() {
    changed_playbook 's/^hosts  = web/hosts = wbe/'
    refused --no-color
    says wbe
}

test_an_empty_group_is_refused() {
    { cat "$work/inventory.ini"; printf '\n[empty]\n'; } >"$work/empty.inventory.ini"
    changed_playbook 's/^hosts  = web/hosts = empty/'
    inventory=$work/empty.inventory.ini refused --no-color
    says empty
}

test_an_unknown_ref_is_named() {
    changed_playbook ''
    remember "${fleet[@]}"
    deployctl 65 rollout -i "$work/inventory.ini" "${quick[@]}" --ref v9.9 "$work/changed.ini"
    says 'v9\.9'
    not_even_written "${fleet[@]}"
}

test_a_value_of_five_thousand_bytes_arrives_whole() {
    local text
    text=$(head -c 5000 /dev/zero | tr '\0' x)
    changed_playbook ''
    printf '\n[step long]\nwhen = after_stage\nrun = printf %%s %s >/tmp/long ; true\n' "$text" >>"$work/changed.ini"
    deployctl 0 rollout -i "$work/inventory.ini" "${quick[@]}" --ref v2.0 "$work/changed.ini"
    [ "$(on web6 cat /tmp/long)" = "$text" ] || fail "web6 got $(on web6 wc -c /tmp/long) bytes"
    serve 2.0
}

test_an_inventory_that_is_not_there_is_named() {
    changed_playbook ''
    inventory=$work/none.ini refused --no-color
    says 'none\.ini'
}

run_tests "$0" "$@"
