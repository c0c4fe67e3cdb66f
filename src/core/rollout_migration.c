#include "rollout_internal.h"

static const struct rollout_migration *config_of(const struct rollout *rollout, size_t index)
{
    return &rollout->config.migrations[index];
}

/* The next of its moment; SIZE_MAX when none is left. */
static size_t next_of(const struct rollout *rollout, bool contract)
{
    for (size_t i = 0; i < rollout->config.migration_count; i++)
        if (rollout->migrations[i] == MIGRATION_PENDING &&
            (config_of(rollout, i)->kind == MIGRATION_CONTRACT) == contract)
            return i;
    return SIZE_MAX;
}

bool migration_waits(const struct rollout *rollout, bool contract)
{
    return !rollout->config.unwinds && !rollout->migration_failed &&
           next_of(rollout, contract) != SIZE_MAX;
}

static void set_state(struct rollout *rollout, size_t node, enum migration_state state)
{
    rollout->migrations[rollout->migration] = state;
    rollout_note_migration(rollout, node, rollout->migration, state);
}

static bool can_migrate(const struct walker *walker)
{
    return walker->locked && (walker->outcome == NODE_PENDING ||
                              walker->outcome == NODE_UNCHANGED || walker->outcome == NODE_UPDATED);
}

static struct walker *walker_for(struct rollout *rollout, size_t index)
{
    size_t node = config_of(rollout, index)->node;

    if (node != NO_NODE)
        return can_migrate(&rollout->walkers[node]) ? &rollout->walkers[node] : NULL;
    for (size_t i = 0; i < rollout->config.node_count; i++)
        if (can_migrate(&rollout->walkers[rollout->order[i]]))
            return &rollout->walkers[rollout->order[i]];
    return NULL;
}

static void fail(struct rollout *rollout, size_t node, enum migration_state state)
{
    rollout->migration_failed = true;
    set_state(rollout, node, state);
    if (rollout->state == ROLLOUT_CONTRACT) {
        rollout->data_needs_care = true;
        return;
    }
    failure_spend(rollout, SPENT_BY_MIGRATION);
}

static void begin_next(struct rollout *rollout, bool contract)
{
    size_t index = next_of(rollout, contract);
    struct walker *walker;

    if (index == SIZE_MAX)
        return;
    rollout->migration = index;
    rollout->migration_sends = 0;
    walker = walker_for(rollout, index);
    if (!walker) {
        fail(rollout, config_of(rollout, index)->node, MIGRATION_FAILED);
        return;
    }
    walker_begin(rollout, walker, contract ? TRACK_CONTRACT : TRACK_EXPAND);
    action_launch(rollout, walker);
}

/* All that this rollout has run can be undone, and nobody wonders about any. */
static bool all_can_be_undone(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.migration_count; i++) {
        if (rollout->migrations[i] == MIGRATION_UNKNOWN)
            return false;
        if (rollout->migrations[i] == MIGRATION_DONE && !config_of(rollout, i)->has_down)
            return false;
    }
    return !rollout->irreversible_sent;
}

/* False when there is nothing to undo. */
static bool begin_undo(struct rollout *rollout)
{
    size_t count = rollout->config.migration_count;
    struct walker *walker;

    if (rollout->undo_given_up || !all_can_be_undone(rollout))
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t index = count - 1 - i;

        if (rollout->migrations[index] != MIGRATION_DONE)
            continue;
        rollout->migration = index;
        rollout->migration_sends = 0;
        walker = walker_for(rollout, index);
        if (walker) {
            walker_begin(rollout, walker, TRACK_UNMIGRATE);
            action_launch(rollout, walker);
        } else {
            rollout->undo_given_up = rollout->data_needs_care = true;
        }
        return true;
    }
    return false;
}

void migration_admit_expand(struct rollout *rollout)
{
    if (rollout->active == 0 && rollout->aborted && !rollout->migration_failed) {
        rollout->migration_failed = true;
        failure_spend(rollout, SPENT_BY_ABORT);
    }
    if (rollout->active == 0 && !rollout->migration_failed)
        begin_next(rollout, false);
    while (rollout->active == 0 && rollout->migration_failed && begin_undo(rollout))
        continue;
}

void migration_admit_contract(struct rollout *rollout)
{
    if (rollout->active == 0 && !rollout->migration_failed)
        begin_next(rollout, true);
}

bool migration_has_backup(const struct rollout *rollout, const struct walker *walker)
{
    (void)walker;
    return config_of(rollout, rollout->migration)->backed_up;
}

void migration_sent(struct rollout *rollout, enum step_kind kind)
{
    if (kind == STEP_BACKUP)
        return;
    rollout->migrations[rollout->migration] = MIGRATION_UNKNOWN;
    rollout->migration_sends++;
    if (kind == STEP_MIGRATE &&
        config_of(rollout, rollout->migration)->kind == MIGRATION_IRREVERSIBLE)
        failure_past_no_return(rollout);
}

void migration_ended(struct rollout *rollout, struct walker *walker)
{
    set_state(rollout, walker->node, MIGRATION_DONE);
}

void migration_undone(struct rollout *rollout, struct walker *walker)
{
    set_state(rollout, walker->node, MIGRATION_UNDONE);
}

/* Only a plain word to the one time that it was sent says that it was not done. */
void failure_in_migration(struct rollout *rollout, struct walker *walker, enum node_trouble trouble)
{
    const struct rollout_migration *migration = config_of(rollout, rollout->migration);
    bool sent = rollout->migration_sends > 0;
    bool known = rollout->migration_sends == 1 && walker->flying == STEP_MIGRATE &&
                 (trouble == TROUBLE_STEP_FAILED || trouble == TROUBLE_REFUSED);

    if (sent && (!known || migration->kind == MIGRATION_IRREVERSIBLE))
        rollout->data_needs_care = true;
    if (trouble == TROUBLE_UNREACHABLE && walker->touched)
        capacity_set_out(rollout, walker, true);
    fail(rollout, walker->node, sent && !known ? MIGRATION_UNKNOWN : MIGRATION_FAILED);
}

void failure_in_unmigration(struct rollout *rollout, struct walker *walker,
                            enum node_trouble trouble)
{
    if (trouble == TROUBLE_UNREACHABLE && walker->touched)
        capacity_set_out(rollout, walker, true);
    rollout->undo_given_up = rollout->data_needs_care = true;
    if (rollout->migration_sends > 0)
        set_state(rollout, walker->node, MIGRATION_UNKNOWN);
}

bool migration_any_sent(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.migration_count; i++)
        if (rollout->migrations[i] != MIGRATION_PENDING &&
            rollout->migrations[i] != MIGRATION_FAILED)
            return true;
    return false;
}

bool migration_any_done(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->config.migration_count; i++)
        if (rollout->migrations[i] == MIGRATION_DONE)
            return true;
    return false;
}
