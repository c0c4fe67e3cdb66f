#include "world.h"

#include <inttypes.h>
#include <stdio.h>

/* The contract's laws, each a function of what can be seen from outside. They run on every update,
 * before its actions are carried out. */

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

static struct ledger *ledger_of(struct world *world, size_t node)
{
    return &world->ledgers[node == NO_NODE ? world->plan->node_count : node];
}

static enum node_outcome outcome_of(const struct world *world, size_t node)
{
    struct node_view view;

    rollout_node(world->rollout, node, &view);
    return view.outcome;
}

static bool rolls_back(const struct world *world)
{
    return (world->config.action == ON_FAILURE_ROLLBACK || world->abort_counts) &&
           world->config.undo_allowed &&
           !world->past_no_return && !world->config.no_way_back;
}

/* Changes nothing, and is no work that would be repeated. */
static bool is_look(enum step_kind step)
{
    return step == STEP_CONNECT || step == STEP_PROBE || step == STEP_READY || step == STEP_LEADER;
}

static bool touches(const struct action *action)
{
    return action->step == STEP_DRAIN || action->step == STEP_ACTIVATE;
}

/* The machine no longer waits for it: answered, or its cancel has had its grace. */
static bool is_over(const struct world *world, const struct record *record)
{
    return !record->sent || record->answered ||
           (record->cancelled &&
            world->now >= record->cancelled_at + world->config.cancel_grace_ms);
}

static bool ended_silent(const struct record *record)
{
    bool no_answer = !record->answered || record->status == DONE_UNREACHABLE;
    bool connect_timed_out =
        record->action.step == STEP_CONNECT &&
        (record->status == DONE_TIMED_OUT || record->status == DONE_CANCELLED || record->cancelled);

    return no_answer || connect_timed_out;
}

static bool is_past_gate(enum node_phase phase, bool undone)
{
    if (undone)
        return phase == PHASE_UNDO_HOOK || phase == PHASE_ENDED;
    return phase == PHASE_HOOK || phase == PHASE_BAKE || phase == PHASE_COMMIT;
}

/* A gate is passed when the probes say so; without a balancer that brings the node back, unless the
 * machine left it there. */
static void watch_gate(struct world *world, size_t node)
{
    struct ledger *ledger = &world->ledgers[node];
    struct node_view view;

    rollout_node(world->rollout, node, &view);
    if (ledger->gate_open &&
        gate_verdict(&ledger->gate, &world->config.health, world->now) == GATE_PASSED)
        ledger->gate_passed = true;
    if (ledger->gate_passed && !world->config.balanced && !(ledger->undone && ledger->empty) &&
        is_past_gate(view.phase, ledger->undone))
        ledger->out = false;
}

/* 1. It finishes exactly once, and within its deadlines. */
static void law_1_finishes_once(struct world *world)
{
    const struct rollout_config *config = &world->config;
    int64_t step_ms = 10000 + config->cancel_grace_ms + 4000 + 16000;
    int64_t node_ms =
        60 * (int64_t)config->attempts * step_ms + 4 * (config->health.healthy_deadline_ms + 60000);
    int64_t data_ms = 3 * (int64_t)config->migration_count * config->attempts * 2 * step_ms;
    int64_t limit_ms = (int64_t)config->node_count * (node_ms + config->bake_ms) + data_ms;

    if (world->stuck)
        law_broken(world, "law 1", "stuck in state %s after %u steps",
                   rollout_state_name(world->state), world->steps);
    else if (world->results != 1)
        law_broken(world, "law 1", "%u results", world->results);
    else if (world->now > limit_ms)
        law_broken(world, "law 1", "took %" PRId64 " ms of %" PRId64, world->now, limit_ms);
}

static void law_1_in_time(struct world *world)
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

static size_t count_out(const struct world *world, size_t besides, bool *recovering)
{
    size_t count = 0;

    *recovering = false;
    for (size_t i = 0; i < world->config.node_count; i++) {
        const struct ledger *ledger = &world->ledgers[i];
        enum node_outcome outcome = outcome_of(world, i);

        if (i == besides || !ledger->out)
            continue;
        if (!ledger->touched &&
            (outcome == NODE_SKIPPED || outcome == NODE_UNREACHABLE || outcome == NODE_REFUSED))
            continue;
        count++;
        if ((ledger->changed || ledger->undone) && !ledger->settled)
            *recovering = true;
    }
    return count;
}

/* 2. Never more than max_unavailable nodes are out of service because of us; a node unhealthy
 * before counts as out. */
static void law_2_capacity(struct world *world, const struct action *action)
{
    struct ledger *ledger = ledger_of(world, action->node);
    bool recovering;
    size_t others;

    if (!touches(action) || ledger->out || world->config.switches)
        return;
    others = count_out(world, action->node, &recovering);
    ledger->out = true;
    if (others + 1 <= world->config.max_unavailable || (action->undo && !recovering))
        return;
    law_broken(world, "law 2", "web%zu goes out while %zu are out, %u allowed", action->node + 1,
               others, world->config.max_unavailable);
}

/* Never fewer members than the quorum because of us. */
static void law_quorum(struct world *world, const struct action *action)
{
    const struct ledger *ledger = ledger_of(world, action->node);
    size_t missing = 1;

    if (!touches(action) || ledger->out || world->config.quorum == 0)
        return;
    for (size_t i = 0; i < world->config.node_count; i++) {
        enum node_outcome outcome = outcome_of(world, i);

        missing += i != action->node && (world->ledgers[i].out || outcome == NODE_SKIPPED ||
                                         outcome == NODE_UNREACHABLE);
    }
    if (missing + world->config.quorum > world->config.node_count)
        law_broken(world, "quorum", "web%zu goes out, and %zu of %zu are missing then",
                   action->node + 1, missing, world->config.node_count);
}

static bool others_are_left(const struct world *world, size_t node)
{
    for (size_t i = 0; i < world->config.node_count; i++)
        if (i != node && !world->ledgers[i].touched && outcome_of(world, i) == NODE_PENDING)
            return true;
    return false;
}

/* Who leads goes last, and each is asked before it goes. */
static void law_leader_last(struct world *world, const struct action *action)
{
    const struct ledger *ledger = ledger_of(world, action->node);

    if (!world->config.asks_leader || !touches(action) || action->undo || ledger->touched ||
        ledger->out || ledger->led >= 3 || !others_are_left(world, action->node))
        return;
    if (ledger->asked == 0 || ledger->leads)
        law_broken(world, "leader", "web%zu goes before others, and %s", action->node + 1,
                   ledger->asked ? "leads" : "was never asked");
}

/* What is put in, or called updated, has caught up. */
static void law_ready(struct world *world, size_t node)
{
    const struct ledger *ledger = &world->ledgers[node];

    if (world->config.waits_ready && ledger->changed && !ledger->ready)
        law_broken(world, "ready", "web%zu goes on before it has caught up", node + 1);
}

/* 3. Once the failure budget is spent, no further node is touched. */
static void law_3_budget(struct world *world, const struct action *action)
{
    const struct ledger *ledger = ledger_of(world, action->node);

    if (world->spent && touches(action) && !action->undo && !ledger->changed)
        law_broken(world, "law 3", "web%zu is touched though the budget is spent",
                   action->node + 1);
    if (world->held && touches(action) && !action->undo)
        law_broken(world, "law 3", "web%zu is touched though its rollout is held", action->node + 1);
}

static void law_3_is_spent_in_time(struct world *world)
{
    if (world->failures > world->config.max_failures && !world->spent && !world->interrupted &&
        !world->lease_lost)
        law_broken(world, "law 3", "%u failures and the budget is not spent", world->failures);
}

/* Those who wait for a hook that runs once began in order, and go on together. */
static bool undos_wait_for_a_hook(const struct world *world)
{
    for (size_t i = 0; i < world->plan->hook_count; i++)
        if (world->plan->hooks[i].moment == MOMENT_BEFORE_ROLLBACK &&
            world->plan->hooks[i].place == PLACE_FIRST)
            return true;
    return false;
}

static bool is_guarded(const struct world *world, const struct action *action)
{
    return action->node != NO_NODE && action->step != STEP_CONFIRM &&
           world_over_connection(world, action);
}

static bool is_halted(const struct world *world)
{
    return world->interrupted || world->lease_lost;
}

/* After so many errors in a row that nothing is sent to it for a while. */
static bool is_left_alone(const struct world *world, const struct ledger *ledger)
{
    const struct breaker_rules *rules = &world->config.breaker;

    bool silent = ledger->last.sent && !ledger->last.answered && is_over(world, &ledger->last) &&
                  is_guarded(world, &ledger->last.action) && !is_halted(world);
    int64_t since = silent ? ledger->last.cancelled_at + world->config.cancel_grace_ms
                           : ledger->error_at;

    return rules->failures > 0 && ledger->errors + silent >= rules->failures &&
           world->now < since + rules->cool_down_ms;
}

/* 4. action = rollback undoes newest first (those already out before those that serve)... */
static void law_4_newest_first(struct world *world, const struct action *action)
{
    const struct ledger *this = ledger_of(world, action->node);

    if (!action->undo || this->held_by_breaker || this->undone || this->alone || !world->spent || !rolls_back(world) ||
        !world->config.balanced || world->config.switches || undos_wait_for_a_hook(world))
        return;
    for (size_t i = 0; i < world->config.node_count; i++) {
        const struct ledger *other = &world->ledgers[i];

        if (i == action->node || !other->touched || other->undone || other->settled ||
            other->alone || !is_over(world, &other->last) || is_left_alone(world, other))
            continue;
        if ((other->out && !this->out) ||
            (other->out == this->out && other->touch_number > this->touch_number))
            law_broken(world, "law 4", "web%zu is undone before web%zu", action->node + 1, i + 1);
    }
}

/* ... and brings every touched node back to its own previous release, which the gate proves. */
static void law_4_restored(struct world *world, size_t node)
{
    const struct node_truth *truth = &world->nodes[node];
    const struct ledger *ledger = &world->ledgers[node];

    if (truth->runs != truth->ran_before)
        law_broken(world, "law 4", "web%zu is called restored and runs something else", node + 1);
    if (world->config.switches && world->shifts == 0 && world->config.share == 0)
        return; /* what serves was never left */
    if (world->config.probed && !ledger->empty && !ledger->gate_passed)
        law_broken(world, "law 4", "web%zu is called restored without a gate", node + 1);
}

static void law_4_all_came_back(struct world *world)
{
    if (!world->spent || !rolls_back(world) || world->interrupted || world->lease_lost)
        return;
    for (size_t i = 0; i < world->config.node_count; i++) {
        enum node_outcome outcome = outcome_of(world, i);

        if (world->ledgers[i].touched && outcome != NODE_RESTORED && outcome != NODE_NEEDS_CARE)
            law_broken(world, "law 4", "web%zu was touched and is %s", i + 1,
                       node_outcome_name(outcome));
    }
}

/* 5. A rollback is never rolled back: what then fails needs care. */
static void law_5_one_undo(struct world *world, const struct action *action)
{
    struct ledger *ledger = ledger_of(world, action->node);

    if (ledger->undone && !action->undo &&
        (touches(action) || action->step == STEP_STAGE || action->step == STEP_ENABLE))
        law_broken(world, "law 5", "web%zu goes forward again after its undo", action->node + 1);
    if (!action->undo)
        return;
    if (ledger->settled)
        law_broken(world, "law 5", "web%zu is undone again", action->node + 1);
    if (!world->config.undo_allowed)
        law_broken(world, "law 5", "web%zu is undone in a rollback", action->node + 1);
    if (action->step == STEP_ACTIVATE && ledger->undo_token != 0 &&
        ledger->undo_token != action->token)
        law_broken(world, "law 5", "web%zu gets its previous release twice", action->node + 1);
    if (action->step == STEP_ACTIVATE)
        ledger->undo_token = action->token;
}

/* 6. One action at a time on a node; an undo waits for the end of what it undoes. */
static void law_6_one_at_a_time(struct world *world, const struct action *action)
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

static void law_6_cancel(struct world *world, const struct action *action)
{
    struct ledger *ledger = ledger_of(world, action->node);

    if (ledger->last.action.id != action->id || ledger->last.answered || ledger->last.cancelled)
        law_broken(world, "law 6", "cancel of action %u, which is not in flight", action->id);
    ledger->last.cancelled = true;
    ledger->last.cancelled_at = world->now;
    if (ledger->work.action.id == action->id)
        ledger->work.cancelled = true;
}

/* 7. No traffic to an instance that has not passed its gate; no activation before its drain ended
 * or timed out. */
static void law_7_traffic(struct world *world, const struct action *action)
{
    const struct ledger *ledger = ledger_of(world, action->node);

    if (action->step == STEP_ENABLE && world->config.probed && !ledger->gate_passed)
        law_broken(world, "law 7", "web%zu gets traffic without its gate", action->node + 1);
    if (action->step == STEP_ENABLE && world->config.probed && ledger->unheard &&
        ledger->work.action.token != action->token)
        law_broken(world, "law 7", "web%zu gets traffic, unheard of since it was cut off",
                   action->node + 1);
    if (action->step == STEP_ACTIVATE && world->config.balanced && !world->config.switches &&
        !ledger->drain_over)
        law_broken(world, "law 7", "web%zu is activated before it is drained", action->node + 1);
}

static void law_7_switched(struct world *world, size_t node, bool undo)
{
    const struct ledger *ledger = &world->ledgers[node];
    enum node_outcome outcome = outcome_of(world, node);

    if (!ledger->touched || !world->config.probed || outcome == NODE_NEEDS_CARE ||
        (undo && ledger->empty))
        return;
    if (!ledger->gate_passed)
        law_broken(world, "law 7", "web%zu is switched to without its gate", node + 1);
    if (!undo && (ledger->unheard || outcome != NODE_UPDATED))
        law_broken(world, "law 7", "web%zu is switched to and is not known to be well", node + 1);
}

/* A share is the wave's own, for nodes that are updated and well as far as anybody knows. */
static void law_7_share(struct world *world, const struct action *action)
{
    size_t wave = rollout_wave(world->rollout), updated = 0;

    if (action->share != (action->undo ? 0 : world->config.rules[wave].share))
        law_broken(world, "shift", "wave %zu is shifted to %u of 1000", wave + 1, action->share);
    for (size_t i = 0; i < world->config.node_count; i++) {
        if (outcome_of(world, i) != NODE_UPDATED)
            continue;
        updated++;
        if (world->config.probed && !world->ledgers[i].gate_open)
            law_broken(world, "law 7", "web%zu gets a share without its gate", i + 1);
    }
    if (!action->undo && updated == 0)
        law_broken(world, "law 7", "traffic is shifted, and nobody is updated");
}

/* ... nor by a shift; and what has traffic is not taken down under it. */
static void law_7_shift(struct world *world, const struct action *action)
{
    bool serves = world->share > 0 || world->share_unknown;

    if (world->config.switches && action->undo && action->step == STEP_ACTIVATE && serves)
        law_broken(world, "law 7", "web%zu is taken down while it may serve", action->node + 1);
    if (action->step != STEP_SHIFT)
        return;
    if (world->spent && !action->undo)
        law_broken(world, "law 3", "traffic is shifted though the budget is spent");
    for (size_t i = 0; world->config.switches && i < world->config.node_count; i++)
        law_7_switched(world, i, action->undo);
    if (!world->config.switches)
        law_7_share(world, action);
    world->shifts++;
    world->share_unknown = true;
}

static bool same_work(const struct action *a, const struct action *b)
{
    return a->step == b->step && a->undo == b->undo && a->hook == b->hook &&
           a->release == b->release && a->migration == b->migration;
}

/* A node that counts as updated keeps its release: no timer of its own takes it away. */
static void rule_confirmed(struct world *world, size_t node)
{
    if (world->nodes[node].confirm_by > 0)
        law_broken(world, "confirm", "web%zu is called updated and was never confirmed", node + 1);
    if (world->nodes[node].put_back)
        law_broken(world, "confirm", "web%zu is called updated and put its release back", node + 1);
}

/* 8. The journal holds an action before it happens: ids grow, and a repeated action keeps its
 * token, so that nothing is done unrecorded. */
static void law_8_journal(struct world *world, const struct action *action)
{
    const struct record *work = &ledger_of(world, action->node)->work;

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

/* 9. What runs once a fleet runs once. */
static void law_9_once(struct world *world, const struct action *action)
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
static void law_9_no_return(struct world *world, const struct action *action)
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
static void law_9_at_the_end(struct world *world, enum rollout_result result)
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

/* 10. Unreachable, failed, unhealthy and unhealthy-before are four classes. */
static void law_10_classes(struct world *world, size_t node, enum node_outcome outcome)
{
    const struct ledger *ledger = &world->ledgers[node];
    bool silent = ended_silent(&ledger->last);

    if ((outcome == NODE_UNREACHABLE || outcome == NODE_SKIPPED) && (!silent || ledger->touched))
        law_broken(world, "law 10", "web%zu is called %s and is not", node + 1,
                   node_outcome_name(outcome));
    if ((outcome == NODE_FAILED || outcome == NODE_REFUSED) &&
        ((silent && !world_on_runner(world, &ledger->last.action)) || ledger->touched))
        law_broken(world, "law 10", "web%zu is called %s and is not", node + 1,
                   node_outcome_name(outcome));
    if (outcome == NODE_UNCHANGED && !world->plan->natures[node].stays &&
        (ledger->touched || ledger->sick || ledger->empty))
        law_broken(world, "law 10", "web%zu is called unchanged", node + 1);
}

static void law_10_unhealthy_before(struct world *world)
{
    struct node_view view;

    for (size_t i = 0; i < world->config.node_count; i++) {
        rollout_node(world->rollout, i, &view);
        if (view.unhealthy_before != world->ledgers[i].sick)
            law_broken(world, "law 10", "web%zu: unhealthy before is told wrong", i + 1);
        if (view.outcome == NODE_NEEDS_CARE && view.trouble == TROUBLE_NONE)
            law_broken(world, "law 10", "web%zu needs care and nobody says why", i + 1);
    }
}

/* 11. A lost lease stops all new actions; an interrupt all but the release. */
static void law_11_lease(struct world *world, const struct action *action)
{
    if (world->lease_lost)
        law_broken(world, "law 11", "%s is sent though the lease is lost", step_name(action->step));
    if (world->interrupted && action->step != STEP_RELEASE && action->step != STEP_CONNECT)
        law_broken(world, "law 11", "%s is sent after the interrupt", step_name(action->step));
}

static void rule_forks(struct world *world)
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
static void rule_retries(struct world *world, const struct action *action)
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

static void count_error(struct ledger *ledger, int64_t at)
{
    ledger->errors++;
    ledger->error_at = at;
}

/* Who only fails is left alone for a while. */
static void rule_breaker(struct world *world, const struct action *action)
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

static void remember(struct world *world, const struct action *action)
{
    struct ledger *ledger = ledger_of(world, action->node);
    bool again = ledger->work.sent && same_work(&ledger->work.action, action);
    uint32_t tries = again ? ledger->work.tries + 1 : 1;

    world->last_id = action->id;
    if (action->undo && !ledger->undone)
        ledger->gate_open = ledger->gate_passed = false;
    ledger->undone |= action->undo;
    if (action->step == STEP_ACTIVATE)
        ledger->ready = false;
    if (touches(action)) {
        if (!world->config.switches || !action->undo)
            ledger->gate_open = ledger->gate_passed = false;
        if (!ledger->touched)
            ledger->touch_number = ++world->touched_count;
        ledger->touched = true;
        ledger->changed |= !action->undo;
        world->changed |= !action->undo;
    }
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
    law_8_journal(world, action);
    law_9_once(world, action);
    law_9_no_return(world, action);
    law_7_shift(world, action);
    if (action->node != NO_NODE) {
        law_3_budget(world, action);
        law_4_newest_first(world, action);
        law_5_one_undo(world, action);
        law_7_traffic(world, action);
        law_leader_last(world, action);
        law_quorum(world, action);
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

/* A manual gate and a wish to pause end a run before its next wave. */
static void rule_holds(struct world *world, size_t wave)
{
    if (world->paused)
        law_broken(world, "hold", "wave %zu begins though it is to be paused", wave + 1);
    if (world->config.rules && world->waves_begun > 0 && world->waves_begun <= wave &&
        world->config.rules[world->waves_begun - 1].manual)
        law_broken(world, "hold", "wave %zu begins and nobody let it", wave + 1);
    world->waves_begun = wave + 1;
}

/* Whom a share was for has gone back: so does the share, before anybody else changes. */
static void rule_share_of_nobody(struct world *world)
{
    if (!world->config.shifts || world->config.switches || world->share == 0 ||
        world->touched_count == 0 || !world->config.undo_allowed || world->past_no_return ||
        world->config.no_way_back || rollout_state(world->rollout) != ROLLOUT_WAVE)
        return;
    for (size_t i = 0; i < world->config.node_count; i++)
        if (outcome_of(world, i) == NODE_UPDATED)
            return;
    law_broken(world, "shift", "a wave begins, and nobody has the %u of 1000", world->share);
}

static void see_note(struct world *world, const struct note *note)
{
    switch (note->kind) {
    case NOTE_STATE:
        world->state = (enum rollout_state)note->value;
        world->result_planned |= world->state == ROLLOUT_RELEASE;
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
        ledger->out |= ledger->empty && !ledger->changed_before &&
                       !(ledger->begun && world->plan->natures[flight->action.node].at_target);
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
            ledger->out = false;
        break;
    case STEP_CONFIRM:
        if (ok && !world->config.balanced && !ledger->unheard)
            ledger->out = false;
        break;
    case STEP_ACTIVATE:
        if (ok && !world->config.balanced && !world->config.probed &&
            !(ledger->undone && ledger->empty))
            ledger->out = false;
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

static bool has_manual_wave(const struct world *world)
{
    for (size_t i = 0; world->config.rules && i < world->config.waves.count; i++)
        if (world->config.rules[i].manual)
            return true;
    return false;
}

/* Where the traffic is, is known, unless a person is told to look. */
static void rule_shifts(struct world *world)
{
    enum rollout_result result = rollout_result(world->rollout);
    size_t last = world->config.waves.count - 1;

    if (!world->config.shifts)
        return;
    if (world->share_unknown &&
        (result == RESULT_DONE || result == RESULT_ROLLED_BACK || result == RESULT_HELD))
        law_broken(world, "shift", "%s, and nobody knows where the traffic is",
                   rollout_result_name(result));
    if (result == RESULT_ROLLED_BACK && world->share > 0 && world->touched_count > 0)
        law_broken(world, "shift", "rolled back, and %u of 1000 go to the target", world->share);
    if (result == RESULT_DONE && world->touched_count > 0 &&
        world->share != world->config.rules[last].share)
        law_broken(world, "shift", "done, and %u of 1000 go to the target", world->share);
}

static void rule_abort(struct world *world)
{
    if (world->abort_counts && !world->spent && !world->interrupted && !world->lease_lost &&
        rollout_result(world->rollout) != RESULT_REFUSED &&
        rollout_result(world->rollout) != RESULT_UNREACHABLE)
        law_broken(world, "abort", "nobody minded it");
}

/* What the exit code says is true. */
static void rule_result(struct world *world)
{
    enum rollout_result result = rollout_result(world->rollout);
    size_t count[NODE_OUTCOMES] = {0};
    size_t bad;

    for (size_t i = 0; i < world->config.node_count; i++) {
        enum node_outcome outcome = outcome_of(world, i);

        count[outcome]++;
        if (outcome == NODE_UPDATED && (world->nodes[i].runs != RUNS_TARGET ||
                                        (world->config.probed && !world->ledgers[i].gate_open)))
            law_broken(world, "result", "web%zu is called updated and is not", i + 1);
    }
    bad = count[NODE_FAILED] + count[NODE_NEEDS_CARE] + count[NODE_RESTORED] +
          count[NODE_UNREACHABLE] + count[NODE_REFUSED];
    if (result == RESULT_DONE && (bad > 0 || count[NODE_PENDING] > 0 ||
                                  (count[NODE_UPDATED] == 0 && world->plan->migration_count == 0)))
        law_broken(world, "result", "done, and %zu nodes are not", bad);
    if (result == RESULT_ROLLED_BACK && (count[NODE_NEEDS_CARE] > 0 || count[NODE_UPDATED] > 0))
        law_broken(world, "result", "rolled back, and some node is not");
    if ((result == RESULT_REFUSED || result == RESULT_UNREACHABLE || result == RESULT_NOTHING) &&
        world->touched_count > 0)
        law_broken(world, "result", "%s, though %zu nodes were touched",
                   rollout_result_name(result), world->touched_count);
    if (result == RESULT_INTERRUPTED && !world->interrupted)
        law_broken(world, "result", "interrupted by nobody");
    bool unjudged = world->ledgers[world->config.node_count].last.cancelled; /* its answer came too late */
    if (result == RESULT_HELD && !world->held && !unjudged && !world->paused && !has_manual_wave(world) &&
        (world->config.action != ON_FAILURE_PAUSE || !world->spent))
        law_broken(world, "result", "held without a reason");
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
    law_9_at_the_end(world, rollout_result(world->rollout));
}
