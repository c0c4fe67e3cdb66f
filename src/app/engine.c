#include "app/engine.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/balancer.h"
#include "app/discovery.h"
#include "app/sides.h"
#include "app/service_lock.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "engine_internal.h"
#include "model/strategy.h"

#define REDRAW_MS 100
#define CANCEL_MARGIN_MS 2000 /* the machine's patience beyond ours */
#define INTERRUPT_GRACE_MS 4000

/* --- records --- */

void engine_record(struct engine *engine, struct record *record)
{
    record->wall_ms = clock_wall_ms();
    record->elapsed_ms = loop_now_ms(engine->fleet->loop) - engine->began_ms;
    record->roster = &engine->roster;
    sinks_record(engine->settings->sinks, record);
}

void engine_notice(struct engine *engine, size_t node, const char *format, ...)
{
    char text[SENTENCE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct record record = {.kind = RECORD_NOTICE, .node = node, .text = text};
    engine_record(engine, &record);
}

/* --- events --- */

static void turn(void *context);

void engine_post(struct engine *engine, const struct event *event)
{
    if (engine->finished)
        return;
    if (engine->event_count == engine->event_capacity)
        return; /* cannot be: at most one answer, one loss and one tick a node, and the capacity is made for that */
    size_t at = (engine->event_first + engine->event_count) % engine->event_capacity;
    engine->events[at] = *event;
    engine->event_count++;
    engine->lease_lost = engine->lease_lost || event->kind == EVENT_LEASE_LOST;
    if (!engine->turn)
        engine->turn = timer_start(engine->fleet->loop, 0, turn, engine);
}

static void send_tick(void *context)
{
    struct engine *engine = context;
    struct event event = {.kind = EVENT_TICK};
    engine->tick = NULL;
    engine_post(engine, &event);
}

static void plan_tick(struct engine *engine)
{
    timer_stop(engine->tick);
    engine->tick = NULL;
    int64_t at = rollout_next_tick_ms(engine->machine);
    if (at == INT64_MAX)
        return;
    int64_t delay = at - loop_now_ms(engine->fleet->loop);
    engine->tick = timer_start(engine->fleet->loop, delay > 0 ? delay : 0, send_tick, engine);
}

/* What is not on record must not happen: as an interrupt, so that the nodes' own journals say what stands where. */
static void stop_unwritten(struct engine *engine, const struct err *error)
{
    struct event event = {.kind = EVENT_INTERRUPT};
    if (engine->outcome.unwritten)
        return;
    engine->outcome.unwritten = true;
    engine->unwritten = *error;
    engine_notice(engine, SIZE_MAX, "the journal on this machine cannot be written: %s; nothing new is started",
                  error->message);
    engine_post(engine, &event);
}

static void tell_machine(struct engine *engine, struct event *event)
{
    struct update update;
    struct err err;
    event->now_ms = loop_now_ms(engine->fleet->loop);
    event->others_retries = engine->fleet->retries.others;
    rollout_step(engine->machine, event, &update);
    for (size_t i = 0; i < update.note_count; i++) {
        engine_report_note(engine, &update.notes[i]);
        engine_judge_note(engine, &update.notes[i]);
    }
    if (update.action_count && sinks_sync(engine->settings->sinks, &err) < 0)
        stop_unwritten(engine, &err);
    for (size_t i = 0; i < update.action_count; i++)
        engine_carry(engine, &update.actions[i]);
}

static void turn(void *context)
{
    struct engine *engine = context;
    engine->turn = NULL;
    while (engine->event_count && !engine->finished) {
        struct event event = engine->events[engine->event_first];
        engine->event_first = (engine->event_first + 1) % engine->event_capacity;
        engine->event_count--;
        tell_machine(engine, &event);
        if (rollout_result(engine->machine) != RESULT_RUNNING)
            engine->finished = true;
    }
    if (engine->finished)
        loop_stop(engine->fleet->loop);
    else
        plan_tick(engine);
}

bool engine_is_outside(const struct worker *worker)
{
    const bool *outside = worker->engine->settings->outside;
    return outside && worker->index != NO_NODE && outside[worker->index];
}

static bool is_held_out(const struct worker *worker)
{
    const struct balancers *balancers = worker->engine->fleet->balancers;
    return balancers && balancers_holds_out(balancers, worker->index);
}

/* What a run that this one goes on with or undoes has started is perhaps not what its gate saw, whatever `current` links. */
static bool gate_is_unknown(const struct worker *worker)
{
    const struct engine_settings *settings = worker->engine->settings;
    const struct facts *facts = &worker->facts;
    bool ours = facts->open_rollout && strcmp(facts->open_rollout, settings->rollout) == 0;
    const char *rollout = ours ? facts->before_rollout : facts->open_rollout;
    bool theirs = settings->chain && rollout && text_has_word(settings->chain, rollout);
    return theirs && !settings->sides && facts->unproven;
}

/* An earlier run, which this one undoes, goes on with or replaces, has changed the node: what it has begun counts, whatever `current` links. */
static bool was_changed_before(const struct worker *worker)
{
    const struct engine *engine = worker->engine;
    const struct facts *facts = &worker->facts;
    bool over = engine->settings->kind == RUN_ABORT || engine->settings->resumes;
    bool half_done = facts->current && (!facts->current_good || is_held_out(worker) || worker->takes_back);
    return over && (half_done || facts->unsettled || gate_is_unknown(worker));
}

static void add_facts(const struct worker *worker, struct event *event)
{
    const struct engine *engine = worker->engine;
    const char *current = worker->facts.current;
    bool runs_target = current && worker->target && strcmp(current, worker->target) == 0;
    bool at_target = runs_target && worker->facts.current_good;
    event->retaken = worker->action.step == STEP_LOCK && !engine_is_outside(worker);
    event->touched = was_changed_before(worker);
    event->left_out = event->touched && is_held_out(worker) && !runs_target && worker->facts.current_good && !worker->takes_back;
    if (engine_is_outside(worker))
        event->left_out = is_held_out(worker);
    /* who is there and left out of the traffic still has to come in */
    event->at_target = at_target && !is_held_out(worker) && !worker->facts.unsettled;
    event->stays = engine->settings->only_stale && at_target && !worker->facts.unsettled;
    event->runs_target = runs_target && !worker->facts.current_good && engine->settings->waves_passed > 0;
    event->has_release = event->touched || event->runs_target || engine->settings->kind == RUN_ABORT
                             ? worker->previous != NULL
                             : current != NULL;
    engine_add_side(worker, event);
}

/* A step was faster than the heartbeat to find that another runner has the node. */
static bool is_fenced_off(const struct worker *worker, const struct step_result *result)
{
    return result->status == DONE_REFUSED && worker->fence && worker->action.step != STEP_RELEASE &&
           strncmp(result->sentence, NODE_LOCK_LOST, strlen(NODE_LOCK_LOST)) == 0;
}

void engine_answer(struct worker *worker, const struct step_result *result)
{
    struct engine *engine = worker->engine;
    if (!worker->busy)
        return;
    struct event event = {.kind = EVENT_DONE,
                          .node = worker->action.node,
                          .action_id = worker->action.id,
                          .status = result->status,
                          .retryable = result->retryable,
                          .hopeless = result->hopeless,
                          .leads = result->leads};
    if (worker->has_facts)
        add_facts(worker, &event);
    if (is_fenced_off(worker, result))
        engine_post(engine, &(struct event){.kind = EVENT_LEASE_LOST, .node = worker->index});
    snprintf(worker->sentence, sizeof(worker->sentence), "%s", result->sentence);
    worker->busy = false;
    worker->request = 0;
    timer_stop(worker->cancel_timer);
    worker->cancel_timer = NULL;
    engine_post(engine, &event);
}

/* --- interrupts --- */

static void interrupted(void *context, int signal_number)
{
    struct engine *engine = context;
    if (engine->finished)
        return;
    if (engine->outcome.signal_number) {
        engine->outcome.left_at_once = true;
        engine->finished = true;
        loop_stop(engine->fleet->loop);
        return;
    }
    engine->outcome.signal_number = signal_number;
    engine_notice(engine, SIZE_MAX,
                  "interrupted: starting nothing new, waiting for the steps under way; "
                  "once more leaves at once");
    struct event event = {.kind = EVENT_INTERRUPT};
    engine_post(engine, &event);
}

static void redraw(void *context)
{
    struct engine *engine = context;
    sinks_tick(engine->settings->sinks, loop_now_ms(engine->fleet->loop) - engine->began_ms);
    engine->redraw = timer_start(engine->fleet->loop, REDRAW_MS, redraw, engine);
}

/* --- setting up --- */

static void lock_lost(void *context, const char *sentence)
{
    struct engine *engine = context;
    engine_notice(engine, SIZE_MAX, "%s; nothing more is done on any node, and the nodes' locks are given back", sentence);
    struct event event = {.kind = EVENT_LEASE_LOST, .node = NO_NODE};
    engine_post(engine, &event);
}

void engine_lost(struct worker *worker, const struct err *error)
{
    snprintf(worker->sentence, sizeof(worker->sentence), "%s", error->message);
    struct event event = {.kind = EVENT_LOST, .node = worker->index};
    engine_post(worker->engine, &event);
}

static void session_lost(void *context, const struct err *error)
{
    engine_lost(context, error);
}

static int make_workers(struct engine *engine, struct err *err)
{
    const struct engine_settings *settings = engine->settings;
    size_t count = engine->fleet->count;
    engine->workers = arena_alloc(&engine->arena, count * sizeof(*engine->workers));
    if (!engine->workers)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        struct worker *worker = &engine->workers[i];
        worker->engine = engine;
        worker->index = i;
        worker->member = &engine->fleet->members[i];
        worker->target = settings->targets[i];
        worker->words = (struct node_words){.release = worker->target, .rollout = settings->rollout};
        worker->prober = prober_create(engine->fleet, i, &worker->words);
        if (!worker->prober)
            return err_set(err, ERR_MEMORY, "out of memory");
        session_on_lost(worker->member->session, session_lost, worker);
    }
    engine->runner = (struct worker){.engine = engine, .index = NO_NODE};
    if (engine_judges(engine)) {
        engine->analyses = analyses_create(engine->fleet, settings->rollout);
        if (!engine->analyses)
            return err_set(err, ERR_MEMORY, "out of memory");
    }
    return 0;
}

static int make_hooks(struct engine *engine, struct err *err)
{
    const struct playbook *playbook = engine->playbook;
    engine->hooks = arena_alloc(&engine->arena, (playbook->hook_count + 1) * sizeof(*engine->hooks));
    if (!engine->hooks)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < playbook->hook_count; i++) {
        const struct hook *hook = &playbook->hooks[i];
        engine->hooks[i] = (struct rollout_hook){
            .moment = (enum hook_moment)hook->when, /* same order in both headers */
            .place = (enum hook_place)hook->on,
            .timeout_ms = hook->timeout_ms,
            .ignore_failure = hook->ignore_failure,
        };
    }
    return 0;
}

/* The machine gets what is pending; kinds have the same order in both headers. */
static int make_migrations(struct engine *engine, struct err *err)
{
    const struct data_plan *data = engine->settings->data;
    size_t count = data ? data->count : 0;
    engine->migrations = arena_alloc(&engine->arena, (count + 1) * sizeof(*engine->migrations));
    engine->changes = arena_alloc(&engine->arena, (count + 1) * sizeof(*engine->changes));
    if (!engine->migrations || !engine->changes)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const struct data_change *change = &data->changes[i];
        const struct migration *migration = change->migration;
        if (change->state != DATA_PENDING)
            continue;
        engine->changes[engine->migration_count] = change;
        engine->migrations[engine->migration_count++] = (struct rollout_migration){
            .kind = (enum migration_kind)migration->kind,
            .node = change->node == SIZE_MAX ? NO_NODE : change->node,
            .timeout_ms = migration->timeout_ms,
            .backed_up = migration->backup != NULL,
            .has_down = migration->down != NULL,
        };
    }
    return 0;
}

static void set_timeouts(struct rollout_config *config, const struct playbook *playbook)
{
    const struct retry *retry = &playbook->retry;
    static const int64_t quick_ms = 30000;
    for (int step = 0; step < STEP_KINDS; step++)
        config->timeout_ms[step] = quick_ms;
    config->timeout_ms[STEP_CONNECT] = retry->connect_timeout_ms * 2 + 5000;
    config->timeout_ms[STEP_CONFIRM] = retry->connect_timeout_ms * 2 + 15000;
    config->timeout_ms[STEP_READY] = playbook->health.timeout_ms + 5000;
    config->timeout_ms[STEP_STAGE] = retry->step_timeout_ms;
    config->timeout_ms[STEP_ACTIVATE] = retry->step_timeout_ms;
    config->timeout_ms[STEP_RESTART] = retry->step_timeout_ms;
    config->timeout_ms[STEP_COMMIT] = retry->step_timeout_ms;
    config->timeout_ms[STEP_PROBE] = 2 * playbook->health.timeout_ms + 5000; /* the instance is asked about first */
}

/* The balancers' own limits come first: they end with a word, and leave nothing half done. */
static void set_balancer_timeouts(struct rollout_config *config, const struct balancers *balancers)
{
    static const int64_t later_ms = 10000;
    if (!balancers)
        return;
    config->timeout_ms[STEP_PREFLIGHT] += balancers_limit_ms(balancers, BALANCER_LOOK);
    config->timeout_ms[STEP_DRAIN] = balancers_limit_ms(balancers, BALANCER_OUT) + later_ms;
    if (config->switches)
        config->timeout_ms[STEP_ACTIVATE] += balancers_limit_ms(balancers, BALANCER_SHIFT);
    else
        config->timeout_ms[STEP_DRAIN] += balancers_limit_ms(balancers, BALANCER_SHIFT);
    config->timeout_ms[STEP_SHIFT] =
        balancers_limit_ms(balancers, BALANCER_SHIFT) + later_ms;
    config->timeout_ms[STEP_ENABLE] = balancers_limit_ms(balancers, BALANCER_IN) + later_ms;
}

static void add_discovery_timeouts(struct rollout_config *config, const struct discoveries *discoveries)
{
    static const enum step_kind steps[] = {STEP_PREFLIGHT, STEP_DRAIN, STEP_ENABLE, STEP_SHIFT, STEP_RELEASE};
    for (size_t i = 0; discoveries && i < sizeof(steps) / sizeof(steps[0]); i++)
        config->timeout_ms[steps[i]] += discoveries_limit_ms(discoveries);
}

/* What an aborted canary leaves behind are ordinary weights. */
static bool moves_shares(const struct engine *engine)
{
    return engine_shares(engine) && engine->settings->waves.rules && engine->settings->kind != RUN_ROLLBACK;
}

/* Begun, perhaps not for all: it is brought about once more. */
static uint32_t share_before(const struct engine *engine)
{
    const struct engine_settings *settings = engine->settings;
    if (settings->sides)
        return settings->sides->switching ? SHARE_ALL - 1 : 0;
    if (!moves_shares(engine))
        return 0;
    return settings->kind == RUN_ABORT ? SHARE_ALL - 1 : settings->share;
}

/* A rollback by blue-green is a switch too; nobody waits for a promotion in it. */
static const struct wave_rule *rules_of(struct engine *engine)
{
    const struct waves *waves = &engine->settings->waves;
    bool forward = engine->settings->kind == RUN_ROLLOUT;
    if (forward || !(engine->settings->sides || moves_shares(engine)) || !waves->rules)
        return forward ? waves->rules : NULL;
    struct wave_rule *rules = arena_alloc(&engine->arena, (waves->count + 1) * sizeof(*rules));
    for (size_t i = 0; rules && i < waves->count; i++) {
        rules[i] = waves->rules[i];
        rules[i].manual = false;
    }
    return rules;
}

/* The waves hold every node once: those outside the run come last, where nothing is done. */
static int all_waves(struct waves *out, struct engine *engine, struct err *err)
{
    const struct waves *waves = &engine->settings->waves;
    size_t last = waves->count - 1, count = engine->fleet->count;
    *out = *waves;
    if (!engine->settings->outside)
        return 0;
    struct wave *items = arena_alloc(&engine->arena, waves->count * sizeof(*items));
    size_t *nodes = arena_alloc(&engine->arena, (count + 1) * sizeof(*nodes));
    if (!items || !nodes)
        return err_set(err, ERR_MEMORY, "out of memory");
    memcpy(items, waves->items, waves->count * sizeof(*items));
    memcpy(nodes, items[last].nodes, items[last].count * sizeof(*nodes));
    items[last].nodes = nodes;
    for (size_t i = 0; i < count; i++)
        if (engine->settings->outside[i])
            nodes[items[last].count++] = i;
    out->items = items;
    return 0;
}

static uint32_t members_of_the_run(const struct engine *engine)
{
    uint32_t count = 0;
    for (size_t i = 0; i < engine->fleet->count; i++)
        count += !engine->settings->outside || !engine->settings->outside[i];
    return count;
}

/* What the strategy, the waves and the nodes' number say. */
static void set_strategy(struct rollout_config *config, struct engine *engine)
{
    const struct engine_settings *settings = engine->settings;
    const struct playbook *playbook = engine->playbook;
    uint32_t count = (uint32_t)engine->fleet->count;
    config->node_count = count;
    config->outside = settings->outside;
    config->rules = rules_of(engine);
    config->shifts = settings->sides != NULL || moves_shares(engine);
    config->switches = settings->sides != NULL;
    config->waves_passed = settings->waves_passed;
    config->share = share_before(engine);
    config->weights = engine->weights;
    config->max_unavailable = engine->max_unavailable;
    config->quorum = strategy_quorum(playbook, count);
    config->asks_leader = playbook->strategy.order == ORDER_REPLICAS_FIRST;
    config->waits_ready = playbook->strategy.ready_after != NULL;
    config->ready_deadline_ms = playbook->strategy.ready_deadline_ms;
    config->max_failures = amount_tolerated(playbook->failure.max_failures, members_of_the_run(engine));
    config->unreachable = (enum on_unreachable)playbook->failure.unreachable;
    config->action = (enum on_failure)playbook->failure.action;
    config->bake_ms = playbook->strategy.bake_ms;
}

static void set_health(struct rollout_config *config, const struct health *health)
{
    config->health = (struct health_rules){.rise = health->rise,
                                           .fall = health->fall,
                                           .interval_ms = health->interval_ms,
                                           .timeout_ms = health->timeout_ms,
                                           .min_healthy_time_ms = health->min_healthy_time_ms,
                                           .healthy_deadline_ms = health->healthy_deadline_ms};
    config->progress_deadline_ms = health->progress_deadline_ms;
}

static int make_machine(struct engine *engine, struct err *err)
{
    const struct engine_settings *settings = engine->settings;
    const struct playbook *playbook = engine->playbook;
    const size_t *lock_order = engine_lock_order(engine, err);
    if (!lock_order)
        return err->code;
    struct rollout_config config = {
        .lock_order = lock_order,
        .undo_allowed = settings->kind == RUN_ROLLOUT,
        .unwinds = settings->kind == RUN_ABORT,
        .stages = settings->package != NULL,
        .stages_again = settings->stages_again,
        .balanced = engine->fleet->balancers || engine->fleet->discoveries,
        .probed = prober_has_checks(playbook),
        .confirms = engine_confirms(engine),
        .judged = engine_judges(engine),
        .refreshes = engine_refreshes(engine),
        .backoff = {.base_ms = playbook->retry.base_ms, .max_ms = playbook->retry.max_ms},
        .breaker = {.failures = playbook->breaker.failures, .cool_down_ms = playbook->breaker.cool_down_ms},
        .attempts = playbook->retry.attempts,
        .max_retries = playbook->retry.max_retries,
        .forks = settings->forks,
        .cancel_grace_ms = engine->patience.cancel_ms + CANCEL_MARGIN_MS,
        .interrupt_grace_ms = INTERRUPT_GRACE_MS,
        .hooks = engine->hooks,
        .hook_count = playbook->hook_count,
        .migrations = engine->migrations,
        .migration_count = engine->migration_count,
        .no_way_back = settings->data && settings->data->no_way_back,
        .seed = clock_random(),
    };
    if (all_waves(&config.waves, engine, err) < 0)
        return err->code;
    set_strategy(&config, engine);
    set_health(&config, &playbook->health);
    set_timeouts(&config, playbook);
    if (settings->kind != RUN_ABORT) /* reads all of the release that it goes, or would go, back to */
        config.timeout_ms[STEP_PREFLIGHT] += playbook->retry.step_timeout_ms;
    if (config.unwinds && engine->settings->sides && engine->settings->sides->committed) /* starts what was live before */
        config.timeout_ms[STEP_LOCK] += playbook->retry.step_timeout_ms;
    set_balancer_timeouts(&config, engine->fleet->balancers);
    add_discovery_timeouts(&config, engine->fleet->discoveries);
    return rollout_create(&engine->machine, &config, &engine->arena, err);
}

static int make_roster(struct engine *engine, struct err *err)
{
    const struct engine_settings *settings = engine->settings;
    size_t count = engine->fleet->count;
    const char **names = arena_alloc(&engine->arena, (count + 1) * sizeof(*names));
    const char **roots = arena_alloc(&engine->arena, (count + 1) * sizeof(*roots));
    size_t *waves = arena_alloc(&engine->arena, (count + 1) * sizeof(*waves));
    engine->event_capacity = count * 8 + 64;
    engine->events = arena_alloc(&engine->arena, engine->event_capacity * sizeof(*engine->events));
    if (!names || !roots || !waves || !engine->events)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        names[i] = engine->fleet->members[i].node->name;
        roots[i] = engine->fleet->members[i].service.root;
        waves[i] = NO_WAVE;
    }
    for (size_t wave = 0; wave < settings->waves.count; wave++)
        for (size_t i = 0; i < settings->waves.items[wave].count; i++)
            waves[settings->waves.items[wave].nodes[i]] = wave;
    engine->roster = (struct roster){
        .verb = run_kind_name(settings->kind),
        .service = engine->playbook->service.name,
        .rollout = settings->rollout,
        .release = settings->package ? package_release(settings->package) : NULL,
        .description = settings->description,
        .root = engine->playbook->service.root,
        .nodes = names,
        .roots = roots,
        .waves = waves,
        .node_count = count,
        .wave_count = settings->waves.count,
    };
    return 0;
}

static void note_touched(struct engine *engine)
{
    struct node_view view;
    for (size_t i = 0; i < engine->fleet->count; i++) {
        rollout_node(engine->machine, i, &view);
        engine->outcome.touched |= view.touched;
    }
}

static void release(struct engine *engine)
{
    engine->finished = true;
    engine_guard_ends(engine);
    service_lock_on_lost(engine->settings->lock, NULL, NULL);
    if (engine->fleet->dependencies)
        dependencies_on_change(engine->fleet->dependencies, NULL, NULL);
    timer_stop(engine->turn);
    timer_stop(engine->tick);
    timer_stop(engine->redraw);
    for (size_t i = 0; engine->workers && i < engine->fleet->count; i++)
        engine_end_hook(&engine->workers[i]);
    engine_end_hook(&engine->runner);
    analyses_free(engine->analyses);
    engine->analyses = NULL;
    for (size_t i = 0; engine->workers && i < engine->fleet->count; i++)
        engine_worker_release(&engine->workers[i]);
    engine_worker_release(&engine->runner);
}

/* The locks first, then what may block: the result is told whole. */
static void end(struct engine *engine)
{
    const struct engine_settings *settings = engine->settings;
    struct record notice = {.kind = RECORD_NOTICE,
                            .node = SIZE_MAX,
                            .wall_ms = clock_wall_ms(),
                            .elapsed_ms = loop_now_ms(engine->fleet->loop) - engine->began_ms,
                            .roster = &engine->roster};
    engine_guard_ends(engine);
    service_lock_on_lost(settings->lock, NULL, NULL);
    if (settings->over)
        settings->over(settings->context, &engine->outcome);
    sinks_wait(settings->sinks, &notice);
    engine_report_end(engine);
}

/* On the heap, since signal handlers keep it until the loop ends; freed with the fleet's arena. */
int engine_run(const struct engine_settings *settings, struct engine_outcome *out, struct err *err)
{
    int rc;
    struct engine *engine = arena_alloc(&settings->fleet->arena, sizeof(*engine));
    static const struct engine_patience usual = {
        .heartbeat_ms = 5000, .answer_ms = 15000, .cancel_ms = 18000};
    *out = (struct engine_outcome){0};
    if (!engine)
        return err_set(err, ERR_MEMORY, "out of memory");
    engine->settings = settings;
    engine->fleet = settings->fleet;
    engine->playbook = settings->playbook;
    engine->patience = settings->patience ? *settings->patience : usual;
    engine->lease_ms = settings->playbook->retry.lease_ms / 1000 * 1000; /* as nodes are told it */
    snprintf(engine->lock_token, sizeof(engine->lock_token), "%.40s.%08x", settings->rollout,
             (unsigned)clock_random());
    engine->began_ms = loop_now_ms(settings->fleet->loop);
    arena_init(&engine->arena);
    breaker_list_init(&engine->breakers);
    if ((rc = make_roster(engine, err)) < 0 || (rc = make_workers(engine, err)) < 0 ||
        (rc = make_hooks(engine, err)) < 0 || (rc = make_migrations(engine, err)) < 0 || (rc = engine_make_sides(engine, err)) < 0 ||
        (rc = engine_make_shares(engine, err)) < 0 ||
        (rc = engine_make_capacity(engine, err)) < 0 ||
        (rc = make_machine(engine, err)) < 0)
        goto out;
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if ((rc = loop_on_signal(engine->fleet->loop, signals[i], interrupted, engine, err)) < 0)
            goto out;
    if (engine->fleet->dependencies)
        dependencies_on_change(engine->fleet->dependencies, engine_dependency_changed, engine);
    struct record started = {.kind = RECORD_STARTED, .node = SIZE_MAX};
    engine_record(engine, &started);
    struct event start = {.kind = EVENT_START};
    engine_post(engine, &start);
    service_lock_on_lost(settings->lock, lock_lost, engine);
    engine_guard(engine);
    engine_watch_discoveries(engine);
    redraw(engine);
    loop_run(engine->fleet->loop);
    engine->outcome.result = rollout_result(engine->machine);
    engine_end_discoveries(engine);
    note_touched(engine);
    end(engine);
    *out = engine->outcome;
out:
    release(engine);
    breaker_list_release(&engine->breakers);
    arena_release(&engine->arena);
    return rc;
}

const char *run_kind_name(enum run_kind kind)
{
    static const char *const names[] = {"rollout", "rollback", "abort"};
    return names[kind];
}

int engine_exit_code(const struct engine_outcome *outcome)
{
    static const int codes[] = {
        [RESULT_RUNNING] = 130,     [RESULT_DONE] = 0,        [RESULT_NOTHING] = 0,
        [RESULT_ROLLED_BACK] = 1,   [RESULT_NEEDS_CARE] = 2,  [RESULT_HELD] = 3,
        [RESULT_REFUSED] = 4,       [RESULT_UNREACHABLE] = 69, [RESULT_INTERRUPTED] = 130,
    };
    bool cut_short =
        outcome->result == RESULT_RUNNING || outcome->result == RESULT_INTERRUPTED;
    if (cut_short && outcome->signal_number)
        return 128 + outcome->signal_number;
    if (cut_short && outcome->unwritten)
        return codes[outcome->touched ? RESULT_NEEDS_CARE : RESULT_REFUSED];
    return codes[outcome->result];
}
