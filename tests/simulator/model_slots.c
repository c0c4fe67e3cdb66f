/* Slots on a node: what node.sh's activate, stop, commit, retract and keep_old do in one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

static const char *const names[MODEL_SLOTS] = {"blue", "green"};

struct model_slot *slot_of(struct model_node *node, const struct model_request *request)
{
    const char *name = model_request_get(request, "slot");
    for (size_t i = 0; name && i < MODEL_SLOTS; i++)
        if (strcmp(names[i], name) == 0)
            return &node->slots[i];
    return NULL;
}

size_t slot_index(const struct model_node *node, const struct model_slot *slot)
{
    return (size_t)(slot - node->slots);
}

/* As far as the node's program knows: it has started it in this boot. */
static bool runs(const struct model_node *node, const struct model_slot *slot)
{
    return slot->started == node->boot;
}

static bool complete(struct model_node *node, const char *id)
{
    const struct model_release *release = model_find_release(node, id);
    return release && release_complete(release);
}

static void remember(struct model_slot *slot)
{
    if (slot->uncommitted)
        return;
    slot->uncommitted = true;
    memcpy(slot->before, slot->release, sizeof(slot->before));
}

static void stop_instance(struct model_node *node, struct model_slot *slot, const struct model_step *step)
{
    bool ran = *slot->process != '\0';
    slot->started = 0;
    slot->process[0] = '\0';
    node->stopped_slot = slot_index(node, slot);
    if (ran)
        node_happened(node, MODEL_SLOT_STOPS, step);
}

static void start_instance(struct model_step *step, struct model_slot *slot, const char *again)
{
    if (step->fails) {
        step_said(step, "failed", "start: exit status 1");
        return;
    }
    memcpy(slot->process, slot->release, sizeof(slot->process));
    slot->since = clock_now();
    step_said(step, "ok", "release %s runs in slot %s%s", slot->release, names[slot_index(step->node, slot)], again);
}

void lead_activate_slot(struct model_step *step, struct model_slot *slot)
{
    struct model_node *node = step->node;
    if (step->part == 1) {
        if (!complete(node, step->release)) {
            step_said(step, "failed", "release %s is not complete on this node; stage it first", step->release);
            return;
        }
        step_text(step, "was", *slot->release ? slot->release : "-");
        timer_disarm(node);
        bool there = strcmp(slot->release, step->release) == 0 && runs(node, slot);
        remember(slot);
        if (there) {
            step_text(step, "running", "yes");
            step_said(step, "ok", "release %s runs in slot %s already", step->release, names[slot_index(node, slot)]);
        } else if (slot->started) {
            stop_instance(node, slot, step);
        }
    } else if (step->part == 2) {
        snprintf(slot->release, sizeof(slot->release), "%s", step->release);
        step_text(step, "switched", "yes");
        slot->started = node->boot;
        slot->process[0] = '\0';
        node_happened(node, MODEL_SWITCHED, step);
    } else {
        start_instance(step, slot, "");
    }
}

/* Stopped, and linking what it did before an activation that nobody committed. */
void lead_stop_slot(struct model_step *step, struct model_slot *slot)
{
    struct model_node *node = step->node;
    if (step->part == 1) {
        if (!step->reverts)
            timer_disarm(node);
        stop_instance(node, slot, step);
        return;
    }
    if (slot->uncommitted)
        memcpy(slot->release, slot->before, sizeof(slot->release));
    if (*slot->release && !complete(node, slot->release))
        slot->release[0] = '\0';
    slot->uncommitted = false;
    step_said(step, "ok", "slot %s is stopped", names[slot_index(node, slot)]);
}

/* False when it was said why not. */
bool slot_commits(struct model_step *step, struct model_slot *slot)
{
    struct model_node *node = step->node;
    if (strcmp(slot->release, step->release) != 0) {
        step_said(step, "failed", "slot %s links release %s, not %s", names[slot_index(node, slot)],
                  *slot->release ? slot->release : "none", step->release);
        return false;
    }
    snprintf(node->current, sizeof(node->current), "%s", step->release);
    snprintf(node->live_slot, sizeof(node->live_slot), "%s %" PRId64, names[slot_index(node, slot)], node_epoch(node));
    slot->uncommitted = false;
    return true;
}

void slot_note_before(struct model_step *step, struct model_before *before)
{
    struct model_slot *slot = slot_of(step->node, step->request);
    before->in_slot = slot != NULL;
    if (!slot)
        return;
    before->slot = slot_index(step->node, slot);
    memcpy(before->linked, slot->uncommitted ? slot->before : slot->release, sizeof(before->linked));
    memcpy(before->live, step->node->live_slot, sizeof(before->live));
    memcpy(before->current, step->node->current, sizeof(before->current));
}

void slot_retracts(struct model_node *node, const struct model_before *before)
{
    if (!before->in_slot)
        return;
    struct model_slot *slot = &node->slots[before->slot];
    slot->uncommitted = true;
    memcpy(slot->before, before->linked, sizeof(slot->before));
    memcpy(node->live_slot, before->live, sizeof(node->live_slot));
    memcpy(node->current, before->current, sizeof(node->current));
}

void say_slots(struct model_node *node, struct strbuf *out)
{
    if (!node->has_slots)
        return;
    if (*node->live_slot)
        lines_text(out, "live_slot", node->live_slot);
    for (size_t i = 0; i < MODEL_SLOTS; i++) {
        const struct model_slot *slot = &node->slots[i];
        char left[24] = "-";
        if (node->keep.any && node->keep.slot == i && node->keep.boot == node->boot)
            snprintf(left, sizeof(left), "%" PRId64,
                     node->keep.until_s > model_uptime_s(node) ? node->keep.until_s - model_uptime_s(node) : 0);
        lines_value(out, "slot", "%s %s %s %s %s", names[i], *slot->release ? slot->release : "-",
                   runs(node, slot) ? "running" : "stopped",
                   !slot->uncommitted ? "committed"
                   : *slot->before    ? slot->before
                                      : "-",
                   left);
    }
}

/* --- keep_old --- */

struct keeping {
    struct model_node *node;
    uint32_t number;
};

/* Waits for whoever holds the lock, and for what still runs. */
static void keep_due(void *context)
{
    struct keeping *keeping = context;
    struct model_node *node = keeping->node;
    struct model_keep *keep = &node->keep;
    if (!keep->any || keep->number != keeping->number) {
        free(keeping);
        return;
    }
    if (lock_state(node) == LOCK_HELD || record_state(node) == RECORD_RUNNING) {
        node_after(node, 1000, keep_due, keeping);
        return;
    }
    free(keeping);
    keep->any = false;
    stop_instance(node, &node->slots[keep->slot], NULL);
}

void slot_forget_keep(struct model_node *node)
{
    node->keep.any = false;
}

static void arm_keep(struct model_step *step, struct model_slot *slot, int64_t seconds)
{
    struct model_node *node = step->node;
    struct keeping *keeping = malloc(sizeof(*keeping));
    node->keep = (struct model_keep){.any = true,
                                     .number = ++node->timers,
                                     .boot = node->boot,
                                     .slot = slot_index(node, slot),
                                     .until_s = model_uptime_s(node) + seconds};
    *keeping = (struct keeping){node, node->keep.number};
    node_after(node, seconds * 1000 + 500, keep_due, keeping);
}

void lead_keep_old(struct model_step *step, struct model_slot *slot)
{
    struct model_node *node = step->node;
    const char *seconds = model_request_get(step->request, "seconds"), *name = names[slot_index(node, slot)];
    timer_disarm(node);
    if (!seconds && runs(node, slot)) {
        step_said(step, "ok", "slot %s runs on", name);
    } else if (!seconds && !complete(node, slot->release)) {
        step_said(step, "failed", "slot %s links no release that could be started", name);
    } else if (!seconds) {
        slot->started = node->boot;
        start_instance(step, slot, " again");
    } else if (!runs(node, slot)) {
        step_said(step, "ok", "slot %s does not run", name);
    } else {
        arm_keep(step, slot, strtoll(seconds, NULL, 10));
        step_said(step, "ok", "slot %s is stopped in %s s", name, seconds);
    }
}
