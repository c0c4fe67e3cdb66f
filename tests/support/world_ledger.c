#include "world_laws.h"

/* What the laws ask of the ledgers, of the plan and of the machine. */

struct ledger *ledger_of(struct world *world, size_t node)
{
    return &world->ledgers[node == NO_NODE ? world->plan->node_count : node];
}

enum node_outcome outcome_of(const struct world *world, size_t node)
{
    struct node_view view;

    rollout_node(world->rollout, node, &view);
    return view.outcome;
}

bool rolls_back(const struct world *world)
{
    return (world->config.action == ON_FAILURE_ROLLBACK || world->abort_counts) &&
           world->config.undo_allowed &&
           !world->past_no_return && !world->config.no_way_back;
}

/* Changes nothing, and is no work that would be repeated. */
bool is_look(enum step_kind step)
{
    return step == STEP_CONNECT || step == STEP_PROBE || step == STEP_READY || step == STEP_LEADER;
}

bool touches(const struct action *action)
{
    return action->step == STEP_DRAIN || action->step == STEP_ACTIVATE || action->step == STEP_RESTART;
}

bool refreshes(const struct action *action)
{
    return action->release == RELEASE_PRESENT;
}

/* The machine no longer waits for it: answered, or its cancel has had its grace. */
bool is_over(const struct world *world, const struct record *record)
{
    return !record->sent || record->answered ||
           (record->cancelled &&
            world->now >= record->cancelled_at + world->config.cancel_grace_ms);
}

bool is_guarded(const struct world *world, const struct action *action)
{
    return action->node != NO_NODE && action->step != STEP_CONFIRM &&
           world_over_connection(world, action);
}

bool is_halted(const struct world *world)
{
    return world->interrupted || world->lease_lost;
}

bool same_work(const struct action *a, const struct action *b)
{
    return a->step == b->step && a->undo == b->undo && a->hook == b->hook &&
           a->release == b->release && a->migration == b->migration;
}

void count_error(struct ledger *ledger, int64_t at)
{
    ledger->errors++;
    ledger->error_at = at;
}
