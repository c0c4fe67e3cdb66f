#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/table.h"
#include "base/units.h"
#include "io/process_identity.h"
#include "run.h"
#include "service_lock.h"
#include "print.h"

#define REQUEST_TIMEOUT_MS 30000

/* The lock of one node, as it was shown; texts live in the run's arena. */
struct shown {
    bool asked, held;
    bool abandoned; /* its runner, a process of this machine, has ended */
    const char *state, *holder, *rollout, *generation, *age_s, *ttl_s;
};

struct unlocking {
    struct run *run;
    struct shown *nodes;
    struct service_lock_view service; /* the service's lock in etcd */
    size_t held, abandoned, unasked, broken, refused, failed;
};

static const char *node_name(const struct unlocking *unlocking, size_t member)
{
    return unlocking->run->fleet->members[member].node->name;
}

static const char *kept(const struct unlocking *unlocking, const struct reply *reply,
                        const char *key)
{
    const char *value = reply_get(reply, key);
    return value ? arena_strdup(&unlocking->run->inputs.arena, value) : NULL;
}

/* --- who holds it --- */

static void build_question(void *context, struct session *session, size_t member)
{
    (void)context;
    (void)member;
    session_begin(session, "facts");
}

static void take_lock(void *context, size_t member, const struct reply *reply,
                      const struct err *error)
{
    struct unlocking *unlocking = context;
    struct shown *shown = &unlocking->nodes[member];
    if (error || reply->status != REPLY_OK) {
        print_err("deployctl: warning: %s: %s\n", node_name(unlocking, member),
                error ? error->message : reply->sentence);
        unlocking->unasked++;
        return;
    }
    *shown = (struct shown){
        .asked = true,
        .state = kept(unlocking, reply, "lock"),
        .holder = kept(unlocking, reply, "lock_holder"),
        .rollout = kept(unlocking, reply, "lock_rollout"),
        .generation = kept(unlocking, reply, "lock_generation"),
        .age_s = kept(unlocking, reply, "lock_age"),
        .ttl_s = kept(unlocking, reply, "lock_ttl"),
    };
    shown->held = shown->holder && shown->generation;
    shown->abandoned = shown->held && process_has_ended(reply_get(reply, "lock_runner"));
    if (shown->abandoned)
        shown->state = "abandoned";
    unlocking->held += shown->held;
    unlocking->abandoned += shown->abandoned;
}

/* Seconds as the node sent them, for people. */
static const char *seconds_text(char out[DURATION_TEXT_MAX], const char *seconds)
{
    uint64_t number = 0;
    if (!seconds || whole_parse(&number, seconds, 0, INT64_MAX / 1000, NULL) < 0)
        return "unknown";
    return duration_format(out, (int64_t)number * 1000);
}

static void show_text(const struct unlocking *unlocking)
{
    static const char *const headings[] = {"node",  "state",   "renewed",
                                           "lives", "rollout", "holder"};
    struct table table;
    table_init(&table, headings, 6);
    for (size_t i = 0; i < unlocking->run->fleet->count; i++) {
        const struct shown *shown = &unlocking->nodes[i];
        char age[DURATION_TEXT_MAX], ago[DURATION_TEXT_MAX + 8], ttl[DURATION_TEXT_MAX];
        if (!shown->held)
            continue;
        snprintf(ago, sizeof(ago), "%s ago", seconds_text(age, shown->age_s));
        const char *cells[] = {node_name(unlocking, i),         shown->state,   ago,
                               seconds_text(ttl, shown->ttl_s), shown->rollout, shown->holder};
        table_row(&table, cells);
    }
    table_print(&table, stdout);
    table_release(&table);
    fflush(stdout);
}

static void show_json(const struct unlocking *unlocking)
{
    for (size_t i = 0; i < unlocking->run->fleet->count; i++) {
        const struct shown *shown = &unlocking->nodes[i];
        json_t *line = json_line("{s:i, s:s, s:s, s:b, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?}", "v", 1,
                                 "event", "lock", "node", node_name(unlocking, i), "reached",
                                 shown->asked, "state", shown->state, "holder", shown->holder,
                                 "rollout", shown->rollout, "generation", shown->generation,
                                 "age_s", shown->age_s, "ttl_s", shown->ttl_s);
        print_json_line(line);
    }
    fflush(stdout);
}

/* --- breaking it --- */

static bool is_held(void *context, size_t member)
{
    const struct unlocking *unlocking = context;
    return unlocking->nodes[member].held;
}

/* With the generation that was shown: a lock that changed hands meanwhile is another one. */
static void build_break(void *context, struct session *session, size_t member)
{
    struct unlocking *unlocking = context;
    session_begin(session, "break");
    session_add(session, "generation", unlocking->nodes[member].generation);
    session_add(session, "holder", unlocking->run->holder);
}

static void say_broken(const struct unlocking *unlocking, size_t member, bool broken,
                       const char *text)
{
    const char *node = node_name(unlocking, member);
    if (unlocking->run->options->json) {
        json_t *line = json_line("{s:i, s:s, s:s, s:b, s:s}", "v", 1, "event", "unlock", "node",
                                 node, "broken", broken, "text", text);
        print_json_line(line);
    } else if (broken) {
        print_out("%s: %s\n", node, text);
    }
    if (!broken)
        print_err("deployctl: %s: %s\n", node, text);
}

static void take_break(void *context, size_t member, const struct reply *reply,
                       const struct err *error)
{
    struct unlocking *unlocking = context;
    bool broken = !error && reply->status == REPLY_OK;
    bool refused = !error && reply->status == REPLY_REFUSED;
    unlocking->broken += broken;
    unlocking->refused += refused;
    unlocking->failed += !broken && !refused;
    say_broken(unlocking, member, broken, error ? error->message : reply->sentence);
}

static int ask(struct unlocking *unlocking, bool breaking)
{
    struct run *run = unlocking->run;
    struct fanout fanout = {
        .forks = run->options->forks,
        .connect_timeout_ms = run->inputs.playbook.retry.connect_timeout_ms,
        .request_timeout_ms = REQUEST_TIMEOUT_MS,
        .build = breaking ? build_break : build_question,
        .answer = breaking ? take_break : take_lock,
        .wanted = breaking ? is_held : NULL,
        .context = unlocking,
    };
    int signal_number = fleet_ask(run->fleet, &fanout);
    return signal_number ? 128 + signal_number : 0;
}

/* 0, or 4 after saying what to do. Locks whose processes have ended are broken without a question. */
static int agree(const struct unlocking *unlocking)
{
    char answer[16] = "";
    bool all_abandoned = unlocking->abandoned == unlocking->held && !unlocking->service.held;
    if (unlocking->run->options->yes || all_abandoned)
        return 0;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        print_err("deployctl: nothing was broken; when the holder is surely gone, say it "
                        "again with --yes\n");
        return EXIT_REFUSED;
    }
    print_err("break %s? A rollout that still runs loses its nodes by that. [y/N] ",
            unlocking->held + unlocking->service.held == 1 ? "this lock" : "these locks");
    if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return 0;
    print_err("deployctl: nothing was broken\n");
    return EXIT_REFUSED;
}

/* First: a runner that still works stops by that. */
static int break_service_lock(struct unlocking *unlocking)
{
    struct err err;
    int rc = service_lock_break(unlocking->run->fleet, &unlocking->service, &err);
    if (rc > 0)
        return 128 + rc;
    if (rc < 0)
        return report_error(&err);
    unlocking->broken++;
    if (!unlocking->run->options->json)
        print_out("broke the service's lock in etcd of %s, rollout %s\n", unlocking->service.holder,
               unlocking->service.rollout);
    fflush(stdout);
    return 0;
}

static int break_locks(struct unlocking *unlocking)
{
    int code = agree(unlocking);
    if (!code && unlocking->service.held)
        code = break_service_lock(unlocking);
    if (!code && unlocking->held)
        code = ask(unlocking, true);
    if (code)
        return code;
    if (unlocking->refused && !unlocking->broken && !unlocking->failed)
        return EXIT_REFUSED;
    return unlocking->refused || unlocking->failed || unlocking->unasked ? EXIT_NEEDS_CARE
                                                                         : EXIT_DONE;
}

static int unlock(struct run *run)
{
    struct unlocking unlocking = {.run = run};
    size_t count = run->fleet->count;
    unlocking.nodes = arena_alloc(&run->inputs.arena, (count + 1) * sizeof(*unlocking.nodes));
    if (!unlocking.nodes)
        return report_error(&(struct err){.code = ERR_MEMORY, .message = "out of memory"});
    int code = ask(&unlocking, false);
    if (code)
        return code;
    size_t asked = count - unlocking.unasked;
    if (asked == 0)
        return EXIT_UNREACHABLE;
    if (run->options->json)
        show_json(&unlocking);
    else if (unlocking.held)
        show_text(&unlocking);
    code = service_lock_show(run, &unlocking.service);
    fflush(stdout);
    if (code > 128)
        return code;
    unlocking.unasked += code != 0; /* the nodes' locks can be broken all the same */
    if (unlocking.held || unlocking.service.held)
        return break_locks(&unlocking);
    if (!run->options->json)
        print_out("no lock of %s is held on %zu node%s\n", run->inputs.playbook.service.name,
               asked, asked == 1 ? "" : "s");
    return unlocking.unasked ? EXIT_NEEDS_CARE : EXIT_DONE;
}

int verb_unlock(const struct options *options)
{
    struct run run;
    int code = run_begin(&run, options);
    if (!code)
        code = unlock(&run);
    run_release(&run);
    return report_printed(code);
}
