/* What http.c (the calls) and http_poll.c (libcurl's sockets and timer on our loop) share. */
#ifndef IO_HTTP_INTERNAL_H
#define IO_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "base/strbuf.h"
#include "http_tunnel.h"

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct timer *timer;
    struct http_call *calls;
};

struct http_call {
    struct http_client *client;
    struct http_call *next, **link; /* in client->calls */
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    http_fn *fn;
    void *context;
    char *host;     /* the URL's, for words */
    char *far_host; /* where the connection goes */
    uint16_t far_port;
    int64_t timeout_ms;
    int64_t started_ms;
    struct http_tunnel *tunnel; /* NULL: directly */
    char tunnel_name[HTTP_TUNNEL_NAME];
    struct err tunnel_error;
    struct strbuf body;
    size_t body_max;
    const char *wanted_header; /* NULL: none */
    uint64_t body_total;
    char reason[CURL_ERROR_SIZE];
};

/* Puts libcurl's waits on the loop; `ended` is called for each transfer that libcurl has ended. */
int http_poll_attach(struct http_client *client, struct err *err);
void http_call_ended(struct http_call *call, CURLcode code);
/* Why it failed, in words. */
void http_explain(const struct http_call *call, CURLcode code, struct err *err);

#endif
