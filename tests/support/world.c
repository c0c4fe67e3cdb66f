#include "world.h"

#include <string.h>

#define ENDLESS_STEPS 400000
#define UNREACHABLE_AFTER_MS 900

void world_plan_init(struct world_plan *plan, size_t node_count)
{
    static const int64_t durations[STEP_KINDS] = {
        [STEP_CONNECT] = 100, [STEP_PREFLIGHT] = 50, [STEP_LOCK] = 25,       [STEP_PROBE] = 20,
        [STEP_STAGE] = 2000,  [STEP_DRAIN] = 500,    [STEP_ACTIVATE] = 1000, [STEP_ENABLE] = 100,
        [STEP_CONFIRM] = 150, [STEP_HOOK] = 200,     [STEP_COMMIT] = 50,     [STEP_RELEASE] = 50,
        [STEP_LEADER] = 40,   [STEP_READY] = 30,
        [STEP_BACKUP] = 300,  [STEP_MIGRATE] = 1500, [STEP_UNMIGRATE] = 700, [STEP_JUDGE] = 10,
        [STEP_SHIFT] = 200,   [STEP_RESTART] = 800,
    };

    *plan = (struct world_plan){
        .node_count = node_count,
        .batch = {{1, false}, {25, true}},
        .batch_count = 2,
        .config =
            {
                .max_unavailable = 1,
                .undo_allowed = true,
                .stages = true,
                .balanced = true,
                .probed = true,
                .health = {2, 2, 1000, 2000, 2000, 20000},
                .bake_ms = 3000,
                .progress_deadline_ms = 600000,
                .ready_deadline_ms = 20000,
                .backoff = {500, 4000},
                .breaker = {5, 10000},
                .attempts = 3,
                .max_retries = 100,
                .forks = 10,
                .cancel_grace_ms = 2000,
                .interrupt_grace_ms = 3000,
                .seed = 1,
            },
        .confirm_ms = 60000,
        .seed = 1,
    };
    for (size_t i = 0; i < STEP_KINDS; i++) {
        plan->config.timeout_ms[i] = i == STEP_PROBE || i == STEP_READY ? 2000 : 10000;
        plan->step_ms[i] = durations[i];
    }
    for (size_t i = 0; i < WORLD_NODES_MAX; i++)
        plan->natures[i].boot_ms = 500;
}

bool world_on_runner(const struct world *world, const struct action *action)
{
    if (action->step == STEP_JUDGE || action->step == STEP_SHIFT)
        return true;
    return action->step == STEP_HOOK && world->plan->hooks[action->hook].place == PLACE_RUNNER;
}

bool world_over_connection(const struct world *world, const struct action *action)
{
    return action->step != STEP_DRAIN && action->step != STEP_ENABLE &&
           !world_on_runner(world, action);
}

static struct node_truth *truth_of(struct world *world, size_t node)
{
    return &world->nodes[node == NO_NODE ? world->plan->node_count : node];
}

/* Blue-green: what serves is another instance than what is changed. */
static bool asks_old_instance(const struct world *world, const struct action *action)
{
    return world->config.switches &&
           (action->undo || (world->state == ROLLOUT_SETUP &&
                             !world->ledgers[action->node].changed_before));
}

static bool old_instance_is_healthy(const struct world *world, size_t node)
{
    const struct nature *nature = &world->plan->natures[node];

    return world->nodes[node].alive && !nature->sick && !nature->empty && !nature->bad_undo;
}

static bool is_healthy(struct world *world, size_t node)
{
    const struct nature *nature = &world->plan->natures[node];
    const struct node_truth *truth = &world->nodes[node];
    bool healthy = truth->runs != RUNS_NOTHING && !truth->fallen;

    if (truth->activated_at == 0 && nature->sick)
        healthy = false;
    if (truth->activated_at > 0 && world->now < truth->activated_at + nature->boot_ms)
        healthy = false;
    if (truth->runs == RUNS_TARGET) {
        if (nature->bad_target)
            healthy = false;
        if (nature->falls_after_ms > 0 &&
            world->now >= truth->activated_at + nature->falls_after_ms)
            healthy = false;
    } else if (nature->sick || (truth->activated_at > 0 && nature->bad_undo)) {
        healthy = false;
    }
    if (nature->flap_percent > 0 && random_below(&world->random, 100) < nature->flap_percent)
        healthy = !healthy;
    return healthy;
}

/* What the work does when it ends. */
static void take_effect(struct world *world, struct flight *flight)
{
    struct node_truth *truth = truth_of(world, flight->action.node);

    switch (flight->action.step) {
    case STEP_DRAIN:
        truth->enabled = false;
        break;
    case STEP_ENABLE:
        truth->enabled = true;
        break;
    case STEP_ACTIVATE:
        truth->runs = flight->action.release == RELEASE_TARGET ? RUNS_TARGET : truth->ran_before;
        truth->activated_at = world->now;
        truth->fallen = false;
        truth->put_back = false;
        if (flight->action.node == world->leader)
            world->leader = (world->leader + 1) % world->plan->node_count;
        truth->confirm_by = world->config.confirms && !flight->action.undo &&
                                    !world->past_no_return && !world->config.no_way_back
                                ? world->now + world->plan->confirm_ms
                                : 0;
        break;
    case STEP_RESTART:
        truth->activated_at = world->now;
        truth->fallen = false;
        break;
    case STEP_CONFIRM:
        if (truth->put_back)
            flight->status = DONE_REFUSED;
        truth->confirm_by = 0;
        break;
    case STEP_MIGRATE:
        world->migrations[flight->action.migration].runs++;
        break;
    case STEP_UNMIGRATE:
        world->migrations[flight->action.migration].runs--;
        break;
    case STEP_SHIFT:
        world->share = flight->action.share;
        break;
    default:
        break;
    }
}

/* What a node answers from its record when it is asked again. */
static bool is_recorded(const struct action *action)
{
    return action->step != STEP_CONNECT && action->step != STEP_PROBE &&
           action->step != STEP_READY && action->step != STEP_LEADER &&
           action->step != STEP_CONFIRM;
}

static void end_work(struct world *world, struct flight *flight)
{
    struct node_truth *truth = truth_of(world, flight->action.node);

    flight->working = false;
    if (flight->does)
        take_effect(world, flight);
    if (flight->action.step == STEP_PROBE && flight->status == DONE_OK)
        flight->status = (asks_old_instance(world, &flight->action)
                              ? old_instance_is_healthy(world, flight->action.node)
                              : is_healthy(world, flight->action.node))
                             ? DONE_OK
                             : DONE_FAILED;
    if (flight->action.step == STEP_READY && flight->status == DONE_OK &&
        world->now < truth->activated_at + world->plan->natures[flight->action.node].catches_up_ms)
        flight->status = DONE_FAILED;
    if (flight->action.step == STEP_LEADER && flight->status == DONE_OK) {
        flight->leads = flight->action.node == world->leader;
        if (random_below(&world->random, 100) < world->plan->failover_percent)
            world->leader = (size_t)random_below(&world->random, world->plan->node_count);
    }
    if (!is_recorded(&flight->action))
        return;
    if (flight->status == DONE_UNREACHABLE && !flight->does)
        return; /* it never arrived */
    truth->token = flight->action.token;
    truth->token_status = flight->does ? DONE_OK : flight->status;
}

static enum effect random_effect(struct world *world, bool *struck)
{
    *struck = world->plan->chaos_per_mille > 0 &&
              random_below(&world->random, 1000) < world->plan->chaos_per_mille;
    return *struck ? (enum effect)random_below(&world->random, EFFECTS) : EFFECT_FAIL;
}

static const struct fault *planned_fault(struct world *world, const struct action *action)
{
    uint32_t *strikes = &truth_of(world, action->node)->strikes[action->step][action->undo];
    const struct fault *found = NULL;
    uint32_t number = (*strikes)++;

    for (size_t i = 0; i < world->plan->fault_count && !found; i++) {
        const struct fault *fault = &world->plan->faults[i];

        if (fault->node == action->node && fault->step == action->step &&
            fault->undo == action->undo && number >= fault->skip &&
            number - fault->skip < fault->times)
            found = fault;
    }
    return found;
}

static void strike(struct world *world, struct flight *flight, enum effect effect, int64_t ms)
{
    int64_t soon = world->now + (ms > 0 ? ms : 100);
    bool here = world_on_runner(world, &flight->action);

    flight->does = false;
    if (here && effect >= EFFECT_UNREACHABLE)
        effect = EFFECT_SLOW;
    switch (effect) {
    case EFFECT_FAIL:
    case EFFECT_FAIL_ONCE:
        flight->status = DONE_FAILED;
        flight->retryable = effect == EFFECT_FAIL_ONCE;
        break;
    case EFFECT_REFUSE:
        flight->status = DONE_REFUSED;
        break;
    case EFFECT_TIME_OUT:
        flight->status = DONE_TIMED_OUT;
        break;
    case EFFECT_UNDECIDED:
        flight->status = flight->action.step == STEP_JUDGE ? DONE_UNDECIDED : DONE_FAILED;
        break;
    case EFFECT_UNREACHABLE:
        flight->status = DONE_UNREACHABLE;
        flight->works_until = world->now;
        flight->answers_at = world->now + UNREACHABLE_AFTER_MS;
        break;
    case EFFECT_LOST_REPLY:
        flight->does = true;
        flight->status = DONE_UNREACHABLE;
        flight->answers_at = world->now + 50;
        flight->works_until = soon + (ms > 0 ? 0 : 400);
        break;
    case EFFECT_SLOW:
    case EFFECT_STUBBORN:
    case EFFECT_DEAF:
        flight->does = true;
        flight->works_until = soon;
        flight->answers_at = effect == EFFECT_DEAF ? INT64_MAX : soon;
        flight->minds_cancel = effect == EFFECT_SLOW;
        break;
    case EFFECTS:
        break;
    }
}

/* A node proves that it has ended what ran there before it lets anyone in. */
static int64_t last_work_on(const struct world *world, size_t node)
{
    int64_t last = world->now;

    for (size_t i = 0; i < world->flight_count; i++) {
        const struct flight *flight = &world->flights[i];

        if (flight->working && flight->action.node == node && flight->works_until > last)
            last = flight->works_until;
    }
    return last;
}

static void prepare(struct world *world, struct flight *flight, const struct action *action)
{
    int64_t duration = world->plan->step_ms[action->step];

    if (world->plan->jitter_percent > 0)
        duration +=
            duration * (int64_t)random_below(&world->random, world->plan->jitter_percent) / 100;
    *flight = (struct flight){
        .action = *action, .status = DONE_OK, .does = true, .working = true, .minds_cancel = true};
    flight->works_until = flight->answers_at = world->now + duration;
}

static bool repeats_recorded_work(const struct node_truth *truth, const struct action *action)
{
    return is_recorded(action) && action->token == truth->token;
}

static void begin_work(struct world *world, const struct action *action)
{
    struct node_truth *truth = truth_of(world, action->node);
    struct flight *flight = &world->flights[world->flight_count];
    const struct fault *fault = planned_fault(world, action);
    bool struck;
    enum effect effect = random_effect(world, &struck);

    if (world->flight_count >= WORLD_FLIGHTS_MAX) {
        law_broken(world, "world", "too many actions in flight");
        return;
    }
    world->flight_count++;
    prepare(world, flight, action);
    if (action->node != NO_NODE && world_over_connection(world, action) && !truth->alive) {
        strike(world, flight, EFFECT_UNREACHABLE, 0);
        flight->working = false;
    } else if (repeats_recorded_work(truth, action)) {
        flight->status = truth->token_status;
        flight->does = false;
    } else if (fault) {
        strike(world, flight, fault->effect, fault->ms);
    } else if (struck) {
        strike(world, flight, effect, 100 + (int64_t)random_below(&world->random, 15000));
    }
    if (action->step == STEP_CONNECT && flight->status == DONE_OK) {
        int64_t last = last_work_on(world, action->node);

        flight->works_until = flight->works_until > last ? flight->works_until : last;
        if (flight->answers_at != INT64_MAX && flight->answers_at < last)
            flight->answers_at = last;
    }
}

static void cancel_work(struct world *world, const struct action *action)
{
    for (size_t i = 0; i < world->flight_count; i++) {
        struct flight *flight = &world->flights[i];

        if (flight->action.id != action->id || !flight->minds_cancel ||
            flight->answers_at == INT64_MAX)
            continue;
        flight->does = false;
        flight->status = DONE_CANCELLED;
        flight->works_until = world->now + 20;
        flight->answers_at = world->now + 40;
    }
}

static void hash_bytes(uint64_t *hash, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < length; i++)
        *hash = (*hash ^ at[i]) * 0x100000001b3u;
}

static void fingerprint(struct world *world, const struct update *update)
{
    for (size_t i = 0; i < update->action_count; i++) {
        const struct action *a = &update->actions[i];
        const int64_t fields[] = {
            a->kind,  a->id,   (int64_t)a->node, a->step,   a->release,           (int64_t)a->hook,
            a->token, a->undo, a->timeout_ms,    a->result, (int64_t)a->migration, a->share};

        hash_bytes(&world->fingerprint, fields, sizeof(fields));
    }
    for (size_t i = 0; i < update->note_count; i++) {
        const struct note *n = &update->notes[i];
        const int64_t fields[] = {n->kind,  (int64_t)n->node, (int64_t)n->wave,
                                  n->value, n->delay_ms,      (int64_t)n->migration};

        hash_bytes(&world->fingerprint, fields, sizeof(fields));
    }
}

static void step(struct world *world, const struct event *event)
{
    struct update update;

    story_event(world, event);
    rollout_step(world->rollout, event, &update);
    world->steps++;
    fingerprint(world, &update);
    story_update(world, &update);
    laws_check_update(world, &update);
    for (size_t i = 0; i < update.action_count && !world->broken; i++) {
        if (update.actions[i].kind == ACTION_CANCEL)
            cancel_work(world, &update.actions[i]);
        else
            begin_work(world, &update.actions[i]);
    }
}

static void forget_flight(struct world *world, size_t at)
{
    memmove(&world->flights[at], &world->flights[at + 1],
            (world->flight_count - at - 1) * sizeof(world->flights[0]));
    world->flight_count--;
}

static void deliver(struct world *world, size_t at)
{
    struct flight flight = world->flights[at];
    struct event event = {.kind = EVENT_DONE,
                          .now_ms = world->now,
                          .node = flight.action.node,
                          .action_id = flight.action.id,
                          .status = flight.status,
                          .retryable = flight.retryable};

    event.leads = flight.leads;
    event.hopeless = flight.action.step == STEP_PROBE && flight.status == DONE_FAILED &&
                     world->plan->natures[flight.action.node].gives_up &&
                     world->nodes[flight.action.node].runs == RUNS_TARGET;
    if ((flight.action.step == STEP_PREFLIGHT || flight.action.step == STEP_LOCK) && flight.status == DONE_OK) {
        const struct nature *nature = &world->plan->natures[flight.action.node];
        bool late = flight.action.step == STEP_LOCK;

        event.retaken = late;
        event.at_target = nature->moved && !late ? !nature->at_target && !nature->empty : nature->at_target;
        event.touched = world->ledgers[flight.action.node].begun;
        event.has_release = world->nodes[flight.action.node].ran_before != RUNS_NOTHING;
        event.left_out = world->ledgers[flight.action.node].left_out;
        event.stays = world->plan->natures[flight.action.node].stays;
        event.runs_target = world->ledgers[flight.action.node].changed_before;
    }
    if (flight.working)
        world->flights[at].answers_at = INT64_MAX;
    else
        forget_flight(world, at);
    laws_see_answer(world, &flight);
    step(world, &event);
}

static void node_dies(struct world *world, size_t node)
{
    world->nodes[node].alive = false;
    for (size_t i = 0; i < world->flight_count; i++) {
        struct flight *flight = &world->flights[i];

        if (flight->action.node != node || !world_over_connection(world, &flight->action))
            continue;
        flight->does = false;
        flight->working = false;
        if (flight->answers_at != INT64_MAX) {
            flight->status = DONE_UNREACHABLE;
            flight->answers_at = world->now + UNREACHABLE_AFTER_MS;
        }
    }
}

/* Its confirm timer is due: nobody came. */
static void node_puts_back(struct world *world, size_t node)
{
    struct node_truth *truth = &world->nodes[node];

    story_say(world, "(web%zu puts its release back)", node + 1);
    truth->confirm_by = 0;
    truth->put_back = true;
    truth->runs = truth->ran_before;
    truth->activated_at = world->now;
    truth->fallen = false;
}

/* The engine notices a lost connection: it tells, and answers for what was in flight over it. */
static void connection_cut(struct world *world, size_t node)
{
    struct event event = {.kind = EVENT_LOST, .now_ms = world->now, .node = node};
    struct flight over = {.action = world->ledgers[node].last.action, .status = DONE_UNREACHABLE};

    for (size_t i = 0; i < world->flight_count; i++) {
        struct flight *flight = &world->flights[i];

        if (flight->action.node != node || !world_over_connection(world, &flight->action) ||
            flight->action.step == STEP_CONFIRM)
            continue;
        flight->status = DONE_UNREACHABLE;
        if (flight->answers_at != INT64_MAX)
            flight->answers_at = world->now + 10;
    }
    world->ledgers[node].unheard = true;
    if (over.action.id != 0 && over.action.step != STEP_CONFIRM &&
        world_over_connection(world, &over.action))
        laws_see_answer(world, &over);
    step(world, &event);
}

static void answer_again(struct world *world, size_t node)
{
    struct event event = {
        .kind = EVENT_DONE, .now_ms = world->now, .node = node, .status = DONE_OK};

    if (world->last_id < 2)
        return;
    event.action_id = 1 + (uint32_t)random_below(&world->random, world->last_id);
    if (event.action_id != world->ledgers[node].last.action.id)
        step(world, &event);
}

static void happen(struct world *world, const struct happening *happening)
{
    struct event event = {.kind = EVENT_TICK, .now_ms = world->now};

    switch (happening->kind) {
    case HAPPEN_DIES:
        story_say(world, "(web%zu dies)", happening->node + 1);
        node_dies(world, happening->node);
        return;
    case HAPPEN_RETURNS:
        story_say(world, "(web%zu comes back)", happening->node + 1);
        world->nodes[happening->node].alive = true;
        return;
    case HAPPEN_FALLS:
        story_say(world, "(web%zu falls ill)", happening->node + 1);
        world->nodes[happening->node].fallen = true;
        return;
    case HAPPEN_RECOVERS:
        story_say(world, "(web%zu recovers)", happening->node + 1);
        world->nodes[happening->node].fallen = false;
        return;
    case HAPPEN_CUT:
        connection_cut(world, happening->node);
        return;
    case HAPPEN_STALE_ANSWER:
        answer_again(world, happening->node);
        return;
    case HAPPEN_INTERRUPT:
        event.kind = EVENT_INTERRUPT;
        world->interrupted = true;
        world->halted_at = world->now;
        break;
    case HAPPEN_LEASE_LOST:
        event.kind = EVENT_LEASE_LOST;
        event.node = happening->node;
        world->lease_lost = true;
        world->lease_gone[happening->node] = true;
        world->halted_at = world->now;
        break;
    case HAPPEN_PAUSE:
        event.kind = EVENT_PAUSE;
        step(world, &event);
        world->paused = true;
        return;
    case HAPPEN_ABORT:
        event.kind = EVENT_ABORT;
        world->aborted = true;
        world->abort_counts |= world->state < ROLLOUT_COMMIT && !world->config.unwinds;
        break;
    case HAPPEN_TICK:
        break;
    }
    step(world, &event);
}

/* The earliest thing that is to come; false when nothing is. */
static bool next_moment(const struct world *world, int64_t *out)
{
    int64_t next = rollout_next_tick_ms(world->rollout);

    for (size_t i = 0; i < world->flight_count; i++) {
        const struct flight *flight = &world->flights[i];

        if (flight->answers_at < next)
            next = flight->answers_at;
        if (flight->working && flight->works_until < next)
            next = flight->works_until;
    }
    for (size_t i = 0; i < world->plan->happening_count; i++)
        if (!world->happened[i] && world->plan->happenings[i].at_ms < next)
            next = world->plan->happenings[i].at_ms;
    for (size_t i = 0; i < world->plan->node_count; i++)
        if (world->nodes[i].alive && world->nodes[i].confirm_by > 0 &&
            world->nodes[i].confirm_by < next)
            next = world->nodes[i].confirm_by;
    *out = next;
    return next != INT64_MAX;
}

/* One thing that is due now: the end of work first, then happenings, then an answer; false when
 * nothing is left. */
static bool do_due(struct world *world)
{
    for (size_t i = 0; i < world->flight_count; i++) {
        struct flight *flight = &world->flights[i];

        if (flight->working && flight->works_until <= world->now) {
            end_work(world, flight);
            return true;
        }
    }
    for (size_t i = 0; i < world->plan->node_count; i++) {
        const struct node_truth *truth = &world->nodes[i];

        if (!truth->alive || truth->confirm_by == 0 || truth->confirm_by > world->now)
            continue;
        node_puts_back(world, i);
        return true;
    }
    for (size_t i = 0; i < world->plan->happening_count; i++) {
        if (world->happened[i] || world->plan->happenings[i].at_ms > world->now)
            continue;
        world->happened[i] = true;
        happen(world, &world->plan->happenings[i]);
        return true;
    }
    for (size_t i = 0; i < world->flight_count; i++) {
        if (world->flights[i].answers_at <= world->now) {
            deliver(world, i);
            return true;
        }
        if (!world->flights[i].working && world->flights[i].answers_at == INT64_MAX) {
            forget_flight(world, i);
            return true;
        }
    }
    return false;
}

static void live(struct world *world)
{
    struct event event = {.kind = EVENT_START, .now_ms = 0};

    step(world, &event);
    while (!world->broken && rollout_state(world->rollout) != ROLLOUT_FINISHED) {
        int64_t next;

        if (world->steps > ENDLESS_STEPS || !next_moment(world, &next)) {
            world->stuck = true;
            return;
        }
        if (next > world->now)
            world->now = next;
        if (do_due(world))
            continue;
        event = (struct event){.kind = EVENT_TICK, .now_ms = world->now};
        step(world, &event);
    }
}

static int create(struct world *world, struct err *err)
{
    const struct world_plan *plan = world->plan;
    const char *zones[WORLD_NODES_MAX];
    int result;

    world->config = plan->config;
    world->config.node_count = plan->node_count;
    world->config.hooks = plan->hooks;
    world->config.hook_count = plan->hook_count;
    world->config.migrations = plan->migrations;
    world->config.migration_count = plan->migration_count;
    for (size_t i = 0; i < plan->node_count; i++)
        zones[i] = plan->natures[i].zone;
    for (size_t i = 0; i < plan->node_count; i++)
        world->weights[i] = plan->weighs ? plan->natures[i].weight : 1;
    if (plan->weighs)
        world->config.weights = world->weights;
    for (size_t i = 0; i < plan->node_count; i++)
        world->outside[i] = plan->natures[i].outside;
    world->config.outside = world->outside;
    if (plan->rule_count > 0) {
        world->config.rules = plan->rules;
        result = waves_by_share(&world->config.waves, plan->node_count, NULL, plan->rules,
                                plan->rule_count, world->config.switches, &world->arena, err);
    } else {
        result = waves_compile(&world->config.waves, plan->node_count,
                               plan->spread ? zones : NULL, plan->batch, plan->batch_count,
                               &world->arena, err);
    }
    return result < 0 ? result
                      : rollout_create(&world->rollout, &world->config, &world->arena, err);
}

/* What an earlier run has left: the nodes of the waves that passed run the target, and some of others; and a control that was
 * not put back in. */
static void changed_before(struct world *world)
{
    for (size_t i = 0; i < world->config.node_count; i++) {
        const struct nature *nature = &world->plan->natures[i];

        if (!nature->begun || nature->stays || nature->outside)
            continue;
        world->ledgers[i].begun = true;
        world->nodes[i].runs = RUNS_TARGET;
        world->nodes[i].ran_before = nature->empty ? RUNS_NOTHING : RUNS_PREVIOUS;
    }
    for (size_t w = 0; w < world->config.waves_passed && w < world->config.waves.count; w++) {
        for (size_t i = 0; i < world->config.waves.items[w].count; i++) {
            size_t node = world->config.waves.items[w].nodes[i];
            const struct nature *nature = &world->plan->natures[node];

            if (!nature->changed_before || nature->stays || nature->outside || nature->at_target)
                continue;
            world->ledgers[node].changed_before = true;
            world->ledgers[node].begun = false;
            world->nodes[node].runs = RUNS_TARGET;
        }
    }
    for (size_t i = 0; world->config.refreshes && i < world->config.node_count; i++) {
        const struct nature *nature = &world->plan->natures[i];
        struct ledger *ledger = &world->ledgers[i];

        if (nature->left_out && !ledger->begun && !ledger->changed_before && !nature->stays && !nature->empty &&
            !nature->outside && !nature->at_target) {
            ledger->begun = ledger->left_out = true;
            world->nodes[i].enabled = false;
        }
    }
}

bool world_run(struct world *world, const struct world_plan *plan, struct strbuf *story)
{
    struct err err = {0};

    memset(world, 0, sizeof(*world));
    world->plan = plan;
    world->story = story;
    world->fingerprint = 0xcbf29ce484222325u;
    arena_init(&world->arena);
    random_init(&world->random, plan->seed);
    for (size_t i = 0; i < plan->node_count; i++) {
        const struct nature *nature = &plan->natures[i];
        struct node_truth *truth = &world->nodes[i];

        truth->alive = !nature->dead;
        truth->enabled = true;
        truth->runs = nature->empty       ? RUNS_NOTHING
                      : nature->at_target ? RUNS_TARGET
                                          : RUNS_PREVIOUS;
        truth->ran_before = truth->runs;
    }
    world->share = plan->config.share;
    if (create(world, &err) < 0) {
        law_broken(world, "create", "%s", err.message);
        return false;
    }
    changed_before(world);
    live(world);
    if (!world->broken)
        laws_check_end(world);
    return world->broken == NULL;
}

void world_release(struct world *world)
{
    arena_release(&world->arena);
}
