# What a crash, a full disk or a hand has damaged.

boot_id() { cat /proc/sys/kernel/random/boot_id; }
test_a_damaged_lease_is_an_expired_one() {
    local text
    locked_node a
    for text in abc 'x y z' '99999999999999999999999 b' "1.5 $(boot_id)" 'a[0] x'; do
        printf '%s\n' "$text" >"$root/.deployctl/lock/$fence.beat"
        open_node b
        must ok facts
        expect "lock with the beat $text" "$(value_of lock)" expired
        must ok lock rollout other holder someone ttl 60
        fence=$(value_of generation)
    done
    printf 'rollout r\nholder h\nttl abc\nbeat x %s\n' "$(boot_id)" >"$root/.deployctl/lock/$fence"
    must ok facts
    expect 'a lock of no sense' "$(value_of lock)" expired
    must ok break holder someone
    must ok lock rollout other holder someone ttl 60
}

test_a_lock_that_cannot_be_noted_is_given_back() {
    open_node a
    must ok lock rollout r1 holder h ttl 60
    must ok unlock fence 1
    mv "$root/.deployctl/journal" "$work/journal"
    mkdir "$root/.deployctl/journal"
    must failed lock rollout r2 holder h ttl 60 token t
    must ok facts
    expect lock "$(value_of lock)" free
    rmdir "$root/.deployctl/journal"
    mv "$work/journal" "$root/.deployctl/journal"
    must ok lock rollout r2 holder h ttl 60 token t
    must ok facts
    expect open "$(value_of open_rollout)" 'r2 - - -'
}

test_a_lock_whose_session_was_cut_before_it_was_noted_is_noted_by_the_next() {
    open_node a
    must ok lock rollout r1 holder h ttl 60 release r1 kind rollout token t
    sed -i '$d' "$root/.deployctl/journal"
    must ok lock rollout r1 holder h ttl 60 release r1 kind rollout token t
    must ok lock rollout r1 holder h ttl 60 release r1 kind rollout token t
    expect notes "$(grep -c ' rollout begin ' "$root/.deployctl/journal")" 1
    must ok facts
    expect open "$(value_of open_rollout)" 'r1 - r1 rollout'
}

test_what_a_journal_holds_beside_its_lines_hides_none() {
    local journal=$root/.deployctl/journal
    locked_node a
    cp "$journal" "$work/journal"
    {
        head -c 300 /dev/zero
        head -c 300000 /dev/zero | tr '\0' x
        printf '\n1 1 1 r0 rollout begin - - %s\n' "$(head -c 90000 /dev/zero | tr '\0' x)"
        head -c 300 /dev/urandom
        echo
        cat "$work/journal"
    } >"$journal"
    must ok facts
    expect open "$(value_of open_rollout)" 'roll-a - - -'
    must ok history
    printf '\0\n2 17 3 r rollout begin x -\n' >>"$journal"
    must refused facts
    case $sentence in *'version 2'*) ;; *) fail "$sentence" ;; esac
}
