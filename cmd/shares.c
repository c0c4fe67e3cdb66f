#include "shares.h"
#include "print.h"

#include <jansson.h>
#include <stdio.h>

#include "app/shares.h"
#include "app/table.h"
#include "app/wish.h"
#include "base/units.h"

static bool is_canary(const struct run *run)
{
    return run->inputs.playbook.strategy.kind == STRATEGY_CANARY;
}

static const char *node_at(const struct run *run, size_t wave, size_t index)
{
    return run->fleet->members[run->waves.items[wave].nodes[index]].node->name;
}

static void print_steps(const struct run *run)
{
    static const char *const headings[] = {"step", "share", "bake", "held", "nodes"};
    struct table table;
    struct strbuf names;
    table_init(&table, headings, 5);
    strbuf_init(&names, 64 << 10);
    for (size_t i = 0; i < run->waves.count; i++) {
        const struct wave_rule *rule = &run->waves.rules[i];
        char number[24], share[24], bake[DURATION_TEXT_MAX];
        snprintf(number, sizeof(number), "%zu", i + 1);
        snprintf(share, sizeof(share), "%g%%", rule->share / 10.0);
        strbuf_reset(&names);
        for (size_t k = 0; k < run->waves.items[i].count; k++)
            strbuf_addf(&names, "%s%s", k ? " " : "", node_at(run, i, k));
        const char *cells[] = {number, share, duration_format(bake, rule->bake_ms),
                               rule->manual && i + 1 < run->waves.count ? "yes" : NULL,
                               names.length ? names.text : NULL};
        table_row(&table, cells);
    }
    table_print(&table, stdout);
    table_release(&table);
    strbuf_release(&names);
}

static void dump(json_t *line)
{
    print_json_line(line);
}

static void dump_steps(const struct run *run)
{
    for (size_t i = 0; i < run->waves.count; i++) {
        const struct wave_rule *rule = &run->waves.rules[i];
        json_t *names = json_array();
        for (size_t k = 0; k < run->waves.items[i].count; k++)
            json_array_append_new(names, json_text(node_at(run, i, k)));
        dump(json_line("{s:i, s:s, s:i, s:f, s:I, s:b, s:o}", "v", 1, "event", "plan_step", "step", (int)i + 1,
                       "percent", rule->share / 10.0, "bake_ms", (json_int_t)rule->bake_ms, "manual",
                       rule->manual && i + 1 < run->waves.count, "nodes", names));
    }
}

static void print_baseline(const struct run *run, bool json)
{
    if (run->inputs.playbook.strategy.baseline != BASELINE_FRESH)
        return;
    if (json)
        dump(json_line("{s:i, s:s, s:s}", "v", 1, "event", "plan_baseline", "baseline", "fresh"));
    else
        print_out("before it is judged, each wave but the last has as many nodes of the old release restarted as are updated, from the "
               "end of the list (baseline = fresh)\n");
}

void shares_print_plan(const struct run *run, bool json)
{
    if (is_canary(run) && run->waves.rules)
        (json ? dump_steps : print_steps)(run);
    print_baseline(run, json);
}

/* What a canary has of the traffic, and what it was given. */
struct traffic {
    struct open_run open;
    uint32_t seen, given; /* per mille */
};

/* False when no canary of a rollout is open. */
static bool look_at_traffic(struct traffic *out, const struct run *run)
{
    *out = (struct traffic){.open = survey_open_run(&run->survey)};
    const struct open_run *open = &out->open;
    if (!is_canary(run) || !run->fleet->balancers || !open->rollout || open->kind != RUN_ROLLOUT || !open->release)
        return false;
    out->seen = shares_seen(run->fleet, &run->survey, open->release);
    out->given = shares_given(&run->waves, open);
    return true;
}

static void tell_forgotten(struct strbuf *out, const struct traffic *traffic)
{
    strbuf_addf(out, "release %s has %g%% of the traffic, and rollout %s gave it %g%%: a balancer has forgotten its weights, as an HAProxy that is reloaded "
                     "does unless it loads a server-state file",
                traffic->open.release, traffic->seen / 10.0, traffic->open.rollout, traffic->given / 10.0);
}

/* While a runner is at work it changes weights, and sets them again itself. */
static bool is_forgotten(const struct run *run, const struct traffic *traffic)
{
    const char *holder;
    return !survey_live_run(&run->survey, &holder) && shares_exceed(traffic->seen, traffic->given);
}

bool shares_forgotten(const struct run *run)
{
    struct traffic traffic;
    return look_at_traffic(&traffic, run) && is_forgotten(run, &traffic);
}

void shares_print_status(const struct run *run, bool json)
{
    struct traffic traffic;
    struct strbuf text;
    if (!look_at_traffic(&traffic, run))
        return;
    bool forgotten = is_forgotten(run, &traffic);
    strbuf_init(&text, 1024);
    tell_forgotten(&text, &traffic);
    if (json)
        dump(json_line("{s:i, s:s, s:s, s:f, s:f, s:b}", "v", 1, "event", "traffic", "release", traffic.open.release, "percent",
                       traffic.seen / 10.0, "given", traffic.given / 10.0, "forgotten", forgotten));
    else if (forgotten)
        print_out("traffic: %s\n", text.text);
    else
        print_out("traffic: %g%% on %s, which is not committed\n", traffic.seen / 10.0, traffic.open.release);
    strbuf_release(&text);
}

void shares_warn(const struct run *run)
{
    struct traffic traffic;
    struct strbuf text;
    if (!look_at_traffic(&traffic, run) || !is_forgotten(run, &traffic))
        return;
    strbuf_init(&text, 1024);
    tell_forgotten(&text, &traffic);
    print_err("deployctl: warning: %s; this run sets them again\n", text.text);
    strbuf_release(&text);
}
