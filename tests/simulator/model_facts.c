#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model_internal.h"

bool release_complete(const struct model_release *release)
{
    return release->there && release->manifest;
}

static uint32_t highest(const struct model_node *node)
{
    uint32_t most = 0;
    for (size_t i = 0; i < node->release_count; i++)
        if (node->releases[i].sequence > most)
            most = node->releases[i].sequence;
    return most;
}

bool current_committed(struct model_node *node)
{
    const struct model_release *current = *node->current ? model_find_release(node, node->current) : NULL;
    return current && !current->failed && release_complete(current) && current->sequence &&
           current->sequence == highest(node);
}

struct model_release *find_previous(struct model_node *node)
{
    uint32_t below = current_committed(node) ? highest(node) : UINT32_MAX;
    struct model_release *found = NULL;
    for (size_t i = 0; i < node->release_count; i++) {
        struct model_release *release = &node->releases[i];
        if (strcmp(release->id, node->current) == 0 || release->failed || !release_complete(release) || !release->sequence)
            continue;
        if (release->sequence < below && (!found || release->sequence > found->sequence))
            found = release;
    }
    return found;
}

/* Of a commit that is repeated the first one knows what was before. */
static void note_before(struct model_step *step, const struct model_release *target, const char *kind)
{
    struct model_node *node = step->node;
    struct model_before *before = &node->before;
    if (before->any && strcmp(before->release, target->id) == 0 && text_has_word(node->chain, before->rollout))
        return;
    uint32_t floor = strcmp(kind, "rollback") == 0 && target->sequence ? target->sequence : highest(node), most = 0;
    *before = (struct model_before){.any = true, .was = "-"};
    snprintf(before->rollout, sizeof(before->rollout), "%s", step->rollout);
    snprintf(before->kind, sizeof(before->kind), "%s", kind);
    snprintf(before->release, sizeof(before->release), "%s", target->id);
    slot_note_before(step, before);
    for (size_t i = 0; i < node->release_count; i++) {
        const struct model_release *release = &node->releases[i];
        if (release->sequence > most && !release->failed && release_complete(release)) {
            most = release->sequence;
            snprintf(before->was, sizeof(before->was), "%s", release->id);
        }
        if (!release->sequence || (release != target && release->sequence <= floor))
            continue;
        snprintf(before->good[before->good_count].id, MODEL_NAME, "%s", release->id);
        before->good[before->good_count++].sequence = release->sequence;
    }
}

/* Nobody alters a release here. */
void step_verify(struct model_step *step)
{
    const char *id = *step->release ? step->release : step->node->current;
    const struct model_release *release = model_find_release(step->node, id);
    if (!*id) {
        step_said(step, "failed", "no release is current on this node");
        return;
    }
    step_text(step, "release", id);
    if (!release || !release_complete(release)) {
        step_said(step, "failed", "release %s is not complete on this node", id);
        return;
    }
    step_text(step, "differences", "0");
    step_said(step, "ok", "release %s is as it was staged", id);
}

void step_retract(struct model_step *step)
{
    struct model_node *node = step->node;
    struct model_before *before = &node->before;
    struct model_release *release = model_find_release(node, step->release);
    if (!before->any || strcmp(before->release, step->release) != 0) {
        step_said(step, "ok", "the last commit was not of release %s", step->release);
        return;
    }
    bool was_good = false;
    for (size_t i = 0; i < before->good_count; i++) {
        struct model_release *good = model_find_release(node, before->good[i].id);
        was_good = was_good || good == release;
        if (good && release_complete(good))
            good->sequence = before->good[i].sequence;
    }
    if (release && !was_good)
        release->sequence = 0;
    slot_retracts(node, before);
    before->any = false;
    node_happened(node, MODEL_RETRACTED, step);
    step_said(step, "ok", "the commit of release %s is taken back", step->release);
}

void step_commit(struct model_step *step)
{
    struct model_node *node = step->node;
    struct model_release *release = model_find_release(node, step->release);
    const char *kind = model_request_get(step->request, "kind");
    if (!release || !release_complete(release)) {
        step_said(step, "failed", "release %s is not complete on this node", step->release);
        return;
    }
    struct model_slot *slot = slot_of(node, step->request);
    if (!slot && strcmp(node->current, step->release) != 0) {
        step_said(step, "failed", "current links release %s, not %s", *node->current ? node->current : "none", step->release);
        return;
    }
    note_before(step, release, kind ? kind : "rollout");
    if (slot && !slot_commits(step, slot))
        return;
    if (kind && strcmp(kind, "rollback") == 0 && release->sequence) {
        for (size_t i = 0; i < node->release_count; i++)
            if (node->releases[i].sequence > release->sequence)
                node->releases[i].sequence = 0;
    } else {
        release->sequence = highest(node) + 1;
    }
    release->failed = 0;
    node_happened(node, MODEL_COMMITTED, step);
    step_said(step, "ok", "release %s is good", step->release);
}

static const char *release_word(const struct model_release *release)
{
    return !release_complete(release) ? "incomplete" : release->failed ? "failed" : release->sequence ? "good" : "staged";
}

static int by_sequence(const void *a, const void *b)
{
    const struct model_release *one = *(const struct model_release *const *)a, *two = *(const struct model_release *const *)b;
    if (one->sequence != two->sequence)
        return one->sequence < two->sequence ? -1 : 1;
    return strcmp(one->id, two->id);
}

static void say_releases(struct model_node *node, struct strbuf *out)
{
    const struct model_release *sorted[MODEL_RELEASES], *previous = find_previous(node);
    size_t count = 0;
    lines_text(out, "current", *node->current ? node->current : "-");
    lines_text(out, "current_state", *node->current ? "ok" : "none");
    lines_text(out, "current_good", current_committed(node) ? "yes" : "no");
    lines_text(out, "previous", previous ? previous->id : "-");
    for (size_t i = 0; i < node->release_count; i++)
        if (node->releases[i].there)
            sorted[count++] = &node->releases[i];
    qsort(sorted, count, sizeof(*sorted), by_sequence);
    for (size_t i = 0; i < count; i++)
        lines_value(out, "release", "%s %s", sorted[i]->id, release_word(sorted[i]));
    const struct model_before *before = &node->before;
    if (before->any)
        lines_value(out, "committed", "%s %s %s %s", before->release, before->rollout, before->kind, before->was);
    if (*node->chain)
        lines_text(out, "chain", node->chain);
    if (*node->unsettled)
        lines_text(out, "unsettled", node->unsettled);
    if (*node->service)
        lines_text(out, "service", node->service);
}

static void say_lock(struct model_node *node, struct strbuf *out)
{
    static const char *const words[] = {"free", "held", "expired"};
    enum lock_state state = lock_state(node);
    lines_text(out, "lock", words[state]);
    lines_text(out, "lock_expired", state == LOCK_EXPIRED ? "yes" : "no");
    if (state == LOCK_FREE)
        return;
    int64_t age = lock_age_s(node);
    lines_text(out, "lock_holder", node->lock.holder);
    lines_text(out, "lock_rollout", node->lock.rollout);
    if (*node->lock.runner)
        lines_text(out, "lock_runner", node->lock.runner);
    lines_value(out, "lock_generation", "%" PRIu64, node->lock.generation);
    lines_value(out, "lock_age", "%" PRId64, age < 0 ? 0 : age);
    lines_value(out, "lock_ttl", "%" PRId64, node->lock.ttl_s);
}

/* `held after N of M waves` at a line's end is where a held run stands. */
static bool held_after(const struct model_journal_line *line, char *out, size_t size)
{
    const char *words = strstr(line->sentence, "held after ");
    unsigned passed, all;
    if (strcmp(line->mark, "held") != 0 || !words || sscanf(words, "held after %u of %u waves", &passed, &all) != 2)
        return false;
    snprintf(out, size, "held_after_%u_of_%u_waves", passed, all);
    return true;
}

/* A run in the journal, as far as it was read. */
struct open_line {
    const struct model_journal_line *begin; /* NULL: none */
    char last[MODEL_NAME], limit[80];
    bool unproven;
};

static bool is_of(const struct model_journal_line *line, const struct open_line *open)
{
    return open->begin && strcmp(line->rollout, open->begin->rollout) == 0;
}

/* Of a run that has locked the node only to keep others away, nothing counts here. */
static bool is_outside(const struct model_node *node, const struct model_journal_line *line)
{
    for (const struct model_journal_line *at = node->journal; at <= line; at++)
        if (strcmp(at->step, "rollout") == 0 && strcmp(at->mark, "begin") == 0 && strcmp(at->status, "outside") == 0 &&
            strcmp(at->rollout, line->rollout) == 0)
            return true;
    return false;
}

static void say_open_run(const struct open_line *open, const char *key, struct strbuf *out)
{
    lines_value(out, key, "%s %s %s %s", open->begin->rollout, open->last, open->begin->release, open->begin->status);
}

static void take_rollout_line(const struct model_journal_line *line, struct open_line *open, struct open_line *was)
{
    bool ours = is_of(line, open);
    if (strcmp(line->mark, "begin") == 0) {
        if (!ours)
            *was = *open;
        *open = (struct open_line){.begin = line, .last = "-", .unproven = open->unproven};
    } else if (ours && strcmp(line->mark, "left") == 0) {
        *open = *was;
    } else if (ours && strcmp(line->mark, "end") == 0) {
        open->begin = NULL;
        open->unproven = false;
    } else if (ours && held_after(line, open->last, sizeof(open->last))) {
        open->unproven = false;
    }
}

static bool is_one_of(const char *word, const char *const *list)
{
    while (*list && strcmp(word, *list) != 0)
        list++;
    return *list != NULL;
}

static void take_step_line(const char *step, struct open_line *open)
{
    static const char *const after_gates[] = {"commit", "retract", "failed", NULL}, *const before[] = {"stage", "unpack", "discard", NULL};
    snprintf(open->last, sizeof(open->last), "%s", step);
    if (is_one_of(step, after_gates))
        open->unproven = false;
    else if (!is_one_of(step, before) && strncmp(step, "migrate.", 8) != 0 && strncmp(step, "unmigrate.", 10) != 0)
        open->unproven = true;
}

/* The last run in the journal, when it has no end; what was open before the one that holds the lock; and the one that ended last. */
static void say_open(struct model_node *node, struct strbuf *out)
{
    struct open_line open = {.last = "-"}, was = {.last = "-"};
    const struct model_journal_line *ended = NULL;
    for (size_t i = 0; i < node->journal_count; i++) {
        const struct model_journal_line *line = &node->journal[i];
        bool rollout = strcmp(line->step, "rollout") == 0;
        if (rollout && is_outside(node, line))
            continue;
        if (rollout)
            take_rollout_line(line, &open, &was);
        else if (is_of(line, &open) && strcmp(line->step, "limit") == 0)
            memcpy(open.limit, line->sentence, sizeof(open.limit));
        else if (is_of(line, &open) && strcmp(line->mark, "note") != 0)
            take_step_line(line->step, &open);
        if (rollout && strcmp(line->mark, "begin") != 0 && strcmp(line->mark, "break") != 0)
            ended = line;
    }
    bool held = lock_state(node) == LOCK_HELD;
    if (open.begin)
        say_open_run(&open, "open_rollout", out);
    if (open.begin && *open.limit)
        lines_text(out, "open_limit", open.limit);
    if (open.begin && open.unproven)
        lines_text(out, "unproven", "yes");
    if (open.begin && was.begin && held && strcmp(node->lock.rollout, open.begin->rollout) == 0)
        say_open_run(&was, "open_before", out);
    if (ended)
        lines_value(out, "ended_rollout", "%s %s %s", ended->rollout, ended->status, ended->sentence);
}

void say_facts(struct model_node *node, struct strbuf *out)
{
    const struct model_timer *timer = &node->timer;
    lines_value(out, "now", "%" PRId64, node_epoch(node));
    lines_value(out, "uptime", "%" PRId64, model_uptime_s(node));
    say_releases(node, out);
    lines_text(out, "disk_free", "1000000000");
    lines_text(out, "disk_total", "2000000000");
    lines_text(out, "inodes_free", "1000000");
    lines_text(out, "writable", "yes");
    lines_text(out, "sudo", "ok");
    say_lock(node, out);
    say_open(node, out);
    say_slots(node, out);
    if (timer->any && timer->end == TIMER_RUNS && timer->boot == node->boot)
        lines_value(out, "confirm", "armed %" PRId64 " %s %s",
                   timer->until_s > model_uptime_s(node) ? timer->until_s - model_uptime_s(node) : 0, timer->release,
                   timer->previous);
    else if (timer->any && timer->end == TIMER_RUNS)
        lines_value(out, "confirm", "lost 0 %s %s", timer->release, timer->previous);
    if (*node->reverted)
        lines_text(out, "reverted", node->reverted);
    for (size_t i = 0; i < node->migration_count; i++) {
        const struct model_migration *migration = &node->migrations[i];
        lines_value(out, "migration", "%s %s %s %s", migration->name, migration_state_on(node, migration),
                   migration->release, migration->kind);
    }
}

void lead_facts(struct model_step *step)
{
    say_facts(step->node, &step->values);
    step_said(step, "ok", "facts");
}
