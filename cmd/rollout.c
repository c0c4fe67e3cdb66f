#include "run.h"

int verb_rollout(const struct options *options)
{
    struct run run;
    int code = run_begin(&run, options);
    if (!code)
        code = run_pack(&run, NULL);
    bool data = run.inputs.playbook.migration_count || options->migration_count || options->supersede;
    if (!code && data)
        code = run_data(&run);
    if (!code)
        code = run_require_plan(&run);
    if (!code && data)
        code = run_check_data(&run);
    if (!code)
        code = run_go(&run, RUN_ROLLOUT, options->supersede, package_description(run.package));
    run_release(&run);
    return code;
}
