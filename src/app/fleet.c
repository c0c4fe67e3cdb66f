#include "app/fleet.h"

#include <ctype.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "app/balancer.h"
#include "app/dependency.h"
#include "app/discovery.h"
#include "base/text.h"
#include "model/pattern.h"
#include "model/slots.h"
#include "model/template.h"

#define JUMP_DEPTH_MAX 4

/* --- targets --- */

static void target_of(struct ssh_target *target, const struct node *node)
{
    const struct connection *connection = &node->connection;
    *target = (struct ssh_target){
        .name = node->name,
        .address = connection->address,
        .port = connection->port,
        .user = connection->user,
        .key = connection->key,
        .host_keys = connection->host_keys,
        .host_key_count = connection->host_key_count,
    };
}

/* `[user@]host[:port]`, `[v6]:port`. */
static int parse_jump(struct ssh_target *target, const char *text, struct arena *arena, struct err *err)
{
    const char *at = strrchr(text, '@');
    const char *host = at ? at + 1 : text;
    const char *colon = host[0] == '[' ? strstr(host, "]:") : strrchr(host, ':');
    if (colon && host[0] != '[' && strchr(host, ':') != colon)
        colon = NULL; /* a bare IPv6 address */
    uint64_t port = 22;
    const char *digits = colon ? strrchr(colon, ':') + 1 : NULL;
    if (digits && whole_parse(&port, digits, 1, 65535, err) < 0)
        return err_prefix(err, "jump host '%s'", text);
    size_t length = colon ? (size_t)(colon - host) : strlen(host);
    if (host[0] == '[') {
        host++;
        length = strcspn(host, "]");
    }
    if (length == 0)
        return err_set(err, ERR_INPUT, "jump host '%s' has no name", text);
    target->user = at ? arena_strndup(arena, text, (size_t)(at - text)) : NULL;
    target->address = arena_strndup(arena, host, length);
    target->name = arena_strdup(arena, text);
    target->port = (uint16_t)port;
    return 0;
}

static int add_jump(struct ssh_target *target, const struct node *node,
                    const struct inventory *inventory, struct arena *arena, int depth,
                    struct err *err)
{
    const char *jump = node->connection.jump;
    if (!jump || strcmp(jump, "none") == 0)
        return 0;
    if (depth >= JUMP_DEPTH_MAX)
        return err_set(err, ERR_INPUT, "node %s: more than %d jump hosts in a row", node->name,
                       JUMP_DEPTH_MAX);
    struct ssh_target *through = arena_alloc(arena, sizeof(*through));
    if (!through)
        return err_set(err, ERR_MEMORY, "out of memory");
    const struct node *known = inventory_node(inventory, jump);
    int rc;
    if (known) {
        target_of(through, known);
        rc = add_jump(through, known, inventory, arena, depth + 1, err);
    } else {
        rc = parse_jump(through, jump, arena, err);
        through->key = node->connection.key;
    }
    target->jump = through;
    return rc;
}

/* --- life --- */

int fleet_session(struct session **out, struct fleet *fleet, const struct inventory *inventory, const struct node *node,
                  const struct service *service, bool become, struct err *err)
{
    struct session_settings settings = {
        .loop = fleet->loop, .ssh = fleet->ssh, .service = service, .become = become};
    *out = NULL;
    target_of(&settings.target, node);
    int rc = add_jump(&settings.target, node, inventory, &fleet->arena, 0, err);
    if (rc < 0)
        return rc;
    *out = session_create(&settings);
    return *out ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}

bool front_serves(const struct fleet *fleet, size_t front, size_t member)
{
    const struct member *own = fleet->fronts[front].member;
    return !own || own == &fleet->members[member];
}

/* A path of the balancer's on the member that it serves. */
static int expand_path(const char **out, struct fleet *fleet, const struct member *member, const char *path, struct err *err)
{
    struct node_words words = {.release = ""};
    struct variable known[NODE_VARIABLES_MAX];
    struct template_scope scope = {.node = member->node, .extra = known};
    struct strbuf text;
    *out = NULL;
    if (!path)
        return 0;
    strbuf_init(&text, PATH_MAX - 1);
    scope.extra_count = node_variables(known, NODE_VARIABLES_MAX, member, &words, &fleet->arena);
    int rc = template_expand(&text, path, &scope, err);
    if (rc == 0 && !(*out = arena_strdup(&fleet->arena, text.text)))
        rc = err_set(err, ERR_MEMORY, "out of memory");
    strbuf_release(&text);
    return rc;
}

static int set_paths(struct front *front, struct fleet *fleet, struct err *err)
{
    const struct balancer *balancer = front->balancer;
    front->upstream_file = balancer->upstream_file;
    front->pid_file = balancer->pid_file;
    if (!front->member)
        return 0;
    int rc = expand_path(&front->upstream_file, fleet, front->member, balancer->upstream_file, err);
    if (rc == 0)
        rc = expand_path(&front->pid_file, fleet, front->member, balancer->pid_file, err);
    return rc < 0 ? err_prefix(err, "node %s: [balancer %s]", front->where, balancer->name) : 0;
}

static int append_front(struct fleet *fleet, const struct front *front, struct err *err)
{
    struct front *fronts =
        arena_grow(&fleet->arena, fleet->fronts, fleet->front_count, sizeof(*fronts));
    if (!fronts)
        return err_set(err, ERR_MEMORY, "out of memory");
    fleet->fronts = fronts;
    fronts[fleet->front_count++] = *front;
    return 0;
}

/* `member`: whose own balancer it is; NULL: it serves all. */
static int add_front(struct fleet *fleet, const struct inventory *inventory,
                     const struct balancer *balancer, const struct node *node, const struct member *member,
                     struct err *err)
{
    struct session_settings settings = {.loop = fleet->loop, .ssh = fleet->ssh};
    struct front front = {.balancer = balancer, .where = node->name, .member = member};
    /* a folder that root alone writes: with `become` the node's program starts itself again as root */
    static const struct service as_root = {.root = "/root", .keep = 1};
    settings.become = balancer->become;
    settings.service = balancer->become ? &as_root : NULL;
    target_of(&settings.target, node);
    int rc = add_jump(&settings.target, node, inventory, &fleet->arena, 0, err);
    if (rc < 0)
        return rc;
    front.session = session_create(&settings);
    if (!front.session)
        return err_set(err, ERR_MEMORY, "out of memory");
    rc = append_front(fleet, &front, err);
    if (rc < 0) {
        session_free(front.session);
        return rc;
    }
    return set_paths(&fleet->fronts[fleet->front_count - 1], fleet, err);
}

/* Each node's own. */
static int add_own_fronts(struct fleet *fleet, const struct inventory *inventory, const struct balancer *balancer,
                          struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < fleet->count && rc == 0; i++)
        rc = add_front(fleet, inventory, balancer, fleet->members[i].node, &fleet->members[i], err);
    return rc;
}

static int add_fronts(struct fleet *fleet, const struct inventory *inventory, struct err *err)
{
    const struct playbook *playbook = fleet->playbook;
    for (size_t i = 0; playbook && i < playbook->balancer_count; i++) {
        const struct balancer *balancer = &playbook->balancers[i];
        size_t *nodes, count = 0;
        if (balancer->on == BALANCER_ON_RUNNER || balancer->scope == SCOPE_NODE) {
            struct front here = {.balancer = balancer, .where = "runner"};
            int own = balancer->on == BALANCER_ON_RUNNER ? append_front(fleet, &here, err)
                                                         : add_own_fronts(fleet, inventory, balancer, err);
            if (own < 0)
                return own;
            continue;
        }
        int rc = pattern_resolve(&nodes, &count, inventory, balancer->nodes, &fleet->arena, err);
        if (rc == 0 && count == 0)
            rc = err_set(err, ERR_NOT_FOUND, "no node");
        if (rc < 0)
            return err_prefix(err, "balancer %s: nodes = %s", balancer->name, balancer->nodes);
        for (size_t k = 0; k < count && rc == 0; k++)
            rc = add_front(fleet, inventory, balancer, &inventory->nodes[nodes[k]], NULL, err);
        if (rc < 0)
            return rc;
    }
    return fleet->front_count ? balancers_create(&fleet->balancers, fleet, err) : 0;
}

static int add_dependencies(struct fleet *fleet, struct err *err)
{
    if (!fleet->playbook)
        return 0;
    struct breaker_rules rules = {.failures = fleet->playbook->breaker.failures,
                                  .cool_down_ms = fleet->playbook->breaker.cool_down_ms};
    const struct retry *retry = &fleet->playbook->retry;
    struct backoff_rules backoff = {.base_ms = retry->base_ms, .max_ms = retry->max_ms};
    retries_init(&fleet->retries, &backoff, retry->max_retries, clock_random());
    fleet->dependencies = dependencies_create(fleet->loop, &rules);
    return fleet->dependencies ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}

/* The node's instances, with what their slots say. `slots` NULL: both are on each node. */
static int add_slots(struct fleet *fleet, struct member *member, const size_t *slot_of, size_t index, struct err *err)
{
    for (size_t slot = 0; slot < SLOTS; slot++) {
        if (slot_of && slot_of[index] != slot)
            continue;
        member->slots[slot] = arena_alloc(&fleet->arena, sizeof(*member->slots[slot]));
        if (!member->slots[slot])
            return err_set(err, ERR_MEMORY, "out of memory");
        int rc = service_of_slot(member->slots[slot], fleet->playbook, member->node, slot, &fleet->arena, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

const struct service *member_instance(const struct member *member, const char *slot)
{
    for (size_t i = 0; slot && i < SLOTS; i++)
        if (member->slots[i] && strcmp(slot, slot_name(i)) == 0)
            return member->slots[i];
    return &member->service;
}

static int add_connections(struct fleet *fleet, struct err *err)
{
    struct ssh_settings ssh = {.handshakes_per_address = 8, .handshakes = 64};
    int rc = loop_create(&fleet->loop, err);
    if (rc == 0)
        rc = ssh_context_create(&fleet->ssh, fleet->loop, &ssh, err);
    if (rc == 0)
        rc = http_client_create(&fleet->http, fleet->loop, err);
    return rc;
}

/* The next one. `slot_of`: the slot of each node that is a side of its own; NULL: none is. */
static int add_member(struct fleet *fleet, const struct inventory *inventory, const struct node *node, const size_t *slot_of, struct err *err)
{
    const struct playbook *playbook = fleet->playbook;
    struct member *member = &fleet->members[fleet->count];
    struct session_settings settings = {.loop = fleet->loop, .ssh = fleet->ssh};
    int rc = 0;
    member->node = node;
    member->playbook = playbook;
    if (playbook)
        rc = service_of_node(&member->service, playbook, node, &fleet->arena, err);
    if (rc == 0 && playbook && playbook->strategy.kind == STRATEGY_BLUE_GREEN)
        rc = add_slots(fleet, member, slot_of, fleet->count, err);
    if (rc < 0)
        return rc;
    settings.service = playbook ? &member->service : NULL;
    for (size_t slot = 0; slot < SLOTS; slot++)
        settings.slots[slot] = member->slots[slot];
    settings.become = node->connection.become || (playbook && playbook->service.become);
    target_of(&settings.target, node);
    if ((rc = add_jump(&settings.target, node, inventory, &fleet->arena, 0, err)) < 0)
        return rc;
    member->session = session_create(&settings);
    if (!member->session)
        return err_set(err, ERR_MEMORY, "out of memory");
    fleet->count++;
    return 0;
}

static int add_members(struct fleet *fleet, const struct inventory *inventory, const size_t *nodes, size_t count, struct err *err)
{
    const struct playbook *playbook = fleet->playbook;
    size_t *slot_of = NULL, wrong;
    int rc = 0;
    fleet->members = arena_alloc(&fleet->arena, (count ? count : 1) * sizeof(*fleet->members));
    if (!fleet->members)
        return err_set(err, ERR_MEMORY, "out of memory");
    if (playbook && playbook_has_sides(playbook))
        rc = slots_of_nodes(&slot_of, &wrong, playbook, inventory, nodes, count, &fleet->arena, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_member(fleet, inventory, &inventory->nodes[nodes[i]], slot_of, err);
    return rc;
}

int fleet_create(struct fleet **out, const struct inventory *inventory, const size_t *nodes,
                 size_t count, const struct playbook *playbook, struct err *err)
{
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    *out = NULL;
    if (!fleet)
        return err_set(err, ERR_MEMORY, "out of memory");
    arena_init(&fleet->arena);
    fleet->playbook = playbook;
    int rc = add_connections(fleet, err);
    if (rc == 0)
        rc = add_dependencies(fleet, err);
    if (rc == 0)
        rc = add_members(fleet, inventory, nodes, count, err);
    if (rc == 0)
        rc = add_fronts(fleet, inventory, err);
    if (rc == 0 && playbook && playbook->discovery_count)
        rc = discoveries_create(&fleet->discoveries, fleet, inventory, err);
    if (rc < 0)
        fleet_free(fleet);
    else
        *out = fleet;
    return rc;
}

void fleet_free(struct fleet *fleet)
{
    if (!fleet)
        return;
    discoveries_free(fleet->discoveries);
    http_client_free(fleet->http); /* its calls may go through the sessions */
    /* Before the loop turns once more: what would take their answers is gone. */
    for (size_t i = 0; i < fleet->count; i++)
        session_free(fleet->members[i].session);
    balancers_free(fleet->balancers); /* waits for its children to end */
    dependencies_free(fleet->dependencies);
    for (size_t i = 0; i < fleet->front_count; i++)
        session_free(fleet->fronts[i].session);
    ssh_context_free(fleet->ssh);
    loop_free(fleet->loop);
    arena_release(&fleet->arena);
    free(fleet);
}

/* --- asking every node --- */

struct asking {
    struct fleet *fleet;
    const struct fanout *fanout;
    size_t next, open;
    int signal_number;
    bool over; /* the signal handlers outlive the asking */
    struct asked {
        struct asking *asking;
        size_t member;
    } *asked;
};

static void ask_more(struct asking *asking);

static void answered(struct asked *asked, const struct reply *reply, const struct err *error)
{
    struct asking *asking = asked->asking;
    asking->fanout->answer(asking->fanout->context, asked->member, reply, error);
    asking->open--;
    ask_more(asking);
}

static void on_reply(void *context, const struct reply *reply)
{
    answered(context, reply->error ? NULL : reply, reply->error);
}

static void on_line(void *context, const char *line)
{
    const struct asked *asked = context;
    const struct fanout *fanout = asked->asking->fanout;
    fanout->line(fanout->context, asked->member, line);
}

static void on_connected(void *context, const struct err *error)
{
    struct asked *asked = context;
    const struct fanout *fanout = asked->asking->fanout;
    struct session *session = asked->asking->fleet->members[asked->member].session;
    struct err err;
    if (error) {
        answered(asked, NULL, error);
        return;
    }
    fanout->build(fanout->context, session, asked->member);
    if (!session_submit_streaming(session, fanout->request_timeout_ms,
                                  fanout->line ? on_line : NULL, on_reply, asked, &err))
        answered(asked, NULL, &err);
}

static void ask_more(struct asking *asking)
{
    struct fleet *fleet = asking->fleet;
    while (asking->next < fleet->count && asking->open < asking->fanout->forks) {
        struct asked *asked = &asking->asked[asking->next];
        *asked = (struct asked){asking, asking->next};
        asking->next++;
        if (asking->fanout->wanted && !asking->fanout->wanted(asking->fanout->context, asked->member))
            continue;
        asking->open++;
        session_connect(fleet->members[asked->member].session, asking->fanout->connect_timeout_ms,
                        on_connected, asked);
    }
    if (asking->open == 0)
        loop_stop(fleet->loop);
}

static void interrupted(void *context, int signal_number)
{
    struct asking *asking = context;
    if (asking->over)
        return;
    asking->signal_number = signal_number;
    loop_stop(asking->fleet->loop);
}

static struct asking *asking_of(struct fleet *fleet)
{
    struct err err;
    struct asking *asking = fleet->asking;
    if (asking)
        return asking;
    asking = arena_alloc(&fleet->arena, sizeof(*asking));
    if (!asking || !(asking->asked = arena_alloc(&fleet->arena, (fleet->count + 1) * sizeof(*asking->asked))))
        return NULL;
    loop_on_signal(fleet->loop, SIGINT, interrupted, asking, &err);
    loop_on_signal(fleet->loop, SIGTERM, interrupted, asking, &err);
    return fleet->asking = asking;
}

int fleet_ask(struct fleet *fleet, const struct fanout *fanout)
{
    struct asking *asking = asking_of(fleet);
    if (!asking || fleet->count == 0)
        return 0;
    *asking = (struct asking){.fleet = fleet, .fanout = fanout, .asked = asking->asked};
    ask_more(asking);
    loop_run(fleet->loop);
    asking->over = true;
    return asking->signal_number;
}

/* --- words --- */

size_t node_variables(struct variable *out, size_t maximum, const struct member *member,
                      const struct node_words *words, struct arena *arena)
{
    const struct node *node = member->node;
    struct variable known[] = {
        {.name = "node", .value = node->name},
        {.name = "address", .value = node->connection.address},
        {.name = "port", .value = arena_printf(arena, "%u", member_instance(member, words->slot)->port)},
        {.name = "service", .value = member->service.name},
        {.name = "root", .value = member->service.root},
        {.name = "release", .value = words->release},
        {.name = "slot", .value = words->slot ? words->slot : ""},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && count < maximum; i++)
        if (known[i].value)
            out[count++] = known[i];
    for (size_t i = 0; member->playbook && i < member->playbook->discover_count && count < maximum; i++) {
        const struct discover *discover = &member->playbook->discovers[i];
        out[count++] = (struct variable){.name = arena_printf(arena, "discover.%s", discover->name),
                                         .value = discover->value ? discover->value : ""};
    }
    return count;
}

static void add_variable(const struct variable *variable,
                         void (*add)(void *context, const char *name, const char *value),
                         void *context)
{
    char name[128] = "DEPLOYCTL_";
    size_t at = strlen(name);
    bool found = strncmp(variable->name, "discover.", 9) == 0;
    for (const char *from = variable->name; *from; from++) {
        bool fine = isalnum((unsigned char)*from) || *from == '_' || found;
        if (!fine || at + 1 >= sizeof(name))
            return;
        name[at++] = isalnum((unsigned char)*from) ? (char)toupper((unsigned char)*from) : '_';
    }
    name[at] = '\0';
    add(context, name, variable->value);
}

void node_environment(const struct member *member, const struct node_words *words,
                      void (*add)(void *context, const char *name, const char *value),
                      void *context)
{
    const struct node *node = member->node;
    struct arena arena;
    struct variable known[NODE_VARIABLES_MAX];
    static const char *const ours[] = {"node", "address", "port", "service", "root", "release",
                                       "slot", "previous", "rollout"};
    arena_init(&arena);
    for (size_t i = 0; i < node->variables.count; i++) {
        const struct variable *variable = &node->variables.items[i];
        bool shadowed = strncmp(variable->name, "ansible_", 8) == 0;
        for (size_t j = 0; j < sizeof(ours) / sizeof(ours[0]); j++)
            shadowed = shadowed || strcmp(variable->name, ours[j]) == 0;
        if (!shadowed)
            add_variable(variable, add, context);
    }
    size_t count = node_variables(known, NODE_VARIABLES_MAX - 2, member, words, &arena);
    if (words->previous)
        known[count++] = (struct variable){.name = "previous", .value = words->previous};
    if (words->rollout)
        known[count++] = (struct variable){.name = "rollout", .value = words->rollout};
    for (size_t i = 0; i < count; i++)
        add_variable(&known[i], add, context);
    arena_release(&arena);
}
