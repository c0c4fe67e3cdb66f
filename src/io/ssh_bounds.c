#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "ssh_internal.h"

#define BANNER_LINES_MAX 1024 /* lines before the banner, as in OpenSSH's client */

/* --- bytes a turn --- */

void bounds_begin_turn(struct ssh *ssh)
{
    ssh->turn_left = SSH_TURN_BYTES;
    ssh->turn_ended = false;
}

bool bounds_turn_ended(struct ssh *ssh)
{
    ssh->turn_ended = ssh->turn_ended || ssh->turn_left == 0;
    return ssh->turn_ended;
}

void bounds_count_turn(struct ssh *ssh, size_t length)
{
    ssh->turn_left -= length < ssh->turn_left ? length : ssh->turn_left;
}

/* --- the banner --- */

void bounds_count_banner(struct ssh *ssh, size_t from, size_t to)
{
    for (size_t at = from; at < to && !ssh->banner_found; at++) {
        const char *line = ssh->seen.text + ssh->banner_line;
        if (ssh->seen.text[at] != '\n') {
            continue;
        }
        ssh->banner_found = at - ssh->banner_line >= 4 && memcmp(line, "SSH-", 4) == 0;
        ssh->banner_line = at + 1;
        ssh->banner_lines++;
    }
}

bool bounds_banner_exceeded(const struct ssh *ssh)
{
    return !ssh->banner_found &&
           (ssh->banner_lines >= BANNER_LINES_MAX || ssh->seen_at >= SSH_SEEN_MAX);
}

/* --- memory --- */

static void count_allocated(struct ssh *ssh, void *block)
{
    ssh->session_memory += block != NULL ? malloc_usable_size(block) : 0;
}

static void count_freed(struct ssh *ssh, void *block)
{
    ssh->session_memory -= block != NULL ? malloc_usable_size(block) : 0;
}

LIBSSH2_ALLOC_FUNC(bounds_alloc)
{
    void *block = malloc(count);
    count_allocated(*abstract, block);
    return block;
}

LIBSSH2_REALLOC_FUNC(bounds_realloc)
{
    size_t before = ptr != NULL ? malloc_usable_size(ptr) : 0;
    void *block = realloc(ptr, count);
    if (block != NULL) {
        struct ssh *ssh = *abstract;
        ssh->session_memory -= before;
        count_allocated(ssh, block);
    }
    return block;
}

LIBSSH2_FREE_FUNC(bounds_free)
{
    count_freed(*abstract, ptr);
    free(ptr);
}

static size_t memory_of(const struct ssh *ssh)
{
    return ssh->session_memory + ssh->input.capacity + ssh->out.capacity + ssh->held;
}

bool bounds_memory_exceeded(struct ssh *ssh)
{
    char size[DURATION_TEXT_MAX];
    size_t maximum = ssh->shared->memory_max * (1 + ssh->carried);
    if (memory_of(ssh) <= maximum) {
        return false;
    }
    size_format(size, maximum);
    ssh_failf(ssh, ERR_PROTOCOL,
              "connection to %s dropped: it sent more than %s that deployctl had to keep in memory, the limit for one node; "
              "look at what answers there: a login shell, its start-up files, or another SSH server",
              ssh->target->label, size);
    return true;
}

void ssh_hold(struct ssh *ssh, size_t bytes)
{
    ssh->held += bytes;
    bounds_memory_exceeded(ssh);
}

void ssh_unhold(struct ssh *ssh, size_t bytes)
{
    ssh->held -= bytes < ssh->held ? bytes : ssh->held;
}
