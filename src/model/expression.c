#include "model/expression.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS_MAX 32
#define REPEATS_MAX 1000 /* product of all counts in braces */

/* Multiplies `*repeats` by the larger number of `{2,5}`; false when that is too much. */
static bool count_repeat(const char *at, unsigned long *repeats)
{
    unsigned long most = 1;
    while (*++at && *at != '}') {
        if (*at < '0' || *at > '9')
            continue;
        char *end;
        unsigned long number = strtoul(at, &end, 10);
        most = number > most ? number : most;
        at = end - 1;
        if (most > REPEATS_MAX)
            return false;
    }
    *repeats *= most;
    return *repeats <= REPEATS_MAX;
}

static const char *find_trouble(const char *text)
{
    size_t groups = 0;
    unsigned long repeats = 1;
    if (!*text)
        return "it is empty";
    if (strlen(text) > EXPRESSION_MAX)
        return "it is longer than 512 bytes";
    for (; *text; text++) {
        if (*text == '\\' && text[1])
            text++;
        else if (*text == '(' && ++groups > GROUPS_MAX)
            return "it has more than 32 groups";
        else if (*text == '(' && text[1] == '?' && text[2] != ':')
            return "(?...) is not supported";
        else if (*text == '{' && !count_repeat(text, &repeats))
            return "its counts in braces are too large";
    }
    return NULL;
}

/* Python's `\d` and `(?:` in POSIX words. `out` has room for five bytes for each of `text`. */
static void translate(char *out, const char *text)
{
    bool inside = false; /* of [...] */
    while (*text) {
        if (text[0] == '\\' && text[1] == 'd') {
            const char *digits = inside ? "0-9" : "[0-9]";
            out = stpcpy(out, digits);
            text += 2;
        } else if (!inside && strncmp(text, "(?:", 3) == 0) {
            *out++ = '(';
            text += 3;
        } else {
            if (!inside && text[0] == '\\' && text[1])
                *out++ = *text++;
            else if (*text == '[' || *text == ']')
                inside = *text == '[';
            *out++ = *text++;
        }
    }
    *out = '\0';
}

int expression_compile(regex_t *out, const char *text, int flags, struct err *err)
{
    char translated[EXPRESSION_MAX * 5 + 1];
    const char *trouble = find_trouble(text);
    if (trouble)
        return err_set(err, ERR_INPUT, "'%.100s' is not a usable regular expression: %s", text,
                       trouble);
    translate(translated, text);
    int failed = regcomp(out, translated, REG_EXTENDED | flags);
    if (failed) {
        char reason[128];
        regerror(failed, out, reason, sizeof(reason));
        return err_set(err, failed == REG_ESPACE ? ERR_MEMORY : ERR_INPUT,
                       "'%.100s' is not a usable regular expression: %s", text, reason);
    }
    return 0;
}
