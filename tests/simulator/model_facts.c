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
    note_before(step, release, kind ? kind : "rollout");
    struct model_slot *slot = slot_of(node, step->request);
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

static void say_releases(struct model_step *step)
{
    struct model_node *node = step->node;
    const struct model_release *sorted[MODEL_RELEASES], *previous = find_previous(node);
    size_t count = 0;
    step_text(step, "current", *node->current ? node->current : "-");
    step_text(step, "current_state", *node->current ? "ok" : "none");
    step_text(step, "current_good", current_committed(node) ? "yes" : "no");
    step_text(step, "previous", previous ? previous->id : "-");
    for (size_t i = 0; i < node->release_count; i++)
        if (node->releases[i].there)
            sorted[count++] = &node->releases[i];
    qsort(sorted, count, sizeof(*sorted), by_sequence);
    for (size_t i = 0; i < count; i++)
        step_value(step, "release", "%s %s", sorted[i]->id, release_word(sorted[i]));
    const struct model_before *before = &node->before;
    if (before->any)
        step_value(step, "committed", "%s %s %s %s", before->release, before->rollout, before->kind, before->was);
    if (*node->chain)
        step_text(step, "chain", node->chain);
}

static void say_lock(struct model_step *step)
{
    static const char *const words[] = {"free", "held", "expired"};
    struct model_node *node = step->node;
    enum lock_state state = lock_state(node);
    step_text(step, "lock", words[state]);
    step_text(step, "lock_expired", state == LOCK_EXPIRED ? "yes" : "no");
    if (state == LOCK_FREE)
        return;
    int64_t age = model_uptime_s(node) - node->lock.beat_s;
    step_text(step, "lock_holder", node->lock.holder);
    step_text(step, "lock_rollout", node->lock.rollout);
    step_value(step, "lock_generation", "%" PRIu64, node->lock.generation);
    step_value(step, "lock_age", "%" PRId64, age < 0 ? 0 : age);
    step_value(step, "lock_ttl", "%" PRId64, node->lock.ttl_s);
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

/* The last run in the journal, when it has no end; and the one that ended last. */
static void say_open(struct model_step *step)
{
    const struct model_node *node = step->node;
    const struct model_journal_line *open = NULL, *was = NULL, *ended = NULL;
    char last[MODEL_NAME] = "-", was_last[MODEL_NAME] = "-";
    for (size_t i = 0; i < node->journal_count; i++) {
        const struct model_journal_line *line = &node->journal[i];
        bool rollout = strcmp(line->step, "rollout") == 0, ours = open && strcmp(line->rollout, open->rollout) == 0;
        if (rollout && strcmp(line->mark, "begin") == 0) {
            if (!ours) {
                was = open;
                memcpy(was_last, last, sizeof(last));
            }
            open = line;
            snprintf(last, sizeof(last), "-");
        } else if (rollout) {
            if (ours && strcmp(line->mark, "left") == 0) {
                open = was;
                memcpy(last, was_last, sizeof(last));
            } else if (ours && strcmp(line->mark, "end") == 0) {
                open = NULL;
            } else if (ours) {
                held_after(line, last, sizeof(last));
            }
            if (strcmp(line->mark, "break") != 0)
                ended = line;
        } else if (ours && strcmp(line->mark, "note") != 0) {
            snprintf(last, sizeof(last), "%s", line->step);
        }
    }
    if (open)
        step_value(step, "open_rollout", "%s %s %s %s", open->rollout, last, open->release, open->status);
    if (ended)
        step_value(step, "ended_rollout", "%s %s %s", ended->rollout, ended->status, ended->sentence);
}

void say_facts(struct model_step *step)
{
    struct model_node *node = step->node;
    const struct model_timer *timer = &node->timer;
    step_value(step, "now", "%" PRId64, node_epoch(node));
    step_value(step, "uptime", "%" PRId64, model_uptime_s(node));
    say_releases(step);
    step_text(step, "disk_free", "1000000000");
    step_text(step, "disk_total", "2000000000");
    step_text(step, "inodes_free", "1000000");
    step_text(step, "writable", "yes");
    step_text(step, "sudo", "ok");
    say_lock(step);
    say_open(step);
    say_slots(step);
    if (timer->any && timer->end == TIMER_RUNS && timer->boot == node->boot)
        step_value(step, "confirm", "armed %" PRId64 " %s %s",
                   timer->until_s > model_uptime_s(node) ? timer->until_s - model_uptime_s(node) : 0, timer->release,
                   timer->previous);
    else if (timer->any && timer->end == TIMER_RUNS)
        step_value(step, "confirm", "lost 0 %s %s", timer->release, timer->previous);
    if (*node->reverted)
        step_text(step, "reverted", node->reverted);
    for (size_t i = 0; i < node->migration_count; i++) {
        const struct model_migration *migration = &node->migrations[i];
        step_value(step, "migration", "%s %s %s %s", migration->name, migration_state_on(node, migration),
                   migration->release, migration->kind);
    }
    step_said(step, "ok", "facts");
}
