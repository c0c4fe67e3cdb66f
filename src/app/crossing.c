#include "app/crossing.h"

#include <string.h>

/* Ids begin with the time of their source. */
static bool of_one_second(const char *release, const char *other)
{
    size_t length = strcspn(release, "-");
    return release[length] == '-' && strncmp(release, other, length + 1) == 0;
}

/* NULL: it is not good here. */
static const struct release_fact *good_one(const struct facts *facts, const char *release)
{
    for (size_t i = 0; i < facts->release_count; i++)
        if (facts->releases[i].state == RELEASE_GOOD && strcmp(facts->releases[i].id, release) == 0)
            return &facts->releases[i];
    return NULL;
}

int facts_release_order(const struct facts *facts, const char *release, const char *other)
{
    int order = strcmp(release, other);
    const struct release_fact *one = good_one(facts, release), *two = good_one(facts, other);
    if (order == 0 || !of_one_second(release, other) || (!one && !two))
        return order;
    if (one && two)
        return one < two ? -1 : 1; /* they are listed so */
    return one ? -1 : 1;
}

static bool is_earlier(const struct facts *facts, const char *release, const struct migration_fact *fact)
{
    const struct release_fact *own = good_one(facts, release);
    if (!of_one_second(release, fact->release) || good_one(facts, fact->release))
        return facts_release_order(facts, release, fact->release) < 0;
    return own && strcmp(release, fact->release) != 0 && own->since_s <= fact->since_s;
}

struct crossing facts_crossed(const struct facts *facts, const char *release, struct commits *commits)
{
    struct crossing out = {NULL, NULL};
    for (size_t i = 0; i < facts->migration_count && !out.fact; i++) {
        const struct migration_fact *fact = &facts->migrations[i];
        bool ran = fact->record == RECORDED_DONE || fact->record == RECORDED_UNKNOWN ||
                   fact->record == RECORDED_RUNNING;
        if (!ran || fact->kind != CHANGE_IRREVERSIBLE || strcmp(fact->release, release) == 0)
            continue;
        enum contains contains = commits_contain(commits, release, fact->release);
        if (contains == CONTAINS_UNKNOWN)
            out.timed = fact;
        if (contains == CONTAINS_NO || (contains == CONTAINS_UNKNOWN && is_earlier(facts, release, fact)))
            out.fact = fact;
    }
    return out;
}

void crossing_tell(const struct crossing *crossing, const char *release, struct strbuf *out)
{
    const struct migration_fact *fact = crossing->fact;
    const char *ran = fact->record == RECORDED_DONE ? "was run" : "may have been run";
    if (crossing->timed == fact)
        strbuf_addf(out, "release %s is from before migration %s, which is irreversible and %s with release %s (by their times: the source's "
                         "history here does not have both)",
                    release, fact->name, ran, fact->release);
    else
        strbuf_addf(out, "release %s does not contain the commit of release %s, with which migration %s, which is irreversible, %s", release,
                    fact->release, fact->name, ran);
}
