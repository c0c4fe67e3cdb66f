#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "app/crossing.h"
#include "app/table.h"
#include "breakers.h"
#include "missing.h"
#include "run.h"
#include "service_lock.h"
#include "shares.h"
#include "print.h"

static const char *health_of(const struct surveyed *node)
{
    return !node->answered ? "not reached" : !node->probed ? "-" : node->healthy ? "healthy" : "unhealthy";
}

static const char *state_of(const struct surveyed *node)
{
    if (!node->answered || !node->facts.current)
        return "-";
    return node->facts.current_good ? "good" : "not committed";
}

/* What a person should know of this node beside its release and health. */
static void note_of(struct strbuf *out, const struct run *run, size_t member, const char *fleet_release)
{
    const struct surveyed *node = &run->survey.nodes[member];
    const struct facts *facts = &node->facts;
    const char *playbook = run->options->arguments[0];
    struct err other;
    if (!node->answered) {
        strbuf_addf(out, "%s%s%s", node->error.message, node->traffic[0] ? "; " : "", node->traffic);
        return;
    }
    if (facts_check_service(facts, &run->fleet->members[member].service, &other) < 0) {
        strbuf_adds(out, other.message);
        return;
    }
    if (node->probed && !node->healthy)
        strbuf_adds(out, node->evidence);
    if (facts->current_state && strcmp(facts->current_state, "not-a-link") == 0)
        strbuf_adds(out, "current is a folder or a file, not a link");
    struct strbuf timer;
    strbuf_init(&timer, 2048);
    facts_tell_timer(facts, &timer);
    facts_tell_slots(facts, &timer);
    if (timer.length)
        strbuf_addf(out, "%s%s", out->length ? "; " : "", timer.text);
    strbuf_release(&timer);
    if (surveyed_is_stale(node, fleet_release) && facts->current && !facts->open_rollout)
        strbuf_addf(out, "%s%s: most nodes are at %s", out->length ? "; " : "",
                    facts_release_order(facts, facts->current, fleet_release) > 0 ? "ahead" : "stale", fleet_release);
    if (facts->lock_holder)
        strbuf_addf(out, "%slocked by %s, rollout %s%s", out->length ? "; " : "", facts->lock_holder,
                    facts->lock_rollout ? facts->lock_rollout : "unknown",
                    facts->lock_expired ? " (expired)" : facts->lock_abandoned ? " (its process has ended)" : "");
    if (facts->wish)
        strbuf_addf(out, ", asked to %s", facts->wish);
    if (facts->held && !facts->lock_holder)
        strbuf_addf(out, "%srollout %s is %s; `deployctl promote %s` goes on, `deployctl abort %s` undoes it",
                    out->length ? "; " : "", facts->open_rollout, facts->open_step, playbook, playbook);
    else if (facts->open_rollout && !facts_locked(facts))
        strbuf_addf(out, "%srollout %s did not end; its last step: %s; `deployctl resume %s` goes on, `deployctl abort %s` undoes it",
                    out->length ? "; " : "", facts->open_rollout, facts->open_step ? facts->open_step : "unknown", playbook,
                    playbook);
    if (node->traffic[0])
        strbuf_addf(out, "%s%s", out->length ? "; " : "", node->traffic);
    if (node->announced[0])
        strbuf_addf(out, "%s%s", out->length ? "; " : "", node->announced);
}

/* The sides of a blue-green service differ by design. */
static const char *fleet_release_of(const struct run *run)
{
    return run->inputs.playbook.strategy.kind == STRATEGY_BLUE_GREEN ? NULL : survey_fleet_release(&run->survey);
}

/* Blue-green: which side the balancers send traffic to. */
static void print_sides(const struct run *run)
{
    struct sides sides;
    struct err err;
    if (run->inputs.playbook.strategy.kind != STRATEGY_BLUE_GREEN)
        return;
    if (sides_read(&sides, run->fleet, &run->survey, NULL, &err) < 0)
        print_out("live: unknown: %s\n", err.message);
    else if (sides.begun)
        print_out("live: %s; a rollout to %s has begun and did not end\n",
               sides.switching ? slot_name(sides.target) : sides.live == SLOTS ? "none" : slot_name(sides.live),
               slot_name(sides.target));
    else
        print_out("live: %s, idle: %s\n", sides.live == SLOTS ? "none" : slot_name(sides.live),
               slot_name(sides.target));
}

static void print_text(const struct run *run)
{
    print_sides(run);
    shares_print_status(run, false);
    static const char *const headings[] = {"node", "release", "state", "health", "note", "rollback to"};
    struct table table;
    const char *fleet_release = fleet_release_of(run);
    table_init(&table, headings, run->options->verbose ? 6 : 5);
    for (size_t i = 0; i < run->fleet->count; i++) {
        const struct surveyed *node = &run->survey.nodes[i];
        struct strbuf note;
        strbuf_init(&note, 2048);
        note_of(&note, run, i, fleet_release);
        const char *cells[] = {run->fleet->members[i].node->name,
                               node->facts.current,
                               state_of(node),
                               health_of(node),
                               note.text,
                               node->facts.previous};
        table_row(&table, cells);
        strbuf_release(&note);
    }
    table_print(&table, stdout);
    table_release(&table);
}

static json_t *releases_json(const struct facts *facts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < facts->release_count; i++)
        json_array_append_new(list, json_line("{s:s, s:s}", "id", facts->releases[i].id, "state",
                                              release_state_name(facts->releases[i].state)));
    return list;
}

static json_t *slots_json(const struct facts *facts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < SLOTS; i++) {
        const struct slot_fact *slot = &facts->slots[i];
        if (slot->known)
            json_array_append_new(list, json_line("{s:s, s:s?, s:b, s:b}", "slot", slot_name(i), "release",
                                                  slot->release, "running", slot->running, "committed",
                                                  !slot->uncommitted));
    }
    return list;
}

/* NULL: nothing has traffic, or nobody knows what has. */
static const char *live_side(const struct run *run)
{
    struct sides sides;
    struct err err;
    if (run->inputs.playbook.strategy.kind != STRATEGY_BLUE_GREEN ||
        sides_read(&sides, run->fleet, &run->survey, NULL, &err) < 0)
        return NULL;
    size_t live = sides.begun && sides.switching ? sides.target : sides.live;
    return live == SLOTS ? NULL : slot_name(live);
}

static void print_json(const struct run *run)
{
    const char *live = live_side(run), *fleet_release = fleet_release_of(run);
    shares_print_status(run, true);
    for (size_t i = 0; i < run->fleet->count; i++) {
        const struct surveyed *node = &run->survey.nodes[i];
        struct strbuf note;
        strbuf_init(&note, 2048);
        note_of(&note, run, i, fleet_release);
        json_t *line = json_line(
            "{s:i, s:s, s:s, s:b, s:s?, s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:s, s:s?, s:s?, s:o, s:o, s:s?, s:b}", "v", 1,
            "event", "status", "node", run->fleet->members[i].node->name, "reached", node->answered, "release",
            node->facts.current, "state", state_of(node), "health", health_of(node), "rollback_to",
            node->facts.previous, "lock_holder", node->facts.lock_holder, "open_rollout",
            node->facts.open_rollout, "confirm", node->facts.confirm, "reverted",
            node->facts.reverted, "note", note.text, "traffic",
            node->traffic[0] ? node->traffic : NULL, "discovery",
            node->announced[0] ? node->announced : NULL, "releases", releases_json(&node->facts),
            "slots", slots_json(&node->facts), "live", live, "stale",
            surveyed_is_stale(node, fleet_release));
        print_json_line(line);
        strbuf_release(&note);
    }
}

static int exit_code(const struct run *run)
{
    int code = EXIT_DONE;
    if (survey_unanswered(&run->survey) == run->survey.count)
        return EXIT_UNREACHABLE;
    for (size_t i = 0; i < run->survey.count; i++) {
        const struct surveyed *node = &run->survey.nodes[i];
        struct err other;
        if (!node->answered || (node->probed && !node->healthy) ||
            facts_check_service(&node->facts, &run->fleet->members[i].service, &other) < 0)
            code = EXIT_NEEDS_CARE;
    }
    return code;
}

/* What a person or cron asked for beside the look. */
static int renew(struct run *run)
{
    struct err err;
    if (survey_renew(&run->survey, run->fleet, &err) == 0)
        return EXIT_DONE;
    print_err("deployctl: not renewed: %s\n", err.message);
    return EXIT_NEEDS_CARE;
}

int verb_status(const struct options *options)
{
    struct run run;
    struct service_lock_view view;
    int code = run_begin(&run, options);
    if (!code)
        code = run_survey(&run, true);
    if (!code) {
        int renewed = options->renew ? renew(&run) : EXIT_DONE;
        (options->json ? print_json : print_text)(&run);
        breakers_print_status(run.inputs.playbook.service.name, &run.survey, options->json);
        bool missing = missing_print_status(&run);
        fflush(stdout);
        int lock_code = service_lock_show(&run, &view);
        code = exit_code(&run);
        code = code == EXIT_DONE && (lock_code || renewed || missing || shares_forgotten(&run)) ? EXIT_NEEDS_CARE : code;
    }
    run_release(&run);
    return report_printed(code);
}
