#!/bin/sh
# Shows that the property test can fail: builds the core with its deliberate faults (enum mutant), switches each one on, and
# expects a law to be broken. Prints the seed that kills each mutant; exits 1 when one lives.
set -eu

cd "$(dirname "$0")/../.."
build=${BUILD:-build}/mutants
worlds=${DEPLOYCTL_WORLDS:-6000}
mkdir -p "$build"

for test in laws locks; do
    ${CC:-gcc} -std=gnu11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -DDEPLOYCTL_MUTANTS -Iinclude -Itests/support \
        -o "$build/test_$test" src/core/*.c src/base/arena.c src/base/err.c src/base/random.c src/base/strbuf.c src/base/units.c \
        tests/support/world*.c "tests/property/test_$test.c" -lcmocka -lm
done

names=$(sed -n '/^enum mutant {/,/^};/p' src/core/rollout_internal.h | grep -o 'MUTANT_[A-Z_]*')
number=0
alive=
for name in $names; do
    expected=0
    [ "$number" -eq 0 ] || expected=1
    code=0
    test=laws
    case $name in *LOCKS_WITHOUT_ORDER) test=locks ;; esac
    said=$(DEPLOYCTL_MUTANT=$number DEPLOYCTL_BRIEF=1 DEPLOYCTL_WORLDS=$worlds "$build/test_$test" 2>&1) || code=1
    seed=$(printf '%s\n' "$said" | grep '^seed ' || echo 'no law broken')
    printf '%-32s %s\n' "$name" "$seed"
    [ "$code" -eq "$expected" ] || alive="$alive $name"
    number=$((number + 1))
done

if [ -n "$alive" ]; then
    echo "not as expected:$alive"
    exit 1
fi
echo "$((number - 1)) mutants, each killed; the unchanged machine lives"
