/*
 * A real sshd for tests: on a free loopback port, with host keys, a user key and authorized_keys of
 * its own in a temporary folder.
 *
 * Waits by event, ends by process id, leaves nothing behind. For tests: anything that does not work
 * ends the program with a word.
 */
#ifndef SUPPORT_SSHD_H
#define SUPPORT_SSHD_H

#include <stdint.h>
#include <sys/types.h>

struct sshd_options {
    const char *host_keys; /* types, by comma; NULL: ed25519 */
    const char *config;    /* further lines of sshd_config; they come first, and so win */
};

struct sshd {
    char folder[64]; /* id, id.pub, authorized_keys, known_hosts, host_TYPE, log */
    char key[96];    /* the private key that may log in */
    char known_hosts[96];
    char user[64];
    uint16_t port; /* on 127.0.0.1, and every other 127.x.y.z */
    pid_t pid;
    int log_pipe;
    unsigned long drain_thread;
};

/* NULL options: the defaults. Returns when it listens. */
struct sshd *sshd_start(const struct sshd_options *options);
void sshd_stop(struct sshd *sshd);
/* SIGSTOP to the processes of its connections (not to the one that listens), until sshd_thaw or
 * sshd_stop. */
void sshd_freeze(struct sshd *sshd);
void sshd_thaw(struct sshd *sshd);
/* Ends its connections' processes by SIGKILL. */
void sshd_cut(struct sshd *sshd);
/* `folder/name`, in a buffer that the next eight calls leave alone. */
const char *sshd_path(const struct sshd *sshd, const char *name);
/* One of its host keys' fingerprint, `SHA256:...`; the same buffers. */
const char *sshd_fingerprint(const struct sshd *sshd, const char *type);

/* A key pair at path and path.pub. `passphrase` "" for none; `format` NULL or "PEM". */
void key_make(const char *path, const char *type, const char *passphrase, const char *format);
void text_write(const char *path, const char *text);
void text_append(const char *path, const char *text);
/* A file's text, malloc'ed. */
char *text_read(const char *path);
/* A program to its end; the test ends when it fails. */
void program_run(const char *const argv[]);
/* A loopback port that nothing listens on. */
uint16_t port_unused(void);

#endif
