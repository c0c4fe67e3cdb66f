#include "run.h"

int verb_rollout(const struct options *options)
{
    struct run run;
    int code = run_begin(&run, options);
    if (!code)
        code = run_pack(&run);
    if (!code)
        code = run_require_plan(&run);
    if (!code)
        code = run_go(&run, false, package_description(run.package));
    run_release(&run);
    return code;
}
