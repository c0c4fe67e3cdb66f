#include "model/strategy.h"
#include "model/playbook_check.h"

#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "model/template.h"
#include "playbook_check_discovery.h"
#include "playbook_check_etcd.h"

#define CANDIDATES_MAX 2048

struct check {
    struct playbook *playbook;
    const struct inventory *inventory;
    struct faults *faults;
};

static int line_of(const struct check *check, const char *section, const char *key)
{
    return playbook_line(check->playbook, section, key);
}

#define TELL(check, section, key, ...)                                                             \
    faults_add((check)->faults, (check)->playbook->file, line_of((check), (section), (key)),       \
               __VA_ARGS__)

/* Required keys that did not stand; one that stood with a bad value has its fault already. */
static void check_service(const struct check *check)
{
    const struct service *service = &check->playbook->service;
    static const char *const required[] = {"name", "root"};
    for (size_t i = 0; i < 2; i++)
        if (!playbook_has(check->playbook, "service", required[i]))
            TELL(check, "service", required[i], "key '%s' is missing in [service]", required[i]);
    bool can_start = playbook_has(check->playbook, "service", "unit") ||
                     playbook_has(check->playbook, "service", "start") ||
                     check->playbook->slots[SLOT_BLUE].line || check->playbook->slots[SLOT_GREEN].line;
    if (!can_start)
        TELL(check, "service", "unit",
             "[service] needs 'unit' (a systemd unit) or 'start' (a command)");
    if (service->stop && !service->start && !service->unit)
        TELL(check, "service", "stop", "key 'stop' in [service] needs 'start' too");
}

/* `https://host/x.git`, or `git@host:x.git` as git has it: a colon before any slash. */
static bool is_remote(const char *location)
{
    size_t length = strcspn(location, "/:");
    return strstr(location, "://") || (location[length] == ':' && memchr(location, '@', length));
}

static void check_source(const struct check *check)
{
    static const char *const keys[] = {[SOURCE_GIT] = "git", [SOURCE_DIR] = "dir", [SOURCE_ARCHIVE] = "archive"};
    static const char *const git_only[] = {"ref", "path"};
    for (size_t i = 0; i < 2; i++)
        if (check->playbook->source.kind != SOURCE_GIT &&
            playbook_has(check->playbook, "source", git_only[i]))
            TELL(check, "source", git_only[i],
                 "key '%s' in [source] has a meaning with 'git' only; remove it", git_only[i]);
    if (check->playbook->source.kind == SOURCE_GIT && check->playbook->source.ref &&
        *check->playbook->source.ref == '-')
        TELL(check, "source", "ref", "key 'ref' in [source]: a revision does not begin with '-'");
    if (check->playbook->source.kind == SOURCE_GIT && check->playbook->source.ref &&
        (strstr(check->playbook->source.ref, " #") || strstr(check->playbook->source.ref, " ;")))
        TELL(check, "source", "ref", "key 'ref' in [source]: '%.100s' is no revision; a comment stands on a line of its own",
             check->playbook->source.ref);
    if (check->playbook->source.location && is_remote(check->playbook->source.location))
        TELL(check, "source", keys[check->playbook->source.kind],
             "key '%s' in [source]: '%.100s' is not on this machine, and nothing is fetched; %s and give its path",
             keys[check->playbook->source.kind], check->playbook->source.location,
             check->playbook->source.kind == SOURCE_GIT ? "clone it" : "download it");
}

static void check_canary(const struct check *check)
{
    const struct strategy *strategy = &check->playbook->strategy;
    static const char *const of_waves[] = {"batch", "spread"};
    for (size_t i = 0; i < 2 && strategy->kind == STRATEGY_CANARY; i++)
        if (playbook_has(check->playbook, "strategy", of_waves[i]))
            TELL(check, "strategy", of_waves[i],
                 "key '%s' in [strategy] has no meaning with type = canary: 'steps' say which nodes "
                 "change together; remove it",
                 of_waves[i]);
    if (strategy->kind != STRATEGY_CANARY && playbook_has(check->playbook, "strategy", "steps"))
        TELL(check, "strategy", "steps",
             "key 'steps' in [strategy] has a meaning with type = canary only");
}

static void check_strategy(const struct check *check)
{
    const struct strategy *strategy = &check->playbook->strategy;
    bool replicas_first = strategy->order == ORDER_REPLICAS_FIRST;
    struct err err;
    uint32_t quorum;
    if (replicas_first != (strategy->leader != NULL))
        TELL(check, "strategy", replicas_first ? "order" : "leader",
             "order = replicas-first and a leader command go together in [strategy]: %s is missing",
             replicas_first ? "leader" : "order = replicas-first");
    const char *rolling_only = replicas_first           ? "order"
                               : strategy->ready_after  ? "ready_after"
                               : strategy->quorum       ? "quorum"
                                                        : NULL;
    if (rolling_only && strategy->kind != STRATEGY_ROLLING)
        TELL(check, "strategy", rolling_only,
             "key '%s' in [strategy]: stateful services need type = rolling", rolling_only);
    if (strategy->quorum && quorum_parse(&quorum, strategy->quorum, 1, &err) < 0)
        TELL(check, "strategy", "quorum", "key 'quorum' in [strategy]: %s", err.message);
    if (strategy->max_unavailable.value == 0)
        TELL(check, "strategy", "max_unavailable",
             "key 'max_unavailable' in [strategy] must be more than 0, or no node could change");
}

static bool has_unit(const struct playbook *playbook)
{
    return playbook_has(playbook, "service", "unit") || playbook_has(playbook, "slot blue", "unit");
}

/* Which checks run when the playbook leaves it open: the unit if there is one, else the port. */
static void choose_health(const struct check *check)
{
    struct health *health = &check->playbook->health;
    const struct service *service = &check->playbook->service;
    if (!playbook_has(check->playbook, "health", "unit"))
        health->unit = has_unit(check->playbook);
    if (health->port == 0 && check->playbook->strategy.kind != STRATEGY_BLUE_GREEN)
        health->port = service->port;
    bool has_port = health->port || service->port || check->playbook->slots[SLOT_BLUE].port;
    bool none = !playbook_has(check->playbook, "health", "http") && !health->tcp &&
                !playbook_has(check->playbook, "health", "command") && !health->unit;
    if (none && has_port && !playbook_has(check->playbook, "health", "tcp"))
        health->tcp = true;
    else if (none)
        TELL(check, "health", playbook_has(check->playbook, "health", "tcp") ? "tcp" : "unit",
             "[health] needs a check: http, tcp, command or unit");
}

static bool is_url(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

static void check_identity(const struct check *check)
{
    const struct health *health = &check->playbook->health;
    bool by_answer = health->identity.kind == IDENTITY_HEADER || health->identity.kind == IDENTITY_BODY;
    if (by_answer && !health->http)
        TELL(check, "health", "identity", "key 'identity' in [health] looks at the answer to 'http'; add it, or use `command`");
    if (health->identity.kind == IDENTITY_BODY && !strchr(health->identity.text, '{'))
        TELL(check, "health", "identity",
             "key 'identity' in [health]: the text '%.100s' is the same for every release; put {release} in it",
             health->identity.text);
}

static void check_probes(const struct check *check)
{
    const struct health *health = &check->playbook->health;
    bool port_given = playbook_has(check->playbook, "service", "port") ||
                      playbook_has(check->playbook, "health", "port") ||
                      playbook_has(check->playbook, "slot blue", "port");
    if (health->http && *health->http != '/' && !is_url(health->http))
        TELL(check, "health", "http",
             "key 'http' in [health]: '%.100s' is neither a path like /healthz nor an http:// or "
             "https:// URL",
             health->http);
    if (health->http && *health->http == '/' && !port_given)
        TELL(check, "health", "http",
             "key 'http' in [health] is a path and needs 'port' in [service]");
    if (health->http && strpbrk(health->http, " \t"))
        TELL(check, "health", "http", "key 'http' in [health]: a URL has no blanks; write %%20");
    if (health->tcp && !port_given)
        TELL(check, "health", "tcp", "key 'tcp' in [health] needs 'port' in [service]");
    if (health->unit && !has_unit(check->playbook))
        TELL(check, "health", "unit", "key 'unit' in [health] needs 'unit' in [service]");
    check_identity(check);
    static const char *const http_only[] = {"expect", "body", "headers", "host", "tls_verify"};
    for (size_t i = 0; i < 5; i++)
        if (!playbook_has(check->playbook, "health", "http") &&
            playbook_has(check->playbook, "health", http_only[i]))
            TELL(check, "health", http_only[i],
                 "key '%s' in [health] has a meaning with 'http' "
                 "only; add it or remove this",
                 http_only[i]);
}

/* The key to blame of a pair that contradicts itself: the one that was written. */
static const char *written_of(const struct check *check, const char *section, const char *first,
                              const char *second)
{
    return line_of(check, section, first) || !line_of(check, section, second) ? first : second;
}

static void check_order(const struct check *check, const char *section, const char *less,
                        int64_t less_ms, const char *more, int64_t more_ms, bool equal_allowed)
{
    char left[DURATION_TEXT_MAX], right[DURATION_TEXT_MAX];
    if (less_ms < more_ms || (equal_allowed && less_ms == more_ms))
        return;
    TELL(check, section, written_of(check, section, less, more),
         "key '%s' in [%s] (%s) must be %s '%s' (%s)", less, section,
         duration_format(left, less_ms), equal_allowed ? "at most" : "less than", more,
         duration_format(right, more_ms));
}

/* The timer runs while the node activates and passes its gate: a shorter one would take a node back
 * that is only slow. */
static void check_confirm(const struct check *check)
{
    char confirm[DURATION_TEXT_MAX], deadline[DURATION_TEXT_MAX];
    int64_t confirm_ms = check->playbook->strategy.confirm_ms;
    int64_t deadline_ms = check->playbook->health.healthy_deadline_ms;
    if (confirm_ms && confirm_ms < deadline_ms)
        TELL(check, "strategy", "confirm",
             "key 'confirm' in [strategy] (%s) must be at least 'healthy_deadline' in [health] "
             "(%s), or a node that is only slow goes back by itself",
             duration_format(confirm, confirm_ms), duration_format(deadline, deadline_ms));
}

static void check_times(const struct check *check)
{
    const struct health *health = &check->playbook->health;
    const struct retry *retry = &check->playbook->retry;
    check_order(check, "health", "min_healthy_time", health->min_healthy_time_ms,
                "healthy_deadline", health->healthy_deadline_ms, false);
    if (health->progress_deadline_ms)
        check_order(check, "health", "healthy_deadline", health->healthy_deadline_ms,
                    "progress_deadline", health->progress_deadline_ms, false);
    check_order(check, "health", "timeout", health->timeout_ms, "healthy_deadline",
                health->healthy_deadline_ms, true);
    check_order(check, "retry", "base", retry->base_ms, "max", retry->max_ms, true);
}

static void check_hooks(const struct check *check)
{
    static const char *const required[] = {"when", "run"};
    for (size_t i = 0; i < check->playbook->hook_count; i++) {
        const struct hook *hook = &check->playbook->hooks[i];
        const char *section = arena_printf(&check->playbook->arena, "step %s", hook->name);
        for (size_t j = 0; section && j < 2; j++)
            if (!playbook_has(check->playbook, section, required[j]))
                faults_add(check->faults, check->playbook->file, hook->line,
                           "key '%s' is missing in [%s]", required[j], section);
    }
}

static bool inventory_has(const struct inventory *inventory, const char *name)
{
    for (size_t i = 0; i < inventory->node_count; i++)
        if (strcmp(inventory->nodes[i].name, name) == 0)
            return true;
    return false;
}

static void check_migration(const struct check *check, const struct migration *migration,
                            const char *section)
{
    bool irreversible = migration->kind == CHANGE_IRREVERSIBLE;
    if (!playbook_has(check->playbook, section, "run"))
        faults_add(check->faults, check->playbook->file, migration->line,
                   "key 'run' is missing in [%s]", section);
    if (irreversible && migration->down)
        TELL(check, section, "down", "key 'down' in [%s]: what is irreversible has no way back",
             section);
    if (!irreversible && migration->backup)
        TELL(check, section, "backup",
             "key 'backup' in [%s] has a meaning with kind = irreversible only", section);
    if (migration->kind == CHANGE_CONTRACT && migration->down)
        TELL(check, section, "down",
             "key 'down' in [%s]: what runs after the last commit is never undone", section);
    if (check->inventory && migration->on && strcmp(migration->on, "first") != 0 &&
        !inventory_has(check->inventory, migration->on))
        TELL(check, section, "on",
             "key 'on' in [%s]: '%.100s' is neither first nor a node of the inventory", section,
             migration->on);
}

static void check_migrations(const struct check *check)
{
    for (size_t i = 0; i < check->playbook->migration_count; i++) {
        const struct migration *migration = &check->playbook->migrations[i];
        const char *section =
            arena_printf(&check->playbook->arena, "migration %s", migration->name);
        if (section)
            check_migration(check, migration, section);
    }
}

/* `host:port` becomes its two parts; the form was checked when it was stored. */
static void split_socket(const struct check *check, struct balancer *balancer)
{
    const char *colon = balancer->socket ? strrchr(balancer->socket, ':') : NULL;
    if (!colon || *balancer->socket == '/')
        return;
    bool brackets = *balancer->socket == '[';
    balancer->host = arena_strndup(&check->playbook->arena, balancer->socket + brackets,
                                   (size_t)(colon - balancer->socket) - 2 * brackets);
    uint64_t port = 0;
    if (whole_parse(&port, colon + 1, 1, UINT16_MAX, NULL) == 0)
        balancer->port = (uint16_t)port;
}

/* Keys that one type alone has; those that it needs. */
static const struct {
    const char *key;
    enum balancer_kind kind;
    bool required;
} balancer_keys[] = {
    {"backend", BALANCER_HAPROXY, true},  {"socket", BALANCER_HAPROXY, false},
    {"file", BALANCER_NGINX, true},       {"upstream", BALANCER_NGINX, true},
    {"test", BALANCER_NGINX, false},      {"reload", BALANCER_NGINX, false},
    {"pid", BALANCER_NGINX, false},       {"drain", BALANCER_COMMAND, true},
    {"ready", BALANCER_COMMAND, true},    {"state", BALANCER_COMMAND, true},
    {"weight", BALANCER_COMMAND, false},  {"timeout", BALANCER_COMMAND, false},
    {"on", BALANCER_COMMAND, false},
};

/* Commands on the runner drive what has no node of ours: one balancer, reached as they know how. */
static void check_on_runner(const struct check *check, const char *section)
{
    static const char *const without[] = {"nodes", "scope", "become"};
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
        if (playbook_has(check->playbook, section, without[i]))
            TELL(check, section, without[i],
                 "key '%s' in [%s] has no meaning with on = runner: its commands run where deployctl runs; remove one",
                 without[i], section);
}

/* A node that is taken out of its own balancer has nobody else to answer: there must be another slot on it. */
static void check_scope(const struct check *check, const char *section)
{
    const struct playbook *playbook = check->playbook;
    if (playbook_has(playbook, section, "nodes"))
        TELL(check, section, "nodes",
             "key 'nodes' in [%s] has no meaning with scope = node: it runs on the service's nodes; remove it",
             section);
    if (playbook->strategy.kind != STRATEGY_BLUE_GREEN || playbook->slots[SLOT_BLUE].hosts ||
        playbook->slots[SLOT_GREEN].hosts)
        TELL(check, section, "scope",
             "key 'scope' in [%s]: node needs type = blue-green in [strategy] with two slots on each node, "
             "between which the node's own balancer switches",
             section);
}

static void check_balancer(const struct check *check, struct balancer *balancer, const char *section)
{
    static const char *const required[] = {"type", "nodes"};
    bool on_runner = balancer->on == BALANCER_ON_RUNNER;
    size_t required_count = balancer->scope == SCOPE_NODE || on_runner ? 1 : 2;
    static const char *const kinds[] = {"haproxy", "nginx", "command"};
    for (size_t i = 0; i < required_count; i++)
        if (!playbook_has(check->playbook, section, required[i]))
            faults_add(check->faults, check->playbook->file, balancer->line,
                       "key '%s' is missing in [%s]", required[i], section);
    if (on_runner)
        check_on_runner(check, section);
    else if (balancer->scope == SCOPE_NODE)
        check_scope(check, section);
    for (size_t i = 0; i < sizeof(balancer_keys) / sizeof(balancer_keys[0]); i++) {
        const char *key = balancer_keys[i].key;
        bool has = playbook_has(check->playbook, section, key);
        if (balancer_keys[i].kind != balancer->kind && has)
            TELL(check, section, key, "key '%s' in [%s] has a meaning with type = %s only", key,
                 section, kinds[balancer_keys[i].kind]);
        else if (balancer_keys[i].kind == balancer->kind && balancer_keys[i].required && !has)
            faults_add(check->faults, check->playbook->file, balancer->line,
                       "key '%s' is missing in [%s]", key, section);
    }
    if (balancer->kind == BALANCER_COMMAND && balancer->warmup_count && !balancer->weight)
        TELL(check, section, "warmup", "key 'warmup' in [%s] needs 'weight', a command", section);
    bool canary = check->playbook->strategy.kind == STRATEGY_CANARY;
    if (balancer->kind == BALANCER_COMMAND && canary && !balancer->weight)
        faults_add(check->faults, check->playbook->file, balancer->line,
                   "[%s] needs 'weight', a command: type = canary in [strategy] shifts shares of the traffic", section);
    if (balancer->warmup_count && check->playbook->strategy.kind == STRATEGY_BLUE_GREEN)
        TELL(check, section, "warmup",
             "key 'warmup' in [%s] has no meaning with type = blue-green: one switch gives the idle side all of the "
             "traffic; remove it",
             section);
    if (!balancer->server)
        balancer->server = balancer->kind == BALANCER_NGINX ? "{address}:{port}" : "{node}";
}

static void check_balancers(const struct check *check)
{
    for (size_t i = 0; i < check->playbook->balancer_count; i++) {
        struct balancer *balancer = &check->playbook->balancers[i];
        const char *section =
            arena_printf(&check->playbook->arena, "balancer %s", balancer->name);
        if (section)
            check_balancer(check, balancer, section);
        split_socket(check, balancer);
    }
}

/* What every template may use; the rest are inventory variables. The service's own values may not use the last two, which come of them; what is
 * the same for both slots may not use the slot. */
static const char *const built_in[] = {"node", "address", "port", "service", "slot", "release", "root"};
#define BUILT_IN_COUNT (sizeof(built_in) / sizeof(built_in[0]))
#define BUILT_IN_OF_SERVICE (BUILT_IN_COUNT - 2)
#define BUILT_IN_OF_ROOT (BUILT_IN_COUNT - 3)

static bool any_node_has(const struct inventory *inventory, const char *name)
{
    for (size_t i = 0; i < inventory->node_count; i++)
        if (node_variable(&inventory->nodes[i], name))
            return true;
    return false;
}

static const char *nearest_name(const struct inventory *inventory, size_t built_in_count,
                                const char *name)
{
    const char *candidates[CANDIDATES_MAX];
    size_t count = 0;
    for (; count < built_in_count; count++)
        candidates[count] = built_in[count];
    for (size_t i = 0; i < inventory->node_count; i++) {
        const struct variables *variables = &inventory->nodes[i].variables;
        for (size_t j = 0; j < variables->count && count < CANDIDATES_MAX; j++)
            candidates[count++] = variables->items[j].name;
    }
    return text_nearest(name, candidates, count);
}

/* A template's place while its names are looked at. */
struct template_place {
    const struct check *check;
    const char *section, *key;
    size_t built_in_count;
};

/* `discover.NAME`: there is a [discover NAME]; the service's own values come before it is read. */
static void check_discovered(const struct template_place *place, const char *name)
{
    const struct playbook *playbook = place->check->playbook;
    for (size_t i = 0; i < playbook->discover_count && strcmp(place->section, "service") != 0; i++)
        if (strcmp(playbook->discovers[i].name, name + strlen("discover.")) == 0)
            return;
    TELL(place->check, place->section, place->key, "key '%s' in [%s]: {%s} %s", place->key, place->section, name,
         strcmp(place->section, "service") == 0 ? "is not known yet where a node's service is described"
                                                : "needs a section of that name: [discover NAME]");
}

static int check_name(void *context, const char *name)
{
    const struct template_place *place = context;
    if (strncmp(name, "discover.", 9) == 0) {
        check_discovered(place, name);
        return 0;
    }
    const struct inventory *inventory = place->check->inventory;
    for (size_t i = 0; i < place->built_in_count; i++)
        if (strcmp(built_in[i], name) == 0)
            return 0;
    if (!inventory || any_node_has(inventory, name))
        return 0;
    const char *nearest = nearest_name(inventory, place->built_in_count, name);
    TELL(place->check, place->section, place->key, "key '%s' in [%s]: unknown name '{%s}'%s%s%s",
         place->key, place->section, name, nearest ? "; did you mean '{" : "", nearest ? nearest : "",
         nearest ? "}'?" : "; it is neither built in nor a variable of any node");
    return 0;
}

static void check_template(const struct check *check, const char *section, const char *key,
                           const char *text)
{
    struct template_place place = {.check = check, .section = section, .key = key};
    struct err err = {0};
    if (strcmp(key, "file") == 0 || strcmp(key, "pid") == 0)
        place.built_in_count = BUILT_IN_OF_ROOT;
    else if (strcmp(section, "service") == 0)
        place.built_in_count = strcmp(key, "unit") == 0 ? BUILT_IN_OF_SERVICE : BUILT_IN_OF_ROOT;
    else
        place.built_in_count = strcmp(key, "unit") == 0 ? BUILT_IN_OF_SERVICE : BUILT_IN_COUNT;
    if (text && template_names(text, check_name, &place, &err) < 0)
        TELL(check, section, key, "key '%s' in [%s]: %s", key, section, err.message);
}

static void check_templates(const struct check *check)
{
    const struct service *service = &check->playbook->service;
    const struct health *health = &check->playbook->health;
    check_template(check, "service", "root", service->root);
    check_template(check, "service", "unit", service->unit);
    check_template(check, "slot blue", "unit", check->playbook->slots[SLOT_BLUE].unit);
    check_template(check, "slot green", "unit", check->playbook->slots[SLOT_GREEN].unit);
    for (size_t i = 0; i < service->shared.count; i++)
        check_template(check, "service", "shared", service->shared.items[i]);
    check_template(check, "health", "http", health->http);
    check_template(check, "health", "host", health->host);
    check_template(check, "health", "body", health->body);
    if (health->identity.kind == IDENTITY_BODY)
        check_template(check, "health", "identity", health->identity.text);
    for (size_t i = 0; i < health->headers.count; i++)
        check_template(check, "health", "headers", health->headers.items[i]);
    for (size_t i = 0; i < check->playbook->balancer_count; i++) {
        const struct balancer *balancer = &check->playbook->balancers[i];
        const char *section = arena_printf(&check->playbook->arena, "balancer %s", balancer->name);
        if (section)
            check_template(check, section, "server", balancer->server);
        if (section && balancer->scope == SCOPE_NODE) {
            check_template(check, section, "file", balancer->upstream_file);
            check_template(check, section, "pid", balancer->pid_file);
        }
    }
    for (size_t i = 0; i < check->playbook->discovery_count; i++) {
        const struct discovery *discovery = &check->playbook->discoveries[i];
        const char *section = arena_printf(&check->playbook->arena, "discovery %s", discovery->name);
        if (!section)
            continue;
        check_template(check, section, "target", discovery->target);
        check_template(check, section, "line", discovery->line);
        check_template(check, section, "value", discovery->value);
    }
    for (size_t i = 0; i < check->playbook->analysis_count; i++) {
        const struct analysis *analysis = &check->playbook->analyses[i];
        const char *section = arena_printf(&check->playbook->arena, "analysis %s", analysis->name);
        if (section)
            check_template(check, section, "query", analysis->query);
    }
}

void playbook_check(struct playbook *playbook, const struct inventory *inventory,
                    struct faults *faults)
{
    struct check check = {.playbook = playbook, .inventory = inventory, .faults = faults};
    check_service(&check);
    check_source(&check);
    check_strategy(&check);
    check_canary(&check);
    choose_health(&check);
    check_probes(&check);
    check_times(&check);
    check_confirm(&check);
    check_hooks(&check);
    check_migrations(&check);
    check_balancers(&check);
    playbook_check_etcd(playbook, "lock", &playbook->lock.etcd, faults);
    playbook_check_discoveries(playbook, faults);
    playbook_check_discovers(playbook, faults);
    playbook_check_analyses(playbook, faults);
    check_templates(&check);
    playbook_check_slots(playbook, faults);
}
