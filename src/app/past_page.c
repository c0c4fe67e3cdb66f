#include "past_page.h"

#include <string.h>
#include <time.h>

#include "core/rollout.h"

static void print_byte(FILE *stream, unsigned char byte)
{
    switch (byte) {
    case '&':
        fputs("&amp;", stream);
        break;
    case '<':
        fputs("&lt;", stream);
        break;
    case '>':
        fputs("&gt;", stream);
        break;
    case '"':
        fputs("&quot;", stream);
        break;
    case '\'':
        fputs("&#39;", stream);
        break;
    default:
        fputc(byte < 0x20 && byte != '\t' && byte != '\n' ? '?' : byte, stream);
    }
}

void print_escaped(FILE *stream, const char *text)
{
    for (size_t i = 0; text && text[i]; i++) {
        /* U+FFFE and U+FFFF are valid UTF-8 and no characters of XML. */
        if (strncmp(text + i, "\xEF\xBF", 2) == 0 && (text[i + 2] & 0xfe) == 0xbe) {
            fputc('?', stream);
            i += 2;
            continue;
        }
        print_byte(stream, (unsigned char)text[i]);
    }
}

void print_time(FILE *stream, int64_t wall_ms)
{
    char text[40] = "";
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
    fputs(text, stream);
}

int64_t past_elapsed_ms(const struct past *past, size_t node)
{
    for (size_t i = past->count; i-- > 0;) {
        const struct record *record = &past->records[i].record;
        bool last_word = record->kind == RECORD_OUTCOME && record->final;
        if (node == SIZE_MAX || (record->node == node && !last_word))
            return record->elapsed_ms;
    }
    return 0;
}

enum case_end past_verdict(const struct record *outcome)
{
    static const enum node_outcome passed[] = {NODE_UPDATED, NODE_UNCHANGED};
    static const enum node_outcome skipped[] = {NODE_PENDING, NODE_SKIPPED, NODE_OUTSIDE};
    for (size_t i = 0; outcome && i < sizeof(passed) / sizeof(passed[0]); i++)
        if (strcmp(outcome->outcome, node_outcome_name(passed[i])) == 0)
            return CASE_PASSED;
    for (size_t i = 0; outcome && i < sizeof(skipped) / sizeof(skipped[0]); i++)
        if (strcmp(outcome->outcome, node_outcome_name(skipped[i])) == 0)
            return CASE_SKIPPED;
    return CASE_FAILED;
}

bool is_evidence(const struct record *record)
{
    return record->kind == RECORD_TROUBLE || record->kind == RECORD_OUTPUT ||
           record->kind == RECORD_NOTICE || record->kind == RECORD_RETRY ||
           record->kind == RECORD_BREAKER ||
           (record->kind == RECORD_PROBE && !record->healthy);
}
