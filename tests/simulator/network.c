#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/ssh.h"
#include "node/program.h"

#define SILENCE_MS 30000 /* TCP_USER_TIMEOUT and keep-alive of io/ssh.h */

struct ssh_context {
    struct loop *loop;
};

struct ssh_channel {
    struct link *link;
    const struct ssh_channel_events *events;
    void *context;
    struct ssh_channel *next;
    struct far *far;
};

struct ssh {
    struct ssh_context *shared;
    struct link *link;
    int64_t deadline;
    ssh_ready_fn *ready;
    ssh_lost_fn *lost;
    void *context;
    enum ssh_phase phase;
    struct timer *timer;
    struct ssh_channel *channels;
};

enum far_kind { FAR_PROGRAM, FAR_RECEIVER };
/* The node's end of a channel. */
struct far {
    enum far_kind kind;
    struct link *link;
    struct ssh_channel *near; /* NULL: closed by the runner */
    struct model_session *session;
    char head[48];
    bool booted;
    struct model_session *late; /* of a lost connection whose requests are still to be read */
    struct strbuf received;
    struct far *next;
};

enum message_kind { MESSAGE_OPEN, MESSAGE_BYTES, MESSAGE_EOF, MESSAGE_CLOSED };
struct message {
    struct message *next;
    enum message_kind kind;
    struct far *far;
    int64_t due;
    size_t length;
    char bytes[];
};

struct way {
    struct link *link;
    struct message *first, **last;
    struct timer *timer;
    bool to_node;
};

/* One connection; lives until the world ends. */
struct link {
    struct link *next;
    uint64_t number;
    struct model_node *node;
    struct runner *runner;
    struct loop *loop;
    struct ssh *ssh; /* NULL: closed by the runner */
    int64_t latency;
    bool dead;
    struct way there, back;
    struct far *fars;
};

static struct {
    struct model_node *nodes;
    size_t count;
    struct link *links;
    uint64_t numbers;
    struct network_watch watch;
} net;

void network_begin(struct model_node *nodes, size_t count)
{
    net.nodes = nodes;
    net.count = count;
    net.links = NULL;
    net.numbers = 0;
    net.watch = (struct network_watch){0};
}

void network_watch(const struct network_watch *watch)
{
    net.watch = *watch;
}

static void free_messages(struct way *way)
{
    while (way->first) {
        struct message *message = way->first;
        way->first = message->next;
        free(message);
    }
}

void network_end(void)
{
    while (net.links) {
        struct link *link = net.links;
        net.links = link->next;
        free_messages(&link->there);
        free_messages(&link->back);
        while (link->fars) {
            struct far *far = link->fars;
            link->fars = far->next;
            strbuf_release(&far->received);
            free(far);
        }
        free(link);
    }
}

/* --- messages --- */

static void way_turn(void *context);

static void plan_way(struct way *way, int64_t at)
{
    struct loop *owner = way->to_node ? NULL : way->link->loop;
    if (!way->timer && way->first && !(owner == NULL && !way->to_node))
        way->timer = timer_start(owner, at - clock_now(), way_turn, way);
}

static void send_message(struct far *far, bool to_node, enum message_kind kind, const char *bytes, size_t length)
{
    struct link *link = far->link;
    struct way *way = to_node ? &link->there : &link->back;
    if (link->dead || runner_dead(link->runner) || (!to_node && !link->ssh))
        return;
    struct message *message = malloc(sizeof(*message) + length + 1);
    *message = (struct message){
        .kind = kind, .far = far, .due = clock_now() + link->latency, .length = length};
    if (length)
        memcpy(message->bytes, bytes, length);
    message->bytes[length] = '\0';
    *way->last = message;
    way->last = &message->next;
    plan_way(way, way->first->due);
}

static int64_t blocked_until(const struct model_node *node)
{
    return node->cut_until > node->frozen_until ? node->cut_until : node->frozen_until;
}

static void reset_link(struct link *link);
static void read_late(struct link *link, struct message *message, int64_t delay_ms);

/* True when the message is kept. */
static bool deliver_to_node(struct message *message)
{
    char verb[16];
    int64_t late_ms;
    struct far *far = message->far;
    struct link *link = far->link;
    struct model_node *node = link->node;
    switch (message->kind) {
    case MESSAGE_OPEN:
        break;
    case MESSAGE_BYTES:
        if (far->kind == FAR_RECEIVER)
            strbuf_add(&far->received, message->bytes, message->length);
        else if (far->session) {
            model_request_verb(verb, message->bytes);
            if (net.watch.loses_request && *verb && net.watch.loses_request(net.watch.context, node, verb)) {
                reset_link(link);
            } else if (net.watch.reads_late && *verb && (late_ms = net.watch.reads_late(net.watch.context, node, verb)) > 0) {
                read_late(link, message, late_ms);
                return true;
            } else {
                model_session_feed(far->session, message->bytes, message->length);
            }
        }
        break;
    case MESSAGE_EOF:
        if (far->kind == FAR_RECEIVER) {
            model_receive(node, far->received.text, far->received.length);
            send_message(far, false, MESSAGE_CLOSED, NULL, 0);
        }
        break;
    case MESSAGE_CLOSED:
        if (far->session)
            model_session_hangup(far->session);
        far->session = NULL;
        break;
    }
    return false;
}

static void tell_answer(struct link *link, const char *line)
{
    char *after;
    char status[16];
    unsigned long id = strtoul(line, &after, 10);
    if (!net.watch.answered || strncmp(after, " . ", 3) != 0)
        return;
    size_t length = strcspn(after + 3, " \n");
    length = length < sizeof(status) ? length : sizeof(status) - 1;
    memcpy(status, after + 3, length);
    status[length] = '\0';
    net.watch.answered(net.watch.context, link->runner, link->node, (uint32_t)id, status, link->number);
}

static void deliver_to_runner(struct message *message)
{
    struct far *far = message->far;
    struct ssh_channel *near = far->near;
    if (!near)
        return;
    switch (message->kind) {
    case MESSAGE_OPEN:
        if (near->events->opened)
            near->events->opened(near->context);
        break;
    case MESSAGE_BYTES:
        tell_answer(far->link, message->bytes);
        near->events->received(near->context, message->bytes, message->length, false);
        break;
    case MESSAGE_EOF:
        break;
    case MESSAGE_CLOSED: {
        struct ssh_channel **place = &far->link->ssh->channels;
        while (*place != near)
            place = &(*place)->next;
        *place = near->next;
        far->near = NULL;
        near->events->closed(near->context, NULL, 0);
        free(near);
        break;
    }
    }
}

static void way_turn(void *context)
{
    struct way *way = context;
    struct link *link = way->link;
    struct message *message = way->first;
    way->timer = NULL;
    if (link->dead || !message)
        return;
    int64_t until = blocked_until(link->node);
    if (until > clock_now()) {
        plan_way(way, until);
        return;
    }
    if (message->due > clock_now()) {
        plan_way(way, message->due);
        return;
    }
    way->first = message->next;
    if (!way->first)
        way->last = &way->first;
    plan_way(way, way->first ? way->first->due : 0);
    bool kept = way->to_node && deliver_to_node(message);
    if (!way->to_node)
        deliver_to_runner(message);
    if (!kept)
        free(message);
}

/* --- the ends of connections --- */

static void tell_loss(void *context)
{
    struct ssh *ssh = context;
    struct err error;
    ssh->timer = NULL;
    ssh->phase = SSH_CLOSED;
    err_set(&error, ERR_UNREACHABLE, "the connection was reset");
    while (ssh->channels) {
        struct ssh_channel *channel = ssh->channels;
        ssh->channels = channel->next;
        channel->far->near = NULL;
        channel->events->closed(channel->context, &error, -1);
        free(channel);
    }
    ssh->lost(ssh->context, &error);
}

static void reset_link(struct link *link)
{
    if (link->dead)
        return;
    link->dead = true;
    timer_stop(link->there.timer);
    link->there.timer = NULL;
    timer_stop(link->back.timer);
    link->back.timer = NULL;
    for (struct far *far = link->fars; far; far = far->next) {
        if (far->session)
            model_session_hangup(far->session);
        far->session = NULL;
    }
    struct ssh *ssh = link->ssh;
    if (!ssh || ssh->phase == SSH_CLOSED || runner_dead(link->runner))
        return;
    timer_stop(ssh->timer);
    ssh->timer = timer_start(link->loop, 0, tell_loss, ssh);
}

/* The node's program reads on to the end of what it has received, though nobody is there any more. */
static void requests_read(void *context)
{
    struct link *link = context;
    while (link->there.first) {
        struct message *message = link->there.first;
        link->there.first = message->next;
        if (message->kind == MESSAGE_BYTES && message->far->late)
            model_session_feed(message->far->late, message->bytes, message->length);
        free(message);
    }
    link->there.last = &link->there.first;
}

static void read_late(struct link *link, struct message *message, int64_t delay_ms)
{
    message->next = link->there.first;
    link->there.first = message;
    if (!message->next)
        link->there.last = &message->next;
    for (struct far *far = link->fars; far; far = far->next)
        far->late = far->session;
    reset_link(link);
    timer_start(NULL, delay_ms, requests_read, link);
}

void network_reset(struct model_node *node, struct runner *from)
{
    for (struct link *link = net.links; link; link = link->next)
        if (link->node == node && (!from || link->runner == from) && link->ssh && link->ssh->phase == SSH_READY)
            reset_link(link);
}

static void give_up(void *context)
{
    struct model_node *node = context;
    if (blocked_until(node) > clock_now())
        network_reset(node, NULL);
}

void network_cut(struct model_node *node, int64_t until)
{
    if (until > node->cut_until)
        node->cut_until = until;
    if (until - clock_now() > SILENCE_MS)
        timer_start(NULL, SILENCE_MS, give_up, node);
}

/* --- io/ssh.h --- */

int ssh_context_create(struct ssh_context **out, struct loop *loop, const struct ssh_settings *settings, struct err *err)
{
    (void)settings;
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(err, ERR_MEMORY, "out of memory");
    (*out)->loop = loop;
    return 0;
}

void ssh_context_free(struct ssh_context *context)
{
    free(context);
}

static void try_connect(void *context)
{
    struct ssh *ssh = context;
    struct model_node *node = ssh->link->node;
    struct err error;
    ssh->timer = NULL;
    bool silent = blocked_until(node) > clock_now() || (!node->up && !node->refuses);
    if (silent && clock_now() < ssh->deadline) {
        int64_t left = ssh->deadline - clock_now();
        ssh->timer = timer_start(ssh->shared->loop, left < 1000 ? left : 1000, try_connect, ssh);
        return;
    }
    if (node->up && !silent) {
        ssh->phase = SSH_READY;
        ssh->ready(ssh->context, NULL);
        return;
    }
    ssh->phase = SSH_CLOSED;
    err_set(&error, silent ? ERR_TIMEOUT : ERR_UNREACHABLE, silent ? "connect: no answer" : "connection refused");
    ssh->ready(ssh->context, &error);
}

struct ssh *ssh_open(struct ssh_context *shared, const struct ssh_target *target, int64_t timeout_ms,
                     ssh_ready_fn *ready, ssh_lost_fn *lost, void *context)
{
    struct ssh *ssh = calloc(1, sizeof(*ssh));
    struct link *link = calloc(1, sizeof(*link));
    *ssh = (struct ssh){.shared = shared,
                        .link = link,
                        .deadline = clock_now() + timeout_ms,
                        .ready = ready,
                        .lost = lost,
                        .context = context,
                        .phase = SSH_CONNECT};
    *link = (struct link){.next = net.links,
                          .number = ++net.numbers,
                          .runner = runner_current(),
                          .loop = shared->loop,
                          .ssh = ssh,
                          .latency = 1 + (int64_t)luck_below(20)};
    link->there = (struct way){.link = link, .last = &link->there.first, .to_node = true};
    link->back = (struct way){.link = link, .last = &link->back.first};
    net.links = link;
    for (size_t i = 0; i < net.count; i++)
        if (strcmp(net.nodes[i].name, target->name) == 0)
            link->node = &net.nodes[i];
    if (!link->node)
        abort();
    ssh->timer = timer_start(shared->loop, link->latency * 4, try_connect, ssh);
    return ssh;
}

void ssh_close(struct ssh *ssh)
{
    if (!ssh)
        return;
    struct link *link = ssh->link;
    timer_stop(ssh->timer);
    while (ssh->channels)
        ssh_channel_close(ssh->channels);
    for (struct far *far = link->fars; far; far = far->next)
        send_message(far, true, MESSAGE_CLOSED, NULL, 0);
    timer_stop(link->back.timer);
    link->back.timer = NULL;
    link->ssh = NULL;
    link->loop = NULL;
    if (runner_dead(link->runner))
        for (struct far *far = link->fars; far; far = far->next) {
            if (far->session)
                model_session_hangup(far->session);
            far->session = NULL;
        }
    free(ssh);
}

enum ssh_phase ssh_phase(const struct ssh *ssh)
{
    return ssh->phase;
}

int64_t ssh_idle_ms(const struct ssh *ssh)
{
    (void)ssh;
    return 0;
}

static void on_reply_line(void *context, const char *verb, const char *line, bool last)
{
    struct far *far = context;
    if (last && net.watch.loses_reply && net.watch.loses_reply(net.watch.context, far->link->node, verb)) {
        reset_link(far->link);
        return;
    }
    send_message(far, false, MESSAGE_BYTES, line, strlen(line));
}

struct ssh_channel *ssh_exec(struct ssh *ssh, const char *command, const struct ssh_channel_events *events, void *context)
{
    struct ssh_channel *channel = calloc(1, sizeof(*channel));
    struct far *far = calloc(1, sizeof(*far));
    bool program = strcmp(command, node_bootstrap()) == 0;
    *far = (struct far){.kind = program ? FAR_PROGRAM : FAR_RECEIVER,
                        .link = ssh->link,
                        .near = channel,
                        .next = ssh->link->fars};
    strbuf_init(&far->received, 1 << 20);
    ssh->link->fars = far;
    *channel = (struct ssh_channel){
        .link = ssh->link, .events = events, .context = context, .next = ssh->channels, .far = far};
    ssh->channels = channel;
    if (program)
        far->session = model_session_open(ssh->link->node, ssh->link->number, on_reply_line, far);
    send_message(far, false, MESSAGE_OPEN, NULL, 0);
    return channel;
}

struct ssh_channel *ssh_tunnel(struct ssh *ssh, const char *host, uint16_t port,
                               const struct ssh_channel_events *events, void *context)
{
    (void)ssh, (void)host, (void)port, (void)events, (void)context;
    return NULL;
}

/* A marker with the number of the program's lines, and the program, each written whole. The text is not sent on: the model is there already. */
static void boots(struct far *far, const char *bytes, size_t length)
{
    char line[64], nonce[17];
    size_t lines;
    if (!far->head[0]) {
        snprintf(far->head, sizeof(far->head), "%.*s", (int)length, bytes);
    } else if (length == node_program_length && sscanf(far->head, "boot-%16s %zu", nonce, &lines) == 2 && lines == node_program_lines) {
        far->booted = true;
        snprintf(line, sizeof(line), "deployctl-node 1 %s\n", nonce);
        send_message(far, false, MESSAGE_BYTES, line, strlen(line));
    }
}

size_t ssh_channel_write(struct ssh_channel *channel, const void *bytes, size_t length)
{
    struct far *far = channel->far;
    if (runner_dead(channel->link->runner) || channel->link->dead)
        return length;
    if (far->kind == FAR_PROGRAM && !far->booted) {
        boots(far, bytes, length);
        return length;
    }
    struct model_request request;
    if (far->kind == FAR_PROGRAM && net.watch.asked && model_request_parse(&request, bytes))
        net.watch.asked(net.watch.context, channel->link->runner, channel->link->node,
                        channel->link->number, &request);
    send_message(far, true, MESSAGE_BYTES, bytes, length);
    return length;
}

void ssh_channel_pause(struct ssh_channel *channel, bool paused)
{
    (void)channel, (void)paused;
}

void ssh_channel_end(struct ssh_channel *channel)
{
    send_message(channel->far, true, MESSAGE_EOF, NULL, 0);
}

void ssh_channel_close(struct ssh_channel *channel)
{
    struct ssh_channel **place = &channel->link->ssh->channels;
    while (*place != channel)
        place = &(*place)->next;
    *place = channel->next;
    channel->far->near = NULL;
    send_message(channel->far, true, MESSAGE_CLOSED, NULL, 0);
    free(channel);
}
