#include <stdlib.h>
#include <string.h>

#include "ssh_internal.h"

/* Two targets share a jump connection when everything about the way there is the same. */
static void add_key(struct strbuf *out, const struct target *target)
{
    strbuf_addf(out, "%s|%s|", target->label, target->key != NULL ? target->key : "");
    for (size_t i = 0; i < target->host_key_count; i++) {
        strbuf_addf(out, "%s,", target->host_keys[i]);
    }
    if (target->jump != NULL) {
        strbuf_adds(out, " via ");
        add_key(out, target->jump);
    }
}

/* Everyone who waits goes on, or learns why not. */
static void announce(struct jump *jump)
{
    while (jump->waiting != NULL) {
        struct ssh *ssh = jump->waiting;
        jump->waiting = ssh->next_waiting;
        ssh->next_waiting = NULL;
        ssh_clock_run(ssh);
        connect_begin(ssh);
    }
}

static void on_ready(void *context, const struct err *error)
{
    struct jump *jump = context;
    if (error != NULL) {
        jump->failed = true;
        jump->error = *error;
    } else {
        jump->ready = true;
    }
    announce(jump);
}

static void on_lost(void *context, const struct err *error)
{
    struct jump *jump = context;
    jump->failed = true;
    jump->error = *error;
}

static void to_public(struct ssh_target *out, const struct target *from, struct ssh_target *deeper)
{
    memset(out, 0, sizeof(*out));
    out->name = from->name;
    out->address = from->address;
    out->port = from->port;
    out->user = from->user;
    out->key = from->key;
    out->host_keys = (const char *const *)from->host_keys;
    out->host_key_count = from->host_key_count;
    out->jump = deeper;
}

/* A chain of jump hosts is as long as the inventory makes it: bounded so that it can stand on the
 * stack. */
#define CHAIN_MAX 8

static struct ssh *open_jump(struct ssh *ssh, struct jump *jump)
{
    struct ssh_target chain[CHAIN_MAX];
    size_t count = 0;
    for (const struct target *at = ssh->target->jump; at != NULL; at = at->jump) {
        if (count == CHAIN_MAX) {
            return NULL;
        }
        to_public(&chain[count], at, NULL);
        if (count > 0) {
            chain[count - 1].jump = &chain[count];
        }
        count++;
    }
    return ssh_open(ssh->shared, &chain[0], ssh->timeout_ms, on_ready, on_lost, jump);
}

static struct jump *jump_new(struct ssh *ssh, char *key)
{
    struct jump *jump = calloc(1, sizeof(*jump));
    if (jump == NULL) {
        return NULL;
    }
    jump->ssh = open_jump(ssh, jump);
    if (jump->ssh == NULL) {
        free(jump);
        return NULL;
    }
    jump->key = key;
    jump->shared = ssh->shared;
    jump->next = ssh->shared->jumps;
    ssh->shared->jumps = jump;
    return jump;
}

/* A refused login is not tried again for the next node behind it: sshd counts, and then shuts
 * everybody out. */
static bool must_remember(const struct jump *jump)
{
    return jump->failed && !jump->ready &&
           (jump->error.code == ERR_AUTH || jump->error.code == ERR_HOST_KEY);
}

struct ssh_channel *jump_tunnel(struct ssh *ssh, const struct ssh_channel_events *events)
{
    ssh->tunnel = ssh_tunnel(ssh->jump->ssh, ssh->target->address, ssh->target->port, events, ssh);
    if (ssh->tunnel != NULL) {
        ssh->jump->ssh->carried++;
    }
    return ssh->tunnel;
}

void jump_tunnel_gone(struct ssh *ssh)
{
    ssh->tunnel = NULL;
    ssh->jump->ssh->carried--;
}

int jump_join(struct ssh *ssh)
{
    struct strbuf text;
    struct jump *jump;
    char *key;

    strbuf_init(&text, 64 * 1024);
    add_key(&text, ssh->target->jump);
    key = strbuf_detach(&text);
    if (key == NULL) {
        return ERR_MEMORY;
    }
    for (jump = ssh->shared->jumps; jump != NULL; jump = jump->next) {
        if (strcmp(jump->key, key) == 0 && (!jump->failed || must_remember(jump))) {
            break;
        }
    }
    if (jump == NULL) {
        jump = jump_new(ssh, key);
        key = jump != NULL ? NULL : key;
    }
    free(key);
    if (jump == NULL) {
        return ERR_MEMORY;
    }
    jump->references++;
    ssh->jump = jump;
    if (!jump->ready && !jump->failed) {
        ssh->next_waiting = jump->waiting;
        jump->waiting = ssh;
    }
    return 0;
}

static void stop_waiting(struct jump *jump, struct ssh *ssh)
{
    struct ssh **at = &jump->waiting;
    while (*at != NULL && *at != ssh) {
        at = &(*at)->next_waiting;
    }
    if (*at == ssh) {
        *at = ssh->next_waiting;
    }
    ssh->next_waiting = NULL;
}

void jump_leave(struct ssh *ssh)
{
    struct jump *jump = ssh->jump;
    if (jump == NULL) {
        return;
    }
    ssh->jump = NULL;
    stop_waiting(jump, ssh);
    if (--jump->references > 0) {
        return;
    }
    ssh_close(jump->ssh);
    jump->ssh = NULL;
    if (must_remember(jump)) {
        return;
    }
    struct jump **at = &ssh->shared->jumps;
    while (*at != jump) {
        at = &(*at)->next;
    }
    *at = jump->next;
    free(jump->key);
    free(jump);
}

void jumps_release(struct ssh_context *shared)
{
    while (shared->jumps != NULL) {
        struct jump *jump = shared->jumps;
        shared->jumps = jump->next;
        free(jump->key);
        free(jump);
    }
}
