/* Balancers that did not answer: which are asked again and when, which wait for their breaker's trial. Each order says how a server is to
 * stand and is followed by a look, so that it is safe to repeat. Asks nobody. */
#include "balancer_internal.h"

static struct lane *lane_of(const struct task *task, const struct leg *leg)
{
    return &task->balancers->lanes[leg->front];
}

/* What brings a node back into the traffic is never given up because a breaker is open. What an undo takes out is still in, so that one
 * trial that was waited for is enough for all of them. */
static bool waits(const struct task *task, const struct leg *leg)
{
    bool brings_back = task->wish == BALANCER_IN || task->stage == STAGE_PUT_BACK;
    if (task->stopped || leg->waited)
        return false;
    return brings_back || (task->owed && (task->wish == BALANCER_SHIFT || !lane_of(task, leg)->in_vain));
}

int64_t trial_limit_ms(const struct balancers *balancers)
{
    int64_t cool_down_ms = balancers->fleet->playbook->breaker.cool_down_ms;
    return cool_down_ms < TRIAL_WAIT_MS ? cool_down_ms : TRIAL_WAIT_MS;
}

static bool await_trial(const struct task *task, struct leg *leg, int64_t now)
{
    struct lane *lane = lane_of(task, leg);
    int64_t at = dependency_allows_at(lane->guard), latest = now + TRIAL_WAIT_MS;
    lane->in_vain = lane->in_vain || leg->waited;
    if (!waits(task, leg))
        return false;
    leg->waited = true;
    leg->again_ms = at < latest ? at : latest;
    return true;
}

static bool plan(const struct task *task, struct leg *leg, int64_t now)
{
    struct retries *retries = &task->balancers->fleet->retries;
    struct dependency *guard = lane_of(task, leg)->guard;
    int64_t delay_ms;
    if (leg->error.code != ERR_UNREACHABLE && leg->error.code != ERR_PROTOCOL)
        return false;
    if (dependency_state(guard) != BREAKER_CLOSED)
        return await_trial(task, leg, now);
    if (leg->tries++ == 0)
        leg->ends_ms = now + RELOAD_MS;
    if (retries_take(retries, leg->tries, leg->ends_ms - now, &delay_ms)) {
        leg->again_ms = now + delay_ms;
        return true;
    }
    dependency_failed(guard, &leg->error);
    return false;
}

bool task_ask_again(struct task *task)
{
    int64_t now = loop_now_ms(task->balancers->fleet->loop), soonest = INT64_MAX;
    for (size_t i = 0; i < task->balancers->count; i++) {
        struct leg *leg = &task->legs[i];
        if (!leg->error.code)
            continue;
        if (leg->again_ms <= now && !plan(task, leg, now))
            return false;
        soonest = leg->again_ms < soonest ? leg->again_ms : soonest;
    }
    task_ask_failed_in(task, soonest > now ? soonest - now : 0);
    return true;
}

bool task_waits_for_trial(const struct task *task)
{
    for (size_t i = 0; task->pause && i < task->balancers->count; i++)
        if (task->legs[i].error.code && task->legs[i].waited)
            return true;
    return false;
}
