# Whose a root is: the service that locked it first.

# SERVICE [WORDS...]: a session of that service on the same root.
node_of() {
    local service=$1
    shift
    start_node "n$next_id"
    must ok open root "$root" service "$service" keep 3 "$@"
}

test_the_first_lock_notes_the_service_that_the_root_belongs_to() {
    locked_node a
    expect noted "$(cat "$root/.deployctl/service")" shop
    must ok facts
    expect told "$(value_of service)" shop
}

test_a_lock_of_another_service_is_refused_with_both_names() {
    locked_node a
    must ok unlock fence 1
    node_of store
    must ok facts
    must refused lock rollout r2 holder h ttl 60
    expect owner "$(value_of service)" shop
    case $sentence in *"belongs to service shop, not to store"*) ;; *) fail "$sentence" ;; esac
    must refused lock rollout r2 holder h ttl 60 kind outside
    expect noted "$(cat "$root/.deployctl/service")" shop
    must ok facts
    expect lock "$(value_of lock)" free
}

test_a_renamed_service_takes_the_root_with_its_lock() {
    locked_node a
    must ok unlock fence 1
    node_of store renamed_from other
    must refused lock rollout r2 holder h ttl 60
    node_of store renamed_from shop
    must ok facts
    expect 'before the lock' "$(cat "$root/.deployctl/service")" shop
    must ok lock rollout r2 holder h ttl 60
    expect noted "$(cat "$root/.deployctl/service")" store
    must ok unlock fence 2
    must ok lock rollout r3 holder h ttl 60
    must ok unlock fence 3
    node_of shop
    must refused lock rollout r4 holder h ttl 60
}

test_a_root_of_before_is_taken_by_the_next_lock() {
    locked_node a
    must ok unlock fence 1
    rm "$root/.deployctl/service"
    must ok facts
    expect told "$(value_of service)" ''
    node_of store
    must ok lock rollout r2 holder h ttl 60
    expect noted "$(cat "$root/.deployctl/service")" store
}

# --- who belongs to a run

test_a_lock_notes_the_members_of_its_run_until_the_end() {
    open_node a
    must ok lock rollout r1 holder h ttl 60 kind rollout release r1 members '3 web1 web2 web3' limit 'web[1:3]'
    must ok facts
    expect members "$(value_of open_members)" '3 web1 web2 web3'
    expect limit "$(value_of open_limit)" 'web[1:3]'
    expect open "$(value_of open_rollout)" 'r1 - r1 rollout'
    must ok unlock fence 1
    must ok lock rollout r2 holder h ttl 60 kind rollout release r1 members '2 web1 web2'
    must ok facts
    expect members "$(value_of open_members)" '2 web1 web2'
    expect limit "$(value_of open_limit)" ''
    must ok finish fence 2 release r1 status refused result refused open before
    must ok facts
    expect 'of the run before' "$(value_of open_members)" '3 web1 web2 web3'
    must ok lock rollout r3 holder h ttl 60 kind rollout release r1 members '1 web1'
    must ok finish fence 3 release r1 status updated result 'done'
    must ok facts
    expect members "$(value_of open_members)" ''
}
