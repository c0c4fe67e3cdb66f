/*
 * Requests to the node's program and its replies, as lines of text. Never does IO, never decides.
 *
 * Request:  `<id> <verb>` newline, then `<key> <value>` lines, then an empty line. Keys are [a-z_]+ ; values hold no newline and no NUL.
 * Reply lines, each begins with the request's id:
 *   `<id> = <key> <value>`   a result value; keys may repeat
 *   `<id> | <text>`          a line of a command's output (last lines, bounded by the program)
 *   `<id> > <pgid>`          the step started, in this process group
 *   `<id> . <status> <sentence>`  the last line: ok, failed, refused, timeout, cancelled
 * Before the first reply comes the ready line `deployctl-node <protocol> <nonce>`; what stands before it is a start-up file's noise and is
 * kept (bounded) only for messages.
 */
#ifndef NODE_FRAMES_H
#define NODE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

/* A request under construction, appended to `out`. A value with a newline or NUL is ERR_INPUT and names the key. */
void request_begin(struct strbuf *out, uint32_t id, const char *verb);
int request_add(struct strbuf *out, const char *key, const char *value, struct err *err);
int request_addu(struct strbuf *out, const char *key, uint64_t value, struct err *err);
/* One environment variable for a command: `env NAME=value`. */
int request_env(struct strbuf *out, const char *name, const char *value, struct err *err);
void request_end(struct strbuf *out);

enum reply_status { REPLY_OK, REPLY_FAILED, REPLY_REFUSED, REPLY_TIMEOUT, REPLY_CANCELLED };
const char *reply_status_name(enum reply_status status);

struct reply_events {
    void (*ready)(void *context);
    void (*value)(void *context, uint32_t id, const char *key, const char *value);
    void (*output)(void *context, uint32_t id, const char *line);
    void (*started)(void *context, uint32_t id, uint32_t process_group);
    void (*done)(void *context, uint32_t id, enum reply_status status, const char *sentence);
};

#define REPLY_LINE_MAX 65536
#define REPLY_NOISE_MAX 65536

struct reply_reader {
    const struct reply_events *events;
    void *context;
    char nonce[17];
    bool ready;
    struct strbuf line;
    struct strbuf noise; /* what came before the ready line */
};
void reply_reader_init(struct reply_reader *reader, const char nonce[17], const struct reply_events *events,
                       void *context);
void reply_reader_release(struct reply_reader *reader);
/* Feeds bytes as they came; calls events for each whole line. Strings are borrowed until the callback returns. A malformed or over-long line, or noise
 * beyond its bound, is ERR_PROTOCOL: the session is to be closed. Bytes after an event that released the reader must not be fed. */
int reply_reader_feed(struct reply_reader *reader, const char *bytes, size_t length, struct err *err);

#endif
