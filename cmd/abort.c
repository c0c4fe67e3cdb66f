#include <stdio.h>
#include <string.h>

#include "app/queue.h"
#include "app/run_end.h"
#include "app/wish.h"
#include "missing.h"
#include "run.h"
#include "print.h"

#define NO_LIMIT_MS INT64_C(86400000)

static int undo(struct run *run, const struct open_run *open)
{
    char text[160];
    int code = run_check_missing(run);
    if (!code)
        code = run_goes_on(run, open);
    if (code)
        return code;
    survey_undo_targets(&run->survey, run->chain, run->targets);
    code = run_sides(run, SIDES_FOR_UNDO);
    if (!code)
        code = run_check_undo(run);
    if (code)
        return code;
    snprintf(text, sizeof(text), "undoing %s %.64s", run_kind_name(open->kind), open->rollout);
    return run_go(run, RUN_ABORT, true, text);
}

/* --- a run that lives: its own runner undoes it --- */

struct live_run {
    char rollout[65], holder[200];
    enum run_kind kind;
};

static void say_undoing(void *context, const char *sentence)
{
    (void)context;
    print_err("waiting until it is undone: %s\n", sentence);
}

/* 0 once its runner has ended or is silent for too long, or an exit code after saying why not. */
static int wait_for_its_end(struct run *run, const struct live_run *live)
{
    struct err err;
    struct queue_order order = {.fleet = run->fleet, .forks = run->options->forks, .rollout = live->rollout,
                                .waiting = say_undoing};
    order.wait_ms = run->options->wait_ms ? run->options->wait_ms : NO_LIMIT_MS;
    int rc = queue_wait(&order, &err);
    if (rc > 0)
        print_err("deployctl: stopped waiting; rollout %s goes on undoing\n", live->rollout);
    return rc > 0 ? 128 + rc : rc < 0 ? report_error(&err) : 0;
}

static int ask_to_undo(struct run *run, const struct live_run *live)
{
    size_t left;
    struct wish_order order = {.fleet = run->fleet, .forks = run->options->forks, .kind = WISH_ABORT,
                               .rollout = live->rollout, .holder = run->holder};
    if (live->kind == RUN_ABORT) {
        print_err("%s is undoing it already\n", live->holder);
        return wait_for_its_end(run, live);
    }
    int signal_number = wish_leave(&order, &left);
    if (signal_number)
        return 128 + signal_number;
    if (left)
        print_err("rollout %s of %s is asked to undo what it did\n", live->rollout, live->holder);
    return wait_for_its_end(run, live);
}

/* It was faster than the wish: what it has committed is taken back as that of one that died there. */
static int undo_what_is_done(struct run *run, const struct live_run *live)
{
    struct open_run done = {.rollout = live->rollout, .kind = live->kind};
    print_err("rollout %s was done before it could be undone; undoing it now\n", live->rollout);
    return undo(run, &done);
}

/* Its own word, from the nodes' journals. */
static int tell_end(struct run *run, const struct live_run *live)
{
    const char *playbook = run->options->arguments[0];
    struct run_end end;
    int signal_number = run_end_ask(&end, run->fleet, run->options->forks, live->rollout);
    if (signal_number)
        return 128 + signal_number;
    bool done = end.known && strcmp(end.result, rollout_result_name(RESULT_DONE)) == 0;
    if (done && live->kind != RUN_ABORT && !end.next[0])
        return undo_what_is_done(run, live);
    if (done && live->kind != RUN_ABORT) {
        print_err("deployctl: rollout %s was done before it could be undone, and %s has begun since; `deployctl "
                "rollback %s` goes back\n",
                live->rollout, end.next, playbook);
        return EXIT_REFUSED;
    }
    if (!end.known && end.next[0])
        print_err("deployctl: rollout %s was superseded by %s, see `deployctl status %s`\n", live->rollout,
                end.next, playbook);
    else if (!end.known || strcmp(end.result, rollout_result_name(RESULT_NEEDS_CARE)) == 0)
        print_err("deployctl: rollout %s: %s; see `deployctl status %s`\n", live->rollout,
                end.known ? end.result : "it has ended, and no node knows how", playbook);
    else
        run_say(run, "rollout %s of %s: %s", live->rollout, live->holder, done ? "undone" : end.result);
    return !end.known || strcmp(end.result, rollout_result_name(RESULT_NEEDS_CARE)) == 0 ? EXIT_NEEDS_CARE : EXIT_DONE;
}

static bool find_live(const struct run *run, const struct open_run *open, struct live_run *out)
{
    const char *holder, *rollout = survey_live_run(&run->survey, &holder);
    if (!rollout)
        return false;
    snprintf(out->rollout, sizeof(out->rollout), "%s", rollout);
    snprintf(out->holder, sizeof(out->holder), "%s", holder);
    out->kind = open->rollout && strcmp(open->rollout, rollout) == 0 ? open->kind : RUN_ROLLOUT;
    return true;
}

static int abort_once(struct run *run)
{
    struct open_run open;
    struct live_run live;
    int code = run_open(run, &open);
    bool lives = !code && find_live(run, &open, &live);
    if (lives)
        code = ask_to_undo(run, &live);
    if (lives && !code) {
        survey_release(&run->survey);
        code = run_open(run, &open);
    }
    if (code)
        return code;
    if (open.rollout && (!lives || strcmp(open.rollout, live.rollout) == 0))
        return undo(run, &open);
    if (lives)
        return tell_end(run, &live);
    code = run_check_missing(run);
    return code ? code : run_nothing_open(run, "abort");
}

int verb_abort(const struct options *options)
{
    return run_verb(options, abort_once);
}
