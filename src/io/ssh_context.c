#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/files.h"
#include "ssh_internal.h"

#define KNOWN_HOSTS_MAX (32 * 1024 * 1024)
#define PER_ADDRESS_DEFAULT 8 /* sshd's MaxStartups begins to drop at 10 */
#define IN_ALL_DEFAULT 64

static const char *const default_known_hosts[] = {"~/.ssh/known_hosts", "~/.ssh/known_hosts2",
                                                  "/etc/ssh/ssh_known_hosts", NULL};

static int read_known_hosts(struct ssh_context *shared, const char *const *paths, struct err *err)
{
    struct strbuf names;
    int rc = 0;
    strbuf_init(&names, 4096);
    for (size_t i = 0; rc == 0 && paths[i] != NULL; i++) {
        struct strbuf path;
        struct strbuf text;
        strbuf_init(&path, 4096);
        strbuf_init(&text, KNOWN_HOSTS_MAX);
        path_expand_home(&path, paths[i]);
        strbuf_addf(&names, "%s%s", i > 0 ? ", " : "", path.text);
        if (access(path.text, F_OK) == 0) {
            rc = file_read(&text, path.text, err);
            if (rc == 0 &&
                known_hosts_add(shared->known_hosts, path.text, text.text, text.length) != 0) {
                rc = err_set(err, ERR_MEMORY, "out of memory");
            }
        }
        strbuf_release(&text);
        strbuf_release(&path);
    }
    if (names.length == 0) {
        strbuf_adds(&names, "known_hosts");
    }
    shared->known_hosts_files = strbuf_detach(&names);
    return rc;
}

static void on_idle(uv_idle_t *idle)
{
    struct ssh_context *shared = idle->data;
    /* Those that are woken meanwhile get the next turn, after the sockets. */
    struct ssh *ssh = shared->awake;
    shared->awake = NULL;
    shared->awake_last = &shared->awake;
    while (ssh != NULL) {
        struct ssh *next = ssh->next_awake;
        ssh->woken = false;
        ssh_pump(ssh);
        ssh = next;
    }
    if (shared->awake == NULL) {
        uv_idle_stop(idle);
    }
}

void ssh_wake(struct ssh *ssh)
{
    struct ssh_context *shared = ssh->shared;
    if (ssh->woken || ssh->closed) {
        return;
    }
    ssh->woken = true;
    ssh->next_awake = NULL;
    *shared->awake_last = ssh;
    shared->awake_last = &ssh->next_awake;
    uv_idle_start(shared->idle, on_idle);
}

static void on_idle_closed(uv_handle_t *handle)
{
    free(handle);
}

static const char *agent_path(const struct ssh_settings *settings)
{
    const char *path =
        settings->agent_socket != NULL ? settings->agent_socket : getenv("SSH_AUTH_SOCK");
    return path != NULL && *path != '\0' ? path : NULL;
}

int ssh_context_create(struct ssh_context **out, struct loop *loop,
                       const struct ssh_settings *settings, struct err *err)
{
    static const struct ssh_settings defaults;
    struct ssh_context *shared = calloc(1, sizeof(*shared));
    int rc = ERR_MEMORY;

    *out = NULL;
    settings = settings != NULL ? settings : &defaults;
    if (shared == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    if (libssh2_init(0) != 0) {
        free(shared);
        return err_set(err, ERR_UNSUPPORTED, "libssh2 does not start");
    }
    shared->loop = loop;
    shared->awake_last = &shared->awake;
    shared->eligible_last = &shared->eligible;
    shared->per_address = settings->handshakes_per_address > 0 ? settings->handshakes_per_address
                                                               : PER_ADDRESS_DEFAULT;
    shared->in_all = settings->handshakes > 0 ? settings->handshakes : IN_ALL_DEFAULT;
    shared->memory_max = settings->memory_max > 0 ? settings->memory_max : SSH_MEMORY_MAX;
    random_init(&shared->random, clock_random());
    const char *agent = agent_path(settings);
    shared->agent_socket = agent != NULL ? strdup(agent) : NULL;
    shared->scratch = malloc(SSH_SCRATCH);
    shared->known_hosts = known_hosts_create();
    shared->idle = calloc(1, sizeof(*shared->idle));
    if (shared->scratch == NULL || shared->known_hosts == NULL || shared->idle == NULL ||
        (agent != NULL && shared->agent_socket == NULL)) {
        err_set(err, ERR_MEMORY, "out of memory");
        goto failed;
    }
    rc = read_known_hosts(
        shared, settings->known_hosts != NULL ? settings->known_hosts : default_known_hosts, err);
    if (rc != 0) {
        goto failed;
    }
    uv_idle_init(loop_uv(loop), shared->idle);
    shared->idle->data = shared;
    *out = shared;
    return 0;
failed:
    free(shared->idle);
    shared->idle = NULL;
    ssh_context_free(shared);
    return rc;
}

void ssh_context_free(struct ssh_context *shared)
{
    if (shared == NULL) {
        return;
    }
    /* Closed connections that still stood in the list give their memory back. */
    while (shared->awake != NULL) {
        struct ssh *ssh = shared->awake;
        shared->awake = ssh->next_awake;
        ssh->woken = false;
        if (ssh->closed) {
            ssh_pump(ssh);
        }
    }
    shared->awake_last = &shared->awake;
    auth_keys_release(shared);
    jumps_release(shared);
    pace_release_all(shared);
    if (shared->idle != NULL) {
        uv_close((uv_handle_t *)shared->idle, on_idle_closed);
    }
    known_hosts_free(shared->known_hosts);
    free(shared->known_hosts_files);
    free(shared->agent_socket);
    free(shared->scratch);
    free(shared);
    libssh2_exit();
}
