#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/table.h"
#include "run.h"
#include "print.h"

static void show(const struct run *run)
{
    static const char *const headings[] = {"node", "from", "to"};
    struct table table;
    table_init(&table, headings, 3);
    for (size_t i = 0; i < run->fleet->count; i++) {
        const struct surveyed *node = &run->survey.nodes[i];
        const char *current = node->answered ? node->facts.current : NULL;
        const char *target = run->targets[i];
        bool same = current && target && strcmp(current, target) == 0;
        const char *cells[] = {run->fleet->members[i].node->name,
                               node->answered ? current : "not reached",
                               !node->answered ? NULL
                               : same          ? "stays"
                               : target        ? target
                                               : "nowhere to go back to"};
        table_row(&table, cells);
    }
    table_print(&table, stderr);
    table_release(&table);
}

static bool agreed(const struct run *run)
{
    char answer[16] = "";
    if (run->options->yes || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return true;
    show(run);
    print_err("go back? [y/N] ");
    if (!fgets(answer, sizeof(answer), stdin))
        return false;
    return answer[0] == 'y' || answer[0] == 'Y';
}

static void choose_targets(struct run *run, const char *to)
{
    if (!to && run->has_sides) {
        sides_rollback_targets(&run->sides, run->fleet, run->targets);
        return;
    }
    if (!to) {
        survey_rollback_targets(&run->survey, run->targets);
        return;
    }
    for (size_t i = 0; i < run->fleet->count; i++)
        run->targets[i] = to;
}

static int rollback(struct run *run)
{
    const char *to = NULL;
    int code = run_wait(run);
    if (!code)
        code = run_check_quorum(run);
    if (!code)
        code = run_survey(run, false);
    if (!code)
        code = run_named_release(run, &to);
    if (!code)
        code = run_sides(run, SIDES_FOR_NEW);
    if (!code) {
        choose_targets(run, to);
        code = run_require_plan(run);
    }
    if (!code)
        code = run_check_targets(run, run->targets);
    if (!code && !agreed(run)) {
        print_err("deployctl: nothing was changed\n");
        code = EXIT_REFUSED;
    }
    if (!code)
        code = run_go(run, RUN_ROLLBACK, false, to ? to : "each node's previous good release");
    return code;
}

int verb_rollback(const struct options *options)
{
    return run_verb(options, rollback);
}
