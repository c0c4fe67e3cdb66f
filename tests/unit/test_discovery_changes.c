/* What is asked for at once, for many nodes, is one change at each place: a transaction of an etcd, a rename of a file. */
#include "check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "app/discovery.h"
#include "etcd_gateway.h"
#include "parsed.h"

#define FEW 4
#define MANY 150
#define WAIT_MS 60000

static struct etcd_gateway gateway;
static struct parsed inventory, playbook;
static struct fleet *fleet;
static char folder[64];

/* `count` nodes that nobody connects to; half of them are announced with the release `old`. */
static void begin(size_t count, const char *lease)
{
    char text[2048];
    size_t nodes[MANY];
    struct err err;
    signal(SIGPIPE, SIG_IGN);
    etcd_gateway_start(&gateway);
    snprintf(folder, sizeof(folder), "/tmp/test-changes-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < count; i++)
        nodes[i] = i;
    snprintf(text, sizeof(text), "[web]\nn[1:%zu] address=127.0.0.1\n", count);
    parsed_inventory(&inventory, text, strlen(text));
    snprintf(text, sizeof(text),
             "[service]\nname = shop\nhosts = web\nroot = /nowhere\nport = 80\nstart = true\n[health]\ncommand = true\n"
             "[discovery registry]\ntype = etcd\netcd = http://127.0.0.1:%u\nprefix = /services\ntimeout = 20s\n%s"
             "[discovery peers]\ntype = hosts\non = runner\nfile = %s/peers\nline = {node} {release}\n",
             gateway.port, lease, folder);
    parsed_playbook(&playbook, text, strlen(text), NULL, 0, &inventory.inventory);
    if (inventory.code || playbook.code)
        fail_msg("%s%s", inventory.told, playbook.told);
    assert_int_equal(fleet_create(&fleet, &inventory.inventory, nodes, count, &playbook.playbook, &err), 0);
}

static void end(void)
{
    char file[100];
    fleet_free(fleet);
    parsed_release(&playbook);
    parsed_release(&inventory);
    etcd_gateway_stop(&gateway);
    snprintf(file, sizeof(file), "%s/peers", folder);
    unlink(file);
    rmdir(folder);
}

/* --- waiting, never for long --- */

struct waiting {
    size_t left;
    struct step_result result;
    char sentence[400];
};

static void ended(void *context, const struct step_result *result)
{
    struct waiting *waiting = context;
    if (result->status != DONE_OK)
        snprintf(waiting->sentence, sizeof(waiting->sentence), "%.390s", result->sentence);
    if (--waiting->left == 0)
        loop_stop(fleet->loop);
}

static void too_late(void *context)
{
    (void)context;
    fail_msg("nothing came of it within a minute");
}

static void await(struct waiting *waiting)
{
    struct timer *guard = timer_start(fleet->loop, WAIT_MS, too_late, NULL);
    while (waiting->left)
        loop_run(fleet->loop);
    timer_stop(guard);
    assert_string_equal(waiting->sentence, "");
    assert_int_equal(gateway.refused, 0);
}

/* The first half comes in and the others go out, or the other way round. */
static void move(size_t count, bool forward, const char *release)
{
    struct discovery_goal goals[MANY];
    struct waiting waiting = {.left = 1};
    for (size_t i = 0; i < count; i++)
        goals[i] = (struct discovery_goal){.member = i, .in = (i < count / 2) == forward, .words = {.release = release}};
    discoveries_shift(fleet->discoveries, goals, count, ended, &waiting);
    memset(goals, 0xff, sizeof(goals)); /* they were copied */
    await(&waiting);
}

static bool stands(size_t node, const char *release)
{
    char key[64], wanted[64];
    snprintf(key, sizeof(key), "/services/shop/n%zu", node + 1);
    snprintf(wanted, sizeof(wanted), "\"release\":\"%s\"", release);
    const char *value = etcd_gateway_get(&gateway, key);
    return value && strstr(value, wanted);
}

static void serve(size_t count, bool first_half, const char *release)
{
    for (size_t i = 0; i < count; i++)
        if (stands(i, release) != ((i < count / 2) == first_half))
            fail_msg("n%zu is not as it must be", i + 1);
    assert_int_equal(gateway.count, count / 2);
}

/* --- tests --- */

static void a_switch_is_one_transaction(void **state)
{
    static const char *const leases[] = {"", "lease = 60s\n"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin(FEW, leases[i]);
        move(FEW, true, "old");
        serve(FEW, true, "old");
        assert_int_equal(gateway.transaction_count, 1);
        move(FEW, false, "new");
        serve(FEW, false, "new");
        assert_int_equal(gateway.transaction_count, 2);
        assert_int_equal(gateway.transactions[1].puts, FEW / 2);
        assert_int_equal(gateway.transactions[1].deletes, FEW / 2);
        assert_int_equal(gateway.leases, i * FEW);
        end();
    }
}

static void a_switch_is_one_rename_of_a_file(void **state)
{
    char events[4096] __attribute__((aligned(8)));
    size_t renames = 0;
    (void)state;
    begin(FEW, "");
    move(FEW, true, "old");
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(inotify_add_watch(watch, folder, IN_MOVED_TO | IN_MODIFY) >= 0);
    move(FEW, false, "new");
    ssize_t length = read(watch, events, sizeof(events));
    for (char *at = events; at < events + length;) {
        const struct inotify_event *event = (const void *)at;
        bool ours = event->len && strcmp(event->name, "peers") == 0;
        assert_false(ours && event->mask & IN_MODIFY);
        renames += ours && event->mask & IN_MOVED_TO;
        at += sizeof(*event) + event->len;
    }
    assert_int_equal(renames, 1);
    close(watch);
    end();
}

/* --- leases: n1 has none, the others wait for a renewal for a moment --- */

static size_t asked;

static enum lease_answer have_one_but_n1(void *context, size_t member, struct err *why)
{
    (void)context;
    err_set(why, ERR_NO_LEASE, "the lock is not known to be ours");
    return member == 0 ? LEASE_NONE : ++asked < 9 ? LEASE_UNSURE : LEASE_HOLDS;
}

static void keep_notice(void *context, const char *text)
{
    snprintf(context, 400, "%s", text);
}

static void a_node_without_a_lease_stays_as_it_is_and_the_others_are_written_when_theirs_hold(void **state)
{
    static const struct lease_guard guard = {.ask = have_one_but_n1};
    static const struct step_result none;
    struct waiting waiting[FEW];
    struct node_words words = {.release = "new"};
    char notice[400] = "";
    (void)state;
    begin(FEW, "");
    move(FEW, true, "old");
    size_t before = gateway.transaction_count;
    asked = 0;
    fleet->guard = &guard;
    for (size_t i = 0; i < FEW; i++) {
        waiting[i] = (struct waiting){.left = 1, .result = none};
        discoveries_start(fleet->discoveries, i, i < 2 ? DISCOVERY_OUT : DISCOVERY_IN, &words, ended, &waiting[i]);
    }
    for (size_t i = 0; i < FEW; i++)
        while (waiting[i].left)
            loop_run(fleet->loop);
    assert_true(asked >= 9);
    assert_non_null(strstr(waiting[0].sentence, "not withdrawn: the lock is not known to be ours"));
    for (size_t i = 1; i < FEW; i++)
        assert_string_equal(waiting[i].sentence, "");
    assert_true(stands(0, "old") && !stands(1, "old") && stands(2, "new") && stands(3, "new"));
    assert_int_equal(gateway.transaction_count, before + 1);
    /* no operation waits for it: it is a notice */
    discoveries_on_notice(fleet->discoveries, keep_notice, notice);
    discoveries_withdraw(fleet->discoveries, 0);
    discoveries_flush(fleet->discoveries);
    assert_true(stands(0, "old"));
    assert_non_null(strstr(notice, "n1: discovery "));
    assert_non_null(strstr(notice, "not withdrawn: the lock is not known to be ours"));
    end();
}

/* As when the machine takes a wave out in one step. */
static void what_is_asked_for_several_nodes_before_the_loop_turns_is_one_transaction(void **state)
{
    struct waiting waiting = {.left = FEW};
    struct node_words words = {.release = "old"};
    (void)state;
    begin(FEW, "");
    for (size_t i = 0; i < FEW; i++)
        discoveries_start(fleet->discoveries, i, DISCOVERY_IN, &words, ended, &waiting);
    await(&waiting);
    assert_int_equal(gateway.transaction_count, 1);
    assert_int_equal(gateway.count, FEW);
    end();
}

/* Those that come in all stand there before the first one goes. */
static void what_is_more_than_a_transaction_takes_comes_in_several_and_ends_well(void **state)
{
    size_t puts = 0;
    (void)state;
    begin(MANY, "");
    move(MANY, true, "old");
    serve(MANY, true, "old");
    assert_int_equal(gateway.transaction_count, 1);
    move(MANY, false, "new");
    serve(MANY, false, "new");
    assert_int_equal(gateway.transaction_count, 3);
    for (size_t i = 1; i < gateway.transaction_count; i++) {
        puts += gateway.transactions[i].puts;
        assert_true(!gateway.transactions[i].deletes || puts == MANY / 2);
    }
    end();
}

static void keys_of_nodes_that_are_no_more_go_in_the_same_transaction_and_others_stay(void **state)
{
    (void)state;
    begin(FEW, "");
    etcd_gateway_put(&gateway, "/services/shop/gone", "{\"service\":\"shop\",\"node\":\"gone\",\"port\":80}", 0);
    etcd_gateway_put(&gateway, "/services/shop/note", "by a hand", 0);
    etcd_gateway_put(&gateway, "/services/shop/gone/more", "{\"service\":\"shop\",\"node\":\"gone\"}", 0);
    etcd_gateway_put(&gateway, "/services/shopping/gone", "{\"service\":\"shop\",\"node\":\"gone\"}", 0);
    move(FEW, true, "old");
    assert_int_equal(gateway.transaction_count, 1);
    assert_null(etcd_gateway_get(&gateway, "/services/shop/gone"));
    assert_non_null(etcd_gateway_get(&gateway, "/services/shop/note"));
    assert_non_null(etcd_gateway_get(&gateway, "/services/shop/gone/more"));
    assert_non_null(etcd_gateway_get(&gateway, "/services/shopping/gone"));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_switch_is_one_transaction),
        cmocka_unit_test(a_switch_is_one_rename_of_a_file),
        cmocka_unit_test(a_node_without_a_lease_stays_as_it_is_and_the_others_are_written_when_theirs_hold),
        cmocka_unit_test(what_is_asked_for_several_nodes_before_the_loop_turns_is_one_transaction),
        cmocka_unit_test(what_is_more_than_a_transaction_takes_comes_in_several_and_ends_well),
        cmocka_unit_test(keys_of_nodes_that_are_no_more_go_in_the_same_transaction_and_others_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
