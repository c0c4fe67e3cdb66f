#include "model/names.h"

#include <stdint.h>
#include <string.h>

void names_init(struct names *names, struct arena *arena)
{
    *names = (struct names){.arena = arena};
}

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash ^ (hash >> 32);
}

static struct names_slot *slot_for(struct names_slot *slots, size_t capacity, const char *name)
{
    size_t at = (size_t)hash_of(name) & (capacity - 1);
    while (slots[at].name && strcmp(slots[at].name, name) != 0)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static bool grow(struct names *names)
{
    size_t capacity = names->capacity ? names->capacity * 2 : 32;
    struct names_slot *slots = arena_alloc(names->arena, capacity * sizeof(*slots));
    if (!slots)
        return false;
    for (size_t i = 0; i < names->capacity; i++)
        if (names->slots[i].name)
            *slot_for(slots, capacity, names->slots[i].name) = names->slots[i];
    names->slots = slots;
    names->capacity = capacity;
    return true;
}

bool names_add(struct names *names, const char *name, size_t index)
{
    if (names->count * 2 >= names->capacity && !grow(names))
        return false;
    *slot_for(names->slots, names->capacity, name) =
        (struct names_slot){.name = name, .index = index};
    names->count++;
    return true;
}

size_t names_find(const struct names *names, const char *name)
{
    if (!names->capacity)
        return NAMES_NONE;
    const struct names_slot *slot = slot_for(names->slots, names->capacity, name);
    return slot->name ? slot->index : NAMES_NONE;
}
