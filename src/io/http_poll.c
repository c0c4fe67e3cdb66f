#include "http_internal.h"

#include <stdlib.h>

struct socket_watch {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t socket;
};

/* The client must outlive the callbacks of its calls: it is never freed from one. */
static void collect(struct http_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct http_call *call = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        http_call_ended(call, code);
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *watched = poll->data;
    struct http_client *client = watched->client;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    int running;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(client->multi, watched->socket, flags, &running);
    collect(client);
}

static void on_timer(void *context)
{
    struct http_client *client = context;
    int running;
    client->timer = NULL;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(client);
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct http_client *client = context;
    (void)multi;
    timer_stop(client->timer);
    client->timer = NULL;
    if (timeout_ms >= 0) {
        client->timer = timer_start(client->loop, timeout_ms, on_timer, client);
        if (!client->timer)
            return -1;
    }
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct socket_watch *watch_create(struct http_client *client, curl_socket_t socket)
{
    struct socket_watch *watched = calloc(1, sizeof(*watched));
    if (!watched)
        return NULL;
    watched->client = client;
    watched->socket = socket;
    watched->poll.data = watched;
    if (uv_poll_init_socket(loop_uv(client->loop), &watched->poll, socket) != 0) {
        free(watched);
        return NULL;
    }
    curl_multi_assign(client->multi, socket, watched);
    return watched;
}

static int set_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *known)
{
    struct http_client *client = context;
    struct socket_watch *watched = known;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched) {
            curl_multi_assign(client->multi, socket, NULL);
            uv_poll_stop(&watched->poll);
            uv_close((uv_handle_t *)&watched->poll, on_closed);
        }
        return 0;
    }
    if (!watched && !(watched = watch_create(client, socket)))
        return -1;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&watched->poll, events, on_ready) == 0 ? 0 : -1;
}

int http_poll_attach(struct http_client *client, struct err *err)
{
    if (curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, set_socket) != CURLM_OK ||
        curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) != CURLM_OK ||
        curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer) != CURLM_OK ||
        curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client) != CURLM_OK)
        return err_set(err, ERR_UNSUPPORTED, "this libcurl has no event interface");
    return 0;
}
