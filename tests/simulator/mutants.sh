#!/bin/sh
# Shows that the simulator's laws can break: builds everything with the machine's deliberate faults (enum mutant), switches on one
# after another, and expects a law to be broken that is read off the nodes. Starts at a seed that is known to kill it, and looks on
# from there. Prints the law and the seed; exits 1 when one lives, or when a seed kills the unchanged machine.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}/mutants
make -s BUILD="$build" CPPFLAGS=-DDEPLOYCTL_MUTANTS "$build/simulator/test_simulator"
program=$build/simulator/test_simulator
names=$(sed -n '/^enum mutant {/,/^};/p' src/core/rollout_internal.h | grep -o 'MUTANT_[A-Z_]*')

number_of() {
    number=0
    for name in $names; do
        [ "$name" != "MUTANT_$1" ] || return 0
        number=$((number + 1))
    done
    echo "there is no mutant $1"
    exit 1
}

killed=0
while read -r mutant seed; do
    number_of "$mutant"
    if DEPLOYCTL_BRIEF=1 DEPLOYCTL_SEED=$seed DEPLOYCTL_WORLDS=1 "$program" >/dev/null; then :; else
        echo "seed $seed kills the unchanged machine"
        exit 1
    fi
    said=$(DEPLOYCTL_MUTANT=$number DEPLOYCTL_BRIEF=1 DEPLOYCTL_SEED=$seed DEPLOYCTL_WORLDS=6000 "$program" 2>&1 | grep '^seed ') || {
        echo "$mutant lives"
        exit 1
    }
    printf '%-26s %s\n' "$mutant" "$said"
    killed=$((killed + 1))
done <<END
ONE_TOO_MANY_OUT 2
SPENT_GOES_ON 7563
UNDO_OLDEST_FIRST 1188
UNDO_WITHOUT_GATE 13
UNDO_TWICE 15
FRESH_TOKEN 1781
UNDO_IN_FLIGHT 1627
NO_GATE 1
EXPAND_TOO_LATE 26
CONTRACT_TOO_SOON 2003
BACK_PAST_NO_RETURN 8
RELEASE_WITHOUT_LEASE 2504
UNCONFIRMED 348
UNDO_FORGOTTEN 85
NEVER_WAKES 24
CHANGES_UNTOLD 1
NO_DRAIN 4
ONE_CLASS 1693
END
echo "$killed mutants, each killed; the unchanged machine lives"
