/* Any bytes as a runner's journal: read, and shown in each form. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/past.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const struct past *past, void (*print)(const struct past *past, FILE *stream))
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    assert(stream);
    print(past, stream);
    fclose(stream);
    free(text);
}

static void check(const struct past *past)
{
    const struct roster *roster = &past->roster;
    struct breaker_list breakers;
    assert(past->records[0].record.kind == RECORD_STARTED && roster->node_count > 0);
    for (size_t i = 0; i < past->count; i++) {
        const struct record *record = &past->records[i].record;
        assert(record->node == SIZE_MAX || record->node < roster->node_count);
        fuzz_check_safe(record->text ? record->text : "");
    }
    for (size_t i = 0; i < roster->node_count; i++)
        past_outcome(past, i);
    past_result(past);
    past_breakers(past, &breakers);
    breaker_list_release(&breakers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct past past;
    struct err err = {0};
    int rc = past_parse(&past, "journal", (const char *)data, size, &err);
    assert(rc == 0 || (rc == ERR_INPUT && err.message[0]));
    if (rc == 0) {
        check(&past);
        show(&past, past_print_json);
        show(&past, past_print_junit);
        show(&past, past_print_html);
    }
    past_release(&past);
    return 0;
}
