# Random requests and random journals. NODE_SEED gives the first seed again, which a failure prints.

# What a shell might execute, split or reckon with.
hostile_values() {
    local touch="touch '$work/executed'"
    printf '%s\n' "\$($touch)" "\`$touch\`" "; $touch #" "a[\$($touch)]" "'; $touch; '" "\"; $touch; \"" "|| $touch" "x=\$((a[\$($touch)]))" \
        08 00 -1 1 7 99999999999999999999999 '9*9' '' ' ' '*' '..' '../../x' '-rf' r1 roll-a yes no pause rollback '%s%n' $'tab\there' $'\001\002' \
        $'\377\376' "$(printf 'x%.0s' {1..5000})" 'two words' "\\" "\$IFS" '~' '#' '!' '- -' "$fence"
}

node_verbs=(lock renew unlock break wish finish settle cancel facts unit history evidence logs verify probe exec stage unpack activate restart stop
    discard commit retract keep_old failed confirm run migrate frobnicate)
node_keys=(fence token release rollout holder ttl generation minimum sha256 bytes unpacked entries manifest_sha256 tar_bytes compression env timeout_ms
    name lines since previous confirm kind pinned target result open reason resumes pin breaker migration down again slot seconds status colour)

# One random request in $asked.
random_request() {
    local keys=$((RANDOM % 6)) key value
    asked="$next_id ${node_verbs[RANDOM % ${#node_verbs[@]}]}"$'\n'
    [ $((RANDOM % 3)) != 0 ] || asked+="fence $fence"$'\n'
    while [ $((keys--)) -gt 0 ]; do
        key=${node_keys[RANDOM % ${#node_keys[@]}]} value=${values[RANDOM % ${#values[@]}]}
        [ "$key" != env ] || value="NAME=$value"
        # No step of a test that runs for a day.
        [ "$key" != timeout_ms ] || value=$((RANDOM % 500 + 1))
        asked+="$key $value"$'\n'
    done
    asked+=$'\n'
    id=$next_id
    next_id=$((next_id + 1))
}

# Each request has its reply, the session goes on, and no value was executed. Under this shell.
ask_at_random() {
    local values asked ids=() round
    locked_node "$1"
    mapfile -t values < <(hostile_values)
    for round in {1..40}; do
        random_request
        printf '%s' "$asked" >&"$node_in"
        await "$id" || fail "seed $seed, round $round: no reply to: $asked"
        case $status in ok | failed | refused | timeout | cancelled) ;; *) fail "seed $seed: status $status to: $asked" ;; esac
        [ ! -e "$work/executed" ] || fail "seed $seed: executed by: $asked"
    done
    must ok facts
    # Lines that are no request: they are passed over, or end the session; never the node's shell with a message.
    printf '%s\n' 'x y z' '' '999999999999999999999 facts' '' '$(date) facts' '' '08 facts' '' '[ a' '' >&"$node_in"
    must ok facts
    printf '%s\nfence 1' "$next_id renew" >&"$node_in"
    lose_connection
    eventually node_is_gone
    [ ! -e "$work/executed" ] || fail "seed $seed: executed"
    ! grep -iE 'syntax error|not found|bad number|illegal number|arithmetic|unbound|parameter' "$work/$1.err" || fail "seed $seed: the shell's own message"
}

node_is_gone() { ! kill -0 "$node_pid" 2>/dev/null || [ "$(ps -o stat= -p "$node_pid" | cut -c 1)" = Z ]; }

test_random_requests_are_answered_and_execute_nothing() {
    seed=${NODE_SEED:-$((RANDOM * 32768 + RANDOM))}
    RANDOM=$seed
    ask_at_random a
}

# The shells of the suite are dash and busybox ash; bash as `sh` is a common third.
test_random_requests_are_answered_by_bash_too() {
    [ "$node_path" != "$work/bin" ] || skip "once is enough"
    ln -sf "$(command -v bash)" "$work/bin/sh"
    seed=${NODE_SEED:-$((RANDOM * 32768 + RANDOM))}
    RANDOM=$seed
    ask_at_random a
}

# A journal of random lines, half of them with the right form.
random_journal() {
    local line fields steps=(rollout breaker activate commit wish confirm) marks=(begin end held left note break)
    for line in {1..60}; do
        fields=(1 "$((RANDOM * 50000))" "$((RANDOM % 9))" "r$((RANDOM % 4))" "${steps[RANDOM % 6]}" "${marks[RANDOM % 6]}" "r1" ok)
        case $((RANDOM % 4)) in
        0) fields[RANDOM % 8]=${values[RANDOM % ${#values[@]}]} ;;
        1) fields+=("open 17 node web1 ${values[RANDOM % ${#values[@]}]}") ;;
        2) fields+=("${values[RANDOM % ${#values[@]}]}" "held after 1 of 9 waves") ;;
        esac
        printf '%s\n' "${fields[*]}"
        [ $((RANDOM % 9)) != 0 ] || head -c $((RANDOM % 200)) /dev/urandom
    done
}

test_random_journals_are_read_and_execute_nothing() {
    local values round
    seed=${NODE_SEED:-$((RANDOM * 32768 + RANDOM))}
    RANDOM=$seed
    locked_node a
    mapfile -t values < <(hostile_values)
    for round in {1..6}; do
        random_journal >"$root/.deployctl/journal"
        for verb in facts history; do
            ask $verb
            case $status in
            ok) ;;
            refused) case $sentence in *'lines of version'*) ;; *) fail "seed $seed: $verb: $sentence" ;; esac ;;
            *) fail "seed $seed: $verb: $status $sentence" ;;
            esac
            [ "${#reply}" -lt 300000 ] || fail "seed $seed: $verb: ${#reply} bytes"
        done
        [ ! -e "$work/executed" ] || fail "seed $seed: executed"
    done
}
