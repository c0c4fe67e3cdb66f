#include "world_laws.h"

/* One action after another: laws 1, 6, 8 and 11 as far as they are about single actions, retries, forks and breakers. */

/* A node that is not of this run is locked and looked at. */
void law_outside(struct world *world, const struct action *action)
{
    enum step_kind step = action->step;
    bool baseline = step == STEP_PROBE && world->state == ROLLOUT_SETUP;

    if (world->outside[action->node] && step != STEP_CONNECT && step != STEP_PREFLIGHT && step != STEP_LOCK &&
        step != STEP_RELEASE && !baseline)
        law_broken(world, "outside", "%s on web%zu, which is not of this run", step_name(step), action->node + 1);
}

void law_1_in_time(struct world *world)
{
    for (size_t i = 0; i <= world->config.node_count; i++) {
        const struct record *last = &world->ledgers[i].last;
        int64_t limit = last->sent_at + last->action.timeout_ms;
        int64_t halt = world->halted_at + world->config.interrupt_grace_ms;

        if ((world->interrupted || world->lease_lost) && last->sent_at < world->halted_at)
            limit = halt < limit ? halt : limit;
        if (!is_over(world, last) && !last->cancelled && world->now > limit)
            law_broken(world, "law 1", "action %u is past its deadline and not cancelled",
                       last->action.id);
    }
}

/* After so many errors in a row that nothing is sent to it for a while. */
bool is_left_alone(const struct world *world, const struct ledger *ledger)
{
    const struct breaker_rules *rules = &world->config.breaker;

    bool silent = ledger->last.sent && !ledger->last.answered && is_over(world, &ledger->last) &&
                  is_guarded(world, &ledger->last.action) && !is_halted(world);
    int64_t since = silent ? ledger->last.cancelled_at + world->config.cancel_grace_ms
                           : ledger->error_at;

    return rules->failures > 0 && ledger->errors + silent >= rules->failures &&
           world->now < since + rules->cool_down_ms;
}

/* 6. One action at a time on a node; an undo waits for the end of what it undoes. */
void law_6_one_at_a_time(struct world *world, const struct action *action)
{
    const struct ledger *ledger = ledger_of(world, action->node);

    if (!is_over(world, &ledger->last))
        law_broken(world, "law 6", "action %u on web%zu while %u is in flight", action->id,
                   action->node + 1, ledger->last.action.id);
    if (action->step == STEP_CONNECT || world_on_runner(world, action))
        return;
    for (size_t i = 0; i < world->flight_count; i++) {
        const struct flight *flight = &world->flights[i];

        if (flight->working && flight->action.node == action->node &&
            !world_on_runner(world, &flight->action))
            law_broken(world, "law 6", "action %u on web%zu while the work of %u still goes on",
                       action->id, action->node + 1, flight->action.id);
    }
}

void law_6_cancel(struct world *world, const struct action *action)
{
    struct ledger *ledger = ledger_of(world, action->node);

    if (ledger->last.action.id != action->id || ledger->last.answered || ledger->last.cancelled)
        law_broken(world, "law 6", "cancel of action %u, which is not in flight", action->id);
    ledger->last.cancelled = true;
    ledger->last.cancelled_at = world->now;
    if (ledger->work.action.id == action->id)
        ledger->work.cancelled = true;
}

static void law_8_told(struct world *world, const struct action *action)
{
    struct node_view view;

    if (action->node == NO_NODE)
        return;
    rollout_node(world->rollout, action->node, &view);
    if (view.phase != ledger_of(world, action->node)->told)
        law_broken(world, "law 8", "web%zu %s: it was told in phase %s", action->node + 1,
                   step_name(action->step),
                   node_phase_name(ledger_of(world, action->node)->told));
}

/* 8. The journal holds an action before it happens: ids grow, and a repeated action keeps its
 * token, so that nothing is done unrecorded. */
void law_8_journal(struct world *world, const struct action *action)
{
    const struct record *work = &ledger_of(world, action->node)->work;

    law_8_told(world, action);
    if (action->id <= world->last_id)
        law_broken(world, "law 8", "action id %u comes after %u", action->id, world->last_id);
    if (is_look(action->step) || !work->sent || action->step == STEP_JUDGE ||
        action->step == STEP_SHIFT || !same_work(&work->action, action))
        return;
    if (work->answered && work->status != DONE_UNREACHABLE && work->action.token == action->token)
        law_broken(world, "law 8", "web%zu %s: the token of ended work is used again",
                   action->node + 1, step_name(action->step));
    if ((!work->answered || work->status == DONE_UNREACHABLE) &&
        work->action.token != action->token)
        law_broken(world, "law 8", "web%zu %s is repeated under a fresh token", action->node + 1,
                   step_name(action->step));
}

/* 11. A lost lease, as an interrupt, stops all new actions but the release; and that one too where the lease was lost. */
void law_11_lease(struct world *world, const struct action *action)
{
    bool ours = action->node == NO_NODE || !world->lease_gone[action->node];

    if ((world->lease_lost || world->interrupted) && action->step != STEP_RELEASE && action->step != STEP_CONNECT)
        law_broken(world, "law 11", "%s is sent after the %s", step_name(action->step),
                   world->lease_lost ? "loss of a lease" : "interrupt");
    if (!ours)
        law_broken(world, "law 11", "%s is sent though the lease is lost", step_name(action->step));
}

/* 11. Who has lost a lease gives back the others, where the node is to be had: not behind an open breaker. */
void law_11_given_back(struct world *world)
{
    bool breaks = world->config.breaker.failures > 0;

    for (size_t i = 0; world->lease_lost && !breaks && i < world->config.node_count; i++) {
        const struct ledger *ledger = &world->ledgers[i];
        bool away = ledger->last.action.step == STEP_CONNECT || !world->nodes[i].alive;

        if (ledger->locked && !world->lease_gone[i] && !away && outcome_of(world, i) != NODE_REFUSED)
            law_broken(world, "law 11", "web%zu stays locked after a lease was lost elsewhere", i + 1);
    }
}

void rule_forks(struct world *world)
{
    size_t flying = 0;

    for (size_t i = 0; i < world->config.node_count; i++) {
        const struct record *last = &world->ledgers[i].last;

        flying += !is_over(world, last) && last->action.step != STEP_PROBE &&
                  last->action.step != STEP_READY;
    }
    if (flying > world->config.forks)
        law_broken(world, "forks", "%zu nodes have an action in flight, %u allowed", flying,
                   world->config.forks);
}

static bool may_repeat(const struct record *work)
{
    enum step_kind step = work->action.step;

    if (!work->answered || work->status == DONE_UNREACHABLE)
        return true;
    return work->status == DONE_FAILED && work->retryable &&
           (step == STEP_PREFLIGHT || step == STEP_LOCK || step == STEP_STAGE ||
            step == STEP_COMMIT);
}

/* A step is repeated only where that is safe, and not for ever. */
void rule_retries(struct world *world, const struct action *action)
{
    const struct record *work = &ledger_of(world, action->node)->work;

    if (is_look(action->step) || !work->sent || action->step == STEP_JUDGE ||
        action->step == STEP_SHIFT || /* one a wave */
        !same_work(&work->action, action))
        return;
    if (!may_repeat(work))
        law_broken(world, "retries", "web%zu %s is repeated after it ended", action->node + 1,
                   step_name(action->step));
    if (work->tries >= world->config.attempts)
        law_broken(world, "retries", "web%zu %s is tried %u times", action->node + 1,
                   step_name(action->step), work->tries + 1);
}

/* Who only fails is left alone for a while. */
void rule_breaker(struct world *world, const struct action *action)
{
    struct ledger *ledger = ledger_of(world, action->node);
    const struct record *last = &ledger->last;

    if (!is_guarded(world, action))
        return;
    if (is_left_alone(world, ledger))
        law_broken(world, "breaker", "web%zu gets a %s after %u errors in a row", action->node + 1,
                   step_name(action->step), ledger->errors);
    if (last->sent && !last->answered && is_guarded(world, &last->action) && !is_halted(world))
        count_error(ledger, last->cancelled_at + world->config.cancel_grace_ms);
}
