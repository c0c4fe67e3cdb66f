/*
 * What bare libssh2 costs: connect, log in, run `true`, close, to every ADDRESS, CONCURRENCY at
 * once, one thread, poll(2). The bench compares deployctl with it. Host keys are not checked: only
 * for a server of the bench's own.
 *
 * probe PORT USER KEY CONCURRENCY ADDRESS...     prints: nodes ok wall_ms cpu_ms_per_node peak_kib;
 * status 0 when all were ok
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libssh2.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NODES_MAX 1000

enum step { IDLE, CONNECT, HANDSHAKE, AUTH, OPEN, EXEC, READ, CLOSED, FREE, DONE };

struct node {
    char address[64];
    int fd;
    enum step step;
    LIBSSH2_SESSION *session;
    LIBSSH2_CHANNEL *channel;
    bool ok;
};

static const char *user, *key_path;
static char public_path[4096];
static int port;

static LIBSSH2_RECV_FUNC(receive)
{
    int on = 1;
    ssize_t got = recv(socket, buffer, length, flags);
    (void)abstract;
    setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
    return got < 0 ? -errno : got;
}

static void begin(struct node *node)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    inet_pton(AF_INET, node->address, &to.sin_addr);
    node->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(node->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    bool failed =
        connect(node->fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS;
    node->session = libssh2_session_init_ex(NULL, NULL, NULL, node);
    libssh2_session_set_blocking(node->session, 0);
    libssh2_session_callback_set(node->session, LIBSSH2_CALLBACK_RECV, (void *)receive);
    node->step = failed ? FREE : CONNECT;
}

/* One call; EAGAIN when it must wait. */
static int take_step(struct node *node)
{
    char bytes[4096];
    switch (node->step) {
    case CONNECT:
        return 0;
    case HANDSHAKE:
        return libssh2_session_handshake(node->session, node->fd);
    case AUTH:
        return libssh2_userauth_publickey_fromfile_ex(node->session, user, (unsigned)strlen(user),
                                                      public_path, key_path, NULL);
    case OPEN:
        node->channel = libssh2_channel_open_session(node->session);
        return node->channel != NULL ? 0 : libssh2_session_last_errno(node->session);
    case EXEC:
        return libssh2_channel_exec(node->channel, "true");
    case READ: {
        ssize_t got = libssh2_channel_read(node->channel, bytes, sizeof(bytes));
        return got < 0 ? (int)got : libssh2_channel_eof(node->channel) ? 0 : LIBSSH2_ERROR_EAGAIN;
    }
    case CLOSED: {
        int rc = libssh2_channel_wait_closed(node->channel);
        node->ok = rc == 0 && libssh2_channel_get_exit_status(node->channel) == 0;
        return rc;
    }
    case FREE:
        shutdown(node->fd, SHUT_RDWR);
        return libssh2_session_free(node->session);
    default:
        return LIBSSH2_ERROR_EAGAIN;
    }
}

static void advance(struct node *node)
{
    while (node->step != DONE) {
        int rc = take_step(node);
        if (rc == LIBSSH2_ERROR_EAGAIN) {
            return;
        }
        if (rc < 0 && node->step != FREE) {
            char *text = NULL;
            libssh2_session_last_error(node->session, &text, NULL, 0);
            fprintf(stderr, "probe: %s: step %d: %s\n", node->address, (int)node->step, text);
            node->step = FREE;
        } else {
            node->step++;
        }
    }
    close(node->fd);
}

static short wanted(struct node *node)
{
    if (node->step == CONNECT) {
        return POLLOUT;
    }
    int directions = libssh2_session_block_directions(node->session);
    return (short)(POLLIN | ((directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0 ? POLLOUT : 0));
}

static void run(struct node *nodes, size_t count, size_t concurrency)
{
    struct pollfd polls[NODES_MAX];
    struct node *polled[NODES_MAX];
    size_t next = 0;
    for (;;) {
        size_t active = 0;
        for (size_t i = 0; i < next; i++) {
            if (nodes[i].step != DONE) {
                polled[active++] = &nodes[i];
            }
        }
        while (active < concurrency && next < count) {
            begin(&nodes[next]);
            polled[active++] = &nodes[next++];
        }
        if (active == 0) {
            return;
        }
        for (size_t i = 0; i < active; i++) {
            polls[i] = (struct pollfd){.fd = polled[i]->fd, .events = wanted(polled[i])};
        }
        if (poll(polls, active, 30000) <= 0) {
            fprintf(stderr, "probe: nothing for 30 s\n");
            return;
        }
        for (size_t i = 0; i < active; i++) {
            if (polls[i].revents != 0) {
                advance(polled[i]);
            }
        }
    }
}

int main(int argc, char **argv)
{
    static struct node nodes[NODES_MAX];
    struct timespec before, after;
    struct rusage usage;
    size_t count = 0, ok = 0;

    if (argc < 6 || argc - 5 > NODES_MAX) {
        fprintf(stderr, "usage: probe PORT USER KEY CONCURRENCY ADDRESS...\n");
        return 64;
    }
    port = atoi(argv[1]);
    user = argv[2];
    key_path = argv[3];
    snprintf(public_path, sizeof(public_path), "%s.pub", key_path);
    size_t concurrency = (size_t)atoi(argv[4]);
    if (concurrency < 1 || concurrency > NODES_MAX) {
        concurrency = 1;
    }
    for (int i = 5; i < argc; i++) {
        snprintf(nodes[count++].address, sizeof(nodes[0].address), "%s", argv[i]);
    }
    libssh2_init(0);
    clock_gettime(CLOCK_MONOTONIC, &before);
    run(nodes, count, concurrency);
    clock_gettime(CLOCK_MONOTONIC, &after);
    getrusage(RUSAGE_SELF, &usage);
    for (size_t i = 0; i < count; i++) {
        ok += nodes[i].ok;
    }
    double wall = (double)(after.tv_sec - before.tv_sec) * 1e3 +
                  (double)(after.tv_nsec - before.tv_nsec) / 1e6;
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
    printf("nodes %zu ok %zu wall_ms %.0f cpu_ms_per_node %.2f peak_kib %ld\n", count, ok, wall,
           cpu / (double)(count > 0 ? count : 1), usage.ru_maxrss);
    libssh2_exit();
    return ok == count ? 0 : 1;
}
