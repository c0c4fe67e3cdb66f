/*
 * Requests to the node's program and its replies, as lines of text. Never does IO, never decides.
 *
 * Request:  `<id> <verb>` newline, then `<key> <value>` lines, then an empty line. Keys are [a-z_][a-z0-9_]* ; values hold no newline and no NUL.
 * Reply lines, each begins with the request's id:
 *   `<id> = <key> <value>`   a result value; keys may repeat
 *   `<id> | <text>`          a line of a command's output (last lines, bounded by the program)
 *   `<id> > <pgid>`          the step started, in this process group
 *   `<id> . <status> <sentence>`  the last line: ok, failed, refused, timeout, cancelled
 * Before the first reply comes the ready line `deployctl-node <protocol> <nonce>`; what stands before it is a start-up file's noise and is
 * kept (bounded) only for messages. With `become yes` and a root folder that the login user cannot write, the program starts itself again under
 * sudo and hands the pending `open` on: the ready line then comes a second time (the reader swallows it) and the new program answers.
 *
 * Verbs: keys (? may be absent) -> values. `open` comes first. C: changes something, needs `fence GENERATION` and `epoch N`, and is refused when the lock
 * was lost, or a newer epoch of that generation has settled. An epoch is a session's, from 1 on, higher than those of the sessions before it; the
 * program travels with its runner, so a request without one is refused, not served as before. R: besides recorded under its `token`?, one at a time; a token that has an end on record is answered from there (value
 * `recorded yes`). Each with a fence also takes `breaker`?* (`open|half-open|closed SINCE node|dependency NAME CAUSE`, SINCE in ms since 1970 by
 * the runner's clock, NAME without blanks: %XX), which the journal notes; nothing depends on it. Each takes `timeout SECONDS` or `timeout_ms`?; the defaults are in brackets. Names are of [A-Za-z0-9._-].
 *   open      root? service? unit? start? stop? reload? become? shared?* keep? pin?* (letters that a release, or its commit, begins with) -> user, protocol, elevated yes|no (the data channel then
 *             needs node_receive_command(1)), temporary, tool NAME yes|no *
 *             With slots also `slot_unit NAME UNIT|-` for each, `slot_start NAME COMMAND`?, `slot_stop NAME COMMAND`?: where a slot has none
 *             start and stop are its too. One slot alone: the node is that side, and `current` moves with the slot. What concerns an
 *             instance then has `slot NAME`: activate, stop, commit, keep_old, unit, evidence, logs.
 *   facts     -> now, uptime, current ID|-, current_state ok|none|dangling|foreign|not-a-link, current_good, previous ID|-,
 *             release ID good|staged|failed|incomplete *, committed RELEASE ROLLOUT KIND BEFORE|- (the last commit, as long as `retract` can take it
 *             back; BEFORE: what was committed before it), chain ROLLOUT ... (who took the lock last, and the runs it goes on with), disk_free, disk_total, inodes_free, writable, sudo ok|TEXT, unit_* as of `unit`,
 *             lock free|held|expired, lock_holder lock_rollout lock_generation lock_age lock_ttl lock_held (for how long) lock_runner?, wish as of `renew`, open_rollout ID STEP RELEASE KIND,
 *             ended_rollout ID OUTCOME RESULT (the last one that ended here), breaker ROLLOUT STATE SINCE KIND NAME CAUSE * (64 at most: how
 *             those of the newest run were last, as it told this node), confirm armed|lost SECONDS
 *             RELEASE PREVIOUS, reverted ... as of `confirm`: what a timer put back, until the next activation,
 *             migration NAME running|done|failed|undone|unknown RELEASE KIND *, live_slot NAME EPOCH of the last commit in a slot,
 *             slot NAME RELEASE|- running|stopped BEFORE|-|committed SECONDS|- *: what it linked before an activation that is not committed, and how
 *             long until it is stopped [60 s]
 *   lock      rollout holder ttl release? kind? resumes? (the runs it goes on with, a blank between) reason? (why past a point of no return) minimum? (the least generation it may have) token? runner? (its process, see io/process_identity.h)
 *             takeover? (the generation that is held by a process that has ended) -> generation, taken_over?, warning?; refused: holder rollout generation age ttl.
 *             The same token again, while held, answers the same generation; once that has ended, a request with a token is refused.
 *   wish      rollout kind pause|abort holder: for the rollout that holds the lock; refused when that is another or none
 *   renew C -> wish pause|abort HOLDER?;  unlock C;  break: generation? holder? -> holder ...;  finish C: release? status? result open? (`yes`: this run, `before`: what was open before it) migration?* (`NAME RELEASE KIND`, done) -> the journal's end, and unlocks
 *   settle    fence, or none when nobody holds a lease -> last_token TOKEN|-, last_verb, last_state none|ok|failed|timeout|cancelled|killed|lost,
 *             last_sentence?; ends what earlier sessions left running. With a fence the session's epoch counts from then on. After `lock`, before the first
 *             step: none begins without.
 *   stage R   release sha256 bytes unpacked manifest_sha256 entries? -> have yes | have no, path FILE [600 s]
 *   unpack R  release sha256 compression zstd|gzip manifest_sha256 tar_bytes? (no more of it is unpacked) [600 s];  discard R: release
 *   activate R  release ID|- env?* -> was ID|-, switched yes, warning?* [600 s]; with `confirm SECONDS`, `previous ID|-`: first arms the
 *             timer that puts `previous` back unless confirmed in that time (a failure to arm fails the step before the switch); without,
 *             ends a timer that runs
 *             With `slot NAME`: the slot links the release and its instance is started; the other one and `current` are not touched. Where it
 *             runs that release already nothing is done: `running yes`.
 *   restart R release env?* -> was ID, warning?*: as an activation of the release that is current (another one is a failure); nothing is switched,
 *             no timer begins or ends [600 s]
 *   stop R      slot env?*: stops the instance; the slot links again what it did before an activation that was not committed [600 s]
 *   keep_old R  slot seconds env?*: arms a timer that stops the slot once nobody holds the lock, unless one is activated before [300 s]
 *   confirm C   release: ends the timer; ok also when there is none for this release, or it was confirmed before; refused over the
 *             connection that activated, and when it came too late (reverted EPOCH RELEASE PREVIOUS ROLLOUT ok|failed SENTENCE)
 *   run R     command name? release? (its folder; else current) env?* -> status N [600 s]; status failed when N is not 0
 *   migrate R command name release kind expand|contract|irreversible down yes? again yes? env?* -> as `run`. Once: one that is done answers ok and
 *             runs nothing, one that began and has no end is refused unless `again`; `down` needs one that is done [600 s]
 *   probe     command release? env?* -> status N [60 s];  exec: command env?* -> status N, up to 256 KiB of output [no limit]
 *   unit      -> unit_load unit_active unit_sub unit_restarts unit_main_pid unit_result;  evidence: lines -> unit_status, rights?, output
 *   commit R  release slot? (then `current` follows it) kind rollback? previous? pinned yes|no? -> pruned ID *, warning *;  failed R: release
 *   retract R release: takes its commit back, when that was the last one: what was good before is again [300 s]
 *   history   lines -> rollout ID START END|- WHO RELEASE RESULT * (blanks in WHO are `_`)
 *   logs      lines since SECONDS? follow yes? -> rights?, output: the service's last lines, with follow also those that come, each sent at once,
 *             until `cancel` or the connection's end [60 s; with follow a day]
 *   verify    release? (else the current one) -> release, changed|missing|extra PATH * (100 at most), differences N; status failed when there are some
 *   cancel    target ID: answers at once; the step's own reply comes when it has ended.  bye: steps go on, then the program ends
 * A step that timed out or was cancelled is answered only when nobody of its process group is left; when somebody cannot be ended within
 * 12 seconds: status failed, value `unended PGID`.
 */
#ifndef NODE_FRAMES_H
#define NODE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

/* How the sentence begins with which a changing step is refused whose generation is not the one that counts any more. */
#define NODE_LOCK_LOST "the lock of generation "

/* A request under construction, appended to `out`. A value with a newline or NUL is ERR_INPUT and names the key. */
void request_begin(struct strbuf *out, uint32_t id, const char *verb);
int request_add(struct strbuf *out, const char *key, const char *value, struct err *err);
int request_addu(struct strbuf *out, const char *key, uint64_t value, struct err *err);
/* One environment variable for a command: `env NAME=value`. */
int request_env(struct strbuf *out, const char *name, const char *value, struct err *err);
void request_end(struct strbuf *out);

enum reply_status { REPLY_OK, REPLY_FAILED, REPLY_REFUSED, REPLY_TIMEOUT, REPLY_CANCELLED };
const char *reply_status_name(enum reply_status status);

/* Each may be NULL. */
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
    char greeting[48]; /* the ready line */
    size_t greeting_length;
    bool ready;
    struct strbuf line;
    struct strbuf noise; /* what came before the ready line */
};
void reply_reader_init(struct reply_reader *reader, const char nonce[17], const struct reply_events *events,
                       void *context);
void reply_reader_release(struct reply_reader *reader);
/* Feeds bytes as they came; calls events for each whole line. Strings are borrowed until the callback returns. A malformed or over-long line, or noise
 * beyond its bound, is ERR_PROTOCOL: the session is to be closed. Bytes after an event that released the reader must not be fed; a callback
 * may release the reader, whose struct must stay until this returns. */
int reply_reader_feed(struct reply_reader *reader, const char *bytes, size_t length, struct err *err);

#endif
