# shellcheck shell=sh
# Deadlines of the tests. The suite measures how slow the machine is (tests/checks/calibrate) and exports TEST_TIME_FACTOR; without it, 1.

# SECONDS: so many on two idle cores, as many more on this machine.
deadline() { echo $(($1 * ${TEST_TIME_FACTOR:-1})); }
# SECONDS: the time by which it must have happened, as $SECONDS (of bash) counts.
until_second() { echo $((SECONDS + $1 * ${TEST_TIME_FACTOR:-1})); }
