#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "app/balancer.h"
#include "app/delivery.h"
#include "app/fallback.h"
#include "app/table.h"
#include "base/units.h"
#include "inputs.h"
#include "run.h"
#include "service_lock.h"
#include "shares.h"
#include "missing.h"
#include "print.h"

struct planned {
    const char *change; /* none, enable, update, first, finish, unknown */
    struct err refusal; /* code 0: nothing stands in the way */
    char note[ERR_MESSAGE_MAX + 1100];
};

static const char *change_of(const struct surveyed *node, const char *target)
{
    if (!node->answered)
        return "unknown";
    if (!node->facts.current)
        return "first";
    if (strcmp(node->facts.current, target) == 0)
        return node->facts.current_good ? "none" : "finish";
    return "update";
}

/* Who has the release already and is left out comes in after its gate. */
static bool comes_in(const struct run *run, size_t index)
{
    const struct facts *facts = &run->survey.nodes[index].facts;
    return run->fleet->balancers && !run->has_sides && facts->current_good &&
           strcmp(facts->current, run->targets[index]) == 0 && balancers_holds_out(run->fleet->balancers, index);
}

static void judge(const struct run *run, size_t index, const struct err *fallback, struct planned *out)
{
    const struct surveyed *node = &run->survey.nodes[index];
    const struct service *service = &run->fleet->members[index].service;
    enum release_state state = RELEASE_INCOMPLETE;
    out->change = change_of(node, run->targets[index]);
    err_clear(&out->refusal);
    if (!node->answered) {
        out->refusal = node->error;
        return;
    }
    if (comes_in(run, index))
        out->change = "enable";
    bool there = facts_has(&node->facts, run->targets[index], &state) && state != RELEASE_INCOMPLETE;
    bool become = service->become || run->fleet->members[index].node->connection.become;
    uint64_t needed = there ? 0 : delivery_needs_bytes(run->package);
    if (facts_locked(&node->facts))
        err_set(&out->refusal, ERR_REFUSED, "locked by %s, rollout %s", node->facts.lock_holder,
                node->facts.lock_rollout ? node->facts.lock_rollout : "unknown");
    else if (facts_check(&node->facts, service, become, needed, &out->refusal) == 0 && !run->has_sides &&
             run->inputs.playbook.failure.action != FAILURE_STOP)
        facts_check_way_back(&node->facts, run->targets[index], &out->refusal);
    if (!out->refusal.code && fallback->code)
        out->refusal = *fallback;
    if (!out->refusal.code && node->traffic_error.code)
        out->refusal = node->traffic_error;
}

/* Where this node would go back to, after this rollout or in it; NULL: nowhere. */
static const char *rollback_to(const struct surveyed *node, const char *change)
{
    bool stays = strcmp(change, "none") == 0 || strcmp(change, "enable") == 0 || strcmp(change, "finish") == 0;
    return stays || !node->facts.current_good ? node->facts.previous : node->facts.current;
}

static bool sudo_fine(const struct facts *facts)
{
    return !facts->sudo || strcmp(facts->sudo, "ok") == 0;
}

static void add_note(struct planned *planned, const struct surveyed *node)
{
    const char *refusal = planned->refusal.code ? planned->refusal.message : "";
    snprintf(planned->note, sizeof(planned->note), "%s%s%s%s%s", refusal,
             *refusal && node->traffic[0] ? "; " : "", node->traffic,
             (*refusal || node->traffic[0]) && node->announced[0] ? "; " : "", node->announced);
    size_t length = strlen(planned->note);
    const char *lead = length ? "; " : "";
    if (node->leads)
        snprintf(planned->note + length, sizeof(planned->note) - length, "%sleads now: goes last", lead);
    else if (node->leader_error.code)
        snprintf(planned->note + length, sizeof(planned->note) - length, "%s%s", lead,
                 node->leader_error.message);
}

static const char *wave_text(const struct run *run, size_t node, char out[24])
{
    for (size_t wave = 0; wave < run->waves.count; wave++)
        for (size_t i = 0; i < run->waves.items[wave].count; i++)
            if (run->waves.items[wave].nodes[i] == node)
                snprintf(out, 24, "%zu", wave + 1);
    return out;
}

static const char *moment_of(const struct migration *migration)
{
    return migration->kind == CHANGE_CONTRACT ? "after the last commit" : "before the first node changes";
}

static const char *place_of(const struct run *run, const struct data_change *change)
{
    if (strcmp(change->migration->on, "first") != 0)
        return change->migration->on;
    return run->waves.count && run->waves.items[0].count
               ? run->fleet->members[run->waves.items[0].nodes[0]].node->name
               : "first";
}

static void print_change(const struct run *run, const struct data_change *change)
{
    const struct migration *migration = change->migration;
    print_out("  %-20s %-12s ", migration->name, change_kind_name(migration->kind));
    if (change->state == DATA_DONE)
        print_out("done with release %s\n", change->release);
    else if (change->state == DATA_UNKNOWN)
        print_out("unknown: began on %s with release %s\n", change->where, change->release);
    else
        print_out("pending: on %s, %s%s\n", place_of(run, change), moment_of(migration),
               migration->backup ? ", behind its backup" : "");
}

/* In the order in which they would run. */
static void print_data(const struct run *run, const struct err *refusal)
{
    size_t no_return = data_plan_no_return(&run->data);
    if (run->data.count)
        print_out("migrations, once a fleet:\n");
    for (int contract = 0; contract < 2; contract++)
        for (size_t i = 0; i < run->data.count; i++) {
            if ((run->data.changes[i].migration->kind == CHANGE_CONTRACT) != contract)
                continue;
            if (i == no_return)
                print_out("  -- point of no return: from here on nothing is rolled back\n");
            print_change(run, &run->data.changes[i]);
        }
    if (run->data.no_way_back)
        print_out("some node would go back to before an irreversible migration: nothing would be rolled back\n");
    if (refusal->code)
        print_out("would be refused: %s\n", refusal->message);
}

static void print_text(const struct run *run, const struct planned *planned, const char *hash,
                       const struct err *refusal)
{
    static const char *const headings[] = {"wave", "node", "current",  "change",
                                           "disk", "sudo", "rollback", "note"};
    struct table table;
    print_out("plan of %s to %s (%s)\n", run->inputs.playbook.service.name,
           package_release(run->package), package_description(run->package));
    if (run->has_sides)
        print_out("live: %s; %s is changed, then the traffic is switched to it%s\n",
               run->sides.live == SLOTS ? "none" : slot_name(run->sides.live), slot_name(run->sides.target),
               run->waves.rules[0].manual ? ", once `deployctl promote` says so" : "");
    table_init(&table, headings, 8);
    for (size_t wave = 0; wave < run->waves.count; wave++)
        for (size_t i = 0; i < run->waves.items[wave].count; i++) {
            size_t index = run->waves.items[wave].nodes[i];
            const struct surveyed *node = &run->survey.nodes[index];
            char number[24] = "", disk[DURATION_TEXT_MAX] = "";
            if (node->answered)
                size_format(disk, node->facts.disk_free);
            const char *cells[] = {wave_text(run, index, number),
                                   run->fleet->members[index].node->name,
                                   node->facts.current,
                                   planned[index].change,
                                   disk,
                                   !node->answered ? NULL : sudo_fine(&node->facts) ? "ok" : "no",
                                   !node->answered                          ? NULL
                                   : rollback_to(node, planned[index].change) ? "yes"
                                                                              : "no",
                                   planned[index].note};
            table_row(&table, cells);
        }
    table_print(&table, stdout);
    table_release(&table);
    shares_print_plan(run, false);
    print_data(run, refusal);
    print_out("plan %s; hold a rollout to it with --require-plan %s\n", hash, hash);
}

static void dump(json_t *line)
{
    print_json_line(line);
}

static void dump_data(const struct run *run)
{
    for (size_t i = 0; i < run->data.count; i++) {
        const struct data_change *change = &run->data.changes[i];
        const struct migration *migration = change->migration;
        dump(json_line("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s?, s:b}", "v", 1, "event", "plan_migration", "migration",
                       migration->name, "kind", change_kind_name(migration->kind), "state",
                       data_state_name(change->state), "node", place_of(run, change), "moment",
                       migration->kind == CHANGE_CONTRACT ? "after" : "before", "release", change->release, "backup",
                       migration->backup != NULL));
    }
}

static void print_json(const struct run *run, const struct planned *planned, const char *hash,
                       const struct err *refusal)
{
    size_t no_return = data_plan_no_return(&run->data);
    for (size_t i = 0; i < run->fleet->count; i++) {
        const struct surveyed *node = &run->survey.nodes[i];
        char wave[24] = "0";
        json_t *line = json_line(
            "{s:i, s:s, s:s, s:s, s:s, s:s?, s:s, s:s?, s:I, s:s?, s:s?, s:s?}", "v", 1, "event", "plan_node",
            "node", run->fleet->members[i].node->name, "wave", wave_text(run, i, wave), "change",
            planned[i].change, "current", node->facts.current, "target", run->targets[i],
            "rollback_to", rollback_to(node, planned[i].change), "disk_free", (json_int_t)node->facts.disk_free, "sudo",
            node->facts.sudo, "refusal", planned[i].refusal.code ? planned[i].refusal.message : NULL, "traffic",
            node->traffic[0] ? node->traffic : NULL);
        dump(line);
    }
    shares_print_plan(run, true);
    dump_data(run);
    json_t *line = json_line("{s:i, s:s, s:s, s:s, s:s, s:i, s:s?, s:b, s:s?}", "v", 1, "event", "plan", "service",
                             run->inputs.playbook.service.name, "release",
                             package_release(run->package), "hash", hash, "waves",
                             (int)run->waves.count, "point_of_no_return",
                             no_return == SIZE_MAX ? NULL : run->data.changes[no_return].migration->name,
                             "no_way_back", run->data.no_way_back, "refusal",
                             refusal->code ? refusal->message : NULL);
    dump(line);
}

/* The live group stays; an idle side is changed, whatever it has, unless what is live is the target already. */
static void judge_side(const struct run *run, size_t index, struct planned *out)
{
    bool there = sides_live_at(&run->sides, run->fleet, run->targets[index]);
    if (!run->survey.nodes[index].answered)
        return;
    if (!sides_changes(&run->sides, &run->fleet->members[index]))
        out->change = "stays";
    else
        out->change = there ? "none" : run->sides.live == SLOTS ? "first" : "update";
}

static void warn_of_doubts(struct run *run)
{
    struct faults doubts;
    faults_init(&doubts, &run->inputs.arena);
    playbook_doubts(&run->inputs.playbook, &doubts);
    for (size_t i = 0; i < doubts.count; i++)
        fault_print(&doubts.items[i], "warning", run->options->json);
}

static int plan(struct run *run)
{
    char hash[13];
    int code = EXIT_DONE;
    struct planned *planned =
        arena_alloc(&run->inputs.arena, (run->fleet->count + 1) * sizeof(*planned));
    struct err *fallbacks = arena_alloc(&run->inputs.arena, (run->fleet->count + 1) * sizeof(*fallbacks));
    if (!planned || !fallbacks)
        return report_error(&(struct err){.code = ERR_MEMORY, .message = "out of memory"});
    int signal_number = fallbacks_check(fallbacks, &run->survey, run->fleet, run->targets, run->options->forks);
    if (signal_number)
        return 128 + signal_number;
    for (size_t i = 0; i < run->fleet->count; i++) {
        judge(run, i, &fallbacks[i], &planned[i]);
        if (run->has_sides)
            judge_side(run, i, &planned[i]);
        add_note(&planned[i], &run->survey.nodes[i]);
        if (planned[i].refusal.code && code == EXIT_DONE)
            code = EXIT_REFUSED;
        if (!run->survey.nodes[i].answered && planned[i].refusal.code != ERR_REFUSED)
            code = EXIT_UNREACHABLE;
    }
    struct err refusal;
    err_clear(&refusal);
    if (data_plan_check(&run->data, run->fleet, &run->survey, run->options->limit != NULL, &refusal) < 0 ||
        data_check_targets(run->fleet, &run->survey, run->targets, &refusal) < 0)
        code = code == EXIT_DONE ? EXIT_REFUSED : code;
    else
        run_warn_of_time(run, run->targets);
    run_plan_hash(run, hash);
    warn_of_doubts(run);
    (run->options->json ? print_json : print_text)(run, planned, hash, &refusal);
    return code;
}

int verb_plan(const struct options *options)
{
    struct run run;
    struct service_lock_view view;
    int code = run_begin(&run, options);
    if (!code)
        code = run_check_quorum(&run);
    if (!code)
        code = run_pack(&run, NULL);
    if (!code)
        code = run_survey(&run, false);
    if (!code)
        code = run_leaders(&run);
    if (!code)
        code = run_sides(&run, SIDES_FOR_NEW);
    if (!code)
        code = run_data(&run);
    if (!code)
        code = plan(&run);
    if (code == EXIT_DONE)
        code = run_check_missing(&run);
    if (code == EXIT_DONE || code == EXIT_REFUSED) {
        fflush(stdout);
        int lock_code = service_lock_show(&run, &view);
        code = lock_code ? lock_code : view.held ? EXIT_REFUSED : code;
    }
    run_release(&run);
    return report_printed(code);
}
