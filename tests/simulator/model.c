#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

/* --- requests and replies --- */

void model_request_verb(char out[16], const char *text)
{
    size_t number = strspn(text, "0123456789"), length = 0;
    for (const char *from = text + number + 1; number && text[number] == ' ' && length < 15; from++) {
        if (*from == '\n' || *from == ' ' || !*from)
            break;
        out[length++] = *from;
    }
    out[length] = '\0';
}

bool model_request_parse(struct model_request *out, const char *text)
{
    out->count = 0;
    out->length = strlen(text) + 1;
    if (out->length > sizeof(out->text))
        return false;
    memcpy(out->text, text, out->length);
    char *line = out->text, *end = strchr(line, '\n');
    if (!end)
        return false;
    *end = '\0';
    out->id = (uint32_t)strtoul(line, NULL, 10);
    model_request_verb(out->verb, line);
    if (!*out->verb)
        return false;
    for (line = end + 1; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        if (!*line)
            return true;
        char *blank = strchr(line, ' ');
        if (!blank || out->count == MODEL_FIELDS)
            return false;
        *blank = '\0';
        out->fields[out->count].key = line;
        out->fields[out->count++].value = blank + 1;
    }
    return false;
}

const char *model_request_get(const struct model_request *request, const char *key)
{
    const char *found = NULL;
    for (size_t i = 0; i < request->count; i++)
        if (*request->fields[i].key == *key && strcmp(request->fields[i].key, key) == 0)
            found = request->fields[i].value;
    return found;
}

struct model_request *model_request_copy(const struct model_request *request)
{
    struct model_request *copy = malloc(offsetof(struct model_request, text) + request->length);
    copy->id = request->id;
    memcpy(copy->verb, request->verb, sizeof(copy->verb));
    copy->count = request->count;
    copy->length = request->length;
    memcpy(copy->text, request->text, request->length);
    for (size_t i = 0; i < request->count; i++) {
        copy->fields[i].key = copy->text + (request->fields[i].key - request->text);
        copy->fields[i].value = copy->text + (request->fields[i].value - request->text);
    }
    return copy;
}

static const char *text_of(const struct model_request *request, const char *key)
{
    const char *value = model_request_get(request, key);
    return value ? value : "";
}

static void say(struct model_session *session, const char *verb, bool last, const char *line)
{
    if (session->out && session->boot == session->node->boot)
        session->out(session->context, verb, line, last);
}

struct line {
    char text[600];
    size_t length;
};

static void line_add(struct line *line, const char *text, size_t length)
{
    size_t room = sizeof(line->text) - 2 - line->length;
    length = length < room ? length : room;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void line_begin(struct line *line, uint32_t id)
{
    char digits[12];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + id % 10);
    while (id /= 10);
    line->length = 0;
    line_add(line, digits + at, sizeof(digits) - at);
    line_add(line, " ", 1);
}

static void line_begin_value(struct line *line, uint32_t id, const char *kind, const char *word)
{
    line_begin(line, id);
    line_add(line, kind, 2);
    line_add(line, word, strlen(word));
    line_add(line, " ", 1);
}

static void line_addf_va(struct line *line, const char *format, va_list arguments)
{
    size_t room = sizeof(line->text) - 2 - line->length;
    size_t length = (size_t)vsnprintf(line->text + line->length, room, format, arguments);
    line->length += length < room ? length : room - 1;
}

static void say_line(struct model_session *session, const char *verb, bool last, struct line *line)
{
    line->text[line->length] = '\n';
    line->text[line->length + 1] = '\0';
    say(session, verb, last, line->text);
}

void session_text(struct model_session *session, const struct model_request *request, const char *key, const char *value)
{
    struct line line;
    line_begin_value(&line, request->id, "= ", key);
    line_add(&line, value, strlen(value));
    say_line(session, request->verb, false, &line);
}

void session_lines(struct model_session *session, const struct model_request *request, const struct strbuf *lines)
{
    for (const char *at = lines->text, *end; (end = strchr(at, '\n')); at = end + 1) {
        struct line line;
        line_begin(&line, request->id);
        line_add(&line, at, (size_t)(end - at));
        say_line(session, request->verb, false, &line);
    }
}

void session_value(struct model_session *session, const struct model_request *request, const char *key,
                   const char *format, ...)
{
    struct line line;
    va_list arguments;
    line_begin_value(&line, request->id, "= ", key);
    va_start(arguments, format);
    line_addf_va(&line, format, arguments);
    va_end(arguments);
    say_line(session, request->verb, false, &line);
}

void session_reply(struct model_session *session, const struct model_request *request, const char *status,
                   const char *format, ...)
{
    struct line line;
    va_list arguments;
    line_begin_value(&line, request->id, ". ", status);
    va_start(arguments, format);
    line_addf_va(&line, format, arguments);
    va_end(arguments);
    say_line(session, request->verb, true, &line);
}

/* --- the node's own time --- */

struct later {
    struct model_node *node;
    uint32_t boot;
    timer_fn *fn;
    void *context;
};

static void later_came(void *context)
{
    struct later *later = context;
    struct model_node *node = later->node;
    if (node->up && node->boot == later->boot && node->frozen_until > clock_now()) {
        timer_start(NULL, node->frozen_until - clock_now(), later_came, later);
        return;
    }
    struct later copy = *later;
    free(later);
    if (node->up && node->boot == copy.boot)
        copy.fn(copy.context);
}

void node_after(struct model_node *node, int64_t delay_ms, timer_fn *fn, void *context)
{
    struct later *later = malloc(sizeof(*later));
    *later = (struct later){node, node->boot, fn, context};
    timer_start(NULL, delay_ms, later_came, later);
}

int64_t model_uptime_s(const struct model_node *node)
{
    return (clock_now() - node->booted_at) / 1000;
}

int64_t node_epoch(const struct model_node *node)
{
    return 1767225600 + (clock_now() + node->wall_offset) / 1000;
}

void node_happened(struct model_node *node, enum model_event event, const struct model_step *step)
{
    if (node->hooks && node->hooks->happened)
        node->hooks->happened(node->hooks->context, node, event, step);
}

void node_journal(struct model_node *node, uint64_t generation, const char *rollout, const char *step, const char *mark,
                  const char *release, const char *status, const char *sentence)
{
    size_t count = node->journal_count;
    if ((count & (count - 1)) == 0 && (count == 0 || count >= 64))
        node->journal = realloc(node->journal, (count ? count * 2 : 64) * sizeof(*node->journal));
    struct model_journal_line *line = &node->journal[node->journal_count++];
    *line = (struct model_journal_line){.generation = generation, .at = clock_now()};
    snprintf(line->rollout, sizeof(line->rollout), "%s", rollout && *rollout ? rollout : "-");
    snprintf(line->step, sizeof(line->step), "%s", step);
    snprintf(line->mark, sizeof(line->mark), "%s", mark);
    snprintf(line->release, sizeof(line->release), "%s", release && *release ? release : "-");
    snprintf(line->status, sizeof(line->status), "%s", status);
    snprintf(line->sentence, sizeof(line->sentence), "%s", sentence ? sentence : "");
}

/* --- life --- */

void model_node_init(struct model_node *node, const char *name, const struct model_hooks *hooks)
{
    *node = (struct model_node){.up = true, .boot = 1, .hooks = hooks, .booted_at = clock_now() - 3600000};
    snprintf(node->name, sizeof(node->name), "%s", name);
    strbuf_init(&node->record.values, 4096);
}

void model_node_release(struct model_node *node)
{
    while (node->sessions) {
        struct model_session *session = node->sessions;
        node->sessions = session->next;
        free(session);
    }
    while (node->steps) {
        struct model_step *step = node->steps;
        node->steps = step->next;
        strbuf_release(&step->values);
        free(step->request);
        free(step);
    }
    strbuf_release(&node->record.values);
    free(node->journal);
    free(node->held_request);
}

void model_crash(struct model_node *node)
{
    node->up = false;
    node->serving[0] = '\0';
    for (size_t i = 0; i < MODEL_SLOTS; i++)
        node->slots[i].process[0] = '\0';
    node->boot++;
    node->frozen_until = 0;
    for (struct model_step *step = node->steps; step; step = step->next) {
        if (step->leader && step->begun)
            node_happened(node, MODEL_LEFT, step);
        step->leader = step->supervisor = false;
    }
}

/* Synced are the journal, manifests, releases, links, commits and migrations. A beat counts as one of the boot after it. */
void model_lose_unsynced(struct model_node *node, bool gone)
{
    struct model_record *record = &node->record;
    if (gone)
        record->any = record->ended = false;
    record->ended = false;
    strbuf_reset(&record->values);
}

void model_boot(struct model_node *node)
{
    node->up = true;
    node->booted_at = clock_now();
    node->incoming_length = node->incoming[0] = 0;
    if (!node->has_slots)
        memcpy(node->serving, node->current, sizeof(node->serving));
    for (size_t i = 0; i < MODEL_SLOTS; i++)
        memcpy(node->slots[i].process, node->slots[i].release, sizeof(node->slots[i].process));
    node->process = ++node->processes;
}

struct model_release *model_find_release(struct model_node *node, const char *id)
{
    for (size_t i = 0; i < node->release_count; i++)
        if (strcmp(node->releases[i].id, id) == 0)
            return &node->releases[i];
    return NULL;
}

struct model_release *model_add_release(struct model_node *node, const char *id, uint32_t sequence)
{
    struct model_release *release = model_find_release(node, id);
    for (size_t i = 0; !release && i < node->release_count; i++)
        if (!node->releases[i].there && !node->releases[i].manifest && !node->releases[i].failed)
            release = &node->releases[i];
    if (!release && node->release_count == MODEL_RELEASES)
        abort();
    if (!release)
        release = &node->releases[node->release_count++];
    *release = (struct model_release){.there = true, .manifest = true, .sequence = sequence};
    snprintf(release->id, sizeof(release->id), "%s", id);
    return release;
}

/* --- the lock --- */

int64_t lock_age_s(const struct model_node *node)
{
    return model_uptime_s(node) - (node->lock.boot == node->boot ? node->lock.beat_s : 0);
}

enum lock_state lock_state(const struct model_node *node)
{
    const struct model_lock *lock = &node->lock;
    int64_t age = lock_age_s(node);
    if (lock->generation == 0 || lock->ended)
        return LOCK_FREE;
    return age < 0 || age > lock->ttl_s ? LOCK_EXPIRED : LOCK_HELD;
}

bool fence_holds(const struct model_node *node, uint64_t generation)
{
    return node->lock.generation == generation && generation && !node->lock.ended;
}

uint64_t request_number(const struct model_request *request, const char *key)
{
    const char *value = text_of(request, key);
    return *value && strspn(value, "0123456789") == strlen(value) ? strtoull(value, NULL, 10) : 0;
}

bool may_act(const struct model_node *node, uint64_t generation, uint64_t epoch)
{
    return fence_holds(node, generation) && epoch && node->lock.epoch == epoch;
}

bool check_fence(struct model_session *session, const struct model_request *request)
{
    uint64_t epoch = request_number(request, "epoch");
    struct model_node *node = session->node;
    const char *fence = text_of(request, "fence");
    uint64_t generation = strtoull(fence, NULL, 10);
    if (!*fence)
        session_reply(session, request, "refused", "%s needs the lock's generation", request->verb);
    else if (!epoch)
        session_reply(session, request, "refused", "%s needs the session's epoch", request->verb);
    else if (fence_holds(node, generation) && epoch < node->lock.epoch)
        session_reply(session, request, "refused", "epoch %" PRIu64 " is over: a newer session of this run has settled", epoch);
    else if (fence_holds(node, generation))
        return true;
    else if (lock_state(node) == LOCK_FREE)
        session_reply(session, request, "refused", "the lock of generation %s was given back or broken", fence);
    else
        session_reply(session, request, "refused",
                      "the lock of generation %s is lost; generation %" PRIu64 " is held by %s, rollout %s", fence,
                      node->lock.generation, node->lock.holder, node->lock.rollout);
    return false;
}

void describe_holder(struct model_session *session, const struct model_request *request)
{
    const struct model_lock *lock = &session->node->lock;
    session_text(session, request, "holder", lock->holder);
    session_text(session, request, "rollout", lock->rollout);
    session_value(session, request, "generation", "%" PRIu64, lock->generation);
    session_value(session, request, "age", "%" PRId64, lock_age_s(session->node));
    session_value(session, request, "ttl", "%" PRId64, lock->ttl_s);
}

/* Its own lease that has run out may be taken again. */
static bool had_its_lock(const struct model_node *node, const struct model_request *request)
{
    const char *token = text_of(request, "token");
    if (!*token || (lock_state(node) == LOCK_EXPIRED && strcmp(node->lock.token, token) == 0))
        return false;
    for (size_t i = 0; i < node->journal_count; i++) {
        const struct model_journal_line *line = &node->journal[i];
        if (strcmp(line->step, "rollout") == 0 && strcmp(line->mark, "begin") == 0 &&
            strcmp(line->rollout, text_of(request, "rollout")) == 0)
            return true;
    }
    return false;
}

static void claim_lock(struct model_session *session, const struct model_request *request);

static void refuse_lock(struct model_session *session, const struct model_request *request)
{
    const struct model_lock *lock = &session->node->lock;
    describe_holder(session, request);
    session_reply(session, request, "refused", "locked by %s, rollout %s, just now", lock->holder, lock->rollout);
}

static void do_lock(struct model_session *session, const struct model_request *request)
{
    struct model_node *node = session->node;
    struct model_lock *lock = &node->lock;
    const char *token = text_of(request, "token");
    bool takes_over = *text_of(request, "takeover") && request_number(request, "takeover") == lock->generation;
    if (lock_state(node) == LOCK_HELD && !takes_over) {
        bool ours = *token && strcmp(token, lock->token) == 0;
        describe_holder(session, request);
        if (ours)
            session_reply(session, request, "ok", "lock held already");
        else
            session_reply(session, request, "refused", "locked by %s, rollout %s, renewed %" PRId64 " s ago", lock->holder,
                          lock->rollout, lock_age_s(node));
        return;
    }
    if (had_its_lock(node, request)) {
        session_reply(session, request, "refused", "rollout %s had its lock on this node, and it has ended; a run takes it once",
                      text_of(request, "rollout"));
        return;
    }
    if (node->hold == HOLD_LINK) {
        node->hold = HOLD_NOTHING;
        node->held_session = session;
        node->held_request = model_request_copy(request);
        node->held_seen = lock->generation;
        return;
    }
    claim_lock(session, request);
}

bool model_holds(const struct model_node *node)
{
    return node->held_step || node->held_request;
}

void model_let_go(struct model_node *node)
{
    struct model_step *step = node->held_step;
    struct model_request *request = node->held_request;
    node->hold = HOLD_NOTHING;
    node->held_step = NULL;
    node->held_request = NULL;
    if (step)
        step_go_on(step);
    if (request && node->held_seen == node->lock.generation)
        claim_lock(node->held_session, request);
    else if (request)
        refuse_lock(node->held_session, request);
    free(request);
}

static void claim_lock(struct model_session *session, const struct model_request *request)
{
    struct model_node *node = session->node;
    struct model_lock *lock = &node->lock;
    const char *token = text_of(request, "token");
    char was[300] = "";
    if (lock_state(node) != LOCK_FREE)
        snprintf(was, sizeof(was), "taken over from %s, rollout %s", lock->holder, lock->rollout);
    *lock = (struct model_lock){.generation = lock->generation + 1,
                                .ttl_s = strtoll(text_of(request, "ttl"), NULL, 10),
                                .beat_s = model_uptime_s(node),
                                .boot = node->boot};
    snprintf(lock->rollout, sizeof(lock->rollout), "%s", text_of(request, "rollout"));
    snprintf(lock->holder, sizeof(lock->holder), "%s", text_of(request, "holder"));
    snprintf(lock->token, sizeof(lock->token), "%s", token);
    snprintf(lock->runner, sizeof(lock->runner), "%s", text_of(request, "runner"));
    if (*session->service)
        snprintf(node->service, sizeof(node->service), "%s", session->service);
    const char *kind = text_of(request, "kind"), *resumes = text_of(request, "resumes");
    size_t first = strcspn(node->chain, " ");
    bool outside = strcmp(kind, "outside") == 0;
    if (!outside && (strlen(lock->rollout) != first || strncmp(node->chain, lock->rollout, first) != 0))
        memcpy(node->chain_before, node->chain, sizeof(node->chain));
    if (!outside)
        snprintf(node->chain, sizeof(node->chain), "%s%s%s", lock->rollout, *resumes ? " " : "", resumes);
    node_journal(node, lock->generation, lock->rollout, "rollout", "begin", text_of(request, "release"),
                 *kind ? kind : "-", lock->holder);
    if (*text_of(request, "limit"))
        node_journal(node, lock->generation, lock->rollout, "limit", "note", "-", "-", text_of(request, "limit"));
    if (*text_of(request, "reason"))
        node_journal(node, lock->generation, lock->rollout, "past-no-return", "note", text_of(request, "release"), "ok",
                     text_of(request, "reason"));
    node_happened(node, MODEL_LOCKED, NULL);
    if (*was)
        session_text(session, request, "taken_over", was);
    session_value(session, request, "generation", "%" PRIu64, lock->generation);
    session_reply(session, request, "ok", "%s", *was ? was : "locked");
}

static void do_renew(struct model_session *session, const struct model_request *request)
{
    struct model_node *node = session->node;
    if (!check_fence(session, request))
        return;
    node->lock.beat_s = model_uptime_s(node);
    node->lock.boot = node->boot;
    session_reply(session, request, "ok", "renewed");
}

bool is_busy(struct model_session *session, const struct model_request *request)
{
    if (session->settling) {
        session_reply(session, request, "refused", "busy: settling");
        return true;
    }
    if (!session->busy || !session->busy->supervisor)
        return false;
    session_reply(session, request, "refused", "busy: step %" PRIu32 " still runs on this node",
                  session->busy->request->id);
    return true;
}

static void copy_migrations(struct model_node *node, const struct model_request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        char name[MODEL_NAME], release[MODEL_NAME], kind[16];
        if (strcmp(request->fields[i].key, "migration") != 0 ||
            sscanf(request->fields[i].value, "%63s %63s %15s", name, release, kind) != 3)
            continue;
        struct model_migration *known = find_migration(node, name);
        if (!known || strcmp(migration_state_on(node, known), "done") != 0)
            write_migration(node, name, release, kind, "done");
    }
}

static void do_finish(struct model_session *session, const struct model_request *request)
{
    struct model_node *node = session->node;
    const char *status = text_of(request, "status"), *open = text_of(request, "open");
    const char *mark = strcmp(open, "yes") == 0 ? "held" : strcmp(open, "before") == 0 ? "left" : "end";
    char first[32];
    if (!check_fence(session, request) || is_busy(session, request))
        return;
    copy_migrations(node, request);
    if (strcmp(mark, "left") == 0 && *node->chain_before)
        memcpy(node->chain, node->chain_before, sizeof(node->chain));
    snprintf(first, sizeof(first), "%.*s", (int)strcspn(status, " "), status);
    node_journal(node, node->lock.generation, node->lock.rollout, "rollout", mark, text_of(request, "release"),
                 *first ? first : "ok", text_of(request, "result"));
    node->lock.ended = true;
    session_reply(session, request, "ok", "finished");
}

static void do_unlock(struct model_session *session, const struct model_request *request)
{
    if (!check_fence(session, request) || is_busy(session, request))
        return;
    session->node->lock.ended = true;
    session_reply(session, request, "ok", "unlocked");
}

static void do_failed(struct model_session *session, const struct model_request *request)
{
    struct model_node *node = session->node;
    const char *id = text_of(request, "release");
    if (!check_fence(session, request))
        return;
    struct model_release *release = model_find_release(node, id);
    if (release)
        release->failed = node_epoch(node);
    node_journal(node, node->lock.generation, node->lock.rollout, "failed", "end", id, "ok", "-");
    session_reply(session, request, "ok", "release %s is marked failed", id);
}

static void do_break(struct model_session *session, const struct model_request *request)
{
    struct model_node *node = session->node;
    if (lock_state(node) == LOCK_FREE) {
        session_reply(session, request, "ok", "no lock is held");
        return;
    }
    describe_holder(session, request);
    node->lock.ended = true;
    node_journal(node, node->lock.generation, node->lock.rollout, "rollout", "break", "-", "-", "broken");
    session_reply(session, request, "ok", "broke the lock of %s, rollout %s", node->lock.holder, node->lock.rollout);
}

/* --- migrations --- */

struct model_migration *find_migration(struct model_node *node, const char *name)
{
    for (size_t i = 0; i < node->migration_count; i++)
        if (strcmp(node->migrations[i].name, name) == 0)
            return &node->migrations[i];
    return NULL;
}

const char *migration_state_on(struct model_node *node, const struct model_migration *migration)
{
    if (strcmp(migration->state, "running") != 0)
        return migration->state;
    bool lives = record_state(node) == RECORD_RUNNING && strcmp(node->record.verb, "migrate") == 0;
    return lives ? "running" : "unknown";
}

void write_migration(struct model_node *node, const char *name, const char *release, const char *kind, const char *state)
{
    struct model_migration *migration = find_migration(node, name);
    if (!migration && node->migration_count == MODEL_MIGRATIONS)
        abort();
    if (!migration) {
        /* By name, as a shell lists files. */
        size_t at = node->migration_count++;
        for (; at > 0 && strcmp(node->migrations[at - 1].name, name) > 0; at--)
            node->migrations[at] = node->migrations[at - 1];
        migration = &node->migrations[at];
    }
    snprintf(migration->name, sizeof(migration->name), "%s", name);
    snprintf(migration->release, sizeof(migration->release), "%s", release);
    snprintf(migration->kind, sizeof(migration->kind), "%s", kind);
    snprintf(migration->state, sizeof(migration->state), "%s", state);
}

/* The record must allow it; else it is replied. */
static bool check_migration(struct model_session *session, const struct model_request *request)
{
    const char *name = text_of(request, "name");
    bool down = strcmp(text_of(request, "down"), "yes") == 0;
    struct model_migration *known = find_migration(session->node, name);
    const char *state = known ? migration_state_on(session->node, known) : "none";
    if (strcmp(state, "running") == 0) {
        session_reply(session, request, "refused", "migration %s still runs on this node", name);
    } else if (strcmp(state, "unknown") == 0) {
        if (strcmp(text_of(request, "again"), "yes") == 0)
            return true;
        session_reply(session, request, "refused", "migration %s began with release %s and has no end on record", name,
                      known->release);
    } else if (strcmp(state, "done") == 0) {
        if (down)
            return true;
        session_reply(session, request, "ok", "migration %s was done with release %s", name, known->release);
    } else {
        if (!down)
            return true;
        session_reply(session, request, "refused", "migration %s is not done", name);
    }
    return false;
}

/* --- sessions --- */

struct model_session *model_session_open(struct model_node *node, uint64_t connection, model_out_fn *out, void *context)
{
    struct model_session *session = calloc(1, sizeof(*session));
    *session = (struct model_session){.next = node->sessions,
                                      .node = node,
                                      .connection = connection,
                                      .boot = node->boot,
                                      .out = out,
                                      .context = context};
    node->sessions = session;
    return session;
}

void model_session_hangup(struct model_session *session)
{
    session->out = NULL;
}

static void launch_recorded(struct model_session *session, const struct model_request *request, bool plain, int64_t limit_ms)
{
    struct model_node *node = session->node;
    if (!check_fence(session, request))
        return;
    if (!may_act(node, request_number(request, "fence"), request_number(request, "epoch"))) {
        session_reply(session, request, "refused", "the epoch has not settled; settle first");
        node_happened(node, MODEL_UNSETTLED, NULL);
        return;
    }
    if (answer_from_record(session, request) || is_busy(session, request))
        return;
    struct model_step *running = record_state(node) == RECORD_RUNNING ? step_of_record(node) : NULL;
    if (running && running->leader && strcmp(node->record.verb, "revert") != 0) {
        session_reply(session, request, "refused", "busy: %s of an earlier session still runs on this node; settle it first",
                      node->record.verb);
        return;
    }
    step_launch(session, request, true, plain, limit_ms);
}

static void start_migrate(struct model_session *session, const struct model_request *request)
{
    if (check_fence(session, request) && !answer_from_record(session, request) && check_migration(session, request))
        launch_recorded(session, request, true, 600000);
}

static void do_open(struct model_session *session, const struct model_request *request)
{
    static const char *const tools[] = {"zstd", "gzip", "tar", "setsid", "systemctl", "sudo", "sha256sum", "journalctl"};
    session_text(session, request, "user", "root");
    session_text(session, request, "protocol", "1");
    session_text(session, request, "elevated", "no");
    session_text(session, request, "temporary", "/tmp/deployctl.x");
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
        session_value(session, request, "tool", "%s yes", tools[i]);
    snprintf(session->service, sizeof(session->service), "%s", text_of(request, "service"));
    session->opened = true;
    session_reply(session, request, "ok", "open");
}

void model_session_feed(struct model_session *session, const char *bytes, size_t length)
{
    struct model_request request;
    (void)length;
    if (!session->node->up || session->boot != session->node->boot || !model_request_parse(&request, bytes))
        return;
    const char *verb = request.verb;
    if (strcmp(verb, "open") == 0)
        do_open(session, &request);
    else if (strcmp(verb, "lock") == 0)
        do_lock(session, &request);
    else if (strcmp(verb, "renew") == 0)
        do_renew(session, &request);
    else if (strcmp(verb, "unlock") == 0)
        do_unlock(session, &request);
    else if (strcmp(verb, "break") == 0)
        do_break(session, &request);
    else if (strcmp(verb, "finish") == 0)
        do_finish(session, &request);
    else if (strcmp(verb, "failed") == 0)
        do_failed(session, &request);
    else if (strcmp(verb, "confirm") == 0)
        timer_confirm(session, &request);
    else if (strcmp(verb, "settle") == 0)
        settle_start(session, &request);
    else if (strcmp(verb, "cancel") == 0)
        step_cancel(session, &request);
    else if (strcmp(verb, "migrate") == 0)
        start_migrate(session, &request);
    else if (strcmp(verb, "stage") == 0 || strcmp(verb, "unpack") == 0 || strcmp(verb, "activate") == 0 || strcmp(verb, "restart") == 0 || strcmp(verb, "stop") == 0 || strcmp(verb, "keep_old") == 0)
        launch_recorded(session, &request, false, 600000);
    else if (strcmp(verb, "commit") == 0 || strcmp(verb, "retract") == 0 || strcmp(verb, "discard") == 0)
        launch_recorded(session, &request, false, 300000);
    else if (strcmp(verb, "run") == 0)
        launch_recorded(session, &request, true, 600000);
    else if (strcmp(verb, "facts") == 0 || strcmp(verb, "evidence") == 0 || strcmp(verb, "instance") == 0)
        step_launch(session, &request, false, false, 60000);
    else if (strcmp(verb, "verify") == 0)
        step_launch(session, &request, false, false, 600000);
    else if (strcmp(verb, "probe") == 0)
        step_launch(session, &request, false, true, 60000);
    else
        session_reply(session, &request, "failed", "unknown verb %s; the node's program is of another version", verb);
}

void model_receive(struct model_node *node, const char *bytes, size_t length)
{
    size_t line = strcspn(bytes, "\n");
    if (!node->up || line >= length || line >= sizeof(node->incoming))
        return;
    snprintf(node->incoming, sizeof(node->incoming), "%.*s", (int)line, bytes);
    node->incoming_length = length - line - 1;
}
