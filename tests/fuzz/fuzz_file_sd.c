/* Any bytes as a Prometheus file_sd file: what others have in it stays when it is written again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/app/discovery_internal.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX ((size_t)1 << 20)

static void check_same(const struct announced *one, const struct announced *other)
{
    assert(one->count == other->count && !one->head == !other->head);
    assert(!one->head || strcmp(one->head, other->head) == 0);
    for (size_t i = 0; i < one->count; i++)
        assert(strcmp(one->items[i].node, other->items[i].node) == 0 && strcmp(one->items[i].text, other->items[i].text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct announced announced = {.count = 0}, again = {.count = 0};
    struct strbuf text;
    struct err err = {0};
    strbuf_init(&text, TEXT_MAX);
    int rc = file_sd_parse(&announced, (const char *)data, size, "shop", &err);
    assert(rc == 0 || (rc == ERR_PROTOCOL && err.message[0]));
    if (rc == 0) {
        file_sd_write(&text, &announced, "shop");
        assert(!text.overflowed);
        assert(file_sd_parse(&again, text.text, text.length, "shop", &err) == 0);
        check_same(&announced, &again);
    }
    announced_release(&announced);
    announced_release(&again);
    strbuf_release(&text);
    return 0;
}
