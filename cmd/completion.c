#include "completion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "completion_scripts.h"
#include "inputs.h"
#include "io/files.h"
#include "model/playbook_keys.h"
#include "reports.h"
#include "print.h"

const char *completion_word(enum completion_kind kind)
{
    static const char *const words[] = {
        [COMPLETE_NONE] = "none",       [COMPLETE_FILE] = "file",
        [COMPLETE_PATTERN] = "pattern", [COMPLETE_OUTPUT] = "output",
        [COMPLETE_SETTING] = "setting", [COMPLETE_PLAYBOOK] = "playbook",
        [COMPLETE_VERB] = "verb",       [COMPLETE_SHELL] = "shell",
        [COMPLETE_FORMAT] = "format",   [COMPLETE_ROLLOUT] = "rollout",
    };
    return words[kind];
}

/* Whose script it is, and who prints it. */
static const struct {
    const char *name;
    void (*print)(FILE *out);
} shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};

#define SHELLS (sizeof shells / sizeof *shells)

int verb_completion(const struct options *options)
{
    const char *names[SHELLS], *shell = options->arguments[0];
    for (size_t i = 0; i < SHELLS; i++) {
        names[i] = shells[i].name;
        if (strcmp(shell, names[i]) == 0) {
            shells[i].print(stdout);
            return report_printed(EXIT_DONE);
        }
    }
    const char *nearest = text_nearest(shell, names, SHELLS);
    print_err("deployctl: no completion for '%s': there is bash, zsh and fish%s%s%s\n"
            "try 'deployctl help completion'\n",
            shell, nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return EXIT_USAGE;
}

/* Groups and nodes of an inventory. One with faults names nothing. */
static void print_nodes(const char *path)
{
    struct strbuf text;
    struct arena arena;
    struct faults faults;
    struct inventory inventory = {0};
    strbuf_init(&text, INPUT_FILE_MAX);
    arena_init(&arena);
    arena_init(&inventory.arena);
    faults_init(&faults, &arena);
    bool read = file_read(&text, path, NULL) == 0 &&
                inventory_parse(&inventory, path, text.text, text.length, &faults, NULL) == 0;
    for (size_t i = 0; read && i < inventory.group_count; i++)
        print_out("%s\n", inventory.groups[i].name);
    for (size_t i = 0; read && i < inventory.node_count; i++)
        print_out("%s\n", inventory.nodes[i].name);
    inventory_release(&inventory);
    arena_release(&arena);
    strbuf_release(&text);
}

static void print_playbooks(void)
{
    struct arena arena;
    const char **names;
    arena_init(&arena);
    size_t count = playbook_names(&names, &arena);
    for (size_t i = 0; i < count; i++)
        print_out("%s\n", names[i]);
    arena_release(&arena);
}

static void print_rollouts(void)
{
    struct journal_names names;
    journal_names_read(&names);
    for (size_t i = 0; i < names.count; i++)
        print_out("%s\n", names.items[i].rollout);
    journal_names_release(&names);
}

/* A hook's settings need its label, which stands in the playbook only. */
static void print_settings(void)
{
    const struct playbook_key *key;
    for (size_t i = 0; (key = playbook_key_at(i)); i++)
        if (!playbook_section_has_name(key->section))
            print_out("%s.%s=\n", key->section, key->key);
}

int complete_words(int argc, char **argv)
{
    const char *what = argc > 0 ? argv[0] : "";
    const char *inventory = argc > 2 && strcmp(argv[1], "-i") == 0 ? argv[2] : NULL;
    if (!inventory)
        inventory = getenv("DEPLOYCTL_INVENTORY");
    if (!inventory || !*inventory)
        inventory = "inventory.ini";
    if (strcmp(what, "nodes") == 0)
        print_nodes(inventory);
    else if (strcmp(what, "playbooks") == 0)
        print_playbooks();
    else if (strcmp(what, "rollouts") == 0)
        print_rollouts();
    else if (strcmp(what, "settings") == 0)
        print_settings();
    return EXIT_DONE;
}
