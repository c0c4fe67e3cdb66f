#include "http_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int http_client_create(struct http_client **out, struct loop *loop, struct err *err)
{
    struct http_client *client = calloc(1, sizeof(*client));
    *out = NULL;
    if (!client || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(client);
        return err_set(err, ERR_MEMORY, "libcurl cannot start: out of memory");
    }
    client->loop = loop;
    client->multi = curl_multi_init();
    int rc =
        client->multi ? http_poll_attach(client, err) : err_set(err, ERR_MEMORY, "out of memory");
    if (rc < 0)
        http_client_free(client);
    else
        *out = client;
    return rc;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    while (client->calls)
        http_cancel(client->calls);
    curl_multi_cleanup(client->multi);
    timer_stop(client->timer);
    free(client);
    curl_global_cleanup();
}

/* --- one call's life --- */

static void call_free(struct http_call *call)
{
    if (call->easy) {
        curl_multi_remove_handle(call->client->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    http_tunnel_free(call->tunnel);
    if (call->link) {
        *call->link = call->next;
        if (call->next)
            call->next->link = call->link;
    }
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->connect_to);
    strbuf_release(&call->body);
    free(call->host);
    free(call->far_host);
    free(call);
}

void http_cancel(struct http_call *call)
{
    if (call)
        call_free(call);
}

static int64_t answer_us(CURL *easy)
{
    curl_off_t begun = 0, ended = 0;
    curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &begun);
    curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &ended);
    return ended > begun ? (int64_t)(ended - begun) : 0;
}

static const char *header_of(const struct http_call *call)
{
    struct curl_header *header;
    bool found = call->wanted_header && curl_easy_header(call->easy, call->wanted_header, 0, CURLH_HEADER, -1, &header) == CURLHE_OK;
    if (found && header->amount > 1)
        found = curl_easy_header(call->easy, call->wanted_header, header->amount - 1, CURLH_HEADER, -1, &header) == CURLHE_OK;
    return found ? header->value : NULL;
}

void http_call_ended(struct http_call *call, CURLcode code)
{
    struct err err = {0};
    struct http_response response = {.body = call->body.text,
                                     .body_length = call->body.length,
                                     .body_total = call->body_total,
                                     .total_ms =
                                         loop_now_ms(call->client->loop) - call->started_ms};
    const struct err *tunnel_error = http_tunnel_error(call->tunnel);
    if (tunnel_error && code != CURLE_OK)
        call->tunnel_error = *tunnel_error;
    if (code == CURLE_OK && call->body.length < call->body_max && call->body.overflowed)
        code = CURLE_OUT_OF_MEMORY;
    if (code == CURLE_OK) {
        long status = 0;
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        response.status = (int)status;
        response.answer_us = answer_us(call->easy);
        response.header = header_of(call);
    } else {
        http_explain(call, code, &err);
        response.error = &err;
    }
    /* Out of the client's list first: the callback may free or start others. */
    if (call->next)
        call->next->link = call->link;
    *call->link = call->next;
    call->link = NULL;
    call->fn(call->context, &response);
    call_free(call);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct http_call *call = context;
    size_t length = size * count;
    call->body_total += length;
    strbuf_add(&call->body, bytes, length);
    return length;
}

/* --- the request --- */

static bool has_line_break(const char *text)
{
    return strpbrk(text, "\r\n") != NULL;
}

static char *part_of(CURLU *url, CURLUPart part)
{
    char *text = NULL, *copy = NULL;
    if (curl_url_get(url, part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) ==
        CURLUE_OK)
        copy = strdup(text);
    curl_free(text);
    return copy;
}

/* An IPv6 address without the URL's brackets. */
static void drop_brackets(char *host)
{
    size_t length = strlen(host);
    if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
        memmove(host, host + 1, length - 2);
        host[length - 2] = '\0';
    }
}

static int take_url(struct http_call *call, const struct http_request *request, struct err *err)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *port = NULL;
    int rc = 0;
    if (!url || curl_url_set(url, CURLUPART_URL, request->url, 0) != CURLUE_OK ||
        !(scheme = part_of(url, CURLUPART_SCHEME)) ||
        !(call->host = part_of(url, CURLUPART_HOST)) || !(port = part_of(url, CURLUPART_PORT)) ||
        (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)) {
        rc = err_set(err, ERR_INPUT, "'%.200s' is no http:// or https:// address", request->url);
        goto out;
    }
    drop_brackets(call->host);
    call->far_host = strdup(request->connect_host ? request->connect_host : call->host);
    call->far_port = request->connect_port ? request->connect_port : (uint16_t)strtoul(port, NULL, 10);
    if (!call->far_host)
        rc = err_set(err, ERR_MEMORY, "out of memory");
out:
    free(scheme);
    free(port);
    curl_url_cleanup(url);
    return rc;
}

static int take_headers(struct http_call *call, const struct http_request *request, struct err *err)
{
    for (size_t i = 0; request->headers && request->headers[i]; i++) {
        const char *header = request->headers[i];
        if (!strchr(header, ':') || *header == ':' || has_line_break(header))
            return err_set(err, ERR_INPUT,
                           "a header must be one line `Name: value`, and '%.100s' is not", header);
        struct curl_slist *longer = curl_slist_append(call->headers, header);
        if (!longer)
            return err_set(err, ERR_MEMORY, "out of memory");
        call->headers = longer;
    }
    if (request->method && request->method[strspn(request->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-")])
        return err_set(err, ERR_INPUT, "'%.40s' is no HTTP method", request->method);
    return 0;
}

/* The URL's host stays the certificate's name and the Host header; only the connection goes
 * elsewhere. Through a node, libcurl gets a local socket, and so never asks our resolver for a name
 * that the node is to resolve. */
static int take_destination(struct http_call *call, const struct http_request *request,
                            struct err *err)
{
    char text[600];
    bool v6 = strchr(call->far_host, ':') != NULL;
    if (request->via) {
        call->tunnel = http_tunnel_open(call->client->loop, request->via, call->far_host,
                                        call->far_port, call->tunnel_name, err);
        return call->tunnel ? 0 : ERR_IO;
    }
    if (!request->connect_host && !request->connect_port)
        return 0;
    if (snprintf(text, sizeof(text), "::%s%s%s:%u", v6 ? "[" : "", call->far_host, v6 ? "]" : "",
                 call->far_port) >= (int)sizeof(text))
        return err_set(err, ERR_INPUT, "the host's name is too long");
    call->connect_to = curl_slist_append(NULL, text);
    return call->connect_to ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}

#define SET(option, value) (rc = rc ? rc : (int)curl_easy_setopt(call->easy, option, value))

static int set_transfer(struct http_call *call, const struct http_request *request)
{
    int rc = 0;
    SET(CURLOPT_PRIVATE, call);
    SET(CURLOPT_ERRORBUFFER, call->reason);
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* else ending a call waits for its look-up's thread */
    SET(CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_HTTPHEADER, call->headers);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, call);
    SET(CURLOPT_CONNECT_TO, call->connect_to);
    if (!request->verify_tls) {
        SET(CURLOPT_SSL_VERIFYPEER, 0L);
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (request->ca_file)
        SET(CURLOPT_CAINFO, request->ca_file);
    if (request->certificate_file)
        SET(CURLOPT_SSLCERT, request->certificate_file);
    if (request->key_file)
        SET(CURLOPT_SSLKEY, request->key_file);
    return rc;
}

static int set_request(struct http_call *call, const struct http_request *request)
{
    int rc = 0;
    if (request->body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(request->body));
        SET(CURLOPT_COPYPOSTFIELDS, request->body);
    }
    if (request->method && strcmp(request->method, "HEAD") == 0)
        SET(CURLOPT_NOBODY, 1L);
    else if (request->method || request->body)
        SET(CURLOPT_CUSTOMREQUEST, request->method ? request->method : "GET");
    if (call->tunnel)
        SET(CURLOPT_ABSTRACT_UNIX_SOCKET, call->tunnel_name);
    return rc;
}

static int call_prepare(struct http_call *call, const struct http_request *request, struct err *err)
{
    if (request->timeout_ms <= 0)
        return err_set(err, ERR_INPUT, "a request needs a timeout");
    int rc = take_url(call, request, err);
    if (rc == 0)
        rc = take_headers(call, request, err);
    if (rc == 0)
        rc = take_destination(call, request, err);
    if (rc < 0)
        return rc;
    call->easy = curl_easy_init();
    if (!call->easy || set_transfer(call, request) || set_request(call, request))
        return err_set(err, ERR_MEMORY, "libcurl cannot take the request: out of memory");
    CURLMcode added = curl_multi_add_handle(call->client->multi, call->easy);
    return added == CURLM_OK ? 0
                             : err_set(err, ERR_MEMORY, "libcurl: %s", curl_multi_strerror(added));
}

struct http_call *http_start(struct http_client *client, const struct http_request *request,
                             http_fn *fn, void *context, struct err *err)
{
    struct http_call *call = calloc(1, sizeof(*call));
    if (!call) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    call->client = client;
    call->fn = fn;
    call->context = context;
    call->timeout_ms = request->timeout_ms;
    call->started_ms = loop_now_ms(client->loop);
    call->body_max = request->body_max;
    call->wanted_header = request->wanted_header;
    strbuf_init(&call->body, request->body_max);
    if (call_prepare(call, request, err) < 0) {
        call_free(call);
        return NULL;
    }
    call->next = client->calls;
    call->link = &client->calls;
    if (call->next)
        call->next->link = &call->next;
    client->calls = call;
    return call;
}
