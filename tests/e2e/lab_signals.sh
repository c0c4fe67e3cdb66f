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

# SIGNAL CODE PATTERN: in the moment when it says PATTERN. Whoever comes next is told, and nothing has changed by that.
interrupted() {
    local begun
    begin_shop rollout --ref v2.0 --set strategy.bake=8s
    wait_said "$3"
    begun=$SECONDS
    kill -s "$1" "$(background_child | cut -d ' ' -f 1)"
    ended "$2"
    [ $((SECONDS - begun)) -le "$(deadline 10)" ] || fail "it took $((SECONDS - begun)) s to end"
    says interrupted web1 resume abort
    serve_either 1.1 2.0
    remember_process "${fleet[@]}"
    shop 4 rollout --ref v2.4
    says 'did not end' resume abort supersede
    same_process "${fleet[@]}"
}

test_ctrl_c_while_staging_and_resume() {
    interrupted INT 130 'web[0-9] +stage'
    shop 0 resume
    serve 2.0
    shop 0 rollout --ref v2.4
    serve 2.4
}

test_ctrl_c_in_the_bake_and_abort() {
    interrupted INT 130 'web1 +bake'
    serve 2.0 web1
    shop 0 abort
    serve 1.1
    shop 0 rollout --ref v2.4
    serve 2.4
}

test_sigterm_in_the_gate_of_a_node_and_start_over() {
    interrupted TERM 143 'web1 +(activate|gate)'
    shop 0 rollout --ref v2.4 --supersede
    serve 2.4
}

expire_lock() {
    on "$1" sh -c 'cd /srv/shop/.deployctl && top=$(cat generation) && echo "1 $(cat /proc/sys/kernel/random/boot_id)" >lock/$top.beat'
}
# The lock names the runner's process: on the same machine one that has ended has lost it, see tests/e2e/dead_runner.
taken_elsewhere() {
    on "$1" sh -c 'cd /srv/shop/.deployctl && sed -i "s/^runner .*/runner /" "lock/$(cat generation)"'
}
test_a_runner_that_is_killed_and_resume_elsewhere() {
    begin_shop rollout --ref v2.0 --set strategy.bake=8s
    wait_said 'web1 +bake'
    kill -9 "$(background_child | cut -d ' ' -f 1)"
    wait "$background"
    serve_either 1.1 2.0
    # another machine: it knows nothing of the first one's notes
    rm -rf "$XDG_STATE_HOME"
    everywhere taken_elsewhere
    shop 4 resume
    says lock
    # as if it had been silent for longer than its lease; tests/e2e/runners waits for that
    everywhere expire_lock
    shop 0 resume
    serve 2.0
}

run_tests "$0" "$@"
