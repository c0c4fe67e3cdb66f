#include "app/past.h"

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "io/files.h"

#define NODES_MAX 100000

/* --- values of a line --- */

/* A text of the line, safe to show; NULL when there is none. */
static const char *text_of(struct past *past, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return NULL;
    struct strbuf safe;
    strbuf_init(&safe, PAST_LINE_MAX);
    text_sanitize(&safe, json_string_value(value), json_string_length(value), false);
    const char *copy = arena_strndup(&past->arena, safe.text, safe.length);
    strbuf_release(&safe);
    return copy;
}

static int64_t number_of(const json_t *object, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(object, key));
    return number > 0 && number < INT64_MAX / 1000 ? (int64_t)number : 0;
}

static int64_t time_of(const json_t *object)
{
    struct tm parts = {0};
    const char *text = json_string_value(json_object_get(object, "time"));
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;
    int64_t ms = 0;
    if (!rest)
        return 0;
    if (rest[0] == '.')
        for (int i = 1; i <= 3 && rest[i] >= '0' && rest[i] <= '9'; i++)
            ms = ms * 10 + (rest[i] - '0');
    return (int64_t)timegm(&parts) * 1000 + ms;
}

static enum record_kind kind_of(const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "event"));
    int kind = 0;
    while (name && kind < RECORD_KINDS &&
           strcmp(record_kind_name((enum record_kind)kind), name) != 0)
        kind++;
    return name ? (enum record_kind)kind : RECORD_KINDS;
}

/* SIZE_MAX: the line names none; `count` of the roster: one that is not in it. */
static size_t node_of(struct past *past, const json_t *object)
{
    const char *name = text_of(past, object, "node");
    size_t node = 0;
    if (!name)
        return SIZE_MAX;
    while (node < past->roster.node_count && strcmp(past->roster.nodes[node], name) != 0)
        node++;
    return node;
}

/* --- the start --- */

static int read_roster(struct past *past, const json_t *object)
{
    struct roster *roster = &past->roster;
    const json_t *list = json_object_get(object, "nodes");
    size_t count = json_array_size(list);
    if (count == 0 || count > NODES_MAX)
        return -1;
    const char **nodes = arena_alloc(&past->arena, count * sizeof(*nodes));
    const char **roots = arena_alloc(&past->arena, count * sizeof(*roots));
    size_t *waves = arena_alloc(&past->arena, count * sizeof(*waves));
    if (!nodes || !roots || !waves)
        return -1;
    roster->verb = text_of(past, object, "verb");
    roster->service = text_of(past, object, "service");
    roster->rollout = text_of(past, object, "rollout");
    roster->release = text_of(past, object, "release");
    roster->description = text_of(past, object, "description");
    roster->root = text_of(past, object, "root");
    for (size_t i = 0; i < count; i++) {
        const json_t *node = json_array_get(list, i);
        int64_t wave = number_of(node, "wave");
        nodes[i] = text_of(past, node, "node");
        roots[i] = text_of(past, node, "root");
        waves[i] = wave > 0 ? (size_t)wave - 1 : NO_WAVE;
        if (!nodes[i])
            return -1;
    }
    roster->nodes = nodes;
    roster->roots = roots;
    roster->waves = waves;
    roster->node_count = count;
    roster->wave_count = (size_t)number_of(object, "wave_count");
    return 0;
}

/* --- an analysis --- */

static double real_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Ascending, or none of them. */
static void read_side(const json_t *side, uint64_t *count, double quartiles[JUDGED_QUARTILES])
{
    const json_t *list = json_object_get(side, "quartiles");
    bool whole = json_array_size(list) == JUDGED_QUARTILES;
    *count = (uint64_t)number_of(side, "n");
    for (size_t i = 0; whole && i < JUDGED_QUARTILES; i++) {
        quartiles[i] = json_number_value(json_array_get(list, i));
        whole = fabs(quartiles[i]) <= SAMPLE_LARGEST && (i == 0 || quartiles[i - 1] <= quartiles[i]);
    }
    for (size_t i = 0; !whole && i < JUDGED_QUARTILES; i++)
        quartiles[i] = NAN;
}

/* The place of a name among `count` ones, or `count`. */
static int place_of(const char *name, int count, const char *(*name_at)(int place))
{
    int place = 0;
    while (place < count && (!name || strcmp(name_at(place), name) != 0))
        place++;
    return place;
}

static const char *verdict_at(int place)
{
    return verdict_name((enum verdict)place);
}

static const char *reason_at(int place)
{
    return judge_reason_name((enum judge_reason)place);
}

/* NULL: the line says too little of it. */
static const struct judged *read_judged(struct past *past, const json_t *object)
{
    struct judged *judged = arena_alloc(&past->arena, sizeof(*judged));
    int verdict = place_of(text_of(past, object, "verdict"), VERDICTS, verdict_at);
    int reason = place_of(text_of(past, object, "reason"), JUDGE_REASONS, reason_at);
    if (!judged || verdict == VERDICTS || reason == JUDGE_REASONS)
        return NULL;
    *judged = (struct judged){
        .asked = true,
        .analysis = text_of(past, object, "analysis"),
        .measure = text_of(past, object, "measure"),
        .unit = text_of(past, object, "unit"),
        .statistic = text_of(past, object, "statistic"),
        .trouble = text_of(past, object, "trouble"),
        .confidence = real_of(object, "confidence"),
        .max = real_of(object, "max"),
        .min = real_of(object, "min"),
        .evidence = {.verdict = (enum verdict)verdict,
                     .reason = (enum judge_reason)reason,
                     .measured = real_of(object, "measured"),
                     .critical = real_of(object, "critical"),
                     .test = {.u = real_of(object, "u"),
                              .p = real_of(object, "p"),
                              .shift = real_of(object, "shift"),
                              .low = real_of(object, "low"),
                              .high = real_of(object, "high")}},
    };
    struct evidence *evidence = &judged->evidence;
    if (isnan(evidence->test.shift))
        evidence->test.state = WILCOXON_EMPTY;
    read_side(json_object_get(object, "canary"), &evidence->canary_count, judged->canary);
    read_side(json_object_get(object, "control"), &evidence->control_count, judged->control);
    evidence->canary_median = judged->canary[2];
    evidence->control_median = judged->control[2];
    return judged->analysis && judged->measure && judged->unit && judged->statistic ? judged : NULL;
}

/* --- lines --- */

/* What a kind must have, so that whoever shows it need not ask. */
static bool is_whole(const struct past *past, const struct record *record)
{
    bool has_node = record->node < past->roster.node_count;
    if (record->node != SIZE_MAX && !has_node)
        return false;
    switch (record->kind) {
    case RECORD_STATE:
        return record->state;
    case RECORD_PHASE:
    case RECORD_PROGRESS:
        return has_node && record->phase;
    case RECORD_PROBE:
        return has_node && record->text;
    case RECORD_RETRY:
        return has_node && record->phase && record->text;
    case RECORD_OUTCOME:
        return has_node && record->outcome;
    case RECORD_RESULT:
        return record->result;
    case RECORD_ANALYSIS:
        return record->text && record->judged;
    case RECORD_TROUBLE:
    case RECORD_OUTPUT:
    case RECORD_NOTICE:
        return record->text;
    case RECORD_BREAKER:
        return record->state && record->text && (has_node || record->phase);
    case RECORD_STARTED:
    case RECORD_WAVE:
        return true;
    default:
        return false;
    }
}

static void read_record(struct past *past, struct record *record, const json_t *object)
{
    int64_t wave = number_of(object, "wave");
    *record = (struct record){
        .kind = kind_of(object),
        .wall_ms = time_of(object),
        .elapsed_ms = number_of(object, "elapsed_ms"),
        .roster = &past->roster,
        .node = node_of(past, object),
        .phase = text_of(past, object, "phase"),
        .state = text_of(past, object, "state"),
        .outcome = text_of(past, object, "outcome"),
        .result = text_of(past, object, "result"),
        .release = text_of(past, object, "release"),
        .text = text_of(past, object, "text"),
        .cause = text_of(past, object, "error"),
        .wave = wave ? (size_t)wave - 1 : 0,
        .wave_count = (size_t)number_of(object, "wave_count"),
        .done = (uint64_t)number_of(object, "done"),
        .total = (uint64_t)number_of(object, "total"),
        .healthy = json_is_true(json_object_get(object, "healthy")),
        .final = json_is_true(json_object_get(object, "final")),
        .exit_code = (int)(number_of(object, "exit_code") & 0xff),
    };
    if (record->kind == RECORD_RETRY)
        record->done = (uint64_t)number_of(object, "delay_ms");
    if (record->kind == RECORD_ANALYSIS)
        record->judged = read_judged(past, object);
}

/* 0, or -1 when the line is no record, or one of a later version. */
static int add_line(struct past *past, const char *text, size_t length)
{
    json_t *object = length <= PAST_LINE_MAX ? json_loadb(text, length, 0, NULL) : NULL;
    int64_t version = object ? number_of(object, "v") : 0;
    if (version > past->version)
        past->version = version;
    if (version > JOURNAL_VERSION) {
        json_decref(object);
        return -1;
    }
    struct past_record *grown = NULL;
    int rc = -1;
    bool starts = object && kind_of(object) == RECORD_STARTED;
    if (!object || (starts && past->count) || (!starts && !past->count))
        goto out;
    if (starts && read_roster(past, object) < 0)
        goto out;
    grown = arena_grow(&past->arena, past->records, past->count, sizeof(*grown));
    if (!grown)
        goto out;
    past->records = grown;
    read_record(past, &grown[past->count].record, object);
    grown[past->count].line = arena_strndup(&past->arena, text, length);
    if (!is_whole(past, &grown[past->count].record) || !grown[past->count].line)
        goto out;
    past->count++;
    rc = 0;
out:
    json_decref(object);
    return rc;
}

int past_parse(struct past *out, const char *name, const char *text, size_t length, struct err *err)
{
    *out = (struct past){0};
    arena_init(&out->arena);
    for (size_t at = 0; at < length;) {
        const char *from = text + at;
        const char *end = memchr(from, '\n', length - at);
        size_t width = end ? (size_t)(end - from) : length - at;
        if (width && add_line(out, from, width) < 0)
            out->malformed++;
        at += width + 1;
    }
    if (out->version > JOURNAL_VERSION)
        return err_set(err, ERR_INPUT, "%s: a journal of version %lld, and this deployctl knows version %d; use the newer one", name,
                       (long long)out->version, JOURNAL_VERSION);
    return out->count ? 0 : err_set(err, ERR_INPUT, "%s: does not begin with the start of a rollout", name);
}

int past_read(struct past *out, const char *path, struct err *err)
{
    struct strbuf text;
    *out = (struct past){0};
    strbuf_init(&text, PAST_FILE_MAX);
    int rc = file_read(&text, path, err);
    if (rc == 0)
        rc = past_parse(out, path, text.text, text.length, err);
    strbuf_release(&text);
    return rc;
}

void past_release(struct past *past)
{
    arena_release(&past->arena);
}

const struct record *past_outcome(const struct past *past, size_t node)
{
    for (size_t i = past->count; i-- > 0;)
        if (past->records[i].record.kind == RECORD_OUTCOME && past->records[i].record.node == node)
            return &past->records[i].record;
    return NULL;
}

const struct record *past_result(const struct past *past)
{
    for (size_t i = past->count; i-- > 0;)
        if (past->records[i].record.kind == RECORD_RESULT)
            return &past->records[i].record;
    return NULL;
}

void past_breakers(const struct past *past, struct breaker_list *out)
{
    breaker_list_init(out);
    for (size_t i = 0; i < past->count; i++)
        breaker_list_note(out, &past->records[i].record);
}

void past_print_json(const struct past *past, FILE *stream)
{
    for (size_t i = 0; i < past->count; i++)
        fprintf(stream, "%s\n", past->records[i].line);
}
