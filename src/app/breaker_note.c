#include "app/breaker_list.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "core/breaker.h"

#define CAUSE_MAX 300
#define NAME_TEXT_MAX (BREAKER_NAME_MAX * 3)

/* What a node's journal calls the states: each is one word. */
static const char *const words[] = {
    [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half-open"};
#define WORDS (sizeof(words) / sizeof(words[0]))

static const char *word_of(const char *state)
{
    for (size_t i = 0; i < WORDS; i++)
        if (strcmp(breaker_state_name((enum breaker_state)i), state) == 0)
            return words[i];
    return words[BREAKER_CLOSED];
}

/* A name is one word: what would part it is told as %XX. */
static void write_name(struct strbuf *out, const char *name)
{
    for (size_t left = text_cut(name, BREAKER_NAME_MAX); left > 0; left--, name++) {
        unsigned char byte = (unsigned char)*name;
        if (byte <= ' ' || byte == '%' || byte == 0x7f)
            strbuf_addf(out, "%%%02X", byte);
        else
            strbuf_addc(out, *name);
    }
}

void breaker_note_write(struct strbuf *out, const struct breaker_seen *seen)
{
    struct strbuf cause;
    const char *error = seen->error && *seen->error ? seen->error : "-";
    strbuf_init(&cause, 4 * ERR_MESSAGE_MAX);
    text_sanitize(&cause, error, strlen(error), false);
    strbuf_addf(out, "%s %" PRId64 " %s ", word_of(seen->state), seen->since_ms, seen->node ? "node" : "dependency");
    write_name(out, breaker_seen_name(seen));
    strbuf_addf(out, " %.*s", (int)text_cut(cause.text, CAUSE_MAX), cause.text);
    strbuf_release(&cause);
}

/* The next word, and what follows it; NULL: there is none, or it is too long. */
static const char *next_word(const char *text, char *out, size_t size)
{
    size_t length = strcspn(text, " ");
    if (length == 0 || length >= size || text[length] != ' ')
        return NULL;
    memcpy(out, text, length);
    out[length] = '\0';
    return text + length + 1;
}

static int nibble(char digit)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *at = digit ? strchr(digits, digit) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* In place; false when a % is not followed by two digits. */
static bool decode_name(char *name)
{
    char *to = name;
    for (const char *from = name; *from; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = nibble(from[1]), low = high < 0 ? -1 : nibble(from[2]);
        if (low < 0 || high + low == 0)
            return false;
        *to++ = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return true;
}

static const char *safe(struct arena *arena, const char *text, size_t most)
{
    struct strbuf out;
    strbuf_init(&out, 4 * ERR_MESSAGE_MAX);
    text_sanitize(&out, text, strlen(text), false);
    const char *copy = arena_strndup(arena, out.text, text_cut(out.text, most));
    strbuf_release(&out);
    return copy;
}

bool breaker_note_read(struct breaker_seen *out, struct arena *arena, const char *text)
{
    char state[16], since[16], kind[16], name[NAME_TEXT_MAX + 1];
    uint64_t since_ms;
    size_t word = 0;
    *out = (struct breaker_seen){.node = NULL};
    if (!(text = next_word(text, state, sizeof(state))) || !(text = next_word(text, since, sizeof(since))) ||
        !(text = next_word(text, kind, sizeof(kind))) || !(text = next_word(text, name, sizeof(name))))
        return false;
    while (word < WORDS && strcmp(words[word], state) != 0)
        word++;
    bool of_node = strcmp(kind, "node") == 0;
    if (word == WORDS || (!of_node && strcmp(kind, "dependency") != 0) || !decode_name(name) ||
        whole_parse(&since_ms, since, 0, INT64_MAX, NULL) < 0)
        return false;
    out->state = breaker_state_name((enum breaker_state)word);
    out->since_ms = (int64_t)since_ms;
    out->error = strcmp(text, "-") == 0 ? NULL : safe(arena, text, CAUSE_MAX);
    *(of_node ? &out->node : &out->dependency) = safe(arena, name, BREAKER_NAME_MAX);
    return breaker_seen_name(out) != NULL;
}
