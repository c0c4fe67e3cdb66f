#include <stdlib.h>
#include <string.h>

#include "ssh_internal.h"

static unsigned bucket_of(const char *key)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *key != '\0'; key++) {
        hash = (hash ^ (unsigned char)*key) * 16777619u;
    }
    return hash % PACE_BUCKETS;
}

static struct pace *pace_find(struct ssh_context *shared, const char *key)
{
    struct pace **bucket = &shared->paces[bucket_of(key)];
    for (struct pace *pace = *bucket; pace != NULL; pace = pace->next) {
        if (strcmp(pace->key, key) == 0) {
            return pace;
        }
    }
    struct pace *pace = calloc(1, sizeof(*pace));
    if (pace == NULL || (pace->key = strdup(key)) == NULL) {
        free(pace);
        return NULL;
    }
    pace->next = *bucket;
    *bucket = pace;
    return pace;
}

static void offer(struct ssh_context *shared, struct pace *pace)
{
    if (!pace->eligible && pace->first != NULL && pace->active < shared->per_address) {
        pace->eligible = true;
        pace->next_eligible = NULL;
        *shared->eligible_last = pace;
        shared->eligible_last = &pace->next_eligible;
    }
}

static void start(struct ssh_context *shared, struct ssh *ssh)
{
    ssh->pace->active++;
    shared->active++;
    ssh->has_turn = true;
    connect_turn(ssh);
}

/* Addresses take turns, so that one with many waiting does not starve the others. */
static void start_waiting(struct ssh_context *shared)
{
    while (shared->active < shared->in_all && shared->eligible != NULL) {
        struct pace *pace = shared->eligible;
        shared->eligible = pace->next_eligible;
        if (shared->eligible == NULL) {
            shared->eligible_last = &shared->eligible;
        }
        pace->eligible = false;
        struct ssh *ssh = pace->first;
        if (ssh == NULL || pace->active >= shared->per_address) {
            continue;
        }
        pace->first = ssh->next_paced;
        if (pace->first == NULL) {
            pace->last = NULL;
        }
        start(shared, ssh);
        offer(shared, pace);
    }
}

int pace_enter(struct ssh *ssh, const char *key)
{
    struct ssh_context *shared = ssh->shared;
    struct pace *pace = pace_find(shared, key);
    if (pace == NULL) {
        return ERR_MEMORY;
    }
    ssh->pace = pace;
    ssh->next_paced = NULL;
    if (pace->last != NULL) {
        pace->last->next_paced = ssh;
    } else {
        pace->first = ssh;
    }
    pace->last = ssh;
    offer(shared, pace);
    start_waiting(shared);
    return 0;
}

static void forget_waiting(struct pace *pace, struct ssh *ssh)
{
    struct ssh *before = NULL;
    for (struct ssh *at = pace->first; at != NULL; before = at, at = at->next_paced) {
        if (at != ssh) {
            continue;
        }
        if (before != NULL) {
            before->next_paced = at->next_paced;
        } else {
            pace->first = at->next_paced;
        }
        if (pace->last == ssh) {
            pace->last = before;
        }
        return;
    }
}

void pace_leave(struct ssh *ssh)
{
    struct pace *pace = ssh->pace;
    if (pace == NULL) {
        return;
    }
    ssh->pace = NULL;
    if (!ssh->has_turn) {
        forget_waiting(pace, ssh);
        return;
    }
    ssh->has_turn = false;
    pace->active--;
    ssh->shared->active--;
    offer(ssh->shared, pace);
    start_waiting(ssh->shared);
}

void pace_release_all(struct ssh_context *shared)
{
    for (size_t i = 0; i < PACE_BUCKETS; i++) {
        while (shared->paces[i] != NULL) {
            struct pace *pace = shared->paces[i];
            shared->paces[i] = pace->next;
            free(pace->key);
            free(pace);
        }
    }
}
