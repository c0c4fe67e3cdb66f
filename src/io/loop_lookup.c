#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/loop.h"

#define LOOKUP_ADDRESSES_MAX 8

struct lookup {
    uv_getaddrinfo_t request;
    struct timer *soon; /* a literal address needs no resolver, only a later turn */
    struct sockaddr_storage literal;
    const char *failure;
    lookup_fn *fn; /* NULL once forgotten */
    void *context;
};

static bool parse_literal(struct sockaddr_storage *out, const char *host, uint16_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return true;
    }
    return false;
}

static void on_soon(void *context)
{
    struct lookup *lookup = context;
    bool failed = lookup->failure != NULL;
    lookup->fn(lookup->context, &lookup->literal, failed ? 0 : 1, lookup->failure);
    free(lookup);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct lookup *lookup = request->data;
    struct sockaddr_storage addresses[LOOKUP_ADDRESSES_MAX];
    size_t count = 0;

    memset(addresses, 0, sizeof(addresses));
    for (struct addrinfo *a = list; a != NULL && count < LOOKUP_ADDRESSES_MAX; a = a->ai_next) {
        if (a->ai_addrlen <= sizeof(addresses[0])) {
            memcpy(&addresses[count++], a->ai_addr, a->ai_addrlen);
        }
    }
    uv_freeaddrinfo(list);
    if (lookup->fn != NULL) {
        const char *failure = status != 0 ? uv_strerror(status) : NULL;
        if (failure == NULL && count == 0) {
            failure = "no address";
        }
        lookup->fn(lookup->context, addresses, failure != NULL ? 0 : count, failure);
    }
    free(lookup);
}

struct lookup *lookup_start(struct loop *loop, const char *host, uint16_t port, lookup_fn *fn,
                            void *context)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL) {
        return NULL;
    }
    lookup->fn = fn;
    lookup->context = context;
    lookup->request.data = lookup;

    if (!parse_literal(&lookup->literal, host, port)) {
        char service[8];
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
        snprintf(service, sizeof(service), "%u", port);
        int rc =
            uv_getaddrinfo(loop_uv(loop), &lookup->request, on_resolved, host, service, &hints);
        if (rc == 0) {
            return lookup;
        }
        lookup->failure = uv_strerror(rc);
    }
    lookup->soon = timer_start(loop, 0, on_soon, lookup);
    if (lookup->soon == NULL) {
        free(lookup);
        return NULL;
    }
    return lookup;
}

void lookup_forget(struct lookup *lookup)
{
    if (lookup == NULL) {
        return;
    }
    if (lookup->soon != NULL) {
        timer_stop(lookup->soon);
        free(lookup);
        return;
    }
    lookup->fn = NULL;
    uv_cancel((uv_req_t *)&lookup->request);
}
