# What is on the disk before what: the tools of the node's PATH note what they are called with, and when.

# watched TOOL...: each call is a line `TOOL ARGUMENTS` in $work/calls, with what $work/watch prints at that moment.
watched() {
    local tool real
    : >"$work/calls"
    [ -e "$work/watch" ] || printf ':\n' >"$work/watch"
    for tool; do
        real=$(PATH=$node_path command -v "$tool")
        real=$(readlink -f "$real")
        [ "${real##*/}" != busybox ] || real="$real $tool"
        rm -f "$work/bin/$tool"
        printf '#!/bin/sh\n. %s >>%s\nprintf "%%s\\n" "%s $*" >>%s\nexec %s "$@"\n' \
            "$work/watch" "$work/calls" "$tool" "$work/calls" "$real" >"$work/bin/$tool"
        chmod 755 "$work/bin/$tool"
    done
}
# Their order in $work/calls, as line numbers; the first one that begins so.
place_of() { grep -n -m 1 -F -e "$1" "$work/calls" | cut -d: -f1; }
# comes_before TEXT TEXT: both are there, in this order.
comes_before() {
    local first second
    first=$(place_of "$1") second=$(place_of "$2")
    [ -n "$first" ] && [ -n "$second" ] && [ "$first" -lt "$second" ] || fail "'$1' at ${first:-no} line, '$2' at ${second:-no} line: $(cat "$work/calls")"
}

test_a_release_is_on_the_disk_before_it_has_its_name() {
    watched sync mv
    locked_node a
    make_tree r1
    make_package r1
    stage r1
    : >"$work/calls"
    unpack r1
    expect status "$status" ok
    comes_before "sync -f releases/.incoming-r1" "mv -fT -- releases/.incoming-r1"
    comes_before "mv -fT -- releases/.incoming-r1" "sync releases"
}

test_a_step_begins_once_its_line_in_the_journal_is_on_the_disk() {
    watched sync mv
    open_node a start "mv --version >/dev/null 2>&1; touch $work/started"
    take_lock rollout roll-a holder "tester@here job a" ttl 60
    deliver r1
    : >"$work/calls"
    must ok activate fence 1 release r1
    [ -e "$work/started" ] || fail "it was not started"
    comes_before "sync $root/.deployctl/journal" "mv -fT -- $root/.deployctl/link.new $root/current"
    : >"$work/calls"
    must ok commit fence 1 release r1
    comes_before "sync $root/.deployctl/journal" "mv -f -- $root/.deployctl/.new.r1."
    comes_before "sync $root/.deployctl/.new.r1." "mv -f -- $root/.deployctl/.new.r1."
    comes_before "mv -f -- $root/.deployctl/.new.r1." "sync $root/.deployctl/good"
}

test_the_link_current_is_there_at_each_moment_of_a_switch() {
    locked_node a
    committed r1
    printf '[ -L "%s/current" ] || echo "current is gone"\n' "$root" >"$work/watch"
    watched mv rm ln sync
    deliver r2
    must ok activate fence 1 release r2
    must ok commit fence 1 release r2
    must ok activate fence 1 release r1
    expect link "$(readlink "$root/current")" releases/r1
    comes_before "ln -s -- releases/r2" "mv -fT -- $root/.deployctl/link.new $root/current"
    ! grep -F "current is gone" -A 1 "$work/calls" || fail "a moment without it"
}
