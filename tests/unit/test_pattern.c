#include <stdio.h>
#include <string.h>

#include "check.h"
#include "model/pattern.h"
#include "parsed.h"

static const char inventory_text[] = "lone\n[web]\nweb[1:5]\n[db]\ndb1\nweb3\n2001:db8::1\n"
                                     "[eu:children]\nweb\ndb\n"
                                     "[east]\nweb2\ndb1\nx.example.com\n[none]\n";

static int resolve(const char *pattern, char *out, size_t size, struct err *err)
{
    struct parsed parsed;
    size_t *nodes, count, used = 0;
    parsed_inventory(&parsed, inventory_text, sizeof(inventory_text) - 1);
    assert_int_equal(parsed.code, 0);
    int code = pattern_resolve(&nodes, &count, &parsed.inventory, pattern, &parsed.arena, err);
    out[0] = '\0';
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " " : "",
                                 parsed.inventory.nodes[nodes[i]].name);
    parsed_release(&parsed);
    return code;
}

/* Each with what Ansible 2.14's InventoryManager.get_hosts answers for the same inventory. */
static const struct {
    const char *pattern, *nodes;
} references[] = {
    {"all", "lone web2 db1 x.example.com web1 web3 web4 web5 2001:db8::1"},
    {"*", "lone web2 db1 x.example.com web1 web3 web4 web5 2001:db8::1"},
    {"web", "web1 web2 web3 web4 web5"},
    {"web:db", "web1 web2 web3 web4 web5 db1 2001:db8::1"},
    {"web,db", "web1 web2 web3 web4 web5 db1 2001:db8::1"},
    {"db,web", "db1 web3 2001:db8::1 web1 web2 web4 web5"},
    {"web:&east", "web2"},
    {"web:!web3", "web1 web2 web4 web5"},
    {"!web3", "lone web2 db1 x.example.com web1 web4 web5 2001:db8::1"},
    {"&east", "web2 db1 x.example.com"},
    {"web:!web1:&east", "web2"},
    {"&east:web:!db1:db", "web2"},
    {"web3", "web3"},
    {"web3,web1,web3", "web3 web1"},
    {"web[0]", "web1"},
    {"web[-1]", "web5"},
    {"web[0:2]", "web1 web2 web3"},
    {"web[1:]", "web2 web3 web4 web5"},
    {"web[2:0]", "web3"},
    {"web[3:9]", "web4 web5"},
    {"web[7:9]", ""},
    {"web[1-2]", "web2 web3"},
    {"eu", "web1 web2 web3 web4 web5 db1 2001:db8::1"},
    {"eu[0]", "web1"},
    {"eu[4:6]", "web5 db1 2001:db8::1"},
    {"w*", "web1 web2 web3 web4 web5"},
    {"w*[5]", "web1"},
    {"*[0]", "lone"},
    {"~web[12]", "web1 web2"},
    {"~.*\\.example", "x.example.com"},
    {"db?", "db1"},
    {"*.example.com", "x.example.com"},
    {"ungrouped", "lone"},
    {"2001:db8::1", "2001:db8::1"},
    {"none", ""},
    {"web:none", "web1 web2 web3 web4 web5"},
    {"none[3]", ""},
    {"w?b", "web1 web2 web3 web4 web5"},
    {"[wd]b*", "db1 web3 2001:db8::1"},
    {"~(web|db)1$", "web1 db1"},
    {"web1:web2", "web1 web2"},
    {"web  db", "web1 web2 web3 web4 web5 db1 2001:db8::1"},
    {"  web , db ", "web1 web2 web3 web4 web5 db1 2001:db8::1"},
    {"east:web", "web2 db1 x.example.com web1 web3 web4 web5"},
    {"!db:!web", "lone x.example.com"},
    {"web[0]:db[1]", "web1 web3"},
    {"all[0]", "lone"},
    {"all:!eu", "lone x.example.com"},
    {"web[1:3]:&east", "web2"},
    {"*1", "web1 db1 2001:db8::1"},
    {"e*", "web1 web2 web3 web4 web5 db1 2001:db8::1 x.example.com"},
    {"un*", "lone"},
    {"~w\\w\\w\\d", "web1 web2 web3 web4 web5"},
};

static void patterns_mean_what_ansible_means(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++) {
        char nodes[500];
        struct err err = {0};
        int code = resolve(references[i].pattern, nodes, sizeof(nodes), &err);
        if (code < 0 || strcmp(nodes, references[i].nodes) != 0)
            fail_msg("%s: '%s' instead of '%s' (%s)", references[i].pattern, nodes,
                     references[i].nodes, err.message);
    }
}

static void assert_refused(const char *pattern, int code, const char *message)
{
    char nodes[500];
    struct err err = {0};
    assert_int_equal(resolve(pattern, nodes, sizeof(nodes), &err), code);
    assert_string_equal(err.message, message);
    assert_string_equal(nodes, "");
}

static void a_part_that_names_nothing_is_told_with_the_nearest(void **state)
{
    (void)state;
    assert_refused("wbe", ERR_NOT_FOUND, "'wbe' matches no group or node; did you mean 'web'?");
    assert_refused("web:!web33", ERR_NOT_FOUND,
                   "'web33' matches no group or node; did you mean 'web3'?");
    assert_refused("web:&africa", ERR_NOT_FOUND,
                   "'africa' matches no group or node of the inventory");
    assert_refused("~b", ERR_NOT_FOUND, "'~b' matches no group or node of the inventory");
    assert_refused("web:22", ERR_NOT_FOUND,
                   "'web:22' matches no group or node; did you mean 'web2'?");
}

static void a_subscript_past_the_end_is_told(void **state)
{
    (void)state;
    assert_refused("web[12]", ERR_NOT_FOUND, "there is no node [12]: only 5 match");
    assert_refused("web[-6]", ERR_NOT_FOUND, "there is no node [-6]: only 5 match");
}

static void a_malformed_pattern_is_told(void **state)
{
    (void)state;
    assert_refused("", ERR_INPUT, "the pattern is empty; write 'all' for every node");
    assert_refused(" , ", ERR_INPUT, "the pattern is empty; write 'all' for every node");
    assert_refused("!", ERR_INPUT, "'!' in a pattern needs a name behind it");
    assert_refused("web:&", ERR_INPUT, "'&' in a pattern needs a name behind it");
    assert_refused("web[1", ERR_INPUT, "'web[1' has a bracket without its other");
    assert_refused("web]:db", ERR_INPUT, "'web]:db' has a bracket without its other");
}

static void a_regex_that_would_explode_is_refused(void **state)
{
    (void)state;
    char nodes[500];
    static const char *const bombs[] = {
        "~((((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+",
        "~a++++++++++++++++++++++++++++++++++",
        "~((a{100}){100}){100}",
        "~a{30000}",
        "~((((((((((((((((((((((((((((((((((((((((a",
        "~(?=x)",
        "~",
        "~[",
    };
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        struct err err = {0};
        assert_int_equal(resolve(bombs[i], nodes, sizeof(nodes), &err), ERR_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_mean_what_ansible_means),
        cmocka_unit_test(a_part_that_names_nothing_is_told_with_the_nearest),
        cmocka_unit_test(a_subscript_past_the_end_is_told),
        cmocka_unit_test(a_malformed_pattern_is_told),
        cmocka_unit_test(a_regex_that_would_explode_is_refused),
    };
    return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
