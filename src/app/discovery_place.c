#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discovery_internal.h"

static int64_t now_ms(const struct place *place)
{
    return loop_now_ms(place->discoveries->fleet->loop);
}

static const char *node_name(const struct place *place, const struct change *change)
{
    return place->discoveries->fleet->members[change->member].node->name;
}

void place_name(const struct place *place, char out[200])
{
    if (place->node)
        snprintf(out, 200, "discovery %s on %s", place->discovery->name, place->node->name);
    else
        snprintf(out, 200, "discovery %s", place->discovery->name);
}

/* --- changes --- */

static void change_free(struct change *change)
{
    free(change->text);
    free(change->release);
    free(change->slot);
    free(change);
}

static void append(struct change **list, struct change *change)
{
    while (*list)
        list = &(*list)->next;
    change->next = NULL;
    *list = change;
}

static struct change *take_first(struct change **list)
{
    struct change *change = *list;
    if (change)
        *list = change->next;
    return change;
}

/* A later wish of the same batch is about the same node. */
static bool is_superseded(const struct change *change)
{
    for (const struct change *later = change->next; later; later = later->next)
        if (later->member == change->member && later->wish > WISH_RENEW)
            return true;
    return false;
}

bool change_is_done(const struct place *place, const struct change *change)
{
    const struct said *said = announced_item(&place->said, node_name(place, change));
    if (is_superseded(change))
        return true;
    if (change->wish == WISH_ADD) /* each is written with a lease of its own, also where it stands already */
        return said && strcmp(said->text, change->text) == 0 && said->lease == change->lease &&
               (change->lease || !place->discovery->lease_ms);
    if (change->wish == WISH_RENEW)
        return change->renewed || !said || !said->lease;
    return change->wish == WISH_LOOK || !said;
}

static bool all_done(const struct place *place)
{
    for (const struct change *change = place->batch; change; change = change->next)
        if (!change_is_done(place, change))
            return false;
    return true;
}

static bool has_wishes(const struct place *place)
{
    for (const struct change *change = place->batch; change; change = change->next)
        if (change->wish != WISH_LOOK)
            return true;
    return false;
}

bool place_has_host(const struct place *place, const char *node)
{
    const struct discoveries *discoveries = place->discoveries;
    for (size_t i = 0; i < discoveries->host_count; i++)
        if (strcmp(discoveries->hosts[i], node) == 0)
            return true;
    return false;
}

int place_apply(struct place *place)
{
    for (size_t i = place->said.count; i-- > 0;)
        if (!place_has_host(place, place->said.items[i].node))
            announced_remove(&place->said, place->said.items[i].node);
    for (struct change *change = place->batch; change; change = change->next) {
        const char *node = node_name(place, change);
        if (change->wish == WISH_ADD && announced_add(&place->said, node, change->text) < 0)
            return -1;
        if (change->wish == WISH_REMOVE)
            announced_remove(&place->said, node);
    }
    return 0;
}

/* What a withdrawal takes away, so that it can be put back. */
static void remember_before(struct place *place)
{
    for (struct change *change = place->batch; change; change = change->next) {
        const char *text = announced_find(&place->said, node_name(place, change));
        struct part *part = change->part;
        if (change->wish != WISH_REMOVE || !part || part->withdrew)
            continue;
        free(part->before);
        part->before = text ? strdup(text) : NULL;
        part->withdrew = text != NULL || place->said.unknown;
    }
}

/* --- one round: read, write, read --- */

static void run_next(struct place *place);
static void again(void *context);

/* A later wish for the same node takes the place of an owed one. */
static void owe(struct place *place, struct change *change)
{
    for (struct change **at = &place->owed; *at;) {
        struct change *old = *at;
        if (old->member != change->member) {
            at = &old->next;
            continue;
        }
        *at = old->next;
        change_free(old);
    }
    change->part = NULL;
    append(&place->owed, change);
}

static void finish(struct place *place, const struct err *error)
{
    bool owes = error && place->discovery->on_error == DISCOVERY_WARN;
    struct change *change;
    place->stage = PLACE_IDLE;
    if (error)
        place->error = *error;
    else
        err_clear(&place->error);
    if (!error)
        place->told = false;
    struct change *done = place->batch;
    place->batch = NULL;
    while ((change = take_first(&done))) {
        struct part *part = change->part;
        if (owes && change->wish > WISH_RENEW)
            owe(place, change);
        else
            change_free(change);
        if (part)
            part_done(part, place, error);
    }
    run_next(place);
}

static void again(void *context)
{
    struct place *place = context;
    place->soon = NULL;
    place->stage = PLACE_READ;
    place->type->read(place);
}

static void failed(struct place *place, const struct err *error)
{
    struct fleet *fleet = place->discoveries->fleet;
    bool passing = error->code == ERR_UNREACHABLE || error->code == ERR_TIMEOUT || error->code == ERR_CANCELLED;
    int64_t left_ms = place->ends_ms - now_ms(place), delay_ms;
    struct err kept = *error;
    char name[200];
    place->type->stop(place);
    if (passing && dependency_state(place->guard) == BREAKER_CLOSED &&
        retries_take(&fleet->retries, ++place->tries, left_ms, &delay_ms)) {
        place->soon = timer_start(fleet->loop, delay_ms, again, place);
        if (place->soon)
            return;
    }
    place_name(place, name);
    if (passing) {
        kept.code = left_ms > 0 ? ERR_UNREACHABLE : ERR_TIMEOUT; /* its tries have taken that long */
        dependency_failed(place->guard, &kept);
    } else {
        dependency_answered(place->guard);
    }
    err_prefix(&kept, "%s", name);
    finish(place, &kept);
}

/* --- leases --- */

static enum lease_answer ask_for(const struct place *place, const struct change *change, struct err *why)
{
    bool writes = change->wish != WISH_LOOK && !is_superseded(change);
    return writes ? lease_ask(place->discoveries->fleet->guard, change->member, why) : LEASE_HOLDS;
}

/* The operation that waits gets the error; without one it is a notice. */
static void deny(struct place *place, struct change *change, struct err *why)
{
    char name[200];
    place_name(place, name);
    err_prefix(why, "%s: not %s", name, change->wish == WISH_REMOVE ? "withdrawn" : change->wish == WISH_ADD ? "announced" : "renewed");
    if (change->part)
        part_done(change->part, place, why);
    else if (change->wish != WISH_RENEW)
        discoveries_tell(place->discoveries, "%s: %s", node_name(place, change), why->message);
    change_free(change);
}

/* Takes those without a lease out of the batch. UNSURE: some of the others wait for a renewal. */
static enum lease_answer ask_leases(struct place *place)
{
    enum lease_answer worst = LEASE_HOLDS;
    struct err why;
    for (struct change **at = &place->batch; *at;) {
        struct change *change = *at;
        enum lease_answer answer = ask_for(place, change, &why);
        if (answer == LEASE_NONE) {
            *at = change->next;
            deny(place, change, &why);
            continue;
        }
        worst = answer > worst ? answer : worst;
        at = &change->next;
    }
    return worst;
}

static void look_again(struct place *place, int64_t delay_ms)
{
    place->soon = timer_start(place->discoveries->fleet->loop, delay_ms, again, place);
}

bool place_may_write(struct place *place)
{
    struct err ignored;
    for (const struct change *change = place->batch; change; change = change->next)
        if (ask_for(place, change, &ignored) != LEASE_HOLDS) {
            place->type->stop(place);
            look_again(place, 0);
            return false;
        }
    return true;
}

static void write_batch(struct place *place)
{
    if (ask_leases(place) == LEASE_UNSURE) {
        look_again(place, LEASE_POLL_MS);
    } else if (has_wishes(place)) {
        place->stage = PLACE_WRITE;
        remember_before(place);
        place->type->write(place);
    } else {
        dependency_answered(place->guard);
        finish(place, NULL);
    }
}

void place_was_read(struct place *place, const struct err *err)
{
    struct err error;
    place->known = place->known || !err;
    if (err) {
        failed(place, err);
    } else if (place->stage == PLACE_READ && has_wishes(place) && (place->said.unknown || !all_done(place))) {
        write_batch(place);
    } else if (place->stage == PLACE_CHECK && !place->said.unknown && !all_done(place)) {
        err_set(&error, ERR_FAILED, "what was written does not stand there; does something else write it too?");
        failed(place, &error);
    } else {
        dependency_answered(place->guard);
        finish(place, NULL);
    }
}

void place_was_written(struct place *place, const struct err *err)
{
    if (err) {
        place->known = false;
        failed(place, err);
        return;
    }
    place->stage = PLACE_CHECK;
    place->type->read(place);
}

static void begin(void *context)
{
    struct place *place = context;
    struct change *change;
    place->soon = NULL;
    place->batch = place->queue;
    place->queue = NULL;
    struct err error;
    if (dependency_ask(place->guard, &error) < 0) {
        char name[200];
        place_name(place, name);
        err_prefix(&error, "%s", name);
        finish(place, &error);
        return;
    }
    /* what is owed comes first, so that what was asked for since wins */
    struct change *newer = place->batch;
    place->batch = place->owed;
    place->owed = NULL;
    while ((change = take_first(&newer)))
        append(&place->batch, change);
    place->ends_ms = now_ms(place) + place->discovery->etcd.timeout_ms;
    place->tries = 0;
    place->stage = PLACE_READ;
    place->type->read(place);
}

static void run_next(struct place *place)
{
    if (place->queue && place->stage == PLACE_IDLE && !place->soon)
        place->soon = timer_start(place->discoveries->fleet->loop, 0, begin, place);
    if (place->discoveries->flushing && !place->queue && place->stage == PLACE_IDLE)
        loop_stop(place->discoveries->fleet->loop);
}

void place_send(struct place *place, struct change *change)
{
    append(&place->queue, change);
    run_next(place);
}

void place_forget(struct place *place, const struct part *part)
{
    struct change *lists[] = {place->queue, place->batch};
    for (size_t i = 0; i < 2; i++)
        for (struct change *change = lists[i]; change; change = change->next)
            if (change->part == part)
                change->part = NULL;
}

bool place_is_idle(const struct place *place)
{
    return place->stage == PLACE_IDLE && !place->queue;
}

void place_release(struct place *place)
{
    struct change **lists[] = {&place->queue, &place->batch, &place->owed};
    struct change *change;
    timer_stop(place->soon);
    timer_stop(place->beat);
    place->soon = place->beat = NULL;
    place->releasing = true;
    place->type->stop(place);
    while (place->child)
        loop_run(place->discoveries->fleet->loop);
    for (size_t i = 0; i < 3; i++)
        while ((change = take_first(lists[i])))
            change_free(change);
    announced_release(&place->said);
    strbuf_release(&place->content);
    etcd_free(place->etcd);
    session_free(place->session);
}
