#include <stdio.h>

#include "missing.h"
#include "open_run.h"
#include "print.h"

static int promote(struct run *run)
{
    const char *playbook = run->options->arguments[0];
    struct open_run open;
    int code = run_wait(run);
    if (!code)
        code = run_open(run, &open);
    if (code)
        return code;
    if (!open.rollout) {
        code = run_check_missing(run);
        return code ? code : run_nothing_open(run, "promote");
    }
    if (!open.held) {
        print_err("deployctl: rollout %s is not held, it did not end; `deployctl resume %s` goes on, "
                "`deployctl abort %s` undoes it\n",
                open.rollout, playbook, playbook);
        return EXIT_REFUSED;
    }
    if (open.waves_passed >= run->waves.count) {
        print_err("deployctl: rollout %s is held after wave %zu, and the playbook makes %zu now; "
                "`deployctl rollout %s --supersede` starts over\n",
                open.rollout, open.waves_passed, run->waves.count, playbook);
        return EXIT_REFUSED;
    }
    run->waves_passed = open.waves_passed;
    return open_run_go_on(run, &open);
}

int verb_promote(const struct options *options)
{
    return run_verb(options, promote);
}
