#include "check.h"

#include <string.h>

#include "app/crossing.h"
#include "app/facts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int read_values(struct facts *facts, const struct reply_value *values, size_t count,
                       struct err *err)
{
    struct reply reply = {.values = values, .value_count = count};
    return facts_read(facts, &reply, err);
}

static void every_key_is_read(void **state)
{
    (void)state;
    static const struct reply_value values[] = {
        {"now", "1700000000"},
        {"current", "b"},
        {"current_state", "ok"},
        {"current_good", "yes"},
        {"previous", "a"},
        {"release", "a good"},
        {"release", "b staged"},
        {"release", "c failed"},
        {"release", "d incomplete"},
        {"disk_free", "18446744073709551615"},
        {"disk_total", "2000"},
        {"inodes_free", "7"},
        {"writable", "yes"},
        {"sudo", "ok"},
        {"unit_load", "loaded"},
        {"unit_active", "active"},
        {"unit_sub", "running"},
        {"lock_holder", "ann@host job 1"},
        {"lock_rollout", "r1"},
        {"lock_age", "5"},
        {"lock_ttl", "60"},
        {"lock_expired", "no"},
        {"open_rollout", "r1 activate"},
    };
    struct facts facts;
    struct err err;
    assert_int_equal(read_values(&facts, values, COUNT(values), &err), 0);
    assert_string_equal(facts.current, "b");
    assert_true(facts.current_good);
    assert_string_equal(facts.previous, "a");
    assert_true(facts.disk_free == UINT64_MAX);
    assert_true(facts.disk_total == 2000);
    assert_true(facts.inodes_free == 7);
    assert_true(facts.writable);
    assert_string_equal(facts.sudo, "ok");
    assert_string_equal(facts.unit_load, "loaded");
    assert_string_equal(facts.unit_active, "active");
    assert_string_equal(facts.unit_sub, "running");
    assert_string_equal(facts.lock_holder, "ann@host job 1");
    assert_string_equal(facts.lock_rollout, "r1");
    assert_true(facts.lock_age_s == 5 && facts.lock_ttl_s == 60 && !facts.lock_expired);
    assert_string_equal(facts.open_rollout, "r1");
    assert_string_equal(facts.open_step, "activate");
    assert_int_equal(facts.release_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(facts.releases[i].state, (int)i);
    facts_release(&facts);
}

static void the_release_before_is_never_the_one_that_was_not_committed(void **state)
{
    (void)state;
    struct facts committed = {.current = "b", .current_good = true, .previous = "a"};
    struct facts half_done = {.current = "b", .previous = "a", .open_rollout = "r1"};
    struct facts first = {.current = "b", .open_rollout = "r1"};
    struct facts not_ours = {.current = "b"};
    assert_string_equal(facts_release_before(&committed), "b");
    assert_string_equal(facts_release_before(&half_done), "a");
    assert_null(facts_release_before(&first));
    assert_string_equal(facts_release_before(&not_ours), "b");
}

static void breakers_are_read_and_what_is_none_is_left_out(void **state)
{
    (void)state;
    static const struct reply_value values[] = {
        {"breaker", "r1 open 1764349283123 dependency balancer%20lb%20on%20lb1 connection refused"},
        {"breaker", "r1 ajar 1764349283123 node web1 x"},
        {"breaker", "r2 open 1764349283123 node web2 of another run"},
        {"breaker", "r1"},
        {"breaker", ""},
        {"breaker", "r1 half-open 1764349283124 node web3 -"},
    };
    struct facts facts;
    struct err err;
    assert_int_equal(read_values(&facts, values, COUNT(values), &err), 0);
    assert_string_equal(facts.breaker_rollout, "r1");
    assert_int_equal(facts.breaker_count, 2);
    assert_string_equal(facts.breakers[0].dependency, "balancer lb on lb1");
    assert_string_equal(facts.breakers[0].error, "connection refused");
    assert_string_equal(facts.breakers[1].node, "web3");
    assert_string_equal(facts.breakers[1].state, "half open");
    assert_null(facts.breakers[1].error);
    facts_release(&facts);
}

static void a_dash_is_nothing(void **state)
{
    (void)state;
    static const struct reply_value values[] = {{"current", "-"},
                                                {"previous", "-"},
                                                {"sudo", ""},
                                                {"disk_free", "-"},
                                                {"open_rollout", "r1"}};
    struct facts facts;
    struct err err;
    assert_int_equal(read_values(&facts, values, COUNT(values), &err), 0);
    assert_null(facts.current);
    assert_null(facts.previous);
    assert_null(facts.sudo);
    assert_true(facts.disk_free == 0);
    assert_string_equal(facts.open_rollout, "r1");
    assert_null(facts.open_step);
    facts_release(&facts);
}

static void numbers_that_are_none_are_refused_and_named(void **state)
{
    (void)state;
    static const char *const texts[] = {"x", "-1", "1 ", "1.5", "18446744073709551616", "0x10"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct reply_value value = {"disk_free", texts[i]};
        struct facts facts;
        struct err err;
        assert_int_not_equal(read_values(&facts, &value, 1, &err), 0);
        assert_int_equal(err.code, ERR_PROTOCOL);
        assert_non_null(strstr(err.message, "disk_free"));
        facts_release(&facts);
    }
}

static void a_release_without_a_state_is_refused(void **state)
{
    (void)state;
    struct reply_value value = {"release", "a"};
    struct facts facts;
    struct err err;
    assert_int_equal(read_values(&facts, &value, 1, &err), ERR_PROTOCOL);
    assert_non_null(strstr(err.message, "release"));
    facts_release(&facts);
}

static void an_unknown_state_counts_as_incomplete(void **state)
{
    (void)state;
    struct reply_value value = {"release", "a splendid"};
    struct facts facts;
    struct err err;
    enum release_state found = RELEASE_GOOD;
    assert_int_equal(read_values(&facts, &value, 1, &err), 0);
    assert_true(facts_has(&facts, "a", &found));
    assert_int_equal(found, RELEASE_INCOMPLETE);
    assert_false(facts_has(&facts, "b", NULL));
    facts_release(&facts);
}

static void unknown_keys_are_passed_over(void **state)
{
    (void)state;
    struct reply_value value = {"weather", "fine"};
    struct facts facts;
    struct err err;
    assert_int_equal(read_values(&facts, &value, 1, &err), 0);
    facts_release(&facts);
}

/* --- checks --- */

static struct facts sound(void)
{
    return (struct facts){.writable = true,
                          .disk_free = 1000000,
                          .disk_total = 2000000,
                          .inodes_free = 10,
                          .unit_load = "loaded"};
}
static const struct service shop = {.name = "shop", .root = "/srv/shop", .unit = "shop.service"};

static void refused(const struct facts *facts, bool become, uint64_t needed,
                    const char *const words[])
{
    struct err err;
    err_clear(&err);
    assert_int_equal(facts_check(facts, &shop, become, needed, &err), ERR_REFUSED);
    for (size_t i = 0; words[i]; i++)
        if (!strstr(err.message, words[i]))
            fail_msg("'%s' is not in: %s", words[i], err.message);
    assert_true(strcmp(err.message + strlen(err.message) - 1, ".") != 0);
}

static void a_sound_node_passes(void **state)
{
    (void)state;
    struct facts facts = sound();
    struct err err;
    assert_int_equal(facts_check(&facts, &shop, false, 1000000, &err), 0);
    facts.sudo = "a password is required";
    assert_int_equal(facts_check(&facts, &shop, false, 0, &err), 0);
    facts.sudo = "ok";
    assert_int_equal(facts_check(&facts, &shop, true, 0, &err), 0);
}

static void each_refusal_says_what_to_do(void **state)
{
    (void)state;
    struct facts facts = sound();
    facts.sudo = "a password is required";
    refused(&facts, true, 0, (const char *const[]){"a password is required", "NOPASSWD", NULL});
    facts = sound();
    facts.writable = false;
    refused(&facts, false, 0, (const char *const[]){"/srv/shop", "become = yes", NULL});
    refused(&facts, true, 0, (const char *const[]){"/srv/shop", "sudo", NULL});
    facts = sound();
    facts.unit_load = "not-found";
    refused(&facts, false, 0, (const char *const[]){"shop.service", "not-found", "install", NULL});
    facts = sound();
    refused(&facts, false, 1000001, (const char *const[]){"disk", "/srv/shop", NULL});
    facts.inodes_free = 0;
    refused(&facts, false, 1, (const char *const[]){"inode", NULL});
}

static void a_root_of_another_service_is_refused_unless_it_is_its_earlier_name(void **state)
{
    (void)state;
    struct err err;
    struct facts facts = sound();
    facts.service = "store";
    refused(&facts, false, 0, (const char *const[]){"/srv/shop", "belongs to service store", "for shop", "service.renamed_from=store", NULL});
    struct service renamed = shop;
    renamed.renamed_from = "store";
    assert_int_equal(facts_check(&facts, &renamed, false, 0, &err), 0);
    facts.service = "shop";
    assert_int_equal(facts_check(&facts, &renamed, false, 0, &err), 0);
    assert_int_equal(facts_check(&facts, &shop, false, 0, &err), 0);
}

static void a_current_that_is_no_link_is_refused(void **state)
{
    (void)state;
    struct facts facts = sound();
    facts.current_state = "not-a-link";
    refused(&facts, false, 0, (const char *const[]){"/srv/shop/current", "a folder or a file", "move it away", NULL});
}

static void what_another_tool_has_put_there_is_no_way_back(void **state)
{
    (void)state;
    struct release_fact releases[] = {{"20200101120000", RELEASE_INCOMPLETE, 0}, {"a", RELEASE_GOOD, 1}};
    struct facts facts = {.current_state = "ok", .current = "20200101120000", .releases = releases, .release_count = 2};
    struct err err;
    assert_int_equal(facts_check_way_back(&facts, "b", &err), ERR_REFUSED);
    assert_non_null(strstr(err.message, "current leads to 20200101120000, which no rollout has staged here"));
    assert_non_null(strstr(err.message, "--set failure.action=stop"));
    facts = (struct facts){.current_state = "foreign"};
    assert_int_equal(facts_check_way_back(&facts, "b", &err), ERR_REFUSED);
    facts.current = "elsewhere";
    assert_int_equal(facts_check_way_back(&facts, "b", &err), ERR_REFUSED);
}

static void a_release_of_ours_or_none_is_a_way_back(void **state)
{
    (void)state;
    struct release_fact releases[] = {{"a", RELEASE_GOOD, 1}, {"c", RELEASE_INCOMPLETE, 0}};
    struct facts facts = {.current_state = "none", .releases = releases, .release_count = 2};
    struct err err;
    assert_int_equal(facts_check_way_back(&facts, "b", &err), 0);
    facts.current_state = "dangling";
    facts.current = "gone";
    assert_int_equal(facts_check_way_back(&facts, "b", &err), 0);
    facts.current_state = "ok";
    facts.current = "a";
    facts.current_good = true;
    assert_int_equal(facts_check_way_back(&facts, "b", &err), 0);
    facts.current = "c";
    assert_int_equal(facts_check_way_back(&facts, "c", &err), 0); /* nothing changes */
    facts.current_good = false;
    facts.previous = "a";
    assert_int_equal(facts_check_way_back(&facts, "b", &err), 0);
}

static void a_full_disk_stands_in_nobodys_way_when_nothing_is_staged(void **state)
{
    (void)state;
    struct facts facts = sound();
    struct err err;
    facts.disk_free = facts.inodes_free = 0;
    assert_int_equal(facts_check(&facts, &shop, false, 0, &err), 0);
}

static void a_file_system_that_counts_no_inodes_is_fine(void **state)
{
    (void)state;
    struct facts facts = sound();
    struct err err;
    facts.inodes_free = facts.disk_total = 0;
    assert_int_equal(facts_check(&facts, &shop, false, 1, &err), 0);
}

#define SECOND "20260101T000000Z-"
static void crosses(const char *release, bool crossed, const struct reply_value *values, size_t count)
{
    struct facts facts;
    struct err err;
    assert_int_equal(read_values(&facts, values, count, &err), 0);
    assert_int_equal(facts_crossed(&facts, release, NULL).fact != NULL, crossed);
    facts_release(&facts);
}

static void in_one_second_the_node_knows_which_release_was_first(void **state)
{
    (void)state;
    static const struct reply_value committed[] = {
        {"release", SECOND "cc good"}, {"since", "release " SECOND "cc 100"},
        {"release", SECOND "bb good"}, {"since", "release " SECOND "bb 200"},
        {"migration", "m done " SECOND "bb irreversible"}, {"since", "migration m 190"}};
    crosses(SECOND "cc", true, committed, COUNT(committed));
    crosses(SECOND "bb", false, committed, COUNT(committed));
    crosses(SECOND "aa", false, committed, COUNT(committed)); /* a new one */
    crosses("20251231T235959Z-ff", true, committed, COUNT(committed));
    crosses("20260101T000001Z-00", false, committed, COUNT(committed));
    /* what brought it is no good release */
    static const struct reply_value failed[] = {
        {"release", SECOND "bb failed"}, {"release", SECOND "cc good"}, {"since", "release " SECOND "cc 100"},
        {"release", SECOND "aa good"}, {"since", "release " SECOND "aa 300"},
        {"migration", "m done " SECOND "bb irreversible"}, {"since", "migration m 190"}};
    crosses(SECOND "cc", true, failed, COUNT(failed));
    crosses(SECOND "bb", false, failed, COUNT(failed));
    crosses(SECOND "aa", false, failed, COUNT(failed));
    struct facts facts;
    struct err err;
    assert_int_equal(read_values(&facts, committed, COUNT(committed), &err), 0);
    assert_true(facts_release_order(&facts, SECOND "cc", SECOND "bb") < 0);
    assert_true(facts_release_order(&facts, SECOND "aa", SECOND "bb") > 0);
    assert_true(facts_release_order(&facts, SECOND "bb", SECOND "bb") == 0);
    assert_true(facts_release_order(&facts, "20251231T235959Z-ff", SECOND "cc") < 0);
    facts_release(&facts);
}

static void assert_timer_told(const char *confirm, const char *reverted, const char *expected)
{
    struct facts facts = {.confirm = confirm, .reverted = reverted};
    struct strbuf out;
    strbuf_init(&out, 1024);
    facts_tell_timer(&facts, &out);
    assert_string_equal(out.text, expected);
    strbuf_release(&out);
}

static void assert_lost_timer_told(const char *current, bool good, const char *expected)
{
    struct facts facts = {.confirm = "lost 0 b a", .current = current, .current_good = good};
    struct strbuf out;
    strbuf_init(&out, 1024);
    facts_tell_timer(&facts, &out);
    assert_string_equal(out.text, expected);
    strbuf_release(&out);
}

static void a_confirm_timer_is_told_in_a_sentence(void **state)
{
    (void)state;
    assert_timer_told(NULL, NULL, "");
    assert_timer_told("armed 12 b a", NULL,
                      "release b is not confirmed: the node puts a back in 12 s");
    assert_timer_told("armed 0 b -", NULL,
                      "release b is not confirmed: the node puts no release back in 0 s");
    assert_timer_told(
        "lost 0 b a", NULL,
        "release b was not confirmed, and the timer that would have put a "
        "back is gone: no release is current");
    assert_lost_timer_told("b", false,
                           "release b was not confirmed, and the timer that would have put a back is gone: b is still "
                           "current; resume goes on with it, abort puts a back");
    assert_lost_timer_told("a", true,
                           "release b was not confirmed, and the timer that would have put a back is gone: a is current");
    assert_lost_timer_told("b", true, "");
    assert_timer_told(
        NULL, "1700000000 b a r1 ok release a is current",
        "reverted by its confirm timer at 2023-11-14 22:13:20 UTC, release b back to a "
        "(rollout r1)");
    assert_timer_told(
        NULL, "1700000000 b a r1 failed start: exit status 3",
        "its confirm timer could not put a back at 2023-11-14 22:13:20 UTC: start: exit "
        "status 3");
}

static void a_malformed_timer_is_not_told(void **state)
{
    (void)state;
    struct strbuf out;
    strbuf_init(&out, 1024);
    assert_false(reverted_sentence("yesterday b a r1 ok x", &out));
    assert_false(reverted_sentence("1700000000 b", &out));
    assert_false(reverted_sentence("", &out));
    assert_int_equal(out.length, 0);
    strbuf_release(&out);
    assert_timer_told("armed soon b a", NULL, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(the_release_before_is_never_the_one_that_was_not_committed),
        cmocka_unit_test(breakers_are_read_and_what_is_none_is_left_out),
        cmocka_unit_test(a_dash_is_nothing),
        cmocka_unit_test(numbers_that_are_none_are_refused_and_named),
        cmocka_unit_test(a_release_without_a_state_is_refused),
        cmocka_unit_test(an_unknown_state_counts_as_incomplete),
        cmocka_unit_test(unknown_keys_are_passed_over),
        cmocka_unit_test(a_sound_node_passes),
        cmocka_unit_test(each_refusal_says_what_to_do),
        cmocka_unit_test(a_root_of_another_service_is_refused_unless_it_is_its_earlier_name),
        cmocka_unit_test(a_root_of_another_service_is_refused_unless_it_is_its_earlier_name),
        cmocka_unit_test(a_current_that_is_no_link_is_refused),
        cmocka_unit_test(what_another_tool_has_put_there_is_no_way_back),
        cmocka_unit_test(a_release_of_ours_or_none_is_a_way_back),
        cmocka_unit_test(a_full_disk_stands_in_nobodys_way_when_nothing_is_staged),
        cmocka_unit_test(a_file_system_that_counts_no_inodes_is_fine),
        cmocka_unit_test(in_one_second_the_node_knows_which_release_was_first),
        cmocka_unit_test(a_confirm_timer_is_told_in_a_sentence),
        cmocka_unit_test(a_malformed_timer_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
