/*
 * HTTP(S) requests and TCP probes, by libcurl's multi interface on our loop, directly or through a
 * node's SSH connection (a local socket pumped to a direct-tcpip channel). No redirects, no proxy
 * from the environment, no cookies. Never decides.
 */
#ifndef IO_HTTP_H
#define IO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"
#include "io/ssh.h"

struct http_client; /* one a run: the multi handle */
int http_client_create(struct http_client **out, struct loop *loop, struct err *err);
/* Cancels the calls still under way. Not from a callback of a call. */
void http_client_free(struct http_client *client);

struct http_request {
    const char *url; /* http:// or https://; its host names the certificate and the Host header */
    const char *method;         /* NULL: GET */
    const char *const *headers; /* "Name: value"; NULL-terminated; may be NULL */
    const char *body;           /* request body; NULL: none */
    bool verify_tls;
    /* PEM files: who signs servers' certificates (NULL: the system's), and our own certificate with
     * its key (NULL: none) */
    const char *ca_file, *certificate_file, *key_file;
    int64_t timeout_ms; /* for all of it */
    const char *wanted_header; /* of the answer, to be kept; borrowed until the callback; NULL: none */
    size_t body_max;    /* kept bytes of the answer's body; what is more is counted, not kept */
    struct ssh *via;    /* tunnel through this connection; NULL: directly */
    const char *connect_host; /* where to connect (as the far sshd sees it, when via); NULL: the
                                 URL's host */
    uint16_t connect_port;    /* 0: the URL's port */
};

struct http_response {
    int status;         /* 0 when no answer came */
    const char *body;   /* borrowed until the callback returns; NUL-terminated */
    size_t body_length; /* kept */
    const char *header; /* the wanted one's last value; NULL: it is not there; borrowed likewise */
    uint64_t body_total;
    int64_t total_ms;
    int64_t answer_us; /* from when the connection stood and the request went out to the answer's end */
    const struct err *error; /* NULL when an answer came, whatever its status */
};

struct http_call;
typedef void http_fn(void *context, const struct http_response *response);
/* The callback comes exactly once, unless cancelled; the call is gone when it runs. `via` stays
 * open until then or until the cancel. Redirects are answers like others. Returns NULL and sets err
 * when the request is malformed. */
struct http_call *http_start(struct http_client *client, const struct http_request *request,
                             http_fn *fn, void *context, struct err *err);
/* No callback comes after. */
void http_cancel(struct http_call *call);

/* Connects and closes: error NULL when the far end accepted. Through `via` when it is not NULL
 * (open until the callback or the cancel); directly, the name's addresses are tried in the
 * resolver's order. The probe is gone when its callback runs. NULL when out of memory. */
struct tcp_probe;
typedef void tcp_probe_fn(void *context, const struct err *error, int64_t total_ms);
struct tcp_probe *tcp_probe_start(struct loop *loop, struct ssh *via, const char *host,
                                  uint16_t port, int64_t timeout_ms, tcp_probe_fn *fn,
                                  void *context);
void tcp_probe_cancel(struct tcp_probe *probe);

#endif
