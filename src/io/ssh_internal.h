/*
 * What the files of io/ssh share. One connection goes RESOLVE -> WAITING_TURN -> CONNECT ->
 * HANDSHAKE -> HOST_KEY -> AUTHENTICATE
 * -> READY -> CLOSED; ssh.c alone assigns the phase.
 *
 * Everything that touches libssh2 happens in ssh_pump, never nested for one connection: a poll
 * event or ssh_wake leads there. A callback of the layer above may close anything; what it closes
 * is freed when the pump is done.
 */
#ifndef IO_SSH_INTERNAL_H
#define IO_SSH_INTERNAL_H

#include <libssh2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "base/strbuf.h"
#include "io/agent.h"
#include "io/known_hosts.h"
#include "io/loop.h"
#include "io/ssh.h"
#include "ssh_key.h"

#define SSH_OUT_HIGH (256 * 1024) /* no channel_write while so much waits for the socket */
#define SSH_WRITE_MAX 32700       /* most that one libssh2_channel_write takes */
#define SSH_SCRATCH (64 * 1024)
#define SSH_READ_BUDGET (512 * 1024) /* a connection's bytes a turn, so that others get theirs */
#define SSH_TURN_BYTES (256 * 1024)  /* read from a peer a turn of the loop, so that the loop turns */
#define SSH_MEMORY_MAX (8 * 1024 * 1024) /* by default: what one connection may make us hold */
#define SSH_TUNNEL_HIGH (256 * 1024) /* a tunnel is not read while so much of it waits here */
#define SSH_SEEN_MAX (16 * 1024)     /* kept of what the peer says before keys are agreed on */
#define SSH_TRIES_MAX 6              /* keys offered: sshd's MaxAuthTries */
#define SSH_LOOKUP_MAX 8

/* A queue of bytes: appended at the end, consumed at the front, moved seldom. */
struct byte_queue {
    char *bytes;
    size_t start, end, capacity;
};
size_t queue_length(const struct byte_queue *queue);
const char *queue_front(const struct byte_queue *queue);
int queue_add(struct byte_queue *queue, const void *bytes, size_t length); /* 0 or ERR_MEMORY */
void queue_consume(struct byte_queue *queue, size_t length);
void queue_release(struct byte_queue *queue);

/* Handshakes to one address (or through one jump host) at once. */
struct pace {
    char *key;
    uint32_t active;
    struct ssh *first, *last; /* waiting for their turn */
    bool eligible;            /* stands in the context's list of those that may start another */
    struct pace *next_eligible;
    struct pace *next; /* in its bucket */
};
#define PACE_BUCKETS 256

/* A connection that others go through. */
struct jump {
    char *key;
    struct ssh *ssh;
    unsigned references;
    bool ready;
    bool failed;
    struct err error;
    struct ssh *waiting; /* by next_waiting */
    struct ssh_context *shared;
    struct jump *next;
};

struct key_file {
    char *path;
    struct ssh_key *key; /* NULL: see error */
    struct err error;
    struct key_file *next;
};

enum agent_state { AGENT_UNASKED, AGENT_ASKED, AGENT_ANSWERED };

struct ssh_context {
    struct loop *loop;
    struct known_hosts *known_hosts;
    char *known_hosts_files; /* for messages */
    char *agent_socket;      /* NULL: none */
    uint32_t per_address, in_all, active;
    size_t memory_max; /* of one connection */
    struct pace *paces[PACE_BUCKETS];
    struct pace *eligible, **eligible_last;
    struct jump *jumps;
    struct key_file *key_files;
    enum agent_state agent_state;
    struct agent_call *agent_call;
    struct err agent_error; /* code 0: the list is good */
    struct ssh_key *agent_keys[AGENT_KEYS_MAX];
    size_t agent_key_count;
    struct ssh *agent_waiting; /* by next_waiting */
    struct random random;
    struct ssh *awake, **awake_last; /* to be pumped in this turn */
    uv_idle_t *idle;
    char *scratch;
};

/* The owned copy of a target. */
struct target {
    char *name, *address, *user, *key;
    uint16_t port;
    char **host_keys;
    size_t host_key_count;
    struct target *jump;
    char label[400]; /* `user@address:port` */
};
struct target *target_copy(const struct ssh_target *from);
void target_free(struct target *target);

enum auth_step { AUTH_START, AUTH_WAIT_AGENT_LIST, AUTH_TRY, AUTH_ASK_WAYS, AUTH_DONE };
enum sign_step { SIGN_IDLE, SIGN_ASKED, SIGN_GOOD, SIGN_FAILED };

struct auth {
    enum auth_step step;
    struct ssh_key *keys[SSH_TRIES_MAX];
    size_t key_count, at;
    size_t left_out; /* keys beyond SSH_TRIES_MAX */
    char method[32]; /* algorithm of the try under way */

    struct strbuf blob; /* the blob of the try under way: must stay the same over EAGAIN */
    enum sign_step sign;
    struct agent_call *agent_call;
    struct strbuf signature;
    bool taken;          /* a key was good, and still no login: more is wanted than that */
    struct strbuf tried; /* for the message: `path (ssh-ed25519 SHA256:...), ...` */
    struct strbuf notes; /* what kept keys from being tried */
};

struct ssh {
    struct ssh_context *shared;
    struct target *target;
    enum ssh_phase phase;
    ssh_ready_fn *ready;
    ssh_lost_fn *lost;
    void *context;

    /* time */
    struct timer *deadline;
    int64_t timeout_ms, left_ms, clock_since_ms;
    bool clock_runs;
    struct timer *later; /* failure to be told, next address, next try */
    uint32_t tries;      /* dropped before the banner so far */

    /* way there */
    struct lookup *lookup;
    struct sockaddr_storage addresses[SSH_LOOKUP_MAX];
    size_t address_count, address_at;
    int connect_errno;
    struct jump *jump;
    struct ssh *next_waiting;
    struct pace *pace;
    struct ssh *next_paced;
    bool has_turn;

    /* transport */
    int fd;
    uv_poll_t *poll;
    int poll_events;
    struct ssh_channel *tunnel;
    struct byte_queue
        input; /* from the tunnel, or what was read ahead while no channel asks for it */
    struct byte_queue out;
    struct strbuf seen; /* before keys are agreed on */
    size_t seen_at;
    bool input_ended, transport_dead;

    /* bounds (ssh_bounds.c) */
    size_t turn_left; /* bytes that may still be read in this turn */
    bool turn_ended;  /* it may not read on before the next turn */
    bool banner_found;
    size_t banner_line, banner_lines; /* where in `seen` the line under way begins; whole lines before it */
    size_t session_memory; /* what libssh2 has allocated for this session */
    size_t held;           /* what the layers above keep of what this peer sent */
    size_t carried;        /* connections of other nodes that go through this one */

    bool drained; /* nothing is left in the socket: it is not asked again before the loop says that something came */
    int transport_errno;
    int64_t last_in_ms;
    uint64_t bytes_in, bytes_out;

    LIBSSH2_SESSION *session;
    bool handshake_begun, handshake_done;
    struct known_host_keys *known; /* until the host key is judged */
    unsigned types_refused;        /* bits of key types whose key matched no pin */
    struct auth auth;

    struct ssh_channel *channels, **channels_last;
    struct ssh_channel *opening; /* libssh2 opens one at a time a session */
    LIBSSH2_CHANNEL *spare; /* a finished channel, kept so that an idle connection can be read */

    struct err failure; /* code 0: none */
    bool told;          /* ready or failed has been told */
    bool begun, pumping, closed, woken;
    struct ssh *next_awake;
};

/* ssh.c */
void ssh_enter(struct ssh *ssh, enum ssh_phase phase);
/* Remembers the failure; the first one counts. It is told by the loop, not from here. */
void ssh_fail(struct ssh *ssh, const struct err *error);
void ssh_failf(struct ssh *ssh, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void ssh_wake(struct ssh *ssh);
void ssh_pump(struct ssh *ssh);
void ssh_clock_run(struct ssh *ssh);
void ssh_clock_pause(struct ssh *ssh);
void ssh_try_again(struct ssh *ssh, int64_t delay_ms);

/* ssh_pace.c */
int pace_enter(struct ssh *ssh, const char *key);
void pace_leave(struct ssh *ssh);
void pace_release_all(struct ssh_context *shared);

/* ssh_jump.c */
int jump_join(struct ssh *ssh);
void jump_leave(struct ssh *ssh);
/* A tunnel to the target, as ssh->tunnel; NULL when out of memory. */
struct ssh_channel *jump_tunnel(struct ssh *ssh, const struct ssh_channel_events *events);
void jump_tunnel_gone(struct ssh *ssh); /* it has been closed */
void jumps_release(struct ssh_context *shared);

/* ssh_connect.c */
void connect_begin(struct ssh *ssh);    /* resolve, or join the jump host */
void connect_turn(struct ssh *ssh);     /* the turn has come */
void connect_continue(struct ssh *ssh); /* the socket is writable */
void connect_stop(struct ssh *ssh);

/* ssh_transport.c */
int transport_watch(struct ssh *ssh);
void transport_poll(struct ssh *ssh); /* asks the loop for what is needed now */
int transport_session(struct ssh *ssh);
void transport_flush(struct ssh *ssh);
/* Reads the socket of a connection that has no channel, and so no call of libssh2 that would read
 * it. */
void transport_read_ahead(struct ssh *ssh);
void transport_release(struct ssh *ssh, bool polite);
int transport_socket_options(int fd);
int transport_outer_fd(const struct ssh *ssh);

/* ssh_bounds.c: what a peer can make us do and keep. */
void bounds_begin_turn(struct ssh *ssh);
bool bounds_turn_ended(struct ssh *ssh); /* no byte may be read before the next turn */
void bounds_count_turn(struct ssh *ssh, size_t length);
/* Bytes `from` to `to` of `seen` have gone to libssh2. */
void bounds_count_banner(struct ssh *ssh, size_t from, size_t to);
/* Too many bytes or lines without a banner: libssh2 itself would read on for ever. */
bool bounds_banner_exceeded(const struct ssh *ssh);
/* Counts by libssh2's allocator, which sees what it queues (packets of unknown types too) with its overhead and its leaks. */
LIBSSH2_ALLOC_FUNC(bounds_alloc);
LIBSSH2_REALLOC_FUNC(bounds_realloc);
LIBSSH2_FREE_FUNC(bounds_free);
/* True when the connection holds more than it may: then the failure is set. */
bool bounds_memory_exceeded(struct ssh *ssh);

/* ssh_hostkey.c */
void hostkey_prepare(struct ssh *ssh);
/* True when accepted; otherwise the failure is set, or another try has been asked for. */
bool hostkey_check(struct ssh *ssh);

/* ssh_auth.c: true when authenticated; false: waiting or failed. */
bool auth_step(struct ssh *ssh);
void auth_release(struct ssh *ssh);

/* ssh_auth_keys.c: which keys to try. */
bool auth_collect(struct ssh *ssh); /* false: waiting for the agent's list, or failed */
void auth_agent_forget(struct ssh *ssh);
void auth_keys_release(struct ssh_context *shared);

/* ssh_channel.c */
void channels_step(struct ssh *ssh);
void channels_fail(struct ssh *ssh, const struct err *error);
void channels_release(struct ssh *ssh);
void channels_sweep(struct ssh *ssh);

/* ssh_explain.c */
void explain_connect(struct ssh *ssh);
void explain_handshake(struct ssh *ssh);
void explain_deadline(struct ssh *ssh);
/* `ways`: by which methods the server would still let us in, by comma; NULL: not known. */
void explain_auth(struct ssh *ssh, const char *ways);
void explain_lost(struct ssh *ssh, const char *doing);
void explain_session(struct ssh *ssh, struct err *error, const char *doing);
/* Dropped before its banner, as sshd's MaxStartups does. */
bool dropped_before_banner(const struct ssh *ssh);

/* ssh_algorithms.c */
int algorithms_apply(LIBSSH2_SESSION *session, const char *host_keys);
/* A name list of the peer's KEXINIT (RFC 4253 section 7.1): 0 key exchange, 1 host key, 2 and 3
 * ciphers, 4 and 5 MACs. False when it did not come whole. */
bool peer_algorithms(const struct ssh *ssh, size_t list, char *out, size_t size);
/* Borrowed; NULL when none came. */
const char *peer_banner_line(const struct ssh *ssh, size_t *length);
bool list_has(const char *list, const char *name);
struct algorithm_mismatch {
    const char *what;    /* `MAC` */
    const char *setting; /* `MACs` */
    bool is_mac, is_host_key;
    char offered[600];
};
/* True when one of the lists has nothing that both sides know. */
bool algorithms_mismatch(const struct ssh *ssh, struct algorithm_mismatch *out);

#endif
