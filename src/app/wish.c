#include "app/wish.h"

#include <string.h>

#define REQUEST_TIMEOUT_MS 30000

enum wish_kind wish_read(const char *text)
{
    return strncmp(text, "pause ", 6) == 0   ? WISH_PAUSE
           : strncmp(text, "abort ", 6) == 0 ? WISH_ABORT
                                             : WISH_NONE;
}

const char *survey_live_run(const struct survey *survey, const char **holder)
{
    const char *live = NULL;
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        bool held = survey->nodes[i].answered && facts_locked(facts);
        if (!held || !facts->lock_rollout || (live && strcmp(facts->lock_rollout, live) <= 0))
            continue;
        live = facts->lock_rollout;
        *holder = facts->lock_holder;
    }
    return live;
}

struct leaving {
    const struct wish_order *order;
    size_t left;
};

static void build(void *context, struct session *session, size_t member)
{
    const struct leaving *leaving = context;
    (void)member;
    session_begin(session, "wish");
    session_add(session, "rollout", leaving->order->rollout);
    session_add(session, "kind", leaving->order->kind == WISH_ABORT ? "abort" : "pause");
    session_add(session, "holder", leaving->order->holder);
}

static void answer(void *context, size_t member, const struct reply *reply, const struct err *error)
{
    struct leaving *leaving = context;
    (void)member;
    leaving->left += !error && reply->status == REPLY_OK;
}

int wish_leave(const struct wish_order *order, size_t *left)
{
    struct leaving leaving = {.order = order};
    struct fanout fanout = {
        .forks = order->forks,
        .connect_timeout_ms = order->fleet->playbook->retry.connect_timeout_ms,
        .request_timeout_ms = REQUEST_TIMEOUT_MS,
        .build = build,
        .answer = answer,
        .context = &leaving,
    };
    int signal_number = fleet_ask(order->fleet, &fanout);
    *left = leaving.left;
    return signal_number;
}
