/* Any lines `KEY VALUE` as a node's reply to `facts`, whose values come from its journal, locks and releases; and any lines as its history. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "app/crossing.h"
#include "app/facts.h"
#include "app/run_end.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VALUES_MAX 256

/* Cuts the text into values. */
static size_t split(struct reply_value *values, char *text)
{
    size_t count = 0;
    for (char *line = strtok(text, "\n"); line && count < VALUES_MAX; line = strtok(NULL, "\n")) {
        char *blank = strchr(line, ' ');
        if (blank)
            *blank = '\0';
        values[count++] = (struct reply_value){line, blank ? blank + 1 : ""};
    }
    return count;
}

static void check_releases(const struct facts *facts)
{
    for (size_t i = 0; i < facts->release_count; i++) {
        const char *one = facts->releases[i].id, *other = facts->releases[0].id;
        assert(facts_has(facts, one, NULL) && facts_release_order(facts, one, one) == 0);
        int order = facts_release_order(facts, one, other), back = facts_release_order(facts, other, one);
        assert((order < 0) == (back > 0) && (order == 0) == (back == 0));
        facts_crossed(facts, one, NULL);
    }
}

/* All that is said of them. */
static void tell(const struct facts *facts)
{
    static const struct service service = {.name = "shop", .root = "/srv/shop", .unit = "shop.service"};
    struct strbuf out;
    struct err err;
    const char *before;
    strbuf_init(&out, 1 << 16);
    facts_tell_slots(facts, &out);
    facts_tell_timer(facts, &out);
    facts_tell_unsettled(facts, &out);
    facts_check(facts, &service, true, 4096, &err);
    facts_check_way_back(facts, "20260101000000-0123456789ab", &err);
    facts_take_back(facts, "r1 r2", &before);
    facts_live_slot(facts);
    facts_release_before(facts);
    facts_moved(facts, facts, &out);
    assert(facts_ms(facts->lock_age_s) >= 0 && facts_ms(facts->lock_ttl_s) >= 0);
    strbuf_release(&out);
}

static void note_history(const struct reply_value *values, size_t count)
{
    struct run_end end = {.known = false};
    bool passed = false;
    for (size_t i = 0; i < count; i++)
        run_end_note(&end, "r1", values[i].value, &passed);
    assert(strlen(end.result) < sizeof(end.result) && strlen(end.next) < sizeof(end.next));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reply_value values[VALUES_MAX];
    struct reply reply = {.status = REPLY_OK, .values = values};
    struct facts facts;
    struct err err = {0};
    char *text = fuzz_text(data, size);
    reply.value_count = split(values, text);
    int rc = facts_read(&facts, &reply, &err);
    assert(rc == 0 || (rc == ERR_PROTOCOL && err.message[0]));
    if (rc == 0) {
        check_releases(&facts);
        tell(&facts);
    }
    facts_release(&facts);
    note_history(values, reply.value_count);
    free(text);
    return 0;
}
