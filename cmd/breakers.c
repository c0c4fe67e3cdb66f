#include "breakers.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "app/past.h"
#include "app/table.h"
#include "reports.h"
#include "print.h"

/* Of one run, from wherever they are known. */
struct seen {
    const char *rollout;
    struct breaker_list list;
    bool ended;
};

static void print_text(const struct seen *seen)
{
    static const char *const headings[] = {"breaker of", "state", "since", "last error"};
    struct table table;
    print_out("\nbreakers of rollout %s%s:\n", seen->rollout,
           seen->ended ? ", as it left them" : ", which runs or did not end");
    table_init(&table, headings, 4);
    for (size_t i = 0; i < seen->list.count; i++) {
        const struct breaker_seen *item = &seen->list.items[i];
        struct strbuf since;
        strbuf_init(&since, 64);
        breaker_seen_since(&since, item);
        const char *cells[] = {breaker_seen_name(item), item->state, since.text, item->error};
        table_row(&table, cells);
        strbuf_release(&since);
    }
    table_print(&table, stdout);
    table_release(&table);
}

static void print_json(const struct seen *seen)
{
    for (size_t i = 0; i < seen->list.count; i++) {
        const struct breaker_seen *item = &seen->list.items[i];
        struct strbuf since;
        strbuf_init(&since, 64);
        breaker_seen_since(&since, item);
        json_t *line = json_line("{s:i, s:s, s:s, s:s?, s:s?, s:s, s:s, s:s?, s:b}", "v", 1, "event", "breaker", "rollout",
                                 seen->rollout, "node", item->node, "dependency", item->dependency, "state", item->state,
                                 "since", since.text, "error", item->error, "ended", seen->ended);
        print_json_line(line);
        strbuf_release(&since);
    }
}

/* What this machine's journal of the run says. */
static void add_local(struct seen *seen, const struct journal_name *name)
{
    struct past past;
    struct err err;
    if (journal_read(&past, name, &err) < 0)
        print_err("deployctl: warning: breakers are shown from the nodes alone: %s\n", err.message);
    else
        past_breakers(&past, &seen->list);
    seen->ended = past_result(&past) != NULL;
    past_release(&past);
}

void breakers_print_status(const char *service, const struct survey *survey, bool json)
{
    const char *open = survey_open_run(survey).rollout, *told = survey_newest_run(survey);
    struct seen seen = {.rollout = open ? open : told};
    struct journal_names names;
    journal_names_read(&names);
    const struct journal_name *name = journal_names_of_service(&names, service, open);
    if (name && !open && (!told || strcmp(name->rollout, told) > 0))
        seen.rollout = name->rollout;
    breaker_list_init(&seen.list);
    if (name && strcmp(name->rollout, seen.rollout) == 0)
        add_local(&seen, name);
    if (seen.rollout) {
        survey_breakers(survey, seen.rollout, &seen.list);
        seen.ended = seen.ended || survey_saw_end(survey, seen.rollout);
    }
    if (seen.list.count)
        (json ? print_json : print_text)(&seen);
    breaker_list_release(&seen.list);
    journal_names_release(&names);
}
