#include "app/fallback.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum release_look release_look(const struct reply *reply, char out[RELEASE_DIFFERENCE])
{
    const char *changed = reply->error ? NULL : reply_get(reply, "changed");
    const char *missing = reply->error ? NULL : reply_get(reply, "missing");
    if (changed || missing) {
        snprintf(out, RELEASE_DIFFERENCE, "%.*s is %s", (int)text_cut(changed ? changed : missing, RELEASE_DIFFERENCE - 20),
                 changed ? changed : missing, changed ? "changed" : "missing");
        return RELEASE_ALTERED;
    }
    bool compared = !reply->error && reply_get(reply, "differences");
    return compared ? RELEASE_AS_STAGED : RELEASE_UNKNOWN;
}

const char *fallback_of(const struct facts *facts, const struct playbook *playbook, const char *target, const char *before)
{
    enum release_state state;
    bool stays = !target || (facts->current && facts->current_good && strcmp(facts->current, target) == 0);
    bool goes_back = playbook->strategy.kind != STRATEGY_BLUE_GREEN && playbook->failure.action != FAILURE_STOP;
    if (stays || !goes_back || !before || !facts_has(facts, before, &state) || state == RELEASE_INCOMPLETE)
        return NULL;
    return before;
}

int fallback_refuse(struct err *err, const char *release, const char *difference)
{
    return err_set(err, ERR_REFUSED,
                   "release %s, which a failure would go back to, is not as it was staged (%s); `deployctl verify --to %s` "
                   "shows all of it; --set failure.action=stop goes forward without a way back",
                   release, difference, release);
}

struct asking_fallbacks {
    struct err *errors;
    const struct survey *survey;
    const struct playbook *playbook;
    const char *const *targets;
};

static const char *question(const struct asking_fallbacks *asking, size_t member)
{
    const struct facts *facts = &asking->survey->nodes[member].facts;
    if (!asking->survey->nodes[member].answered)
        return NULL;
    return fallback_of(facts, asking->playbook, asking->targets[member], facts_release_before(facts));
}

static bool wanted(void *context, size_t member)
{
    return question(context, member) != NULL;
}

static void build(void *context, struct session *session, size_t member)
{
    session_begin(session, "verify");
    session_add(session, "release", question(context, member));
}

static void answer(void *context, size_t member, const struct reply *reply, const struct err *error)
{
    struct asking_fallbacks *asking = context;
    struct err *out = &asking->errors[member];
    char difference[RELEASE_DIFFERENCE];
    if (error) {
        *out = *error;
        return;
    }
    enum release_look look = release_look(reply, difference);
    if (look == RELEASE_ALTERED)
        fallback_refuse(out, question(asking, member), difference);
    else if (look == RELEASE_UNKNOWN)
        err_set(out, ERR_FAILED, "%s", reply->sentence);
}

int fallbacks_check(struct err *out, const struct survey *survey, struct fleet *fleet, const char *const *targets, uint32_t forks)
{
    const struct playbook *playbook = fleet->playbook;
    struct asking_fallbacks asking = {.errors = out, .survey = survey, .playbook = playbook, .targets = targets};
    struct fanout fanout = {
        .forks = forks,
        .connect_timeout_ms = playbook->retry.connect_timeout_ms,
        .request_timeout_ms = playbook->retry.step_timeout_ms,
        .build = build,
        .answer = answer,
        .wanted = wanted,
        .context = &asking,
    };
    for (size_t i = 0; i < survey->count; i++)
        err_clear(&out[i]);
    return fleet_ask(fleet, &fanout);
}
