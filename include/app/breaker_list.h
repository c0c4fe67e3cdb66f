/*
 * The breakers of a run, as its records and its nodes tell of them: of nodes and of what else it leans on, each as it was last. One that has
 * never opened is not told of, and not in it. For whoever shows them: `status`, the summary, the reports; and for the run itself, which tells
 * its nodes, so that another machine can ask them.
 */
#ifndef APP_BREAKER_LIST_H
#define APP_BREAKER_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "app/record.h"
#include "base/arena.h"
#include "base/strbuf.h"

#define BREAKER_NAME_MAX 200 /* bytes; a longer name is cut */

struct breaker_seen {
    const char *node, *dependency; /* one of them; the other is NULL */
    const char *state;             /* breaker_state_name */
    const char *error;             /* the last one; NULL: unknown */
    int64_t since_ms;              /* since 1970, UTC */
    size_t change;                 /* of the list's changes this is the last one of it */
};
struct breaker_list {
    struct arena arena;
    struct breaker_seen *items; /* in the order in which each opened first */
    size_t count, changes;
};

void breaker_list_init(struct breaker_list *list);
void breaker_list_release(struct breaker_list *list);
/* Takes note of a record of any kind, which is copied: what is noted later is newer, whatever its time. What does not fit into memory is left
 * out. */
void breaker_list_note(struct breaker_list *list, const struct record *record);
/* What somebody else has seen, copied: counts unless the list has it newer, or of the same time. */
void breaker_list_add(struct breaker_list *list, const struct breaker_seen *seen);
/* The one whose last change is the first after change `after`; NULL: there is none. */
const struct breaker_seen *breaker_list_after(const struct breaker_list *list, size_t after);

const char *breaker_seen_name(const struct breaker_seen *seen);
/* `2026-01-02T03:04:05Z`; nothing when the time is none. */
void breaker_seen_since(struct strbuf *out, const struct breaker_seen *seen);
/* `open since 2026-01-02T03:04:05Z, last error: connection refused`. */
void breaker_seen_text(struct strbuf *out, const struct breaker_seen *seen);

/* As a node is told and tells it (node/frames.h, `breaker`): `open 1764349283123 dependency balancer%20lb%20on%20lb1 CAUSE`. One line of
 * bounded length, safe to show. */
void breaker_note_write(struct strbuf *out, const struct breaker_seen *seen);
/* False when it is none. Texts are made safe to show, and live in the arena. */
bool breaker_note_read(struct breaker_seen *out, struct arena *arena, const char *text);

#endif
