# Lock, fence, journal.

test_a_lock_is_exclusive_and_names_its_holder() {
    locked_node a
    expect generation "$fence" 1
    open_node b
    must refused lock rollout other holder someone ttl 60
    expect holder "$(value_of holder)" "tester@here job a"
    expect generation "$(value_of generation)" 1
    use a
    must ok unlock fence 1
    use b
    must ok lock rollout other holder someone ttl 60
    expect generation "$(value_of generation)" 2
}

test_the_same_token_gets_its_own_lock_again() {
    open_node a
    must ok lock rollout r holder h ttl 60 token only-me
    must ok lock rollout r holder h ttl 60 token only-me
    expect generation "$(value_of generation)" 1
    must refused lock rollout r holder h ttl 60 token not-me
}

test_a_lock_gets_the_least_generation_that_is_asked_for_and_numbers_only_grow() {
    open_node a
    must ok lock rollout r holder h ttl 60 minimum 40
    expect generation "$(value_of generation)" 40
    must ok unlock fence 40
    must ok lock rollout r holder h ttl 60 minimum 7
    expect generation "$(value_of generation)" 41
    must ok unlock fence 41
    must ok lock rollout r holder h ttl 60
    expect generation "$(value_of generation)" 42
    must failed lock rollout r holder h ttl 60 minimum x
}

test_a_stale_fence_is_refused_everywhere() {
    locked_node a
    must ok unlock fence 1
    take_lock rollout r2 holder h2 ttl 60
    for verb in renew unlock finish run activate commit failed discard stage unpack; do
        must refused "$verb" fence 1 release r1 command true
        must refused "$verb" fence 3 release r1 command true
    done
    must refused run command true
    must refused run fence x command true
    must ok run fence 2 command true
}

test_an_expired_lock_is_taken_over_and_says_from_whom() {
    locked_node a
    age_lock 1
    open_node b
    must ok facts
    expect expired "$(value_of lock_expired)" yes
    must ok lock rollout other holder someone ttl 60
    case $(value_of taken_over) in *"tester@here job a"*) ;; *) fail "$reply" ;; esac
    use a
    must refused renew fence 1
    case $sentence in *someone*) ;; *) fail "$sentence" ;; esac
}

# As if generation $1 had not been renewed for long.
age_lock() {
    read -r _ boot <<<"$(sed -n 's/^beat //p' "$root/.deployctl/lock/$1")"
    echo "1 $boot" >"$root/.deployctl/lock/$1.beat"
    sed -i 's/^ttl .*/ttl 0/' "$root/.deployctl/lock/$1"
}

# Its holder may have had an answer just before the host went down.
test_a_lock_of_before_the_boot_lasts_its_ttl_from_the_boot_on() {
    locked_node a
    sed -i 's/^\(beat [0-9]*\) .*/\1 another-boot/; s/^ttl .*/ttl 100000000/' "$root/.deployctl/lock/1"
    open_node b
    must refused lock rollout other holder someone ttl 60
    sed -i 's/^ttl .*/ttl 0/' "$root/.deployctl/lock/1"
    must ok lock rollout other holder someone ttl 60
    case $(value_of taken_over) in *"last boot"*) ;; *) fail "$reply" ;; esac
}

test_a_renewed_lock_does_not_expire() {
    locked_node a
    sed -i 's/^beat [0-9]*/beat 1/' "$root/.deployctl/lock/1"
    must ok renew fence 1
    must ok facts
    expect lock "$(value_of lock)" held
}

test_a_journal_of_a_later_version_is_refused() {
    locked_node a
    must ok unlock fence 1
    must ok facts
    echo '12 1700000000 1 r activate begin x - -' >>"$root/.deployctl/journal"
    for verb in facts history lock; do
        must refused "$verb" rollout r2 holder h ttl 60
        case $sentence in *"version 12, this deployctl knows version 1"*) ;; *) fail "$sentence" ;; esac
    done
}

test_an_open_rollout_is_known_after_the_journal_was_rotated() {
    locked_node a
    mv "$root/.deployctl/journal" "$root/.deployctl/journal.1"
    must ok facts
    case $(value_of open_rollout) in "r "* | *" "*) ;; *) fail "open_rollout: $(value_of open_rollout)" ;; esac
}

test_break_tells_whose_lock_it_was() {
    locked_node a
    open_node b
    must refused break generation 9 holder boss
    must ok break generation 1 holder boss
    expect holder "$(value_of holder)" "tester@here job a"
    must ok break
    expect sentence "$sentence" "no lock is held"
    use a
    must refused renew fence 1
    grep -q "broken by boss" "$root/.deployctl/journal" || fail "not in the journal"
}

test_generations_grow_when_the_lock_folder_was_removed() {
    locked_node a
    must ok unlock fence 1
    rm -r "$root/.deployctl/lock"
    must ok lock rollout r holder h ttl 60
    expect generation "$(value_of generation)" 2
}

test_two_sessions_racing_for_an_expired_lock_never_both_hold_it() {
    open_node a
    open_node b
    local round first second holders=0
    for round in {1..200}; do
        use a
        send lock rollout "a$round" holder a ttl 60
        first=$id
        use b
        send lock rollout "b$round" holder b ttl 60
        second=$id
        await "$second"
        local b_status=$status b_generation
        b_generation=$(value_of generation)
        use a
        others=
        await "$first"
        case $status,$b_status in
        ok,refused) holders=$((holders + 1)) top=$(value_of generation) ;;
        refused,ok) holders=$((holders + 1)) top=$b_generation ;;
        *) fail "round $round: $status and $b_status" ;;
        esac
        expect generation "$top" "$round"
        printf 'rollout x\nholder gone\nttl 0\ntoken \nbeat 1 another-boot\n' >"$root/.deployctl/lock/$top"
    done
    expect holders "$holders" 200
}

test_the_journal_tells_an_open_rollout_and_its_step() {
    open_node a
    take_lock rollout roll-a kind rollout release r1 holder "tester@here job a" ttl 60
    must failed run fence 1 name warm-up command false
    must ok facts
    expect open "$(value_of open_rollout)" "roll-a warm-up r1 rollout"
    must ok finish fence 1 status untouched result interrupted open yes
    must ok facts
    expect "still open" "$(value_of open_rollout)" "roll-a warm-up r1 rollout"
    must ok lock rollout roll-b kind rollout release r1 holder "tester@here job a" ttl 60
    must ok facts
    expect "another one is open" "$(value_of open_rollout)" "roll-b - r1 rollout"
    must ok finish fence 2 status updated result done release r1
    must ok facts
    expect open "$(value_of open_rollout)" ""
    must ok history lines 5
    case $(value_of rollout) in "roll-a "*" tester@here_job_a r1 untouched interrupted") ;; *) fail "$reply" ;; esac
    case $reply in *"rollout roll-b "*" tester@here_job_a r1 updated done"*) ;; *) fail "$reply" ;; esac
    case $reply in *"kind roll-b rollout"*) ;; *) fail "$reply" ;; esac
}

test_a_torn_journal_line_harms_no_later_one() {
    locked_node a
    printf '1 17000' >>"$root/.deployctl/journal"
    lose_connection
    open_node b
    must ok renew fence 1
    must ok settle fence 1
    must ok run fence 1 name hook command true
    grep -q '^1 [0-9]* 1 roll-a hook end - ok' "$root/.deployctl/journal" || fail "$(cat "$root/.deployctl/journal")"
    must ok history lines 5
}

test_the_journal_is_bounded() {
    locked_node a
    must ok unlock fence 1
    yes '1 1700000000 1 roll-a hook end - ok something' | head -n 8000 >>"$root/.deployctl/journal"
    must ok lock rollout again holder h ttl 9
    [ "$(stat -c %s "$root/.deployctl/journal")" -lt 1000 ] || fail "not put aside"
    must ok history lines 5
    case $reply in *"roll-a "*"again "*) ;; *) fail "$reply" ;; esac
}

# expect_open WHAT WANTED: what is open, by the node's word.
expect_open() {
    must ok facts
    expect "$1" "$(value_of open_rollout)" "$2"
}

test_a_refused_run_leaves_open_what_was_open() {
    open_node a
    take_lock rollout roll-a kind rollout release r1 holder me ttl 60 resumes roll-z
    must failed run fence 1 name warm-up command false
    must ok finish fence 1 status untouched result interrupted open yes
    for round in 2 4; do
        must ok lock rollout "undo-$round" kind abort release r0 holder me ttl 60 resumes 'roll-a roll-z' token "t-$round"
        must ok lock rollout "undo-$round" kind abort release r0 holder me ttl 60 resumes 'roll-a roll-z' token "t-$round"
        expect_open "while it runs" "undo-$round - r0 abort"
        must ok finish fence "$round" status refused result refused open before
        expect_open "and after it" "roll-a warm-up r1 rollout"
        expect chain "$(value_of chain)" "roll-a roll-z"
        expect ended "$(value_of ended_rollout)" "undo-$round refused refused"
        must ok lock rollout "over-$round" kind rollout release r2 holder me ttl 60
        must ok finish fence "$((round + 1))" status refused result refused open before
        expect_open "and after a new one" "roll-a warm-up r1 rollout"
        expect "chain again" "$(value_of chain)" "roll-a roll-z"
    done
    must ok history lines 9
    case $reply in *"rollout undo-2 "*" refused refused"*) ;; *) fail "$reply" ;; esac
}

test_a_refused_run_leaves_a_held_one_where_it_is_held() {
    open_node a
    must ok lock rollout roll-a kind rollout release r1 holder me ttl 60
    must ok finish fence 1 status updated result 'held after 1 of 2 waves' open yes
    must ok lock rollout undo kind abort release r0 holder me ttl 60 resumes roll-a
    must ok finish fence 2 status refused result refused open before
    expect_open "held" "roll-a held_after_1_of_2_waves r1 rollout"
}

test_a_refused_run_leaves_nothing_open_where_nothing_was() {
    open_node a
    must ok lock rollout roll-a kind rollout release r1 holder me ttl 60
    must ok finish fence 1 status refused result refused open before
    expect_open "the first" ""
    must ok lock rollout roll-b kind rollout release r1 holder me ttl 60
    must ok finish fence 2 status updated result 'done'
    must ok lock rollout undo kind abort release r0 holder me ttl 60 resumes roll-b
    must ok finish fence 3 status refused result refused open before
    expect_open "after one that is done" ""
}
