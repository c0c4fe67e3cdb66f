/*
 * A small HTTP/1.1 server for tests, in a process group of its own on a loopback port. What it does
 * is said by the request's path:
 *
 *   /status/N     answers with status N and the body `status N`
 *   /wait/N       answers after N ms
 *   /gauge/N      a page of metrics, as Prometheus reads them: `figure` is N
 *   /body/N       a body of N bytes 'x'
 *   /echo         the request, its head and body, as the body
 *   /redirect     302 to /status/200
 *   /slow         an answer whose body never ends: a byte every 20 ms
 *   /never        no answer
 *   /garbage      bytes that are no HTTP
 *   /close        closes at once
 *   /short        says 100 bytes, sends 10, closes
 */
#ifndef SUPPORT_HTTP_SERVER_H
#define SUPPORT_HTTP_SERVER_H

#include <stdint.h>
#include <sys/types.h>

struct http_server {
    uint16_t port; /* on 127.0.0.1 */
    pid_t pid;
};

/* Returns when it listens. Ends the program with a word when it cannot. */
void http_server_start(struct http_server *server);
void http_server_stop(struct http_server *server);

#endif
