/*
 * One node's gate: counts probe results into a verdict. Pure: time is an argument.
 *
 * Health is one integer, as in HAProxy: 0..rise-1 is down, rise..rise+fall-1 is up; a good probe
 * moves it up (from down by one; when up, to the top), a bad one down (from up by one; when down,
 * to 0). The gate is passed once the node was up for min_healthy_time without a break, counted from
 * when it came up (Nomad's MinHealthyTime); it is closed at healthy_deadline, which does not count
 * against min_healthy_time: a node that came up in time may finish its min_healthy_time. One that
 * first comes up after the deadline is closed, and so is one that falls after it. The next probe is
 * due `interval_ms` after the last answer, so a slow service is never probed twice at once.
 */
#ifndef CORE_HEALTH_H
#define CORE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct health_rules {
    uint32_t rise, fall; /* at least 1 */
    int64_t interval_ms, timeout_ms;
    int64_t min_healthy_time_ms, healthy_deadline_ms;
};

enum gate_verdict { GATE_WAITING, GATE_PASSED, GATE_CLOSED };

struct gate {
    uint32_t level; /* 0 .. rise+fall-1 */
    bool up;
    int64_t up_since;  /* valid while up */
    int64_t opened_at; /* when watching began */
    int64_t next_probe_at;
    uint32_t probes, failures; /* seen */
    bool hopeless;             /* gate_give_up was called */
};

/* Begins watching at `now`; the first probe is due at once. */
void gate_open(struct gate *gate, const struct health_rules *rules, int64_t now);
/* The same for a node that is known to be up, as in a bake: it stays up until `fall` bad probes in
 * a row. */
void gate_open_healthy(struct gate *gate, const struct health_rules *rules, int64_t now);
/* One probe's result. */
void gate_probed(struct gate *gate, const struct health_rules *rules, bool healthy, int64_t now);
/* What was probed will not recover, whatever time it is given: closed from now on. */
void gate_give_up(struct gate *gate);
/* Where it stands at `now`. */
enum gate_verdict gate_verdict(const struct gate *gate, const struct health_rules *rules,
                               int64_t now);
/* When the verdict may change without another probe: the end of min_healthy_time or the deadline.
 */
int64_t gate_deadline(const struct gate *gate, const struct health_rules *rules);
/* Up, and the last probe was good: a bake does not end on a bad probe. */
bool gate_steady(const struct gate *gate, const struct health_rules *rules);

#endif
