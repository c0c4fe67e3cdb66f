#include "model/words.h"

#include <string.h>

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Copies the inside of a quoted part; returns behind the closing quote, NULL when there is none. */
static const char *copy_quoted(const char *at, char *out, size_t *used)
{
    char quote = *at++;
    for (; *at && *at != quote; at++) {
        if (quote == '"' && *at == '\\' && (at[1] == '"' || at[1] == '\\'))
            at++;
        out[(*used)++] = *at;
    }
    return *at ? at + 1 : NULL;
}

/* Copies one word; returns behind it, NULL for a malformed one. */
static const char *copy_word(const char *at, bool comments, char *out, struct err *err)
{
    size_t used = 0;
    while (at && *at && !is_blank(*at) && !(comments && *at == '#')) {
        if (*at == '\'' || *at == '"') {
            at = copy_quoted(at, out, &used);
            if (!at)
                err_set(err, ERR_INPUT, "a quote is not closed");
        } else if (*at == '\\' && at[1] == '\0') {
            err_set(err, ERR_INPUT, "a backslash stands at the end of the line");
            at = NULL;
        } else {
            if (*at == '\\')
                at++;
            out[used++] = *at++;
        }
    }
    out[used] = '\0';
    return at;
}

int words_split(char ***out_words, size_t *out_count, const char *line, bool comments,
                struct arena *arena, struct err *err)
{
    char **words = NULL;
    size_t count = 0;
    /* every word is at most as long as what it was made from, and is followed by a blank or the end
     */
    char *space = arena_alloc(arena, strlen(line) + 1);
    if (!space)
        return err_set(err, ERR_MEMORY, "out of memory");
    while (true) {
        while (is_blank(*line))
            line++;
        if (!*line || (comments && *line == '#'))
            break;
        words = arena_grow(arena, words, count, sizeof(*words));
        if (!words)
            return err_set(err, ERR_MEMORY, "out of memory");
        line = copy_word(line, comments, space, err);
        if (!line)
            return ERR_INPUT;
        words[count++] = space;
        space += strlen(space) + 1;
    }
    *out_words = words;
    *out_count = count;
    return 0;
}
