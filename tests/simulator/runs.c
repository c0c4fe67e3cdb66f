#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/engine.h"
#include "app/fleet.h"
#include "app/migrations.h"
#include "app/rollback_targets.h"
#include "app/shares.h"
#include "app/sides.h"
#include "app/sink.h"
#include "app/survey.h"
#include "outside.h"
#include "parsed.h"
#include "world.h"

const char release_older[] = "20260101T000000Z-000000000001", release_before[] = "20260102T000000Z-000000000002";

const char *release_new(int which)
{
    return which ? "20260104T000000Z-000000000004" : "20260103T000000Z-000000000003";
}

/* Read once a world, shared by its runners as files are. */
static struct parsed inventory, playbook;

static void write_waves(const struct world_plan *plan, char *out, size_t size)
{
    if (plan->blue_green)
        snprintf(out, size, "type = blue-green\nkeep_old = 30s\n");
    else if (plan->canary)
        snprintf(out, size, "type = canary\nsteps = 34%%:1s, 67%%:2s, 100%%\nmax_unavailable = %u\n", plan->max_unavailable);
    else
        snprintf(out, size, "batch = %u\nmax_unavailable = %u\n", plan->batch, plan->max_unavailable);
}

static void write_playbook(const struct world_plan *plan, struct strbuf *out)
{
    static const char *const actions[] = {"rollback", "pause", "stop"}, *const places[] = {"node", "first", "runner"};
    char waves[120];
    write_waves(plan, waves, sizeof(waves));
    strbuf_addf(out,
                "[service]\nname = shop\nhosts = all\nroot = /srv/shop\nport = 8080\nstart = run\nstop = end\n"
                "[source]\ndir = .\n"
                "[strategy]\n%sbake = %llds\n%s"
                "[health]\ncommand = ask\nrise = 2\nfall = 2\ninterval = 1s\ntimeout = 2s\n"
                "min_healthy_time = 2s\nhealthy_deadline = 20s\nprogress_deadline = 2m\n"
                "[failure]\nmax_failures = %u\nunreachable = %s\naction = %s\n"
                "[retry]\nattempts = %u\nstep_timeout = 40s\n",
                waves, (long long)plan->bake_s, plan->confirms ? "confirm = 60s\n" : "",
                plan->max_failures, plan->skip ? "skip" : "fail", actions[plan->action], plan->attempts);
    if (plan->blue_green)
        strbuf_adds(out, "[slot blue]\nport = 8081\n[slot green]\nport = 8082\n");
    for (size_t i = 1; i <= plan->balancers; i++)
        strbuf_addf(out,
                    "[balancer front%zu]\ntype = command\non = runner\nserver = %s\ndrain = drain %zu\nready = ready %zu\n"
                    "state = state %zu\nweight = weight %zu\ntimeout = 4s\ndrain_timeout = 6s\n",
                    i, plan->blue_green ? "{node}-{slot}" : "{node}", i, i, i, i);
    for (size_t i = 0; i < plan->hook_count; i++)
        strbuf_addf(out, "[step hook%zu]\nwhen = %s\non = %s\nrun = hook\ntimeout = 20s\n%s", i, plan->hooks[i].when,
                    places[plan->hooks[i].place], plan->hooks[i].ignored ? "ignore_failure = yes\n" : "");
    if (plan->expand)
        strbuf_addf(out, "[migration widen]\nrun = widen\nkind = expand\n%s", plan->has_down ? "down = narrow\n" : "");
    if (plan->irreversible)
        strbuf_adds(out, "[migration burn]\nrun = burn\nkind = irreversible\n");
    if (plan->contract)
        strbuf_adds(out, "[migration tidy]\nrun = tidy\nkind = contract\n");
}

bool runs_prepare(struct world *world, struct err *err)
{
    struct strbuf text;
    strbuf_init(&text, 8192);
    for (size_t i = 0; i < world->plan->node_count; i++)
        strbuf_addf(&text, "%s address=10.0.0.%zu\n", world->nodes[i].name, i + 1);
    parsed_inventory(&inventory, text.text, text.length);
    strbuf_reset(&text);
    write_playbook(world->plan, &text);
    parsed_playbook(&playbook, text.text, text.length, NULL, 0, &inventory.inventory);
    strbuf_release(&text);
    if (inventory.code < 0 || playbook.code < 0) {
        err_set(err, ERR_INPUT, "%s%s", inventory.told, playbook.told);
        return false;
    }
    return true;
}

void runs_release(void)
{
    parsed_release(&playbook);
    parsed_release(&inventory);
}

/* What the run says of itself at its end: to be compared with the truth. */
struct listener {
    struct sink sink;
    struct run *run;
};

static void hear(struct sink *sink, const struct record *record)
{
    struct run *run = ((struct listener *)(void *)sink)->run;
    if (runner_dead(runner_current()))
        return;
    size_t node = record->node;
    if (record->kind == RECORD_PHASE && strcmp(record->phase, "drain") == 0)
        laws_drain_begins(run, node);
    if (record->kind == RECORD_OUTCOME && record->final)
        snprintf(run->seen[node].outcome, sizeof(run->seen[0].outcome), "%s", record->outcome);
    if (record->kind == RECORD_RESULT) {
        run->results++;
        snprintf(run->result, sizeof(run->result), "%s", record->result);
    }
    if (telling() && (record->kind == RECORD_NOTICE || record->kind == RECORD_RESULT || record->kind == RECORD_TROUBLE ||
                      (record->kind == RECORD_OUTCOME && record->final)))
        tell("run %zu: %s%s%s%s%s", run->index + 1,
             node == SIZE_MAX ? "" : run->world->nodes[node].name, node == SIZE_MAX ? "" : ": ",
             record->kind == RECORD_OUTCOME ? record->outcome : "",
             record->kind == RECORD_OUTCOME && record->text ? ": " : "", record->text ? record->text : "");
}

static void finish_listening(struct sink *sink)
{
    (void)sink;
}

static void name_run(struct run *run)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(run->rollout, sizeof(run->rollout), "%Y%m%dT%H%M%SZ", &utc);
    snprintf(run->rollout + strlen(run->rollout), 8, "-%04x", (unsigned)(clock_random() & 0xffff));
    snprintf(run->journal, sizeof(run->journal), "%s.jsonl", run->rollout);
}

/* One invocation of the program. */
struct invocation {
    struct run *run;
    struct arena arena;
    struct fleet *fleet;
    struct survey survey;
    struct data_plan data;
    bool has_data;
    const char **targets;
    bool outside[NODES_MAX]; /* by the run's --limit, or that of the run that it goes on with */
    const char *limit;       /* NULL: none */
    char chain[SURVEY_CHAIN];
    struct waves waves;
    struct package *package;
    struct sides sides;
    bool has_sides, stages_again, half_committed;
    size_t waves_passed;
    uint32_t share;
};

static int go(struct invocation *this, enum run_kind kind, bool resumes)
{
    struct run *run = this->run;
    struct engine_outcome outcome;
    struct err err;
    struct listener listener = {.sink = {.record = hear, .finish = finish_listening}, .run = run};
    struct sinks sinks = {.count = 0};
    const struct facts **seen = this->survey.nodes ? arena_alloc(&this->fleet->arena, (this->survey.count + 1) * sizeof(*seen)) : NULL;
    for (size_t i = 0; seen && i < this->survey.count; i++)
        seen[i] = this->survey.nodes[i].answered ? &this->survey.nodes[i].facts : NULL;
    struct engine_settings settings = {
        .fleet = this->fleet,
        .playbook = &playbook.playbook,
        .sinks = &sinks,
        .package = this->package,
        .seen = seen,
        .targets = this->targets,
        .kind = kind,
        .outside = this->outside,
        .limit = this->limit,
        .resumes = resumes,
        .chain = *this->chain ? this->chain : NULL,
        .rollout = run->rollout,
        .holder = "operator@runner",
        .description = "simulated",
        .waves = this->waves,
        .stages_again = this->stages_again,
        .half_committed = this->half_committed,
        .waves_passed = this->waves_passed,
        .share = this->share,
        .forks = run->world->plan->forks,
        .sides = this->has_sides ? &this->sides : NULL,
        .data = this->has_data ? &this->data : NULL,
    };
    sinks_add(&sinks, sink_journal_create(run->journal, &err));
    sinks_add(&sinks, &listener.sink);
    for (size_t i = 0; i < this->fleet->count; i++)
        snprintf(run->seen[i].target, sizeof(run->seen[i].target), "%s",
                 kind != RUN_ABORT && this->targets[i] ? this->targets[i] : "");
    /* what is left of waves that have passed is done in the next one */
    for (size_t i = 0; i < run->member_count; i++)
        if (run->wave_of[run->members[i]] < this->waves_passed)
            run->wave_of[run->members[i]] = this->waves_passed;
    run->engine = true;
    int rc = engine_run(&settings, &outcome, &err);
    sinks_finish(&sinks);
    return rc < 0 ? 65 : engine_exit_code(&outcome);
}

/* As cmd/inputs.c's canary_waves. */
static int canary_waves(struct invocation *this, size_t count, struct err *err)
{
    const struct strategy *strategy = &playbook.playbook.strategy;
    size_t steps = strategy->steps.count;
    struct wave_rule *rules = arena_alloc(&this->arena, steps * sizeof(*rules));
    uint32_t *weights = arena_alloc(&this->arena, (count + 1) * sizeof(*weights));
    for (size_t i = 0; i < count; i++)
        weights[i] = inventory.inventory.nodes[this->run->members[i]].weight;
    for (size_t i = 0; i < steps; i++) {
        const struct canary_step *step = &strategy->steps.items[i];
        rules[i] = (struct wave_rule){.share = step->percent * (SHARE_ALL / 100),
                                      .bake_ms = step->bake_ms == BAKE_OF_STRATEGY ? strategy->bake_ms : step->bake_ms};
    }
    return waves_by_share(&this->waves, count, playbook.playbook.balancer_count ? weights : NULL, rules, steps, false, &this->arena,
                          err);
}

/* As cmd/inputs.c's switch_waves. */
static int switch_waves(struct invocation *this, size_t count, struct err *err)
{
    struct wave_rule *rules = arena_alloc(&this->arena, 2 * sizeof(*rules));
    rules[0] = (struct wave_rule){.share = 0};
    rules[1] = (struct wave_rule){.share = SHARE_ALL, .bake_ms = playbook.playbook.strategy.bake_ms};
    return waves_by_share(&this->waves, count, NULL, rules, 2, true, &this->arena, err);
}

/* As cmd/inputs.c's inputs_waves. */
static int make_waves(struct invocation *this, size_t count, struct err *err)
{
    const struct strategy *strategy = &playbook.playbook.strategy;
    int rc = strategy->kind == STRATEGY_CANARY       ? canary_waves(this, count, err)
             : strategy->kind == STRATEGY_BLUE_GREEN ? switch_waves(this, count, err)
                                                     : waves_compile(&this->waves, count, NULL, strategy->batch, strategy->batch_count, &this->arena, err);
    for (size_t wave = 0; rc == 0 && wave < this->waves.count; wave++)
        for (size_t i = 0; i < this->waves.items[wave].count; i++) {
            size_t *node = &this->waves.items[wave].nodes[i];
            *node = this->run->members[*node];
            this->run->wave_of[*node] = wave;
        }
    return rc;
}

/* As cmd/inputs.c's inputs_mark_limit, and what follows from it: the other nodes are locked, and nothing more is done there. */
static int take_limit(struct invocation *this, const char *limit, struct err *err)
{
    struct run *run = this->run;
    this->limit = limit;
    run->member_count = 0;
    for (size_t i = 0; i < this->fleet->count; i++) {
        bool named = !limit;
        for (const char *word = limit; word && !named; word = strchr(word, ','), word += word != NULL)
            named = strlen(run->world->nodes[i].name) == strcspn(word, ",") &&
                    strncmp(word, run->world->nodes[i].name, strcspn(word, ",")) == 0;
        this->outside[i] = this->fleet->members[i].outside = !named;
        if (named)
            run->members[run->member_count++] = i;
    }
    return make_waves(this, run->member_count, err);
}

static const char *limit_of(const struct run *run, char *out, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; run->plan && run->plan->limit && i < run->world->plan->node_count; i++)
        if (run->plan->limit >> i & 1)
            length += (size_t)snprintf(out + length, size - length, "%s%s", length ? "," : "", run->world->nodes[i].name);
    return length ? out : NULL;
}

static int survey(struct invocation *this)
{
    struct err err;
    int rc = this->survey.nodes ? 0 : survey_run(&this->survey, this->fleet, this->run->world->plan->forks, false, &err);
    if (rc)
        return rc > 0 ? 128 + rc : 65;
    return survey_unanswered(&this->survey) == survey_members(&this->survey) ? 69 : 0;
}

/* As cmd/run.c's run_open and run_goes_on: whoever goes on with a run, or undoes it, does that for the nodes that it was begun for. */
static int find_open(struct invocation *this, struct open_run *open)
{
    struct err err;
    int code = survey(this);
    if (code)
        return code;
    *open = survey_open_run(&this->survey);
    this->run->open_found = open->rollout != NULL;
    if (!open->rollout)
        return 0;
    snprintf(this->run->goes_on, sizeof(this->run->goes_on), "%s", open->rollout);
    if (open->limit && take_limit(this, arena_strdup(&this->arena, open->limit), &err) < 0)
        return 65;
    survey_mark_outside(&this->survey, this->fleet);
    survey_chain(&this->survey, open, this->chain);
    return 0;
}

/* As cmd/run.c's run_data and run_check_data. */
static int plan_data(struct invocation *this)
{
    struct err err;
    int code = survey(this);
    if (code && code != 69)
        return code;
    if (data_plan_make(&this->data, &playbook.playbook, this->fleet, &this->survey, NULL, 0, &this->arena, &err) < 0)
        return 65;
    this->has_data = true;
    if (data_plan_check(&this->data, this->fleet, &this->survey, this->limit != NULL, &err) < 0 ||
        data_check_targets(this->fleet, &this->survey, this->targets, &err) < 0) {
        tell("run %zu: %s", this->run->index + 1, err.message);
        return 4;
    }
    return 0;
}

static void pack(struct invocation *this, const char *release)
{
    this->package = outside_package(release);
    for (size_t i = 0; i < this->fleet->count; i++)
        this->targets[i] = this->outside[i] ? NULL : package_release(this->package);
}

/* As cmd/run.c's run_sides. `begins`: something new, which nothing may be half done for. */
static int read_sides(struct invocation *this, const char *chain, bool begins)
{
    struct err err;
    if (playbook.playbook.strategy.kind != STRATEGY_BLUE_GREEN)
        return 0;
    int code = survey(this);
    if (code || survey_unanswered(&this->survey))
        return code ? code : 69;
    int rc = sides_read(&this->sides, this->fleet, &this->survey, chain, &err);
    if (rc < 0)
        tell("run %zu: %s", this->run->index + 1, err.message);
    if (rc < 0 || (begins && this->sides.begun))
        return 4;
    this->has_sides = true;
    if (this->sides.switching)
        this->waves_passed = 1;
    return 0;
}

static int rollout(struct invocation *this, bool supersedes)
{
    pack(this, release_new(this->run->plan ? this->run->plan->release : 0));
    bool data = playbook.playbook.migration_count || supersedes;
    int code = data ? plan_data(this) : 0;
    if (!code)
        code = read_sides(this, NULL, true);
    return code ? code : go(this, RUN_ROLLOUT, supersedes);
}

static int check_targets(struct invocation *this)
{
    struct err err;
    return data_check_targets(this->fleet, &this->survey, this->targets, &err) < 0 ? 4 : 0;
}

/* As cmd/run.c's run_check_undo. */
static int check_undo(struct invocation *this)
{
    struct err err;
    int code = check_targets(this);
    return code || data_check_undo(this->fleet, &this->survey, this->chain, &err) == 0 ? code : 4;
}

/* As cmd/open_run.c: its commits had begun, some nodes have committed, others have not. */
static bool half_committed(const struct invocation *this, const struct open_run *open)
{
    bool some = false, all = true;
    for (size_t i = 0; i < this->survey.count; i++) {
        const struct facts *facts = &this->survey.nodes[i].facts;
        const char *before;
        if (this->outside[i])
            continue;
        bool there = this->survey.nodes[i].answered && facts->current && open->release && strcmp(facts->current, open->release) == 0;
        bool committed = there && facts_take_back(facts, this->chain, &before);
        some |= committed;
        all &= committed || (there && facts->current_good);
    }
    return some && !all;
}

/* As cmd/open_run.c's open_run_go_on and what cmd/resume.c does before. */
static int go_on(struct invocation *this, const struct open_run *open)
{
    bool forward = open->kind == RUN_ROLLOUT;
    int code = read_sides(this, open->kind == RUN_ABORT ? this->chain : NULL, false);
    if (code)
        return code;
    if (forward && open->release && this->waves.rules && !this->has_sides)
        this->waves_passed = shares_waves_passed(&this->waves, survey_waves_passed(&this->survey, this->fleet, &this->waves, open->release),
                                                 shares_seen(this->fleet, &this->survey, open->release));
    if (forward && open->release)
        pack(this, open->release);
    if (forward && open->release)
        this->share = shares_seen(this->fleet, &this->survey, open->release);
    survey_resume_targets(&this->survey, open, this->chain, this->targets);
    this->run->undoes = open->kind == RUN_ABORT;
    code = forward ? plan_data(this) : this->run->undoes ? check_undo(this) : 0;
    this->stages_again = forward && open->release && this->waves_passed == 0 &&
                         survey_waves_passed(&this->survey, this->fleet, &this->waves, open->release) == 0;
    this->half_committed = forward && half_committed(this, open);
    return code ? code : go(this, open->kind, true);
}

static int resume(struct invocation *this)
{
    struct open_run open;
    int code = find_open(this, &open);
    if (code || !open.rollout)
        return code;
    tell("run %zu: goes on with %s %s", this->run->index + 1, run_kind_name(open.kind), open.rollout);
    return go_on(this, &open);
}

static int undo(struct invocation *this)
{
    struct open_run open;
    int code = find_open(this, &open);
    if (code || !open.rollout)
        return code;
    tell("run %zu: undoes %s %s", this->run->index + 1, run_kind_name(open.kind), open.rollout);
    this->run->undoes = true;
    survey_undo_targets(&this->survey, this->chain, this->targets);
    code = read_sides(this, this->chain, false);
    if (!code)
        code = check_undo(this);
    return code ? code : go(this, RUN_ABORT, true);
}

static int rollback(struct invocation *this)
{
    int code = survey(this);
    if (code)
        return code;
    struct err err;
    code = read_sides(this, NULL, true);
    if (code)
        return code;
    if (this->has_sides)
        sides_rollback_targets(&this->sides, this->fleet, this->targets);
    else if (rollback_targets(&this->survey, false, this->targets, &err) < 0)
        return 4;
    code = check_targets(this);
    return code ? code : go(this, RUN_ROLLBACK, false);
}

static int invoke(struct invocation *this)
{
    switch (this->run->verb) {
    case VERB_ROLLOUT:
    case VERB_SUPERSEDE:
        return rollout(this, this->run->verb == VERB_SUPERSEDE);
    case VERB_RESUME:
        return resume(this);
    case VERB_ABORT:
        return undo(this);
    default:
        return rollback(this);
    }
}

void run_body(void *context)
{
    struct run *run = context;
    struct invocation this = {.run = run};
    struct playbook *read = &playbook.playbook;
    size_t count = run->world->plan->node_count, nodes[NODES_MAX];
    char limit[NODES_MAX * 4 + 1];
    struct err err;
    name_run(run);
    tell("run %zu: %s, %s", run->index + 1, run_verb_name(run->verb), run->rollout);
    arena_init(&this.arena);
    for (size_t i = 0; i < count; i++)
        nodes[i] = i;
    this.targets = arena_alloc(&this.arena, (count + 1) * sizeof(*this.targets));
    run->exit_code = 65;
    if (fleet_create(&this.fleet, &inventory.inventory, nodes, count, read, &err) == 0 &&
        take_limit(&this, limit_of(run, limit, sizeof(limit)), &err) == 0)
        run->exit_code = invoke(&this);
    survey_release(&this.survey);
    fleet_free(this.fleet);
    arena_release(&this.arena);
    if (runner_dead(runner_current()))
        return;
    run->ended = true;
    run->ended_at = clock_now();
    tell("run %zu: exit %d", run->index + 1, run->exit_code);
    laws_run_ended(run);
}
