#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/service.h"
#include "parsed.h"

#define INVENTORY "[web]\nweb1 rack=r1\nweb2 rack=../..\nweb3\n"
#define PLAYBOOK                                                                                   \
    "[service]\nname = shop\nroot = /srv/{service}/{node}\nunit = shop@{rack}.service\n"            \
    "shared = log/{node}, uploads\n"

static struct parsed inventory, playbook;
static struct arena arena;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    parsed_inventory(&inventory, INVENTORY, strlen(INVENTORY));
    parsed_playbook(&playbook, PLAYBOOK, strlen(PLAYBOOK), NULL, 0, &inventory.inventory);
    return inventory.code || playbook.code;
}

static int tear_down(void **state)
{
    (void)state;
    parsed_release(&playbook);
    parsed_release(&inventory);
    arena_release(&arena);
    return 0;
}

static int of_node(struct service *service, size_t node)
{
    err_clear(&err);
    return service_of_node(service, &playbook.playbook, &inventory.inventory.nodes[node], &arena,
                           &err);
}

static void each_node_gets_its_own_service(void **state)
{
    (void)state;
    struct service service;
    assert_int_equal(of_node(&service, 0), 0);
    assert_string_equal(service.root, "/srv/shop/web1");
    assert_string_equal(service.unit, "shop@r1.service");
    assert_int_equal(service.shared.count, 2);
    assert_string_equal(service.shared.items[0], "log/web1");
    assert_string_equal(service.shared.items[1], "uploads");
    assert_string_equal(service.name, "shop");
}

static void a_variable_that_makes_no_unit_is_told_with_its_node(void **state)
{
    (void)state;
    struct service service;
    assert_int_equal(of_node(&service, 1), ERR_INPUT);
    assert_non_null(strstr(err.message, "node web2: key 'unit' in [service]"));
    assert_non_null(strstr(err.message, "is not a systemd unit's name"));
}

static void a_variable_that_only_others_have_is_told_with_its_node(void **state)
{
    (void)state;
    struct service service;
    assert_int_equal(of_node(&service, 2), ERR_INPUT);
    assert_non_null(strstr(err.message, "node web3: key 'unit' in [service]"));
    assert_non_null(strstr(err.message, "rack"));
}

static void a_service_cannot_be_made_of_what_comes_of_it(void **state)
{
    (void)state;
    static const char text[] = "[service]\nname = a\nroot = /srv/{release}\nunit = {root}.service\n";
    struct parsed parsed;
    parsed_playbook(&parsed, text, strlen(text), NULL, 0, &inventory.inventory);
    assert_int_equal(parsed.faults.total, 2);
    assert_non_null(strstr(parsed.told, "shop.ini:3: key 'root' in [service]: unknown name '{release}'"));
    assert_non_null(strstr(parsed.told, "shop.ini:4: key 'unit' in [service]: unknown name '{root}'"));
    parsed_release(&parsed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_node_gets_its_own_service, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_variable_that_makes_no_unit_is_told_with_its_node, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_variable_that_only_others_have_is_told_with_its_node,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_service_cannot_be_made_of_what_comes_of_it, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
