#include <stdio.h>
#include <string.h>

#include "app/sides.h"
#include "engine_step.h"

static const struct sides *sides_of(const struct worker *worker)
{
    return worker->engine->settings->sides;
}

/* --- who looks at what serves before the switch --- */

static int make_old(struct worker *worker, struct err *err)
{
    struct engine *engine = worker->engine;
    const struct sides *sides = engine->settings->sides;
    size_t partner = sides_partner(sides, engine->fleet, worker->index);
    if (partner == SIZE_MAX)
        return 0;
    const struct facts *facts = &sides->survey->nodes[partner].facts;
    const char *linked = facts->slots[sides->live].release;
    worker->old_words = (struct node_words){.release = linked ? linked : facts->current,
                                            .slot = slot_name(sides->live),
                                            .rollout = engine->settings->rollout};
    worker->old_prober = prober_create(engine->fleet, partner, &worker->old_words);
    return worker->old_prober ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}

int engine_make_sides(struct engine *engine, struct err *err)
{
    const struct sides *sides = engine->settings->sides;
    if (!sides)
        return 0;
    engine->goals = arena_alloc(&engine->arena, (engine->fleet->count * SLOTS + 1) * sizeof(*engine->goals));
    if (!engine->goals)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < engine->fleet->count; i++) {
        struct worker *worker = &engine->workers[i];
        bool changes = sides_changes(sides, worker->member);
        worker->words.slot = slot_name(changes ? sides->target : sides->live);
        if (changes && make_old(worker, err) < 0)
            return err->code;
    }
    return 0;
}

struct prober *switch_prober(struct worker *worker)
{
    const struct engine *engine = worker->engine;
    const struct sides *sides = engine->settings->sides;
    if (!sides || !worker->old_prober)
        return worker->prober;
    bool baseline = rollout_state(engine->machine) == ROLLOUT_SETUP;
    bool adopted = engine->settings->waves_passed > 0;
    return worker->action.undo || (baseline && !adopted) ? worker->old_prober : worker->prober;
}

const char *switch_slot(const struct worker *worker)
{
    const struct sides *sides = sides_of(worker);
    if (!sides)
        return NULL;
    return slot_name(sides_changes(sides, worker->member) ? sides->target : sides->live);
}

/* --- what the machine is told of a node --- */

void engine_add_side(const struct worker *worker, struct event *event)
{
    const struct engine *engine = worker->engine;
    const struct sides *sides = engine->settings->sides;
    if (!sides)
        return;
    const struct slot_fact *slot = &worker->facts.slots[sides->target];
    bool over = engine->settings->kind == RUN_ABORT || engine->settings->resumes;
    event->stays = !sides_changes(sides, worker->member);
    event->has_release = sides->live != SLOTS;
    event->touched = (over && slot->uncommitted && !event->stays) || worker->takes_back;
    event->at_target =
        !sides->begun && !event->stays && sides_live_at(sides, engine->fleet, worker->target);
    bool links = slot->release && worker->target && strcmp(slot->release, worker->target) == 0;
    bool committed = worker->facts.current_good && worker->facts.current && worker->target &&
                     strcmp(worker->facts.current, worker->target) == 0;
    event->runs_target = links && slot->running && (slot->uncommitted || committed);
}

const char *switch_begun(const struct worker *worker, const char *current)
{
    const struct sides *sides = sides_of(worker);
    return sides && sides_changes(sides, worker->member) ? worker->facts.slots[sides->target].release : current;
}

int switch_check(const struct worker *worker, struct err *err)
{
    const struct sides *sides = sides_of(worker);
    if (!sides)
        return 0;
    const struct facts *then = &sides->survey->nodes[worker->index].facts;
    const char *live_then = then->live_slot ? then->live_slot : "";
    const char *live_now = worker->facts.live_slot ? worker->facts.live_slot : "";
    if (strcmp(live_then, live_now) == 0)
        return 0;
    return err_set(err, ERR_REFUSED, "the live side was switched since the rollout began; start it again");
}

/* --- the switch --- */

static void shifted(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    const struct sides *sides = sides_of(worker);
    struct step_result done = *result;
    bool forward = !worker->action.undo;
    worker->balancing = false;
    if (result->status == DONE_TIMED_OUT) {
        engine_notice(worker->engine, SIZE_MAX, "drain: %s; going on", result->sentence);
        done.status = DONE_OK;
    }
    if (done.status == DONE_OK) {
        size_t now = forward ? sides->target : sides->live;
        engine_notice(worker->engine, SIZE_MAX, "traffic is on %s", now == SLOTS ? "no side" : slot_name(now));
        step_announce_sides(worker, worker->engine->goal_count);
        return;
    }
    if (done.status == DONE_FAILED)
        engine_notice(worker->engine, SIZE_MAX, "switch: %s", result->sentence);
    engine_answer(worker, &done);
}

void carry_shift(struct worker *worker)
{
    struct engine *engine = worker->engine;
    const struct sides *sides = engine->settings->sides;
    if (!sides) {
        share_shift(worker);
        return;
    }
    size_t count = sides_goals(sides, engine->fleet, !worker->action.undo, engine->goals);
    worker->balancing = true;
    engine->goal_count = count;
    balancers_switch(engine->fleet->balancers, engine->goals, count, worker->action.undo, shifted, worker);
}

/* --- what was live before a commit that is taken back --- */

static void runs_on(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    if (!worker->busy)
        return;
    if (reply->error) {
        step_replied(worker, reply);
        return;
    }
    /* its gate says what that means */
    if (reply->status != REPLY_OK)
        engine_notice(worker->engine, worker->index, "what served before does not run: %s", reply->sentence);
    step_end(worker, DONE_OK, "");
}

bool switch_keep_live(struct worker *worker)
{
    const struct engine *engine = worker->engine;
    const struct sides *sides = sides_of(worker);
    bool back = sides && engine->settings->kind == RUN_ABORT && sides->committed && sides->live != SLOTS;
    if (!back || sides_slot(worker->member, sides->live) == SLOTS)
        return false;
    const struct slot_fact *slot = &worker->facts.slots[sides->live];
    if (!slot->release || (slot->running && !slot->timed))
        return false;
    const struct node_words words = {
        .release = slot->release, .slot = slot_name(sides->live), .rollout = engine->settings->rollout};
    struct session *session = step_begin_keyed(worker, "keep_old", "keep");
    session_add(session, "slot", words.slot);
    prober_add_endpoint(engine->fleet, worker->index, &words, session);
    node_environment(worker->member, &words, step_env, session);
    step_submit(worker, worker->action.timeout_ms, runs_on);
    return true;
}

/* --- before an idle instance changes, and after the run --- */

/* Once for all instances of the idle side; each that waits for it goes on. */
static void prepared(void *context, const struct step_result *result)
{
    struct engine *engine = context;
    bool fine = result->status == DONE_OK || result->status == DONE_TIMED_OUT;
    engine->idle_state = fine ? IDLE_OUT : IDLE_UNKNOWN;
    for (size_t i = 0; i < engine->fleet->count; i++) {
        struct worker *worker = &engine->workers[i];
        if (!worker->preparing)
            continue;
        worker->preparing = false;
        if (fine && worker->busy)
            worker->then(worker);
        else
            engine_answer(worker, result);
    }
}

void switch_prepare(struct worker *worker, void (*then)(struct worker *worker))
{
    struct engine *engine = worker->engine;
    if (engine->idle_state == IDLE_OUT || engine->settings->sides->switching) {
        then(worker);
        return;
    }
    worker->then = then;
    worker->preparing = true;
    if (engine->idle_state == IDLE_GOING)
        return;
    engine->idle_state = IDLE_GOING;
    size_t count = sides_idle_goals(engine->settings->sides, engine->fleet, engine->goals);
    balancers_switch(engine->fleet->balancers, engine->goals, count, false, prepared, engine);
}

void switch_stop_preparing(struct worker *worker)
{
    worker->preparing = false;
    step_end(worker, DONE_CANCELLED, "cancelled");
}

static void kept(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    if (!reply->error && reply->status != REPLY_OK)
        engine_notice(worker->engine, worker->index, "the old side runs on: %s", reply->sentence);
    if (worker->busy)
        worker->then(worker);
}

/*
 * The slot that goes on only for a while; SLOTS: none. The machine's word that there was nothing to do is of a run that is gone on with
 * after its last commit: the other side is then the one that nobody has given its time. An abort has stopped the side that goes, and what
 * is live is the side that was there before.
 */
static size_t old_slot(const struct worker *worker, const struct sides *sides)
{
    const struct engine_settings *settings = worker->engine->settings;
    bool late = worker->action.result == RESULT_NOTHING && settings->resumes && !sides->begun;
    if (settings->kind == RUN_ABORT || (worker->action.result != RESULT_DONE && !late))
        return SLOTS;
    size_t side = late ? sides->target : sides->live;
    return side == SLOTS ? SLOTS : sides_slot(worker->member, side);
}

void switch_keep_old(struct worker *worker, void (*then)(struct worker *worker))
{
    const struct sides *sides = sides_of(worker);
    int64_t keep_ms = worker->engine->playbook->strategy.keep_old_ms;
    size_t slot = sides && keep_ms != KEEP_UNTIL_NEXT ? old_slot(worker, sides) : SLOTS;
    if (slot == SLOTS) {
        then(worker);
        return;
    }
    const struct slot_fact *old = &worker->facts.slots[slot];
    struct node_words words = {.release = old->known && old->release ? old->release : worker->facts.current,
                               .slot = slot_name(slot),
                               .rollout = worker->engine->settings->rollout};
    struct session *session = step_begin_keyed(worker, "keep_old", "keep");
    session_add(session, "slot", words.slot);
    session_addu(session, "seconds", (uint64_t)(keep_ms + 999) / 1000);
    prober_add_endpoint(worker->engine->fleet, worker->index, &words, session);
    node_environment(worker->member, &words, step_env, session);
    worker->then = then;
    step_submit(worker, QUICK_TIMEOUT_MS, kept);
}
