#include "io/ssh.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/backoff.h"
#include "ssh_internal.h"

const char *ssh_phase_name(enum ssh_phase phase)
{
    static const char *const names[] = {
        "resolve", "waiting for its turn", "connect", "handshake", "host key", "login", "ready",
        "closed"};
    return names[phase];
}

void ssh_enter(struct ssh *ssh, enum ssh_phase phase)
{
    ssh->phase = phase;
}

void ssh_fail(struct ssh *ssh, const struct err *error)
{
    if (ssh->failure.code == 0) {
        ssh->failure = *error;
        ssh_wake(ssh);
    }
}

void ssh_failf(struct ssh *ssh, int code, const char *format, ...)
{
    struct err error;
    va_list arguments;
    va_start(arguments, format);
    err_set_va(&error, code, format, arguments);
    va_end(arguments);
    ssh_fail(ssh, &error);
}

static void on_deadline(void *context)
{
    struct ssh *ssh = context;
    ssh->deadline = NULL;
    ssh->clock_runs = false;
    ssh->left_ms = 0;
    explain_deadline(ssh);
}

void ssh_clock_run(struct ssh *ssh)
{
    if (ssh->clock_runs) {
        return;
    }
    ssh->clock_runs = true;
    ssh->clock_since_ms = loop_now_ms(ssh->shared->loop);
    ssh->deadline = timer_start(ssh->shared->loop, ssh->left_ms, on_deadline, ssh);
    if (ssh->deadline == NULL) {
        ssh_failf(ssh, ERR_MEMORY, "out of memory");
    }
}

void ssh_clock_pause(struct ssh *ssh)
{
    if (!ssh->clock_runs) {
        return;
    }
    ssh->clock_runs = false;
    ssh->left_ms -= loop_now_ms(ssh->shared->loop) - ssh->clock_since_ms;
    timer_stop(ssh->deadline);
    ssh->deadline = NULL;
}

static void on_try_again(void *context)
{
    struct ssh *ssh = context;
    ssh->later = NULL;
    connect_begin(ssh);
}

void ssh_try_again(struct ssh *ssh, int64_t delay_ms)
{
    transport_release(ssh, false);
    ssh->transport_errno = 0;
    pace_leave(ssh);
    ssh_enter(ssh, SSH_RESOLVE);
    timer_stop(ssh->later);
    ssh->later = timer_start(ssh->shared->loop, delay_ms, on_try_again, ssh);
    if (ssh->later == NULL) {
        ssh_failf(ssh, ERR_MEMORY, "out of memory");
    }
}

/* By chance, so that those dropped together do not come back together. */
static int64_t back_off_ms(struct ssh *ssh)
{
    static const struct backoff_rules rules = {.base_ms = 250, .max_ms = 4000};

    return backoff_delay_ms(&rules, ssh->tries - 1, &ssh->shared->random);
}

static bool step_handshake(struct ssh *ssh)
{
    ssh->handshake_begun = true;
    int rc = libssh2_session_handshake(ssh->session, transport_outer_fd(ssh));
    if (rc == LIBSSH2_ERROR_EAGAIN) {
        return false;
    }
    if (rc == 0) {
        ssh->handshake_done = true;
        ssh_enter(ssh, SSH_HOST_KEY);
        return true;
    }
    if (dropped_before_banner(ssh)) {
        ssh->tries++;
        ssh_try_again(ssh, back_off_ms(ssh));
        return false;
    }
    explain_handshake(ssh);
    return false;
}

static void become_ready(struct ssh *ssh)
{
    ssh_enter(ssh, SSH_READY);
    ssh_clock_pause(ssh);
    auth_release(ssh);
    free(ssh->known);
    ssh->known = NULL;
    pace_leave(ssh);
    ssh->told = true;
    ssh->ready(ssh->context, NULL);
}

static bool alive(const struct ssh *ssh)
{
    return !ssh->closed && ssh->failure.code == 0;
}

/* Falls from each phase into the next: what the peer sent may be buffered already. */
static void work(struct ssh *ssh)
{
    if (ssh->phase == SSH_RESOLVE && !ssh->begun) {
        ssh->begun = true;
        connect_begin(ssh);
    }
    if (alive(ssh) && ssh->phase == SSH_CONNECT) {
        connect_continue(ssh);
    }
    if (alive(ssh) && ssh->phase == SSH_HANDSHAKE && !step_handshake(ssh)) {
        return;
    }
    if (alive(ssh) && ssh->phase == SSH_HOST_KEY) {
        if (!hostkey_check(ssh)) {
            return;
        }
        ssh_enter(ssh, SSH_AUTHENTICATE);
    }
    if (alive(ssh) && ssh->phase == SSH_AUTHENTICATE) {
        if (!auth_step(ssh)) {
            return;
        }
        become_ready(ssh);
    }
    if (alive(ssh) && ssh->phase == SSH_READY) {
        channels_step(ssh);
    }
}

/* Gives back all but the memory. Twice is fine. */
static void release_resources(struct ssh *ssh, bool polite)
{
    ssh_clock_pause(ssh);
    connect_stop(ssh);
    transport_release(ssh, polite);
    auth_release(ssh);
    pace_leave(ssh);
    jump_leave(ssh);
}

static void tell_failure(struct ssh *ssh)
{
    bool was_ready = ssh->told;
    struct err error = ssh->failure;

    channels_fail(ssh, &error);
    release_resources(ssh, false);
    ssh_enter(ssh, SSH_CLOSED);
    ssh->told = true;
    if (ssh->closed) {
        return;
    }
    if (!was_ready) {
        ssh->ready(ssh->context, &error);
    } else if (ssh->lost != NULL) {
        ssh->lost(ssh->context, &error);
    }
}

static void dispose(struct ssh *ssh)
{
    release_resources(ssh, ssh->failure.code == 0);
    if (ssh->woken) {
        return; /* the list of the awake still points here; it frees */
    }
    channels_release(ssh);
    free(ssh->known);
    target_free(ssh->target);
    free(ssh);
}

void ssh_pump(struct ssh *ssh)
{
    if (ssh->pumping) {
        return;
    }
    ssh->pumping = true;
    bounds_begin_turn(ssh);
    if (alive(ssh)) {
        work(ssh);
        transport_flush(ssh);
    }
    if (alive(ssh) && ssh->turn_ended) {
        ssh_wake(ssh);
    }
    if (!ssh->closed && ssh->failure.code != 0 && ssh->phase != SSH_CLOSED) {
        tell_failure(ssh);
    } else if (!ssh->closed && ssh->phase == SSH_CLOSED && ssh->channels != NULL) {
        channels_fail(ssh, &ssh->failure); /* asked for after the end */
    }
    ssh->pumping = false;
    if (ssh->closed) {
        dispose(ssh);
        return;
    }
    channels_sweep(ssh);
    transport_poll(ssh);
}

struct ssh *ssh_open(struct ssh_context *shared, const struct ssh_target *target,
                     int64_t timeout_ms, ssh_ready_fn *ready, ssh_lost_fn *lost, void *context)
{
    struct ssh *ssh = calloc(1, sizeof(*ssh));
    if (ssh == NULL) {
        return NULL;
    }
    ssh->target = target_copy(target);
    if (ssh->target == NULL) {
        free(ssh);
        return NULL;
    }
    ssh->shared = shared;
    ssh->ready = ready;
    ssh->lost = lost;
    ssh->context = context;
    ssh->timeout_ms = timeout_ms;
    ssh->left_ms = timeout_ms;
    ssh->fd = -1;
    ssh->channels_last = &ssh->channels;
    ssh->last_in_ms = loop_now_ms(shared->loop);
    strbuf_init(&ssh->seen, SSH_SEEN_MAX);
    strbuf_init(&ssh->auth.blob, 16 * 1024);
    strbuf_init(&ssh->auth.signature, 16 * 1024);
    strbuf_init(&ssh->auth.tried, 700);
    strbuf_init(&ssh->auth.notes, 500);
    ssh_clock_run(ssh);
    ssh_wake(ssh);
    return ssh;
}

void ssh_close(struct ssh *ssh)
{
    if (ssh == NULL || ssh->closed) {
        return;
    }
    ssh->closed = true;
    if (!ssh->pumping) {
        dispose(ssh);
    }
}

enum ssh_phase ssh_phase(const struct ssh *ssh)
{
    return ssh->phase;
}

int64_t ssh_idle_ms(const struct ssh *ssh)
{
    return loop_now_ms(ssh->shared->loop) - ssh->last_in_ms;
}

uint64_t ssh_bytes_in(const struct ssh *ssh)
{
    return ssh->bytes_in;
}

uint64_t ssh_bytes_out(const struct ssh *ssh)
{
    return ssh->bytes_out;
}
