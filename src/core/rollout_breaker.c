#include "rollout_internal.h"

static void tell_change(struct rollout *rollout, const struct walker *walker,
                        enum breaker_state before)
{
    if (walker->breaker.state != before)
        rollout_note(rollout, NOTE_BREAKER, walker->node, (int)walker->breaker.state);
}

static bool counts(const struct rollout *rollout, const struct walker *walker, enum step_kind kind)
{
    return walker->node != NO_NODE && step_rules[kind].connected &&
           !walker_on_runner(rollout, walker);
}

/* Until the trial, or what the time brings to a gate or bake before it. */
static void wait_for_trial(struct rollout *rollout, struct walker *walker, int64_t trial_at)
{
    int64_t verdict_at = walker_verdict_at(rollout, walker);

    walker->wake_at = trial_at;
    if (walker->watching && verdict_at > rollout->now && verdict_at < trial_at)
        walker->wake_at = verdict_at;
    walker_set(rollout, walker, walker->watching ? WALK_WATCHING : WALK_WAITING);
}

bool breaker_holds(struct rollout *rollout, struct walker *walker, enum step_kind kind)
{
    const struct breaker_rules *rules = &rollout->config.breaker;
    enum breaker_state before = walker->breaker.state;

    if (!counts(rollout, walker, kind) || before == BREAKER_HALF_OPEN)
        return false;
    if (breaker_allows(&walker->breaker, rules, rollout->now)) {
        tell_change(rollout, walker, before);
        return false;
    }
    if (walker->track == TRACK_RELEASE)
        walker_rest(rollout, walker);
    else
        wait_for_trial(rollout, walker,
                       breaker_allows_at(&walker->breaker, rules, rollout->now));
    return true;
}

void breaker_heard(struct rollout *rollout, struct walker *walker, enum done_status status)
{
    enum breaker_state before = walker->breaker.state;
    bool unhealthy = (walker->flying == STEP_PROBE || walker->flying == STEP_READY) &&
                     status == DONE_FAILED;

    if (!counts(rollout, walker, walker->flying))
        return;
    if (status != DONE_OK && status != DONE_REFUSED && !unhealthy)
        breaker_failed(&walker->breaker, &rollout->config.breaker, rollout->now);
    else if (walker->flying != STEP_CONNECT)
        breaker_succeeded(&walker->breaker);
    walker->trial_failed =
        before == BREAKER_HALF_OPEN && walker->breaker.state == BREAKER_OPEN;
    tell_change(rollout, walker, before);
}
