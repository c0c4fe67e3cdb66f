#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ssh_internal.h"

static const char *label_of(const struct ssh *ssh)
{
    return ssh->target->label;
}

static const char *errno_advice(int number)
{
    switch (number) {
    case ECONNREFUSED:
        return "; is sshd running there, and is the port right (port=...)?";
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "; is the node up and on this network, or is it behind a jump host (jump=...)?";
    case ETIMEDOUT:
        return "; is the node up, and does a firewall let this port through?";
    case EACCES:
    case EPERM:
        return "; a local firewall forbids it";
    case EMFILE:
    case ENFILE:
        return "; raise the limit of open files (ulimit -n), or lower --forks";
    default:
        return "";
    }
}

void explain_connect(struct ssh *ssh)
{
    char others[64] = "";
    if (ssh->address_count > 1) {
        snprintf(others, sizeof(others), " (the last of %zu addresses)", ssh->address_count);
    }
    ssh_failf(ssh, ERR_UNREACHABLE, "connect to %s: %s%s%s", label_of(ssh),
              strerror(ssh->connect_errno), others, errno_advice(ssh->connect_errno));
}

void explain_session(struct ssh *ssh, struct err *error, const char *doing)
{
    char *text = NULL;
    int code = ssh->session != NULL ? libssh2_session_last_error(ssh->session, &text, NULL, 0) : 0;
    err_set(error, ERR_UNREACHABLE, "%s: %s, libssh2 %d", doing,
            text != NULL && *text != '\0' ? text : "no further word", code);
}

static bool seen_starts(const struct ssh *ssh, const char *text)
{
    size_t length = strlen(text);
    return ssh->seen.length >= length && memcmp(ssh->seen.text, text, length) == 0;
}

static bool transport_ended(const struct ssh *ssh)
{
    return ssh->input_ended || ssh->transport_errno != 0;
}

bool dropped_before_banner(const struct ssh *ssh)
{
    return transport_ended(ssh) &&
           (ssh->seen.length == 0 || seen_starts(ssh, "Exceeded MaxStartups"));
}

/* The first thing the peer said, fit to show. */
static void first_line(const struct ssh *ssh, struct strbuf *out)
{
    const char *end = memchr(ssh->seen.text, '\n', ssh->seen.length);
    size_t length = end != NULL ? (size_t)(end - ssh->seen.text) : ssh->seen.length;
    text_sanitize(out, ssh->seen.text, length < 80 ? length : 80, false);
    strbuf_trim_end(out);
}

static void explain_not_ssh(struct ssh *ssh)
{
    struct strbuf line;
    strbuf_init(&line, 400);
    first_line(ssh, &line);
    if (seen_starts(ssh, "Not allowed at this time")) {
        ssh_failf(
            ssh, ERR_UNREACHABLE,
            "handshake with %s: its sshd shuts this address out for a while after failed logins "
            "(PerSourcePenalties); wait some minutes, correct the key, then try once",
            label_of(ssh));
    } else {
        ssh_failf(
            ssh, ERR_PROTOCOL,
            "handshake with %s: not an SSH server: it says \"%s\"; is the port right (port=...)?",
            label_of(ssh), line.text);
    }
    strbuf_release(&line);
}

static void explain_mismatch(struct ssh *ssh, const struct algorithm_mismatch *mismatch)
{
    const char *advice = "";
    char settings[160];
    if (mismatch->is_host_key) {
        advice = "; give the server an ed25519 host key (ssh-keygen -A), or use libssh2 1.11 here";
    } else if (mismatch->is_mac) {
        advice = "; add hmac-sha2-256 to MACs in its sshd_config, or use libssh2 1.11 here";
    } else {
        snprintf(settings, sizeof(settings), "; add one that we have to %s in its sshd_config",
                 mismatch->setting);
        advice = settings;
    }
    ssh_failf(
        ssh, ERR_PROTOCOL,
        "handshake with %s: no %s algorithm in common: it offers only %s, which libssh2 %s does "
        "not have%s",
        label_of(ssh), mismatch->what, mismatch->offered, libssh2_version(0), advice);
}

void explain_handshake(struct ssh *ssh)
{
    struct algorithm_mismatch mismatch;
    struct err detail;
    size_t length;

    if (ssh->seen.length == 0 || dropped_before_banner(ssh)) {
        ssh_failf(
            ssh, ERR_UNREACHABLE,
            "handshake with %s: it closed the connection before its SSH banner (%u times)%s%s; "
            "too many logins at once (MaxStartups), a penalty, or a firewall in between",
            label_of(ssh), ssh->tries, ssh->transport_errno != 0 ? ": " : "",
            ssh->transport_errno != 0 ? strerror(ssh->transport_errno) : "");
    } else if (peer_banner_line(ssh, &length) == NULL) {
        explain_not_ssh(ssh);
    } else if (algorithms_mismatch(ssh, &mismatch)) {
        explain_mismatch(ssh, &mismatch);
    } else {
        explain_session(ssh, &detail, "key exchange");
        ssh_failf(ssh, transport_ended(ssh) ? ERR_UNREACHABLE : ERR_PROTOCOL,
                  "handshake with %s: %s%s; look at its sshd's log", label_of(ssh),
                  transport_ended(ssh) ? "it closed the connection after its banner: " : "",
                  detail.message);
    }
}

void explain_deadline(struct ssh *ssh)
{
    long long ms = (long long)ssh->timeout_ms;
    size_t length;
    switch (ssh->phase) {
    case SSH_RESOLVE:
        if (ssh->tries > 0) {
            explain_handshake(ssh);
            return;
        }
        ssh_failf(ssh, ERR_TIMEOUT,
                  "resolve %s: no answer within %lld ms; check the name server, or give the node's "
                  "address in the inventory (address=...)",
                  ssh->target->address, ms);
        return;
    case SSH_CONNECT:
        ssh_failf(ssh, ERR_TIMEOUT, "connect to %s: no answer within %lld ms%s", label_of(ssh), ms,
                  errno_advice(ETIMEDOUT));
        return;
    case SSH_HANDSHAKE:
        if (ssh->seen.length > 0 && peer_banner_line(ssh, &length) == NULL) {
            explain_not_ssh(ssh);
            return;
        }
        ssh_failf(
            ssh, ERR_TIMEOUT,
            ssh->seen.length == 0
                ? "handshake with %s: connected, but no SSH banner within %lld ms; its sshd hangs "
                  "or is overloaded, or another service listens there (port=...)"
                : "handshake with %s: it fell silent after its banner and %lld ms are over; its "
                  "sshd hangs or is overloaded",
            label_of(ssh), ms);
        return;
    case SSH_AUTHENTICATE:
        if (ssh->auth.agent_call != NULL || ssh->auth.step == AUTH_WAIT_AGENT_LIST) {
            ssh_failf(
                ssh, ERR_TIMEOUT,
                "login as %s: ssh-agent at %s did not answer within %lld ms; does it wait for a "
                "confirmation or a touch?",
                label_of(ssh), ssh->shared->agent_socket, ms);
            return;
        }
        ssh_failf(
            ssh, ERR_TIMEOUT,
            "login as %s: its sshd did not answer within %lld ms; it hangs, is overloaded, or "
            "waits for a slow look-up (UseDNS, PAM)",
            label_of(ssh), ms);
        return;
    default:
        ssh_failf(ssh, ERR_TIMEOUT, "%s: not ready within %lld ms", label_of(ssh), ms);
        return;
    }
}

/* True when `ways` says that no other key would have helped. */
static bool explain_ways(struct ssh *ssh, const char *ways)
{
    const struct auth *auth = &ssh->auth;
    char safe[200];
    if (ways == NULL || *ways == '\0' || strstr(ways, "publickey") != NULL) {
        return false;
    }
    snprintf(safe, sizeof(safe), "%s", ways);
    for (char *at = safe; *at != '\0'; at++) {
        *at = (char)(*at > ' ' && *at < 0x7f ? *at : '?');
    }
    if (auth->taken) {
        ssh_failf(ssh, ERR_AUTH,
                  "login as %s: it takes the key, and then wants more (%s); deployctl logs in with a key alone: let "
                  "AuthenticationMethods in its sshd_config be publickey for this account",
                  label_of(ssh), safe);
    } else {
        ssh_failf(ssh, ERR_AUTH,
                  "login as %s: it takes no keys, only %s; set PubkeyAuthentication yes in its sshd_config",
                  label_of(ssh), safe);
    }
    return true;
}

void explain_auth(struct ssh *ssh, const char *ways)
{
    const struct auth *auth = &ssh->auth;
    char left_out[120] = "";
    if (explain_ways(ssh, ways)) {
        return;
    }
    if (auth->left_out > 0) {
        snprintf(left_out, sizeof(left_out),
                 "; %zu more were not tried, since sshd stops after %d: name one with key=",
                 auth->left_out, SSH_TRIES_MAX);
    }
    ssh_failf(
        ssh, ERR_AUTH,
        "login as %s: every key was refused: %s%s%s%s; is the public key in that account's "
        "~/.ssh/authorized_keys, readable only by it, and does the account exist and is not locked "
        "or expired? the node's sshd log says which",
        label_of(ssh), auth->tried.text, left_out, auth->notes.length > 0 ? "; " : "",
        auth->notes.text);
}

static void explain_lost_login(struct ssh *ssh, const char *why)
{
    const struct auth *auth = &ssh->auth;
    bool tried = auth->tried.length > 0;
    ssh_failf(
        ssh, tried ? ERR_AUTH : ERR_UNREACHABLE,
        "login as %s: the node ended the connection (%s)%s%s; too many tries (MaxAuthTries), an "
        "account that may not log in, or sshd's limits: its log says which",
        label_of(ssh), why, tried ? " after refusing " : "", tried ? auth->tried.text : "");
}

void explain_lost(struct ssh *ssh, const char *doing)
{
    struct err detail;
    explain_session(ssh, &detail, doing);
    const char *why = ssh->transport_errno != 0 ? strerror(ssh->transport_errno)
                      : ssh->input_ended        ? "it closed the connection"
                                                : detail.message;
    if (ssh->phase == SSH_AUTHENTICATE) {
        explain_lost_login(ssh, why);
        return;
    }
    ssh_failf(ssh, transport_ended(ssh) ? ERR_UNREACHABLE : ERR_PROTOCOL,
              "connection to %s lost: %s; did the node reboot, or its network go?", label_of(ssh),
              why);
}
