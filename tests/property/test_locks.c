/*
 * Several machines that want the same nodes at the same time: each is a runner, and the nodes hold
 * the truth of who has their lock. Answers come in random order, now and then one is lost. Whatever
 * happens, no two runners ever pass the locks of a common node, runners that want the same nodes
 * have one winner, and nothing is left locked. DEPLOYCTL_SEED and DEPLOYCTL_WORLDS as in
 * test_laws.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rollout.h"

#define WORLDS 20000
#define NODES_MAX 8
#define RUNNERS_MAX 4
#define FREE SIZE_MAX

struct runner {
    struct rollout *rollout;
    struct rollout_config config;
    size_t fleet[NODES_MAX]; /* the world's number of each of its nodes */
    size_t lock_order[NODES_MAX], wave_nodes[NODES_MAX];
    struct wave waves[NODES_MAX];
    struct action flying[2 * NODES_MAX];
    size_t flying_count;
    bool passed; /* it has all its locks, and goes on */
};

struct locks_world {
    struct random random;
    struct arena arena;
    size_t holder[NODES_MAX];
    struct runner runners[RUNNERS_MAX];
    size_t node_count, runner_count;
    bool same; /* all want the same nodes */
    bool lossy;
    int64_t now;
    char broken[120];
};

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static size_t below(struct locks_world *world, size_t limit)
{
    return (size_t)random_below(&world->random, limit);
}

static void shuffle(struct locks_world *world, size_t *items, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = below(world, i), kept = items[i - 1];

        items[i - 1] = items[j];
        items[j] = kept;
    }
}

/* Its nodes in an order, and waves, of its own; the order of locks is the world's. */
static void make_runner(struct locks_world *world, struct runner *runner)
{
    struct rollout_config *config = &runner->config;
    struct err err;
    size_t count = 0, ranked = 0, at = 0;

    for (size_t i = 0; i < world->node_count; i++)
        if (world->same || below(world, 3) > 0)
            runner->fleet[count++] = i;
    if (count == 0)
        runner->fleet[count++] = below(world, world->node_count);
    shuffle(world, runner->fleet, count);
    for (size_t node = 0; node < world->node_count; node++)
        for (size_t i = 0; i < count; i++)
            if (runner->fleet[i] == node)
                runner->lock_order[ranked++] = i;
    *config = (struct rollout_config){
        .node_count = count,
        .lock_order = runner->lock_order,
        .max_unavailable = 1,
        .health = {1, 1, 100, 100, 0, 1000},
        .backoff = {10, 20},
        .attempts = 5,
        .max_retries = 1000,
        .forks = 1 + (uint32_t)below(world, 8),
        .seed = random_next(&world->random),
    };
    for (size_t i = 0; i < STEP_KINDS; i++)
        config->timeout_ms[i] = 1000000;
    for (size_t i = 0; i < count; i++)
        runner->wave_nodes[i] = i;
    while (at < count) {
        size_t size = 1 + below(world, count - at);

        runner->waves[config->waves.count++] = (struct wave){&runner->wave_nodes[at], size};
        at += size;
    }
    config->waves.items = runner->waves;
    assert_int_equal(rollout_create(&runner->rollout, config, &world->arena, &err), 0);
}

static void step(struct locks_world *world, struct runner *runner, struct event event)
{
    struct update update;

    event.now_ms = world->now;
    rollout_step(runner->rollout, &event, &update);
    for (size_t i = 0; i < update.action_count; i++)
        if (update.actions[i].kind == ACTION_STEP)
            runner->flying[runner->flying_count++] = update.actions[i];
}

/* What the node does and says. */
static enum done_status work(struct locks_world *world, size_t number, const struct action *action)
{
    size_t *holder = &world->holder[world->runners[number].fleet[action->node]];

    if (action->step == STEP_LOCK) {
        if (*holder != FREE && *holder != number)
            return DONE_REFUSED;
        *holder = number;
    } else if (action->step == STEP_RELEASE) {
        if (*holder != number)
            return DONE_REFUSED; /* its fence does not hold */
        *holder = FREE;
    } else if (action->step != STEP_CONNECT && action->step != STEP_PREFLIGHT && *holder != number) {
        snprintf(world->broken, sizeof(world->broken), "%s without the lock", step_name(action->step));
    }
    return DONE_OK;
}

static void answer_one(struct locks_world *world, size_t number)
{
    struct runner *runner = &world->runners[number];
    size_t at = below(world, runner->flying_count);
    struct action action = runner->flying[at];
    struct event event = {.kind = EVENT_DONE, .node = action.node, .action_id = action.id};

    runner->flying[at] = runner->flying[--runner->flying_count];
    event.has_release = true;
    event.status = work(world, number, &action);
    if (world->lossy && below(world, 12) == 0)
        event.status = DONE_UNREACHABLE;
    step(world, runner, event);
}

/* Two that hold a common node's lock at once: the truth keeps one holder, so it shows in who passed. */
static void look(struct locks_world *world, size_t number)
{
    struct runner *runner = &world->runners[number];
    enum rollout_state state = rollout_state(runner->rollout);

    if (state <= ROLLOUT_SETUP || state >= ROLLOUT_RELEASE || runner->passed)
        return;
    runner->passed = true;
    for (size_t i = 0; i < runner->config.node_count; i++) {
        struct node_view view;

        rollout_node(runner->rollout, i, &view);
        if (view.outcome == NODE_PENDING && world->holder[runner->fleet[i]] != number)
            snprintf(world->broken, sizeof(world->broken), "runner %zu goes on without a lock", number);
    }
}

static bool all_finished(struct locks_world *world)
{
    for (size_t i = 0; i < world->runner_count; i++)
        if (rollout_state(world->runners[i].rollout) != ROLLOUT_FINISHED)
            return false;
    return true;
}

static bool all_decided(struct locks_world *world)
{
    for (size_t i = 0; i < world->runner_count; i++)
        if (!world->runners[i].passed && rollout_state(world->runners[i].rollout) != ROLLOUT_FINISHED)
            return false;
    return true;
}

static void live(struct locks_world *world)
{
    for (size_t i = 0; i < world->runner_count; i++)
        step(world, &world->runners[i], (struct event){.kind = EVENT_START});
    for (int turn = 0; turn < 100000 && !world->broken[0] && !all_finished(world); turn++) {
        size_t number = below(world, world->runner_count);
        struct runner *runner = &world->runners[number];

        /* Who has won waits until all have tried: they want it at the same time. */
        if (runner->passed && !all_decided(world))
            continue;
        if (runner->flying_count > 0) {
            answer_one(world, number);
        } else {
            int64_t next = rollout_next_tick_ms(runner->rollout);

            world->now = next != INT64_MAX && next > world->now ? next : world->now;
            step(world, runner, (struct event){.kind = EVENT_TICK});
        }
        look(world, number);
    }
}

static void judge(struct locks_world *world)
{
    size_t winners = 0;

    for (size_t i = 0; i < world->runner_count; i++)
        winners += world->runners[i].passed;
    if (world->broken[0])
        return;
    if (!all_finished(world))
        snprintf(world->broken, sizeof(world->broken), "somebody does not finish");
    else if (world->same && !world->lossy && winners != 1)
        snprintf(world->broken, sizeof(world->broken), "%zu of %zu win the same nodes", winners,
                 world->runner_count);
    for (size_t i = 0; i < world->node_count && !world->lossy; i++)
        if (world->holder[i] != FREE)
            snprintf(world->broken, sizeof(world->broken), "node %zu stays locked", i);
}

static void run(struct locks_world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    arena_init(&world->arena);
    random_init(&world->random, seed * 0x9e3779b97f4a7c15u + 3);
    world->node_count = 1 + below(world, NODES_MAX);
    world->runner_count = 2 + below(world, RUNNERS_MAX - 1);
    world->same = below(world, 2) > 0;
    world->lossy = below(world, 3) == 0;
    for (size_t i = 0; i < world->node_count; i++)
        world->holder[i] = FREE;
    for (size_t i = 0; i < world->runner_count; i++)
        make_runner(world, &world->runners[i]);
    live(world);
    judge(world);
    arena_release(&world->arena);
}

static void no_two_runners_win_the_same_node_and_one_wins_the_same_nodes(void **state)
{
    static struct locks_world world;
    uint64_t seed = number_from("DEPLOYCTL_SEED", 1), worlds = number_from("DEPLOYCTL_WORLDS", WORLDS);
    uint64_t won = 0, lost = 0;

    (void)state;
    for (uint64_t i = 0; i < worlds; i++) {
        run(&world, seed + i);
        if (world.broken[0]) {
            fprintf(stderr, "seed %llu breaks the order of locks: %s\n", (unsigned long long)(seed + i),
                    world.broken);
            fail();
        }
        for (size_t j = 0; j < world.runner_count; j++)
            *(world.runners[j].passed ? &won : &lost) += 1;
    }
    printf("%llu worlds from seed %llu: %llu runners won, %llu were refused\n", (unsigned long long)worlds,
           (unsigned long long)seed, (unsigned long long)won, (unsigned long long)lost);
    assert_true(won > 0 && lost > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_two_runners_win_the_same_node_and_one_wins_the_same_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
