#include <stdio.h>

#include "app/shares.h"
#include "open_run.h"

static int resume(struct run *run)
{
    const char *playbook = run->options->arguments[0];
    struct open_run open;
    int code = run_wait(run);
    if (!code)
        code = run_open(run, &open);
    if (code)
        return code;
    if (!open.rollout)
        return run_nothing_open(run, "resume");
    if (open.held) {
        fprintf(stderr,
                "deployctl: rollout %s is held after wave %zu; `deployctl promote %s` goes on, "
                "`deployctl abort %s` undoes it\n",
                open.rollout, open.waves_passed, playbook, playbook);
        return EXIT_REFUSED;
    }
    if (open.kind == RUN_ROLLOUT && open.release && run->waves.rules)
        run->waves_passed =
            shares_waves_passed(&run->waves, survey_waves_passed(&run->survey, &run->waves, open.release),
                                shares_seen(run->fleet, &run->survey, open.release));
    return open_run_go_on(run, &open);
}

int verb_resume(const struct options *options)
{
    return run_verb(options, resume);
}
