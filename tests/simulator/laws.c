#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outside.h"
#include "world.h"

#define RISE 2
#define FALL 3 /* 2 in one watch; a bake begins a new one (core/health.h), so one more may stand before it */
#define MIN_HEALTHY_MS 2000
#define PROBE_MS 2200 /* app/prober.c: the timeout and 200 ms */
#define FORGET_MS 10000 /* until a balancer that was reloaded is set again: app/balancer.c looks every second */

void law_broken(struct world *world, const char *law, const char *format, ...)
{
    va_list arguments;
    if (world->law)
        return;
    world->law = law;
    va_start(arguments, format);
    vsnprintf(world->details, sizeof(world->details), format, arguments);
    va_end(arguments);
    tell("!! %s: %s", law, world->details);
}

static size_t index_of(const struct world *world, const struct model_node *node)
{
    return (size_t)(node - world->nodes);
}

static void mix(struct world *world, const char *text)
{
    for (; *text; text++)
        world->fingerprint = (world->fingerprint ^ (unsigned char)*text) * 1099511628211u;
    world->fingerprint ^= (uint64_t)clock_now();
}

static struct run *run_of(struct world *world, const char *rollout)
{
    for (size_t i = world->run_count; i-- > 0;)
        if (strcmp(world->runs[i].rollout, rollout) == 0)
            return &world->runs[i];
    return NULL;
}

static bool is(const char *a, const char *b)
{
    return *a == *b && strcmp(a, b) == 0;
}

static bool changes(const char *verb)
{
    return is(verb, "stage") || is(verb, "unpack") || is(verb, "activate") || is(verb, "commit") || is(verb, "run") ||
           is(verb, "migrate");
}

/* --- 2. never more than max_unavailable nodes out because of us; one that was ill before counts as out --- */

/* Another run holds the node, and has it out of service. */
static bool out_elsewhere(const struct run *run, size_t node)
{
    const struct world *world = run->world;
    const struct model_lock *lock = &world->nodes[node].lock;
    for (size_t i = 0; i < world->run_count; i++) {
        const struct run *other = &world->runs[i];
        const struct seen *seen = &other->seen[node];
        bool holds = !lock->ended && is(lock->rollout, other->rollout);
        if (other != run && other->started && !other->ended_at && holds && seen->touched && !seen->in && !seen->was_ill)
            return true;
    }
    return false;
}

static void law_2_capacity(struct run *run, size_t node)
{
    struct world *world = run->world;
    const struct seen *this = &run->seen[node];
    size_t out = 0;
    if ((this->touched && !this->in) || (!this->touched && this->ill_before))
        return;
    if (!is(world->nodes[node].lock.rollout, run->rollout))
        return; /* the node's fence refuses it */
    for (size_t i = 0; i < world->plan->node_count; i++) {
        const struct seen *seen = &run->seen[i];
        out += i != node && ((seen->touched && !seen->in) || out_elsewhere(run, i));
    }
    if (out + 1 > world->plan->max_unavailable)
        law_broken(world, "law 2", "%s goes out while %zu others are out, %u allowed", world->nodes[node].name, out,
                   world->plan->max_unavailable);
}

/* --- 3. once the failure budget is spent, no further node is touched --- */

static void law_3_budget(struct run *run, size_t node)
{
    struct world *world = run->world;
    const char *name = world->nodes[node].name;
    if (world->plan->max_failures || run->seen[node].touched || run->seen[node].drains)
        return;
    if (run->failed_at && run->failed_at < clock_now())
        law_broken(world, "law 3", "%s is touched though another's activation has failed", name);
    if (run->undo_at)
        law_broken(world, "law 3", "%s is touched though the run goes back", name);
}

/* --- 5. a rollback is never rolled back --- */

static void law_5_one_undo(struct run *run, size_t node, bool forward, const char *token)
{
    struct seen *seen = &run->seen[node];
    const char *name = run->world->nodes[node].name;
    if (forward && seen->undone)
        law_broken(run->world, "law 5", "%s goes forward again after its undo", name);
    if (!forward && seen->undone && !is(seen->undo_token, token))
        law_broken(run->world, "law 5", "%s is put back a second time", name);
    if (!forward && run->verb == VERB_ROLLBACK)
        law_broken(run->world, "law 5", "%s is put back in a rollback", name);
    if (!forward)
        snprintf(seen->undo_token, sizeof(seen->undo_token), "%s", token);
}

/* --- 4. newest first: among those that serve as among those that do not --- */

/* Has surely passed its gate by now. */
static bool serves(const struct seen *seen)
{
    return seen->in && !seen->bad_row && clock_now() >= seen->up_since + MIN_HEALTHY_MS + 2000;
}

static void law_4_newest_first(struct run *run, size_t node)
{
    struct world *world = run->world;
    const struct seen *this = &run->seen[node];
    if (run->verb == VERB_ABORT || run->verb == VERB_RESUME || world->plan->max_failures ||
        world->plan->fault_count > 1 || world->plan->run_count > 1 || world->plan->confirms ||
        world->plan->balancers) /* there the drains tell the order, which are not seen here */
        return;
    /* One that was lost is looked for first, and others may go before it. */
    enum sim_fault_kind kind = world->plan->fault_count ? world->plan->faults[0].kind : FAULT_BAD_RELEASE;
    if (kind != FAULT_BAD_RELEASE && kind != FAULT_ILL && kind != FAULT_FAILS)
        return;
    for (size_t i = 0; i < world->plan->node_count; i++) {
        const struct seen *other = &run->seen[i];
        if (i != node && other->touched && !other->goes_back && serves(other) && serves(this) &&
            other->order > this->order && !run->interrupted)
            law_broken(world, "law 4", "%s is put back before %s, which was changed later", world->nodes[node].name,
                       world->nodes[i].name);
    }
}

/* --- 7. the next wave begins when the one before has passed its gates; those that were ill before may join earlier ones --- */

static void law_7_gates(struct run *run, size_t node)
{
    struct world *world = run->world;
    if (world->plan->max_failures)
        return;
    for (size_t i = 0; i < world->plan->node_count; i++)
        if (run->wave_of[i] < run->wave_of[node] && run->seen[i].touched && !run->seen[i].in && !run->seen[i].was_ill &&
            !run->seen[node].ill_before)
            law_broken(world, "law 7", "%s is changed though %s has not passed its gate", world->nodes[node].name,
                       world->nodes[i].name);
}

static void law_7_commit(struct run *run, size_t node)
{
    const struct seen *seen = &run->seen[node];
    if (run->world->plan->blue_green)
        return; /* a side passes its gate before the switch, and may have been lost since */
    if (seen->touched && (!seen->ever_in || clock_now() - seen->up_since < MIN_HEALTHY_MS))
        law_broken(run->world, "law 7", "%s is committed and has not passed its gate", run->world->nodes[node].name);
}

/* And none gets traffic before its own gate. One that the run has only taken out may be put back as it was. */
/* --- 15. only the holder of a live lease changes traffic or registry: what no node sees has no other fence --- */

void laws_writes_outside(struct run *run, size_t node, const char *what)
{
    const struct model_node *truth = &run->world->nodes[node];
    const struct model_lock *lock = &truth->lock;
    /* after a boot it is as if it had been renewed then */
    int64_t age_s = model_uptime_s(truth) - (truth->boot == lock->boot ? lock->beat_s : 0);
    bool live = !truth->up || (age_s >= 0 && age_s <= lock->ttl_s);
    if (!is(lock->rollout, run->rollout) || lock->ended || !live)
        law_broken(run->world, "law 15", "%s: run %zu tells the balancer %s, and its lock is %s's%s, renewed %lld s ago", truth->name,
                   run->index + 1, what, lock->rollout, lock->ended ? ", given back" : "", (long long)age_s);
}

void laws_traffic(struct run *run, size_t balancer, size_t node, bool in)
{
    if (run->world->plan->blue_green) {
        laws_slot_traffic(run, balancer, node, in);
        return;
    }
    struct world *world = run->world;
    struct seen *seen = &run->seen[node];
    struct traffic *traffic = &world->traffic[balancer][node];
    tell("        %s: traffic of balancer %zu %s", world->nodes[node].name, balancer + 1, in ? "on" : "off");
    if (in && traffic->out && (seen->touched || !seen->drained) && !seen->in)
        law_broken(world, "law 7", "%s gets traffic and has not passed its gate", world->nodes[node].name);
    if (!in && !traffic->out)
        seen->drained = true;
    traffic->out = !in;
}

/* A drain touches a node: what has begun so before the budget was spent goes on. */
void laws_drain_begins(struct run *run, size_t node)
{
    law_3_budget(run, node);
    run->seen[node].drains = true;
}

static void law_7_drained(struct run *run, size_t node)
{
    struct world *world = run->world;
    int64_t looks_at = world->reloaded_at > run->awake_at ? world->reloaded_at : run->awake_at;
    for (size_t i = 0; i < world->plan->balancers; i++)
        if (!world->traffic[i][node].out && (world->reloaded_at < 0 || clock_now() > looks_at + FORGET_MS))
            law_broken(world, "law 7", "%s is changed while it gets traffic of balancer %zu", world->nodes[node].name, i + 1);
}

/* --- hooks: what must succeed before an activation has; what is for the first node runs once --- */

static bool has_hook(const struct world_plan *plan, const char *when, enum hook_place place, bool ignored)
{
    for (size_t i = 0; i < plan->hook_count; i++)
        if (is(plan->hooks[i].when, when) && plan->hooks[i].place == place && plan->hooks[i].ignored == ignored)
            return true;
    return false;
}

void laws_hook(struct run *run, size_t node, bool succeeds)
{
    if (node != SIZE_MAX && succeeds)
        run->seen[node].hooked = true;
}

static void law_hooked(struct run *run, size_t node)
{
    const struct world_plan *plan = run->world->plan;
    bool wanted = has_hook(plan, "before_activate", PLACE_NODE, false) || has_hook(plan, "before_activate", PLACE_RUNNER, false);
    if (wanted && !run->seen[node].hooked)
        law_broken(run->world, "hooks", "%s is changed, and its hook before that has not succeeded", run->world->nodes[node].name);
}

/* --- 8. the journal holds an action before it happens --- */

static void law_8_journal(struct run *run, size_t node, const char *verb)
{
    static const char *const phases[][2] = {{"stage", "\"stage\""},     {"unpack", "\"stage\""},   {"activate", "activate\""},
                                            {"commit", "\"commit\""}, {"migrate", "migrat"}};
    const struct strbuf *text = outside_file(run->journal);
    const char *name = run->world->nodes[node].name, *phase = NULL;
    char wanted[48];
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
        if (is(phases[i][0], verb))
            phase = phases[i][1];
    if (!phase)
        return;
    snprintf(wanted, sizeof(wanted), "\"node\":\"%s\"", name);
    for (size_t at = text ? text->length : 0; at > 1;) {
        size_t end = at - 1;
        for (at = end; at > 0 && text->text[at - 1] != '\n';)
            at--;
        const char *line = text->text + at;
        size_t length = end - at;
        const char *word = memmem(line, length, "\"phase\":\"", 9);
        if (!memmem(line, length, "\"event\":\"phase\"", 15) || !memmem(line, length, wanted, strlen(wanted)) || !word)
            continue;
        const char *close = memchr(word + 9, '"', length - (size_t)(word + 9 - line));
        if (close && memmem(word + 8, (size_t)(close - word) - 7, phase, strlen(phase)))
            return;
        break;
    }
    law_broken(run->world, "law 8", "%s of %s is sent, and the runner's journal does not hold it", verb, name);
}

/* --- what is asked --- */

/* It begins with a look at the release to go back to. */
static void undo_asked(struct run *run, size_t node)
{
    if (run->seen[node].goes_back)
        return;
    law_4_newest_first(run, node);
    run->seen[node].goes_back = true;
    run->undo_at = clock_now();
}

static void activation_asked(struct run *run, size_t node, const struct model_request *request, bool forward)
{
    struct seen *seen = &run->seen[node];
    const char *token = model_request_get(request, "token");
    law_5_one_undo(run, node, forward, token ? token : "");
    if (!seen->touched && !*run->world->nodes[node].current)
        seen->ill_before = true; /* serves nothing that could go out of service */
    if (forward && run->world->plan->blue_green) {
        law_3_budget(run, node);
    } else if (forward) {
        law_3_budget(run, node);
        law_2_capacity(run, node);
        law_7_gates(run, node);
        law_hooked(run, node);
    } else {
        undo_asked(run, node);
    }
    if (!seen->touched) {
        seen->order = ++run->touched_count;
        snprintf(seen->before, sizeof(seen->before), "%s", run->world->committed[node]);
    }
    if (!seen->touched)
        seen->was_ill = seen->ill_before;
    seen->touched = true;
    seen->undone = seen->undone || !forward;
    seen->in = seen->ever_in = false;
    seen->good_row = seen->bad_row = 0;
}

static void remember(struct world *world, const struct runner *runner, uint64_t connection, const struct model_request *request, bool forward)
{
    struct asked *asked = malloc(sizeof(*asked));
    *asked = (struct asked){world->asked, connection, request->id, clock_now(), runner_suspended_ms(runner), "", forward};
    memcpy(asked->verb, request->verb, sizeof(asked->verb));
    world->asked = asked;
}

/* 6. One action at a time on a node: none is sent while another has no answer, over one connection. */
static void law_6_one_at_a_time(struct run *run, size_t node, uint64_t connection, const char *verb)
{
    for (const struct asked *asked = run->world->asked; asked; asked = asked->next)
        if (asked->connection == connection && changes(asked->verb))
            law_broken(run->world, "law 6", "%s: %s is sent while %s has no answer", run->world->nodes[node].name, verb,
                       asked->verb);
}

/* What a node is in the end follows from what it was asked to do, not from how it was taken leave of. */
static bool tells_the_class(const char *verb)
{
    static const char *const others[] = {"renew", "cancel", "open", "failed", "finish"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (is(verb, others[i]))
            return false;
    return true;
}

void laws_asked(void *context, struct runner *runner, struct model_node *node, uint64_t connection,
                const struct model_request *request)
{
    struct world *world = context;
    struct run *run = runner_tag(runner);
    size_t index = index_of(world, node);
    const char *verb = request->verb, *release = model_request_get(request, "release");
    bool forward = false;
    if (telling() && !is(verb, "renew") && !is(verb, "probe"))
        tell("run %zu -> %s: %s%s%s", run->index + 1, node->name, verb, release ? " " : "", release ? release : "");
    mix(world, verb);
    /* What was under way ends with these, which the node's fence refuses. */
    bool ends = is(verb, "cancel") || is(verb, "open") || is(verb, "settle") || is(verb, "confirm") || is(verb, "unpack");
    /* the second half of a round of probes: a look, which changes nothing */
    ends = ends || (is(verb, "probe") && clock_now() - run->lease_lost_at <= PROBE_MS);
    bool learns_now = run->seen[index].lease_lost_at == clock_now(); /* what the same turn still sends, the node refuses */
    bool gives_back = (!run->seen[index].lease_lost || learns_now) && (is(verb, "finish") || is(verb, "renew") || is(verb, "failed"));
    if (run->lease_lost_at && run->lease_lost_at < clock_now() && !ends && !gives_back)
        law_broken(world, "law 11", "%s is sent to %s after the lease was lost", verb, node->name);
    if (is(verb, "activate")) {
        forward = release && *run->seen[index].target && is(release, run->seen[index].target) && run->verb != VERB_ABORT;
        activation_asked(run, index, request, forward);
    }
    if (is(verb, "verify") && run->seen[index].touched)
        undo_asked(run, index);
    if (is(verb, "probe") && !run->seen[index].touched)
        run->seen[index].ill_before = true; /* until it is heard to be well */
    if (is(verb, "commit"))
        law_7_commit(run, index);
    if (changes(verb)) {
        law_6_one_at_a_time(run, index, connection, verb);
        law_8_journal(run, index, verb);
    }
    remember(world, runner, connection, request, forward);
    if (tells_the_class(verb)) {
        run->seen[index].silent = true;
        run->seen[index].last_connection = connection;
        run->seen[index].last_id = request->id;
    }
}

/* --- what is answered --- */

static void probe_answered(struct seen *seen, bool good)
{
    if (!seen->touched)
        seen->ill_before = !good;
    seen->bad_row = good ? 0 : seen->bad_row + 1;
    if (good && ++seen->good_row == RISE) {
        seen->up_since = clock_now();
        seen->in = seen->ever_in = true;
    }
    if (good)
        return;
    if (!seen->in || seen->bad_row >= FALL) {
        seen->good_row = 0;
        seen->in = false;
    }
}

void laws_answered(void *context, struct runner *runner, struct model_node *node, uint32_t id, const char *status,
                   uint64_t connection)
{
    struct world *world = context;
    struct run *run = runner_tag(runner);
    struct seen *seen = &run->seen[index_of(world, node)];
    struct asked **link = &world->asked, *asked;
    while ((asked = *link) && (asked->connection != connection || asked->id != id))
        link = &asked->next;
    if (!asked)
        return;
    *link = asked->next;
    seen->answered = true;
    if (connection == seen->last_connection && id == seen->last_id)
        seen->silent = false;
    if (telling() && !is(asked->verb, "renew"))
        tell("        %s: %s %s", node->name, asked->verb, status);
    /* What comes later was a bad one, when it was due. */
    int64_t suspended = runner_suspended_ms(runner) - asked->suspended;
    if (is(asked->verb, "probe") && clock_now() - suspended - asked->at <= PROBE_MS)
        probe_answered(seen, is(status, "ok"));
    if (is(asked->verb, "renew") && is(status, "refused")) {
        seen->lease_lost = true;
        seen->lease_lost_at = clock_now();
        if (!run->lease_lost_at)
            run->lease_lost_at = clock_now();
    }
    if (is(asked->verb, "run") && is(status, "ok"))
        laws_hook(run, index_of(world, node), true);
    if (is(asked->verb, "activate") && asked->forward && is(status, "failed") && !run->failed_at)
        run->failed_at = clock_now();
    free(asked);
}

/* --- what happens on the nodes --- */

/* 9. A migration runs once a fleet; nothing goes back to before an irreversible one. */
static void law_9_migrated(struct world *world, const struct model_step *step)
{
    static const char *const names[] = {"widen", "burn", "tidy"};
    const char *name = model_request_get(step->request, "name");
    for (int i = 0; i < 3; i++) {
        if (!name || !is(name, names[i]))
            continue;
        if (++world->migrated[i] > 1)
            law_broken(world, "law 9", "migration %s is run a second time, on %s", name, step->node->name);
        world->past_no_return = world->past_no_return || i == 1;
        for (size_t k = 0; i != 2 && k < world->plan->node_count; k++)
            if (is(world->nodes[k].current, step->release))
                law_broken(world, "law 9", "migration %s comes after %s was changed", name, world->nodes[k].name);
        for (size_t k = 0; i == 2 && k < world->plan->node_count; k++)
            if (!is(world->nodes[k].current, step->release))
                law_broken(world, "law 9", "migration %s comes while %s is not on its release", name, world->nodes[k].name);
    }
}

static void law_9_unmigrated(struct world *world, const struct model_step *step)
{
    const char *name = model_request_get(step->request, "name");
    if (name && is(name, "widen") && world->migrated[0])
        world->migrated[0]--;
}

/* The fence: who has settled under a newer generation, or with a newer epoch of it, is alone. */
static void law_fence(struct world *world, struct model_node *node, const struct model_step *step)
{
    /* A confirm timer waits for who holds the lock, and goes on after. */
    bool expired = model_uptime_s(node) - node->lock.beat_s > node->lock.ttl_s;
    if (step->reverts && (node->lock.ended || expired))
        return;
    uint64_t generation = world->settled_generation[index_of(world, node)], epoch = world->settled_epoch[index_of(world, node)];
    if (step->generation < generation || (step->generation == generation && !step->reverts && step->epoch < epoch))
        law_broken(world, "fence", "%s: %s of generation %llu, epoch %llu acts after %llu, %llu has settled", node->name,
                   step->request->verb, (unsigned long long)step->generation, (unsigned long long)step->epoch,
                   (unsigned long long)generation, (unsigned long long)epoch);
}

/* A session that another of the same run has settled after changes nothing any more. */
static void law_stale(struct world *world, struct model_node *node, const struct model_step *step)
{
    if (!step->reverts && step->session && node->settled_connection && step->connection != node->settled_connection &&
        step->generation == world->settled_generation[index_of(world, node)])
        law_broken(world, "stale", "%s: %s of an earlier connection acts after another one has settled", node->name,
                   step->request->verb);
}


static void law_6_alone(struct world *world, struct model_node *node, const struct model_step *step)
{
    for (const struct model_step *other = node->steps; other; other = other->next)
        if (other != step && other->leader && other->begun)
            law_broken(world, "law 6", "%s: %s begins while %s still works", node->name, step->request->verb,
                       other->request->verb);
}

/* 8, on the node: the step's beginning is in its journal. */
static void law_8_noted(struct world *world, struct model_node *node, const struct model_step *step)
{
    for (size_t i = node->journal_count; i-- > 0;)
        if (node->journal[i].generation == step->generation && is(node->journal[i].step, step->step_name)) {
            if (!is(node->journal[i].mark, "begin"))
                break;
            return;
        }
    law_broken(world, "law 8", "%s: %s begins and is not in the node's journal", node->name, step->step_name);
}

/* What a run that was fenced off asks for never begins: so this looks at what the node does. */
static void activation_begins(struct world *world, const struct model_node *node, const struct model_step *step)
{
    struct run *run = run_of(world, step->rollout);
    size_t index = index_of(world, node);
    if (run && !run->ended_at && !world->plan->blue_green && is(step->request->verb, "activate") && run->verb != VERB_ABORT &&
        *run->seen[index].target && is(step->release, run->seen[index].target))
        law_7_drained(run, index);
}

static void switched(struct world *world, struct model_node *node, const struct model_step *step)
{
    struct run *run = run_of(world, step->rollout);
    tell("        %s: current is %s", node->name, *node->current ? node->current : "nothing");
    if (run)
        run->seen[index_of(world, node)].switched = true;
    /* no release at all reads no data */
    if (world->past_no_return && !is(step->release, "-") && strcmp(step->release, release_new(0)) < 0)
        law_broken(world, "law 9", "%s goes back to before an irreversible migration", node->name);
}

/* 12. A gate is passed by the new release only: what the old process answered does not count. */
static void law_12_new_release(struct world *world, const struct model_node *node, const struct model_step *step)
{
    if (world->plan->blue_green)
        law_12_slots(world, node, step);
    else if (*node->serving && !is(node->serving, step->release))
        law_broken(world, "law 12", "%s: release %s is committed while the process of %s answers", node->name, step->release,
                   node->serving);
}

void laws_happened(void *context, struct model_node *node, enum model_event event, const struct model_step *step)
{
    struct world *world = context;
    size_t index = index_of(world, node);
    switch (event) {
    case MODEL_LOCKED:
        tell("        %s: generation %llu is %s's", node->name, (unsigned long long)node->lock.generation, node->lock.rollout);
        break;
    case MODEL_SETTLED:
        if (node->lock.ended)
            break;
        world->settled_generation[index] = node->lock.generation;
        world->settled_epoch[index] = node->lock.epoch;
        break;
    case MODEL_UNSETTLED:
        law_broken(world, "fence", "%s: a step is asked for on a connection that has not settled", node->name);
        break;
    case MODEL_LEADS:
        law_6_alone(world, node, step);
        law_8_noted(world, node, step);
        activation_begins(world, node, step);
        law_stale(world, node, step);
        break;
    case MODEL_SWITCHED:
        law_fence(world, node, step);
        law_stale(world, node, step);
        switched(world, node, step);
        break;
    case MODEL_COMMITTED:
        law_12_new_release(world, node, step);
        snprintf(world->committed[index], sizeof(world->committed[index]), "%s", step->release);
        law_fence(world, node, step);
        break;
    case MODEL_RETRACTED:
        snprintf(world->committed[index], sizeof(world->committed[index]), "%s", is(node->before.was, "-") ? "" : node->before.was);
        break;
    case MODEL_SERVES:
        law_fence(world, node, step);
        law_stale(world, node, step);
        break;
    case MODEL_MIGRATED:
        tell("        %s: migration %s is done", node->name, model_request_get(step->request, "name"));
        law_fence(world, node, step);
        law_9_migrated(world, step);
        break;
    case MODEL_UNMIGRATED:
        law_9_unmigrated(world, step);
        break;
    case MODEL_REVERTED:
        tell("        %s: its confirm timer put %s back", node->name, node->timer.previous);
        break;
    case MODEL_SLOT_STOPS:
        laws_slot_stops(world, node);
        break;
    case MODEL_LEFT:
        break;
    }
}

/* --- the ends --- */

/* Nobody else has had the node since. */
static bool still_ours(const struct world *world, const struct run *run, size_t node)
{
    return is(world->nodes[node].lock.rollout, run->rollout);
}

static void check_outcome(struct run *run, size_t node)
{
    struct world *world = run->world;
    const struct model_node *truth = &world->nodes[node];
    const struct seen *seen = &run->seen[node];
    const char *said = seen->outcome;
    bool gone = is(said, "unreachable") || is(said, "skipped");
    if (seen->switched && !is(said, "updated") && !is(said, "restored") && !is(said, "needs care"))
        law_broken(world, "law 4", "%s was changed and is called %s", truth->name, said);
    if (!seen->answered && (is(said, "refused") || is(said, "failed") || is(said, "updated")))
        law_broken(world, "law 10", "%s never answered and is called %s", truth->name, said);
    if (seen->silent && !seen->touched && (is(said, "failed") || is(said, "refused")))
        law_broken(world, "law 10", "%s did not answer the last request and is called %s", truth->name, said);
    if (gone && !world->plan->fault_count)
        law_broken(world, "law 10", "%s is called %s and nothing was wrong with it", truth->name, said);
    if (!still_ours(world, run, node) || !truth->up || world->plan->blue_green)
        return;
    if (is(said, "updated") && !is(truth->current, seen->target) && !run->undoes)
        law_broken(world, "law 4", "%s is called updated and has %s", truth->name, truth->current);
    if (is(said, "restored") && !run->undoes && seen->switched && !is(truth->current, seen->before))
        law_broken(world, "law 4", "%s is called restored and has %s, not %s", truth->name, truth->current, seen->before);
    if ((is(said, "restored") || is(said, "updated")) && !is(truth->serving, truth->current))
        law_broken(world, "law 4", "%s is called %s and serves something else than what is current", truth->name, said);
    if (is(said, "restored") && seen->switched && !seen->ever_in && *truth->current)
        law_broken(world, "law 4", "%s is called restored and has not passed its gate", truth->name);
}

void laws_run_ended(struct run *run)
{
    struct world *world = run->world;
    mix(world, run->result);
    if (!run->engine)
        return;
    if (run->results != 1 && run->exit_code != 65)
        law_broken(world, "law 1", "run %zu has %d results", run->index + 1, run->results);
    for (size_t i = 0; i < world->plan->node_count && run->results == 1; i++)
        check_outcome(run, i);
    if (world->plan->blue_green) {
        laws_slots_end(run);
    } else {
        law_serves(run);
        law_weights(run);
    }
    law_liveness(run);
    if (run->exit_code == 1)
        for (size_t i = 0; i < world->plan->node_count; i++)
            if (run->seen[i].switched && !is(run->seen[i].outcome, "restored"))
                law_broken(world, "law 4", "exit 1, and %s is %s", world->nodes[i].name, run->seen[i].outcome);
}

static bool has_limits(const struct world_plan *plan)
{
    for (size_t i = 0; i < plan->run_count; i++)
        if (plan->runs[i].limit)
            return true;
    return false;
}

/* When all is well again: the next command knows where things stand, and the same once more changes nothing. */
void laws_world_ended(struct world *world)
{
    const struct run *first = &world->runs[world->run_count - 2], *second = first + 1;
    bool sick = false;
    for (size_t i = 0; i < world->plan->fault_count; i++)
        sick = sick || world->plan->faults[i].kind == FAULT_BAD_RELEASE;
    if (first->exit_code == 4 && world->plan->expand + world->plan->contract + world->plan->irreversible)
        return; /* what became of a migration is asked about */
    if (first->verb == VERB_ABORT && first->exit_code != 0 && !world->past_no_return)
        law_broken(world, "resume", "the abort when all is well ends with %d", first->exit_code);
    if (first->verb == VERB_RESUME && !sick && first->exit_code != 0 && !(first->exit_code == 1))
        law_broken(world, "resume", "the resume when all is well ends with %d", first->exit_code);
    /* runs with a limit: another one is open on other nodes */
    bool other = *first->goes_on && *second->goes_on && !is(second->goes_on, first->goes_on) && !is(second->goes_on, first->rollout);
    other = other && has_limits(world->plan);
    if (first->exit_code == 0 && !other && (second->exit_code != 0 || second->open_found))
        law_broken(world, "resume", "%s a second time ends with %d", run_verb_name(second->verb), second->exit_code);
    for (size_t i = 0; i < world->plan->node_count; i++)
        for (size_t k = 0; k < world->plan->balancers && !world->plan->blue_green; k++)
            if (first->exit_code == 0 && first->open_found && world->traffic[k][i].out && *world->nodes[i].current)
                law_broken(world, "resume", "%s, and %s is left out of the traffic", run_verb_name(first->verb),
                           world->nodes[i].name);
    /* a run that is held, or whose release gets healthy nowhere, stays open: going on with it tries again */
    bool open = first->exit_code == 3 || (first->verb == VERB_RESUME && sick && first->exit_code == 2);
    for (size_t i = 0; i < world->plan->node_count; i++)
        if (second->seen[i].switched && !open && !other)
            law_broken(world, "resume", "%s a second time changes %s", run_verb_name(second->verb), world->nodes[i].name);
}
