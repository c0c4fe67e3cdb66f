# Generations of the lock: one holder each, never given out twice; and what is on the disk before it counts.

test_a_lock_that_passed_on_while_it_was_claimed_is_refused() {
    shim rm
    open_node a
    hold rm '*/lock/.new.*'
    send lock rollout first holder slow ttl 60
    first=$id
    until_held rm
    open_node b
    age_lock 1
    must ok lock rollout second holder fast ttl 60
    expect generation "$(value_of generation)" 2
    let_go rm
    use a
    await "$first"
    expect first "$status" refused
    expect holder "$(value_of holder)" fast
    expect generation "$(value_of generation)" 2
    must refused renew fence 1
    use b
    must ok renew fence 2
}

test_a_lock_that_passed_on_while_it_was_noted_is_refused() {
    shim sync
    open_node a
    hold sync '*/journal'
    send lock rollout first holder slow ttl 60
    first=$id
    until_held sync
    open_node b
    age_lock 1
    must ok lock rollout second holder fast ttl 60
    let_go sync
    use a
    await "$first"
    expect first "$status" refused
    expect holder "$(value_of holder)" fast
}

test_of_two_claims_of_one_generation_one_is_refused() {
    shim ln
    open_node a
    hold ln '*/lock/.new.*'
    send lock rollout first holder slow ttl 60
    first=$id
    until_held ln
    open_node b
    must ok lock rollout second holder fast ttl 60
    let_go ln
    use a
    await "$first"
    expect first "$status" refused
    expect holder "$(value_of holder)" fast
    must ok facts
    expect holder "$(value_of lock_holder)" fast
    must refused lock rollout third holder late ttl 60
}

test_the_number_of_a_claim_that_was_taken_back_is_no_free_lock() {
    # Root works below no link of others.
    [ "$(id -u)" != 0 ] || { root=$work/tmp/root && as_nobody && chmod 755 "$work"; }
    locked_node a
    # As a glob sees it, and a read does not: removed in between.
    ln -s nowhere "$root/.deployctl/lock/2"
    open_node b
    must refused lock rollout second holder h ttl 60
    rm "$root/.deployctl/lock/2"
    must refused lock rollout second holder h ttl 60
    expect generation "$(value_of generation)" 1
    use a
    must ok renew fence 1
}

test_generations_grow_whatever_is_lost() {
    open_node a
    must ok lock rollout r1 holder h ttl 60 minimum 7
    must ok unlock fence 7
    rm -r "$root/.deployctl/lock"
    : >"$root/.deployctl/generation"
    must ok lock rollout r2 holder h ttl 60
    expect generation "$(value_of generation)" 8
    must ok unlock fence 8
    rm -r "$root/.deployctl/lock" "$root/.deployctl/generation"
    mv "$root/.deployctl/journal" "$root/.deployctl/journal.1"
    must ok lock rollout r3 holder h ttl 60
    expect generation "$(value_of generation)" 9
    must ok unlock fence 9
    rm -r "$root/.deployctl/lock"
    echo 5 >"$root/.deployctl/generation"
    must ok lock rollout r4 holder h ttl 60
    expect generation "$(value_of generation)" 10
}

test_a_run_takes_its_lock_once() {
    open_node a
    must ok lock rollout r1 holder h ttl 60 token t-1
    must ok lock rollout r1 holder h ttl 60 token t-1
    must ok unlock fence 1
    must refused lock rollout r1 holder h ttl 60 token t-1
    must ok lock rollout r2 holder h ttl 60 token t-2
    must refused lock rollout r1 holder h ttl 60 token t-1
    must ok unlock fence 2
    must refused lock rollout r1 holder h ttl 60 token t-1
    must ok facts
    expect lock "$(value_of lock)" free
}

test_the_lock_of_a_runner_that_is_gone_is_taken_over_by_its_generation() {
    open_node a
    must failed lock rollout r1 holder h ttl 60 runner '$(id)'
    must ok lock rollout r1 holder h ttl 60 runner "m-1 b-1 4026531836 42 777 host"
    must ok facts
    expect runner "$(value_of lock_runner)" "m-1 b-1 4026531836 42 777 host"
    open_node b
    must refused lock rollout r2 holder h2 ttl 60
    must refused lock rollout r2 holder h2 ttl 60 takeover 2
    must refused lock rollout r2 holder h2 ttl 60 takeover x
    must ok lock rollout r2 holder h2 ttl 60 takeover 1
    expect generation "$(value_of generation)" 2
    case $(value_of taken_over) in *"from h, rollout r1, whose process has ended") ;; *) fail "$reply" ;; esac
    must ok facts
    expect runner "$(value_of lock_runner)" ""
    use a
    must refused renew fence 1
    must refused lock rollout r3 holder h3 ttl 60 takeover 1
}

# The calls since `synced_from`, as `sync FILE` and `mv FROM TO`; folders of the test are left out.
calls() {
    sed "s|$root/||g" "$work/shim/log"
}

# Before file $1 got its name, what became it was synced; and its folder after.
expect_kept() {
    calls | awk -v file="$1" '
        $1 == "sync" { synced[$NF] = NR; if (moved && index(file, $NF "/") == 1) folder = NR }
        $1 == "mv" && $NF == file { moved = NR; if (synced[$(NF - 1)]) ok = 1 }
        END { exit !(ok && folder > moved) }' || fail "$1 is not on the disk before it counts: $(calls)"
}

test_state_is_on_the_disk_before_it_has_its_name() {
    shim sync mv ln
    open_node a start true
    : >"$work/shim/log"
    take_lock rollout r1 holder h ttl 60 resumes r0
    expect_kept .deployctl/generation
    expect_kept .deployctl/chain
    calls | awk '$1 == "sync" && $NF ~ /lock\/.new/ { synced = 1 } $1 == "ln" && !synced { exit 1 }' || fail "the lock: $(calls)"
    deliver r1
    calls | grep -q '^mv -fT -- releases/.incoming-r1 releases/r1$' || fail "$(calls)"
    calls | awk '/^sync -f releases\/.incoming-r1$/ { synced = 1 } /^mv .* releases\/r1$/ { if (!synced) exit 1; moved = 1 } /^sync releases$/ { if (moved) folder = 1 }
        END { exit !folder }' || fail "the release: $(calls)"
    : >"$work/shim/log"
    must ok activate fence 1 release r1 confirm 600 previous - token a-1
    expect_kept .deployctl/confirm/armed
    calls | awk '/^sync .*journal$/ { synced = 1 } /^mv .*\/confirm\/armed$/ { exit !synced }' || fail "the journal: $(calls)"
    : >"$work/shim/log"
    must ok commit fence 1 release r1
    expect_kept .deployctl/before
    expect_kept .deployctl/good/r1
    : >"$work/shim/log"
    must ok failed fence 1 release r1
    expect_kept .deployctl/failed/r1
    : >"$work/shim/log"
    must ok migrate fence 1 name m1 release r1 kind expand command "echo begun >>'$work/shim/log'"
    expect_kept .deployctl/migrations/m1
    calls | awk '/^mv .*migrations\/m1$/ { moved = 1 } /^begun$/ { exit !moved }' || fail "the migration: $(calls)"
}

test_what_a_slot_had_is_on_the_disk_before_it_changes() {
    shim sync mv ln
    open_node a slot_unit "blue -" slot_unit "green -" start true stop true
    take_lock rollout r1 holder h ttl 60
    deliver r1
    : >"$work/shim/log"
    must ok activate fence 1 release r1 slot blue
    expect_kept .deployctl/slots/blue
    must ok commit fence 1 release r1 slot blue
    expect_kept .deployctl/slots/.live
}

test_empty_and_torn_state_reads_as_absent() {
    locked_node a start true
    for release in r1 r2; do
        deliver "$release"
        must ok activate fence 1 release "$release"
        must ok commit fence 1 release "$release"
    done
    state=$root/.deployctl
    for file in good/r2 before chain failed/r1 generation migrations/m1 wish confirm/armed slots/.live lock/1.epoch.9x steps/9.9.9; do
        case $file in */*) mkdir -p "$state/${file%/*}" ;; esac
        [ ! -e "$state/$file" ] || mv "$state/$file" "$work/kept"
        for text in '' '99999999999999999999 y'; do
            printf '%s' "$text" >"$state/$file"
            must ok facts
            expect "current with $file torn" "$(value_of current)" r2
            [ "$file" != good/r2 ] || expect "committed" "$(value_of current_good)" no
        done
        must ok run fence 1 command true
        rm -f "$state/$file"
        [ ! -e "$work/kept" ] || mv "$work/kept" "$state/$file"
    done
    must ok facts
    expect committed "$(value_of current_good)" yes
    expect previous "$(value_of previous)" r1
    for text in '' 'x' 'rollout'; do
        printf '%s' "$text" >"$state/lock/$fence"
        must ok facts
        expect "a torn lock" "$(value_of lock)" expired
        take_lock rollout again holder h ttl 60
    done
}

test_a_release_that_was_only_activated_again_is_not_committed() {
    locked_node a start true
    for release in r1 r2; do
        deliver "$release"
        must ok activate fence 1 release "$release"
        must ok commit fence 1 release "$release"
    done
    must ok activate fence 1 release r1
    must ok facts
    expect current "$(value_of current)" r1
    expect committed "$(value_of current_good)" no
    expect previous "$(value_of previous)" r2
}
