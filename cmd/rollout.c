#include "run.h"

int verb_rollout(const struct options *options)
{
    struct run run;
    int code = run_begin(&run, options);
    if (!code)
        code = run_pack(&run, NULL);
    if (!code)
        code = run_require_plan(&run);
    if (!code)
        code = run_go(&run, RUN_ROLLOUT, options->supersede, package_description(run.package));
    run_release(&run);
    return code;
}
