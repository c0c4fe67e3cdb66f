#include "model/inventory_json.h"

#include <string.h>

#include "model/literal.h"

/* Ansible never prints these, whoever sets them: INTERNAL_VARS of ansible/cli/inventory.py. */
static bool is_internal(const char *name)
{
    static const char *const internal[] = {
        "ansible_diff_mode",
        "ansible_config_file",
        "ansible_facts",
        "ansible_forks",
        "ansible_inventory_sources",
        "ansible_limit",
        "ansible_playbook_python",
        "ansible_run_tags",
        "ansible_skip_tags",
        "ansible_verbosity",
        "ansible_version",
        "inventory_dir",
        "inventory_file",
        "inventory_hostname",
        "inventory_hostname_short",
        "groups",
        "group_names",
        "omit",
        "playbook_dir",
    };
    for (size_t i = 0; i < sizeof(internal) / sizeof(internal[0]); i++)
        if (strcmp(internal[i], name) == 0)
            return true;
    return false;
}

static json_t *variable_json(const struct variable *variable)
{
    json_t *typed = variable->written ? literal_parse(variable->written, NULL) : NULL;
    return typed ? typed : json_string(variable->value);
}

json_t *node_variables_json(const struct node *node)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < node->variables.count; i++) {
        const struct variable *variable = &node->variables.items[i];
        if (is_internal(variable->name))
            continue;
        if (json_object_set_new(object, variable->name, variable_json(variable)) < 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

static bool add_name(json_t *list, const char *name)
{
    return list && json_array_append_new(list, json_string(name)) == 0;
}

/* `hosts` and `children` of one group, each only when there are any; `all` never lists hosts. */
static json_t *group_json(const struct inventory *inventory, size_t index)
{
    const struct group *group = &inventory->groups[index];
    json_t *object = json_object(), *hosts = json_array(), *children = json_array();
    bool good = object && hosts && children;
    for (size_t i = 0; good && index != 0 && i < group->own_count; i++)
        good = add_name(hosts, inventory->nodes[group->own_nodes[i]].name);
    for (size_t i = 0; good && i < group->child_count; i++)
        good = add_name(children, inventory->groups[group->children[i]].name);
    if (good && json_array_size(hosts))
        good = json_object_set(object, "hosts", hosts) == 0;
    if (good && json_array_size(children))
        good = json_object_set(object, "children", children) == 0;
    json_decref(hosts);
    json_decref(children);
    if (good)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *meta_json(const struct inventory *inventory)
{
    json_t *variables = json_object();
    const struct group *all = &inventory->groups[0];
    bool good = variables;
    for (size_t i = 0; good && i < all->node_count; i++) {
        const struct node *node = &inventory->nodes[all->nodes[i]];
        json_t *object = node_variables_json(node);
        good = object;
        if (object && json_object_size(object))
            good = json_object_set(variables, node->name, object) == 0;
        json_decref(object);
    }
    json_t *meta = good ? json_pack("{s:o}", "hostvars", variables) : NULL;
    if (!meta && variables && !good)
        json_decref(variables);
    return meta;
}

json_t *inventory_json(const struct inventory *inventory)
{
    json_t *result = json_object();
    bool good = result && json_object_set_new(result, "_meta", meta_json(inventory)) == 0;
    for (size_t i = 0; good && i < inventory->group_count; i++) {
        json_t *group = group_json(inventory, i);
        good = group;
        if (group && json_object_size(group))
            good = json_object_set(result, inventory->groups[i].name, group) == 0;
        json_decref(group);
    }
    if (good)
        return result;
    json_decref(result);
    return NULL;
}
