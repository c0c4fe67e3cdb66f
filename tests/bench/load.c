/*
 * Load that counts each failure: some connections kept alive, some new for each request, at the same
 * time, one request at a time on each, with a pause of PAUSE_MS before the next, else none.
 *
 * load ADDRESS PORT KEPT NEW [LEAST [PAUSE_MS [PATH]]]   until SIGTERM, and on until there were LEAST requests, for PATH, else /.
 * A line `begun` on stderr after BEGUN answers. SIGUSR1: what comes now is "during", which is printed when there was some. Prints
 *
 *     keep-alive: 123456 requests, 0 failures, 3 resent, p99 1.2 ms before, 1.9 ms during
 *     new connections: ...
 *
 * A failure is a status other than 2xx, a connection refused or lost, an answer that broke off, or 10 s
 * without one. A request on a kept connection that the server closed without a byte of an answer is sent
 * again on a new one, as RFC 9110 section 9.2.2 lets a client do; it is counted as resent. Exits 1 when
 * something failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define HEAD_MAX 4096
#define TIMEOUT_US 10000000
#define BEGUN 200
#define SLOTS 100000 /* of 10 microseconds; the last one takes what is longer */

struct kind {
    const char *name;
    uint64_t requests, failures, resent;
    uint64_t times[2][SLOTS], counts[2];
    char first_failure[200];
};
struct connection {
    struct kind *kind;
    bool keeps, reused;
    int fd;
    size_t sent, got;
    int64_t left; /* of the body; -1: the head is not whole */
    bool closes;
    int64_t began_us, due_us; /* the next request's, in a pause; else 0 */
    char head[HEAD_MAX + 1];
};

static struct sockaddr_in server;
static char request[2][300];
static struct kind kinds[2] = {{.name = "keep-alive"}, {.name = "new connections"}};
static struct connection connections[CONNECTIONS_MAX];
static volatile sig_atomic_t ends, during;
static int64_t pause_us;

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void drop(struct connection *connection)
{
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
}

static void fail(struct connection *connection, const char *why)
{
    struct kind *kind = connection->kind;
    if (kind->failures++ == 0)
        snprintf(kind->first_failure, sizeof(kind->first_failure), "%s", why);
    kind->requests++;
    drop(connection);
    connection->due_us = pause_us ? now_us() + pause_us : 0;
}

/* Sends the next request, over a new connection where there is none. */
static void begin(struct connection *connection, bool again)
{
    connection->sent = connection->got = 0;
    connection->left = -1;
    connection->closes = false;
    connection->reused = connection->fd >= 0;
    if (!again)
        connection->began_us = now_us();
    if (connection->reused)
        return;
    int one = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(connection->fd, (struct sockaddr *)&server, sizeof(server)) < 0 &&
        errno != EINPROGRESS)
        fail(connection, "connect failed at once");
}

static void finish(struct connection *connection)
{
    struct kind *kind = connection->kind;
    int64_t slot = (now_us() - connection->began_us) / 10;
    kind->requests++;
    kind->counts[during]++;
    kind->times[during][slot < SLOTS ? slot : SLOTS - 1]++;
    if (connection->closes || !connection->keeps)
        drop(connection);
    if (pause_us)
        connection->due_us = now_us() + pause_us;
    else
        begin(connection, false);
}

/* True while the connection waits for its next request, which is begun when it is due. */
static bool pauses(struct connection *connection, int64_t *wait_us)
{
    int64_t left = connection->due_us ? connection->due_us - now_us() : 0;

    if (left <= 0) {
        if (connection->due_us)
            begin(connection, false);
        connection->due_us = 0;
        return false;
    }
    if (left < *wait_us)
        *wait_us = left;
    return true;
}

static void lost(struct connection *connection, const char *why)
{
    if (connection->reused && connection->got == 0) {
        connection->kind->resent++;
        drop(connection);
        begin(connection, true);
    } else {
        fail(connection, why);
    }
}

static bool header(const char *head, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, length) == 0) {
            snprintf(value, size, "%.*s", (int)strcspn(line + 2 + length, "\r"), line + 2 + length);
            return true;
        }
    return false;
}

/* The head is whole: how much body there is. */
static bool read_head(struct connection *connection, const char *body)
{
    char value[64];
    int status = 0;
    if (sscanf(connection->head, "HTTP/1.%*d %d", &status) != 1 || status < 200 || status > 299) {
        char why[64];
        snprintf(why, sizeof(why), "status %d", status);
        fail(connection, why);
        return false;
    }
    if (!header(connection->head, "Content-Length: ", value, sizeof(value))) {
        fail(connection, "no Content-Length");
        return false;
    }
    connection->left = strtoll(value, NULL, 10) -
                       (int64_t)(connection->head + connection->got - body);
    connection->closes =
        header(connection->head, "Connection: ", value, sizeof(value)) && strcasecmp(value, "close") == 0;
    return true;
}

static void take(struct connection *connection)
{
    char rest[65536];
    bool in_head = connection->left < 0;
    char *to = in_head ? connection->head + connection->got : rest;
    ssize_t length = read(connection->fd, to, in_head ? HEAD_MAX - connection->got : sizeof(rest));
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        lost(connection, length == 0 ? "the answer broke off" : strerror(errno));
        return;
    }
    connection->got += (size_t)length;
    if (in_head) {
        connection->head[connection->got] = '\0';
        const char *end = strstr(connection->head, "\r\n\r\n");
        if (end && !read_head(connection, end + 4))
            return;
    } else {
        connection->left -= length;
    }
    if (connection->left == 0)
        finish(connection);
}

static void give(struct connection *connection)
{
    const char *text = request[connection->keeps];
    ssize_t length = send(connection->fd, text + connection->sent, strlen(text) - connection->sent, MSG_NOSIGNAL);
    if (length < 0 && errno != EAGAIN && errno != EINTR)
        lost(connection, strerror(errno));
    else if (length > 0)
        connection->sent += (size_t)length;
}

static void turn(size_t count)
{
    struct pollfd polled[CONNECTIONS_MAX];
    int64_t wait_us = 1000000;
    for (size_t i = 0; i < count; i++) {
        struct connection *connection = &connections[i];
        polled[i] = (struct pollfd){.fd = -1};
        if (pauses(connection, &wait_us))
            continue;
        if (connection->fd >= 0 && now_us() - connection->began_us > TIMEOUT_US)
            fail(connection, "no answer within 10 s");
        if (connection->fd < 0)
            begin(connection, false);
        bool sends = connection->sent < strlen(request[connection->keeps]);
        polled[i] = (struct pollfd){.fd = connection->fd, .events = sends ? POLLOUT : POLLIN};
    }
    if (poll(polled, count, (int)(wait_us / 1000) + 1) <= 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (polled[i].revents & POLLOUT)
            give(&connections[i]);
        else if (polled[i].revents)
            take(&connections[i]);
}

static double p99(const struct kind *kind, int when)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < SLOTS; i++)
        if ((seen += kind->times[when][i]) * 100 >= kind->counts[when] * 99)
            return (double)(i + 1) / 100;
    return 0;
}

static void on_signal(int number)
{
    if (number == SIGUSR1)
        during = 1;
    else
        ends = 1;
}

int main(int count, char **words)
{
    if (count < 5 || count > 8)
        return 2;
    pause_us = count >= 7 ? strtoll(words[6], NULL, 10) * 1000 : 0;
    const char *path = count == 8 ? words[7] : "/";
    uint64_t least = count >= 6 ? strtoull(words[5], NULL, 10) : 0;
    size_t kept = strtoul(words[3], NULL, 10), all = kept + strtoul(words[4], NULL, 10);
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[2]))};
    if (all == 0 || all > CONNECTIONS_MAX || inet_pton(AF_INET, words[1], &server.sin_addr) != 1)
        return 2;
    snprintf(request[1], sizeof(request[1]), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, words[1]);
    snprintf(request[0], sizeof(request[0]), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, words[1]);
    signal(SIGTERM, on_signal);
    signal(SIGUSR1, on_signal);
    for (size_t i = 0; i < all; i++) {
        connections[i] = (struct connection){.kind = &kinds[i >= kept], .keeps = i < kept, .fd = -1};
        begin(&connections[i], false);
    }
    bool begun = false;
    while (!ends || kinds[0].requests + kinds[1].requests < least) {
        turn(all);
        if (!begun && kinds[0].requests + kinds[1].requests >= BEGUN) {
            begun = true;
            fputs("begun\n", stderr);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        const struct kind *kind = &kinds[i];
        printf("%s: %llu requests, %llu failures%s%s, %llu resent, p99 %.2f ms", kind->name,
               (unsigned long long)kind->requests, (unsigned long long)kind->failures,
               kind->failures ? ": " : "", kind->first_failure, (unsigned long long)kind->resent, p99(kind, 0));
        if (kind->counts[1])
            printf(" before, %.2f ms during", p99(kind, 1));
        putchar('\n');
    }
    return kinds[0].failures || kinds[1].failures;
}
