#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "print.h"

#define REQUEST_TIMEOUT_MS (11 * 60 * 1000) /* the node's own limit is ten minutes */

struct verifying {
    struct run *run;
    const char *release; /* NULL: each node's current one */
    size_t differing, unreached;
};

static const char *const kinds[] = {"changed", "missing", "extra"};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void build(void *context, struct session *session, size_t member)
{
    const struct verifying *verifying = context;
    (void)member;
    session_begin(session, "verify");
    session_add(session, "release", verifying->release);
}

static bool is_difference(const struct reply_value *value)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(value->key, kinds[i]) == 0)
            return true;
    return false;
}

/* The first of them; the node's sentence tells how many there are. */
static void print_text(const struct verifying *verifying, const char *node,
                       const struct reply *reply)
{
    bool good = reply->status == REPLY_OK;
    size_t told = 0;
    if (good && verifying->run->options->quiet)
        return;
    print_out("%s: %s\n", node, reply->sentence);
    for (size_t i = 0; i < reply->value_count; i++) {
        if (!is_difference(&reply->values[i]))
            continue;
        print_out("  %-7s  %s\n", reply->values[i].key, reply->values[i].value);
        told++;
    }
    const char *all = reply_get(reply, "differences");
    if (all && told && strtoull(all, NULL, 10) > told)
        print_out("  ...      and more: the first %zu of %s are listed\n", told, all);
    fflush(stdout);
}

static json_t *paths_of(const struct reply *reply, const char *kind)
{
    json_t *list = json_array();
    for (size_t i = 0; reply && i < reply->value_count; i++)
        if (strcmp(reply->values[i].key, kind) == 0)
            json_array_append_new(list, json_text(reply->values[i].value));
    return list;
}

static void print_json(const char *node, const struct reply *reply, const struct err *error)
{
    const char *all = reply ? reply_get(reply, "differences") : NULL;
    json_t *line =
        json_line("{s:i, s:s, s:s, s:b, s:b, s:s?, s:s}", "v", 1, "event", "verify", "node", node,
                  "reached", reply != NULL, "ok", reply && reply->status == REPLY_OK, "release",
                  reply ? reply_get(reply, "release") : NULL, "text",
                  reply ? reply->sentence : error->message);
    json_object_set_new(line, "differences",
                        all ? json_integer(strtoll(all, NULL, 10)) : json_null());
    for (size_t i = 0; i < KINDS; i++)
        json_object_set_new(line, kinds[i], paths_of(reply, kinds[i]));
    print_json_line(line);
    fflush(stdout);
}

static void answer(void *context, size_t member, const struct reply *reply, const struct err *error)
{
    struct verifying *verifying = context;
    const char *node = verifying->run->fleet->members[member].node->name;
    verifying->unreached += reply == NULL && error->code != ERR_REFUSED;
    verifying->differing += reply ? reply->status != REPLY_OK : error->code == ERR_REFUSED;
    if (verifying->run->options->json)
        print_json(node, reply, error);
    else if (reply)
        print_text(verifying, node, reply);
    if (error)
        print_err("deployctl: %s: %s\n", node, error->message);
}

static int verify(struct run *run)
{
    struct verifying verifying = {.run = run};
    struct fanout fanout = {
        .forks = run->options->forks,
        .connect_timeout_ms = run->inputs.playbook.retry.connect_timeout_ms,
        .request_timeout_ms = REQUEST_TIMEOUT_MS,
        .build = build,
        .answer = answer,
        .context = &verifying,
    };
    size_t count = run->fleet->count;
    int code = run_named_release(run, &verifying.release);
    if (code)
        return code;
    int signal_number = fleet_ask(run->fleet, &fanout);
    if (signal_number)
        return 128 + signal_number;
    if (verifying.unreached == count)
        return EXIT_UNREACHABLE;
    size_t good = count - verifying.differing - verifying.unreached;
    if (!run->options->json)
        print_out("%zu of %zu node%s as staged%s\n", good, count, count == 1 ? "" : "s",
               verifying.differing ? "; a rollout to another release leaves what differs behind"
                                   : "");
    return good == count ? EXIT_DONE : EXIT_NEEDS_CARE;
}

int verb_verify(const struct options *options)
{
    struct run run;
    int code = run_begin(&run, options);
    if (!code)
        code = verify(&run);
    run_release(&run);
    return report_printed(code);
}
