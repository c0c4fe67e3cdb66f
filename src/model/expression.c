#include "model/expression.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS_MAX 32
#define COST_MAX 5000 /* elements once all repetitions are written out */

/* What glibc would make of an expression: it writes `a{3}` out as `aaaa*` and `a+` as `aa*`, groups
 * and all, so that nested ones multiply. */
struct cost {
    unsigned long sums[GROUPS_MAX + 1]; /* of each open group */
    size_t depth;
    unsigned long last; /* of the element before, which a repetition multiplies */
};

static void add_element(struct cost *cost, unsigned long elements)
{
    cost->sums[cost->depth] += elements;
    cost->last = elements;
}

static void repeat_element(struct cost *cost, unsigned long times)
{
    cost->sums[cost->depth] += cost->last * times;
    cost->last *= times + 1;
}

/* The larger number of `{2,5}`; `*at` moves to the brace that closes. */
static unsigned long read_count(const char **at)
{
    unsigned long most = 1;
    while (**at && **at != '}') {
        char *end = NULL;
        unsigned long number = **at >= '0' && **at <= '9' ? strtoul(*at, &end, 10) : 0;
        most = number > most ? number : most;
        *at = end ? end : *at + 1;
    }
    return most < COST_MAX ? most : COST_MAX;
}

/* From the `[` of a set to its `]`, or to the last byte there is. */
static const char *skip_set(const char *at)
{
    at += at[1] == '^' ? 2 : 1;
    at += *at == ']';
    while (*at && *at != ']') {
        char kind = at[0] == '[' ? at[1] : '\0';
        const char *close = NULL;
        if (kind == ':' || kind == '.' || kind == '=')
            close = strstr(at + 2, (const char[]){kind, ']', '\0'});
        at = close ? close + 2 : at + 1;
    }
    return *at ? at : at - 1;
}

static bool open_group(struct cost *cost)
{
    if (cost->depth == GROUPS_MAX)
        return false;
    cost->sums[++cost->depth] = 1;
    cost->last = 0;
    return true;
}

static const char *find_trouble(const char *text)
{
    struct cost cost = {0};
    for (; *text; text++) {
        if (text[0] == '(' && text[1] == '?')
            return "(?...) is not supported";
        if (*text == '(' && !open_group(&cost))
            return "it has more than 32 groups in one another";
        if (*text == ')' && cost.depth) {
            cost.depth--;
            add_element(&cost, cost.sums[cost.depth + 1]);
        } else if (*text == '{') {
            repeat_element(&cost, read_count(&text));
        } else if (strchr("*+?", *text)) {
            repeat_element(&cost, 1);
        } else if (*text != '(') {
            text = *text == '[' ? skip_set(text) : *text == '\\' && text[1] ? text + 1 : text;
            add_element(&cost, 1);
        }
        if (cost.sums[cost.depth] > COST_MAX)
            return "its repetitions multiply too much";
        if (!*text)
            break;
    }
    return NULL;
}

/* Python's `\d` (outside of sets) and `(?:` in POSIX words. `out` has room for five bytes for each
 * of `text`. */
static void translate(char *out, const char *text)
{
    while (*text) {
        if (text[0] == '\\' && text[1] == 'd') {
            memcpy(out, "[0-9]", 5);
            out += 5;
            text += 2;
        } else if (strncmp(text, "(?:", 3) == 0) {
            *out++ = '(';
            text += 3;
        } else {
            const char *last = *text == '[' ? skip_set(text) : text + (*text == '\\' && text[1]);
            while (text <= last)
                *out++ = *text++;
        }
    }
    *out = '\0';
}

int expression_compile(regex_t *out, const char *text, int flags, struct err *err)
{
    char translated[EXPRESSION_MAX * 5 + 1];
    size_t length = strlen(text);
    const char *trouble = length == 0               ? "it is empty"
                          : length > EXPRESSION_MAX ? "it is longer than 512 bytes"
                                                    : NULL;
    if (!trouble) {
        translate(translated, text);
        trouble = find_trouble(translated);
    }
    if (trouble)
        return err_set(err, ERR_INPUT, "'%.100s' is not a usable regular expression: %s", text,
                       trouble);
    int failed = regcomp(out, translated, REG_EXTENDED | flags);
    if (failed) {
        char reason[128];
        regerror(failed, out, reason, sizeof(reason));
        return err_set(err, failed == REG_ESPACE ? ERR_MEMORY : ERR_INPUT,
                       "'%.100s' is not a usable regular expression: %s", text, reason);
    }
    return 0;
}
