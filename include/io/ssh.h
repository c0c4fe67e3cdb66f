/*
 * SSH connections over non-blocking libssh2 (TECHFACTS sections 1 and 2), driven by the loop.
 *
 * One `struct ssh` is one authenticated connection; channels on it are commands or TCP tunnels. Host keys are always checked, never
 * accepted silently. Every wait has a deadline. Never decides what a failure means: it reports the phase, the class
 * (ERR_UNREACHABLE, ERR_AUTH, ERR_HOST_KEY, ERR_TIMEOUT, ERR_PROTOCOL) and a sentence that says what to try.
 *
 * A peer that is gone: a reset or an end is told at once; bytes it does not acknowledge for 30 s, or 30 s of unanswered TCP keep-alive
 * probes when nothing is sent, too. One that is there and hangs is the caller's to notice, by ssh_idle_ms.
 *
 * A hostile peer, authenticated or not: before its banner it gets 16 KiB and 1024 lines; in each turn of the loop 256 KiB of it are read; and what
 * it makes us keep (libssh2's queues, ours, and what the layers above count by ssh_hold) is bounded by `memory_max`. Past a bound the connection fails
 * with ERR_PROTOCOL; other connections, timers and signals go on in between.
 *
 * Callbacks never run inside the call that asked for them. After ssh_close no callback of the connection or its channels comes.
 */
#ifndef IO_SSH_H
#define IO_SSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"

#define SSH_KEYS_MAX 16

/* What one run shares: known_hosts (read once), the agent's socket, pacing of handshakes. */
struct ssh_context;
struct ssh_settings {
    const char *const *known_hosts; /* paths; NULL-terminated; missing files are fine.
                                     * NULL: ~/.ssh/known_hosts ~/.ssh/known_hosts2 /etc/ssh/ssh_known_hosts */
    const char *agent_socket;       /* NULL: $SSH_AUTH_SOCK; "": no agent */
    uint32_t handshakes_per_address; /* not yet authenticated at once to one address or jump host; 8 (MaxStartups 10:30:100) */
    uint32_t handshakes;            /* at once in all; 64 */
    size_t memory_max; /* what one connection may make us keep; 8 MiB, and as much again for each connection that goes through it */
};
int ssh_context_create(struct ssh_context **out, struct loop *loop, const struct ssh_settings *settings,
                       struct err *err);
void ssh_context_free(struct ssh_context *context);

/* One end: everything is copied by ssh_open. */
struct ssh_target {
    const char *name;    /* for messages: the node's name */
    const char *address;
    uint16_t port;
    const char *user;    /* NULL: the operator's login name */
    const char *key;     /* private key file, `~/` allowed; NULL: ~/.ssh/id_ed25519, id_ecdsa, id_rsa and the agent */
    const char *const *host_keys; /* pinned "SHA256:..." (OpenSSH form); count 0: known_hosts decides */
    size_t host_key_count;
    const struct ssh_target *jump; /* connect through this one; NULL: directly */
};

enum ssh_phase {
    SSH_RESOLVE, SSH_WAITING_TURN, SSH_CONNECT, SSH_HANDSHAKE, SSH_HOST_KEY, SSH_AUTHENTICATE, SSH_READY, SSH_CLOSED
};
const char *ssh_phase_name(enum ssh_phase phase);

struct ssh;
/* Called once when the connection is ready (error NULL) or could not be made. After a failure the ssh is still to be ssh_close'd. */
typedef void ssh_ready_fn(void *context, const struct err *error);
/* Called once if a ready connection is lost. Every open channel's `closed` came before it, with ERR_UNREACHABLE. */
typedef void ssh_lost_fn(void *context, const struct err *error);

/* Starts connecting; tries again by itself, with jittered back-off within `timeout_ms`, only what sshd's MaxStartups drops
 * ("Failed getting banner"); authentication is never repeated. NULL only when out of memory.
 * The time spent waiting for a turn, or for a shared jump host (which has its own deadline), is not counted in `timeout_ms`, so that a
 * large fleet behind one address does not fail for its size. */
struct ssh *ssh_open(struct ssh_context *shared, const struct ssh_target *target, int64_t timeout_ms,
                     ssh_ready_fn *ready, ssh_lost_fn *lost, void *context);
/* Ends everything at once without waiting for the peer; a shared jump connection stays while others use it. NULL is fine. */
void ssh_close(struct ssh *ssh);
enum ssh_phase ssh_phase(const struct ssh *ssh);
/* Milliseconds since the peer last sent anything. */
int64_t ssh_idle_ms(const struct ssh *ssh);
uint64_t ssh_bytes_in(const struct ssh *ssh);
/* The layers above keep so many bytes more, or less, of what the peer sent: they count in its `memory_max`. */
void ssh_hold(struct ssh *ssh, size_t bytes);
void ssh_unhold(struct ssh *ssh, size_t bytes);
uint64_t ssh_bytes_out(const struct ssh *ssh);

struct ssh_channel;
struct ssh_channel_events {
    /* May be NULL. The channel is open: for commands, the command was accepted. */
    void (*opened)(void *context);
    /* Bytes from the peer; borrowed until it returns. is_error: the stderr stream. */
    void (*received)(void *context, const char *bytes, size_t length, bool is_error);
    /* May be NULL. What was queued has shrunk below SSH_CHANNEL_LOW: more may be written. */
    void (*writable)(void *context);
    /* Once, last. error NULL: the peer ended it in order; status is the exit status (commands), or -1 when a signal ended it.
     * Otherwise the channel could not be opened or the connection was lost. */
    void (*closed)(void *context, const struct err *error, int status);
};
#define SSH_CHANNEL_LOW (128 * 1024)
#define SSH_CHANNEL_HIGH (256 * 1024)

/* Runs a command line (a constant text of ours, at most 30,000 bytes) in the login shell, without a terminal. NULL when out of memory. */
struct ssh_channel *ssh_exec(struct ssh *ssh, const char *command, const struct ssh_channel_events *events,
                             void *context);
/* A TCP connection made by the far sshd (direct-tcpip). */
struct ssh_channel *ssh_tunnel(struct ssh *ssh, const char *host, uint16_t port,
                               const struct ssh_channel_events *events, void *context);
/* Takes as much as fits below SSH_CHANNEL_HIGH queued bytes and returns how much; 0: wait for `writable`. */
size_t ssh_channel_write(struct ssh_channel *channel, const void *bytes, size_t length);
/* Stops reading from the channel, or goes on: meanwhile the peer fills its window (2 MiB) and then waits. */
void ssh_channel_pause(struct ssh_channel *channel, bool paused);
/* Nothing more will be written (EOF after what is queued). */
void ssh_channel_end(struct ssh_channel *channel);
/* Forgets the channel; no callback comes after. A remote command goes on running: ending it is the node program's work. */
void ssh_channel_close(struct ssh_channel *channel);

#endif
