#include "base/random.h"
#include "check.h"

static void the_numbers_are_splitmix64(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, 1234567);
    assert_true(random_next(&random) == UINT64_C(6457827717110365317));
    assert_true(random_next(&random) == UINT64_C(3203168211198807973));
    assert_true(random_next(&random) == UINT64_C(9817491932198370423));
}

static void below_stays_below_and_reaches_all(void **state)
{
    (void)state;
    struct random random;
    unsigned seen = 0;
    random_init(&random, 7);
    for (int i = 0; i < 1000; i++) {
        uint64_t value = random_below(&random, 10);
        assert_true(value < 10);
        seen |= 1u << value;
    }
    assert_int_equal(seen, 0x3ff);
    assert_int_equal(random_below(&random, 0), 0);
    assert_int_equal(random_below(&random, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_are_splitmix64),
        cmocka_unit_test(below_stays_below_and_reaches_all),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
