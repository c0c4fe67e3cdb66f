#include "world.h"

#include <inttypes.h>
#include <stdio.h>

static const char *name_of(char out[24], size_t node)
{
    if (node == NO_NODE)
        snprintf(out, 24, "runner");
    else
        snprintf(out, 24, "web%zu", node + 1);
    return out;
}

void story_say(struct world *world, const char *format, ...)
{
    va_list arguments;

    if (!world->story || !world->telling)
        return;
    strbuf_addf(world->story, "%4" PRId64 ".%03d ", world->now / 1000, (int)(world->now % 1000));
    va_start(arguments, format);
    strbuf_addf_va(world->story, format, arguments);
    va_end(arguments);
    strbuf_addc(world->story, '\n');
}

static const char *status_name(enum done_status status)
{
    static const char *const names[] = {"ok",        "failed",  "timed out",
                                        "cancelled", "refused", "unreachable", "undecided"};

    return names[status];
}

static void tell_answer(struct world *world, const struct event *event)
{
    const struct record *last =
        &world->ledgers[event->node == NO_NODE ? world->plan->node_count : event->node].last;
    char name[24];

    if (last->action.id != event->action_id)
        story_say(world, "(%s: an answer to action %u, which is over)", name_of(name, event->node),
                  event->action_id);
    else if (event->status != DONE_OK && last->action.step != STEP_PROBE)
        story_say(world, "%s %s: %s%s", name_of(name, event->node), step_name(last->action.step),
                  status_name(event->status), event->retryable ? ", may be tried again" : "");
}

void story_event(struct world *world, const struct event *event)
{
    char name[24];

    if (!world->story)
        return;
    switch (event->kind) {
    case EVENT_DONE:
        tell_answer(world, event);
        break;
    case EVENT_LOST:
        story_say(world, "%s connection lost", name_of(name, event->node));
        break;
    case EVENT_INTERRUPT:
        story_say(world, "interrupted");
        break;
    case EVENT_LEASE_LOST:
        story_say(world, "lease lost");
        break;
    case EVENT_PAUSE:
        story_say(world, "to be paused");
        break;
    case EVENT_ABORT:
        story_say(world, "to be aborted");
        break;
    case EVENT_START:
    case EVENT_TICK:
        break;
    }
}

static void tell_note(struct world *world, const struct note *note)
{
    char name[24];

    name_of(name, note->node);
    switch (note->kind) {
    case NOTE_STATE:
        story_say(world, "-- %s", rollout_state_name((enum rollout_state)note->value));
        break;
    case NOTE_WAVE:
        story_say(world, "wave %d", note->value + 1);
        break;
    case NOTE_PHASE:
        break;
    case NOTE_PROBE:
        if (world->plan->tell_probes)
            story_say(world, "%s probe %s", name, note->value ? "good" : "bad");
        break;
    case NOTE_RETRY:
        story_say(world, "%s tries again in %" PRId64 " ms", name, note->delay_ms);
        break;
    case NOTE_TROUBLE:
        story_say(world, "%s trouble: %s", name, node_trouble_name((enum node_trouble)note->value));
        break;
    case NOTE_OUTCOME:
        story_say(world, "%s is %s", name, node_outcome_name((enum node_outcome)note->value));
        break;
    case NOTE_BUDGET_SPENT:
        story_say(world, "budget spent: %s", spend_reason_name((enum spend_reason)note->value));
        break;
    case NOTE_DEFERRED:
        story_say(world, "%s leads: goes last", name);
        break;
    case NOTE_BLOCKED:
        story_say(world, "blocked: no node may be taken out of service");
        break;
    case NOTE_BREAKER:
        story_say(world, "%s breaker %s", name,
                  breaker_state_name((enum breaker_state)note->value));
        break;
    case NOTE_MIGRATION:
        story_say(world, "migration %zu %s", note->migration + 1,
                  migration_state_name((enum migration_state)note->value));
        break;
    case NOTE_RESULT:
        story_say(world, "result: %s", rollout_result_name((enum rollout_result)note->value));
        break;
    }
}

static void tell_action(struct world *world, const struct action *action)
{
    char name[24], hook[32] = "";
    const char *release = "";

    if (action->step == STEP_PROBE && !world->plan->tell_probes)
        return;
    if (action->step == STEP_HOOK)
        snprintf(hook, sizeof(hook), " %zu", action->hook + 1);
    if (action->step == STEP_BACKUP || action->step == STEP_MIGRATE ||
        action->step == STEP_UNMIGRATE)
        snprintf(hook, sizeof(hook), " %zu", action->migration + 1);
    if (action->step == STEP_ACTIVATE)
        release = action->release == RELEASE_TARGET ? " target" : " previous";
    if (action->step == STEP_SHIFT)
        snprintf(hook, sizeof(hook), " to %u.%u%%", action->share / 10, action->share % 10);
    if (action->step == STEP_RELEASE)
        snprintf(hook, sizeof(hook), " (%s)", rollout_result_name(action->result));
    story_say(world, "%s %s%s%s%s", name_of(name, action->node),
              action->kind == ACTION_CANCEL ? "cancel " : "> ", step_name(action->step), release,
              hook);
}

/* Notes first: they say why the actions are sent. */
void story_update(struct world *world, const struct update *update)
{
    if (!world->story)
        return;
    for (size_t i = 0; i < update->note_count; i++) {
        const struct note *note = &update->notes[i];

        if (note->kind == NOTE_STATE && note->value >= (int)world->plan->tell_from)
            world->telling = true;
        tell_note(world, note);
    }
    for (size_t i = 0; i < update->action_count; i++)
        tell_action(world, &update->actions[i]);
}
