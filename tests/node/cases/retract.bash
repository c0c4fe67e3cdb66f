# A commit that is taken back: what was good before is again, with its number.

good_files() {
    (cd "$root/.deployctl/good" && grep -H '' ./* | cut -d ' ' -f 1)
}

two_commits() {
    locked_node a
    local release
    for release in r1 r2; do
        deliver $release
        must ok activate fence 1 release $release
        must ok commit fence 1 release $release
    done
}

test_a_commit_is_taken_back() {
    two_commits
    must ok facts
    expect committed "$(value_of committed)" 'r2 roll-a rollout r1'
    must ok retract fence 1 release r2
    must ok facts
    expect good "$(value_of current_good)" no
    expect previous "$(value_of previous)" r1
    expect committed "$(value_of committed)" ''
    expect files "$(good_files)" './r1:1'
    must ok retract fence 1 release r2
    expect 'twice is once' "$(good_files)" './r1:1'
    grep -q ' retract begin r2 ' "$root/.deployctl/journal" || fail 'the journal has no line before it'
    must ok activate fence 1 release r1
    must ok facts
    expect good "$(value_of current_good)" yes
}

test_another_commit_than_the_last_is_not_taken_back() {
    two_commits
    must ok retract fence 1 release r1
    must ok facts
    expect good "$(value_of current_good)" yes
    expect previous "$(value_of previous)" r1
}

test_a_stale_fence_takes_no_commit_back() {
    two_commits
    must refused retract fence 7 release r2
    must ok facts
    expect good "$(value_of current_good)" yes
}

test_a_rollback_keeps_what_it_left_and_is_taken_back() {
    two_commits
    must ok activate fence 1 release r1
    must ok commit fence 1 release r1 kind rollback
    expect 'r2 is no longer a good one' "$(good_files)" './r1:1'
    [ -d "$root/releases/r2" ] || fail 'what it left is gone'
    must ok facts
    expect committed "$(value_of committed)" 'r1 roll-a rollback r2'
    must ok retract fence 1 release r1
    expect 'with its number' "$(good_files)" "$(printf './r1:1\n./r2:2')"
    must ok activate fence 1 release r2
    must ok facts
    expect good "$(value_of current_good)" yes
    expect previous "$(value_of previous)" r1
}

test_a_commit_that_is_repeated_remembers_what_was_before() {
    two_commits
    must ok commit fence 1 release r2
    must ok retract fence 1 release r2
    expect files "$(good_files)" './r1:1'
}

test_a_release_that_was_good_before_gets_its_number_back() {
    two_commits
    must ok finish fence 1 result done
    take_lock rollout b holder someone ttl 1000 kind rollout token t2
    must ok activate fence 2 release r1
    must ok commit fence 2 release r1
    expect files "$(good_files)" "$(printf './r1:3\n./r2:2')"
    must ok retract fence 2 release r1
    expect files "$(good_files)" "$(printf './r1:1\n./r2:2')"
}

test_a_lock_knows_the_runs_it_goes_on_with() {
    two_commits
    must ok finish fence 1 result done
    must ok lock rollout c holder someone ttl 1000 kind rollout token t3 resumes 'b a'
    must ok facts
    expect chain "$(value_of chain)" 'c b a'
    must failed lock rollout d holder someone ttl 1000 resumes '$(id)'
}

test_what_the_playbook_pins_is_not_pruned() {
    start_node a
    must ok open root "$root" service shop keep 1 pin old-1 pin 4444
    take_lock rollout roll-a holder someone ttl 60
    local release
    for release in old-1 a-44445555 a-66667777 r4 r5 r6; do
        deliver $release
        must ok activate fence 1 release $release
        must ok commit fence 1 release $release
    done
    expect 'by its id, by its commit, the previous and the current one' "$(ls "$root/releases" | paste -s -d ' ')" 'a-44445555 old-1 r5 r6'
}
