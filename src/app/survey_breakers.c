#include <string.h>

#include "app/survey.h"
#include "io/loop.h"

#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

/* Ids begin with their time. */
static void take_newer(const char **newest, const char *rollout)
{
    if (rollout && (!*newest || strcmp(rollout, *newest) > 0))
        *newest = rollout;
}

const char *survey_newest_run(const struct survey *survey)
{
    const char *newest = NULL;
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        if (!survey->nodes[i].answered)
            continue;
        take_newer(&newest, facts->open_rollout);
        take_newer(&newest, facts->ended_rollout);
        take_newer(&newest, facts->breaker_rollout);
    }
    return newest;
}

bool survey_saw_end(const struct survey *survey, const char *rollout)
{
    bool ended = false;
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        if (!survey->nodes[i].answered)
            continue;
        if (facts->lock_rollout && !facts->lock_expired && strcmp(facts->lock_rollout, rollout) == 0)
            return false;
        ended |= facts->ended_rollout && strcmp(facts->ended_rollout, rollout) == 0;
    }
    return ended;
}

/* A time that has not come yet would be the newest for ever. */
void survey_breakers(const struct survey *survey, const char *rollout, struct breaker_list *out)
{
    int64_t latest_ms = clock_wall_ms() + DAY_MS;
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        bool knows = survey->nodes[i].answered && facts->breaker_rollout && strcmp(facts->breaker_rollout, rollout) == 0;
        for (size_t k = 0; knows && k < facts->breaker_count; k++)
            if (facts->breakers[k].since_ms <= latest_ms)
                breaker_list_add(out, &facts->breakers[k]);
    }
}
