#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "io/files.h"
#include "ssh_internal.h"
#include "ssh_wire.h"

#define AGENT_LIST_TIMEOUT_MS 5000
#define PATH_MAX_LENGTH 4096

/* Each file is read once a run. */
static const struct key_file *key_file_get(struct ssh_context *shared, const char *path)
{
    for (struct key_file *file = shared->key_files; file != NULL; file = file->next) {
        if (strcmp(file->path, path) == 0) {
            return file;
        }
    }
    struct key_file *file = calloc(1, sizeof(*file));
    if (file == NULL || (file->path = strdup(path)) == NULL) {
        free(file);
        return NULL;
    }
    ssh_key_load(&file->key, path, &file->error);
    file->next = shared->key_files;
    shared->key_files = file;
    return file;
}

static void note(struct ssh *ssh, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct ssh *ssh, const char *format, ...)
{
    va_list arguments;
    strbuf_adds(&ssh->auth.notes, ssh->auth.notes.length > 0 ? "; " : "");
    va_start(arguments, format);
    strbuf_addf_va(&ssh->auth.notes, format, arguments);
    va_end(arguments);
}

static bool same_blob(const struct ssh_key *a, const struct ssh_key *b)
{
    return a->blob_length == b->blob_length && memcmp(a->blob, b->blob, a->blob_length) == 0;
}

static void add_candidate(struct ssh *ssh, struct ssh_key *key)
{
    struct auth *auth = &ssh->auth;
    for (size_t i = 0; i < auth->key_count; i++) {
        if (same_blob(auth->keys[i], key)) {
            return;
        }
    }
    if (auth->key_count == SSH_TRIES_MAX) {
        auth->left_out++;
        return;
    }
    auth->keys[auth->key_count++] = ssh_key_hold(key);
}

static struct ssh_key *in_agent(const struct ssh_context *shared, const struct ssh_key *key)
{
    for (size_t i = 0; key->blob != NULL && i < shared->agent_key_count; i++) {
        if (same_blob(shared->agent_keys[i], key)) {
            return shared->agent_keys[i];
        }
    }
    return NULL;
}

/* An encrypted PEM hides its public half; ssh-keygen leaves that beside it. */
static const struct ssh_key *public_half(struct ssh_context *shared, const struct key_file *file)
{
    char path[PATH_MAX_LENGTH];
    if (file->key->blob != NULL) {
        return file->key;
    }
    snprintf(path, sizeof(path), "%s.pub", file->path);
    const struct key_file *beside = key_file_get(shared, path);
    return beside != NULL && beside->key != NULL ? beside->key : file->key;
}

/* Adds the file's key, signed for by the file or by the agent. False when neither can. */
static bool add_file(struct ssh *ssh, const struct key_file *file)
{
    if (file->key->private_key != NULL) {
        add_candidate(ssh, file->key);
        return true;
    }
    struct ssh_key *held = in_agent(ssh->shared, public_half(ssh->shared, file));
    if (held != NULL) {
        add_candidate(ssh, held);
        return true;
    }
    return false;
}

static void fail_without_agent(struct ssh *ssh, const struct key_file *file)
{
    struct ssh_context *shared = ssh->shared;
    const char *path = file->path;
    const char *why = shared->agent_socket == NULL    ? "no ssh-agent is set (SSH_AUTH_SOCK)"
                      : shared->agent_error.code != 0 ? shared->agent_error.message
                                                      : "the ssh-agent does not hold it";
    if (file->key->is_public) {
        ssh_failf(ssh, ERR_AUTH,
                  "login as %s: key file %s is a public key and %s; name the private one, or load it into the agent",
                  ssh->target->label, path, why);
        return;
    }
    ssh_failf(ssh, ERR_AUTH,
              "login as %s: key file %s is encrypted and %s; load it into the agent: ssh-add %s",
              ssh->target->label, path, why, path);
}

static bool collect_explicit(struct ssh *ssh)
{
    char path[PATH_MAX_LENGTH];
    struct strbuf expanded;
    strbuf_init(&expanded, sizeof(path) - 1);
    path_expand_home(&expanded, ssh->target->key);
    snprintf(path, sizeof(path), "%s", expanded.text);
    strbuf_release(&expanded);

    const struct key_file *file = key_file_get(ssh->shared, path);
    if (file == NULL) {
        ssh_failf(ssh, ERR_MEMORY, "out of memory");
        return false;
    }
    if (file->key == NULL) {
        ssh_failf(ssh, ERR_AUTH, "login as %s: %s", ssh->target->label, file->error.message);
        return false;
    }
    if (file->key->private_key == NULL && ssh->shared->agent_socket != NULL &&
        ssh->shared->agent_state != AGENT_ANSWERED) {
        return true;
    }
    if (!add_file(ssh, file)) {
        fail_without_agent(ssh, file);
        return false;
    }
    return true;
}

static void collect_default(struct ssh *ssh)
{
    static const char *const names[] = {"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"};
    struct ssh_context *shared = ssh->shared;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct strbuf path;
        strbuf_init(&path, PATH_MAX_LENGTH - 1);
        path_expand_home(&path, names[i]);
        const struct key_file *file = key_file_get(shared, path.text);
        if (file != NULL && file->key == NULL && file->error.code != ERR_NOT_FOUND) {
            note(ssh, "%s", file->error.message);
        } else if (file != NULL && file->key != NULL && !add_file(ssh, file)) {
            note(ssh, "%s is encrypted and not in the agent: ssh-add %s", path.text, path.text);
        }
        strbuf_release(&path);
    }
    for (size_t i = 0; i < shared->agent_key_count; i++) {
        add_candidate(ssh, shared->agent_keys[i]);
    }
    if (shared->agent_error.code != 0) {
        note(ssh, "%s", shared->agent_error.message);
    }
}

static void wake_waiting(struct ssh_context *shared)
{
    while (shared->agent_waiting != NULL) {
        struct ssh *ssh = shared->agent_waiting;
        shared->agent_waiting = ssh->next_waiting;
        ssh->next_waiting = NULL;
        ssh->auth.step = AUTH_START;
        ssh_wake(ssh);
    }
}

static void on_agent_list(void *context, const struct err *error, const struct agent_key *keys,
                          size_t count)
{
    struct ssh_context *shared = context;
    shared->agent_call = NULL;
    shared->agent_state = AGENT_ANSWERED;
    if (error != NULL) {
        shared->agent_error = *error;
    }
    for (size_t i = 0; i < count; i++) {
        struct strbuf label;
        struct ssh_key *key;
        strbuf_init(&label, 200);
        strbuf_adds(&label, "agent key ");
        text_sanitize(&label, keys[i].comment, strlen(keys[i].comment), false);
        if (ssh_key_from_blob(&key, label.text, keys[i].blob, keys[i].blob_length, NULL) == 0) {
            shared->agent_keys[shared->agent_key_count++] = key;
        }
        strbuf_release(&label);
    }
    wake_waiting(shared);
}

/* False while the answer is awaited. */
static bool agent_known(struct ssh *ssh)
{
    struct ssh_context *shared = ssh->shared;
    if (shared->agent_socket == NULL || shared->agent_state == AGENT_ANSWERED) {
        return true;
    }
    if (shared->agent_state == AGENT_UNASKED) {
        shared->agent_call = agent_list(shared->loop, shared->agent_socket, AGENT_LIST_TIMEOUT_MS,
                                        on_agent_list, shared);
        if (shared->agent_call == NULL) {
            shared->agent_state = AGENT_ANSWERED;
            err_set(&shared->agent_error, ERR_MEMORY, "out of memory");
            return true;
        }
        shared->agent_state = AGENT_ASKED;
    }
    ssh->next_waiting = shared->agent_waiting;
    shared->agent_waiting = ssh;
    ssh->auth.step = AUTH_WAIT_AGENT_LIST;
    return false;
}

bool auth_collect(struct ssh *ssh)
{
    if (ssh->target->key != NULL) {
        if (!collect_explicit(ssh)) {
            return false;
        }
        /* Nothing yet means that only the agent can sign with it. */
        if (ssh->auth.key_count == 0) {
            return agent_known(ssh) && collect_explicit(ssh);
        }
        return true;
    }
    if (!agent_known(ssh)) {
        return false;
    }
    collect_default(ssh);
    if (ssh->auth.key_count == 0) {
        ssh_failf(
            ssh, ERR_AUTH,
            "login as %s: no key to try%s%s; make one with ssh-keygen -t ed25519, load one with "
            "ssh-add, or name a file in the inventory (key=...)",
            ssh->target->label, ssh->auth.notes.length > 0 ? ": " : "", ssh->auth.notes.text);
        return false;
    }
    return true;
}

void auth_agent_forget(struct ssh *ssh)
{
    struct ssh **at = &ssh->shared->agent_waiting;
    if (ssh->auth.step != AUTH_WAIT_AGENT_LIST) {
        return;
    }
    while (*at != NULL && *at != ssh) {
        at = &(*at)->next_waiting;
    }
    if (*at == ssh) {
        *at = ssh->next_waiting;
        ssh->next_waiting = NULL;
    }
    ssh->auth.step = AUTH_START;
}

void auth_keys_release(struct ssh_context *shared)
{
    agent_cancel(shared->agent_call);
    shared->agent_call = NULL;
    while (shared->agent_key_count > 0) {
        ssh_key_drop(shared->agent_keys[--shared->agent_key_count]);
    }
    while (shared->key_files != NULL) {
        struct key_file *file = shared->key_files;
        shared->key_files = file->next;
        ssh_key_drop(file->key);
        free(file->path);
        free(file);
    }
}
