#include "rollout_internal.h"

/* The most a walker can cause in one step: a cancel and an action; and of notes, the end of one
 * track with its trouble and outcome, a retry and the first phases of the tracks that begin after
 * it. Overrunning traps: it would be a fault of the machine. */
#define ACTIONS_PER_WALKER 2
#define NOTES_PER_WALKER 16
#define NOTES_OF_THE_FLEET 32

static int check_numbers(const struct rollout_config *config, struct err *err)
{
    const struct health_rules *health = &config->health;

    if (config->node_count == 0)
        return err_set(err, ERR_INPUT, "the rollout has no node");
    if (config->max_unavailable == 0 || config->forks == 0 || config->attempts == 0)
        return err_set(err, ERR_INPUT, "max_unavailable, forks and attempts must be at least 1");
    if (config->probed && (health->rise == 0 || health->fall == 0 || health->interval_ms <= 0))
        return err_set(err, ERR_INPUT, "health: rise, fall and interval must be at least 1");
    if (health->min_healthy_time_ms < 0 || health->healthy_deadline_ms < 0 || config->bake_ms < 0 ||
        config->progress_deadline_ms < 0 || config->cancel_grace_ms < 0 ||
        config->interrupt_grace_ms < 0)
        return err_set(err, ERR_INPUT, "a time of the rollout is negative");
    for (size_t i = 0; i < STEP_KINDS; i++)
        if (config->timeout_ms[i] <= 0)
            return err_set(err, ERR_INPUT, "step %s has no time limit",
                           step_name((enum step_kind)i));
    if ((config->shifts && !config->rules) || (config->switches && !config->shifts) ||
        config->waves_passed > config->waves.count || config->share > SHARE_ALL)
        return err_set(err, ERR_INPUT, "a shift of traffic has no rules");
    if (config->refreshes && (!config->judged || config->switches || config->asks_leader))
        return err_set(err, ERR_INPUT, "a fresh control needs a judge, and neither a switch nor a leader");
    for (size_t i = 0; config->rules && i < config->waves.count; i++)
        if (config->rules[i].share > SHARE_ALL || config->rules[i].bake_ms < 0 ||
            (i > 0 && config->rules[i].share < config->rules[i - 1].share))
            return err_set(err, ERR_INPUT, "wave %zu has a share or a bake that cannot be", i + 1);
    for (size_t i = 0; i < config->migration_count; i++)
        if (config->migrations[i].timeout_ms <= 0 ||
            (config->migrations[i].node != NO_NODE &&
             config->migrations[i].node >= config->node_count))
            return err_set(err, ERR_INPUT, "migration %zu has no time limit or no such node",
                           i + 1);
    for (size_t i = 0; config->waves_passed > 0 && i < config->migration_count; i++)
        if (config->migrations[i].kind != MIGRATION_CONTRACT)
            return err_set(err, ERR_INPUT, "migration %zu should have come before the first wave",
                           i + 1);
    for (size_t i = 0; i < config->hook_count; i++)
        if (config->hooks[i].timeout_ms <= 0)
            return err_set(err, ERR_INPUT, "hook %zu has no time limit", i + 1);
    return 0;
}

/* Fills order and each walker's wave; every node must come exactly once. */
static int take_waves(struct rollout *rollout, bool *seen, struct err *err)
{
    const struct waves *waves = &rollout->config.waves;
    size_t filled = 0;

    for (size_t w = 0; w < waves->count; w++) {
        for (size_t i = 0; i < waves->items[w].count; i++) {
            size_t node = waves->items[w].nodes[i];

            if (node >= rollout->config.node_count || seen[node])
                return err_set(err, ERR_INPUT,
                               "wave %zu names node %zu, which is unknown or was named before",
                               w + 1, node);
            seen[node] = true;
            rollout->walkers[node].wave = w;
            rollout->order[filled++] = node;
        }
    }
    if (filled != rollout->config.node_count)
        return err_set(err, ERR_INPUT, "the waves hold %zu of %zu nodes", filled,
                       rollout->config.node_count);
    return 0;
}

static int allocate(struct rollout *rollout, struct arena *arena, struct err *err)
{
    size_t nodes = rollout->config.node_count;
    size_t hooks = rollout->config.hook_count;

    rollout->action_capacity = ACTIONS_PER_WALKER * (nodes + 1);
    rollout->note_capacity = NOTES_PER_WALKER * (nodes + 1) + NOTES_OF_THE_FLEET;
    rollout->walkers = arena_alloc(arena, (nodes + 1) * sizeof(*rollout->walkers));
    rollout->order = arena_alloc(arena, nodes * sizeof(*rollout->order));
    rollout->touch_order = arena_alloc(arena, nodes * sizeof(*rollout->touch_order));
    rollout->undo_order = arena_alloc(arena, nodes * sizeof(*rollout->undo_order));
    rollout->hook_holder = arena_alloc(arena, (hooks + 1) * sizeof(*rollout->hook_holder));
    rollout->hook_ended = arena_alloc(arena, (hooks + 1) * sizeof(*rollout->hook_ended));
    rollout->migrations =
        arena_alloc(arena, (rollout->config.migration_count + 1) * sizeof(*rollout->migrations));
    rollout->no_way_back = rollout->config.no_way_back;
    rollout->waves_passed = rollout->config.waves_passed;
    rollout->share = rollout->config.share;
    rollout->actions = arena_alloc(arena, rollout->action_capacity * sizeof(*rollout->actions));
    rollout->notes = arena_alloc(arena, rollout->note_capacity * sizeof(*rollout->notes));
    if (!rollout->walkers || !rollout->order || !rollout->touch_order || !rollout->undo_order ||
        !rollout->hook_holder || !rollout->hook_ended || !rollout->migrations ||
        !rollout->actions || !rollout->notes)
        return err_set(err, ERR_MEMORY, "out of memory for a rollout of %zu nodes", nodes);
    for (size_t i = 0; i <= nodes; i++)
        rollout->walkers[i].node = i < nodes ? i : NO_NODE;
    for (size_t i = 0; rollout->config.outside && i < nodes; i++)
        rollout->walkers[i].outside = rollout->config.outside[i];
    for (size_t i = 0; i < hooks; i++)
        rollout->hook_holder[i] = NO_NODE;
    return 0;
}

int rollout_create(struct rollout **out, const struct rollout_config *config, struct arena *arena,
                   struct err *err)
{
    struct rollout *rollout;
    bool *seen;
    int result = check_numbers(config, err);

    *out = NULL;
    if (result < 0)
        return result;
    rollout = arena_alloc(arena, sizeof(*rollout));
    seen = arena_alloc(arena, config->node_count * sizeof(*seen));
    if (!rollout || !seen)
        return err_set(err, ERR_MEMORY, "out of memory for a rollout of %zu nodes",
                       config->node_count);
    rollout->config = *config;
    random_init(&rollout->random, config->seed);
    result = allocate(rollout, arena, err);
    if (result == 0)
        result = take_waves(rollout, seen, err);
    if (result == 0)
        *out = rollout;
    return result;
}
