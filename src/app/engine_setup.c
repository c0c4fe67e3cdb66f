#include <stdio.h>
#include <string.h>

#include "app/crossing.h"
#include "app/missing.h"
#include "app/service_lock.h"
#include "app/sides.h"
#include "engine_step.h"
#include "io/process_identity.h"

#define HEARTBEATS 4 /* in a lease that is short */

/* Nothing new on a node before what ran there has ended: with the lock in hand the node's program ends it, or says that it cannot. */
static void settled(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    engine_tell_reverted(worker, reply);
    bool fine = !reply->error && reply->status == REPLY_OK;
    if (!fine || worker->action.step != STEP_LOCK || !switch_keep_live(worker))
        step_replied(worker, reply);
}

/* With the lock just taken it answers with the facts of this moment, too. */
static void settle(struct worker *worker, reply_fn *then)
{
    session_begin(worker->member->session, "settle");
    session_add_fence(worker->member->session, worker->fence);
    if (worker->action.step == STEP_LOCK)
        session_add(worker->member->session, "facts", "yes");
    step_submit(worker, QUICK_TIMEOUT_MS, then);
}

static void connected(void *context, const struct err *error)
{
    struct worker *worker = context;
    worker->breakers_told = 0; /* what was under way may be lost */
    worker->refused = error && error->code == ERR_REFUSED;
    if (!error && worker->fence && !engine_is_outside(worker)) {
        settle(worker, settled);
    } else if (!error) {
        step_end(worker, DONE_OK, "");
    } else if (worker->refused) {
        snprintf(worker->trouble, sizeof(worker->trouble), "%s", error->message);
        step_end(worker, DONE_OK, "");
    } else {
        struct step_result result = step_from_error(error);
        engine_answer(worker, &result);
    }
}

void carry_connect(struct worker *worker)
{
    session_connect(worker->member->session,
                    worker->engine->playbook->retry.connect_timeout_ms, connected, worker);
}

/* Known before the lock is asked for, so that no node is locked when another is not to be had. */
static int check_lock(struct worker *worker, struct err *err)
{
    const struct facts *facts = &worker->facts;
    if (!facts_locked(facts))
        return 0;
    worker->engine->outcome.locked_out = true;
    return err_set(err, ERR_REFUSED,
                   "locked by %s, rollout %s, renewed %llu s ago; wait for its end (--wait TIME), or `deployctl unlock`",
                   facts->lock_holder, facts->lock_rollout ? facts->lock_rollout : "unknown",
                   (unsigned long long)facts->lock_age_s);
}

/* A run that nobody ended is somebody's unfinished business: never silently buried under a new one. */
static int check_open(const struct worker *worker, struct err *err)
{
    const struct engine *engine = worker->engine;
    const struct facts *facts = &worker->facts;
    const char *service = engine_playbook_name(engine);
    bool ours = facts->open_rollout && strcmp(facts->open_rollout, engine->settings->rollout) == 0;
    const char *open = ours ? facts->before_rollout : facts->open_rollout;
    const char *step = ours ? facts->before_step : facts->open_step;
    if (engine->settings->kind != RUN_ROLLOUT || engine->settings->resumes || !open)
        return 0;
    return err_set(err, ERR_REFUSED,
                   "rollout %s did not end here (last step: %s); `deployctl resume %s` goes on, "
                   "`deployctl abort %s` undoes it, --supersede starts over",
                   open, step ? step : "none", service, service);
}

static int refuse_crossing(const struct crossing *crossing, const char *release, struct err *err)
{
    struct strbuf sentence;
    strbuf_init(&sentence, SENTENCE_MAX);
    crossing_tell(crossing, release, &sentence);
    err_set(err, ERR_REFUSED, "%s; --past-point-of-no-return REASON goes there all the same", sentence.text);
    strbuf_release(&sentence);
    return ERR_REFUSED;
}

/* What this node knows of the data must be what the run was planned by. */
static int check_data(const struct worker *worker, struct err *err)
{
    const struct engine_settings *settings = worker->engine->settings;
    const struct facts *facts = &worker->facts;
    bool goes = worker->target && settings->kind != RUN_ABORT && !settings->past_reason;
    struct crossing crossing = goes ? facts_crossed(facts, worker->target, settings->fleet->commits) : (struct crossing){NULL, NULL};
    if (crossing.fact)
        return refuse_crossing(&crossing, worker->target, err);
    for (size_t i = 0; settings->data && i < settings->data->count; i++) {
        const struct data_change *change = &settings->data->changes[i];
        for (size_t j = 0; j < facts->migration_count; j++) {
            const struct migration_fact *fact = &facts->migrations[j];
            bool settled = fact->record == RECORDED_FAILED || fact->record == RECORDED_UNDONE;
            if (strcmp(fact->name, change->migration->name) != 0 || settled || change->again ||
                change->state == DATA_DONE)
                continue;
            return err_set(err, ERR_REFUSED,
                           "migration %s is no longer pending: this node's record says otherwise since the rollout "
                           "began; start it again",
                           fact->name);
        }
    }
    return 0;
}

/* The run was decided by what some nodes said before they were locked. */
static int check_moved(struct worker *worker, struct err *err)
{
    const struct engine_settings *settings = worker->engine->settings;
    const struct facts *seen = settings->seen ? settings->seen[worker->index] : NULL;
    struct strbuf sentence;
    strbuf_init(&sentence, SENTENCE_MAX - 40);
    bool moved = seen && facts_moved(seen, &worker->facts, &sentence);
    int rc = moved ? err_set(err, ERR_REFUSED, "%s; start it again", sentence.text) : 0;
    strbuf_release(&sentence);
    worker->engine->outcome.outdated |= moved;
    return rc;
}

static int check_facts(struct worker *worker, struct err *err)
{
    const struct engine *engine = worker->engine;
    struct package *package = engine->settings->package;
    bool rollback = engine->settings->kind == RUN_ROLLBACK;
    enum release_state state = RELEASE_INCOMPLETE;
    bool there = worker->target && facts_has(&worker->facts, worker->target, &state) &&
                 state != RELEASE_INCOMPLETE;
    uint64_t needed = package && !there ? delivery_needs_bytes(package) : 0;
    int rc = facts_check(&worker->facts, &worker->member->service,
                         engine->playbook->service.become || worker->member->node->connection.become,
                         needed, err);
    if (rc == 0)
        rc = worker->fence ? check_moved(worker, err) : check_lock(worker, err);
    if (rc == 0)
        rc = check_open(worker, err);
    if (rc == 0)
        rc = check_data(worker, err);
    if (rc == 0)
        rc = switch_check(worker, err);
    if (rc < 0 || package || engine->settings->kind == RUN_ABORT)
        return rc;
    if (rollback && !worker->target)
        return err_set(err, ERR_REFUSED,
                       "there is no previous good release to go back to; name one with --to, or leave "
                       "the node out with --limit");
    if (!there)
        return err_set(err, ERR_REFUSED,
                       "release %s is not on the node; `deployctl status --output json` lists what is",
                       worker->target ? worker->target : "(none)");
    return 0;
}

/* A rollback goes to what has been lying on the node, and so does the undo of a rollout that fails: it is looked at before anything changes. NULL:
 * nothing has to be. */
static const char *release_in_question(const struct worker *worker)
{
    const struct engine *engine = worker->engine;
    const struct facts *facts = &worker->facts;
    enum release_state state;
    if (engine->settings->kind == RUN_ROLLOUT)
        return fallback_of(facts, engine->playbook, worker->target, worker->previous);
    bool rollback = engine->settings->kind == RUN_ROLLBACK && worker->target;
    return rollback && facts_has(facts, worker->target, &state) && state != RELEASE_INCOMPLETE ? worker->target : NULL;
}

/* ERR_REFUSED when the release in question was altered; otherwise 0. */
static int judge_release(struct worker *worker, const struct reply *reply, struct err *err)
{
    char difference[RELEASE_DIFFERENCE];
    const char *release = release_in_question(worker);
    enum release_look look = release_look(reply, difference);
    if (look == RELEASE_AS_STAGED)
        worker->compared = arena_strdup(&worker->engine->arena, release);
    if (look != RELEASE_ALTERED)
        return 0;
    if (worker->engine->settings->kind != RUN_ROLLBACK)
        return fallback_refuse(err, release, difference);
    return err_set(err, ERR_REFUSED,
                   "release %s is not as it was staged (%s); `deployctl verify --to %s` shows all of it, --to names another", release,
                   difference, release);
}

static void looked_into(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    struct step_result result = step_from_reply(reply);
    struct err err;
    if (!worker->busy)
        return;
    if (judge_release(worker, reply, &err) < 0)
        step_end(worker, DONE_REFUSED, err.message);
    else if (worker->compared)
        step_look_outside(worker);
    else
        engine_answer(worker, &result);
}

/* What a run of the chain has committed here goes back too: in an abort, and in a run that goes on while others are not
 * committed yet. */
static bool takes_commit_back(struct worker *worker)
{
    const struct engine_settings *settings = worker->engine->settings;
    bool undoes = settings->kind == RUN_ABORT || settings->half_committed;
    bool goes = !settings->sides || (settings->sides->begun && sides_changes(settings->sides, worker->member));
    return undoes && goes && facts_take_back(&worker->facts, settings->chain, &worker->previous);
}

static int check_way_back(const struct worker *worker, struct err *err)
{
    const struct engine *engine = worker->engine;
    bool goes_back = engine->settings->kind == RUN_ROLLOUT && engine->playbook->failure.action != FAILURE_STOP;
    return goes_back && !engine->settings->sides && !engine->settings->resumes
               ? facts_check_way_back(&worker->facts, worker->target, err)
               : 0;
}

/* Before the lock, and again with it: what a node is, and what follows from that. 0, or why the node cannot be changed. */
static int take_facts(struct worker *worker, const struct reply *reply, struct err *err)
{
    if (worker->has_facts)
        facts_release(&worker->facts);
    worker->has_facts = true;
    int rc = facts_read(&worker->facts, reply, err);
    if (engine_is_outside(worker)) {
        rc = rc < 0 ? rc : facts_check_service(&worker->facts, &worker->member->service, err);
        return rc < 0 ? rc : check_lock(worker, err);
    }
    worker->takes_back = takes_commit_back(worker);
    if (!worker->takes_back)
        worker->previous = facts_release_before(&worker->facts);
    worker->serving = worker->facts.current;
    if (worker->engine->settings->kind == RUN_ABORT)
        worker->target = switch_begun(worker, worker->facts.current);
    worker->words.previous = worker->previous;
    if (rc == 0)
        rc = check_facts(worker, err);
    return rc < 0 ? rc : check_way_back(worker, err);
}

static void facts_came(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    struct step_result result = step_from_reply(reply);
    struct err err;
    if (!worker->busy)
        return;
    worker->compared = NULL;
    if (result.status != DONE_OK) {
        engine_answer(worker, &result);
        return;
    }
    if (take_facts(worker, reply, &err) < 0) {
        step_end(worker, DONE_REFUSED, err.message);
        return;
    }
    const char *release = engine_is_outside(worker) ? NULL : release_in_question(worker);
    if (release)
        step_look_into(worker, release, looked_into);
    else
        step_look_outside(worker);
}

void carry_preflight(struct worker *worker)
{
    if (worker->refused) {
        step_end(worker, engine_is_outside(worker) ? DONE_FAILED : DONE_REFUSED, worker->trouble);
        return;
    }
    session_begin(worker->member->session, "facts");
    step_submit(worker, QUICK_TIMEOUT_MS, facts_came);
}

/* What another terminal wishes, told to the machine once; an abort is more than a pause. */
static void take_wish(struct worker *worker, const char *text)
{
    struct engine *engine = worker->engine;
    enum wish_kind wish = wish_read(text);
    const char *who = strchr(text, ' ');
    if (wish <= engine->wish || !who)
        return;
    engine->wish = wish;
    engine_notice(engine, SIZE_MAX, wish == WISH_ABORT ? "%s wishes that it is undone" : "%s wishes that it holds", who + 1);
    struct event event = {.kind = wish == WISH_ABORT ? EVENT_ABORT : EVENT_PAUSE};
    engine_post(engine, &event);
}

/* Before the lock is given back: a renewal that came after it would take the end for a loss. */
void step_stop_heartbeat(struct worker *worker)
{
    timer_stop(worker->heartbeat);
    worker->heartbeat = NULL;
    if (worker->renewal && worker->member)
        session_forget(worker->member->session, worker->renewal);
    worker->renewal = 0;
}

static void renewed(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    worker->renewal = 0;
    if (reply->error && !worker->busy)
        engine_lost(worker, reply->error);
    /* Failed, e.g. on a full disk: not lost yet, and when somebody takes it over the node's fence holds. */
    const char *wish = reply->error ? NULL : reply_get(reply, "wish");
    if (wish)
        take_wish(worker, wish);
    if (!reply->error && reply->status == REPLY_OK)
        lease_acknowledged(&worker->lease, worker->engine->lease_ms);
    if (reply->error || reply->status != REPLY_REFUSED)
        return;
    step_stop_heartbeat(worker);
    snprintf(worker->sentence, sizeof(worker->sentence), "the lock was lost: %s", reply->sentence);
    engine_notice(worker->engine, worker->index, "%s; nothing more is done on any node, and the locks still held are given back", worker->sentence);
    struct event event = {.kind = EVENT_LEASE_LOST, .node = worker->index};
    engine_post(worker->engine, &event);
}

bool step_renew(struct worker *worker)
{
    struct session *session = worker->member->session;
    struct err err;
    if (worker->renewal)
        return true;
    if (!worker->fence || !session_is_connected(session))
        return false;
    lease_sent(&worker->lease, clock_boot_ms());
    session_begin(session, "renew");
    session_add_fence(session, worker->fence);
    engine_add_breakers(worker, false);
    worker->renewal = session_submit(session, worker->engine->patience.answer_ms, renewed,
                                      worker, &err);
    return worker->renewal != 0;
}

static void heartbeat(void *context);

static void plan_heartbeat(struct worker *worker)
{
    int64_t every_ms = worker->engine->patience.heartbeat_ms, lease_ms = worker->engine->lease_ms;
    worker->heartbeat = timer_start(worker->engine->fleet->loop, every_ms < lease_ms / HEARTBEATS ? every_ms : lease_ms / HEARTBEATS,
                                    heartbeat, worker);
}

/* Keeps the lease, and finds a node that answers nothing although its connection stands. */
static void heartbeat(void *context)
{
    struct worker *worker = context;
    plan_heartbeat(worker);
    step_renew(worker);
}

static void not_taken(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    (void)reply;
    worker->fence = 0;
    step_end(worker, worker->unsettled_status, worker->unsettled);
}

/* Nothing is done here and the lock is given back; what was open stays open. */
static void give_back_at_once(struct worker *worker, enum done_status status, const char *sentence)
{
    worker->unsettled_status = status;
    snprintf(worker->unsettled, sizeof(worker->unsettled), "%s", sentence);
    step_stop_heartbeat(worker);
    lease_end(&worker->lease);
    struct session *session = step_begin_change(worker, "finish");
    session_add(session, "release", worker->serving ? worker->serving : "-");
    session_add(session, "status", node_outcome_name(NODE_REFUSED));
    session_add(session, "result", rollout_result_name(RESULT_REFUSED));
    session_add(session, "open", "before");
    step_submit(worker, QUICK_TIMEOUT_MS, not_taken);
}

/* What a failure would go back to is another release than before the lock: it is compared, too. */
static void compared_with_lock(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    struct step_result result = step_from_reply(reply);
    struct err err;
    if (!worker->busy)
        return;
    if (judge_release(worker, reply, &err) < 0)
        give_back_at_once(worker, DONE_REFUSED, err.message);
    else if (worker->compared)
        step_end(worker, DONE_OK, "");
    else if (reply->error)
        engine_answer(worker, &result);
    else
        give_back_at_once(worker, result.status, result.sentence);
}

/* What runs there has ended, or cannot be ended. From here on the facts are those of under the lock. */
static void settled_first(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    struct step_result result = step_from_reply(reply);
    struct err err;
    if (reply->error || !worker->busy) {
        settled(worker, reply);
        return;
    }
    if (result.status != DONE_OK) {
        give_back_at_once(worker, result.status, result.sentence);
        return;
    }
    if (take_facts(worker, reply, &err) < 0) {
        give_back_at_once(worker, DONE_REFUSED, err.message);
        return;
    }
    const char *release = release_in_question(worker);
    if (!release || (worker->compared && strcmp(worker->compared, release) == 0)) {
        settled(worker, reply);
        return;
    }
    engine_tell_reverted(worker, reply);
    worker->compared = NULL;
    step_look_into(worker, release, compared_with_lock);
}

static void locked(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    const char *generation = reply->error ? NULL : reply_get(reply, "generation");
    struct err err;
    if (!generation || reply->status != REPLY_OK ||
        whole_parse(&worker->fence, generation, 1, UINT64_MAX, &err) < 0) {
        worker->engine->outcome.locked_out |= !reply->error && reply->status == REPLY_REFUSED;
        step_replied(worker, reply);
        return;
    }
    service_lock_seen(worker->engine->settings->lock, worker->fence);
    /* Held already, since the answer to an earlier request was lost: the node counts from its last renewal. */
    const char *age = reply_get(reply, "age");
    uint64_t age_s = 0;
    if (age && whole_parse(&age_s, age, 0, INT32_MAX, &err) == 0)
        lease_sent(&worker->lease, worker->lease.sent_ms - (int64_t)(age_s + 1) * 1000);
    lease_acknowledged(&worker->lease, worker->engine->lease_ms);
    if (!worker->heartbeat)
        plan_heartbeat(worker);
    const char *taken_over = reply_get(reply, "taken_over");
    if (taken_over)
        engine_notice(worker->engine, worker->index, "the lock was %s", taken_over);
    if (engine_is_outside(worker))
        step_end(worker, DONE_OK, "");
    else
        settle(worker, settled_first);
}

/* Who we are, and whose lock we may take although its lease lives: that of the generation at which its process was found to have ended. */
static void step_add_runner(const struct worker *worker, struct session *session)
{
    char runner[PROCESS_IDENTITY_MAX];
    process_identity(runner);
    session_add(session, "runner", *runner ? runner : NULL);
    if (worker->has_facts && worker->facts.lock_abandoned)
        session_addu(session, "takeover", worker->facts.lock_generation);
}

/* Who belongs to the run, for whoever goes on with it from another inventory. */
static void add_members(struct worker *worker)
{
    struct strbuf note;
    strbuf_init(&note, MEMBERS_BYTES + 32);
    members_note(&note, worker->engine->fleet, worker->index);
    session_add(worker->member->session, "members", engine_is_outside(worker) ? NULL : note.text);
    strbuf_release(&note);
}

void carry_lock(struct worker *worker)
{
    struct session *session = worker->member->session;
    lease_sent(&worker->lease, clock_boot_ms());
    session_begin(session, "lock");
    session_add(session, "rollout", worker->engine->settings->rollout);
    session_add(session, "holder", worker->engine->settings->holder);
    session_add(session, "release", engine_is_outside(worker) ? NULL : worker->target);
    session_add(session, "kind", engine_is_outside(worker) ? "outside" : run_kind_name(worker->engine->settings->kind));
    session_add(session, "resumes", worker->engine->settings->chain);
    session_add(session, "limit", engine_is_outside(worker) ? NULL : worker->engine->settings->limit);
    session_add(session, "reason", worker->engine->settings->past_reason);
    add_members(worker);
    session_add(session, "token", worker->engine->lock_token);
    session_addu(session, "ttl", (uint64_t)worker->engine->lease_ms / 1000);
    step_add_runner(worker, session);
    if (worker->engine->settings->lock)
        session_addu(session, "minimum", service_lock_generation(worker->engine->settings->lock));
    step_submit(worker, QUICK_TIMEOUT_MS, locked);
}
