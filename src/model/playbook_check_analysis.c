#include "model/playbook_check.h"

#include <string.h>

#include "model/template.h"

struct place {
    struct playbook *playbook;
    struct faults *faults;
    struct analysis *analysis;
    const char *section;
};

static bool given(const struct place *place, const char *key)
{
    return playbook_has(place->playbook, place->section, key);
}

static int line_of(const struct place *place, const char *key)
{
    return given(place, key) ? playbook_line(place->playbook, place->section, key)
                             : place->analysis->line;
}

#define TELL(place, key, ...)                                                                      \
    faults_add((place)->faults, (place)->playbook->file, line_of((place), (key)), __VA_ARGS__)

static bool has_haproxy(const struct playbook *playbook)
{
    for (size_t i = 0; i < playbook->balancer_count; i++)
        if (playbook->balancers[i].kind == BALANCER_HAPROXY)
            return true;
    return false;
}

/* Keys that one source alone has. */
static void check_keys(const struct place *place)
{
    static const struct {
        const char *key;
        enum analysis_source source;
        bool required;
    } own[] = {{"prometheus", ANALYSIS_PROMETHEUS, true},
               {"query", ANALYSIS_PROMETHEUS, true},
               {"command", ANALYSIS_COMMAND, true}};
    enum analysis_source source = place->analysis->source;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (own[i].source == source && !given(place, own[i].key))
            TELL(place, own[i].key, "key '%s' is missing in [%s]", own[i].key, place->section);
        if (own[i].source != source && given(place, own[i].key))
            TELL(place, own[i].key, "key '%s' in [%s] has a meaning with source = %s only", own[i].key,
                 place->section, analysis_source_name(own[i].source));
    }
    if (given(place, "metric") && (source == ANALYSIS_PROMETHEUS || source == ANALYSIS_COMMAND))
        TELL(place, "metric", "key 'metric' in [%s]: the %s says what the figure is; remove it",
             place->section, source == ANALYSIS_PROMETHEUS ? "query" : "command");
    if (source == ANALYSIS_PROBE && !place->playbook->health.http)
        TELL(place, "source", "[%s]: source = probe needs 'http' in [health], which it asks for",
             place->section);
    if (source == ANALYSIS_PROBE && place->analysis->metric == ANALYSIS_RATE)
        TELL(place, "metric", "key 'metric' in [%s]: rate is what HAProxy counts; it needs source = haproxy", place->section);
    if (source == ANALYSIS_HAPROXY && !has_haproxy(place->playbook))
        TELL(place, "source", "[%s]: source = haproxy needs a [balancer NAME] of type haproxy",
             place->section);
    if (source == ANALYSIS_HAPROXY && place->playbook->strategy.kind == STRATEGY_BLUE_GREEN &&
        place->analysis->compare == COMPARE_CONTROL)
        TELL(place, "compare",
             "[%s]: HAProxy counts traffic, and of blue and green one alone has it: the old side before the switch, the new one "
             "after it, never both at once; write compare = no and 'max' or 'min', or source = probe, which asks both alike",
             place->section);
}

static bool has_own_unit(const struct analysis *analysis)
{
    return analysis->source == ANALYSIS_PROBE || analysis->source == ANALYSIS_HAPROXY;
}

static void check_figure(const struct place *place, const char *key, const struct figure *figure)
{
    static const struct {
        int unit; /* enum figure_unit */
        const char *what, *like;
    } metrics[] = {[ANALYSIS_LATENCY] = {FIGURE_TIME, "latencies", "250ms"},
                   [ANALYSIS_ERRORS] = {FIGURE_PERCENT, "errors", "1%"},
                   [ANALYSIS_RATE] = {FIGURE_PLAIN, "requests a second", "20"}};
    enum analysis_metric metric = place->analysis->metric;
    if (!figure->given)
        return;
    if (!has_own_unit(place->analysis) && figure->unit != FIGURE_PLAIN)
        TELL(place, key, "key '%s' in [%s]: write a plain number, in the unit of what is measured", key,
             place->section);
    else if (has_own_unit(place->analysis) && (int)figure->unit != metrics[metric].unit)
        TELL(place, key, "key '%s' in [%s]: %s are measured; write it like %s", key, place->section,
             metrics[metric].what, metrics[metric].like);
}

struct side_names {
    bool slots, told;
};

/* Two slots of a node have its name and address in common. */
static int note_side(void *context, const char *name)
{
    struct side_names *names = context;
    static const char *const node[] = {"node", "address", "release"}, *const slot[] = {"slot", "port", "release"};
    for (size_t i = 0; i < sizeof(node) / sizeof(node[0]); i++)
        names->told = names->told || strcmp(name, names->slots ? slot[i] : node[i]) == 0;
    return 0;
}

/* A query that is the same for both sides compares nothing. */
static void check_query(const struct place *place)
{
    const struct analysis *analysis = place->analysis;
    struct side_names names = {.slots = playbook_has_slots(place->playbook)};
    bool compares = analysis->source == ANALYSIS_PROMETHEUS && analysis->query && analysis->compare == COMPARE_CONTROL;
    if (!compares || template_names(analysis->query, note_side, &names, NULL) < 0 || names.told)
        return;
    if (names.slots)
        TELL(place, "query",
             "key 'query' in [%s] names neither {slot}, {port} nor {release}, so the new and the old side of a "
             "node would be the same; name one, or write compare = no",
             place->section);
    else
        TELL(place, "query",
             "key 'query' in [%s] names neither {node}, {address} nor {release}, so canary and control "
             "would be the same; name one, or write compare = no",
             place->section);
}

static void check_limits(const struct place *place)
{
    struct analysis *analysis = place->analysis;
    bool limited = analysis->max.given || analysis->min.given;
    check_figure(place, "max", &analysis->max);
    check_figure(place, "min", &analysis->min);
    if (analysis->max.given && analysis->min.given && analysis->min.value > analysis->max.value)
        TELL(place, "min", "key 'min' in [%s] is more than 'max'", place->section);
    if (analysis->compare == COMPARE_NO && !limited)
        TELL(place, "compare", "[%s] with compare = no needs 'max' or 'min'", place->section);
    if (given(place, "statistic") && !limited)
        TELL(place, "statistic", "key 'statistic' in [%s] has a meaning with 'max' or 'min' only",
             place->section);
    if (analysis->confidence <= 0)
        TELL(place, "confidence", "key 'confidence' in [%s] must be more than 0", place->section);
}

/* The address goes in front of the API's path, and no password stands in a playbook. */
static void check_url(const struct place *place)
{
    const char *url = place->analysis->prometheus;
    if (!url)
        return;
    bool http = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    if (!http || strpbrk(url, " \t?#"))
        TELL(place, "prometheus",
             "key 'prometheus' in [%s]: '%.100s' is no http:// or https:// address; write it like "
             "http://prometheus.example.net:9090",
             place->section, url);
    else if (strchr(url, '@'))
        TELL(place, "prometheus", "key 'prometheus' in [%s]: no name and password in an address",
             place->section);
}

/* The most figures that the first wave can give of one side; UINT64_MAX: nobody knows before the nodes are counted. */
static uint64_t figures_at_most(const struct place *place)
{
    const struct strategy *strategy = &place->playbook->strategy;
    const struct analysis *analysis = place->analysis;
    if (strategy->kind != STRATEGY_ROLLING || !strategy->batch_count || strategy->batch[0].percent ||
        analysis->interval_ms <= 0)
        return UINT64_MAX;
    uint64_t rounds = (uint64_t)(strategy->bake_ms / analysis->interval_ms) + 1;
    if (analysis->source == ANALYSIS_PROBE && analysis->metric == ANALYSIS_ERRORS)
        rounds /= ANALYSIS_ANSWERS_A_SHARE;
    return rounds * strategy->batch[0].value;
}

/* What could never be enough is told now, not after an hour of rollout. */
static void check_time(const struct place *place)
{
    const struct strategy *strategy = &place->playbook->strategy;
    uint64_t most = figures_at_most(place);
    if (strategy->bake_ms == 0)
        TELL(place, "source", "[%s] takes its figures while a wave bakes, and 'bake' in [strategy] is 0",
             place->section);
    else if (most < place->analysis->min_samples)
        TELL(place, "min_samples",
             "[%s] needs %u figures (min_samples), and a first wave of %u that bakes so long gives at most "
             "%u: raise 'bake' in [strategy], or lower 'interval' or 'min_samples'",
             place->section, place->analysis->min_samples, strategy->batch[0].value, (unsigned)most);
}

static bool compares_with_control(const struct playbook *playbook)
{
    for (size_t i = 0; i < playbook->analysis_count; i++)
        if (playbook->analyses[i].compare == COMPARE_CONTROL)
            return true;
    return false;
}

/* They belong to a change, and are not run for a restart. */
static bool has_steps_of_a_change(const struct playbook *playbook)
{
    for (size_t i = 0; i < playbook->hook_count; i++)
        if (playbook->hooks[i].when >= HOOK_BEFORE_DRAIN && playbook->hooks[i].when <= HOOK_AFTER_ENABLE)
            return true;
    return false;
}

/* Nodes are restarted unasked only where that costs no request and leaves no step of theirs out. */
static void check_baseline(struct playbook *playbook, struct faults *faults)
{
    struct strategy *strategy = &playbook->strategy;
    bool compares = compares_with_control(playbook);
    const char *fault = NULL;
    if (!playbook_has(playbook, "strategy", "baseline")) {
        bool fresh = strategy->kind == STRATEGY_CANARY && compares && playbook->balancer_count > 0 &&
                     !has_steps_of_a_change(playbook);
        strategy->baseline = fresh ? BASELINE_FRESH : BASELINE_RUNNING;
        return;
    }
    if (!compares)
        fault = "nothing is compared: it has a meaning with an [analysis NAME] that has compare = control";
    else if (strategy->baseline == BASELINE_FRESH && strategy->kind == STRATEGY_BLUE_GREEN)
        fault = "with type = blue-green the old side is what is compared with, and is never restarted; write running";
    else if (strategy->baseline == BASELINE_FRESH && strategy->order == ORDER_REPLICAS_FIRST)
        fault = "with order = replicas-first a restart could move the leader; write running";
    if (fault)
        faults_add(faults, playbook->file, playbook_line(playbook, "strategy", "baseline"),
                   "key 'baseline' in [strategy]: %s", fault);
}

static void fill_in(const struct place *place)
{
    static const int64_t intervals[] = {[ANALYSIS_PROBE] = 1000,
                                        [ANALYSIS_HAPROXY] = 5000,
                                        [ANALYSIS_PROMETHEUS] = 15000,
                                        [ANALYSIS_COMMAND] = 5000};
    struct analysis *analysis = place->analysis;
    if (!given(place, "interval"))
        analysis->interval_ms = intervals[analysis->source];
    if (!given(place, "statistic"))
        analysis->statistic =
            has_own_unit(analysis) && analysis->metric == ANALYSIS_ERRORS ? FIGURE_MEAN : FIGURE_MEDIAN;
}

void playbook_check_analyses(struct playbook *playbook, struct faults *faults)
{
    for (size_t i = 0; i < playbook->analysis_count; i++) {
        struct place place = {
            .playbook = playbook, .faults = faults, .analysis = &playbook->analyses[i]};
        place.section = arena_printf(&playbook->arena, "analysis %s", place.analysis->name);
        if (!place.section)
            return;
        check_keys(&place);
        check_limits(&place);
        check_query(&place);
        check_url(&place);
        fill_in(&place);
        check_time(&place);
    }
    check_baseline(playbook, faults);
}
