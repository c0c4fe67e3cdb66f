#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/discover.h"
#include "app/queue.h"
#include "app/release_name.h"
#include "app/sink.h"
#include "app/stateful.h"
#include "base/text.h"
#include "inputs.h"
#include "print.h"
#include "io/digest.h"
#include "io/commits.h"
#include "io/files.h"
#include "model/strategy.h"

/* --- who and when --- */

static void name_rollout(struct run *run)
{
    int64_t now_ms = clock_wall_ms();
    time_t now = (time_t)(now_ms / 1000);
    struct tm utc;
    char stamp[20];
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
    /* grows within the second, too */
    snprintf(run->rollout, sizeof(run->rollout), "%s-%03x%04x", stamp, (unsigned)(now_ms % 1000), (unsigned)(clock_random() & 0xffff));
}

/* user@host, and the CI job when there is one: what a colleague needs to know who holds the lock. */
static void name_holder(struct run *run)
{
    static const char *const job_variables[] = {"CI_JOB_URL", "BUILD_URL", "CIRCLE_BUILD_URL",
                                                "BUILDKITE_BUILD_URL"};
    struct passwd *account = getpwuid(getuid());
    char host[64] = "unknown", job[400] = "";
    gethostname(host, sizeof(host) - 1);
    for (size_t i = 0; i < sizeof(job_variables) / sizeof(job_variables[0]) && !job[0]; i++)
        if (getenv(job_variables[i]))
            snprintf(job, sizeof(job), " %s", getenv(job_variables[i]));
    const char *server = getenv("GITHUB_SERVER_URL"), *repository = getenv("GITHUB_REPOSITORY");
    const char *github = getenv("GITHUB_RUN_ID");
    if (!job[0] && server && repository && github)
        snprintf(job, sizeof(job), " %s/%s/actions/runs/%s", server, repository, github);
    struct strbuf safe;
    strbuf_init(&safe, sizeof(run->holder) - 1);
    strbuf_addf(&safe, "%s@%s", account ? account->pw_name : "unknown", host);
    text_sanitize(&safe, job, strlen(job), false);
    snprintf(run->holder, sizeof(run->holder), "%.*s", (int)sizeof(run->holder) - 1, safe.text);
    strbuf_release(&safe);
}

/* --- from options to a fleet --- */

static int make_waves(struct run *run, struct err *err)
{
    for (size_t i = 0; i < run->fleet->count; i++)
        run->fleet->members[i].outside = run->inputs.outside[i];
    return inputs_waves(&run->waves, &run->inputs, err);
}

/* How releases follow each other, when the source is a repository. */
static void find_history(struct run *run)
{
    const struct source *source = &run->inputs.playbook.source;
    const char *where = source->kind == SOURCE_GIT ? inputs_source_path(&run->inputs) : NULL;
    run->commits = where ? commits_create(where, source->path) : NULL;
    run->fleet->commits = run->commits;
}

int run_begin(struct run *run, const struct options *options)
{
    struct err err;
    *run = (struct run){.options = options};
    int code = inputs_read(&run->inputs, options, options->arguments[0], NULL);
    if (code)
        return code;
    signal(SIGPIPE, SIG_IGN);
    name_rollout(run);
    name_holder(run);
    run->targets = arena_alloc(&run->inputs.arena, (run->inputs.node_count + 1) * sizeof(*run->targets));
    if (!run->targets)
        return report_error(&(struct err){.code = ERR_MEMORY, .message = "out of memory"});
    if (discovers_read(&run->inputs.playbook, &run->undiscovered) < 0)
        print_err("deployctl: warning: %s\n", run->undiscovered.message);
    if (fleet_create(&run->fleet, &run->inputs.inventory, run->inputs.nodes, run->inputs.node_count,
                     &run->inputs.playbook, &err) < 0 ||
        make_waves(run, &err) < 0)
        return report_error(&err);
    find_history(run);
    return 0;
}

void run_release(struct run *run)
{
    survey_release(&run->survey);
    fleet_free(run->fleet);
    commits_free(run->commits);
    package_free(run->package);
    inputs_release(&run->inputs);
}

/* --- waiting --- */

/* How long is left of --wait; it begins with the first call. */
static int64_t wait_left_ms(struct run *run)
{
    int64_t now_ms = loop_now_ms(run->fleet->loop);
    if (!run->options->wait_ms)
        return 0;
    if (!run->wait_until_ms)
        run->wait_until_ms = now_ms + run->options->wait_ms;
    return run->wait_until_ms > now_ms ? run->wait_until_ms - now_ms : 0;
}

static void say_waiting(void *context, const char *sentence)
{
    (void)context;
    print_err("waiting: %s\n", sentence);
}

int run_wait(struct run *run)
{
    struct err err;
    struct queue_order order = {.fleet = run->fleet, .forks = run->options->forks, .waiting = say_waiting};
    order.wait_ms = wait_left_ms(run);
    if (!order.wait_ms)
        return 0;
    int rc = queue_wait(&order, &err);
    if (rc > 0)
        print_err("deployctl: stopped waiting; nothing was changed\n");
    return rc > 0 ? 128 + rc : rc < 0 ? report_error(&err) : 0;
}

int run_verb(const struct options *options, int (*once)(struct run *run))
{
    struct run run;
    struct options whole = *options;
    whole.marks_limit = true;
    int code = run_begin(&run, &whole);
    run.limit = options->limit;
    if (!code)
        code = once(&run);
    while (code == EXIT_REFUSED && run.locked_out && wait_left_ms(&run)) {
        run.locked_out = false;
        survey_release(&run.survey);
        name_rollout(&run);
        code = once(&run);
    }
    run_release(&run);
    report_cut_off(); /* the exit code is about the nodes */
    return code;
}

static void warn_of_changes(struct run *run)
{
    const char *uncommitted = package_uncommitted(run->package);
    struct fault warning = {.file = run->inputs.playbook_path, .line = playbook_line(&run->inputs.playbook, "source", "git")};
    if (!uncommitted)
        return;
    warning.message = arena_printf(&run->inputs.arena, "%s; the release is the commit, without that", uncommitted);
    if (warning.message)
        fault_print(&warning, "warning", run->options->json);
}

int run_pack(struct run *run, const char *wanted_ref)
{
    const struct source *source = &run->inputs.playbook.source;
    const char *where = inputs_source_path(&run->inputs);
    const char *ref = wanted_ref         ? wanted_ref
                      : run->options->ref ? run->options->ref
                                          : source->ref;
    struct err err;
    int rc;
    if (!where)
        rc = err_set(&err, ERR_MEMORY, "out of memory");
    else if (source->kind == SOURCE_GIT)
        rc = package_from_git(&run->package, where, ref, source->path, source->max_size, &err);
    else if (run->options->ref)
        rc = err_set(&err, ERR_INPUT, "--ref is for a git source, and %s names another kind",
                     run->inputs.playbook_path);
    else if (source->kind == SOURCE_DIR)
        rc = package_from_directory(&run->package, where, source->max_size, &err);
    else
        rc = package_from_archive(&run->package, where, source->max_size, &err);
    if (rc < 0) {
        err_prefix(&err, "source");
        return report_error(&err);
    }
    run_aim(run, package_release(run->package));
    if (!wanted_ref && !run->options->quiet)
        warn_of_changes(run);
    return 0;
}

int run_survey(struct run *run, bool probe)
{
    struct err err;
    int rc = survey_run(&run->survey, run->fleet, run->options->forks, probe, &err);
    if (rc < 0)
        return report_error(&err);
    return rc > 0 ? 128 + rc : 0;
}

/* Whoever goes on with a run, or undoes it, does that for the nodes that it was begun for. */
static int take_limit_of(struct run *run, const struct open_run *open)
{
    struct err err;
    const char *given = run->options->limit;
    bool same = given && open->limit && strcmp(given, open->limit) == 0;
    if (given && !same) {
        print_err("deployctl: rollout %s is of %s%s: leave --limit out\n", open->rollout, open->limit ? "the nodes of --limit " : "all nodes",
                  open->limit ? open->limit : "");
        return EXIT_REFUSED;
    }
    if (given || !open->limit)
        return 0;
    run->limit = arena_strdup(&run->inputs.arena, open->limit);
    if (!run->limit)
        return report_error(&(struct err){.code = ERR_MEMORY, .message = "out of memory"});
    if (inputs_mark_limit(&run->inputs, run->limit, &err) < 0 || make_waves(run, &err) < 0)
        return report_error(&err);
    survey_mark_outside(&run->survey, run->fleet);
    return 0;
}

/* What is open in a root of another service is not ours to go on with, nor to end. */
static int check_service(const struct run *run)
{
    struct err err;
    for (size_t i = 0; i < run->survey.count; i++) {
        const struct surveyed *node = &run->survey.nodes[i];
        if (!node->answered || facts_check_service(&node->facts, &run->fleet->members[i].service, &err) == 0)
            continue;
        err_prefix(&err, "%s", node->name);
        return report_error(&err);
    }
    return 0;
}

int run_open(struct run *run, struct open_run *out)
{
    int code = run_survey(run, false);
    if (!code && survey_unanswered(&run->survey) == survey_members(&run->survey))
        code = run_unreached(run);
    if (!code)
        code = check_service(run);
    if (!code)
        *out = survey_open_run(&run->survey);
    return code || !out->rollout ? code : take_limit_of(run, out);
}

void run_aim(struct run *run, const char *release)
{
    for (size_t i = 0; i < run->fleet->count; i++)
        run->targets[i] = run->fleet->members[i].outside ? NULL : release;
}

int run_goes_on(struct run *run, const struct open_run *open)
{
    char *chain = arena_alloc(&run->inputs.arena, SURVEY_CHAIN);
    if (!chain)
        return report_error(&(struct err){.code = ERR_MEMORY, .message = "out of memory"});
    survey_chain(&run->survey, open, chain);
    run->chain = chain;
    return 0;
}

int run_named_release(struct run *run, const char **out)
{
    const char *to = run->options->to;
    struct err err;
    *out = to;
    int code = !to || run->survey.nodes ? 0 : run_survey(run, false);
    if (code || !to)
        return code;
    return release_name_find(out, to, &run->survey, &err) < 0 ? report_error(&err) : 0;
}

int run_unreached(const struct run *run)
{
    for (size_t i = 0; i < run->survey.count; i++)
        if (!run->survey.nodes[i].answered && !run->survey.nodes[i].outside)
            print_err("deployctl: %s: %s\n", run->fleet->members[i].node->name,
                    run->survey.nodes[i].error.message);
    return EXIT_UNREACHABLE;
}

int run_nothing_open(const struct run *run, const char *verb)
{
    bool whole = survey_unanswered(&run->survey) == 0;
    run_say(run, "nothing to %s: no rollout of %s is open%s", verb, run->inputs.playbook.service.name,
            whole ? "" : " on the nodes that answered");
    fflush(stdout);
    int code = whole ? EXIT_DONE : run_unreached(run);
    return run->inputs.playbook.failure.unreachable == UNREACHABLE_SKIP ? EXIT_DONE : code;
}

/* --- the quorum, and who leads --- */

int run_check_quorum(const struct run *run)
{
    uint32_t count = (uint32_t)run->inputs.node_count;
    uint32_t quorum = strategy_quorum(&run->inputs.playbook, count);
    bool part = run->options->limit && !run->options->marks_limit; /* `plan`, which asks no other node */
    if (!quorum || quorum < count || part)
        return 0;
    print_err("deployctl: a quorum of %u leaves none of the %u nodes that may be out of service: lower "
                "quorum in [strategy]\n",
                quorum, count);
    return EXIT_REFUSED;
}

int run_leaders(struct run *run)
{
    if (run->inputs.playbook.strategy.order != ORDER_REPLICAS_FIRST)
        return 0;
    int code = run->survey.nodes ? 0 : run_survey(run, false);
    int number = code ? 0 : leader_survey(&run->survey, run->fleet, run->options->forks);
    if (code || number)
        return code ? code : 128 + number;
    for (size_t i = 0; i < run->survey.count; i++)
        if (run->survey.nodes[i].leads)
            waves_put_last(&run->waves, i);
    return 0;
}

/* --- the sides of a blue-green service --- */

static int check_begun(const struct run *run, enum sides_for what, struct err *err)
{
    const char *service = run->options->arguments[0];
    if (run->options->limit)
        return err_set(err, ERR_REFUSED, "blue-green switches the whole service; leave --limit out");
    if (run->sides.begun && what == SIDES_FOR_NEW)
        return err_set(err, ERR_REFUSED,
                       "%s has what an earlier rollout began and did not end; `deployctl resume %s` goes on, "
                       "`deployctl abort %s` undoes it",
                       slot_name(run->sides.target), service, service);
    return 0;
}

int run_sides(struct run *run, enum sides_for what)
{
    struct err err;
    if (run->inputs.playbook.strategy.kind != STRATEGY_BLUE_GREEN)
        return 0;
    int code = run->survey.nodes ? 0 : run_survey(run, false);
    if (code)
        return code;
    if (survey_unanswered(&run->survey))
        return run_unreached(run);
    const char *chain = what == SIDES_FOR_UNDO ? run->chain : NULL;
    if (sides_read(&run->sides, run->fleet, &run->survey, chain, &err) < 0 || check_begun(run, what, &err) < 0)
        return report_error(&err);
    run->has_sides = true;
    if (run->sides.switching)
        run->waves_passed = 1; /* the one before the switch */
    return 0;
}

/* --- the data --- */

int run_data(struct run *run)
{
    const struct options *options = run->options;
    struct err err;
    int code = run->survey.nodes ? 0 : run_survey(run, false);
    if (code)
        return code;
    if (data_plan_make(&run->data, &run->inputs.playbook, run->fleet, &run->survey, options->migrations,
                       options->migration_count, &run->inputs.arena, &err) < 0)
        return report_error(&err);
    run->has_data = true;
    return 0;
}

int run_check_data(struct run *run)
{
    struct err err;
    if (data_plan_check(&run->data, run->fleet, &run->survey, run->options->limit != NULL, &err) < 0)
        return report_error(&err);
    return run_check_targets(run, run->targets);
}

void run_warn_of_time(const struct run *run, const char *const *targets)
{
    struct strbuf text;
    strbuf_init(&text, 1024);
    if (data_judged_by_time(run->fleet, &run->survey, targets, &text))
        print_err("deployctl: warning: %s\n", text.text);
    strbuf_release(&text);
}

int run_check_targets(struct run *run, const char *const *targets)
{
    struct err err;
    if (run->options->past_reason)
        return 0;
    if (data_check_targets(run->fleet, &run->survey, targets, &err) < 0)
        return report_error(&err);
    run_warn_of_time(run, targets);
    return 0;
}

int run_check_undo(struct run *run)
{
    struct err err;
    int code = run_check_targets(run, run->targets);
    if (!code && !run->options->past_reason && data_check_undo(run->fleet, &run->survey, run->chain, &err) < 0)
        code = report_error(&err);
    return code;
}

/* --- the plan's hash --- */

void run_plan_hash(const struct run *run, char out[13])
{
    struct strbuf text;
    char hex[65];
    strbuf_init(&text, 64 << 20);
    strbuf_addf(&text, "%s\n%s\n", run->inputs.playbook.service.name, run->inputs.playbook.service.root);
    for (size_t wave = 0; wave < run->waves.count; wave++)
        for (size_t i = 0; i < run->waves.items[wave].count; i++) {
            size_t node = run->waves.items[wave].nodes[i];
            const struct surveyed *surveyed = &run->survey.nodes[node];
            const char *current = surveyed->answered ? surveyed->facts.current : "unreachable";
            strbuf_addf(&text, "%zu %s %s %s\n", wave, run->fleet->members[node].node->name,
                        current ? current : "-", run->targets[node] ? run->targets[node] : "-");
        }
    if (run->has_sides)
        strbuf_addf(&text, "switch to %s\n", slot_name(run->sides.target));
    for (size_t i = 0; run->has_data && i < run->data.count; i++)
        strbuf_addf(&text, "%s %s\n", run->data.changes[i].migration->name,
                    data_state_name(run->data.changes[i].state));
    digest_sha256_hex(text.text, text.length, hex);
    snprintf(out, 13, "%.12s", hex);
    strbuf_release(&text);
}

int run_require_plan(struct run *run)
{
    char hash[13];
    const char *wanted = run->options->require_plan;
    int code = !wanted || run->survey.nodes ? 0 : run_survey(run, false);
    if (code || !wanted)
        return code;
    run_plan_hash(run, hash);
    if (strcmp(hash, wanted) == 0)
        return 0;
    print_err("deployctl: the plan is %s now, not %s: nodes or source have changed since; "
            "look at `deployctl plan %s` again\n",
            hash, wanted, run->options->arguments[0]);
    return EXIT_REFUSED;
}

/* --- going --- */

/* 0, or 4: what no journal holds must not happen. */
static int add_journal(struct run *run, struct sinks *sinks)
{
    struct strbuf path;
    struct err err;
    strbuf_init(&path, 4096);
    path_state(&path);
    strbuf_addf(&path, "/%s", run->inputs.playbook.service.name);
    int rc = folder_make(path.text, &err);
    strbuf_addf(&path, "/%s.jsonl", run->rollout);
    struct sink *journal = rc < 0 ? NULL : sink_journal_create(path.text, &err);
    sinks_add(sinks, journal);
    strbuf_release(&path);
    if (journal)
        return 0;
    print_err("deployctl: journal: %s; nothing was changed; DEPLOYCTL_STATE names another folder for it\n",
            err.message);
    return EXIT_REFUSED;
}

#define OUTPUT_BYTES_MAX ((size_t)4 << 20)

/* stdout and stderr of a run, as the loop writes them. */
struct outputs {
    struct output *out, *err;
};

static FILE *stream_of(struct output *output, FILE *otherwise)
{
    return output ? output_stream(output) : otherwise;
}

static struct sink *paced(struct sink *sink, struct output *output)
{
    return output ? sink_paced_create(sink, output) : sink;
}

static void free_outputs(struct outputs *outputs)
{
    int error = output_free(outputs->out);
    output_free(outputs->err);
    if (error && error != EPIPE)
        fprintf(stderr, "deployctl: cannot write the result: %s\n", strerror(error));
}

static void add_sinks(struct run *run, struct sinks *sinks, struct outputs *outputs)
{
    const struct options *options = run->options;
    enum verbosity verbosity = options->quiet ? QUIET : options->verbose ? VERBOSE : NORMAL;
    const char *term = getenv("TERM");
    bool terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    bool live = terminal && verbosity == NORMAL && !options->json;
    fflush(stdout);
    outputs->out = output_create(STDOUT_FILENO, OUTPUT_BYTES_MAX);
    outputs->err = output_create(STDERR_FILENO, OUTPUT_BYTES_MAX);
    FILE *out = stream_of(outputs->out, stdout), *err = stream_of(outputs->err, stderr);
    struct sink *progress = NULL, *result;
    if (live)
        progress = sink_live_create(err, STDERR_FILENO, !options->no_color, verbosity);
    else if (!options->json)
        progress = sink_lines_create(err, terminal && !options->no_color, verbosity);
    if (options->json)
        result = sink_json_create(out);
    else
        result = sink_summary_create(out, isatty(STDOUT_FILENO) && !options->no_color, verbosity);
    sinks_add(sinks, paced(progress, outputs->err));
    sinks_add(sinks, paced(result, outputs->out));
}

/* 0, or an exit code after saying who holds it. */
static int take_lock(struct run *run)
{
    struct err err;
    struct service_lock_order order = {
        .fleet = run->fleet, .rollout = run->rollout, .holder = run->holder, .waiting = say_waiting};
    order.wait_ms = wait_left_ms(run);
    int rc = service_lock_take(&run->lock, &order, &err);
    return rc > 0 ? 128 + rc : rc < 0 ? report_error(&err) : 0;
}

/* The ttl ends it when etcd is not there now. */
static void give_lock_back(struct run *run, bool keeps)
{
    struct err err;
    int rc = service_lock_release(run->lock, keeps, &err);
    run->lock = NULL;
    if (rc < 0)
        print_err("deployctl: warning: the service's lock was not given back, it ends by itself: %s\n", err.message);
}

static void give_back_early(void *context, const struct engine_outcome *outcome)
{
    give_lock_back(context, outcome->left_at_once);
}

/* What the run was decided by; NULL: nothing was asked before. */
static const struct facts *const *seen_facts(const struct run *run)
{
    if (!run->survey.nodes)
        return NULL;
    const struct facts **seen = arena_alloc(&run->fleet->arena, (run->survey.count + 1) * sizeof(*seen));
    for (size_t i = 0; seen && i < run->survey.count; i++)
        seen[i] = run->survey.nodes[i].answered ? &run->survey.nodes[i].facts : NULL;
    return seen;
}

int run_go(struct run *run, enum run_kind kind, bool resumes, const char *description)
{
    struct sinks sinks = {.count = 0};
    struct outputs outputs = {NULL, NULL};
    struct engine_outcome outcome;
    struct package_bytes bytes;
    struct err err;
    /* Compressed before the loop runs, since a large release would keep it from renewing its locks. */
    if (run->package && package_pack(run->package, COMPRESSION_ZSTD, &bytes, &err) < 0)
        return report_error(&err);
    if (run->undiscovered.code)
        print_err("deployctl: refused before anything was changed: another service's addresses are not known\n");
    int code = run->undiscovered.code ? EXIT_REFUSED : take_lock(run);
    if (code)
        return code;
    code = add_journal(run, &sinks);
    if (code) {
        give_lock_back(run, false);
        return code;
    }
    add_sinks(run, &sinks, &outputs);
    struct engine_settings settings = {
        .seen = seen_facts(run),
        .outside = run->limit ? run->inputs.outside : NULL,
        .limit = run->limit,
        .fleet = run->fleet,
        .playbook = &run->inputs.playbook,
        .sinks = &sinks,
        .package = run->package,
        .targets = run->targets,
        .kind = kind,
        .resumes = resumes,
        .chain = run->chain,
        .half_committed = run->half_committed,
        .rollout = run->rollout,
        .holder = run->holder,
        .playbook_name = run->options->arguments[0],
        .description = description,
        .waves = run->waves,
        .only_stale = kind == RUN_ROLLOUT && !resumes && run->options->only_stale,
        .stages_again = run->stages_again,
        .waves_passed = run->waves_passed,
        .share = run->share,
        .sides = run->has_sides ? &run->sides : NULL,
        .forks = run->options->forks,
        .data = run->has_data ? &run->data : NULL,
        .over = give_back_early,
        .context = run,
        .lock = run->lock,
        .past_reason = run->options->past_reason,
    };
    int rc = engine_run(&settings, &outcome, &err);
    give_lock_back(run, outcome.left_at_once);
    sinks_finish(&sinks);
    free_outputs(&outputs);
    run->locked_out = rc == 0 && (outcome.locked_out || outcome.outdated) && outcome.result == RESULT_REFUSED;
    return rc < 0 ? report_error(&err) : engine_exit_code(&outcome);
}
