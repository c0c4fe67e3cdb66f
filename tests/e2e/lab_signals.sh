#!/bin/bash
# Ctrl-C and SIGTERM: it stops at once, says what stands where, and the next rollout needs no repair.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# Every node serves one of the two releases, whole.
serve_either() {
    local host
    for host in "${fleet[@]}"; do
        state_is "$host" "$1" >/dev/null || state_is "$host" "$2" || fail "$host is in between"
    done
}

# SIGNAL CODE PATTERN: in the moment when it says PATTERN.
interrupted() {
    local begun
    begin_shop rollout --ref v2.0 --set strategy.bake=8s
    wait_said "$3"
    begun=$SECONDS
    kill -s "$1" "$(background_child | cut -d ' ' -f 1)"
    ended "$2"
    [ $((SECONDS - begun)) -le 10 ] || fail "it took $((SECONDS - begun)) s to end"
    says 'interrupt|terminat|signal|SIG' 'web1'
    serve_either 1.1 2.0
    shop 0 rollout --ref v2.4
    serve 2.4
}

test_ctrl_c_while_staging() { interrupted INT 130 'web[0-9] +stage'; }
test_ctrl_c_in_the_bake() { interrupted INT 130 'web1 +bake'; }
test_sigterm_in_the_gate_of_a_node() { interrupted TERM 143 'web1 +(activate|gate)'; }

run_tests "$0" "$@"
