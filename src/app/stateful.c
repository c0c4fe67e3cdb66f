#include "app/stateful.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX_BYTES 256
#define ASK_TIMEOUT_MS 20000

static bool names_node(const char *word, const struct node *node)
{
    return strcmp(word, node->name) == 0 ||
           (node->connection.address && strcmp(word, node->connection.address) == 0);
}

int leader_read(bool *leads, const struct node *node, const struct reply *reply, struct err *err)
{
    const char *status = reply_get(reply, "status");
    const char *text = reply->output + strspn(reply->output, " \t\n");
    size_t length = strcspn(text, " \t\n");
    char word[WORD_MAX_BYTES] = "";
    *leads = false;
    if (reply->status != REPLY_OK && !status)
        return err_set(err, ERR_FAILED, "leader: %s", reply->sentence);
    if (reply->status != REPLY_OK && strcmp(status, "1") != 0)
        return err_set(err, ERR_FAILED, "leader: exit %s%s%.*s", status, length ? ": " : "",
                       (int)strcspn(text, "\n"), text);
    if (reply->status != REPLY_OK)
        return 0;
    snprintf(word, sizeof(word), "%.*s", (int)(length < WORD_MAX_BYTES ? length : 0), text);
    *leads = word[0] == '\0' || names_node(word, node);
    return 0;
}

/* --- asking all --- */

struct asking_leader {
    struct survey *survey;
    struct fleet *fleet;
};

static bool is_wanted(void *context, size_t member)
{
    const struct asking_leader *asking = context;
    const struct surveyed *node = &asking->survey->nodes[member];
    return node->answered && node->facts.current;
}

static void add_env(void *context, const char *name, const char *value)
{
    session_env(context, name, value);
}

static void build(void *context, struct session *session, size_t member)
{
    const struct asking_leader *asking = context;
    struct node_words words = {.release = asking->survey->nodes[member].facts.current};
    session_begin(session, "probe");
    session_add(session, "command", asking->fleet->playbook->strategy.leader);
    session_addu(session, "timeout_ms", ASK_TIMEOUT_MS);
    node_environment(&asking->fleet->members[member], &words, add_env, session);
}

static void answer(void *context, size_t member, const struct reply *reply, const struct err *error)
{
    const struct asking_leader *asking = context;
    struct surveyed *node = &asking->survey->nodes[member];
    if (!reply)
        node->leader_error = *error;
    else if (reply->error)
        node->leader_error = *reply->error;
    else
        leader_read(&node->leads, asking->fleet->members[member].node, reply, &node->leader_error);
}

int leader_survey(struct survey *survey, struct fleet *fleet, uint32_t forks)
{
    struct asking_leader asking = {survey, fleet};
    struct fanout fanout = {
        .forks = forks,
        .connect_timeout_ms = fleet->playbook->retry.connect_timeout_ms,
        .request_timeout_ms = ASK_TIMEOUT_MS + 15000,
        .build = build,
        .answer = answer,
        .wanted = is_wanted,
        .context = &asking,
    };
    return fleet_ask(fleet, &fanout);
}
