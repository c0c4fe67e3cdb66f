#include "app/wish.h"
#include "run.h"

static int ask_to_hold(struct run *run, const char *live, const char *holder)
{
    size_t left;
    struct wish_order order = {.fleet = run->fleet, .forks = run->options->forks, .kind = WISH_PAUSE,
                               .rollout = live, .holder = run->holder};
    int signal_number = wish_leave(&order, &left);
    if (signal_number)
        return 128 + signal_number;
    if (left)
        run_say(run, "rollout %s of %s is asked to hold: it ends what it does, and holds at the end of its wave", live, holder);
    else
        run_say(run, "nothing to pause: rollout %s of %s has just ended", live, holder);
    return EXIT_DONE;
}

static int pause_once(struct run *run)
{
    struct open_run open;
    const char *holder;
    int code = run_open(run, &open);
    const char *live = code ? NULL : survey_live_run(&run->survey, &holder);
    if (code)
        return code;
    if (live)
        return ask_to_hold(run, live, holder);
    if (!open.rollout)
        return run_nothing_open(run, "pause");
    run_say(run,
            "nothing to pause: nobody runs rollout %s, it is held or its runner is gone; `deployctl resume %s` goes on, "
            "`deployctl abort %s` undoes it",
            open.rollout, run->options->arguments[0], run->options->arguments[0]);
    return EXIT_DONE;
}

int verb_pause(const struct options *options)
{
    return run_verb(options, pause_once);
}
