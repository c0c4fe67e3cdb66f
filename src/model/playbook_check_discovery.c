#include "playbook_check_discovery.h"

#include <string.h>

#include "playbook_check_etcd.h"

#define TELL_MISSING(line, key)                                                                    \
    faults_add(faults, playbook->file, line, "key '%s' is missing in [%s]", key, section)

/* Which types a key has a meaning for; those that stand in every type are not here. */
enum { FILE_SD = 1 << DISCOVERY_FILE_SD, ETCD = 1 << DISCOVERY_ETCD, HOSTS = 1 << DISCOVERY_HOSTS, COMMAND = 1 << DISCOVERY_COMMAND };
static const struct {
    const char *key;
    unsigned types, required;
} meanings[] = {
    {"nodes", FILE_SD | HOSTS | COMMAND, 0}, {"on", FILE_SD | HOSTS | COMMAND, 0},
    {"file", FILE_SD | HOSTS, FILE_SD | HOSTS}, {"become", FILE_SD | HOSTS, 0},
    {"target", FILE_SD | ETCD | HOSTS, 0},   {"line", HOSTS, 0},
    {"value", ETCD, 0},                      {"prefix", ETCD, 0},
    {"lease", ETCD, 0},
    {"add", COMMAND, COMMAND},               {"remove", COMMAND, COMMAND},
    {"list", COMMAND, 0},                    {"etcd", ETCD, ETCD},
    {"user", ETCD, 0},                       {"password_env", ETCD, 0},
    {"password_file", ETCD, 0},              {"ca", ETCD, 0},
    {"cert", ETCD, 0},                       {"key", ETCD, 0},
};

static void check_meanings(const struct playbook *playbook, const struct discovery *discovery, const char *section,
                           struct faults *faults)
{
    unsigned type = 1u << discovery->kind;
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        bool given = playbook_has(playbook, section, meanings[i].key);
        if (given && !(meanings[i].types & type))
            faults_add(faults, playbook->file, playbook_line(playbook, section, meanings[i].key),
                       "key '%s' in [%s] has no meaning with type = %s; remove it", meanings[i].key, section,
                       discovery_kind_name(discovery->kind));
        if (!given && (meanings[i].required & type))
            TELL_MISSING(discovery->line_number, meanings[i].key);
    }
}

static void check_place(const struct playbook *playbook, const struct discovery *discovery, const char *section,
                        struct faults *faults)
{
    int line = playbook_line(playbook, section, "on");
    if (discovery->kind == DISCOVERY_ETCD)
        return;
    if (discovery->on == DISCOVERY_ON_NODES && !discovery->nodes)
        faults_add(faults, playbook->file, discovery->line_number, "[%s] needs 'nodes', an inventory pattern, or on = runner",
                   section);
    if (discovery->on == DISCOVERY_ON_RUNNER && (discovery->nodes || discovery->become))
        faults_add(faults, playbook->file, line, "key 'on' in [%s]: with runner, '%s' has no meaning; remove one", section,
                   discovery->nodes ? "nodes" : "become");
    if (discovery->file && strchr(discovery->file, '{'))
        faults_add(faults, playbook->file, playbook_line(playbook, section, "file"),
                   "key 'file' in [%s]: one file holds all nodes, so there is no {name} in it", section);
}

void playbook_check_discoveries(struct playbook *playbook, struct faults *faults)
{
    for (size_t i = 0; i < playbook->discovery_count; i++) {
        const struct discovery *discovery = &playbook->discoveries[i];
        const char *section = arena_printf(&playbook->arena, "discovery %s", discovery->name);
        if (!section)
            return;
        if (!playbook_has(playbook, section, "type")) {
            TELL_MISSING(discovery->line_number, "type");
            continue;
        }
        check_meanings(playbook, discovery, section, faults);
        check_place(playbook, discovery, section, faults);
        if (discovery->kind == DISCOVERY_ETCD)
            playbook_check_etcd(playbook, section, &discovery->etcd, faults);
        bool shown = discovery->kind == DISCOVERY_FILE_SD || discovery->kind == DISCOVERY_HOSTS || discovery->kind == DISCOVERY_ETCD;
        if (shown && strstr(discovery->target, "{port}") && !playbook->service.port && playbook->strategy.kind != STRATEGY_BLUE_GREEN)
            faults_add(faults, playbook->file, discovery->line_number,
                       "[%s]: its target names {port}, and [service] has none; give 'port' there, or a 'target' here",
                       section);
    }
}

void playbook_check_discovers(struct playbook *playbook, struct faults *faults)
{
    for (size_t i = 0; i < playbook->discover_count; i++) {
        struct discover *discover = &playbook->discovers[i];
        const char *section = arena_printf(&playbook->arena, "discover %s", discover->name);
        if (!section)
            return;
        if (!discover->service)
            discover->service = discover->name;
        if (!discover->file == !discover->etcd.urls.count && !playbook_has(playbook, section, "etcd"))
            faults_add(faults, playbook->file, discover->line_number, "[%s] needs 'file' or 'etcd'", section);
        if (discover->file && discover->etcd.urls.count)
            faults_add(faults, playbook->file, playbook_line(playbook, section, "file"),
                       "'file' and 'etcd' in [%s] exclude each other; keep one", section);
        if (discover->file && playbook_has(playbook, section, "prefix"))
            faults_add(faults, playbook->file, playbook_line(playbook, section, "prefix"),
                       "key 'prefix' in [%s] has a meaning with 'etcd' only", section);
        if (!discover->file)
            playbook_check_etcd(playbook, section, &discover->etcd, faults);
    }
}
