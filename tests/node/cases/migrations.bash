# Migrations: once, on record before and after, and never again in silence.

# migrate NAME COMMAND [KEY VALUE]...: with the release that make_ready delivered.
migrate() {
    local name=$1 command=$2
    shift 2
    ask migrate fence "$fence" name "$name" kind "${kind:-expand}" release r-1 command "$command" "$@"
}

make_ready() {
    locked_node "$1"
    deliver r-1
}

state_of() { awk '{ print $5 }' "$root/.deployctl/migrations/$1"; }

# The state of migration $1 as the node says it.
said_of() {
    ask facts
    sed -n "s/^= migration $1 //p" <<<"$reply"
}

test_a_migration_runs_once_in_the_releases_folder() {
    make_ready a
    migrate add-price 'cat version >>"$OUT"' token t-1 env "OUT=$work/out"
    expect status "$status" ok
    migrate add-price 'cat version >>"$OUT"' token t-2 env "OUT=$work/out"
    expect status "$status" ok
    expect runs "$(cat "$work/out")" r-1
    expect said "$(said_of add-price)" 'done r-1 expand'
    expect journal "$(awk '$5 == "migrate.add-price" { printf "%s ", $6 }' "$root/.deployctl/journal")" 'begin end '
}

test_a_migration_that_failed_may_run_again() {
    make_ready a
    migrate add-price 'exit 3' token t-1
    expect status "$status" failed
    expect said "$(said_of add-price)" 'failed r-1 expand'
    migrate add-price 'exit 3' token t-1
    expect recorded "$(value_of recorded)" yes
    migrate add-price true token t-2
    expect status "$status" ok
    expect said "$(said_of add-price)" 'done r-1 expand'
}

test_a_migration_that_was_stopped_is_unknown_and_needs_a_word() {
    make_ready a
    migrate add-price 'sleep 300' timeout_ms 300 token t-1
    expect status "$status" timeout
    expect said "$(said_of add-price)" 'unknown r-1 expand'
    migrate add-price "touch '$work/again'" token t-2
    expect status "$status" refused
    [ ! -e "$work/again" ] || fail "it ran again in silence"
    migrate add-price true again yes token t-3
    expect status "$status" ok
    expect said "$(said_of add-price)" 'done r-1 expand'
}

test_a_migration_killed_with_its_supervisor_is_unknown() {
    make_ready a
    send migrate fence "$fence" name drop kind irreversible release r-1 command "echo \$\$ >'$work/pid'; sleep 300" token t-1
    eventually test -s "$work/pid"
    kill -KILL "$node_pid"
    pkill_group=$(cat "$work/pid")
    kill -KILL -- "-$pkill_group"
    eventually group_is_gone "$pkill_group"
    eventually recorded '^end '
    open_node b
    expect said "$(said_of drop)" 'unknown r-1 irreversible'
    must refused migrate fence "$fence" name drop kind irreversible release r-1 command true token t-2
}

test_a_migration_of_a_lost_session_goes_on_and_is_not_ended() {
    make_ready a
    mkfifo "$work/gate"
    send migrate fence "$fence" name drop kind irreversible release r-1 command "read -r x <'$work/gate'" token t-1
    eventually recorded '^leader'
    lose_connection
    open_node b
    expect said "$(said_of drop)" 'running r-1 irreversible'
    must failed settle fence "$fence"
    must refused migrate fence "$fence" name drop kind irreversible release r-1 command true again yes token t-2
    echo go >"$work/gate"
    eventually recorded '^end ok'
    must ok settle fence "$fence"
    expect said "$(said_of drop)" 'done r-1 irreversible'
}

test_a_migration_is_undone_only_when_it_was_done() {
    make_ready a
    migrate add-price true down yes token t-1
    expect status "$status" refused
    migrate add-price true token t-2
    migrate add-price 'exit 1' down yes token t-3
    expect status "$status" failed
    expect said "$(said_of add-price)" 'unknown r-1 expand'
    migrate add-price true again yes token t-4
    migrate add-price true down yes token t-5
    expect status "$status" ok
    expect said "$(said_of add-price)" 'undone r-1 expand'
    migrate add-price true token t-6
    expect said "$(said_of add-price)" 'done r-1 expand'
}

test_what_another_node_ran_is_copied_at_the_end() {
    make_ready a
    must ok finish fence "$fence" result done migration 'drop r-1 irreversible' migration '../x r-1 expand'
    expect said "$(said_of drop)" 'done r-1 irreversible'
    expect files "$(ls "$root/.deployctl/migrations")" drop
}

test_a_migration_nobody_knew_the_end_of_is_done_when_the_runner_says_so() {
    make_ready a
    migrate drop 'sleep 300' timeout_ms 200 token t-1
    must ok finish fence "$fence" result done migration 'drop r-1 irreversible'
    expect record "$(cut -d ' ' -f 1,3- "$root/.deployctl/migrations/drop")" '1 r-1 irreversible done roll-a'
}

test_a_migration_needs_the_lock() {
    make_ready a
    must refused migrate fence 99 name x kind expand release r-1 command true
    must failed migrate fence "$fence" name x kind strange release r-1 command true
    must failed migrate fence "$fence" name x/y kind expand release r-1 command true
    [ ! -e "$root/.deployctl/migrations/x" ] || fail "it is on record"
}

test_the_reason_to_go_past_a_point_of_no_return_is_in_the_journal() {
    open_node a
    must ok lock rollout roll-a holder me ttl 60 release r-1 reason 'the table was empty'
    grep -q ' past-no-return note r-1 ok the table was empty$' "$root/.deployctl/journal" || fail "no reason"
}
