/*
 * OpenSSH's known_hosts: which keys are known for a host (sshd(8), section SSH_KNOWN_HOSTS FILE
 * FORMAT).
 *
 * Our own parser: libssh2's ignores two-character names, wildcards and @revoked, and stops at the
 * first line that it cannot read. Here a bad line is skipped, counted and remembered by number;
 * what stands after it counts. Keys are compared as raw blobs. Text in memory only: never opens a
 * file. @cert-authority lines are skipped, since host certificates are not asked for.
 */
#ifndef IO_KNOWN_HOSTS_H
#define IO_KNOWN_HOSTS_H

#include <stddef.h>
#include <stdint.h>

struct known_hosts;

/* NULL when out of memory. */
struct known_hosts *known_hosts_create(void);
void known_hosts_free(struct known_hosts *hosts);
/* Adds a file's text; `name` is for messages. 0, or ERR_MEMORY. Lines of any length, LF or CRLF. */
int known_hosts_add(struct known_hosts *hosts, const char *name, const char *text, size_t length);

/* Lines that could not be read, over all files; the first one's file and number (borrowed; NULL
 * when there is none). */
size_t known_hosts_bad_lines(const struct known_hosts *hosts, const char **file, unsigned *line);

#define KNOWN_HOST_KEYS_MAX 32

/* One line that names the host; everything borrowed from the known_hosts. */
struct known_host_key {
    const char *type; /* `ssh-ed25519` */
    const unsigned char *blob;
    size_t blob_length;
    const char *file;
    unsigned line;
    unsigned char revoked;
    unsigned char without_port; /* the line names the host without the port that was asked for */
};
struct known_host_keys {
    struct known_host_key keys[KNOWN_HOST_KEYS_MAX];
    size_t count;
};

/* The lines that name `host` at `port`, in the files' order. As ssh(1) does, for a port other than
 * 22 lines with `[host]:port` and lines with `host` are both found. More than KNOWN_HOST_KEYS_MAX
 * are left out, @revoked ones last. */
void known_hosts_find(const struct known_hosts *hosts, const char *host, uint16_t port,
                      struct known_host_keys *out);

enum known_host_result {
    KNOWN_HOST_MATCH,
    KNOWN_HOST_UNKNOWN,    /* no line names the host */
    KNOWN_HOST_OTHER_TYPE, /* lines name it, but none with a key of this type */
    KNOWN_HOST_CHANGED,    /* a line has another key of this type */
    KNOWN_HOST_REVOKED     /* this very key is marked @revoked; wins over everything */
};
/* `*because` is the line that decided, or NULL. A line without the port can say yes or revoked,
 * never changed. */
enum known_host_result known_hosts_judge(const struct known_host_keys *keys,
                                         const unsigned char *blob, size_t blob_length,
                                         const struct known_host_key **because);

#endif
