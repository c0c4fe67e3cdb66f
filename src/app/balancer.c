#include "app/balancer.h"

#include <inttypes.h>

#include "balancer_internal.h"
#include "model/template.h"

#define WATCH_MS 1000

const char *traffic_state_name(enum traffic_state state)
{
    static const char *const names[] = {"ready", "drain", "maint"};
    return names[state];
}

static const struct front *front_of(const struct cell *cell)
{
    return &cell->task->balancers->fleet->fronts[cell->front];
}

/* --- life --- */

static int name_server(struct cell *cell, const struct member *member, struct fleet *fleet,
                       struct err *err)
{
    struct node_words words = {.release = ""};
    struct variable known[NODE_VARIABLES_MAX];
    struct strbuf text;
    const struct balancer *balancer = front_of(cell)->balancer;
    strbuf_init(&text, 512);
    struct template_scope scope = {.node = member->node, .extra = known};
    scope.extra_count = node_variables(known, NODE_VARIABLES_MAX, member, &words, &fleet->arena);
    int rc = template_expand(&text, balancer->server, &scope, err);
    if (rc == 0 && !haproxy_is_name(text.text))
        rc = err_set(err, ERR_INPUT, "'%.100s' is not a name that a server can have", text.text);
    if (rc < 0)
        err_prefix(err, "node %s: key 'server' in [balancer %s]", member->node->name,
                   balancer->name);
    cell->server = arena_strdup(&fleet->arena, text.text);
    strbuf_release(&text);
    return rc < 0 || cell->server ? rc : err_set(err, ERR_MEMORY, "out of memory");
}

static int make_task(struct balancers *balancers, size_t member, struct err *err)
{
    struct fleet *fleet = balancers->fleet;
    struct task *task = &balancers->tasks[member];
    *task = (struct task){.balancers = balancers, .member = member};
    task->cells = arena_alloc(&fleet->arena, balancers->count * sizeof(*task->cells));
    if (!task->cells)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < balancers->count; i++) {
        task->cells[i] = (struct cell){.task = task, .front = i};
        int rc = name_server(&task->cells[i], &fleet->members[member], fleet, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int balancers_create(struct balancers **out, struct fleet *fleet, struct err *err)
{
    struct balancers *balancers = arena_alloc(&fleet->arena, sizeof(*balancers));
    *out = NULL;
    if (!balancers)
        return err_set(err, ERR_MEMORY, "out of memory");
    balancers->fleet = fleet;
    balancers->lanes = arena_alloc(&fleet->arena, fleet->front_count * sizeof(*balancers->lanes));
    balancers->tasks = arena_alloc(&fleet->arena, (fleet->count + 1) * sizeof(*balancers->tasks));
    if (!balancers->lanes || !balancers->tasks)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < fleet->front_count; i++)
        lane_init(&balancers->lanes[i], fleet, &fleet->fronts[i]);
    balancers->count = fleet->front_count;
    int rc = 0;
    for (size_t i = 0; i < fleet->count && rc == 0; i++)
        rc = make_task(balancers, i, err);
    *out = balancers;
    return rc;
}

void balancers_free(struct balancers *balancers)
{
    if (!balancers)
        return;
    timer_stop(balancers->watch);
    for (size_t i = 0; i < balancers->fleet->count; i++)
        if (balancers->tasks && balancers->tasks[i].balancers)
            task_rest(&balancers->tasks[i]);
    for (size_t i = 0; i < balancers->count; i++)
        lane_release(&balancers->lanes[i]);
}

/* --- what is asked for --- */

int64_t balancers_limit_ms(const struct balancers *balancers, enum balancer_wish wish)
{
    switch (wish) {
    case BALANCER_OUT:
        return drain_limit_ms(balancers) + ERRANDS_MS;
    case BALANCER_IN:
        return UP_WITHIN_MS + ERRANDS_MS;
    case BALANCER_LOOK:
        break;
    }
    return LOOK_MS;
}

/* Nobody waits for the putting back any more; `holds_out` stays, so that the node is named. */
static void out_of_time(void *context)
{
    struct task *task = context;
    struct balancers *balancers = task->balancers;
    task->deadline = NULL;
    for (size_t i = 0; i < balancers->count && task->wish == BALANCER_OUT; i++)
        if (task->cells[i].found_in)
            lane_send(&balancers->lanes[i], HAPROXY_READY, task->cells[i].server, NULL, NULL);
    task_end(task, DONE_FAILED, "the balancers did not answer in time");
}

void balancers_start(struct balancers *balancers, size_t member, enum balancer_wish wish,
                     step_done_fn *fn, void *context)
{
    struct task *task = &balancers->tasks[member];
    task_rest(task);
    task->wish = wish;
    task->fn = fn;
    task->context = context;
    task->quiet = 0;
    task->timed_out = false;
    task->stopped = false;
    task->is_out = false;
    task->drain_ends_ms = loop_now_ms(balancers->fleet->loop) + drain_limit_ms(balancers);
    task->deadline =
        timer_start(balancers->fleet->loop, balancers_limit_ms(balancers, wish), out_of_time, task);
    for (size_t i = 0; i < balancers->count; i++)
        task->cells[i].found_in = false;
    if (wish != BALANCER_IN)
        task_begin(task, STAGE_LOOK);
    else if (task->holds_out)
        task_begin(task, STAGE_READY);
    else
        task_end_soon(task);
}

void balancers_stop(struct balancers *balancers, size_t member)
{
    struct task *task = &balancers->tasks[member];
    bool taken =
        task->stage == STAGE_DRAIN || task->stage == STAGE_EMPTY || task->stage == STAGE_SHUT;
    if (task->stage == STAGE_NONE || task->stage == STAGE_WATCH || task->stopped)
        return;
    task->stopped = true;
    if (task->stage == STAGE_PUT_BACK)
        return;
    task_forget_errands(task);
    if (taken)
        task_begin(task, STAGE_PUT_BACK);
    else
        task_end_soon(task);
}

void balancers_cancel(struct balancers *balancers, size_t member)
{
    task_rest(&balancers->tasks[member]);
}

/* --- watching --- */

static void watch(void *context);

void balancers_watch(struct balancers *balancers)
{
    if (!balancers->watch)
        balancers->watch = timer_start(balancers->fleet->loop, WATCH_MS, watch, balancers);
}

/* A balancer that was reloaded meanwhile has forgotten; saying it again changes nothing where it is
 * so already. */
static void watch(void *context)
{
    struct balancers *balancers = context;
    bool any = false;
    balancers->watch = NULL;
    for (size_t i = 0; i < balancers->fleet->count; i++) {
        struct task *task = &balancers->tasks[i];
        any = any || task->is_out;
        if (!task->is_out || task->stage != STAGE_NONE)
            continue;
        task->fn = NULL;
        task_begin(task, STAGE_WATCH);
    }
    if (any)
        balancers_watch(balancers);
}

/* --- what is known --- */

bool balancers_holds_out(const struct balancers *balancers, size_t member)
{
    return balancers->tasks[member].holds_out;
}

void balancers_describe(const struct balancers *balancers, size_t member, struct strbuf *out)
{
    const struct task *task = &balancers->tasks[member];
    bool first = true;
    for (size_t i = 0; i < balancers->count; i++) {
        const struct cell *cell = &task->cells[i];
        const struct front *front = front_of(cell);
        if (!cell->known && !cell->error.code)
            continue;
        strbuf_addf(out, "%s%s: ", first ? "" : "; ", front->node->name);
        first = false;
        if (cell->error.code)
            strbuf_adds(out, cell->error.message);
        else
            strbuf_addf(out, "%s%s, weight %" PRIu64 ", %" PRIu64 " session%s",
                        traffic_state_name(cell->view.state), cell->view.up ? "" : " (down)",
                        cell->view.weight, cell->view.sessions,
                        cell->view.sessions == 1 ? "" : "s");
    }
}
