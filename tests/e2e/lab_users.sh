#!/bin/bash
# Accounts as they are: bash with a noisy start-up file, dash, busybox ash; with sudo.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

rolls_out_as() {
    inventory=$work/inventory.$1.ini shop 0 rollout --ref v2.0
    serve 2.0
    inventory=$work/inventory.$1.ini shop 1 rollout --ref v2.1
    serve 2.0
}

test_bash_with_a_noisy_start_up_file() { rolls_out_as deploy; }
test_dash() { rolls_out_as dashuser; }
test_busybox_ash() { rolls_out_as ashuser; }

run_tests "$0" "$@"
