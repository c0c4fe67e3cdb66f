#include "http_internal.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

static void explain_connect(const struct http_call *call, struct err *err)
{
    long number = 0;
    curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &number);
    if (number == ECONNREFUSED)
        err_set(err, ERR_UNREACHABLE, "%s:%u refused the connection", call->far_host,
                call->far_port);
    else
        err_set(err, ERR_UNREACHABLE, "no connection to %s:%u: %s", call->far_host, call->far_port,
                number ? strerror((int)number) : call->reason);
}

static void explain_timeout(const struct http_call *call, struct err *err)
{
    char time[DURATION_TEXT_MAX];
    curl_off_t connected = 0;
    curl_easy_getinfo(call->easy, CURLINFO_CONNECT_TIME_T, &connected);
    duration_format(time, call->timeout_ms);
    if (connected == 0)
        err_set(err, ERR_TIMEOUT, "no connection to %s:%u within %s", call->far_host,
                call->far_port, time);
    else if (call->body_total)
        err_set(err, ERR_TIMEOUT, "no whole answer from %s:%u within %s", call->far_host,
                call->far_port, time);
    else
        err_set(err, ERR_TIMEOUT, "no answer from %s:%u within %s", call->far_host, call->far_port,
                time);
}

/* libcurl says that of a header line past its limit (CURL_MAX_HTTP_HEADER) too: once the request is sent and before any body, that is it. */
static bool header_was_too_long(const struct http_call *call)
{
    curl_off_t sent = 0;
    curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
    return sent > 0 && call->body_total == 0;
}

void http_explain(const struct http_call *call, CURLcode code, struct err *err)
{
    struct strbuf reason;
    strbuf_init(&reason, 2 * CURL_ERROR_SIZE);
    const char *said = call->reason[0] ? call->reason : curl_easy_strerror(code);
    text_sanitize(&reason, said, strlen(said), false); /* a server's words may be in it */
    if (call->tunnel_error.code)
        *err = call->tunnel_error;
    else if (code == CURLE_COULDNT_CONNECT)
        explain_connect(call, err);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        explain_timeout(call, err);
    else if (code == CURLE_COULDNT_RESOLVE_HOST)
        err_set(err, ERR_UNREACHABLE, "the name %s is not known", call->far_host);
    else if (code == CURLE_PEER_FAILED_VERIFICATION)
        err_set(err, ERR_PROTOCOL, "TLS certificate of %s not trusted: %s", call->host,
                reason.text);
    else if (code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM)
        err_set(err, ERR_INPUT, "a certificate or key file cannot be used: %s", reason.text);
    else if (code == CURLE_SSL_CONNECT_ERROR)
        err_set(err, ERR_PROTOCOL, "no TLS with %s: %s", call->host, reason.text);
    else if (code == CURLE_GOT_NOTHING)
        err_set(err, ERR_PROTOCOL, "%s:%u closed without an answer", call->far_host,
                call->far_port);
    else if (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR)
        err_set(err, ERR_PROTOCOL, "%s:%u broke the connection off: %s", call->far_host,
                call->far_port, reason.text);
    else if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY)
        err_set(err, ERR_PROTOCOL, "%s:%u does not speak HTTP: %s", call->far_host, call->far_port,
                reason.text);
    else if (code == CURLE_OUT_OF_MEMORY && header_was_too_long(call))
        err_set(err, ERR_PROTOCOL, "%s:%u sent a header of more than 100 KiB", call->far_host, call->far_port);
    else if (code == CURLE_OUT_OF_MEMORY)
        err_set(err, ERR_MEMORY, "out of memory");
    else
        err_set(err, ERR_PROTOCOL, "%s:%u: %s", call->far_host, call->far_port, reason.text);
    strbuf_release(&reason);
}
