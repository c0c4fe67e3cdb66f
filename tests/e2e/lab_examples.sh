#!/bin/bash
# Those of playbooks/ that no other test runs, as they are but for where the lab has its service.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

in_the_lab=(--set service.root=/srv/shop --set service.unit=shop.service)

# CODE VERB PLAYBOOK ARGUMENTS...
example() {
    local wanted=$1 verb=$2 playbook=$3
    shift 3
    deployctl "$wanted" "$verb" -i "$work/inventory.ini" "${quick[@]}" "${in_the_lab[@]}" "$@" "playbooks/$playbook"
}

test_the_least_playbook_makes_a_rollout_and_goes_back_by_itself() {
    example 0 rollout minimal.ini --ref v2.0
    says '^wave 1 of 6: web1$'
    serve 2.0
    example 1 rollout minimal.ini --ref v2.1
    serve 2.0
}

test_a_node_keeps_what_was_confirmed_over_a_new_connection() {
    example 0 rollout confirm.ini --ref v2.0
    serve 2.0
    for host in "${fleet[@]}"; do
        on "$host" grep -q ' confirm end .* ok confirmed over a new connection' /srv/shop/.deployctl/journal || fail "$host was not confirmed"
    done
}

test_migrations_run_once_and_in_their_place() {
    local line
    git -C "$shop" checkout -q -B orders v2.0
    mkdir -p "$shop/bin"
    # shellcheck disable=SC2016
    printf '#!/bin/sh\necho "$1" >>"$DEPLOYCTL_ROOT/shared/data"\n' >"$shop/bin/db"
    chmod 755 "$shop/bin/db"
    git -C "$shop" add bin
    git -C "$shop" -c user.name=shop -c user.email=shop@example.invalid -c commit.gpgsign=false commit -q -m "shop: a database"
    example 0 rollout migrations.ini
    git -C "$shop" checkout -q main
    serve 2.0
    line=$(on web1 cat /srv/shop/shared/data | paste -s -d ' ')
    [ "$line" = "add-total drop-sum" ] || fail "the data saw: $line"
    for host in web2 web6; do on "$host" test ! -e /srv/shop/shared/data || fail "$host ran a migration"; done
    line=$(on web6 sh -c 'cat /srv/shop/.deployctl/journal' | grep -c ' commit end ')
    [ "$line" -gt 0 ] || fail "web6 committed nothing"
}

run_tests "$0" "$@"
