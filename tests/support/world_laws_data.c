#include "world_laws.h"

/* What runs once a fleet: law 9. */

/* 9. What runs once a fleet runs once. */
void law_9_once(struct world *world, const struct action *action)
{
    const struct rollout_hook *hook;

    if (action->step != STEP_HOOK)
        return;
    hook = &world->plan->hooks[action->hook];
    if (hook->place != PLACE_FIRST && action->node != NO_NODE)
        return;
    if (world->hook_token[action->hook] != 0 && world->hook_token[action->hook] != action->token)
        law_broken(world, "law 9", "hook %zu runs a second time", action->hook + 1);
    world->hook_token[action->hook] = action->token;
}

static bool is_contract(const struct world *world, size_t migration)
{
    return world->plan->migrations[migration].kind == MIGRATION_CONTRACT;
}

/* ... a migration before the first activation (expand) or after the last commit (contract), in
 * order, after its backup... */
static void law_9_migrate(struct world *world, const struct action *action)
{
    size_t this = action->migration;
    struct migration_ledger *ledger = &world->migrations[this];
    bool contract = is_contract(world, this);

    if (world->state != (contract ? ROLLOUT_CONTRACT : ROLLOUT_EXPAND))
        law_broken(world, "law 9", "migration %zu in state %s", this + 1,
                   rollout_state_name(world->state));
    if (!contract && world->changed)
        law_broken(world, "law 9", "migration %zu after a node changed", this + 1);
    for (size_t i = 0; contract && i < world->config.node_count; i++)
        if (outcome_of(world, i) != NODE_UPDATED && outcome_of(world, i) != NODE_UNCHANGED)
            law_broken(world, "law 9", "migration %zu while web%zu is %s", this + 1, i + 1,
                       node_outcome_name(outcome_of(world, i)));
    for (size_t i = 0; i < world->plan->migration_count; i++) {
        if (i < this && is_contract(world, i) == contract && !world->migrations[i].done)
            law_broken(world, "law 9", "migration %zu before %zu", this + 1, i + 1);
        if (world->migrations[i].undo_token != 0)
            law_broken(world, "law 9", "migration %zu after one was undone", this + 1);
    }
    if (action->step == STEP_BACKUP)
        return;
    if (ledger->done || (ledger->token != 0 && ledger->token != action->token))
        law_broken(world, "law 9", "migration %zu runs a second time", this + 1);
    if (world->plan->migrations[this].backed_up && !ledger->backed_up)
        law_broken(world, "law 9", "migration %zu runs without its backup", this + 1);
    ledger->token = action->token;
    world->past_no_return |= world->plan->migrations[this].kind == MIGRATION_IRREVERSIBLE;
}

/* ... those of a failed expand go back in reverse order, when all can... */
static void law_9_unmigrate(struct world *world, const struct action *action)
{
    size_t this = action->migration;
    struct migration_ledger *ledger = &world->migrations[this];

    if (!world->spent || world->changed || world->past_no_return)
        law_broken(world, "law 9", "migration %zu is undone though it must stay", this + 1);
    if (!ledger->done || (ledger->undo_token != 0 && ledger->undo_token != action->token))
        law_broken(world, "law 9", "migration %zu is undone and was not done", this + 1);
    for (size_t i = 0; i < world->plan->migration_count; i++) {
        if (world->migrations[i].done && !world->plan->migrations[i].has_down)
            law_broken(world, "law 9", "migration %zu is undone and %zu cannot be", this + 1,
                       i + 1);
        if (i > this && world->migrations[i].done && !world->migrations[i].undone)
            law_broken(world, "law 9", "migration %zu is undone before %zu", this + 1, i + 1);
    }
    ledger->undo_token = action->token;
}

/* ... and past an irreversible one nothing goes back to before it. */
void law_9_no_return(struct world *world, const struct action *action)
{
    if (action->step == STEP_BACKUP || action->step == STEP_MIGRATE)
        law_9_migrate(world, action);
    if (action->step == STEP_UNMIGRATE)
        law_9_unmigrate(world, action);
    if (action->undo && (world->past_no_return || world->config.no_way_back))
        law_broken(world, "law 9", "web%zu goes back past the point of no return",
                   action->node + 1);
    for (size_t i = 0; touches(action) && !action->undo && i < world->plan->migration_count; i++)
        if (!is_contract(world, i) && !world->migrations[i].done)
            law_broken(world, "law 9", "web%zu is touched before migration %zu", action->node + 1,
                       i + 1);
}

/* Nothing is done twice, and the result says how the data stands. */
void law_9_at_the_end(struct world *world, enum rollout_result result)
{
    bool good = result == RESULT_DONE || result == RESULT_ROLLED_BACK || result == RESULT_NOTHING;
    bool whole = true;

    for (size_t i = 0; i < world->config.node_count; i++)
        whole &= outcome_of(world, i) == NODE_UPDATED || outcome_of(world, i) == NODE_UNCHANGED;
    for (size_t i = 0; i < world->plan->migration_count; i++) {
        const struct migration_ledger *ledger = &world->migrations[i];
        enum migration_state state = rollout_migration(world->rollout, i);
        bool really = ledger->runs > 0;

        if (ledger->runs < 0 || ledger->runs > 1)
            law_broken(world, "law 9", "migration %zu was done %d times", i + 1, ledger->runs);
        if ((state == MIGRATION_DONE) != (ledger->done && !ledger->undo_token) ||
            (state != MIGRATION_UNKNOWN && really != (state == MIGRATION_DONE)))
            law_broken(world, "law 9", "migration %zu is called %s", i + 1,
                       migration_state_name(state));
        if (good && state == MIGRATION_UNKNOWN)
            law_broken(world, "law 9", "%s, and nobody knows about migration %zu",
                       rollout_result_name(result), i + 1);
        if (result == RESULT_DONE && state != MIGRATION_DONE && (whole || !is_contract(world, i)))
            law_broken(world, "law 9", "done, and migration %zu is %s", i + 1,
                       migration_state_name(state));
    }
    if (world->past_no_return && result != RESULT_DONE && result != RESULT_NEEDS_CARE &&
        result != RESULT_INTERRUPTED && !(result == RESULT_HELD && !world->spent))
        law_broken(world, "law 9", "%s past the point of no return", rollout_result_name(result));
}
