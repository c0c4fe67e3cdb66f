# What a run tells of its breakers, along with requests that go anyway.

journal_has() { grep -qE -- "$1" "$root/.deployctl/journal" || fail "not in the journal: $1, which is: $(cat "$root/.deployctl/journal")"; }
breakers_of() { sed -n 's/^= breaker //p' <<<"$reply"; }

test_breakers_come_with_a_renewal_and_with_a_step() {
    locked_node a
    must ok renew fence 1 breaker 'open 1764349283123 dependency balancer%20lb%20on%20lb1 connection  refused; $(id) *' \
        breaker 'half-open 1764349283124 node web3 timed out'
    must ok run fence 1 name hook command true breaker 'closed 1764349283999 node web3 timed out'
    journal_has '^1 [0-9]+ 1 roll-a breaker note - open 1764349283123 dependency balancer%20lb%20on%20lb1 connection  refused; \$\(id\) \*$'
    must ok facts
    expect breakers "$(breakers_of | sort)" "roll-a closed 1764349283999 node web3 timed out
roll-a open 1764349283123 dependency balancer%20lb%20on%20lb1 connection  refused; \$(id) *"
    expect "the step that is last" "$(value_of open_rollout)" "roll-a hook - -"
    must ok finish fence 1 status updated result done breaker 'closed 1764349284000 dependency balancer%20lb%20on%20lb1 -'
    must ok facts
    expect "after the end" "$(breakers_of | grep -c '^roll-a closed ')" 2
    must ok history lines 5
    case $reply in *"rollout roll-a "*" updated done"*) ;; *) fail "$reply" ;; esac
}

test_breakers_of_the_run_before_are_not_told() {
    locked_node a
    must ok renew fence 1 breaker 'open 1764349283123 node web3 timed out'
    must ok finish fence 1 status updated result done
    must ok facts
    expect "of the newest run" "$(breakers_of)" "roll-a open 1764349283123 node web3 timed out"
    must ok lock rollout roll-b holder h ttl 60
    must ok facts
    expect "of a newer run" "$(breakers_of)" ""
    must ok renew fence 2 breaker 'open 1764349283125 node web4 -'
    must ok facts
    expect "of a newer run" "$(breakers_of)" "roll-b open 1764349283125 node web4 -"
}

test_breakers_that_are_none_are_not_noted_and_refuse_nothing() {
    local long bad
    locked_node a
    long=$(printf '%01300d' 7)
    for bad in 'ajar 1 node web1 x' 'open x node web1 x' 'open 1 service web1 x' 'open 1 node' 'open' "open 1 node web1 $long" 'open -5 node web1 x' \
        'open 1 node  x'; do
        must ok renew fence 1 breaker "$bad"
    done
    ! grep -q ' breaker ' "$root/.deployctl/journal" || fail "$(cat "$root/.deployctl/journal")"
    must refused renew fence 7 breaker 'open 1 node web1 x'
    ! grep -q ' breaker ' "$root/.deployctl/journal" || fail "noted without the lock"
}

test_breakers_told_are_the_newest_64() {
    local i
    locked_node a
    {
        for i in {1..90}; do echo "1 1764349283 1 roll-a breaker note - open 17643492830$i node web$i x"; done
        echo "1 1764349283 1 roll-a breaker note - closed 1764349284000 node web90 x"
        echo "1 1764349283 1 roll-a breaker note - open"
        printf '1 1764349283 1 roll-a breaker note - open 17643'
    } >>"$root/.deployctl/journal"
    must ok facts
    expect "how many" "$(breakers_of | wc -l)" 64
    expect "the last of one" "$(breakers_of | grep -c 'node web90 ')" 1
    case $(breakers_of) in *"closed 1764349284000 node web90 x"*" node web89 x"*" node web27 x"*) ;; *) fail "$(breakers_of)" ;; esac
    ! breakers_of | grep -q 'node web26 ' || fail "too old: $(breakers_of)"
}

test_a_full_disk_has_no_room_for_breakers_and_refuses_nothing() {
    locked_node a
    mv "$root/.deployctl/journal" "$work/journal"
    ln -s /dev/full "$root/.deployctl/journal"
    must ok renew fence 1 breaker 'open 1764349283123 node web3 timed out'
    [ -s "$root/.deployctl/reserve" ] || fail "the reserve was given up for it"
    rm "$root/.deployctl/journal"
    mv "$work/journal" "$root/.deployctl/journal"
    must ok renew fence 1 breaker 'open 1764349283123 node web3 timed out'
    journal_has ' breaker note - open 1764349283123 node web3 timed out$'
}
