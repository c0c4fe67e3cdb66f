/*
 * Scenarios of the rollout machine as text: commands, `----`, the story that must come out; a blank
 * line between blocks, each block a fleet of its own. `run_scenarios [FOLDER]` walks tests/scenario
 * by default; DEPLOYCTL_REWRITE=1 writes what came out into the files, for the reviewer to read as
 * a diff. README.md beside the files says which commands there are.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "world.h"

#define FILE_MAX (1u << 20)
#define WORDS_MAX 8

static const char *folder = "tests/scenario";

/* One line of commands, cut into words at blanks and commas. */
struct words {
    char *items[WORDS_MAX];
    size_t count;
    size_t next;
};

struct number_setting {
    const char *name;
    size_t offset;
    bool duration, wide; /* int64_t milliseconds; else uint32_t */
};

#define COUNT_SETTING(name)                                                                        \
    {                                                                                              \
#name, offsetof(struct rollout_config, name), false, false                                 \
    }
#define TIME_SETTING(name, member)                                                                 \
    {                                                                                              \
        name, offsetof(struct rollout_config, member), true, true                                  \
    }
static const struct number_setting settings[] = {
    COUNT_SETTING(max_unavailable),
    COUNT_SETTING(max_failures),
    COUNT_SETTING(share),
    COUNT_SETTING(quorum),
    TIME_SETTING("ready_deadline", ready_deadline_ms),
    COUNT_SETTING(attempts),
    COUNT_SETTING(max_retries),
    COUNT_SETTING(forks),
    {"breaker_failures", offsetof(struct rollout_config, breaker.failures), false, false},
    TIME_SETTING("cool_down", breaker.cool_down_ms),
    {"rise", offsetof(struct rollout_config, health.rise), false, false},
    {"fall", offsetof(struct rollout_config, health.fall), false, false},
    TIME_SETTING("interval", health.interval_ms),
    TIME_SETTING("min_healthy_time", health.min_healthy_time_ms),
    TIME_SETTING("healthy_deadline", health.healthy_deadline_ms),
    TIME_SETTING("bake", bake_ms),
    TIME_SETTING("progress_deadline", progress_deadline_ms),
    TIME_SETTING("backoff_base", backoff.base_ms),
    TIME_SETTING("backoff_max", backoff.max_ms),
    TIME_SETTING("cancel_grace", cancel_grace_ms),
    TIME_SETTING("interrupt_grace", interrupt_grace_ms),
};

static const char *const switches[] = {"undo_allowed", "stages", "balanced", "probed",
                                       "confirms", "asks_leader", "waits_ready", "no_way_back", "judged",
                                       "shifts", "switches", "stages_again", "refreshes", "unwinds"};
static const size_t switch_offsets[] = {
    offsetof(struct rollout_config, undo_allowed), offsetof(struct rollout_config, stages),
    offsetof(struct rollout_config, balanced), offsetof(struct rollout_config, probed),
    offsetof(struct rollout_config, confirms),
    offsetof(struct rollout_config, asks_leader), offsetof(struct rollout_config, waits_ready),
    offsetof(struct rollout_config, no_way_back), offsetof(struct rollout_config, judged),
    offsetof(struct rollout_config, shifts), offsetof(struct rollout_config, switches),
    offsetof(struct rollout_config, stages_again), offsetof(struct rollout_config, refreshes), offsetof(struct rollout_config, unwinds)};
static const char *const actions[] = {"rollback", "pause", "stop"};
static const char *const policies[] = {"fail", "skip"};
static const char *const effects[] = {"fails",     "fails_once",  "refuses",
                                      "times_out", "is_undecided", "unreachable", "loses_reply",
                                      "slow",      "stubborn",    "deaf"};
static const char *const happenings[] = {"dies",      "returns",    "falls", "recovers",    "cut",
                                         "interrupt", "lease_lost", "tick",  "stale_answer",
                                         "pause",     "abort"};
static const char *const moments[] = {"after_stage",    "before_drain", "before_activate",
                                      "after_activate", "after_enable", "before_rollback",
                                      "after_rollback", "on_failure",   "before_switch"};
static const char *const places[] = {"node", "first", "runner"};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void wrong(const char *what, const char *word)
{
    fprintf(stderr, "scenario: %s: %s\n", what, word);
    exit(1);
}

static const char *next_word(struct words *words)
{
    return words->next < words->count ? words->items[words->next++] : NULL;
}

static const char *need_word(struct words *words, const char *what)
{
    const char *word = next_word(words);

    if (!word)
        wrong("missing", what);
    return word;
}

static bool accept_word(struct words *words, const char *word)
{
    if (words->next >= words->count || strcmp(words->items[words->next], word) != 0)
        return false;
    words->next++;
    return true;
}

static size_t one_of(const char *const *names, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], word) == 0)
            return i;
    wrong("unknown word", word);
    return 0;
}

static int64_t duration_of(const char *word)
{
    struct err err = {0};
    int64_t ms = 0;

    if (duration_parse(&ms, word, &err) < 0)
        wrong(err.message, word);
    return ms;
}

static uint32_t count_of(const char *word)
{
    struct err err = {0};
    uint64_t count = 0;

    if (whole_parse(&count, word, 0, UINT32_MAX, &err) < 0)
        wrong(err.message, word);
    return (uint32_t)count;
}

static size_t node_of(const struct world_plan *plan, const char *word)
{
    size_t number;

    if (strcmp(word, "runner") == 0)
        return NO_NODE;
    if (strncmp(word, "web", 3) != 0)
        wrong("no node", word);
    number = count_of(word + 3);
    if (number == 0 || number > plan->node_count)
        wrong("no node", word);
    return number - 1;
}

static void command_nodes(struct world_plan *plan, struct words *words)
{
    plan->node_count = count_of(need_word(words, "number of nodes"));
    if (plan->node_count == 0 || plan->node_count > WORLD_NODES_MAX)
        wrong("bad number", "nodes");
}

static void command_batch(struct world_plan *plan, struct words *words)
{
    struct err err = {0};
    const char *word;

    plan->batch_count = 0;
    while ((word = next_word(words)) != NULL && plan->batch_count < WORLD_BATCH_MAX)
        if (amount_parse(&plan->batch[plan->batch_count++], word, &err) < 0)
            wrong(err.message, word);
}

static void command_set(struct world_plan *plan, struct words *words)
{
    const char *name = need_word(words, "setting");
    const char *value = need_word(words, name);
    char *config = (char *)&plan->config;

    if (strcmp(name, "confirm") == 0) {
        plan->config.confirms = true;
        plan->confirm_ms = duration_of(value);
        return;
    }
    for (size_t i = 0; i < LENGTH(settings); i++) {
        if (strcmp(settings[i].name, name) != 0)
            continue;
        if (settings[i].wide)
            *(int64_t *)(void *)(config + settings[i].offset) = duration_of(value);
        else
            *(uint32_t *)(void *)(config + settings[i].offset) = count_of(value);
        return;
    }
    if (strcmp(name, "action") == 0)
        plan->config.action = (enum on_failure)one_of(actions, LENGTH(actions), value);
    else if (strcmp(name, "unreachable") == 0)
        plan->config.unreachable = (enum on_unreachable)one_of(policies, LENGTH(policies), value);
    else
        *(bool *)(config + switch_offsets[one_of(switches, LENGTH(switches), name)]) =
            strcmp(value, "yes") == 0;
}

static size_t step_of(const char *word)
{
    for (size_t i = 0; i < STEP_KINDS; i++)
        if (strcmp(step_name((enum step_kind)i), word) == 0)
            return i;
    wrong("no step", word);
    return 0;
}

static void command_timeout(struct world_plan *plan, struct words *words)
{
    size_t step = step_of(need_word(words, "step"));

    plan->config.timeout_ms[step] = duration_of(need_word(words, "time"));
}

static void command_zone(struct world_plan *plan, struct words *words)
{
    static const char *const zones[] = {"a", "b", "c"};
    const char *zone = zones[one_of(zones, LENGTH(zones), need_word(words, "zone"))];
    const char *word;

    plan->spread = true;
    while ((word = next_word(words)) != NULL)
        plan->natures[node_of(plan, word)].zone = zone;
}

static void command_node(struct world_plan *plan, struct words *words)
{
    static const char *const natures[] = {"dead",       "sick",     "empty", "at_target",
                                          "bad_target", "bad_undo", "gives_up", "outside", "moved", "boots", "falls_after", "catches_up"};
    struct nature *nature = &plan->natures[node_of(plan, need_word(words, "node"))];
    const char *word;

    while ((word = next_word(words)) != NULL) {
        size_t which = one_of(natures, LENGTH(natures), word);
        bool *flags[] = {&nature->dead,      &nature->sick,       &nature->empty,
                         &nature->at_target, &nature->bad_target, &nature->bad_undo,  &nature->gives_up,
                         &nature->outside,   &nature->moved};

        if (which < LENGTH(flags))
            *flags[which] = true;
        else if (which == LENGTH(flags))
            nature->boot_ms = duration_of(need_word(words, "time"));
        else if (which == LENGTH(flags) + 1)
            nature->falls_after_ms = duration_of(need_word(words, "time"));
        else
            nature->catches_up_ms = duration_of(need_word(words, "time"));
    }
}

static void command_hook(struct world_plan *plan, struct words *words)
{
    struct rollout_hook *hook = &plan->hooks[plan->hook_count];

    if (++plan->hook_count > WORLD_HOOKS_MAX)
        wrong("too many", "hooks");
    hook->moment = (enum hook_moment)one_of(moments, LENGTH(moments), need_word(words, "moment"));
    hook->place = (enum hook_place)one_of(places, LENGTH(places), need_word(words, "place"));
    hook->timeout_ms = 5000;
    hook->ignore_failure = accept_word(words, "ignored");
}

static void command_migration(struct world_plan *plan, struct words *words)
{
    static const char *const kinds[] = {"expand", "contract", "irreversible"};
    struct rollout_migration *migration = &plan->migrations[plan->migration_count];

    if (++plan->migration_count > WORLD_MIGRATIONS_MAX)
        wrong("too many", "migrations");
    *migration = (struct rollout_migration){.node = NO_NODE, .timeout_ms = 5000};
    migration->kind = (enum migration_kind)one_of(kinds, LENGTH(kinds), need_word(words, "kind"));
    if (accept_word(words, "on"))
        migration->node = node_of(plan, need_word(words, "node"));
    migration->has_down = accept_word(words, "down");
    migration->backed_up = accept_word(words, "backup");
}

static void command_fault(struct world_plan *plan, struct words *words)
{
    struct fault *fault = &plan->faults[plan->fault_count];

    if (++plan->fault_count > WORLD_FAULTS_MAX)
        wrong("too many", "faults");
    fault->node = node_of(plan, need_word(words, "node"));
    fault->undo = accept_word(words, "undo");
    fault->step = (enum step_kind)step_of(need_word(words, "step"));
    fault->effect = (enum effect)one_of(effects, LENGTH(effects), need_word(words, "effect"));
    fault->times = 1;
    while (words->next < words->count) {
        if (accept_word(words, "always"))
            fault->times = UINT32_MAX;
        else if (accept_word(words, "times"))
            fault->times = count_of(need_word(words, "number"));
        else if (accept_word(words, "skip"))
            fault->skip = count_of(need_word(words, "number"));
        else
            fault->ms = duration_of(next_word(words));
    }
}

static void command_at(struct world_plan *plan, struct words *words)
{
    struct happening *happening = &plan->happenings[plan->happening_count];
    const char *node;

    if (++plan->happening_count > WORLD_HAPPENINGS_MAX)
        wrong("too many", "happenings");
    happening->at_ms = duration_of(need_word(words, "time"));
    happening->kind =
        (enum happening_kind)one_of(happenings, LENGTH(happenings), need_word(words, "happening"));
    node = next_word(words);
    happening->node = node ? node_of(plan, node) : 0;
}

static void command_tell(struct world_plan *plan, struct words *words)
{
    const char *what = need_word(words, "probes or a state");

    if (strcmp(what, "probes") == 0) {
        plan->tell_probes = true;
        return;
    }
    for (int i = 0; i <= ROLLOUT_FINISHED; i++)
        if (strcmp(rollout_state_name((enum rollout_state)i), what) == 0)
            plan->tell_from = (enum rollout_state)i;
}

/* A wave of a canary, or of blue-green: its share and bake. */
static void command_rule(struct world_plan *plan, struct words *words)
{
    struct wave_rule *rule = &plan->rules[plan->rule_count];
    struct err err = {0};
    struct amount share;

    if (++plan->rule_count > WORLD_RULES_MAX)
        wrong("too many", "rules");
    if (amount_parse(&share, need_word(words, "share"), &err) < 0 || !share.percent)
        wrong("not a percentage", "share");
    rule->share = share.value * 10;
    rule->bake_ms = duration_of(need_word(words, "bake"));
    rule->manual = accept_word(words, "manual");
}

/* An earlier run has passed so many waves; the named nodes run the target. */
static void command_passed(struct world_plan *plan, struct words *words)
{
    const char *word;

    plan->config.waves_passed = count_of(need_word(words, "number of waves"));
    if (plan->config.waves_passed > plan->rule_count)
        wrong("too many", "passed");
    if (plan->config.shifts && plan->config.waves_passed > 0)
        plan->config.share = plan->rules[plan->config.waves_passed - 1].share;
    while ((word = next_word(words)) != NULL)
        plan->natures[node_of(plan, word)].changed_before = true;
}

/* An earlier run has changed those nodes. */
static void command_begun(struct world_plan *plan, struct words *words)
{
    const char *word;

    while ((word = next_word(words)) != NULL)
        plan->natures[node_of(plan, word)].begun = true;
}

/* An earlier run has left those nodes out of service, as they were. */
static void command_left_out(struct world_plan *plan, struct words *words)
{
    const char *word;

    while ((word = next_word(words)) != NULL)
        plan->natures[node_of(plan, word)].left_out = true;
}

/* max_unavailable is of the sum then; who is not named weighs 100. */
static void command_weights(struct world_plan *plan, struct words *words)
{
    const char *word;

    plan->weighs = true;
    for (size_t i = 0; i < WORLD_NODES_MAX; i++)
        plan->natures[i].weight = (word = next_word(words)) != NULL ? (uint32_t)count_of(word) : 100;
}

static const struct command {
    const char *name;
    void (*run)(struct world_plan *plan, struct words *words);
} commands[] = {
    {"nodes", command_nodes},     {"batch", command_batch},         {"set", command_set},
    {"timeout", command_timeout}, {"zone", command_zone},           {"node", command_node},
    {"hook", command_hook},       {"fault", command_fault},         {"at", command_at},
    {"tell", command_tell},       {"migration", command_migration},
    {"rule", command_rule},       {"passed", command_passed}, {"begun", command_begun}, {"weights", command_weights},
    {"left_out", command_left_out},
};

static void cut_words(struct words *words, char *line)
{
    char *rest = NULL;

    *words = (struct words){0};
    for (char *word = strtok_r(line, " ,", &rest); word && words->count < WORDS_MAX;
         word = strtok_r(NULL, " ,", &rest))
        words->items[words->count++] = word;
}

static void obey(struct world_plan *plan, const char *line, size_t length)
{
    char copy[256];
    struct words words;
    const char *name;

    snprintf(copy, sizeof(copy), "%.*s", (int)length, line);
    if (copy[0] == '#')
        return;
    cut_words(&words, copy);
    name = next_word(&words);
    if (!name)
        return;
    for (size_t i = 0; i < LENGTH(commands); i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        commands[i].run(plan, &words);
        if (words.next < words.count)
            wrong("left over", words.items[words.next]);
        return;
    }
    wrong("unknown command", name);
}

/* How every node stands in the end. */
static void summarize(const struct world *world, struct strbuf *story)
{
    for (size_t i = 0; i < world->plan->node_count; i++) {
        struct node_view view;

        rollout_node(world->rollout, i, &view);
        strbuf_addf(story, "%sweb%zu %s", i ? ", " : "         ", i + 1,
                    node_outcome_name(view.outcome));
        if (view.trouble != TROUBLE_NONE)
            strbuf_addf(story, " (%s)", node_trouble_name(view.trouble));
    }
    strbuf_addc(story, '\n');
}

static void play(const char *text, size_t length, struct strbuf *story)
{
    struct world_plan *plan = malloc(sizeof(*plan));
    struct world *world = malloc(sizeof(*world));
    const char *end = text + length;

    assert_non_null(plan);
    assert_non_null(world);
    world_plan_init(plan, 3);
    plan->tell_from = ROLLOUT_WAVE;
    while (text < end) {
        size_t line = strcspn(text, "\n");

        obey(plan, text, line);
        text += line + (text[line] == '\n');
    }
    world_run(world, plan, story);
    if (world->rollout)
        summarize(world, story);
    world_release(world);
    free(world);
    free(plan);
}

/* Plays every block of a file; `out` gets the file as it should read. */
static void play_file(const char *text, struct strbuf *out)
{
    while (*text) {
        const char *rule = strstr(text, "----\n");
        const char *after;

        if (!rule) {
            strbuf_adds(out, text);
            return;
        }
        after = strstr(rule, "\n\n");
        strbuf_add(out, text, (size_t)(rule - text));
        strbuf_adds(out, "----\n");
        play(text, (size_t)(rule - text), out);
        if (!after)
            return;
        strbuf_addc(out, '\n');
        text = after + 2;
    }
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, FILE_MAX);
    size_t length;

    assert_non_null(file);
    assert_non_null(text);
    length = fread(text, 1, FILE_MAX - 1, file);
    assert_true(length < FILE_MAX - 1);
    fclose(file);
    return text;
}

static void write_whole(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void show_first_difference(const char *path, const char *expected, const char *actual)
{
    int line = 1;

    while (*expected && *expected == *actual) {
        line += *expected == '\n';
        expected++;
        actual++;
    }
    while (expected[0] && expected[-1] != '\n' && line > 1) {
        expected--;
        actual--;
    }
    fprintf(stderr, "%s:%d: expected: %.*s\n%s:%d: came out: %.*s\n", path, line,
            (int)strcspn(expected, "\n"), expected, path, line, (int)strcspn(actual, "\n"), actual);
}

static bool scenario_holds(const char *path)
{
    char *text = read_whole(path);
    struct strbuf out;
    bool holds;

    strbuf_init(&out, FILE_MAX);
    play_file(text, &out);
    assert_false(out.overflowed);
    holds = strcmp(out.text, text) == 0;
    if (!holds && getenv("DEPLOYCTL_REWRITE")) {
        write_whole(path, out.text);
        printf("rewritten: %s\n", path);
        holds = true;
    } else if (!holds) {
        show_first_difference(path, text, out.text);
    }
    if (strstr(out.text, " !! ")) {
        fprintf(stderr, "%s: a law is broken\n", path);
        holds = false;
    }
    strbuf_release(&out);
    free(text);
    return holds;
}

static int is_scenario(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return length > 4 && strcmp(entry->d_name + length - 4, ".txt") == 0;
}

static void every_scenario_tells_the_expected_story(void **state)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_scenario, alphasort);
    int failed = 0;

    (void)state;
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        char path[1024];

        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        failed += !scenario_holds(path);
        free(entries[i]);
    }
    free(entries);
    printf("%d files of scenarios\n", count);
    assert_int_equal(failed, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scenario_tells_the_expected_story),
    };

    if (argc > 1)
        folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
