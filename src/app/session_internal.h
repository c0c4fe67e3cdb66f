/* What session.c, session_request.c and session_upload.c share: the session's state. Nobody else includes this. */
#ifndef SESSION_INTERNAL_H
#define SESSION_INTERNAL_H

#include "app/session.h"
#include "base/arena.h"
#include "base/strbuf.h"
#include "node/program.h"

#define REPLY_VALUES_MAX 4096
#define SESSION_TRAITS_MAX 32

struct pending {
    struct pending *next;
    struct session *session;
    uint32_t id;
    char verb[32];
    int64_t timeout_ms;
    struct timer *timer;
    reply_fn *fn;
    reply_line_fn *line; /* NULL: output is kept for the reply */
    void *context;
    struct arena arena;
    struct reply_value *values;
    size_t value_count;
    struct strbuf output;
    size_t held; /* of the answer so far, as the connection counts it */
    uint64_t received; /* bytes of its lines */
};

struct upload {
    struct ssh_channel *channel; /* NULL: none under way */
    const char *bytes;
    uint64_t written, total; /* `total` counts the path line too */
    struct strbuf path_line;
    struct strbuf error_output;
    int64_t stall_ms;
    struct timer *stall_timer;
    upload_progress_fn *progress;
    upload_done_fn *done;
    void *context;
    bool active;
};

struct session {
    struct session_settings settings;
    enum { SESSION_IDLE, SESSION_CONNECTING, SESSION_BOOTING, SESSION_OPENING, SESSION_READY } state;
    struct ssh *ssh;
    struct ssh_channel *channel;
    struct node_boot boot;
    bool boots; /* the program goes first */
    struct reply_reader reader;
    bool reader_in_use;
    uint64_t unasked; /* bytes of lines that answer nothing that waits, on this connection */
    struct strbuf queue;        /* to be written to the channel */
    struct strbuf error_output; /* last of the shell's stderr */
    uint32_t next_id;
    uint64_t epoch; /* of the connection: their number */
    struct strbuf building;
    char building_verb[32];
    struct err building_error;
    struct pending *pendings;
    struct timer *connect_timer;
    int64_t connect_timeout_ms;
    session_connected_fn *connected_fn;
    void *connected_context;
    void (*lost_fn)(void *context, const struct err *error);
    void *lost_context;
    bool losing; /* `later` will close the connection */
    struct timer *later;
    bool connect_again; /* asked for while losing: begins when that is over */
    struct err loss;
    struct err refusal; /* what the node's program said to `open`; code 0: it works there */
    struct arena traits_arena;
    struct reply_value traits[SESSION_TRAITS_MAX];
    size_t trait_count;
    struct upload upload;
};

#define SESSION_REQUEST_MAX (256 * 1024)
#define SESSION_QUEUE_MAX (1024 * 1024)

/* session_request.c: what is asked and what comes back */

/* Sends what was built; the state of the session is the caller's business. */
uint32_t session_submit_any(struct session *session, const char *verb, int64_t timeout_ms,
                            reply_line_fn *line, reply_fn *fn, void *context, struct err *err);
/* Writes what the channel takes of what waits to be sent. */
void session_flush(struct session *session);
/* The node's program's replies, for the reader. */
void request_value(void *context, uint32_t id, const char *key, const char *value);
void request_output(void *context, uint32_t id, const char *line);
void request_started(void *context, uint32_t id, uint32_t process_group);
void request_done(void *context, uint32_t id, enum reply_status status, const char *sentence);
/* Answers all that wait with an error; false when nobody did. */
bool requests_answer(struct session *session, const struct err *error);
/* The connection counts no longer what is kept of the answers so far. */
void requests_unhold(struct session *session);
/* Frees without a word. */
void requests_release(struct session *session);

/* Gives the connection up, from the loop's next turn on. */
void session_lose(struct session *session, const struct err *error);
/* Closes an upload's channel; its callback is still owed. */
void upload_abandon(struct session *session);
/* Tells what is owed; false when there was no upload. */
bool upload_failed(struct session *session, const struct err *error);
/* Frees without a word. */
void upload_release(struct session *session);

#endif
