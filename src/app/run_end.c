#include "app/run_end.h"

#include <stdio.h>
#include <string.h>

#include "core/rollout.h"

#define REQUEST_TIMEOUT_MS 30000
#define RUNS_READ 50

struct asking {
    struct run_end *end;
    const char *rollout;
};

static void build(void *context, struct session *session, size_t member)
{
    (void)context;
    (void)member;
    session_begin(session, "history");
    session_addu(session, "lines", RUNS_READ);
}

/* `OUTCOME RESULT`, the rest of a line of `history`. */
static void take_result(struct run_end *end, const char *text)
{
    const char *result = strchr(text, ' ');
    bool worse = strcmp(end->result, rollout_result_name(RESULT_NEEDS_CARE)) != 0;
    if (!result)
        return;
    if (!end->known || worse)
        snprintf(end->result, sizeof(end->result), "%.63s", result + 1);
    end->known = true;
}

void run_end_note(struct run_end *end, const char *rollout, const char *line, bool *passed)
{
    char id[65], ended[24];
    int used = 0;
    if (sscanf(line, "%64s %*s %23s %*s %*s %n", id, ended, &used) != 2 || !used)
        return;
    if (strcmp(id, rollout) == 0) {
        *passed = true;
        if (strcmp(ended, "-") != 0)
            take_result(end, line + used);
    } else if (*passed) {
        snprintf(end->next, sizeof(end->next), "%s", id);
        *passed = false;
    }
}

static void answer(void *context, size_t member, const struct reply *reply, const struct err *error)
{
    struct asking *asking = context;
    bool passed = false;
    (void)member;
    for (size_t i = 0; !error && reply->status == REPLY_OK && i < reply->value_count; i++)
        if (strcmp(reply->values[i].key, "rollout") == 0)
            run_end_note(asking->end, asking->rollout, reply->values[i].value, &passed);
}

int run_end_ask(struct run_end *out, struct fleet *fleet, uint32_t forks, const char *rollout)
{
    struct asking asking = {.end = out, .rollout = rollout};
    struct fanout fanout = {
        .forks = forks,
        .connect_timeout_ms = fleet->playbook->retry.connect_timeout_ms,
        .request_timeout_ms = REQUEST_TIMEOUT_MS,
        .build = build,
        .answer = answer,
        .context = &asking,
    };
    *out = (struct run_end){.known = false};
    return fleet_ask(fleet, &fanout);
}
