#include <stdio.h>
#include <string.h>

#include "check.h"
#include "model/template.h"

static const struct variable extra[] = {{.name = "release", .value = "r1"},
                                        {.name = "port", .value = "8080"}};
static struct variable own[] = {{.name = "port", .value = "22"}, {.name = "zone", .value = "eu"}};
static const struct node node = {
    .name = "web1", .connection = {.address = "10.0.0.1"}, .variables = {.items = own, .count = 2}};
static const struct template_scope scope = {.node = &node, .extra = extra, .extra_count = 2};

static void assert_expands(const char *text, const char *expected)
{
    struct strbuf out;
    struct err err = {0};
    strbuf_init(&out, 1000);
    assert_int_equal(template_expand(&out, text, &scope, &err), 0);
    assert_string_equal(out.text, expected);
    strbuf_release(&out);
}

static void assert_refused(const char *text, const char *message)
{
    struct strbuf out;
    struct err err = {0};
    strbuf_init(&out, 1000);
    assert_int_equal(template_expand(&out, text, &scope, &err), ERR_INPUT);
    assert_string_equal(err.message, message);
    strbuf_release(&out);
}

static void names_become_values(void **state)
{
    (void)state;
    assert_expands("", "");
    assert_expands("plain", "plain");
    assert_expands("https://{address}:{port}/{zone}?n={node}", "https://10.0.0.1:8080/eu?n=web1");
    assert_expands("{release}{release}", "r1r1");
}

static void doubled_braces_are_braces(void **state)
{
    (void)state;
    assert_expands("{{\"a\": {port}}}", "{\"a\": 8080}");
    assert_expands("{{port}}", "{port}");
}

static void an_unknown_name_is_told_with_the_nearest(void **state)
{
    (void)state;
    assert_refused("{prot}", "unknown name 'prot'; did you mean 'port'?");
    assert_refused("{adress}", "unknown name 'adress'; did you mean 'address'?");
    assert_refused("{colour}", "unknown name 'colour'");
}

static void malformed_braces_are_told(void **state)
{
    (void)state;
    assert_refused("a{port", "'{port' is not closed; write {name}, or {{ for a brace");
    assert_refused("a{po{rt}}", "'{po{rt}}' is not closed; write {name}, or {{ for a brace");
    assert_refused("a}b", "'}' stands alone; write }} for a brace");
    assert_refused("{}", "'{}' is not a name; write {{ for a brace");
    assert_refused("{a b}", "'{a b}' is not a name; write {{ for a brace");
}

static void a_result_past_the_maximum_is_an_error(void **state)
{
    (void)state;
    struct strbuf out;
    struct err err = {0};
    strbuf_init(&out, 5);
    assert_int_equal(template_expand(&out, "{address}", &scope, &err), ERR_MEMORY);
    strbuf_release(&out);
}

static int collect(void *context, const char *name)
{
    char *names = context;
    strcat(names, name);
    strcat(names, ",");
    return strcmp(name, "stop") == 0 ? ERR_NOT_FOUND : 0;
}

static void names_are_listed_in_order(void **state)
{
    (void)state;
    char names[100] = "";
    struct err err = {0};
    assert_int_equal(template_names("{a}{{x}}{b}{a}", collect, names, &err), 0);
    assert_string_equal(names, "a,b,a,");
    names[0] = '\0';
    assert_int_equal(template_names("{stop}{b}", collect, names, &err), ERR_NOT_FOUND);
    assert_string_equal(names, "stop,");
    assert_int_equal(template_names("{", collect, names, &err), ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_values),
        cmocka_unit_test(doubled_braces_are_braces),
        cmocka_unit_test(an_unknown_name_is_told_with_the_nearest),
        cmocka_unit_test(malformed_braces_are_told),
        cmocka_unit_test(a_result_past_the_maximum_is_an_error),
        cmocka_unit_test(names_are_listed_in_order),
    };
    return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
