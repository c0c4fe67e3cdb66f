#include <stdio.h>
#include <string.h>

#include "missing.h"
#include "open_run.h"
#include "print.h"

/* What most nodes are at becomes every node's target. `done`: none is stale. */
static int aim_at_the_fleet(struct run *run, bool *done)
{
    const struct options *options = run->options;
    size_t stale = 0, away;
    *done = false;
    if (run->inputs.playbook.strategy.kind == STRATEGY_BLUE_GREEN || options->ref || options->supersede) {
        print_err("deployctl: --only-stale is for the release that most nodes are at: no blue-green service, no "
                        "--ref, no --supersede\n");
        return EXIT_REFUSED;
    }
    int code = run_survey(run, false);
    away = code ? 0 : survey_unanswered(&run->survey);
    if (!code && away == survey_members(&run->survey))
        code = run_unreached(run);
    const char *release = code ? NULL : survey_fleet_release(&run->survey);
    if (!code && !release) {
        print_err("deployctl: no node is at a release that was committed; `deployctl rollout %s` begins\n",
                options->arguments[0]);
        code = EXIT_REFUSED;
    }
    for (size_t i = 0; !code && i < run->survey.count; i++)
        stale += !run->survey.nodes[i].outside && surveyed_is_stale(&run->survey.nodes[i], release);
    if (!code && !stale) {
        run_say(run, "nothing to catch up: %zu node%s at %s, %zu not reached", survey_members(&run->survey) - away,
                survey_members(&run->survey) - away == 1 ? "" : "s", release, away);
        *done = true;
    }
    if (code || !stale)
        return code;
    code = pack_release(run, release, "` moves all to that");
    run_aim(run, release);
    return code;
}

static int rollout(struct run *run)
{
    const struct options *options = run->options;
    /* What a moving ref means is decided once, however long it waits. */
    bool done = false;
    int code = run->package && !options->only_stale ? 0
               : options->only_stale                ? aim_at_the_fleet(run, &done)
                                                    : run_pack(run, NULL);
    if (done)
        return code;
    if (!code)
        code = run_check_quorum(run);
    if (!code)
        code = run_wait(run);
    bool data = run->inputs.playbook.migration_count || options->migration_count || options->supersede;
    if (!code && data)
        code = run_data(run);
    if (!code)
        code = run_check_missing(run);
    if (!code)
        code = run_leaders(run);
    if (!code)
        code = run_sides(run, SIDES_FOR_NEW);
    if (!code)
        code = run_require_plan(run);
    if (!code && data)
        code = run_check_data(run);
    if (!code)
        code = run_go(run, RUN_ROLLOUT, options->supersede,
                      options->only_stale ? "the fleet's release" : package_description(run->package));
    return code;
}

int verb_rollout(const struct options *options)
{
    return run_verb(options, rollout);
}
