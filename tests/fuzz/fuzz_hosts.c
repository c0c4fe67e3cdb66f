/* Any text as a hosts file: what is outside of the service's block stays when it is written again, and what is in it is read as it was written. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/app/discovery_internal.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX ((size_t)1 << 20)

static void check_same(const struct announced *one, const struct announced *other)
{
    assert(one->count == other->count);
    for (size_t i = 0; i < one->count; i++)
        assert(strcmp(one->items[i].node, other->items[i].node) == 0 && strcmp(one->items[i].text, other->items[i].text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct announced announced = {.count = 0}, again = {.count = 0};
    struct strbuf once, twice;
    struct err err = {0};
    char *text = fuzz_text(data, size);
    strbuf_init(&once, TEXT_MAX);
    strbuf_init(&twice, TEXT_MAX);
    int rc = hosts_parse(&announced, text, strlen(text), "shop", &err);
    assert(rc == 0 || (rc == ERR_PROTOCOL && err.message[0]));
    if (rc == 0) {
        hosts_write(&once, &announced, "shop");
        assert(!once.overflowed && hosts_parse(&again, once.text, once.length, "shop", &err) == 0);
        check_same(&announced, &again);
        hosts_write(&twice, &again, "shop");
        assert(strcmp(once.text, twice.text) == 0);
    }
    announced_release(&announced);
    announced_release(&again);
    strbuf_release(&once);
    strbuf_release(&twice);
    free(text);
    return 0;
}
