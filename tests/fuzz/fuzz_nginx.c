/* Any text as the file of an nginx upstream: no line is lost, no other server is changed, and what was written is found done. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "app/balancer_nginx.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t lines_of(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static void check(const char *text, struct traffic_order *orders, size_t count)
{
    struct strbuf once, again;
    struct err err = {0};
    bool changed, changed_again;
    strbuf_init(&once, 4 * NGINX_FILE_MAX);
    strbuf_init(&again, 4 * NGINX_FILE_MAX);
    int rc = nginx_edit(&once, &changed, orders, count, "shop", text, &err);
    assert(rc == 0 || (rc == ERR_REFUSED && err.message[0]));
    size_t length = strlen(text);
    assert(lines_of(once.text) == lines_of(text) + (length && text[length - 1] != '\n'));
    assert(nginx_edit(&again, &changed_again, orders, count, "shop", once.text, &err) == rc);
    assert(!changed_again && strcmp(once.text, again.text) == 0);
    strbuf_release(&once);
    strbuf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct traffic_order drain[] = {{.command = ORDER_DRAIN, .weight = WEIGHT_KEEP, .server = "10.0.0.1:80"},
                                    {.command = ORDER_LOOK, .weight = WEIGHT_KEEP, .server = "10.0.0.2:80"}};
    struct traffic_order share[] = {{.command = ORDER_READY, .weight = 250, .server = "10.0.0.1:80"},
                                    {.command = ORDER_READY, .weight = WEIGHT_FULL, .server = "10.0.0.2:80"}};
    char *text = fuzz_text(data, size < NGINX_FILE_MAX ? size : NGINX_FILE_MAX);
    check(text, drain, 2);
    check(text, share, 2);
    check(text, drain, 0);
    free(text);
    return 0;
}
