#!/bin/bash
# Compares our reading of tests/unit/inventories/*.ini with ansible-inventory's, where that is installed.
# `--update` rewrites the expected JSON that test_inventory.c reads, from ansible-inventory alone.
# bad_*.ini must be refused by both.
# shellcheck disable=SC2016,SC2317 # xargs calls the function by its name
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! command -v ansible-inventory >/dev/null; then
    echo "skipped: ansible-inventory is not installed"
    exit 0
fi

: >"$work/ansible.cfg"
# An empty working folder and configuration keep group_vars/ and ansible.cfg of other places out.
export ANSIBLE_INVENTORY_ENABLED=ini ANSIBLE_INVENTORY_UNPARSED_FAILED=true \
    ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=true ANSIBLE_CONFIG="$work/ansible.cfg" HOME="$work" LC_ALL=C.UTF-8

reference() {
    local name
    name=$(basename "$1" .ini)
    if (cd "$WORK" && ansible-inventory -i "$1" --list) >"$WORK/$name.out" 2>"$WORK/$name.err"; then
        mv "$WORK/$name.out" "$WORK/$name.json"
    fi
}
export -f reference
WORK=$work
export WORK
printf '%s\0' "$here"/inventories/*.ini | xargs -0 -n 1 -P 2 bash -c 'reference "$1"' reference

# shellcheck disable=SC2046 # flags are words
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -I"$root/include" -o "$work/inventory_print" \
    "$here/inventory_print.c" "$root"/src/base/*.c "$root"/src/model/*.c $(pkg-config --cflags --libs inih jansson)

failed=0 count=0
for file in "$here"/inventories/*.ini; do
    name=$(basename "$file" .ini)
    count=$((count + 1))
    "$work/inventory_print" "$file" >"$work/ours.json" 2>"$work/ours.err" && ours=yes || ours=no
    [ -e "$work/$name.json" ] && theirs=yes || theirs=no
    case $name in bad_*) expected=no ;; *) expected=yes ;; esac
    if [ "$ours" != "$expected" ] || [ "$theirs" != "$expected" ]; then
        echo "$name: read by us: $ours, by ansible: $theirs, expected: $expected"
        cat "$work/ours.err" "$work/$name.err"
        failed=1
    elif [ "$expected" = yes ] && ! python3 - "$work/ours.json" "$work/$name.json" <<'COMPARE'; then
import json, sys
ours, theirs = (json.load(open(path)) for path in sys.argv[1:])
def show(value, path=""):
    if isinstance(value, dict):
        for key in value: yield from show(value[key], path + "/" + key)
        if not value: yield path + " {}"
    else: yield path + " " + json.dumps(value)
if json.dumps(ours, sort_keys=True) != json.dumps(theirs, sort_keys=True):
    a, b = set(show(ours)), set(show(theirs))
    for line in sorted(a - b): print("  ours:   ", line[:300])
    for line in sorted(b - a): print("  ansible:", line[:300])
    sys.exit(1)
COMPARE
        echo "$name: differs from ansible-inventory"
        failed=1
    fi
    if [ "${1:-}" = --update ] && [ "$theirs" = yes ]; then
        cp "$work/$name.json" "$here/inventories/$name.json"
    fi
done
[ $failed = 0 ] && echo "all $count inventories agree with $(ansible-inventory --version | sed -n 1p)"
exit $failed
