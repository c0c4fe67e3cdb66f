/*
 * What a run leans on beside its nodes: a balancer on one of its nodes, a registry, Prometheus. Each
 * has a breaker (core/breaker.h, [breaker] of the playbook), so that a dead one costs one time-out
 * and not one a node: whoever calls it asks here first, and tells here how it went. Never calls
 * anything, never decides what a failure means.
 *
 * An operation with tries of its own is one call: what it tells is its end, so that the moment in
 * which a balancer reloads is no error. Calls under way when it opens end as they would.
 */
#ifndef APP_DEPENDENCY_H
#define APP_DEPENDENCY_H

#include <stdint.h>

#include "base/err.h"
#include "core/breaker.h"
#include "io/loop.h"

struct dependencies;
struct dependency;

/* A breaker's state has changed; `cause`: the last error. Borrowed for the call. */
typedef void dependency_changed_fn(void *context, const struct dependency *dependency,
                                   enum breaker_state state, const char *cause);

/* NULL when out of memory. `loop` is borrowed: its clock is read. */
struct dependencies *dependencies_create(struct loop *loop, const struct breaker_rules *rules);
void dependencies_free(struct dependencies *dependencies);
/* One listener; NULL: none. */
void dependencies_on_change(struct dependencies *dependencies, dependency_changed_fn *fn,
                            void *context);

/* The one of this name (`balancer lb on lb1`, `registry etcd`, `prometheus http://...`), made when it
 * is new; lives as long as all. NULL when out of memory. */
struct dependency *dependency_named(struct dependencies *dependencies, const char *name);
const char *dependency_name(const struct dependency *dependency);

enum breaker_state dependency_state(const struct dependency *dependency);
/* When a call may be made, by the loop's clock: now when it is closed. */
int64_t dependency_allows_at(const struct dependency *dependency);

/* Before a call: 0, or ERR_UNREACHABLE, which says why it is not made and when the next one may be.
 * A 0 must be followed by one of the three below. */
int dependency_ask(struct dependency *dependency, struct err *err);
/* Before a call that is owed and has waited long enough (a node is to come back into the traffic): it
 * is made, as the trial when the breaker is open. To be followed by one of the three below. */
void dependency_ask_owed(struct dependency *dependency);
/* It answered as it should, be it with a no (ERR_REFUSED, ERR_INPUT): it lives. */
void dependency_answered(struct dependency *dependency);
/* It did not. ERR_TIMEOUT opens the breaker at once, any other error counts. */
void dependency_failed(struct dependency *dependency, const struct err *error);
/* Nothing is known of it: it was given up, or goes on with another try. */
void dependency_left(struct dependency *dependency);

#endif
