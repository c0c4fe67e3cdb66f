#include "past_page.h"

static const char head[] = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                           "'none'; style-src 'unsafe-inline'\">\n"
                           "<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
                           "body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; "
                           "max-width: 70em; padding: 0 1em; color: #222 }\n"
                           "table { border-collapse: collapse; width: 100%; margin: 1em 0 }\n"
                           "th, td { text-align: left; vertical-align: top; padding: .3em .8em "
                           ".3em 0; border-bottom: 1px solid #ddd }\n"
                           "td.at { white-space: nowrap; text-align: right; color: #666 }\n"
                           ".passed { color: #17692d } .failed { color: #a8201a; font-weight: 600 "
                           "} .skipped { color: #7a6000 }\n"
                           "</style>\n";

static const char *class_of(enum case_end verdict)
{
    static const char *const names[] = {"passed", "skipped", "failed"};
    return names[verdict];
}

static void print_cell(FILE *stream, const char *text)
{
    fputs("<td>", stream);
    print_escaped(stream, text);
    fputs("</td>", stream);
}

static void print_title(const struct past *past, FILE *stream)
{
    const struct roster *roster = &past->roster;
    print_escaped(stream, roster->verb ? roster->verb : "rollout");
    fputs(" of ", stream);
    print_escaped(stream, roster->service ? roster->service : "a service");
    if (roster->release) {
        fputs(" to ", stream);
        print_escaped(stream, roster->release);
    }
}

static void print_nodes(const struct past *past, FILE *stream)
{
    fputs("<h2>Nodes</h2>\n<table>\n<tr><th>Node</th><th>Wave</th><th>Result</th><th>Release</"
          "th><th>Note</th></tr>\n",
          stream);
    for (size_t i = 0; i < past->roster.node_count; i++) {
        const struct record *outcome = past_outcome(past, i);
        fputs("<tr>", stream);
        print_cell(stream, past->roster.nodes[i]);
        if (past->roster.waves[i] == NO_WAVE)
            print_cell(stream, NULL);
        else
            fprintf(stream, "<td>%zu</td>", past->roster.waves[i] + 1);
        fprintf(stream, "<td class=\"%s\">", class_of(past_verdict(outcome)));
        print_escaped(stream, outcome ? outcome->outcome : "no outcome");
        fputs("</td>", stream);
        print_cell(stream, outcome ? outcome->release : NULL);
        print_cell(stream, outcome ? outcome->text : NULL);
        fputs("</tr>\n", stream);
    }
    fputs("</table>\n", stream);
}

/* What happened, in one word or two. */
static const char *what(const struct record *record)
{
    const char *words[] = {record->phase, record->state, record->outcome, record->result};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i])
            return words[i];
    return "";
}

static void print_events(const struct past *past, FILE *stream)
{
    fputs("<h2>What "
          "happened</h2>\n<table>\n<tr><th>After</th><th>Node</th><th>Event</th><th></th><th></"
          "th></tr>\n",
          stream);
    for (size_t i = 0; i < past->count; i++) {
        const struct record *record = &past->records[i].record;
        bool has_node = record->node < past->roster.node_count;
        fprintf(stream, "<tr><td class=\"at\">%.1f s</td>", (double)record->elapsed_ms / 1000);
        print_cell(stream, has_node ? past->roster.nodes[record->node] : NULL);
        fprintf(stream, "<td%s>%s", record->kind == RECORD_TROUBLE ? " class=\"failed\"" : "",
                record_kind_name(record->kind));
        if (record->kind == RECORD_WAVE)
            fprintf(stream, " %zu of %zu", record->wave + 1, record->wave_count);
        fputs("</td>", stream);
        print_cell(stream, what(record));
        print_cell(stream, record->text);
        fputs("</tr>\n", stream);
    }
    fputs("</table>\n", stream);
}

static void print_analyses(const struct past *past, FILE *stream)
{
    for (size_t i = 0; i < past->count; i++) {
        const struct record *record = &past->records[i].record;
        struct strbuf block;
        if (record->kind != RECORD_ANALYSIS)
            continue;
        strbuf_init(&block, PAST_LINE_MAX);
        judged_block(&block, record->judged, PAST_BLOCK_COLUMNS);
        fprintf(stream, "<h3>Wave %zu</h3>\n<pre>", record->wave + 1);
        print_escaped(stream, block.text);
        fputs("</pre>\n", stream);
        strbuf_release(&block);
    }
}

static void print_breakers(const struct past *past, FILE *stream)
{
    struct breaker_list list;
    past_breakers(past, &list);
    if (list.count)
        fputs("<h2>Breakers</h2>\n<table>\n<tr><th>Of</th><th>State</th><th>Since</th><th>Last error</th></tr>\n", stream);
    for (size_t i = 0; i < list.count; i++) {
        struct strbuf since;
        strbuf_init(&since, 64);
        breaker_seen_since(&since, &list.items[i]);
        fputs("<tr>", stream);
        print_cell(stream, breaker_seen_name(&list.items[i]));
        print_cell(stream, list.items[i].state);
        print_cell(stream, since.text);
        print_cell(stream, list.items[i].error);
        fputs("</tr>\n", stream);
        strbuf_release(&since);
    }
    if (list.count)
        fputs("</table>\n", stream);
    breaker_list_release(&list);
}

void past_print_html(const struct past *past, FILE *stream)
{
    const struct record *result = past_result(past);
    fputs(head, stream);
    fputs("<title>", stream);
    print_title(past, stream);
    fputs("</title>\n</head>\n<body>\n<h1>", stream);
    print_title(past, stream);
    fprintf(stream, "</h1>\n<p class=\"%s\">",
            class_of(result && result->exit_code == 0 ? CASE_PASSED : CASE_FAILED));
    print_escaped(stream, !result        ? "the rollout did not end"
                          : result->text ? result->text
                                         : result->result);
    fputs("</p>\n<p>Rollout ", stream);
    print_escaped(stream, past->roster.rollout);
    fputs(", begun ", stream);
    print_time(stream, past->records[0].record.wall_ms);
    fprintf(stream, ", %.1f s", (double)past_elapsed_ms(past, SIZE_MAX) / 1000);
    if (past->roster.description) {
        fputs(": ", stream);
        print_escaped(stream, past->roster.description);
    }
    fputs("</p>\n", stream);
    print_nodes(past, stream);
    print_breakers(past, stream);
    print_analyses(past, stream);
    print_events(past, stream);
    if (past->malformed)
        fprintf(stream, "<p>%zu lines of the journal could not be read and are left out.</p>\n",
                past->malformed);
    fputs("</body>\n</html>\n", stream);
}
