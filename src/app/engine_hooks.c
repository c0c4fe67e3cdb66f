#include <stdio.h>
#include <string.h>

#include "app/environment.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "engine_step.h"

#define RUNNER_OUTPUT_MAX 8192

/* --- what a command of the playbook came to, with its name: a playbook may have many --- */

static void name_command(const struct worker *worker, char *out, size_t size)
{
    const struct engine *engine = worker->engine;
    const struct action *action = &worker->action;
    if (action->step == STEP_HOOK) {
        snprintf(out, size, "step %s", engine->playbook->hooks[action->hook].name);
        return;
    }
    snprintf(out, size, "%smigration %s",
             action->step == STEP_BACKUP ? "backup for "
             : action->step == STEP_UNMIGRATE ? "down of " : "",
             engine->changes[action->migration]->migration->name);
}

/* Only what the command itself did is told of it: not a lost lock or connection. */
static void command_ended(struct worker *worker, const struct step_result *result)
{
    struct step_result named = *result;
    char sentence[SENTENCE_MAX];
    char name[160];
    if (result->status == DONE_FAILED || result->status == DONE_TIMED_OUT || result->status == DONE_CANCELLED) {
        name_command(worker, name, sizeof(name));
        snprintf(sentence, sizeof(sentence), "%s: %.*s", name, SENTENCE_MAX - (int)sizeof(name) - 3,
                 result->sentence);
        named.sentence = sentence;
    }
    step_ended(worker, &named);
}

static void command_replied(void *context, const struct reply *reply)
{
    char sentence[SENTENCE_MAX];
    struct step_result result = step_judge(context, reply, sentence);
    command_ended(context, &result);
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
        snprintf(sentence, sizeof(sentence), "exit status %d", child->status);
    } else {
        result.status = DONE_OK;
    }
    command_ended(worker, &result);
    strbuf_release(&output);
}

static void run_here(struct worker *worker)
{
    struct engine *engine = worker->engine;
    const struct hook *hook = &engine->playbook->hooks[worker->action.hook];
    struct arena arena;
    struct environment environment;
    struct err err;
    const char *const argv[] = {"/bin/sh", "-c", hook->run, NULL};
    arena_init(&arena);
    environment_init(&environment, &arena);
    if (worker->member) {
        node_environment(worker->member, &worker->words, environment_add, &environment);
    } else {
        environment_add(&environment, "DEPLOYCTL_SERVICE", engine->playbook->service.name);
        environment_add(&environment, "DEPLOYCTL_ROLLOUT", engine->settings->rollout);
        environment_add(&environment, "DEPLOYCTL_RELEASE",
                        engine->roster.release ? engine->roster.release : "");
    }
    const char *const *items = environment_items(&environment);
    if (items)
        worker->child = child_start(engine->fleet->loop, argv, items, hook->timeout_ms,
                                    RUNNER_OUTPUT_MAX, runner_hook_ended, worker, &err);
    else
        err_set(&err, ERR_MEMORY, "out of memory");
    arena_release(&arena);
    if (!worker->child)
        step_end_error(worker, &err);
}

void carry_hook(struct worker *worker)
{
    const struct hook *hook = &worker->engine->playbook->hooks[worker->action.hook];
    const char *release = step_release_of(worker, &worker->action);
    if (worker->member)
        worker->words.release = release ? release : "";
    if (hook->on == HOOK_ON_RUNNER || !worker->member) {
        step_with_lease(worker, run_here);
        return;
    }
    struct session *session = step_begin_change(worker, "run");
    session_add(session, "name", hook->name);
    session_add(session, "command", hook->run);
    /* With slots `current` is the release that serves until the commit. */
    if (worker->engine->settings->sides && *worker->words.release)
        session_add(session, "release", worker->words.release);
    session_addu(session, "timeout_ms", (uint64_t)hook->timeout_ms);
    node_environment(worker->member, &worker->words, step_env, session);
    step_submit(worker, hook->timeout_ms + KILL_GRACE_MS, command_replied);
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
    node_environment(worker->member, &worker->words, step_env, session);
    session_env(session, "DEPLOYCTL_MIGRATION", migration->name);
    step_submit(worker, migration->timeout_ms + KILL_GRACE_MS, command_replied);
}

void carry_backup(struct worker *worker)
{
    char name[80];
    snprintf(name, sizeof(name), "backup.%s", migration_at_hand(worker)->name);
    submit_command(worker, step_begin_change(worker, "run"), name, migration_at_hand(worker)->backup);
}

void carry_migrate(struct worker *worker)
{
    const struct migration *migration = migration_at_hand(worker);
    bool down = worker->action.step == STEP_UNMIGRATE;
    struct session *session = step_begin_change(worker, "migrate");
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
void step_add_migrations(struct worker *worker, struct session *session)
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
