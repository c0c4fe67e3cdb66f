#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "world.h"

/* A machine of `nodes` nodes in one wave, driven by hand. */
struct bench {
    struct arena arena;
    struct rollout *rollout;
    struct rollout_config config;
    struct update update;
    int64_t now;
};

static void bench_open(struct bench *bench, size_t nodes)
{
    const struct amount all = {100, true};
    struct world_plan *plan = malloc(sizeof(*plan));
    struct err err = {0};

    assert_non_null(plan);
    world_plan_init(plan, nodes);
    *bench = (struct bench){.config = plan->config};
    free(plan);
    arena_init(&bench->arena);
    bench->config.node_count = nodes;
    bench->config.probed = false;
    assert_int_equal(waves_compile(&bench->config.waves, nodes, NULL, &all, 1, &bench->arena, &err),
                     0);
}

static void bench_create(struct bench *bench)
{
    struct err err = {0};

    assert_int_equal(rollout_create(&bench->rollout, &bench->config, &bench->arena, &err), 0);
}

static void send_event(struct bench *bench, struct event event)
{
    event.now_ms = bench->now;
    rollout_step(bench->rollout, &event, &bench->update);
}

static void answer(struct bench *bench, const struct action *action, enum done_status status)
{
    send_event(bench, (struct event){.kind = EVENT_DONE,
                                     .node = action->node,
                                     .action_id = action->id,
                                     .status = status,
                                     .has_release = true});
}

static struct action only_action(const struct bench *bench, enum step_kind step)
{
    assert_int_equal(bench->update.action_count, 1);
    assert_int_equal(bench->update.actions[0].kind, ACTION_STEP);
    assert_int_equal(bench->update.actions[0].step, step);
    return bench->update.actions[0];
}

/* Answers OK until the one node gets to `step`. */
static struct action walk_to(struct bench *bench, enum step_kind step)
{
    struct action action;

    send_event(bench, (struct event){.kind = EVENT_START});
    for (;;) {
        assert_int_equal(bench->update.action_count, 1);
        action = bench->update.actions[0];
        if (action.step == step)
            return action;
        answer(bench, &action, DONE_OK);
    }
}

static void every_name_is_known(void **state)
{
    (void)state;
    for (int i = 0; i < STEP_KINDS; i++)
        assert_string_not_equal(step_name((enum step_kind)i), "unknown");
    for (int i = 0; i < NODE_PHASES; i++)
        assert_string_not_equal(node_phase_name((enum node_phase)i), "unknown");
    for (int i = 0; i < NODE_OUTCOMES; i++)
        assert_string_not_equal(node_outcome_name((enum node_outcome)i), "unknown");
    for (int i = 0; i < NODE_TROUBLES; i++)
        assert_string_not_equal(node_trouble_name((enum node_trouble)i), "unknown");
    for (int i = 0; i <= RESULT_INTERRUPTED; i++)
        assert_string_not_equal(rollout_result_name((enum rollout_result)i), "unknown");
    for (int i = 0; i <= ROLLOUT_FINISHED; i++)
        assert_string_not_equal(rollout_state_name((enum rollout_state)i), "unknown");
    assert_string_equal(step_name((enum step_kind)99), "unknown");
    assert_string_equal(node_phase_name((enum node_phase)99), "unknown");
}

static void expect_refused(struct bench *bench, const char *why)
{
    struct rollout *rollout;
    struct err err = {0};

    assert_int_equal(rollout_create(&rollout, &bench->config, &bench->arena, &err), ERR_INPUT);
    assert_null(rollout);
    assert_non_null(strstr(err.message, why));
}

static void a_config_outside_its_bounds_is_refused(void **state)
{
    const struct rollout_hook endless = {.moment = MOMENT_ON_FAILURE};
    struct bench bench;

    (void)state;
    bench_open(&bench, 2);
    bench.config.forks = 0;
    expect_refused(&bench, "forks");
    bench.config.forks = 1;
    bench.config.timeout_ms[STEP_DRAIN] = 0;
    expect_refused(&bench, "drain has no time limit");
    bench.config.timeout_ms[STEP_DRAIN] = 1;
    bench.config.bake_ms = -1;
    expect_refused(&bench, "negative");
    bench.config.bake_ms = 0;
    bench.config.hooks = &endless;
    bench.config.hook_count = 1;
    expect_refused(&bench, "hook 1 has no time limit");
    arena_release(&bench.arena);
}

static void the_waves_must_hold_every_node_once(void **state)
{
    size_t twice[] = {0, 0}, unknown[] = {0, 7}, one[] = {1};
    struct wave wave = {twice, 2};
    struct bench bench;

    (void)state;
    bench_open(&bench, 2);
    bench.config.waves = (struct waves){.items = &wave, .count = 1};
    expect_refused(&bench, "named before");
    wave.nodes = unknown;
    expect_refused(&bench, "unknown");
    wave = (struct wave){one, 1};
    expect_refused(&bench, "1 of 2 nodes");
    arena_release(&bench.arena);
}

static void nothing_happens_before_the_start(void **state)
{
    struct bench bench;

    (void)state;
    bench_open(&bench, 1);
    bench_create(&bench);
    send_event(&bench, (struct event){.kind = EVENT_TICK});
    assert_int_equal(bench.update.action_count + bench.update.note_count, 0);
    assert_true(rollout_next_tick_ms(bench.rollout) == INT64_MAX);
    arena_release(&bench.arena);
}

static void a_second_start_starts_nothing(void **state)
{
    struct bench bench;

    (void)state;
    bench_open(&bench, 1);
    bench_create(&bench);
    send_event(&bench, (struct event){.kind = EVENT_START});
    only_action(&bench, STEP_CONNECT);
    send_event(&bench, (struct event){.kind = EVENT_START});
    assert_int_equal(bench.update.action_count, 0);
    arena_release(&bench.arena);
}

static void answers_to_ended_unknown_and_foreign_actions_are_ignored(void **state)
{
    struct bench bench;
    struct action connect, preflight;

    (void)state;
    bench_open(&bench, 1);
    bench_create(&bench);
    connect = walk_to(&bench, STEP_CONNECT);
    answer(&bench, &connect, DONE_OK);
    preflight = only_action(&bench, STEP_PREFLIGHT);
    answer(&bench, &connect, DONE_FAILED);
    assert_int_equal(bench.update.action_count + bench.update.note_count, 0);
    send_event(&bench, (struct event){.kind = EVENT_DONE, .node = 77, .action_id = preflight.id});
    send_event(&bench,
               (struct event){.kind = EVENT_DONE, .node = NO_NODE, .action_id = preflight.id});
    send_event(&bench, (struct event){.kind = EVENT_LOST, .node = 77});
    assert_int_equal(bench.update.action_count, 0);
    answer(&bench, &preflight, DONE_OK);
    only_action(&bench, STEP_LOCK);
    arena_release(&bench.arena);
}

static void a_lost_answer_is_asked_for_with_the_same_token(void **state)
{
    struct bench bench;
    struct action first, again;

    (void)state;
    bench_open(&bench, 1);
    bench_create(&bench);
    first = walk_to(&bench, STEP_ACTIVATE);
    answer(&bench, &first, DONE_UNREACHABLE);
    assert_int_equal(bench.update.action_count, 0);
    bench.now = rollout_next_tick_ms(bench.rollout);
    send_event(&bench, (struct event){.kind = EVENT_TICK});
    again = only_action(&bench, STEP_CONNECT);
    answer(&bench, &again, DONE_OK);
    again = only_action(&bench, STEP_ACTIVATE);
    assert_int_equal(again.token, first.token);
    assert_true(again.id > first.id);
    arena_release(&bench.arena);
}

static void a_failed_try_that_may_be_repeated_gets_a_fresh_token(void **state)
{
    struct bench bench;
    struct action first, again;

    (void)state;
    bench_open(&bench, 1);
    bench_create(&bench);
    first = walk_to(&bench, STEP_STAGE);
    send_event(&bench, (struct event){.kind = EVENT_DONE,
                                      .node = 0,
                                      .action_id = first.id,
                                      .status = DONE_FAILED,
                                      .retryable = true});
    bench.now = rollout_next_tick_ms(bench.rollout);
    send_event(&bench, (struct event){.kind = EVENT_TICK});
    again = only_action(&bench, STEP_STAGE);
    assert_int_not_equal(again.token, first.token);
    arena_release(&bench.arena);
}

/* Balancers and discoveries spend the same budget. */
static void what_others_have_repeated_is_repeated_no_more(void **state)
{
    struct bench bench;
    struct action connect;

    (void)state;
    bench_open(&bench, 1);
    bench.config.attempts = 100;
    bench.config.max_retries = 3;
    bench_create(&bench);
    send_event(&bench, (struct event){.kind = EVENT_START});
    connect = only_action(&bench, STEP_CONNECT);
    answer(&bench, &connect, DONE_UNREACHABLE);
    assert_int_equal(bench.update.action_count, 0);
    bench.now = rollout_next_tick_ms(bench.rollout);
    send_event(&bench, (struct event){.kind = EVENT_TICK, .others_retries = 2});
    connect = only_action(&bench, STEP_CONNECT);
    send_event(&bench, (struct event){.kind = EVENT_DONE,
                                      .node = connect.node,
                                      .action_id = connect.id,
                                      .status = DONE_UNREACHABLE,
                                      .others_retries = 2});
    assert_int_equal(rollout_result(bench.rollout), RESULT_UNREACHABLE);
    arena_release(&bench.arena);
}

static void a_hopeless_connect_is_not_tried_again(void **state)
{
    struct bench bench;
    struct action connect;
    struct node_view view;

    (void)state;
    bench_open(&bench, 1);
    bench_create(&bench);
    connect = walk_to(&bench, STEP_CONNECT);
    send_event(&bench, (struct event){.kind = EVENT_DONE,
                                      .node = 0,
                                      .action_id = connect.id,
                                      .status = DONE_UNREACHABLE,
                                      .hopeless = true});
    assert_int_equal(bench.update.action_count, 0);
    assert_int_equal(rollout_result(bench.rollout), RESULT_UNREACHABLE);
    rollout_node(bench.rollout, 0, &view);
    assert_int_equal(view.outcome, NODE_UNREACHABLE);
    arena_release(&bench.arena);
}

static void a_step_is_cancelled_once_at_its_deadline(void **state)
{
    struct bench bench;
    struct action activate;

    (void)state;
    bench_open(&bench, 1);
    bench_create(&bench);
    activate = walk_to(&bench, STEP_ACTIVATE);
    assert_int_equal(rollout_next_tick_ms(bench.rollout), bench.config.timeout_ms[STEP_ACTIVATE]);
    bench.now = rollout_next_tick_ms(bench.rollout);
    send_event(&bench, (struct event){.kind = EVENT_TICK});
    assert_int_equal(bench.update.action_count, 1);
    assert_int_equal(bench.update.actions[0].kind, ACTION_CANCEL);
    assert_int_equal(bench.update.actions[0].id, activate.id);
    send_event(&bench, (struct event){.kind = EVENT_TICK});
    assert_int_equal(bench.update.action_count, 0);
    assert_int_equal(rollout_next_tick_ms(bench.rollout), bench.now + bench.config.cancel_grace_ms);
    arena_release(&bench.arena);
}

static void forks_bound_the_nodes_in_flight(void **state)
{
    struct bench bench;

    (void)state;
    bench_open(&bench, 5);
    bench.config.forks = 2;
    bench_create(&bench);
    send_event(&bench, (struct event){.kind = EVENT_START});
    assert_int_equal(bench.update.action_count, 2);
    answer(&bench, &(struct action){.id = bench.update.actions[0].id, .node = 0}, DONE_OK);
    assert_int_equal(bench.update.action_count, 1);
    arena_release(&bench.arena);
}

static void a_view_tells_where_a_node_stands(void **state)
{
    struct bench bench;
    struct action activate;
    struct node_view view;

    (void)state;
    bench_open(&bench, 1);
    bench_create(&bench);
    activate = walk_to(&bench, STEP_ACTIVATE);
    rollout_node(bench.rollout, 0, &view);
    assert_int_equal(view.phase, PHASE_ACTIVATE);
    assert_true(view.touched);
    answer(&bench, &activate, DONE_FAILED);
    rollout_node(bench.rollout, 0, &view);
    assert_int_equal(view.phase, PHASE_UNDO_ACTIVATE);
    assert_int_equal(view.trouble, TROUBLE_STEP_FAILED);
    assert_int_equal(view.trouble_step, STEP_ACTIVATE);
    assert_int_equal(rollout_state(bench.rollout), ROLLOUT_UNDO);
    assert_int_equal(only_action(&bench, STEP_ACTIVATE).release, RELEASE_PREVIOUS);
    arena_release(&bench.arena);
}

static void time_never_runs_back(void **state)
{
    struct bench bench;
    struct action connect;

    (void)state;
    bench_open(&bench, 1);
    bench_create(&bench);
    bench.now = 5000;
    connect = walk_to(&bench, STEP_CONNECT);
    bench.now = 10;
    answer(&bench, &connect, DONE_OK);
    only_action(&bench, STEP_PREFLIGHT);
    assert_int_equal(rollout_next_tick_ms(bench.rollout),
                     5000 + bench.config.timeout_ms[STEP_PREFLIGHT]);
    arena_release(&bench.arena);
}

static void a_finished_rollout_takes_no_event(void **state)
{
    struct bench bench;
    struct action connect;

    (void)state;
    bench_open(&bench, 1);
    bench_create(&bench);
    connect = walk_to(&bench, STEP_CONNECT);
    answer(&bench, &connect, DONE_REFUSED);
    assert_int_equal(rollout_state(bench.rollout), ROLLOUT_FINISHED);
    assert_int_equal(rollout_result(bench.rollout), RESULT_REFUSED);
    send_event(&bench, (struct event){.kind = EVENT_INTERRUPT});
    assert_int_equal(bench.update.action_count + bench.update.note_count, 0);
    assert_int_equal(rollout_result(bench.rollout), RESULT_REFUSED);
    assert_true(rollout_next_tick_ms(bench.rollout) == INT64_MAX);
    arena_release(&bench.arena);
}

/* Three nodes, of which an earlier run has changed the first two; walks to the undo. */
static void unwind(struct bench *bench, const bool *touched, size_t nodes)
{
    bench_open(bench, nodes);
    bench->config.unwinds = true;
    bench->config.balanced = false;
    bench->config.stages = false;
    bench->config.forks = (uint32_t)nodes;
    bench->config.max_unavailable = 1;
    bench_create(bench);
    send_event(bench, (struct event){.kind = EVENT_START});
    for (size_t step = 0; step < 3; step++) /* connect, preflight, lock */
        for (size_t node = 0; node < nodes; node++)
            send_event(bench, (struct event){.kind = EVENT_DONE,
                                             .node = node,
                                             .action_id = (uint32_t)(step * nodes + node + 1),
                                             .has_release = true,
                                             .touched = touched[node]});
}

static void an_abort_undoes_only_what_was_touched_newest_first(void **state)
{
    const bool touched[] = {true, true, false};
    struct bench bench;
    struct action action;
    struct node_view view;

    (void)state;
    unwind(&bench, touched, 3);
    for (size_t node = 2; node-- > 0;) {
        action = only_action(&bench, STEP_ACTIVATE);
        assert_int_equal(action.node, node);
        assert_int_equal(action.release, RELEASE_PREVIOUS);
        answer(&bench, &action, DONE_OK);
    }
    assert_int_equal(bench.update.action_count, 2); /* the first node's lock goes last */
    for (uint32_t id = bench.update.actions[0].id, last = id + 3; id < last; id++)
        for (size_t node = 0; node < 3; node++)
            answer(&bench, &(struct action){.id = id, .node = node}, DONE_OK);
    assert_int_equal(rollout_result(bench.rollout), RESULT_DONE);
    rollout_node(bench.rollout, 1, &view);
    assert_int_equal(view.outcome, NODE_RESTORED);
    rollout_node(bench.rollout, 2, &view);
    assert_int_equal(view.outcome, NODE_UNCHANGED);
    arena_release(&bench.arena);
}

static void an_abort_of_nothing_changes_nothing(void **state)
{
    const bool touched[] = {false};
    struct bench bench;

    (void)state;
    unwind(&bench, touched, 1);
    struct action release = only_action(&bench, STEP_RELEASE);
    assert_int_equal(release.result, RESULT_NOTHING);
    answer(&bench, &release, DONE_OK);
    assert_int_equal(rollout_result(bench.rollout), RESULT_NOTHING);
    arena_release(&bench.arena);
}

static void an_abort_that_fails_needs_care(void **state)
{
    const bool touched[] = {true};
    struct bench bench;

    (void)state;
    unwind(&bench, touched, 1);
    struct action activate = only_action(&bench, STEP_ACTIVATE);
    answer(&bench, &activate, DONE_FAILED);
    struct action release = only_action(&bench, STEP_RELEASE);
    assert_int_equal(release.result, RESULT_NEEDS_CARE);
    arena_release(&bench.arena);
}

/* Steps of a fleet of 4000 nodes; a step that looked at all pairs would take minutes. */
static void a_step_of_a_large_fleet_is_not_quadratic(void **state)
{
    struct bench bench;
    clock_t began = clock();

    (void)state;
    bench_open(&bench, 4000);
    bench.config.forks = 4000;
    bench.config.max_unavailable = 4000;
    bench_create(&bench);
    send_event(&bench, (struct event){.kind = EVENT_START});
    assert_int_equal(bench.update.action_count, 4000);
    for (uint32_t id = 1; id <= 4000; id++)
        answer(&bench, &(struct action){.id = id, .node = id - 1}, DONE_OK);
    assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 20);
    arena_release(&bench.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_known),
        cmocka_unit_test(a_config_outside_its_bounds_is_refused),
        cmocka_unit_test(the_waves_must_hold_every_node_once),
        cmocka_unit_test(nothing_happens_before_the_start),
        cmocka_unit_test(a_second_start_starts_nothing),
        cmocka_unit_test(answers_to_ended_unknown_and_foreign_actions_are_ignored),
        cmocka_unit_test(a_lost_answer_is_asked_for_with_the_same_token),
        cmocka_unit_test(a_failed_try_that_may_be_repeated_gets_a_fresh_token),
        cmocka_unit_test(what_others_have_repeated_is_repeated_no_more),
        cmocka_unit_test(a_hopeless_connect_is_not_tried_again),
        cmocka_unit_test(a_step_is_cancelled_once_at_its_deadline),
        cmocka_unit_test(forks_bound_the_nodes_in_flight),
        cmocka_unit_test(a_view_tells_where_a_node_stands),
        cmocka_unit_test(time_never_runs_back),
        cmocka_unit_test(a_finished_rollout_takes_no_event),
        cmocka_unit_test(an_abort_undoes_only_what_was_touched_newest_first),
        cmocka_unit_test(an_abort_of_nothing_changes_nothing),
        cmocka_unit_test(an_abort_that_fails_needs_care),
        cmocka_unit_test(a_step_of_a_large_fleet_is_not_quadratic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
