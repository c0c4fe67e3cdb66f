#include "check.h"

#include "app/step.h"

static void each_answer_has_its_meaning(void **state)
{
    (void)state;
    static const struct {
        enum reply_status said;
        enum done_status meant;
    } cases[] = {
        {REPLY_OK, DONE_OK},
        {REPLY_FAILED, DONE_FAILED},
        {REPLY_REFUSED, DONE_REFUSED},
        {REPLY_TIMEOUT, DONE_TIMED_OUT},
        {REPLY_CANCELLED, DONE_CANCELLED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply reply = {.status = cases[i].said, .sentence = "why", .output = "a line\n"};
        struct step_result result = step_from_reply(&reply);
        assert_int_equal(result.status, cases[i].meant);
        assert_string_equal(result.sentence, cases[i].said == REPLY_OK ? "" : "why");
        assert_string_equal(result.output, "a line\n");
        assert_false(result.hopeless);
    }
}

static void each_error_has_its_meaning(void **state)
{
    (void)state;
    static const struct {
        int code;
        enum done_status meant;
        bool hopeless;
    } cases[] = {
        {ERR_UNREACHABLE, DONE_UNREACHABLE, false}, {ERR_TIMEOUT, DONE_UNREACHABLE, false},
        {ERR_PROTOCOL, DONE_UNREACHABLE, false},    {ERR_AUTH, DONE_UNREACHABLE, true},
        {ERR_HOST_KEY, DONE_UNREACHABLE, true},     {ERR_REFUSED, DONE_REFUSED, false},
        {ERR_CANCELLED, DONE_CANCELLED, false},     {ERR_INPUT, DONE_FAILED, false},
        {ERR_MEMORY, DONE_FAILED, false},           {ERR_IO, DONE_FAILED, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err error = {.code = cases[i].code, .message = "why"};
        struct reply reply = {.error = &error, .sentence = "", .output = "lost\n"};
        struct step_result result = step_from_reply(&reply);
        assert_int_equal(result.status, cases[i].meant);
        assert_int_equal(result.hopeless, cases[i].hopeless);
        assert_string_equal(result.sentence, "why");
        assert_string_equal(result.output, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_has_its_meaning),
        cmocka_unit_test(each_error_has_its_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
