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

const struct balancer_type *balancer_type_of(const struct balancer *balancer)
{
    static const struct balancer_type *const types[] = {[BALANCER_HAPROXY] = &haproxy_type,
                                                        [BALANCER_NGINX] = &nginx_type,
                                                        [BALANCER_COMMAND] = &command_type};
    return types[balancer->kind];
}

/* --- life --- */

/* Of a slot where there are several on each node. */
static int name_server(const struct balancers *balancers, struct cell *cell,
                       const struct balancer *balancer, size_t instance_index, struct err *err)
{
    struct fleet *fleet = balancers->fleet;
    const struct member *member = &fleet->members[instance_index / balancers->slots];
    size_t slot = instance_index % balancers->slots;
    struct member instance = *member;
    struct node_words words = {.release = ""};
    struct variable known[NODE_VARIABLES_MAX];
    struct strbuf text;
    strbuf_init(&text, 512);
    if (balancers->slots > 1) {
        uint16_t port = fleet->playbook->slots[slot].port;
        words.slot = slot_name(slot);
        instance.service.port = port ? port : member->service.port;
    }
    struct template_scope scope = {.node = member->node, .extra = known};
    scope.extra_count =
        node_variables(known, NODE_VARIABLES_MAX, &instance, &words, &fleet->arena);
    int rc = template_expand(&text, balancer->server, &scope, err);
    if (rc == 0 && !balancer_type_of(balancer)->is_server(text.text))
        rc = err_set(err, ERR_INPUT, "'%.100s' is not a name that a server can have", text.text);
    if (rc < 0)
        err_prefix(err, "node %s: key 'server' in [balancer %s]", member->node->name,
                   balancer->name);
    cell->server = arena_strdup(&fleet->arena, text.text);
    strbuf_release(&text);
    return rc < 0 || cell->server ? rc : err_set(err, ERR_MEMORY, "out of memory");
}

static int name_servers(struct balancers *balancers, struct err *err)
{
    struct fleet *fleet = balancers->fleet;
    for (size_t front = 0; front < balancers->count; front++)
        for (size_t i = 0; i < balancers->instances; i++) {
            if (!front_serves(fleet, front, i / balancers->slots))
                continue;
            int rc = name_server(balancers, cell_at(balancers, front, i),
                                 fleet->fronts[front].balancer, i, err);
            if (rc < 0)
                return rc;
        }
    return 0;
}

/* An operation over `count` instances from the first one on. */
static bool make_task(struct balancers *balancers, struct task *task, size_t first, size_t count)
{
    struct arena *arena = &balancers->fleet->arena;
    *task = (struct task){.balancers = balancers, .item_count = count};
    task->items = arena_alloc(arena, (count + 1) * sizeof(*task->items));
    task->legs = arena_alloc(arena, balancers->count * sizeof(*task->legs));
    for (size_t i = 0; task->items && i < count; i++)
        task->items[i] = (struct item){.instance = first + i, .weight = WEIGHT_KEEP};
    for (size_t i = 0; task->legs && i < balancers->count; i++)
        task->legs[i] = (struct leg){.task = task, .front = i};
    return task->items && task->legs;
}

static bool make_tasks(struct balancers *balancers)
{
    struct fleet *fleet = balancers->fleet;
    size_t all = balancers->instances;
    balancers->cells =
        arena_alloc(&fleet->arena, (all * balancers->count + 1) * sizeof(*balancers->cells));
    balancers->holds = arena_alloc(&fleet->arena, (all + 1) * sizeof(*balancers->holds));
    balancers->holds_out = arena_alloc(&fleet->arena, fleet->count + 1);
    balancers->updated = arena_alloc(&fleet->arena, fleet->count + 1);
    balancers->tasks = arena_alloc(&fleet->arena, (fleet->count + 1) * sizeof(*balancers->tasks));
    bool fine = balancers->cells && balancers->holds && balancers->holds_out && balancers->updated &&
                balancers->tasks &&
                make_task(balancers, &balancers->shift, 0, all) &&
                make_task(balancers, &balancers->look, 0, all) &&
                make_task(balancers, &balancers->watcher, 0, all);
    for (size_t i = 0; fine && i < fleet->count; i++)
        fine = make_task(balancers, &balancers->tasks[i], i * balancers->slots, balancers->slots);
    return fine;
}

/* Groups of nodes for sides are no instances side by side. */
static size_t slots_of(const struct playbook *playbook)
{
    return playbook_has_slots(playbook) && !playbook->slots[SLOT_BLUE].hosts ? SLOTS : 1;
}

int balancers_create(struct balancers **out, struct fleet *fleet, struct err *err)
{
    struct balancers *balancers = arena_alloc(&fleet->arena, sizeof(*balancers));
    struct lane *lanes = arena_alloc(&fleet->arena, fleet->front_count * sizeof(*lanes));
    *out = NULL;
    if (!balancers || !lanes)
        return err_set(err, ERR_MEMORY, "out of memory");
    *balancers = (struct balancers){.fleet = fleet, .lanes = lanes, .count = fleet->front_count};
    balancers->slots = slots_of(fleet->playbook);
    balancers->instances = fleet->count * balancers->slots;
    balancers->shares = fleet->playbook->strategy.kind == STRATEGY_CANARY;
    *out = balancers;
    for (size_t i = 0; i < fleet->front_count; i++)
        if (lane_init(&lanes[i], fleet, &fleet->fronts[i]) < 0)
            return err_set(err, ERR_MEMORY, "out of memory");
    if (!make_tasks(balancers))
        return err_set(err, ERR_MEMORY, "out of memory");
    return name_servers(balancers, err);
}

void balancers_free(struct balancers *balancers)
{
    if (!balancers)
        return;
    timer_stop(balancers->watch);
    struct task *whole[] = {&balancers->shift, &balancers->look, &balancers->watcher};
    for (size_t i = 0; i < 3; i++)
        if (whole[i]->balancers)
            task_rest(whole[i]);
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
        return drain_limit_ms(balancers) + ERRANDS_MS + trial_limit_ms(balancers);
    case BALANCER_IN:
        return UP_WITHIN_MS + ERRANDS_MS + trial_limit_ms(balancers) + warmup_limit_ms(balancers);
    case BALANCER_SHIFT:
        return LOOK_MS + UP_WITHIN_MS + drain_limit_ms(balancers) + ERRANDS_MS + trial_limit_ms(balancers);
    case BALANCER_LOOK:
        break;
    }
    return LOOK_MS;
}

/* Nobody waits for the putting back any more; `holds_out` stays, so that the node is named. */
static void out_of_time(void *context)
{
    struct task *task = context;
    task->deadline = NULL;
    if (task->wish == BALANCER_OUT || task->wish == BALANCER_SHIFT)
        task_put_back_unheard(task);
    task_end(task, DONE_FAILED, "the balancers did not answer in time");
}

void task_start(struct task *task, enum balancer_wish wish, enum stage stage, step_done_fn *fn, void *context)
{
    struct balancers *balancers = task->balancers;
    task_rest(task);
    task->wish = wish;
    task->fn = fn;
    task->context = context;
    task->quiet = 0;
    task->warm = 0;
    task->timed_out = false;
    task->stopped = false;
    for (size_t i = 0; i < balancers->count; i++)
        task->legs[i].waited = false;
    task->drain_ends_ms = loop_now_ms(balancers->fleet->loop) + drain_limit_ms(balancers);
    task->deadline =
        timer_start(balancers->fleet->loop, balancers_limit_ms(balancers, wish), out_of_time, task);
    for (size_t i = 0; i < task->item_count && wish != BALANCER_LOOK; i++)
        balancers->holds[task->items[i].instance].held = false;
    if (stage == STAGE_NONE)
        task_end_soon(task);
    else
        task_begin(task, stage);
}

void balancers_start(struct balancers *balancers, size_t member, enum balancer_wish wish, bool owed,
                     step_done_fn *fn, void *context)
{
    struct task *task = &balancers->tasks[member];
    task->owed = owed;
    enum stage stage = wish != BALANCER_IN            ? STAGE_LOOK
                       : balancers->holds_out[member] ? STAGE_READY
                                                      : STAGE_NONE;
    for (size_t i = 0; i < task->item_count; i++) {
        task->items[i].in = wish == BALANCER_IN;
        task->items[i].weight = WEIGHT_KEEP;
    }
    task_start(task, wish, stage, fn, context);
}

void balancers_look(struct balancers *balancers, step_done_fn *fn, void *context)
{
    task_start(&balancers->look, BALANCER_LOOK, STAGE_LOOK, fn, context);
}

static void shift(struct balancers *balancers, const struct traffic_goal *goals, size_t count,
                  bool empties, bool owed, step_done_fn *fn, void *context)
{
    struct task *task = &balancers->shift;
    task_rest(task);
    task->empties = empties;
    task->owed = owed;
    task->shares = false;
    task->item_count = count < balancers->instances ? count : balancers->instances;
    for (size_t i = 0; i < task->item_count; i++)
        task->items[i] = (struct item){
            .instance = goals[i].member * balancers->slots + goals[i].slot,
            .in = goals[i].in,
            .weight = goals[i].in ? goals[i].weight : WEIGHT_KEEP,
        };
    task_start(task, BALANCER_SHIFT, STAGE_LOOK, fn, context);
}

void balancers_shift(struct balancers *balancers, const struct traffic_goal *goals, size_t count,
                     bool owed, step_done_fn *fn, void *context)
{
    shift(balancers, goals, count, false, owed, fn, context);
}

void balancers_switch(struct balancers *balancers, const struct traffic_goal *goals, size_t count,
                      bool owed, step_done_fn *fn, void *context)
{
    shift(balancers, goals, count, true, owed, fn, context);
}

static void stop(struct task *task)
{
    bool changed = task->stage == STAGE_DRAIN || task->stage == STAGE_EMPTY ||
                   task->stage == STAGE_SHUT ||
                   (task->wish == BALANCER_SHIFT && task->stage != STAGE_LOOK && task->stage != STAGE_PUT_BACK);
    if (task->stage == STAGE_NONE || task->stopped)
        return;
    task->stopped = true;
    if (task->stage == STAGE_PUT_BACK && !task_waits_for_trial(task))
        return;
    task_forget_errands(task);
    if (changed)
        task_begin(task, STAGE_PUT_BACK);
    else
        task_end_soon(task);
}

void balancers_stop(struct balancers *balancers, size_t member)
{
    stop(&balancers->tasks[member]);
}

void balancers_shift_stop(struct balancers *balancers)
{
    stop(&balancers->shift);
}

void balancers_shift_cancel(struct balancers *balancers)
{
    task_rest(&balancers->shift);
}

void balancers_look_cancel(struct balancers *balancers)
{
    task_rest(&balancers->look);
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

/* Whether an operation of its own is at the instance. */
static bool is_busy(const struct balancers *balancers, size_t instance)
{
    bool shifting = balancers->shift.stage != STAGE_NONE;
    for (size_t i = 0; shifting && i < balancers->shift.item_count; i++)
        if (balancers->shift.items[i].instance == instance)
            return true;
    return balancers->tasks[instance / balancers->slots].stage != STAGE_NONE;
}

/* A balancer that was reloaded meanwhile has forgotten: it is looked at, and told again what differs. */
static void watch(void *context)
{
    struct balancers *balancers = context;
    struct task *task = &balancers->watcher;
    bool any = false;
    balancers->watch = NULL;
    if (task->stage == STAGE_NONE) {
        task->item_count = 0;
        for (size_t i = 0; i < balancers->instances; i++)
            if (balancers->holds[i].held && !is_busy(balancers, i))
                task->items[task->item_count++].instance = i;
        task->fn = NULL;
        task->stopped = false;
        if (task->item_count)
            task_begin(task, STAGE_WATCH);
    }
    for (size_t i = 0; i < balancers->instances; i++)
        any = any || balancers->holds[i].held;
    if (any)
        balancers_watch(balancers);
}

/* --- what is known --- */

bool balancers_holds_out(const struct balancers *balancers, size_t member)
{
    return balancers->holds_out[member];
}

const struct traffic_view *balancers_view(const struct balancers *balancers, size_t front,
                                          size_t member, size_t slot)
{
    const struct cell *cell = cell_at(balancers, front, member * balancers->slots + slot);
    return cell->known ? &cell->view : NULL;
}

enum traffic_sight balancers_sight(const struct balancers *balancers, size_t member, size_t slot)
{
    bool in = false, out = false;
    for (size_t front = 0; front < balancers->count; front++) {
        const struct cell *cell = cell_at(balancers, front, member * balancers->slots + slot);
        if (!cell->server)
            continue;
        if (!cell->known || cell->error.code)
            return SIGHT_UNKNOWN;
        bool serves = cell->view.state == TRAFFIC_READY && cell->view.weight > 0;
        in = in || serves;
        out = out || !serves;
    }
    return in && out ? SIGHT_MIXED : in ? SIGHT_IN : SIGHT_OUT;
}

bool balancers_unwritten(const struct balancers *balancers, size_t member)
{
    for (size_t front = 0; front < balancers->count; front++)
        for (size_t slot = 0; slot < balancers->slots; slot++)
            if (cell_at(balancers, front, member * balancers->slots + slot)->denied)
                return true;
    return false;
}

void balancers_describe_out(const struct balancers *balancers, size_t member, struct strbuf *out)
{
    for (size_t front = 0; front < balancers->count; front++)
        for (size_t slot = 0; slot < balancers->slots; slot++) {
            const struct cell *cell = cell_at(balancers, front, member * balancers->slots + slot);
            const struct front *where = &balancers->fleet->fronts[front];
            if (cell->known && cell->view.state != TRAFFIC_READY)
                strbuf_addf(out, "%sbalancer %s on %s had it in %s", out->length ? "; " : "", where->balancer->name, where->where,
                            traffic_state_name(cell->view.state));
        }
}

static void describe(const struct balancers *balancers, size_t front, size_t instance,
                     struct strbuf *out)
{
    const struct cell *cell = cell_at(balancers, front, instance);
    const struct traffic_view *view = &cell->view;
    if (!cell->known && !cell->error.code)
        return;
    strbuf_addf(out, "%s%s%s%s: ", out->length ? "; " : "",
                balancers->fleet->fronts[front].where, balancers->slots > 1 ? " " : "",
                balancers->slots > 1 ? slot_name(instance % balancers->slots)
                                     : "");
    if (cell->error.code)
        strbuf_adds(out, cell->error.message);
    else
        strbuf_addf(out, "%s%s, weight %.6g, %" PRIu64 " session%s",
                    traffic_state_name(view->state), view->up ? "" : " (down)",
                    (double)view->weight / (double)(view->parts ? view->parts : 1),
                    view->sessions, view->sessions == 1 ? "" : "s");
}

void balancers_describe(const struct balancers *balancers, size_t member, struct strbuf *out)
{
    for (size_t front = 0; front < balancers->count; front++)
        for (size_t slot = 0; slot < balancers->slots; slot++)
            describe(balancers, front, member * balancers->slots + slot, out);
}
