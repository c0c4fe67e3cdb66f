#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "balancer_internal.h"
#include "base/units.h"

#define POLL_MS 100
#define QUIET_LOOKS 2     /* a session chosen just before the drain counts a moment later */
#define REMINDERS_MAX 3   /* a reload, or a hand, needs one */

static int64_t now_ms(const struct task *task)
{
    return loop_now_ms(task->balancers->fleet->loop);
}

struct cell *cell_at(const struct balancers *balancers, size_t front, size_t instance)
{
    return &balancers->cells[front * balancers->instances + instance];
}

/* --- ends --- */

/* What has been sent is carried out; nobody waits for it. */
void task_forget_errands(struct task *task)
{
    timer_stop(task->pause);
    task->pause = NULL;
    for (size_t i = 0; i < task->balancers->count && task->waiting; i++) {
        lane_forget(&task->balancers->lanes[i], &task->legs[i]);
        task->legs[i].waiting = false;
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

static void name_front(char out[200], const struct task *task, size_t index)
{
    const struct front *front = &task->balancers->fleet->fronts[index];
    snprintf(out, 200, "balancer %s on %s", front->balancer->name, front->where);
}

/* The first balancer that said no, in the task's sentence. */
static void tell_failed(struct task *task)
{
    for (size_t i = 0; i < task->balancers->count; i++) {
        char name[200];
        if (!task->legs[i].error.code)
            continue;
        name_front(name, task, i);
        snprintf(task->sentence, sizeof(task->sentence), "%s: %.*s", name,
                 (int)(sizeof(task->sentence) - sizeof(name) - 4), task->legs[i].error.message);
        return;
    }
}

/* --- asking all of them --- */

static void advance(struct task *task);

static void answered(void *context, const struct traffic_order *orders, size_t count,
                     const struct err *error)
{
    struct leg *leg = context;
    struct task *task = leg->task;
    if (!leg->waiting)
        return;
    leg->waiting = false;
    err_clear(&leg->error);
    if (error)
        leg->error = *error;
    else
        leg->tries = 0;
    for (size_t i = 0; i < count; i++) {
        struct cell *cell = cell_at(task->balancers, leg->front, orders[i].instance);
        bool unwritten = error && error->code == ERR_NO_LEASE;
        cell->denied = orders[i].denied || (unwritten && orders[i].command != ORDER_LOOK);
        if (unwritten) /* how it stood is what is known of it */
            continue;
        err_clear(&cell->error);
        if (error) {
            cell->error = *error;
            continue;
        }
        cell->view = orders[i].view;
        cell->known = true;
    }
    if (--task->waiting == 0)
        advance(task);
}

static bool takes_out(const struct traffic_order *order)
{
    return order->command == ORDER_DRAIN || order->command == ORDER_MAINT;
}

static size_t first_instance(const struct balancers *balancers, size_t front)
{
    const struct member *own = balancers->fleet->fronts[front].member;
    return own ? (size_t)(own - balancers->fleet->members) * balancers->slots : 0;
}

/* One errand for all items; those that bring something in come first, so that there is never less than there was. */
static void ask_front(struct task *task, size_t front)
{
    struct balancers *balancers = task->balancers;
    struct leg *leg = &task->legs[front];
    struct errand *errand = errand_create(task->item_count, answered, leg);
    struct traffic_order order;
    size_t count = 0;
    if (!errand) {
        err_set(&leg->error, ERR_MEMORY, "out of memory");
        return;
    }
    for (int outs = 0; outs < 2; outs++)
        for (size_t i = 0; i < task->item_count; i++)
            if (task_order(&order, task, front, &task->items[i]) && takes_out(&order) == outs) {
                errand->orders[count++] = order;
                if (outs && task->stage != STAGE_PUT_BACK)
                    balancers->holds_out[order.instance / balancers->slots] = true;
            }
    errand->count = count;
    errand->owed = leg->waited;
    errand->partial = task->wish == BALANCER_SHIFT && (task->owed || task->stage == STAGE_PUT_BACK);
    errand->thorough = task->wish == BALANCER_LOOK && errand->orders[0].instance == first_instance(balancers, front);
    err_clear(&leg->error);
    if (count == 0) {
        free(errand);
        return;
    }
    leg->waiting = true;
    task->waiting++;
    lane_send(&balancers->lanes[front], errand);
}

/* Asks those that have no good answer yet and are due, or all. */
static void ask(struct task *task, bool only_failed)
{
    int64_t now = now_ms(task);
    task->waiting = 1; /* held until all are asked */
    for (size_t i = 0; i < task->balancers->count; i++)
        if (!only_failed || (task->legs[i].error.code && task->legs[i].again_ms <= now))
            ask_front(task, i);
    if (--task->waiting == 0)
        advance(task);
}

void task_begin(struct task *task, enum stage stage)
{
    task->stage = stage;
    for (size_t i = 0; i < task->balancers->count; i++) {
        err_clear(&task->legs[i].error);
        task->legs[i].tries = 0;
        task->legs[i].again_ms = 0;
    }
    ask(task, false);
}

void task_put_back_unheard(struct task *task)
{
    if (task->stage == STAGE_LOOK || task->stage == STAGE_NONE)
        return;
    task_forget_errands(task);
    task->stage = STAGE_PUT_BACK;
    ask(task, false);
    task_forget_errands(task);
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

void task_ask_failed_in(struct task *task, int64_t delay_ms)
{
    pause_then(task, delay_ms, ask_failed);
}

/* --- what comes after what --- */

#define EACH_CELL(task, item, cell)                                                                \
    for (size_t item = 0; item < (task)->item_count; item++)                                       \
        for (struct cell *cell = cell_at((task)->balancers, 0, (task)->items[item].instance),      \
                         *end_##cell = cell + (task)->balancers->count * (task)->balancers->instances; \
             cell < end_##cell; cell += (task)->balancers->instances)                              \
            if (cell->server)

static uint64_t sessions_left(const struct task *task)
{
    uint64_t count = 0;
    EACH_CELL(task, i, cell)
    count += task->items[i].in ? 0 : cell->view.sessions;
    return count;
}

static bool all_in(const struct task *task)
{
    EACH_CELL(task, i, cell)
    if (task->items[i].in && (!cell->view.up || cell->view.state != TRAFFIC_READY))
        return false;
    return true;
}

static bool any_forgot(const struct task *task)
{
    EACH_CELL(task, i, cell)
    if (!task->items[i].in && cell->view.state == TRAFFIC_READY)
        return true;
    return false;
}

/* A member is held out when a balancer has some instance of it out, and it has no other that is in. */
static void settle_members(struct task *task)
{
    struct balancers *balancers = task->balancers;
    for (size_t i = 0; i < task->item_count; i++) {
        size_t member = task->items[i].instance / balancers->slots;
        bool out = false;
        for (size_t front = 0; front < balancers->count; front++) {
            bool in = !front_serves(balancers->fleet, front, member);
            for (size_t slot = 0; slot < balancers->slots; slot++) {
                const struct cell *cell = cell_at(balancers, front, member * balancers->slots + slot);
                bool warms = balancers->fleet->fronts[front].balancer->warmup_count > 0 && !balancers->shares;
                in = in || (cell->known && cell->view.state == TRAFFIC_READY &&
                            (!warms || cell->view.weight >= cell->view.full_weight));
            }
            out = out || !in;
        }
        balancers->holds_out[member] = out;
    }
}

static void hold(struct task *task)
{
    for (size_t i = 0; i < task->item_count; i++) {
        const struct item *item = &task->items[i];
        task->balancers->holds[item->instance] = (struct hold){
            .held = task->wish != BALANCER_IN && !(task->shares && share_is_ordinary(task)),
            .command = item->in                        ? ORDER_READY
                       : task->wish == BALANCER_SHIFT && !task->empties ? ORDER_DRAIN
                                                                        : ORDER_MAINT,
            .weight = item->in ? item->weight : WEIGHT_KEEP,
        };
    }
    balancers_watch(task->balancers);
}

int64_t drain_limit_ms(const struct balancers *balancers)
{
    int64_t longest = 0;
    for (size_t i = 0; i < balancers->count; i++)
        if (balancers->fleet->fronts[i].balancer->drain_timeout_ms > longest)
            longest = balancers->fleet->fronts[i].balancer->drain_timeout_ms;
    return longest;
}

/* One that disagreed is asked to take nobody else out, but for an undo. */
static bool is_distrusted(struct task *task)
{
    for (size_t front = 0; front < task->balancers->count && !task->owed; front++)
        for (size_t i = 0; i < task->item_count; i++) {
            const struct err *disagreed = &task->balancers->lanes[front].disagreed;
            const struct cell *cell = cell_at(task->balancers, front, task->items[i].instance);
            char name[200];
            if (!cell->server || !disagreed->code)
                continue;
            name_front(name, task, front);
            snprintf(task->sentence, sizeof(task->sentence), "%s: not told to take another one out: %.*s", name,
                     (int)(sizeof(task->sentence) - sizeof(name) - 40), disagreed->message);
            return true;
        }
    return false;
}

static void looked(struct task *task)
{
    EACH_CELL(task, i, cell)
    cell->found = cell->view;
    settle_members(task);
    if (task->wish != BALANCER_LOOK && is_distrusted(task))
        task_end(task, DONE_FAILED, task->sentence);
    else if (task->wish == BALANCER_OUT)
        task_begin(task, STAGE_DRAIN);
    else if (task->shares && share_plan(task) < 0)
        task_end(task, DONE_FAILED, task->sentence);
    else if (task->wish == BALANCER_SHIFT)
        task_begin(task, STAGE_READY);
    else
        task_end(task, DONE_OK, "");
}

static void drain_again(void *context)
{
    struct task *task = context;
    task->pause = NULL;
    task_begin(task, STAGE_DRAIN);
}

static void shut(struct task *task)
{
    task_begin(task, is_distrusted(task) ? STAGE_PUT_BACK : STAGE_SHUT);
}

/* A balancer that forgot the drain meanwhile (a reload) is told again. */
static void emptying(struct task *task)
{
    uint64_t sessions = sessions_left(task);
    int64_t left_ms = task->drain_ends_ms - now_ms(task);
    bool forgot = any_forgot(task);
    task->quiet = sessions || forgot ? 0 : task->quiet + 1;
    if (task->quiet >= QUIET_LOOKS) {
        shut(task);
    } else if (left_ms <= 0) {
        char limit[DURATION_TEXT_MAX];
        task->timed_out = true;
        snprintf(task->sentence, sizeof(task->sentence),
                 "%" PRIu64 " session%s still open after drain_timeout (%s)", sessions,
                 sessions == 1 ? " is" : "s are",
                 duration_format(limit, drain_limit_ms(task->balancers)));
        shut(task);
    } else {
        pause_then(task, left_ms < POLL_MS ? left_ms : POLL_MS, forgot ? drain_again : ask_all);
    }
}

static void is_shut(struct task *task)
{
    hold(task);
    if (task->timed_out)
        task_end(task, DONE_TIMED_OUT, task->sentence);
    else
        task_end(task, DONE_OK, "");
}

static void tell_not_up(struct task *task)
{
    for (size_t front = 0; front < task->balancers->count; front++)
        for (size_t i = 0; i < task->item_count; i++) {
            const struct cell *cell = cell_at(task->balancers, front, task->items[i].instance);
            char name[200];
            if (!task->items[i].in || !cell->server || (cell->view.up && cell->view.state == TRAFFIC_READY))
                continue;
            name_front(name, task, front);
            snprintf(task->sentence, sizeof(task->sentence),
                     "%s: server %s is %s and not up after 30 s: its own check of the node fails",
                     name, cell->server, traffic_state_name(cell->view.state));
        }
}

static void warmer(void *context)
{
    struct task *task = context;
    task->pause = NULL;
    task->warm++;
    task_begin(task, STAGE_READY);
}

static void coming_up(struct task *task)
{
    if (all_in(task)) {
        settle_members(task);
        if (task->wish == BALANCER_SHIFT) {
            task_begin(task, STAGE_DRAIN);
            return;
        }
        int64_t hold_ms = warm_hold_ms(task->balancers, task->warm);
        if (hold_ms >= 0) {
            task->balancers->holds_out[task->items[0].instance / task->balancers->slots] = true;
            pause_then(task, hold_ms, warmer);
            return;
        }
        hold(task);
        task_end(task, DONE_OK, "");
    } else if (now_ms(task) < task->up_ends_ms) {
        pause_then(task, POLL_MS, ask_all);
    } else {
        tell_not_up(task);
        if (task->wish == BALANCER_SHIFT)
            task_begin(task, STAGE_PUT_BACK);
        else
            task_end(task, DONE_FAILED, task->sentence);
    }
}

static void drained(struct task *task)
{
    if (task->wish != BALANCER_SHIFT || task->empties) {
        task_begin(task, STAGE_EMPTY);
        return;
    }
    settle_members(task);
    hold(task);
    task_end(task, DONE_OK, "");
}

/* --- failures --- */

static void failed(struct task *task)
{
    bool shifts = task->wish == BALANCER_SHIFT;
    switch (task->stage) {
    case STAGE_LOOK:
    case STAGE_READY:
    case STAGE_UP:
    case STAGE_DRAIN:
    case STAGE_EMPTY:
    case STAGE_SHUT:
        tell_failed(task);
        if (task->stage >= STAGE_DRAIN || (shifts && task->stage != STAGE_LOOK))
            task_begin(task, STAGE_PUT_BACK);
        else
            task_end(task, DONE_FAILED, task->sentence);
        break;
    case STAGE_PUT_BACK: /* the sentence is that of what failed first */
        task_end(task, DONE_FAILED, task->sentence);
        break;
    case STAGE_NONE:
    case STAGE_WATCH: /* looked at again a second later */
    case STAGE_REMIND:
        task_rest(task);
        break;
    }
}

/* One that loses it again and again lets traffic in between. */
static void count_reminders(struct task *task)
{
    struct balancers *balancers = task->balancers;
    for (size_t front = 0; front < balancers->count; front++)
        for (size_t i = 0; i < task->item_count; i++) {
            size_t instance = task->items[i].instance;
            struct cell *cell = cell_at(balancers, front, instance);
            bool lost = cell->server && cell_differs(&balancers->holds[instance], cell);
            cell->reminders = lost ? cell->reminders + 1 : 0;
            if (cell->reminders > REMINDERS_MAX)
                err_set(&balancers->lanes[front].disagreed, ERR_FAILED, "server %s does not stay as it was set", cell->server);
        }
}

static void go_on(struct task *task)
{
    switch (task->stage) {
    case STAGE_LOOK:
        looked(task);
        break;
    case STAGE_READY:
        task->up_ends_ms = now_ms(task) + UP_WITHIN_MS;
        if (task->shares)
            is_shut(task);
        else
            task_begin(task, STAGE_UP);
        break;
    case STAGE_UP:
        coming_up(task);
        break;
    case STAGE_DRAIN:
        drained(task);
        break;
    case STAGE_EMPTY:
        emptying(task);
        break;
    case STAGE_SHUT:
        is_shut(task);
        break;
    case STAGE_PUT_BACK:
        settle_members(task);
        task_end(task, DONE_FAILED, task->sentence);
        break;
    case STAGE_WATCH:
        count_reminders(task);
        task_begin(task, STAGE_REMIND);
        break;
    case STAGE_NONE:
    case STAGE_REMIND:
        task_rest(task);
        break;
    }
}

static void advance(struct task *task)
{
    bool trouble = false;
    for (size_t i = 0; i < task->balancers->count; i++)
        trouble = trouble || task->legs[i].error.code;
    bool watches = task->stage == STAGE_WATCH || task->stage == STAGE_REMIND;
    if (!trouble)
        go_on(task);
    else if (watches || !task_ask_again(task))
        failed(task);
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
