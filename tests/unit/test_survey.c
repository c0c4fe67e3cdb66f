#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/rollback_targets.h"
#include "app/survey.h"
#include "node_fixture.h"

#define NODES 3

/* What a node says of itself, and where `rollback` takes it. */
struct stand {
    const char *current; /* NULL: none; "?": it does not answer */
    bool good;
    const char *previous;
    const char *target;
    size_t releases; /* the first of a, b, c, which it has as good ones */
    bool outside;
};

static void expect_targets(const struct stand *stands, bool each_own, const char *refusal)
{
    static struct release_fact good[] = {{"a", RELEASE_GOOD, 1}, {"b", RELEASE_GOOD, 2}, {"c", RELEASE_GOOD, 3}};
    struct surveyed nodes[NODES] = {{.answered = false}};
    struct err err;
    struct survey survey = {.nodes = nodes, .count = NODES};
    const char *targets[NODES];
    for (size_t i = 0; i < NODES; i++) {
        const struct stand *stand = &stands[i];
        nodes[i].name = i == 0 ? "n1" : i == 1 ? "n2" : "n3";
        nodes[i].outside = stand->outside;
        nodes[i].facts.releases = good;
        nodes[i].facts.release_count = stand->releases;
        nodes[i].answered = !stand->current || strcmp(stand->current, "?") != 0;
        if (!nodes[i].answered)
            continue;
        nodes[i].facts.current = stand->current;
        nodes[i].facts.current_good = stand->good;
        nodes[i].facts.previous = stand->previous;
    }
    int rc = rollback_targets(&survey, each_own, targets, &err);
    if (refusal) {
        assert_int_equal(rc, ERR_REFUSED);
        assert_non_null(strstr(err.message, refusal));
        return;
    }
    assert_int_equal(rc, 0);
    for (size_t i = 0; i < NODES; i++) {
        if (stands[i].target)
            assert_string_equal(targets[i], stands[i].target);
        else
            assert_null(targets[i]);
    }
}

static void targets_are(const struct stand *stands)
{
    expect_targets(stands, false, NULL);
}

static void a_whole_fleet_goes_back_to_one_release(void **state)
{
    (void)state;
    targets_are((const struct stand[]){{"c", true, "b", "b", 0, false}, {"c", true, "b", "b", 0, false}, {"c", true, NULL, NULL, 0, false}});
    targets_are((const struct stand[]){{"c", true, "b", "b", 3, false}, {"c", true, "b", "b", 3, false}, {"b", true, "a", "b", 2, false}});
}

static void nodes_that_would_go_to_different_releases_are_refused(void **state)
{
    static const struct stand differ[] = {{"c", true, "b", "b", 0, false}, {"c", true, "a", "a", 0, false}, {"c", true, NULL, NULL, 0, false}};
    (void)state;
    expect_targets(differ, false, "n1 to b, n2 to a");
    expect_targets(differ, true, NULL);
    expect_targets((const struct stand[]){{"c", true, "b", "b", 0, false}, {"b", true, "a", "a", 0, false}, {"a", true, NULL, NULL, 0, false}}, true, NULL);
}

static void a_stale_node_goes_along_when_it_has_the_release(void **state)
{
    (void)state;
    targets_are((const struct stand[]){{"c", true, "b", "b", 3, false}, {"c", true, "b", "b", 3, false}, {"a", true, NULL, "b", 2, false}});
    targets_are((const struct stand[]){{"c", true, "b", "b", 3, false}, {"c", true, "b", "b", 3, false}, {"a", true, NULL, "a", 1, false}});
}

static void after_a_partial_commit_all_go_back_to_the_release_before(void **state)
{
    (void)state;
    targets_are((const struct stand[]){{"c", true, "b", "b", 3, false}, {"c", true, "b", "b", 3, false}, {"c", false, "b", "b", 2, false}});
    targets_are((const struct stand[]){{"c", false, "b", "b", 2, false}, {"c", false, "b", "b", 2, false}, {"c", true, "b", "b", 3, false}});
}

static void nodes_outside_the_run_have_no_target_and_no_say(void **state)
{
    (void)state;
    targets_are((const struct stand[]){{"c", true, "b", "b", 3, false},
                                       {"b", true, "a", NULL, 2, true},
                                       {"b", true, "a", NULL, 2, true}});
}

static void of_a_half_done_rollout_only_what_was_changed_goes_back(void **state)
{
    (void)state;
    targets_are((const struct stand[]){
        {"c", false, "b", "b", 0, false}, {"b", true, "a", "b", 0, false}, {"b", true, "a", "b", 0, false}});
}

static void a_node_without_a_release_stays_without_one(void **state)
{
    (void)state;
    targets_are((const struct stand[]){
        {"c", false, "b", "b", 0, false}, {NULL, false, NULL, NULL, 0, false}, {"b", true, "a", "b", 0, false}});
    targets_are((const struct stand[]){
        {"c", true, "b", "b", 0, false}, {NULL, false, NULL, NULL, 0, false}, {"c", true, "b", "b", 0, false}});
}

static void a_half_done_first_release_has_nowhere_to_go(void **state)
{
    (void)state;
    targets_are((const struct stand[]){
        {"a", false, NULL, NULL, 0, false}, {NULL, false, NULL, NULL, 0, false}, {NULL, false, NULL, NULL, 0, false}});
}

static void a_node_that_does_not_answer_has_no_target(void **state)
{
    (void)state;
    targets_are((const struct stand[]){
        {"?", false, NULL, NULL, 0, false}, {"c", true, "b", "b", 0, false}, {"c", true, "b", "b", 0, false}});
}

/* --- breakers, as the nodes tell them together --- */

static void breakers_are_of_the_newest_run_and_the_newest_of_each(void **state)
{
    (void)state;
    struct breaker_seen first[] = {{.node = "n3", .state = "open", .since_ms = 10, .error = "timed out"},
                                   {.dependency = "lb", .state = "closed", .since_ms = 30}},
                        second[] = {{.node = "n3", .state = "half open", .since_ms = 20, .error = "timed out"},
                                    {.dependency = "lb", .state = "open", .since_ms = INT64_MAX, .error = "a time to come"}},
                        of_before[] = {{.node = "n1", .state = "open", .since_ms = 40}};
    struct surveyed nodes[NODES] = {
        {.answered = true, .facts = {.open_rollout = "r2", .lock_rollout = "r2", .breaker_rollout = "r2", .breakers = first, .breaker_count = 2}},
        {.answered = true, .facts = {.ended_rollout = "r2", .breaker_rollout = "r2", .breakers = second, .breaker_count = 2}},
        {.answered = true, .facts = {.ended_rollout = "r1", .breaker_rollout = "r1", .breakers = of_before, .breaker_count = 1}}};
    struct survey survey = {.nodes = nodes, .count = NODES};
    struct breaker_list list;
    assert_string_equal(survey_newest_run(&survey), "r2");
    breaker_list_init(&list);
    survey_breakers(&survey, "r2", &list);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].node, "n3");
    assert_string_equal(list.items[0].state, "half open");
    assert_string_equal(list.items[1].dependency, "lb");
    assert_string_equal(list.items[1].state, "closed");
    breaker_list_release(&list);
    assert_false(survey_saw_end(&survey, "r2")); /* still holds a node */
    nodes[0].facts.lock_expired = true;
    assert_true(survey_saw_end(&survey, "r2"));
    assert_false(survey_saw_end(&survey, "r3"));
    nodes[0].answered = nodes[1].answered = nodes[2].answered = false;
    assert_null(survey_newest_run(&survey));
}

/* --- asking real nodes --- */

static void nodes_say_where_they_stand(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct survey survey;
    struct err err;
    struct node_options options = {
        .count = 3,
        .dead_last = true,
        .playbook = "start = true\n[health]\ncommand = echo sick; test $DEPLOYCTL_NODE = n2\n"};
    node_fixture_start(&fixture, &options);
    /* n1 runs a release that nobody committed; n2 nothing. */
    free(shell_output(
        "cd %s && mkdir -p n1/releases/20260101T000000Z-0123456789ab n1/.deployctl/manifests && "
        "ln -s releases/20260101T000000Z-0123456789ab n1/current && "
        "touch n1/.deployctl/manifests/20260101T000000Z-0123456789ab",
        fixture.folder));
    assert_int_equal(survey_run(&survey, fixture.fleet, 3, true, &err), 0);
    assert_int_equal(survey.count, 3);
    assert_int_equal(survey_unanswered(&survey), 1);
    assert_true(survey.nodes[0].answered);
    assert_string_equal(survey.nodes[0].facts.current, "20260101T000000Z-0123456789ab");
    assert_false(survey.nodes[0].facts.current_good);
    assert_true(survey.nodes[0].probed);
    assert_false(survey.nodes[0].healthy);
    assert_non_null(strstr(survey.nodes[0].evidence, "command exit 1: sick"));
    assert_true(survey.nodes[1].answered);
    assert_null(survey.nodes[1].facts.current);
    assert_false(survey.nodes[1].probed);
    assert_false(survey.nodes[2].answered);
    assert_int_equal(survey.nodes[2].error.code, ERR_UNREACHABLE);
    char *changed = shell_output("ls -A %s", fixture.folder);
    assert_string_equal(changed, "n1");
    free(changed);
    survey_release(&survey);
    survey_release(&survey);
    node_fixture_stop(&fixture);
}

/* As soon as the node's command runs. */
static void interrupt(void *context)
{
    struct node_fixture *fixture = context;
    if (access(node_file(fixture, 0, "probing"), F_OK) == 0)
        kill(getpid(), SIGINT);
    else
        timer_start(fixture->fleet->loop, 20, interrupt, fixture);
}

static void probes_can_be_interrupted(void **state)
{
    (void)state;
    struct node_fixture fixture;
    struct survey survey;
    struct err err;
    struct node_options options = {.count = 1,
                                   .playbook =
                                       "start = true\n[health]\ncommand = touch "
                                       "$DEPLOYCTL_ROOT/probing; sleep 20\ntimeout = 20s\n"};
    node_fixture_start(&fixture, &options);
    free(shell_output("cd %s && mkdir -p n1/releases/20260101T000000Z-0123456789ab && "
                      "ln -s releases/20260101T000000Z-0123456789ab n1/current",
                      fixture.folder));
    timer_start(fixture.fleet->loop, 20, interrupt, &fixture);
    assert_int_equal(survey_run(&survey, fixture.fleet, 3, true, &err), SIGINT);
    assert_int_equal(access(node_file(&fixture, 0, "probing"), F_OK), 0);
    assert_false(survey.nodes[0].probed);
    survey_release(&survey);
    node_fixture_stop(&fixture);
}

/* node 1 was locked by y, which went on with x; x alone had node 2 and committed it; node 3 has what another run committed. */
static void an_undo_takes_back_what_the_runs_of_its_chain_committed(void **state)
{
    (void)state;
    struct surveyed nodes[NODES] = {
        {.answered = true, .facts = {.current = "b", .previous = "a", .chain = "y x", .open_rollout = "y"}},
        {.answered = true, .facts = {.current = "b", .current_good = true, .committed = {.release = "b", .rollout = "x", .before = "a"}, .chain = "x"}},
        {.answered = true, .facts = {.current = "b", .current_good = true, .committed = {.release = "b", .rollout = "w", .before = "a"}, .chain = "w"}}};
    struct survey survey = {.nodes = nodes, .count = NODES};
    struct open_run open = survey_open_run(&survey);
    char chain[SURVEY_CHAIN];
    const char *targets[NODES];
    for (size_t i = 0; i < NODES; i++)
        arena_init(&nodes[i].facts.arena);
    survey_chain(&survey, &open, chain);
    assert_string_equal(chain, "y x");
    /* who went on with the other is the later one, also by a clock that is behind */
    nodes[2].facts.open_rollout = "z";
    nodes[0].facts.chain = "y z x";
    open = survey_open_run(&survey);
    assert_string_equal(open.rollout, "y");
    assert_string_equal(open.other, "z");
    nodes[2].facts.open_rollout = NULL;
    nodes[0].facts.chain = "y x";
    survey_undo_targets(&survey, chain, targets);
    assert_string_equal(targets[0], "a");
    assert_string_equal(targets[1], "a");
    assert_string_equal(targets[2], "b");
    nodes[1].facts.committed.before = "b";
    survey_undo_targets(&survey, chain, targets);
    assert_string_equal(targets[1], "b");
    nodes[1].facts.committed.before = NULL;
    survey_undo_targets(&survey, chain, targets);
    assert_null(targets[1]);
    survey_undo_targets(&survey, NULL, targets);
    assert_string_equal(targets[1], "b");
    /* taking it back has begun: wherever it stands now */
    nodes[1].facts.committed.before = "a";
    nodes[1].facts.committed.retracts = true;
    nodes[1].facts.current_good = false;
    survey_undo_targets(&survey, chain, targets);
    assert_string_equal(targets[1], "a");
    survey_release(&survey);
}

static void what_most_nodes_are_at_is_the_release_of_the_fleet(void **state)
{
    (void)state;
    struct surveyed nodes[NODES] = {
        {.answered = true, .facts = {.current = "c", .current_good = true, .committed = {.release = "c", .rollout = "x", .before = "b"}}},
        {.answered = true, .facts = {.current = "b", .current_good = true, .committed = {.release = "b", .rollout = "w", .before = "a"}}},
        {.answered = true, .facts = {.current = "b", .current_good = true, .committed = {.release = "b", .rollout = "w", .before = "a"}}}};
    struct survey survey = {.nodes = nodes, .count = NODES};
    assert_string_equal(survey_fleet_release(&survey), "b");
    assert_true(surveyed_is_stale(&nodes[0], "b"));
    assert_false(surveyed_is_stale(&nodes[1], "b"));
    nodes[2].answered = false;
    assert_string_equal(survey_fleet_release(&survey), "c");
    assert_true(surveyed_is_stale(&nodes[1], "c"));
    assert_false(surveyed_is_stale(&nodes[2], "c"));
    nodes[0].facts.current_good = nodes[1].facts.current_good = false;
    assert_null(survey_fleet_release(&survey));
    assert_false(surveyed_is_stale(&nodes[0], NULL));
}

static void resume_takes_nodes_to(struct surveyed *nodes, enum run_kind kind, const char *const wanted[NODES])
{
    struct survey survey = {.nodes = nodes, .count = NODES};
    struct open_run open = {.rollout = "r2", .kind = kind, .release = "b"};
    const char *targets[NODES];
    survey_resume_targets(&survey, &open, "r2 r1", targets);
    for (size_t i = 0; i < NODES; i++)
        assert_string_equal(targets[i], wanted[i]);
}

#define STANDS(CURRENT, GOOD, PREVIOUS) .current = (CURRENT), .current_good = (GOOD), .previous = (PREVIOUS)
#define OPEN(ROLLOUT, RELEASE) .open_rollout = (ROLLOUT), .open_release = (RELEASE), .chain = (ROLLOUT)

static void a_rollback_that_died_in_its_locks_takes_all_back(void **state)
{
    (void)state;
    resume_takes_nodes_to((struct surveyed[]){{.answered = true, .facts = {STANDS("b", true, "a"), OPEN("r2", "a")}},
                                              {.answered = true, .facts = {STANDS("b", true, "a"), OPEN("r1", "a")}},
                                              {.answered = true, .facts = {STANDS("b", true, "0"), .chain = "r0"}}},
                          RUN_ROLLBACK, (const char *const[]){"a", "a", "0"});
}

static void a_node_that_a_rollback_left_out_stays(void **state)
{
    (void)state;
    resume_takes_nodes_to((struct surveyed[]){{.answered = true, .facts = {STANDS("a", false, "a"), OPEN("r2", "a")}},
                                              {.answered = true, .facts = {STANDS("a", true, "0"), .chain = "r2"}},
                                              {.answered = true, .facts = {STANDS("b", true, "a"), .chain = "r0"}}},
                          RUN_ROLLBACK, (const char *const[]){"a", "a", "b"});
}

static void what_nobody_committed_goes_back_though_the_rollback_never_came_to_it(void **state)
{
    (void)state;
    resume_takes_nodes_to((struct surveyed[]){{.answered = true, .facts = {STANDS("a", true, "0"), OPEN("r2", "a")}},
                                              {.answered = true, .facts = {STANDS("b", false, "a"), OPEN("r0", "b")}},
                                              {.answered = true, .facts = {STANDS("a", true, "0"), .chain = "r0"}}},
                          RUN_ROLLBACK, (const char *const[]){"a", "a", "a"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rollback_that_died_in_its_locks_takes_all_back),
        cmocka_unit_test(a_node_that_a_rollback_left_out_stays),
        cmocka_unit_test(what_nobody_committed_goes_back_though_the_rollback_never_came_to_it),
        cmocka_unit_test(a_whole_fleet_goes_back_to_one_release),
        cmocka_unit_test(nodes_that_would_go_to_different_releases_are_refused),
        cmocka_unit_test(a_stale_node_goes_along_when_it_has_the_release),
        cmocka_unit_test(after_a_partial_commit_all_go_back_to_the_release_before),
        cmocka_unit_test(nodes_outside_the_run_have_no_target_and_no_say),
        cmocka_unit_test(of_a_half_done_rollout_only_what_was_changed_goes_back),
        cmocka_unit_test(a_node_without_a_release_stays_without_one),
        cmocka_unit_test(a_half_done_first_release_has_nowhere_to_go),
        cmocka_unit_test(a_node_that_does_not_answer_has_no_target),
        cmocka_unit_test(an_undo_takes_back_what_the_runs_of_its_chain_committed),
        cmocka_unit_test(what_most_nodes_are_at_is_the_release_of_the_fleet),
        cmocka_unit_test(breakers_are_of_the_newest_run_and_the_newest_of_each),
        cmocka_unit_test(nodes_say_where_they_stand),
        cmocka_unit_test(probes_can_be_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
