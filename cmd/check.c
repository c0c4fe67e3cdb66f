#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inputs.h"
#include "print.h"
#include "model/strategy.h"

/* What can be known of the source without reading it; NULL when nothing is wrong. */
static const char *source_trouble(struct inputs *inputs, int *line)
{
    static const char *const keys[] = {
        [SOURCE_GIT] = "git", [SOURCE_DIR] = "dir", [SOURCE_ARCHIVE] = "archive"};
    const struct source *source = &inputs->playbook.source;
    const char *path = inputs_source_path(inputs), *key = keys[source->kind];
    bool folder = source->kind != SOURCE_ARCHIVE;
    struct stat status;
    *line = playbook_line(&inputs->playbook, "source", key);
    if (!path)
        return NULL;
    if (stat(path, &status) != 0)
        return arena_printf(&inputs->arena, "%s = %s: there is no %s here", key, source->location,
                            path);
    if (folder && !S_ISDIR(status.st_mode))
        return arena_printf(&inputs->arena, "%s = %s: %s is not a folder", key, source->location,
                            path);
    if (!folder && !S_ISREG(status.st_mode))
        return arena_printf(&inputs->arena, "%s = %s: %s is not a file", key, source->location,
                            path);
    return NULL;
}

static const char *node_at(const struct inputs *inputs, const struct wave *wave, size_t index)
{
    return inputs->inventory.nodes[inputs->nodes[wave->nodes[index]]].name;
}

/* What the run will hold to. */
static struct capacity capacity_of(const struct inputs *inputs, uint32_t *weights)
{
    struct capacity capacity;
    for (size_t i = 0; i < inputs->node_count; i++)
        weights[i] = inputs->inventory.nodes[inputs->nodes[i]].weight;
    strategy_capacity(&capacity, &inputs->playbook, weights, inputs->node_count);
    if (inputs->playbook.strategy.kind == STRATEGY_BLUE_GREEN)
        capacity.out = 0;
    return capacity;
}

static void print_capacity(const struct capacity *capacity)
{
    if (capacity->out == 0)
        print_out("out of service at a time: none, the side without traffic changes\n");
    else if (capacity->weighed)
        print_out("out of service at a time: at most %u of the weight %u, or one heavier node alone\n", capacity->out, capacity->of);
    else
        print_out("out of service at a time: at most %u of %u node%s\n", capacity->out, capacity->of, capacity->of == 1 ? "" : "s");
}

static void print_text(const struct inputs *inputs, const struct waves *waves, const struct capacity *capacity)
{
    print_out("ok: %s: service %s, %zu node%s in %zu wave%s:", inputs->playbook_path,
           inputs->playbook.service.name, inputs->node_count, inputs->node_count == 1 ? "" : "s",
           waves->count, waves->count == 1 ? "" : "s");
    for (size_t i = 0; i < waves->count; i++) {
        for (size_t k = 0; k < waves->items[i].count; k++)
            print_out(" %s", node_at(inputs, &waves->items[i], k));
        if (i + 1 < waves->count && waves->items[i + 1].count)
            print_out(" |");
    }
    print_out("\n");
    print_capacity(capacity);
}

static void print_json(const struct inputs *inputs, const struct waves *waves, const struct capacity *capacity)
{
    const struct playbook *playbook = &inputs->playbook;
    uint32_t count = (uint32_t)inputs->node_count;
    json_t *lists = json_array();
    for (size_t i = 0; i < waves->count; i++) {
        json_t *names = json_array();
        for (size_t k = 0; k < waves->items[i].count; k++)
            json_array_append_new(names, json_text(node_at(inputs, &waves->items[i], k)));
        json_array_append_new(lists, names);
    }
    json_t *line =
        json_line("{s:i, s:s, s:b, s:s, s:s, s:s, s:i, s:i, s:s, s:i, s:i, s:o}", "v", 1, "event", "check",
                  "ok", 1, "playbook", inputs->playbook_path, "inventory", inputs->inventory.file,
                  "service", playbook->service.name, "nodes", (int)count, "max_unavailable",
                  (int)capacity->out, "max_unavailable_of", capacity->weighed ? "weight" : "nodes", "capacity",
                  (int)capacity->of, "max_failures",
                  (int)amount_tolerated(playbook->failure.max_failures, count), "waves", lists);
    print_json_line(line);
}

/* What Ansible reads beside an inventory. */
static void look_beside(struct inputs *inputs, struct faults *out)
{
    static const char *const folders[] = {"group_vars", "host_vars"};
    const char *file = inputs->inventory.file, *slash = strrchr(file, '/');
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        const char *path = arena_printf(&inputs->arena, "%.*s%s", slash ? (int)(slash - file) + 1 : 0, file, folders[i]);
        if (path && access(path, F_OK) == 0)
            faults_add(out, file, 0, "%s is not read; what it says of these nodes must stand in this file", path);
    }
}

/* A variable that no node has keeps nothing apart. */
static void check_spread(struct inputs *inputs, struct faults *out)
{
    const char *spread = inputs->playbook.strategy.spread;
    size_t without = 0;
    for (size_t i = 0; spread && i < inputs->node_count; i++)
        without += !node_variable(&inputs->inventory.nodes[inputs->nodes[i]], spread);
    if (without)
        faults_add(out, inputs->playbook_path, playbook_line(&inputs->playbook, "strategy", "spread"),
                   "spread = %s: %zu of %zu nodes have no such variable, and count as one %s of their own", spread, without,
                   inputs->node_count, spread);
}

static void print_warnings(struct inputs *inputs, bool json)
{
    struct faults warnings;
    int line;
    faults_init(&warnings, &inputs->arena);
    look_beside(inputs, &warnings);
    for (size_t i = 0; i < inputs->node_count; i++)
        node_tell_unread(&inputs->inventory.nodes[inputs->nodes[i]], inputs->inventory.file, &warnings);
    check_spread(inputs, &warnings);
    playbook_doubts(&inputs->playbook, &warnings);
    const char *trouble = source_trouble(inputs, &line);
    if (trouble)
        faults_add(&warnings, inputs->playbook_path, line, "%s", trouble);
    for (size_t i = 0; i < warnings.count; i++)
        fault_print(&warnings.items[i], "warning", json);
}

int verb_check(const struct options *options)
{
    struct inputs inputs;
    struct waves waves;
    struct err err = {0};
    int code = inputs_read(&inputs, options, options->arguments[0], NULL);
    if (code)
        goto out;
    if (inputs_waves(&waves, &inputs, &err)) {
        code = report_error(&err);
        goto out;
    }
    print_warnings(&inputs, options->json);
    uint32_t *weights = arena_alloc(&inputs.arena, (inputs.node_count + 1) * sizeof(*weights));
    if (!weights) {
        err_set(&err, ERR_MEMORY, "out of memory");
        code = report_error(&err);
        goto out;
    }
    struct capacity capacity = capacity_of(&inputs, weights);
    (options->json ? print_json : print_text)(&inputs, &waves, &capacity);
out:
    inputs_release(&inputs);
    return report_printed(code);
}
