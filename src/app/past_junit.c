#include "past_page.h"

static void print_attribute(FILE *stream, const char *name, const char *text)
{
    fprintf(stream, " %s=\"", name);
    print_escaped(stream, text);
    fputc('"', stream);
}

static void print_property(FILE *stream, const char *name, const char *value)
{
    if (!value)
        return;
    fputs("    <property", stream);
    print_attribute(stream, "name", name);
    print_attribute(stream, "value", value);
    fputs("/>\n", stream);
}

/* What the node said on its way, a line each. */
static void print_evidence(const struct past *past, size_t node, FILE *stream)
{
    for (size_t i = 0; i < past->count; i++) {
        const struct record *record = &past->records[i].record;
        if (record->node != node || !is_evidence(record))
            continue;
        fprintf(stream, "%.1fs ", (double)record->elapsed_ms / 1000);
        if (record->phase)
            print_escaped(stream, record->phase);
        fputs(record->phase ? ": " : "", stream);
        print_escaped(stream, record->text);
        fputc('\n', stream);
    }
}

static void print_case(const struct past *past, size_t node, FILE *stream)
{
    const struct record *outcome = past_outcome(past, node);
    enum case_end verdict = past_verdict(outcome);
    const char *type = outcome ? outcome->outcome : "no outcome";
    const char *message = outcome && outcome->text ? outcome->text
                          : outcome                ? outcome->outcome
                                                   : "the rollout did not end";
    fputs("    <testcase", stream);
    print_attribute(stream, "classname", past->roster.service ? past->roster.service : "deployctl");
    print_attribute(stream, "name", past->roster.nodes[node]);
    fprintf(stream, " time=\"%.3f\"", (double)past_elapsed_ms(past, node) / 1000);
    if (verdict == CASE_PASSED) {
        fputs("/>\n", stream);
        return;
    }
    fprintf(stream, ">\n      <%s", verdict == CASE_SKIPPED ? "skipped" : "failure");
    print_attribute(stream, "message", message);
    if (verdict == CASE_FAILED) {
        print_attribute(stream, "type", type);
        fputc('>', stream);
        print_evidence(past, node, stream);
        fputs("</failure>\n", stream);
    } else {
        fputs("/>\n", stream);
    }
    fputs("    </testcase>\n", stream);
}

/* One for each judgement; one that is inconclusive was skipped. */
static void print_judgement(const struct past *past, const struct record *record, FILE *stream)
{
    enum verdict verdict = record->judged->evidence.verdict;
    struct strbuf block;
    char name[160];
    snprintf(name, sizeof(name), "analysis %s, wave %zu", record->judged->analysis, record->wave + 1);
    strbuf_init(&block, PAST_LINE_MAX);
    judged_block(&block, record->judged, PAST_BLOCK_COLUMNS);
    fputs("    <testcase", stream);
    print_attribute(stream, "classname", past->roster.service ? past->roster.service : "deployctl");
    print_attribute(stream, "name", name);
    fprintf(stream, " time=\"%.3f\">\n", (double)record->elapsed_ms / 1000);
    if (verdict != VERDICT_PASS) {
        fprintf(stream, "      <%s", verdict == VERDICT_FAIL ? "failure" : "skipped");
        print_attribute(stream, "message", record->text);
        fputs("/>\n", stream);
    }
    fputs("      <system-out>", stream);
    print_escaped(stream, block.text);
    fputs("</system-out>\n    </testcase>\n", stream);
    strbuf_release(&block);
}

/* Adds what the analyses are to `counts`; how many there are. */
static size_t count_judgements(const struct past *past, size_t counts[CASE_FAILED + 1])
{
    static const enum case_end ends[VERDICTS] = {CASE_PASSED, CASE_SKIPPED, CASE_FAILED};
    size_t total = 0;
    for (size_t i = 0; i < past->count; i++) {
        if (past->records[i].record.kind != RECORD_ANALYSIS)
            continue;
        total++;
        counts[ends[past->records[i].record.judged->evidence.verdict]]++;
    }
    return total;
}

/* `breaker web3`, `breaker balancer lb on lb1`: how each was last. */
static void print_breakers(const struct past *past, FILE *stream)
{
    struct breaker_list list;
    past_breakers(past, &list);
    for (size_t i = 0; i < list.count; i++) {
        struct strbuf name, text;
        strbuf_init(&name, PAST_LINE_MAX);
        strbuf_init(&text, PAST_LINE_MAX);
        strbuf_addf(&name, "breaker %s", breaker_seen_name(&list.items[i]));
        breaker_seen_text(&text, &list.items[i]);
        print_property(stream, name.text, text.text);
        strbuf_release(&name);
        strbuf_release(&text);
    }
    breaker_list_release(&list);
}

void past_print_junit(const struct past *past, FILE *stream)
{
    const struct record *result = past_result(past);
    size_t counts[CASE_FAILED + 1] = {0};
    for (size_t i = 0; i < past->roster.node_count; i++)
        counts[past_verdict(past_outcome(past, i))]++;
    size_t judgements = count_judgements(past, counts);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite", stream);
    print_attribute(stream, "name", past->roster.verb ? past->roster.verb : "rollout");
    fprintf(
        stream,
        " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\" time=\"%.3f\" timestamp=\"",
        past->roster.node_count + judgements, counts[CASE_FAILED], counts[CASE_SKIPPED],
        (double)past_elapsed_ms(past, SIZE_MAX) / 1000);
    print_time(stream, past->records[0].record.wall_ms);
    fputs("\">\n    <properties>\n", stream);
    print_property(stream, "service", past->roster.service);
    print_property(stream, "rollout", past->roster.rollout);
    print_property(stream, "release", past->roster.release);
    print_property(stream, "description", past->roster.description);
    print_property(stream, "result", result ? result->result : "did not end");
    print_property(stream, "sentence", result ? result->text : NULL);
    print_breakers(past, stream);
    fputs("    </properties>\n", stream);
    for (size_t i = 0; i < past->roster.node_count; i++)
        print_case(past, i, stream);
    for (size_t i = 0; i < past->count; i++)
        if (past->records[i].record.kind == RECORD_ANALYSIS)
            print_judgement(past, &past->records[i].record, stream);
    fputs("  </testsuite>\n</testsuites>\n", stream);
}
