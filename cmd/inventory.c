#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "print.h"
#include "model/inventory_json.h"

/* What is shown: the chosen nodes, and of the groups those that hold one. */
struct view {
    const struct inventory *inventory;
    const bool *chosen; /* a node each */
    bool *shown;        /* a group each: its children stand above */
};

static size_t chosen_count(const struct view *view, const struct group *group)
{
    size_t count = 0;
    for (size_t i = 0; i < group->node_count; i++)
        count += view->chosen[group->nodes[i]];
    return count;
}

static void print_group(struct view *view, size_t index, int depth)
{
    const struct group *group = &view->inventory->groups[index];
    size_t count = chosen_count(view, group);
    if (count == 0)
        return;
    print_out("%*s%s (%zu)", 2 * depth, "", group->name, count);
    bool again = view->shown[index];
    view->shown[index] = true;
    for (size_t i = 0; i < group->own_count && index > 0; i++)
        if (view->chosen[group->own_nodes[i]])
            print_out(" %s", view->inventory->nodes[group->own_nodes[i]].name);
    print_out("%s\n", again && group->child_count ? ", see above" : "");
    for (size_t i = 0; i < group->child_count && !again; i++)
        print_group(view, group->children[i], depth + 1);
}

static int print_text(const struct inputs *inputs, struct view *view)
{
    int name_width = 4, address_width = 7, user_width = 4;
    for (size_t i = 0; i < inputs->node_count; i++) {
        const struct node *node = &inputs->inventory.nodes[inputs->nodes[i]];
        int address = snprintf(NULL, 0, "%s:%u", node->connection.address, node->connection.port);
        int name = (int)strlen(node->name);
        int user = node->connection.user ? (int)strlen(node->connection.user) : 1;
        name_width = name > name_width ? name : name_width;
        address_width = address > address_width ? address : address_width;
        user_width = user > user_width ? user : user_width;
    }
    print_group(view, 0, 0);
    print_out("\n%-*s  %-*s  %-*s  %s\n", name_width, "NODE", address_width, "ADDRESS", user_width,
           "USER", "ZONE");
    for (size_t i = 0; i < inputs->node_count; i++) {
        const struct node *node = &inputs->inventory.nodes[inputs->nodes[i]];
        const struct connection *connection = &node->connection;
        const char *zone = node_variable(node, "zone");
        char port[8];
        snprintf(port, sizeof port, ":%u", connection->port);
        int padding = address_width - (int)(strlen(connection->address) + strlen(port));
        print_out("%-*s  %s%s%*s  %-*s  %s\n", name_width, node->name, connection->address, port,
               padding, "", user_width, connection->user ? connection->user : "-",
               zone ? zone : "-");
    }
    return EXIT_DONE;
}

static void drop_hosts(json_t *group, json_t *variables)
{
    json_t *hosts = json_object_get(group, "hosts");
    for (size_t i = json_array_size(hosts); i > 0; i--)
        if (!json_object_get(variables, json_string_value(json_array_get(hosts, i - 1))))
            json_array_remove(hosts, i - 1);
}

/* Ansible's layout, cut to the chosen nodes. */
static int print_json(const struct inputs *inputs, const bool *chosen)
{
    json_t *list = inventory_json(&inputs->inventory);
    json_t *variables = json_object_get(json_object_get(list, "_meta"), "hostvars");
    const char *name;
    json_t *group;
    bool all = inputs->node_count == inputs->inventory.node_count;
    for (size_t i = 0; i < inputs->inventory.node_count && !all; i++)
        if (!chosen[i])
            json_object_del(variables, inputs->inventory.nodes[i].name);
        else if (!json_object_get(variables, inputs->inventory.nodes[i].name))
            json_object_set_new(variables, inputs->inventory.nodes[i].name, json_object());
    json_object_foreach(list, name, group) if (!all) drop_hosts(group, variables);
    return print_json_value(list, JSON_INDENT(4) | JSON_SORT_KEYS) ? EXIT_REFUSED : EXIT_DONE;
}

int verb_inventory(const struct options *options)
{
    struct inputs inputs;
    const char *pattern = options->argument_count ? options->arguments[0] : NULL;
    int code = inputs_read(&inputs, options, NULL, pattern);
    if (code)
        goto out;
    bool *chosen = arena_alloc(&inputs.arena, inputs.inventory.node_count + 1);
    bool *shown = arena_alloc(&inputs.arena, inputs.inventory.group_count + 1);
    if (!chosen || !shown) {
        struct err err = {0};
        err_set(&err, ERR_MEMORY, "out of memory");
        code = report_error(&err);
        goto out;
    }
    for (size_t i = 0; i < inputs.node_count; i++)
        chosen[inputs.nodes[i]] = true;
    struct view view = {&inputs.inventory, chosen, shown};
    code = options->json ? print_json(&inputs, chosen) : print_text(&inputs, &view);
out:
    inputs_release(&inputs);
    return report_printed(code);
}
