#include "app/queue.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "app/facts.h"
#include "base/random.h"
#include "base/units.h"
#include "core/backoff.h"

#define REQUEST_TIMEOUT_MS 30000
#define SAY_AGAIN_MS 60000
#define LONG_WAIT_MS 120000

/* In the fleet's arena, since signal handlers outlive the wait. */
struct queue {
    const struct queue_order *order;
    struct fleet *fleet;
    struct random random;
    bool *held;
    size_t held_count;
    bool looking_at_all; /* not only at those that were held */
    char holder[400];    /* of the first that is held, in a sentence's words */
    char identity[300];  /* whose lock it is, without times */
    char told[300];      /* whose it was when it was told last */
    int64_t told_ms;
    int signal_number;
    bool sleeping;
};

static void build(void *context, struct session *session, size_t member)
{
    (void)context;
    (void)member;
    session_begin(session, "facts");
}

static bool wanted(void *context, size_t member)
{
    const struct queue *queue = context;
    return queue->looking_at_all || queue->held[member];
}

static void note_holder(struct queue *queue, size_t member, const struct facts *facts)
{
    char since[DURATION_TEXT_MAX];
    const char *rollout = facts->lock_rollout ? facts->lock_rollout : "unknown";
    snprintf(queue->identity, sizeof(queue->identity), "%.150s %.100s", facts->lock_holder, rollout);
    snprintf(queue->holder, sizeof(queue->holder), "%.60s is locked by %.150s, rollout %.64s, for %s",
             queue->fleet->members[member].node->name, facts->lock_holder, rollout,
             duration_format(since, facts_ms(facts->lock_held_s)));
}

/* A node that does not answer is nobody's to wait for: what comes after says why. */
static void answer(void *context, size_t member, const struct reply *reply, const struct err *error)
{
    struct queue *queue = context;
    struct facts facts = {0};
    struct err err;
    bool read = !error && reply->status == REPLY_OK && facts_read(&facts, reply, &err) == 0;
    const char *rollout = queue->order->rollout;
    bool held = read && facts_locked(&facts) &&
                (!rollout || (facts.lock_rollout && strcmp(rollout, facts.lock_rollout) == 0));
    queue->held[member] = held;
    if (held && queue->held_count++ == 0)
        note_holder(queue, member, &facts);
    if (!error && reply->status == REPLY_OK)
        facts_release(&facts);
}

static int look(struct queue *queue, bool at_all)
{
    struct fanout fanout = {
        .forks = queue->order->forks,
        .connect_timeout_ms = queue->fleet->playbook->retry.connect_timeout_ms,
        .request_timeout_ms = REQUEST_TIMEOUT_MS,
        .build = build,
        .answer = answer,
        .wanted = wanted,
        .context = queue,
    };
    queue->looking_at_all = at_all;
    queue->held_count = 0;
    return fleet_ask(queue->fleet, &fanout);
}

static void interrupted(void *context, int signal_number)
{
    struct queue *queue = context;
    if (!queue->sleeping)
        return;
    queue->signal_number = signal_number;
    loop_stop(queue->fleet->loop);
}

static void woken(void *context)
{
    struct queue *queue = context;
    loop_stop(queue->fleet->loop);
}

/* 0, or a signal's number. */
static int sleep_until_next(struct queue *queue, int64_t waited_ms, int64_t left_ms)
{
    const struct backoff_rules rules = {.base_ms = 4000, .max_ms = waited_ms < LONG_WAIT_MS ? 4000 : 1000};
    int64_t delay_ms = 200 + backoff_delay_ms(&rules, 0, &queue->random);
    struct timer *timer =
        timer_start(queue->fleet->loop, delay_ms < left_ms ? delay_ms : left_ms, woken, queue);
    queue->sleeping = true;
    loop_run(queue->fleet->loop);
    queue->sleeping = false;
    if (queue->signal_number)
        timer_stop(timer);
    return queue->signal_number;
}

static void tell(struct queue *queue, int64_t now_ms)
{
    bool news = strcmp(queue->told, queue->identity) != 0;
    if (!queue->order->waiting || (!news && now_ms < queue->told_ms + SAY_AGAIN_MS))
        return;
    queue->told_ms = now_ms;
    snprintf(queue->told, sizeof(queue->told), "%s", queue->identity);
    queue->order->waiting(queue->order->context, queue->holder);
}

static int wait_in_turn(struct queue *queue, struct err *err)
{
    struct loop *loop = queue->fleet->loop;
    int64_t began_ms = loop_now_ms(loop);
    for (bool at_all = true;;) {
        int signal_number = look(queue, at_all);
        int64_t now_ms = loop_now_ms(loop), left_ms = began_ms + queue->order->wait_ms - now_ms;
        if (signal_number || (at_all && !queue->held_count))
            return signal_number;
        /* Once those are free, all are looked at: another may have come meanwhile. */
        at_all = !queue->held_count;
        if (at_all)
            continue;
        if (left_ms <= 0)
            return err_set(err, ERR_REFUSED, "%s; waited for it in vain", queue->holder);
        tell(queue, now_ms);
        if ((signal_number = sleep_until_next(queue, now_ms - began_ms, left_ms)))
            return signal_number;
    }
}

int queue_wait(const struct queue_order *order, struct err *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct fleet *fleet = order->fleet;
    struct queue *queue = arena_alloc(&fleet->arena, sizeof(*queue));
    int rc;
    if (!queue || !(queue->held = arena_alloc(&fleet->arena, (fleet->count + 1) * sizeof(*queue->held))))
        return err_set(err, ERR_MEMORY, "out of memory");
    queue->order = order;
    queue->fleet = fleet;
    random_init(&queue->random, clock_random());
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if ((rc = loop_on_signal(fleet->loop, signals[i], interrupted, queue, err)) < 0)
            return rc;
    rc = wait_in_turn(queue, err);
    queue->order = NULL;
    return rc;
}
