# shellcheck shell=bash
# Proves each verb by what an SSH client sees from outside. Needs an empty lab, and leaves one.

SELFTEST_PASSED=0
SELFTEST_FAILED=0
# shellcheck disable=SC2016 # $$ is the other shell's
SELFTEST_WHAT_SHELL='readlink -f /proc/$$/exe; true'

# SENTENCE CMD...: CMD must succeed. It runs in a shell of its own, so that die ends the test and
# not the selftest.
expect() {
    local sentence=$1 output
    shift
    if output=$("$@" 2>&1 9>&-); then
        SELFTEST_PASSED=$((SELFTEST_PASSED + 1))
        say "ok      $sentence"
    else
        SELFTEST_FAILED=$((SELFTEST_FAILED + 1))
        say "FAILED  $sentence"
        say "        $*"
        say "        | ${output//$'\n'/$'\n'        | }"
    fi
}

lab() { timeout 120 "$LAB_HOME/lab" "$@"; }

# USER HOST CMD: by OpenSSH's own client, with the inventory's key and the lab's known_hosts,
# strictly.
login() {
    timeout 20 ssh -F none -n -i "$LAB_KEY" -o BatchMode=yes -o IdentitiesOnly=yes \
        -o ConnectTimeout=3 \
        -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$LAB_STATE/known_hosts" \
        -l "$1" "$(host_address "$2")" "$3"
}

# WANTED CMD...: the whole output of CMD is WANTED.
gives() {
    local wanted=$1 got
    shift
    got=$("$@")
    [ "$got" = "$wanted" ] && return
    say "wanted: $wanted"
    say "got:    $got"
    return 1
}

# CODE CMD...: CMD ends with CODE.
ends_with() {
    local wanted=$1 code
    shift
    "$@"
    code=$?
    [ "$code" = "$wanted" ] || { say "ended with $code"; return 1; }
}

# TEXT CMD...: CMD fails and says TEXT.
fails_saying() {
    local text=$1 output
    shift
    output=$("$@" 2>&1) && { say "it succeeded: $output"; return 1; }
    grep -q -- "$text" <<<"$output" || { say "it said: $output"; return 1; }
}

http() { lab run web1 curl -s -m 3 -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/healthz; }
http_is() { [ "$(http)" = "$1" ]; }
shop_state_is() { [ "$(lab run web1 systemctl is-active shop.service)" = "$1" ]; }

# VERSION: stages the release and switches to it by hand, as an operator would.
link_release() {
    local to=/srv/shop/releases/$1
    lab run web1 mkdir -p "$to" &&
        git -C "$LAB_STATE/shop" archive "v$1" | lab run web1 tar -x -C "$to" &&
        lab run web1 ln -sfn "releases/$1" /srv/shop/next &&
        lab run web1 mv -T /srv/shop/next /srv/shop/current &&
        lab run web1 systemctl restart shop.service
}

serves() {
    wait_until 5 http_is 200 &&
        gives "ok $1" lab run web1 curl -s -m 3 http://127.0.0.1:8080/healthz
}

test_logins() {
    expect "the machine passes its own check" lab check
    expect "the inventory names both hosts" gives "web1 web2" inventory_hosts
    expect "deploy logs in and is strictly known" login deploy web1 true
    expect "the pin is the key the host shows" pin_is_shown
    expect "an exit code comes through" ends_with 7 login deploy web2 "exit 7"
    expect "the start-up file of deploy is noisy on stdout" shell_is_noisy
    expect "deploy may use sudo" gives 0 silent_login deploy "sudo -n id -u"
    expect "plain may not use sudo" fails_saying "password is required" \
        login plain web1 "sudo -n true"
    expect "dashuser has dash" gives /usr/bin/dash login dashuser web1 "$SELFTEST_WHAT_SHELL"
    expect "ashuser has busybox" gives /usr/bin/busybox login ashuser web1 "$SELFTEST_WHAT_SHELL"
    expect "/srv is root's alone" fails_saying "Permission denied" \
        login deploy web1 "touch /srv/x"
    expect "sudo off takes it away" lab sudo web1 off
    expect "and deploy sees it" fails_saying "password is required" login deploy web1 "sudo -n true"
    expect "sudo on gives it back" lab sudo web1 on
    expect "and deploy has it again" login deploy web1 "sudo -n true"
    expect "run ends with the command's code" ends_with 9 lab run web1 sh -c "exit 9"
    expect "run is root in the right host" gives "web2 0" \
        lab run web2 sh -c "echo \$(hostname) \$(id -u)"
    expect "hosts know each other by name" lab run web1 bash -c "exec 3<>/dev/tcp/web2/22"
}

inventory_hosts() {
    lab inventory | sed -n 's/^\(web[0-9]*\) ansible_host=.*/\1/p' | paste -s -d ' '
}
silent_login() { login "$1" web1 "$2" 2>/dev/null | tail -n 1; }
shell_is_noisy() { login deploy web1 true 2>/dev/null | grep -q "welcome to web1"; }
pin_is_shown() {
    local pin
    pin=$(ssh-keyscan -T 3 -t ed25519 "$(host_address web1)" 2>/dev/null |
        ssh-keygen -l -f - | cut -d ' ' -f 2)
    [ -n "$pin" ] && lab inventory | grep -q "^web1 .*host_key=$pin "
}

test_faults() {
    expect "cut" lab cut web1
    expect "a host that is cut off cannot be reached" \
        fails_saying "timed out\|No route" login deploy web1 true
    expect "its neighbour can" login deploy web2 true
    expect "heal" lab heal web1
    expect "a healed host can be reached" wait_until 10 login deploy web1 true
    expect "freeze" lab freeze web1
    expect "a frozen host is silent" fails_saying "timed out" login deploy web1 true
    expect "thaw" lab thaw web1
    expect "a thawed host answers" login deploy web1 true
    expect "disk" lab disk web1 2M
    expect "a small disk gets full" fails_saying "No space left" \
        lab run web1 dd if=/dev/zero of=/srv/big bs=1M count=3
    expect "it gets its own disk back" lab disk web1 off
    expect "with room on it" lab run web1 dd if=/dev/zero of=/srv/big bs=1M count=3
    expect "readonly on" lab readonly web1 on
    expect "root cannot write a read-only /srv" \
        fails_saying "Read-only file system" lab run web1 touch /srv/x
    expect "readonly off" lab readonly web1 off
    expect "root can write it again" lab run web1 rm /srv/big
}

test_power() {
    expect "a mark is written" lab run web1 sh -c "echo mark >/srv/mark"
    expect "kill" lab kill web1
    expect "a killed host runs nothing" not populated "$(cgroup_of web1)"
    expect "a killed host cannot be reached" not login deploy web1 true
    expect "and run says so" fails_saying "not running" lab run web1 true
    expect "boot" lab boot web1
    expect "the disk is as it was" gives mark lab run web1 cat /srv/mark
    expect "a frozen host can be killed" frozen_kill
    expect "and booted" lab boot web1
    expect "reboot" rebooted
    expect "the disk is as it was after a reboot" gives mark lab run web1 cat /srv/mark
    expect "a host that reboots itself comes back" reboots_itself
    expect "up again changes nothing" up_is_idle
    expect "the bridge's other owner is refused" other_lab_is_refused
}

frozen_kill() { lab freeze web1 && lab kill web1 && not populated "$(cgroup_of web1)"; }
boot_stamp() { lab run web1 systemctl show -p UserspaceTimestampMonotonic; }
rebooted() {
    local before
    before=$(boot_stamp)
    lab reboot web1 && login deploy web1 true && [ "$(boot_stamp)" != "$before" ]
}
reboots_itself() {
    local init
    init=$(host_init web2)
    login deploy web2 "sudo -n systemctl reboot"
    wait_until 30 host_has_new_init web2 "$init" && host_wait_ready web2 && login deploy web2 true
}
up_is_idle() {
    local before
    before=$(host_init web1)
    lab up 2 && [ "$(host_init web1)" = "$before" ]
}
other_lab_is_refused() { LAB_DIR=$LAB_STATE/other LAB_BRIDGE=$LAB_BRIDGE LAB_NET=$LAB_NET fails_saying "not ours" lab down; }

test_releases() {
    local kind number=0
    for kind in good bad broken dies good; do
        number=$((number + 1))
        expect "release $number ($kind) is made" \
            "$LAB_HOME/make-release" "$LAB_STATE/shop" "1.$number" "$kind"
    done
    expect "five tags are in its history" gives 5 count_tags
    expect "good: is linked" link_release 1.1
    expect "good: is healthy and is 1.1" serves 1.1
    expect "bad: is linked" link_release 1.2
    expect "bad: runs and answers 404" wait_until 5 http_is 404
    expect "bad: the unit is active" shop_state_is active
    expect "broken: is linked" link_release 1.3
    expect "broken: the unit fails" wait_until 5 shop_state_is failed
    expect "broken: nobody answers" http_is 000
    expect "dies: is linked" link_release 1.4
    expect "dies: is healthy at first" serves 1.4
    expect "dies: then the unit fails" wait_until 8 shop_state_is failed
    expect "dies: nobody answers" http_is 000
    expect "good again: is linked" link_release 1.5
    expect "good again: is healthy and is 1.5" serves 1.5
    expect "the journal has nginx's line of the probe" journal_has_probe
    expect "the service comes back after kill and boot" lab_power_cycle
    expect "and is 1.5" serves 1.5
}

count_tags() { git -C "$LAB_STATE/shop" tag | wc -l | tr -d ' '; }
journal_has_probe() { lab run web1 journalctl -u shop.service --no-pager | grep -q 'GET /healthz'; }
lab_power_cycle() { lab kill web1 && lab boot web1; }

# LOCK...: and none of these.
nothing_is_left() {
    local left
    ! grep "$LAB_HOSTS" /proc/mounts || return 1
    for left in "/sys/class/net/$LAB_BRIDGE" "/sys/class/net/$(host_link web1)" "$(cgroup_top)" \
        "$LAB_HOSTS" "$LAB_STATE" "$LAB_KEY" "$@"; do
        [ ! -e "$left" ] || { say "$left is left"; return 1; }
    done
}

selftest() {
    machine_check || exit 1
    [ -z "$(fleet_running)" ] || die "hosts are running; end them first with: lab down"
    machine_prepare
    (lock && root_build) || exit 1 # apart, so that up is timed without it
    local started=$SECONDS
    expect "up 2" lab up 2
    say "        (2 hosts in $((SECONDS - started)) s)"
    mkdir -p "$LAB_STATE" && fleet_known_hosts >"$LAB_STATE/known_hosts"
    test_logins
    test_faults
    test_power
    test_releases
    local locks
    locks=("$(host_lock web1)" "$(host_lock web2)")
    expect "the locks are where we look for them" test -e "${locks[0]}"
    expect "down" lab down
    expect "nothing is left" nothing_is_left "${locks[@]}"
    expect "down a second time is no error" lab down
    say "$SELFTEST_PASSED passed, $SELFTEST_FAILED failed"
    [ "$SELFTEST_FAILED" = 0 ]
}
