# The killers: each builds what it needs in the copy it stands in, runs it, and sets `broke`. Sourced by tests/mutants/run.
# Result of each: 0 a test failed (`broke`: which), 1 everything passed, 2 neither (`broke`: why; a build error, a crash, a time-out).
limit_s=${MUTANT_LIMIT_S:-120}
: "${logs:=}" "${base:=}" # folders that tests/mutants/run chooses

# LOG CMD...: 2 when it was stopped at the limit.
limited() {
    local log=$1 code
    shift
    timeout --foreground -k 5 "$limit_s" "$@" >"$log" 2>&1 </dev/null
    code=$?
    [ "$code" != 124 ] && [ "$code" != 137 ] && return "$code"
    broke="not done after $limit_s s"
    return 2
}

built() {
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u BUILD make -s "$@" >"$logs/make" 2>&1 && return 0
    broke="it does not build: $(grep -m 1 -E 'error|\*\*\*' "$logs/make")"
    return 1
}

# PROGRAM SEED: worlds from a seed on that is known to do, and from there.
worlds() {
    local program=$1 seed=${2:-1} found
    built "$program" || return 2
    DEPLOYCTL_BRIEF=1 DEPLOYCTL_SEED=$seed DEPLOYCTL_WORLDS=6000 limited "$logs/out" "$program"
    case $? in
    0) return 1 ;;
    2) [ -z "$broke" ] || return 2 ;;
    esac
    broke=$(grep -m 1 '^seed [0-9]* breaks ' "$logs/out") || {
        broke="$program ended without a broken law"
        return 2
    }
    found=${broke#seed }
    DEPLOYCTL_BRIEF=1 DEPLOYCTL_SEED=${found%% *} DEPLOYCTL_WORLDS=1 limited "$logs/unchanged" "$base/$program" && return 0
    broke="the unpatched tree fails too: $broke"
    return 2
}

killer_laws() { worlds build/property/test_laws "${2:-}"; }
killer_locks() { worlds build/property/test_locks "${2:-}"; }
killer_world() { worlds build/simulator/test_simulator "$1"; }

# PROGRAM [TEST]: one of its tests must fail; TEST, when it is named.
tests_of() {
    local program=$1 wanted=${2:-} code
    built "$program" || return 2
    CMOCKA_MESSAGE_OUTPUT=TAP limited "$logs/out" "$program"
    code=$?
    [ -z "$broke" ] || return 2
    broke=$(sed -n "s/^not ok [0-9]* - \(${wanted:-.*}\)\$/\1/p" "$logs/out" | head -n 1)
    [ -z "$broke" ] || return 0
    [ "$code" != 0 ] || return 1
    broke="$program ended with code $code and ${wanted:-no test} did not fail"
    return 2
}

killer_unit() { tests_of "build/unit/$1" "${2:-}"; }
killer_scenario() {
    tests_of build/scenario/run_scenarios || return
    broke="scenario $(grep -m 1 -oE '[a-z_]+\.txt' "$logs/out")"
}
killer_conformance() { tests_of build/simulator/test_conformance; }

# CMD...: a script that names what failed in lines `FAILED ...` and ends with `N passed, N failed`.
counted() {
    local failures
    limited "$logs/out" "$@"
    [ -z "$broke" ] || return 2
    failures=$(sed -nE 's/^[0-9]+ passed, ([0-9]+) failed.*/\1/p' "$logs/out" | tail -n 1)
    [ "$failures" != 0 ] || return 1
    broke=$(sed -n 's/^FAILED  *//p' "$logs/out" | head -n 1)
    [ -n "$failures" ] && [ -n "$broke" ] && return 0
    broke="$* counted nothing"
    return 2
}

killer_waits() { built build/simulator/test_waits || return 2; counted build/simulator/test_waits; }
killer_node() { NODE_SHELLS=dash counted tests/node/run "$1"; }
killer_e2e() { built all || return 2; counted "tests/e2e/$1"; }
