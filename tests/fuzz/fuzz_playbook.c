/* Any bytes as a playbook: what is read without a fault keeps every rule that others build on. */
#include <assert.h>
#include <stdint.h>

#include "model/playbook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct playbook *playbook)
{
    const struct health *health = &playbook->health;
    assert(playbook->service.name && playbook->service.root[0] == '/');
    assert(playbook->service.unit || playbook->service.start);
    assert(playbook->strategy.batch_count > 0 && playbook->strategy.kind == STRATEGY_ROLLING);
    assert(health->http || health->tcp || health->command || health->unit);
    assert(health->min_healthy_time_ms < health->healthy_deadline_ms);
    for (size_t i = 0; i < playbook->hook_count; i++)
        assert(playbook->hooks[i].run && hook_when_name(playbook->hooks[i].when));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct faults faults;
    struct playbook playbook;
    struct err err = {0};
    arena_init(&arena);
    faults_init(&faults, &arena);
    int code = playbook_parse(&playbook, "shop.ini", (const char *)data, size, NULL, 0, NULL,
                              &faults, &err);
    assert((code == 0) == (faults.total == 0));
    if (code == 0)
        check(&playbook);
    playbook_release(&playbook);
    arena_release(&arena);
    return 0;
}
