#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/rollback_targets.h"
#include "app/table.h"
#include "missing.h"
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
        if (node->outside)
            continue;
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

/* 0, or 4 after saying why there is no one release to go back to. */
static int choose_targets(struct run *run, const char *to)
{
    struct err err;
    if (!to && run->has_sides) {
        sides_rollback_targets(&run->sides, run->fleet, run->targets);
        return 0;
    }
    if (!to)
        return rollback_targets(&run->survey, run->options->each_own, run->targets, &err) < 0 ? report_error(&err) : 0;
    run_aim(run, to);
    return 0;
}

static int rollback(struct run *run)
{
    const char *to = NULL;
    if (run->options->to && run->options->each_own) {
        print_err("deployctl: --to names one release for all nodes and --each-own one for each: leave one of them out\n");
        return EXIT_USAGE;
    }
    int code = run_wait(run);
    if (!code)
        code = run_check_quorum(run);
    if (!code)
        code = run_survey(run, false);
    if (!code)
        code = run_check_missing(run);
    if (!code)
        code = run_named_release(run, &to);
    if (!code)
        code = run_sides(run, SIDES_FOR_NEW);
    if (!code)
        code = choose_targets(run, to);
    if (!code)
        code = run_require_plan(run);
    if (!code)
        code = run_check_targets(run, run->targets);
    if (!code && !agreed(run)) {
        print_err("deployctl: nothing was changed\n");
        code = EXIT_REFUSED;
    }
    if (!code)
        code = run_go(run, RUN_ROLLBACK, false, to                         ? to
                                                 : run->options->each_own ? "each node's own release before"
                                                                          : "the release before");
    return code;
}

int verb_rollback(const struct options *options)
{
    return run_verb(options, rollback);
}
