/*
 * One node as the program talks to it: an SSH connection, the node's program on one long-lived
 * channel, requests and their replies, and a second channel for data. Connects again after a loss
 * when asked to. Never decides what is done on a node.
 *
 * Callbacks never run inside the call that asked for them, and come exactly once for each request,
 * unless the session is freed.
 */
#ifndef APP_SESSION_H
#define APP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"
#include "io/ssh.h"
#include "model/playbook.h"
#include "node/frames.h"

struct session;

struct session_settings {
    struct loop *loop;
    struct ssh_context *ssh;
    struct ssh_target target;      /* borrowed for the session's life */
    const struct service *service; /* borrowed; NULL: commands only, no root folder */
    const struct service *slots[SLOTS]; /* borrowed; its instances; NULL: not on this node */
    bool become;
};
/* NULL when out of memory. */
struct session *session_create(const struct session_settings *settings);
/* A second session to the same node, with a connection of its own. NULL when out of memory. */
struct session *session_create_like(const struct session *session);
/* Ends the connection at once and frees. No callback comes after. Not from one of its callbacks. */
void session_free(struct session *session);

/* Connects and starts the node's program; nothing on the node changes by that. When connected
 * already, `fn` is called all the same. Asked for again before `fn` came: begins anew, and only the
 * last `fn` is called. An error of class ERR_REFUSED means: connected, and the node's program says
 * why it cannot work there (sudo, tools). */
typedef void session_connected_fn(void *context, const struct err *error);
void session_connect(struct session *session, int64_t timeout_ms, session_connected_fn *fn,
                     void *context);
bool session_is_connected(const struct session *session);
/* Called when a connection is lost while no request waits (those get the error themselves). */
void session_on_lost(struct session *session, void (*fn)(void *context, const struct err *error),
                     void *context);
/* Drops the connection now, as if it had been lost: what waits is answered ERR_UNREACHABLE with
 * `why`. */
void session_drop(struct session *session, const char *why);
/* For tunnels; NULL while not connected. */
struct ssh *session_ssh(struct session *session);
/* What the node's program said about itself at the start (`tool zstd`), or NULL. */
const char *session_trait(const struct session *session, const char *key);

struct reply_value {
    const char *key, *value;
};
/* Borrowed until the callback returns. */
struct reply {
    uint32_t id;              /* what session_submit returned */
    const struct err *error;  /* NULL: the node answered */
    enum reply_status status; /* what it said */
    const char *sentence;
    const struct reply_value *values;
    size_t value_count;
    const char *output; /* lines, each ended by a newline, safe to show */
};
/* First value of a key, or NULL. */
const char *reply_get(const struct reply *reply, const char *key);
typedef void reply_fn(void *context, const struct reply *reply);

/* A request is built in three calls: begin, add as often as needed, submit. A value that cannot be
 * sent makes submit fail. */
void session_begin(struct session *session, const char *verb);
void session_add(struct session *session, const char *key,
                 const char *value); /* NULL value: nothing is added */
void session_addu(struct session *session, const char *key, uint64_t value);
void session_env(struct session *session, const char *name, const char *value);
/* The generation of the lock that the request depends on, and the epoch of the session that sends it. Once a newer epoch has settled on
 * the node, what an older one asked for is refused there, however late it arrives. */
void session_add_fence(struct session *session, uint64_t generation);
/* The number of the session's connections so far: each has an epoch of its own. */
uint64_t session_epoch(const struct session *session);
/* Sends it. When no answer came after `timeout_ms` the connection is given up (the node's program
 * answers even while a step runs). Returns the request's id, or 0 with `err` set: not connected, or
 * a bad value. */
uint32_t session_submit(struct session *session, int64_t timeout_ms, reply_fn *fn, void *context,
                        struct err *err);
/* The same, and each line of output goes to `line` as it comes, safe to show, borrowed for the
 * call; reply->output stays empty. `timeout_ms` 0: no time-out, for a step that nobody knows the
 * end of. */
typedef void reply_line_fn(void *context, const char *line);
uint32_t session_submit_streaming(struct session *session, int64_t timeout_ms, reply_line_fn *line,
                                  reply_fn *fn, void *context, struct err *err);
/* The request's callback will not come; its time-out still gives the connection up. An id that is
 * answered or 0 is fine. */
void session_forget(struct session *session, uint32_t id);

/* Copies bytes to a file that the node's program named, on a channel of its own. `bytes` stay the
 * caller's until `done`. An upload that makes no progress for `stall_ms` fails. One at a time. */
typedef void upload_progress_fn(void *context, uint64_t sent, uint64_t total);
typedef void upload_done_fn(void *context, const struct err *error);
void session_upload(struct session *session, const char *path, const void *bytes, size_t length,
                    int64_t stall_ms, upload_progress_fn *progress, upload_done_fn *done,
                    void *context);
/* Ends the upload under way, if any: `done` comes with ERR_CANCELLED. What was written stays on the
 * node. */
void session_upload_cancel(struct session *session);

#endif
