#include <string.h>

#include "model/playbook_check.h"

struct check {
    const struct playbook *playbook;
    struct faults *faults;
};

#define TELL(check, section, key, ...)                                                             \
    faults_add((check)->faults, (check)->playbook->file,                                           \
               playbook_line((check)->playbook, (section), (key)), __VA_ARGS__)

static const char *const sections[SLOTS] = {"slot blue", "slot green"};

/* What belongs to blue-green only, and what it cannot go with: every instance of the idle side is gated before the switch. */
static void check_strategy(const struct check *check)
{
    static const struct {
        const char *section, *key, *why;
    } without[] = {
        {"strategy", "batch", "the idle side changes at once, since it has no traffic"},
        {"strategy", "max_unavailable", "the live side is never touched before the switch"},
        {"strategy", "spread", "the idle side changes at once, since it has no traffic"},
        {"strategy", "quorum", "the live side is never touched before the switch"},
        {"strategy", "leader", "all of the idle side changes at once"},
        {"strategy", "confirm", "the live side runs on, and the switch goes back to it"},
        {"service", "reload", "the idle instance is started, never reloaded"},
    };
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
        if (playbook_has(check->playbook, without[i].section, without[i].key))
            TELL(check, without[i].section, without[i].key,
                 "key '%s' in [%s] has no meaning with type = blue-green: %s; remove it",
                 without[i].key, without[i].section, without[i].why);
    if (check->playbook->failure.max_failures.value)
        TELL(check, "failure", "max_failures",
             "key 'max_failures' in [failure] must be 0 with type = blue-green: every instance "
             "passes its gate before the switch");
    if (check->playbook->failure.unreachable == UNREACHABLE_SKIP)
        TELL(check, "failure", "unreachable",
             "key 'unreachable' in [failure] must be fail with type = blue-green: every instance "
             "passes its gate before the switch");
    if (!check->playbook->balancer_count)
        TELL(check, "strategy", "type",
             "key 'type' in [strategy]: blue-green needs a [balancer NAME], which switches between "
             "the slots");
}

/* Moments that never come. */
static void check_moments(const struct check *check)
{
    const struct playbook *playbook = check->playbook;
    bool switches = playbook->strategy.kind == STRATEGY_BLUE_GREEN;
    for (size_t i = 0; i < playbook->hook_count; i++) {
        const struct hook *hook = &playbook->hooks[i];
        bool never = switches ? hook->when == HOOK_AFTER_ENABLE : hook->when == HOOK_BEFORE_SWITCH;
        if (never)
            faults_add(check->faults, playbook->file, hook->line,
                       switches ? "[step %s]: after_enable never comes with type = blue-green; use before_switch"
                                : "[step %s]: before_switch comes with type = blue-green only",
                       hook->name);
    }
}

static bool both_given(const struct check *check)
{
    const struct slot *slots = check->playbook->slots;
    for (size_t i = 0; i < SLOTS; i++)
        if (!slots[i].line)
            TELL(check, "strategy", "type",
                 "key 'type' in [strategy]: blue-green needs [slot blue] and [slot green]; [%s] is "
                 "missing",
                 sections[i]);
    return slots[SLOT_BLUE].line && slots[SLOT_GREEN].line;
}

static void check_start(const struct check *check, size_t index)
{
    const struct service *service = &check->playbook->service;
    const struct slot *slot = &check->playbook->slots[index];
    if (!slot->unit && !slot->start && !service->unit && !service->start)
        faults_add(check->faults, check->playbook->file, slot->line,
                   "[%s] needs 'unit' or 'start', here or in [service]", sections[index]);
    bool commands = slot->start || (!slot->unit && !service->unit);
    if (commands && (slot->start || service->start) && !slot->stop && !service->stop)
        faults_add(check->faults, check->playbook->file, slot->line,
                   "[%s] needs 'stop', here or in [service]: the old side is stopped in the end",
                   sections[index]);
}

/* Two instances of one node must not be one. */
static void check_on_node(const struct check *check)
{
    const struct playbook *playbook = check->playbook;
    const struct slot *blue = &playbook->slots[SLOT_BLUE], *green = &playbook->slots[SLOT_GREEN];
    const char *blue_unit = blue->unit ? blue->unit : playbook->service.unit;
    const char *green_unit = green->unit ? green->unit : playbook->service.unit;
    for (size_t i = 0; i < SLOTS; i++)
        if (!playbook_has(playbook, sections[i], "port"))
            faults_add(check->faults, playbook->file, playbook->slots[i].line,
                       "key 'port' is missing in [%s]: both instances run on each node",
                       sections[i]);
    if (blue->port && blue->port == green->port)
        TELL(check, "slot green", "port",
             "key 'port' in [slot green]: %u is the port of [slot blue], and both run on each node",
             green->port);
    if (blue_unit && green_unit && strcmp(blue_unit, green_unit) == 0 &&
        !strstr(blue_unit, "{slot}") && !blue->start && !green->start)
        TELL(check, green->unit ? "slot green" : "service", "unit",
             "both slots have the unit %s; use a template unit such as shop@{slot}.service",
             blue_unit);
    if (playbook->health.port)
        TELL(check, "health", "port",
             "key 'port' in [health] has no meaning with two slots on a node: each has its own");
}

static void check_shape(const struct check *check)
{
    const struct slot *slots = check->playbook->slots;
    bool blue = slots[SLOT_BLUE].hosts != NULL, green = slots[SLOT_GREEN].hosts != NULL;
    if (blue != green)
        TELL(check, sections[blue ? SLOT_BLUE : SLOT_GREEN], "hosts",
             "key 'hosts' in [%s]: both slots have hosts, or none has: two groups of nodes, or two "
             "instances on each node",
             sections[blue ? SLOT_BLUE : SLOT_GREEN]);
    else if (!blue)
        check_on_node(check);
    check_start(check, SLOT_BLUE);
    check_start(check, SLOT_GREEN);
}

void playbook_check_slots(const struct playbook *playbook, struct faults *faults)
{
    struct check check = {.playbook = playbook, .faults = faults};
    static const char *const ours[] = {"promote", "keep_old"};
    check_moments(&check);
    if (playbook->strategy.kind == STRATEGY_BLUE_GREEN) {
        check_strategy(&check);
        if (both_given(&check))
            check_shape(&check);
        return;
    }
    for (size_t i = 0; i < SLOTS; i++)
        if (playbook->slots[i].line)
            faults_add(faults, playbook->file, playbook->slots[i].line,
                       "[%s] has a meaning with type = blue-green in [strategy] only", sections[i]);
    bool canary = playbook->strategy.kind == STRATEGY_CANARY;
    for (size_t i = canary; i < 2; i++)
        if (playbook_has(playbook, "strategy", ours[i]))
            TELL(&check, "strategy", ours[i],
                 "key '%s' in [strategy] has a meaning with type = blue-green%s only", ours[i],
                 i == 0 ? " or canary" : "");
}
