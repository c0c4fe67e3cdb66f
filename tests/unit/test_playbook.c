#include <stdio.h>
#include <string.h>

#include "check.h"
#include "model/playbook_keys.h"
#include "parsed.h"

#define BASE "[service]\nname = shop\nroot = /srv/shop\nunit = shop.service\nport = 8080\n"

static void parse(struct parsed *parsed, const char *text)
{
    parsed_playbook(parsed, text, strlen(text), NULL, 0, NULL);
}

static void assert_told(const char *text, const char *told)
{
    struct parsed parsed;
    parse(&parsed, text);
    assert_string_equal(parsed.told, told);
    assert_int_equal(parsed.code, *told ? ERR_INPUT : 0);
    parsed_release(&parsed);
}

static void three_lines_make_a_sane_rollout(void **state)
{
    (void)state;
    struct parsed parsed;
    parse(&parsed, "[service]\nname=shop\nroot=/srv/shop\nunit=shop.service\n");
    const struct playbook *playbook = &parsed.playbook;
    assert_string_equal(parsed.told, "");
    assert_string_equal(playbook->service.hosts, "all");
    assert_int_equal(playbook->service.keep, 5);
    assert_false(playbook->service.become);
    assert_int_equal(playbook->source.kind, SOURCE_GIT);
    assert_string_equal(playbook->source.location, ".");
    assert_string_equal(playbook->source.ref, "HEAD");
    assert_int_equal(playbook->strategy.kind, STRATEGY_ROLLING);
    assert_int_equal(playbook->strategy.batch_count, 2);
    assert_int_equal(playbook->strategy.batch[0].value, 1);
    assert_int_equal(playbook->strategy.batch[1].value, 25);
    assert_true(playbook->strategy.batch[1].percent);
    assert_int_equal(playbook->strategy.bake_ms, 10000);
    assert_true(playbook->health.unit);
    assert_false(playbook->health.tcp);
    assert_int_equal(playbook->health.expect_from, 200);
    assert_int_equal(playbook->health.expect_to, 299);
    assert_int_equal(playbook->health.rise, 2);
    assert_int_equal(playbook->health.progress_deadline_ms, 600000);
    assert_int_equal(playbook->failure.max_failures.value, 0);
    assert_int_equal(playbook->failure.action, FAILURE_ROLLBACK);
    assert_int_equal(playbook->retry.attempts, 3);
    assert_int_equal(playbook->retry.step_timeout_ms, 300000);
    assert_int_equal(playbook->hook_count, 0);
    parsed_release(&parsed);
}

static void every_value_reaches_its_field(void **state)
{
    (void)state;
    struct parsed parsed;
    parse(&parsed,
          "[service]\nname = shop\nhosts = web:!web3\nroot = /srv/shop/\nport = 8080\n"
          "unit = shop@1.service\nreload = kill -HUP $(cat pid) ; true # now\nbecome = yes\n"
          "shared = log, uploads/, config/app.env\nkeep = 7\n"
          "[source]\narchive = dist/shop.tar.zst\nmax_size = 512MiB\n"
          "[strategy]\nbatch = 1, 25%, 50%\nmax_unavailable = 3\nspread = zone\nbake = 1m30s\n"
          "order = reverse\n"
          "[health]\nhttp = /healthz?n={node}\nexpect = 204\nbody = ^(ok|up){{1,2}} {release}$\nidentity = header  X-Release\n"
          "headers = Host: {node}, X-Probe: yes\nvia = direct\ntcp = yes\nport = 9090\nrise = 3\n"
          "[failure]\nmax_failures = 10%\nunreachable = skip\naction = pause\n"
          "[retry]\nattempts = 1\nconnect_timeout = 3s\n"
          "[step warm]\nwhen = after_activate\non = first\nrun = ./warm {x} ; ok\ntimeout = 5s\n"
          "ignore_failure = yes\n[step b]\nwhen = on_failure\nrun = b\n");
    const struct playbook *playbook = &parsed.playbook;
    assert_string_equal(parsed.told, "");
    assert_string_equal(playbook->service.root, "/srv/shop");
    assert_string_equal(playbook->service.reload, "kill -HUP $(cat pid) ; true # now");
    assert_true(playbook->service.become);
    assert_int_equal(playbook->service.shared.count, 3);
    assert_string_equal(playbook->service.shared.items[1], "uploads");
    assert_int_equal(playbook->source.kind, SOURCE_ARCHIVE);
    assert_true(playbook->source.max_size == 512 << 20);
    assert_string_equal(playbook->source.location, "dist/shop.tar.zst");
    assert_int_equal(playbook->strategy.batch_count, 3);
    assert_int_equal(playbook->strategy.max_unavailable.value, 3);
    assert_string_equal(playbook->strategy.spread, "zone");
    assert_int_equal(playbook->strategy.bake_ms, 90000);
    assert_int_equal(playbook->strategy.order, ORDER_REVERSE);
    assert_int_equal(playbook->health.expect_from, 204);
    assert_int_equal(playbook->health.expect_to, 204);
    assert_string_equal(playbook->health.headers.items[1], "X-Probe: yes");
    assert_string_equal(playbook->health.body, "^(ok|up){{1,2}} {release}$");
    assert_int_equal(playbook->health.identity.kind, IDENTITY_HEADER);
    assert_string_equal(playbook->health.identity.text, "X-Release");
    assert_int_equal(playbook->health.via, VIA_DIRECT);
    assert_int_equal(playbook->health.port, 9090);
    assert_int_equal(playbook->failure.unreachable, UNREACHABLE_SKIP);
    assert_int_equal(playbook->failure.action, FAILURE_PAUSE);
    assert_int_equal(playbook->retry.connect_timeout_ms, 3000);
    assert_int_equal(playbook->hook_count, 2);
    assert_string_equal(playbook->hooks[0].name, "warm");
    assert_int_equal(playbook->hooks[0].when, HOOK_AFTER_ACTIVATE);
    assert_int_equal(playbook->hooks[0].on, HOOK_ON_FIRST);
    assert_string_equal(playbook->hooks[0].run, "./warm {x} ; ok");
    assert_true(playbook->hooks[0].ignore_failure);
    assert_int_equal(playbook->hooks[1].timeout_ms, 60000);
    assert_int_equal(playbook_line(playbook, "service", "keep"), 10);
    assert_int_equal(playbook_line(playbook, "step warm", "timeout"), 41);
    assert_int_equal(playbook_line(playbook, "retry", "max"), 0);
    parsed_release(&parsed);
}

static void unknown_names_are_told_with_the_nearest(void **state)
{
    (void)state;
    assert_told(BASE "[helth]\nx=1\n[health]\nintervall = 1s\n[failure]\nzzz = 1\n",
                "shop.ini:6: unknown section [helth]; did you mean [health]?\n"
                "shop.ini:9: unknown key 'intervall' in [health]; did you mean 'interval'?\n"
                "shop.ini:11: unknown key 'zzz' in [failure]; known are max_failures, "
                "unreachable, action\n");
    assert_told(BASE "[step a]\nwehn = after_stage\nrun = x\n",
                "shop.ini:6: key 'when' is missing in [step a]\n"
                "shop.ini:7: unknown key 'wehn' in [step a]; did you mean 'when'?\n");
}

static void releases_are_pinned_by_their_first_letters(void **state)
{
    (void)state;
    struct parsed parsed;
    parse(&parsed, BASE "pin = 20260101, 1a2b3c\n");
    assert_int_equal(parsed.playbook.service.pin.count, 2);
    assert_string_equal(parsed.playbook.service.pin.items[1], "1a2b3c");
    parsed_release(&parsed);
}

static void migrations_keep_their_order_and_have_defaults(void **state)
{
    (void)state;
    struct parsed parsed;
    parse(&parsed, BASE "[migration b]\nrun = x ; y\ndown = z\n"
                        "[migration a]\nkind = irreversible\nrun = x\nbackup = y\non = web3\n"
                        "timeout = 2h\n");
    const struct playbook *playbook = &parsed.playbook;
    assert_string_equal(parsed.told, "");
    assert_int_equal(playbook->migration_count, 2);
    assert_string_equal(playbook->migrations[0].name, "b");
    assert_int_equal(playbook->migrations[0].kind, CHANGE_EXPAND);
    assert_string_equal(playbook->migrations[0].run, "x ; y");
    assert_string_equal(playbook->migrations[0].on, "first");
    assert_int_equal(playbook->migrations[0].timeout_ms, 600000);
    assert_int_equal(playbook->migrations[1].kind, CHANGE_IRREVERSIBLE);
    assert_string_equal(playbook->migrations[1].on, "web3");
    assert_int_equal(playbook->migrations[1].timeout_ms, 7200000);
    parsed_release(&parsed);
}

static void migrations_that_make_no_sense_are_faults(void **state)
{
    (void)state;
    assert_told(BASE "[migration a]\nkind = contract\ndown = x\n"
                     "[migration b]\nrun = x\nbackup = x\n"
                     "[migration c]\nkind = irreversible\nrun = x\ndown = x\n"
                     "[migration]\nrun = x\n",
                "shop.ini:6: key 'run' is missing in [migration a]\n"
                "shop.ini:8: key 'down' in [migration a]: what runs after the last commit is never "
                "undone\n"
                "shop.ini:11: key 'backup' in [migration b] has a meaning with kind = irreversible "
                "only\n"
                "shop.ini:15: key 'down' in [migration c]: what is irreversible has no way back\n"
                "shop.ini:16: section [migration] needs a name: letters, digits, '.', '_' and '-', "
                "as in [migration add-price]\n");
}

static void there_are_at_most_64_migrations(void **state)
{
    (void)state;
    struct parsed parsed;
    char text[8192] = BASE;
    for (int i = 0; i <= MIGRATIONS_MAX; i++)
        snprintf(text + strlen(text), 64, "[migration m%d]\nrun = x\n", i);
    parse(&parsed, text);
    assert_string_equal(parsed.told, "shop.ini:134: more than 64 migrations; remove old ones that "
                                     "ran everywhere\n");
    parsed_release(&parsed);
}

#define BLUE_GREEN                                                                                 \
    "[service]\nname = shop\nroot = /srv/shop\nunit = shop@{slot}.service\n"                       \
    "[strategy]\ntype = blue-green\n[balancer front]\ntype = haproxy\nnodes = lb\n"               \
    "backend = shop\n"
#define SLOT_PAIR "[slot blue]\nport = 8081\n[slot green]\nport = 8082\n"

static void two_slots_on_each_node_are_read(void **state)
{
    (void)state;
    struct parsed parsed;
    parse(&parsed, BLUE_GREEN SLOT_PAIR "[health]\nhttp = /healthz\n");
    const struct playbook *playbook = &parsed.playbook;
    assert_string_equal(parsed.told, "");
    assert_true(playbook_has_slots(playbook));
    assert_false(playbook_has_sides(playbook));
    assert_int_equal(playbook->slots[SLOT_BLUE].port, 8081);
    assert_int_equal(playbook->slots[SLOT_GREEN].port, 8082);
    assert_int_equal(playbook->strategy.promote, PROMOTE_AUTO);
    assert_int_equal(playbook->strategy.keep_old_ms, 15 * 60 * 1000);
    parsed_release(&parsed);
}

static void two_groups_of_nodes_are_read(void **state)
{
    (void)state;
    struct parsed parsed;
    const char *text = "[service]\nname=shop\nroot=/srv/shop\nport=80\nstart=a\nstop=b\n"
                       "[strategy]\ntype = blue-green\npromote = manual\nkeep_old = until-next\n"
                       "[balancer front]\ntype = haproxy\nnodes = lb\nbackend = shop\n"
                       "[slot blue]\nhosts = a\n[slot green]\nhosts = b\n";
    parse(&parsed, text);
    assert_string_equal(parsed.told, "");
    assert_true(playbook_has_sides(&parsed.playbook));
    assert_false(playbook_has_slots(&parsed.playbook));
    assert_string_equal(parsed.playbook.slots[SLOT_GREEN].hosts, "b");
    assert_int_equal(parsed.playbook.strategy.promote, PROMOTE_MANUAL);
    assert_int_equal(parsed.playbook.strategy.keep_old_ms, KEEP_UNTIL_NEXT);
    parsed_release(&parsed);
}

#define OWN_BALANCER                                                                               \
    "[balancer own]\ntype = nginx\nscope = node\nfile = /srv/{node}/shop.upstream\nupstream = shop\n"
#define SLOTS_ALONE                                                                                \
    "[service]\nname = shop\nroot = /srv/shop\nunit = shop@{slot}.service\n"                       \
    "[strategy]\ntype = blue-green\n"

static void a_balancer_of_each_node_is_read(void **state)
{
    (void)state;
    struct parsed parsed;
    parse(&parsed, SLOTS_ALONE SLOT_PAIR "[health]\nhttp = /healthz\n" OWN_BALANCER);
    assert_string_equal(parsed.told, "");
    assert_int_equal(parsed.playbook.balancers[0].scope, SCOPE_NODE);
    assert_null(parsed.playbook.balancers[0].nodes);
    parsed_release(&parsed);
}

static void a_balancer_of_each_node_needs_two_slots_there(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_told(BASE OWN_BALANCER,
                "shop.ini:8: key 'scope' in [balancer own]: node needs type = blue-green in [strategy] with two "
                "slots on each node, between which the node's own balancer switches\n");
    parse(&parsed, SLOTS_ALONE "[slot blue]\nhosts = a\n[slot green]\nhosts = b\n" OWN_BALANCER);
    assert_non_null(strstr(parsed.told, "key 'scope' in [balancer own]: node needs"));
    parsed_release(&parsed);
    parse(&parsed, SLOTS_ALONE SLOT_PAIR OWN_BALANCER "nodes = lb\n");
    assert_non_null(strstr(parsed.told, "key 'nodes' in [balancer own] has no meaning with scope = node"));
    parsed_release(&parsed);
    parse(&parsed, SLOTS_ALONE SLOT_PAIR "[health]\nhttp = /healthz\n" OWN_BALANCER "pid = /run/{node.pid\n");
    assert_non_null(strstr(parsed.told, "key 'pid' in [balancer own]"));
    parsed_release(&parsed);
}

static void slots_that_cannot_be_are_told(void **state)
{
    (void)state;
    assert_told(BLUE_GREEN "[slot blue]\nport = 8081\n[slot red]\nport = 1\n",
                "shop.ini:6: key 'type' in [strategy]: blue-green needs [slot blue] and [slot "
                "green]; [slot green] is missing\n"
                "shop.ini:13: section [slot red]: a slot is [slot blue] or [slot green]\n");
    assert_told(BLUE_GREEN "[slot blue]\nport = 81\nhosts = a\n[slot green]\nport = 82\n",
                "shop.ini:13: key 'hosts' in [slot blue]: both slots have hosts, or none has: two "
                "groups of nodes, or two instances on each node\n");
    assert_told(BLUE_GREEN "[slot blue]\nport = 81\n[slot green]\nport = 81\n",
                "shop.ini:14: key 'port' in [slot green]: 81 is the port of [slot blue], and both "
                "run on each node\n");
    assert_told(BLUE_GREEN "[slot blue]\nport = 81\n[slot green]\nunit = x.service\n",
                "shop.ini:13: key 'port' is missing in [slot green]: both instances run on each "
                "node\n");
    assert_told(BASE "[slot blue]\nport = 81\n[strategy]\nkeep_old = 5m\n",
                "shop.ini:6: [slot blue] has a meaning with type = blue-green in [strategy] only\n"
                "shop.ini:9: key 'keep_old' in [strategy] has a meaning with type = blue-green "
                "only\n");
}

static void what_blue_green_cannot_go_with_is_told(void **state)
{
    (void)state;
    assert_told("[service]\nname = shop\nroot = /srv/shop\nunit = shop.service\nreload = x\n"
                "[strategy]\ntype = blue-green\nbatch = 1\nkeep_old = soon\n"
                "[failure]\nmax_failures = 1\n" SLOT_PAIR,
                "shop.ini:4: both slots have the unit shop.service; use a template unit such as "
                "shop@{slot}.service\n"
                "shop.ini:5: key 'reload' in [service] has no meaning with type = blue-green: the "
                "idle instance is started, never reloaded; remove it\n"
                "shop.ini:7: key 'type' in [strategy]: blue-green needs a [balancer NAME], which "
                "switches between the slots\n"
                "shop.ini:8: key 'batch' in [strategy] has no meaning with type = blue-green: the "
                "idle side changes at once, since it has no traffic; remove it\n"
                "shop.ini:9: key 'keep_old' in [strategy]: 'soon' is neither a duration like 15m "
                "nor until-next\n"
                "shop.ini:11: key 'max_failures' in [failure] must be 0 with type = blue-green: "
                "every instance passes its gate before the switch\n");
    assert_told("[service]\nname = shop\nroot = /srv/shop\nstart = x\n"
                "[strategy]\ntype = blue-green\n[balancer front]\ntype = haproxy\nnodes = lb\n"
                "backend = shop\n" SLOT_PAIR,
                "shop.ini:11: [slot blue] needs 'stop', here or in [service]: the old side is "
                "stopped in the end\n"
                "shop.ini:13: [slot green] needs 'stop', here or in [service]: the old side is "
                "stopped in the end\n");
}

static void sections_of_later_versions_are_named(void **state)
{
    (void)state;
    assert_told(BASE "[notify x]\na=1\n[notify blue]\na=1\n[observe]\na=1\n",
                "shop.ini:6: section [notify x] is not supported by this version\n"
                "shop.ini:8: section [notify blue] is not supported by this version\n"
                "shop.ini:10: section [observe] is not supported by this version\n");
}

/* The steps as text: `5%:120000 25%:300000 manual ...`; -1 is `bake`. */
static const char *steps_of(const char *value)
{
    static char text[ERR_MESSAGE_MAX];
    struct canary_steps steps;
    struct arena arena;
    struct err err = {0};
    size_t at = 0;

    arena_init(&arena);
    if (canary_steps_parse(&steps, value, &arena, &err) < 0)
        snprintf(text, sizeof(text), "%s", err.message);
    for (size_t i = 0; !err.code && i < steps.count; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u%%:%d%s", i ? " " : "",
                               steps.items[i].percent, (int)steps.items[i].bake_ms,
                               steps.items[i].manual ? " manual" : "");
    arena_release(&arena);
    return text;
}

static void a_canary_has_steps(void **state)
{
    (void)state;
    assert_string_equal(steps_of("5%:2m, 25%:5m , 50%, 100%"),
                        "5%:120000 25%:300000 50%:-1 100%:-1");
    assert_string_equal(steps_of("10%:1s:manual, 20%:manual, 30% : manual : 2s"),
                        "10%:1000 manual 20%:-1 manual 30%:2000 manual 100%:-1");
    assert_string_equal(steps_of("50%,25%"),
                        "25% comes after 50%; each step has more than the one before");
    assert_string_equal(steps_of("0%"), "'0%' is not a share from 1% to 100%");
    assert_string_equal(steps_of("101%"), "'101%' is not a share from 1% to 100%");
    assert_string_equal(steps_of("1, 100%"), "'1' is not a share from 1% to 100%");
    assert_string_equal(steps_of("5%,,10%"), "'' is not a share from 1% to 100%");
    assert_string_equal(steps_of("5%:1m:2m"),
                        "'2m' is left over; a step is written like 25%:5m or 25%:5m:manual");
    assert_string_equal(steps_of("5%:8d"), "'8d' is more than 7d");
    assert_told(BASE "[strategy]\ntype = canary\nbatch = 1\nspread = zone\n",
                "shop.ini:8: key 'batch' in [strategy] has no meaning with type = canary: 'steps' "
                "say which nodes change together; remove it\n"
                "shop.ini:9: key 'spread' in [strategy] has no meaning with type = canary: 'steps' "
                "say which nodes change together; remove it\n");
    assert_told(BASE "[strategy]\nsteps = 5%\npromote = manual\n",
                "shop.ini:7: key 'steps' in [strategy] has a meaning with type = canary only\n"
                "shop.ini:8: key 'promote' in [strategy] has a meaning with type = blue-green or "
                "canary only\n");
}

static void a_balancer_has_its_defaults(void **state)
{
    (void)state;
    struct parsed parsed;
    parse(&parsed, BASE "[balancer front]\ntype = haproxy\nnodes = lb\nbackend = web\n"
                        "[balancer v6]\ntype = haproxy\nnodes = lb\nbackend = web\n"
                        "socket = [::1]:77\nserver = srv-{node}\ndrain_timeout = 5s\n");
    assert_string_equal(parsed.told, "");
    assert_int_equal(parsed.playbook.balancer_count, 2);
    const struct balancer *front = &parsed.playbook.balancers[0], *v6 = &parsed.playbook.balancers[1];
    assert_string_equal(front->name, "front");
    assert_string_equal(front->host, "127.0.0.1");
    assert_int_equal(front->port, 9999);
    assert_string_equal(front->server, "{node}");
    assert_int_equal(front->drain_timeout_ms, 30000);
    assert_string_equal(v6->host, "::1");
    assert_int_equal(v6->port, 77);
    assert_string_equal(v6->server, "srv-{node}");
    parsed_release(&parsed);
}

static void what_a_balancer_lacks_is_told(void **state)
{
    (void)state;
    static const char *const sockets[] = {"run/haproxy.sock", "127.0.0.1", "a b:1", ":9999", "::1:9",
                                          "[::1]", "[]:9", "h:0", "h:65536", "-h:1", "h;:1"};
    for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
        struct parsed parsed;
        char text[400];
        snprintf(text, sizeof(text), BASE "[balancer b]\ntype = haproxy\nnodes = lb\nbackend = x\nsocket = %s\n",
                 sockets[i]);
        parse(&parsed, text);
        if (parsed.faults.total != 1 || parsed.faults.items[0].line != 10)
            fail_msg("socket = %s: %s", sockets[i], parsed.told);
        parsed_release(&parsed);
    }
    assert_told(BASE "[balancer b]\ntype = nginx\nnodes = lb\nbackend = x\nupstream = u\n",
                "shop.ini:6: key 'file' is missing in [balancer b]\n"
                "shop.ini:9: key 'backend' in [balancer b] has a meaning with type = haproxy only\n");
    assert_told(BASE "[balancer b]\ntype = command\nnodes = lb\ndrain = a\nready = b\nwarmup = 50%:1s\n",
                "shop.ini:6: key 'state' is missing in [balancer b]\n"
                "shop.ini:11: key 'warmup' in [balancer b] needs 'weight', a command\n");
    assert_told(BASE "[balancer b]\ntype = command\nnodes = lb\ndrain = a\nready = b\nstate = c\n"
                     "[strategy]\ntype = canary\n",
                "shop.ini:6: [balancer b] needs 'weight', a command: type = canary in [strategy] shifts shares of "
                "the traffic\n");
    assert_told(BASE "[balancer b]\ntype = haproxy\nnodes = lb\nbackend = x\nwarmup = 50%:1s, 10%:1s\n",
                "shop.ini:10: key 'warmup' in [balancer b]: '10%:1s' is not a growing share of 1% to "
                "99% and its time, like 10%:10s\n");
    assert_told(BLUE_GREEN "warmup = 10%:1s\n" SLOT_PAIR "[health]\nhttp = /healthz\n",
                "shop.ini:11: key 'warmup' in [balancer front] has no meaning with type = blue-green: one switch "
                "gives the idle side all of the traffic; remove it\n");
    assert_told(BASE "[balancer front]\nnodes = lb\n",
                "shop.ini:6: key 'type' is missing in [balancer front]\n"
                "shop.ini:6: key 'backend' is missing in [balancer front]\n");
    assert_told(BASE "[balancer]\ntype = haproxy\n",
                "shop.ini:6: section [balancer] needs a name: letters, digits, '.', '_' and '-', "
                "as in [balancer front]\n");
}

#define WEB BASE "[health]\nhttp = /\n[strategy]\nbake = 2m\n"

static void commands_of_a_balancer_on_the_runner_have_no_nodes(void **state)
{
    (void)state;
#define ON_RUNNER "on = runner\ndrain = a\nready = b\nstate = c\n"
    struct parsed parsed;
    parse(&parsed, "[service]\nname = shop\nroot = /srv\nport = 80\nstart = x\n[balancer cloud]\ntype = command\n" ON_RUNNER);
    assert_string_equal(parsed.told, "");
    assert_int_equal(parsed.playbook.balancers[0].on, BALANCER_ON_RUNNER);
    parsed_release(&parsed);
    assert_told("[service]\nname = shop\nroot = /srv\nport = 80\nstart = x\n"
                "[balancer a]\ntype = command\nnodes = lb\nbecome = yes\n" ON_RUNNER
                "[balancer b]\ntype = haproxy\nbackend = shop\nnodes = lb\non = nodes\n"
                "[balancer c]\ntype = command\ndrain = a\nready = b\nstate = c\n",
                "shop.ini:8: key 'nodes' in [balancer a] has no meaning with on = runner: its commands run where "
                "deployctl runs; remove one\n"
                "shop.ini:9: key 'become' in [balancer a] has no meaning with on = runner: its commands run where "
                "deployctl runs; remove one\n"
                "shop.ini:18: key 'on' in [balancer b] has a meaning with type = command only\n"
                "shop.ini:19: key 'nodes' is missing in [balancer c]\n");
#undef ON_RUNNER
}

static void an_analysis_has_its_defaults(void **state)
{
    (void)state;
    struct parsed parsed;
    parse(&parsed, WEB "[analysis a]\n[analysis b]\nmetric = errors\nmax = 1.5%\nmin_samples = 10\n"
                       "[analysis c]\nsource = prometheus\nprometheus = http://p:9090\n"
                       "query = x{{n=\"{node}\"}}\nmax = 0.25\nmin_samples = 8\n"
                       "[analysis d]\nmax = 1s\ntolerance = 0.5\nallowed = 0\nconfidence = 95%\n");
    assert_string_equal(parsed.told, "");
    const struct analysis *all = parsed.playbook.analyses;
    assert_int_equal(parsed.playbook.analysis_count, 4);
    assert_int_equal(all[0].source, ANALYSIS_PROBE);
    assert_int_equal(all[0].metric, ANALYSIS_LATENCY);
    assert_int_equal(all[0].interval_ms, 1000);
    assert_int_equal(all[0].min_samples, 50);
    assert_int_equal(all[0].statistic, FIGURE_MEDIAN);
    assert_true(all[0].tolerance == 0.25 && all[0].allowed == 0.1 && all[0].confidence == 0.98);
    assert_false(all[0].max.given);
    assert_int_equal(all[1].statistic, FIGURE_MEAN);
    assert_true(all[1].max.given && all[1].max.value == 1.5);
    assert_int_equal(all[2].interval_ms, 15000);
    assert_true(all[2].max.value == 0.25);
    assert_true(all[3].max.value == 1000 && all[3].tolerance == 0.5 && all[3].allowed == 0);
    parsed_release(&parsed);
}

static enum baseline_kind baseline_of(const char *text)
{
    struct parsed parsed;
    parse(&parsed, text);
    assert_string_equal(parsed.told, "");
    enum baseline_kind baseline = parsed.playbook.strategy.baseline;
    parsed_release(&parsed);
    return baseline;
}

static void nodes_are_restarted_unasked_only_where_it_costs_nothing(void **state)
{
#define CANARY BASE "[health]\nhttp = /\n[strategy]\ntype = canary\nbake = 2m\n"
#define FRONT "[balancer a]\ntype = haproxy\nnodes = lb\nbackend = b\n"
    (void)state;
    assert_int_equal(baseline_of(CANARY FRONT "[analysis a]\n"), BASELINE_FRESH);
    assert_int_equal(baseline_of(CANARY FRONT "[analysis a]\ncompare = no\nmax = 1s\n"), BASELINE_RUNNING);
    assert_int_equal(baseline_of(CANARY FRONT "[analysis a]\n[step a]\nwhen = after_activate\nrun = x\n"), BASELINE_RUNNING);
    assert_int_equal(baseline_of(CANARY FRONT "[analysis a]\n[step a]\nwhen = on_failure\nrun = x\n"), BASELINE_FRESH);
    assert_int_equal(baseline_of(CANARY "[analysis a]\n"), BASELINE_RUNNING);
    assert_int_equal(baseline_of(WEB FRONT "[analysis a]\n"), BASELINE_RUNNING);
    assert_int_equal(baseline_of(CANARY "baseline = running\n" FRONT "[analysis a]\n"), BASELINE_RUNNING);
    assert_int_equal(baseline_of(WEB "baseline = fresh\n[analysis a]\n"), BASELINE_FRESH);
    assert_told(CANARY "baseline = fresh\n[analysis a]\ncompare = no\nmax = 1s\n",
                "shop.ini:11: key 'baseline' in [strategy]: nothing is compared: it has a meaning with an [analysis NAME] that "
                "has compare = control\n");
    assert_told(WEB "order = replicas-first\nleader = l\nbaseline = fresh\n[analysis a]\n",
                "shop.ini:12: key 'baseline' in [strategy]: with order = replicas-first a restart could move the leader; write "
                "running\n");
#undef CANARY
#undef FRONT
}

static void an_analysis_that_cannot_be_is_told(void **state)
{
    static const char *const cases[][2] = {
        {"max = 1%\n", "key 'max' in [analysis a]: latencies are measured; write it like 250ms"},
        {"metric = errors\nmin_samples = 1\nmax = 2s\n",
         "key 'max' in [analysis a]: errors are measured; write it like 1%"},
        {"metric = rate\nmin = 20\n", "key 'metric' in [analysis a]: rate is what HAProxy counts; it needs source = haproxy"},
        {"compare = no\n", "[analysis a] with compare = no needs 'max' or 'min'"},
        {"max = 1s\nmin = 2s\n", "key 'min' in [analysis a] is more than 'max'"},
        {"max = fast\n", "key 'max' in [analysis a]: 'fast' is not a number; write it like 1%, 250ms or 0.5"},
        {"tolerance = 120%\n",
         "key 'tolerance' in [analysis a]: '120%' is not a share below 1; write it like 25% or 0.25"},
        {"query = x\n", "key 'query' in [analysis a] has a meaning with source = prometheus only"},
        {"source = haproxy\nmin_samples = 5\n", "[analysis a]: source = haproxy needs a [balancer NAME] of type haproxy"},
        {"source = command\nmin_samples = 5\n", "key 'command' is missing in [analysis a]"},
        {"source = command\ncommand = x\nmin_samples = 5\nmetric = errors\n",
         "key 'metric' in [analysis a]: the command says what the figure is; remove it"},
        {"source = command\ncommand = x\nmin_samples = 5\nmax = 1%\n",
         "key 'max' in [analysis a]: write a plain number, in the unit of what is measured"},
        {"source = prometheus\nprometheus = http://p\nmin_samples = 5\nquery = up\n",
         "key 'query' in [analysis a] names neither {node}, {address} nor {release}, so canary and control "
         "would be the same; name one, or write compare = no"},
        {"source = prometheus\nprometheus = http://me:pw@p\nmin_samples = 5\nquery = {node}\n",
         "key 'prometheus' in [analysis a]: no name and password in an address"},
        {"source = prometheus\nprometheus = p:9090\nmin_samples = 5\nquery = {node}\n",
         "key 'prometheus' in [analysis a]: 'p:9090' is no http:// or https:// address; write it like "
         "http://prometheus.example.net:9090"},
        {"min_samples = 122\n",
         "[analysis a] needs 122 figures (min_samples), and a first wave of 1 that bakes so long gives at "
         "most 121: raise 'bake' in [strategy], or lower 'interval' or 'min_samples'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed parsed;
        char text[600];
        snprintf(text, sizeof(text), WEB "[analysis a]\n%s", cases[i][0]);
        parse(&parsed, text);
        const char *told = strchr(parsed.told, ' ');
        if (parsed.faults.total != 1 || !told || strncmp(told + 1, cases[i][1], strlen(cases[i][1])) != 0 ||
            parsed.faults.items[0].line < 10)
            fail_msg("%s: %s", cases[i][0], parsed.told);
        parsed_release(&parsed);
    }
}

static void an_analysis_of_blue_green_compares_what_both_sides_have(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_told("[service]\nname = shop\nroot = /srv\nport = 80\nhosts = web\nstart = x\nstop = x\n"
                "[source]\ngit = .\n[health]\nhttp = /\n"
                "[strategy]\ntype = blue-green\nbake = 1m\n[balancer b]\ntype = haproxy\nnodes = lb\nbackend = b\n"
                "[slot blue]\nport = 81\n[slot green]\nport = 82\n"
                "[analysis a]\nsource = prometheus\nprometheus = http://p\nquery = up{{node=\"{node}\"}}\n"
                "[analysis b]\nsource = prometheus\nprometheus = http://p\nquery = up{{slot=\"{slot}\"}}\n"
                "[analysis c]\nsource = haproxy\nmin_samples = 3\nmetric = errors\n"
                "[analysis d]\nsource = haproxy\nmetric = errors\nmax = 1%\ncompare = no\n"
                "[analysis r]\nsource = haproxy\nmetric = rate\nmin = 5%\ncompare = no\n"
                "[analysis e]\n",
                "shop.ini:26: key 'query' in [analysis a] names neither {slot}, {port} nor {release}, so the new "
                "and the old side of a node would be the same; name one, or write compare = no\n"
                "shop.ini:31: [analysis c]: HAProxy counts traffic, and of blue and green one alone has it: the old side before "
                "the switch, the new one after it, never both at once; write compare = no and 'max' or 'min', or "
                "source = probe, which asks both alike\n"
                "shop.ini:43: key 'min' in [analysis r]: requests a second are measured; write it like 20\n");
    parse(&parsed, WEB "type = blue-green\n[analysis a]\n");
    assert_null(strstr(parsed.told, "analysis"));
    parsed_release(&parsed);
}

static void all_faults_come_in_one_run_in_the_files_order(void **state)
{
    (void)state;
    assert_told(
        "[service]\nname = a b\nroot = srv\nport = 0\nkeep = 0\n"
        "[health]\ntimeout = 5\nrise = 1\nrise = 2\n[strategy\n[failure]\naction = explode\n",
        "shop.ini:0: [service] needs 'unit' (a systemd unit) or 'start' (a command)\n"
        "shop.ini:0: [health] needs a check: http, tcp, command or unit\n"
        "shop.ini:2: key 'name' in [service]: 'a b' is not a name; use 1 to 64 letters, "
        "digits, '.', '_' and '-', beginning with a letter or digit\n"
        "shop.ini:3: key 'root' in [service]: 'srv' is not an absolute path; write it "
        "like /srv/shop\n"
        "shop.ini:4: key 'port' in [service]: '0' is not between 1 and 65535\n"
        "shop.ini:5: key 'keep' in [service]: '0' is not between 1 and 1000\n"
        "shop.ini:7: key 'timeout' in [health]: '5' is not a duration; write it like "
        "500ms, 10s, 5m, 1h or 1m30s\n"
        "shop.ini:9: key 'rise' stands twice in [health], first in line 8\n"
        "shop.ini:10: section header '[strategy' does not end in ']'\n"
        "shop.ini:12: key 'action' in [failure]: 'explode' is not one of rollback, pause, "
        "stop\n");
}

static void a_folder_of_the_system_is_no_root(void **state)
{
    (void)state;
    assert_told("[service]\nname = shop\nunit = a.service\nroot = /usr\n[health]\nunit = yes\n",
                "shop.ini:4: key 'root' in [service]: '/usr' is a folder of the system and cannot be a service's root; "
                "give it a folder of its own, like /srv/shop\n");
    assert_told("[service]\nname = shop\nunit = a.service\nroot = /usr/share/shop\n[health]\nunit = yes\n", "");
}

static void an_empty_playbook_says_what_is_missing(void **state)
{
    (void)state;
    assert_told("", "shop.ini:0: key 'name' is missing in [service]\n"
                    "shop.ini:0: key 'root' is missing in [service]\n"
                    "shop.ini:0: [service] needs 'unit' (a systemd unit) or 'start' (a command)\n"
                    "shop.ini:0: [health] needs a check: http, tcp, command or unit\n");
}

static void assert_bad_value(const char *section, const char *line)
{
    struct parsed parsed;
    char text[2000];
    snprintf(text, sizeof(text), "%s%s%s%s%s\n", BASE, strcmp(section, "service") ? "[" : "",
             strcmp(section, "service") ? section : "", strcmp(section, "service") ? "]\n" : "",
             line);
    parse(&parsed, text);
    if (parsed.faults.total != 1)
        fail_msg("'%s' in [%s]: %zu faults:\n%s", line, section, parsed.faults.total, parsed.told);
    parsed_release(&parsed);
}

static void bad_values_are_faults(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"service", "become = maybe"},
        {"service", "become = YES"},
        {"service", "keep = -1"},
        {"service", "keep ="},
        {"service", "pin = abc"},
        {"service", "pin = 1a2b, ../x"},
        {"service", "root = /"},
        {"service", "root = /etc/"},
        {"service", "root = /usr/local"},
        {"service", "root = /proc/self"},
        {"service", "root = /var/lib"},
        {"service", "shared = /etc"},
        {"service", "shared = a/../b"},
        {"service", "shared = a,,b"},
        {"service", "shared = a//b"},
        {"service", "shared = log, log/x"},
        {"service", "shared = ."},
        {"service", "shared = {node"},
        {"source", "ref = --upload-pack=x"},
        {"source", "max_size = 0"},
        {"source", "max_size = 2TiB"},
        {"source", "max_size = many"},
        {"source", "max_size = -1"},
        {"source", "path = ../x"},
        {"source", "path = /x"},
        {"strategy", "batch = 0"},
        {"strategy", "batch = 1, 0%"},
        {"strategy", "batch = 1,"},
        {"strategy", "batch = 120%"},
        {"strategy", "max_unavailable = 0"},
        {"strategy", "max_unavailable = 0%"},
        {"strategy", "bake = -1s"},
        {"strategy", "bake = 8d"},
        {"strategy", "spread = a b"},
        {"strategy", "confirm = 4s"},
        {"strategy", "confirm = 59s"},
        {"strategy", "type = rollin"},
        {"health", "http = healthz"},
        {"health", "http = ftp://x/"},
        {"health", "http = /a b"},
        {"health", "http = /{node"},
        {"health", "http = /{a-b}"},
        {"health", "interval = 10ms"},
        {"health", "fall = 0"},
        {"health", "via = both"},
        {"health", "body = x"},
        {"health", "identity = header"},
        {"health", "identity = header X Release"},
        {"health", "identity = cookie x"},
        {"health", "identity = header X-Release"}, /* without http */
        {"health", "port = 70000"},
        {"failure", "max_failures = many"},
        {"retry", "attempts = 0"},
        {"retry", "base = 31s"},
        {"health", "min_healthy_time = 60s"},
        {"health", "healthy_deadline = 10m"},
        {"health", "progress_deadline = 30s"},
        {"health", "timeout = 61s"},
        {"step", "run = x"},
        {"balancer a/b", "type = haproxy"},
        {"step a/b", "run = x"},
        {"service x", "keep = 1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_bad_value(cases[i][0], cases[i][1]);
}

static void http_values_are_checked(void **state)
{
    (void)state;
    assert_told(BASE "[health]\nhttp = /\nexpect = 299-200\nbody = (\nheaders = nocolon\n",
                "shop.ini:8: key 'expect' in [health]: '299-200' is not a status from 100 to 599 "
                "or a range like 200-299\n"
                "shop.ini:9: key 'body' in [health]: '(' is not a usable regular expression: "
                "Unmatched ( or \\(\n"
                "shop.ini:10: key 'headers' in [health]: 'nocolon' is not a header; write it like "
                "'X-Probe: yes'\n");
    assert_told("[service]\nname=a\nroot=/srv/a\nstart=x\n[health]\nhttp=/\ntcp=yes\nunit=yes\n",
                "shop.ini:6: key 'http' in [health] is a path and needs 'port' in [service]\n"
                "shop.ini:7: key 'tcp' in [health] needs 'port' in [service]\n"
                "shop.ini:8: key 'unit' in [health] needs 'unit' in [service]\n");
    assert_told(
        "[service]\nname=a\nroot=/srv/a\nstart=x\n[health]\nhttp=https://{address}:8443/x\n", "");
}

static void an_identity_differs_by_release(void **state)
{
    (void)state;
    assert_told(BASE "[health]\nhttp = /\nidentity = body all well\n",
                "shop.ini:8: key 'identity' in [health]: the text 'all well' is the same for every release; put {release} in it\n");
    assert_told(BASE "[health]\nhttp = /\nbody = (\nidentity = cookie x\n",
                "shop.ini:8: key 'body' in [health]: '(' is not a usable regular expression: Unmatched ( or \\(\n"
                "shop.ini:9: key 'identity' in [health]: 'cookie x' is not an identity; write `header X-Release`, `body {release}` or "
                "`command CHECK`\n");
    assert_told(BASE "[health]\nhttp = /\nidentity = body {release}\n", "");
    assert_told(BASE "[health]\ntcp = yes\nidentity = command check \"$DEPLOYCTL_RELEASE\"\n", "");
}

/* What `check` and `plan` warn of. */
static void assert_doubts(const char *text, const char *const doubts[])
{
    struct parsed parsed;
    struct faults found;
    struct arena arena;
    arena_init(&arena);
    faults_init(&found, &arena);
    parsed_playbook(&parsed, text, strlen(text), NULL, 0, NULL);
    assert_string_equal(parsed.told, "");
    playbook_doubts(&parsed.playbook, &found);
    size_t count = 0;
    for (; doubts[count]; count++) {
        assert_true(count < found.count);
        if (!strstr(found.items[count].message, doubts[count]))
            fail_msg("'%s' is not in: %s", doubts[count], found.items[count].message);
    }
    assert_int_equal(found.count, count);
    parsed_release(&parsed);
    arena_release(&arena);
}
#define ASSERT_DOUBTS(text, ...) assert_doubts(text, (const char *const[]){__VA_ARGS__, NULL})

static void what_the_gate_cannot_tell_is_known_before(void **state)
{
    static const char cannot[] = "the gate cannot tell the old process from the new one", stop[] = "'start' without 'stop'";
    (void)state;
#define NAMED "[service]\nname = a\nroot = /srv/a\n"
    ASSERT_DOUBTS(NAMED "unit = a.service\n", NULL);
    ASSERT_DOUBTS(NAMED "start = x\nstop = y\nport = 80\n", NULL);
    ASSERT_DOUBTS(NAMED "start = x\nport = 80\n", stop);
    ASSERT_DOUBTS(NAMED "start = x\n[health]\ncommand = z\n", cannot, stop);
    ASSERT_DOUBTS(NAMED "start = x\nstop = y\n[health]\ncommand = z\nidentity = command i\n", NULL);
    ASSERT_DOUBTS(NAMED "unit = a.service\nreload = r\n", cannot);
    ASSERT_DOUBTS(NAMED "unit = a.service\nport = 80\nreload = r\n[health]\nhttp = /\nidentity = header X-Release\n", NULL);
}

static void roots_must_be_a_folder_of_their_own(void **state)
{
    (void)state;
    static const char *const roots[] = {"/",        "//",      "srv",         "/srv/../etc",
                                        "/srv/./x", "/srv//x", "/srv/{node", "~/x"};
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        struct parsed parsed;
        char text[200];
        snprintf(text, sizeof(text), "[service]\nname=a\nunit=a\nroot=%s\n", roots[i]);
        parse(&parsed, text);
        assert_int_equal(parsed.faults.total, 1);
        assert_int_equal(parsed.faults.items[0].line, 4);
        parsed_release(&parsed);
    }
}

static void units_have_units_names(void **state)
{
    (void)state;
    assert_told("[service]\nname=a\nroot=/srv/a\nunit=a b; rm\n",
                "shop.ini:4: key 'unit' in [service]: 'a b; rm' is not a systemd unit's name; "
                "write it like shop.service\n");
    assert_told("[service]\nname=a\nroot=/srv/a\nunit=-a\n",
                "shop.ini:4: key 'unit' in [service]: '-a' is not a systemd unit's name; write it "
                "like shop.service\n");
}

static void a_source_is_one_of_three(void **state)
{
    (void)state;
    assert_told(BASE "[source]\ngit = .\ndir = build\n",
                "shop.ini:8: 'git' and 'dir' in [source] exclude each other; keep one\n");
    assert_told(BASE "[source]\ndir = build\nref = main\n",
                "shop.ini:8: key 'ref' in [source] has a meaning with 'git' only; remove it\n");
    assert_told(BASE "[source]\ngit = https://example.com/shop.git\n",
                "shop.ini:7: key 'git' in [source]: 'https://example.com/shop.git' is not on this machine, and nothing is "
                "fetched; clone it and give its path\n");
    assert_told(BASE "[source]\ngit = git@example.com:shop/shop.git\n",
                "shop.ini:7: key 'git' in [source]: 'git@example.com:shop/shop.git' is not on this machine, and nothing is "
                "fetched; clone it and give its path\n");
    assert_told(BASE "[source]\narchive = https://example.com/shop.tar\n",
                "shop.ini:7: key 'archive' in [source]: 'https://example.com/shop.tar' is not on this machine, and nothing is "
                "fetched; download it and give its path\n");
    assert_told(BASE "[source]\ngit = build/a:b@c\n", "");
    assert_told(BASE "[source]\nref = main # the branch\n",
                "shop.ini:7: key 'ref' in [source]: 'main # the branch' is no revision; a comment stands on a line of its own\n");
    assert_told(BASE "keep = 3 ; releases\n",
                "shop.ini:6: key 'keep' in [service]: '3 ; releases' is not a whole number; a comment stands on a line of its own\n");
}

static void the_health_check_follows_from_the_service(void **state)
{
    (void)state;
    struct parsed parsed;
    parse(&parsed, "[service]\nname=a\nroot=/srv/a\nstart=x\nport=80\n");
    assert_string_equal(parsed.told, "");
    assert_true(parsed.playbook.health.tcp);
    assert_false(parsed.playbook.health.unit);
    assert_int_equal(parsed.playbook.health.port, 80);
    parsed_release(&parsed);
    parse(&parsed, BASE "[health]\nhttp=/\n");
    assert_true(parsed.playbook.health.unit);
    assert_false(parsed.playbook.health.tcp);
    parsed_release(&parsed);
    parse(&parsed, BASE "[health]\nhttp=/\nunit=no\n");
    assert_false(parsed.playbook.health.unit);
    parsed_release(&parsed);
    assert_told(BASE "[health]\nunit=no\ntcp=no\n",
                "shop.ini:8: [health] needs a check: http, tcp, command or unit\n");
}

static void overrides_win_and_are_checked_by_the_same_table(void **state)
{
    (void)state;
    struct parsed parsed;
    static const char text[] = BASE "[source]\ngit=.\n[health]\ninterval=2s\n"
                                    "[step a]\nwhen=after_stage\nrun=x\n";
    const struct playbook_override good[] = {{"health", "interval", "3s"},
                                             {"health", "interval", "4s"},
                                             {"source", "dir", "build"},
                                             {"strategy", "batch", "50%"},
                                             {"step a", "timeout", "9s"}};
    parsed_playbook(&parsed, text, sizeof(text) - 1, good, 5, NULL);
    assert_string_equal(parsed.told, "");
    assert_int_equal(parsed.playbook.health.interval_ms, 4000);
    assert_int_equal(parsed.playbook.source.kind, SOURCE_DIR);
    assert_int_equal(parsed.playbook.strategy.batch_count, 1);
    assert_int_equal(parsed.playbook.hooks[0].timeout_ms, 9000);
    parsed_release(&parsed);
    const struct playbook_override bad[] = {{"health", "intervall", "3s"},
                                            {"heath", "interval", "3s"},
                                            {"service", "port", "x"},
                                            {"step b", "run", "x"},
                                            {"observe", "a", "x"}};
    parsed_playbook(&parsed, text, sizeof(text) - 1, bad, 5, NULL);
    assert_string_equal(parsed.told,
                        "--set:0: unknown key 'intervall' in [health]; did you mean 'interval'?\n"
                        "--set:0: unknown section [heath]; did you mean [health]?\n"
                        "--set:0: key 'port' in [service]: 'x' is not a whole number\n"
                        "--set:0: there is no [step b] in the playbook\n"
                        "--set:0: section [observe] is not supported by this version\n");
    parsed_release(&parsed);
}

static void a_lock_in_etcd_says_how_etcd_is_reached(void **state)
{
    (void)state;
    struct parsed parsed;
    parse(&parsed, BASE "[lock]\netcd = https://a:2379/, https://[2001:db8::1]:2379\nuser = u\npassword_env = P\n");
    const struct etcd_access *etcd = &parsed.playbook.lock.etcd;
    assert_string_equal(parsed.told, "");
    assert_int_equal(etcd->urls.count, 2);
    assert_string_equal(etcd->urls.items[0], "https://a:2379");
    assert_string_equal(etcd->urls.items[1], "https://[2001:db8::1]:2379");
    assert_int_equal(etcd->timeout_ms, 5000);
    assert_int_equal(parsed.playbook.lock.ttl_ms, 60000);
    assert_string_equal(parsed.playbook.lock.prefix, "/deployctl/lock");
    parsed_release(&parsed);
    assert_told(BASE "[lock]\netcd = http://127.0.0.1:2379\nuser = u\npassword_file = f\n", "");
    assert_told(BASE "[lock]\nuser = u\n", "shop.ini:7: key 'user' in [lock] needs 'password_env' or 'password_file'\n"
                                           "shop.ini:7: key 'user' in [lock] has a meaning with 'etcd' only; add it or remove this\n");
    assert_told(BASE "[lock]\netcd = https://u:p@a:1\n",
                "shop.ini:7: key 'etcd' in [lock]: 'https://u:p@a:1' is not a server's address; write it like "
                "https://etcd1:2379\n");
    assert_told(BASE "[lock]\netcd = https://a:1/v3\ncert = c\npassword_env = P\n",
                "shop.ini:7: key 'etcd' in [lock]: 'https://a:1/v3' is not a server's address; write it like "
                "https://etcd1:2379\n"
                "shop.ini:8: key 'cert' in [lock] needs 'key' too\n"
                "shop.ini:9: a password in [lock] has a meaning with 'user' only; add it or remove this\n");
    assert_told(BASE "[lock]\netcd = http://a:1\nuser = u\npassword_env = P\npassword_file = f\n",
                "shop.ini:7: key 'etcd' in [lock]: a password goes to http://a:1 over https:// only\n"
                "shop.ini:10: 'password_env' and 'password_file' in [lock] exclude each other; keep one\n");
}

static void a_discovery_has_the_keys_of_its_type(void **state)
{
    (void)state;
    assert_told(BASE "[discovery a]\ntype = file_sd\nnodes = mon\nfile = /a.json\n[discovery b]\ntype = command\n"
                     "on = runner\nadd = a\nremove = b\n[discover x]\nfile = /b\n[health]\nhttp = /\nheaders = X: {discover.x}\n",
                "");
    assert_told(BASE "[discovery a]\ntype = file_sd\nline = x\nfile = /{node}\n[discovery b]\ntype = command\nbecome = yes\n"
                     "on = runner\nremove = b\n[discovery c]\nnodes = x\n",
                "shop.ini:6: [discovery a] needs 'nodes', an inventory pattern, or on = runner\n"
                "shop.ini:8: key 'line' in [discovery a] has no meaning with type = file_sd; remove it\n"
                "shop.ini:9: key 'file' in [discovery a]: one file holds all nodes, so there is no {name} in it\n"
                "shop.ini:10: key 'add' is missing in [discovery b]\n"
                "shop.ini:12: key 'become' in [discovery b] has no meaning with type = command; remove it\n"
                "shop.ini:13: key 'on' in [discovery b]: with runner, 'become' has no meaning; remove one\n"
                "shop.ini:15: key 'type' is missing in [discovery c]\n");
    assert_told(BASE "[discovery a]\ntype = etcd\netcd = http://e\nlease = 1s\n[discovery b]\ntype = hosts\non = runner\n"
                     "file = /f\nlease = 1h\n",
                "shop.ini:9: key 'lease' in [discovery a]: '1s' is not between 10s and 30d00h\n"
                "shop.ini:14: key 'lease' in [discovery b] has no meaning with type = hosts; remove it\n");
    assert_told(BASE "[discovery a]\ntype = etcd\non = runner\nuser = u\n",
                "shop.ini:6: key 'etcd' is missing in [discovery a]\n"
                "shop.ini:8: key 'on' in [discovery a] has no meaning with type = etcd; remove it\n"
                "shop.ini:9: key 'user' in [discovery a] needs 'password_env' or 'password_file'\n"
                "shop.ini:9: key 'user' in [discovery a] has a meaning with 'etcd' only; add it or remove this\n");
    assert_told(BASE "[discover x]\n[health]\nhost = {discover.y}\nhttp = /{discover.}\n",
                "shop.ini:6: [discover x] needs 'file' or 'etcd'\n"
                "shop.ini:8: key 'host' in [health]: {discover.y} needs a section of that name: [discover NAME]\n"
                "shop.ini:9: key 'http' in [health]: {discover.} needs a section of that name: [discover NAME]\n");
}

static void names_in_templates_are_looked_up_in_the_inventory(void **state)
{
    (void)state;
    struct parsed inventory, parsed;
    static const char hosts[] = "web1 colour=red\nweb2\n";
    static const char text[] = BASE "[health]\nhttp = /{colour}/{node}/{prot}/{shape}\n";
    parsed_inventory(&inventory, hosts, sizeof(hosts) - 1);
    parsed_playbook(&parsed, text, sizeof(text) - 1, NULL, 0, &inventory.inventory);
    assert_string_equal(parsed.told,
                        "shop.ini:7: key 'http' in [health]: unknown name '{prot}'; did you mean "
                        "'{port}'?\n"
                        "shop.ini:7: key 'http' in [health]: unknown name '{shape}'; it is neither "
                        "built in nor a variable of any node\n");
    parsed_release(&parsed);
    parsed_release(&inventory);
}

static void a_command_of_five_thousand_bytes_is_whole(void **state)
{
    (void)state;
    struct parsed parsed;
    static char text[6000];
    char command[5001];
    memset(command, 'c', 5000);
    memcpy(command + 2000, " ; # ", 5);
    command[5000] = '\0';
    snprintf(text, sizeof(text), "[service]\nname=a\nroot=/srv/a\nstart = %s\nport=1\n", command);
    parse(&parsed, text);
    assert_string_equal(parsed.told, "");
    assert_string_equal(parsed.playbook.service.start, command);
    assert_int_equal(parsed.playbook.service.port, 1);
    parsed_release(&parsed);
}

static void the_table_is_whole(void **state)
{
    (void)state;
    const struct playbook_key *key;
    const char *section;
    size_t keys = 0, found = 0;
    for (; (key = playbook_key_at(keys)); keys++) {
        assert_ptr_equal(playbook_key_find(key->section, key->key), key);
        assert_non_null(key_kind_name(key->kind));
        assert_non_null(key->help);
        if (key->kind != KEY_DURATION)
            assert_int_equal(key->kind == KEY_CHOICE, key->choices != NULL);
    }
    for (size_t i = 0; (section = playbook_section_at(i)); i++)
        for (size_t j = 0; j < keys; j++)
            found += strcmp(playbook_key_at(j)->section, section) == 0;
    assert_int_equal(found, keys);
    assert_null(playbook_key_find("health", "nothing"));
    assert_string_equal(hook_when_name(HOOK_AFTER_STAGE), "after_stage");
    assert_string_equal(hook_when_name(HOOK_ON_FAILURE), "on_failure");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_lines_make_a_sane_rollout),
        cmocka_unit_test(every_value_reaches_its_field),
        cmocka_unit_test(unknown_names_are_told_with_the_nearest),
        cmocka_unit_test(releases_are_pinned_by_their_first_letters),
        cmocka_unit_test(migrations_keep_their_order_and_have_defaults),
        cmocka_unit_test(migrations_that_make_no_sense_are_faults),
        cmocka_unit_test(there_are_at_most_64_migrations),
        cmocka_unit_test(a_balancer_has_its_defaults),
        cmocka_unit_test(a_balancer_of_each_node_is_read),
        cmocka_unit_test(a_balancer_of_each_node_needs_two_slots_there),
        cmocka_unit_test(what_a_balancer_lacks_is_told),
        cmocka_unit_test(two_slots_on_each_node_are_read),
        cmocka_unit_test(two_groups_of_nodes_are_read),
        cmocka_unit_test(slots_that_cannot_be_are_told),
        cmocka_unit_test(what_blue_green_cannot_go_with_is_told),
        cmocka_unit_test(sections_of_later_versions_are_named),
        cmocka_unit_test(commands_of_a_balancer_on_the_runner_have_no_nodes),
        cmocka_unit_test(an_analysis_has_its_defaults),
        cmocka_unit_test(nodes_are_restarted_unasked_only_where_it_costs_nothing),
        cmocka_unit_test(an_analysis_that_cannot_be_is_told),
        cmocka_unit_test(an_analysis_of_blue_green_compares_what_both_sides_have),
        cmocka_unit_test(a_canary_has_steps),
        cmocka_unit_test(all_faults_come_in_one_run_in_the_files_order),
        cmocka_unit_test(a_folder_of_the_system_is_no_root),
        cmocka_unit_test(an_empty_playbook_says_what_is_missing),
        cmocka_unit_test(bad_values_are_faults),
        cmocka_unit_test(http_values_are_checked),
        cmocka_unit_test(an_identity_differs_by_release),
        cmocka_unit_test(what_the_gate_cannot_tell_is_known_before),
        cmocka_unit_test(roots_must_be_a_folder_of_their_own),
        cmocka_unit_test(units_have_units_names),
        cmocka_unit_test(a_source_is_one_of_three),
        cmocka_unit_test(the_health_check_follows_from_the_service),
        cmocka_unit_test(overrides_win_and_are_checked_by_the_same_table),
        cmocka_unit_test(a_lock_in_etcd_says_how_etcd_is_reached),
        cmocka_unit_test(a_discovery_has_the_keys_of_its_type),
        cmocka_unit_test(names_in_templates_are_looked_up_in_the_inventory),
        cmocka_unit_test(a_command_of_five_thousand_bytes_is_whole),
        cmocka_unit_test(the_table_is_whole),
    };
    return cmocka_run_group_tests_name("playbook", tests, NULL, NULL);
}
