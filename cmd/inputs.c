#include "inputs.h"
#include "print.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "io/files.h"
#include "model/pattern.h"
#include "model/strategy.h"
#include "model/slots.h"

void fault_print(const struct fault *fault, const char *event, bool json)
{
    struct strbuf text;
    strbuf_init(&text, INPUT_FILE_MAX);
    text_sanitize(&text, fault->message, strlen(fault->message), false);
    bool warning = strcmp(event, "warning") == 0;
    if (json) {
        json_t *line = json_line("{s:i, s:s, s:s, s:i, s:s}", "v", 1, "event", event, "file",
                                 fault->file, "line", fault->line, "message", text.text);
        print_json_line(line);
    } else if (fault->line) {
        print_err("%s:%d: %s%s\n", fault->file, fault->line, warning ? "warning: " : "",
                text.text);
    } else {
        print_err("%s: %s%s\n", fault->file, warning ? "warning: " : "", text.text);
    }
    strbuf_release(&text);
}

/* Every fault, then how many. */
static int print_faults(const struct faults *faults, bool json)
{
    for (size_t i = 0; i < faults->count; i++)
        fault_print(&faults->items[i], "fault", json);
    const char *more = faults->total > faults->count ? ", the first of them above" : "";
    print_err("deployctl: %zu fault%s%s; nothing was done\n", faults->total,
            faults->total == 1 ? "" : "s", more);
    return EXIT_BAD_INPUT;
}

static int read_file(struct strbuf *out, const char *path, const char *what, struct err *err)
{
    int status = file_read(out, path, err);
    return status ? err_prefix(err, "%s", what) : 0;
}

static int read_inventory(struct inputs *inputs, const struct options *options,
                          struct faults *faults, struct err *err)
{
    struct strbuf text;
    strbuf_init(&text, INPUT_FILE_MAX);
    int status = 0;
    if (!options->inventory_from && access(options->inventory, F_OK) != 0)
        status = err_set(err, ERR_INPUT,
                         "no inventory: there is no %s here; name one with --inventory FILE or "
                         "$DEPLOYCTL_INVENTORY",
                         options->inventory);
    else
        status = read_file(&text, options->inventory,
                           options->inventory_from ? options->inventory_from : "inventory", err);
    if (!status && inventory_parse(&inputs->inventory, options->inventory, text.text, text.length,
                                   faults, err) == ERR_MEMORY)
        status = ERR_MEMORY;
    strbuf_release(&text);
    return status;
}

static int read_playbook(struct inputs *inputs, const struct options *options, const char *name,
                         struct faults *faults, struct err *err)
{
    struct strbuf text;
    strbuf_init(&text, INPUT_FILE_MAX);
    int status = playbook_path(&inputs->playbook_path, name, &inputs->arena, err);
    if (!status)
        status = read_file(&text, inputs->playbook_path, "playbook", err);
    if (!status) {
        inputs->has_playbook = true;
        status = playbook_parse(&inputs->playbook, inputs->playbook_path, text.text, text.length,
                                options->overrides, options->override_count,
                                faults->total ? NULL : &inputs->inventory, faults, err);
        status = status == ERR_MEMORY ? status : 0;
    }
    strbuf_release(&text);
    return status;
}

static int by_name(const void *left, const void *right, void *inventory)
{
    const struct node *nodes = ((const struct inventory *)inventory)->nodes;
    return strcmp(nodes[*(const size_t *)left].name, nodes[*(const size_t *)right].name);
}

static void order_nodes(struct inputs *inputs)
{
    enum order_kind order =
        inputs->has_playbook ? inputs->playbook.strategy.order : ORDER_INVENTORY;
    size_t count = inputs->node_count;
    if (order == ORDER_SORTED)
        qsort_r(inputs->nodes, count, sizeof *inputs->nodes, by_name, &inputs->inventory);
    for (size_t i = 0; order == ORDER_REVERSE && i < count / 2; i++) {
        size_t other = inputs->nodes[i];
        inputs->nodes[i] = inputs->nodes[count - 1 - i];
        inputs->nodes[count - 1 - i] = other;
    }
}

/* Which of the inventory's nodes the limit names. */
static int read_limit(bool **out, struct inputs *inputs, const char *limit, struct err *err)
{
    size_t *wanted = NULL, wanted_count = 0;
    int status =
        pattern_resolve(&wanted, &wanted_count, &inputs->inventory, limit, &inputs->arena, err);
    if (status)
        return err_prefix(err, "--limit");
    *out = arena_alloc(&inputs->arena, inputs->inventory.node_count + 1);
    if (!*out)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < wanted_count; i++)
        (*out)[wanted[i]] = true;
    return 0;
}

int inputs_mark_limit(struct inputs *inputs, const char *limit, struct err *err)
{
    bool *in;
    size_t left = 0;
    if (read_limit(&in, inputs, limit, err) < 0)
        return err->code;
    for (size_t i = 0; i < inputs->node_count; i++) {
        inputs->outside[i] = !in[inputs->nodes[i]];
        left += !inputs->outside[i];
    }
    return left ? 0 : err_set(err, ERR_NOT_FOUND, "--limit %s leaves no node", limit);
}

/* Keeps the nodes that the limit names, in the order they have. */
static int limit_nodes(struct inputs *inputs, const char *limit, struct err *err)
{
    bool *in;
    size_t kept = 0;
    if (read_limit(&in, inputs, limit, err) < 0)
        return err->code;
    for (size_t i = 0; i < inputs->node_count; i++)
        if (in[inputs->nodes[i]])
            inputs->nodes[kept++] = inputs->nodes[i];
    inputs->node_count = kept;
    return kept ? 0 : err_set(err, ERR_NOT_FOUND, "--limit %s leaves no node", limit);
}

/* The nodes of the playbook's `hosts`: what is wrong with them belongs to a line of the file. */
static int select_hosts(struct inputs *inputs, struct faults *faults, struct err *err)
{
    struct err reason = {0};
    const struct playbook *playbook = &inputs->playbook;
    const char *hosts = playbook->service.hosts;
    int line = playbook_line(playbook, "service", "hosts");
    bool overridden = line == 0 && playbook_has(playbook, "service", "hosts");
    const char *file = overridden ? "--set" : inputs->playbook_path;
    int status = pattern_resolve(&inputs->nodes, &inputs->node_count, &inputs->inventory, hosts,
                                 &inputs->arena, &reason);
    if (status == ERR_MEMORY)
        return err_set(err, ERR_MEMORY, "out of memory");
    if (status)
        faults_add(faults, file, line, "hosts = %s: %s", hosts, reason.message);
    else if (inputs->node_count == 0)
        faults_add(faults, file, line, "hosts = %s: no node in %s", hosts, inputs->inventory.file);
    return 0;
}

/* With two groups of nodes, each node of the service is in one of them. */
static int check_sides(struct inputs *inputs, struct faults *faults, struct err *err)
{
    struct err reason = {0};
    size_t *slots, wrong;
    if (!playbook_has_sides(&inputs->playbook) || !inputs->playbook.slots[SLOT_GREEN].hosts)
        return 0;
    if (slots_of_nodes(&slots, &wrong, &inputs->playbook, &inputs->inventory, inputs->nodes,
                       inputs->node_count, &inputs->arena, &reason) == 0)
        return 0;
    if (reason.code == ERR_MEMORY)
        return err_set(err, ERR_MEMORY, "out of memory");
    faults_add(faults, inputs->playbook_path,
               playbook_line(&inputs->playbook, wrong == SLOT_GREEN ? "slot green" : "slot blue",
                             "hosts"),
               "%s", reason.message);
    return 0;
}

/* Where the balancers run, likewise. */
static int select_balancers(struct inputs *inputs, struct faults *faults, struct err *err)
{
    const struct playbook *playbook = &inputs->playbook;
    for (size_t i = 0; i < playbook->balancer_count; i++) {
        const struct balancer *balancer = &playbook->balancers[i];
        struct err reason = {0};
        size_t *nodes, count = 0;
        const char *section = arena_printf(&inputs->arena, "balancer %s", balancer->name);
        if (!balancer->nodes || !section)
            continue;
        int status = pattern_resolve(&nodes, &count, &inputs->inventory, balancer->nodes,
                                     &inputs->arena, &reason);
        if (status == ERR_MEMORY)
            return err_set(err, ERR_MEMORY, "out of memory");
        if (status || count == 0)
            faults_add(faults, inputs->playbook_path, playbook_line(playbook, section, "nodes"),
                       "key 'nodes' in [%s]: %s: %s", section, balancer->nodes,
                       status ? reason.message : "no node of the inventory");
    }
    return 0;
}

/* Where discoveries are written, likewise. */
static int select_discoveries(struct inputs *inputs, struct faults *faults, struct err *err)
{
    const struct playbook *playbook = &inputs->playbook;
    for (size_t i = 0; i < playbook->discovery_count; i++) {
        const struct discovery *discovery = &playbook->discoveries[i];
        struct err reason = {0};
        size_t *nodes, count = 0;
        const char *section = arena_printf(&inputs->arena, "discovery %s", discovery->name);
        if (!discovery->nodes || !section)
            continue;
        int status = pattern_resolve(&nodes, &count, &inputs->inventory, discovery->nodes, &inputs->arena, &reason);
        if (status == ERR_MEMORY)
            return err_set(err, ERR_MEMORY, "out of memory");
        if (status || count == 0)
            faults_add(faults, inputs->playbook_path, playbook_line(playbook, section, "nodes"),
                       "key 'nodes' in [%s]: %s: %s", section, discovery->nodes,
                       status ? reason.message : "no node of the inventory");
    }
    return 0;
}

/* Returns an exit code; what the command line asked for in vain is a usage error. */
static int select_nodes(struct inputs *inputs, const struct options *options, const char *pattern,
                        struct err *err)
{
    int status = 0;
    if (!inputs->has_playbook) {
        pattern = pattern ? pattern : "all";
        status = pattern_resolve(&inputs->nodes, &inputs->node_count, &inputs->inventory, pattern,
                                 &inputs->arena, err);
        if (status)
            err_prefix(err, "pattern");
        else if (inputs->node_count == 0)
            status = err_set(err, ERR_NOT_FOUND, "pattern %s: no node in %s", pattern,
                             inputs->inventory.file);
    }
    if (!status && options->limit && !options->marks_limit)
        status = limit_nodes(inputs, options->limit, err);
    if (status)
        return status;
    order_nodes(inputs);
    inputs->outside = arena_alloc(&inputs->arena, inputs->node_count + 1);
    if (!inputs->outside)
        return err_set(err, ERR_MEMORY, "out of memory");
    return options->limit && options->marks_limit ? inputs_mark_limit(inputs, options->limit, err) : 0;
}

/* A file that cannot be read is bad input, whatever the reason. */
static int unreadable(const struct err *err)
{
    int code = report_error(err);
    return err->code == ERR_MEMORY ? code : EXIT_BAD_INPUT;
}

int inputs_read(struct inputs *inputs, const struct options *options, const char *playbook_name,
                const char *pattern)
{
    struct faults faults;
    struct err err = {0};
    memset(inputs, 0, sizeof *inputs);
    arena_init(&inputs->arena);
    arena_init(&inputs->inventory.arena);
    arena_init(&inputs->playbook.arena);
    faults_init(&faults, &inputs->arena);
    if (read_inventory(inputs, options, &faults, &err))
        return unreadable(&err);
    if (faults.total == 0 && inputs->inventory.node_count == 0)
        faults_add(&faults, inputs->inventory.file, 0, "no node stands in it; write one a line below a [group]");
    bool readable = faults.total == 0;
    if (playbook_name && read_playbook(inputs, options, playbook_name, &faults, &err)) {
        if (faults.total)
            print_faults(&faults, options->json);
        return unreadable(&err);
    }
    if (playbook_name && readable && inputs->playbook.service.hosts &&
        select_hosts(inputs, &faults, &err))
        return report_error(&err);
    if (playbook_name && readable && inputs->node_count &&
        check_sides(inputs, &faults, &err))
        return report_error(&err);
    if (playbook_name && readable &&
        (select_balancers(inputs, &faults, &err) || select_discoveries(inputs, &faults, &err)))
        return report_error(&err);
    if (faults.total)
        return print_faults(&faults, options->json);
    if (select_nodes(inputs, options, pattern, &err)) {
        report_error(&err);
        return err.code == ERR_MEMORY ? EXIT_REFUSED : EXIT_USAGE;
    }
    return 0;
}

void inputs_release(struct inputs *inputs)
{
    inventory_release(&inputs->inventory);
    if (inputs->has_playbook)
        playbook_release(&inputs->playbook);
    arena_release(&inputs->arena);
}

/* What the nodes can carry, when a balancer shifts the traffic; NULL: the number of nodes is the share. */
static int node_weights(const uint32_t **out, struct inputs *inputs, struct err *err)
{
    uint32_t *weights = arena_alloc(&inputs->arena, (inputs->node_count + 1) * sizeof *weights);
    if (!weights)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < inputs->node_count; i++)
        weights[i] = inputs->inventory.nodes[inputs->nodes[i]].weight;
    *out = inputs->playbook.balancer_count ? weights : NULL;
    return 0;
}

static int canary_waves(struct waves *out, struct inputs *inputs, struct err *err)
{
    const struct strategy *strategy = &inputs->playbook.strategy;
    size_t count = strategy->steps.count;
    struct wave_rule *rules = arena_alloc(&inputs->arena, count * sizeof *rules);
    const uint32_t *weights = NULL;
    if (!rules || node_weights(&weights, inputs, err) < 0)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const struct canary_step *step = &strategy->steps.items[i];
        rules[i] = (struct wave_rule){
            .share = step->percent * (SHARE_ALL / 100),
            .bake_ms = step->bake_ms == BAKE_OF_STRATEGY ? strategy->bake_ms : step->bake_ms,
            .manual = step->manual || strategy->promote == PROMOTE_MANUAL,
        };
    }
    return waves_by_share(out, inputs->node_count, weights, rules, count, false, &inputs->arena, err);
}

/* One wave changes the idle side, the other one is the switch. */
static int switch_waves(struct waves *out, struct inputs *inputs, struct err *err)
{
    const struct strategy *strategy = &inputs->playbook.strategy;
    struct wave_rule *rules = arena_alloc(&inputs->arena, 2 * sizeof(*rules));
    if (!rules)
        return err_set(err, ERR_MEMORY, "out of memory");
    rules[0] = (struct wave_rule){.share = 0, .manual = strategy->promote == PROMOTE_MANUAL};
    rules[1] = (struct wave_rule){.share = SHARE_ALL, .bake_ms = strategy->bake_ms};
    return waves_by_share(out, inputs->node_count, NULL, rules, 2, true, &inputs->arena, err);
}

static int make_waves(struct waves *out, struct inputs *inputs, struct err *err)
{
    const struct strategy *strategy = &inputs->playbook.strategy;
    const char **zones = NULL;
    if (strategy->kind == STRATEGY_CANARY)
        return canary_waves(out, inputs, err);
    if (strategy->kind == STRATEGY_BLUE_GREEN)
        return switch_waves(out, inputs, err);
    if (strategy->spread) {
        zones = arena_alloc(&inputs->arena, inputs->node_count * sizeof *zones);
        if (!zones)
            return err_set(err, ERR_MEMORY, "out of memory");
        for (size_t i = 0; i < inputs->node_count; i++)
            zones[i] = node_variable(&inputs->inventory.nodes[inputs->nodes[i]], strategy->spread);
    }
    size_t count = strategy_batch_count(&inputs->playbook);
    struct amount *batch = arena_alloc(&inputs->arena, count * sizeof *batch);
    if (!batch)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        batch[i] = strategy_batch(&inputs->playbook, i);
    return waves_compile(out, inputs->node_count, zones, batch, count, &inputs->arena, err);
}

int inputs_waves(struct waves *out, struct inputs *inputs, struct err *err)
{
    size_t *all = inputs->nodes, all_count = inputs->node_count, count = 0;
    size_t *inside = arena_alloc(&inputs->arena, (all_count + 1) * sizeof *inside);
    size_t *nodes = arena_alloc(&inputs->arena, (all_count + 1) * sizeof *nodes);
    if (!inside || !nodes)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < all_count; i++)
        if (!inputs->outside[i]) {
            inside[count] = i;
            nodes[count++] = all[i];
        }
    inputs->nodes = nodes;
    inputs->node_count = count;
    int status = make_waves(out, inputs, err);
    inputs->nodes = all;
    inputs->node_count = all_count;
    for (size_t wave = 0; !status && wave < out->count; wave++)
        for (size_t i = 0; i < out->items[wave].count; i++)
            out->items[wave].nodes[i] = inside[out->items[wave].nodes[i]];
    return status;
}
