#include "check.h"

#include <stdio.h>
#include <string.h>

#include "app/missing.h"
#include "base/text.h"

#define NODES 3

/* Three nodes, each with its root; a test says what they and a runner's journal remember. */
struct scene {
    struct node inventory[NODES];
    struct member members[NODES];
    struct fleet fleet;
    struct surveyed nodes[NODES];
    struct survey survey;
    struct missing missing;
};

static const char *const names[NODES] = {"web1", "web2", "web3"};

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.fleet = {.count = NODES}};
    for (size_t i = 0; i < NODES; i++) {
        scene->inventory[i].name = names[i];
        scene->members[i].node = &scene->inventory[i];
        scene->members[i].service.root = "/srv/shop";
        scene->nodes[i] = (struct surveyed){.name = names[i], .answered = true};
    }
    scene->fleet.members = scene->members;
    scene->survey = (struct survey){.nodes = scene->nodes, .count = NODES};
    missing_init(&scene->missing);
}

static void remembers(struct scene *scene, size_t node, const char *rollout, const char *members)
{
    scene->nodes[node].facts.open_rollout = rollout;
    scene->nodes[node].facts.open_members = members;
}

static void is_missing(struct scene *scene, const char *rollout, size_t count, const char *text)
{
    missing_release(&scene->missing);
    missing_init(&scene->missing);
    missing_of_nodes(&scene->missing, &scene->fleet, &scene->survey, rollout);
    assert_int_equal(scene->missing.count, count);
    assert_string_equal(scene->missing.names.text, text);
}

static void note_is(const struct scene *scene, size_t member, const char *wanted)
{
    struct strbuf note;
    strbuf_init(&note, 4096);
    members_note(&note, &scene->fleet, member);
    assert_string_equal(note.text, wanted);
    strbuf_release(&note);
}

static void a_node_notes_how_many_there_are_and_those_that_come_next(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    note_is(&scene, 0, "3 web1 web2 web3");
    note_is(&scene, 2, "3 web3 web1 web2");
    scene.members[0].outside = true;
    note_is(&scene, 1, "2 web2 web3");
    missing_release(&scene.missing);
}

static void a_note_is_bounded_and_no_node_of_a_large_fleet_is_left_unnamed(void **state)
{
    (void)state;
    enum { MANY = 400 };
    static struct node inventory[MANY];
    static struct member members[MANY];
    static char text[MANY][200];
    struct fleet fleet = {.members = members, .count = MANY};
    for (size_t i = 0; i < MANY; i++) {
        memset(text[i], 'a', 190);
        snprintf(text[i] + 190, 10, "%zu", i);
        inventory[i].name = text[i];
        members[i].node = &inventory[i];
    }
    for (size_t i = 0; i < MANY; i++) {
        struct strbuf note;
        strbuf_init(&note, 4096);
        members_note(&note, &fleet, i);
        assert_true(note.length <= MEMBERS_BYTES);
        assert_true(text_has_word(note.text, text[(i + 1) % MANY]));
        strbuf_release(&note);
    }
}

static void a_node_that_others_name_and_the_inventory_does_not_have_is_missing_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    for (size_t i = 0; i < NODES; i++)
        remembers(&scene, i, "r1", i == 2 ? "5 web3 web4 web5" : "5 web1 web2 web3 web4");
    is_missing(&scene, "r1", 2, "web4, web5");
    is_missing(&scene, "r2", 0, "");
    scene.nodes[2].answered = false;
    is_missing(&scene, "r1", 1, "web4");
    missing_release(&scene.missing);
}

static void a_node_under_another_name_is_not_missing(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    remembers(&scene, 0, "r1", "3 web1 web2 old3");
    remembers(&scene, 2, "r1", "3 old3 web1 web2");
    is_missing(&scene, "r1", 0, "");
    remembers(&scene, 2, "r1", NULL);
    is_missing(&scene, "r1", 1, "old3");
    missing_release(&scene.missing);
}

static void a_runners_journal_names_nodes_and_roots(void **state)
{
    (void)state;
    static const char *const nodes[] = {"web1", "web4", "web2", "web5"}, *const roots[] = {"/srv/shop", "/srv/shop", "/srv/old", NULL};
    static const size_t waves[] = {0, 0, 1, NO_WAVE};
    struct past past = {.roster = {.root = "/srv/old", .nodes = nodes, .roots = roots, .waves = waves, .node_count = 4}};
    struct scene scene;
    scene_init(&scene);
    missing_of_journal(&scene.missing, &scene.fleet, &past);
    assert_int_equal(scene.missing.count, 2);
    assert_int_equal(scene.missing.moved, 1);
    assert_string_equal(scene.missing.root, "/srv/old");
    assert_string_equal(scene.missing.names.text, "web4 (root /srv/shop), web2 (root /srv/old)");
    missing_release(&scene.missing);
}

static void a_run_has_ended_elsewhere_when_a_node_knows_its_end_or_a_later_one(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    assert_false(survey_is_past(&scene.survey, "r2"));
    scene.nodes[1].facts.ended_rollout = "r1";
    assert_false(survey_is_past(&scene.survey, "r2"));
    scene.nodes[1].facts.ended_rollout = "r3";
    assert_true(survey_is_past(&scene.survey, "r2"));
    scene.nodes[1].facts.ended_result = "refused";
    assert_false(survey_is_past(&scene.survey, "r2"));
    scene.nodes[2].facts.ended_rollout = "r2";
    assert_true(survey_is_past(&scene.survey, "r2"));
    missing_release(&scene.missing);
}

static void a_journal_is_open_without_a_result_or_with_one_that_goes_on(void **state)
{
    (void)state;
    static const struct { const char *result; bool open; } cases[] = {
        {NULL, true}, {"held", true}, {"interrupted", true}, {"needs care", true}, {"done", false}, {"rolled back", false}, {"refused", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct past_record end = {.record = {.kind = RECORD_RESULT, .result = cases[i].result}};
        struct past past = {.records = &end, .count = cases[i].result ? 1 : 0};
        assert_int_equal(journal_is_open(&past), cases[i].open);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_notes_how_many_there_are_and_those_that_come_next),
        cmocka_unit_test(a_note_is_bounded_and_no_node_of_a_large_fleet_is_left_unnamed),
        cmocka_unit_test(a_node_that_others_name_and_the_inventory_does_not_have_is_missing_once),
        cmocka_unit_test(a_node_under_another_name_is_not_missing),
        cmocka_unit_test(a_runners_journal_names_nodes_and_roots),
        cmocka_unit_test(a_run_has_ended_elsewhere_when_a_node_knows_its_end_or_a_later_one),
        cmocka_unit_test(a_journal_is_open_without_a_result_or_with_one_that_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
