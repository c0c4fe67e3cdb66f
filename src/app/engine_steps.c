#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine_step.h"

#define EVIDENCE_LINES 10

/* --- stage --- */

static void staging(void *context, uint64_t sent, uint64_t total)
{
    struct worker *worker = context;
    struct record record = {.kind = RECORD_PROGRESS,
                            .node = worker->index,
                            .phase = step_name(STEP_STAGE),
                            .done = sent,
                            .total = total};
    engine_record(worker->engine, &record);
}

static void carry_stage(struct worker *worker)
{
    struct engine *engine = worker->engine;
    char *token = arena_printf(&engine->arena, "%s.%" PRIu32, engine->settings->rollout,
                               worker->action.token);
    struct delivery_order order = {
        .session = worker->member->session,
        .package = engine->settings->package,
        .rollout = engine->settings->rollout,
        .token = token,
        .fence = worker->fence,
        .timeout_ms = worker->action.timeout_ms,
    };
    delivery_free(worker->delivery);
    worker->delivery = delivery_start(&order, staging, step_ended, worker);
    if (!worker->delivery)
        step_end(worker, DONE_FAILED, "out of memory");
}

/* --- activate, hooks, commit, release --- */

static void activated(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    bool switched = !reply->error && (reply->status == REPLY_OK || reply_get(reply, "switched"));
    if (switched && worker->action.undo)
        worker->unconfirmed = false;
    if (switched)
        worker->serving = step_release_of(worker, &worker->action);
    step_replied(worker, reply);
}

/* An action of several requests ends between two of them. */
static bool ends_without_lease(struct worker *worker)
{
    if (worker->engine->lease_lost)
        step_end(worker, DONE_FAILED, "not put back: the lock was lost");
    return worker->engine->lease_lost;
}

static void send_activate(struct worker *worker)
{
    const char *release = step_release_of(worker, &worker->action);
    struct session *session = step_begin_change(worker, "activate");
    worker->words.release = release ? release : "";
    session_add(session, "release", release ? release : "-");
    session_add(session, "slot", switch_slot(worker));
    session_addu(session, "timeout_ms", (uint64_t)worker->action.timeout_ms);
    prober_add_endpoint(worker->engine->fleet, worker->index, &worker->words, session);
    prober_expect(worker->prober);
    if (!worker->action.undo)
        engine_add_timer(worker, session);
    node_environment(worker->member, &worker->words, step_env, session);
    step_submit(worker, worker->action.timeout_ms + KILL_GRACE_MS, activated);
}

/* Blue-green: what was activated in the idle slot is stopped, and its link restored. */
static void send_stop(struct worker *worker)
{
    struct session *session = step_begin_change(worker, "stop");
    session_add(session, "slot", switch_slot(worker));
    prober_add_endpoint(worker->engine->fleet, worker->index, &worker->words, session);
    session_addu(session, "timeout_ms", (uint64_t)worker->action.timeout_ms);
    node_environment(worker->member, &worker->words, step_env, session);
    step_submit(worker, worker->action.timeout_ms + KILL_GRACE_MS, activated);
}

static void send_undo(struct worker *worker)
{
    if (worker->engine->settings->sides)
        send_stop(worker);
    else
        send_activate(worker);
}

static void retracted(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    if (!worker->busy)
        return;
    if (reply->error || reply->status != REPLY_OK)
        step_replied(worker, reply);
    else if (!ends_without_lease(worker))
        send_undo(worker);
}

/* From then on the node is one that is half done: whoever finds it so undoes it. */
static void send_retract(struct worker *worker)
{
    struct session *session = step_begin_keyed(worker, "retract", "retract");
    session_add(session, "release", worker->facts.committed.release);
    session_add(session, "slot", switch_slot(worker));
    step_submit(worker, QUICK_TIMEOUT_MS, retracted);
}

static void put_back(struct worker *worker)
{
    if (worker->takes_back)
        send_retract(worker);
    else
        send_undo(worker);
}

/* Never to what was altered or half deleted meanwhile: such a node needs care. */
static void old_release_looked_into(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    char difference[RELEASE_DIFFERENCE], sentence[SENTENCE_MAX];
    if (!worker->busy)
        return;
    enum release_look look = release_look(reply, difference);
    if (look == RELEASE_AS_STAGED) {
        if (!ends_without_lease(worker))
            put_back(worker);
        return;
    }
    if (look == RELEASE_UNKNOWN) {
        step_replied(worker, reply);
        return;
    }
    snprintf(sentence, sizeof(sentence),
             "not put back: release %s is not as it was staged (%s); `deployctl rollback --to` another, or a rollout, goes on",
             worker->previous, difference);
    step_end(worker, DONE_FAILED, sentence);
}

/* It runs the target, committed and healthy, and only has to come back into the traffic: after its gate, without a restart. */
static bool stands_already(const struct worker *worker)
{
    const struct facts *facts = &worker->facts;
    struct node_view view;
    rollout_node(worker->engine->machine, worker->index, &view);
    return !worker->action.undo && !view.unhealthy_before && !facts->unsettled && facts->current && facts->current_good && worker->target &&
           strcmp(facts->current, worker->target) == 0;
}

static void carry_activate(struct worker *worker)
{
    bool switches = worker->engine->settings->sides != NULL;
    bool looks = !switches && step_release_of(worker, &worker->action);
    if (worker->action.undo && looks)
        step_look_into(worker, worker->previous, old_release_looked_into);
    else if (worker->action.undo)
        put_back(worker);
    else if (switches)
        switch_prepare(worker, send_activate);
    else if (stands_already(worker))
        step_end(worker, DONE_OK, "");
    else
        send_activate(worker);
}

/* The release that it has, as it is: nothing that the node keeps of releases changes. */
static void carry_restart(struct worker *worker)
{
    struct session *session = step_begin_change(worker, "restart");
    worker->words.release = worker->serving ? worker->serving : "";
    session_add(session, "release", worker->serving);
    prober_add_endpoint(worker->engine->fleet, worker->index, &worker->words, session);
    prober_expect(worker->prober);
    session_addu(session, "timeout_ms", (uint64_t)worker->action.timeout_ms);
    node_environment(worker->member, &worker->words, step_env, session);
    step_submit(worker, worker->action.timeout_ms + KILL_GRACE_MS, step_replied);
}

static void carry_commit(struct worker *worker)
{
    struct session *session = step_begin_change(worker, "commit");
    session_add(session, "release", worker->target);
    session_add(session, "slot", switch_slot(worker));
    session_add(session, "kind", run_kind_name(worker->engine->settings->kind));
    session_addu(session, "timeout_ms", (uint64_t)worker->action.timeout_ms);
    step_submit(worker, worker->action.timeout_ms + KILL_GRACE_MS, step_replied);
}

static void ignore_reply(void *context, const struct reply *reply)
{
    (void)context;
    (void)reply;
}

static void released(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    if (!reply->error && reply->status == REPLY_OK)
        worker->fence = 0;
    step_replied(worker, reply);
}

/* Where a run is held stands in each node's journal: `promote` goes on from there. */
static const char *result_text(const struct worker *worker, char out[64])
{
    const struct engine *engine = worker->engine;
    bool at_gate = worker->action.result == RESULT_HELD && !engine->spent && !engine->undecided && !engine->wish;
    if (at_gate)
        snprintf(out, 64, "held after %zu of %zu waves", rollout_waves_passed(engine->machine), engine->roster.wave_count);
    else
        snprintf(out, 64, "%s", rollout_result_name(worker->action.result));
    return out;
}

/* An abort of a rollback leaves a release that is as good as it was. */
static bool was_good(const struct worker *worker)
{
    enum release_state state;
    const struct facts *facts = &worker->facts;
    if (worker->engine->settings->kind != RUN_ABORT || !worker->has_facts)
        return false;
    if (worker->takes_back)
        return facts->committed.rollback;
    return facts_has(facts, worker->target, &state) && state == RELEASE_GOOD;
}

/* What nobody has changed is as it was: a refused run leaves open what was open. A lost lock is for another run to go on from. Otherwise a
 * run is open on a node until it has committed there or gone back. */
static const char *what_stays_open(const struct worker *worker, const struct node_view *view)
{
    enum rollout_result how = worker->action.result;
    bool half_done = view->touched && !view->committed && view->outcome != NODE_RESTORED;
    if (engine_is_outside(worker))
        return NULL;
    if (how == RESULT_REFUSED || how == RESULT_UNREACHABLE)
        return "before";
    return how == RESULT_INTERRUPTED || how == RESULT_HELD || worker->engine->lease_lost || half_done ? "yes" : NULL;
}

static void give_back(struct worker *worker)
{
    char text[64];
    struct node_view view;
    struct err err;
    step_stop_heartbeat(worker);
    lease_end(&worker->lease);
    rollout_node(worker->engine->machine, worker->index, &view);
    bool same = worker->previous && worker->target && strcmp(worker->previous, worker->target) == 0;
    if (view.outcome == NODE_RESTORED && worker->target && !same && !was_good(worker) && !worker->engine->lease_lost) {
        struct session *session = step_begin_change(worker, "failed");
        session_add(session, "release", worker->target);
        session_submit(session, QUICK_TIMEOUT_MS, ignore_reply, worker, &err);
    }
    struct session *session = step_begin_change(worker, "finish");
    session_add(session, "release", worker->serving ? worker->serving : "-");
    session_add(session, "status", node_outcome_name(view.outcome));
    session_add(session, "result", result_text(worker, text));
    session_add(session, "open", what_stays_open(worker, &view));
    step_add_migrations(worker, session);
    step_submit(worker, QUICK_TIMEOUT_MS, released);
}

void step_give_back(struct worker *worker)
{
    switch_keep_old(worker, give_back);
}

/* --- probes --- */

/* Once a run: the nodes of a service are alike. */
static void tell_doubt(struct worker *worker)
{
    const char *doubt = prober_doubt(worker->prober);
    if (!doubt || worker->engine->doubted)
        return;
    worker->engine->doubted = true;
    engine_notice(worker->engine, worker->index,
                  "the gate cannot tell the old process from the new one: %s; add 'identity' to [health]", doubt);
}

static void probed(void *context, bool healthy, const char *evidence, const struct err *error)
{
    struct worker *worker = context;
    struct step_result result = {
        .status = healthy ? DONE_OK : DONE_FAILED, .sentence = evidence, .output = ""};
    if (error)
        result = step_from_error(error);
    if (error)
        result.status = DONE_UNREACHABLE;
    result.hopeless = !error && !healthy && prober_is_hopeless(worker->prober);
    tell_doubt(worker);
    engine_answer(worker, &result);
}

/* What an earlier run activated has perhaps not passed its gate: the process of the release before may still answer for it. */
static bool proves_itself(const struct worker *worker)
{
    struct node_view view;
    bool at_target = worker->engine->settings->kind != RUN_ABORT && worker->serving && worker->target &&
                     strcmp(worker->serving, worker->target) == 0;
    rollout_node(worker->engine->machine, worker->index, &view);
    return view.touched || at_target;
}

static void carry_probe(struct worker *worker)
{
    struct prober *prober = switch_prober(worker);
    if (worker->serving)
        worker->words.release = worker->serving;
    if (prober == worker->prober && !prober_expects(prober) && proves_itself(worker))
        prober_expect(prober);
    prober_start(prober, probed, worker);
}

static void evidence_came(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    if (!reply->error)
        step_output(worker, reply->output);
}

void engine_ask_evidence(struct worker *worker)
{
    struct session *session = worker->member->session;
    struct err err;
    if (!session_is_connected(session))
        return;
    session_begin(session, "evidence");
    session_add(session, "slot", switch_slot(worker));
    session_add(session, "release", worker->serving);
    session_addu(session, "lines", EVIDENCE_LINES);
    session_submit(session, QUICK_TIMEOUT_MS, evidence_came, worker, &err);
}

/* --- cancel --- */

static void cancel_overdue(void *context)
{
    struct worker *worker = context;
    worker->cancel_timer = NULL;
    if (worker->member)
        session_drop(worker->member->session, "the node did not end a cancelled step in time");
}

static void stop_balancing(struct worker *worker)
{
    struct balancers *balancers = worker->engine->fleet->balancers;
    if (worker->action.step == STEP_SHIFT)
        balancers_shift_stop(balancers);
    else
        balancers_stop(balancers, worker->index);
}

static void cancel(struct worker *worker)
{
    if (!worker->busy)
        return;
    if (worker->child) {
        child_stop(worker->child);
        return;
    }
    if (worker->action.step == STEP_CONFIRM) {
        engine_cancel_confirm(worker);
        return;
    }
    if (worker->announcing) {
        step_cancel_discovery(worker);
        step_end(worker, DONE_CANCELLED, "cancelled");
        return;
    }
    if (worker->preparing) {
        switch_stop_preparing(worker);
        return;
    }
    if (worker->lease_timer) {
        step_forget_lease(worker);
        step_end(worker, DONE_CANCELLED, "cancelled");
        return;
    }
    if (worker->balancing) {
        stop_balancing(worker);
        return;
    }
    if (worker->action.step == STEP_PROBE) {
        prober_cancel(switch_prober(worker));
        step_end(worker, DONE_CANCELLED, "cancelled");
        return;
    }
    uint32_t request = worker->delivery && worker->action.step == STEP_STAGE
                           ? delivery_request(worker->delivery)
                           : worker->request;
    struct session *session = worker->member->session;
    struct err err;
    bool sends = worker->action.step == STEP_STAGE && !request;
    if (sends && session_is_connected(session)) {
        session_upload_cancel(session);
        return;
    }
    if (!request || !session_is_connected(session)) {
        session_drop(session, "cancelled");
        return;
    }
    session_begin(session, "cancel");
    session_addu(session, "target", request);
    session_submit(session, QUICK_TIMEOUT_MS, ignore_reply, worker, &err);
    worker->overdue = !worker->engine->outcome.signal_number && !worker->engine->lease_lost && !worker->engine->outcome.unwritten;
    worker->cancel_timer = timer_start(worker->engine->fleet->loop, worker->engine->patience.cancel_ms,
                                       cancel_overdue, worker);
}

/* --- the table --- */

static void (*const carriers[STEP_KINDS])(struct worker *worker) = {
    [STEP_CONNECT] = carry_connect,   [STEP_PREFLIGHT] = carry_preflight, [STEP_LOCK] = carry_lock,
    [STEP_LEADER] = carry_leader,     [STEP_READY] = carry_ready,
    [STEP_PROBE] = carry_probe,       [STEP_STAGE] = carry_stage,         [STEP_DRAIN] = carry_drain,
    [STEP_ACTIVATE] = carry_activate, [STEP_CONFIRM] = engine_carry_confirm,
    [STEP_ENABLE] = carry_enable,    [STEP_SHIFT] = carry_shift,    [STEP_HOOK] = carry_hook,
    [STEP_BACKUP] = carry_backup,     [STEP_MIGRATE] = carry_migrate,     [STEP_UNMIGRATE] = carry_migrate,
    [STEP_JUDGE] = carry_judge,       [STEP_RESTART] = carry_restart,
    [STEP_COMMIT] = carry_commit,     [STEP_RELEASE] = carry_release,
};

/* The machine went on without an answer, e.g. when the connection was lost: a late one must not pass for the next action's. */
static void abandon(struct worker *worker)
{
    timer_stop(worker->cancel_timer);
    worker->cancel_timer = NULL;
    step_forget_lease(worker);
    if (!worker->member)
        return;
    if (worker->announcing)
        step_cancel_discovery(worker);
    session_forget(worker->member->session, worker->request);
    prober_cancel(worker->prober);
    if (worker->old_prober)
        prober_cancel(worker->old_prober);
}

void engine_carry(struct engine *engine, const struct action *action)
{
    struct worker *worker =
        action->node == NO_NODE ? &engine->runner : &engine->workers[action->node];
    if (action->kind == ACTION_CANCEL) {
        if (worker->busy && worker->action.id == action->id)
            cancel(worker);
        return;
    }
    if (worker->busy)
        abandon(worker);
    worker->preparing = false;
    worker->action = *action;
    worker->busy = true;
    worker->overdue = false;
    worker->request = 0;
    if (engine->outcome.unwritten && action->step != STEP_RELEASE && action->step != STEP_CONNECT)
        step_end(worker, DONE_CANCELLED, "not begun: the journal on the runner cannot be written");
    else
        carriers[action->step](worker);
}

void engine_end_hook(struct worker *worker)
{
    if (worker->child)
        child_stop(worker->child);
    while (worker->child)
        loop_run(worker->engine->fleet->loop);
}

void engine_worker_release(struct worker *worker)
{
    if (worker->member)
        session_on_lost(worker->member->session, NULL, NULL);
    if (worker->preparing || (worker->balancing && worker->action.step == STEP_SHIFT))
        balancers_shift_cancel(worker->engine->fleet->balancers);
    else if (worker->balancing)
        balancers_cancel(worker->engine->fleet->balancers, worker->index);
    worker->balancing = false;
    if (worker->announcing)
        step_cancel_discovery(worker);
    step_stop_heartbeat(worker);
    step_forget_lease(worker);
    timer_stop(worker->cancel_timer);
    worker->cancel_timer = NULL;
    engine_confirm_release(worker);
    prober_free(worker->prober);
    prober_free(worker->old_prober);
    worker->prober = worker->old_prober = NULL;
    delivery_free(worker->delivery);
    worker->delivery = NULL;
    if (worker->has_facts)
        facts_release(&worker->facts);
    worker->has_facts = false;
}
