#include "app/environment.h"

#include <string.h>

extern char **environ;

static void add_item(struct environment *environment, const char *item)
{
    const char **grown = arena_grow(environment->arena, environment->items, environment->count,
                                    sizeof(*environment->items));
    if (!grown)
        return;
    environment->items = grown;
    grown[environment->count++] = item;
}

void environment_init(struct environment *environment, struct arena *arena)
{
    *environment = (struct environment){.arena = arena};
    for (char **item = environ; *item; item++)
        if (strncmp(*item, "DEPLOYCTL_", 10) != 0)
            add_item(environment, *item);
}

void environment_add(void *context, const char *name, const char *value)
{
    struct environment *environment = context;
    char *item = arena_printf(environment->arena, "%s=%s", name, value);
    if (item)
        add_item(environment, item);
}

const char *const *environment_items(struct environment *environment)
{
    const char **all = arena_grow(environment->arena, environment->items, environment->count,
                                  sizeof(*environment->items));
    if (!all)
        return NULL;
    environment->items = all;
    all[environment->count] = NULL;
    return all;
}
