#include "app/sink.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/strbuf.h"
#include "base/text.h"
#include "sink_json.h"
#include "sink_text.h"

#define TEXT_MAX ((size_t)64 << 10)

/* A text that is not UTF-8 would be refused by jansson; it is made so, rather than lost. */
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);
    if (value)
        return value;
    struct strbuf safe;
    strbuf_init(&safe, TEXT_MAX);
    text_sanitize(&safe, text, strlen(text), true);
    value = json_string(safe.text);
    strbuf_release(&safe);
    return value;
}

static void add_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, text_value(text));
}

static void add_number(json_t *object, const char *key, uint64_t number)
{
    json_int_t value = number > INT64_MAX ? INT64_MAX : (json_int_t)number;
    json_object_set_new(object, key, json_integer(value));
}

static void add_roster(json_t *object, const struct roster *roster)
{
    json_t *nodes = json_array();
    add_text(object, "verb", roster->verb);
    add_text(object, "service", roster->service);
    add_text(object, "release", roster->release);
    add_text(object, "description", roster->description);
    for (size_t i = 0; i < roster->node_count; i++) {
        json_t *node = json_object();
        add_text(node, "node", roster->nodes[i]);
        if (roster->waves)
            add_number(node, "wave", roster->waves[i] + 1);
        json_array_append_new(nodes, node);
    }
    add_number(object, "wave_count", roster->wave_count);
    json_object_set_new(object, "nodes", nodes);
}

/* JSON knows no NaN: what is not known is left out. */
static void add_real(json_t *object, const char *key, double value)
{
    if (isfinite(value))
        json_object_set_new(object, key, json_real(value));
}

static void add_side(json_t *object, const char *key, uint64_t count,
                     const double quartiles[JUDGED_QUARTILES])
{
    json_t *side = json_object(), *list = json_array();
    add_number(side, "n", count);
    for (size_t i = 0; i < JUDGED_QUARTILES && isfinite(quartiles[i]); i++)
        json_array_append_new(list, json_real(quartiles[i]));
    json_object_set_new(side, "quartiles", list);
    json_object_set_new(object, key, side);
}

static void add_judged(json_t *object, const struct judged *judged)
{
    const struct evidence *evidence = &judged->evidence;
    add_text(object, "analysis", judged->analysis);
    add_text(object, "measure", judged->measure);
    add_text(object, "unit", judged->unit);
    add_text(object, "statistic", judged->statistic);
    add_text(object, "verdict", verdict_name(evidence->verdict));
    add_text(object, "reason", judge_reason_name(evidence->reason));
    add_text(object, "trouble", judged->trouble);
    add_side(object, "canary", evidence->canary_count, judged->canary);
    add_side(object, "control", evidence->control_count, judged->control);
    add_real(object, "measured", evidence->measured);
    add_real(object, "max", judged->max);
    add_real(object, "min", judged->min);
    add_real(object, "confidence", judged->confidence);
    add_real(object, "u", evidence->test.u);
    add_real(object, "p", evidence->test.p);
    add_real(object, "shift", evidence->test.shift);
    add_real(object, "low", evidence->test.low);
    add_real(object, "high", evidence->test.high);
    add_real(object, "critical", evidence->critical);
}

static void add_numbers(json_t *object, const struct record *record)
{
    switch (record->kind) {
    case RECORD_STARTED:
        if (record->roster)
            add_roster(object, record->roster);
        break;
    case RECORD_WAVE:
        add_number(object, "wave", record->wave + 1);
        add_number(object, "wave_count", record->wave_count);
        break;
    case RECORD_ANALYSIS:
        add_number(object, "wave", record->wave + 1);
        if (record->judged)
            add_judged(object, record->judged);
        break;
    case RECORD_PROGRESS:
        add_number(object, "done", record->done);
        add_number(object, "total", record->total);
        break;
    case RECORD_PROBE:
        json_object_set_new(object, "healthy", json_boolean(record->healthy));
        break;
    case RECORD_RETRY:
        add_number(object, "delay_ms", record->done);
        break;
    case RECORD_OUTCOME:
        json_object_set_new(object, "final", json_boolean(record->final));
        break;
    case RECORD_RESULT:
        json_object_set_new(object, "exit_code", json_integer(record->exit_code));
        break;
    default:
        break;
    }
}

static void add_time(json_t *object, int64_t wall_ms)
{
    char text[40];
    struct tm parts;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (!gmtime_r(&seconds, &parts))
        return;
    size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, sizeof text - length, ".%03dZ", (int)(wall_ms % 1000));
    add_text(object, "time", text);
}

char *record_json(const struct record *record)
{
    json_t *object = json_object();
    if (!object)
        return NULL;
    json_object_set_new(object, "v", json_integer(JOURNAL_VERSION));
    add_time(object, record->wall_ms);
    json_object_set_new(object, "elapsed_ms", json_integer(record->elapsed_ms));
    add_text(object, "event", record_kind_name(record->kind));
    if (record->roster)
        add_text(object, "rollout", record->roster->rollout);
    add_text(object, "node", record_node(record));
    add_text(object, "phase", record->phase);
    add_text(object, "state", record->state);
    add_text(object, "outcome", record->outcome);
    add_text(object, "result", record->result);
    add_text(object, "release", record->release);
    add_text(object, "error", record->cause);
    add_numbers(object, record);
    add_text(object, "text", record->text);
    char *line = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return line;
}

struct json_sink {
    struct sink sink;
    FILE *stream;
};

static void json_sink_record(struct sink *sink, const struct record *record)
{
    struct json_sink *json = (struct json_sink *)(void *)sink;
    char *line = record_json(record);
    if (line) {
        fprintf(json->stream, "%s\n", line);
        fflush(json->stream);
    }
    free(line);
}

static void json_sink_finish(struct sink *sink)
{
    free(sink);
}

struct sink *sink_json_create(FILE *stream)
{
    struct json_sink *json = calloc(1, sizeof *json);
    if (!json)
        return NULL;
    json->sink = (struct sink){.record = json_sink_record, .finish = json_sink_finish};
    json->stream = stream;
    return &json->sink;
}
