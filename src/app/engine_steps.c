#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/balancer.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "engine_internal.h"

#define QUICK_TIMEOUT_MS 25000
#define KILL_GRACE_MS 15000 /* the node's program: TERM, 3 s, KILL, waits up to 10 s */
#define LOCK_TTL_S 60
#define RUNNER_OUTPUT_MAX 8192
#define OUTPUT_LINE_MAX 1000
#define EVIDENCE_LINES 10

/* --- ends of steps --- */

static void end_with(struct worker *worker, enum done_status status, const char *sentence)
{
    struct step_result result = {.status = status, .sentence = sentence, .output = ""};
    engine_answer(worker, &result);
}

static void end_with_error(struct worker *worker, const struct err *error)
{
    struct step_result result = step_from_error(error);
    engine_answer(worker, &result);
}

static void record_output(struct worker *worker, const char *output)
{
    while (*output) {
        size_t length = strcspn(output, "\n");
        size_t most = text_cut(output, OUTPUT_LINE_MAX);
        char line[OUTPUT_LINE_MAX + 1];
        snprintf(line, sizeof(line), "%.*s", (int)(length < most ? length : most), output);
        struct record record = {.kind = RECORD_OUTPUT,
                                .node = worker->index,
                                .phase = step_name(worker->action.step),
                                .text = line};
        engine_record(worker->engine, &record);
        output += length + (output[length] == '\n');
    }
}

static void step_ended(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    if (!worker->busy)
        return;
    record_output(worker, result->output);
    engine_answer(worker, result);
}

static void replied(void *context, const struct reply *reply)
{
    struct step_result result = step_from_reply(reply);
    step_ended(context, &result);
}

/* --- requests --- */

static void add_env(void *context, const char *name, const char *value)
{
    session_env(context, name, value);
}

/* Begins a request that changes something: fenced, and with a token by which the node knows a repeated one. */
static struct session *begin_change(struct worker *worker, const char *verb)
{
    struct session *session = worker->member->session;
    char token[64];
    snprintf(token, sizeof(token), "%s.%" PRIu32, worker->engine->settings->rollout,
             worker->action.token);
    session_begin(session, verb);
    session_add(session, "rollout", worker->engine->settings->rollout);
    session_add(session, "token", token);
    session_addu(session, "fence", worker->fence);
    return session;
}

static void submit(struct worker *worker, int64_t timeout_ms, reply_fn *fn)
{
    struct err err;
    worker->request = session_submit(worker->member->session, timeout_ms, fn, worker, &err);
    if (!worker->request)
        end_with_error(worker, &err);
}

/* The release that an action is about: the target, or what the node ran before us. NULL: none. */
static const char *release_of(const struct worker *worker, const struct action *action)
{
    return action->release == RELEASE_TARGET ? worker->target : worker->previous;
}

/* --- connect, preflight, lock --- */

/* Nothing new on a node before what ran there has ended: with the lock in hand the node's program ends it, or says that it cannot. */
static void settled(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    engine_tell_reverted(worker, reply);
    replied(worker, reply);
}

static void settle(struct worker *worker)
{
    session_begin(worker->member->session, "settle");
    session_addu(worker->member->session, "fence", worker->fence);
    submit(worker, QUICK_TIMEOUT_MS, settled);
}

static void connected(void *context, const struct err *error)
{
    struct worker *worker = context;
    worker->refused = error && error->code == ERR_REFUSED;
    if (!error && worker->fence) {
        settle(worker);
    } else if (!error) {
        end_with(worker, DONE_OK, "");
    } else if (worker->refused) {
        snprintf(worker->trouble, sizeof(worker->trouble), "%s", error->message);
        end_with(worker, DONE_OK, "");
    } else {
        struct step_result result = step_from_error(error);
        engine_answer(worker, &result);
    }
}

static void carry_connect(struct worker *worker)
{
    session_connect(worker->member->session,
                    worker->engine->playbook->retry.connect_timeout_ms, connected, worker);
}

/* Known before the lock is asked for, so that no node is locked when another is not to be had. */
static int check_lock(const struct facts *facts, struct err *err)
{
    if (!facts->lock_holder || facts->lock_expired)
        return 0;
    return err_set(err, ERR_REFUSED,
                   "locked by %s, rollout %s, renewed %llu s ago; wait for its end, or `deployctl unlock`",
                   facts->lock_holder, facts->lock_rollout ? facts->lock_rollout : "unknown",
                   (unsigned long long)facts->lock_age_s);
}

/* A run that nobody ended is somebody's unfinished business: never silently buried under a new one. */
static int check_open(const struct worker *worker, struct err *err)
{
    const struct engine *engine = worker->engine;
    const struct facts *facts = &worker->facts;
    const char *service = engine->playbook->service.name;
    if (engine->settings->kind != RUN_ROLLOUT || engine->settings->resumes || !facts->open_rollout)
        return 0;
    return err_set(err, ERR_REFUSED,
                   "rollout %s did not end here (last step: %s); `deployctl resume %s` goes on, "
                   "`deployctl abort %s` undoes it, --supersede starts over",
                   facts->open_rollout, facts->open_step ? facts->open_step : "none", service, service);
}

/* What this node knows of the data must be what the run was planned by. */
static int check_data(const struct worker *worker, struct err *err)
{
    const struct engine_settings *settings = worker->engine->settings;
    const struct facts *facts = &worker->facts;
    const struct migration_fact *crossed =
        worker->target && settings->kind != RUN_ABORT && !settings->past_reason
            ? facts_crossed(facts, worker->target)
            : NULL;
    if (crossed)
        return err_set(err, ERR_REFUSED,
                       "release %s is from before migration %s, which is irreversible and came with release %s; "
                       "--past-point-of-no-return REASON goes there all the same",
                       worker->target, crossed->name, crossed->release);
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
        rc = check_lock(&worker->facts, err);
    if (rc == 0)
        rc = check_open(worker, err);
    if (rc == 0)
        rc = check_data(worker, err);
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

/* --- balancers --- */

static void ask_balancers(struct worker *worker, enum balancer_wish wish, step_done_fn *fn)
{
    worker->balancing = true;
    balancers_start(worker->engine->fleet->balancers, worker->index, wish, fn, worker);
}

/* A balancer that cannot be asked is found before anything is changed. */
static void balancers_looked(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    struct engine *engine = worker->engine;
    worker->balancing = false;
    if (result->status != DONE_OK) {
        bool cancelled = result->status == DONE_CANCELLED;
        end_with(worker, cancelled ? DONE_CANCELLED : DONE_REFUSED, result->sentence);
        return;
    }
    if (balancers_holds_out(engine->fleet->balancers, worker->index))
        engine_notice(engine, worker->index,
                      "is out of the balancers' traffic already; it comes in when it has passed its gate");
    end_with(worker, DONE_OK, "");
}

static void balanced(void *context, const struct step_result *result)
{
    struct worker *worker = context;
    worker->balancing = false;
    if (result->status == DONE_TIMED_OUT)
        engine_notice(worker->engine, worker->index, "drain: %s; going on", result->sentence);
    engine_answer(worker, result);
}

static void carry_drain(struct worker *worker)
{
    ask_balancers(worker, BALANCER_OUT, balanced);
}

static void carry_enable(struct worker *worker)
{
    ask_balancers(worker, BALANCER_IN, balanced);
}

static void facts_came(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    struct step_result result = step_from_reply(reply);
    struct err err;
    if (!worker->busy)
        return;
    if (result.status != DONE_OK) {
        engine_answer(worker, &result);
        return;
    }
    if (worker->has_facts)
        facts_release(&worker->facts);
    worker->has_facts = true;
    if (facts_read(&worker->facts, reply, &err) < 0 || check_facts(worker, &err) < 0) {
        end_with(worker, DONE_REFUSED, err.message);
        return;
    }
    worker->previous = facts_release_before(&worker->facts);
    worker->serving = worker->facts.current;
    if (worker->engine->settings->kind == RUN_ABORT)
        worker->target = worker->facts.current;
    worker->words.previous = worker->previous;
    if (worker->engine->fleet->balancers)
        ask_balancers(worker, BALANCER_LOOK, balancers_looked);
    else
        end_with(worker, DONE_OK, "");
}

static void carry_preflight(struct worker *worker)
{
    if (worker->refused) {
        end_with(worker, DONE_REFUSED, worker->trouble);
        return;
    }
    session_begin(worker->member->session, "facts");
    submit(worker, QUICK_TIMEOUT_MS, facts_came);
}

static void renewed(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    worker->renewal = 0;
    if (reply->error && !worker->busy)
        engine_lost(worker, reply->error);
    /* Failed, e.g. on a full disk: not lost yet, and when somebody takes it over the node's fence holds. */
    if (reply->error || reply->status != REPLY_REFUSED)
        return;
    snprintf(worker->sentence, sizeof(worker->sentence), "the lock was lost: %s", reply->sentence);
    engine_notice(worker->engine, worker->index, "%s; nothing more is done on any node", worker->sentence);
    struct event event = {.kind = EVENT_LEASE_LOST, .node = worker->index};
    engine_post(worker->engine, &event);
}

/* Before the lock is given back: a renewal that came after it would take the end for a loss. */
static void stop_heartbeat(struct worker *worker)
{
    timer_stop(worker->heartbeat);
    worker->heartbeat = NULL;
    if (worker->renewal && worker->member)
        session_forget(worker->member->session, worker->renewal);
    worker->renewal = 0;
}

/* Keeps the lease, and finds a node that answers nothing although its connection stands. */
static void heartbeat(void *context)
{
    struct worker *worker = context;
    struct session *session = worker->member->session;
    struct err err;
    worker->heartbeat = timer_start(worker->engine->fleet->loop,
                                    worker->engine->patience.heartbeat_ms, heartbeat, worker);
    if (worker->renewal || !worker->fence || !session_is_connected(session))
        return;
    session_begin(session, "renew");
    session_addu(session, "fence", worker->fence);
    worker->renewal = session_submit(session, worker->engine->patience.answer_ms, renewed,
                                      worker, &err);
}

static void locked(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    const char *generation = reply->error ? NULL : reply_get(reply, "generation");
    struct err err;
    if (!generation || reply->status != REPLY_OK ||
        whole_parse(&worker->fence, generation, 1, UINT64_MAX, &err) < 0) {
        replied(worker, reply);
        return;
    }
    if (!worker->heartbeat)
        worker->heartbeat = timer_start(worker->engine->fleet->loop,
                                        worker->engine->patience.heartbeat_ms, heartbeat, worker);
    const char *taken_over = reply_get(reply, "taken_over");
    if (taken_over)
        engine_notice(worker->engine, worker->index, "the lock was %s", taken_over);
    settle(worker);
}

static void carry_lock(struct worker *worker)
{
    struct session *session = worker->member->session;
    session_begin(session, "lock");
    session_add(session, "rollout", worker->engine->settings->rollout);
    session_add(session, "holder", worker->engine->settings->holder);
    session_add(session, "release", worker->target);
    session_add(session, "kind", run_kind_name(worker->engine->settings->kind));
    session_add(session, "reason", worker->engine->settings->past_reason);
    session_add(session, "token", worker->engine->lock_token);
    session_addu(session, "ttl", LOCK_TTL_S);
    submit(worker, QUICK_TIMEOUT_MS, locked);
}

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
        end_with(worker, DONE_FAILED, "out of memory");
}

/* --- activate, hooks, commit, release --- */

static void activated(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    bool switched = !reply->error && (reply->status == REPLY_OK || reply_get(reply, "switched"));
    if (switched && worker->action.undo)
        worker->unconfirmed = false;
    if (switched)
        worker->serving = release_of(worker, &worker->action);
    replied(worker, reply);
}

static void carry_activate(struct worker *worker)
{
    const char *release = release_of(worker, &worker->action);
    struct session *session = begin_change(worker, "activate");
    worker->words.release = release ? release : "";
    session_add(session, "release", release ? release : "-");
    session_addu(session, "timeout_ms", (uint64_t)worker->action.timeout_ms);
    if (!worker->action.undo)
        engine_add_timer(worker, session);
    node_environment(worker->member, &worker->words, add_env, session);
    submit(worker, worker->action.timeout_ms + KILL_GRACE_MS, activated);
}

struct environment {
    struct arena *arena;
    const char **items;
    size_t count;
};

static void add_runner_env(void *context, const char *name, const char *value)
{
    struct environment *environment = context;
    const char **grown = arena_grow(environment->arena, environment->items, environment->count,
                                    sizeof(*environment->items));
    char *item = arena_printf(environment->arena, "%s=%s", name, value);
    if (!grown || !item)
        return;
    environment->items = grown;
    grown[environment->count++] = item;
}

static void runner_hook_ended(void *context, const struct child_result *child)
{
    struct worker *worker = context;
    struct strbuf output;
    char sentence[160] = "";
    struct step_result result = {.status = DONE_FAILED, .sentence = sentence};
    worker->child = NULL;
    if (worker->engine->finished) {
        loop_stop(worker->engine->fleet->loop);
        return;
    }
    strbuf_init(&output, RUNNER_OUTPUT_MAX * 4);
    text_sanitize(&output, child->output, child->output_length, true);
    result.output = output.text;
    if (child->timed_out) {
        result.status = DONE_TIMED_OUT;
        snprintf(sentence, sizeof(sentence), "it did not end in time and was killed");
    } else if (child->signal_number) {
        snprintf(sentence, sizeof(sentence), "ended by signal %d", child->signal_number);
    } else if (child->status != 0) {
        snprintf(sentence, sizeof(sentence), "exit %d", child->status);
    } else {
        result.status = DONE_OK;
    }
    step_ended(worker, &result);
    strbuf_release(&output);
}

extern char **environ;

static void carry_runner_hook(struct worker *worker, const struct hook *hook)
{
    struct engine *engine = worker->engine;
    struct arena arena;
    struct environment environment = {.arena = &arena};
    struct err err;
    const char *const argv[] = {"/bin/sh", "-c", hook->run, NULL};
    arena_init(&arena);
    for (char **item = environ; *item; item++)
        if (strncmp(*item, "DEPLOYCTL_", 10) != 0) {
            const char **grown =
                arena_grow(&arena, environment.items, environment.count, sizeof(*environment.items));
            if (grown) {
                environment.items = grown;
                grown[environment.count++] = *item;
            }
        }
    if (worker->member) {
        node_environment(worker->member, &worker->words, add_runner_env, &environment);
    } else {
        add_runner_env(&environment, "DEPLOYCTL_SERVICE", engine->playbook->service.name);
        add_runner_env(&environment, "DEPLOYCTL_ROLLOUT", engine->settings->rollout);
        add_runner_env(&environment, "DEPLOYCTL_RELEASE",
                       engine->roster.release ? engine->roster.release : "");
    }
    const char **all =
        arena_grow(&arena, environment.items, environment.count, sizeof(*environment.items));
    if (all) {
        all[environment.count] = NULL;
        worker->child = child_start(engine->fleet->loop, argv, all, hook->timeout_ms,
                                    RUNNER_OUTPUT_MAX, runner_hook_ended, worker, &err);
    } else {
        err_set(&err, ERR_MEMORY, "out of memory");
    }
    arena_release(&arena);
    if (!worker->child)
        end_with_error(worker, &err);
}

static void carry_hook(struct worker *worker)
{
    const struct hook *hook = &worker->engine->playbook->hooks[worker->action.hook];
    const char *release = release_of(worker, &worker->action);
    if (worker->member)
        worker->words.release = release ? release : "";
    if (hook->on == HOOK_ON_RUNNER || !worker->member) {
        carry_runner_hook(worker, hook);
        return;
    }
    struct session *session = begin_change(worker, "run");
    session_add(session, "name", hook->name);
    session_add(session, "command", hook->run);
    session_addu(session, "timeout_ms", (uint64_t)hook->timeout_ms);
    node_environment(worker->member, &worker->words, add_env, session);
    submit(worker, hook->timeout_ms + KILL_GRACE_MS, replied);
}

/* --- migrations --- */

static const struct migration *migration_at_hand(const struct worker *worker)
{
    return worker->engine->changes[worker->action.migration]->migration;
}

/* In the new release's folder, whether or not it is current. */
static void submit_command(struct worker *worker, struct session *session, const char *name, const char *command)
{
    const struct migration *migration = migration_at_hand(worker);
    worker->words.release = worker->target;
    session_add(session, "name", name);
    session_add(session, "command", command);
    session_add(session, "release", worker->target);
    session_addu(session, "timeout_ms", (uint64_t)migration->timeout_ms);
    node_environment(worker->member, &worker->words, add_env, session);
    session_env(session, "DEPLOYCTL_MIGRATION", migration->name);
    submit(worker, migration->timeout_ms + KILL_GRACE_MS, replied);
}

static void carry_backup(struct worker *worker)
{
    char name[80];
    snprintf(name, sizeof(name), "backup.%s", migration_at_hand(worker)->name);
    submit_command(worker, begin_change(worker, "run"), name, migration_at_hand(worker)->backup);
}

static void carry_migrate(struct worker *worker)
{
    const struct migration *migration = migration_at_hand(worker);
    bool down = worker->action.step == STEP_UNMIGRATE;
    struct session *session = begin_change(worker, "migrate");
    session_add(session, "kind", change_kind_name(migration->kind));
    session_add(session, "down", down ? "yes" : NULL);
    session_add(session, "again", worker->engine->changes[worker->action.migration]->again ? "yes" : NULL);
    submit_command(worker, session, migration->name, down ? migration->down : migration->run);
}

static void add_migration(struct session *session, const struct migration *migration, const char *release)
{
    char text[160];
    snprintf(text, sizeof(text), "%s %s %s", migration->name, release, change_kind_name(migration->kind));
    session_add(session, "migration", text);
}

/* Every node gets to know what is done, wherever it ran. */
static void add_migrations(struct worker *worker, struct session *session)
{
    struct engine *engine = worker->engine;
    const struct data_plan *data = engine->settings->data;
    for (size_t i = 0; data && i < data->count; i++)
        if (data->changes[i].state == DATA_DONE)
            add_migration(session, data->changes[i].migration, data->changes[i].release);
    for (size_t i = 0; i < engine->migration_count; i++)
        if (rollout_migration(engine->machine, i) == MIGRATION_DONE)
            add_migration(session, engine->changes[i]->migration, worker->target);
}

static void carry_commit(struct worker *worker)
{
    struct session *session = begin_change(worker, "commit");
    session_add(session, "release", worker->target);
    session_add(session, "kind", run_kind_name(worker->engine->settings->kind));
    session_addu(session, "timeout_ms", (uint64_t)worker->action.timeout_ms);
    submit(worker, worker->action.timeout_ms + KILL_GRACE_MS, replied);
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
    replied(worker, reply);
}

static void carry_release(struct worker *worker)
{
    struct node_view view;
    struct err err;
    stop_heartbeat(worker);
    rollout_node(worker->engine->machine, worker->index, &view);
    if (view.outcome == NODE_RESTORED && worker->target && worker->previous != worker->target) {
        struct session *session = begin_change(worker, "failed");
        session_add(session, "release", worker->target);
        session_submit(session, QUICK_TIMEOUT_MS, ignore_reply, worker, &err);
    }
    struct session *session = begin_change(worker, "finish");
    session_add(session, "release", worker->serving ? worker->serving : "-");
    session_add(session, "status", node_outcome_name(view.outcome));
    session_add(session, "result", rollout_result_name(worker->action.result));
    bool open = worker->action.result == RESULT_INTERRUPTED || worker->action.result == RESULT_HELD;
    session_add(session, "open", open ? "yes" : NULL);
    add_migrations(worker, session);
    submit(worker, QUICK_TIMEOUT_MS, released);
}

/* --- probes --- */

static void probed(void *context, bool healthy, const char *evidence, const struct err *error)
{
    struct worker *worker = context;
    struct step_result result = {
        .status = healthy ? DONE_OK : DONE_FAILED, .sentence = evidence, .output = ""};
    if (error)
        result = step_from_error(error);
    if (error)
        result.status = DONE_UNREACHABLE;
    engine_answer(worker, &result);
}

static void carry_probe(struct worker *worker)
{
    if (worker->serving)
        worker->words.release = worker->serving;
    prober_start(worker->prober, probed, worker);
}

static void evidence_came(void *context, const struct reply *reply)
{
    struct worker *worker = context;
    if (!reply->error)
        record_output(worker, reply->output);
}

void engine_ask_evidence(struct worker *worker)
{
    struct session *session = worker->member->session;
    struct err err;
    if (!session_is_connected(session))
        return;
    session_begin(session, "evidence");
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
    if (worker->balancing) {
        balancers_stop(worker->engine->fleet->balancers, worker->index);
        return;
    }
    if (worker->action.step == STEP_PROBE) {
        prober_cancel(worker->prober);
        end_with(worker, DONE_CANCELLED, "cancelled");
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
    worker->cancel_timer = timer_start(worker->engine->fleet->loop, worker->engine->patience.cancel_ms,
                                       cancel_overdue, worker);
}

/* --- the table --- */

static void (*const carriers[STEP_KINDS])(struct worker *worker) = {
    [STEP_CONNECT] = carry_connect,   [STEP_PREFLIGHT] = carry_preflight, [STEP_LOCK] = carry_lock,
    [STEP_PROBE] = carry_probe,       [STEP_STAGE] = carry_stage,         [STEP_DRAIN] = carry_drain,
    [STEP_ACTIVATE] = carry_activate, [STEP_CONFIRM] = engine_carry_confirm,
    [STEP_ENABLE] = carry_enable,    [STEP_HOOK] = carry_hook,
    [STEP_BACKUP] = carry_backup,     [STEP_MIGRATE] = carry_migrate,     [STEP_UNMIGRATE] = carry_migrate,
    [STEP_COMMIT] = carry_commit,     [STEP_RELEASE] = carry_release,
};

/* The machine went on without an answer, e.g. when the connection was lost: a late one must not pass for the next action's. */
static void abandon(struct worker *worker)
{
    timer_stop(worker->cancel_timer);
    worker->cancel_timer = NULL;
    if (!worker->member)
        return;
    session_forget(worker->member->session, worker->request);
    prober_cancel(worker->prober);
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
    worker->action = *action;
    worker->busy = true;
    worker->request = 0;
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
    if (worker->balancing)
        balancers_cancel(worker->engine->fleet->balancers, worker->index);
    worker->balancing = false;
    stop_heartbeat(worker);
    timer_stop(worker->cancel_timer);
    worker->cancel_timer = NULL;
    engine_confirm_release(worker);
    prober_free(worker->prober);
    worker->prober = NULL;
    delivery_free(worker->delivery);
    worker->delivery = NULL;
    if (worker->has_facts)
        facts_release(&worker->facts);
    worker->has_facts = false;
}
