/* Any bytes as an answer of etcd's gateway: what it is, the keys of a service in it, and its lock. The first byte is the HTTP status. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/app/discovery_internal.h"
#include "../../src/app/etcd_answer.h"
#include "../../src/app/service_lock_value.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_keys(const json_t *result)
{
    struct announced announced = {.count = 0};
    struct err err = {0};
    int rc = etcd_keys_parse(&announced, result, "/deployctl/shop/", &err);
    assert(rc == 0 || err.message[0]);
    assert(announced.count <= json_array_size(json_object_get(result, "kvs")));
    for (size_t i = 0; i < announced.count; i++) {
        const struct said *item = &announced.items[i];
        assert(item->node && item->text && announced_find(&announced, item->node));
        etcd_value_is_of(item->text, "shop", item->node);
    }
    announced_release(&announced);
}

static void check_lock(const json_t *result)
{
    const json_t *kv = json_array_get(json_object_get(result, "kvs"), 0);
    struct service_lock_view view = {.held = false};
    char token[SERVICE_LOCK_TOKEN];
    service_lock_value_read(&view, token, kv);
    fuzz_check_safe(view.holder);
    fuzz_check_safe(view.rollout);
    fuzz_check_safe(token);
    assert(view.held && service_lock_counter_read(kv) < INT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 401, 503, 400};
    struct etcd_answer answer;
    if (size == 0)
        return 0;
    etcd_answer_read(&answer, statuses[data[0] % 4], (const char *)data + 1, size - 1);
    assert((answer.outcome == ETCD_ANSWERED) == json_is_object(answer.result));
    fuzz_check_safe(answer.reason);
    if (answer.outcome == ETCD_ANSWERED) {
        etcd_number(answer.result, "TTL");
        check_keys(answer.result);
        check_lock(answer.result);
    }
    etcd_answer_release(&answer);
    return 0;
}
