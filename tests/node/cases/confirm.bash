# The confirm timer: armed by an activation, ended by a confirmation over another connection, else the release before comes back.

# Two releases, r1 is current; start writes a line for each start. What follows activates r2 with a timer.
two_releases() {
    locked_node "$1" start "echo \"\$DEPLOYCTL_RELEASE \$(cat version)\" >>'$work/starts'" stop "echo stop >>'$work/starts'"
    deliver r1
    deliver r2
    must ok activate fence "$fence" release r1 env DEPLOYCTL_RELEASE=r1
}

# Of a timer that a test ends before it is due.
timer_s=$(allowed 4)

armed() { # SECONDS
    must ok activate fence "$fence" release r2 previous r1 confirm "$1" env DEPLOYCTL_RELEASE=r2 env "PLAIN=it's"
    expect current "$(readlink "$root/current")" releases/r2
}

current_is() { [ "$(readlink "$root/current")" = "releases/$1" ]; }
timer_is_over() { ls "$root"/.deployctl/confirm/*.done; }
watcher() { cat "$root"/.deployctl/confirm/*.pid; }
waits_no_more() { [ -z "$(ls "$root"/.deployctl/confirm/*.pid 2>/dev/null)" ]; }
journal_says() { grep -q "$1" "$root/.deployctl/journal"; }

test_an_unconfirmed_release_is_put_back() {
    two_releases a
    armed 4
    must ok facts
    case $(value_of confirm) in "armed "[0-4]" r2 r1") ;; *) fail "$reply" ;; esac
    eventually timer_is_over
    expect current "$(readlink "$root/current")" releases/r1
    expect starts "$(tail -n 2 "$work/starts" | tr '\n' ' ')" "stop r1 r1 "
    journal_says "roll-a revert end r1 ok release r2 was not confirmed within 4 s: release r1 is current" || fail "no line in the journal"
    must ok facts
    case $(value_of reverted) in *" r2 r1 roll-a ok release r2 was not confirmed within 4 s"*) ;; *) fail "$reply" ;; esac
    expect confirm "$(value_of confirm)" ""
    starts=$(wc -l <"$work/starts")
    open_node b
    must refused confirm fence "$fence" release r2
    case $sentence in *"too late"*r1*) ;; *) fail "$sentence" ;; esac
    sleep 1
    expect "no second time" "$(wc -l <"$work/starts")" "$starts"
}

test_an_altered_release_is_not_put_back() {
    two_releases a
    echo other >>"$root/releases/r1/version"
    echo "the service's own" >"$root/releases/r1/extra"
    armed 6
    eventually timer_is_over
    current_is r2 || fail "what was altered was put back"
    must ok facts
    case $(value_of reverted) in
    *" r2 r1 roll-a failed release r2 was not confirmed within 6 s: not put back, since release r1 is not as it was staged (version is changed)") ;;
    *) fail "$reply" ;;
    esac
    expect "nothing is left of the comparison" "$(ls "$root/.deployctl/confirm" | grep -c '^[als].*\.')" 0
}

test_what_a_service_adds_to_a_release_does_not_keep_it_from_being_put_back() {
    two_releases a
    echo "the service's own" >"$root/releases/r1/extra"
    armed 6
    eventually timer_is_over
    current_is r1 || fail "$(cat "$root/.deployctl/journal")"
}

test_a_confirmed_release_stays_and_its_watcher_is_gone() {
    two_releases a
    armed "$timer_s"
    read -r pid _ <<<"$(watcher)"
    must refused confirm fence "$fence" release r2
    case $sentence in *"use a new one"*) ;; *) fail "$sentence" ;; esac
    open_node b
    must ok confirm fence "$fence" release r2
    must ok confirm fence "$fence" release r2
    eventually group_is_gone "$pid"
    sleep $((timer_s + 1))
    current_is r2 || fail "it was put back"
    expect starts "$(tail -n 1 "$work/starts")" "r2 r2"
    must ok facts
    expect reverted "$(value_of reverted)$(value_of confirm)" ""
    journal_says "roll-a confirm end r2 ok confirmed over a new connection" || fail "no line in the journal"
}

test_the_timer_outlives_the_program_and_everything_below_it() {
    two_releases a
    armed 4
    kill -KILL $(descendants "$node_pid") "$node_pid"
    eventually timer_is_over
    current_is r1 || fail "it was not put back"
}

test_a_late_timer_that_was_confirmed_does_nothing() {
    two_releases a
    armed 60
    cp -r "$root/.deployctl/confirm" "$work/kept"
    open_node b
    must ok confirm fence "$fence" release r2
    eventually waits_no_more
    # as if nobody had ended its process: the same text again, its time long over
    cp "$work/kept/"*.run "$work/kept/"*.program "$root/.deployctl/confirm/"
    sed -i 's/^until .*/until 1/' "$root/.deployctl/confirm/armed"
    PATH=$node_path sh "$root"/.deployctl/confirm/*.run
    current_is r2 || fail "it was put back"
}

test_an_activation_of_a_newer_generation_ends_the_timer() {
    two_releases a
    armed "$timer_s"
    read -r pid _ <<<"$(watcher)"
    must ok unlock fence "$fence"
    open_node b start "echo \"\$DEPLOYCTL_RELEASE\" >>'$work/starts'"
    take_lock rollout newer holder someone ttl 60
    must ok activate fence 2 release r2 env DEPLOYCTL_RELEASE=newer
    eventually group_is_gone "$pid"
    sleep $((timer_s + 1))
    current_is r2 || fail "the older timer put it back"
    expect starts "$(tail -n 1 "$work/starts")" newer
    must ok confirm fence 2 release r2
}

test_a_timer_waits_while_a_newer_generation_holds_the_lock() {
    two_releases a
    armed "$timer_s"
    must ok unlock fence "$fence"
    open_node b
    must ok lock rollout newer holder someone ttl 60
    sleep $((timer_s + 1))
    current_is r2 || fail "it wrote beside the newer generation"
    must ok unlock fence 2
    eventually timer_is_over
    current_is r1 || fail "nobody took responsibility, and it was not put back"
}

test_without_a_release_before_the_service_is_stopped() {
    locked_node a start "echo start >>'$work/starts'" stop "echo stop >>'$work/starts'"
    deliver r1
    must ok activate fence "$fence" release r1 previous - confirm 3
    eventually timer_is_over
    [ ! -e "$root/current" ] || fail "something is current"
    expect starts "$(tr '\n' ' ' <"$work/starts")" "start stop "
    must ok facts
    case $(value_of reverted) in *" r1 - roll-a ok "*) ;; *) fail "$reply" ;; esac
}

test_undoing_by_hand_ends_the_timer() {
    two_releases a
    armed "$timer_s"
    must ok activate fence "$fence" release r1 env DEPLOYCTL_RELEASE=r1
    starts=$(wc -l <"$work/starts")
    sleep $((timer_s + 1))
    expect "starts after the undo" "$(wc -l <"$work/starts")" "$starts"
    [ -z "$(ls "$root"/.deployctl/confirm/*.done 2>/dev/null)" ] || fail "it fired"
}

test_a_step_still_running_when_the_timer_is_due_is_ended_first() {
    two_releases a
    armed 3
    send run fence "$fence" command "echo \$\$ >'$work/pid'; sleep 300"
    await
    expect status "$status" failed
    expect sentence "$sentence" "the confirm timer ended it: release r2 was not confirmed within 3 s, and r1 is put back"
    group_is_gone "$(cat "$work/pid")" || fail "the step lives"
    eventually timer_is_over
    current_is r1 || fail "it was not put back"
}

test_an_activation_waits_for_a_timer_that_has_begun() {
    locked_node a start "echo \"begin \$DEPLOYCTL_RELEASE\" >>'$work/starts'; [ \$DEPLOYCTL_RELEASE != r1 ] || sleep 1; echo end >>'$work/starts'"
    deliver r1
    deliver r2
    must ok activate fence "$fence" release r1 env DEPLOYCTL_RELEASE=r1
    armed 3
    : >"$work/starts"
    eventually grep -q 'begin r1' "$work/starts"
    must ok activate fence "$fence" release r2 env DEPLOYCTL_RELEASE=r2
    expect starts "$(tr '\n' ' ' <"$work/starts")" "begin r1 end begin r2 end "
    current_is r2 || fail "the order was lost"
}

test_a_timer_that_cannot_be_armed_fails_the_activation_before_the_switch() {
    two_releases a
    must failed activate fence "$fence" release r2 previous r0 confirm 5
    current_is r1 || fail "it was switched"
    must failed activate fence "$fence" release r2 previous r1 confirm soon
    current_is r1 || fail "it was switched"
}

test_what_a_reboot_did_to_a_timer_is_told() {
    two_releases a
    armed 60
    sed -i 's/^boot .*/boot another/' "$root/.deployctl/confirm/armed"
    must ok facts
    expect confirm "$(value_of confirm)" "lost 0 r2 r1"
}

test_a_watcher_that_was_killed_is_told() {
    two_releases a
    armed 100
    read -r watcher _ < <(watcher)
    kill -KILL -- "-$watcher"
    eventually group_is_gone "$watcher"
    must ok facts
    expect confirm "$(value_of confirm)" "lost 0 r2 r1"
}

test_settle_tells_that_the_timer_put_a_release_back() {
    two_releases a
    armed 3
    eventually timer_is_over
    open_node b
    must ok settle fence "$fence"
    case $(value_of reverted) in *" r2 r1 roll-a ok "*) ;; *) fail "$reply" ;; esac
}
