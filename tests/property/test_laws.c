/*
 * The machine's laws over random worlds. DEPLOYCTL_SEED and DEPLOYCTL_WORLDS choose which and how
 * many; world number i has seed + i, so `DEPLOYCTL_SEED=<printed> DEPLOYCTL_WORLDS=1` shows a
 * failing one again. A failing world is made smaller while it still breaks the same law, and its
 * story is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "world.h"

#define WORLDS 20000
#define STORY_MAX (4u << 20)

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t between(struct random *random, uint64_t low, uint64_t high)
{
    return low + random_below(random, high - low + 1);
}

static bool chance(struct random *random, uint32_t percent)
{
    return random_below(random, 100) < percent;
}

static void choose_health(struct world_plan *plan, struct random *random)
{
    struct health_rules *health = &plan->config.health;

    plan->config.probed = !chance(random, 10);
    health->rise = (uint32_t)between(random, 1, 3);
    health->fall = (uint32_t)between(random, 1, 3);
    health->interval_ms = (int64_t)between(random, 200, 1500);
    health->min_healthy_time_ms = (int64_t)between(random, 0, 4000);
    health->healthy_deadline_ms = (int64_t)between(random, 3000, 15000);
    plan->config.bake_ms = chance(random, 30) ? 0 : (int64_t)between(random, 1, 6000);
    plan->config.progress_deadline_ms =
        chance(random, 50) ? 0 : (int64_t)between(random, 5000, 60000);
}

static void choose_rules(struct world_plan *plan, struct random *random)
{
    struct rollout_config *config = &plan->config;

    plan->batch_count = (size_t)between(random, 1, 3);
    for (size_t i = 0; i < plan->batch_count; i++) {
        plan->batch[i].percent = chance(random, 50);
        plan->batch[i].value =
            (uint32_t)between(random, 1, plan->batch[i].percent ? 100 : plan->node_count);
    }
    plan->spread = chance(random, 20);
    config->max_unavailable =
        (uint32_t)between(random, 1, chance(random, 60) ? 2 : plan->node_count);
    config->max_failures = chance(random, 50) ? 0 : (uint32_t)between(random, 1, 3);
    config->unreachable = chance(random, 50) ? ON_UNREACHABLE_SKIP : ON_UNREACHABLE_FAIL;
    config->action = chance(random, 70)   ? ON_FAILURE_ROLLBACK
                     : chance(random, 50) ? ON_FAILURE_PAUSE
                                          : ON_FAILURE_STOP;
    config->undo_allowed = !chance(random, 10);
    config->stages = config->undo_allowed || chance(random, 50);
    config->balanced = !chance(random, 25);
    config->confirms = config->undo_allowed && chance(random, 30);
    config->judged = chance(random, 30);
    plan->confirm_ms = (int64_t)between(random, 5000, 60000);
    config->attempts = (uint32_t)between(random, 1, chance(random, 20) ? 8 : 4);
    config->asks_leader = chance(random, 25);
    config->waits_ready = chance(random, 25);
    config->ready_deadline_ms = (int64_t)between(random, 1000, 20000);
    config->quorum = chance(random, 70) ? 0 : (uint32_t)between(random, 1, plan->node_count);
    plan->failover_percent = chance(random, 50) ? 0 : (uint32_t)between(random, 1, 60);
    config->breaker.failures = chance(random, 30) ? 0 : (uint32_t)between(random, 1, 5);
    config->breaker.cool_down_ms = (int64_t)between(random, 100, 30000);
    config->max_retries = (uint32_t)between(random, 0, chance(random, 30) ? 5 : 100);
    config->forks = (uint32_t)between(random, 1, 10);
    config->cancel_grace_ms = (int64_t)between(random, 0, 3000);
    config->interrupt_grace_ms = (int64_t)between(random, 0, 5000);
    config->seed = random_next(random);
}

/* Canary and blue-green; some go on with what an earlier run has left. */
static void choose_shares(struct world_plan *plan, struct random *random)
{
    struct rollout_config *config = &plan->config;
    uint32_t share = 0;

    if (chance(random, 50))
        return;
    config->switches = chance(random, 40);
    config->asks_leader = config->waits_ready = false;
    config->quorum = 0;
    config->shifts = config->switches || chance(random, 70);
    config->balanced |= config->shifts;
    plan->rule_count = config->switches ? 2 : (size_t)between(random, 1, WORLD_RULES_MAX);
    for (size_t i = 0; i < plan->rule_count; i++) {
        share += (uint32_t)between(random, 1, 300);
        plan->rules[i] = (struct wave_rule){
            .share = i + 1 == plan->rule_count ? SHARE_ALL
                     : config->switches || share > SHARE_ALL ? 0
                                                             : share,
            .bake_ms = chance(random, 30) ? 0 : (int64_t)between(random, 1, 6000),
            .manual = chance(random, 15),
        };
        if (!config->switches && i > 0 && plan->rules[i].share < plan->rules[i - 1].share)
            plan->rules[i].share = plan->rules[i - 1].share;
    }
    if (chance(random, 70))
        return;
    config->waves_passed = (size_t)random_below(random, plan->rule_count + 1);
    config->share =
        config->shifts && config->waves_passed > 0 ? plan->rules[config->waves_passed - 1].share : 0;
    if (config->shifts && !config->switches && config->waves_passed < plan->rule_count &&
        chance(random, 50))
        config->share = plan->rules[config->waves_passed].share; /* it died in that one's bake */
    for (size_t i = 0; i < plan->node_count; i++)
        plan->natures[i].changed_before = !chance(random, 10);
}

/* Judged beside a control that is restarted for it. */
static void choose_control(struct world_plan *plan, struct random *random)
{
    struct rollout_config *config = &plan->config;
    bool goes_on = chance(random, 30);

    config->refreshes = config->judged && !config->switches && !config->asks_leader && chance(random, 60);
    for (size_t i = 0; i < plan->node_count; i++)
        plan->natures[i].left_out = goes_on && chance(random, 20);
}

static void choose_natures(struct world_plan *plan, struct random *random)
{
    static const char *const zones[] = {NULL, "a", "b", "c"};
    uint32_t wrong = chance(random, 40) ? 0 : (uint32_t)between(random, 1, 25);
    bool goes_on = chance(random, 25);

    for (size_t i = 0; i < plan->node_count; i++) {
        struct nature *nature = &plan->natures[i];

        nature->dead = chance(random, wrong / 4);
        nature->sick = chance(random, wrong / 2);
        nature->empty = chance(random, wrong / 4);
        nature->stays = plan->config.switches && chance(random, 20);
        nature->at_target = !nature->empty && chance(random, 8);
        nature->begun = goes_on && chance(random, 40);
        nature->bad_target = chance(random, wrong);
        nature->catches_up_ms = (int64_t)between(random, 0, chance(random, wrong / 2) ? 30000 : 3000);
        nature->gives_up = chance(random, 20);
        nature->bad_undo = chance(random, wrong / 2);
        nature->boot_ms = (int64_t)between(random, 0, 2500);
        nature->falls_after_ms = chance(random, wrong / 2) ? (int64_t)between(random, 1, 20000) : 0;
        nature->flap_percent = chance(random, wrong / 3) ? (uint32_t)between(random, 1, 40) : 0;
        nature->zone = zones[random_below(random, 4)];
    }
}

/* Some fleets weigh their nodes; what may be out is a part of the sum then. */
static void choose_weights(struct world_plan *plan, struct random *random)
{
    uint32_t sum = 0;

    plan->weighs = chance(random, 20);
    for (size_t i = 0; i < plan->node_count; i++) {
        plan->natures[i].weight = (uint32_t)random_below(random, chance(random, 10) ? 1 : 256);
        sum += plan->natures[i].weight;
    }
    if (plan->weighs)
        plan->config.max_unavailable = (uint32_t)between(random, 1, sum > 1 ? sum : 1);
}

static void choose_hooks(struct world_plan *plan, struct random *random)
{
    plan->hook_count = chance(random, 50) ? 0 : (size_t)between(random, 1, 5);
    for (size_t i = 0; i < plan->hook_count; i++)
        plan->hooks[i] = (struct rollout_hook){
            .moment = (enum hook_moment)random_below(random, MOMENT_BEFORE_SWITCH + 1),
            .place = (enum hook_place)random_below(random, PLACE_RUNNER + 1),
            .timeout_ms = (int64_t)between(random, 500, 10000),
            .ignore_failure = chance(random, 25),
        };
}

static void choose_migrations(struct world_plan *plan, struct random *random)
{
    static const enum migration_kind kinds[] = {MIGRATION_EXPAND, MIGRATION_EXPAND,
                                                MIGRATION_EXPAND, MIGRATION_CONTRACT,
                                                MIGRATION_IRREVERSIBLE};

    plan->migration_count = chance(random, 60) ? 0 : (size_t)between(random, 1, 5);
    if (!plan->config.undo_allowed)
        plan->migration_count = 0; /* the verb rollback runs none */
    for (size_t i = 0; i < plan->migration_count; i++) {
        struct rollout_migration *migration = &plan->migrations[i];

        migration->kind = kinds[random_below(random, sizeof(kinds) / sizeof(kinds[0]))];
        if (plan->config.waves_passed > 0)
            migration->kind = MIGRATION_CONTRACT;
        migration->node =
            chance(random, 70) ? NO_NODE : (size_t)random_below(random, plan->node_count);
        migration->timeout_ms = (int64_t)between(random, 1000, 10000);
        migration->has_down = chance(random, 90);
        migration->backed_up = migration->kind == MIGRATION_IRREVERSIBLE && chance(random, 50);
    }
    plan->config.no_way_back = chance(random, 5);
}

/* The verb abort: some nodes were changed by a run that died, some of these committed, and it may have shifted. Of a stream of its own. */
static void choose_unwinding(struct world_plan *plan)
{
    struct rollout_config *config = &plan->config;
    struct random random;

    random_init(&random, plan->seed ^ 0x756e77696e64u);
    if (!chance(&random, 12))
        return;
    config->unwinds = true;
    config->undo_allowed = config->stages = config->confirms = config->judged = config->refreshes = config->no_way_back = false;
    config->waves_passed = plan->migration_count = 0;
    config->share = config->shifts && chance(&random, 60) ? SHARE_ALL - 1 : 0;
    for (size_t i = 0; i < plan->rule_count; i++)
        plan->rules[i].manual = false;
    for (size_t i = 0; i < plan->node_count; i++) {
        plan->natures[i].begun = chance(&random, 60);
        plan->natures[i].changed_before = false;
        plan->natures[i].at_target = plan->natures[i].begun && !plan->natures[i].empty && chance(&random, 40);
    }
}

/* A run with --limit, and nodes that another run changes before they are locked. Of a stream of its own. */
static void choose_others(struct world_plan *plan)
{
    struct random random;
    bool limited, raced;

    random_init(&random, plan->seed ^ 0x6f7468657273u);
    limited = !plan->config.switches && chance(&random, 20);
    raced = chance(&random, 20);
    for (size_t i = 0; i < plan->node_count; i++) {
        plan->natures[i].outside = limited && i > 0 && chance(&random, 50);
        plan->natures[i].moved = raced && chance(&random, 30);
    }
}

static void choose_faults(struct world_plan *plan, struct random *random)
{
    plan->fault_count = (size_t)between(random, 0, 5);
    for (size_t i = 0; i < plan->fault_count; i++)
        plan->faults[i] = (struct fault){
            .node = chance(random, 5) ? NO_NODE : (size_t)random_below(random, plan->node_count),
            .step = (enum step_kind)random_below(random, STEP_KINDS),
            .undo = chance(random, 40),
            .skip = (uint32_t)random_below(random, 3),
            .times = chance(random, 30) ? UINT32_MAX : (uint32_t)between(random, 1, 3),
            .effect = (enum effect)random_below(random, EFFECTS),
            .ms = chance(random, 30) ? 0 : (int64_t)between(random, 1, 25000),
        };
}

/* One of several fails after others were done: by chance alone that is rare. */
static void choose_migration_fault(struct world_plan *plan, struct random *random)
{
    if (plan->migration_count < 2 || chance(random, 60))
        return;
    plan->faults[plan->fault_count++] = (struct fault){
        .step = STEP_MIGRATE,
        .skip = (uint32_t)between(random, 1, 3),
        .times = 1,
        .effect = EFFECT_FAIL,
    };
}

static void choose_happenings(struct world_plan *plan, struct random *random)
{
    plan->happening_count = (size_t)between(random, 0, 6);
    for (size_t i = 0; i < plan->happening_count; i++) {
        struct happening *happening = &plan->happenings[i];
        int64_t span = (int64_t)plan->node_count * 8000;

        happening->kind = (enum happening_kind)random_below(random, HAPPEN_ABORT + 1);
        if (happening->kind == HAPPEN_INTERRUPT || happening->kind == HAPPEN_LEASE_LOST)
            happening->kind = chance(random, 50) ? HAPPEN_TICK : happening->kind;
        happening->at_ms = (int64_t)between(random, 0, (uint64_t)span);
        happening->node = (size_t)random_below(random, plan->node_count);
    }
}

/* Lost after its gate, while others still wait for theirs: by chance alone that is rare. */
static void choose_cut_before_switch(struct world_plan *plan, struct random *random)
{
    if (!plan->config.switches || chance(random, 60))
        return;
    plan->natures[random_below(random, plan->node_count)].boot_ms = 6000;
    plan->happenings[plan->happening_count++] = (struct happening){
        .kind = HAPPEN_CUT,
        .at_ms = (int64_t)between(random, 5000, 12000),
        .node = (size_t)random_below(random, plan->node_count),
    };
}

static void choose_plan(struct world_plan *plan, uint64_t seed)
{
    struct random random;
    size_t nodes;

    random_init(&random, seed * 0x9e3779b97f4a7c15u + 1);
    nodes = chance(&random, 2) ? (size_t)between(&random, 13, 60) : (size_t)between(&random, 1, 12);
    world_plan_init(plan, nodes);
    plan->seed = random_next(&random);
    choose_rules(plan, &random);
    choose_shares(plan, &random);
    choose_control(plan, &random);
    choose_health(plan, &random);
    choose_natures(plan, &random);
    choose_weights(plan, &random);
    choose_hooks(plan, &random);
    choose_migrations(plan, &random);
    choose_unwinding(plan);
    choose_others(plan);
    choose_faults(plan, &random);
    choose_migration_fault(plan, &random);
    choose_happenings(plan, &random);
    choose_cut_before_switch(plan, &random);
    plan->chaos_per_mille = chance(&random, 50) ? 0 : (uint32_t)between(&random, 1, 60);
    plan->jitter_percent = chance(&random, 50) ? 0 : 80;
}

/* Runs a plan; the name of the law it breaks, or NULL. Determinism is a law too: a second run sends
 * the same actions. */
static const char *broken_law(struct world *world, const struct world_plan *plan,
                              struct strbuf *story, uint64_t *steps)
{
    uint64_t first;
    const char *broken;

    world_run(world, plan, NULL);
    broken = world->broken;
    first = world->fingerprint;
    world_release(world);
    if (steps)
        *steps += world->steps;
    if (broken && !story)
        return broken;
    world_run(world, plan, story);
    if (!world->broken && world->fingerprint != first)
        law_broken(world, "determinism", "a second run differs from the first");
    broken = world->broken;
    world_release(world);
    return broken;
}

/* Plans a little smaller than `plan`, one a call; false when there is no more. */
static bool smaller(struct world_plan *plan, size_t attempt)
{
    size_t faults = plan->fault_count, happenings = plan->happening_count, hooks = plan->hook_count;
    size_t nodes_from = 2 + faults + happenings + hooks;

    if (attempt == 0) {
        plan->chaos_per_mille = plan->jitter_percent = 0;
    } else if (attempt == 1) {
        plan->node_count -= plan->node_count > 1;
    } else if (attempt - 2 < faults) {
        plan->faults[attempt - 2] = plan->faults[--plan->fault_count];
    } else if (attempt - 2 - faults < happenings) {
        plan->happenings[attempt - 2 - faults] = plan->happenings[--plan->happening_count];
    } else if (attempt - 2 - faults - happenings < hooks) {
        plan->hooks[attempt - 2 - faults - happenings] = plan->hooks[--plan->hook_count];
    } else if (attempt - nodes_from < plan->node_count) {
        plan->natures[attempt - nodes_from] = (struct nature){.boot_ms = 500};
    } else if (attempt - nodes_from - plan->node_count < plan->migration_count) {
        plan->migrations[attempt - nodes_from - plan->node_count] =
            plan->migrations[--plan->migration_count];
    } else {
        return false;
    }
    for (size_t i = 0; i < plan->fault_count; i++)
        if (plan->faults[i].node != NO_NODE && plan->faults[i].node >= plan->node_count)
            plan->faults[i].node = 0;
    for (size_t i = 0; i < plan->migration_count; i++)
        if (plan->migrations[i].node != NO_NODE && plan->migrations[i].node >= plan->node_count)
            plan->migrations[i].node = NO_NODE;
    for (size_t i = 0; i < plan->happening_count; i++)
        if (plan->happenings[i].node >= plan->node_count)
            plan->happenings[i].node = 0;
    return true;
}

static void shrink(struct world *world, struct world_plan *plan, const char *law)
{
    struct world_plan *candidate = malloc(sizeof(*candidate));
    bool progress = candidate != NULL;

    for (int round = 0; progress && round < 40; round++) {
        progress = false;
        for (size_t attempt = 0;; attempt++) {
            const char *broken;

            *candidate = *plan;
            if (!smaller(candidate, attempt))
                break;
            if (memcmp(candidate, plan, sizeof(*plan)) == 0)
                continue;
            broken = broken_law(world, candidate, NULL, NULL);
            if (broken && strcmp(broken, law) == 0) {
                *plan = *candidate;
                progress = true;
            }
        }
    }
    free(candidate);
}

static void tell(struct world *world, struct world_plan *plan, uint64_t seed, const char *law)
{
    const struct rollout_config *config = &plan->config;
    struct strbuf story;

    fprintf(stderr, "seed %llu breaks %s: %s\n", (unsigned long long)seed, law, world->details);
    if (getenv("DEPLOYCTL_BRIEF"))
        return;
    shrink(world, plan, law);
    fprintf(stderr,
            "made smaller: %zu nodes, max_unavailable %u, max_failures %u, action %d, balanced %d, "
            "probed %d, forks %u, attempts %u\n",
            plan->node_count, config->max_unavailable, config->max_failures, config->action,
            config->balanced, config->probed, config->forks, config->attempts);
    strbuf_init(&story, STORY_MAX);
    plan->tell_probes = true;
    broken_law(world, plan, &story, NULL);
    fputs(story.text, stderr);
    strbuf_release(&story);
}

static void the_laws_hold_in_random_worlds(void **state)
{
    uint64_t seed = number_from("DEPLOYCTL_SEED", 1);
    uint64_t worlds = number_from("DEPLOYCTL_WORLDS", WORLDS);
    struct world *world = malloc(sizeof(*world));
    struct world_plan *plan = malloc(sizeof(*plan));
    const char *law = NULL;
    uint64_t steps = 0, results[RESULT_INTERRUPTED + 1] = {0};
    clock_t began = clock();

    (void)state;
    assert_non_null(world);
    assert_non_null(plan);
    for (uint64_t i = 0; i < worlds && !law; i++) {
        choose_plan(plan, seed + i);
        law = broken_law(world, plan, NULL, &steps);
        if (law)
            tell(world, plan, seed + i, law);
        else
            results[world->result]++;
    }
    printf("%llu worlds from seed %llu, %llu steps, %.1f s of processor time:",
           (unsigned long long)worlds, (unsigned long long)seed, (unsigned long long)steps,
           (double)(clock() - began) / CLOCKS_PER_SEC);
    for (size_t i = RESULT_DONE; i <= RESULT_INTERRUPTED; i++)
        printf(" %llu %s%s", (unsigned long long)results[i],
               rollout_result_name((enum rollout_result)i), i < RESULT_INTERRUPTED ? "," : "\n");
    free(world);
    free(plan);
    assert_null(law);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_laws_hold_in_random_worlds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
