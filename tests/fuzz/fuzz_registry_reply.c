/* Any text as what a node's command printed: a registry's file in base64, a registry's list, a balancer's state. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/app/balancer_internal.h"
#include "../../src/app/discovery_internal.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_file(const char *text)
{
    struct strbuf content;
    struct err err = {0};
    char digest[SHA256_HEX];
    strbuf_init(&content, DISCOVERY_FILE_MAX);
    int rc = file_reply_parse(&content, digest, text, "/etc/hosts", &err);
    assert(rc == 0 || err.message[0]);
    assert(strlen(digest) == 1 || strlen(digest) == SHA256_HEX - 1);
    assert(content.length <= DISCOVERY_FILE_MAX);
    strbuf_release(&content);
}

static void check_list(const char *text)
{
    struct announced announced = {.count = 0};
    assert(list_parse(&announced, text) == 0);
    for (size_t i = 0; i < announced.count; i++)
        assert(announced.items[i].node[0] && strlen(announced.items[i].node) < 256);
    announced_release(&announced);
}

static void check_state(const char *text)
{
    struct traffic_view view;
    struct err err = {0};
    if (balancer_state_parse(&view, "web1", text, &err) == 0)
        assert(view.state <= TRAFFIC_MAINT && view.weight < 1000000000 && view.sessions < 1000000000);
    else
        assert(err.message[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    check_file(text);
    check_list(text);
    check_state(text);
    free(text);
    return 0;
}
