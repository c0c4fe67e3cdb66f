#include "app/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/units.h"
#include "io/process_identity.h"

static const char *const state_names[] = {"good", "staged", "failed", "incomplete"};

const char *release_state_name(enum release_state state)
{
    return state_names[state];
}

enum fact_kind { FACT_TEXT, FACT_NUMBER, FACT_YES };
struct fact_key {
    const char *key;
    enum fact_kind kind;
    size_t offset;
};
static const struct fact_key fact_keys[] = {
    {"current", FACT_TEXT, offsetof(struct facts, current)},
    {"current_state", FACT_TEXT, offsetof(struct facts, current_state)},
    {"current_good", FACT_YES, offsetof(struct facts, current_good)},
    {"previous", FACT_TEXT, offsetof(struct facts, previous)},
    {"chain", FACT_TEXT, offsetof(struct facts, chain)},
    {"disk_free", FACT_NUMBER, offsetof(struct facts, disk_free)},
    {"disk_total", FACT_NUMBER, offsetof(struct facts, disk_total)},
    {"inodes_free", FACT_NUMBER, offsetof(struct facts, inodes_free)},
    {"writable", FACT_YES, offsetof(struct facts, writable)},
    {"sudo", FACT_TEXT, offsetof(struct facts, sudo)},
    {"unit_load", FACT_TEXT, offsetof(struct facts, unit_load)},
    {"unit_active", FACT_TEXT, offsetof(struct facts, unit_active)},
    {"unit_sub", FACT_TEXT, offsetof(struct facts, unit_sub)},
    {"live_slot", FACT_TEXT, offsetof(struct facts, live_slot)},
    {"lock_holder", FACT_TEXT, offsetof(struct facts, lock_holder)},
    {"lock_rollout", FACT_TEXT, offsetof(struct facts, lock_rollout)},
    {"lock_age", FACT_NUMBER, offsetof(struct facts, lock_age_s)},
    {"lock_ttl", FACT_NUMBER, offsetof(struct facts, lock_ttl_s)},
    {"lock_held", FACT_NUMBER, offsetof(struct facts, lock_held_s)},
    {"wish", FACT_TEXT, offsetof(struct facts, wish)},
    {"lock_expired", FACT_YES, offsetof(struct facts, lock_expired)},
    {"lock_generation", FACT_NUMBER, offsetof(struct facts, lock_generation)},
    {"lock_runner", FACT_TEXT, offsetof(struct facts, lock_runner)},
    {"confirm", FACT_TEXT, offsetof(struct facts, confirm)},
    {"reverted", FACT_TEXT, offsetof(struct facts, reverted)},
    {"open_limit", FACT_TEXT, offsetof(struct facts, open_limit)},
    {"open_members", FACT_TEXT, offsetof(struct facts, open_members)},
    {"unproven", FACT_YES, offsetof(struct facts, unproven)},
    {"unsettled", FACT_TEXT, offsetof(struct facts, unsettled)},
    {"service", FACT_TEXT, offsetof(struct facts, service)},
};

static int read_known(struct facts *facts, const struct reply_value *value, struct err *err)
{
    for (size_t i = 0; i < sizeof(fact_keys) / sizeof(fact_keys[0]); i++) {
        const struct fact_key *key = &fact_keys[i];
        if (strcmp(key->key, value->key) != 0)
            continue;
        void *field = (char *)facts + key->offset;
        bool none = value->value[0] == '\0' || strcmp(value->value, "-") == 0;
        if (key->kind == FACT_YES)
            *(bool *)field = strcmp(value->value, "yes") == 0;
        else if (key->kind == FACT_TEXT)
            *(const char **)field = none ? NULL : arena_strdup(&facts->arena, value->value);
        else if (!none && whole_parse(field, value->value, 0, UINT64_MAX, NULL) < 0)
            return err_set(err, ERR_PROTOCOL, "facts: %s: malformed value", value->key);
        return 0;
    }
    return 0;
}

static int read_release(struct facts *facts, const char *text, struct err *err)
{
    const char *blank = strchr(text, ' ');
    struct release_fact *grown =
        arena_grow(&facts->arena, facts->releases, facts->release_count, sizeof(*facts->releases));
    if (!blank || !grown)
        return err_set(err, ERR_PROTOCOL, "facts: release: malformed value");
    facts->releases = grown;
    struct release_fact *fact = &grown[facts->release_count];
    fact->id = arena_strndup(&facts->arena, text, (size_t)(blank - text));
    fact->state = RELEASE_INCOMPLETE;
    for (size_t i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++)
        if (strcmp(blank + 1, state_names[i]) == 0)
            fact->state = (enum release_state)i;
    facts->release_count++;
    return 0;
}

/* `NAME RECORD RELEASE KIND`. What is not known counts as unknown, and as irreversible: the careful reading. */
static int read_migration(struct facts *facts, const char *text, struct err *err)
{
    static const char *const records[] = {"running", "done", "failed", "undone", "unknown"};
    char name[65], record[16], release[65], kind[16];
    struct migration_fact *grown =
        arena_grow(&facts->arena, facts->migrations, facts->migration_count, sizeof(*facts->migrations));
    if (!grown || sscanf(text, "%64s %15s %64s %15s", name, record, release, kind) != 4)
        return err_set(err, ERR_PROTOCOL, "facts: migration: malformed value");
    facts->migrations = grown;
    struct migration_fact *fact = &grown[facts->migration_count++];
    *fact = (struct migration_fact){.name = arena_strdup(&facts->arena, name),
                                    .record = RECORDED_UNKNOWN,
                                    .release = arena_strdup(&facts->arena, release),
                                    .kind = CHANGE_IRREVERSIBLE};
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
        if (strcmp(records[i], record) == 0)
            fact->record = (enum migration_record)i;
    for (int i = CHANGE_EXPAND; i <= CHANGE_IRREVERSIBLE; i++)
        if (strcmp(change_kind_name((enum change_kind)i), kind) == 0)
            fact->kind = (enum change_kind)i;
    if (!fact->name || !fact->release)
        return err_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

/* `release ID SECONDS` or `migration NAME SECONDS`, after the line about it. */
static int read_since(struct facts *facts, const char *text, struct err *err)
{
    char kind[16], name[65], seconds[21];
    uint64_t since = 0;
    if (sscanf(text, "%15s %64s %20s", kind, name, seconds) != 3 || whole_parse(&since, seconds, 0, UINT64_MAX, NULL) < 0)
        return err_set(err, ERR_PROTOCOL, "facts: since: malformed value");
    for (size_t i = 0; strcmp(kind, "release") == 0 && i < facts->release_count; i++)
        if (strcmp(facts->releases[i].id, name) == 0)
            facts->releases[i].since_s = since;
    for (size_t i = 0; strcmp(kind, "migration") == 0 && i < facts->migration_count; i++)
        if (strcmp(facts->migrations[i].name, name) == 0)
            facts->migrations[i].since_s = since;
    return 0;
}

/* The step of a held run is `held_after_2_of_4_waves`. */
static void read_held(struct facts *facts)
{
    static const char begin[] = "held_after_";
    struct err err;
    uint64_t passed = 0;
    if (!facts->open_step || strncmp(facts->open_step, begin, sizeof(begin) - 1) != 0)
        return;
    char *sentence = arena_strdup(&facts->arena, facts->open_step);
    char *number = arena_strndup(&facts->arena, facts->open_step + sizeof(begin) - 1,
                                 strcspn(facts->open_step + sizeof(begin) - 1, "_"));
    if (!sentence || !number || whole_parse(&passed, number, 0, UINT32_MAX, &err) < 0)
        return;
    for (char *at = sentence; (at = strchr(at, '_')) != NULL;)
        *at = ' ';
    facts->open_step = sentence;
    facts->held = true;
    facts->waves_passed = (size_t)passed;
}

/* `ROLLOUT STEP RELEASE KIND`, of which the first two count. */
static void read_before(struct facts *facts, const char *text)
{
    char rollout[65], step[65];
    if (sscanf(text, "%64s %64s", rollout, step) != 2)
        return;
    facts->before_rollout = arena_strdup(&facts->arena, rollout);
    facts->before_step = strcmp(step, "-") == 0 ? NULL : arena_strdup(&facts->arena, step);
}

/* `ROLLOUT STEP RELEASE KIND`; `-` stands for none. */
static void read_open(struct facts *facts, const char *text)
{
    const char **const fields[] = {&facts->open_rollout, &facts->open_step, &facts->open_release,
                                   &facts->open_kind};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && *text; i++) {
        size_t length = strcspn(text, " ");
        bool none = length == 1 && text[0] == '-';
        *fields[i] = none ? NULL : arena_strndup(&facts->arena, text, length);
        text += length + (text[length] == ' ');
    }
    read_held(facts);
}

/* `ROLLOUT OUTCOME RESULT`, in which the outcome is one word. */
static void read_ended(struct facts *facts, const char *text)
{
    size_t id = strcspn(text, " ");
    const char *outcome = text + id + strspn(text + id, " ");
    const char *result = outcome + strcspn(outcome, " ");
    facts->ended_rollout = arena_strndup(&facts->arena, text, id);
    facts->ended_result = arena_strdup(&facts->arena, result + strspn(result, " "));
}

/* `RELEASE ROLLOUT KIND BEFORE|- [retracts]`. */
static void read_committed(struct facts *facts, const char *text)
{
    char release[65], rollout[65], kind[16], before[65], more[16] = "";
    if (sscanf(text, "%64s %64s %15s %64s %15s", release, rollout, kind, before, more) < 4)
        return;
    facts->committed = (struct commit_fact){
        .release = arena_strdup(&facts->arena, release),
        .rollout = arena_strdup(&facts->arena, rollout),
        .before = strcmp(before, "-") == 0 ? NULL : arena_strdup(&facts->arena, before),
        .rollback = strcmp(kind, "rollback") == 0,
        .retracts = strcmp(more, "retracts") == 0,
    };
}

/* `ROLLOUT` and a note: app/breaker_list.h. What is none is left out: nothing is decided by it. */
static void read_breaker(struct facts *facts, const char *text)
{
    struct breaker_seen seen;
    size_t id = strcspn(text, " ");
    bool same = facts->breaker_rollout && strlen(facts->breaker_rollout) == id && strncmp(facts->breaker_rollout, text, id) == 0;
    if (!text[id] || (facts->breaker_rollout && !same) || !breaker_note_read(&seen, &facts->arena, text + id + 1))
        return;
    struct breaker_seen *grown = arena_grow(&facts->arena, facts->breakers, facts->breaker_count, sizeof(*facts->breakers));
    const char *rollout = same ? facts->breaker_rollout : arena_strndup(&facts->arena, text, id);
    if (!grown || !rollout)
        return;
    facts->breaker_rollout = rollout;
    facts->breakers = grown;
    grown[facts->breaker_count++] = seen;
}

/* `NAME RELEASE|- running|stopped BEFORE|-|committed SECONDS|-`. */
static int read_slot(struct facts *facts, const char *text, struct err *err)
{
    char name[17], release[65], runs[17], before[65], left[21];
    if (sscanf(text, "%16s %64s %16s %64s %20s", name, release, runs, before, left) != 5)
        return err_set(err, ERR_PROTOCOL, "facts: slot: malformed value");
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot_fact *slot = &facts->slots[i];
        if (strcmp(slot_name(i), name) != 0)
            continue;
        slot->known = true;
        slot->release = strcmp(release, "-") == 0 ? NULL : arena_strdup(&facts->arena, release);
        slot->running = strcmp(runs, "running") == 0;
        slot->uncommitted = strcmp(before, "committed") != 0;
        slot->timed = whole_parse(&slot->left_s, left, 0, UINT64_MAX, NULL) == 0;
    }
    return 0;
}

int facts_read(struct facts *out, const struct reply *reply, struct err *err)
{
    *out = (struct facts){0};
    arena_init(&out->arena);
    for (size_t i = 0; i < reply->value_count; i++) {
        const struct reply_value *value = &reply->values[i];
        int rc = 0;
        if (strcmp(value->key, "release") == 0)
            rc = read_release(out, value->value, err);
        else if (strcmp(value->key, "migration") == 0)
            rc = read_migration(out, value->value, err);
        else if (strcmp(value->key, "since") == 0)
            rc = read_since(out, value->value, err);
        else if (strcmp(value->key, "slot") == 0)
            rc = read_slot(out, value->value, err);
        else if (strcmp(value->key, "committed") == 0)
            read_committed(out, value->value);
        else if (strcmp(value->key, "open_rollout") == 0)
            read_open(out, value->value);
        else if (strcmp(value->key, "open_before") == 0)
            read_before(out, value->value);
        else if (strcmp(value->key, "ended_rollout") == 0)
            read_ended(out, value->value);
        else if (strcmp(value->key, "breaker") == 0)
            read_breaker(out, value->value);
        else
            rc = read_known(out, value, err);
        if (rc < 0)
            return rc;
    }
    out->lock_abandoned = out->lock_holder && process_has_ended(out->lock_runner);
    return 0;
}

bool facts_locked(const struct facts *facts)
{
    return facts->lock_holder && !facts->lock_expired && !facts->lock_abandoned;
}

void facts_release(struct facts *facts)
{
    arena_release(&facts->arena);
}

const char *facts_live_slot(const struct facts *facts)
{
    bool alone = facts->slots[SLOT_BLUE].known != facts->slots[SLOT_GREEN].known;
    for (size_t i = 0; i < SLOTS; i++) {
        size_t length = strlen(slot_name(i));
        if (alone && facts->slots[i].known)
            return slot_name(i);
        if (facts->live_slot && strncmp(facts->live_slot, slot_name(i), length) == 0)
            return slot_name(i);
    }
    return NULL;
}

int64_t facts_ms(uint64_t seconds)
{
    return seconds > INT64_MAX / 1000 ? INT64_MAX : (int64_t)seconds * 1000;
}

void facts_tell_slots(const struct facts *facts, struct strbuf *out)
{
    const char *lead = "";
    for (size_t i = 0; i < SLOTS; i++) {
        const struct slot_fact *slot = &facts->slots[i];
        char left[DURATION_TEXT_MAX];
        if (!slot->known)
            continue;
        strbuf_addf(out, "%s%s %s %s", lead, slot_name(i), slot->release ? slot->release : "empty,",
                    slot->running ? "running" : "stopped");
        if (slot->uncommitted)
            strbuf_adds(out, ", not committed");
        if (slot->running && slot->timed)
            strbuf_addf(out, ", kept for %s more", duration_format(left, facts_ms(slot->left_s)));
        lead = "; ";
    }
}

bool facts_has(const struct facts *facts, const char *release, enum release_state *state)
{
    for (size_t i = 0; i < facts->release_count; i++) {
        if (strcmp(facts->releases[i].id, release) != 0)
            continue;
        if (state)
            *state = facts->releases[i].state;
        return true;
    }
    return false;
}

const char *facts_release_before(const struct facts *facts)
{
    bool half_done = facts->current && !facts->current_good && (facts->previous || facts->open_rollout);
    return half_done ? facts->previous : facts->current;
}

bool facts_take_back(const struct facts *facts, const char *chain, const char **before)
{
    const struct commit_fact *commit = &facts->committed;
    if (!chain || !commit->release || !commit->rollout || !text_has_word(chain, commit->rollout) ||
        (commit->before && strcmp(commit->release, commit->before) == 0))
        return false;
    bool stands = facts->current && facts->current_good && strcmp(commit->release, facts->current) == 0;
    if (stands || commit->retracts)
        *before = commit->before;
    return stands || commit->retracts;
}

static bool has_state(const struct facts *facts, const char *name)
{
    return facts->current_state && strcmp(facts->current_state, name) == 0;
}

int facts_check_way_back(const struct facts *facts, const char *target, struct err *err)
{
    const char *before = facts_release_before(facts);
    enum release_state state = RELEASE_INCOMPLETE;
    bool stays = target && facts->current && facts->current_good && strcmp(facts->current, target) == 0;
    bool leads = has_state(facts, "foreign") || (has_state(facts, "ok") && before);
    if (!leads || stays || (before && facts_has(facts, before, &state) && state != RELEASE_INCOMPLETE))
        return 0;
    return err_set(err, ERR_REFUSED,
                   "current leads to %s, which no rollout has staged here: a failure could not go back to it; remove that link "
                   "(what runs, runs on), or go without a way back: --set failure.action=stop",
                   before ? before : "elsewhere");
}

int facts_check_service(const struct facts *facts, const struct service *service, struct err *err)
{
    const char *owner = facts->service;
    if (!owner || strcmp(owner, service->name) == 0 || (service->renamed_from && strcmp(owner, service->renamed_from) == 0))
        return 0;
    return err_set(err, ERR_REFUSED,
                   "root %s belongs to service %s, and this playbook is for %s: give %s a root of its own or, if it is %s renamed, "
                   "--set service.renamed_from=%s (in the playbook: renamed_from = %s)",
                   service->root, owner, service->name, service->name, owner, owner, owner);
}

int facts_check(const struct facts *facts, const struct service *service, bool become,
                uint64_t needed_bytes, struct err *err)
{
    char needed[DURATION_TEXT_MAX], available[DURATION_TEXT_MAX];
    if (facts_check_service(facts, service, err) < 0)
        return err->code;
    if (has_state(facts, "not-a-link"))
        return err_set(err, ERR_REFUSED, "%s/current is a folder or a file, not a link; move it away", service->root);
    if (become && facts->sudo && strcmp(facts->sudo, "ok") != 0)
        return err_set(err, ERR_REFUSED,
                       "sudo: %s; give the login user a NOPASSWD rule, or set become = no",
                       facts->sudo);
    if (!facts->writable)
        return err_set(err, ERR_REFUSED, "%s is not writable for the login user; %s", service->root,
                       become ? "sudo did not help" : "set become = yes, or give it the folder");
    if (service->unit && facts->unit_load && strcmp(facts->unit_load, "loaded") != 0)
        return err_set(err, ERR_REFUSED,
                       "unit %s is %s; install it on the node first (systemctl status %s)",
                       service->unit, facts->unit_load, service->unit);
    if (needed_bytes && facts->disk_free < needed_bytes)
        return err_set(err, ERR_REFUSED, "disk: staging needs %s and %s has %s free",
                       size_format(needed, needed_bytes), service->root,
                       size_format(available, facts->disk_free));
    if (needed_bytes && facts->inodes_free == 0 && facts->disk_total)
        return err_set(err, ERR_REFUSED, "disk: %s has no free inode", service->root);
    return 0;
}

/* --- two readings --- */

static bool differ(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) != 0 : one != other;
}

static bool slots_moved(const struct facts *seen, const struct facts *now)
{
    bool moved = differ(seen->live_slot, now->live_slot);
    for (size_t i = 0; i < SLOTS; i++)
        moved |= differ(seen->slots[i].release, now->slots[i].release) || seen->slots[i].uncommitted != now->slots[i].uncommitted;
    return moved;
}

bool facts_moved(const struct facts *seen, const struct facts *now, struct strbuf *out)
{
    const struct commit_fact *was = &seen->committed, *is = &now->committed;
    if (differ(seen->current, now->current)) {
        strbuf_addf(out, "release %s was current when this run was planned, and %s is now", seen->current ? seen->current : "none",
                    now->current ? now->current : "none");
        return true;
    }
    bool moved = seen->current_good != now->current_good || differ(seen->previous, now->previous) || differ(was->release, is->release) ||
                 differ(was->rollout, is->rollout) || was->retracts != is->retracts || differ(seen->unsettled, now->unsettled) ||
                 differ(seen->open_rollout, now->before_rollout) || slots_moved(seen, now);
    if (moved)
        strbuf_adds(out, "another run has changed this node since this run was planned");
    return moved;
}

void facts_tell_unsettled(const struct facts *facts, struct strbuf *out)
{
    char verb[17], release[65];
    if (!facts->unsettled || sscanf(facts->unsettled, "%16s %64s", verb, release) != 2)
        return;
    strbuf_addf(out, "%s of %s did not succeed: the service may be stopped", verb, strcmp(release, "-") == 0 ? "no release" : release);
}

/* --- the confirm timer --- */

/* A release id of a node's text, or `none`. */
static const char *release_or_none(const char *id)
{
    return strcmp(id, "-") == 0 ? "no release" : id;
}

/* What was committed since needs no timer any more. */
static void tell_lost_timer(const struct facts *facts, const char *release, const char *previous, struct strbuf *out)
{
    bool runs = facts->current && strcmp(facts->current, release) == 0;
    if (runs && facts->current_good)
        return;
    strbuf_addf(out, "release %s was not confirmed, and the timer that would have put %s back is gone: ", release,
                release_or_none(previous));
    if (runs)
        strbuf_addf(out, "%s is still current; resume goes on with it, abort puts %s back", release,
                    release_or_none(previous));
    else
        strbuf_addf(out, "%s is current", facts->current ? facts->current : "no release");
}

static void tell_running_timer(const struct facts *facts, struct strbuf *out)
{
    char state[8], release[65], previous[65];
    unsigned seconds;
    if (sscanf(facts->confirm, "%7s %u %64s %64s", state, &seconds, release, previous) != 4)
        return;
    if (strcmp(state, "armed") == 0)
        strbuf_addf(out, "release %s is not confirmed: the node puts %s back in %u s", release,
                    release_or_none(previous), seconds);
    else
        tell_lost_timer(facts, release, previous, out);
}

bool reverted_sentence(const char *text, struct strbuf *out)
{
    char release[65], previous[65], rollout[65], status[9], at[32] = "";
    long long epoch;
    int used = 0;
    if (sscanf(text, "%lld %64s %64s %64s %8s %n", &epoch, release, previous, rollout, status,
               &used) != 5)
        return false;
    time_t seconds = (time_t)epoch;
    struct tm when;
    if (gmtime_r(&seconds, &when))
        strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S UTC", &when);
    if (strcmp(status, "ok") == 0)
        strbuf_addf(out, "reverted by its confirm timer at %s, release %s back to %s (rollout %s)",
                    at, release, release_or_none(previous), rollout);
    else
        strbuf_addf(out, "its confirm timer could not put %s back at %s: %s",
                    release_or_none(previous), at, used ? text + used : "");
    return true;
}

void facts_tell_timer(const struct facts *facts, struct strbuf *out)
{
    if (facts->confirm)
        tell_running_timer(facts, out);
    else if (facts->reverted)
        reverted_sentence(facts->reverted, out);
}
