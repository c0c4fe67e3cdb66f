#include "http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUEST_MAX 65536

static void send_all(int peer, const char *bytes, size_t length)
{
    while (length) {
        ssize_t put = send(peer, bytes, length, MSG_NOSIGNAL);
        if (put <= 0)
            _exit(0);
        bytes += put;
        length -= (size_t)put;
    }
}

static void send_text(int peer, const char *text)
{
    send_all(peer, text, strlen(text));
}

static void answer(int peer, int status, const char *more, const char *body, size_t length)
{
    char head[256];
    snprintf(head, sizeof(head), "HTTP/1.1 %d Words\r\nContent-Length: %zu\r\n%s\r\n", status,
             length, more);
    send_text(peer, head);
    send_all(peer, body, length);
}

static void answer_size(int peer, size_t length)
{
    static char many[16384];
    char head[128];
    memset(many, 'x', sizeof(many));
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
    send_text(peer, head);
    while (length) {
        size_t piece = length < sizeof(many) ? length : sizeof(many);
        send_all(peer, many, piece);
        length -= piece;
    }
}

static void answer_slowly(int peer)
{
    send_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while (1) {
        send_text(peer, "x");
        usleep(20000);
    }
}

/* Until the head has ended and the body it announces is there. */
static size_t read_request(int peer, char *text)
{
    size_t length = 0;
    while (length < REQUEST_MAX - 1) {
        ssize_t got = recv(peer, text + length, REQUEST_MAX - 1 - length, 0);
        if (got <= 0)
            _exit(0);
        length += (size_t)got;
        text[length] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        const char *size = strcasestr(text, "\r\nContent-Length:");
        size_t body = size ? (size_t)atol(size + 17) : 0;
        if (end && length >= (size_t)(end + 4 - text) + body)
            break;
    }
    return length;
}

static void serve(int peer)
{
    static char request[REQUEST_MAX];
    size_t length = read_request(peer, request);
    const char *path = strchr(request, ' ');
    path = path ? path + 1 : "";
    if (strncmp(path, "/status/", 8) == 0) {
        char body[32];
        int status = atoi(path + 8);
        snprintf(body, sizeof(body), "status %d", status);
        answer(peer, status, "", body, strlen(body));
    } else if (strncmp(path, "/wait/", 6) == 0) {
        usleep((useconds_t)atoi(path + 6) * 1000);
        answer(peer, 200, "", "", 0);
    } else if (strncmp(path, "/gauge/", 7) == 0) {
        char body[64];
        snprintf(body, sizeof(body), "figure %d\n", atoi(path + 7));
        answer(peer, 200, "Content-Type: text/plain\r\n", body, strlen(body));
    } else if (strncmp(path, "/body/", 6) == 0) {
        answer_size(peer, (size_t)atol(path + 6));
    } else if (strncmp(path, "/echo", 5) == 0) {
        answer(peer, 200, "", request, length);
    } else if (strncmp(path, "/redirect", 9) == 0) {
        answer(peer, 302, "Location: /status/200\r\n", "", 0);
    } else if (strncmp(path, "/slow", 5) == 0) {
        answer_slowly(peer);
    } else if (strncmp(path, "/never", 6) == 0) {
        pause();
    } else if (strncmp(path, "/garbage", 8) == 0) {
        send_text(peer, "\x01\x02 this is no answer\r\n\r\n\x1b[31m\r\n");
    } else if (strncmp(path, "/short", 6) == 0) {
        send_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
    }
    shutdown(peer, SHUT_WR);
    close(peer);
    _exit(0);
}

static void accept_for_ever(int listener)
{
    signal(SIGCHLD, SIG_IGN);
    while (1) {
        int peer = accept(listener, NULL, NULL);
        if (peer < 0)
            _exit(1);
        if (fork() == 0)
            serve(peer);
        close(peer);
    }
}

void http_server_start(struct http_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 ||
        listen(listener, 128) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
        (server->pid = fork()) < 0) {
        perror("http server");
        exit(1);
    }
    server->port = ntohs(address.sin_port);
    if (server->pid == 0) {
        setpgid(0, 0);
        accept_for_ever(listener);
    }
    setpgid(server->pid, server->pid);
    close(listener);
}

void http_server_stop(struct http_server *server)
{
    kill(-server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}
