#include "app/discovery.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "discovery_internal.h"
#include "model/pattern.h"

#define CONTENT_MAX ((size_t)1 << 20)

/* --- life --- */

static int add_place(struct discoveries *discoveries, const struct discovery *discovery, const struct node *node,
                     const struct inventory *inventory, struct err *err)
{
    static const struct discovery_type *const types[] = {
        [DISCOVERY_FILE_SD] = &discovery_file_type,
        [DISCOVERY_ETCD] = &discovery_etcd_type,
        [DISCOVERY_HOSTS] = &discovery_file_type,
        [DISCOVERY_COMMAND] = &discovery_command_type,
    };
    struct fleet *fleet = discoveries->fleet;
    struct place *place = &discoveries->places[discoveries->count++];
    *place = (struct place){
        .discoveries = discoveries, .discovery = discovery, .type = types[discovery->kind], .node = node};
    strbuf_init(&place->content, CONTENT_MAX);
    char name[200];
    place_name(place, name);
    place->guard = dependency_named(fleet->dependencies, name);
    if (!place->guard)
        return err_set(err, ERR_MEMORY, "out of memory");
    snprintf(place->tag, sizeof(place->tag), "%016llx", (unsigned long long)clock_random());
    if (discovery->kind == DISCOVERY_ETCD) {
        int rc = etcd_create(&place->etcd, fleet->loop, fleet->http, &discovery->etcd, err);
        return rc < 0 ? err_prefix(err, "[discovery %s]", discovery->name) : 0;
    }
    if (!node)
        return 0;
    const char *slash = discovery->file ? strrchr(discovery->file, '/') : NULL;
    if (slash)
        place->folder = (struct service){
            .root = slash == discovery->file ? "/" : arena_strndup(&fleet->arena, discovery->file, (size_t)(slash - discovery->file)),
            .keep = 1};
    return fleet_session(&place->session, fleet, inventory, node, discovery->become ? &place->folder : NULL,
                         discovery->become, err);
}

static int add_discovery(struct discoveries *discoveries, const struct discovery *discovery,
                         const struct inventory *inventory, struct err *err)
{
    struct fleet *fleet = discoveries->fleet;
    size_t *nodes = NULL, count = 0;
    bool here = discovery->kind == DISCOVERY_ETCD || discovery->on == DISCOVERY_ON_RUNNER;
    int rc = here ? 0 : pattern_resolve(&nodes, &count, inventory, discovery->nodes, &fleet->arena, err);
    if (rc == 0 && !here && count == 0)
        rc = err_set(err, ERR_NOT_FOUND, "no node");
    if (rc < 0)
        return err_prefix(err, "discovery %s: nodes = %s", discovery->name, discovery->nodes);
    struct place *places =
        arena_alloc(&fleet->arena, (discoveries->count + count + 1) * sizeof(*places));
    if (!places)
        return err_set(err, ERR_MEMORY, "out of memory");
    if (discoveries->count)
        memcpy(places, discoveries->places, discoveries->count * sizeof(*places));
    discoveries->places = places;
    if (here)
        return add_place(discoveries, discovery, NULL, inventory, err);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = add_place(discoveries, discovery, &inventory->nodes[nodes[i]], inventory, err);
    return rc;
}

static int find_hosts(struct discoveries *discoveries, const struct inventory *inventory, struct err *err)
{
    struct fleet *fleet = discoveries->fleet;
    size_t *nodes, count;
    int rc = pattern_resolve(&nodes, &count, inventory, fleet->playbook->service.hosts, &fleet->arena, err);
    if (rc < 0)
        return rc;
    discoveries->hosts = arena_alloc(&fleet->arena, (count + 1) * sizeof(*discoveries->hosts));
    if (!discoveries->hosts)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        discoveries->hosts[discoveries->host_count++] = inventory->nodes[nodes[i]].name;
    return 0;
}

/* Each node's text can be made: known before anything is asked for. */
static int make_task(struct discoveries *discoveries, size_t member, struct err *err)
{
    struct fleet *fleet = discoveries->fleet;
    struct task_of_discovery *task = &discoveries->tasks[member];
    struct node_words words = {.release = "-"};
    *task = (struct task_of_discovery){.discoveries = discoveries, .member = member};
    task->parts = arena_alloc(&fleet->arena, (discoveries->count + 1) * sizeof(*task->parts));
    if (!task->parts)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < discoveries->count; i++) {
        char *text = discovery_text(discoveries->places[i].discovery, &fleet->members[member], &words, err);
        task->parts[i].task = task;
        if (!text)
            return err->code;
        free(text);
    }
    return 0;
}

int discoveries_create(struct discoveries **out, struct fleet *fleet, const struct inventory *inventory, struct err *err)
{
    const struct playbook *playbook = fleet->playbook;
    struct discoveries *discoveries = arena_alloc(&fleet->arena, sizeof(*discoveries));
    *out = NULL;
    if (!discoveries)
        return err_set(err, ERR_MEMORY, "out of memory");
    discoveries->fleet = fleet;
    *out = discoveries;
    int rc = find_hosts(discoveries, inventory, err);
    for (size_t i = 0; i < playbook->discovery_count && rc == 0; i++)
        rc = add_discovery(discoveries, &playbook->discoveries[i], inventory, err);
    if (rc < 0)
        return rc;
    discoveries->tasks = arena_alloc(&fleet->arena, (fleet->count + 1) * sizeof(*discoveries->tasks));
    if (!discoveries->tasks)
        return err_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < fleet->count && rc == 0; i++)
        rc = make_task(discoveries, i, err);
    return rc;
}

void discoveries_free(struct discoveries *discoveries)
{
    if (!discoveries)
        return;
    for (size_t i = 0; i < discoveries->count; i++)
        place_release(&discoveries->places[i]);
    for (size_t i = 0; discoveries->tasks && i < discoveries->fleet->count; i++) {
        timer_stop(discoveries->tasks[i].pause);
        for (size_t k = 0; discoveries->tasks[i].parts && k < discoveries->count; k++)
            free(discoveries->tasks[i].parts[k].before);
    }
}

/* --- sending --- */

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

/* Takes over `text`. -1 when out of memory. */
static int send_change(struct place *place, size_t member, enum change_wish wish, char *text,
                       const struct node_words *words, struct part *part)
{
    struct change *change = calloc(1, sizeof(*change));
    if (!change) {
        free(text);
        return -1;
    }
    *change = (struct change){.member = member,
                              .wish = wish,
                              .text = text,
                              .release = words ? copy(words->release) : NULL,
                              .slot = words ? copy(words->slot) : NULL,
                              .part = part};
    place_send(place, change);
    return 0;
}

void discoveries_tell(struct discoveries *discoveries, const char *format, ...)
{
    char text[ERR_MESSAGE_MAX + 300];
    va_list arguments;
    if (!discoveries->notice)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    discoveries->notice(discoveries->notice_context, text);
}

void discoveries_on_notice(struct discoveries *discoveries, void (*fn)(void *context, const char *text), void *context)
{
    discoveries->notice = fn;
    discoveries->notice_context = context;
}

/* Once, until it has worked again. */
static void warn(struct place *place, const struct err *error)
{
    if (place->told)
        return;
    place->told = true;
    discoveries_tell(place->discoveries, "%s; going on without it (on_error = warn)", error->message);
}

/* --- ends --- */

static void end(struct task_of_discovery *task)
{
    step_done_fn *fn = task->fn;
    struct step_result result = {.status = task->error.code ? DONE_FAILED : DONE_OK,
                                 .sentence = task->error.code ? task->error.message : "",
                                 .output = ""};
    task->fn = NULL;
    if (fn)
        fn(task->context, &result);
}

static void pause_over(void *context)
{
    struct task_of_discovery *task = context;
    task->pause = NULL;
    end(task);
}

/* The longest drain_wait of those that withdrew the node just now. */
static int64_t wait_of(const struct task_of_discovery *task)
{
    int64_t longest = 0;
    for (size_t i = 0; task->wish == DISCOVERY_OUT && i < task->discoveries->count; i++) {
        const struct discovery *discovery = task->discoveries->places[i].discovery;
        if (task->parts[i].withdrew && discovery->drain_wait_ms > longest)
            longest = discovery->drain_wait_ms;
    }
    return longest;
}

static void all_answered(struct task_of_discovery *task)
{
    if (task->error.code && task->wish == DISCOVERY_OUT)
        discoveries_put_back(task->discoveries, task->member);
    task->pause = timer_start(task->discoveries->fleet->loop, task->error.code ? 0 : wait_of(task), pause_over, task);
}

void part_done(struct part *part, const struct place *place, const struct err *error)
{
    struct task_of_discovery *task = part->task;
    if (!part->waiting)
        return;
    part->waiting = false;
    if (error && error->code != ERR_NO_LEASE && place->discovery->on_error == DISCOVERY_WARN)
        warn((struct place *)place, error);
    else if (error && !task->error.code)
        task->error = *error;
    if (--task->waiting == 0)
        all_answered(task);
}

/* --- what is asked for --- */

static const enum change_wish change_wishes[] = {
    [DISCOVERY_LOOK] = WISH_LOOK, [DISCOVERY_RENEW] = WISH_RENEW, [DISCOVERY_OUT] = WISH_REMOVE, [DISCOVERY_IN] = WISH_ADD};

/* A place that does not answer, and was last seen to say just that: there is nothing to tell it. */
static bool says_so_already(const struct place *place, size_t member, const char *text)
{
    const char *said = announced_find(&place->said, place->discoveries->fleet->members[member].node->name);
    return place->error.code && place->known && place_is_idle(place) && said && strcmp(said, text) == 0;
}

void discoveries_start(struct discoveries *discoveries, size_t member, enum discovery_wish wish,
                       const struct node_words *words, step_done_fn *fn, void *context)
{
    struct task_of_discovery *task = &discoveries->tasks[member];
    discoveries_cancel(discoveries, member);
    task->wish = wish;
    task->fn = fn;
    task->context = context;
    err_clear(&task->error);
    task->waiting = 1; /* held until all are asked */
    for (size_t i = 0; i < discoveries->count; i++) {
        struct place *place = &discoveries->places[i];
        struct part *part = &task->parts[i];
        char *text = NULL;
        part->withdrew = false;
        if (wish == DISCOVERY_RENEW && !place->discovery->lease_ms)
            continue;
        if (wish == DISCOVERY_IN)
            text = discovery_text(place->discovery, &discoveries->fleet->members[member], words, &task->error);
        if (wish == DISCOVERY_IN && !text)
            continue;
        if (text && says_so_already(place, member, text)) {
            free(text);
            continue;
        }
        part->waiting = true;
        task->waiting++;
        if (send_change(place, member, change_wishes[wish], text, words, part) < 0) {
            part->waiting = false;
            task->waiting--;
            err_set(&task->error, ERR_MEMORY, "out of memory");
        }
    }
    if (--task->waiting == 0)
        all_answered(task);
}

/* Thrice a lease, as the lock in etcd is. What another change has under way comes first. */
static void beat(void *context)
{
    struct place *place = context;
    const struct fleet *fleet = place->discoveries->fleet;
    place->beat = timer_start(fleet->loop, place->discovery->lease_ms / 3, beat, place);
    if (place->queue)
        return;
    for (size_t i = 0; i < fleet->count; i++) {
        const struct said *said = announced_item(&place->said, fleet->members[i].node->name);
        if (said && said->lease)
            send_change(place, i, WISH_RENEW, NULL, NULL, NULL);
    }
}

void discoveries_keep(struct discoveries *discoveries, bool keeps)
{
    for (size_t i = 0; discoveries && i < discoveries->count; i++) {
        struct place *place = &discoveries->places[i];
        int64_t lease_ms = place->discovery->lease_ms;
        timer_stop(place->beat);
        place->beat = keeps && lease_ms ? timer_start(discoveries->fleet->loop, lease_ms / 3, beat, place) : NULL;
    }
}

static void member_shifted(void *context, const struct step_result *result)
{
    struct discovery_shift *shift = &((struct discoveries *)context)->shift;
    if (result->status != DONE_OK && !shift->error.code)
        err_set(&shift->error, ERR_FAILED, "%s", result->sentence);
    if (--shift->waiting)
        return;
    struct step_result all = {.status = shift->error.code ? DONE_FAILED : DONE_OK,
                              .sentence = shift->error.code ? shift->error.message : "",
                              .output = ""};
    shift->fn(shift->context, &all);
}

/* All at once, so that each place has them in one batch; those that come in are first there. */
void discoveries_shift(struct discoveries *discoveries, const struct discovery_goal *goals, size_t count,
                       step_done_fn *fn, void *context)
{
    static const struct step_result nobody = {.status = DONE_OK, .sentence = "", .output = ""};
    discoveries->shift = (struct discovery_shift){.waiting = count + 1, .fn = fn, .context = context};
    for (int outs = 0; outs < 2; outs++)
        for (size_t i = 0; i < count; i++)
            if (goals[i].in != outs)
                discoveries_start(discoveries, goals[i].member, outs ? DISCOVERY_OUT : DISCOVERY_IN, &goals[i].words,
                                  member_shifted, discoveries);
    member_shifted(discoveries, &nobody);
}

void discoveries_cancel(struct discoveries *discoveries, size_t member)
{
    struct task_of_discovery *task = &discoveries->tasks[member];
    timer_stop(task->pause);
    task->pause = NULL;
    task->fn = NULL;
    for (size_t i = 0; i < discoveries->count; i++) {
        place_forget(&discoveries->places[i], &task->parts[i]);
        task->parts[i].waiting = false;
    }
    task->waiting = 0;
}

void discoveries_put_back(struct discoveries *discoveries, size_t member)
{
    struct task_of_discovery *task = &discoveries->tasks[member];
    for (size_t i = 0; i < discoveries->count; i++) {
        struct part *part = &task->parts[i];
        if (part->withdrew)
            send_change(&discoveries->places[i], member, WISH_ADD, strdup(part->before ? part->before : ""), NULL, NULL);
        part->withdrew = false;
    }
}

void discoveries_withdraw(struct discoveries *discoveries, size_t member)
{
    for (size_t i = 0; i < discoveries->count; i++)
        send_change(&discoveries->places[i], member, WISH_REMOVE, NULL, NULL, NULL);
}

static bool all_idle(const struct discoveries *discoveries)
{
    for (size_t i = 0; i < discoveries->count; i++)
        if (!place_is_idle(&discoveries->places[i]))
            return false;
    return true;
}

static void give_up(void *context)
{
    struct discoveries *discoveries = context;
    discoveries->flushing = false;
    loop_stop(discoveries->fleet->loop);
}

void discoveries_flush(struct discoveries *discoveries)
{
    if (!discoveries || all_idle(discoveries))
        return;
    discoveries->flushing = true;
    struct timer *limit = timer_start(discoveries->fleet->loop, discoveries_limit_ms(discoveries), give_up, discoveries);
    while (limit && discoveries->flushing && !all_idle(discoveries))
        loop_run(discoveries->fleet->loop);
    if (discoveries->flushing)
        timer_stop(limit);
    discoveries->flushing = false;
}

int64_t discoveries_limit_ms(const struct discoveries *discoveries)
{
    int64_t timeout_ms = 0, wait_ms = 0;
    for (size_t i = 0; i < discoveries->count; i++) {
        const struct discovery *discovery = discoveries->places[i].discovery;
        timeout_ms = discovery->etcd.timeout_ms > timeout_ms ? discovery->etcd.timeout_ms : timeout_ms;
        wait_ms = discovery->drain_wait_ms > wait_ms ? discovery->drain_wait_ms : wait_ms;
    }
    /* the round under way, and ours: each a look, a write, a look */
    return 6 * timeout_ms + wait_ms + 5000;
}

/* --- what is known --- */

void discoveries_describe(const struct discoveries *discoveries, size_t member, const struct node_words *words,
                          struct strbuf *out)
{
    const struct member *node = &discoveries->fleet->members[member];
    bool first = true;
    for (size_t i = 0; i < discoveries->count; i++) {
        const struct place *place = &discoveries->places[i];
        const char *text = announced_find(&place->said, node->node->name);
        char name[200];
        struct err err;
        if (!place->known && !place->error.code)
            continue;
        place_name(place, name);
        strbuf_adds(out, first ? "" : "; ");
        first = false;
        char *wanted = discovery_text(place->discovery, node, words, &err);
        if (place->error.code)
            strbuf_adds(out, place->error.message);
        else if (place->said.unknown)
            strbuf_addf(out, "%s: unknown, it has no list", name);
        else if (text && wanted && strcmp(text, wanted) != 0) {
            strbuf_addf(out, "%s: announced as ", name);
            text_sanitize(out, text, strlen(text), false);
        } else
            strbuf_addf(out, "%s: %s", name, text ? "announced" : "not announced");
        free(wanted);
    }
}
