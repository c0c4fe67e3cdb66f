#include "app/migrations.h"

#include <stdint.h>
#include <string.h>

#include "app/crossing.h"

const char *data_state_name(enum data_state state)
{
    static const char *const names[] = {"pending", "done", "unknown"};
    return names[state];
}

/* One node's word on a migration, over what was known before. */
static void hear(struct data_change *change, const struct migration_fact *fact, const char *node)
{
    bool unknown = fact->record == RECORDED_UNKNOWN || fact->record == RECORDED_RUNNING;
    enum data_state state = unknown                          ? DATA_UNKNOWN
                            : fact->record == RECORDED_DONE ? DATA_DONE
                                                             : DATA_PENDING;
    if (state < change->state || state == DATA_PENDING)
        return;
    change->state = state;
    change->release = fact->release;
    change->where = node;
    change->lives = change->lives || fact->record == RECORDED_RUNNING;
}

static void ask_all(struct data_change *change, const struct fleet *fleet, const struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        for (size_t j = 0; survey->nodes[i].answered && j < facts->migration_count; j++)
            if (strcmp(facts->migrations[j].name, change->migration->name) == 0)
                hear(change, &facts->migrations[j], fleet->members[i].node->name);
    }
}

static int take_word(struct data_plan *plan, const struct migration_word *word, struct err *err)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct data_change *change = &plan->changes[i];
        if (strcmp(change->migration->name, word->name) != 0)
            continue;
        enum data_state said = word->again ? DATA_PENDING : DATA_DONE;
        if (change->lives)
            return 0; /* data_plan_check says so */
        if (change->state != DATA_UNKNOWN && change->state != said)
            return err_set(err, ERR_REFUSED, "migration %s is known to be %s; leave --migration %s out", word->name,
                           data_state_name(change->state), word->name);
        change->again = change->state == DATA_UNKNOWN && word->again;
        change->state = said;
        return 0;
    }
    return err_set(err, ERR_INPUT, "--migration: there is no [migration %s] in the playbook", word->name);
}

static size_t member_of(const struct fleet *fleet, const char *name)
{
    for (size_t i = 0; i < fleet->count; i++)
        if (!fleet->members[i].outside && strcmp(fleet->members[i].node->name, name) == 0)
            return i;
    return fleet->count;
}

/* What the records of all nodes say of a release. */
static struct crossing crossed(const struct fleet *fleet, const struct survey *survey, const char *release)
{
    struct crossing out = {NULL, NULL};
    for (size_t i = 0; i < survey->count && !out.fact; i++) {
        if (!survey->nodes[i].answered)
            continue;
        struct crossing here = facts_crossed(&survey->nodes[i].facts, release, fleet->commits);
        out.fact = here.fact;
        out.timed = here.timed ? here.timed : out.fact ? NULL : out.timed;
    }
    return out;
}

int data_plan_make(struct data_plan *out, const struct playbook *playbook, const struct fleet *fleet,
                   const struct survey *survey, const struct migration_word *words, size_t word_count,
                   struct arena *arena, struct err *err)
{
    *out = (struct data_plan){.count = playbook->migration_count};
    out->changes = arena_alloc(arena, (out->count + 1) * sizeof(*out->changes));
    if (!out->changes)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < out->count; i++) {
        const struct migration *migration = &playbook->migrations[i];
        out->changes[i] = (struct data_change){.migration = migration, .node = SIZE_MAX};
        if (strcmp(migration->on, "first") != 0)
            out->changes[i].node = member_of(fleet, migration->on);
        ask_all(&out->changes[i], fleet, survey);
    }
    for (size_t i = 0; i < word_count; i++) {
        int rc = take_word(out, &words[i], err);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < survey->count; i++) {
        const char *before = survey->nodes[i].answered ? facts_release_before(&survey->nodes[i].facts) : NULL;
        out->no_way_back = out->no_way_back || (before && crossed(fleet, survey, before).fact);
    }
    return 0;
}

bool data_plan_pending(const struct data_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->changes[i].state == DATA_PENDING)
            return true;
    return false;
}

size_t data_plan_no_return(const struct data_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->changes[i].state == DATA_PENDING &&
            plan->changes[i].migration->kind == CHANGE_IRREVERSIBLE)
            return i;
    return SIZE_MAX;
}

static int check_change(const struct data_change *change, const struct fleet *fleet,
                        const struct survey *survey, bool limited, struct err *err)
{
    const struct migration *migration = change->migration;
    const char *name = migration->name;
    bool skips = fleet->playbook->failure.unreachable == UNREACHABLE_SKIP; /* else the rollout ends by itself */
    if (change->lives)
        return err_set(err, ERR_REFUSED, "migration %s still runs on %s; wait for its end", name, change->where);
    if (change->state == DATA_UNKNOWN)
        return err_set(err, ERR_REFUSED,
                       "migration %s began on %s with release %s and nobody knows its end; look at the data, then "
                       "say --migration %s=done (it is done) or --migration %s=again (run it again)",
                       name, change->where, change->release, name, name);
    if (change->state == DATA_DONE)
        return 0;
    if (change->node == fleet->count)
        return err_set(err, ERR_REFUSED,
                       "migration %s is pending and runs on %s, which is not among the nodes of this rollout", name,
                       migration->on);
    if (limited && migration->kind == CHANGE_CONTRACT)
        return err_set(err, ERR_REFUSED,
                       "migration %s is pending and contracts, which the nodes that --limit leaves out may not bear; "
                       "roll out to all of them",
                       name);
    if (change->node != SIZE_MAX) {
        if (survey->nodes[change->node].answered || !skips)
            return 0;
        return err_set(err, ERR_REFUSED, "migration %s is pending and its node %s does not answer: %s", name,
                       migration->on, survey->nodes[change->node].error.message);
    }
    if (limited)
        return err_set(err, ERR_REFUSED,
                       "migration %s is pending, and a node that --limit leaves out may know that it ran; roll out to "
                       "all nodes, or give it a node of its own with 'on'",
                       name);
    for (size_t i = 0; skips && i < survey->count; i++)
        if (!survey->nodes[i].answered)
            return err_set(err, ERR_REFUSED,
                           "migration %s is pending, and %s, which may know that it ran, does not answer; bring it "
                           "back, or give the migration a node of its own with 'on'",
                           name, fleet->members[i].node->name);
    return 0;
}

int data_plan_check(const struct data_plan *plan, const struct fleet *fleet, const struct survey *survey,
                    bool limited, struct err *err)
{
    for (size_t i = 0; i < plan->count; i++) {
        int rc = check_change(&plan->changes[i], fleet, survey, limited, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int data_check_targets(const struct fleet *fleet, const struct survey *survey, const char *const *targets,
                       struct err *err)
{
    for (size_t i = 0; i < survey->count; i++) {
        if (!targets[i] || !survey->nodes[i].answered)
            continue;
        struct crossing crossing = crossed(fleet, survey, targets[i]);
        struct strbuf sentence;
        if (!crossing.fact)
            continue;
        strbuf_init(&sentence, sizeof(err->message));
        crossing_tell(&crossing, targets[i], &sentence);
        err_set(err, ERR_REFUSED, "%s: %s; --past-point-of-no-return REASON goes there all the same", fleet->members[i].node->name,
                sentence.text);
        strbuf_release(&sentence);
        return ERR_REFUSED;
    }
    return 0;
}

bool data_judged_by_time(const struct fleet *fleet, const struct survey *survey, const char *const *targets, struct strbuf *out)
{
    for (size_t i = 0; i < survey->count; i++) {
        struct crossing crossing = {NULL, NULL};
        if (targets[i] && survey->nodes[i].answered)
            crossing = crossed(fleet, survey, targets[i]);
        if (!crossing.timed)
            continue;
        strbuf_addf(out, "release %s counts as later than migration %s, which is irreversible, by its time alone: the source's history here does not have "
                         "the commits of both it and release %s",
                    targets[i], crossing.timed->name, crossing.timed->release);
        return true;
    }
    return false;
}

/* A migration that contracts and came with that release; NULL: none has run. */
static const struct migration_fact *contracted(const struct survey *survey, const char *release)
{
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        for (size_t j = 0; survey->nodes[i].answered && j < facts->migration_count; j++) {
            const struct migration_fact *fact = &facts->migrations[j];
            bool ran = fact->record != RECORDED_FAILED && fact->record != RECORDED_UNDONE;
            if (ran && fact->kind == CHANGE_CONTRACT && strcmp(fact->release, release) == 0)
                return fact;
        }
    }
    return NULL;
}

int data_check_undo(const struct fleet *fleet, const struct survey *survey, const char *chain, struct err *err)
{
    const char *service = fleet->playbook->service.name, *before;
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        const struct migration_fact *fact = survey->nodes[i].answered && facts_take_back(facts, chain, &before)
                                                ? contracted(survey, facts->committed.release)
                                                : NULL;
        if (fact)
            return err_set(err, ERR_REFUSED,
                           "%s has committed release %s, and migration %s, which contracts, %s after it: release %s may not bear "
                           "that; `deployctl resume %s` ends it; --past-point-of-no-return REASON goes back all the same",
                           fleet->members[i].node->name, facts->committed.release, fact->name,
                           fact->record == RECORDED_DONE ? "was run" : "may have been run", before ? before : "none", service);
    }
    return 0;
}
