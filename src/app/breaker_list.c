#include "app/breaker_list.h"

#include <string.h>
#include <time.h>

#include "base/text.h"
#include "sink_text.h"

void breaker_list_init(struct breaker_list *list)
{
    *list = (struct breaker_list){.count = 0};
    arena_init(&list->arena);
}

void breaker_list_release(struct breaker_list *list)
{
    arena_release(&list->arena);
}

const char *breaker_seen_name(const struct breaker_seen *seen)
{
    return seen->node ? seen->node : seen->dependency;
}

static bool is_of(const struct breaker_seen *seen, const char *node, const char *dependency)
{
    if (node)
        return seen->node && strcmp(seen->node, node) == 0;
    return seen->dependency && strcmp(seen->dependency, dependency) == 0;
}

/* NULL when out of memory. */
static struct breaker_seen *place_of(struct breaker_list *list, const char *node, const char *dependency)
{
    const char *full = node ? node : dependency;
    char *name = arena_strndup(&list->arena, full, text_cut(full, BREAKER_NAME_MAX));
    if (!name)
        return NULL;
    for (size_t i = 0; i < list->count; i++)
        if (is_of(&list->items[i], node ? name : NULL, name))
            return &list->items[i];
    struct breaker_seen *items = arena_grow(&list->arena, list->items, list->count, sizeof(*items));
    if (!items)
        return NULL;
    list->items = items;
    items[list->count] = (struct breaker_seen){.node = node ? name : NULL, .dependency = node ? NULL : name};
    return &items[list->count++];
}

static void keep(struct breaker_list *list, struct breaker_seen *place, const struct breaker_seen *seen)
{
    char *state = arena_strdup(&list->arena, seen->state);
    char *error = seen->error ? arena_strdup(&list->arena, seen->error) : NULL;
    if (!state)
        return;
    place->state = state;
    place->error = error ? error : place->error;
    place->since_ms = seen->since_ms;
    place->change = ++list->changes;
}

void breaker_list_note(struct breaker_list *list, const struct record *record)
{
    const char *node = record_node(record);
    if (record->kind != RECORD_BREAKER || !record->state || (!node && !record->phase))
        return;
    struct breaker_seen seen = {.state = record->state, .error = record->cause, .since_ms = record->wall_ms};
    struct breaker_seen *place = place_of(list, node, record->phase);
    if (place)
        keep(list, place, &seen);
}

void breaker_list_add(struct breaker_list *list, const struct breaker_seen *seen)
{
    struct breaker_seen *place = place_of(list, seen->node, seen->dependency);
    if (place && (!place->state || seen->since_ms > place->since_ms))
        keep(list, place, seen);
}

const struct breaker_seen *breaker_list_after(const struct breaker_list *list, size_t after)
{
    const struct breaker_seen *first = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].change > after && (!first || list->items[i].change < first->change))
            first = &list->items[i];
    return first;
}

void breaker_seen_since(struct strbuf *out, const struct breaker_seen *seen)
{
    char text[40];
    struct tm utc;
    time_t seconds = (time_t)(seen->since_ms / 1000);
    if (seen->since_ms > 0 && gmtime_r(&seconds, &utc) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc))
        strbuf_adds(out, text);
}

void breaker_seen_text(struct strbuf *out, const struct breaker_seen *seen)
{
    strbuf_addf(out, "%s since ", seen->state);
    breaker_seen_since(out, seen);
    if (seen->error && *seen->error)
        strbuf_addf(out, ", last error: %s", seen->error);
}
