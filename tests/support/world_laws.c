#include "world_laws.h"

#include <stdarg.h>
#include <stdio.h>

/* Runs the contract's laws, each a function of what can be seen from outside, on every update, before its actions are carried
 * out; and keeps the ledgers that they judge by. */

void law_broken(struct world *world, const char *law, const char *format, ...)
{
    va_list arguments;

    if (world->broken)
        return;
    world->broken = law;
    va_start(arguments, format);
    vsnprintf(world->details, sizeof(world->details), format, arguments);
    va_end(arguments);
    world->telling = true;
    story_say(world, "!! %s: %s", law, world->details);
}

static bool is_past_gate(enum node_phase phase, bool undone)
{
    if (undone)
        return phase == PHASE_UNDO_HOOK || phase == PHASE_ENDED;
    return phase == PHASE_HOOK || phase == PHASE_BAKE || phase == PHASE_COMMIT;
}

static void came_in(struct ledger *ledger)
{
    ledger->out = false;
    ledger->fresh |= ledger->refreshing;
    ledger->refreshing = false;
}

/* A gate is passed when the probes say so, or without any when it has caught up; without a balancer that brings the node back,
 * unless the machine left it there. */
static void watch_gate(struct world *world, size_t node)
{
    struct ledger *ledger = &world->ledgers[node];
    struct node_view view;
    bool passed;

    rollout_node(world->rollout, node, &view);
    if (ledger->gate_open &&
        gate_verdict(&ledger->gate, &world->config.health, world->now) == GATE_PASSED)
        ledger->gate_passed = true;
    passed = world->config.probed ? ledger->gate_passed : world->config.waits_ready && ledger->ready;
    if (passed && !world->config.balanced && !(ledger->undone && ledger->empty) &&
        is_past_gate(view.phase, ledger->undone))
        came_in(ledger);
}

static void remember_touch(struct world *world, struct ledger *ledger, const struct action *action)
{
    if (!world->config.switches || !action->undo)
        ledger->gate_open = ledger->gate_passed = false;
    ledger->fresh = false;
    ledger->refreshing = refreshes(action);
    if (refreshes(action))
        return;
    if (!ledger->touched)
        ledger->touch_number = ++world->touched_count;
    ledger->touched = true;
    ledger->changed |= !action->undo;
    world->changed |= !action->undo;
}

static void remember(struct world *world, const struct action *action)
{
    struct ledger *ledger = ledger_of(world, action->node);
    bool again = ledger->work.sent && same_work(&ledger->work.action, action);
    uint32_t tries = again ? ledger->work.tries + 1 : 1;

    world->last_id = action->id;
    if (action->undo && !ledger->undone)
        ledger->gate_open = ledger->gate_passed = false;
    ledger->undone |= action->undo;
    if (action->step == STEP_ACTIVATE || action->step == STEP_RESTART)
        ledger->ready = false;
    if (touches(action))
        remember_touch(world, ledger, action);
    if (action->step == STEP_ENABLE)
        ledger->drain_over = false;
    if (action->step == STEP_PROBE && world->state != ROLLOUT_SETUP && !ledger->gate_open) {
        ledger->gate_open = true;
        gate_open(&ledger->gate, &world->config.health, world->now);
    }
    ledger->last = (struct record){.action = *action, .sent = true, .sent_at = world->now};
    if (!is_look(action->step))
        ledger->work = (struct record){.action = *action, .sent = true, .tries = tries};
}

static void check_action(struct world *world, const struct action *action)
{
    law_6_one_at_a_time(world, action);
    law_11_lease(world, action);
    if (action->step == STEP_RELEASE)
        ledger_of(world, action->node)->locked = false;
    law_8_journal(world, action);
    law_9_once(world, action);
    law_9_no_return(world, action);
    law_7_shift(world, action);
    if (action->node != NO_NODE) {
        law_outside(world, action);
        law_3_budget(world, action);
        rule_goes_back_only(world, action);
        law_4_newest_first(world, action);
        law_5_one_undo(world, action);
        law_7_traffic(world, action);
        law_leader_last(world, action);
        law_quorum(world, action);
        law_control(world, action);
        law_2_capacity(world, action);
        if (action->step == STEP_ENABLE && !ledger_of(world, action->node)->empty)
            law_ready(world, action->node);
    }
    rule_retries(world, action);
    rule_breaker(world, action);
    remember(world, action);
}

static void count_failure(struct world *world, struct ledger *ledger)
{
    if (ledger->failed)
        return;
    ledger->failed = true;
    world->failures++;
    ledger->alone = world->failures <= world->config.max_failures && !world->spent;
}

/* What an earlier run has changed is the run's own once the setup has passed. */
static bool is_gone_on_with(const struct world *world, size_t node, bool refused)
{
    enum node_outcome outcome = outcome_of(world, node);

    if (!world->ledgers[node].changed_before && !world->ledgers[node].begun)
        return false;
    return outcome == NODE_UPDATED || outcome == NODE_NEEDS_CARE || (outcome == NODE_PENDING && !refused);
}

static void see_gone_on_with(struct world *world, const struct update *update)
{
    size_t first = 0;

    if (world->state != ROLLOUT_SETUP)
        return;
    while (first < update->note_count && (update->notes[first].kind != NOTE_STATE || update->notes[first].value == ROLLOUT_SETUP))
        first++;
    if (first == update->note_count)
        return;
    for (size_t w = 0; w < world->config.waves.count; w++) {
        for (size_t i = 0; i < world->config.waves.items[w].count; i++) {
            size_t node = world->config.waves.items[w].nodes[i];
            struct ledger *ledger = &world->ledgers[node];

            if (!is_gone_on_with(world, node, update->notes[first].value >= ROLLOUT_RELEASE))
                continue;
            ledger->touched = true;
            ledger->touch_number = ++world->touched_count;
            ledger->gate_open = ledger->gate_passed = outcome_of(world, node) == NODE_UPDATED;
        }
    }
}

static void see_trouble(struct world *world, size_t node, enum node_trouble trouble)
{
    struct ledger *ledger = ledger_of(world, node);

    if (trouble == TROUBLE_UNHEALTHY_BEFORE || trouble == TROUBLE_INTERRUPTED ||
        trouble == TROUBLE_LEASE_LOST || trouble == TROUBLE_UNFINISHED)
        return;
    if (node == NO_NODE || !ledger->touched || ledger->undone || world->state >= ROLLOUT_COMMIT)
        return;
    if (world->state == ROLLOUT_BAKE || trouble == TROUBLE_UNREACHABLE)
        ledger->out = true;
    if (world->state == ROLLOUT_EXPAND)
        return;
    if (!world->too_slow)
        ledger->gate_open = ledger->gate_passed = false;
    count_failure(world, ledger);
}

static void see_outcome(struct world *world, size_t node, enum node_outcome outcome)
{
    struct ledger *ledger = &world->ledgers[node];

    if (outcome == NODE_UPDATED && !ledger->changed && ledger->sick)
        law_broken(world, "law 7", "web%zu is gone on with though it is ill", node + 1);
    law_10_classes(world, node, outcome);
    if (outcome == NODE_RESTORED)
        law_4_restored(world, node);
    if (outcome == NODE_UPDATED)
        law_ready(world, node);
    if (outcome == NODE_UPDATED && world->config.confirms)
        rule_confirmed(world, node);
    if (outcome == NODE_RESTORED || outcome == NODE_NEEDS_CARE)
        ledger->settled = true;
    if ((outcome == NODE_FAILED || outcome == NODE_UNREACHABLE) && world->state != ROLLOUT_SETUP)
        count_failure(world, ledger);
}

/* Without a balancer a control is in again when it has passed its gate; its change may follow at once. */
static void see_phase(struct world *world, size_t node, enum node_phase phase)
{
    struct ledger *ledger = ledger_of(world, node);

    ledger->told = phase;
    if (phase == PHASE_CONTROL && ledger->refreshing && !world->config.balanced && (ledger->gate_passed || !world->config.probed))
        came_in(ledger);
}

static void see_note(struct world *world, const struct note *note)
{
    switch (note->kind) {
    case NOTE_STATE:
        world->state = (enum rollout_state)note->value;
        world->result_planned |= world->state == ROLLOUT_RELEASE;
        if (world->state == ROLLOUT_SHIFT || world->state == ROLLOUT_BAKE || world->state == ROLLOUT_WAVE)
            law_control_serves(world, rollout_state_name(world->state));
        break;
    case NOTE_RETRY:
        if (++world->retries > world->config.max_retries)
            law_broken(world, "retries", "%u retries, %u allowed", world->retries,
                       world->config.max_retries);
        break;
    case NOTE_TROUBLE:
        see_trouble(world, note->node, (enum node_trouble)note->value);
        break;
    case NOTE_OUTCOME:
        see_outcome(world, note->node, (enum node_outcome)note->value);
        break;
    case NOTE_BUDGET_SPENT:
        world->spent = true;
        break;
    case NOTE_RESULT:
        world->results++;
        world->result = (enum rollout_result)note->value;
        break;
    case NOTE_WAVE:
        rule_holds(world, (size_t)note->value);
        rule_share_of_nobody(world);
        break;
    case NOTE_BREAKER: /* its turn may have come long before its first action */
        world->ledgers[note->node].held_by_breaker = true;
        break;
    case NOTE_PHASE:
        see_phase(world, note->node, (enum node_phase)note->value);
        break;
    case NOTE_PROBE:
    case NOTE_BLOCKED:
    case NOTE_DEFERRED:
    case NOTE_MIGRATION:
        break;
    }
}

void laws_check_update(struct world *world, const struct update *update)
{
    for (size_t i = 0; i < world->config.node_count; i++)
        watch_gate(world, i);
    world->too_slow = false;
    for (size_t i = 0; i < update->note_count; i++)
        world->too_slow |= update->notes[i].kind == NOTE_BUDGET_SPENT &&
                           update->notes[i].value == SPENT_BY_PROGRESS_DEADLINE;
    see_gone_on_with(world, update);
    for (size_t i = 0; i < update->note_count; i++)
        see_note(world, &update->notes[i]);
    for (size_t i = 0; i < update->action_count; i++) {
        if (update->actions[i].kind == ACTION_CANCEL)
            law_6_cancel(world, &update->actions[i]);
        else
            check_action(world, &update->actions[i]);
    }
    law_1_in_time(world);
    law_3_is_spent_in_time(world);
    rule_forks(world);
}

static void see_step_ended(struct world *world, struct ledger *ledger, const struct flight *flight)
{
    bool cut = ledger->last.cancelled &&
               (flight->status == DONE_CANCELLED || flight->status == DONE_FAILED);
    bool ok = flight->status == DONE_OK;

    switch (flight->action.step) {
    case STEP_PREFLIGHT:
        ledger->empty = ok && world->nodes[flight->action.node].ran_before == RUNS_NOTHING;
        ledger->out |= ledger->empty && !world->outside[flight->action.node] && !ledger->changed_before && !ledger->begun;
        break;
    case STEP_JUDGE:
        world->held |= !ok && (flight->status != DONE_FAILED || cut);
        break;
    case STEP_SHIFT:
        world->share_unknown &= !ok;
        break;
    case STEP_BACKUP:
        world->migrations[flight->action.migration].backed_up |= ok;
        break;
    case STEP_MIGRATE:
        world->migrations[flight->action.migration].done |= ok;
        break;
    case STEP_UNMIGRATE:
        world->migrations[flight->action.migration].undone |= ok;
        break;
    case STEP_DRAIN:
        ledger->drain_over |= ok || flight->status == DONE_TIMED_OUT || cut;
        break;
    case STEP_ENABLE:
        if (ok)
            came_in(ledger);
        break;
    case STEP_CONFIRM:
        if (ok && !world->config.balanced && !world->config.waits_ready && !ledger->unheard)
            ledger->out = false;
        break;
    case STEP_ACTIVATE:
    case STEP_RESTART:
        if (ok && !world->config.balanced && !world->config.probed && !world->config.waits_ready &&
            !(ledger->undone && ledger->empty))
            came_in(ledger);
        break;
    default:
        break;
    }
}

static void see_probe(struct world *world, struct ledger *ledger, const struct flight *flight)
{
    if (world->state != ROLLOUT_SETUP) {
        gate_probed(&ledger->gate, &world->config.health, flight->status == DONE_OK, world->now);
        return;
    }
    if (flight->status == DONE_OK || flight->status == DONE_UNREACHABLE ||
        flight->status == DONE_REFUSED)
        return;
    if ((world->interrupted || world->lease_lost) && ledger->last.cancelled)
        return;
    ledger->sick = true;
    ledger->out = true;
}

static void see_heard(struct ledger *ledger, const struct flight *flight)
{
    if (flight->status == DONE_UNREACHABLE)
        ledger->unheard = true;
    else if (flight->action.step == STEP_PROBE)
        ledger->unheard = false;
}

static void see_error(struct world *world, struct ledger *ledger, const struct flight *flight)
{
    bool look = flight->action.step == STEP_PROBE || flight->action.step == STEP_READY;
    bool unhealthy = look && flight->status == DONE_FAILED &&
                     !ledger->last.cancelled;

    if (!is_guarded(world, &flight->action) || (is_halted(world) && ledger->last.cancelled))
        return;
    if (flight->status != DONE_OK && flight->status != DONE_REFUSED && !unhealthy)
        count_error(ledger, world->now);
    else if (flight->action.step != STEP_CONNECT)
        ledger->errors = 0;
}

void laws_see_answer(struct world *world, const struct flight *flight)
{
    struct ledger *ledger = ledger_of(world, flight->action.node);

    bool given_up = ledger->last.cancelled &&
                    world->now > ledger->last.cancelled_at + world->config.cancel_grace_ms;

    if (ledger->last.action.id != flight->action.id || ledger->last.answered || given_up)
        return;
    see_heard(ledger, flight);
    see_error(world, ledger, flight);
    if (flight->action.step == STEP_READY && flight->status == DONE_OK)
        ledger->ready = true;
    if (flight->action.step == STEP_LOCK && flight->status == DONE_OK)
        ledger->locked = true;
    if (flight->action.step == STEP_LEADER && flight->status == DONE_OK) {
        ledger->asked++;
        ledger->led += flight->leads;
        ledger->leads = flight->leads;
    }
    if (flight->action.step == STEP_PROBE)
        see_probe(world, ledger, flight);
    else
        see_step_ended(world, ledger, flight);
    ledger->last.answered = true;
    ledger->last.status = flight->status;
    ledger->last.retryable = flight->retryable;
    if (ledger->work.action.id == flight->action.id) {
        ledger->work.answered = true;
        ledger->work.status = flight->status;
        ledger->work.retryable = flight->retryable;
    }
}

void laws_check_end(struct world *world)
{
    law_1_finishes_once(world);
    if (world->broken)
        return;
    law_4_all_came_back(world);
    law_10_unhealthy_before(world);
    rule_result(world);
    rule_shifts(world);
    rule_abort(world);
    law_control_serves(world, "the end");
    rule_unwound(world);
    law_11_given_back(world);
    law_9_at_the_end(world, rollout_result(world->rollout));
}
