/* Where the data stands, from the records of several nodes together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "app/migrations.h"

#define NODES 3

/* Three nodes, one migration of each kind; a test writes records and asks. */
struct scene {
    struct arena arena;
    struct node inventory[NODES];
    struct member members[NODES];
    struct fleet fleet;
    struct migration migrations[3];
    struct playbook playbook;
    struct migration_fact facts[NODES][4];
    struct surveyed nodes[NODES];
    struct survey survey;
    struct data_plan plan;
    struct err err;
};

static void scene_init(struct scene *scene)
{
    static const char *const names[NODES] = {"web1", "web2", "web3"};
    *scene = (struct scene){.migrations = {
                                {.name = "add", .kind = CHANGE_EXPAND, .on = "first"},
                                {.name = "purge", .kind = CHANGE_IRREVERSIBLE, .on = "first"},
                                {.name = "drop", .kind = CHANGE_CONTRACT, .on = "first"},
                            }};
    arena_init(&scene->arena);
    for (size_t i = 0; i < NODES; i++) {
        scene->inventory[i].name = names[i];
        scene->members[i].node = &scene->inventory[i];
        scene->nodes[i].answered = true;
        scene->nodes[i].facts.current = "20260102T000000Z-aaaaaaaaaaaa";
        scene->nodes[i].facts.current_good = true;
        scene->nodes[i].facts.migrations = scene->facts[i];
    }
    scene->playbook.migrations = scene->migrations;
    scene->playbook.migration_count = 3;
    scene->fleet =
        (struct fleet){.members = scene->members, .count = NODES, .playbook = &scene->playbook};
    scene->survey = (struct survey){.nodes = scene->nodes, .count = NODES};
}

static void record(struct scene *scene, size_t node, const char *name, enum migration_record state,
                   enum change_kind kind, const char *release)
{
    struct facts *facts = &scene->nodes[node].facts;
    scene->facts[node][facts->migration_count++] =
        (struct migration_fact){.name = name, .record = state, .kind = kind, .release = release};
}

static int make(struct scene *scene, const struct migration_word *words, size_t count)
{
    return data_plan_make(&scene->plan, &scene->playbook, &scene->fleet, &scene->survey, words,
                          count, &scene->arena, &scene->err);
}

static int check(struct scene *scene, bool limited)
{
    return data_plan_check(&scene->plan, &scene->fleet, &scene->survey, limited, &scene->err);
}

static void assert_refused(struct scene *scene, int code, const char *part)
{
    assert_int_equal(code, ERR_REFUSED);
    if (!strstr(scene->err.message, part))
        fail_msg("'%s' is not in: %s", part, scene->err.message);
}

#define OLD "20260101T000000Z-aaaaaaaaaaaa"
#define NEW "20260103T000000Z-aaaaaaaaaaaa"

static void what_one_node_knows_all_know(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    record(&scene, 2, "add", RECORDED_DONE, CHANGE_EXPAND, OLD);
    record(&scene, 0, "purge", RECORDED_FAILED, CHANGE_IRREVERSIBLE, OLD);
    record(&scene, 0, "drop", RECORDED_UNDONE, CHANGE_CONTRACT, OLD);
    assert_int_equal(make(&scene, NULL, 0), 0);
    assert_int_equal(scene.plan.changes[0].state, DATA_DONE);
    assert_string_equal(scene.plan.changes[0].release, OLD);
    assert_int_equal(scene.plan.changes[1].state, DATA_PENDING);
    assert_int_equal(scene.plan.changes[2].state, DATA_PENDING);
    assert_int_equal(data_plan_no_return(&scene.plan), 1);
    assert_int_equal(check(&scene, false), 0);
    arena_release(&scene.arena);
}

static void an_unknown_end_on_any_node_is_asked_about(void **state)
{
    (void)state;
    struct scene scene;
    const struct migration_word done = {.name = "add"}, again = {.name = "add", .again = true};
    scene_init(&scene);
    record(&scene, 0, "add", RECORDED_DONE, CHANGE_EXPAND, OLD);
    record(&scene, 1, "add", RECORDED_UNKNOWN, CHANGE_EXPAND, OLD);
    assert_int_equal(make(&scene, NULL, 0), 0);
    assert_refused(&scene, check(&scene, false), "add began on web2");
    assert_int_equal(make(&scene, &done, 1), 0);
    assert_int_equal(scene.plan.changes[0].state, DATA_DONE);
    assert_int_equal(check(&scene, false), 0);
    assert_int_equal(make(&scene, &again, 1), 0);
    assert_int_equal(scene.plan.changes[0].state, DATA_PENDING);
    assert_true(scene.plan.changes[0].again);
    arena_release(&scene.arena);
}

static void one_that_lives_is_waited_for_whatever_is_said(void **state)
{
    (void)state;
    struct scene scene;
    const struct migration_word again = {.name = "add", .again = true};
    scene_init(&scene);
    record(&scene, 1, "add", RECORDED_RUNNING, CHANGE_EXPAND, OLD);
    assert_int_equal(make(&scene, &again, 1), 0);
    assert_refused(&scene, check(&scene, false), "still runs on web2");
    arena_release(&scene.arena);
}

static void a_word_against_what_is_known_is_refused(void **state)
{
    (void)state;
    struct scene scene;
    const struct migration_word again = {.name = "add", .again = true}, done = {.name = "purge"},
                                stranger = {.name = "other"};
    scene_init(&scene);
    record(&scene, 1, "add", RECORDED_DONE, CHANGE_EXPAND, OLD);
    assert_refused(&scene, make(&scene, &again, 1), "known to be done");
    assert_refused(&scene, make(&scene, &done, 1), "known to be pending");
    assert_int_equal(make(&scene, &stranger, 1), ERR_INPUT);
    arena_release(&scene.arena);
}

static void nodes_that_are_left_out_or_silent_may_know_more(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    assert_int_equal(make(&scene, NULL, 0), 0);
    assert_refused(&scene, check(&scene, true), "--limit");
    scene.nodes[2].answered = false;
    assert_int_equal(make(&scene, NULL, 0), 0);
    assert_int_equal(check(&scene, false), 0);
    scene.playbook.failure.unreachable = UNREACHABLE_SKIP;
    assert_refused(&scene, check(&scene, false), "web3, which may know");
    for (size_t i = 0; i < 3; i++)
        scene.migrations[i].on = "web1";
    assert_int_equal(make(&scene, NULL, 0), 0);
    assert_int_equal(check(&scene, false), 0);
    assert_refused(&scene, check(&scene, true), "drop is pending and contracts");
    scene.migrations[0].on = "web9";
    assert_int_equal(make(&scene, NULL, 0), 0);
    assert_refused(&scene, check(&scene, false), "web9, which is not among");
    arena_release(&scene.arena);
}

static void nothing_goes_to_before_an_irreversible_one(void **state)
{
    (void)state;
    struct scene scene;
    const char *older[NODES] = {NULL, OLD, NULL}, *newer[NODES] = {NEW, NEW, NEW};
    scene_init(&scene);
    record(&scene, 0, "purge", RECORDED_DONE, CHANGE_IRREVERSIBLE, "20260102T000000Z-aaaaaaaaaaaa");
    assert_refused(&scene, data_check_targets(&scene.fleet, &scene.survey, older, &scene.err),
                   "before migration purge");
    assert_int_equal(data_check_targets(&scene.fleet, &scene.survey, newer, &scene.err), 0);
    assert_int_equal(make(&scene, NULL, 0), 0);
    assert_false(scene.plan.no_way_back);
    scene.nodes[1].facts.current = OLD;
    assert_int_equal(make(&scene, NULL, 0), 0);
    assert_true(scene.plan.no_way_back);
    scene.facts[0][0].record = RECORDED_FAILED;
    assert_int_equal(data_check_targets(&scene.fleet, &scene.survey, older, &scene.err), 0);
    scene.facts[0][0].record = RECORDED_UNKNOWN;
    assert_refused(&scene, data_check_targets(&scene.fleet, &scene.survey, older, &scene.err),
                   "may have been run");
    arena_release(&scene.arena);
}

static void a_commit_with_contracted_data_behind_it_is_not_taken_back(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    scene.playbook.service.name = "shop";
    scene.nodes[1].facts.committed = (struct commit_fact){
        .release = scene.nodes[1].facts.current, .rollout = "run", .before = "20260101T000000Z-bbbbbbbbbbbb"};
    assert_int_equal(data_check_undo(&scene.fleet, &scene.survey, "run", &scene.err), 0);
    record(&scene, 0, "add", RECORDED_DONE, CHANGE_EXPAND, scene.nodes[1].facts.current);
    record(&scene, 2, "drop", RECORDED_FAILED, CHANGE_CONTRACT, scene.nodes[1].facts.current);
    record(&scene, 2, "drop", RECORDED_DONE, CHANGE_CONTRACT, "20260101T000000Z-bbbbbbbbbbbb");
    assert_int_equal(data_check_undo(&scene.fleet, &scene.survey, "run", &scene.err), 0);
    record(&scene, 0, "drop", RECORDED_UNKNOWN, CHANGE_CONTRACT, scene.nodes[1].facts.current);
    assert_int_equal(data_check_undo(&scene.fleet, &scene.survey, "another", &scene.err), 0);
    assert_int_equal(data_check_undo(&scene.fleet, &scene.survey, "run", &scene.err), ERR_REFUSED);
    assert_non_null(strstr(scene.err.message, "web2 has committed"));
    assert_non_null(strstr(scene.err.message, "migration drop"));
    assert_non_null(strstr(scene.err.message, "deployctl resume shop"));
    arena_release(&scene.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_node_knows_all_know),
        cmocka_unit_test(an_unknown_end_on_any_node_is_asked_about),
        cmocka_unit_test(one_that_lives_is_waited_for_whatever_is_said),
        cmocka_unit_test(a_word_against_what_is_known_is_refused),
        cmocka_unit_test(nodes_that_are_left_out_or_silent_may_know_more),
        cmocka_unit_test(nothing_goes_to_before_an_irreversible_one),
        cmocka_unit_test(a_commit_with_contracted_data_behind_it_is_not_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
