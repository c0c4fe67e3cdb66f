#include "missing.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "app/missing.h"
#include "print.h"
#include "reports.h"

#define JOURNALS_MAX 20

struct look {
    char rollout[65]; /* the open run; "": none */
    struct missing by_nodes, by_journal;
    struct past past; /* borrowed from by by_journal */
    bool has_past;
};

static void look_release(struct look *look)
{
    missing_release(&look->by_nodes);
    missing_release(&look->by_journal);
    if (look->has_past)
        past_release(&look->past);
}

/* The service's newest run that this machine began and that was not refused. */
static bool read_last(struct past *out, const char *service)
{
    struct journal_names names;
    struct err err;
    bool found = false;
    journal_names_read(&names);
    for (size_t i = 0, read = 0; !found && i < names.count && read < JOURNALS_MAX; i++) {
        if (strcmp(names.items[i].service, service) != 0)
            continue;
        read++;
        int rc = journal_read(out, &names.items[i], &err);
        const struct record *end = rc < 0 ? NULL : past_result(out);
        found = rc == 0 && !(end && end->result && strcmp(end->result, rollout_result_name(RESULT_REFUSED)) == 0);
        if (!found)
            past_release(out);
    }
    journal_names_release(&names);
    return found;
}

static int look_at_journal(struct look *look, struct run *run)
{
    const char *rollout = look->past.roster.rollout, *open = run->survey.nodes ? survey_open_run(&run->survey).rollout : NULL;
    if (!rollout || !journal_is_open(&look->past) || (open && strcmp(open, rollout) != 0))
        return 0;
    missing_of_journal(&look->by_journal, run->fleet, &look->past);
    int code = look->by_journal.count && !run->survey.nodes ? run_survey(run, false) : 0;
    if (code)
        return code;
    open = run->survey.nodes ? survey_open_run(&run->survey).rollout : NULL;
    if (look->by_journal.count && !open && survey_is_past(&run->survey, rollout))
        look->by_journal.count = 0;
    snprintf(look->rollout, sizeof(look->rollout), "%s", rollout);
    return 0;
}

static int look_around(struct look *look, struct run *run)
{
    *look = (struct look){.has_past = false};
    missing_init(&look->by_nodes);
    missing_init(&look->by_journal);
    if (run->options->limit && !run->options->marks_limit)
        return 0; /* the fleet is a part of the service */
    look->has_past = read_last(&look->past, run->inputs.playbook.service.name);
    int code = look->has_past ? look_at_journal(look, run) : 0;
    const char *open = !code && run->survey.nodes ? survey_open_run(&run->survey).rollout : NULL;
    if (!open)
        return code;
    if (strcmp(open, look->rollout) != 0)
        look->by_journal.count = 0;
    snprintf(look->rollout, sizeof(look->rollout), "%s", open);
    missing_of_nodes(&look->by_nodes, run->fleet, &run->survey, open);
    return 0;
}

/* The journal names roots, too. NULL: nothing is missing. */
static const struct missing *found(const struct look *look)
{
    const struct missing *most = look->by_nodes.count > look->by_journal.count ? &look->by_nodes : &look->by_journal;
    return most->count ? most : NULL;
}

static void tell(struct strbuf *out, const struct look *look, const struct missing *missing, const char *playbook)
{
    strbuf_addf(out, "rollout %s did not end, and %zu of its nodes %s: %s; ", look->rollout, missing->count,
                missing->moved == missing->count ? "had another root than this playbook gives"
                : missing->moved                 ? "are not in this inventory, or had another root"
                                                 : "are not in this inventory, or not in the playbook's hosts",
                missing->names.text);
    if (missing->moved && missing->root)
        strbuf_addf(out, "go on where it was, `deployctl resume %s --set 'service.root=%s'` or abort likewise", playbook, missing->root);
    else
        strbuf_addf(out, "put them back, then `deployctl resume %s` or `deployctl abort %s`", playbook, playbook);
    strbuf_addf(out, "; --ignore-missing %s leaves what it did there as it is", look->rollout);
}

int run_check_missing(struct run *run)
{
    const char *ignored = run->options->ignore_missing;
    struct look look;
    int code = look_around(&look, run);
    const struct missing *missing = code ? NULL : found(&look);
    if (missing && ignored && strcmp(ignored, look.rollout) == 0) {
        print_err("deployctl: warning: what rollout %s did on %s is left as it is\n", look.rollout, missing->names.text);
    } else if (missing) {
        struct strbuf text;
        strbuf_init(&text, 4096);
        tell(&text, &look, missing, run->options->arguments[0]);
        print_err("deployctl: %s\n", text.text);
        strbuf_release(&text);
        code = EXIT_REFUSED;
    }
    look_release(&look);
    return code;
}

bool missing_print_status(struct run *run)
{
    struct look look;
    struct strbuf text;
    const struct missing *missing = look_around(&look, run) ? NULL : found(&look);
    bool any = missing != NULL;
    strbuf_init(&text, 4096);
    if (missing)
        tell(&text, &look, missing, run->options->arguments[0]);
    if (any && run->options->json)
        print_json_line(json_line("{s:i, s:s, s:s, s:i, s:s}", "v", 1, "event", "missing", "rollout", look.rollout, "nodes",
                                  (int)missing->count, "text", text.text));
    else if (any)
        print_out("%s\n", text.text);
    strbuf_release(&text);
    look_release(&look);
    return any;
}
