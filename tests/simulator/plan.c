#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

static uint64_t between(struct random *random, uint64_t low, uint64_t high)
{
    return low + random_below(random, high - low + 1);
}

static bool chance(struct random *random, uint32_t percent)
{
    return random_below(random, 100) < percent;
}

const char *run_verb_name(enum run_verb verb)
{
    static const char *const names[] = {"rollout", "rollout --supersede", "resume", "abort", "rollback"};
    return names[verb];
}

const char *sim_fault_name(enum sim_fault_kind kind)
{
    static const char *const names[] = {
        [FAULT_LOST_REPLY] = "lost reply",   [FAULT_LOST_REQUEST] = "lost request",
        [FAULT_FAILS] = "step fails",        [FAULT_SLOW] = "slow step",
        [FAULT_DEAF] = "deaf step",          [FAULT_BALANCER_FAILS] = "balancer fails",
        [FAULT_BALANCER_SILENT] = "balancer silent", [FAULT_NODE_DIES] = "host down",
        [FAULT_POWER_LOSS] = "power loss",
        [FAULT_FROZEN] = "host frozen",      [FAULT_CUT] = "cut",
        [FAULT_SPLIT] = "split",             [FAULT_RESET] = "reset",
        [FAULT_ILL] = "ill",                 [FAULT_STUCK] = "stuck", [FAULT_BAD_RELEASE] = "bad release",
        [FAULT_WALL_JUMP] = "node's clock",  [FAULT_RELOAD] = "balancer reloaded",
        [FAULT_RUNNER_DIES] = "runner dies",
        [FAULT_RUNNER_SLEEPS] = "runner stopped", [FAULT_RUNNER_JUMPS] = "runner's clock",
        [FAULT_INTERRUPT] = "interrupt",     [FAULT_DISK_FULL] = "disk full",
        [FAULT_RUNNER_SUSPENDED] = "runner suspended",
    };
    return names[kind];
}

/* Those that every world can meet; the others are chosen apart. */
static const enum sim_fault_kind common_faults[] = {
    FAULT_LOST_REPLY, FAULT_LOST_REQUEST, FAULT_FAILS, FAULT_SLOW, FAULT_DEAF, FAULT_NODE_DIES, FAULT_FROZEN, FAULT_CUT, FAULT_SPLIT,
    FAULT_RESET, FAULT_ILL, FAULT_STUCK, FAULT_BAD_RELEASE, FAULT_WALL_JUMP, FAULT_RUNNER_DIES, FAULT_RUNNER_SLEEPS, FAULT_RUNNER_JUMPS,
    FAULT_INTERRUPT, FAULT_DISK_FULL, FAULT_RUNNER_SUSPENDED};
#define COMMON_FAULTS (sizeof(common_faults) / sizeof(common_faults[0]))

static void choose_balancer(struct world_plan *plan, struct random *random)
{
    static const char *const verbs[] = {"drain", "ready", "state"};
    plan->balancers = chance(random, 15);
    for (uint64_t left = plan->balancers ? between(random, 0, 2) : 0; left > 0; left--)
        plan->faults[plan->fault_count++] = (struct sim_fault){
            .kind = chance(random, 50) ? FAULT_BALANCER_FAILS : FAULT_BALANCER_SILENT,
            .node = (size_t)random_below(random, plan->node_count),
            .verb = verbs[random_below(random, sizeof(verbs) / sizeof(verbs[0]))],
            .nth = (uint32_t)between(random, 1, 3),
        };
}

/* A runner that is away for longer than its leases, while it moves traffic; most often another run begins meanwhile. */
static void choose_stale(struct world_plan *plan, struct random *random)
{
    if (!plan->balancers || plan->fault_count == STROKES_MAX || !chance(random, 40))
        return;
    plan->faults[plan->fault_count++] =
        (struct sim_fault){.kind = chance(random, 50) ? FAULT_RUNNER_SLEEPS : FAULT_RUNNER_SUSPENDED,
                           .at_ms = (int64_t)between(random, 1000, 25000),
                           .for_ms = (int64_t)between(random, 40000, 150000)};
    if (plan->run_count > 1 && chance(random, 75)) {
        plan->runs[1].after = false;
        plan->runs[1].at_ms = (int64_t)between(random, 61000, 100000);
    }
}

static void choose_fault(struct sim_fault *fault, const struct world_plan *plan, struct random *random)
{
    static const char *const verbs[] = {"lock", "settle", "stage", "unpack", "activate", "activate", "activate",
                                        "commit", "finish", "probe", "renew", "migrate", "confirm"};
    static const char *const steps[] = {"stage", "unpack", "activate", "activate", "commit", "migrate"};
    *fault = (struct sim_fault){.kind = common_faults[random_below(random, COMMON_FAULTS)],
                            .node = (size_t)random_below(random, plan->node_count),
                            .at_ms = (int64_t)between(random, 0, 90000),
                            .for_ms = (int64_t)between(random, 200, chance(random, 50) ? 8000 : 120000),
                            .nth = (uint32_t)between(random, 1, 3)};
    if (fault->kind == FAULT_DISK_FULL && chance(random, 80))
        fault->kind = FAULT_RUNNER_DIES;
    if (fault->kind == FAULT_BAD_RELEASE && chance(random, 50))
        fault->kind = FAULT_LOST_REPLY;
    if (fault->kind == FAULT_STUCK) { /* while nodes are activated, or go back */
        fault->at_ms = (int64_t)between(random, 0, 20000);
        fault->for_ms = (int64_t)between(random, 5000, 60000);
    }
    bool on_run = fault->kind >= FAULT_RUNNER_DIES;
    if (on_run)
        fault->node = (size_t)random_below(random, plan->run_count);
    if (on_run && chance(random, 60))
        fault->at_ms = (int64_t)between(random, 0, 20000);
    if (fault->kind >= FAULT_FAILS && fault->kind <= FAULT_DEAF)
        fault->verb = steps[random_below(random, sizeof(steps) / sizeof(steps[0]))];
    else
        fault->verb = verbs[random_below(random, sizeof(verbs) / sizeof(verbs[0]))];
}

static void choose_runs(struct world_plan *plan, struct random *random)
{
    plan->run_count = (size_t)between(random, 1, 3);
    plan->runs[0] = (struct run_plan){.verb = VERB_ROLLOUT};
    for (size_t i = 1; i < plan->run_count; i++) {
        plan->runs[i] = (struct run_plan){
            .verb = (enum run_verb)random_below(random, RUN_VERBS),
            .release = (int)random_below(random, 2),
            .after = chance(random, 60),
            .at_ms = (int64_t)between(random, 0, chance(random, 50) ? 5000 : 100000),
        };
        /* What the next command finds is what the law is about; a held lock is waited for more often than not. */
        if (plan->runs[i].after && chance(random, 60))
            plan->runs[i].at_ms += 65000;
    }
}

/* --- what only some worlds have --- */

static void choose_hooks(struct world_plan *plan, struct random *random)
{
    static const char *const moments[] = {"after_stage",  "before_drain",    "before_activate", "before_activate", "after_activate",
                                          "after_enable", "before_rollback", "after_rollback",  "on_failure"};
    plan->hook_count = (size_t)between(random, 1, HOOKS_MAX);
    for (size_t i = 0; i < plan->hook_count; i++)
        plan->hooks[i] = (struct hook_plan){.when = moments[random_below(random, sizeof(moments) / sizeof(moments[0]))],
                                            .place = (enum hook_place)random_below(random, PLACE_RUNNER + 1),
                                            .ignored = chance(random, 20)};
    if (chance(random, 50))
        plan->faults[plan->fault_count++] = (struct sim_fault){
            .kind = chance(random, 60) ? FAULT_FAILS : FAULT_SLOW,
            .node = (size_t)random_below(random, plan->node_count),
            .for_ms = (int64_t)between(random, 200, 90000),
            .verb = chance(random, 70) ? "run" : "hook",
            .nth = (uint32_t)between(random, 1, 2),
        };
}

static void choose_more_balancers(struct world_plan *plan, struct random *random)
{
    plan->balancers = (size_t)between(random, 1, BALANCERS_MAX);
    if (chance(random, 60))
        plan->faults[plan->fault_count++] = (struct sim_fault){
            .kind = FAULT_RELOAD,
            .node = (size_t)random_below(random, plan->balancers),
            .at_ms = (int64_t)between(random, 0, 40000),
        };
}

/* Some of the fleet: never all, and never none. */
static uint32_t choose_limit(const struct world_plan *plan, struct random *random)
{
    uint32_t all = (1u << plan->node_count) - 1;
    return plan->node_count < 2 ? 0 : 1 + (uint32_t)random_below(random, all - 1);
}

/* Rollouts of one release at once, each to its own part of the fleet. */
static void choose_parts(struct world_plan *plan, struct random *random)
{
    for (size_t i = 0; i < plan->run_count; i++) {
        plan->runs[i] = (struct run_plan){.verb = VERB_ROLLOUT, .at_ms = (int64_t)between(random, 0, 4000)};
        for (size_t node = 0; node < plan->node_count; node++)
            if (node % plan->run_count == i)
                plan->runs[i].limit |= 1u << node;
    }
}

static void choose_limits(struct world_plan *plan, struct random *random)
{
    if (plan->expand || plan->contract || plan->irreversible)
        return;
    if (plan->run_count > 1 && plan->node_count >= plan->run_count && chance(random, 60)) {
        choose_parts(plan, random);
        return;
    }
    for (size_t i = 0; i < plan->run_count; i++)
        if (plan->runs[i].verb <= VERB_SUPERSEDE || plan->runs[i].verb == VERB_ROLLBACK)
            plan->runs[i].limit = chance(random, 70) ? choose_limit(plan, random) : 0;
}

static void choose_more_faults(struct world_plan *plan, struct random *random)
{
    static const enum sim_fault_kind kinds[] = {FAULT_POWER_LOSS};
    static const char *const verbs[] = {"stage", "unpack", "activate", "activate", "commit", "finish"};
    plan->faults[plan->fault_count++] = (struct sim_fault){
        .kind = kinds[random_below(random, sizeof(kinds) / sizeof(kinds[0]))],
        .node = (size_t)random_below(random, plan->node_count),
        .at_ms = (int64_t)between(random, 0, 60000),
        .for_ms = (int64_t)between(random, 200, 20000),
        .verb = verbs[random_below(random, sizeof(verbs) / sizeof(verbs[0]))],
        .nth = (uint32_t)between(random, 1, 2),
    };
}

/* The idle side changes at once, and every instance of it must pass. */
static void make_blue_green(struct world_plan *plan, struct random *random)
{
    plan->blue_green = true;
    plan->canary = plan->confirms = plan->skip = plan->has_down = false;
    plan->expand = plan->contract = plan->irreversible = 0;
    plan->max_failures = 0;
    plan->hook_count = 0;
    if (!plan->balancers)
        plan->balancers = (size_t)between(random, 1, BALANCERS_MAX);
    for (size_t i = 0; i < plan->run_count; i++)
        plan->runs[i].limit = 0;
    /* which side is live is read from the balancers: they must not forget it */
    for (size_t i = 0; i < plan->fault_count; i++)
        if (plan->faults[i].kind == FAULT_RELOAD)
            plan->faults[i].kind = FAULT_RESET;
}

static void choose_extras(struct world_plan *plan, struct random *random)
{
    if (chance(random, 10))
        plan->fresh = chance(random, 50) ? (1u << plan->node_count) - 1
                                         : (uint32_t)random_below(random, 1u << plan->node_count);
    if (chance(random, 10))
        choose_hooks(plan, random);
    if (chance(random, 5))
        choose_more_balancers(plan, random);
    if (chance(random, 10))
        choose_limits(plan, random);
    plan->canary = chance(random, 8);
    if (plan->canary && !plan->balancers && chance(random, 70))
        choose_more_balancers(plan, random);
    if (chance(random, 10))
        choose_more_faults(plan, random);
    /* a start that failed counts as a slot that runs (src/node/node.sh): a resume finds nothing to start */
    if (chance(random, 6) && plan->closing == VERB_ABORT && !plan->fresh)
        make_blue_green(plan, random);
}

void plan_choose(struct world_plan *plan, uint64_t seed)
{
    struct random random;
    memset(plan, 0, sizeof(*plan));
    random_init(&random, seed * 0x9e3779b97f4a7c15u + 7);
    plan->seed = seed;
    plan->node_count = (size_t)(chance(&random, 4) ? between(&random, 5, NODES_MAX) : between(&random, 1, 4));
    plan->batch = (uint32_t)between(&random, 1, 3);
    plan->max_unavailable = (uint32_t)between(&random, 1, 3);
    plan->max_failures = chance(&random, 70) ? 0 : (uint32_t)between(&random, 1, 2);
    plan->attempts = (uint32_t)between(&random, 1, 3);
    plan->forks = (uint32_t)between(&random, 1, 6);
    plan->skip = chance(&random, 20);
    plan->confirms = chance(&random, 20);
    plan->action = chance(&random, 75)   ? ON_FAILURE_ROLLBACK
                   : chance(&random, 50) ? ON_FAILURE_PAUSE
                                         : ON_FAILURE_STOP;
    plan->bake_s = (int64_t)between(&random, 0, 4);
    plan->boot_ms = (int64_t)between(&random, 0, 3000);
    plan->expand = chance(&random, 15);
    plan->has_down = chance(&random, 50);
    plan->contract = chance(&random, 10);
    plan->irreversible = chance(&random, 8);
    choose_runs(plan, &random);
    plan->fault_count = (size_t)between(&random, 0, 4);
    for (size_t i = 0; i < plan->fault_count; i++)
        choose_fault(&plan->faults[i], plan, &random);
    plan->closing = chance(&random, 50) ? VERB_ABORT : VERB_RESUME;
    choose_balancer(plan, &random);
    choose_stale(plan, &random);
    choose_extras(plan, &random);
}

/* --- smaller --- */

static void drop_run(struct world_plan *plan, size_t run)
{
    memmove(&plan->runs[run], &plan->runs[run + 1], (plan->run_count - run - 1) * sizeof(plan->runs[0]));
    plan->run_count--;
    memset(&plan->runs[plan->run_count], 0, sizeof(plan->runs[0]));
}

static void fit(struct world_plan *plan)
{
    for (size_t i = 0; i < plan->fault_count; i++) {
        struct sim_fault *fault = &plan->faults[i];
        size_t count = fault->kind >= FAULT_RUNNER_DIES ? plan->run_count
                       : fault->kind == FAULT_RELOAD    ? plan->balancers
                                                        : plan->node_count;
        if (fault->node >= count)
            fault->node = count ? count - 1 : 0;
    }
    for (size_t i = 0; i < plan->run_count; i++)
        plan->runs[i].limit &= (1u << plan->node_count) - 1;
}

static bool simplify(struct world_plan *plan, size_t attempt)
{
    switch (attempt) {
    case 0: plan->node_count -= plan->node_count > 1; return true;
    case 1: plan->expand = plan->contract = plan->irreversible = 0; return true;
    case 2: plan->confirms = false; return true;
    case 3: plan->bake_s = plan->boot_ms = 0; return true;
    case 4: plan->max_failures = 0; return true;
    case 5: plan->attempts = 1; return true;
    case 6: plan->skip = false; return true;
    case 7: plan->batch = 1; return true;
    case 8: plan->max_unavailable = 1; return true;
    case 9: plan->forks = 1; return true;
    case 10: plan->balancers -= plan->balancers > 0; return true;
    case 11: plan->fresh = 0; return true;
    case 12: plan->hook_count = 0; return true;
    case 13:
        for (size_t i = 0; i < plan->run_count; i++)
            plan->runs[i].limit = 0;
        return true;
    case 14: plan->canary = plan->blue_green = false; return true;
    default: return false;
    }
}

bool plan_smaller(struct world_plan *plan, size_t attempt)
{
    size_t faults = plan->fault_count, runs = plan->run_count - 1;
    if (attempt < faults) {
        plan->faults[attempt] = plan->faults[--plan->fault_count];
        memset(&plan->faults[plan->fault_count], 0, sizeof(plan->faults[0]));
    } else if (attempt - faults < runs) {
        drop_run(plan, attempt - faults + 1);
    } else if (attempt - faults - runs < faults) {
        plan->faults[attempt - faults - runs].for_ms /= 2;
    } else if (!simplify(plan, attempt - 2 * faults - runs)) {
        return false;
    }
    fit(plan);
    return true;
}

/* --- told --- */

static void tell_fault(const struct sim_fault *fault, struct strbuf *out)
{
    static const char *const words[] = {
        [FAULT_LOST_REPLY] = "the connection is lost in place of the reply to",
        [FAULT_LOST_REQUEST] = "the connection is lost before it reads",
        [FAULT_FAILS] = "fails:",
        [FAULT_SLOW] = "is slow:",
        [FAULT_DEAF] = "is slow and hears no signal but KILL:",
        [FAULT_BALANCER_FAILS] = "the balancer refuses to do its",
        [FAULT_BALANCER_SILENT] = "the balancer does not answer its",
        [FAULT_NODE_DIES] = "the host goes down",
        [FAULT_POWER_LOSS] = "the host loses power",
        [FAULT_FROZEN] = "the host is frozen",
        [FAULT_CUT] = "the network is cut",
        [FAULT_SPLIT] = "the network is split off, with all nodes after it",
        [FAULT_RESET] = "its connections are reset",
        [FAULT_ILL] = "answers no health check",
        [FAULT_STUCK] = "the process that serves goes on, whatever is stopped and started",
        [FAULT_BAD_RELEASE] = "no new release gets healthy here",
        [FAULT_WALL_JUMP] = "the wall clock jumps",
        [FAULT_RELOAD] = "is reloaded and forgets",
        [FAULT_RUNNER_DIES] = "dies",
        [FAULT_RUNNER_SLEEPS] = "is stopped and continued",
        [FAULT_RUNNER_JUMPS] = "its wall clock jumps",
        [FAULT_INTERRUPT] = "SIGINT",
        [FAULT_DISK_FULL] = "its disk is full: no line more in its journal",
        [FAULT_RUNNER_SUSPENDED] = "its machine is suspended and resumed",
    };
    bool run = fault->kind >= FAULT_RUNNER_DIES;
    const char *whose = run ? "run " : fault->kind == FAULT_RELOAD ? "balancer " : "n";
    strbuf_addf(out, "  %s%zu: %s", whose, fault->node + 1, words[fault->kind]);
    if (fault->kind < FAULT_NODE_DIES)
        strbuf_addf(out, " %s, time %" PRIu32, fault->verb, fault->nth);
    else
        strbuf_addf(out, " at %.1f s", (double)fault->at_ms / 1000);
    strbuf_addf(out, " (%.1f s)\n", (double)fault->for_ms / 1000);
}

static void tell_nodes(const char *what, const struct world_plan *plan, uint32_t nodes, struct strbuf *out)
{
    for (size_t i = 0; i < plan->node_count; i++)
        if (nodes >> i & 1) {
            strbuf_addf(out, "%s n%zu", what, i + 1);
            what = ",";
        }
}

static void tell_extras(const struct world_plan *plan, struct strbuf *out)
{
    static const char *const places[] = {"node", "first", "runner"};
    if (plan->balancers)
        strbuf_addf(out, ", %zu balancer%s", plan->balancers, plan->balancers == 1 ? "" : "s");
    strbuf_addc(out, '\n');
    tell_nodes("  no release yet:", plan, plan->fresh, out);
    if (plan->fresh)
        strbuf_addc(out, '\n');
    for (size_t i = 0; i < plan->hook_count; i++)
        strbuf_addf(out, "  hook %s on %s%s\n", plan->hooks[i].when, places[plan->hooks[i].place],
                    plan->hooks[i].ignored ? ", its failure ignored" : "");
}

void plan_tell(const struct world_plan *plan, struct strbuf *out)
{
    static const char *const actions[] = {"rollback", "pause", "stop"};
    strbuf_addf(out,
                "%zu nodes, batch %" PRIu32 ", max_unavailable %" PRIu32 ", max_failures %" PRIu32 ", action %s, attempts %" PRIu32
                "%s%s%s%s%s%s",
                plan->node_count, plan->batch, plan->max_unavailable, plan->max_failures, actions[plan->action],
                plan->attempts, plan->skip ? ", unreachable skip" : "", plan->confirms ? ", confirm" : "",
                plan->expand ? ", expand" : "", plan->irreversible ? ", irreversible" : "",
                plan->contract ? ", contract" : "", plan->canary ? ", canary" : plan->blue_green ? ", blue-green" : "");
    tell_extras(plan, out);
    for (size_t i = 0; i < plan->run_count; i++) {
        strbuf_addf(out, "  run %zu: %s%s", i + 1, run_verb_name(plan->runs[i].verb),
                    plan->runs[i].release ? " of another release" : "");
        tell_nodes(" --limit", plan, plan->runs[i].limit, out);
        strbuf_addf(out, ", %.1f s after the %s\n", (double)plan->runs[i].at_ms / 1000,
                    plan->runs[i].after ? "end of the run before" : "beginning");
    }
    strbuf_addf(out, "  at last, when all is well: %s, twice\n", run_verb_name(plan->closing));
    for (size_t i = 0; i < plan->fault_count; i++)
        tell_fault(&plan->faults[i], out);
}
