#!/bin/bash
# The verbs that look and touch nothing: plan, status, history, and exec over the fleet.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

test_plan_changes_nothing() {
    remember "${fleet[@]}"
    shop 0 plan --ref v2.0
    says web1 web2 web3 web4 web5 web6
    not_even_written "${fleet[@]}"
    serve 1.1
}

test_plan_holds_what_rollout_then_does() {
    local hash
    shop 0 plan --ref v2.0
    hash=$(sed -nE 's/.*plan[^0-9a-f]*([0-9a-f]{12,64}).*/\1/p' "$output" | tail -n 1)
    [ -n "$hash" ] || fail "it said no plan hash"
    shop 0 rollout --ref v2.0 --require-plan "$hash"
    serve 2.0
    remember_process "${fleet[@]}"
    shop 4 rollout --ref v2.4 --require-plan "$hash"
    same_process "${fleet[@]}"
    serve 2.0
}

test_status_names_every_node_and_its_release() {
    remember "${fleet[@]}"
    shop 0 status
    says web1 web2 web3 web4 web5 web6 "$(on web1 readlink /srv/shop/current | sed 's|.*/||')"
    not_even_written "${fleet[@]}"
}

test_status_says_which_node_is_ill() {
    on web3 systemctl stop shop.service
    shop 2 status
    grep web3 "$output" | grep -qiE 'unhealthy|inactive|failed|refused' || fail "web3 is not said to be ill"
}

test_history_tells_of_the_rollouts() {
    shop 0 rollout --ref v2.0
    shop 1 rollout --ref v2.1
    shop 0 history
    says rollout "$(on web1 readlink /srv/shop/current | sed 's|.*/||')"
}

test_exec_runs_a_command_on_every_node() {
    deployctl 0 exec -i "$work/inventory.ini" all -- hostname
    says web1 web2 web3 web4 web5 web6
}

test_exec_keeps_arguments_as_they_are() {
    deployctl 0 exec -i "$work/inventory.ini" web2 -- printf '<%s>' 'a b' '$HOME' '*' "it's"
    grep -qF "<a b><\$HOME><*><it's>" "$output" || fail "the arguments changed on the way"
}

test_exec_that_fails_somewhere_names_the_node() {
    deployctl 2 exec -i "$work/inventory.ini" all -- sh -c 'test "$(hostname)" != web4 || exit 7'
    says 'web4.*7'
}

test_json_is_one_object_a_line() {
    shop 0 rollout --ref v2.0 -o json
    timeout "$(deadline 60)" "$program" rollout -i "$work/inventory.ini" "${quick[@]}" --ref v2.4 -o json playbooks/rolling.ini >"$output" 2>"$work/stderr" </dev/null ||
        fail "exit code $?"
    python3 -c 'import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert lines, "no line"
assert lines[-1]["event"] == "result", lines[-1]
assert {line.get("node") for line in lines} >= {"web%d" % n for n in range(1, 7)}' "$output" || fail "that is not the JSON we want"
    serve 2.4
}

run_tests "$0" "$@"
