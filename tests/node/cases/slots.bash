# Two instances of a service on one node, and a node that is one side of two: what is started, what is linked, what is stopped when.

# A node with both slots; start and stop write a line each.
slotted_node() {
    locked_node "$1" slot_unit "blue -" slot_unit "green -" start "echo \"start \$DEPLOYCTL_SLOT \$(cat version)\" >>'$work/lines'" \
        stop "echo \"stop \$DEPLOYCTL_SLOT\" >>'$work/lines'" slot_stop "green echo green-stop >>'$work/lines'"
}

start_in() {
    [ -d "$root/releases/$2" ] || deliver "$2"
    must ok activate fence "$fence" slot "$1" release "$2" env "DEPLOYCTL_SLOT=$1" "${@:3}"
}
stop_in() { must ok stop fence "$fence" slot "$1" env "DEPLOYCTL_SLOT=$1"; }
linked() { expect "slot $1" "$(readlink "$root/slots/$1")" "../releases/$2"; }
current_of_slots() { expect current "$(readlink "$root/current")" "releases/$1"; }
lines() { tr '\n' ' ' <"$work/lines"; }
fact_of_slot() { must ok facts; sed -n "s/^= slot $1 //p" <<<"$reply"; }
last_line() { tail -n 1 "$work/lines"; }
last_line_is() { [ "$(last_line)" = "$1" ]; }

test_an_idle_slot_is_started_and_current_follows_at_the_commit() {
    slotted_node a
    start_in blue r1
    expect "no current yet" "$(readlink "$root/current")" ""
    linked blue r1
    expect facts "$(fact_of_slot blue)" "r1 running - -"
    must ok commit fence "$fence" slot blue release r1 kind rollout
    current_of_slots r1
    start_in green r2
    linked green r2
    current_of_slots r1
    expect "the live slot is not touched" "$(lines)" "start blue r1 start green r2 "
    must ok commit fence "$fence" slot green release r2 kind rollout
    current_of_slots r2
    expect blue "$(fact_of_slot blue)" "r1 running committed -"
    expect green "$(fact_of_slot green)" "r2 running committed -"
    must ok facts
    expect previous "$(value_of previous)" r1
    case $(value_of live_slot) in "green "*) ;; *) fail "$reply" ;; esac
}

test_a_slot_that_runs_that_release_is_not_touched_again() {
    slotted_node a
    start_in blue r1
    must ok commit fence "$fence" slot blue release r1 kind rollout
    start_in green r2
    must ok commit fence "$fence" slot green release r2 kind rollout
    start_in blue r1
    expect running "$(value_of running)" yes
    expect lines "$(lines)" "start blue r1 start green r2 "
    must ok commit fence "$fence" slot blue release r1 kind rollback
    current_of_slots r1
    # after a boot nothing of it runs
    echo another-boot >"$root/.deployctl/slots/green.started"
    start_in green r2
    expect lines "$(last_line)" "start green r2"
}

test_a_health_command_runs_in_its_slot_s_release() {
    slotted_node a
    start_in blue r1
    must ok commit fence "$fence" slot blue release r1 kind rollout
    start_in green r2
    must ok probe slot green command 'cat version; [ "$(cat version)" = r2 ]'
    must ok probe slot blue command '[ "$(cat version)" = r1 ]'
    must ok probe command '[ "$(cat version)" = r1 ]'
}

test_an_activation_that_is_not_committed_is_stopped_and_its_link_restored() {
    slotted_node a
    start_in blue r1
    must ok commit fence "$fence" slot blue release r1 kind rollout
    start_in green r2
    must ok commit fence "$fence" slot green release r2 kind rollout
    start_in blue r3
    expect "a new one over the old" "$(lines)" "start blue r1 start green r2 stop blue start blue r3 "
    start_in blue r3 token again
    expect facts "$(fact_of_slot blue)" "r3 running r1 -"
    stop_in blue
    linked blue r1
    current_of_slots r2
    expect facts "$(fact_of_slot blue)" "r1 stopped committed -"
    expect lines "$(last_line)" "stop blue"
    stop_in blue
    linked blue r1
    # the first release of a slot leaves nothing behind
    rm -rf "$root/slots/blue" "$root/.deployctl/slots"/blue*
    start_in blue r3
    stop_in blue
    [ ! -L "$root/slots/blue" ] || fail "a link is left"
}

test_the_old_slot_is_stopped_when_its_time_is_over_and_nobody_holds_the_lock() {
    slotted_node a
    start_in blue r1
    must ok commit fence "$fence" slot blue release r1 kind rollout
    start_in green r2
    must ok commit fence "$fence" slot green release r2 kind rollout
    must ok keep_old fence "$fence" slot blue seconds 1 env DEPLOYCTL_SLOT=blue
    case $(fact_of_slot blue) in "r1 running committed "[01]) ;; *) fail "$reply" ;; esac
    must ok facts
    expect confirm "$(value_of confirm)" ""
    sleep 2
    expect "the lock is held" "$(last_line)" "start green r2"
    must ok finish fence "$fence" release r2 result done
    eventually last_line_is "stop blue"
    eventually waits_no_more
    linked blue r1
    expect facts "$(fact_of_slot blue)" "r1 stopped committed -"
    must ok facts
    expect reverted "$(value_of reverted)" ""
    grep -q " stop.blue end r1 ok kept for 1 s: slot blue is stopped" "$root/.deployctl/journal" || fail "no line in the journal"
}

test_an_activation_ends_the_time_of_the_old_slot() {
    slotted_node a
    start_in blue r1
    must ok commit fence "$fence" slot blue release r1 kind rollout
    start_in green r2
    must ok commit fence "$fence" slot green release r2 kind rollout
    must ok keep_old fence "$fence" slot blue seconds 1 env DEPLOYCTL_SLOT=blue
    start_in blue r1
    expect running "$(value_of running)" yes
    must ok finish fence "$fence" release r2 result done
    eventually waits_no_more
    sleep 1.5
    expect "not stopped" "$(last_line)" "start green r2"
}

test_nothing_that_a_slot_links_is_pruned() {
    slotted_node a
    start_in blue r1
    must ok commit fence "$fence" slot blue release r1 kind rollout
    for release in r4 r5 r6 r7; do
        start_in green "$release"
        must ok commit fence "$fence" slot green release "$release" kind rollout
    done
    [ -d "$root/releases/r1" ] || fail "what the other slot links was pruned"
    [ ! -d "$root/releases/r4" ] || fail "nothing was pruned"
    start_in blue r7
    must ok commit fence "$fence" slot green release r7 kind rollout
    [ -d "$root/releases/r1" ] || fail "what it would link again was pruned"
}

test_a_node_that_is_one_side_moves_current_with_its_slot() {
    locked_node a slot_unit "green -" start "echo \"start \$(cat version)\" >>'$work/lines'" stop "echo stop >>'$work/lines'"
    start_in green r1
    current_of_slots r1
    must ok commit fence "$fence" slot green release r1 kind rollout
    start_in green r2
    current_of_slots r2
    must ok facts
    expect good "$(value_of current_good)" no
    stop_in green
    current_of_slots r1
    linked green r1
    expect lines "$(lines)" "start r1 stop start r2 stop "
}

test_an_unknown_slot_and_a_commit_of_another_release_are_told() {
    slotted_node a
    must failed activate fence "$fence" slot red release r1
    expect sentence "$sentence" "there is no slot red in this session"
    start_in blue r1
    deliver r2
    must failed commit fence "$fence" slot blue release r2 kind rollout
    expect sentence "$sentence" "slot blue links release r1, not r2"
}

slots_state() {
    must ok facts
    printf '%s %s %s %s;' "$(value_of current)" "$(value_of current_good)" "$(value_of live_slot | cut -d ' ' -f 1)" "$(value_of committed)"
    sed -n 's/^= slot //p' <<<"$reply" | tr '\n' ';'
    (cd "$root/.deployctl/good" && grep -H '' ./*) | cut -d ' ' -f 1 | tr '\n' ' '
}

test_a_commit_in_a_slot_is_taken_back_and_is_then_an_activation_that_nobody_committed() {
    slotted_node a
    start_in blue r1
    must ok commit fence "$fence" slot blue release r1 kind rollout
    start_in green r2
    local before
    before=$(slots_state)
    must ok commit fence "$fence" slot green release r2 kind rollout
    must ok retract fence "$fence" slot green release r2
    expect "as before the commit" "$(slots_state | sed 's/;.*//')" "r1 yes blue "
    expect slots "$(fact_of_slot green)" "r2 running - -"
    expect good "$(ls "$root/.deployctl/good")" r1
    must ok retract fence "$fence" slot green release r2
    expect "twice is once" "$(fact_of_slot green)" "r2 running - -"
    stop_in green
    [ ! -L "$root/slots/green" ] || fail "a link is left"
    expect blue "$(fact_of_slot blue)" "r1 running committed -"
    expect "facts before" "${before%%;*}" "r1 yes blue r1 roll-a rollout -"
}

test_the_first_commit_in_a_slot_is_taken_back_to_nothing() {
    slotted_node a
    start_in blue r1
    must ok commit fence "$fence" slot blue release r1 kind rollout
    must ok retract fence "$fence" slot blue release r1
    expect "nothing is current" "$(slots_state)" "- no  ;blue r1 running - -;green - stopped committed -;"
    stop_in blue
    expect "nothing is left" "$(slots_state)" "- no  ;blue - stopped committed -;green - stopped committed -;"
}

test_what_cut_a_retraction_short_does_not_hide_it() {
    slotted_node a
    start_in blue r1
    must ok commit fence "$fence" slot blue release r1 kind rollout
    start_in green r2
    must ok commit fence "$fence" slot green release r2 kind rollout
    # as if it had ended after the current link
    echo 'retracts yes' >>"$root/.deployctl/before"
    echo - >"$root/.deployctl/slots/green"
    ln -sfn releases/r1 "$root/current"
    must ok facts
    expect committed "$(value_of committed)" "r2 roll-a rollout r1 retracts"
    must ok retract fence "$fence" slot green release r2
    expect "the end of it" "$(slots_state)" "r1 yes blue ;blue r1 running committed -;green r2 running - -;./r1:1 "
    # and who goes forward again instead has committed it again
    must ok commit fence "$fence" slot green release r2 kind rollout
    echo 'retracts yes' >>"$root/.deployctl/before"
    must ok commit fence "$fence" slot green release r2 kind rollout
    must ok facts
    expect committed "$(value_of committed)" "r2 roll-a rollout r1"
}

test_a_side_of_its_own_goes_back_from_its_commit_with_its_link() {
    locked_node a slot_unit "green -" start "echo \"start \$(cat version)\" >>'$work/lines'" stop "echo stop >>'$work/lines'"
    start_in green r1
    must ok commit fence "$fence" slot green release r1 kind rollout
    start_in green r2
    must ok commit fence "$fence" slot green release r2 kind rollout
    must ok retract fence "$fence" slot green release r2
    current_of_slots r2
    stop_in green
    current_of_slots r1
    expect state "$(slots_state)" "r1 yes green ;green r1 stopped committed -;./r1:1 "
}

test_what_was_live_runs_on_again_when_its_time_was_over() {
    slotted_node a
    start_in blue r1
    must ok commit fence "$fence" slot blue release r1 kind rollout
    start_in green r2
    must ok commit fence "$fence" slot green release r2 kind rollout
    must ok keep_old fence "$fence" slot blue seconds 900 env DEPLOYCTL_SLOT=blue
    must ok keep_old fence "$fence" slot blue env DEPLOYCTL_SLOT=blue
    expect "the timer is over" "$(fact_of_slot blue)" "r1 running committed -"
    eventually waits_no_more
    must ok keep_old fence "$fence" slot blue seconds 0 env DEPLOYCTL_SLOT=blue
    must ok finish fence "$fence" release r2 result done
    eventually last_line_is "stop blue"
    take_lock rollout b holder someone ttl 60 token again
    must ok keep_old fence 2 slot blue env DEPLOYCTL_SLOT=blue
    expect "it was started" "$(last_line)" "start blue r1"
    expect facts "$(fact_of_slot blue)" "r1 running committed -"
    must failed keep_old fence 2 slot blue seconds soon
}
