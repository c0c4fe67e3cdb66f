#include <stdio.h>

#include "run.h"

static int undo(struct run *run)
{
    char text[160];
    struct open_run open = survey_open_run(&run->survey);
    if (!open.rollout) {
        printf("nothing to abort: no rollout of %s is open\n", run->inputs.playbook.service.name);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < run->survey.count; i++)
        run->targets[i] =
            run->survey.nodes[i].answered ? facts_release_before(&run->survey.nodes[i].facts) : NULL;
    int code = run_check_targets(run, run->targets);
    if (code)
        return code;
    snprintf(text, sizeof(text), "undoing %s %.64s", run_kind_name(open.kind), open.rollout);
    return run_go(run, RUN_ABORT, true, text);
}

int verb_abort(const struct options *options)
{
    struct run run;
    int code = run_begin(&run, options);
    if (!code)
        code = run_survey(&run, false);
    if (!code && survey_unanswered(&run.survey) == run.survey.count)
        code = run_unreached(&run);
    if (!code)
        code = undo(&run);
    run_release(&run);
    return code;
}
