#include <stdio.h>

#include "app/balancer.h"
#include "app/shares.h"
#include "missing.h"
#include "open_run.h"
#include "print.h"

/* Without an open run nothing is changed; who waits for one more word is named. */
static void name_left_out(const struct run *run)
{
    const struct balancers *balancers = run->fleet->balancers;
    bool sides = run->inputs.playbook.strategy.kind == STRATEGY_BLUE_GREEN;
    for (size_t i = 0; balancers && !sides && i < run->fleet->count; i++)
        if (run->survey.nodes[i].answered && run->survey.nodes[i].facts.current_good && balancers_holds_out(balancers, i))
            print_err("deployctl: %s is out of the balancers' traffic; `deployctl rollout %s` puts it in after its gate\n",
                    run->fleet->members[i].node->name, run->options->arguments[0]);
}

static int resume(struct run *run)
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
        if (code)
            return code;
        name_left_out(run);
        return run_nothing_open(run, "resume");
    }
    if (open.held) {
        print_err("deployctl: rollout %s is held after wave %zu; `deployctl promote %s` goes on, "
                "`deployctl abort %s` undoes it\n",
                open.rollout, open.waves_passed, playbook, playbook);
        return EXIT_REFUSED;
    }
    if (open.kind == RUN_ROLLOUT && open.release && run->waves.rules)
        run->waves_passed =
            shares_waves_passed(&run->waves, survey_waves_passed(&run->survey, run->fleet, &run->waves, open.release),
                                shares_seen(run->fleet, &run->survey, open.release));
    return open_run_go_on(run, &open);
}

int verb_resume(const struct options *options)
{
    return run_verb(options, resume);
}
