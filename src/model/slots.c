#include "model/slots.h"

#include "model/pattern.h"

/* Puts the nodes of one group into `slots`, of which SLOTS is none yet. */
static int take_group(size_t *slots, size_t slot, const struct playbook *playbook, const struct inventory *inventory,
                      const size_t *nodes, size_t count, struct arena *arena, struct err *err)
{
    const char *hosts = playbook->slots[slot].hosts;
    size_t *group, group_count = 0, taken = 0;
    int rc = pattern_resolve(&group, &group_count, inventory, hosts, arena, err);
    if (rc < 0)
        return err_prefix(err, "hosts = %s", hosts);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < group_count; k++) {
            if (nodes[i] != group[k])
                continue;
            if (slots[i] != SLOTS && slots[i] != slot)
                return err_set(err, ERR_INPUT, "node %s is in [slot blue] and in [slot green]",
                               inventory->nodes[nodes[i]].name);
            slots[i] = slot;
            taken++;
        }
    return taken ? 0 : err_set(err, ERR_INPUT, "hosts = %s: no node of the service", hosts);
}

int slots_of_nodes(size_t **out, size_t *wrong, const struct playbook *playbook, const struct inventory *inventory,
                   const size_t *nodes, size_t count, struct arena *arena, struct err *err)
{
    size_t *slots = arena_alloc(arena, (count + 1) * sizeof(*slots));
    int rc = 0;
    *wrong = SLOT_BLUE;
    if (!slots)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        slots[i] = SLOTS;
    for (size_t slot = 0; slot < SLOTS && rc == 0; slot++) {
        *wrong = slot;
        rc = take_group(slots, slot, playbook, inventory, nodes, count, arena, err);
    }
    for (size_t i = 0; i < count && rc == 0; i++)
        if (slots[i] == SLOTS)
            rc = err_set(err, ERR_INPUT, "node %s of the service is in neither [slot blue] nor [slot green]",
                         inventory->nodes[nodes[i]].name);
    *out = slots;
    return rc;
}
