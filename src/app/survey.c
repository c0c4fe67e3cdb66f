#include "app/survey.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "app/balancer.h"
#include "app/discovery.h"
#include "app/prober.h"
#include "base/text.h"

#define REQUEST_TIMEOUT_MS 30000

/* In the fleet's arena, since signal handlers outlive the survey. */
struct surveying {
    struct fleet *fleet;
    struct survey *survey;
    size_t waiting;
    int signal_number;
    bool asking; /* the signal handlers outlive it */
};

static void build(void *context, struct session *session, size_t member)
{
    (void)context;
    (void)member;
    session_begin(session, "facts");
}

static void answer(void *context, size_t member, const struct reply *reply, const struct err *error)
{
    struct surveying *surveying = context;
    struct surveyed *node = &surveying->survey->nodes[member];
    if (error) {
        node->error = *error;
    } else if (reply->status != REPLY_OK) {
        err_set(&node->error, ERR_REFUSED, "%s", reply->sentence);
    } else if (facts_read(&node->facts, reply, &node->error) == 0) {
        node->answered = true;
    } else {
        facts_release(&node->facts);
    }
}

struct probing {
    struct surveying *surveying;
    size_t member;
    struct prober *prober;
    struct node_words words;
};

static void probed(void *context, bool healthy, const char *evidence, const struct err *error)
{
    struct probing *probing = context;
    struct surveyed *node = &probing->surveying->survey->nodes[probing->member];
    node->probed = true;
    node->healthy = healthy && !error;
    const char *said = error ? error->message : evidence;
    snprintf(node->evidence, sizeof(node->evidence), "%.*s",
             (int)text_cut(said, sizeof(node->evidence) - 1), said);
    if (--probing->surveying->waiting == 0)
        loop_stop(probing->surveying->fleet->loop);
}

static void interrupted(void *context, int signal_number)
{
    struct surveying *surveying = context;
    if (!surveying->asking)
        return;
    surveying->signal_number = signal_number;
    loop_stop(surveying->fleet->loop);
}

static int probe_all(struct surveying *surveying, struct err *err)
{
    struct fleet *fleet = surveying->fleet;
    struct probing *all = arena_alloc(&fleet->arena, fleet->count * sizeof(*all));
    if (!all)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < fleet->count; i++) {
        struct surveyed *node = &surveying->survey->nodes[i];
        if (!node->answered || !node->facts.current)
            continue;
        all[i] = (struct probing){.surveying = surveying, .member = i};
        all[i].words.release = node->facts.current;
        all[i].words.slot = facts_live_slot(&node->facts);
        all[i].prober = prober_create(fleet, i, &all[i].words);
        if (!all[i].prober)
            continue;
        surveying->waiting++;
        prober_start(all[i].prober, probed, &all[i]);
    }
    if (surveying->waiting)
        loop_run(fleet->loop);
    for (size_t i = 0; i < fleet->count; i++)
        prober_free(all[i].prober);
    return surveying->signal_number;
}

struct looking {
    struct survey *survey;
    struct fleet *fleet;
    size_t member, *waiting;
    struct err *error; /* the first that went wrong, of a renewal */
};

static void looked(void *context, const struct step_result *result)
{
    struct looking *looking = context;
    if (!looking->survey->nodes)
        return; /* it was interrupted, and is over */
    struct surveyed *node = &looking->survey->nodes[looking->member];
    struct strbuf text;
    if (result->status != DONE_OK)
        err_set(&node->traffic_error, ERR_REFUSED, "%s", result->sentence);
    strbuf_init(&text, sizeof(node->traffic) - 1);
    balancers_describe(looking->fleet->balancers, looking->member, &text);
    snprintf(node->traffic, sizeof(node->traffic), "%.*s", (int)text_cut(text.text, sizeof(node->traffic) - 1), text.text);
    strbuf_release(&text);
    if (--*looking->waiting == 0)
        loop_stop(looking->fleet->loop);
}

static int look_at_balancers(struct surveying *surveying, struct err *err)
{
    struct survey *survey = surveying->survey;
    struct fleet *fleet = surveying->fleet;
    struct looking *all = arena_alloc(&fleet->arena, fleet->count * sizeof(*all));
    size_t *waiting = arena_alloc(&fleet->arena, sizeof(*waiting));
    if (!all || !waiting)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < fleet->count; i++) {
        all[i] = (struct looking){survey, fleet, i, waiting, NULL};
        ++*waiting;
        balancers_start(fleet->balancers, i, BALANCER_LOOK, false, looked, &all[i]);
    }
    while (*waiting && !surveying->signal_number)
        loop_run(fleet->loop);
    return surveying->signal_number;
}

static void describe_announced(const struct looking *looking)
{
    struct surveyed *node = &looking->survey->nodes[looking->member];
    struct node_words words = {.release = node->answered && node->facts.current ? node->facts.current : ""};
    struct strbuf text;
    strbuf_init(&text, sizeof(node->announced) - 1);
    discoveries_describe(looking->fleet->discoveries, looking->member, &words, &text);
    snprintf(node->announced, sizeof(node->announced), "%.*s",
             (int)text_cut(text.text, sizeof(node->announced) - 1), text.text);
    strbuf_release(&text);
}

static void found(void *context, const struct step_result *result)
{
    struct looking *looking = context;
    if (!looking->survey->nodes)
        return;
    struct surveyed *node = &looking->survey->nodes[looking->member];
    if (result->status != DONE_OK && !node->traffic_error.code)
        err_set(&node->traffic_error, ERR_REFUSED, "%s", result->sentence);
    describe_announced(looking);
    if (--*looking->waiting == 0)
        loop_stop(looking->fleet->loop);
}

static int look_at_discoveries(struct surveying *surveying, struct err *err)
{
    struct survey *survey = surveying->survey;
    struct fleet *fleet = surveying->fleet;
    struct looking *all = arena_alloc(&fleet->arena, (fleet->count + 1) * sizeof(*all));
    size_t *waiting = arena_alloc(&fleet->arena, sizeof(*waiting));
    struct node_words words = {.release = ""};
    if (!all || !waiting)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < fleet->count; i++) {
        all[i] = (struct looking){survey, fleet, i, waiting, NULL};
        ++*waiting;
        discoveries_start(fleet->discoveries, i, DISCOVERY_LOOK, &words, found, &all[i]);
    }
    while (*waiting && !surveying->signal_number)
        loop_run(fleet->loop);
    return surveying->signal_number;
}

static void renewed(void *context, const struct step_result *result)
{
    struct looking *looking = context;
    if (result->status != DONE_OK && !looking->error->code)
        err_set(looking->error, ERR_FAILED, "%s", result->sentence);
    describe_announced(looking);
    if (--*looking->waiting == 0)
        loop_stop(looking->fleet->loop);
}

static bool is_well(const struct surveyed *node)
{
    return node->answered && node->facts.current && (!node->probed || node->healthy);
}

int survey_renew(struct survey *survey, struct fleet *fleet, struct err *err)
{
    struct looking *all = arena_alloc(&fleet->arena, (fleet->count + 1) * sizeof(*all));
    size_t *waiting = arena_alloc(&fleet->arena, sizeof(*waiting));
    struct node_words words = {.release = ""};
    err_clear(err);
    if (!all || !waiting)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; fleet->discoveries && i < fleet->count; i++) {
        if (!is_well(&survey->nodes[i]))
            continue;
        all[i] = (struct looking){survey, fleet, i, waiting, err};
        ++*waiting;
        discoveries_start(fleet->discoveries, i, DISCOVERY_RENEW, &words, renewed, &all[i]);
    }
    while (*waiting)
        loop_run(fleet->loop);
    return err->code;
}

int survey_run(struct survey *out, struct fleet *fleet, uint32_t forks, bool probe, struct err *err)
{
    struct surveying *surveying = arena_alloc(&fleet->arena, sizeof(*surveying));
    struct fanout fanout = {
        .forks = forks,
        .connect_timeout_ms = fleet->playbook->retry.connect_timeout_ms,
        .request_timeout_ms = REQUEST_TIMEOUT_MS,
        .build = build,
        .answer = answer,
        .context = surveying,
    };
    out->count = fleet->count;
    out->nodes = arena_alloc(&fleet->arena, (fleet->count + 1) * sizeof(*out->nodes));
    if (!out->nodes || !surveying)
        return err_set(err, ERR_MEMORY, "out of memory");
    surveying->fleet = fleet;
    surveying->survey = out;
    for (size_t i = 0; i < out->count; i++)
        out->nodes[i].name = fleet->members[i].node->name;
    survey_mark_outside(out, fleet);
    int rc = fleet_ask(fleet, &fanout);
    if (rc)
        return rc;
    if ((rc = loop_on_signal(fleet->loop, SIGINT, interrupted, surveying, err)) < 0 ||
        (rc = loop_on_signal(fleet->loop, SIGTERM, interrupted, surveying, err)) < 0)
        return rc;
    surveying->asking = true;
    if (fleet->balancers)
        rc = look_at_balancers(surveying, err);
    if (!rc && fleet->discoveries)
        rc = look_at_discoveries(surveying, err);
    if (!rc && probe && prober_has_checks(fleet->playbook))
        rc = probe_all(surveying, err);
    surveying->asking = false;
    return rc;
}

void survey_release(struct survey *survey)
{
    for (size_t i = 0; survey->nodes && i < survey->count; i++)
        if (survey->nodes[i].answered)
            facts_release(&survey->nodes[i].facts);
    survey->nodes = NULL;
}

void survey_mark_outside(struct survey *survey, const struct fleet *fleet)
{
    for (size_t i = 0; i < survey->count; i++)
        survey->nodes[i].outside = fleet->members[i].outside;
}

size_t survey_members(const struct survey *survey)
{
    size_t count = 0;
    for (size_t i = 0; i < survey->count; i++)
        count += !survey->nodes[i].outside;
    return count;
}

size_t survey_unanswered(const struct survey *survey)
{
    size_t count = 0;
    for (size_t i = 0; i < survey->count; i++)
        count += !survey->nodes[i].answered && !survey->nodes[i].outside;
    return count;
}

static bool is_at(const struct surveyed *node, const char *release)
{
    return node->answered && node->facts.current && node->facts.current_good && strcmp(node->facts.current, release) == 0;
}

/* The latest run that committed it; "" when no node remembers. */
static void last_commit(const struct survey *survey, const char *release, char out[65])
{
    out[0] = '\0';
    for (size_t i = 0; i < survey->count; i++) {
        const char *rollout = survey->nodes[i].facts.committed.rollout;
        if (is_at(&survey->nodes[i], release) && rollout && strcmp(rollout, out) > 0)
            snprintf(out, 65, "%s", rollout);
    }
}

const char *survey_fleet_release(const struct survey *survey)
{
    const char *best = NULL;
    size_t most = 0;
    char best_commit[65] = "", commit[65];
    for (size_t i = 0; i < survey->count; i++) {
        const char *release = survey->nodes[i].answered ? survey->nodes[i].facts.current : NULL;
        size_t count = 0;
        for (size_t j = 0; release && j < survey->count; j++)
            count += is_at(&survey->nodes[j], release);
        if (count == 0 || count < most || (best && strcmp(best, release) == 0))
            continue;
        last_commit(survey, release, commit);
        if (count == most && strcmp(commit, best_commit) <= 0)
            continue;
        best = release;
        most = count;
        snprintf(best_commit, sizeof(best_commit), "%s", commit);
    }
    return best;
}

bool surveyed_is_stale(const struct surveyed *node, const char *fleet_release)
{
    return fleet_release && node->answered && !is_at(node, fleet_release);
}

/* Which open run is the later one: who went on with the other, whatever their runners' clocks say; else by their ids, which begin with the time. */
static int run_order(const struct facts *facts, const struct facts *other)
{
    int order = strcmp(facts->open_rollout, other->open_rollout);
    if (order != 0 && facts->chain && text_has_word(facts->chain, other->open_rollout))
        return 1;
    if (order != 0 && other->chain && text_has_word(other->chain, facts->open_rollout))
        return -1;
    return order;
}

struct open_run survey_open_run(const struct survey *survey)
{
    struct open_run open = {.rollout = NULL};
    const struct facts *last = NULL;
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        if (!survey->nodes[i].answered || !facts->open_rollout)
            continue;
        int order = last ? run_order(facts, last) : 1;
        if (order < 0)
            open.other = facts->open_rollout;
        if (order > 0) {
            last = facts;
            open.other = open.rollout;
            open.rollout = facts->open_rollout;
            open.release = facts->open_release;
            open.limit = facts->open_limit;
            open.kind = RUN_ROLLOUT;
            for (int kind = RUN_ROLLOUT; kind <= RUN_ABORT; kind++)
                if (facts->open_kind && strcmp(facts->open_kind, run_kind_name((enum run_kind)kind)) == 0)
                    open.kind = (enum run_kind)kind;
            open.nodes = 0;
            open.held = false;
            open.waves_passed = 0;
        }
        if (order < 0)
            continue;
        open.nodes++;
        open.held |= facts->held;
        if (facts->held && facts->waves_passed > open.waves_passed)
            open.waves_passed = facts->waves_passed;
    }
    return open;
}

void survey_chain(const struct survey *survey, const struct open_run *open, char out[SURVEY_CHAIN])
{
    snprintf(out, SURVEY_CHAIN, "%s", open->rollout);
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        size_t first = facts->chain ? strcspn(facts->chain, " ") : 0;
        if (!survey->nodes[i].answered || first != strlen(open->rollout) ||
            strncmp(facts->chain, open->rollout, first) != 0)
            continue;
        for (const char *at = facts->chain; *at; at += strspn(at, " ")) {
            char id[65];
            size_t length = strcspn(at, " "), used = strlen(out);
            snprintf(id, sizeof(id), "%.*s", (int)length, at);
            if (length < sizeof(id) && !text_has_word(out, id) && used + length + 2 <= SURVEY_CHAIN)
                snprintf(out + used, SURVEY_CHAIN - used, " %s", id);
            at += length;
        }
    }
}

void survey_undo_targets(const struct survey *survey, const char *chain, const char **out)
{
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        out[i] = NULL;
        if (survey->nodes[i].outside)
            continue;
        if (survey->nodes[i].answered && !facts_take_back(facts, chain, &out[i]))
            out[i] = facts_release_before(facts);
    }
}

size_t survey_waves_passed(const struct survey *survey, const struct fleet *fleet, const struct waves *waves, const char *release)
{
    size_t passed = 0;
    for (size_t wave = 0; wave < waves->count; wave++)
        for (size_t i = 0; i < waves->items[wave].count; i++) {
            size_t index = waves->items[wave].nodes[i];
            const struct surveyed *node = &survey->nodes[index];
            if (!node->answered || node->outside || !node->facts.current || node->facts.current_good ||
                strcmp(node->facts.current, release) != 0)
                continue;
            passed = wave;
            if (fleet->balancers && balancers_holds_out(fleet->balancers, index))
                return passed;
        }
    return passed;
}

static bool is_in(const struct surveyed *node, const char *chain)
{
    return node->answered && node->facts.open_rollout && text_has_word(chain, node->facts.open_rollout);
}

/*
 * The run died while it took its locks: it has changed nothing, and those that it had not come to know nothing of it. `common`: where all
 * go, when that is not where each would go by itself; else NULL.
 */
static bool has_only_locked(const struct survey *survey, const char *chain, const char **common)
{
    size_t ours = 0;
    *common = NULL;
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        if (!is_in(&survey->nodes[i], chain))
            continue;
        if (!facts->current || !facts->current_good || !facts->open_release ||
            strcmp(facts->current, facts->open_release) == 0)
            return false;
        if (!facts->previous || strcmp(facts->previous, facts->open_release) != 0)
            *common = facts->open_release;
        ours++;
    }
    return ours > 0;
}

/* Where a rollback takes a node that it never came to. */
static const char *late_target(const struct facts *facts, bool only_locked, const char *common)
{
    enum release_state state;
    const char *back = common && facts_has(facts, common, &state) && state == RELEASE_GOOD ? common : facts->previous;
    bool goes = facts->current && (only_locked || !facts->current_good);
    return goes && back ? back : facts->current;
}

void survey_resume_targets(const struct survey *survey, const struct open_run *open, const char *chain, const char **out)
{
    const char *common;
    bool only_locked = has_only_locked(survey, chain, &common);
    if (open->kind == RUN_ABORT) {
        survey_undo_targets(survey, chain, out);
        return;
    }
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        bool knew = facts->chain && text_has_word(facts->chain, open->rollout);
        if (survey->nodes[i].outside)
            out[i] = NULL;
        else if (open->kind == RUN_ROLLOUT)
            out[i] = open->release;
        else if (is_in(&survey->nodes[i], chain))
            out[i] = facts->open_release;
        else if (!survey->nodes[i].answered || knew)
            out[i] = facts->current;
        else
            out[i] = late_target(facts, only_locked, common);
    }
}
