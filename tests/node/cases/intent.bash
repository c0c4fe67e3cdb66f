# What a run has begun and not ended: a change of the service, and locks that only keep others away.

# r1 is committed and serves; a `stop` that hangs until the test lets it go.
a_service_that_stops() {
    locked_node "$1" start "echo \"\$DEPLOYCTL_RELEASE\" >'$work/serves'" stop "rm -f '$work/serves'; [ ! -e '$work/hang' ] || { : >'$work/stopped'; sleep 300; }"
    deliver r1
    must ok activate fence 1 token t-1 release r1 env DEPLOYCTL_RELEASE=r1
    must ok commit fence 1 token t-2 release r1
    deliver r2
}

test_an_activation_cut_off_after_its_stop_is_in_the_facts() {
    a_service_that_stops a
    must ok facts
    expect 'after a good activation' "$(value_of unsettled)" ''
    : >"$work/hang"
    send activate fence 1 token t-3 release r2 env DEPLOYCTL_RELEASE=r2
    eventually test -e "$work/stopped"
    group=$(step_group)
    # shellcheck disable=SC2046
    kill -KILL $(descendants "$node_pid") "$node_pid"
    kill -KILL -- "-$group"
    rm "$work/hang"
    open_node b start "echo \"\$DEPLOYCTL_RELEASE\" >'$work/serves'"
    must ok settle fence 1
    must ok facts
    expect 'the link' "$(value_of current)" r1
    expect 'and it is good' "$(value_of current_good)" yes
    expect 'the change that did not end' "$(value_of unsettled)" 'activate r2 roll-a'
    must ok activate fence 1 token t-4 release r1 env DEPLOYCTL_RELEASE=r1
    expect 'it serves' "$(cat "$work/serves")" r1
    must ok facts
    expect 'put back' "$(value_of unsettled)" ''
}

test_a_start_that_fails_is_in_the_facts_until_one_succeeds() {
    locked_node a start "[ \"\$DEPLOYCTL_RELEASE\" = r1 ]"
    deliver r1
    deliver r2
    must failed activate fence 1 release r2 env DEPLOYCTL_RELEASE=r2
    must ok facts
    expect unsettled "$(value_of unsettled)" 'activate r2 roll-a'
    must failed activate fence 1 release r9
    must ok facts
    expect 'a request that touches nothing changes nothing' "$(value_of unsettled)" 'activate r2 roll-a'
    must ok activate fence 1 release - env DEPLOYCTL_RELEASE=
    must ok facts
    expect 'stopped on purpose' "$(value_of unsettled)" ''
}

test_settle_answers_with_the_facts_of_under_the_lock() {
    locked_node a
    deliver r1
    must ok activate fence 1 release r1
    must ok settle fence 1
    expect 'not asked for' "$(value_of current)" ''
    must ok settle fence 1 facts yes
    expect current "$(value_of current)" r1
    expect open "$(value_of open_rollout)" 'roll-a activate - -'
    expect 'nothing was open before' "$(value_of open_before)" ''
    lose_connection
    open_node b
    must ok break
    must ok lock rollout roll-b holder b ttl 60 kind rollout release r2
    must ok settle fence 2 facts yes
    expect open "$(value_of open_rollout)" 'roll-b - r2 rollout'
    expect before "$(value_of open_before)" 'roll-a activate - -'
}

test_a_lock_from_outside_leaves_open_what_is_open() {
    locked_node a
    must ok finish fence 1 open yes result interrupted
    must ok lock rollout roll-b holder b ttl 60 kind outside
    must ok facts
    expect 'the run that is open' "$(value_of open_rollout)" 'roll-a - - -'
    expect chain "$(value_of chain)" roll-a
    must ok finish fence 2 result done
    must ok facts
    expect 'it is open as before' "$(value_of open_rollout)" 'roll-a - - -'
    expect 'the run that ended' "$(value_of ended_rollout)" 'roll-a ok interrupted'
    must ok history
    grep -q roll-b <<<"$reply" && fail 'the history lists a run that changed nothing here'
    return 0
}

test_the_limit_of_a_run_is_in_the_facts_while_it_is_open() {
    open_node a
    must ok lock rollout roll-a holder a ttl 60 kind rollout release r1 limit 'web1,web2'
    must ok facts
    expect limit "$(value_of open_limit)" 'web1,web2'
    must ok finish fence 1 open yes result interrupted
    must ok lock rollout roll-b holder b ttl 60 kind rollout release r2
    must ok facts
    expect 'another run has none' "$(value_of open_limit)" ''
    must ok finish fence 2 open before result refused
    must ok facts
    expect 'open again, with its limit' "$(value_of open_limit)" 'web1,web2'
    must ok lock rollout roll-c holder c ttl 60 kind abort resumes roll-a
    must ok finish fence 3 result done
    must ok facts
    expect 'nothing is open' "$(value_of open_rollout)$(value_of open_limit)" ''
}

# Through a run that goes on with another and has staged only, too; until a gate has passed, and what comes after gates is in the journal.
test_what_has_not_passed_its_gate_is_in_the_facts() {
    locked_node a
    deliver r1
    must ok facts
    expect 'nothing was started' "$(value_of unproven)" ''
    must ok activate fence 1 release r1
    must ok facts
    expect 'started' "$(value_of unproven)" yes
    must ok finish fence 1 open yes result interrupted
    must ok lock rollout roll-b holder b ttl 60 kind resume resumes roll-a
    must ok settle fence 2
    fence=2
    deliver r2
    must ok facts
    expect 'the step that came last' "$(value_of open_rollout)" 'roll-b unpack - resume'
    expect 'what the one before has started' "$(value_of unproven)" yes
    must ok commit fence 2 release r1
    must ok facts
    expect 'committed' "$(value_of unproven)" ''
    must ok run fence 2 name hook command true
    must ok facts
    expect 'a hook may restart it' "$(value_of unproven)" yes
    must ok finish fence 2 result done
    must ok facts
    expect 'nothing is open' "$(value_of unproven)" ''
}
