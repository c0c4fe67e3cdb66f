#include "sink_text.h"

#include <string.h>

#include "base/text.h"
#include "core/rollout.h"

const char *tone_on(enum tone tone, bool color)
{
    static const char *const codes[] = {
        [TONE_PLAIN] = "",        [TONE_GOOD] = "\033[32m", [TONE_BAD] = "\033[31m",
        [TONE_WARN] = "\033[33m", [TONE_DIM] = "\033[2m",   [TONE_BOLD] = "\033[1m",
    };
    return color ? codes[tone] : "";
}

const char *tone_off(enum tone tone, bool color)
{
    return color && tone != TONE_PLAIN ? "\033[0m" : "";
}

static enum node_outcome outcome_of(const char *name)
{
    for (int i = 0; name && i < NODE_OUTCOMES; i++)
        if (strcmp(node_outcome_name((enum node_outcome)i), name) == 0)
            return (enum node_outcome)i;
    return NODE_OUTCOMES;
}

enum tone outcome_tone(const char *outcome)
{
    switch (outcome_of(outcome)) {
    case NODE_UPDATED:
        return TONE_GOOD;
    case NODE_PENDING:
    case NODE_UNCHANGED:
    case NODE_OUTSIDE:
        return TONE_DIM;
    case NODE_RESTORED:
    case NODE_SKIPPED:
        return TONE_WARN;
    case NODE_OUTCOMES:
        return TONE_PLAIN;
    default:
        return TONE_BAD;
    }
}

bool outcome_troubled(const char *outcome)
{
    return outcome_tone(outcome) == TONE_BAD;
}

enum tone verdict_tone(enum verdict verdict)
{
    static const enum tone tones[VERDICTS] = {TONE_GOOD, TONE_WARN, TONE_BAD};
    return tones[verdict];
}

enum tone result_tone(int exit_code)
{
    return exit_code == 0 ? TONE_GOOD : exit_code == 3 ? TONE_WARN : TONE_BAD;
}

void roster_title(struct strbuf *out, const struct roster *roster)
{
    strbuf_adds(out, roster->verb ? roster->verb : "run");
    if (roster->rollout)
        strbuf_addf(out, " %s", roster->rollout);
    if (roster->service)
        strbuf_addf(out, " of %s", roster->service);
    if (roster->release)
        strbuf_addf(out, " to %s", roster->release);
    if (roster->description && *roster->description)
        strbuf_addf(out, " (%s)", roster->description);
}

void roster_wave(struct strbuf *out, const struct roster *roster, size_t wave, size_t wave_count,
                 size_t columns)
{
    size_t start = out->length, left = 0, named = 0;
    for (size_t i = 0; roster->waves && i < roster->node_count; i++)
        left += roster->waves[i] == wave;
    /* One without a node only moves the traffic. */
    strbuf_addf(out, "wave %zu of %zu%s", wave + 1, wave_count, left ? ":" : "");
    size_t used = text_columns(out->text + start);
    for (size_t i = 0; left && roster->waves && i < roster->node_count; i++) {
        if (roster->waves[i] != wave)
            continue;
        size_t room = left > 1 ? sizeof " +99999 more" : 0;
        used += 1 + text_columns(roster->nodes[i]);
        if (columns && named && used + room > columns)
            break;
        strbuf_addf(out, " %s", roster->nodes[i]);
        named++;
        left--;
    }
    if (left)
        strbuf_addf(out, " +%zu more", left);
}

const char *record_node(const struct record *record)
{
    const struct roster *roster = record->roster;
    return roster && record->node < roster->node_count ? roster->nodes[record->node] : NULL;
}

size_t roster_name_columns(const struct roster *roster, size_t maximum)
{
    size_t widest = 4;
    for (size_t i = 0; roster && i < roster->node_count; i++) {
        size_t columns = text_columns(roster->nodes[i]);
        widest = columns > widest ? columns : widest;
    }
    return widest < maximum ? widest : maximum;
}

void text_fit(struct strbuf *out, const char *text, size_t columns, bool pad)
{
    size_t all = text_columns(text), used = 0;
    size_t room = all > columns && columns ? columns - 1 : columns;
    while (*text) {
        uint32_t code;
        char one[5] = {0};
        size_t size = text_utf8_decode(text, strnlen(text, 4), &code);
        size = size ? size : 1;
        memcpy(one, text, size);
        size_t width = text_columns(one);
        if (used + width > room)
            break;
        strbuf_add(out, text, size);
        used += width;
        text += size;
    }
    if (all > columns && columns) {
        strbuf_addc(out, '~');
        used++;
    }
    for (; pad && used < columns; used++)
        strbuf_addc(out, ' ');
}

void text_keep(char *out, size_t size, const char *text)
{
    size_t length = 0;
    while (text && *text) {
        uint32_t code;
        size_t bytes = text_utf8_decode(text, strnlen(text, 4), &code);
        if (bytes == 0 || length + bytes >= size)
            break;
        memcpy(out + length, text, bytes);
        if (code < ' ')
            out[length] = ' ';
        length += bytes;
        text += bytes;
    }
    out[length] = '\0';
}
