#include "node/frames.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/program.h"

static const char *const status_names[] = {
    [REPLY_OK] = "ok",           [REPLY_FAILED] = "failed",       [REPLY_REFUSED] = "refused",
    [REPLY_TIMEOUT] = "timeout", [REPLY_CANCELLED] = "cancelled",
};
#define STATUS_COUNT (sizeof(status_names) / sizeof(status_names[0]))

const char *reply_status_name(enum reply_status status)
{
    return (size_t)status < STATUS_COUNT ? status_names[status] : "unknown";
}

/* Letters, `_`, and digits that are not in front. */
static bool is_word(const char *word, bool capitals)
{
    const char *at = word;
    while ((*at >= 'a' && *at <= 'z') || *at == '_' || (*at >= '0' && *at <= '9') || (capitals && *at >= 'A' && *at <= 'Z'))
        at++;
    return at > word && *at == '\0' && (word[0] < '0' || word[0] > '9');
}

static bool is_key(const char *key)
{
    return is_word(key, false);
}

void request_begin(struct strbuf *out, uint32_t id, const char *verb)
{
    strbuf_addf(out, "%" PRIu32 " %s\n", id, verb);
}

int request_add(struct strbuf *out, const char *key, const char *value, struct err *err)
{
    if (!is_key(key))
        return err_set(err, ERR_INPUT, "request key `%s` is not of a-z, 0-9 and _", key);
    if (strchr(value, '\n'))
        return err_set(err, ERR_INPUT, "%s holds a line break, which a request cannot carry", key);
    strbuf_adds(out, key);
    strbuf_addc(out, ' ');
    strbuf_adds(out, value);
    strbuf_addc(out, '\n');
    return 0;
}

int request_addu(struct strbuf *out, const char *key, uint64_t value, struct err *err)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return request_add(out, key, text, err);
}

int request_env(struct strbuf *out, const char *name, const char *value, struct err *err)
{
    if (!is_word(name, true))
        return err_set(err, ERR_INPUT, "`%s` is no name of an environment variable", name);
    if (strchr(value, '\n'))
        return err_set(err, ERR_INPUT, "%s holds a line break, which a request cannot carry", name);
    strbuf_adds(out, "env ");
    strbuf_adds(out, name);
    strbuf_addc(out, '=');
    strbuf_adds(out, value);
    strbuf_addc(out, '\n');
    return 0;
}

void request_end(struct strbuf *out)
{
    strbuf_addc(out, '\n');
}

void reply_reader_init(struct reply_reader *reader, const char nonce[17],
                       const struct reply_events *events, void *context)
{
    *reader = (struct reply_reader){.events = events, .context = context};
    reader->greeting_length = (size_t)snprintf(reader->greeting, sizeof(reader->greeting), "deployctl-node %d %.16s",
                                               NODE_PROTOCOL, nonce);
    strbuf_init(&reader->line, REPLY_LINE_MAX);
    strbuf_init(&reader->noise, REPLY_NOISE_MAX);
}

void reply_reader_release(struct reply_reader *reader)
{
    strbuf_release(&reader->line);
    strbuf_release(&reader->noise);
    reader->events = NULL;
}

/* Whether `line` ends in the ready line: noise need not end in a line break. */
static bool ends_in_ready(const struct reply_reader *reader, const char *line, size_t length,
                          size_t *out_before)
{
    size_t size = reader->greeting_length;
    if (length < size || memcmp(line + length - size, reader->greeting, size) != 0)
        return false;
    *out_before = length - size;
    return true;
}

static int take_noise(struct reply_reader *reader, struct err *err)
{
    size_t before = 0;
    if (ends_in_ready(reader, reader->line.text, reader->line.length, &before)) {
        strbuf_add(&reader->noise, reader->line.text, before);
        reader->ready = true;
        if (reader->events->ready)
            reader->events->ready(reader->context);
        return 0;
    }
    strbuf_add(&reader->noise, reader->line.text, reader->line.length);
    strbuf_addc(&reader->noise, '\n');
    if (reader->noise.overflowed)
        return err_set(err, ERR_PROTOCOL,
                       "more than %d bytes before the node's program answered; look at the start-up "
                       "files of the login shell",
                       REPLY_NOISE_MAX);
    return 0;
}

/* A number without sign that fits; NULL when there is none, else what stands after it. */
static char *parse_number(char *text, uint32_t *out)
{
    uint64_t number = 0;
    char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
        if (number > UINT32_MAX)
            return NULL;
    }
    *out = (uint32_t)number;
    return at == text ? NULL : at;
}

/* Cuts `text` at its first blank; returns what stands after it, empty when there is none. */
static char *cut_word(char *text)
{
    char *blank = strchr(text, ' ');
    if (!blank)
        return text + strlen(text);
    *blank = '\0';
    return blank + 1;
}

static bool take_done(struct reply_reader *reader, uint32_t id, char *text)
{
    char *sentence = cut_word(text);
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (strcmp(text, status_names[i]) == 0) {
            if (reader->events->done)
                reader->events->done(reader->context, id, (enum reply_status)i, sentence);
            return true;
        }
    }
    return false;
}

static bool take_started(struct reply_reader *reader, uint32_t id, char *text)
{
    uint32_t group = 0;
    char *end = parse_number(text, &group);
    if (!end || *end != '\0' || group < 2)
        return false;
    if (reader->events->started)
        reader->events->started(reader->context, id, group);
    return true;
}

static bool take_value(struct reply_reader *reader, uint32_t id, char *text)
{
    char *value = cut_word(text);
    if (!is_key(text))
        return false;
    if (reader->events->value)
        reader->events->value(reader->context, id, text, value);
    return true;
}

/* One line of a reply; false when it is none. */
static bool take_reply(struct reply_reader *reader, char *line)
{
    uint32_t id = 0;
    char *at = parse_number(line, &id);
    if (!at || at[0] != ' ' || at[1] == '\0' || (at[2] != ' ' && at[2] != '\0'))
        return false;
    char kind = at[1];
    char *text = at[2] == ' ' ? at + 3 : at + 2;
    switch (kind) {
    case '=':
        return take_value(reader, id, text);
    case '|':
        if (reader->events->output)
            reader->events->output(reader->context, id, text);
        return true;
    case '>':
        return take_started(reader, id, text);
    case '.':
        return take_done(reader, id, text);
    default:
        return false;
    }
}

static int take_line(struct reply_reader *reader, struct err *err)
{
    struct strbuf *line = &reader->line;
    size_t before = 0;
    if (!reader->ready)
        return take_noise(reader, err);
    if (ends_in_ready(reader, line->text, line->length, &before) && before == 0)
        return 0;
    if (strlen(line->text) != line->length)
        return err_set(err, ERR_PROTOCOL, "the node's program sent a line with a NUL byte");
    char start[41]; /* of the line, which is cut up below */
    size_t shown = line->length < sizeof(start) - 1 ? line->length : sizeof(start) - 1;
    memcpy(start, line->text, shown);
    start[shown] = '\0';
    if (!take_reply(reader, line->text))
        return err_set(err, ERR_PROTOCOL, "the node's program sent a line that is no reply: `%s`",
                       start);
    return 0;
}

int reply_reader_feed(struct reply_reader *reader, const char *bytes, size_t length,
                      struct err *err)
{
    while (length > 0) {
        const char *newline = memchr(bytes, '\n', length);
        size_t part = newline ? (size_t)(newline - bytes) : length;
        strbuf_add(&reader->line, bytes, part);
        if (reader->line.overflowed)
            return err_set(err, ERR_PROTOCOL, "the node sent a line of more than %d bytes",
                           REPLY_LINE_MAX);
        if (!newline)
            return 0;
        int result = take_line(reader, err);
        if (result < 0 || !reader->events)
            return result;
        strbuf_reset(&reader->line);
        bytes += part + 1;
        length -= part + 1;
    }
    return 0;
}
