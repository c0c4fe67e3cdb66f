#include "app/sink.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json_writer.h"
#include "sink_json.h"
#include "sink_text.h"

#define LINE_MAX_BYTES ((size_t)256 << 20) /* the start of a run tells each of its nodes */

static void add_number(struct json_writer *line, const char *key, uint64_t number)
{
    json_writer_number(line, key, number > INT64_MAX ? INT64_MAX : (int64_t)number);
}

static void add_roster(struct json_writer *line, const struct roster *roster)
{
    json_writer_text(line, "verb", roster->verb);
    json_writer_text(line, "service", roster->service);
    json_writer_text(line, "release", roster->release);
    json_writer_text(line, "description", roster->description);
    json_writer_text(line, "root", roster->root);
    add_number(line, "wave_count", roster->wave_count);
    json_writer_begin_array(line, "nodes");
    for (size_t i = 0; i < roster->node_count; i++) {
        json_writer_begin_object(line, NULL);
        json_writer_text(line, "node", roster->nodes[i]);
        if (roster->roots)
            json_writer_text(line, "root", roster->roots[i]);
        if (roster->waves && roster->waves[i] != NO_WAVE)
            add_number(line, "wave", roster->waves[i] + 1);
        json_writer_end_object(line);
    }
    json_writer_end_array(line);
}

static void add_side(struct json_writer *line, const char *key, uint64_t count,
                     const double quartiles[JUDGED_QUARTILES])
{
    json_writer_begin_object(line, key);
    add_number(line, "n", count);
    json_writer_begin_array(line, "quartiles");
    for (size_t i = 0; i < JUDGED_QUARTILES && isfinite(quartiles[i]); i++)
        json_writer_real(line, NULL, quartiles[i]);
    json_writer_end_array(line);
    json_writer_end_object(line);
}

static void add_judged(struct json_writer *line, const struct judged *judged)
{
    const struct evidence *evidence = &judged->evidence;
    json_writer_text(line, "analysis", judged->analysis);
    json_writer_text(line, "measure", judged->measure);
    json_writer_text(line, "unit", judged->unit);
    json_writer_text(line, "statistic", judged->statistic);
    json_writer_text(line, "verdict", verdict_name(evidence->verdict));
    json_writer_text(line, "reason", judge_reason_name(evidence->reason));
    json_writer_text(line, "trouble", judged->trouble);
    add_side(line, "canary", evidence->canary_count, judged->canary);
    add_side(line, "control", evidence->control_count, judged->control);
    json_writer_real(line, "measured", evidence->measured);
    json_writer_real(line, "max", judged->max);
    json_writer_real(line, "min", judged->min);
    json_writer_real(line, "confidence", judged->confidence);
    json_writer_real(line, "u", evidence->test.u);
    json_writer_real(line, "p", evidence->test.p);
    json_writer_real(line, "shift", evidence->test.shift);
    json_writer_real(line, "low", evidence->test.low);
    json_writer_real(line, "high", evidence->test.high);
    json_writer_real(line, "critical", evidence->critical);
}

static void add_numbers(struct json_writer *line, const struct record *record)
{
    switch (record->kind) {
    case RECORD_STARTED:
        if (record->roster)
            add_roster(line, record->roster);
        break;
    case RECORD_WAVE:
        add_number(line, "wave", record->wave + 1);
        add_number(line, "wave_count", record->wave_count);
        break;
    case RECORD_ANALYSIS:
        add_number(line, "wave", record->wave + 1);
        if (record->judged)
            add_judged(line, record->judged);
        break;
    case RECORD_PROGRESS:
        add_number(line, "done", record->done);
        add_number(line, "total", record->total);
        break;
    case RECORD_PROBE:
        json_writer_bool(line, "healthy", record->healthy);
        break;
    case RECORD_RETRY:
        add_number(line, "delay_ms", record->done);
        break;
    case RECORD_OUTCOME:
        json_writer_bool(line, "final", record->final);
        break;
    case RECORD_RESULT:
        json_writer_number(line, "exit_code", record->exit_code);
        break;
    default:
        break;
    }
}

/* `number` in `width` digits. */
static void put_digits(char *out, int width, int number)
{
    for (int at = width - 1; at >= 0; at--, number /= 10)
        out[at] = (char)('0' + number % 10);
}

static void add_time(struct json_writer *line, int64_t wall_ms)
{
    char text[] = "0000-00-00T00:00:00.000Z";
    struct tm parts;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (wall_ms < 0 || !gmtime_r(&seconds, &parts) || parts.tm_year + 1900 > 9999)
        return;
    put_digits(text, 4, parts.tm_year + 1900);
    put_digits(text + 5, 2, parts.tm_mon + 1);
    put_digits(text + 8, 2, parts.tm_mday);
    put_digits(text + 11, 2, parts.tm_hour);
    put_digits(text + 14, 2, parts.tm_min);
    put_digits(text + 17, 2, parts.tm_sec);
    put_digits(text + 20, 3, (int)(wall_ms % 1000));
    json_writer_text(line, "time", text);
}

bool record_json(struct strbuf *out, const struct record *record)
{
    struct json_writer writer, *line = &writer;
    strbuf_reset(out);
    json_writer_init(line, out);
    json_writer_begin_object(line, NULL);
    json_writer_number(line, "v", JOURNAL_VERSION);
    add_time(line, record->wall_ms);
    json_writer_number(line, "elapsed_ms", record->elapsed_ms);
    json_writer_text(line, "event", record_kind_name(record->kind));
    if (record->roster)
        json_writer_text(line, "rollout", record->roster->rollout);
    json_writer_text(line, "node", record_node(record));
    json_writer_text(line, "phase", record->phase);
    json_writer_text(line, "state", record->state);
    json_writer_text(line, "outcome", record->outcome);
    json_writer_text(line, "result", record->result);
    json_writer_text(line, "release", record->release);
    json_writer_text(line, "error", record->cause);
    add_numbers(line, record);
    json_writer_text(line, "text", record->text);
    json_writer_end_object(line);
    return !out->overflowed;
}

void record_line_init(struct strbuf *out)
{
    strbuf_init(out, LINE_MAX_BYTES);
}

struct json_sink {
    struct sink sink;
    FILE *stream;
    struct strbuf line;
};

static void json_sink_record(struct sink *sink, const struct record *record)
{
    struct json_sink *json = (struct json_sink *)(void *)sink;
    if (!record_json(&json->line, record))
        return;
    fprintf(json->stream, "%s\n", json->line.text);
    fflush(json->stream);
}

static void json_sink_finish(struct sink *sink)
{
    struct json_sink *json = (struct json_sink *)(void *)sink;
    strbuf_release(&json->line);
    free(json);
}

struct sink *sink_json_create(FILE *stream)
{
    struct json_sink *json = calloc(1, sizeof *json);
    if (!json)
        return NULL;
    json->sink = (struct sink){.record = json_sink_record, .finish = json_sink_finish};
    json->stream = stream;
    record_line_init(&json->line);
    return &json->sink;
}
