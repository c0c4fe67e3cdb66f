# Sessions of one run: what a session that is over asked for, or had begun, changes nothing once the next one has settled.

test_a_fence_needs_an_epoch_and_a_step_one_that_has_settled() {
    open_node a
    must ok lock rollout r holder h ttl 60
    must refused run fence 1 epoch 1 command "touch '$work/ran'"
    case $sentence in *"settle first"*) ;; *) fail "$sentence" ;; esac
    for verb in renew unlock finish settle failed confirm run; do
        for epoch in x 0 -1; do
            must refused "$verb" fence 1 epoch "$epoch" release r1 command "touch '$work/ran'"
            case $sentence in *"session's epoch"*) ;; *) fail "$sentence" ;; esac
        done
    done
    must ok renew fence 1 epoch 1
    must ok settle fence 1 epoch 1
    must refused run fence 1 epoch 2 command "touch '$work/ran'"
    must ok renew fence 1 epoch 2
    must ok run fence 1 epoch 1 command true
    [ ! -e "$work/ran" ] || fail "it was done"
}

test_what_an_older_session_asks_for_is_refused() {
    locked_node a
    open_node b
    must ok settle fence 1
    use a
    for verb in renew unlock finish failed settle confirm run activate commit discard stage unpack; do
        must refused "$verb" fence 1 release r1 command "touch '$work/ran'"
        case $sentence in *"a newer session"*) ;; *) fail "$verb: $sentence" ;; esac
    done
    [ ! -e "$work/ran" ] || fail "it was done"
    use b
    must ok run fence 1 command true
    must ok unlock fence 1
}

test_requests_that_come_late_change_nothing() {
    locked_node a
    deliver r1
    kill -STOP "$a_pid"
    send run fence 1 token late command "touch '$work/ran'"
    late=$id
    send activate fence 1 token late-2 release r1
    send settle fence 1
    send finish fence 1 status updated result "done"
    last=$id
    open_node b start "touch '$work/started'"
    must ok settle fence 1
    must ok run fence 1 token undo command "touch '$work/undone'"
    cp "$root/.deployctl/journal" "$work/journal"
    kill -CONT "$a_pid"
    use a
    await "$last"
    expect finish "$status" refused
    await "$late"
    expect run "$status" refused
    [ ! -e "$work/ran" ] && [ ! -e "$work/started" ] && [ ! -e "$root/current" ] || fail "a late request was done"
    cmp -s "$work/journal" "$root/.deployctl/journal" || fail "the journal: $(tail -n 3 "$root/.deployctl/journal")"
    use b
    must ok run fence 1 token undo command false
    expect recorded "$(value_of recorded)" yes
}

test_a_step_whose_journal_is_still_being_synced_is_found_and_never_begins() {
    shim sync
    locked_node a
    hold sync '*/journal'
    send run fence 1 token t-1 command "touch '$work/ran'"
    first=$id
    until_held sync
    open_node b
    must ok settle fence 1
    expect token "$(value_of last_token)" t-1
    expect state "$(value_of last_state)" killed
    must ok run fence 1 token t-2 command "touch '$work/undone'"
    let_go sync
    use a
    await "$first"
    expect status "$status" refused
    [ ! -e "$work/ran" ] || fail "it was done after the next session had settled"
    use b
    must ok run fence 1 token t-2 command false
    expect recorded "$(value_of recorded)" yes
}

test_a_supervisor_that_was_stopped_spoils_no_later_record() {
    locked_node a
    send run fence 1 token t-1 command "trap 'exit 3' TERM; while :; do sleep 0.1; done"
    first=$id
    group=$(step_group)
    supervisor=$(sed -n 's/^2 t-1 run \([0-9]*\) .*/\1/p' "$root"/.deployctl/steps/*)
    kill -STOP "$supervisor"
    open_node b
    must ok settle fence 1
    expect state "$(value_of last_state)" killed
    group_is_gone "$group" || fail "it lives"
    mkfifo "$work/gate"
    send run fence 1 token t-2 command "cat '$work/gate'"
    second=$id
    eventually recorded '^2 t-2 run'
    eventually recorded '^leader'
    kill -CONT "$supervisor"
    use a
    await "$first"
    open_node c
    must refused run fence 1 epoch 2 token t-3 command true
    echo go >"$work/gate"
    use b
    await "$second"
    expect second "$status" ok
    must ok run fence 1 token t-2 command false
    expect recorded "$(value_of recorded)" yes
    must ok settle fence 1
    expect token "$(value_of last_token)" t-2
    expect state "$(value_of last_state)" ok
}

test_a_step_that_its_session_had_not_begun_yet_is_refused_and_leaves_no_line() {
    shim rm
    locked_node a
    hold rm '*.end'
    send run fence 1 token t-1 command "touch '$work/ran'"
    first=$id
    until_held rm
    open_node b
    must ok settle fence 1
    expect token "$(value_of last_token)" -
    must ok run fence 1 token t-2 command true
    let_go rm
    use a
    await "$first"
    expect status "$status" refused
    [ ! -e "$work/ran" ] || fail "it was done"
    ! grep -q 'begin .* t-1$' "$root/.deployctl/journal" || fail "it is in the journal"
    use b
    must ok settle fence 1
    expect token "$(value_of last_token)" t-2
}

test_a_step_whose_lock_was_taken_while_it_was_recorded_is_refused() {
    shim sync
    locked_node a
    hold sync '*/journal'
    send run fence 1 token t-1 command "touch '$work/ran'"
    first=$id
    until_held sync
    open_node b
    must ok break generation 1 holder boss
    must ok lock rollout other holder other ttl 60
    let_go sync
    use a
    await "$first"
    expect status "$status" refused
    case $sentence in "the lock of generation "*) ;; *) fail "$sentence" ;; esac
    [ ! -e "$work/ran" ] || fail "it was done under another run's lock"
}

test_a_switch_that_hangs_is_ended_with_its_step() {
    shim mv
    locked_node a start true
    deliver r1
    deliver r2
    must ok activate fence 1 release r1
    hold mv '*link.new*current'
    send activate fence 1 token t-2 release r2
    first=$id
    until_held mv
    open_node b start true
    must ok settle fence 1
    expect state "$(value_of last_state)" killed
    let_go mv
    must ok activate fence 1 release r1
    expect current "$(readlink "$root/current")" releases/r1
    use a
    await "$first"
    expect current "$(readlink "$root/current")" releases/r1
}

test_a_migration_is_not_ended_and_a_late_word_of_it_does_not_count() {
    shim sync
    locked_node a
    deliver r1
    hold sync '*/journal'
    send migrate fence 1 token m-1 name m1 release r1 kind expand command "touch '$work/ran'"
    first=$id
    until_held sync
    open_node b
    must ok settle fence 1
    must ok migrate fence 1 token m-2 name m1 release r1 kind expand command true
    let_go sync
    use a
    await "$first"
    expect status "$status" refused
    [ ! -e "$work/ran" ] || fail "it ran twice"
    use b
    must ok facts
    expect migration "$(value_of migration)" "m1 done r1 expand"
    mkfifo "$work/gate"
    send migrate fence 1 token m-3 name m2 release r1 kind expand command "cat '$work/gate'"
    second=$id
    eventually recorded '^leader'
    open_node c
    must failed settle fence 1
    case $sentence in *migration*) ;; *) fail "$sentence" ;; esac
    echo go >"$work/gate"
    eventually recorded '^end ok'
    must ok settle fence 1
    must ok facts
    case $reply in *"= migration m2 done r1 expand"*) ;; *) fail "$reply" ;; esac
}

test_nothing_else_is_done_before_settle_has_ended() {
    locked_node a
    send run fence 1 token t-1 command "trap '' TERM; while :; do sleep 0.1; done"
    eventually recorded '^leader'
    open_node b
    send settle fence 1
    settling=$id
    for verb in unlock finish run; do
        must refused "$verb" fence 1 command true
        case $sentence in busy*) ;; *) fail "$sentence" ;; esac
    done
    await "$settling"
    expect settle "$status" ok
    must ok unlock fence 1
}

test_the_lock_is_not_given_back_while_a_step_runs() {
    locked_node a
    send run fence 1 token t-1 command "while [ ! -e '$work/go' ]; do sleep 0.1; done"
    step=$id
    eventually recorded '^leader'
    for verb in unlock finish; do
        must refused "$verb" fence 1 status updated result done
        case $sentence in busy*) ;; *) fail "$sentence" ;; esac
    done
    touch "$work/go"
    await "$step"
    expect step "$status" ok
    must ok unlock fence 1
}

test_settle_says_when_a_group_cannot_be_ended() {
    [ "$(id -u)" = 0 ] || skip "not root"
    root=$work/tmp/root
    as_nobody
    chmod 755 "$work"
    locked_node a
    setsid sleep 300 &
    stranger=$!
    eventually kill -0 -- "-$stranger"
    read -r boot </proc/sys/kernel/random/boot_id
    start=$(sed 's/.*) //' "/proc/$stranger/stat" | cut -d' ' -f20)
    printf '2 t-9 run 999999 1 %s 1 1 1\nleader %s %s\n' "$boot" "$stranger" "$start" >"$root/.deployctl/steps/1.1.9"
    open_node b
    must failed settle fence 1
    expect unended "$(value_of unended)" "$stranger"
    must refused run fence 1 token t-2 command true
    kill "$stranger"
    wait "$stranger"
    must ok settle fence 1
    expect state "$(value_of last_state)" lost
    must ok run fence 1 token t-2 command true
}

test_a_step_of_an_older_version_is_settled_and_answered() {
    locked_node a
    read -r boot </proc/sys/kernel/random/boot_id
    printf '1 t-9 run 999999 1 %s\n= status 4\nend failed exit status 4\n' "$boot" >"$root/.deployctl/step"
    must failed run fence 1 token t-9 command true
    expect recorded "$(value_of recorded)" yes
    expect status "$(value_of status)" 4
    setsid sleep 300 &
    group=$!
    eventually kill -0 -- "-$group"
    start=$(sed 's/.*) //' "/proc/$group/stat" | cut -d' ' -f20)
    printf '1 t-10 run %s %s %s\n' "$group" "$start" "$boot" >"$root/.deployctl/step"
    must refused run fence 1 token t-11 command true
    must ok settle fence 1
    expect token "$(value_of last_token)" t-10
    expect state "$(value_of last_state)" killed
    wait "$group"
    must ok run fence 1 token t-11 command true
    [ ! -e "$root/.deployctl/step" ] || fail "it is still there"
}

test_a_recorded_command_sees_nothing_of_the_program() {
    locked_node a
    deliver r1
    must ok run fence 1 command 'env; echo "<$0>"; ls -l /proc/self/fd' env X=1
    ! output_of | grep -E "$(own_names)|\.val" || fail "the program's own"
    must ok migrate fence 1 name m1 release r1 kind expand command 'env' env X=1
    ! output_of | grep -E "$(own_names)" || fail "the program's own"
}
