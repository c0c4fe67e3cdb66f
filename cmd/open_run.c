#include "open_run.h"
#include "missing.h"
#include "shares.h"
#include "print.h"

#include <stdio.h>
#include <string.h>

#include "app/shares.h"

/* Every node has the release already: nothing has to be staged, so no source is needed. */
static bool all_have(const struct run *run, const char *release)
{
    for (size_t i = 0; i < run->survey.count; i++) {
        enum release_state state;
        const struct surveyed *node = &run->survey.nodes[i];
        bool stays = node->outside || (run->has_sides && !sides_changes(&run->sides, &run->fleet->members[i]));
        if (node->answered && !stays &&
            (!facts_has(&node->facts, release, &state) || state == RELEASE_INCOMPLETE))
            return false;
    }
    return true;
}

/* Its commits had begun: some nodes have committed, others have not. */
static bool half_committed(const struct run *run, const struct open_run *open)
{
    bool some = false, all = true;
    for (size_t i = 0; i < run->survey.count; i++) {
        const struct facts *facts = &run->survey.nodes[i].facts;
        const char *before;
        if (run->survey.nodes[i].outside)
            continue;
        bool committed = run->survey.nodes[i].answered && facts_take_back(facts, run->chain, &before) &&
                         open->release && strcmp(facts->current, open->release) == 0;
        some |= committed;
        all &= committed || (run->survey.nodes[i].answered && facts->current_good && facts->current && open->release &&
                             strcmp(facts->current, open->release) == 0);
    }
    return some && !all;
}

/* The source as it was then: its 12 hex name a commit, when the playbook deploys whole commits. */
int pack_release(struct run *run, const char *release, const char *advice)
{
    const struct source *source = &run->inputs.playbook.source;
    const char *hex = strrchr(release, '-');
    bool commit = source->kind == SOURCE_GIT && !source->path && hex;
    package_free(run->package); /* of an earlier try, before it waited */
    run->package = NULL;
    if (all_have(run, release))
        return 0;
    int code = run_pack(run, commit ? hex + 1 : NULL);
    if (code || strcmp(package_release(run->package), release) == 0)
        return code;
    print_err("deployctl: release %s is not on every node, and the source gives %s now; `deployctl rollout %s%s\n",
            release, package_release(run->package), run->options->arguments[0], advice);
    return EXIT_REFUSED;
}

int open_run_go_on(struct run *run, const struct open_run *open)
{
    char text[160];
    int code = run_check_missing(run);
    if (!code)
        code = run_goes_on(run, open);
    if (!code)
        code = run_sides(run, open->kind == RUN_ABORT ? SIDES_FOR_UNDO : SIDES_FOR_RESUME);
    if (code)
        return code;
    if (open->kind == RUN_ROLLOUT && open->release)
        code = pack_release(run, open->release, " --supersede` starts over with that");
    if (code)
        return code;
    shares_warn(run);
    if (open->kind == RUN_ROLLOUT && open->release)
        run->share = shares_seen(run->fleet, &run->survey, open->release);
    survey_resume_targets(&run->survey, open, run->chain, run->targets);
    for (size_t i = 0; run->has_sides && i < run->fleet->count; i++)
        if (!sides_changes(&run->sides, &run->fleet->members[i]))
            run->targets[i] = run->survey.nodes[i].facts.current;
    if (open->kind != RUN_ROLLOUT && run->options->migration_count) {
        print_err("deployctl: a %s runs no migration; leave --migration out\n", run_kind_name(open->kind));
        return EXIT_REFUSED;
    }
    if (open->kind == RUN_ROLLOUT)
        code = run_data(run);
    if (open->kind == RUN_ROLLOUT && !code)
        code = run_check_data(run);
    else if (open->kind == RUN_ABORT)
        code = run_check_undo(run);
    if (code)
        return code;
    run->stages_again = open->kind == RUN_ROLLOUT && open->release && run->waves_passed == 0 &&
                        survey_waves_passed(&run->survey, run->fleet, &run->waves, open->release) == 0;
    run->half_committed = open->kind == RUN_ROLLOUT && half_committed(run, open);
    snprintf(text, sizeof(text), "going on with %s %.64s", run_kind_name(open->kind), open->rollout);
    return run_go(run, open->kind, true, text);
}
