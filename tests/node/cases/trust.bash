# What root trusts below a root folder, what others may read there, and what a session leaves behind.

as_root() { [ "$(id -u)" = 0 ] || skip "not root"; }

# Nothing of what is outside of $root may be touched.
outside() {
    mkdir -p "$work/outside"
    echo secret >"$work/outside/file"
    chown -R 65534:65534 "$work/outside"
}

untouched() {
    expect "what is outside" "$(ls "$work/outside"; cat "$work/outside/file")" "file
secret"
}

# open and lock are refused, naming $1.
is_refused() {
    start_node "x$next_id"
    must refused open root "$root" service shop keep 3
    case $sentence in *"$1"*) ;; *) fail "$sentence, not $1" ;; esac
    must failed lock rollout r1 holder h ttl 60
    untouched
}

test_root_follows_no_link_that_another_account_has_placed() {
    as_root
    outside
    local name
    mkdir -p "$root"
    for name in .deployctl releases slots shared current; do
        ln -s "$work/outside" "$root/$name"
        chown -h 65534:65534 "$root/$name"
        is_refused "$root/$name"
        rm "$root/$name"
    done
    for name in incoming lock journal step manifests good chain wish confirm service.log; do
        rm -rf "$root/.deployctl"
        mkdir "$root/.deployctl"
        ln -s "$work/outside/file" "$root/.deployctl/$name"
        is_refused "$root/.deployctl/$name"
    done
}

test_root_works_in_folders_that_are_its_own_alone() {
    as_root
    outside
    mkdir -p "$root/.deployctl/lock" "$root/releases/r0"
    local name
    for name in "$root" "$root/.deployctl" "$root/.deployctl/lock" "$root/releases" "$root/releases/r0"; do
        chown 65534 "$name"
        is_refused "chown"
        chown 0 "$name"
        chmod g+w "$name"
        is_refused "$name"
        chmod g-w,o+w "$name"
        is_refused "$name"
        chmod 755 "$name"
    done
    mkdir -p "$work/above/loose/shop/root"
    root=$work/above/loose/shop/root
    chmod 777 "$work/above/loose"
    is_refused "$work/above/loose can be written"
    # As /tmp.
    chmod 1777 "$work/above/loose"
    locked_node a
    chmod 755 "$work/above/loose"
    ln -s "$work/above" "$work/link"
    chown -h 65534 "$work/link"
    root=$work/link/loose/shop/root
    is_refused "$work/link is a link"
    chown -h 0 "$work/link"
    open_node b
    must ok facts
    expect lock "$(value_of lock)" held
}

test_a_folder_that_another_account_makes_before_root_does_is_found() {
    as_root
    outside
    mkdir -m 1777 "$work/sticky"
    root=$work/sticky/shop
    open_node a
    mkdir "$root"
    ln -s "$work/outside" "$root/.deployctl"
    chown -h 65534 "$root" "$root/.deployctl"
    must refused lock rollout r1 holder h ttl 60
    case $sentence in *"$root is owned by"*) ;; *) fail "$sentence" ;; esac
}

test_an_account_works_in_a_folder_of_its_own() {
    as_nobody
    mkdir "$work/owned/root"
    chown 65534 "$work/owned/root"
    chmod 755 "$work/owned/root"
    root=$work/owned/root
    locked_node a
    deliver r1
    must ok activate fence 1 release r1
}

# The account may write below shared/, and put a link there at any moment.
test_root_follows_no_link_below_shared() {
    as_root
    outside
    locked_node a shared config/app.env shared up/loads
    mkdir -p "$root/shared"
    chown 65534 "$root/shared"
    ln -s "$work/outside" "$root/shared/config"
    make_tree r1
    make_package r1
    stage r1
    unpack r1
    expect status "$status" refused
    case $sentence in *"config, on the way to config/app.env, is a link"*) ;; *) fail "$sentence" ;; esac
    untouched
    rm "$root/shared/config"
    # What is shared may be a link of the account's own: the release links to it, and root leaves it.
    mkdir "$root/shared/up"
    ln -s "$work/outside" "$root/shared/up/loads"
    stage r1
    unpack r1
    expect "unpack: $sentence" "$status" ok
    untouched
    expect moved "$(cat "$root/shared/config/app.env")" setting
}

# A link that takes a folder's place between two looks: a cd that comes late.
test_root_sees_a_link_that_comes_while_it_looks() {
    as_root
    outside
    locked_node a shared up/loads
    mkdir -p "$root/shared/up"
    cat >"$work/bin/readlink.new" <<END
#!/bin/sh
[ ! -e '$root/shared/up' ] || [ -L '$root/shared/up' ] || { rmdir '$root/shared/up' && ln -s '$work/outside' '$root/shared/up'; }
exec $(command -v readlink) "\$@"
END
    rm -f "$work/bin/readlink"
    mv "$work/bin/readlink.new" "$work/bin/readlink"
    chmod 755 "$work/bin/readlink"
    node_path=$work/bin:$PATH
    use a
    lose_connection
    open_node b shared up/loads
    must ok break
    take_lock rollout r holder h ttl 60
    make_tree r1
    make_package r1
    stage r1
    unpack r1
    expect "$sentence" "$status" refused
    untouched
}

test_what_a_node_keeps_is_its_account_s_alone() {
    locked_node a start "echo started"
    expect mode "$(stat -c %a "$root/.deployctl")" 700
    deliver r1
    must ok activate fence 1 release r1
    expect mode "$(stat -c %a "$root/.deployctl/service.log")" 600
    must ok unlock fence 1
    # As versions before have left them.
    chmod 755 "$root/.deployctl"
    chmod 644 "$root/.deployctl/service.log"
    must ok lock rollout r2 holder h ttl 60
    expect modes "$(stat -c %a "$root/.deployctl" "$root/.deployctl/service.log" | paste -s -d ' ')" '700 600'
}

test_who_cannot_read_the_state_is_not_told_that_there_is_none() {
    as_nobody
    local login=$as_user
    as_user=
    root=$work/owned/root
    locked_node a
    as_user=$login
    start_node b
    must refused open root "$root" service shop
    case $sentence in *"become = yes"*) ;; *) fail "$sentence" ;; esac
}

test_folders_of_the_system_are_no_root() {
    local path
    for path in / /etc /usr /proc /proc/self /var/lib /tmp; do
        start_node "x$next_id"
        ask open root "$path" service shop
        case $status in refused | failed) ;; *) fail "$path: $status $sentence" ;; esac
    done
    for path in /srv/../etc /etc/. //etc /etc//; do
        start_node "x$next_id"
        must failed open root "$path" service shop
    done
    # Files of other programs are in such folders, without a service.
    start_node y
    must ok open root /etc
}

test_a_link_to_a_folder_of_the_system_is_no_root() {
    as_root
    root=$work/link
    ln -s /usr/share "$root"
    start_node a
    must refused open root "$root" service shop
    case $sentence in *'folder of the system'*) ;; *) fail "$sentence" ;; esac
}

test_a_number_has_no_leading_zero() {
    locked_node a
    must failed lock rollout r holder h ttl 08
    must refused renew fence 01
    : >"$root/.deployctl/lock/08"
    : >"$root/.deployctl/lock/009"
    echo 0777 >"$root/.deployctl/generation"
    must ok unlock fence 1
    take_lock rollout r2 holder h ttl 60 minimum 2
    expect generation "$fence" 2
    fence=2
    deliver r1
    mkdir -p "$root/.deployctl/good"
    echo '09 08' >"$root/.deployctl/good/r1"
    must ok facts
    must ok activate fence 2 release r1
    must ok commit fence 2 release r1
    expect sequence "$(cut -d ' ' -f 1 "$root/.deployctl/good/r1")" 1
}

# The record of a step names no process that a signal must never go to.
test_a_damaged_record_ends_no_process_of_others() {
    locked_node a
    local pid
    for pid in 0 1 00 -1; do
        printf '1 - run %s 0 %s\n' "$pid" "$(cat /proc/sys/kernel/random/boot_id)" >"$root/.deployctl/step"
        must ok settle fence 1
        expect "state of $pid" "$(value_of last_state)" lost
    done
}

test_folders_of_killed_sessions_are_removed_by_a_later_one() {
    locked_node a
    local dead=$(value_of temporary) busy other
    dead=$(ls -d "$work"/tmp/deployctl.*)
    kill -KILL "$node_pid"
    open_node b
    must ok settle fence 1
    [ ! -e "$dead" ] || fail "it stays"
    # A step that outlives its session needs the folder.
    busy=$(ls -d "$work"/tmp/deployctl.*)
    mkfifo "$work/gate"
    send run fence 1 command "cat '$work/gate'"
    eventually recorded '^leader '
    kill -KILL "$node_pid"
    open_node c
    other=$(value_of temporary)
    [ -d "$busy" ] || fail "it went under a step"
    echo >"$work/gate"
    eventually test ! -e "$busy"
    # Whatever else has such a name is not ours.
    mkdir -m 700 "$work/tmp/deployctl.stranger" "$work/tmp/deployctl.aaaaaa"
    mkdir -m 755 "$work/tmp/deployctl.bbbbbb"
    echo '1 1' >"$work/tmp/deployctl.bbbbbb/main.user"
    ln -s "$work" "$work/tmp/deployctl.cccccc"
    open_node d
    expect folders "$(cd "$work/tmp" && ls -d deployctl.stranger deployctl.aaaaaa deployctl.bbbbbb deployctl.cccccc | wc -l)" 4
    [ -d "$other" ] || fail "the folder of a session that lives went"
}
