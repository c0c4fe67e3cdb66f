#include "app/rollback_targets.h"

#include <string.h>

#include "base/strbuf.h"

#define SENTENCE_MAX (ERR_MESSAGE_MAX - 160)

static bool counts(const struct surveyed *node)
{
    return node->answered && !node->outside && node->facts.current;
}

/* Some node runs it and has not committed it. */
static bool is_half_done(const struct survey *survey, const char *release)
{
    for (size_t i = 0; i < survey->count; i++) {
        const struct surveyed *node = &survey->nodes[i];
        if (counts(node) && !node->facts.current_good && (!release || strcmp(node->facts.current, release) == 0))
            return true;
    }
    return false;
}

/* The release that most nodes of the run are at; the first of two that as many are at. */
static const char *release_of_most(const struct survey *survey)
{
    const char *best = NULL;
    size_t most = 0;
    for (size_t i = 0; i < survey->count; i++) {
        size_t count = 0;
        for (size_t j = 0; counts(&survey->nodes[i]) && j < survey->count; j++)
            count += counts(&survey->nodes[j]) && strcmp(survey->nodes[i].facts.current, survey->nodes[j].facts.current) == 0;
        if (count > most)
            best = survey->nodes[i].facts.current;
        most = count > most ? count : most;
    }
    return best;
}

static bool goes_back(const struct survey *survey, const struct surveyed *node, bool half_done, const char *most)
{
    if (!counts(node))
        return false;
    return half_done ? !node->facts.current_good || is_half_done(survey, node->facts.current)
                     : most && strcmp(node->facts.current, most) == 0;
}

static bool has_good(const struct surveyed *node, const char *release)
{
    enum release_state state;
    return facts_has(&node->facts, release, &state) && state == RELEASE_GOOD;
}

static int refuse(const struct survey *survey, const bool *goes, struct err *err)
{
    struct strbuf list;
    const char *lead = "";
    strbuf_init(&list, SENTENCE_MAX);
    for (size_t i = 0; i < survey->count; i++) {
        if (!goes[i] || !survey->nodes[i].facts.previous)
            continue;
        strbuf_addf(&list, "%s%s to %s", lead, survey->nodes[i].name, survey->nodes[i].facts.previous);
        lead = ", ";
    }
    err_set(err, ERR_REFUSED,
            "the nodes would go back to different releases (%s%s); name one with --to, or take each to its own with --each-own", list.text,
            list.overflowed ? ", ..." : "");
    strbuf_release(&list);
    return err->code;
}

/* NULL when none of them has one; `*differ` when two have different ones. */
static const char *common_target(const struct survey *survey, const bool *goes, bool *differ)
{
    const char *target = NULL;
    *differ = false;
    for (size_t i = 0; i < survey->count; i++) {
        const char *own = goes[i] ? survey->nodes[i].facts.previous : NULL;
        *differ |= own && target && strcmp(own, target) != 0;
        target = target ? target : own;
    }
    return target;
}

static const char *target_of(const struct surveyed *node, bool goes, bool each_own, const char *target)
{
    if (!node->answered || node->outside)
        return NULL;
    if (each_own || !target)
        return goes ? node->facts.previous : node->facts.current;
    if (node->facts.current && has_good(node, target))
        return target;
    return goes ? node->facts.previous : node->facts.current;
}

int rollback_targets(const struct survey *survey, bool each_own, const char **out, struct err *err)
{
    bool half_done = is_half_done(survey, NULL), differ;
    const char *most = release_of_most(survey);
    struct arena arena;
    arena_init(&arena);
    bool *goes = arena_alloc(&arena, survey->count + 1);
    int rc = goes ? 0 : err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; rc == 0 && i < survey->count; i++)
        goes[i] = goes_back(survey, &survey->nodes[i], half_done, most) || (each_own && !half_done && counts(&survey->nodes[i]));
    const char *target = rc == 0 ? common_target(survey, goes, &differ) : NULL;
    if (rc == 0 && differ && !each_own)
        rc = refuse(survey, goes, err);
    for (size_t i = 0; rc == 0 && i < survey->count; i++)
        out[i] = target_of(&survey->nodes[i], goes[i], each_own, target);
    arena_release(&arena);
    return rc;
}
