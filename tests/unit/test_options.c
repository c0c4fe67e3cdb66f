#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* The command line is no part of the library: its two tables and what reads them are compiled in
 * here. */
#include "../../cmd/help.c"
#include "../../cmd/options.c"
#include "../../cmd/verbs.c"

/* Parsing must never run a verb. */
#define NEVER_RUN(name)                                                                            \
    int name(const struct options *options)                                                        \
    {                                                                                              \
        (void)options;                                                                             \
        fail_msg(#name " was run");                                                                \
        return -1;                                                                                 \
    }
NEVER_RUN(verb_rollout)
NEVER_RUN(verb_rollback)
NEVER_RUN(verb_plan)
NEVER_RUN(verb_resume)
NEVER_RUN(verb_pause)
NEVER_RUN(verb_promote)
NEVER_RUN(verb_abort)
NEVER_RUN(verb_check)
NEVER_RUN(verb_status)
NEVER_RUN(verb_history)
NEVER_RUN(verb_inventory)
NEVER_RUN(verb_exec)
NEVER_RUN(verb_logs)
NEVER_RUN(verb_verify)
NEVER_RUN(verb_unlock)
NEVER_RUN(verb_report)
NEVER_RUN(verb_completion)
NEVER_RUN(verb_version)

static struct arena arena;
static struct options options;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    unsetenv("DEPLOYCTL_INVENTORY");
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    arena_init(&arena);
    err_clear(&err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

#define WORDS_MAX 16

/* Parses a command line of words without blanks. */
static int parse(const char *line)
{
    char *words[WORDS_MAX + 1], *save = NULL;
    int count = 0;
    char *text = arena_strdup(&arena, line);
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    words[count] = NULL;
    char **argv = arena_alloc(&arena, sizeof words);
    memcpy(argv, words, sizeof words[0] * ((size_t)count + 1));
    const struct verb *verb = verb_find(argv[0]);
    assert_non_null(verb);
    return options_parse(&options, verb, count, argv, &arena, &err);
}

static void refused_with(const char *line, const char *message)
{
    assert_int_equal(parse(line), ERR_INPUT);
    assert_string_equal(err.message, message);
}

static void what_is_not_given_has_its_default(void **state)
{
    (void)state;
    assert_int_equal(parse("rollout shop"), 0);
    assert_string_equal(options.inventory, "inventory.ini");
    assert_null(options.inventory_from);
    assert_int_equal(options.forks, 64);
    assert_int_equal(options.count, 20);
    assert_false(options.json || options.quiet || options.verbose || options.no_color);
    assert_int_equal(options.argument_count, 1);
    assert_string_equal(options.arguments[0], "shop");
}

static void options_and_operands_may_mix(void **state)
{
    (void)state;
    assert_int_equal(parse("rollout -f8 shop --ref=v2 -l web:db -vo json --set a.b=c=d"), 0);
    assert_int_equal(options.forks, 8);
    assert_string_equal(options.ref, "v2");
    assert_string_equal(options.limit, "web:db");
    assert_true(options.verbose && options.json);
    assert_string_equal(options.arguments[0], "shop");
    assert_int_equal(options.override_count, 1);
    assert_string_equal(options.overrides[0].section, "a");
    assert_string_equal(options.overrides[0].key, "b");
    assert_string_equal(options.overrides[0].value, "c=d");
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    assert_int_equal(parse("rollout -- -shop"), 0);
    assert_string_equal(options.arguments[0], "-shop");
    assert_int_equal(parse("exec -f 2 web -- ls -l --all"), 0);
    assert_int_equal(options.argument_count, 1);
    assert_string_equal(options.arguments[0], "web");
    assert_int_equal(options.command_count, 3);
    assert_string_equal(options.command[0], "ls");
    assert_string_equal(options.command[2], "--all");
}

static void many_settings_are_all_kept(void **state)
{
    (void)state;
    assert_int_equal(parse("plan x --set a.k=1 --set a.k=2 --set a.k=3 --set a.k=4 --set b.c.k=5"),
                     0);
    assert_int_equal(options.override_count, 5);
    assert_string_equal(options.overrides[3].value, "4");
    assert_string_equal(options.overrides[4].section, "b.c");
    assert_string_equal(options.overrides[4].key, "k");
}

static void an_inventory_comes_from_the_option_then_the_environment(void **state)
{
    (void)state;
    setenv("DEPLOYCTL_INVENTORY", "fleet.ini", 1);
    assert_int_equal(parse("check shop"), 0);
    assert_string_equal(options.inventory, "fleet.ini");
    assert_string_equal(options.inventory_from, "$DEPLOYCTL_INVENTORY");
    assert_int_equal(parse("check shop -i other.ini"), 0);
    assert_string_equal(options.inventory, "other.ini");
    setenv("DEPLOYCTL_INVENTORY", "", 1);
    assert_int_equal(parse("check shop"), 0);
    assert_null(options.inventory_from);
}

static void no_color_comes_from_option_environment_and_dumb_terminals(void **state)
{
    (void)state;
    assert_int_equal(parse("rollout shop --no-color"), 0);
    assert_true(options.no_color);
    setenv("NO_COLOR", "", 1);
    assert_int_equal(parse("rollout shop"), 0);
    assert_false(options.no_color);
    setenv("NO_COLOR", "1", 1);
    assert_int_equal(parse("rollout shop"), 0);
    assert_true(options.no_color);
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    assert_int_equal(parse("rollout shop"), 0);
    assert_true(options.no_color);
}

static void a_mistyped_option_names_the_nearest(void **state)
{
    (void)state;
    refused_with("rollout shop --lmit web", "unknown option --lmit; did you mean --limit?");
    refused_with("rollout shop --lmit=web", "unknown option --lmit=web; did you mean --limit?");
    refused_with("rollout shop --xyzzy", "unknown option --xyzzy");
    refused_with("rollout shop -x", "unknown option -x");
    refused_with("status shop --ref v1", "'status' takes no option --ref");
    refused_with("status shop -y", "'status' takes no option -y");
    refused_with("rollout shop --quiet=1", "--quiet takes no value");
}

static void a_value_is_asked_for_and_checked(void **state)
{
    (void)state;
    refused_with("rollout shop --ref", "--ref needs a REV");
    refused_with("rollout shop -l", "-l/--limit needs a PATTERN");
    refused_with("rollout shop --ref=", "--ref needs a REV, not an empty text");
    refused_with("rollout shop -f 0", "-f/--forks: '0' is not between 1 and 1000");
    refused_with("rollout shop -o jsn",
                 "-o/--output takes text or json, not 'jsn'; did you mean json?");
    refused_with("rollout shop --set batch=1", "--set takes section.key=value, not 'batch=1'");
    refused_with("rollout shop --set .k=1", "--set takes section.key=value, not '.k=1'");
    refused_with("rollout shop --set s.=1", "--set takes section.key=value, not 's.=1'");
    refused_with("rollout shop -q -v", "--quiet and --verbose exclude each other");
    assert_int_equal(parse("exec web --timeout 1.5s -- true"), 0);
    assert_int_equal(options.timeout_ms, 1500);
    assert_int_equal(parse("exec web --timeout 0 -- true"), ERR_INPUT);
    assert_int_equal(parse("exec web --timeout 2d -- true"), ERR_INPUT);
}

static void an_option_is_never_taken_for_a_value(void **state)
{
    (void)state;
    refused_with("rollback shop --to --help",
                 "--to needs a RELEASE, and '--help' looks like an option");
    refused_with("rollback shop -l -y",
                 "-l/--limit needs a PATTERN, and '-y' looks like an option");
    assert_int_equal(parse("rollback shop --to=-x"), 0);
    assert_string_equal(options.to, "-x");
}

static void operands_are_counted_by_the_usage_line(void **state)
{
    (void)state;
    refused_with("rollout", "rollout needs a PLAYBOOK: a path, or NAME for playbooks/NAME.ini");
    refused_with("rollout shop blog", "unexpected argument 'blog'");
    refused_with("exec -- ls", "exec needs PATTERN -- COMMAND [ARGUMENT...]");
    refused_with("exec web", "exec needs a command behind --");
    refused_with("exec web ls", "unexpected argument 'ls'; the command stands behind --");
    refused_with("version x", "unexpected argument 'x'");
    assert_int_equal(parse("inventory"), 0);
    assert_int_equal(parse("inventory web"), 0);
    assert_int_equal(parse("help"), 0);
}

static void help_asks_for_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < verb_count; i++) {
        char line[64];
        snprintf(line, sizeof line, "%s --help", verbs[i].name);
        assert_int_equal(parse(line), 0);
        assert_true(options.help);
    }
}

static void a_mistyped_verb_names_the_nearest(void **state)
{
    (void)state;
    assert_string_equal(verb_nearest("rolout"), "rollout");
    assert_string_equal(verb_nearest("chekc"), "check");
    assert_null(verb_nearest("xyzzy"));
    assert_null(verb_find("roll"));
}

/* Every option that a verb names exists, every option is taken by some verb, and no letter or name
 * stands for two. */
static void the_tables_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < verb_count; i++) {
        size_t named = 1, taken = 0;
        for (const char *at = verbs[i].options; *at; at++)
            named += *at == ' ';
        named = *verbs[i].options ? named : 0;
        for (size_t k = 0; k < option_spec_count; k++)
            taken += verb_takes(&verbs[i], &option_specs[k]);
        assert_int_equal(named + 1, taken); /* and --help */
    }
    for (size_t k = 0; k < option_spec_count; k++) {
        bool used = false;
        for (size_t i = 0; i < verb_count; i++)
            used = used || verb_takes(&verbs[i], &option_specs[k]);
        assert_true(used);
        for (size_t other = 0; other < k; other++) {
            assert_string_not_equal(option_specs[k].name, option_specs[other].name);
            for (size_t i = 0; i < verb_count; i++)
                assert_true(!option_specs[k].letter ||
                            option_specs[k].letter != option_specs[other].letter ||
                            !verb_takes(&verbs[i], &option_specs[k]) ||
                            !verb_takes(&verbs[i], &option_specs[other]));
        }
    }
}

/* What stands on the command line, as the verb then gets it, with blanks between. */
static const char *led(int argc, const char *const *given)
{
    static char text[200];
    struct words words;
    char *argv[16] = {0};
    for (int i = 0; i < argc; i++)
        argv[i] = arena_strdup(&arena, given[i]);
    text[0] = '\0';
    if (options_lead(&words, argc, argv, &arena, &err) < 0)
        return err.message;
    for (int i = 0; i < words.argc; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
                 words.argv[i]);
    return text;
}
#define LED(...)                                                                                   \
    led(sizeof((const char *[]){"deployctl", __VA_ARGS__}) / sizeof(char *),                       \
        (const char *[]){"deployctl", __VA_ARGS__})

static void options_before_the_verb_come_behind_it(void **state)
{
    (void)state;
    assert_string_equal(LED("-i", "x", "plan", "shop"), "plan --inventory=x shop");
    assert_string_equal(LED("-qix", "-f5", "plan", "-l", "a"),
                        "plan --quiet --inventory=x --forks=5 -l a");
    assert_string_equal(LED("--set", "a.b=c d", "exec", "web", "--", "ls", "-l"),
                        "exec --set=a.b=c d web -- ls -l");
    assert_string_equal(LED("--help", "plan"), "plan --help");
    assert_string_equal(LED("-q", "--help"), "help");
    assert_string_equal(LED("plan", "-i", "x"), "plan -i x");
    assert_string_equal(LED("-q"), "");
    assert_string_equal(LED("--limt", "a", "plan"),
                        "unknown option --limt; did you mean --limit?");
    assert_string_equal(LED("-i"), "-i/--inventory needs a FILE");
    assert_string_equal(LED("-i", "--quiet", "plan"),
                        "-i/--inventory needs a FILE, and '--quiet' looks like an option");
    assert_string_equal(LED("--to", "x", "rollback"), "option --to stands behind the verb");
}

static void one_letter_is_follow_for_logs_and_forks_for_the_others(void **state)
{
    (void)state;
    char *logs[] = {(char[]){"logs"}, (char[]){"-f"}, (char[]){"shop"}, NULL};
    char *plan[] = {(char[]){"plan"}, (char[]){"-f"}, (char[]){"7"}, (char[]){"shop"}, NULL};
    assert_int_equal(options_parse(&options, verb_find("logs"), 3, logs, &arena, &err), 0);
    assert_true(options.follow);
    assert_int_equal(options.lines, 100);
    assert_int_equal(options_parse(&options, verb_find("plan"), 4, plan, &arena, &err), 0);
    assert_int_equal(options.forks, 7);
    assert_false(options.follow);
}

static void a_format_is_one_of_its_words(void **state)
{
    (void)state;
    char *html[] = {(char[]){"report"}, (char[]){"--format=html"}, NULL};
    char *pdf[] = {(char[]){"report"}, (char[]){"--format=pdf"}, NULL};
    assert_int_equal(options_parse(&options, verb_find("report"), 2, html, &arena, &err), 0);
    assert_string_equal(options.format, "html");
    assert_int_equal(options_parse(&options, verb_find("report"), 2, pdf, &arena, &err), ERR_INPUT);
    assert_string_equal(err.message, "--format takes text|json|junit|html, not 'pdf'");
}

static void help_is_complete_and_fits_80_columns(void **state)
{
    (void)state;
    for (size_t i = 0; i <= verb_count; i++) {
        char *text = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&text, &length);
        if (i < verb_count)
            help_verb(out, &verbs[i]);
        else
            help_overview(out);
        fclose(out);
        assert_non_null(strstr(text, "Usage: deployctl "));
        for (size_t k = 0; i < verb_count && k < option_spec_count; k++) {
            char option[64];
            snprintf(option, sizeof option, " --%s", option_specs[k].name);
            assert_int_equal(strstr(text, option) && strstr(text, option_specs[k].help),
                             verb_takes(&verbs[i], &option_specs[k]));
        }
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            assert_true(text_columns(line) <= 80);
        free(text);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_given_has_its_default),
        TEST(options_and_operands_may_mix),
        TEST(two_dashes_end_the_options),
        TEST(many_settings_are_all_kept),
        TEST(an_inventory_comes_from_the_option_then_the_environment),
        TEST(no_color_comes_from_option_environment_and_dumb_terminals),
        TEST(a_mistyped_option_names_the_nearest),
        TEST(a_value_is_asked_for_and_checked),
        TEST(an_option_is_never_taken_for_a_value),
        TEST(operands_are_counted_by_the_usage_line),
        TEST(help_asks_for_nothing_else),
        TEST(a_mistyped_verb_names_the_nearest),
        TEST(options_before_the_verb_come_behind_it),
        TEST(one_letter_is_follow_for_logs_and_forks_for_the_others),
        TEST(a_format_is_one_of_its_words),
        TEST(the_tables_agree),
        TEST(help_is_complete_and_fits_80_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
