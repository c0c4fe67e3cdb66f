#include "run.h"

static int rollout(struct run *run)
{
    const struct options *options = run->options;
    /* What a moving ref means is decided once, however long it waits. */
    int code = run->package ? 0 : run_pack(run, NULL);
    if (!code)
        code = run_check_quorum(run);
    if (!code)
        code = run_wait(run);
    bool data = run->inputs.playbook.migration_count || options->migration_count || options->supersede;
    if (!code && data)
        code = run_data(run);
    if (!code)
        code = run_leaders(run);
    if (!code)
        code = run_sides(run, false);
    if (!code)
        code = run_require_plan(run);
    if (!code && data)
        code = run_check_data(run);
    if (!code)
        code = run_go(run, RUN_ROLLOUT, options->supersede, package_description(run->package));
    return code;
}

int verb_rollout(const struct options *options)
{
    return run_verb(options, rollout);
}
