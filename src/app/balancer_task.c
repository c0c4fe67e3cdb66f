#include <inttypes.h>
#include <stdio.h>

#include "balancer_internal.h"
#include "base/units.h"

#define POLL_MS 100
#define RETRY_MS 250
#define RETRY_FOR_MS 6000 /* a reload of HAProxy takes the socket away for a moment */
#define QUIET_LOOKS 2     /* a session chosen just before the drain counts a moment later */

static int64_t now_ms(const struct task *task)
{
    return loop_now_ms(task->balancers->fleet->loop);
}

static const struct front *front_of(const struct cell *cell)
{
    return &cell->task->balancers->fleet->fronts[cell->front];
}

/* --- ends --- */

/* What has been sent is carried out; nobody waits for it. */
void task_forget_errands(struct task *task)
{
    timer_stop(task->pause);
    task->pause = NULL;
    for (size_t i = 0; i < task->balancers->count && task->waiting; i++) {
        lane_forget(&task->balancers->lanes[i], &task->cells[i]);
        task->cells[i].waiting = false;
    }
    task->waiting = 0;
}

void task_rest(struct task *task)
{
    task_forget_errands(task);
    timer_stop(task->deadline);
    task->deadline = NULL;
    task->stage = STAGE_NONE;
}

void task_end(struct task *task, enum done_status status, const char *sentence)
{
    if (task->stopped) {
        status = DONE_CANCELLED;
        sentence = "cancelled";
    }
    struct step_result result = {.status = status, .sentence = sentence, .output = ""};
    task_rest(task);
    if (task->fn)
        task->fn(task->context, &result);
}

static void name_front(char out[200], const struct cell *cell)
{
    const struct front *front = front_of(cell);
    snprintf(out, 200, "balancer %s on %s", front->balancer->name, front->node->name);
}

/* The first balancer that said no, in the task's sentence. */
static void tell_failed(struct task *task)
{
    for (size_t i = 0; i < task->balancers->count; i++) {
        const struct cell *cell = &task->cells[i];
        char name[200];
        if (!cell->error.code)
            continue;
        name_front(name, cell);
        snprintf(task->sentence, sizeof(task->sentence), "%s: %.*s", name,
                 (int)(sizeof(task->sentence) - sizeof(name) - 4), cell->error.message);
        return;
    }
}

/* --- asking all of them --- */

static void advance(struct task *task);

static void answered(void *context, const struct traffic_view *view, const struct err *error)
{
    struct cell *cell = context;
    struct task *task = cell->task;
    if (!cell->waiting)
        return;
    cell->waiting = false;
    err_clear(&cell->error);
    if (error) {
        cell->error = *error;
    } else {
        cell->view = *view;
        cell->known = true;
    }
    if (--task->waiting == 0)
        advance(task);
}

static bool is_asked(const struct task *task, const struct cell *cell)
{
    return task->stage != STAGE_PUT_BACK || cell->found_in;
}

static enum haproxy_order order_of(const struct task *task)
{
    static const enum haproxy_order orders[] = {
        [STAGE_LOOK] = HAPROXY_LOOK,      [STAGE_DRAIN] = HAPROXY_DRAIN,
        [STAGE_EMPTY] = HAPROXY_LOOK,     [STAGE_SHUT] = HAPROXY_MAINT,
        [STAGE_PUT_BACK] = HAPROXY_READY, [STAGE_READY] = HAPROXY_READY,
        [STAGE_UP] = HAPROXY_LOOK,        [STAGE_WATCH] = HAPROXY_MAINT,
    };
    return orders[task->stage];
}

/* Asks what has no good answer yet, or all. */
static void ask(struct task *task, bool only_failed)
{
    struct balancers *balancers = task->balancers;
    enum haproxy_order order = order_of(task);
    task->waiting = 1; /* held until all are asked */
    if (order == HAPROXY_DRAIN || order == HAPROXY_MAINT)
        task->holds_out = true;
    for (size_t i = 0; i < balancers->count; i++) {
        struct cell *cell = &task->cells[i];
        if ((only_failed && !cell->error.code) || !is_asked(task, cell))
            continue;
        cell->waiting = true;
        task->waiting++;
        if (!lane_send(&balancers->lanes[i], order, cell->server, answered, cell)) {
            cell->waiting = false;
            task->waiting--;
            err_set(&cell->error, ERR_MEMORY, "out of memory");
        }
    }
    if (--task->waiting == 0)
        advance(task);
}

void task_begin(struct task *task, enum stage stage)
{
    task->stage = stage;
    task->retry_ends_ms = now_ms(task) + RETRY_FOR_MS;
    for (size_t i = 0; i < task->balancers->count; i++)
        err_clear(&task->cells[i].error);
    ask(task, false);
}

static void ask_failed(void *context)
{
    struct task *task = context;
    task->pause = NULL;
    ask(task, true);
}

static void ask_all(void *context)
{
    struct task *task = context;
    task->pause = NULL;
    ask(task, false);
}

static void pause_then(struct task *task, int64_t delay_ms, timer_fn *fn)
{
    task->pause = timer_start(task->balancers->fleet->loop, delay_ms, fn, task);
    if (!task->pause)
        task_end(task, DONE_FAILED, "out of memory");
}

/* --- what comes after what --- */

static uint64_t sessions_left(const struct task *task)
{
    uint64_t count = 0;
    for (size_t i = 0; i < task->balancers->count; i++)
        count += task->cells[i].view.sessions;
    return count;
}

static bool all_up(const struct task *task)
{
    for (size_t i = 0; i < task->balancers->count; i++)
        if (!task->cells[i].view.up)
            return false;
    return true;
}

static bool all_ready(const struct task *task)
{
    for (size_t i = 0; i < task->balancers->count; i++)
        if (task->cells[i].view.state != TRAFFIC_READY)
            return false;
    return true;
}

int64_t drain_limit_ms(const struct balancers *balancers)
{
    int64_t longest = 0;
    for (size_t i = 0; i < balancers->count; i++)
        if (balancers->fleet->fronts[i].balancer->drain_timeout_ms > longest)
            longest = balancers->fleet->fronts[i].balancer->drain_timeout_ms;
    return longest;
}

static void looked(struct task *task)
{
    for (size_t i = 0; i < task->balancers->count; i++)
        task->cells[i].found_in = task->cells[i].view.state == TRAFFIC_READY;
    task->holds_out = !all_ready(task);
    if (task->wish == BALANCER_LOOK)
        task_end(task, DONE_OK, "");
    else
        task_begin(task, STAGE_DRAIN);
}

/* A balancer that forgot the drain meanwhile (a reload) is told again. */
static void emptying(struct task *task)
{
    uint64_t sessions = sessions_left(task);
    int64_t left_ms = task->drain_ends_ms - now_ms(task);
    bool forgot = false;
    for (size_t i = 0; i < task->balancers->count; i++)
        forgot = forgot || task->cells[i].view.state == TRAFFIC_READY;
    task->quiet = sessions || forgot ? 0 : task->quiet + 1;
    if (task->quiet >= QUIET_LOOKS) {
        task_begin(task, STAGE_SHUT);
    } else if (left_ms <= 0) {
        char limit[DURATION_TEXT_MAX];
        task->timed_out = true;
        snprintf(task->sentence, sizeof(task->sentence),
                 "%" PRIu64 " session%s still open after drain_timeout (%s)", sessions,
                 sessions == 1 ? " is" : "s are",
                 duration_format(limit, drain_limit_ms(task->balancers)));
        task_begin(task, STAGE_SHUT);
    } else if (forgot) {
        task_begin(task, STAGE_DRAIN);
    } else {
        pause_then(task, left_ms < POLL_MS ? left_ms : POLL_MS, ask_all);
    }
}

static void shut(struct task *task)
{
    task->is_out = true;
    balancers_watch(task->balancers);
    if (task->timed_out)
        task_end(task, DONE_TIMED_OUT, task->sentence);
    else
        task_end(task, DONE_OK, "");
}

static void coming_up(struct task *task)
{
    if (all_ready(task) && all_up(task)) {
        task->holds_out = false;
        task_end(task, DONE_OK, "");
        return;
    }
    if (now_ms(task) < task->up_ends_ms) {
        pause_then(task, POLL_MS, ask_all);
        return;
    }
    for (size_t i = 0; i < task->balancers->count; i++) {
        const struct cell *cell = &task->cells[i];
        char name[200];
        name_front(name, cell);
        if (!cell->view.up || cell->view.state != TRAFFIC_READY)
            snprintf(task->sentence, sizeof(task->sentence),
                     "%s: server %s is %s and not up after 30 s: its own check of the node fails",
                     name, cell->server, traffic_state_name(cell->view.state));
    }
    task_end(task, DONE_FAILED, task->sentence);
}

/* --- failures --- */

static bool may_retry(const struct task *task)
{
    int64_t now = now_ms(task);
    if (now >= task->retry_ends_ms)
        return false;
    for (size_t i = 0; i < task->balancers->count; i++) {
        int code = task->cells[i].error.code;
        if (code && code != ERR_UNREACHABLE && code != ERR_PROTOCOL)
            return false;
    }
    return true;
}

static void failed(struct task *task)
{
    switch (task->stage) {
    case STAGE_LOOK:
    case STAGE_READY:
    case STAGE_UP:
        tell_failed(task);
        task_end(task, DONE_FAILED, task->sentence);
        break;
    case STAGE_DRAIN:
    case STAGE_EMPTY:
    case STAGE_SHUT:
        tell_failed(task);
        task_begin(task, STAGE_PUT_BACK);
        break;
    case STAGE_PUT_BACK: /* the sentence is that of what failed first */
        task_end(task, DONE_FAILED, task->sentence);
        break;
    case STAGE_NONE:
    case STAGE_WATCH: /* looked at again a second later */
        task_rest(task);
        break;
    }
}

static void advance(struct task *task)
{
    bool trouble = false;
    for (size_t i = 0; i < task->balancers->count; i++)
        trouble = trouble || task->cells[i].error.code;
    if (trouble && task->stage != STAGE_WATCH && may_retry(task)) {
        pause_then(task, RETRY_MS, ask_failed);
        return;
    }
    if (trouble) {
        failed(task);
        return;
    }
    switch (task->stage) {
    case STAGE_LOOK:
        looked(task);
        break;
    case STAGE_DRAIN:
        task_begin(task, STAGE_EMPTY);
        break;
    case STAGE_EMPTY:
        emptying(task);
        break;
    case STAGE_SHUT:
        shut(task);
        break;
    case STAGE_PUT_BACK:
        task->holds_out = !all_ready(task);
        task_end(task, DONE_FAILED, task->sentence);
        break;
    case STAGE_READY:
        task->up_ends_ms = now_ms(task) + UP_WITHIN_MS;
        task_begin(task, STAGE_UP);
        break;
    case STAGE_UP:
        coming_up(task);
        break;
    case STAGE_NONE:
    case STAGE_WATCH:
        task_rest(task);
        break;
    }
}

static void nothing_to_do(void *context)
{
    struct task *task = context;
    task->pause = NULL;
    task_end(task, DONE_OK, "");
}

void task_end_soon(struct task *task)
{
    pause_then(task, 0, nothing_to_do);
}
