#include "app/lease.h"

void lease_sent(struct lease *lease, int64_t now_ms)
{
    lease->sent_ms = now_ms;
}

void lease_acknowledged(struct lease *lease, int64_t ttl_ms)
{
    lease->ttl_ms = ttl_ms;
    lease->since_ms = lease->sent_ms;
}

void lease_end(struct lease *lease)
{
    lease->ttl_ms = 0;
}

int64_t lease_margin_ms(int64_t ttl_ms)
{
    return ttl_ms / 10;
}

int64_t lease_ends_ms(const struct lease *lease)
{
    return lease->since_ms + lease->ttl_ms - lease_margin_ms(lease->ttl_ms);
}

bool lease_holds(const struct lease *lease, int64_t now_ms)
{
    return lease->ttl_ms > 0 && now_ms >= lease->since_ms && now_ms < lease_ends_ms(lease);
}

enum lease_answer lease_ask(const struct lease_guard *guard, size_t member, struct err *why)
{
    return guard ? guard->ask(guard->context, member, why) : LEASE_HOLDS;
}
