#include "breakers.h"

#include <jansson.h>
#include <stdio.h>

#include "app/past.h"
#include "app/table.h"
#include "reports.h"

static void print_text(const struct past *past, const struct breaker_list *list)
{
    static const char *const headings[] = {"breaker of", "state", "since", "last error"};
    struct table table;
    printf("\nbreakers of rollout %s%s:\n", past->roster.rollout ? past->roster.rollout : "unknown",
           past_result(past) ? ", as it left them" : ", which runs or did not end");
    table_init(&table, headings, 4);
    for (size_t i = 0; i < list->count; i++) {
        const struct breaker_seen *seen = &list->items[i];
        struct strbuf since;
        strbuf_init(&since, 64);
        breaker_seen_since(&since, seen);
        const char *cells[] = {breaker_seen_name(seen), seen->state, since.text, seen->error};
        table_row(&table, cells);
        strbuf_release(&since);
    }
    table_print(&table, stdout);
    table_release(&table);
}

static void print_json(const struct past *past, const struct breaker_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct breaker_seen *seen = &list->items[i];
        struct strbuf since;
        strbuf_init(&since, 64);
        breaker_seen_since(&since, seen);
        json_t *line = json_pack("{s:i, s:s, s:s?, s:s?, s:s?, s:s, s:s, s:s?, s:b}", "v", 1, "event", "breaker", "rollout",
                                 past->roster.rollout, "node", seen->node, "dependency", seen->dependency, "state",
                                 seen->state, "since", since.text, "error", seen->error, "ended",
                                 past_result(past) != NULL);
        json_dumpf(line, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(line);
        strbuf_release(&since);
    }
}

void breakers_print_status(const char *service, const char *open, bool json)
{
    struct journal_names names;
    struct past past;
    struct err err;
    journal_names_read(&names);
    const struct journal_name *name = journal_names_of_service(&names, service, open);
    if (name) {
        struct breaker_list list;
        int rc = journal_read(&past, name, &err);
        past_breakers(&past, &list);
        if (rc < 0)
            fprintf(stderr, "deployctl: warning: breakers are not shown: %s\n", err.message);
        else if (list.count)
            (json ? print_json : print_text)(&past, &list);
        breaker_list_release(&list);
        past_release(&past);
    }
    journal_names_release(&names);
}
