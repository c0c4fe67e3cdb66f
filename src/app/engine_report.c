#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/balancer.h"
#include "base/strbuf.h"
#include "engine_internal.h"

static struct worker *worker_of(struct engine *engine, size_t node)
{
    return node == NO_NODE ? &engine->runner : &engine->workers[node];
}

static const char *known_trouble(struct worker *worker, const struct note *note)
{
    enum node_trouble trouble = (enum node_trouble)note->value;
    bool ours = trouble == TROUBLE_INTERRUPTED || trouble == TROUBLE_LEASE_LOST;
    return worker->sentence[0] && !ours ? worker->sentence : node_trouble_name(trouble);
}

/* A lock that could not be given back, or a step for the failure, is not what became of the node. */
static bool only_afterwards(const struct worker *worker)
{
    const struct action *action = &worker->action;
    return action->step == STEP_RELEASE ||
           (action->step == STEP_HOOK && worker->engine->playbook->hooks[action->hook].when == HOOK_ON_FAILURE);
}

static void report_trouble(struct engine *engine, const struct note *note)
{
    struct worker *worker = worker_of(engine, note->node);
    enum node_trouble trouble = (enum node_trouble)note->value;
    char text[SENTENCE_MAX + 64];
    const char *phase = step_name(worker->action.step);
    if (note->node != NO_NODE) {
        struct node_view view;
        rollout_node(engine->machine, note->node, &view);
        phase = step_name(view.trouble_step);
    }
    bool gate = trouble == TROUBLE_GATE_CLOSED || trouble == TROUBLE_FELL_IN_BAKE;
    if (trouble == TROUBLE_UNHEALTHY_BEFORE)
        snprintf(text, sizeof(text), "%s: %s", node_trouble_name(trouble), known_trouble(worker, note));
    else if (gate)
        snprintf(text, sizeof(text), "%s: last probe: %s", node_trouble_name(trouble),
                 known_trouble(worker, note));
    else
        snprintf(text, sizeof(text), "%s", known_trouble(worker, note));
    if (!worker->trouble[0] || !only_afterwards(worker))
        snprintf(worker->trouble, sizeof(worker->trouble), "%.*s", SENTENCE_MAX - 1, text);
    struct record record = {
        .kind = RECORD_TROUBLE, .node = note->node, .phase = gate ? "gate" : phase, .text = text};
    engine_record(engine, &record);
    if (gate && note->node != NO_NODE)
        engine_ask_evidence(worker);
}

static void report_phase(struct engine *engine, const struct note *note)
{
    struct worker *worker = worker_of(engine, note->node);
    struct record record = {.kind = RECORD_PHASE,
                            .node = note->node,
                            .phase = node_phase_name((enum node_phase)note->value),
                            .release = worker->serving};
    engine_record(engine, &record);
}

static void report_spent(struct engine *engine, enum spend_reason reason)
{
    bool back = engine->settings->kind == RUN_ROLLOUT && engine->playbook->failure.action == FAILURE_ROLLBACK;
    bool stays = reason == SPENT_BY_MIGRATION;
    engine_notice(engine, SIZE_MAX, "%s: %s", spend_reason_name(reason),
                  stays ? "no node is changed"
                  : rollout_no_way_back(engine->machine)
                      ? "past the point of no return nothing is rolled back, and no further node is touched"
                  : back ? "going back to the previous release" : "no further node is touched");
}

static void report_migration(struct engine *engine, const struct note *note)
{
    const struct migration *migration = engine->changes[note->migration]->migration;
    enum migration_state state = (enum migration_state)note->value;
    size_t node = note->node == NO_NODE ? SIZE_MAX : note->node;
    if (state == MIGRATION_UNKNOWN)
        engine_notice(engine, node,
                      "migration %s (%s): nobody knows whether it was done; look at the data, then say --migration "
                      "%s=done or --migration %s=again",
                      migration->name, change_kind_name(migration->kind), migration->name, migration->name);
    else
        engine_notice(engine, node, "migration %s (%s): %s", migration->name, change_kind_name(migration->kind),
                      migration_state_name(state));
}

static void report_state(struct engine *engine, const struct note *note)
{
    struct record record = {
        .kind = RECORD_STATE, .node = SIZE_MAX, .state = rollout_state_name((enum rollout_state)note->value)};
    engine_record(engine, &record);
}

static void report_wave(struct engine *engine, const struct note *note)
{
    struct record record = {
        .kind = RECORD_WAVE, .node = SIZE_MAX, .wave = note->wave, .wave_count = engine->roster.wave_count};
    engine_record(engine, &record);
}

static void report_probe(struct engine *engine, const struct note *note)
{
    struct record record = {.kind = RECORD_PROBE,
                            .node = note->node,
                            .healthy = note->value != 0,
                            .text = worker_of(engine, note->node)->sentence};
    engine_record(engine, &record);
}

static void report_retry(struct engine *engine, const struct note *note)
{
    struct worker *worker = worker_of(engine, note->node);
    struct record record = {.kind = RECORD_RETRY,
                            .node = note->node,
                            .phase = step_name(worker->action.step),
                            .done = (uint64_t)note->delay_ms,
                            .text = worker->sentence};
    retries_taken_by_node(&engine->fleet->retries);
    engine_record(engine, &record);
}

static void report_outcome(struct engine *engine, const struct note *note)
{
    struct record record = {.kind = RECORD_OUTCOME,
                            .node = note->node,
                            .outcome = node_outcome_name((enum node_outcome)note->value),
                            .release = worker_of(engine, note->node)->serving};
    engine_withdraw_failed(engine, note->node);
    engine_record(engine, &record);
}

static void report_blocked(struct engine *engine, bool forever)
{
    engine_notice(engine, SIZE_MAX, "%s",
                  forever ? "the quorum leaves no node that may be taken out of service: lower it, or mend the nodes that are out"
                  : engine->playbook->strategy.quorum
                      ? "waiting: max_unavailable and quorum allow no further node to be out of service"
                      : "waiting: max_unavailable allows no further node to be out of service");
}

void engine_report_note(struct engine *engine, const struct note *note)
{
    switch (note->kind) {
    case NOTE_STATE:
        report_state(engine, note);
        break;
    case NOTE_WAVE:
        report_wave(engine, note);
        break;
    case NOTE_PHASE:
        report_phase(engine, note);
        break;
    case NOTE_PROBE:
        report_probe(engine, note);
        break;
    case NOTE_RETRY:
        report_retry(engine, note);
        break;
    case NOTE_BREAKER:
        engine_report_breaker(engine, note);
        break;
    case NOTE_TROUBLE:
        report_trouble(engine, note);
        break;
    case NOTE_OUTCOME:
        report_outcome(engine, note);
        break;
    case NOTE_BUDGET_SPENT:
        engine->spent = true;
        report_spent(engine, (enum spend_reason)note->value);
        break;
    case NOTE_BLOCKED:
        report_blocked(engine, note->value != 0);
        break;
    case NOTE_DEFERRED:
        engine_notice(engine, note->node, "leads now: goes last");
        break;
    case NOTE_MIGRATION:
        report_migration(engine, note);
        break;
    case NOTE_RESULT:
        break; /* engine_report_end tells it, after the nodes */
    }
}

/* --- the end --- */

const char *engine_playbook_name(const struct engine *engine)
{
    return engine->settings->playbook_name ? engine->settings->playbook_name : engine->playbook->service.name;
}

struct counts {
    size_t of[NODE_OUTCOMES];
};

static void what_to_do(struct strbuf *out, struct engine *engine, struct worker *worker,
                       const struct node_view *view)
{
    const char *service = engine_playbook_name(engine);
    const char *node = worker->member->node->name;
    const char *trouble = worker->trouble[0] ? worker->trouble : "";
    switch (view->outcome) {
    case NODE_NEEDS_CARE: {
        strbuf_adds(out, trouble);
        if (!view->touched && !view->control) {
            strbuf_addf(out, "%sunhealthy, and not changed by this run: look at the node; `deployctl logs %s --limit %s` shows its log",
                        out->length ? "; " : "", service, node);
            break;
        }
        if (view->control) {
            strbuf_addf(out, "%staken out to be restarted as a control, on release %s that it had: there is nothing to go back to, look at the node",
                        out->length ? "; " : "", worker->serving ? worker->serving : "-");
            break;
        }
        if (worker->unconfirmed)
            strbuf_addf(out, "%snot confirmed: its own timer puts %s back", out->length ? "; " : "",
                        worker->previous ? worker->previous : "no release");
        /* What goes on is the whole run, here or, after a lost lock, elsewhere: nobody is to move this node alone. */
        if (engine->outcome.result == RESULT_INTERRUPTED || engine->outcome.result == RESULT_RUNNING)
            break;
        strbuf_adds(out, out->length ? "; " : "");
        if (engine->lease_lost) {
            strbuf_addf(out, "`deployctl status %s` shows who has it now, and how it stands", service);
            break;
        }
        /* Always by name: a node that links it already would go to the one before. */
        const char *release = engine->settings->kind == RUN_ROLLBACK ? worker->target : worker->previous;
        strbuf_addf(out, "look at the node, then: deployctl %s %s --limit %s%s%s", release ? "rollback" : "rollout", service,
                    node, release ? " --to " : "", release ? release : "");
        break;
    }
    case NODE_SKIPPED:
    case NODE_UNREACHABLE:
        strbuf_addf(out, "%s", trouble);
        break;
    case NODE_OUTSIDE:
        if (view->unhealthy_before)
            strbuf_adds(out, "unhealthy: it counts as out of service");
        else if (view->trouble == TROUBLE_UNREACHABLE)
            strbuf_addf(out, "not locked: %s", trouble);
        break;
    case NODE_REFUSED:
    case NODE_FAILED:
    case NODE_RESTORED:
        strbuf_adds(out, trouble);
        break;
    default:
        if (view->unhealthy_before && view->outcome == NODE_PENDING)
            strbuf_adds(out, "was unhealthy before the rollout");
        else if (view->fresh)
            strbuf_adds(out, "was restarted as a fresh control, on the release that it has");
        break;
    }
}

/* Whoever has the lock now may have changed that since. */
static void add_left_out(struct strbuf *advice, const struct engine *engine, size_t node)
{
    const struct balancers *balancers = engine->fleet->balancers;
    bool held_out = balancers && !engine->settings->sides && balancers_holds_out(balancers, node);
    struct strbuf where;
    if (!held_out && !(balancers && engine->lease_lost && balancers_unwritten(balancers, node)))
        return;
    strbuf_init(&where, SENTENCE_MAX);
    balancers_describe_out(balancers, node, &where);
    if (engine->lease_lost && where.length)
        strbuf_addf(advice, "%s%s and it was not put back, as the lock was lost: when no run has it, `deployctl resume %s` or `deployctl abort %s` puts it in",
                    advice->length ? "; " : "", where.text, engine_playbook_name(engine), engine_playbook_name(engine));
    else if (engine->lease_lost)
        strbuf_addf(advice, "%severy balancer had it in its traffic when it was last read", advice->length ? "; " : "");
    else
        strbuf_addf(advice, "%sit is left out of the balancers' traffic: see `deployctl status %s`", advice->length ? "; " : "",
                    engine_playbook_name(engine));
    strbuf_release(&where);
}

static void report_node(struct engine *engine, struct worker *worker, struct counts *counts)
{
    struct node_view view;
    struct strbuf advice;
    rollout_node(engine->machine, worker->index, &view);
    /* Left at once: nobody has decided yet what became of it. */
    if (view.outcome == NODE_PENDING && view.touched)
        view.outcome = NODE_NEEDS_CARE;
    counts->of[view.outcome]++;
    strbuf_init(&advice, 2 * SENTENCE_MAX);
    what_to_do(&advice, engine, worker, &view);
    add_left_out(&advice, engine, worker->index);
    struct record record = {.kind = RECORD_OUTCOME,
                            .node = worker->index,
                            .outcome = node_outcome_name(view.outcome),
                            .release = worker->serving,
                            .text = advice.length ? advice.text : NULL,
                            .final = true};
    engine_record(engine, &record);
    strbuf_release(&advice);
}

static void list_counts(struct strbuf *out, const struct counts *counts)
{
    for (int outcome = 0; outcome < NODE_OUTCOMES; outcome++)
        if (counts->of[outcome])
            strbuf_addf(out, "%s%zu %s", out->length ? ", " : "", counts->of[outcome],
                        node_outcome_name((enum node_outcome)outcome));
}

/* Which migrations of this run ended how, and what that means for going back. */
static void add_data(struct strbuf *out, const struct engine *engine)
{
    enum rollout_result result = engine->outcome.result;
    const char *lead = "; migrations: ";
    for (size_t i = 0; i < engine->migration_count; i++) {
        strbuf_addf(out, "%s%s %s", lead, engine->changes[i]->migration->name,
                    migration_state_name(rollout_migration(engine->machine, i)));
        lead = ", ";
    }
    if (result == RESULT_NEEDS_CARE && rollout_no_way_back(engine->machine))
        strbuf_addf(out,
                    "; past the point of no return nothing is rolled back: mend the release and roll out again, or "
                    "`deployctl rollback %s --past-point-of-no-return REASON`",
                    engine_playbook_name(engine));
}

/* Whoever has the lock now decides; what to run when nobody does. */
static void add_lost_lock(struct strbuf *out, const struct engine *engine)
{
    const char *service = engine_playbook_name(engine);
    if (!engine->lease_lost)
        return;
    strbuf_addf(out, "; the lock was lost, so nothing was undone, and the locks still held were given back: `deployctl status %s` shows who has it now",
                service);
    if (engine->outcome.result == RESULT_NEEDS_CARE)
        strbuf_addf(out, "; when nobody has, `deployctl resume %s` goes on, `deployctl abort %s` undoes it", service, service);
}

/* While a canary is held no run watches its weights. */
static void add_weights(struct strbuf *out, const struct engine *engine)
{
    bool forgets = false;
    for (size_t i = 0; i < engine->fleet->front_count; i++)
        forgets = forgets || engine->fleet->fronts[i].balancer->kind == BALANCER_HAPROXY;
    if (engine_shares(engine) && forgets && engine->outcome.result == RESULT_HELD)
        strbuf_addf(out,
                    "; until then no run watches the canary's share: an HAProxy that is reloaded has the weights of its configuration again, "
                    "unless it loads a server-state file, and `deployctl status %s` shows them",
                    engine_playbook_name(engine));
}

static void result_sentence(struct strbuf *out, const struct engine *engine, const struct counts *counts)
{
    const char *service = engine_playbook_name(engine);
    struct strbuf list;
    strbuf_init(&list, 512);
    list_counts(&list, counts);
    switch (engine->outcome.result) {
    case RESULT_DONE:
        strbuf_addf(out, "done: %s", list.text);
        break;
    case RESULT_NOTHING:
        strbuf_addf(out, "nothing to do: every node runs the release already");
        break;
    case RESULT_ROLLED_BACK:
        strbuf_addf(out, "failed, and every touched node is back on its previous release: %s", list.text);
        break;
    case RESULT_NEEDS_CARE:
        strbuf_addf(out, "failed, and some nodes need care: %s", list.text);
        break;
    case RESULT_HELD:
        if (engine->undecided) {
            strbuf_addf(out,
                        "held: the analyses give no verdict: %s; `deployctl resume %s` judges the wave again, "
                        "`deployctl abort %s` undoes it",
                        list.text, service, service);
            break;
        }
        if (!engine->spent) {
            strbuf_addf(out, "held after %zu of %zu waves: %s; `deployctl %s %s` goes on, `deployctl abort %s` undoes it",
                        rollout_waves_passed(engine->machine), engine->roster.wave_count, list.text,
                        engine->wish ? "resume" : "promote", service, service);
            break;
        }
        strbuf_addf(out, "held (action = pause): %s; `deployctl resume %s` goes on, `deployctl abort %s` undoes it",
                    list.text, service, service);
        break;
    case RESULT_REFUSED:
        strbuf_addf(out, "refused before anything was changed: %s", list.text);
        break;
    case RESULT_UNREACHABLE:
        strbuf_addf(out, "nodes unreachable, nothing was changed: %s", list.text);
        break;
    case RESULT_INTERRUPTED:
    case RESULT_RUNNING:
        if (engine->outcome.unwritten)
            strbuf_addf(out, "the journal cannot be written (%s): ", engine->unwritten.message);
        strbuf_addf(out,
                    "interrupted: %s; `deployctl status %s` shows the nodes, `deployctl resume %s` goes on, "
                    "`deployctl abort %s` undoes it",
                    list.text, service, service, service);
        break;
    }
    add_weights(out, engine);
    add_lost_lock(out, engine);
    add_data(out, engine);
    strbuf_release(&list);
}

void engine_report_end(struct engine *engine)
{
    struct counts counts = {{0}};
    struct strbuf sentence;
    strbuf_init(&sentence, 8192);
    for (size_t i = 0; i < engine->fleet->count; i++)
        report_node(engine, &engine->workers[i], &counts);
    result_sentence(&sentence, engine, &counts);
    struct record record = {.kind = RECORD_RESULT,
                            .node = SIZE_MAX,
                            .result = rollout_result_name(engine->outcome.result),
                            .exit_code = engine_exit_code(&engine->outcome),
                            .text = sentence.text};
    engine_record(engine, &record);
    strbuf_release(&sentence);
}
