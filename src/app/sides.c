#include "app/sides.h"

#include <string.h>

#include "base/strbuf.h"

/* What the balancers think of one side. */
struct standing {
    size_t ready, serving;
};

size_t sides_slot(const struct member *member, size_t side)
{
    return side < SLOTS && member->slots[side] ? side : SLOTS;
}

bool sides_changes(const struct sides *sides, const struct member *member)
{
    return sides_slot(member, sides->target) != SLOTS;
}

/* How one instance stands at all balancers. */
struct sum {
    size_t ready, serving, fronts;
};

static struct sum sum_of(const struct fleet *fleet, size_t member, size_t side)
{
    struct sum sum = {0};
    size_t slot = playbook_has_slots(fleet->playbook) ? side : 0;
    for (size_t front = 0; front < fleet->front_count; front++) {
        if (!front_serves(fleet, front, member))
            continue;
        sum.fronts++;
        const struct traffic_view *view = balancers_view(fleet->balancers, front, member, slot);
        bool ready = view && view->state == TRAFFIC_READY && view->weight > 0;
        sum.ready += ready;
        sum.serving += ready && view->up;
    }
    return sum;
}

static struct standing standing_of(const struct fleet *fleet, size_t side)
{
    struct standing standing = {0};
    for (size_t i = 0; i < fleet->count; i++) {
        if (sides_slot(&fleet->members[i], side) == SLOTS)
            continue;
        struct sum sum = sum_of(fleet, i, side);
        standing.ready += sum.ready > 0;
        standing.serving += sum.serving > 0;
    }
    return standing;
}

/* One balancer sends traffic to an instance and another does not. */
static bool disagree(const struct fleet *fleet, size_t side)
{
    for (size_t i = 0; i < fleet->count; i++) {
        if (sides_slot(&fleet->members[i], side) == SLOTS)
            continue;
        struct sum sum = sum_of(fleet, i, side);
        if (sum.serving && sum.ready < sum.fronts)
            return true;
    }
    return false;
}

static void begun_in(struct sides *sides, size_t slot)
{
    sides->begun = true;
    sides->target = slot;
}

/* The slot that the last commit here made live, when it goes back; else SLOTS. */
static size_t slot_to_take_back(const struct facts *facts, const char *chain)
{
    const char *before, *live = facts_take_back(facts, chain, &before) ? facts_live_slot(facts) : NULL;
    size_t slot = 0;
    while (slot < SLOTS && (!live || strcmp(live, slot_name(slot)) != 0))
        slot++;
    return slot;
}

/* What an earlier run has left: the slot in which something is not committed, or is and goes back. */
static void read_begun(struct sides *sides, const struct fleet *fleet, const char *chain)
{
    for (size_t i = 0; i < fleet->count; i++) {
        const struct facts *facts = &sides->survey->nodes[i].facts;
        if (!sides->survey->nodes[i].answered)
            continue;
        size_t slot = slot_to_take_back(facts, chain);
        sides->committed |= slot != SLOTS;
        if (slot != SLOTS && !sides->begun)
            begun_in(sides, slot);
        for (slot = 0; slot < SLOTS; slot++)
            if (facts->slots[slot].uncommitted)
                begun_in(sides, slot);
    }
}

/* Whether anything served before what has begun. */
static bool has_before(const struct sides *sides, const struct facts *facts, const char *chain)
{
    const struct slot_fact *other = &facts->slots[1 - sides->target];
    const char *before;
    if (!other->known || other->release)
        return other->release != NULL;
    return facts_take_back(facts, chain, &before) ? before != NULL : facts->current != NULL;
}

static bool anything_before(const struct sides *sides, const char *chain)
{
    for (size_t i = 0; i < sides->survey->count; i++)
        if (sides->survey->nodes[i].answered && has_before(sides, &sides->survey->nodes[i].facts, chain))
            return true;
    return false;
}

static bool anything_current(const struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++)
        if (survey->nodes[i].answered && survey->nodes[i].facts.current)
            return true;
    return false;
}

static int refuse(struct err *err, const char *what)
{
    return err_set(err, ERR_REFUSED,
                   "%s; `deployctl status -v` shows what each balancer thinks: take one side out there (drain or "
                   "maintenance), then begin again",
                   what);
}

int sides_read(struct sides *out, const struct fleet *fleet, const struct survey *survey, const char *chain, struct err *err)
{
    *out = (struct sides){.live = SLOTS, .target = SLOT_BLUE, .survey = survey};
    struct standing standings[SLOTS] = {standing_of(fleet, SLOT_BLUE), standing_of(fleet, SLOT_GREEN)};
    for (size_t i = 0; i < survey->count; i++)
        if (survey->nodes[i].traffic_error.code)
            return err_set(err, ERR_REFUSED, "%s", survey->nodes[i].traffic_error.message);
    read_begun(out, fleet, chain);
    if (out->begun) {
        out->live = anything_before(out, chain) ? 1 - out->target : SLOTS;
        out->switching = standings[out->target].ready > 0;
        return 0;
    }
    bool blue = standings[SLOT_BLUE].serving > 0, green = standings[SLOT_GREEN].serving > 0;
    if (!anything_current(survey))
        return 0;
    if (blue && green)
        return refuse(err, "blue and green both serve");
    if (!blue && !green) {
        blue = standings[SLOT_BLUE].ready > 0;
        green = standings[SLOT_GREEN].ready > 0;
    }
    if (blue == green)
        return refuse(err, blue ? "neither side is up, and both may have traffic" : "neither side has traffic");
    out->live = blue ? SLOT_BLUE : SLOT_GREEN;
    out->target = 1 - out->live;
    if (disagree(fleet, out->live))
        return refuse(err, "the balancers disagree on what has traffic");
    return 0;
}

size_t sides_partner(const struct sides *sides, const struct fleet *fleet, size_t member)
{
    size_t before = 0, live = 0;
    if (sides->live == SLOTS)
        return SIZE_MAX;
    if (sides_slot(&fleet->members[member], sides->live) != SLOTS)
        return member;
    for (size_t i = 0; i < fleet->count; i++) {
        live += sides_slot(&fleet->members[i], sides->live) != SLOTS;
        before += i < member && sides_slot(&fleet->members[i], sides->target) != SLOTS;
    }
    size_t wanted = live ? before % live : 0;
    for (size_t i = 0; i < fleet->count; i++)
        if (sides_slot(&fleet->members[i], sides->live) != SLOTS && wanted-- == 0)
            return i;
    return SIZE_MAX;
}

void sides_rollback_targets(const struct sides *sides, const struct fleet *fleet, const char **out)
{
    for (size_t i = 0; i < fleet->count; i++) {
        const struct surveyed *node = &sides->survey->nodes[i];
        enum release_state state;
        out[i] = NULL;
        if (!node->answered)
            continue;
        if (!sides_changes(sides, &fleet->members[i])) {
            out[i] = node->facts.current;
            continue;
        }
        const char *kept = node->facts.slots[sides->target].release;
        out[i] = kept && facts_has(&node->facts, kept, &state) && state == RELEASE_GOOD ? kept : node->facts.previous;
    }
}

bool sides_live_at(const struct sides *sides, const struct fleet *fleet, const char *release)
{
    bool any = false;
    for (size_t i = 0; i < fleet->count; i++) {
        const struct facts *facts = &sides->survey->nodes[i].facts;
        if (sides_slot(&fleet->members[i], sides->live) == SLOTS)
            continue;
        any = true;
        if (!sides->survey->nodes[i].answered || !facts->current || !facts->current_good || !release ||
            strcmp(facts->current, release) != 0)
            return false;
    }
    return any;
}

size_t sides_goals(const struct sides *sides, const struct fleet *fleet, bool forward, struct traffic_goal *out)
{
    size_t count = 0;
    bool slots = playbook_has_slots(fleet->playbook);
    for (size_t i = 0; i < fleet->count; i++)
        for (size_t slot = 0; slot < SLOTS; slot++) {
            bool in = (slot == sides->target) == forward;
            if (!fleet->members[i].slots[slot] || (!forward && in && sides->live == SLOTS))
                continue;
            out[count++] = (struct traffic_goal){
                .member = i, .slot = slots ? slot : 0, .weight = WEIGHT_FULL, .in = in};
        }
    return count;
}

size_t sides_idle_goals(const struct sides *sides, const struct fleet *fleet, struct traffic_goal *out)
{
    size_t count = 0;
    bool slots = playbook_has_slots(fleet->playbook);
    for (size_t i = 0; i < fleet->count; i++)
        if (sides_changes(sides, &fleet->members[i]))
            out[count++] = (struct traffic_goal){.member = i, .slot = slots ? sides->target : 0};
    return count;
}
