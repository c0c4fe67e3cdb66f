#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "model/inventory_json.h"
#include "parsed.h"

#define FOLDER "tests/unit/inventories"
#define KEY_A "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define KEY_B "SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB+"

static void parse(struct parsed *parsed, const char *text)
{
    parsed_inventory(parsed, text, strlen(text));
}

static void parse_well(struct parsed *parsed, const char *text)
{
    parse(parsed, text);
    assert_string_equal(parsed->told, "");
    assert_int_equal(parsed->code, 0);
}

static void assert_told(const char *text, const char *told)
{
    struct parsed parsed;
    parse(&parsed, text);
    assert_string_equal(parsed.told, told);
    assert_int_equal(parsed.code, ERR_INPUT);
    parsed_release(&parsed);
}

static const struct node *node_of(const struct parsed *parsed, const char *name)
{
    const struct node *node = inventory_node(&parsed->inventory, name);
    assert_non_null(node);
    return node;
}

static size_t read_file(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(out, 1, size, file);
    assert_true(length < size);
    fclose(file);
    return length;
}

/* The expected JSON beside an inventory is Ansible's own; see inventory_reference.sh. */
static void compare_with_ansible(const char *name)
{
    static char text[200000];
    char path[600];
    struct parsed parsed;
    snprintf(path, sizeof(path), FOLDER "/%s.ini", name);
    parsed_inventory(&parsed, text, read_file(path, text, sizeof(text)));
    if (strncmp(name, "bad_", 4) == 0) {
        assert_int_equal(parsed.code, ERR_INPUT);
        assert_true(parsed.faults.items[0].line > 0);
        parsed_release(&parsed);
        return;
    }
    if (parsed.code < 0)
        fail_msg("%s", parsed.told);
    snprintf(path, sizeof(path), FOLDER "/%s.json", name);
    json_t *theirs = json_load_file(path, 0, NULL);
    json_t *ours = inventory_json(&parsed.inventory);
    assert_non_null(theirs);
    if (!json_equal(ours, theirs))
        fail_msg("%s: %s", name, json_dumps(ours, JSON_INDENT(1)));
    json_decref(theirs);
    json_decref(ours);
    parsed_release(&parsed);
}

static void every_inventory_reads_as_ansible_reads_it(void **state)
{
    (void)state;
    DIR *folder = opendir(FOLDER);
    struct dirent *entry;
    size_t count = 0;
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 4, ".ini") != 0)
            continue;
        entry->d_name[length - 4] = '\0';
        compare_with_ansible(entry->d_name);
        count++;
    }
    closedir(folder);
    assert_true(count >= 40);
}

static void groups_hold_their_nodes_and_their_childrens(void **state)
{
    (void)state;
    struct parsed parsed;
    parse_well(&parsed, "lone\n[web]\nweb[1:2]\n[db]\ndb1\nweb1\n[eu:children]\nweb\ndb\n");
    const struct inventory *inventory = &parsed.inventory;
    assert_int_equal(inventory->node_count, 4);
    assert_string_equal(inventory->groups[0].name, "all");
    assert_string_equal(inventory->groups[1].name, "ungrouped");
    assert_int_equal(inventory->groups[0].node_count, 4);
    const struct group *eu = inventory_group(inventory, "eu");
    assert_int_equal(eu->node_count, 3);
    assert_int_equal(eu->own_count, 0);
    assert_int_equal(eu->child_count, 2);
    assert_string_equal(inventory->nodes[eu->nodes[2]].name, "db1");
    assert_int_equal(node_of(&parsed, "web1")->group_count, 3);
    assert_int_equal(node_of(&parsed, "lone")->group_count, 1);
    assert_int_equal(node_of(&parsed, "db1")->line, 5);
    assert_null(inventory_node(inventory, "eu"));
    assert_null(inventory_group(inventory, "web1"));
    parsed_release(&parsed);
}

static void a_range_with_a_step_expands(void **state)
{
    (void)state;
    struct parsed parsed;
    parse_well(&parsed, "[web]\nweb[01:05:2].x[a:b]\n");
    static const char *const names[] = {"web01.xa", "web01.xb", "web03.xa",
                                        "web03.xb", "web05.xa", "web05.xb"};
    assert_int_equal(parsed.inventory.node_count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(parsed.inventory.nodes[i].name, names[i]);
    parsed_release(&parsed);
}

static void values_are_texts_without_their_quotes(void **state)
{
    (void)state;
    struct parsed parsed;
    parse_well(&parsed, "web1 a=8080 b=\"'07'\" c=1.10 d='x y' e=True f='[1, 2]'\n"
                        "[all:vars]\ng = \"q\" # c\nh = 5 # c\ni = a ; b # c\n");
    const struct node *node = node_of(&parsed, "web1");
    assert_string_equal(node_variable(node, "a"), "8080");
    assert_string_equal(node_variable(node, "b"), "07");
    assert_string_equal(node_variable(node, "c"), "1.10");
    assert_string_equal(node_variable(node, "d"), "x y");
    assert_string_equal(node_variable(node, "e"), "True");
    assert_string_equal(node_variable(node, "f"), "[1, 2]");
    assert_string_equal(node_variable(node, "g"), "q");
    assert_string_equal(node_variable(node, "h"), "5");
    assert_string_equal(node_variable(node, "i"), "a ; b # c");
    assert_null(node_variable(node, "j"));
    parsed_release(&parsed);
}

static void a_connection_is_resolved(void **state)
{
    (void)state;
    struct parsed parsed;
    parse_well(&parsed,
               "web1\n"
               "web2 ansible_host=10.0.0.2 ansible_port=2222 ansible_user=ops ansible_become=true "
               "ansible_ssh_private_key_file='~/my key' "
               "ansible_ssh_common_args='-o ProxyJump=me@bastion:2200'\n"
               "web3:44 ansible_host=a address=b ansible_user=c user=d key=k jump=bastion zone=eu "
               "weight=7 become=yes ansible_ssh_common_args='-J other' "
               "host_key='" KEY_A ", " KEY_B "'\n"
               "web4 ansible_ssh_common_args='-Jx' become=no ansible_become=yes\n"
               "web5 ansible_ssh_common_args='-J x -o \"ProxyJump none\"'\n");
    const struct node *node = node_of(&parsed, "web1");
    assert_string_equal(node->connection.address, "web1");
    assert_int_equal(node->connection.port, 22);
    assert_null(node->connection.user);
    assert_null(node->connection.jump);
    assert_false(node->connection.become);
    assert_int_equal(node->weight, 100);
    assert_null(node->zone);
    node = node_of(&parsed, "web2");
    assert_string_equal(node->connection.address, "10.0.0.2");
    assert_int_equal(node->connection.port, 2222);
    assert_string_equal(node->connection.user, "ops");
    assert_string_equal(node->connection.key, "~/my key");
    assert_string_equal(node->connection.jump, "me@bastion:2200");
    assert_true(node->connection.become);
    node = node_of(&parsed, "web3");
    assert_string_equal(node->connection.address, "b");
    assert_int_equal(node->connection.port, 44);
    assert_string_equal(node->connection.user, "d");
    assert_string_equal(node->connection.jump, "bastion");
    assert_int_equal(node->connection.host_key_count, 2);
    assert_string_equal(node->connection.host_keys[1], KEY_B);
    assert_string_equal(node->zone, "eu");
    assert_int_equal(node->weight, 7);
    assert_string_equal(node_of(&parsed, "web4")->connection.jump, "x");
    assert_false(node_of(&parsed, "web4")->connection.become);
    assert_null(node_of(&parsed, "web5")->connection.jump);
    parsed_release(&parsed);
}

static void ssh_arguments_other_than_the_jump_are_refused(void **state)
{
    (void)state;
    assert_told("web1 ansible_ssh_common_args='-J b -o StrictHostKeyChecking=no'\n",
                "inventory.ini:1: ansible_ssh_common_args: 'StrictHostKeyChecking=no': of ssh's "
                "arguments only the jump host is supported (-J host or -o ProxyJump=host); write "
                "the rest as variables: port, user, key, host_key\n");
    assert_told("web1 jump=a,b\n",
                "inventory.ini:1: jump: 'a,b': only one jump host is supported\n");
    assert_told("web1 jump=b:x\n", "inventory.ini:1: jump: 'b:x' is not [user@]host[:port]\n");
    assert_told("web1 jump=-oProxyCommand=x\n",
                "inventory.ini:1: jump: '-oProxyCommand=x' is not [user@]host[:port]\n");
}

static void bad_connections_are_told_once_at_their_line(void **state)
{
    (void)state;
    assert_told("[web]\nweb[1:50]\nother port=0\n[web:vars]\nport = 70000\n",
                "inventory.ini:3: port: '0' is not between 1 and 65535\n"
                "inventory.ini:5: port: '70000' is not between 1 and 65535\n");
    assert_told("a host_key=MD5:00\nb host_key=" KEY_A "A\nc weight=heavy\nd become=maybe\n"
                "e user='a b'\nf ansible_host={{x}}\ng address=\nh ansible_host=-x\n",
                "inventory.ini:1: host_key: 'MD5:00' is not a fingerprint; write SHA256: and 43 "
                "characters, as ssh-keygen -lf prints it\n"
                "inventory.ini:2: host_key: '" KEY_A "A' is not a fingerprint; write SHA256: and "
                "43 characters, as ssh-keygen -lf prints it\n"
                "inventory.ini:3: weight: 'heavy' is not a whole number\n"
                "inventory.ini:4: become: 'maybe' is neither yes nor no\n"
                "inventory.ini:5: user: 'a b' has blanks, quotes or a '-' in front\n"
                "inventory.ini:6: ansible_host: '{{x}}': Jinja expressions are not evaluated; "
                "write the value itself\n"
                "inventory.ini:7: address: the value is empty; give it one or remove it\n"
                "inventory.ini:8: ansible_host: '-x' has blanks, quotes or a '-' in front\n");
}

static void all_faults_come_in_one_run(void **state)
{
    (void)state;
    assert_told("[web]\nweb1 word\nweb[1:]\nweb[9:1]\nweb[1\nw:\n[web:children]\nweb\nbd\n"
                "[db]\n[a b]\nlost\n[c:vars]\nnothing\n[x:hots]\n",
                "inventory.ini:2: 'word' is not key=value; quote a value that has blanks\n"
                "inventory.ini:3: a range needs an end\n"
                "inventory.ini:4: the range counts down and names no node\n"
                "inventory.ini:5: 'web[1' has a bracket without its other\n"
                "inventory.ini:6: 'w:' is neither host:port nor an IPv6 address; write "
                "[address]:port for an address with a port\n"
                "inventory.ini:8: group 'web' cannot be a child of 'web': it is 'web' itself or "
                "above it\n"
                "inventory.ini:9: group 'bd' is not declared; did you mean 'db'?\n"
                "inventory.ini:11: section header '[a b]' is not [group], [group:vars] or "
                "[group:children]; only a '#' comment may stand behind it\n"
                "inventory.ini:13: group 'c' is not declared; add a section [c]\n"
                "inventory.ini:14: 'nothing' is not key = value\n"
                "inventory.ini:15: section [x:hots]: 'hots' is not known; use [x], [x:vars] or "
                "[x:children]\n");
}

static void a_cycle_of_groups_is_told_where_it_closes(void **state)
{
    (void)state;
    assert_told("[a:children]\nb\n[b:children]\na\n[all2:children]\nall\n",
                "inventory.ini:4: group 'a' cannot be a child of 'b': it is 'b' itself or above "
                "it\n"
                "inventory.ini:6: group 'all' cannot be a child of 'all2': it holds every group\n");
}

static void names_that_would_be_paths_are_refused(void **state)
{
    (void)state;
    assert_told("../x\n..\n-x\n'a b'\n", "inventory.ini:1: '../x' is not a usable host name\n"
                                         "inventory.ini:2: '..' is not a usable host name\n"
                                         "inventory.ini:3: '-x' is not a usable host name\n"
                                         "inventory.ini:4: 'a b' is not a usable host name\n");
}

static void too_large_a_range_is_a_fault(void **state)
{
    (void)state;
    assert_told("web[1:999999999]\n", "inventory.ini:1: the range makes more than 100000 nodes\n");
    struct parsed parsed;
    parse(&parsed, "a[1:60000]\nb[1:60000]\n");
    assert_string_equal(parsed.faults.items[0].message, "more than 100000 nodes");
    parsed_release(&parsed);
}

static void a_hundred_thousand_nodes_are_read(void **state)
{
    (void)state;
    struct parsed parsed;
    parse_well(&parsed, "[web]\nweb[1:100000] a=1 zone=eu\n[web:vars]\nb=2\n");
    assert_int_equal(parsed.inventory.node_count, 100000);
    assert_string_equal(node_variable(node_of(&parsed, "web77777"), "b"), "2");
    parsed_release(&parsed);
}

static void a_value_of_five_thousand_bytes_is_whole(void **state)
{
    (void)state;
    struct parsed parsed;
    char text[6000] = "web1 long=";
    char value[5001];
    memset(value, 'v', 5000);
    value[5000] = '\0';
    strcat(text, value);
    strcat(text, " next=1\n");
    parse_well(&parsed, text);
    assert_string_equal(node_variable(node_of(&parsed, "web1"), "long"), value);
    assert_string_equal(node_variable(node_of(&parsed, "web1"), "next"), "1");
    parsed_release(&parsed);
}

static void unreadable_bytes_are_told(void **state)
{
    (void)state;
    struct parsed parsed;
    static const char text[] = "a\0b\n\xff\nok\n";
    parsed_inventory(&parsed, text, sizeof(text) - 1);
    assert_string_equal(
        parsed.told,
        "inventory.ini:1: byte 2 of the line is a control character (U+0000); remove it\n"
        "inventory.ini:2: byte 1 of the line (0xff) is not UTF-8\n");
    parsed_release(&parsed);
}

static void another_form_is_called_by_its_name(void **state)
{
    (void)state;
    static const char yaml[] = "inventory.ini:2: this looks like YAML; an inventory is Ansible's INI here: [group], and below "
                               "it a node a line\n";
    assert_told("# ours\nall:\n  hosts:\n    web1:\n", yaml);
    assert_told("\n---\nall:\n", yaml);
    assert_told("{\"all\": {}}\n", "inventory.ini:1: this looks like JSON; an inventory is Ansible's INI here: [group], and below "
                                  "it a node a line\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_form_is_called_by_its_name),
        cmocka_unit_test(every_inventory_reads_as_ansible_reads_it),
        cmocka_unit_test(groups_hold_their_nodes_and_their_childrens),
        cmocka_unit_test(a_range_with_a_step_expands),
        cmocka_unit_test(values_are_texts_without_their_quotes),
        cmocka_unit_test(a_connection_is_resolved),
        cmocka_unit_test(ssh_arguments_other_than_the_jump_are_refused),
        cmocka_unit_test(bad_connections_are_told_once_at_their_line),
        cmocka_unit_test(all_faults_come_in_one_run),
        cmocka_unit_test(a_cycle_of_groups_is_told_where_it_closes),
        cmocka_unit_test(names_that_would_be_paths_are_refused),
        cmocka_unit_test(too_large_a_range_is_a_fault),
        cmocka_unit_test(a_hundred_thousand_nodes_are_read),
        cmocka_unit_test(a_value_of_five_thousand_bytes_is_whole),
        cmocka_unit_test(unreadable_bytes_are_told),
    };
    return cmocka_run_group_tests_name("inventory", tests, NULL, NULL);
}
