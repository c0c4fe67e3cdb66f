#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

#define KILL_MS 3000
#define STUCK_MS 12000

static const char *text_of(const struct model_step *step, const char *key)
{
    const char *value = model_request_get(step->request, key);
    return value ? value : "";
}

void lines_text(struct strbuf *out, const char *key, const char *value)
{
    strbuf_adds(out, "= ");
    strbuf_adds(out, key);
    strbuf_addc(out, ' ');
    strbuf_adds(out, value);
    strbuf_addc(out, '\n');
}

void lines_value_va(struct strbuf *out, const char *key, const char *format, va_list arguments)
{
    strbuf_adds(out, "= ");
    strbuf_adds(out, key);
    strbuf_addc(out, ' ');
    strbuf_addf_va(out, format, arguments);
    strbuf_addc(out, '\n');
}

void lines_value(struct strbuf *out, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lines_value_va(out, key, format, arguments);
    va_end(arguments);
}

void step_text(struct model_step *step, const char *key, const char *value)
{
    lines_text(&step->values, key, value);
}

void step_value(struct model_step *step, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lines_value_va(&step->values, key, format, arguments);
    va_end(arguments);
}

/* --- the record --- */

struct model_step *step_of_record(struct model_node *node)
{
    for (struct model_step *step = node->steps; step; step = step->next)
        if ((step->leader || step->supervisor) && step->recorded && step->pid == node->record.pid && step->boot == node->record.boot)
            return step;
    return NULL;
}

enum record_state record_state(struct model_node *node)
{
    if (!node->record.any)
        return RECORD_NONE;
    if (node->record.ended)
        return RECORD_ENDED;
    return step_of_record(node) ? RECORD_RUNNING : RECORD_LOST;
}

static void record_begin(struct model_step *step, uint32_t pid)
{
    struct model_record *record = &step->node->record;
    record->any = true;
    record->ended = false;
    record->pid = pid;
    record->boot = step->boot;
    snprintf(record->token, sizeof(record->token), "%s", *text_of(step, "token") ? text_of(step, "token") : "-");
    snprintf(record->verb, sizeof(record->verb), "%s", step->reverts ? "revert" : step->request->verb);
    strbuf_reset(&record->values);
}

/* Nobody has ended it, and no later step begun. */
static bool has_its_record(const struct model_step *step)
{
    const struct model_record *record = &step->node->record;
    return record->any && record->pid == step->pid && record->boot == step->boot;
}

/* Once ok, killed or lost an end is final. */
static void record_end(struct model_record *record, const char *end, const char *sentence)
{
    if (record->ended && (strcmp(record->end, "ok") == 0 || strcmp(record->end, "killed") == 0 || strcmp(record->end, "lost") == 0))
        return;
    record->ended = true;
    snprintf(record->end, sizeof(record->end), "%s", end);
    snprintf(record->sentence, sizeof(record->sentence), "%s", sentence);
}

bool answer_from_record(struct model_session *session, const struct model_request *request)
{
    const struct model_record *record = &session->node->record;
    const char *token = model_request_get(request, "token");
    if (!token || !*token || !record->any || strcmp(record->token, token) != 0 ||
        strcmp(record->verb, request->verb) != 0 || !record->ended || strcmp(record->end, "killed") == 0 ||
        strcmp(record->end, "lost") == 0)
        return false;
    session_lines(session, request, &record->values);
    session_text(session, request, "recorded", "yes");
    session_reply(session, request, record->end, "%s", record->sentence);
    return true;
}

/* --- the life of a step --- */

static void judge(void *context);

static void leader_left(struct model_step *step)
{
    if (!step->leader)
        return;
    step->leader = false;
    if (step->begun)
        node_happened(step->node, MODEL_LEFT, step);
    node_after(step->node, 1, judge, step);
}

void step_said(struct model_step *step, const char *status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(step->sentence, sizeof(step->sentence), format, arguments);
    va_end(arguments);
    snprintf(step->status, sizeof(step->status), "%s", status);
    leader_left(step);
}

static void die(void *context)
{
    struct model_step *step = context;
    if (!step->leader)
        return;
    step->code = 143;
    leader_left(step);
}

/* TERM, 3 s later KILL. */
static void end_group(struct model_step *step)
{
    if (step->killed_at)
        return;
    step->killed_at = clock_now() + 1;
    node_after(step->node, step->deaf ? KILL_MS : 0, die, step);
}

static void end_late(struct model_step *step, const char *why)
{
    if (!step->supervisor || *step->late || !step->leader)
        return;
    snprintf(step->late, sizeof(step->late), "%s", why);
    end_group(step);
}

static void time_out(void *context)
{
    end_late(context, "timeout");
}

static void record_migration(struct model_step *step)
{
    bool down = strcmp(text_of(step, "down"), "yes") == 0;
    const char *became = "running";
    if (strcmp(step->status, "ok") == 0)
        became = "done";
    else if (strcmp(step->status, "failed") == 0 && !*step->late && step->code <= 128)
        became = "failed";
    if (down && strcmp(became, "done") == 0)
        became = "undone";
    else if (down && strcmp(became, "failed") == 0)
        became = "running";
    if (strcmp(became, "running") != 0)
        write_migration(step->node, text_of(step, "name"), step->release, text_of(step, "kind"), became);
}

static void judge_words(struct model_step *step)
{
    if (*step->late) {
        snprintf(step->status, sizeof(step->status), "%s", step->late);
        snprintf(step->sentence, sizeof(step->sentence), "ended it with everything it had started");
    } else if (step->plain && !*step->status) {
        step_value(step, "status", "%d", step->code);
        snprintf(step->status, sizeof(step->status), "%s", step->code ? "failed" : "ok");
        snprintf(step->sentence, sizeof(step->sentence), "exit status %d", step->code);
    } else if (!*step->status) {
        snprintf(step->status, sizeof(step->status), "failed");
        snprintf(step->sentence, sizeof(step->sentence), "%s ended without a word, status %d", step->request->verb,
                 step->code);
    }
}

static void reply_step(struct model_step *step)
{
    struct model_session *session = step->session;
    session_lines(session, step->request, &step->values);
    session_reply(session, step->request, step->status, "%s", step->sentence);
}

static void judge(void *context)
{
    struct model_step *step = context;
    struct model_node *node = step->node;
    if (!step->supervisor)
        return;
    judge_words(step);
    if (step->recorded) {
        if (has_its_record(step)) {
            if (strcmp(step->request->verb, "migrate") == 0)
                record_migration(step);
            strbuf_add(&node->record.values, step->values.text, step->values.length);
            record_end(&node->record, step->status, step->sentence);
        }
        node_journal(node, step->generation, step->rollout, step->step_name, "end", step->release, step->status,
                     step->sentence);
    }
    step->supervisor = false;
    if (step->session && step->session->busy == step)
        step->session->busy = NULL;
    if (step->session)
        reply_step(step);
}

/* --- what the leaders do --- */

static void lead_stage(struct model_step *step)
{
    struct model_node *node = step->node;
    struct model_release *release = model_find_release(node, step->release);
    node->incoming_length = node->incoming[0] = 0;
    if (release && release_complete(release)) {
        step_text(step, "have", "yes");
        step_said(step, "ok", "release %s is here already", step->release);
        return;
    }
    if (release && release->there && strcmp(node->current, step->release) == 0) {
        step_said(step, "failed", "release %s is current, but its manifest is gone", step->release);
        return;
    }
    if (release)
        *release = (struct model_release){.id = ""};
    step_text(step, "have", "no");
    step_value(step, "path", "incoming/%s-%s", text_of(step, "fence"), step->release);
    step_said(step, "ok", "ready to receive");
}

static void lead_unpack(struct model_step *step)
{
    struct model_node *node = step->node;
    struct model_release *release = model_find_release(node, step->release);
    char path[160];
    snprintf(path, sizeof(path), "incoming/%s-%s", text_of(step, "fence"), step->release);
    if (release && release_complete(release)) {
        step_said(step, "ok", "release %s is here already", step->release);
    } else if (strcmp(path, node->incoming) != 0) {
        step_said(step, "failed", "nothing was received for release %s", step->release);
    } else {
        model_add_release(node, step->release, 0);
        node->incoming_length = node->incoming[0] = 0;
        step_said(step, "ok", "release %s is staged", step->release);
    }
}

static struct model_node *node_of(const struct model_step *step)
{
    return step->node;
}

/* True: the step waits here for model_let_go. */
static bool holds_here(struct model_step *step, enum model_hold hold)
{
    if (step->node->hold != hold)
        return false;
    step->node->hold = HOLD_NOTHING;
    step->node->held_step = step;
    return true;
}

static bool none(const char *release)
{
    return strcmp(release, "-") == 0;
}

/* Of a repeated activation the first one found what was before. */
static void mark_instance(struct model_step *step)
{
    struct model_node *node = step->node;
    struct model_mark *mark = &node->mark;
    bool here = *mark->release && mark->boot == node->boot, restarts = strcmp(step->request->verb, "restart") == 0;
    uint32_t serving = *node->serving ? node->process : 0;
    if (here && strcmp(mark->release, step->release) == 0 && !restarts)
        return;
    mark->kept = here && strcmp(mark->was, step->release) == 0 ? mark->before : 0;
    mark->before = serving;
    mark->since = node->processes;
    mark->boot = node->boot;
    snprintf(mark->was, sizeof(mark->was), "%s", *node->current ? node->current : "-");
    snprintf(mark->release, sizeof(mark->release), "%s", step->release);
}

static void say_instance(struct model_step *step)
{
    const struct model_node *node = step->node;
    const struct model_mark *mark = &node->mark;
    bool fresh = node->process > mark->since, same = strcmp(node->serving, step->release) == 0;
    const char *instance = "old";
    if (!*mark->release || mark->boot != node->boot || strcmp(mark->release, step->release) != 0)
        instance = "unmarked";
    else if (!*text_of(step, "port"))
        instance = "unknown the service has no port";
    else if (!*node->serving)
        instance = "none";
    else if (same && (fresh || node->process == mark->kept))
        instance = "new";
    step_text(step, "instance", instance);
    step_said(step, "ok", "%.12s", instance);
}

/* Parts of an activation, and of a restart without its switch: stop, switch, start; a kill may come between any two. */
static void lead_activate(struct model_step *step)
{
    struct model_node *node = step->node;
    struct model_release *release = model_find_release(node, step->release);
    struct model_slot *slot = slot_of(node, step->request);
    if (slot) {
        lead_activate_slot(step, slot);
        return;
    }
    bool restarts = strcmp(step->request->verb, "restart") == 0;
    if (step->part == 1) {
        if (restarts && strcmp(node->current, step->release) != 0) {
            step_said(step, "failed", "release %s is current, not %s", *node->current ? node->current : "none", step->release);
            return;
        }
        if (!none(step->release) && (!release || !release_complete(release))) {
            step_said(step, "failed", "release %s is not complete on this node; stage it first", step->release);
            return;
        }
        if (!none(step->release))
            step_text(step, "was", *node->current ? node->current : "-");
        if (!step->reverts && *text_of(step, "confirm") && !none(step->release)) {
            if (!timer_arm(step))
                return;
        } else if (!step->reverts && !restarts) {
            timer_disarm(node);
        }
        snprintf(node->unsettled, sizeof(node->unsettled), "%s %s %s", step->reverts ? "revert" : step->request->verb,
                 *step->release ? step->release : "-", *step->rollout ? step->rollout : "-");
        if (!none(step->release))
            mark_instance(step);
        if (!step->sticks)
            node->serving[0] = '\0';
    } else if (step->part == 2 && restarts) {
        return;
    } else if (step->part == 2) {
        if (!none(step->release) && holds_here(step, HOLD_MOVE)) {
            step->part--;
            return;
        }
        snprintf(node->current, sizeof(node->current), "%s", none(step->release) ? "" : step->release);
        step_text(step, "switched", "yes");
        node_happened(node, MODEL_SWITCHED, step);
    } else if (none(step->release) && step->sticks && *node->serving) {
        snprintf(node->mark.release, sizeof(node->mark.release), "-");
        step_said(step, "failed", "no release is current, but process %u still listens on port 8080 after `stop`; end it by hand",
                  (unsigned)node->process);
    } else if (none(step->release)) {
        node->unsettled[0] = '\0';
        snprintf(node->mark.release, sizeof(node->mark.release), "-");
        step_said(step, "ok", "stopped, no release is current");
    } else if (step->fails) {
        step_said(step, "failed", "start: exit status 1");
    } else {
        node->unsettled[0] = '\0';
        if (!step->sticks || !*node->serving) {
            snprintf(node->serving, sizeof(node->serving), "%s", step->release);
            node->process = ++node->processes;
            node_happened(node, MODEL_SERVES, step);
        }
        step_said(step, "ok", "%srelease %s is current", restarts ? "restarted: " : "", step->release);
    }
}

static void lead_command(struct model_step *step)
{
    struct model_node *node = step->node;
    const char *verb = step->request->verb;
    if (strcmp(verb, "probe") == 0) {
        const struct model_slot *slot = slot_of(node, step->request);
        bool healthy = !node->hooks || !node->hooks->healthy ? *node->serving != '\0'
                                                             : node->hooks->healthy(node->hooks->context, node, slot);
        step->code = healthy ? 0 : 1;
    } else {
        step->code = step->fails ? 1 : 0;
    }
    if (strcmp(verb, "migrate") == 0 && !step->fails)
        node_happened(node, strcmp(text_of(step, "down"), "yes") == 0 ? MODEL_UNMIGRATED : MODEL_MIGRATED, step);
    leader_left(step);
}

bool model_starts(const struct model_step *step)
{
    const char *verb = step->request->verb;
    return strcmp(verb, "activate") == 0 || strcmp(verb, "restart") == 0 || step->reverts;
}

static int parts_of(const struct model_step *step)
{
    return model_starts(step) ? 3 : strcmp(step->request->verb, "stop") == 0 ? 2 : 1;
}

static void work(void *context)
{
    struct model_step *step = context;
    const char *verb = step->request->verb;
    if (!step->leader || (step->killed_at && !step->deaf))
        return;
    step->part++;
    if (step->plain)
        lead_command(step);
    else if (model_starts(step))
        lead_activate(step);
    else if (step->fails)
        step_said(step, "failed", "disk: full");
    else if (strcmp(verb, "stage") == 0)
        lead_stage(step);
    else if (strcmp(verb, "unpack") == 0)
        lead_unpack(step);
    else if (strcmp(verb, "stop") == 0)
        lead_stop_slot(step, slot_of(step->node, step->request));
    else if (strcmp(verb, "keep_old") == 0)
        lead_keep_old(step, slot_of(step->node, step->request));
    else if (strcmp(verb, "commit") == 0)
        step_commit(step);
    else if (strcmp(verb, "verify") == 0)
        step_verify(step);
    else if (strcmp(verb, "retract") == 0)
        step_retract(step);
    else if (strcmp(verb, "facts") == 0)
        lead_facts(step);
    else if (strcmp(verb, "instance") == 0)
        say_instance(step);
    else
        step_said(step, "ok", "%s", verb);
    if (step->leader && step->part < parts_of(step) && node_of(step)->held_step != step)
        node_after(step->node, step->takes_ms / 3, work, step);
}

static void refuse_step(struct model_step *step, const char *why)
{
    if (has_its_record(step))
        step->node->record.any = false;
    step_said(step, "refused", "%s", why);
}

/* The record first, the fence after. */
static void lead(void *context)
{
    struct model_step *step = context;
    struct model_node *node = step->node;
    if (!step->leader)
        return;
    if (step->recorded && timer_is_reverting(node) && !step->reverts) {
        node_after(node, 200, lead, step);
        return;
    }
    if (step->recorded) {
        bool theirs = step->reverts && node->lock.generation != step->generation && lock_state(node) == LOCK_HELD;
        if (!has_its_record(step) || node->record.ended) {
            step_said(step, "refused", "the step was ended before it began");
            return;
        }
        if (theirs || (!step->reverts && !may_act(node, step->generation, step->epoch))) {
            refuse_step(step, "the lock is lost, or the epoch is over");
            return;
        }
    }
    struct model_release *folder = *step->release ? model_find_release(node, step->release) : NULL;
    if (step->plain && *step->release && (!folder || !folder->there)) {
        step_said(step, "failed", "there is no release %s on this node", step->release);
        return;
    }
    step->begun = step->recorded;
    if (step->recorded && strcmp(step->request->verb, "migrate") == 0)
        write_migration(node, text_of(step, "name"), step->release, text_of(step, "kind"), "running");
    if (node->hooks && node->hooks->shape)
        node->hooks->shape(node->hooks->context, node, step);
    if (step->begun)
        node_happened(node, MODEL_LEADS, step);
    node_after(node, step->takes_ms / parts_of(step), work, step);
}

static void start_leader(struct model_step *step);

static void supervise(void *context)
{
    struct model_step *step = context;
    struct model_node *node = step->node;
    if (step->recorded && !step->reverts && !may_act(node, step->generation, step->epoch)) {
        snprintf(step->status, sizeof(step->status), "refused");
        snprintf(step->sentence, sizeof(step->sentence), "the lock is lost, or the epoch is over");
        step->supervisor = false;
        if (step->session && step->session->busy == step)
            step->session->busy = NULL;
        reply_step(step);
        return;
    }
    if (step->recorded) {
        record_begin(step, step->pid);
        node_journal(node, step->generation, step->rollout, step->step_name, "begin", step->release, "-",
                     text_of(step, "token"));
        if (holds_here(step, HOLD_SYNC))
            return;
    }
    start_leader(step);
}

/* Goes on where it was held. */
void step_go_on(struct model_step *step)
{
    if (step->leader)
        work(step);
    else if (step->supervisor)
        start_leader(step);
}

static void start_leader(struct model_step *step)
{
    struct model_node *node = step->node;
    step->leader = true;
    if (step->limit_ms)
        node_after(node, step->limit_ms, time_out, step);
    if (*step->late) {
        char why[12];
        memcpy(why, step->late, sizeof(why));
        *step->late = '\0';
        end_late(step, why);
    }
    node_after(node, 2, lead, step);
}

static struct model_step *make_step(struct model_node *node)
{
    struct model_step *step = calloc(1, sizeof(*step));
    step->next = node->steps;
    step->node = node;
    step->boot = node->boot;
    step->pid = ++node->pids;
    step->supervisor = true;
    step->takes_ms = 20;
    strbuf_init(&step->values, 8192);
    node->steps = step;
    return step;
}

void step_launch(struct model_session *session, const struct model_request *request, bool recorded, bool plain,
                 int64_t limit_ms)
{
    struct model_node *node = session->node;
    struct model_step *step = make_step(node);
    step->session = session;
    step->request = model_request_copy(request);
    step->recorded = recorded;
    step->plain = plain;
    step->generation = node->lock.generation;
    step->epoch = request_number(request, "epoch");
    step->connection = session->connection;
    memcpy(step->rollout, node->lock.rollout, sizeof(step->rollout));
    snprintf(step->release, sizeof(step->release), "%s", text_of(step, "release"));
    bool migrates = strcmp(request->verb, "migrate") == 0;
    snprintf(step->step_name, sizeof(step->step_name), "%s%.48s",
             !migrates ? "" : *text_of(step, "down") ? "unmigrate." : "migrate.",
             *text_of(step, "name") ? text_of(step, "name") : request->verb);
    const char *limit = model_request_get(request, "timeout_ms");
    step->limit_ms = limit ? strtoll(limit, NULL, 10) : limit_ms;
    if (recorded)
        session->busy = step;
    node_after(node, 1, supervise, step);
}

void step_cancel(struct model_session *session, const struct model_request *request)
{
    const char *target = model_request_get(request, "target");
    uint32_t id = target ? (uint32_t)strtoul(target, NULL, 10) : 0;
    for (struct model_step *step = session->node->steps; step; step = step->next)
        if (step->session == session && step->request->id == id && step->supervisor) {
            session_reply(session, request, "ok", "step %" PRIu32 " is being ended", id);
            if (step->leader)
                end_late(step, "cancelled");
            else if (!step->killed_at && !*step->status)
                snprintf(step->late, sizeof(step->late), "cancelled");
            return;
        }
    session_reply(session, request, "ok", "step %" PRIu32 " does not run", id);
}

/* --- settle --- */

struct settling {
    struct model_session *session;
    struct model_step *victim;
    int64_t since;
    int tries;
    bool facts;
    struct model_request request; /* its id and verb alone */
};

static void end_of_lost(struct model_node *node, const char *how)
{
    struct model_record *record = &node->record;
    char sentence[120];
    if (record->ended && strcmp(record->end, "ok") == 0)
        return;
    record->ended = false;
    snprintf(sentence, sizeof(sentence), "%s of an earlier session was %s", record->verb, how);
    record_end(record, how, sentence);
    node_journal(node, node->lock.generation, node->lock.rollout, record->verb, "end", "-", how, sentence);
}

static void settle_said(struct settling *settling)
{
    struct model_session *session = settling->session;
    struct model_node *node = session->node;
    const struct model_record *record = &node->record;
    session_text(session, &settling->request, "last_token", record->any ? record->token : "-");
    session_text(session, &settling->request, "last_verb", record->any ? record->verb : "-");
    session_text(session, &settling->request, "last_state", record->ended ? record->end : "none");
    if (node->timer.any && node->timer.generation == node->lock.generation && *node->reverted)
        session_text(session, &settling->request, "reverted", node->reverted);
    session->settling = false;
    node->settled_connection = session->connection;
    node_happened(node, MODEL_SETTLED, NULL);
    if (settling->facts) {
        struct strbuf lines;
        strbuf_init(&lines, MODEL_TEXT * 2);
        say_facts(node, &lines);
        session_lines(session, &settling->request, &lines);
        strbuf_release(&lines);
    }
    session_reply(session, &settling->request, "ok", "settled");
    free(settling);
}

static void settle_ended(void *context)
{
    struct settling *settling = context;
    end_of_lost(settling->session->node, "killed");
    settle_said(settling);
}

static void settle_fails(struct settling *settling, const char *why)
{
    settling->session->settling = false;
    session_reply(settling->session, &settling->request, "failed", "%s", why);
    free(settling);
}

/* The supervisor may know the end better, unless it is held up. */
static void settle_waits_for_word(void *context)
{
    struct settling *settling = context;
    struct model_node *node = settling->session->node;
    if (settling->victim->supervisor && !node->record.ended && settling->tries++ < 10)
        node_after(node, 100, settle_waits_for_word, settling);
    else
        settle_ended(settling);
}

static void settle_waits(void *context)
{
    struct settling *settling = context;
    struct model_node *node = settling->session->node;
    if (!settling->victim->leader) {
        settling->tries = 0;
        settle_waits_for_word(settling);
    } else if (clock_now() - settling->since >= STUCK_MS) {
        session_value(settling->session, &settling->request, "unended", "%" PRIu32, settling->victim->pid);
        settle_fails(settling, "process group cannot be ended");
    } else {
        node_after(node, 100, settle_waits, settling);
    }
}

static void settle(void *context)
{
    struct settling *settling = context;
    struct model_session *session = settling->session;
    struct model_node *node = session->node;
    enum record_state state = record_state(node);
    if (state == RECORD_RUNNING && strcmp(node->record.verb, "revert") == 0 && settling->tries++ < 75) {
        node_after(node, 200, settle, settling);
    } else if (state == RECORD_RUNNING && strcmp(node->record.verb, "migrate") == 0 && step_of_record(node)->begun) {
        settle_fails(settling, "a migration of an earlier session still runs on this node; wait for its end");
    } else if (state == RECORD_RUNNING) {
        settling->victim = step_of_record(node);
        settling->since = clock_now();
        if (settling->victim->leader)
            end_group(settling->victim);
        settle_waits(settling);
    } else {
        if (state == RECORD_LOST)
            end_of_lost(node, "lost");
        settle_said(settling);
    }
}

void settle_start(struct model_session *session, const struct model_request *request)
{
    struct model_node *node = session->node;
    const char *fence = model_request_get(request, "fence");
    if (fence) {
        if (!check_fence(session, request))
            return;
    } else if (lock_state(node) == LOCK_HELD) {
        describe_holder(session, request);
        session_reply(session, request, "refused", "locked by %s", node->lock.holder);
        return;
    }
    if (is_busy(session, request))
        return;
    if (fence)
        node->lock.epoch = request_number(request, "epoch");
    session->settling = true;
    struct settling *settling = malloc(sizeof(*settling));
    settling->session = session;
    settling->victim = NULL;
    settling->tries = 0;
    const char *facts = model_request_get(request, "facts");
    settling->facts = facts && strcmp(facts, "yes") == 0;
    settling->request.id = request->id;
    memcpy(settling->request.verb, request->verb, sizeof(request->verb));
    node_after(node, 1, settle, settling);
}

/* --- the confirm timer --- */

static void timer_due(void *context);

struct due {
    struct model_node *node;
    uint32_t number;
};

bool timer_is_reverting(const struct model_node *node)
{
    const struct model_timer *timer = &node->timer;
    return timer->any && timer->end == TIMER_REVERTING && !timer->done && timer->boot == node->boot;
}

void timer_disarm(struct model_node *node)
{
    node->reverted[0] = '\0';
    slot_forget_keep(node);
    if (node->timer.any && node->timer.end == TIMER_RUNS)
        node->timer.end = TIMER_SUPERSEDED;
}

bool timer_arm(struct model_step *step)
{
    struct model_node *node = step->node;
    const char *previous = text_of(step, "previous");
    timer_disarm(node);
    if (!*previous)
        previous = *node->current ? node->current : "-";
    if (strcmp(previous, step->release) == 0)
        return true;
    struct model_release *back = model_find_release(node, previous);
    if (!none(previous) && (!back || !release_complete(back))) {
        step_said(step, "failed", "confirm: release %s, to go back to, is not complete on this node", previous);
        return false;
    }
    node->timer = (struct model_timer){.any = true,
                                       .number = ++node->timers,
                                       .boot = node->boot,
                                       .generation = step->generation,
                                       .connection = step->session ? step->session->connection : 0,
                                       .seconds = strtoll(text_of(step, "confirm"), NULL, 10)};
    node->timer.until_s = model_uptime_s(node) + node->timer.seconds;
    memcpy(node->timer.rollout, step->rollout, sizeof(step->rollout));
    memcpy(node->timer.release, step->release, sizeof(step->release));
    snprintf(node->timer.previous, sizeof(node->timer.previous), "%s", previous);
    node_journal(node, step->generation, step->rollout, "confirm", "begin", step->release, "-", "");
    struct due *due = malloc(sizeof(*due));
    *due = (struct due){node, node->timer.number};
    node_after(node, node->timer.seconds * 1000 + 500, timer_due, due);
    return true;
}

void timer_confirm(struct model_session *session, const struct model_request *request)
{
    struct model_node *node = session->node;
    struct model_timer *timer = &node->timer;
    const char *release = model_request_get(request, "release");
    if (!check_fence(session, request))
        return;
    if (!timer->any || timer->generation != node->lock.generation || strcmp(timer->release, release ? release : "") != 0) {
        bool current = release && *release && strcmp(node->current, release) == 0;
        session_reply(session, request, current ? "ok" : "refused",
                      current ? "no timer runs for release %s" : "release %s is not current; there is nothing to confirm",
                      release ? release : "");
        return;
    }
    if (timer->connection == session->connection) {
        session_reply(session, request, "refused", "the connection that activated a release cannot confirm it; use a new one");
        return;
    }
    if (timer->end == TIMER_RUNS)
        timer->end = TIMER_CONFIRMED;
    if (timer->end == TIMER_REVERTING) {
        if (*node->reverted)
            session_text(session, request, "reverted", node->reverted);
        session_reply(session, request, "refused", "it was too late");
    } else if (timer->end == TIMER_SUPERSEDED) {
        session_reply(session, request, "refused", "the timer was ended by another activation");
    } else {
        node_journal(node, node->lock.generation, node->lock.rollout, "confirm", "end", release, "ok",
                     "confirmed over a new connection");
        session_reply(session, request, "ok", "release %s is confirmed", release);
    }
}

struct reverting {
    struct model_node *node;
    struct model_step *step;
};

static void reverted(void *context)
{
    struct reverting *reverting = context;
    struct model_node *node = reverting->node;
    struct model_timer *timer = &node->timer;
    if (reverting->step->supervisor) {
        node_after(node, 100, reverted, reverting);
        return;
    }
    if (strcmp(reverting->step->status, "refused") == 0) {
        timer->end = TIMER_RUNS;
        struct due *due = malloc(sizeof(*due));
        *due = (struct due){node, timer->number};
        node_after(node, 1000, timer_due, due);
    } else {
        snprintf(node->reverted, sizeof(node->reverted), "%lld %s %s %s %s back", (long long)node_epoch(node), timer->release,
                 timer->previous, timer->rollout, reverting->step->status);
        timer->done = true;
        node_happened(node, MODEL_REVERTED, reverting->step);
    }
    free(reverting);
}

static void revert(void *context)
{
    struct model_node *node = context;
    struct model_timer *timer = &node->timer;
    struct model_step *running = step_of_record(node);
    if (running && !node->record.ended && running->leader) {
        end_group(running);
        node_after(node, 200, revert, node);
        return;
    }
    if (node->record.any && !node->record.ended)
        end_of_lost(node, "killed");
    struct model_step *step = make_step(node);
    struct reverting *reverting = malloc(sizeof(*reverting));
    *reverting = (struct reverting){node, step};
    step->recorded = step->reverts = true;
    step->generation = timer->generation;
    memcpy(step->rollout, timer->rollout, sizeof(step->rollout));
    memcpy(step->release, timer->previous, sizeof(step->release));
    step->request = calloc(1, sizeof(*step->request));
    snprintf(step->request->verb, sizeof(step->request->verb), "revert");
    snprintf(step->step_name, sizeof(step->step_name), "revert");
    node_after(node, 1, supervise, step);
    node_after(node, 100, reverted, reverting);
}

static void timer_due(void *context)
{
    struct due *due = context;
    struct model_node *node = due->node;
    struct model_timer *timer = &node->timer;
    bool there = strcmp(node->current, timer->release) == 0 ||
                 strcmp(*node->current ? node->current : "-", timer->previous) == 0;
    if (timer->number != due->number || timer->end != TIMER_RUNS || !there) {
        free(due);
    } else if (lock_state(node) == LOCK_HELD && node->lock.generation != timer->generation) {
        node_after(node, 1000, timer_due, due);
    } else {
        free(due);
        timer->end = TIMER_REVERTING;
        revert(node);
    }
}
