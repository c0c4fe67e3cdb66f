#include <stdio.h>

#include "run.h"

static int undo(struct run *run, const struct open_run *open)
{
    char text[160];
    for (size_t i = 0; i < run->survey.count; i++)
        run->targets[i] =
            run->survey.nodes[i].answered ? facts_release_before(&run->survey.nodes[i].facts) : NULL;
    int code = run_check_targets(run, run->targets);
    if (code)
        return code;
    snprintf(text, sizeof(text), "undoing %s %.64s", run_kind_name(open->kind), open->rollout);
    return run_go(run, RUN_ABORT, true, text);
}

static int abort_once(struct run *run)
{
    struct open_run open;
    int code = run_wait(run);
    if (!code)
        code = run_open(run, &open);
    if (code)
        return code;
    if (open.rollout)
        return undo(run, &open);
    printf("nothing to abort: no rollout of %s is open\n", run->inputs.playbook.service.name);
    return EXIT_DONE;
}

int verb_abort(const struct options *options)
{
    return run_verb(options, abort_once);
}
