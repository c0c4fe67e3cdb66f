#include "model/strategy.h"

#include <string.h>

static bool one_at_a_time(const struct playbook *playbook, const char *key)
{
    return playbook->strategy.order == ORDER_REPLICAS_FIRST &&
           !playbook_has(playbook, "strategy", key);
}

static const struct amount one_node = {.value = 1};

struct amount strategy_max_unavailable(const struct playbook *playbook)
{
    return one_at_a_time(playbook, "max_unavailable") ? one_node
                                                      : playbook->strategy.max_unavailable;
}

struct amount strategy_batch(const struct playbook *playbook, size_t index)
{
    return one_at_a_time(playbook, "batch") ? one_node : playbook->strategy.batch[index];
}

size_t strategy_batch_count(const struct playbook *playbook)
{
    return one_at_a_time(playbook, "batch") ? 1 : playbook->strategy.batch_count;
}

static bool differ(const uint32_t *weights, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (weights[i] != weights[0])
            return true;
    return false;
}

void strategy_capacity(struct capacity *out, const struct playbook *playbook, uint32_t *weights, size_t count)
{
    struct amount most = strategy_max_unavailable(playbook);

    *out = (struct capacity){.weighed = most.percent && differ(weights, count)};
    for (size_t i = 0; i < count; i++) {
        weights[i] = out->weighed ? weights[i] : 1;
        out->of += weights[i];
    }
    out->out = amount_of(most, out->of);
    if (out->out == 0)
        out->out = 1;
}

int quorum_parse(uint32_t *out, const char *text, uint32_t count, struct err *err)
{
    struct amount amount;
    int rc = 0;

    if (strcmp(text, "majority") == 0) {
        *out = count / 2 + 1;
        return 0;
    }
    rc = amount_parse(&amount, text, err);
    if (rc < 0 || amount.value == 0)
        return err_set(err, ERR_INPUT, "'%s' is neither majority nor a count or percent above 0",
                       text);
    *out = amount.percent ? (uint32_t)(((uint64_t)count * amount.value + 99) / 100) : amount.value;
    return 0;
}

uint32_t strategy_quorum(const struct playbook *playbook, uint32_t count)
{
    uint32_t quorum = 0;

    if (playbook->strategy.quorum)
        quorum_parse(&quorum, playbook->strategy.quorum, count, NULL);
    return quorum;
}
