# shellcheck shell=bash
# What the scripts on real hosts share: the fleet, its reset, deployctl with a bound, assertions, and the count.
# A script defines functions test_some_sentence and calls run_tests; each test begins with the whole fleet on release 1.1
# (1.0 before it), and ends at its first assertion that does not hold.

house=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$house" || exit 1
lab=$house/tests/lab/lab
# shellcheck source=tests/support/deadline.sh
. "$house/tests/support/deadline.sh"
work=${E2E_DIR:-$house/build/e2e}
program=${E2E_PROGRAM:-$house/build/deployctl} # or build/san/deployctl
shop=$work/shop
fleet=(web1 web2 web3 web4 web5 web6)
export HOME=$work/home XDG_STATE_HOME=$work/state NO_COLOR=1
unset SSH_AUTH_SOCK DEPLOYCTL_INVENTORY XDG_CONFIG_HOME
# short, so that a rollout over six hosts takes seconds
quick=(--set breaker.cool_down=5s --set "source.git=$shop" --set health.interval=200ms --set "health.timeout=$(allowed 1)s" --set health.min_healthy_time=500ms
    --set "health.healthy_deadline=$(allowed 6)s" --set strategy.bake=1s --set "retry.connect_timeout=$(allowed 4)s" --set retry.base=200ms)

address() { echo "$("$lab" network).$((10 + ${1#web}))"; }
on_limit_s=$(deadline 60)
on() { timeout "$on_limit_s" "$lab" run "$@"; }

# CMD...: for every host at once, with the host's name as the last argument.
everywhere() {
    local host pids=() bad=0 pid
    for host in "${fleet[@]}"; do
        "$@" "$host" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || bad=1; done
    return $bad
}

# --- assertions: each ends the test with a sentence when it does not hold

fail() {
    echo "  $*"
    exit 1
}

# CODE ARGUMENTS...: runs deployctl on the lab, within LIMIT_S; wants that exit code; leaves what it said in $output.
deployctl() {
    local wanted=$1 code begun=$SECONDS
    shift
    echo "  \$ deployctl $*"
    timeout -k 5 "$(deadline "${LIMIT_S:-60}")" "$program" "$@" >"$output" 2>&1 </dev/null
    code=$?
    sed 's/^/  | /' "$output"
    echo "  (exit code $code after $((SECONDS - begun)) s)"
    [ $code = "$wanted" ] || fail "exit code $code, wanted $wanted"
}

# CODE VERB ARGUMENTS...: the same for a verb on the rolling playbook, or on $playbook.
shop() {
    local wanted=$1 verb=$2
    shift 2
    deployctl "$wanted" "$verb" -i "${inventory:-$work/inventory.ini}" "${quick[@]}" "$@" "${playbook:-playbooks/rolling.ini}"
}

# The same in the background, saying each phase, for tests that do something meanwhile. Its own group, so that signals act as from a terminal.
begin_shop() {
    local verb=$1
    shift
    echo "  \$ deployctl $verb $* ${playbook:-playbooks/rolling.ini} (in the background)"
    set -m
    timeout --foreground -k 5 "$(deadline "${LIMIT_S:-60}")" "$program" "$verb" -v -i "$work/inventory.ini" "${quick[@]}" "$@" \
        "${playbook:-playbooks/rolling.ini}" >"$output" 2>&1 </dev/null &
    background=$!
    set +m
}
# REGEX [SECONDS]: until what runs in the background has said so.
wait_said() {
    local end
    end=$(until_second "${2:-30}")
    until grep -qE -- "$1" "$output"; do
        kill -0 "$background" 2>/dev/null || { sed 's/^/  | /' "$output"; fail "it ended before it said: $1"; }
        [ $SECONDS -lt "$end" ] || { kill "$background"; sed 's/^/  | /' "$output"; fail "it did not say within ${2:-30} s: $1"; }
        pause 0.05
    done
}
# CODE: until what runs in the background has ended.
ended() {
    local code
    wait "$background"
    code=$?
    sed 's/^/  | /' "$output"
    [ $code = "$1" ] || fail "exit code $code, wanted $1"
}
background_child() { cat "/proc/$background/task/$background/children"; }

# REGEX...: each stands in what it said last.
says() {
    local regex
    for regex in "$@"; do
        grep -qE -- "$regex" "$output" || fail "it did not say: $regex"
    done
}
says_not() { ! grep -qE -- "$1" "$output" || fail "it said: $1"; }

http() { curl -s -m 3 "http://$(address "$1"):8080/healthz"; }

# HOST VERSION: over HTTP from outside, and by the link on its disk; `-` for VERSION: nothing at all. Sets `lock` to free or held.
state_is() {
    local host=$1 wanted=$2 served linked link
    served=$(http "$host")
    read -r lock link linked < <(on "$host" sh -c 'link=no
        [ ! -L /srv/shop/current ] || link=yes
        linked=$(cat /srv/shop/current/VERSION 2>/dev/null)
        cd /srv/shop/.deployctl/lock 2>/dev/null || { echo free $link $linked; exit; }
        top=$(ls | grep -E "^[0-9]+$" | sort -n | tail -n 1)
        [ -z "$top" ] || [ -e "$top.end" ] && echo free $link $linked || echo held $link $linked')
    [ -n "$lock" ] || { echo "  $host does not answer"; return 1; }
    if [ "$wanted" = - ]; then
        [ -z "$served$linked" ] || { echo "  $host serves '$served', its current release is '$linked', wanted none"; return 1; }
        [ "$link" = no ] || { echo "  $host still has a link current"; return 1; }
    else
        [ "$served" = "ok $wanted" ] && [ "$linked" = "$wanted" ] ||
            { echo "  $host serves '$served', its current release is '$linked', wanted $wanted"; return 1; }
    fi
}
# VERSION HOST: and no rollout holds its lock.
serves_unlocked() {
    local lock=''
    state_is "$2" "$1" || return 1
    [ "$lock" = free ] || { echo "  $2 is still locked"; return 1; }
}
# VERSION HOST...: those hosts, all of them when none is named; and none of them is left locked.
serve() {
    local version=$1 fleet=("${fleet[@]}")
    shift
    [ $# = 0 ] || fleet=("$@")
    everywhere serves_unlocked "$version" || fail "the fleet is not as it must be"
}

# What would differ after any change to a host's service: files, links, its process. With `all` also deployctl's own notes
# (locks, journal), which a rollout that is refused late may write.
mark_of() {
    on "$1" sh -c 'if [ "$0" = all ]; then find /srv/shop; else find /srv/shop -path /srv/shop/.deployctl -prune -o -print; fi |
        sort | xargs -d "\n" stat -c "%n %N %y %s %U %a"; systemctl show -p MainPID,NRestarts shop.service' "${2:-service}"
}
remember_host() { mark_of "$1" >"$work/mark.$1" && mark_of "$1" all >"$work/mark.$1.all"; }
host_is_untouched() { mark_of "$1" | diff "$work/mark.$1" - || { echo "  $1 was touched"; return 1; }; }
host_is_not_written() { mark_of "$1" all | diff "$work/mark.$1.all" - || { echo "  $1 was written to"; return 1; }; }
remember() { local fleet=("$@"); everywhere remember_host; }
untouched() { local fleet=("$@"); everywhere host_is_untouched || fail "a node was touched that must not be"; }
# Not a byte anywhere.
not_even_written() { local fleet=("$@"); everywhere host_is_not_written || fail "a node was written to"; }
# A service's process, to see whether it was restarted, whatever else was written.
remember_process() { local host; for host in "$@"; do on "$host" systemctl show -p MainPID shop.service >"$work/process.$host"; done; }
same_process() {
    local host
    for host in "$@"; do
        [ "$(on "$host" systemctl show -p MainPID shop.service)" = "$(cat "$work/process.$host")" ] || fail "$host: its service was restarted"
    done
}

# --- the fleet

# A fleet that serves 1.1, with 1.0 before it: as two rollouts leave it. Each test begins there. A host that is as its last reset left it, to the
# process of its service, is left alone.
host_reset() {
    timeout "$(deadline 30)" "$lab" run "$1" sh -c 'mark() {
            find /srv/shop | sort | xargs -d "\n" stat -c "%n %N %y %s %U %a"
            systemctl show -p MainPID,NRestarts,ActiveState shop.service
        }
        [ ! -s /run/shop.mark ] || ! mark | cmp -s - /run/shop.mark || exit 0
        rm -f /run/shop.mark
        systemctl stop shop.service; systemctl reset-failed shop.service
        rm -rf /srv/shop && cp -a /var/lib/shop.saved /srv/shop && systemctl start shop.service && mark >/run/shop.mark' 2>&1
}
host_save() { timeout "$(deadline 30)" "$lab" run "$1" sh -c 'rm -rf /var/lib/shop.saved && cp -a /srv/shop /var/lib/shop.saved'; }
host_wipe() {
    timeout "$(deadline 30)" "$lab" run "$1" sh -c 'systemctl stop shop.service; systemctl reset-failed shop.service; rm -rf /srv/shop' 2>&1
}
host_answers() { local i; for i in $(seq "$(deadline 50)"); do [ -n "$(http "$1")" ] && return; sleep 0.1; done; echo "  $1 does not answer after its reset ($i tries)"; return 1; }

reset_fleet() {
    rm -rf "$XDG_STATE_HOME"
    [ ! -d "$work/state.saved" ] || cp -a "$work/state.saved" "$XDG_STATE_HOME"
    everywhere host_reset && everywhere host_answers
}

# HOST...: their lines of the inventory, for user USER.
inventory_for() { "$lab" inventory "$1"; }

# --- the runner

# One test on a fleet that was put back; what it says is in $work/log.
try_test() {
    if ! reset_fleet >"$work/log" 2>&1; then
        echo "  the fleet could not be reset before this test" >>"$work/log"
        return 1
    fi
    (set -u; "$1") >>"$work/log" 2>&1
}

# Real hosts on a busy machine may be too late once: a second try, and said. What fails twice has failed.
again() {
    printf 'AGAIN   %s\n' "${1#test_}"
    tail -n 12 "$work/log"
}

# Each test_ function of the calling script, in its order, in a shell of its own; arguments choose some.
run_tests() {
    local script=$1 name sentence passed=0 failed=0 started chosen
    shift
    output=$work/output
    while read -r name; do
        chosen=no
        [ $# -gt 0 ] || chosen=yes
        for sentence in "$@"; do [[ $name == *$sentence* ]] && chosen=yes; done
        [ $chosen = yes ] || continue
        started=$SECONDS
        sentence=${name#test_}
        sentence=${sentence//_/ }
        : >"$output"
        if try_test "$name" || { again "$name"; try_test "$name"; }; then
            passed=$((passed + 1))
            printf 'ok      %s (%d s)\n' "$sentence" $((SECONDS - started))
            [ -z "${E2E_VERBOSE:-}" ] || cat "$work/log"
            continue
        fi
        failed=$((failed + 1))
        printf 'FAILED  %s (%d s)\n' "$sentence" $((SECONDS - started))
        cp "$work/log" "$work/failed.$name.log"
        grep -vE '^  \| +[0-9.]+s web[0-9]+ healthy: ' "$work/log" | tail -n 100
        echo "  (all of it: $work/failed.$name.log)"
    done < <(sed -n 's/^\(test_[a-z0-9_]*\)().*/\1/p' "$script")
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
}
