/* Any text as a template; the names that template_names finds are those that template_expand asks
 * for. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int refuse_unknown(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "node") == 0 || strcmp(name, "port") == 0 ? 0 : ERR_NOT_FOUND;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct variable extra[] = {{.name = "node", .value = "web1"}, {.name = "port", .value = ""}};
    struct template_scope scope = {.extra = extra, .extra_count = 2};
    struct strbuf out;
    struct err err = {0};
    char *text = malloc(size + 1);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    strbuf_init(&out, 1u << 20);
    int expanded = template_expand(&out, text, &scope, &err);
    int names = template_names(text, refuse_unknown, NULL, &err);
    assert((expanded == 0) == (names == 0));
    strbuf_release(&out);
    free(text);
    return 0;
}
