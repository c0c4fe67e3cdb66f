# Staging, unpacking, activating, keeping, verifying.

test_a_release_is_staged_activated_and_committed() {
    locked_node a
    deliver r1
    must ok stage fence 1 release r1 sha256 "$sha256" bytes "$bytes" unpacked "$unpacked" manifest_sha256 "$manifest_sha256"
    expect have "$(value_of have)" yes
    must ok activate fence 1 release r1
    expect was "$(value_of was)" -
    expect link "$(readlink "$root/current")" releases/r1
    expect version "$(cat "$root/current/version")" r1
    must ok commit fence 1 release r1
    must ok facts
    expect current "$(value_of current)" r1
    expect good "$(value_of current_good)" yes
    expect previous "$(value_of previous)" -
    expect release "$(value_of release)" "r1 good"
}

test_zstd_archives_are_unpacked() {
    command -v zstd >/dev/null || skip "there is no zstd"
    locked_node a
    deliver r1 zstd
    expect version "$(cat "$root/releases/r1/version")" r1
}

test_a_wrong_digest_leaves_nothing() {
    locked_node a
    make_tree r1
    make_package r1
    stage r1
    printf x >>"$received"
    unpack r1
    expect status "$status" failed
    case $sentence in *sha256*) ;; *) fail "$sentence" ;; esac
    [ ! -e "$root/releases/r1" ] || fail "it is there"
}

test_a_truncated_archive_leaves_nothing() {
    local cut
    locked_node a
    for kind in gzip zstd; do
        make_tree r1
        head -c 300000 /dev/urandom >"$work/tree/blob"
        make_package r1 "$kind"
        for cut in 20 5000 $((bytes - 9)); do
            head -c "$cut" "$archive" >"$work/cut"
            stage r1
            cp "$work/cut" "$received"
            sha256=$(sha256sum <"$work/cut" | cut -d' ' -f1)
            unpack r1
            expect "$kind cut at $cut" "$status" failed
            [ ! -e "$root/releases/r1" ] && [ ! -e "$root/.deployctl/manifests/r1" ] || fail "it is there"
        done
    done
}

test_private_modes_stay_private() {
    locked_node a
    make_tree r1
    local mode
    for mode in 600 700 640 750; do
        echo $mode >"$work/tree/$mode"
        chmod $mode "$work/tree/$mode"
    done
    make_package r1
    stage r1
    unpack r1
    expect unpack "$status" ok
    expect modes "$(cd "$root/releases/r1" && stat -c %a 600 700 640 750 version bin/run | paste -s -d ' ')" '600 700 640 750 644 755'
    must ok verify release r1
    chmod 644 "$root/releases/r1/600"
    must failed verify release r1
    expect changed "$(value_of changed)" 600
}

test_no_more_is_unpacked_than_was_announced() {
    locked_node a
    make_tree r1
    head -c 3000000 /dev/zero >"$work/tree/bomb"
    make_package r1
    local length
    length=$(gzip -dc "$archive" | wc -c)
    stage r1
    ask unpack fence "$fence" release r1 sha256 "$sha256" compression gzip manifest_sha256 "$manifest_sha256" tar_bytes 200000
    expect status "$status" failed
    case $sentence in *'more than the 200000 bytes that were announced'*) ;; *) fail "$sentence" ;; esac
    [ ! -e "$root/releases/r1" ] && [ ! -e "$root/.deployctl/manifests/r1" ] || fail "it is there"
    stage r1
    ask unpack fence "$fence" release r1 sha256 "$sha256" compression gzip manifest_sha256 "$manifest_sha256" tar_bytes "$length"
    expect "$sentence" "$status" ok
}

test_another_release_under_the_same_id_is_refused() {
    locked_node a
    deliver r1
    make_tree other
    make_package r1
    must failed stage fence 1 release r1 sha256 "$sha256" bytes "$bytes" unpacked "$unpacked" manifest_sha256 "$manifest_sha256"
    expect version "$(cat "$root/releases/r1/version")" r1
}

test_a_release_that_does_not_fit_is_refused_before_it_is_sent() {
    locked_node a
    must failed stage fence 1 release r1 sha256 x bytes 900000000000000 unpacked 900000000 manifest_sha256 y
    case $sentence in disk:*) ;; *) fail "$sentence" ;; esac
}

test_a_missing_archive_and_an_unknown_compression_are_told() {
    locked_node a
    make_tree r1
    make_package r1
    stage r1
    rm "$received"
    unpack r1
    expect status "$status" failed
    cp "$archive" "$received"
    compression=lzma
    unpack r1
    expect status "$status" failed
}

test_hostile_file_names_do_not_matter() {
    locked_node a
    make_tree r1
    local name
    for name in '-rf' '$(touch pwned)' 'a b  c ' "it's" '"q"' 'back\slash' '*' '日本' ';reboot' '&' '`id`' '#x' ' lead'; do
        echo "$name" >"$work/tree/$name"
        chmod 644 -- "$work/tree/$name"
    done
    make_package r1
    stage r1
    unpack r1
    expect unpack "$status" ok
    must ok activate fence 1 release r1
    must ok commit fence 1 release r1
    must ok verify release r1
    echo changed >"$root/releases/r1/back\\slash"
    echo changed >"$root/releases/r1/a b  c "
    must failed verify release r1
    expect differences "$(value_of differences)" 2
    case $reply in *'= changed back\slash'*) ;; *) fail "$reply" ;; esac
    must ok stage fence 1 release r2 sha256 x bytes 1 unpacked 1 manifest_sha256 y
    must refused discard fence 1 release r1
}

test_verify_names_what_changed() {
    locked_node a
    deliver r1
    must ok verify release r1
    echo x >>"$root/releases/r1/version"
    chmod 600 "$root/releases/r1/bin/run"
    rm "$root/releases/r1/config/app.env"
    echo new >"$root/releases/r1/new file"
    ln -sf elsewhere "$root/releases/r1/bin/version"
    must failed verify release r1
    expect all "$(grep '^= [cem]' <<<"$reply" | tr '\n' ,)" "= changed bin/run,= changed bin/version,= changed version,= extra new file,= missing config/app.env,"
}

test_shared_paths_are_linked_and_keep_their_contents() {
    locked_node a shared log shared config/app.env shared up/loads/
    deliver r1
    expect link "$(readlink "$root/releases/r1/log")" ../../shared/log
    [ -d "$root/releases/r1/log/" ] && [ -d "$root/releases/r1/up/loads/" ] || fail "no folder"
    expect moved "$(cat "$root/shared/config/app.env")" setting
    echo mine >"$root/shared/config/app.env"
    deliver r2
    expect kept "$(cat "$root/releases/r2/config/app.env")" mine
    must ok verify release r2
}

test_shared_paths_cannot_leave_the_release() {
    for path in ../x a/../../x /etc/passwd; do
        locked_node a shared "$path"
        make_tree r1
        make_package r1
        stage r1
        unpack r1
        expect "$path" "$status" failed
        [ ! -e "$root/releases/r1" ] || fail "it is there"
        must ok unlock fence "$fence"
    done
    locked_node b shared trap/x
    make_tree r1
    ln -s /tmp "$work/tree/trap"
    make_package r1
    stage r1
    unpack r1
    expect link "$status" failed
}

test_rollback_goes_to_the_good_release_below_and_never_to_a_failed_one() {
    locked_node a
    for release in r1 r2 r3; do
        deliver "$release"
        must ok activate fence 1 release "$release"
        must ok commit fence 1 release "$release"
    done
    must ok facts
    expect previous "$(value_of previous)" r2
    must ok failed fence 1 release r2
    must ok facts
    expect previous "$(value_of previous)" r1
    must ok activate fence 1 release r1
    must ok commit fence 1 release r1 kind rollback
    must ok facts
    expect previous "$(value_of previous)" -
    deliver r4
    must ok activate fence 1 release r4
    must ok commit fence 1 release r4
    must ok facts
    expect previous "$(value_of previous)" r1
    must ok activate fence 1 release r1
    must ok commit fence 1 release r1
    must ok facts
    expect "an older one committed again is on top" "$(value_of previous)" r4
}

test_keep_counts_good_releases_and_spares_what_is_needed() {
    locked_node a
    for release in r1 r2 r3 r4 r5; do
        deliver "$release"
        must ok activate fence 1 release "$release"
        must ok commit fence 1 release "$release" pinned "$([ "$release" = r1 ] && echo yes || echo no)"
    done
    expect kept "$(ls "$root/releases" | tr '\n' ,)" "r1,r3,r4,r5,"
    deliver f1
    must ok failed fence 1 release f1
    sed -i 's/.*/100/' "$root/.deployctl/failed/f1"
    deliver f2
    must ok failed fence 1 release f2
    deliver staged
    deliver r6
    must ok activate fence 1 release r6
    must ok commit fence 1 release r6
    expect kept "$(ls "$root/releases" | tr '\n' ,)" "f2,r1,r4,r5,r6,"
    [ ! -e "$root/.deployctl/manifests/f1" ] || fail "its manifest stayed"
}

test_discard_removes_only_what_was_never_good() {
    locked_node a
    deliver r1
    must ok discard fence 1 release r1
    [ ! -e "$root/releases/r1" ] && [ ! -e "$root/.deployctl/manifests/r1" ] || fail "it is there"
    must ok discard fence 1 release r1
    deliver r2
    must ok activate fence 1 release r2
    must refused discard fence 1 release r2
}

test_start_stop_and_reload_commands() {
    locked_node a start "echo start \$(cat version) \$DEPLOYCTL_NODE >>'$work/calls'; pwd >>'$work/calls'" stop "echo stop \$(cat version) >>'$work/calls'"
    deliver r1
    deliver r2
    must ok activate fence 1 release r1 env DEPLOYCTL_NODE=web1
    must ok activate fence 1 release r2 env DEPLOYCTL_NODE=web1
    must ok activate fence 1 release -
    expect calls "$(tr '\n' , <"$work/calls" | sed "s#$(realpath "$root")##g; s#$root##g")" \
        "start r1 web1,/releases/r1,stop r1,start r2 web1,/releases/r2,stop r2,"
    [ ! -L "$root/current" ] || fail "the link stayed"
    must ok facts
    expect current "$(value_of current)" -
}

test_the_service_s_environment_is_what_the_request_gave() {
    locked_node a start "env >'$work/env'"
    deliver r1
    must ok activate fence 1 release r1 env "tmp=it's \$mine" env id=7
    grep -qx "tmp=it's \$mine" "$work/env" && grep -qx id=7 "$work/env" || fail "$(cat "$work/env")"
    ! grep -q '^[sv]_\|^LC_ALL\|^lock_' "$work/env" || fail "$(cat "$work/env")"
}

test_reload_takes_the_place_of_a_restart_when_something_runs() {
    locked_node a start "echo start >>'$work/calls'" reload "echo reload >>'$work/calls'"
    deliver r1
    must ok activate fence 1 release r1
    must ok activate fence 1 release r1
    expect calls "$(tr '\n' , <"$work/calls")" start,reload,
}

test_a_restart_is_of_what_is_current_and_is_no_activation() {
    locked_node a start "echo start \$(cat version) \$DEPLOYCTL_NODE >>'$work/calls'" stop "echo stop \$(cat version) >>'$work/calls'"
    deliver r1
    deliver r2
    must failed restart fence 1 release r1
    expect sentence "$sentence" "release none is current, not r1"
    must ok activate fence 1 release r1 env DEPLOYCTL_NODE=web1
    must ok commit fence 1 release r1
    must failed restart fence 1 release r2
    expect sentence "$sentence" "release r1 is current, not r2"
    must failed restart fence 1
    must failed restart fence 1 release r1 slot blue
    must refused restart fence 7 release r1
    must ok restart fence 1 release r1 token t1 env DEPLOYCTL_NODE=web1
    expect sentence "$sentence" "restarted: release r1 is current"
    expect switched "$(value_of switched)" ""
    must ok restart fence 1 release r1 token t1 env DEPLOYCTL_NODE=web1
    expect recorded "$(value_of recorded)" yes
    expect calls "$(tr '\n' , <"$work/calls")" "start r1 web1,stop r1,start r1 web1,"
    expect link "$(readlink "$root/current")" releases/r1
    must ok facts
    expect facts "$(value_of current) $(value_of current_good)" "r1 yes"
    grep -q ' restart begin r1 ' "$root/.deployctl/journal" || fail "$(cat "$root/.deployctl/journal")"
    grep -q ' restart end r1 ok ' "$root/.deployctl/journal" || fail "$(cat "$root/.deployctl/journal")"
}

# The timer is of an activation, and a restart neither ends it nor begins another.
test_a_restart_leaves_the_confirm_timer_alone() {
    locked_node a start true
    deliver r1
    deliver r2
    must ok activate fence 1 release r1
    must ok activate fence 1 release r2 confirm 600 previous r1
    must ok restart fence 1 release r2
    must ok facts
    case $(value_of confirm) in 'armed '*' r2 r1') ;; *) fail "$reply" ;; esac
    must ok activate fence 1 release r1
    must ok facts
    expect confirm "$(value_of confirm)" ""
}

test_a_failing_start_is_told_with_its_output() {
    locked_node a start "echo no port; exit 5"
    deliver r1
    must failed activate fence 1 release r1
    expect sentence "$sentence" "start: exit status 5"
    expect output "$(output_of)" "no port"
    must ok evidence lines 5
    expect evidence "$(output_of)" "no port"
}

test_a_daemon_that_start_leaves_survives_the_step_and_the_session() {
    locked_node a start "sh -c 'echo up; exec sleep 300' & echo \$! >'$work/daemon'"
    deliver r1
    must ok activate fence 1 release r1
    lose_connection
    eventually recorded '^end ok'
    kill -0 "$(cat "$work/daemon")" || fail "it ended"
    open_node b
    must ok settle fence 1
    expect state "$(value_of last_state)" ok
    kill -0 "$(cat "$work/daemon")" || fail "settle ended it"
    kill "$(cat "$work/daemon")"
}

test_an_incomplete_release_is_never_activated_or_committed() {
    locked_node a
    mkdir -p "$root/releases/half"
    must failed activate fence 1 release half
    must failed commit fence 1 release half
    must failed verify release half
    must ok facts
    expect release "$(value_of release)" "half incomplete"
    must failed activate fence 1 release absent
}

test_a_dangling_or_foreign_current_is_reported_and_can_be_replaced() {
    locked_node a
    deliver r1
    ln -s releases/gone "$root/current"
    must ok facts
    expect state "$(value_of current_state)" dangling
    must ok activate fence 1 release r1
    rm "$root/current"
    ln -s /usr "$root/current"
    must ok facts
    expect state "$(value_of current_state)" foreign
    must ok activate fence 1 release r1
    rm "$root/current"
    mkdir "$root/current"
    must failed activate fence 1 release r1
    [ -d "$root/current" ] || fail "the folder is gone"
}

test_what_another_tool_has_put_into_releases_is_not_pruned() {
    start_node a
    must ok open root "$root" service shop keep 1
    take_lock rollout roll-a holder someone ttl 60
    local release
    mkdir -p "$root/releases/20200101120000" "$root/releases/20200101T120000Z-0123456789ab"
    for release in r1 r2 r3; do
        deliver $release
        must ok activate fence 1 release $release
        must ok commit fence 1 release $release
    done
    expect 'but what an upload of ours has left is' "$(ls "$root/releases" | paste -s -d ' ')" '20200101120000 r2 r3'
}

# A systemctl that does as $work/unit.state says and notes what it is asked.
fake_systemctl() {
    rm -f "$work/bin/systemctl" "$work/bin/journalctl"
    cat >"$work/bin/systemctl" <<END
#!/bin/sh
echo "\$*" >>'$work/calls'
case \$1 in
show) cat '$work/unit.state' ;;
restart) [ ! -e '$work/unit.broken' ] ;;
status) echo "   Active: active (running) since yesterday" ;;
esac
END
    printf '#!/bin/sh\necho "2026-01-01T00:00:00 web1 shop[1]: hello"\n' >"$work/bin/journalctl"
    chmod 755 "$work/bin/systemctl" "$work/bin/journalctl"
    printf 'LoadState=%s\nActiveState=active\nSubState=running\nNRestarts=2\nMainPID=42\nResult=success\nNeedDaemonReload=no\n' "${1:-loaded}" >"$work/unit.state"
    [ "$node_path" = "$work/bin" ] || node_path=$work/bin:$PATH
}

test_a_unit_is_restarted_and_asked_about() {
    fake_systemctl
    locked_node a unit shop.service
    deliver r1
    must ok activate fence 1 release r1
    grep -qx 'restart -- shop.service' "$work/calls" || fail "$(cat "$work/calls")"
    grep -qx 'reset-failed -- shop.service' "$work/calls" || fail "$(cat "$work/calls")"
    must ok unit
    expect unit "$(value_of unit_active) $(value_of unit_sub) $(value_of unit_restarts) $(value_of unit_main_pid)" "active running 2 42"
    must ok evidence lines 3
    case $reply in *hello*) ;; *) fail "$reply" ;; esac
    expect status "$(value_of unit_status)" "active (running) since yesterday"
    : >"$work/calls"
    must ok restart fence 1 release r1
    grep -qx 'restart -- shop.service' "$work/calls" || fail "$(cat "$work/calls")"
    : >"$work/unit.broken"
    must failed restart fence 1 release r1
    must failed activate fence 1 release r1
    must ok activate fence 1 release -
    grep -qx 'stop -- shop.service' "$work/calls" || fail "$(cat "$work/calls")"
}

test_a_missing_unit_is_told_before_anything_is_switched() {
    fake_systemctl not-found
    locked_node a unit shop.service
    deliver r1
    must failed activate fence 1 release r1
    case $sentence in *"not on this node"*) ;; *) fail "$sentence" ;; esac
    [ ! -L "$root/current" ] || fail "it was switched"
    must ok facts
    expect load "$(value_of unit_load)" not-found
}

test_on_a_full_disk_going_back_still_works() {
    [ "$(id -u)" = 0 ] || skip "not root: no tmpfs can be mounted"
    mkdir "$root"
    mount -t tmpfs -o mode=755,size=1m,nr_inodes=200 tmpfs "$root" 2>/dev/null || skip "no tmpfs can be mounted here"
    trap 'umount -l "$root"; stop_nodes' EXIT
    locked_node a
    for release in r1 r2; do
        deliver "$release"
        must ok activate fence 1 release "$release"
        must ok commit fence 1 release "$release"
    done
    cat /dev/zero >"$root/fill" 2>/dev/null
    must failed stage fence 1 release r3 sha256 x bytes 5000 unpacked 5000 manifest_sha256 y
    case $sentence in disk:*) ;; *) fail "$sentence" ;; esac
    cat /dev/zero >>"$root/fill" 2>/dev/null
    must ok activate fence 1 release r1
    must ok commit fence 1 release r1 kind rollback
    must ok failed fence 1 release r2
    must ok finish fence 1 result back
    expect current "$(cat "$root/current/version")" r1
}

test_an_archive_that_fills_the_disk_leaves_nothing() {
    [ "$(id -u)" = 0 ] || skip "not root: no tmpfs can be mounted"
    mkdir "$root"
    mount -t tmpfs -o mode=755,size=2m tmpfs "$root" 2>/dev/null || skip "no tmpfs can be mounted here"
    trap 'umount -l "$root"; stop_nodes' EXIT
    locked_node a
    make_tree r1
    head -c 5000000 /dev/zero >"$work/tree/big"
    make_package r1
    unpacked=1000
    stage r1
    unpack r1
    expect status "$status" failed
    case $sentence in disk:*) ;; *) echo "doubtful: $sentence" ;; esac
    [ ! -e "$root/releases/r1" ] && [ ! -e "$root/releases/.incoming-r1" ] || fail "it is there"
    make_tree r2
    make_package r2
    stage r2
    unpack r2
    expect "a smaller one" "$status" ok
}

# RELEASE...: delivered, activated, committed.
committed() {
    local release
    for release in "$@"; do
        deliver "$release"
        must ok activate fence 1 release "$release"
        must ok commit fence 1 release "$release"
    done
}
kept() { ls "$root/releases" | paste -s -d ' '; }

test_a_half_deleted_release_counts_for_nothing_and_is_pruned() {
    locked_node a # keep 3
    committed r1 r2 r3
    rm "$root/.deployctl/manifests/r2"
    committed r4
    expect "as many good ones as are kept" "$(kept)" "r1 r3 r4"
    rm -r "$root/releases/r3"
    must ok facts
    expect "nobody goes back to what is gone" "$(value_of previous)" r1
    committed r5
    expect "nor does it count" "$(kept)" "r1 r4 r5"
}

test_an_altered_pinned_release_is_kept_and_known_as_altered() {
    locked_node a
    deliver r1
    must ok activate fence 1 release r1
    must ok commit fence 1 release r1 pinned yes
    echo other >>"$root/releases/r1/version"
    committed r2 r3 r4 r5
    expect "what is pinned stays" "$(kept)" "r1 r3 r4 r5"
    must failed verify release r1
    expect "and is what it is" "$(value_of changed)" version
    must ok commit fence 1 release r5 pinned no
    rm "$root/.deployctl/good/r1.pinned"
    must ok commit fence 1 release r5
    expect "until it is pinned no more" "$(kept)" "r3 r4 r5"
}

test_a_failed_release_takes_no_place_of_a_good_one() {
    start_node a
    must ok open root "$root" service shop keep 1
    take_lock rollout roll-a holder someone ttl 60
    committed r1 r2
    must ok failed fence 1 release r2
    committed r3
    must ok facts
    expect "past the failed one" "$(value_of previous)" r1
    expect "the previous good one and the newest failed one" "$(kept)" "r1 r2 r3"
    deliver r4
    must ok activate fence 1 release r4
    must ok failed fence 1 release r4
    must ok activate fence 1 release r3
    must ok commit fence 1 release r3
    must ok facts
    expect "not forward to a failed one either" "$(value_of previous)" r1
    expect "one failed one is enough" "$(kept)" "r1 r3 r4"
}

test_nothing_is_pruned_by_who_has_lost_the_lock() {
    start_node a
    must ok open root "$root" service shop keep 1
    take_lock rollout roll-a holder someone ttl 60
    committed r1 r2
    deliver r3
    must ok activate fence 1 release r3
    open_node b
    must ok break generation 1 holder boss
    must ok lock rollout roll-b holder boss ttl 60
    use a
    must refused commit fence 1 release r3
    expect "all are there" "$(kept)" "r1 r2 r3"
    use b
    must refused commit fence 1 release r3
    must ok facts
    expect "nor is it good" "$(value_of current_good)" no
}

test_a_release_that_is_not_the_current_one_is_not_committed() {
    locked_node a
    deliver r1
    deliver r2
    must ok activate fence 1 release r1
    must failed commit fence 1 release r2
    expect why "$sentence" 'current links release r1, not r2'
    must ok commit fence 1 release r1
    must ok facts
    expect good "$(value_of current_good)" yes
}
