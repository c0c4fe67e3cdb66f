#!/bin/sh
# The node's program: everything that deployctl does on a node. Sent once over one channel, stays resident, and is driven by the
# framed requests of include/node/frames.h on stdin. It never decides what happens next, and never builds a command from a value:
# values are lines of requests, and commands of the playbook run by `sh -c` with values in their environment.
#
# Needs: a POSIX sh (dash, busybox ash, bash), coreutils or busybox, setsid, awk, tar, gzip or zstd, Linux's /proc.
#
# Processes
#   main        reads requests; answers the short ones itself; never waits for a step, so that `renew` and `cancel` work meanwhile
#   supervisor  one for each step, a subshell: starts the leader, ends the group at the timeout or on `cancel`, records, replies
#   leader      the step itself, this program again under setsid: its pid is the process group that everything of the step is in.
#               A process that leaves the group by a setsid of its own is not followed.
# A step outlives the connection: its supervisor goes on, and the result is found in <root>/.deployctl/steps.
#
# <root>/.deployctl/
#   lock/N        the lock of generation N, made by link(2): who takes N+1 first has it. The highest N is the one that counts;
#   lock/N.beat   its last renewal, in this node's own uptime and boot id; lock/N.end: given back or broken. The highest N stays, so
#                 that generations only grow; `generation` and the journal repeat the number in case the folder is lost.
#   lock/N.epoch.E  session E of generation N has settled. The highest E counts; the requests and steps of a lower one are refused.
#   steps/F.E.ID  the record of a changing step, of request ID in epoch E of generation F, and of no other: `2 TOKEN VERB PID START BOOT
#                 UPTIME F E` of its supervisor before anything of it can block, `leader PID START`, its result values, `end STATUS SENTENCE`.
#                 Once `ok`, `killed` or `lost` an end is final: what a supervisor that was held up adds later does not count. A record
#                 without an end runs until both processes are proven gone. Removed when the next step begins. `step`: an older version's
#   journal       `1 <epoch> <generation> <rollout> <step> begin|end <release> <status> <sentence>`; rotated to journal.1 at 256 KiB. A
#                 rollout ends with `end`; `held` leaves it open, and `left` what was open before it began. One of kind `outside` has
#                 locked this node only to keep other runs away: it changes nothing here and leaves open what is open. `limit note`
#                 after `begin` has the run's --limit, `members note` how many nodes it has, this one's name, and those that come next
#   manifests/ID  the release's manifest: a release is complete when releases/ID and this exist
#   good/ID       sequence number of its last commit; good/ID.pinned: never pruned
#   before        what the last commit changed, written before it: `rollout`, `kind` and `release` of it, `was` the release committed last
#                 before, and `good ID SEQUENCE EPOCH` of each that it numbered anew or dropped; in a slot also `slot`, what it `linked`
#                 before and what was `current` and `live`; `retracts` once that has begun; for `retract`, and never pruned
#   unsettled     `VERB RELEASE ROLLOUT`: a change of the service (activate, restart, stop, revert) that has begun and has not ended
#                 well. Written and synced before the service is touched, removed when such a change ends with ok: while it is here
#                 the service may be stopped, whatever `current` links
#   service       the name of the service that this root belongs to, written by its first lock; another service is refused
#   chain         the rollout that took the lock last, and those that it goes on with; a second line: what stood there before it
#   failed/ID     epoch when it was rolled back from; such a release is never gone back to until it is committed again
#   migrations/N  `1 <epoch> <release> <kind> <state> <rollout>` of migration N: running, done, failed, undone. `running` of a step that
#                 does not live is what nobody knows the end of; never run again in silence
#   incoming/     received archives; reserve: 64 KiB, given up when the disk is full, so that going back is always possible
#   confirm/      the timer: `armed` is the last one, ID.end who ended it, `reverted` what a timer put back last
#   slots/S       what slot S linked before an activation that is not committed; live: `SLOT EPOCH` of the last commit in a slot
#   service.log   output of the start, stop and reload commands, cut to 256 KiB at each activation; a line
#                 `--- deployctl: release ID ---` where an activation begins
#   instance      what the last activation found, and instance.S that of slot S: `release`, what `was` there, `boot`, `since` (when its
#                 leader began, in clock ticks), `epoch`, `how`, each process that listened `before`, those that are `kept` (they
#                 listened before the activation that this one takes back), the `unit` before, and `earlier RELEASE EPOCH`
#
# Why a step of a lost session and a new session never both act: a new session claims the next epoch first and looks at the records
# (`settle`) after; a supervisor, and again its leader, writes its record first and compares generation and epoch after. One of the two sees
# the other. All that a step changes is changed by processes of the leader's group, which `settle` ends. Requests that main answers itself
# compare both again just before they act.
#
# A state file that decides something later is synced before it gets its name (`keep_file`), so that it is never found empty. One that is
# empty or torn all the same, of an older version or by damage, reads as absent: a release as not committed, a lock as expired.
#
# The confirm timer. With `confirm SECONDS` an activation first starts a process that outlives the session, the step and their
# parents: a transient systemd timer where we may have one, else this program again under setsid. It puts the release before back
# unless the timer's end was written before: by `confirm`, from another connection, or by the next activation. The end is made by
# link(2), so that it has one author. While a newer generation holds the lock a timer that is due waits for what that one does. It
# ends a step of its own generation that still runs; steps wait for a timer that has begun. A reboot loses it, and `facts` says so.
#
# Slots. A request with `slot S` is about the instance in S: its link is <root>/slots/S, its unit, start and stop are the slot's, and
# `current` follows at the commit, since only then the switch is done. Where `open` names one slot alone, the node is a side of its
# own and `current` moves with the slot's link. `stop` undoes an activation that is not committed: the instance is stopped, and the
# slot links again what it linked before; after `retract` that is so of a committed one too. `keep_old` arms the same timer as
# `confirm` does: it stops the slot that is no longer live, once nobody holds the lock, unless an activation came in between; without
# `seconds` it ends that timer, and starts the slot when it does not run.
#
# The instance. A gate is to be passed by the instance that the activation started. Of a unit: its invocation is another one, or, where it
# was reloaded, a process of its control group started since. Of commands: each socket that listens on the service's port is held by a
# process that started since, and that runs from the release's folder (working folder, program or arguments). What neither shows nor
# rules it out is `unknown`. Processes that listened before are known by number and start time, so that a clock tick is precise enough.
#
# Shared paths: each is a link from the release into shared/. What shared/ does not have yet comes from the first release that has
# it, file or folder; what no release has is made as an empty folder.

# `m` and `p`, the marker line and this text, are the bootstrap's.
# shellcheck disable=SC2154

nl='
'
# What an account may set that turns what its shell and tools do: this program's see none of it, the playbook's commands all of it.
# A leader of another process has it from its supervisor. `_` may be exported, and `read` writes to it.
tool_settings='LC_ALL TAR_OPTIONS TAPE GREP_OPTIONS GZIP ZSTD_CLEVEL ZSTD_NBTHREADS POSIXLY_CORRECT _POSIX2_VERSION CDPATH GLOBIGNORE
    BLOCK_SIZE BLOCKSIZE SYSTEMD_COLORS SYSTEMD_LOG_LEVEL'
case $0 in
deployctl-step | */.deployctl/confirm/*.run) ;;
*)
    login_settings=
    for setting in $tool_settings; do
        eval "setting_value=\${$setting-}"
        case $setting_value in
        '' | *"$nl"*) ;;
        *) login_settings=$login_settings$setting=$setting_value$nl ;;
        esac
    done
    ;;
esac
# shellcheck disable=SC2086
unset _ $tool_settings
set +aCefuvx
# bash as `sh` is one by this.
[ -z "${BASH_VERSION-}" ] || POSIXLY_CORRECT=y
LC_ALL=C
export LC_ALL
umask 022
IFS=' 	
'
protocol=1
# How the program starts itself again under sudo, with a request right behind it: by `read`, which takes no byte too many.
# shellcheck disable=SC2016
bootstrap='IFS= read -r m;p=$(while IFS= read -r l;do case $l in ("$m")break;;esac;printf "%s\n" "$l";done);eval "$p"'

# --- replies -------------------------------------------------------------------------------------------------------------------

# A result value. A leader's go to its supervisor, over a file.
value() {
    if [ -n "$in_step" ]; then
        printf '= %s %s\n' "$1" "${2%%"$nl"*}" >&3
    else
        printf '%s = %s %s\n' "$id" "$1" "${2%%"$nl"*}" 2>/dev/null
    fi
}

# The last line of a reply; in a leader also the end of the process.
reply() {
    if [ -n "$in_step" ]; then
        [ "$1" != ok ] || [ -z "$unsettles" ] || rm -f -- "$state/unsettled"
        printf '. %s %s\n' "$1" "${2%%"$nl"*}" >&3
        [ "$1" = ok ]
        exit
    fi
    printf '%s . %s %s\n' "$id" "$1" "${2%%"$nl"*}" 2>/dev/null
}

# --- names, clocks, small things -----------------------------------------------------------------------------------------------

is_name() {
    case $1 in
    '' | .* | -* | *[!A-Za-z0-9._-]*) return 1 ;;
    esac
    [ "${#1}" -le 64 ]
}

# A leading zero would make the shell's arithmetic read octal digits, and end it at an 8.
is_number() {
    case $1 in
    '' | *[!0-9]* | 0?*) return 1 ;;
    esac
    [ "${#1}" -le 15 ]
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# This node's uptime in whole seconds: leases are judged by it, never by the wall clock.
uptime_now() {
    read -r up _ </proc/uptime
    up=${up%%.*}
}

# The epoch without a process: the offset of the two clocks is taken once a session.
epoch_now() {
    uptime_now
    epoch=$((up + s_offset))
}

# Fields 3 and on of /proc/PID/stat as $stat_*; 1 when there is no such process.
read_stat() {
    stat_line=
    { while IFS= read -r stat_part; do stat_line=$stat_line$stat_part; done <"/proc/$1/stat"; } 2>/dev/null || return 1
    [ -n "$stat_line" ] || return 1
    # shellcheck disable=SC2086
    set -- ${stat_line##*") "}
    stat_state=$1 stat_group=$3 stat_start=${20}
}

# The nearest existing folder at or above $1.
nearest_folder() {
    near=$1
    while [ ! -d "$near" ]; do
        near=${near%/*}
        [ -n "$near" ] || near=/
    done
}

# The first line of a file into $line; empty when there is none.
first_line() {
    line=
    { IFS= read -r line <"$1"; } 2>/dev/null || [ -n "$line" ]
}

# --- writing when the disk may be full -----------------------------------------------------------------------------------------

free_reserve() {
    [ -e "$state/reserve" ] && rm -f -- "$state/reserve"
}

make_reserve() {
    [ -s "$state/reserve" ] && return 0
    head -c 65536 /dev/zero >"$state/reserve" 2>/dev/null && return 0
    rm -f -- "$state/reserve"
    return 1
}

# $2 becomes the contents of file $1.
write_file() {
    { printf '%s\n' "$2" >"$1"; } 2>/dev/null && return 0
    free_reserve && { printf '%s\n' "$2" >"$1"; } 2>/dev/null
}

# $2 is added to file $1 as whole lines.
append_file() {
    { printf '%s\n' "$2" >>"$1"; } 2>/dev/null && return 0
    free_reserve && { printf '\n%s\n' "$2" >>"$1"; } 2>/dev/null
}

# $2 becomes the contents of file $1, which has the old or the new contents at any moment. What is renewed before it matters again.
replace_file() {
    new_file=$state/.new.${1##*/}.$$
    write_file "$new_file" "$2" && mv -f -- "$new_file" "$1"
}

# The same for what decides something later: when it returns 0, contents and name are on the disk.
keep_file() {
    new_file=$state/.new.${1##*/}.$$
    write_file "$new_file" "$2" && sync_file "$new_file" && mv -f -- "$new_file" "$1" && sync_file "${1%/*}"
}

sync_file() {
    sync "$1" 2>/dev/null || sync
}

# Points the link $2 at $1 by rename(2).
replace_link() {
    rm -f -- "$state/link.new"
    ln -s -- "$1" "$state/link.new" 2>/dev/null || { free_reserve && ln -s -- "$1" "$state/link.new"; } || return 1
    mv -fT -- "$state/link.new" "$2" 2>/dev/null || { free_reserve && mv -fT -- "$state/link.new" "$2"; }
}

# journal STEP begin|end RELEASE STATUS SENTENCE: on the disk when it returns 0.
journal() {
    epoch_now
    append_file "$state/journal" "1 $epoch $lock_top ${lock_rollout:--} $1 $2 ${3:--} $4 ${5%%"$nl"*}" || return 1
    sync_file "$state/journal"
}

# A line torn by a crash ends here; a journal past its bound is put aside.
mend_journal() {
    [ -s "$state/journal" ] || return 0
    [ -z "$(tail -c 1 "$state/journal")" ] || printf '\n' >>"$state/journal"
    [ "$(($(wc -c <"$state/journal")))" -le 262144 ] || mv -f -- "$state/journal" "$state/journal.1"
}

# All lines, oldest first. A crash may leave blocks of NUL and a file may be damaged: neither hides a line nor makes it endless.
journal_lines() {
    cat -- "$state/journal.1" "$state/journal" 2>/dev/null | tr -d '\000' | cut -b 1-4096
}

# Says what a journal of a later version is, and returns 1: who cannot read what happened must not go on from there.
check_journal() {
    [ -s "$state/journal" ] || [ -s "$state/journal.1" ] || return 0
    grep -qsE '^([2-9]|[1-9][0-9]+) [0-9]+ [0-9]+ ' "$state/journal.1" "$state/journal" || return 0
    newer=$(journal_lines | grep -E '^([2-9]|[1-9][0-9]+) [0-9]+ [0-9]+ ' | tail -n 1)
    [ -n "$newer" ] || return 0
    reply refused "the journal in $state has lines of version ${newer%% *}, this deployctl knows version 1; use the newer one"
    return 1
}

# --- the lock ------------------------------------------------------------------------------------------------------------------

# $lock_top: the highest generation; 0 before the first lock.
find_top() {
    lock_top=0
    for lock_file in "$state"/lock/*; do
        lock_file=${lock_file##*/}
        is_number "$lock_file" && [ "$lock_file" -gt "$lock_top" ] && lock_top=$lock_file
    done
    return 0
}

read_beat() {
    { read -r lock_up lock_boot <"$1"; } 2>/dev/null
}

# The keys of the highest lock; 1 when it is gone by now: a session that was too late has taken its claim back.
read_top() {
    lock_held=0 lock_rollout='' lock_holder='' lock_ttl=0 lock_token='' lock_runner='' lock_up=0 lock_boot='' lock_state=free lock_age=0
    find_top
    [ "$lock_top" != 0 ] || return 0
    {
        while read -r lock_key lock_text; do
            case $lock_key in
            rollout) lock_rollout=$lock_text ;;
            holder) lock_holder=$lock_text ;;
            ttl) lock_ttl=$lock_text ;;
            token) lock_token=$lock_text ;;
            runner) lock_runner=$lock_text ;;
            beat) lock_up=${lock_text%% *} lock_boot=${lock_text##* } ;;
            esac
        done <"$state/lock/$lock_top"
    } 2>/dev/null
}

# Reads the highest lock: $lock_state free, held, expired; its holder, age and the rest. One that was only just given up is not free.
read_lock() {
    lock_tries=0
    until read_top; do
        lock_tries=$((lock_tries + 1))
        [ "$lock_tries" -lt 100 ] || { lock_state=held lock_holder=unknown; return 0; }
    done
    [ "$lock_top" != 0 ] && [ ! -e "$state/lock/$lock_top.end" ] || return 0
    lock_since=$lock_up
    [ ! -e "$state/lock/$lock_top.beat" ] || read_beat "$state/lock/$lock_top.beat"
    # What a crash or a hand has damaged is as old as the boot: a shell ends at a word it cannot reckon with.
    is_number "$lock_since" || lock_since=0
    is_number "$lock_up" || lock_up=0 lock_boot=$s_boot
    is_number "$lock_ttl" || lock_ttl=0
    # Its holder may have had an answer just before the host went down: the lease lasts its ttl from the boot on.
    [ "$lock_boot" = "$s_boot" ] || lock_up=0
    uptime_now
    lock_held=$((up > lock_since ? up - lock_since : 0))
    lock_age=$((up - lock_up))
    lock_state=held
    if [ "$lock_age" -lt 0 ] || [ "$lock_age" -gt "$lock_ttl" ]; then
        lock_state=expired
    fi
}

# 0 when generation $1 is the one that counts and was not given back.
fence_holds() {
    find_top
    [ "$lock_top" = "$1" ] && [ -e "$state/lock/$1" ] && [ ! -e "$state/lock/$1.end" ]
}

# $epoch_top: the newest session that has settled in generation $1; 0 when none has.
find_epoch() {
    epoch_top=0
    for epoch_file in "$state/lock/$1".epoch.*; do
        epoch_file=${epoch_file##*.}
        is_number "$epoch_file" && [ "$epoch_file" -gt "$epoch_top" ] && epoch_top=$epoch_file
    done
    return 0
}

# 0 while the request's generation counts and no newer session has settled: $stale says why not.
still_counts() {
    if ! fence_holds "$v_fence"; then
        stale="the lock of generation $v_fence is lost"
        return 1
    fi
    find_epoch "$v_fence"
    [ "$v_epoch" -lt "$epoch_top" ] || return 0
    stale="epoch $v_epoch is over: a newer session of this run has settled, with epoch $epoch_top"
    return 1
}

# 0 while a step of the request's epoch may change something.
may_act() {
    still_counts || return 1
    [ "$v_epoch" != "$epoch_top" ] || return 0
    stale="epoch $v_epoch has not settled; settle first"
    return 1
}

# Claims the request's epoch for this session. 1: replied.
claim_epoch() {
    still_counts || { reply refused "$stale"; return 1; }
    [ "$v_epoch" != "$epoch_top" ] || return 0
    write_file "$state/lock/$v_fence.epoch.$v_epoch" "$$" || { reply failed "disk: the session cannot be noted in $state"; return 1; }
    may_act || { reply refused "$stale"; return 1; }
    for epoch_file in "$state/lock/$v_fence".epoch.*; do
        old=${epoch_file##*.}
        is_number "$old" && [ "$old" -lt "$v_epoch" ] && rm -f -- "$epoch_file"
    done
    return 0
}

# Replies refused and returns 1 unless the request's fence holds. The sentence names who has the lock now.
check_fence() {
    if [ -z "$s_root" ]; then
        reply failed "$verb needs a root"
        return 1
    fi
    if ! is_number "$v_fence"; then
        reply refused "$verb needs the lock's generation"
        return 1
    fi
    if ! is_number "$v_epoch" || [ "$v_epoch" = 0 ]; then
        reply refused "$verb needs the session's epoch"
        return 1
    fi
    if ! fence_holds "$v_fence"; then
        read_lock
        case $lock_state in
        free) reply refused "the lock of generation $v_fence was given back or broken" ;;
        *) reply refused "the lock of generation $v_fence is lost; generation $lock_top is held by $lock_holder, rollout $lock_rollout" ;;
        esac
        return 1
    fi
    still_counts || { reply refused "$stale"; return 1; }
    read_lock
    [ -n "$mended" ] || mend_journal
    mended=yes
    [ -z "$v_breaker" ] || note_breakers
}

# 0 when $line is `open|half-open|closed SINCE node|dependency NAME CAUSE`, of a bounded length.
is_breaker() {
    [ "${#line}" -le 1200 ] || return 1
    case $line in
    ?*' '?*' '?*' '?*' '?*) ;;
    *) return 1 ;;
    esac
    breaker_state=${line%% *} breaker_rest=${line#* }
    breaker_since=${breaker_rest%% *} breaker_rest=${breaker_rest#* }
    breaker_kind=${breaker_rest%% *} breaker_rest=${breaker_rest#* }
    case $breaker_state/$breaker_kind in
    open/node | half-open/node | closed/node | open/dependency | half-open/dependency | closed/dependency) ;;
    *) return 1 ;;
    esac
    is_number "$breaker_since" && [ -n "${breaker_rest%% *}" ]
}

# Breakers of the run that changed, told along with what is asked anyway: no step, so never a reason to refuse one, nor worth the reserve.
note_breakers() {
    breaker_lines=
    epoch_now
    while [ -n "$v_breaker" ]; do
        line=${v_breaker%%"$nl"*}
        v_breaker=${v_breaker#*"$nl"}
        ! is_breaker || breaker_lines="$breaker_lines${breaker_lines:+$nl}1 $epoch $lock_top ${lock_rollout:--} breaker note - $line"
    done
    [ -n "$breaker_lines" ] || return 0
    if { printf '%s\n' "$breaker_lines" >>"$state/journal"; } 2>/dev/null; then
        sync_file "$state/journal"
    else
        mended=
    fi
    return 0
}

describe_holder() {
    value holder "$lock_holder"
    value rollout "$lock_rollout"
    value generation "$lock_top"
    value age "$lock_age"
    value ttl "$lock_ttl"
}

make_folders() {
    mkdir -p -- "$s_root/releases" "$s_root/shared" "$state/lock" "$state/manifests" "$state/good" "$state/failed" \
        "$state/incoming" "$state/migrations" "$state/steps" 2>&1 && chmod 700 "$state" "$state/incoming" 2>&1 || return
    [ ! -f "$state/service.log" ] || chmod 600 "$state/service.log" 2>&1
}

# What somebody at another terminal wishes of the rollout that holds the lock: $wish, `pause|abort HOLDER`. 1: nothing.
read_wish() {
    wish=
    first_line "$state/wish" || return 1
    case $line in
    "$lock_rollout pause "* | "$lock_rollout abort "*) wish=${line#* } ;;
    *) return 1 ;;
    esac
}

# Needs no fence, since it changes nothing by itself: it is for the rollout that it names, and for that only while it holds the lock.
do_wish() {
    [ -n "$s_root" ] || { reply failed "wish needs a root"; return; }
    case $v_kind in
    pause | abort) ;;
    *) reply failed "wish needs a kind, pause or abort"; return ;;
    esac
    read_lock
    if [ "$lock_state" != held ] || [ "$lock_rollout" != "$v_rollout" ]; then
        reply refused "rollout $v_rollout does not hold the lock"
        return
    fi
    if read_wish && [ "${wish%% *}" = abort ]; then
        reply ok "an abort is wished for already"
        return
    fi
    replace_file "$state/wish" "$v_rollout $v_kind ${v_holder:-someone}" || { reply failed "disk: the wish cannot be left"; return; }
    journal wish note - "$v_kind" "${v_holder:-someone}"
    reply ok "$v_kind is wished for"
}

# 0 when somebody made a lock between the one that we saw and ours, which has a number further on.
was_passed() {
    for lock_file in "$state"/lock/*; do
        lock_file=${lock_file##*/}
        is_number "$lock_file" && [ "$lock_file" -gt "$seen_top" ] && [ "$lock_file" -lt "$next" ] && return 0
    done
    return 1
}

# $next: a number above each generation that was given out, also when the lock folder or `generation` was lost. 1 when a lock was made after
# we looked.
next_generation() {
    next=$lock_top seen_top=$lock_top
    issued=$(journal_lines | awk '$1 == "1" && NF >= 8 && $5 == "rollout" && $6 == "begin" && $3 + 0 > top { top = $3 + 0 } END { printf "%.0f", top }')
    first_line "$state/generation"
    for issued in "$line" "$issued"; do
        is_number "$issued" && [ "$issued" -gt "$next" ] && next=$issued
    done
    if [ "$next" != "$seen_top" ]; then
        find_top
        [ "$lock_top" = "$seen_top" ] || return 1
    fi
    next=$((next + 1))
    [ -z "$v_minimum" ] || [ "$v_minimum" -le "$next" ] || next=$v_minimum
}

# Claims the next generation, $v_minimum at least, by link(2). 1 when another session was faster, 2 when the disk is full.
claim_lock() {
    next_generation || return 1
    uptime_now
    claim=$state/lock/.new.$$
    write_file "$claim" "rollout $v_rollout${nl}holder $v_holder${nl}ttl $v_ttl${nl}token $v_token${nl}runner $v_runner${nl}beat $up $s_boot" || return 2
    sync_file "$claim"
    ln -- "$claim" "$state/lock/$next" 2>/dev/null
    claimed=$?
    rm -f -- "$claim"
    [ "$claimed" = 0 ] || return 1
    find_top
    if [ "$lock_top" != "$next" ] || was_passed; then
        rm -f -- "$state/lock/$next"
        return 1
    fi
    keep_file "$state/generation" "$next"
    for lock_file in "$state"/lock/*; do
        old=${lock_file##*/}
        old=${old%%.*}
        is_number "$old" && [ "$old" -lt "$next" ] && rm -f -- "$lock_file"
    done
    return 0
}

# The chain of a rollout that takes the lock: $v_rollout and what it goes on with, and behind that the chain before.
write_chain() {
    chain_before=
    if first_line "$state/chain"; then
        chain_before=$line
        # Noted twice: what was before is still that of the first time.
        [ "${line%% *}" != "$v_rollout" ] || { IFS= read -r _ && IFS= read -r chain_before; } <"$state/chain" || chain_before=
    fi
    keep_file "$state/chain" "$v_rollout$v_resumes${chain_before:+$nl$chain_before}"
}

# A rollout that has changed nothing is as if it had never been: the one before may be gone on with.
restore_chain() {
    { IFS= read -r _ && IFS= read -r chain_before; } 2>/dev/null <"$state/chain" || return 0
    keep_file "$state/chain" "$chain_before"
}

# 0 when the root belongs to this session's service, by `renamed_from` also under its earlier name, or to none yet. Else $line has the owner.
owns_root() {
    first_line "$state/service"
    case $line in
    '' | "$s_service" | "${s_renamed_from:-$s_service}") return 0 ;;
    esac
    [ -z "$s_service" ]
}

# The first lock of a service notes whose the root is.
note_service() {
    owns_root || return 1
    [ "$line" != "$s_service" ] || return 0
    replace_file "$state/service" "$s_service" && { sync "$state/service" 2>/dev/null || sync; }
}

# Whose the lock is, in the journal. 1: replied, and the lock is given back, since nobody could tell later what held it.
note_lock() {
    mend_journal
    mended=yes
    rm -f -- "$state/wish"
    note_fault=
    if [ "$v_kind" != outside ] && ! write_chain; then
        note_fault="the rollout cannot be noted in $state"
    elif ! note_service; then
        note_fault="$state/service cannot be written, or names another service by now"
    elif ! journal rollout begin "$v_release" "${v_kind:--}" "$v_holder" ||
        { [ -n "$v_limit" ] && ! journal limit note - - "$v_limit"; } ||
        { [ -n "$v_members" ] && ! journal members note - - "$v_members"; } ||
        { [ -n "$v_reason" ] && ! journal past-no-return note "$v_release" ok "$v_reason"; }; then
        note_fault="the journal cannot be written in $state"
    fi
    [ -n "$note_fault" ] || return 0
    write_file "$state/lock/$lock_top.end" unnoted
    reply failed "disk: $note_fault"
    return 1
}

do_lock() {
    [ -n "$s_root" ] || { reply failed "lock needs a root"; return; }
    is_name "$v_rollout" || { reply failed "lock needs a rollout's id"; return; }
    is_number "$v_ttl" || { reply failed "lock needs a ttl in seconds"; return; }
    [ -z "$v_minimum" ] || is_number "$v_minimum" || { reply failed "the least generation of a lock is a number"; return; }
    check_journal || return
    made=$(make_folders) || { reply failed "${made:-cannot make folders in $s_root}"; return; }
    # What root has found missing when the session began may have been made by somebody else since.
    check_trust || return
    if ! owns_root; then
        value service "$line"
        reply refused "root $s_root belongs to service $line, not to $s_service"
        return
    fi
    read_lock
    if [ "$lock_state" = held ] && [ "$v_takeover" != "$lock_top" ]; then
        if [ -n "$v_token" ] && [ "$v_token" = "$lock_token" ]; then
            # The session that took it may have been cut before it noted it.
            journal_lines | grep -q "^1 [0-9]* $lock_top $v_rollout rollout begin " || note_lock || return
            describe_holder
            reply ok "lock held already"
            return
        fi
        describe_holder
        reply refused "locked by $lock_holder, rollout $lock_rollout, renewed $lock_age s ago"
        return
    fi
    if had_its_lock; then
        reply refused "rollout $v_rollout had its lock on this node, and it has ended; a run takes it once"
        return
    fi
    describe_takeover
    claim_lock
    case $? in
    1)
        refuse_lock
        return
        ;;
    2)
        reply failed "disk: the lock cannot be written in $state"
        return
        ;;
    esac
    make_reserve || value warning "disk: no room for the reserve of 64 KiB"
    read_lock
    # Never another's generation: the lease may have passed on since.
    [ "$lock_top" = "$next" ] || { refuse_lock; return; }
    note_lock || return
    fence_holds "$next" || { refuse_lock; return; }
    [ -z "$was" ] || value taken_over "$was"
    value generation "$next"
    reply ok "${was:-locked}"
}

# 0 when the run of a request with a token had the lock here before: this one was held up on a connection that is lost. Its own lease that
# nobody has taken over may be taken again.
had_its_lock() {
    [ -n "$v_token" ] || return 1
    [ "$lock_state" != expired ] || [ "$lock_token" != "$v_token" ] || return 1
    journal_lines | grep -q "^1 [0-9]* [0-9]* $v_rollout rollout begin "
}

# Why a lock that is not free may be taken: $was, empty when it is free.
describe_takeover() {
    was=
    case $lock_state in
    free) return 0 ;;
    held) was="taken over from $lock_holder, rollout $lock_rollout, whose process has ended" ;;
    *)
        was="taken over from $lock_holder, rollout $lock_rollout, silent for $lock_age s"
        [ "$lock_boot" = "$s_boot" ] || was="taken over from $lock_holder, rollout $lock_rollout, of before the last boot"
        ;;
    esac
}

# Another session was faster.
refuse_lock() {
    read_lock
    describe_holder
    reply refused "locked by $lock_holder, rollout $lock_rollout, just now"
}

do_renew() {
    check_fence || return
    uptime_now
    if ! replace_file "$state/lock/$v_fence.beat" "$up $s_boot"; then
        reply failed "disk: the lease cannot be renewed"
    elif fence_holds "$v_fence"; then
        ! read_wish || value wish "$wish"
        reply ok renewed
    else
        reply refused "the lock was taken over"
    fi
}

# end_lock WHY: gives the request's generation back, unless it is another session's by now. 1: replied.
end_lock() {
    still_counts || { reply refused "$stale"; return 1; }
    write_file "$state/lock/$v_fence.end" "$1" || { reply failed "disk: the lock cannot be given back"; return 1; }
}

do_unlock() {
    check_fence || return
    ! is_busy || return
    end_lock unlocked || return
    reply ok unlocked
}

do_break() {
    [ -n "$s_root" ] || { reply failed "break needs a root"; return; }
    read_lock
    if [ "$lock_state" = free ]; then
        reply ok "no lock is held"
        return
    fi
    if [ -n "$v_generation" ] && [ "$v_generation" != "$lock_top" ]; then
        reply refused "the lock has changed hands: generation $lock_top is held by $lock_holder"
        return
    fi
    describe_holder
    write_file "$state/lock/$lock_top.end" broken || { reply failed "disk: the lock cannot be broken"; return; }
    journal rollout break - - "broken by ${v_holder:-someone}, was held by $lock_holder"
    reply ok "broke the lock of $lock_holder, rollout $lock_rollout"
}

do_failed() {
    check_fence || return
    [ -n "$v_release" ] || { reply failed "failed needs a release"; return; }
    epoch_now
    keep_file "$state/failed/$v_release" "$epoch" || { reply failed "disk: release $v_release cannot be marked failed"; return; }
    journal failed end "$v_release" ok -
    reply ok "release $v_release is marked failed"
}

# Lines `NAME RELEASE KIND` of migrations that are done, wherever they ran: this node is to know it too.
copy_migrations() {
    while [ -n "$v_migration" ]; do
        copied=${v_migration%%"$nl"*}
        v_migration=${v_migration#*"$nl"}
        name=${copied%% *}
        copied=${copied#* }
        if ! is_name "$name" || ! is_name "${copied%% *}"; then continue; fi
        read_migration "$name"
        [ "$migration_state" != 'done' ] || continue
        write_migration "$name" "${copied%% *}" "${copied#* }" 'done' || return 1
    done
}

# 0 while a changing step of this session runs; says so.
is_busy() {
    [ -n "$busy" ] && [ ! -e "$tmp/$busy.end" ] || return 1
    reply refused "busy: step $busy still runs on this node"
}

do_finish() {
    check_fence || return
    ! is_busy || return
    copy_migrations || { reply failed "disk: the migrations cannot be recorded"; return; }
    finish_mark=end
    case $v_open in
    yes) finish_mark=held ;;
    before)
        finish_mark=left
        restore_chain || { reply failed "disk: the rollouts before cannot be noted in $state"; return; }
        ;;
    esac
    still_counts || { reply refused "$stale"; return; }
    journal rollout "$finish_mark" "$v_release" "${v_status:-ok}" "$v_result" || { reply failed "disk: the journal cannot be written"; return; }
    end_lock finished || return
    reply ok finished
}

# --- migrations ----------------------------------------------------------------------------------------------------------------

# write_migration NAME RELEASE KIND STATE: on the disk when it returns 0.
write_migration() {
    epoch_now
    keep_file "$state/migrations/$1" "1 $epoch $2 $3 $4 ${lock_rollout:--}"
}

# $migration_state: none, running, done, failed, undone, or unknown: it began, and neither lives nor has an end.
read_migration() {
    migration_state=none migration_release=- migration_kind=-
    [ -s "$state/migrations/$1" ] || return 0
    read -r _ migration_epoch migration_release migration_kind migration_state _ <"$state/migrations/$1"
    case $migration_state in
    done | failed | undone) return 0 ;;
    running) ;;
    *) migration_state=unknown ;;
    esac
    read_record
    [ "$record_state" = running ] && [ "$record_verb" = migrate ] || migration_state=unknown
}

# The record must allow it. 1: replied.
check_migration() {
    read_migration "$v_name"
    case $migration_state in
    running) reply refused "migration $v_name still runs on this node" ;;
    unknown)
        [ "$v_again" != yes ] || return 0
        reply refused "migration $v_name began with release $migration_release and has no end on record"
        ;;
    done)
        [ "$v_down" != yes ] || return 0
        reply ok "migration $v_name was done with release $migration_release"
        ;;
    *)
        [ "$v_down" = yes ] || return 0
        reply refused "migration $v_name is not done"
        ;;
    esac
    return 1
}

start_migrate() {
    check_fence || return
    is_name "$v_name" || { reply failed "migrate needs a name"; return; }
    case $v_kind in
    expand | contract | irreversible) ;;
    *) reply failed "migrate needs a kind"; return ;;
    esac
    [ -n "$v_release" ] || { reply failed "migrate needs a release"; return; }
    answer_from_record && return
    check_migration || return
    step_name=migrate.$v_name
    [ "$v_down" != yes ] || step_name=unmigrate.$v_name
    launch_recorded 600 plain
}

# How the step ended, from $said_status. Only a command that ended by itself is known to be done or failed.
record_migration() {
    migrated=running
    case $said_status in
    ok) migrated='done' ;;
    failed) [ -n "$late" ] || [ "$code" -gt 128 ] || migrated=failed ;;
    esac
    if [ "$v_down" = yes ]; then
        case $migrated in
        done) migrated=undone ;;
        failed) migrated=running ;;
        esac
    fi
    [ "$migrated" = running ] || write_migration "$v_name" "$v_release" "$v_kind" "$migrated"
}

facts_of_migrations() {
    for migration_file in "$state"/migrations/*; do
        name=${migration_file##*/}
        is_name "$name" || continue
        read_migration "$name"
        [ "$migration_state" != none ] || continue
        value migration "$name $migration_state $migration_release $migration_kind"
        value since "migration $name $migration_epoch"
    done
}

# --- steps: supervisor's side --------------------------------------------------------------------------------------------------

# 0 while a process of group $1 is there and not a zombie. /proc tells of other users' processes too.
group_alive() {
    for stat_file in /proc/[0-9]*/stat; do
        stat_pid=${stat_file#/proc/}
        stat_pid=${stat_pid%/stat}
        read_stat "$stat_pid" || continue
        [ "$stat_group" = "$1" ] || [ "$stat_pid" = "$1" ] || continue
        [ "$stat_state" != Z ] && [ "$stat_state" != X ] && return 0
    done
    return 1
}

# A leader that was only just forked is not yet in its group.
signal_group() {
    kill -s "$1" -- "-$2" 2>/dev/null || kill -s "$1" "$2" 2>/dev/null
    # shellcheck disable=SC2016
    [ -z "$s_sudo" ] || sudo -n sh -c 'kill -s "$1" -- "-$2"' sh "$1" "$2" 2>/dev/null </dev/null
}

# TERM, 3 seconds later KILL; 0 when nobody of group $1 is left, 1 when somebody stays for 9 seconds more.
end_group() {
    signal_group TERM "$1"
    uptime_now
    group_since=$up group_killed=0
    while group_alive "$1"; do
        sleep 0.1
        uptime_now
        group_age=$((up - group_since))
        [ "$group_age" -lt 12 ] || return 1
        [ "$group_age" -ge 3 ] && [ "$group_age" -gt "$group_killed" ] || continue
        group_killed=$group_age
        signal_group KILL "$1"
    done
}

# Wakes supervisor $1 when $2 seconds have passed, and again each second in case it was busy.
start_timer() {
    {
        sleep "$2" &
        sleeper=$!
        trap 'kill "$sleeper" 2>/dev/null; exit' TERM
        wait "$sleeper"
        while kill -s USR1 "$1"; do sleep 1; done
    } >/dev/null 2>&1 &
    timer=$!
}

# The last part of the output as `|` lines: $1 bytes, $2 lines, each cut at $3 bytes.
show_output() {
    [ -s "$out.out" ] || return 0
    tail -c "$1" "$out.out" | tr -d '\000' | tail -n "$2" | while IFS= read -r line || [ -n "$line" ]; do
        printf '%s | %.'"$3"'s\n' "$id" "$line" 2>/dev/null
    done
}

# What the leader said: $said_status, $said_sentence.
read_said() {
    said_status='' said_sentence='' said_values=''
    [ -s "$out.val" ] || return 0
    while IFS= read -r line; do
        case $line in
        '= '*) said_values=$said_values$line$nl ;;
        '. '*)
            line=${line#. }
            said_status=${line%% *} said_sentence=${line#* }
            ;;
        esac
    done <"$out.val"
}

# Decides what became of the step, from how it ended ($late, $code) and what it said.
judge_step() {
    read_said
    if [ -n "$late" ]; then
        said_status=$late
        case $late in
        timeout) said_sentence="no end after $limit s, its timeout; ended it with everything it had started" ;;
        *) said_sentence="ended it as asked, with everything it had started" ;;
        esac
        if [ -n "$unended" ]; then
            said_status=failed
            said_sentence="process group $leader cannot be ended: it is stuck in the kernel; see ps -o pid,stat,wchan,args -g $leader"
            said_values="${said_values}= unended $leader$nl"
        fi
    elif [ -n "$plain" ] && [ -z "$said_status" ]; then
        said_values="${said_values}= status $code$nl"
        said_status=failed said_sentence="exit status $code"
        [ "$code" -le 128 ] || said_sentence="ended by signal $((code - 128))"
        [ "$code" != 0 ] || said_status=ok
    elif [ -z "$said_status" ]; then
        said_status=failed said_sentence="$verb ended without a word, status $code"
        [ "$code" != 0 ] || said_status=ok said_sentence="$verb done"
    fi
    [ -n "$late" ] || [ "$code" -le 128 ] || [ "$said_status" != failed ] || ! ended_by_timer ||
        said_sentence="the confirm timer ended it: release $armed_release was not confirmed within $armed_seconds s, and $armed_previous is put back"
}

# 0 when the confirm timer of this step's run was due while it ran.
ended_by_timer() {
    [ -n "$recorded" ] && [ "$verb" != revert ] && read_armed && [ "$armed_kind" = confirm ] && [ "$armed_generation" = "$v_fence" ] &&
        first_line "$state/confirm/$armed_id.end" || return 1
    case $line in
    'reverting '*) ;;
    *) return 1 ;;
    esac
}

# Waits for the leader, or for the signal that its time is over.
await_leader() {
    while :; do
        woken=
        wait "$leader"
        code=$?
        [ -z "$late" ] || break
        [ -n "$woken" ] || break
    done
    [ -z "$timer" ] || kill "$timer" 2>/dev/null
    [ -z "$late" ] || end_group "$leader" || unended=yes
}

# The record of a step, before anything of it can block, then the fence. 1: replied, and nothing has begun.
open_record() {
    record=$state/steps/$v_fence.$v_epoch.$id
    read_stat "$self"
    read -r up_text _ </proc/uptime
    if ! write_file "$record" "2 ${v_token:--} $verb $self $stat_start $s_boot ${up_text%.*}${up_text#*.} $v_fence $v_epoch"; then
        rm -f -- "$record"
        reply failed "disk: the step cannot be recorded in $state"
        return 1
    fi
    if [ "$verb" != revert ] && ! may_act; then
        rm -f -- "$record"
        reply refused "$stale"
        return 1
    fi
    forget_records
    journal "$step_name" begin "$v_release" - "${v_token:--}" && return
    rm -f -- "$record"
    reply failed "disk: the journal cannot be written in $state"
    return 1
}

# Records of steps that are over: the last one is kept until the next begins.
forget_records() {
    for candidate in "$state/step" "$state"/steps/*; do
        [ "$candidate" != "$record" ] && [ -s "$candidate" ] || continue
        if load_record "$candidate" && record_lives; then continue; fi
        rm -f -- "$candidate"
    done
}

# A leader that was refused has removed the record: nothing was changed. So does the next step's with one that `settle` has ended.
close_record() {
    journal "$step_name" end "$v_release" "$said_status" "$said_sentence"
    [ -e "$record" ] || return 0
    [ "$verb" != migrate ] || record_migration
    append_file "$record" "${said_values}end $said_status $said_sentence"
}

# The whole life of one step. Runs in a subshell of main; `$recorded` for a step that changes something.
supervise() {
    late='' unended='' timer='' woken='' out=$tmp/$id
    trap 'late=${late:-timeout}' USR1
    trap 'late=${late:-cancelled}' USR2
    trap 'woken=yes' HUP PIPE
    read -r self _ </proc/self/stat
    note_user "$self" "$id"
    if [ -n "$recorded" ] && ! open_record; then
        : >"$out.end"
        return
    fi
    if [ -n "$plain" ] && [ -z "$recorded" ]; then
        lead_command >"$out.out" 2>&1 3>"$out.val" </dev/null &
    else
        # shellcheck disable=SC2086,SC2163
        export $session_names
        [ -z "$follow" ] || exec 4>&1
        # What arms a timer hands the program on.
        case $verb$v_confirm in activate?* | keep_old) export p ;; esac
        setsid sh -c "$p" deployctl-step >"$out.out" 2>&1 3>"$out.val" </dev/null &
    fi
    leader=$!
    printf '%s > %s\n' "$id" "$leader" 2>/dev/null
    [ "$limit" = 0 ] || start_timer "$self" "$limit"
    await_leader
    judge_step
    [ -z "$recorded" ] || close_record
    : >"$out.end"
    # shellcheck disable=SC2086
    show_output $show
    while [ -n "$said_values" ]; do
        printf '%s %s\n' "$id" "${said_values%%"$nl"*}" 2>/dev/null
        said_values=${said_values#*"$nl"}
    done
    reply "$said_status" "$said_sentence"
    tidy_orphan
}

# Main removes the session's folder; when main was killed, its last step does.
tidy_orphan() {
    ! read_stat "$$" || return 0
    for stat_file in "$tmp"/*.out; do
        [ -e "${stat_file%.out}.end" ] || return 0
    done
    rm -rf -- "$tmp"
}

# --- steps: main's side --------------------------------------------------------------------------------------------------------

# Forgets steps that ended, a few at a time, so that neither zombies nor files pile up.
reap_steps() {
    [ "$step_count" -ge 16 ] || return 0
    kept='' removed='' step_count=0
    for step in $steps; do
        if [ -e "$tmp/${step%:*}.end" ]; then
            wait "${step#*:}"
            [ "${step%:*}" != "$busy" ] || busy=
            removed="$removed $tmp/${step%:*}.out $tmp/${step%:*}.val $tmp/${step%:*}.user $tmp/${step%:*}.end"
        else
            kept="$kept $step"
            step_count=$((step_count + 1))
        fi
    done
    steps=$kept
    # shellcheck disable=SC2086
    [ -z "$removed" ] || rm -f $removed
}

# The limit in seconds from `timeout` (seconds) or `timeout_ms`; $1 when neither is given.
find_limit() {
    limit=$1
    if is_number "$v_timeout"; then
        limit=$v_timeout
    elif is_number "$v_timeout_ms"; then
        fraction=00$((v_timeout_ms % 1000))
        limit=$((v_timeout_ms / 1000)).${fraction#"${fraction%???}"}
    fi
}

# launch LIMIT [plain]: the request becomes a step. plain: the leader becomes the command itself.
launch() {
    find_limit "$1"
    plain=$2 show=${show:-8192 60 1000}
    reap_steps
    rm -f -- "$tmp/$id.end"
    supervise </dev/null &
    steps="$steps $id:$!"
    step_count=$((step_count + 1))
}

# Answers from the record when this very step was done already. 1: it is to be done.
answer_from_record() {
    [ -n "$v_token" ] || return 1
    for candidate in "$state/step" "$state"/steps/*; do
        load_record "$candidate" && [ "$record_token" = "$v_token" ] && [ "$record_verb" = "$verb" ] || continue
        case $record_end in
        '' | killed | lost) continue ;;
        esac
        while [ -n "$record_values" ]; do
            printf '%s %s\n' "$id" "${record_values%%"$nl"*}" 2>/dev/null
            record_values=${record_values#*"$nl"}
        done
        printf '%s = recorded yes\n' "$id" 2>/dev/null
        reply "$record_end" "$record_sentence"
        return 0
    done
    return 1
}

# A step that changes something: the fence, the record, one at a time.
launch_recorded() {
    check_fence || return
    may_act || { reply refused "$stale"; return; }
    answer_from_record && return
    ! is_busy || return
    for candidate in "$state/step" "$state"/steps/*; do
        load_record "$candidate" && [ "$record_verb" != revert ] && leader_lives || continue
        reply refused "busy: $record_verb of an earlier session still runs on this node; settle it first"
        return
    done
    busy=$id recorded=yes
    launch "$@"
    recorded=
}

# The record in file $1 as $record_*; 1: it holds none. $record_end is empty, or how the step ended.
load_record() {
    loaded=$1 record_token='' record_verb='' record_pid='' record_start='' record_boot='' record_order=0 record_fence=0 record_epoch=0
    record_leader='' record_leader_start='' record_end='' record_sentence='' record_values=''
    [ -s "$loaded" ] || return 1
    {
        while IFS= read -r line; do
            # shellcheck disable=SC2086
            case $line in
            '2 '*)
                set -- $line 0 0 0
                record_token=$2 record_verb=$3 record_pid=$4 record_start=$5 record_boot=$6 record_order=$7 record_fence=$8 record_epoch=$9
                ;;
            '1 '*)
                set -- $line
                record_token=$2 record_verb=$3 record_leader=$4 record_leader_start=$5 record_boot=$6
                ;;
            'leader '*)
                set -- $line
                record_leader=$2 record_leader_start=$3
                ;;
            '= '*) record_values=$record_values$line$nl ;;
            'end '*)
                case $record_end in
                ok | killed | lost) ;;
                *)
                    line=${line#end }
                    record_end=${line%% *} record_sentence=${line#* }
                    ;;
                esac
                ;;
            esac
        done <"$loaded"
    } 2>/dev/null
    is_number "$record_order" && is_number "$record_fence" && is_number "$record_epoch" && [ -n "$record_verb" ]
}

# 0 while the leader of the loaded record, or one of its group, is there.
leader_lives() {
    [ -z "$record_end" ] && [ "$record_boot" = "$s_boot" ] && is_number "$record_leader" && [ "$record_leader" -gt 1 ] || return 1
    if read_stat "$record_leader"; then
        # Another start time: the number was given to a stranger, who must not be touched.
        [ "$stat_start" = "$record_leader_start" ]
    else
        group_alive "$record_leader"
    fi
}

supervisor_lives() {
    [ "$record_boot" = "$s_boot" ] && is_number "$record_pid" && read_stat "$record_pid" && [ "$stat_start" = "$record_start" ] &&
        [ "$stat_state" != Z ] && [ "$stat_state" != X ]
}

# 0 while the loaded record has no end and is not proven to be over.
record_lives() {
    [ -z "$record_end" ] && { leader_lives || supervisor_lives; }
}

# The last recorded step: $record_state none, running, lost (over, without an end) or how it ended. One that runs comes first.
read_record() {
    record_state=none last_record='' last_order=-1
    for candidate in "$state/step" "$state"/steps/*; do
        load_record "$candidate" || continue
        if record_lives; then
            last_record=$candidate
            break
        fi
        [ "$record_boot" = "$s_boot" ] || record_order=0
        [ "$record_order" -gt "$last_order" ] || continue
        last_record=$candidate last_order=$record_order
    done
    load_record "${last_record:-$state/step}" || return 0
    record_state=${record_end:-lost}
    ! record_lives || record_state=running
}

# Ends the step of the loaded record and says so in it. 1: a process stays, 2: a migration that may still be at work.
end_record() {
    lost=lost
    ! record_lives || lost=killed
    if leader_lives; then
        [ "$record_verb" != migrate ] || [ -n "$1" ] || return 2
        end_group "$record_leader" || return 1
    fi
    # Its own supervisor may know the end better, unless it is held up.
    tries=0
    while [ -z "$record_end" ] && [ "$tries" -lt 10 ] && supervisor_lives; do
        tries=$((tries + 1))
        sleep 0.1
        load_record "$loaded"
    done
    if [ "$record_verb" = migrate ] && [ -z "$1" ] && [ -z "$record_end" ] && [ -n "$record_leader" ] && supervisor_lives; then return 2; fi
    [ "$record_end" != ok ] || return 0
    # A killed step is to be done again, whatever its supervisor thought of it.
    [ ! -e "$loaded" ] || append_file "$loaded" "end $lost $record_verb of an earlier session was $lost"
    read_lock
    journal "$record_verb" end - "$lost" "$record_verb of an earlier session was $lost"
    # A leader that writes its line only now finds that end; one that did before is ended.
    stuck=$record_leader
    load_record "$loaded"
    [ -n "$record_leader" ] && [ "$record_leader" != "$stuck" ] || return 0
    record_end=''
    ! leader_lives || end_group "$record_leader"
}

# 0 when the loaded record is of a session newer than this request's.
record_is_newer() {
    [ -n "$v_fence" ] || return 1
    [ "$record_fence" -gt "$v_fence" ] || { [ "$record_fence" = "$v_fence" ] && [ "$record_epoch" -gt "$v_epoch" ]; }
}

# Ends what earlier sessions left running. Runs in a subshell of main.
do_settle() {
    trap : HUP PIPE
    settled="nothing runs"
    read_record
    await_revert
    for candidate in "$state/step" "$state"/steps/*; do
        load_record "$candidate" && [ -z "$record_end" ] && ! record_is_newer || continue
        settled="ended $record_verb of an earlier session"
        end_record ''
        case $? in
        1)
            value unended "$record_leader"
            : >"$tmp/$id.end"
            reply failed "process group $record_leader of an earlier session cannot be ended: it is stuck in the kernel"
            return
            ;;
        2)
            # Data half changed is worse than a rollout that waits.
            : >"$tmp/$id.end"
            reply failed "a migration of an earlier session still runs on this node; wait for its end"
            return
            ;;
        esac
    done
    read_record
    : >"$tmp/$id.end"
    value last_token "${record_token:--}"
    value last_verb "${record_verb:--}"
    value last_state "$record_state"
    [ -z "$record_sentence" ] || value last_sentence "$record_sentence"
    if read_armed && [ "$armed_generation" = "$lock_top" ] && first_line "$state/confirm/reverted"; then
        value reverted "$line"
    fi
    # What is decided under the lock is decided by what is so now.
    [ "$v_facts" != yes ] || say_facts
    reply ok "$settled"
}

# A timer that has begun to put a release back is let end, unless it hangs.
await_revert() {
    tries=0
    while [ "$record_state" = running ] && [ "$record_verb" = revert ] && [ "$tries" -lt 75 ]; do
        tries=$((tries + 1))
        sleep 0.2
        read_record
    done
}

start_settle() {
    [ -n "$s_root" ] || { reply failed "settle needs a root"; return; }
    if [ -n "$v_fence" ]; then
        check_fence || return
    else
        read_lock
        if [ "$lock_state" = held ]; then
            describe_holder
            reply refused "locked by $lock_holder, rollout $lock_rollout; settle with its generation"
            return
        fi
    fi
    ! is_busy || return
    [ -d "$state" ] || { value last_token -; value last_state none; reply ok "nothing runs"; return; }
    [ -z "$v_fence" ] || claim_epoch || return
    [ ! -e "$tmp/$id.end" ] || rm -f -- "$tmp/$id.end"
    # Until it has ended nothing begins, and no lock is given back.
    busy=$id
    do_settle </dev/null &
    steps="$steps $id:$!"
    step_count=$((step_count + 1))
}

# Asks a step's supervisor to end it; the step's own reply says when it ended.
do_cancel() {
    for step in $steps; do
        [ "${step%:*}" = "$v_target" ] || continue
        [ ! -e "$tmp/$v_target.end" ] || break
        cancel_step "$v_target" "${step#*:}" >/dev/null 2>&1 </dev/null &
        reply ok "step $v_target is being ended"
        return
    done
    reply ok "step $v_target does not run"
}

# Wakes the supervisor $2 of step $1 until it has ended its step.
cancel_step() {
    # A supervisor that has started its leader has its traps; again each second in case it was busy.
    tries=0
    while [ ! -e "$tmp/$1.out" ] && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    while [ ! -e "$tmp/$1.end" ] && kill -s USR2 "$2"; do sleep 1; done
}

# Followers are of no use without the connection.
end_followers() {
    for step in $steps; do
        case " $followers " in
        *" $step "*) ;;
        *) continue ;;
        esac
        [ -e "$tmp/${step%:*}.end" ] || cancel_step "${step%:*}" "${step#*:}" >/dev/null 2>&1 </dev/null &
    done
}

# What a follower says goes out line by line, see follow_log.
start_logs() {
    show='262144 10000 4000'
    [ "$v_follow" = yes ] || { launch 60; return; }
    follow=yes
    launch 86400
    follow=
    followers="$followers $id:$!"
}

# --- steps: leader's side ------------------------------------------------------------------------------------------------------

# What a leader of another process gets to know, by its environment.
session_names='s_root user_id s_unit s_start s_stop s_reload s_shared s_keep s_sudo s_offset s_boot login_settings
    v_fence v_epoch v_token v_release v_rollout v_lines v_previous v_kind v_env v_sha256 v_compression v_tar_bytes v_manifest_sha256
    v_bytes v_unpacked v_entries v_pinned v_since v_confirm v_slot v_seconds v_port v_address s_slots s_slot_start s_slot_stop s_pin follow session_pid id tmp verb recorded record v_command v_name
    v_down lock_rollout'

# The record first, the fence after (see the top). A leader that is refused has changed nothing, and leaves no record.
begin_record() {
    in_step=yes unsettles=''
    [ -n "$recorded" ] || return 0
    while [ "$verb" != revert ] && is_reverting; do sleep 0.2; done
    read_stat "$$"
    [ -e "$record" ] || reply refused "the step was ended before it began"
    append_file "$record" "leader $$ $stat_start" || reply failed "disk: the step cannot be recorded in $state"
    load_record "$record" && [ -z "$record_end" ] || reply refused "the step was ended before it began"
    if [ "$verb" = revert ]; then
        read_lock
        read_armed
        [ "$lock_state" != held ] || { [ "$lock_top" = "$v_fence" ] && [ "$armed_kind" = confirm ]; } ||
            refuse_step "generation $lock_top holds the lock"
        return
    fi
    may_act || refuse_step "$stale"
    ! is_reverting || refuse_step "a timer of this node puts release $armed_previous back at this moment"
}

refuse_step() {
    rm -f -- "$record"
    reply refused "$1"
}

# A step of this program's own, under setsid.
lead() {
    state=$s_root/.deployctl
    begin_record
    use_slot
    case $verb in
    run | migrate) become_command ;;
    facts | verify | history | logs | evidence | unit | instance | stage | unpack | discard | activate | restart | stop | keep_old | revert | commit | retract) "lead_$verb" ;;
    esac
    reply failed "unknown step $verb"
}

# The working folder of a command: that of release $1, else what the slot runs, else the current one.
command_folder() {
    if [ -n "$1" ]; then
        cd -- "$s_root/releases/$1" || return
    elif [ "$verb" = exec ] || [ -z "$s_root" ]; then
        cd || cd /
    elif [ -n "$v_slot" ] && [ -d "$s_root/slots/$v_slot" ]; then
        cd -- "$s_root/slots/$v_slot" || return
    elif [ -d "$s_root/current" ]; then
        cd -- "$s_root/current" || return
    else
        nearest_folder "$s_root"
        cd -- "$near" || return
    fi
}

# The environment of a command: the login's settings, and what the request gives.
give_environment() {
    unset LC_ALL
    v_env=$login_settings$v_env
    while [ -n "$v_env" ]; do
        # shellcheck disable=SC2163
        export "${v_env%%"$nl"*}"
        v_env=${v_env#*"$nl"}
    done
}

# The leader of a recorded step becomes its command, which sees nothing of the program.
become_command() {
    command_folder "$v_release" || reply failed "there is no release $v_release on this node"
    [ "$verb" != migrate ] || write_migration "$v_name" "$v_release" "$v_kind" running ||
        reply failed "disk: the migration cannot be recorded in $state"
    plain_text=$v_command
    leave_program
    exec /bin/sh -c "$plain_text" 3>&-
}

# From here on the environment is a command's: the login's settings and what the request gives.
leave_program() {
    plain_environment=$v_env plain_settings=$login_settings
    # shellcheck disable=SC2086
    unset $session_names p
    # shellcheck disable=SC2030
    v_env=$plain_environment login_settings=$plain_settings
    give_environment
}

# A subshell of the supervisor that becomes the command itself, under setsid. Such a step changes nothing that is recorded.
lead_command() {
    in_step=yes
    command_folder "$v_release" || reply failed "there is no release $v_release on this node"
    plain_text=$v_command
    give_environment
    exec "$s_setsid" /bin/sh -c "$plain_text" 3>&-
}

# The line of service.log where the activation of release $1 begins.
log_mark() {
    log_mark="--- deployctl: release $1 ---"
}

# $log_size after service.log was cut to its bound; what is cut off keeps its mark. The log is the account's alone; 1 when it cannot be made.
cut_log() {
    log=$state/service.log
    log_size=0
    [ -e "$log" ] || (umask 077 && : >>"$log") 2>/dev/null || return 1
    [ ! -s "$log" ] || log_size=$(($(wc -c <"$log")))
    [ "$log_size" -gt 262144 ] || return 0
    {
        grep -a '^--- deployctl: release [^ ]* ---$' "$log" | tail -n 1
        tail -c 131072 "$log"
    } >"$log.new" && cat "$log.new" >"$log"
    rm -f -- "$log.new"
    log_size=$(($(wc -c <"$log")))
}

# A command of the playbook inside a step: `command_in FOLDER TEXT`, output to service.log and to the step's own.
command_in() {
    log_target=/dev/null
    ! cut_log || [ ! -w "$log" ] || log_target=$log
    (
        cd -- "$1" || exit 1
        plain_text=$2
        leave_program
        exec /bin/sh -c "$plain_text" 3>&- >>"$log_target" 2>&1
    )
    command_status=$?
    tail -c "+$((log_size + 1))" "$log" 2>/dev/null
    return "$command_status"
}

# --- slots ---------------------------------------------------------------------------------------------------------------------

# What `open` said of slot $2 in the lines $1 `NAME TEXT`: $said; 1 when it said nothing.
slot_text() {
    said='' slot_rest=$1
    while [ -n "$slot_rest" ]; do
        said=${slot_rest%%"$nl"*}
        slot_rest=${slot_rest#*"$nl"}
        [ "${said%% *}" != "$2" ] || { said=${said#* }; return 0; }
    done
    said=''
    return 1
}

# The instance in $v_slot is what the step is about, if it names one.
use_slot() {
    slot_link=$s_root/current alone=''
    # Who reads, and names none, reads of the live one.
    case $verb in
    unit | instance | evidence | logs) [ -n "$v_slot" ] || [ -z "$s_slots" ] || ! first_line "$state/slots/.live" || v_slot=${line%% *} ;;
    esac
    [ -n "$v_slot" ] || return 0
    slot_text "$s_slots" "$v_slot" || reply failed "there is no slot $v_slot in this session"
    [ "${s_slots#*"$nl"}" ] || alone=yes
    s_unit=${said#-} s_reload=''
    ! slot_text "$s_slot_start" "$v_slot" || s_start=$said
    ! slot_text "$s_slot_stop" "$v_slot" || s_stop=$said
    slot_link=$s_root/slots/$v_slot
}

# What slot $1 links: $slot_release, empty when it links nothing.
read_slot() {
    slot_release=$(readlink "$s_root/slots/$1" 2>/dev/null)
    slot_release=${slot_release%/}
    case ${slot_release%/*} in
    ../releases) slot_release=${slot_release##*/} ;;
    *) slot_release='' ;;
    esac
}

# 0 while the instance in $v_slot runs: what its unit says, or what start and stop were asked last.
instance_runs() {
    if [ -n "$s_unit" ]; then
        read_unit && [ "$unit_active" = active ]
    else
        first_line "$state/slots/$v_slot.started" && [ "$line" = "$s_boot" ]
    fi
}

# In this boot; written before it starts.
note_started() {
    mkdir -p -- "$state/slots" && write_file "$state/slots/$v_slot.started" "$s_boot"
}

# The slot links $1 (empty: nothing).
point_slot() {
    mkdir -p -- "$s_root/slots" || reply failed "cannot make $s_root/slots"
    if [ -n "$1" ]; then
        replace_link "../releases/$1" "$slot_link" || reply failed "the link $slot_link cannot be switched"
    else
        rm -f -- "$slot_link" || reply failed "the link $slot_link cannot be removed"
    fi
    sync "$s_root/slots" 2>/dev/null
    [ -n "$alone" ] || return 0
    if [ -n "$1" ]; then
        replace_link "releases/$1" "$s_root/current" || reply failed "the link $s_root/current cannot be switched"
    else
        rm -f -- "$s_root/current" || reply failed "the link $s_root/current cannot be removed"
    fi
    sync "$s_root" 2>/dev/null
}

stop_instance() {
    if [ -n "$s_unit" ]; then
        need_unit
        system_control stop -- "$s_unit" || reply failed "systemctl stop $s_unit failed, status $?"
    elif [ -n "$s_stop" ]; then
        stop_folder=$s_root
        [ -z "$slot_release" ] || [ ! -d "$s_root/releases/$slot_release" ] || stop_folder=$s_root/releases/$slot_release
        command_in "$stop_folder" "$s_stop" || stop_failed "$?"
    fi
    rm -f -- "$state/slots/$v_slot.started"
}

# What the slot linked before is written once, so that a repeated activation does not take its own release for it.
remember_slot() {
    mkdir -p -- "$state/slots" || reply failed "cannot make $state/slots"
    [ -e "$state/slots/$v_slot" ] || keep_file "$state/slots/$v_slot" "${slot_release:--}" ||
        reply failed "disk: what slot $v_slot had cannot be kept"
}

activate_slot() {
    need_release
    is_complete "$v_release" || reply failed "release $v_release is not complete on this node; stage it first"
    read_slot "$v_slot"
    value was "${slot_release:--}"
    [ -z "$s_unit" ] || need_unit
    disarm_timer
    if [ "$slot_release" = "$v_release" ] && instance_runs; then
        remember_slot
        value running yes
        reply ok "release $v_release runs in slot $v_slot already"
    fi
    remember_slot
    unsettle
    mark_instance "$slot_release"
    if [ -z "$s_unit" ] && [ -e "$state/slots/$v_slot.started" ]; then stop_instance; fi
    point_slot "$v_release"
    value switched yes
    note_started || reply failed "disk: slot $v_slot cannot be noted"
    current=''
    if [ -n "$s_unit" ]; then restart_unit; else restart_by_commands; fi
    reply ok "release $v_release runs in slot $v_slot"
}

lead_stop() {
    [ -n "$v_slot" ] || reply failed "stop needs a slot"
    disarm_timer
    stop_slot
}

# Stopped, and linking what it did before an activation that nobody committed.
stop_slot() {
    read_slot "$v_slot"
    unsettle
    stop_instance
    [ -n "$s_unit" ] || [ -z "$s_stop" ] || await_end || reply failed "${reason:-}process $started_pid still listens on port $v_port after \`stop\`; end it by hand"
    before=$slot_release
    if first_line "$state/slots/$v_slot"; then before=${line#-}; fi
    [ -z "$before" ] || is_complete "$before" || before=''
    [ "$before" = "$slot_release" ] || point_slot "$before"
    rm -f -- "$state/slots/$v_slot"
    reply ok "${reason:-}slot $v_slot is stopped${before:+, and links release $before}"
}

# The switch is done: what lives in the slot is the node's current release.
commit_slot() {
    [ -n "$v_slot" ] || return 0
    read_slot "$v_slot"
    [ "$slot_release" = "$v_release" ] || reply failed "slot $v_slot links release ${slot_release:-none}, not $v_release"
    replace_link "releases/$v_release" "$s_root/current" || reply failed "the link $s_root/current cannot be switched"
    sync "$s_root" 2>/dev/null
    epoch_now
    mkdir -p -- "$state/slots"
    keep_file "$state/slots/.live" "$v_slot $epoch" || reply failed "disk: the live slot cannot be noted"
    rm -f -- "$state/slots/$v_slot"
}

# The slot was live before that commit, and is again; what was committed in it is an activation that nobody committed.
retract_slot() {
    [ -n "$before_slot" ] || return 0
    mkdir -p -- "$state/slots" && keep_file "$state/slots/$before_slot" "${before_linked:--}" ||
        reply failed "disk: what slot $before_slot had cannot be kept"
    if [ "${before_live:--}" = - ]; then
        rm -f -- "$state/slots/.live"
    else
        keep_file "$state/slots/.live" "$before_live" || reply failed "disk: the live slot cannot be noted"
    fi
    [ -z "$alone" ] || return 0
    if [ "${before_current:--}" = - ]; then
        rm -f -- "$s_root/current" || reply failed "the link $s_root/current cannot be removed"
    else
        replace_link "releases/$before_current" "$s_root/current" || reply failed "the link $s_root/current cannot be switched"
    fi
    sync "$s_root" 2>/dev/null
}

# It runs on until something else stops it; again, when its time was over.
keep_running() {
    ! instance_runs || reply ok "slot $v_slot runs on"
    [ -n "$slot_release" ] && is_complete "$slot_release" || reply failed "slot $v_slot links no release that could be started"
    v_release=$slot_release current=''
    [ -z "$s_unit" ] || need_unit
    unsettle
    mark_instance "$slot_release"
    note_started || reply failed "disk: slot $v_slot cannot be noted"
    if [ -n "$s_unit" ]; then restart_unit; else restart_by_commands; fi
    reply ok "release $v_release runs in slot $v_slot again"
}

# Arms the timer that stops the slot, SECONDS after now, once nobody holds the lock; without SECONDS it ends it.
lead_keep_old() {
    [ -n "$v_slot" ] || reply failed "keep_old needs a slot"
    [ -z "$v_seconds" ] || is_number "$v_seconds" || reply failed "keep_old needs a number of seconds"
    read_slot "$v_slot"
    disarm_timer
    [ -n "$v_seconds" ] || keep_running
    instance_runs || reply ok "slot $v_slot does not run"
    v_release=${slot_release:--} v_previous=- v_confirm=$v_seconds
    arm_timer keep
    reply ok "slot $v_slot is stopped in $v_seconds s"
}

# slot NAME RELEASE|- running|stopped BEFORE SECONDS|-: BEFORE is what an activation that is not committed found (`committed`: there is
# none), SECONDS until the timer stops the slot.
facts_of_slots() {
    ! first_line "$state/slots/.live" || value live_slot "$line"
    facts_rest=$s_slots
    while [ -n "$facts_rest" ]; do
        v_slot=${facts_rest%% *}
        facts_rest=${facts_rest#*"$nl"}
        (
            use_slot
            read_slot "$v_slot"
            before=committed left=-
            ! first_line "$state/slots/$v_slot" || before=$line
            if read_armed && [ "$armed_kind" = keep ] && [ "$armed_slot" = "$v_slot" ] && [ ! -e "$state/confirm/$armed_id.end" ]; then
                uptime_now
                left=$((armed_until > up ? armed_until - up : 0))
            fi
            value slot "$v_slot ${slot_release:--} $(if instance_runs; then echo running; else echo stopped; fi) $before $left"
        )
    done
    v_slot=''
}

# 0 when a slot links release $1, or would link it again.
slot_has() {
    for slot_file in "$s_root"/slots/*; do
        [ -L "$slot_file" ] || continue
        read_slot "${slot_file##*/}"
        [ "$slot_release" != "$1" ] || return 0
        ! first_line "$state/slots/${slot_file##*/}" || [ "$line" != "$1" ] || return 0
    done
    return 1
}

# --- releases ------------------------------------------------------------------------------------------------------------------

# $current: the id that `current` points at, empty when there is none; $current_state ok, none, dangling, foreign, not-a-link.
read_current() {
    current='' current_state=none
    if [ -L "$s_root/current" ]; then
        current=$(readlink "$s_root/current")
        current=${current%/}
        current_state=ok
        case ${current%/*} in
        releases | "$s_root/releases") ;;
        *) current_state=foreign ;;
        esac
        current=${current##*/}
        is_name "$current" || current='' current_state=foreign
        [ -d "$s_root/current" ] || current_state=dangling
    elif [ -e "$s_root/current" ]; then
        current_state=not-a-link
    fi
}

# 20261120T101112Z-1a2b3c4d5e6f
is_release_id() {
    case $1 in
    [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z-????????????) ;;
    *) return 1 ;;
    esac
}

is_complete() {
    [ -d "$s_root/releases/$1" ] && [ -f "$state/manifests/$1" ]
}

# The sequence number of a good release into $sequence; 1 when it is not good.
read_sequence() {
    sequence=0
    first_line "$state/good/$1" || return 1
    is_number "${line%% *}" && sequence=${line%% *}
}

# $highest: the sequence number of the last commit; 0 before the first.
find_highest() {
    highest=0
    for good_file in "$state"/good/*; do
        read_sequence "${good_file##*/}" && [ "$sequence" -gt "$highest" ] && highest=$sequence
    done
    return 0
}

# 0 when the current release is the one that was committed last. A good one that was only activated again, by a rollout that did not
# end, is not.
current_is_committed() {
    find_highest
    [ -n "$current" ] && [ ! -e "$state/failed/$current" ] && is_complete "$current" && read_sequence "$current" &&
        [ "$sequence" = "$highest" ]
}

# $previous: where a rollback goes: the good release committed last before the current one, never a failed one.
find_previous() {
    below=999999999999999 previous='' previous_sequence=0
    current_is_committed && below=$highest
    for good_file in "$state"/good/*; do
        candidate=${good_file##*/}
        case $candidate in
        *.pinned) continue ;;
        esac
        [ "$candidate" != "$current" ] && [ ! -e "$state/failed/$candidate" ] && is_name "$candidate" && is_complete "$candidate" || continue
        read_sequence "$candidate" || continue
        if [ "$sequence" -lt "$below" ] && [ "$sequence" -gt "$previous_sequence" ]; then
            previous=$candidate previous_sequence=$sequence
        fi
    done
}

release_state() {
    if ! is_complete "$1"; then
        release_state=incomplete
    elif [ -e "$state/failed/$1" ]; then
        release_state=failed
    elif read_sequence "$1"; then
        release_state=good
    else
        release_state=staged
    fi
}

# Lines `SEQUENCE ID STATE`, unsorted.
list_releases() {
    for release_folder in "$s_root"/releases/*; do
        listed=${release_folder##*/}
        [ -d "$release_folder" ] && is_name "$listed" || continue
        sequence=0
        release_state "$listed"
        read_sequence "$listed"
        printf '%s %s %s\n' "$sequence" "$listed" "$release_state"
    done
}

# Complete or absent at any moment: a release without its folder's name is nothing.
remove_release() {
    rm -f -- "$state/manifests/$1" &&
        rm -rf -- "$s_root/releases/.trash-$1" &&
        { [ ! -e "$s_root/releases/$1" ] || mv -fT -- "$s_root/releases/$1" "$s_root/releases/.trash-$1"; } &&
        rm -rf -- "$s_root/releases/.trash-$1" &&
        rm -f -- "$state/good/$1" "$state/failed/$1"
}

manifest_digest() {
    digest=$(sha256sum <"$1" 2>/dev/null)
    digest=${digest%% *}
}

need_release() {
    is_name "$v_release" || reply failed "$verb needs a release id of letters, digits, dot, dash, underscore"
}

read_space() {
    nearest_folder "$s_root"
    # shellcheck disable=SC2046
    set -- $(stat -f -c '%a %b %S %d' "$near" 2>/dev/null) 0 0 0 0
    disk_free=$(($1 * $3)) disk_total=$(($2 * $3)) inodes_free=$4
}

lead_stage() {
    need_release
    is_number "$v_bytes" && is_number "$v_unpacked" || reply failed "stage needs bytes and unpacked"
    cd -- "$s_root" || reply failed "cannot enter $s_root"
    rm -rf -- releases/.incoming-* releases/.trash-* "$state"/incoming/* 2>&1
    if is_complete "$v_release"; then
        manifest_digest "$state/manifests/$v_release"
        if [ "$digest" = "$v_manifest_sha256" ]; then
            value have yes
            reply ok "release $v_release is here already"
        fi
        reply failed "release $v_release is here with other contents; a release never changes: discard it or make a new one"
    fi
    # The room for going back comes first: the step's own record may have taken it.
    make_reserve || reply failed "disk: $s_root has no room for the reserve of 64 KiB"
    read_space
    needed=$((v_bytes + v_unpacked + (v_bytes + v_unpacked) / 20))
    [ "$disk_free" -ge "$needed" ] || reply failed "disk: $s_root has $disk_free bytes free, release $v_release needs $needed"
    if is_number "$v_entries" && [ "$inodes_free" -gt 0 ] && [ "$inodes_free" -le "$v_entries" ]; then
        reply failed "disk: $s_root has $inodes_free inodes free, release $v_release needs $v_entries"
    fi
    read_current
    if [ -e "releases/$v_release" ] && [ "$current" = "$v_release" ]; then
        reply failed "release $v_release is current, but its manifest is gone; it cannot be staged again"
    fi
    remove_release "$v_release" || reply failed "an incomplete release $v_release cannot be removed from $s_root/releases"
    value have no
    value path "$state/incoming/$v_fence-$v_release"
    reply ok "ready to receive"
}

# No more of the tar than was announced.
give_announced() {
    if is_number "$v_tar_bytes"; then head -c "$v_tar_bytes"; else cat; fi
}

# Decompresses $1 and unpacks it into $2: 0, or 1 for the archive, 2 for tar.
unpack_into() {
    case $v_compression in
    zstd) unpacker=zstd ;;
    gzip) unpacker=gzip ;;
    *) reply failed "unknown compression $v_compression" ;;
    esac
    have "$unpacker" || reply failed "there is no $unpacker on this node; install it or send gzip"
    unpack_codes=$({
        {
            "$unpacker" -dcq 3>&- <"$1" || "$unpacker" -dc 3>&- <"$1" >/dev/null 2>&1 || echo bad >&3
        } | {
            give_announced 3>&- | {
                tar -x -o -f - -C "$2" 3>&- >&2 || echo tar >&3
                cat >/dev/null
            }
            [ "$(head -c 1 | wc -c)" -eq 0 ] || echo long >&3
        }
    } 3>&1)
    case $unpack_codes in
    '') return 0 ;;
    *long*) reply failed "the archive of release $v_release unpacks to more than the $v_tar_bytes bytes that were announced" ;;
    *bad*) return 1 ;;
    *) return 2 ;;
    esac
}

# The folder that holds shared path $1 becomes the working folder, and is made where it is missing. Its service's account may write there, and
# may put a link in place of a folder at any moment: root goes on only from the folder that it means, by what the kernel calls it.
enter_shared() {
    cd -P -- "$s_root/shared" || reply failed "cannot enter $s_root/shared"
    entered=$(readlink /proc/self/cwd) entered_rest=${1%/} shared_by=''
    note_shared_owner
    while [ "${entered_rest#*/}" != "$entered_rest" ]; do
        entered_part=${entered_rest%%/*}
        entered_rest=${entered_rest#*/}
        [ -e "./$entered_part" ] || mkdir -- "./$entered_part" || reply failed "shared: cannot make the folder of $1"
        cd -P -- "./$entered_part" || reply failed "shared: cannot enter the folder of $1"
        entered=$entered/$entered_part
        [ "$user_id" != 0 ] || [ "$(readlink /proc/self/cwd)" = "$entered" ] ||
            reply refused "shared: $entered_part, on the way to $1, is a link, and root follows none below $s_root/shared; put a folder there"
        note_shared_owner
    done
}

# $shared_by: the first folder on the way that somebody else than root can write.
note_shared_owner() {
    [ "$user_id" = 0 ] && [ -z "$shared_by" ] || return 0
    find_loose_folder . '' || shared_by=$(readlink /proc/self/cwd)
}

# $1 becomes shared path $2, whose folder is the working folder: by rename(2), which follows no link. Between two file systems it is a copy, which
# does, so that root makes none where somebody else can write.
move_to_shared() {
    rm -rf -- "$state/shared.new"
    [ -z "$shared_by" ] || [ "$(stat -c %d -- "$1")" = "$(stat -c %d .)" ] ||
        reply refused "shared: $shared_by is on another file system, and not root's alone: put the first contents of $2 there by hand"
    mv -- "$1" "$state/shared.new" && mv -T -- "$state/shared.new" "./$rest" || reply failed "shared: cannot move $2 out of the release"
}

# Makes release folder $1's link for shared path $2. What the release holds there is the first contents.
link_shared() {
    shared_part=${2%/}
    case /$shared_part/ in
    */../* | */./* | *//* | /.deployctl*) reply failed "shared: $2 is no path below the release" ;;
    esac
    up_to=..
    rest=$shared_part parents=
    while [ "${rest#*/}" != "$rest" ]; do
        parents=$parents${parents:+/}${rest%%/*}
        rest=${rest#*/}
        up_to=$up_to/..
        [ ! -L "$1/$parents" ] || reply failed "shared: $parents is a link in the release, so $2 cannot be linked"
    done
    [ -z "$parents" ] || mkdir -p -- "$1/$parents" || reply failed "shared: cannot make the folder of $2"
    enter_shared "$2"
    if [ ! -e "./$rest" ] && [ ! -L "./$rest" ]; then
        if [ -e "$s_root/$1/$shared_part" ] && [ ! -L "$s_root/$1/$shared_part" ]; then
            move_to_shared "$s_root/$1/$shared_part" "$2"
        else
            mkdir -p -- "./$rest" || reply failed "shared: cannot make $2"
        fi
    fi
    cd -- "$s_root" || reply failed "cannot enter $s_root"
    rm -rf -- "$1/${shared_part:?}" && ln -s -- "$up_to/../shared/$shared_part" "$1/$shared_part" || reply failed "shared: cannot link $2"
}

lead_unpack() {
    need_release
    cd -- "$s_root" || reply failed "cannot enter $s_root"
    received=$state/incoming/$v_fence-$v_release
    if is_complete "$v_release"; then
        manifest_digest "$state/manifests/$v_release"
        [ "$digest" = "$v_manifest_sha256" ] || reply failed "release $v_release is here with other contents; a release never changes"
        rm -f -- "$received"
        reply ok "release $v_release is here already"
    fi
    [ -f "$received" ] || reply failed "nothing was received for release $v_release"
    manifest_digest "$received"
    [ "$digest" = "$v_sha256" ] || reply failed "what was received is not what was sent: sha256 $digest instead of $v_sha256, $(($(wc -c <"$received"))) bytes"
    work=releases/.incoming-$v_release
    rm -rf -- "$work"
    mkdir -- "$work" || reply failed "cannot make $s_root/$work"
    unpack_into "$received" "$work"
    case $? in
    1) reply failed "the archive of release $v_release is damaged or cut short" ;;
    2) unpack_failed ;;
    esac
    manifest_digest "$work/.deployctl-manifest"
    [ "$digest" = "$v_manifest_sha256" ] || reply failed "the manifest inside the archive is not the one announced"
    rest_shared=$s_shared
    while [ -n "$rest_shared" ]; do
        link_shared "$work" "${rest_shared%%"$nl"*}"
        rest_shared=${rest_shared#*"$nl"}
    done
    mv -f -- "$work/.deployctl-manifest" "$state/manifests/$v_release" || reply failed "the manifest cannot be kept"
    sync -f "$work" 2>/dev/null || sync
    mv -fT -- "$work" "releases/$v_release" || reply failed "releases/$v_release cannot be put in its place"
    sync releases 2>/dev/null || sync
    rm -f -- "$received" "$state/failed/$v_release"
    reply ok "release $v_release is staged"
}

unpack_failed() {
    read_space
    rm -rf -- "$work"
    [ "$disk_free" -ge 1048576 ] || reply failed "disk: $s_root is full; release $v_release does not fit"
    reply failed "tar could not unpack release $v_release; its last lines say why"
}

lead_discard() {
    need_release
    read_current
    [ "$current" != "$v_release" ] || reply refused "release $v_release is current"
    ! read_sequence "$v_release" || reply refused "release $v_release is a good one; it is kept for going back"
    rm -rf -- "$s_root/releases/.incoming-$v_release" "$state"/incoming/*-"$v_release"
    remove_release "$v_release" || reply failed "release $v_release cannot be removed"
    reply ok "release $v_release is gone"
}

# --- activation ----------------------------------------------------------------------------------------------------------------

# To be called before the service is touched: from now on, until a change ends with ok, it may be stopped.
unsettle() {
    keep_file "$state/unsettled" "$verb ${v_release:--} ${lock_rollout:--}" ||
        reply failed "disk: the change of the service cannot be noted in $state"
    unsettles=yes
}

system_control() {
    # shellcheck disable=SC2086
    $s_sudo systemctl "$@" </dev/null
}

# $unit_load, $unit_active, ... from one call; 1 when systemctl cannot be asked.
read_unit() {
    unit_load='' unit_active='' unit_sub='' unit_restarts='' unit_pid='' unit_result='' unit_reload=''
    unit_invocation='' unit_stamp='' unit_group=''
    have systemctl || return 1
    unit_text=$(systemctl show -p LoadState,ActiveState,SubState,NRestarts,MainPID,Result,NeedDaemonReload,InvocationID,ExecMainStartTimestampMonotonic,ControlGroup -- "$s_unit" 2>&1) || return 1
    unit_text=$unit_text$nl
    while [ -n "$unit_text" ]; do
        line=${unit_text%%"$nl"*}
        unit_text=${unit_text#*"$nl"}
        case $line in
        LoadState=*) unit_load=${line#*=} ;;
        ActiveState=*) unit_active=${line#*=} ;;
        SubState=*) unit_sub=${line#*=} ;;
        NRestarts=*) unit_restarts=${line#*=} ;;
        MainPID=*) unit_pid=${line#*=} ;;
        Result=*) unit_result=${line#*=} ;;
        NeedDaemonReload=*) unit_reload=${line#*=} ;;
        InvocationID=*) unit_invocation=${line#*=} ;;
        ExecMainStartTimestampMonotonic=*) unit_stamp=${line#*=} ;;
        ControlGroup=*) unit_group=${line#*=} ;;
        esac
    done
}

say_unit() {
    if ! have systemctl; then
        value unit_load no-systemctl
        return 1
    fi
    if ! read_unit; then
        value unit_load unknown
        value unit_error "$unit_text"
        return 1
    fi
    value unit_load "$unit_load"
    value unit_active "$unit_active"
    value unit_sub "$unit_sub"
    value unit_restarts "${unit_restarts:-0}"
    value unit_main_pid "${unit_pid:-0}"
    value unit_result "$unit_result"
}

need_unit() {
    have systemctl || reply failed "unit $s_unit: there is no systemctl on this node"
    read_unit || reply failed "unit $s_unit: systemctl says: ${unit_text:-nothing}"
    [ "$unit_load" != not-found ] || reply failed "unit $s_unit is not on this node; install it, or give start and stop"
    [ "$unit_load" != masked ] || reply failed "unit $s_unit is masked; systemctl unmask $s_unit"
    [ "$unit_reload" != yes ] || system_control daemon-reload
}

# No release: the service stops and the link goes.
deactivate() {
    [ -z "$s_unit" ] || need_unit
    unsettle
    if [ -n "$s_unit" ]; then
        system_control stop -- "$s_unit" || reply failed "systemctl stop $s_unit failed, status $?"
    elif [ -n "$s_stop" ]; then
        read_mark
        stop_by_command
    fi
    rm -f -- "$s_root/current" || reply failed "the link $s_root/current cannot be removed"
    sync "$s_root" 2>/dev/null
    value switched yes
    [ -n "$s_unit" ] || [ -z "$s_start$s_stop" ] || check_ended
    reply ok "${reason}stopped, no release is current"
}

# A process that was stopped may listen for a moment; 1 when it does for 5 s.
await_end() {
    read_mark
    tries=0
    while started_listener; do
        tries=$((tries + 1))
        [ "$tries" -le 50 ] || return 1
        sleep 0.1
    done
}

# After what was to stop the service: what the activation started must not listen any more. Without `stop` it does.
check_ended() {
    read_mark
    [ -z "$mark_release" ] || [ "$mark_release" = - ] || forget_mark
    if [ -n "$s_stop" ]; then
        await_end || reply failed "${reason}no release is current, but process $started_pid still listens on port $v_port after \`stop\`; end it by hand"
        return 0
    fi
    if started_listener; then
        reply failed "${reason}no release is current, but process $started_pid of release ${mark_of:-before} still listens on port $v_port: the service has no \`stop\`; end it by hand, or add \`stop\` to [service]"
    else
        value warning "the service has no \`stop\`: whether a process of the failed release still runs is unknown, ${listeners_trouble:-since none listens on port $v_port}"
        reply ok "${reason}no release is current; nothing was stopped, since the service has no \`stop\`"
    fi
}

# A service that runs no longer must not keep us from starting another; one that goes on listening would answer for the new one. 1: it is
# the one that is gone back to, and was there all along.
stop_by_command() {
    stop_folder=$s_root
    [ ! -d "$s_root/releases/$current" ] || [ -z "$current" ] || stop_folder=$s_root/releases/$current
    command_in "$stop_folder" "$s_stop" || stop_failed "$?"
}

stop_failed() {
    if ! find_listeners; then
        value warning "stop: exit status $1"
        return 0
    fi
    all_kept && return 1
    holder="a process that is not seen here"
    [ -z "$listener_pid" ] || holder="process $listener_pid"
    reply failed "stop: exit status $1, and $holder still listens on port $v_port"
}

switch_current() {
    [ "$verb" != restart ] || return 0
    replace_link "releases/$v_release" "$s_root/current" || reply failed "the link $s_root/current cannot be switched"
    sync "$s_root" 2>/dev/null
    value switched yes
}

restart_unit() {
    if [ -n "$s_reload" ] && [ -n "$current" ] && [ "$unit_active" = active ]; then
        command_in "$s_root/releases/$v_release" "$s_reload" || reply failed "reload: exit status $?"
        return
    fi
    # Clears a spent start limit too, which would refuse a healthy release because of a broken one.
    system_control reset-failed -- "$s_unit" >/dev/null 2>&1
    system_control restart -- "$s_unit" || reply failed "systemctl restart $s_unit failed, status $?"
}

restart_by_commands() {
    if [ -n "$s_reload" ] && [ -n "$current" ] && [ "$current_state" = ok ]; then
        command_in "$s_root/releases/$v_release" "$s_reload" || reply failed "reload: exit status $?"
    elif [ -n "$s_start" ]; then
        command_in "$s_root/releases/$v_release" "$s_start" || reply failed "start: exit status $?"
    fi
}

lead_activate() {
    reason=''
    [ -z "$v_slot" ] || activate_slot
    read_current
    [ "$v_release" != - ] || { disarm_timer && deactivate; }
    activate_release
}

# As an activation of what is current: nothing is switched, and no timer begins or ends.
lead_restart() {
    [ -z "$v_slot" ] || reply failed "an instance in a slot is not restarted"
    need_release
    read_current
    [ "$current" = "$v_release" ] || reply failed "release ${current:-none} is current, not $v_release"
    reason="restarted: "
    activate_release
}

# The timer's own step.
lead_revert() {
    read_armed || reply failed "the confirm timer's record is gone"
    if [ "$armed_kind" = keep ]; then
        reason="kept for $armed_seconds s: "
        stop_slot
    fi
    reason="release $armed_release was not confirmed within $armed_seconds s: "
    read_current
    [ "$v_release" != - ] || deactivate
    find_difference
    [ -z "$difference" ] ||
        reply failed "${reason}not put back, since release $v_release is not as it was staged (${difference#* } is ${difference%% *})"
    activate_release
}

# $difference: `changed|missing PATH` of a file that release $v_release came with; empty when it is as it was staged, or is not complete.
find_difference() {
    difference=
    is_complete "$v_release" || return 0
    difference=$(cd -- "$s_root/releases/$v_release" && compare_release "$state/manifests/$v_release" | grep -v '^extra ' | sort | head -n 1)
    forget_comparison
}

# What the timer does belongs to the verb: put in place just before the service is touched.
change_timer() {
    [ "$verb" = activate ] || return 0
    if [ -n "$v_confirm" ]; then arm_confirm; else disarm_timer; fi
}

activate_release() {
    need_release
    is_complete "$v_release" || reply failed "release $v_release is not complete on this node; stage it first"
    case $current_state in
    not-a-link) reply failed "$s_root/current is a folder or a file, not a link; move it away" ;;
    esac
    value was "${current:--}"
    [ -z "$s_unit" ] || need_unit
    unsettle
    change_timer
    if [ -n "$s_unit" ]; then
        mark_instance "$current"
        switch_current
        restart_unit
    else
        mark_instance "$current"
        # With nothing current there is nothing to stop; with a reload command a service that runs is not stopped.
        if [ -n "$s_stop" ] && [ -n "$current" ] && { [ -z "$s_reload" ] || [ "$current_state" != ok ]; } && ! stop_by_command; then
            switch_current
            reply ok "${reason}release $v_release is current; its process was not stopped and goes on"
        fi
        switch_current
        restart_by_commands
    fi
    reply ok "${reason}release $v_release is current"
}

# --- the instance --------------------------------------------------------------------------------------------------------------

# What the last activation found, as $mark_*; 1 when there was none since the boot.
read_mark() {
    mark_file=$state/instance${v_slot:+.$v_slot}
    mark_release='' mark_was='' mark_boot='' mark_since=0 mark_epoch='' mark_how='' mark_before='' mark_kept='' mark_unit='' mark_many=''
    mark_earlier='' mark_of=''
    [ -s "$mark_file" ] || return 1
    while read -r mark_key mark_text; do
        case $mark_key in
        release) mark_release=$mark_text ;;
        of) mark_of=$mark_text ;;
        was) mark_was=$mark_text ;;
        boot) mark_boot=$mark_text ;;
        since) mark_since=$mark_text ;;
        epoch) mark_epoch=$mark_text ;;
        how) mark_how=$mark_text ;;
        before) mark_before=$mark_before$mark_text$nl ;;
        kept) mark_kept=$mark_kept$mark_text$nl ;;
        unit) mark_unit=$mark_text ;;
        many) mark_many=$mark_text ;;
        earlier) mark_earlier=$mark_text ;;
        esac
    done <"$mark_file"
    is_number "$mark_since" || mark_since=0
    [ "$mark_boot" = "$s_boot" ] && return 0
    mark_since=0 mark_before='' mark_kept='' mark_was='' mark_unit=''
    return 1
}

# How the instance is about to change: by a reload its main process stays.
find_how() {
    how=restart
    [ -n "$s_reload" ] && [ -n "$current" ] || return 0
    if [ -n "$s_unit" ]; then
        [ "$unit_active" != active ] || how=reload
    else
        [ "$current_state" != ok ] || how=reload
    fi
}

# Written before the service is touched. $1: the release there. Of a repeated activation the first one found what was before.
mark_instance() {
    find_how
    [ -n "$s_unit" ] || mark_log
    mark_now=$(date +%s.%N)
    case $mark_now in *[!0-9.]* | *.) mark_now=$(date +%s) ;; esac
    mark_again=''
    if read_mark && [ "$mark_release" = "$v_release" ] && [ "$verb" != restart ] && [ -z "$s_unit" ]; then mark_again=yes; fi
    mark_kept_now=$mark_kept mark_earlier_now="${mark_release:--} $mark_epoch" mark_of=''
    [ "$mark_release" != "$v_release" ] || mark_earlier_now=$mark_earlier
    if [ -z "$mark_again" ]; then
        mark_kept_now=''
        [ "$mark_was" != "$v_release" ] || mark_kept_now=$mark_before
        find_before
        read_stat "$$"
        mark_since=$stat_start mark_was=${1:--}
    fi
    if write_mark "$v_release"; then
        read_mark
        return
    fi
    value warning "disk: what was there before the activation cannot be noted; the gate cannot tell the old process from the new one"
    rm -f -- "$mark_file"
}

# Where its lines begin in service.log.
mark_log() {
    log_mark "$v_release"
    cut_log || return
    {
        [ ! -s "$log" ] || [ -z "$(tail -c 1 "$log")" ] || printf '\n' >>"$log"
        printf '%s\n' "$log_mark" >>"$log"
    } 2>/dev/null
}

# What listens, and the unit's instance, before the activation.
find_before() {
    mark_before='' mark_unit='' mark_many=''
    if [ -n "$s_unit" ]; then
        mark_unit="${unit_pid:-0} ${unit_stamp:--} ${unit_invocation:--}"
        [ "$how" = restart ] || [ "$(group_processes | wc -l)" -le 1 ] || mark_many=yes
        return 0
    fi
    find_listeners || return 0
    listeners_rest=$listeners
    while next_listener; do
        [ -z "$listener_pid" ] || case $nl$mark_before in
        *"$nl$listener_pid $listener_start$nl"*) ;;
        *) [ -z "$mark_before" ] || mark_many=yes; mark_before="$mark_before$listener_pid $listener_start$nl" ;;
        esac
    done
}

# write_mark RELEASE: the mark as $mark_* and the rest have it.
write_mark() {
    mark_lines=
    while [ -n "$mark_before" ]; do
        mark_lines="$mark_lines${nl}before ${mark_before%%"$nl"*}"
        mark_before=${mark_before#*"$nl"}
    done
    while [ -n "$mark_kept_now" ]; do
        mark_lines="$mark_lines${nl}kept ${mark_kept_now%%"$nl"*}"
        mark_kept_now=${mark_kept_now#*"$nl"}
    done
    replace_file "$mark_file" "release $1${mark_of:+${nl}of $mark_of}${nl}was $mark_was${nl}boot $s_boot${nl}since $mark_since${nl}epoch $mark_now${nl}how $how${nl}unit $mark_unit${nl}many $mark_many${nl}earlier $mark_earlier_now$mark_lines"
}

# No release is current any more: what the activation before started counts on.
forget_mark() {
    how=$mark_how mark_now=$mark_epoch mark_earlier_now=$mark_earlier mark_kept_now='' mark_of=$mark_release mark_rest=$mark_before
    write_mark - || rm -f -- "$mark_file"
    mark_before=$mark_rest
}

# The sockets that listen on port $v_port, by inode: those on the address that is probed or on all addresses; else those on any address
# that is no loopback.
listening_sockets() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$v_port" -v address="$v_address" '
        BEGIN {
            port = sprintf(":%04X", port)
            if (split(address, part, ".") == 4 && address !~ /[^0-9.]/)
                exact = sprintf("%02X%02X%02X%02X", part[4], part[3], part[2], part[1])
        }
        $4 != "0A" || substr($2, length($2) - 4) != port { next }
        {
            local = substr($2, 1, length($2) - 5)
            if (local ~ /^0000000000000000FFFF0000/) local = substr(local, 25)
            if (local ~ /^0+$/ || local == exact) { print $10; found = 1 }
            else if (local !~ /^......7F$/ && local !~ /^0000000000000000000000000[01]000000$/) other[$10] = 1
        }
        END { if (!found) for (inode in other) print inode }
    '
}

# $listeners: lines `INODE PID START`, `INODE` alone where who holds it is not seen; 1 when nothing listens, or there is no port to look
# at ($listeners_trouble). What systemd holds for a service says nothing of who answers. $listener_pid is one of them.
find_listeners() {
    listeners='' listener_pid='' listeners_trouble=''
    is_number "$v_port" || { listeners_trouble='since no port is known'; return 1; }
    sockets=$(listening_sockets)
    [ -n "$sockets" ] || return 1
    # shellcheck disable=SC2012,SC2086
    holders=$($s_sudo ls -ln /proc/[0-9]*/fd/ 2>/dev/null </dev/null | awk -v sockets="$sockets" '
        BEGIN { count = split(sockets, inode, "\n"); for (i = 1; i <= count; i++) wanted["socket:[" inode[i] "]"] = inode[i] }
        /^\/proc\/[0-9]+\/fd\/:$/ { split($1, part, "/"); pid = part[3]; next }
        pid != 1 && ($NF in wanted) && !((pid, $NF) in seen) { seen[pid, $NF] = 1; held[$NF] = 1; print wanted[$NF], pid }
        END { for (name in wanted) if (!(name in held)) print wanted[name] }
    ')
    while [ -n "$holders" ]; do
        line=${holders%%"$nl"*}
        case $holders in *"$nl"*) holders=${holders#*"$nl"} ;; *) holders='' ;; esac
        case $line in
        *' '*)
            if read_stat "${line#* }"; then
                listener_pid=${listener_pid:-${line#* }}
                line="$line $stat_start"
            else
                line=${line%% *}
            fi
            ;;
        esac
        listeners=$listeners$line$nl
    done
    [ -n "$listeners" ]
}

# The next of $listeners_rest as $listener_inode, $listener_pid (empty: not seen) and $listener_start; 1 after the last one.
next_listener() {
    [ -n "$listeners_rest" ] || return 1
    line=${listeners_rest%%"$nl"*}
    listeners_rest=${listeners_rest#*"$nl"}
    listener_inode=${line%% *} listener_pid='' listener_start=''
    [ "$listener_inode" != "$line" ] || return 0
    line=${line#* }
    listener_pid=${line%% *} listener_start=${line#* }
}

# 0 when process $1 that began at $2 started since the activation.
is_fresh() {
    [ "$2" -ge "$mark_since" ] || return 1
    case $nl$mark_before in *"$nl$1 $2$nl"*) return 1 ;; esac
    return 0
}

# 0 when process $1 that began at $2 served release $3 before the activation that this one takes back, and still runs from it.
is_kept() {
    case $nl$mark_kept in *"$nl$1 $2$nl"*) ;; *) return 1 ;; esac
    find_home "$1" && [ "$home_release" = "$3" ]
}

# 0 when all that listens was kept.
all_kept() {
    listeners_rest=$listeners
    while next_listener; do
        [ -n "$listener_pid" ] && is_kept "$listener_pid" "$listener_start" "$v_release" || return 1
    done
}

# $home_release: the release below which process $1 has its working folder, its program or an argument; 1 when none is seen.
find_home() {
    home_release=''
    real_root=$(cd -P -- "$s_root" 2>/dev/null && pwd -P) || real_root=$s_root
    # shellcheck disable=SC2086
    home_text=$({
        $s_sudo readlink "/proc/$1/cwd"
        $s_sudo readlink "/proc/$1/exe"
        tr '\000' '\n' <"/proc/$1/cmdline"
    } 2>/dev/null </dev/null)
    for home_root in "$real_root" "$s_root"; do
        case $home_text in
        *"$home_root/releases/"*)
            home_release=${home_text#*"$home_root/releases/"}
            home_release=${home_release%%[!A-Za-z0-9._-]*}
            return 0
            ;;
        esac
    done
    return 1
}

# A process that listens and that an activation of ours started: $started_pid; 1 when there is none.
started_listener() {
    started_pid=''
    find_listeners || return 1
    listeners_rest=$listeners
    while next_listener; do
        [ -n "$listener_pid" ] || continue
        case $nl$mark_before in *"$nl$listener_pid $listener_start$nl"*) continue ;; esac
        if [ "$mark_since" != 0 ] && [ "$listener_start" -ge "$mark_since" ] || find_home "$listener_pid"; then
            started_pid=$listener_pid
            return 0
        fi
    done
    return 1
}

# The processes of the unit's control group, one a line; not those of its control commands.
group_processes() {
    [ -n "$unit_group" ] || return 0
    for group_folder in /sys/fs/cgroup /sys/fs/cgroup/systemd; do
        [ -d "$group_folder$unit_group" ] || continue
        find "$group_folder$unit_group" -name cgroup.procs ! -path '*/.control/*' -exec cat {} + 2>/dev/null
        return 0
    done
}

say_instance() {
    instance='' instance_text=''
    if ! read_mark || [ "$mark_release" != "$v_release" ]; then
        instance=unmarked
    elif [ -n "$s_unit" ]; then
        judge_unit
    else
        judge_listeners
    fi
    value instance "$instance${instance_text:+ $instance_text}"
}

judge_unit() {
    # shellcheck disable=SC2086
    set -- $mark_unit
    instance=new
    if [ "$mark_how" = reload ] && [ "$unit_invocation" = "${3#-}" ]; then
        judge_reloaded_unit
    elif [ -n "$unit_invocation" ]; then
        [ "$unit_invocation" != "$3" ] || instance=old
    elif [ -n "$unit_stamp" ]; then
        [ "$unit_stamp" != "$2" ] || instance=old
    else
        instance=unknown instance_text="systemd does not report when unit $s_unit was started"
    fi
    [ "$instance" != old ] || [ -n "$instance_text" ] ||
        instance_text="unit $s_unit still runs the old process (pid ${unit_pid:-0}, started before the activation)"
}

judge_reloaded_unit() {
    for group_pid in $(group_processes); do
        if read_stat "$group_pid" && [ "$stat_start" -ge "$mark_since" ]; then return 0; fi
    done
    instance=unknown instance_text="unit $s_unit was reloaded, and its one process is the same as before"
    [ -z "$mark_many" ] || instance=old instance_text="unit $s_unit was reloaded, and no process of it started since"
}

# Each socket by itself: one of a new process does not make up for one that the old process holds.
judge_listeners() {
    if ! find_listeners; then
        instance=none instance_text="nothing listens on port $v_port"
        [ -z "$listeners_trouble" ] || instance=unknown instance_text="the service has no port"
        return
    fi
    instance=new
    for judged_inode in $(printf '%s' "$listeners" | awk '!seen[$1]++ { print $1 }'); do
        judge_socket
        [ "$instance" = new ] || return
    done
}

# Socket $judged_inode: who of those that hold it started last counts, as who took it over.
judge_socket() {
    old_pid='' old_start='' fresh_pid='' listeners_rest=$listeners
    while next_listener; do
        [ "$listener_inode" = "$judged_inode" ] || continue
        if [ -z "$listener_pid" ]; then
            instance=unknown instance_text="the process that listens on port $v_port is not seen here; it may be another user's"
            return
        elif is_fresh "$listener_pid" "$listener_start"; then
            fresh_pid=$listener_pid
        else
            old_pid=$listener_pid old_start=$listener_start
        fi
    done
    if [ -z "$fresh_pid" ]; then
        judge_old_socket
    elif [ "$mark_how" != reload ]; then
        judge_home
    fi
}

judge_old_socket() {
    ! is_kept "$old_pid" "$old_start" "$mark_release" || return 0
    if [ "$mark_how" = reload ] && [ -z "$mark_many" ]; then
        instance=unknown instance_text="the service was reloaded, and its one process is the same as before"
        return
    fi
    instance=old
    instance_text="the old process still answers on port $v_port (pid $old_pid, started before the activation)"
}

judge_home() {
    if ! find_home "$fresh_pid"; then
        instance=unknown instance_text="process $fresh_pid, which listens on port $v_port, does not run from a release's folder"
    elif [ "$home_release" != "$mark_release" ]; then
        instance=old instance_text="what answers on port $v_port runs from release $home_release (pid $fresh_pid)"
    fi
}

# --- the confirm timer ---------------------------------------------------------------------------------------------------------

# The last timer as $armed_*; 1 when there is none.
read_armed() {
    armed_id='' armed_generation='' armed_rollout='' armed_release='' armed_previous='' armed_seconds=0 armed_until=0
    armed_boot='' armed_session='' armed_unit='' armed_kind=confirm armed_slot=''
    [ -s "$state/confirm/armed" ] || return 1
    while read -r armed_key armed_text; do
        case $armed_key in
        id) armed_id=$armed_text ;;
        generation) armed_generation=$armed_text ;;
        rollout) armed_rollout=$armed_text ;;
        release) armed_release=$armed_text ;;
        previous) armed_previous=$armed_text ;;
        seconds) armed_seconds=$armed_text ;;
        until) armed_until=$armed_text ;;
        boot) armed_boot=$armed_text ;;
        session) armed_session=$armed_text ;;
        unit) armed_unit=$armed_text ;;
        kind) armed_kind=$armed_text ;;
        slot) armed_slot=$armed_text ;;
        esac
    done <"$state/confirm/armed"
    is_name "$armed_id" && is_number "$armed_until"
}

# Writes the end of timer $armed_id: 0 when it is ours, 1 when it had one, 2 when the disk is full.
end_timer() {
    claim=$state/confirm/.claim.$$
    write_file "$claim" "$1" || return 2
    sync_file "$claim"
    ln -- "$claim" "$state/confirm/$armed_id.end" 2>/dev/null
    claimed=$?
    rm -f -- "$claim"
    [ "$claimed" = 0 ] || return 1
}

# 0 while a timer puts a release back.
is_reverting() {
    read_armed && first_line "$state/confirm/$armed_id.end" || return 1
    case $line in
    'reverting '*) ;;
    *) return 1 ;;
    esac
    [ ! -e "$state/confirm/$armed_id.done" ] || return 1
    line=${line#reverting }
    read_stat "${line% *}" && [ "$stat_start" = "${line#* }" ]
}

# What a timer that has its end still holds: a process, files.
forget_timer() {
    if [ -n "$armed_unit" ]; then
        system_control stop -- "$armed_unit.timer" >/dev/null 2>&1
    elif first_line "$state/confirm/$armed_id.pid"; then
        read_stat "${line% *}" && [ "$stat_start" = "${line#* }" ] && signal_group TERM "${line% *}"
    fi
    rm -f -- "$state/confirm/$armed_id.run" "$state/confirm/$armed_id.program" "$state/confirm/$armed_id.pid"
}

# An activation ends the timer of the one before: it knows better.
disarm_timer() {
    rm -f -- "$state/confirm/reverted"
    read_armed || return 0
    end_timer superseded
    case $? in
    0) forget_timer ;;
    2) reply failed "disk: the confirm timer of release $armed_release cannot be ended" ;;
    esac
    return 0
}

# $1 as one word of a shell's text: $quoted.
quote() {
    quoted='' unquoted=$1
    while [ "${unquoted#*\'}" != "$unquoted" ]; do
        quoted=$quoted${unquoted%%\'*}"'\\''"
        unquoted=${unquoted#*\'}
    done
    quoted="'$quoted$unquoted'"
}

# $v_env as the release before has it: $env_before.
give_release_before() {
    # shellcheck disable=SC2031
    env_before='' env_rest=$v_env
    while [ -n "$env_rest" ]; do
        line=${env_rest%%"$nl"*}
        env_rest=${env_rest#*"$nl"}
        case $line in
        DEPLOYCTL_RELEASE=*) [ "$armed_kind" = keep ] || line=DEPLOYCTL_RELEASE=${v_previous#-} ;;
        esac
        env_before=$env_before$line$nl
    done
}

# The watcher's text: the session as it is now, then the program.
watcher_text() {
    give_release_before
    for watched in s_root user_id s_unit s_start s_stop s_reload s_shared s_keep s_slots s_slot_start s_slot_stop v_slot v_port v_address s_sudo s_offset s_boot login_settings PATH HOME USER LOGNAME; do
        eval "quote \"\${$watched-}\""
        printf '%s=%s\n' "$watched" "$quoted"
    done
    quote "$env_before"
    printf 'v_env=%s v_confirm=%s confirm_id=%s\n' "$quoted" "$v_confirm" "$armed_id"
    # shellcheck disable=SC2016
    printf '%s\n' 'export PATH HOME USER LOGNAME' 'p=$(cat "${0%.run}.program")' 'eval "$p"'
}

# Our own systemd may start a timer for us.
may_use_systemd() {
    [ -d /run/systemd/system ] && have systemd-run && { [ "$(id -u)" = 0 ] || [ -n "$s_sudo" ]; }
}

# A timer of systemd's: nothing of ours lives until it is due. What the service's own commands leave running stays.
start_by_systemd() {
    # shellcheck disable=SC2086
    $s_sudo systemd-run --quiet --collect --unit="$armed_unit" --uid="$(id -u)" --gid="$(id -g)" \
        --on-active="${v_confirm}s" --timer-property=AccuracySec=100ms --property=KillMode=process \
        /bin/sh "$state/confirm/$armed_id.run" 2>&1 </dev/null
}

# A process of its own session, which says that it lives.
start_detached() {
    setsid sh "$state/confirm/$armed_id.run" </dev/null >/dev/null 2>&1 3>&- &
    tries=0
    while [ ! -s "$state/confirm/$armed_id.pid" ]; do
        tries=$((tries + 1))
        [ "$tries" -le 100 ] || return 1
        sleep 0.1
    done
}

record_timer() {
    keep_file "$state/confirm/armed" "id $armed_id${nl}generation $v_fence${nl}rollout ${lock_rollout:--}${nl}release $v_release${nl}previous $v_previous${nl}seconds $v_confirm${nl}until $armed_until${nl}boot $s_boot${nl}session $armed_session${nl}unit $armed_unit${nl}kind $armed_kind${nl}slot $armed_slot"
}

write_watcher() {
    (
        umask 077
        printf '%s\n' "$p" >"$state/confirm/$armed_id.program" && watcher_text >"$state/confirm/$armed_id.run"
    ) 2>/dev/null
}

# Before the switch. A release that is put back to itself needs no timer.
arm_confirm() {
    disarm_timer
    is_number "$v_confirm" && [ "$v_confirm" -gt 0 ] || reply failed "confirm needs a number of seconds"
    [ -n "$v_previous" ] || v_previous=${current:--}
    [ "$v_previous" != "$v_release" ] || return 0
    if [ "$v_previous" != - ]; then
        is_name "$v_previous" && is_complete "$v_previous" || reply failed "confirm: release $v_previous, to go back to, is not complete on this node"
    fi
    arm_timer confirm
    journal confirm begin "$v_release" - "back to $v_previous unless confirmed within $v_confirm s" && return
    end_timer superseded
    forget_timer
    reply failed "disk: the journal cannot be written"
}

# arm_timer confirm|keep: due in $v_confirm seconds.
arm_timer() {
    armed_kind=$1 armed_slot=$v_slot
    mkdir -p -- "$state/confirm" || reply failed "cannot make $state/confirm"
    chmod 700 "$state/confirm"
    read_stat "$session_pid"
    armed_session=$session_pid.$stat_start
    read_stat "$$"
    armed_id=$v_fence.$$.$stat_start armed_unit='' armed_until=0
    ! may_use_systemd || armed_unit=deployctl-confirm-$armed_id
    uptime_now
    armed_until=$((up + v_confirm))
    write_watcher && record_timer || reply failed "disk: the confirm timer cannot be armed in $state"
    forget_old_timers
    if [ -n "$armed_unit" ] && ! start_by_systemd; then
        armed_unit=''
        record_timer || reply failed "disk: the confirm timer cannot be armed in $state"
    fi
    [ -n "$armed_unit" ] || start_detached || { end_timer superseded; reply failed "the confirm timer cannot be started"; }
}

# After `armed` names another one, none of these counts.
forget_old_timers() {
    for timer_file in "$state"/confirm/*; do
        case ${timer_file##*/} in
        armed | "$armed_id".*) ;;
        *) rm -f -- "$timer_file" ;;
        esac
    done
}

# Only from another connection than the one that activated: that one may be the last that works.
do_confirm() {
    check_fence || return
    if ! read_armed || [ "$armed_kind" != confirm ] || [ "$armed_generation" != "$v_fence" ] || [ "$armed_release" != "$v_release" ]; then
        read_current
        if [ -n "$v_release" ] && [ "$current" = "$v_release" ]; then
            reply ok "no timer runs for release $v_release"
        else
            reply refused "release $v_release is not current; there is nothing to confirm"
        fi
        return
    fi
    read_stat "$$"
    if [ "$armed_session" = "$$.$stat_start" ]; then
        reply refused "the connection that activated a release cannot confirm it; use a new one"
        return
    fi
    still_counts || { reply refused "$stale"; return; }
    epoch_now
    end_timer "confirmed $epoch"
    [ "$?" != 2 ] || { reply failed "disk: the confirmation cannot be written in $state"; return; }
    first_line "$state/confirm/$armed_id.end"
    case $line in
    confirmed*) ;;
    reverting*) refuse_reverted; return ;;
    *) reply refused "the timer of release $armed_release was ended by another activation"; return ;;
    esac
    forget_timer
    journal confirm end "$v_release" ok "confirmed over a new connection" || { reply failed "disk: the journal cannot be written"; return; }
    reply ok "release $v_release is confirmed"
}

refuse_reverted() {
    if first_line "$state/confirm/reverted"; then
        value reverted "$line"
        reply refused "it was too late: the node's confirm timer put release $armed_previous back after $armed_seconds s"
    else
        reply refused "it is too late: the node's confirm timer puts release $armed_previous back, after $armed_seconds s"
    fi
}

# The watcher's life. Its settings come from its own file.
watch() {
    trap : HUP PIPE
    state=$s_root/.deployctl in_step='' tmp=$state/confirm plain='' follow='' show='1 1 1' session_pid=$$ id=0
    read_stat "$$"
    watcher="$$ $stat_start"
    read_armed && [ "$armed_id" = "$confirm_id" ] || exit 0
    write_file "$state/confirm/$confirm_id.pid" "$watcher"
    while uptime_now && [ "$up" -lt "$armed_until" ]; do sleep "$((armed_until - up))"; done
    while timer_counts; do
        read_lock
        if timer_may_fire; then
            end_timer "reverting $watcher"
            case $? in
            0) ! timer_fires || break ;;
            1) break ;;
            esac
        fi
        sleep 1
    done
    rm -f -- "$state/confirm/$confirm_id.run" "$state/confirm/$confirm_id.program" "$state/confirm/$confirm_id.pid"
}

# A confirm timer belongs to the run that armed it; what keeps the old side lets every run end first, and its steps.
timer_may_fire() {
    if [ "$armed_kind" = confirm ]; then
        [ "$lock_state" != held ] || [ "$lock_top" = "$armed_generation" ]
    else
        [ "$lock_state" != held ] && read_record && [ "$record_state" != running ]
    fi
}

# 0 while this timer is the one that is armed, and nobody has put another release there by hand.
timer_counts() {
    read_armed && [ "$armed_id" = "$confirm_id" ] && [ ! -e "$state/confirm/$confirm_id.end" ] || return 1
    [ "$armed_kind" = confirm ] || return 0
    read_current
    [ "$current" = "$armed_release" ] || [ "${current:--}" = "$armed_previous" ]
}

# Puts the release before back; 1 when a newer generation came in between.
timer_fires() {
    read_armed && [ "$armed_id" = "$confirm_id" ] || return 0
    said_status=failed said_sentence="disk: the journal cannot be written in $state"
    if end_running_step; then
        lock_top=$armed_generation lock_rollout=$armed_rollout recorded=yes verb=revert step_name=revert limit=600
        v_fence=$armed_generation v_epoch=0 v_token='' v_release=$armed_previous id=$confirm_id.revert
        [ "$armed_kind" = confirm ] || step_name=stop.$armed_slot v_release=$armed_release
        supervise >/dev/null
    fi
    if [ "$said_status" = refused ]; then
        rm -f -- "$state/confirm/$confirm_id.end"
        return 1
    fi
    epoch_now
    [ "$armed_kind" != confirm ] ||
        replace_file "$state/confirm/reverted" "$epoch $armed_release $armed_previous $armed_rollout $said_status $said_sentence"
    write_file "$state/confirm/$confirm_id.done" "$said_status $said_sentence"
    return 0
}

# A step of the activation's own run is over when the timer is due; 1 when it cannot be ended.
end_running_step() {
    for candidate in "$state/step" "$state"/steps/*; do
        load_record "$candidate" && record_lives || continue
        end_record yes && continue
        said_sentence="process group $record_leader of $record_verb cannot be ended: it is stuck in the kernel"
        return 1
    done
    return 0
}

# --- what is kept --------------------------------------------------------------------------------------------------------------

next_sequence() {
    find_highest
    epoch_now
    keep_file "$state/good/$v_release" "$((highest + 1)) $epoch"
}

# The releases above the one gone back to are no longer good ones.
drop_above() {
    read_sequence "$v_release" || return 0
    floor=$sequence
    for good_file in "$state"/good/*; do
        case $good_file in
        *.pinned) continue ;;
        esac
        read_sequence "${good_file##*/}" && [ "$sequence" -gt "$floor" ] && rm -f -- "$good_file"
    done
    return 0
}

# What the last commit changed as $before_*; 1: nothing that can be taken back.
read_before() {
    before_rollout='' before_kind='' before_release='' before_was='' before_good='' before_retracts=''
    before_slot='' before_linked='' before_live='' before_current=''
    [ -s "$state/before" ] || return 1
    while read -r before_key before_text; do
        case $before_key in
        rollout) before_rollout=$before_text ;;
        kind) before_kind=$before_text ;;
        release) before_release=$before_text ;;
        was) before_was=$before_text ;;
        good) before_good=$before_good$before_text$nl ;;
        slot) before_slot=$before_text ;;
        linked) before_linked=$before_text ;;
        live) before_live=$before_text ;;
        current) before_current=$before_text ;;
        retracts) before_retracts=$before_text ;;
        esac
    done <"$state/before"
    [ -n "$before_release" ]
}

# 0 when the rollout with the lock is $1 or goes on with it.
goes_on_with() {
    first_line "$state/chain" || return 1
    case " $line " in *" $1 "*) return 0 ;; esac
    return 1
}

# 0 when the last commit dropped release $1, gave it another number, or put another one in its slot.
was_good_before() {
    read_before || return 1
    case $nl$before_linked$nl$before_good in *"$nl$1 "* | "$nl$1$nl"*) return 0 ;; esac
    return 1
}

# In a slot: what it linked, and what was live and current.
slot_before() {
    [ -n "$v_slot" ] || return 0
    read_slot "$v_slot"
    read_current
    first_line "$state/slots/$v_slot" || line=${slot_release:--}
    printf 'slot %s\nlinked %s\ncurrent %s\n' "$v_slot" "$line" "${current:--}"
    first_line "$state/slots/.live" || line=-
    printf 'live %s\n' "$line"
}

# Before a commit changes anything. Of one that was cut short, and is repeated, the first one knows what was before.
note_before() {
    if read_before && [ "$before_release" = "$v_release" ] && goes_on_with "$before_rollout"; then
        [ -z "$before_retracts" ] || keep_file "$state/before" "$(grep -v '^retracts ' "$state/before")"
        return
    fi
    find_highest
    floor=$highest before_was=- before_sequence=0 before_good=''
    [ "$v_kind" != rollback ] || ! read_sequence "$v_release" || floor=$sequence
    for good_file in "$state"/good/*; do
        listed=${good_file##*/}
        case $listed in
        *.pinned) continue ;;
        esac
        read_sequence "$listed" || continue
        if [ "$sequence" -gt "$before_sequence" ] && [ ! -e "$state/failed/$listed" ] && is_complete "$listed"; then
            before_was=$listed before_sequence=$sequence
        fi
        [ "$listed" = "$v_release" ] || [ "$sequence" -gt "$floor" ] || continue
        first_line "$good_file"
        before_good="$before_good${nl}good $listed $line"
    done
    keep_file "$state/before" "rollout ${lock_rollout:--}${nl}kind ${v_kind:-rollout}${nl}release $v_release${nl}was $before_was$before_good${v_slot:+$nl$(slot_before)}"
}

# The last commit, taken back: what was good before it is again, with its number, and what was not is not.
lead_retract() {
    need_release
    if ! read_before || [ "$before_release" != "$v_release" ]; then reply ok "the last commit was not of release $v_release"; fi
    # Cut short in between, it is known as one that has to be ended.
    [ -n "$before_retracts" ] || keep_file "$state/before" "$(cat -- "$state/before")${nl}retracts yes" ||
        reply failed "disk: what is taken back cannot be noted"
    retract_slot
    case $nl$before_good in
    *"$nl$v_release "*) ;;
    *) rm -f -- "$state/good/$v_release" ;;
    esac
    while [ -n "$before_good" ]; do
        line=${before_good%%"$nl"*}
        before_good=${before_good#*"$nl"}
        listed=${line%% *}
        is_name "$listed" || continue
        is_complete "$listed" || continue
        keep_file "$state/good/$listed" "${line#* }" || reply failed "disk: release $listed cannot be marked good again"
    done
    sync "$state/good" 2>/dev/null
    rm -f -- "$state/before"
    reply ok "the commit of release $v_release is taken back"
}

lead_commit() {
    need_release
    is_complete "$v_release" || reply failed "release $v_release is not complete on this node"
    if [ -z "$v_slot" ]; then
        read_current
        [ "$current" = "$v_release" ] || reply failed "current links release ${current:-none}, not $v_release"
    fi
    note_before || reply failed "disk: what was good before cannot be noted"
    commit_slot
    if [ "$v_kind" = rollback ] && read_sequence "$v_release"; then
        drop_above
    else
        next_sequence || reply failed "disk: release $v_release cannot be marked good"
    fi
    rm -f -- "$state/failed/$v_release"
    case $v_pinned in
    yes) : >"$state/good/$v_release.pinned" ;;
    no) rm -f -- "$state/good/$v_release.pinned" ;;
    esac
    sync "$state/good" 2>/dev/null
    prune
    reply ok "release $v_release is good"
}

# The failed release with the latest epoch into $newest_failed.
find_newest_failed() {
    newest_failed='' newest_epoch=0
    for failed_file in "$state"/failed/*; do
        first_line "$failed_file" && is_number "$line" && [ "$line" -ge "$newest_epoch" ] && [ -d "$s_root/releases/${failed_file##*/}" ] || continue
        newest_epoch=$line newest_failed=${failed_file##*/}
    done
}

# 0 when the playbook pins release $1: by letters that its id, or the commit in it, begins with.
is_pinned() {
    pins=$s_pin
    while [ -n "$pins" ]; do
        pin=${pins%%"$nl"*}
        pins=${pins#*"$nl"}
        is_name "$pin" && [ "${#pin}" -ge 4 ] || continue
        case $1 in "$pin"* | *-"$pin"*) return 0 ;; esac
    done
    return 1
}

# Keeps current, previous, `keep` good ones, pinned ones, what the last commit dropped (a rollback left it, and one may go there again),
# the newest failed one. What cannot be removed is a warning.
prune() {
    read_current
    find_previous
    find_newest_failed
    good_left=${s_keep:-5}
    list_releases | sort -rn >"$tmp/releases"
    while read -r _ listed release_state; do
        if [ "$release_state" = good ] && [ "$good_left" -gt 0 ]; then
            good_left=$((good_left - 1))
            continue
        fi
        case $listed in
        "$current" | "$previous" | "$newest_failed" | "$v_release" | "$v_previous") continue ;;
        esac
        # What another tool has put there is not ours to remove.
        [ "$release_state" != incomplete ] || is_release_id "$listed" || [ -e "$state/good/$listed" ] || continue
        [ ! -e "$state/good/$listed.pinned" ] && ! is_pinned "$listed" && ! slot_has "$listed" && ! was_good_before "$listed" || continue
        if remove_release "$listed" 2>&1; then
            value pruned "$listed"
        else
            value warning "release $listed cannot be removed"
        fi
    done <"$tmp/releases"
}


# --- reading -------------------------------------------------------------------------------------------------------------------

# $answer: yes when CMD is true, else no.
yes_no() {
    if "$@"; then answer=yes; else answer=no; fi
}

sudo_state() {
    if [ "$user_id" = 0 ]; then
        echo ok
    elif ! have sudo; then
        echo "there is no sudo on this node"
    else
        sudo_text=$(sudo -n true 2>&1 </dev/null) && echo ok || echo "${sudo_text:-sudo -n true failed}"
    fi
}

facts_of_releases() {
    read_current
    find_previous
    value current "${current:--}"
    value current_state "$current_state"
    yes_no current_is_committed
    value current_good "$answer"
    value previous "${previous:--}"
    list_releases | sort -n >"$tmp/releases"
    while read -r _ listed release_state; do
        value release "$listed $release_state"
        [ "$release_state" != good ] || ! first_line "$state/good/$listed" || value since "release $listed ${line#* }"
    done <"$tmp/releases"
    ! read_before || value committed "$before_release $before_rollout $before_kind $before_was${before_retracts:+ retracts}"
    ! first_line "$state/chain" || value chain "$line"
    ! first_line "$state/unsettled" || value unsettled "$line"
    ! first_line "$state/service" || value service "$line"
}

# The run that is open, whether what it and those that it goes on with have started last has yet to pass its gate (a commit, a hold at the end of a
# wave or the mark of a failure comes after the gate; a hook may have restarted the service), the one that ended last, and how the breakers of the newest one were last: 64 of them at most.
facts_of_journal() {
    [ -s "$state/journal" ] || [ -s "$state/journal.1" ] || return 0
    read_lock
    [ "$lock_state" = held ] || lock_rollout=
    open_rollout=$(journal_lines | awk -v ours="${lock_rollout:--}" '
        function text_from(n, t) { t = $0; while (n-- > 1) t = substr(t, index(t, " ") + 1); return t }
        $1 != "1" || NF < 8 { next }
        $5 == "rollout" && $6 == "begin" && $8 == "outside" { outside[$4] = 1; next }
        $5 == "rollout" && ($4 in outside) { next }
        $5 == "rollout" && $6 == "begin" {
            if ($4 != open) { was = open; was_step = step; was_unproven = unproven; was_release = release; was_kind = kind; was_limit = limit; was_members = members }
            open = run = $4; step = "-"; release = $7; kind = $8; limit = members = ""
            next
        }
        $5 == "limit" && $6 == "note" {
            if ($4 == open && NF > 8) limit = text_from(9)
            next
        }
        $5 == "members" && $6 == "note" {
            if ($4 == open && NF > 8) members = text_from(9)
            next
        }
        $5 == "breaker" && $6 == "note" {
            if ($4 != run || NF < 12) next
            noted[++notes] = text_from(8); noted_of[notes] = $4
            name[notes] = $10 " " $11
            newest[$4 " " name[notes]] = notes
            next
        }
        $5 == "rollout" {
            if ($4 == open && $6 == "end") { open = ""; unproven = 0 }
            if ($4 == open && $6 == "held" && match($0, /held after [0-9]+ of [0-9]+ waves$/)) {
                step = substr($0, RSTART)
                gsub(/ /, "_", step)
                unproven = 0
            }
            if ($4 == open && $6 == "left") { open = was; step = was_step; unproven = was_unproven; release = was_release; kind = was_kind; limit = was_limit; members = was_members }
            if ($6 == "end" || $6 == "held" || $6 == "left") {
                ended = $4
                for (i = 8; i <= NF; i++) ended = ended " " $i
            }
            next
        }
        $4 == open && $6 != "note" {
            step = $5
            if (step ~ /^(commit|retract|failed)$/) unproven = 0
            else if (step !~ /^(stage|unpack|discard)$/ && step !~ /^(un)?migrate\./) unproven = 1
        }
        END {
            if (open != "") print "open_rollout", open, step, release, kind
            if (open != "" && limit != "") print "open_limit", limit
            if (open != "" && members != "") print "open_members", members
            if (open != "" && unproven) print "unproven", "yes"
            if (open == ours && was != "") print "open_before", was, was_step, was_release, was_kind
            if (ended != "") print "ended_rollout", ended
            for (i = notes; i > 0 && told < 64; i--)
                if (noted_of[i] == run && newest[run " " name[i]] == i) {
                    print "breaker", run, noted[i]
                    told++
                }
        }
    ')
    while [ -n "$open_rollout" ]; do
        line=${open_rollout%%"$nl"*}
        value "${line%% *}" "${line#* }"
        case $open_rollout in *"$nl"*) open_rollout=${open_rollout#*"$nl"} ;; *) open_rollout='' ;; esac
    done
}

# 0 when a reboot ended timer $armed_id, or somebody its process, which is noted before the activation goes on.
timer_is_lost() {
    [ "$armed_boot" = "$s_boot" ] || return 0
    [ -z "$armed_unit" ] && first_line "$state/confirm/$armed_id.pid" || return 1
    ! read_stat "${line% *}" || [ "$stat_start" != "${line#* }" ] || [ "$stat_state" = Z ]
}

# The timer that runs, or that was lost; and what a timer put back.
facts_of_timer() {
    if read_armed && [ "$armed_kind" = confirm ] && [ ! -e "$state/confirm/$armed_id.end" ]; then
        uptime_now
        if timer_is_lost; then
            value confirm "lost 0 $armed_release $armed_previous"
        else
            value confirm "armed $((armed_until > up ? armed_until - up : 0)) $armed_release $armed_previous"
        fi
    fi
    ! first_line "$state/confirm/reverted" || value reverted "$line"
}

say_facts() {
    epoch_now
    value now "$epoch"
    value uptime "$up"
    facts_of_releases
    read_space
    value disk_free "$disk_free"
    value disk_total "$disk_total"
    value inodes_free "$inodes_free"
    yes_no test -w "$near"
    value writable "$answer"
    value sudo "$(sudo_state)"
    [ -z "$s_unit" ] || say_unit
    read_lock
    value lock "$lock_state"
    yes_no [ "$lock_state" = expired ]
    value lock_expired "$answer"
    if [ "$lock_state" != free ]; then
        value lock_holder "$lock_holder"
        value lock_rollout "$lock_rollout"
        value lock_generation "$lock_top"
        value lock_age "$lock_age"
        value lock_ttl "$lock_ttl"
        value lock_held "$lock_held"
        [ -z "$lock_runner" ] || value lock_runner "$lock_runner"
        [ "$lock_state" != held ] || ! read_wish || value wish "$wish"
    fi
    facts_of_journal
    facts_of_timer
    facts_of_slots
    facts_of_migrations
}

lead_facts() {
    [ -n "$s_root" ] || reply failed "facts needs a root"
    check_journal
    say_facts
    reply ok facts
}

lead_history() {
    [ -n "$s_root" ] || reply failed "history needs a root"
    check_journal
    is_number "$v_lines" || v_lines=20
    journal_lines | awk '
        function text_from(n, i, t) { t = $n; for (i = n + 1; i <= NF; i++) t = t " " $i; return t }
        $1 != "1" || NF < 8 || ($5 == "rollout" && $6 == "begin" && $8 == "outside") { next }
        $5 == "rollout" && $6 == "begin" {
            order[++count] = $3
            id[$3] = $4; start[$3] = $2; stop[$3] = "-"; release[$3] = $7; kind[$3] = $8; result[$3] = "open"
            who[$3] = NF > 8 ? text_from(9) : "-"
            gsub(/ /, "_", who[$3])
            next
        }
        !($3 in id) { next }
        $5 == "rollout" { stop[$3] = $2; result[$3] = $6 == "end" || $6 == "held" || $6 == "left" ? $8 (NF > 8 ? " " text_from(9) : "") : $6 }
        END { for (i = 1; i <= count; i++) { g = order[i]; print kind[g], id[g], start[g], stop[g], who[g], release[g], result[g] } }
    ' | tail -n "$v_lines" >"$tmp/history.$id"
    while IFS= read -r line; do
        history_kind=${line%% *} line=${line#* }
        value rollout "$line"
        value kind "${line%% *} $history_kind"
    done <"$tmp/history.$id"
    rm -f -- "$tmp/history.$id"
    reply ok history
}

lead_unit() {
    [ -n "$s_unit" ] || reply failed "unit: the service has no unit"
    say_unit || reply failed "unit $s_unit cannot be asked"
    [ "$unit_load" != not-found ] || reply failed "unit $s_unit is not on this node"
    [ -z "$v_release" ] || say_instance
    reply ok "$unit_active"
}

# Whether what answers is the instance that the activation of the release started.
lead_instance() {
    need_release
    [ -z "$s_unit" ] || read_unit || { value instance "unknown unit $s_unit cannot be asked"; reply ok unknown; }
    say_instance
    reply ok "$instance"
}

# The lines of service.log that the last activation of release $1 made.
log_of_release() {
    log_mark "$1"
    mark=$log_mark awk '
        $0 == ENVIRON["mark"] { found = 1; count = 0; next }
        /^--- deployctl: release [^ ]* ---$/ { if (found == 1) found = 2; next }
        found == 1 { lines[count++] = $0 }
        END { for (i = 0; i < count; i++) print lines[i] }
    ' "$state/service.log"
}

# $evidence_since: when the activation of release $1 began; 1 when it is not known here.
find_since() {
    read_mark
    evidence_since=$mark_epoch
    [ "$mark_release" != "$1" ] || return 0
    evidence_since=${mark_earlier#* }
    [ "${mark_earlier%% *}" = "$1" ]
}

lead_evidence() {
    is_number "$v_lines" || v_lines=20
    [ "$v_lines" -le 200 ] || v_lines=200
    if [ -z "$s_unit" ]; then
        [ -s "$state/service.log" ] || reply ok "no lines in $state/service.log"
        if [ -n "$v_release" ]; then
            log_of_release "$v_release" | tail -n "$v_lines"
        else
            grep -av '^--- deployctl: release [^ ]* ---$' "$state/service.log" | tail -n "$v_lines"
        fi
        reply ok "from $state/service.log"
    fi
    if [ -n "$v_release" ] && ! find_since "$v_release"; then reply ok "release $v_release was not activated here"; fi
    have journalctl || reply failed "there is no journalctl on this node"
    value unit_status "$(systemctl status --no-pager -n 0 -- "$s_unit" 2>/dev/null | sed -n 's/^ *Active: //p')"
    # With --since, -n would be the first lines.
    evidence_range="-n $v_lines"
    [ -z "$v_release" ] || evidence_range=--since=@$evidence_since
    # shellcheck disable=SC2086
    $s_sudo journalctl -u "$s_unit" $evidence_range --no-pager -o short-iso >"$tmp/evidence.lines.$id" 2>"$tmp/evidence.$id" </dev/null
    evidence_status=$?
    tail -n "$v_lines" "$tmp/evidence.lines.$id"
    rm -f -- "$tmp/evidence.lines.$id"
    first_line "$tmp/evidence.$id"
    rm -f -- "$tmp/evidence.$id"
    [ -z "$line" ] || value rights "$line"
    [ "$evidence_status" = 0 ] || reply failed "journalctl: ${line:-status $evidence_status}"
    reply ok "from the journal of $s_unit"
}

# log_lines FOLLOW QUIET (each empty: no): the service's last lines, with the time of each when they are a unit's.
log_lines() {
    if [ -z "$s_unit" ]; then
        tail -n "$v_lines" ${1:+-F} "$state/service.log" 2>/dev/null
        return
    fi
    # With --since, -n would be the first lines.
    log_range="-n $v_lines"
    [ -z "$v_since" ] || log_range=--since=-${v_since}s
    # shellcheck disable=SC2086
    $s_sudo journalctl -u "$s_unit" $log_range ${1:+-f} ${2:+-q} --no-pager -o short-iso-precise
}

# Each line is one write of at most PIPE_BUF bytes: whole, whoever else writes to the session. Ends with the session, if that was
# killed before it could end us.
follow_log() {
    { while read_stat "$session_pid"; do sleep 5; done; signal_group TERM "$$"; } >/dev/null 2>&1 3>&- 4>&- &
    watcher=$!
    log_lines yes '' 2>&1 3>&- 4>&- | while IFS= read -r line; do
        printf '%s | %.4000s\n' "$id" "$line" >&4 || break
    done
    kill "$watcher" 2>/dev/null
}

lead_logs() {
    is_number "$v_lines" || v_lines=100
    is_number "$v_since" || v_since=
    if [ -n "$s_unit" ]; then
        have journalctl || reply failed "there is no journalctl on this node"
    else
        [ -e "$state/service.log" ] || [ -n "$follow" ] || reply ok "there is no $state/service.log yet"
    fi
    if [ -n "$follow" ]; then
        follow_log
        reply failed "the log's end came while following it"
    fi
    if [ -n "$s_unit" ]; then
        # Without -q it says whose lines this user does not see.
        # shellcheck disable=SC2086
        log_hint=$($s_sudo journalctl -u "$s_unit" -n 0 --no-pager 2>&1 >/dev/null </dev/null)
        [ -z "$log_hint" ] || value rights "$log_hint"
    fi
    { log_lines '' yes 2>&1 </dev/null || : >"$tmp/logs.$id"; } | tail -n "$v_lines"
    if [ -e "$tmp/logs.$id" ]; then
        rm -f -- "$tmp/logs.$id"
        reply failed "the log cannot be read"
    fi
    reply ok logs
}

# What is in the working folder, as `MODE PATH`, `link PATH`, and `shared PATH` for links into shared/.
list_actual() {
    find . -type f -exec stat -c '%a %n' {} + | sed 's/^\([0-7]*\) \.\//\1 /'
    find . -type l | while IFS= read -r link; do
        target=$(readlink "$link")
        while [ "${target#../}" != "$target" ]; do target=${target#../}; done
        case $target/$(readlink "$link") in
        shared/*/../*) printf 'shared %s\n' "${link#./}" ;;
        *) printf 'link %s\n' "${link#./}" ;;
        esac
    done
}

# Lines `changed|missing|extra PATH` for the release in the working folder, from manifest $1. What is shared is not the release's.
compare_release() {
    list_actual >"$tmp/actual.$id"
    : >"$tmp/sums.$id"
    : >"$tmp/links.$id"
    awk -v sums="$tmp/sums.$id" -v links="$tmp/links.$id" '
        function rest(n, t) { t = $0; while (n-- > 0) t = substr(t, index(t, " ") + 1); return t }
        function is_shared(path, s) { for (s in shared) if (path == s || index(path, s "/") == 1) return 1; return 0 }
        FNR == NR { if ($1 == "shared") shared[rest(1)] = 1; else have[rest(1)] = $1; next }
        {
            path = rest(3)
            known[path] = 1
            if (is_shared(path)) next
            wanted = $2 == "120000" ? "link" : $2 % 1000
            if (!(path in have)) { print "missing", path; next }
            if (have[path] != wanted) print "changed", path
            else if (wanted == "link") print $1, path > links
            else print $1 "  ./" path > sums
        }
        END { for (path in have) if (!(path in known)) print "extra", path }
    ' "$tmp/actual.$id" "$1"
    sha256sum -c "$tmp/sums.$id" 2>/dev/null | sed -n 's/\\\\/\\/g; s/^\\\{0,1\}\.\/\(.*\): FAILED.*$/changed \1/p'
    while IFS= read -r line; do
        actual=$(readlink -n "${line#* }" | sha256sum)
        [ "${actual%% *}" = "${line%% *}" ] || printf 'changed %s\n' "${line#* }"
    done <"$tmp/links.$id"
}

forget_comparison() {
    rm -f -- "$tmp/links.$id" "$tmp/actual.$id" "$tmp/sums.$id"
}

lead_verify() {
    if [ -z "$v_release" ]; then
        read_current
        v_release=$current
        [ -n "$v_release" ] || reply failed "no release is current on this node"
    fi
    need_release
    value release "$v_release"
    is_complete "$v_release" || reply failed "release $v_release is not complete on this node"
    cd -- "$s_root/releases/$v_release" || reply failed "cannot enter $s_root/releases/$v_release"
    compare_release "$state/manifests/$v_release" | sort -u >"$tmp/differences.$id"
    found=0
    while IFS= read -r line; do
        found=$((found + 1))
        [ "$found" -gt 100 ] || value "${line%% *}" "${line#* }"
    done <"$tmp/differences.$id"
    rm -f -- "$tmp/differences.$id"
    forget_comparison
    value differences "$found"
    [ "$found" = 0 ] || reply failed "release $v_release differs from its manifest in $found places"
    reply ok "release $v_release is as it was staged"
}

# --- the session ---------------------------------------------------------------------------------------------------------------

make_temporary() {
    [ -z "$tmp" ] || return 0
    for temporary in "${TMPDIR:-/tmp}" /tmp /dev/shm /var/tmp; do
        tmp=$(mktemp -d "$temporary/deployctl.XXXXXX" 2>/dev/null) || continue
        note_user "$$" main
        remove_dead_folders
        return 0
    done
    tmp=
    return 1
}

# Process $1 uses the session's folder, as $2: its number and its start.
note_user() {
    ! read_stat "$1" || printf '%s %s\n' "$1" "$stat_start" >"$tmp/$2.user"
}

# Folders of this account's sessions that were killed, step and all.
remove_dead_folders() {
    for folder in "$temporary"/deployctl.??????; do
        # shellcheck disable=SC3067 # dash, bash and busybox know -O
        [ "$folder" != "$tmp" ] && [ ! -L "$folder" ] && [ -d "$folder" ] && [ -O "$folder" ] && [ -s "$folder/main.user" ] || continue
        folder_is_used "$folder" || [ -z "$(find "$folder" -maxdepth 0 -perm 700)" ] || rm -rf -- "$folder"
    done
}

folder_is_used() {
    for folder_user in "$1"/*.user; do
        first_line "$folder_user"
        read_stat "${line% *}" && [ "$stat_start" = "${line#* }" ] && return 0
    done
    return 1
}

# Where no service has its root: the system's own folders.
is_system_folder() {
    case $1 in
    '' | / | /bin | /boot | /dev | /etc | /home | /lib | /lib32 | /lib64 | /libx32 | /lost+found | /proc | /proc/* | /root | /run | /sbin | /sys | /sys/* | \
        /tmp | /usr | /usr/bin | /usr/include | /usr/lib | /usr/lib64 | /usr/libexec | /usr/local | /usr/local/bin | /usr/local/lib | \
        /usr/local/sbin | /usr/sbin | /usr/share | /var | /var/cache | /var/lib | /var/lock | /var/log | /var/run | /var/spool | /var/tmp) ;;
    *) return 1 ;;
    esac
}

# 0 when folder $1 belongs to root and no other account can write to it; $2 `sticky`: or only with the sticky bit. Else $loose is the reason.
find_loose_folder() {
    # shellcheck disable=SC2046
    judge_folder "$1" "$2" $(stat -L -c '%u %a %U' -- "$1" 2>/dev/null) - - -
}

# FOLDER STICKY UID MODE NAME
judge_folder() {
    loose=
    case $3/$4 in
    0/*[2367] | 0/*[2367]?)
        case $2/$4 in sticky/[1357]???) return 0 ;; esac
        loose="$1 can be written by others than root (mode $4); chmod go-w $1"
        ;;
    0/*) return 0 ;;
    *) loose="$1 is owned by $5, not by root; chown root: $1" ;;
    esac
    return 1
}

# Follows path $1 as the kernel does. 0 when each folder on the way is root's alone, so that no other account has placed a link there, or can; $walked
# is where it leads, as far as it exists. Else $loose is the reason. A sticky folder, as /tmp, may be on the way and not at the end.
find_loose() {
    ! is_plain_path "$1" || return "$plain_result"
    walked='' walk_rest=$1 walk_links=0
    find_loose_folder / '' || return
    while [ -n "$walk_rest" ]; do
        walk_part=${walk_rest%%/*}
        case $walk_rest in */*) walk_rest=${walk_rest#*/} ;; *) walk_rest='' ;; esac
        case $walk_part in
        '' | .) continue ;;
        ..) walked=${walked%/*} && continue ;;
        esac
        if [ -L "$walked/$walk_part" ]; then
            walk_link || return
        elif [ -e "$walked/$walk_part" ]; then
            walked=$walked/$walk_part
            find_loose_folder "$walked" "${walk_rest:+sticky}" || return
        else
            # The last one that exists: what root makes there is root's.
            walk_rest=
        fi
    done
}

# The same by one process, for a path without a link or an empty part, `.` or `..`: 0, and $plain_result is what find_loose returns. 1: another path.
is_plain_path() {
    walked='' walk_rest=${1#/} plain_end=end
    set -- /
    while [ -n "$walk_rest" ]; do
        walk_part=${walk_rest%%/*}
        case $walk_rest in */*) walk_rest=${walk_rest#*/} ;; *) walk_rest='' ;; esac
        case $walk_part in '' | . | ..) return 1 ;; esac
        [ ! -L "$walked/$walk_part" ] || return 1
        [ -e "$walked/$walk_part" ] || { plain_end='' && break; }
        walked=$walked/$walk_part
        set -- "$@" "$walked"
    done
    plain_stats=$(stat -L -c '%u %a %U' -- "$@" 2>/dev/null)$nl plain_result=1
    while [ $# -gt 0 ]; do
        plain_sticky=sticky
        [ "$1" != / ] && [ "$#$plain_end" != 1end ] || plain_sticky=
        # shellcheck disable=SC2086
        judge_folder "$1" "$plain_sticky" ${plain_stats%%"$nl"*} - - - || return 0
        plain_stats=${plain_stats#*"$nl"}
        shift
    done
    plain_result=0
}

# $walk_part is a link.
walk_link() {
    walk_links=$((walk_links + 1))
    if [ "$(stat -c %u -- "$walked/$walk_part")" != 0 ] || [ "$walk_links" -gt 40 ]; then
        loose="$walked/$walk_part is a link that root has not made; remove it"
        return 1
    fi
    walk_to=$(readlink -- "$walked/$walk_part")
    case $walk_to in /*) walked= ;; esac
    walk_rest=$walk_to/$walk_rest
}

# The first path below the root that is not root's alone, or is a link where there must be none; empty: all is well. The service's own files are in
# shared/, and releases/ID is not looked into: what is unpacked there is root's.
find_loose_entry() {
    for entry in "$state" "$s_root/releases" "$s_root/slots"; do
        [ ! -L "$entry" ] || { printf '%s\n' "$entry"; return; }
    done
    [ ! -L "$s_root/shared" ] || find "$s_root/shared" ! -user 0
    find "$s_root/current" "$s_root/slots" "$s_root/releases" -maxdepth 1 \( ! -user 0 -o ! -type l \( -perm -020 -o -perm -002 \) \) 2>/dev/null
    find "$state" \( ! -user 0 -o -type l ! -name link.new -o ! -type l \( -perm -020 -o -perm -002 \) \) 2>/dev/null
}

# As sshd's StrictModes: root writes below a root folder only when no other account can place a link there. 1: replied.
check_trust() {
    [ -n "$s_root" ] && [ -n "$s_service" ] || return 0
    walked=$s_root loose=
    if [ "$user_id" = 0 ]; then
        have find || { reply failed "missing on this node: find; install findutils, or busybox"; return 1; }
        if find_loose "$s_root"; then
            loose=$(find_loose_entry | head -n 1)
            [ -z "$loose" ] || loose="$loose is not root's alone, or is a link; look at it, then chown -R root: $state $s_root/releases"
        fi
        if [ -n "$loose" ]; then
            reply refused "root does not work in $s_root: $loose, or go without root: become = no, and a login that owns $s_root"
            return 1
        fi
    fi
    if is_system_folder "$s_root" || is_system_folder "$walked"; then
        reply refused "root $s_root is a folder of the system; give the service a folder of its own, like /srv/shop"
        return 1
    fi
    if [ -d "$state" ] && [ ! -x "$state" ]; then
        reply refused "$state is not $user_name's to read; set become = yes, or log in as its owner"
        return 1
    fi
}

# Becomes root with the pending request, when the root folder is not ours to write. Returns when there is no need.
elevate() {
    [ "$v_become" = yes ] && [ -n "$v_root" ] && [ "$user_id" != 0 ] || return 0
    nearest_folder "$v_root"
    if [ -w "$near" ] && { [ ! -e "$v_root/.deployctl" ] || [ -w "$v_root/.deployctl" ]; }; then return 0; fi
    [ -z "$tmp" ] || rm -rf -- "$tmp"
    { printf '%s\n%s\n%s\n%s\n' "$m" "$p" "$m" "$request" && exec cat; } | sudo -n sh -c "$bootstrap"
    exit
}

check_tools() {
    missing=
    for tool in setsid awk tar sha256sum stat readlink mktemp tail tr sort; do
        have "$tool" || missing="$missing $tool"
    done
    [ -z "$missing" ] || { reply failed "missing on this node:$missing; install coreutils and util-linux, or busybox"; return 1; }
    [ -r /proc/uptime ] || { reply failed "there is no /proc on this node"; return 1; }
    make_temporary || { reply failed "no temporary folder can be made in /tmp, /dev/shm or /var/tmp: disk full or read-only"; return 1; }
    if ! { ln -s a "$tmp/link.a" && mv -fT -- "$tmp/link.a" "$tmp/link.b"; } 2>/dev/null; then
        reply failed "mv on this node does not know -T; install coreutils or a newer busybox"
        return 1
    fi
}

check_become() {
    [ "$v_become" = yes ] && [ "$user_id" != 0 ] || return 0
    become_text=$(sudo_state)
    [ "$become_text" = ok ] && return 0
    reply failed "become: ${become_text%%"$nl"*}; give $user_name a NOPASSWD rule for sudo, or set become = no"
    return 1
}

do_open() {
    case $v_root in
    */../* | */./* | */.. | */. | *//*) reply failed "root $v_root is no plain path"; return ;;
    '' | /*[!/]*) ;;
    *) reply failed "root $v_root is no absolute path"; return ;;
    esac
    user_id=$(id -u)
    user_name=$(id -un 2>/dev/null) || user_name=$user_id
    check_become || return
    elevate
    check_tools || return
    s_root=${v_root%/} s_unit=$v_unit s_start=$v_start s_stop=$v_stop s_reload=$v_reload s_shared=$v_shared
    s_pin=$v_pin s_keep=${v_keep:-5} s_sudo='' s_slots=$v_slots s_slot_start=$v_slot_start s_slot_stop=$v_slot_stop
    s_setsid=$(command -v setsid)
    [ "$v_become" = yes ] && [ "$user_id" != 0 ] && s_sudo='sudo -n'
    is_number "$s_keep" || s_keep=5
    s_service=$v_service s_renamed_from=$v_renamed_from state=$s_root/.deployctl
    check_trust || return
    first_line /proc/sys/kernel/random/boot_id
    s_boot=${line:-unknown}
    uptime_now
    s_offset=$(($(date +%s) - up))
    value user "$user_name"
    value protocol "$protocol"
    yes_no [ "${SUDO_UID:+$user_id}" = 0 ]
    value elevated "$answer"
    value temporary "$tmp"
    for tool in zstd gzip tar setsid systemctl sudo sha256sum journalctl; do
        yes_no have "$tool"
        value tool "$tool $answer"
    done
    opened=yes
    reply ok open
}

read_request() {
    v_root='' v_service='' v_unit='' v_start='' v_stop='' v_reload='' v_become='' v_shared='' v_keep='' v_fence='' v_token=''
    v_release='' v_rollout='' v_holder='' v_ttl='' v_generation='' v_sha256='' v_bytes='' v_unpacked='' v_entries=''
    v_manifest_sha256='' v_tar_bytes='' v_compression='' v_command='' v_env='' v_timeout='' v_timeout_ms='' v_name='' v_lines=''
    v_previous='' v_kind='' v_pinned='' v_target='' v_result='' v_status='' v_open='' v_since='' v_follow='' v_confirm='' fault=''
    v_resumes='' v_reason='' v_migration='' v_down='' v_again='' v_minimum=''
    v_port='' v_address='' v_epoch='' v_runner='' v_takeover=''
    v_slot='' v_seconds='' v_slots='' v_slot_start='' v_slot_stop='' v_pin='' v_breaker=''
    v_facts='' v_limit='' v_renamed_from='' v_members=''
    request=$line$nl
    while IFS= read -r line; do
        request=$request$line$nl
        [ -n "$line" ] || return 0
        text=${line#* }
        case ${line%% *} in
        root) v_root=$text ;;
        service) v_service=$text ;;
        renamed_from) v_renamed_from=$text ;;
        verify) ;;
        unit) v_unit=$text ;;
        start) v_start=$text ;;
        stop) v_stop=$text ;;
        reload) v_reload=$text ;;
        become) v_become=$text ;;
        shared) v_shared=$v_shared$text$nl ;;
        keep) v_keep=$text ;;
        fence) v_fence=$text ;;
        epoch) v_epoch=$text ;;
        runner) v_runner=$text ;;
        takeover) v_takeover=$text ;;
        token) v_token=$text ;;
        release) v_release=$text ;;
        rollout) v_rollout=$text ;;
        holder) v_holder=$text ;;
        ttl) v_ttl=$text ;;
        generation) v_generation=$text ;;
        minimum) v_minimum=$text ;;
        sha256) v_sha256=$text ;;
        bytes) v_bytes=$text ;;
        unpacked) v_unpacked=$text ;;
        entries) v_entries=$text ;;
        manifest_sha256) v_manifest_sha256=$text ;;
        compression) v_compression=$text ;;
        tar_bytes) v_tar_bytes=$text ;;
        command) v_command=$text ;;
        env) add_environment ;;
        timeout) v_timeout=$text ;;
        timeout_ms) v_timeout_ms=$text ;;
        name) v_name=$text ;;
        lines) v_lines=$text ;;
        since) v_since=$text ;;
        follow) v_follow=$text ;;
        previous) v_previous=$text ;;
        confirm) v_confirm=$text ;;
        kind) v_kind=$text ;;
        pinned) v_pinned=$text ;;
        target) v_target=$text ;;
        result) v_result=$text ;;
        open) v_open=$text ;;
        reason) v_reason=$text ;;
        resumes) v_resumes=" $text" ;;
        pin) v_pin=$v_pin$text$nl ;;
        facts) v_facts=$text ;;
        limit) v_limit=$text ;;
        members) v_members=$text ;;
        breaker) v_breaker=$v_breaker$text$nl ;;
        migration) v_migration=$v_migration$text$nl ;;
        down) v_down=$text ;;
        again) v_again=$text ;;
        slot) v_slot=$text ;;
        seconds) v_seconds=$text ;;
        port) v_port=$text ;;
        address) v_address=$text ;;
        slot_unit) v_slots=$v_slots$text$nl ;;
        slot_start) v_slot_start=$v_slot_start$text$nl ;;
        slot_stop) v_slot_stop=$v_slot_stop$text$nl ;;
        status) v_status=${text%% *} ;;
        *) fault="unknown key ${line%% *}; the node's program is of another version" ;;
        esac
    done
    return 1
}

# Names that a shell keeps for itself would end the step.
add_environment() {
    case ${text%%=*} in
    '' | [0-9]* | *[!A-Za-z0-9_]* | PPID | UID | EUID | SHELLOPTS | BASHOPTS | BASH_* | IFS)
        fault="env ${text%%=*} is no name that can be set"
        ;;
    *) v_env=$v_env$text$nl ;;
    esac
}

check_request() {
    case $v_resumes in
    *[!A-Za-z0-9._\ -]*) fault="resumes is of rollouts' ids and blanks" ;;
    esac
    case $v_runner in
    *[!A-Za-z0-9._:\ -]*) fault="runner is of letters, digits, dot, dash, colon, underscore and blanks" ;;
    esac
    case $v_token$v_name$v_rollout$v_previous$v_target$v_slot in
    *[!A-Za-z0-9._-]*) fault="token, name, rollout, previous, target and slot are of letters, digits, dot, dash, underscore" ;;
    esac
    case $v_port$v_address in
    *[!A-Za-z0-9.:_-]*) fault="port and address are a number and a name" ;;
    esac
    case $v_release in
    '') ;;
    -) [ "$verb" = activate ] || [ "$verb" = lock ] || [ "$verb" = finish ] || v_release='' ;;
    *) is_name "$v_release" || fault="release $v_release is no release id" ;;
    esac
    case $verb in
    open | bye | cancel) ;;
    *) [ -n "$opened" ] || fault="$verb before open" ;;
    esac
    [ -z "$fault" ] || reply failed "$fault"
    [ -z "$fault" ]
}

dispatch() {
    step_name=${v_name:-$verb} show=''
    case $verb in
    open) do_open ;;
    lock) do_lock ;;
    renew) do_renew ;;
    unlock) do_unlock ;;
    break) do_break ;;
    wish) do_wish ;;
    finish) do_finish ;;
    settle) start_settle ;;
    cancel) do_cancel ;;
    facts | unit | instance | history) launch 60 ;;
    evidence) show='65536 200 1000' && launch 60 ;;
    logs) start_logs ;;
    verify) launch 600 ;;
    probe) launch 60 plain ;;
    exec) show='262144 10000 4000' && launch 0 plain ;;
    stage | unpack | activate | restart | stop) launch_recorded 600 ;;
    discard | commit | retract | keep_old) launch_recorded 300 ;;
    failed) do_failed ;;
    confirm) do_confirm ;;
    run) launch_recorded 600 plain ;;
    migrate) start_migrate ;;
    bye) return 1 ;;
    *) reply failed "unknown verb $verb; the node's program is of another version" ;;
    esac
    return 0
}

serve() {
    trap : HUP PIPE
    in_step='' tmp='' steps='' step_count=0 busy='' mended='' recorded='' opened='' id=0
    follow='' followers='' session_pid=$$
    s_slots='' s_slot_start='' s_slot_stop='' s_pin=''
    s_root='' s_service='' s_renamed_from='' user_id='' s_unit='' s_start='' s_stop='' s_reload='' s_shared='' s_keep=5 s_sudo='' s_setsid='' s_offset=0 s_boot=''
    printf 'deployctl-node %s %s\n' "$protocol" "${m##*-}"
    while IFS= read -r line; do
        [ -n "$line" ] || continue
        id=${line%% *} verb=${line#* }
        read_request || break
        is_number "$id" || continue
        check_request || continue
        dispatch || break
    done
    end_followers
    # Steps go on without the connection; the session's folder stays until they have ended.
    wait
    [ -z "$tmp" ] || rm -rf -- "$tmp"
}

case $0 in
deployctl-step) lead ;;
*/.deployctl/confirm/*.run) watch ;;
*) serve ;;
esac
