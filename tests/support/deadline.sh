# shellcheck shell=bash
# Deadlines of the tests. The suite measures how slow the machine is (tests/checks/calibrate) and exports TEST_TIME_FACTOR; without it, 1.

# NUMBER: of seconds or tries on two idle cores; how many it may be on this machine.
deadline() { echo $(($1 * ${TEST_TIME_FACTOR:-1})); }
# SECONDS: the time by which it must have happened, as $SECONDS (of bash) counts.
until_second() { echo $((SECONDS + $1 * ${TEST_TIME_FACTOR:-1})); }
# SECONDS: a limit of the program under test, in a playbook. A test may have to wait for its end, so it is longer on a slow machine only: the suite's
# factor is one more than was measured.
allowed() { echo $(($1 * (${TEST_TIME_FACTOR:-1} > 1 ? ${TEST_TIME_FACTOR:-1} - 1 : 1))); }

# SECONDS: sleeps, without a process: nothing is ever written to that pipe.
exec {pause_pipe}<> <(:)
pause() { read -r -t "$1" -u "$pause_pipe" || :; }
