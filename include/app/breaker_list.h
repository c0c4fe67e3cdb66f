/*
 * The breakers of a run, as its records tell of them: of nodes and of what else it leans on, each as it was last. One that has never
 * opened is not told of, and not in it. For whoever shows them: `status`, the summary, the reports.
 */
#ifndef APP_BREAKER_LIST_H
#define APP_BREAKER_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "app/record.h"
#include "base/arena.h"
#include "base/strbuf.h"

struct breaker_seen {
    const char *node, *dependency; /* one of them; the other is NULL */
    const char *state;             /* breaker_state_name */
    const char *error;             /* the last one; NULL: unknown */
    int64_t since_ms;              /* since 1970, UTC */
};
struct breaker_list {
    struct arena arena;
    struct breaker_seen *items; /* in the order in which each opened first */
    size_t count;
};

void breaker_list_init(struct breaker_list *list);
void breaker_list_release(struct breaker_list *list);
/* Takes note of a record of any kind, which is copied. What does not fit into memory is left out. */
void breaker_list_note(struct breaker_list *list, const struct record *record);

const char *breaker_seen_name(const struct breaker_seen *seen);
/* `2026-01-02T03:04:05Z`; nothing when the time is none. */
void breaker_seen_since(struct strbuf *out, const struct breaker_seen *seen);
/* `open since 2026-01-02T03:04:05Z, last error: connection refused`. */
void breaker_seen_text(struct strbuf *out, const struct breaker_seen *seen);

#endif
