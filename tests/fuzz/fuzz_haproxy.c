/* Any bytes as what answers at HAProxy's stats socket: a request that is made of such an answer is one line of commands that deployctl uses. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "app/balancer_haproxy.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BACKEND "shop"

static void check_command(const char *command, size_t length)
{
    static const char *const known[] = {"show cli level", "show servers state " BACKEND, "show stat " BACKEND " 4 -1",
                                        "set server " BACKEND "/"};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (length >= strlen(known[i]) && memcmp(command, known[i], strlen(known[i])) == 0)
            return;
    abort();
}

static void check_request(const char *line)
{
    assert(strchr(line, '\n') == line + strlen(line) - 1);
    while (*line != '\n') {
        size_t length = strcspn(line, ";\n");
        check_command(line, length);
        line += length;
        line += *line == ';' ? 1 + (line[1] == ' ') : 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct traffic_order orders[] = {{.command = ORDER_DRAIN, .weight = WEIGHT_KEEP, .server = "web1"},
                                     {.command = ORDER_READY, .weight = 250, .server = "web2"},
                                     {.command = ORDER_LOOK, .weight = WEIGHT_KEEP, .server = "web3"}};
    struct strbuf line;
    struct err err = {0};
    const char *text = (const char *)data;
    strbuf_init(&line, HAPROXY_ANSWER_MAX);
    int rc = haproxy_request(&line, BACKEND, orders, 3, text, size, &err);
    assert(rc == 0 || err.message[0]);
    if (rc == 0)
        check_request(line.text);
    for (size_t count = 1; count <= 3; count++) {
        rc = haproxy_answer(orders, count, BACKEND, text, size, &err);
        assert(rc == 0 || (rc < 0 && err.message[0]));
        for (size_t i = 0; rc == 0 && i < count; i++)
            assert(orders[i].view.sessions <= (uint64_t)2 * UINT32_MAX);
    }
    strbuf_release(&line);
    return 0;
}
