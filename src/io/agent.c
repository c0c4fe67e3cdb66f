#include "io/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent_reply.h"
#include "base/strbuf.h"
#include "ssh_wire.h"

#define CONNECT_RETRY_MS 20

enum { REQUEST_IDENTITIES = 11, SIGN_REQUEST = 13 };

struct agent_call {
    struct loop *loop;
    char *path;
    int fd;
    uv_poll_t poll;
    bool polling; /* the poll handle is initialised */
    bool closing; /* it is being closed: the loop gives the memory back */
    struct timer *deadline;
    struct timer *again;
    int64_t timeout_ms;
    struct strbuf request;
    struct strbuf reply;
    agent_list_fn *list_fn;
    agent_sign_fn *sign_fn;
    void *context;
};

static void start(void *context);

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void release(struct agent_call *call)
{
    timer_stop(call->deadline);
    timer_stop(call->again);
    strbuf_release(&call->request);
    strbuf_release(&call->reply);
    free(call->path);
    if (!call->closing) {
        free(call);
    }
}

static void close_socket(struct agent_call *call)
{
    if (call->polling) {
        uv_poll_stop(&call->poll);
        uv_close((uv_handle_t *)&call->poll, on_poll_closed);
        call->polling = false;
        call->closing = true;
    }
    if (call->fd >= 0) {
        close(call->fd);
        call->fd = -1;
    }
}

void agent_cancel(struct agent_call *call)
{
    if (call != NULL) {
        close_socket(call);
        release(call);
    }
}

static void fail(struct agent_call *call, const struct err *error)
{
    close_socket(call);
    if (call->list_fn != NULL) {
        call->list_fn(call->context, error, NULL, 0);
    } else {
        call->sign_fn(call->context, error, NULL, 0);
    }
    release(call);
}

static void fail_errno(struct agent_call *call, const char *what, int number)
{
    struct err error;
    err_set(&error, ERR_AUTH, "ssh-agent at %s: %s: %s; is it running?", call->path, what,
            strerror(number));
    fail(call, &error);
}

static void fail_protocol(struct agent_call *call, const char *what)
{
    struct err error;
    err_set(&error, ERR_PROTOCOL, "ssh-agent at %s: %s; is SSH_AUTH_SOCK really an agent's socket?",
            call->path, what);
    fail(call, &error);
}

static void refuse(struct agent_call *call)
{
    struct err error;
    err_set(&error, ERR_AUTH,
            "ssh-agent at %s refused to %s; is it locked (ssh-add -X), or was its prompt declined?",
            call->path, call->list_fn != NULL ? "list its keys" : "sign");
    fail(call, &error);
}

static void deliver_list(struct agent_call *call)
{
    struct agent_keys keys;
    int rc = agent_reply_keys(&keys, call->reply.text, call->reply.length);
    if (rc > 0) {
        refuse(call);
    } else if (rc < 0) {
        fail_protocol(call, "its list of keys is malformed");
    } else {
        close_socket(call);
        call->list_fn(call->context, NULL, keys.keys, keys.count);
        release(call);
    }
    agent_keys_release(&keys);
}

static void deliver_signature(struct agent_call *call)
{
    struct wire_string signature;
    int rc = agent_reply_signature(&signature, call->reply.text, call->reply.length);
    if (rc > 0) {
        refuse(call);
    } else if (rc < 0) {
        fail_protocol(call, "its signature is malformed");
    } else {
        close_socket(call);
        call->sign_fn(call->context, NULL, signature.bytes, signature.length);
        release(call);
    }
}

static void deliver(struct agent_call *call)
{
    if (call->list_fn != NULL) {
        deliver_list(call);
    } else {
        deliver_signature(call);
    }
}

/* False once the call has ended. */
static bool receive(struct agent_call *call)
{
    char bytes[4096];
    for (;;) {
        ssize_t got = recv(call->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return true;
        }
        if (got < 0) {
            fail_errno(call, "read", errno);
            return false;
        }
        if (got == 0) {
            fail_protocol(call, "it closed the connection without an answer");
            return false;
        }
        strbuf_add(&call->reply, bytes, (size_t)got);
        enum agent_reply state = agent_reply_state(call->reply.text, call->reply.length);
        if (state == AGENT_REPLY_IMPOSSIBLE || call->reply.overflowed) {
            fail_protocol(call, "its answer has an impossible length");
            return false;
        }
        if (state == AGENT_REPLY_WHOLE) {
            deliver(call);
            return false;
        }
    }
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* False once the call has ended. */
static bool transmit(struct agent_call *call)
{
    while (call->request.length > 0) {
        ssize_t sent =
            send(call->fd, call->request.text, call->request.length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            break;
        }
        if (sent < 0) {
            fail_errno(call, "write", errno);
            return false;
        }
        strbuf_consume(&call->request, (size_t)sent);
    }
    uv_poll_start(&call->poll, UV_READABLE | (call->request.length > 0 ? UV_WRITABLE : 0),
                  on_ready);
    return true;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct agent_call *call = poll->data;
    (void)status;
    if (call->request.length > 0 && (events & UV_WRITABLE) != 0 && !transmit(call)) {
        return;
    }
    receive(call);
}

static void try_again_soon(struct agent_call *call)
{
    call->again = timer_start(call->loop, CONNECT_RETRY_MS, start, call);
    if (call->again == NULL) {
        fail_errno(call, "connect", ENOMEM);
    }
}

static void start(void *context)
{
    struct agent_call *call = context;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    call->again = NULL;
    if (strlen(call->path) >= sizeof(address.sun_path)) {
        fail_errno(call, "connect", ENAMETOOLONG);
        return;
    }
    memcpy(address.sun_path, call->path, strlen(call->path) + 1);
    call->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (call->fd < 0) {
        fail_errno(call, "socket", errno);
        return;
    }
    if (connect(call->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        int number = errno;
        close_socket(call);
        /* On a local socket this means that its queue of connections is full, not that one is under
         * way. */
        if (number == EAGAIN) {
            try_again_soon(call);
        } else {
            fail_errno(call, "connect", number);
        }
        return;
    }
    int rc = uv_poll_init(loop_uv(call->loop), &call->poll, call->fd);
    if (rc != 0) {
        fail_errno(call, "poll", -rc);
        return;
    }
    call->poll.data = call;
    call->polling = true;
    transmit(call);
}

static void on_deadline(void *context)
{
    struct agent_call *call = context;
    struct err error;
    call->deadline = NULL;
    err_set(&error, ERR_TIMEOUT,
            "ssh-agent at %s did not answer within %lld ms; does it wait for a confirmation or a "
            "touch?",
            call->path, (long long)call->timeout_ms);
    fail(call, &error);
}

static struct agent_call *call_new(struct loop *loop, const char *socket_path, int64_t timeout_ms,
                                   const struct strbuf *body)
{
    struct agent_call *call = calloc(1, sizeof(*call));
    if (call == NULL) {
        return NULL;
    }
    call->loop = loop;
    call->fd = -1;
    call->timeout_ms = timeout_ms;
    strbuf_init(&call->request, AGENT_MESSAGE_MAX);
    strbuf_init(&call->reply, AGENT_MESSAGE_MAX);
    wire_add_string(&call->request, body->text, body->length);
    call->path = strdup(socket_path);
    call->deadline = timer_start(loop, timeout_ms, on_deadline, call);
    call->again = timer_start(loop, 0, start, call);
    if (call->path == NULL || call->deadline == NULL || call->again == NULL || body->overflowed ||
        call->request.overflowed) {
        release(call);
        return NULL;
    }
    return call;
}

struct agent_call *agent_list(struct loop *loop, const char *socket_path, int64_t timeout_ms,
                              agent_list_fn *fn, void *context)
{
    struct strbuf body;
    strbuf_init(&body, 1);
    strbuf_addc(&body, REQUEST_IDENTITIES);
    struct agent_call *call = call_new(loop, socket_path, timeout_ms, &body);
    strbuf_release(&body);
    if (call != NULL) {
        call->list_fn = fn;
        call->context = context;
    }
    return call;
}

struct agent_call *agent_sign(struct loop *loop, const char *socket_path, int64_t timeout_ms,
                              const void *blob, size_t blob_length, const void *data,
                              size_t data_length, uint32_t flags, agent_sign_fn *fn, void *context)
{
    struct strbuf body;
    strbuf_init(&body, AGENT_MESSAGE_MAX - 4);
    strbuf_addc(&body, SIGN_REQUEST);
    wire_add_string(&body, blob, blob_length);
    wire_add_string(&body, data, data_length);
    wire_add_u32(&body, flags);
    struct agent_call *call = call_new(loop, socket_path, timeout_ms, &body);
    strbuf_release(&body);
    if (call != NULL) {
        call->sign_fn = fn;
        call->context = context;
    }
    return call;
}
