#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "../../src/app/discovery_internal.h"

static void assert_hosts(const char *text, const char *wanted)
{
    struct announced announced = {.count = 0};
    struct strbuf out;
    struct err err;
    strbuf_init(&out, 4096);
    assert_int_equal(hosts_parse(&announced, text, strlen(text), "shop", &err), 0);
    announced_add(&announced, "web1", "10.0.0.9 web1");
    announced_remove(&announced, "web2");
    hosts_write(&out, &announced, "shop");
    assert_string_equal(out.text, wanted);
    strbuf_release(&out);
    announced_release(&announced);
}

static void a_block_of_lines_is_ours_and_the_rest_of_the_file_stays(void **state)
{
    (void)state;
    assert_hosts("", "# deployctl shop: begin\n# web1\n10.0.0.9 web1\n# deployctl shop: end\n");
    assert_hosts("127.0.0.1 localhost", "127.0.0.1 localhost\n# deployctl shop: begin\n# web1\n10.0.0.9 web1\n"
                                        "# deployctl shop: end\n");
    assert_hosts("a\n# deployctl shop: begin\n# web2\nx\n# web1\ny\n# web3\nz\n# deployctl shop: end\nb\n# deployctl api: begin\n",
                 "a\n# deployctl shop: begin\n# web1\n10.0.0.9 web1\n# web3\nz\n# deployctl shop: end\nb\n# deployctl api: "
                 "begin\n");
    assert_hosts("# deployctl shop: begin\nnobody's line\n# web3\n# deployctl shop: end\nb",
                 "# deployctl shop: begin\n# web1\n10.0.0.9 web1\n# deployctl shop: end\nb");
}

static void a_block_without_an_end_is_refused(void **state)
{
    (void)state;
    struct announced announced = {.count = 0};
    struct err err;
    static const char text[] = "a\n# deployctl shop: begin\n# web1\nx\n";
    assert_int_equal(hosts_parse(&announced, text, strlen(text), "shop", &err), ERR_PROTOCOL);
    announced_release(&announced);
}

static void groups_of_others_stay_in_a_file_sd(void **state)
{
    (void)state;
    static const char text[] =
        "[{\"targets\": [\"a:1\"], \"labels\": {\"service\": \"other\", \"node\": \"web1\"}}, 7,\n"
        " {\"targets\": [\"b:1\"], \"labels\": {\"node\": \"web2\", \"service\": \"shop\"}}, {\"targets\": []}]";
    struct announced announced = {.count = 0};
    struct strbuf out;
    struct err err;
    strbuf_init(&out, 4096);
    assert_int_equal(file_sd_parse(&announced, text, strlen(text), "shop", &err), 0);
    assert_int_equal(announced.count, 1);
    assert_string_equal(announced_find(&announced, "web2"),
                        "{\"labels\":{\"node\":\"web2\",\"service\":\"shop\"},\"targets\":[\"b:1\"]}");
    assert_null(announced_find(&announced, "web1"));
    announced_remove(&announced, "web2");
    announced_add(&announced, "web3", "{\"targets\":[\"c:1\"]}");
    file_sd_write(&out, &announced, "shop");
    assert_string_equal(out.text, "[\n{\"labels\":{\"node\":\"web1\",\"service\":\"other\"},\"targets\":[\"a:1\"]},\n"
                                  "{\"targets\":[]},\n{\"targets\":[\"c:1\"]}\n]\n");
    strbuf_release(&out);
    announced_release(&announced);
}

static void an_empty_list_is_a_list(void **state)
{
    (void)state;
    struct announced announced = {.count = 0};
    struct strbuf out;
    struct err err;
    strbuf_init(&out, 64);
    assert_int_equal(file_sd_parse(&announced, "", 0, "shop", &err), 0);
    file_sd_write(&out, &announced, "shop");
    assert_string_equal(out.text, "[\n]\n");
    strbuf_release(&out);
    announced_release(&announced);
}

static void what_is_no_list_is_refused_with_its_line(void **state)
{
    (void)state;
    static const char *const texts[] = {"{}", "[\n\n x]", "\"x\"", "[\"\\ud800\"]", "nothing"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct announced announced = {.count = 0};
        struct err err;
        assert_int_equal(file_sd_parse(&announced, texts[i], strlen(texts[i]), "shop", &err), ERR_PROTOCOL);
        announced_release(&announced);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_of_lines_is_ours_and_the_rest_of_the_file_stays),
        cmocka_unit_test(a_block_without_an_end_is_refused),
        cmocka_unit_test(groups_of_others_stay_in_a_file_sd),
        cmocka_unit_test(an_empty_list_is_a_list),
        cmocka_unit_test(what_is_no_list_is_refused_with_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
