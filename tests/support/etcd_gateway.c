#include "etcd_gateway.h"

#include <arpa/inet.h>
#include <err.h>
#include <inttypes.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/etcd.h"
#include "base/base64.h"

#define OPERATIONS_MAX 128
#define TEXT_MAX ((size_t)1 << 20)

/* --- keys --- */

static size_t place_of(const struct etcd_gateway *self, const char *key)
{
    size_t i = 0;
    while (i < self->count && strcmp(self->keys[i].key, key) != 0)
        i++;
    return i;
}

static void forget(struct etcd_gateway *self, const char *key)
{
    size_t at = place_of(self, key);
    if (at == self->count)
        return;
    free(self->keys[at].key);
    free(self->keys[at].value);
    self->keys[at] = self->keys[--self->count];
}

void etcd_gateway_put(struct etcd_gateway *self, const char *key, const char *value, int64_t lease)
{
    forget(self, key);
    if (self->count == GATEWAY_KEYS_MAX)
        errx(1, "etcd gateway: too many keys");
    self->keys[self->count++] = (struct gateway_key){strdup(key), strdup(value), lease};
}

const char *etcd_gateway_get(const struct etcd_gateway *self, const char *key)
{
    size_t at = place_of(self, key);
    return at < self->count ? self->keys[at].value : NULL;
}

/* --- requests; each gives back the answer --- */

/* malloc'ed */
static char *text_of(const json_t *object, const char *name)
{
    struct strbuf text;
    strbuf_init(&text, TEXT_MAX);
    etcd_string(&text, object, name);
    char *copy = strdup(text.length ? text.text : "");
    strbuf_release(&text);
    return copy;
}

static json_t *range(struct etcd_gateway *self, const json_t *request)
{
    char *from = text_of(request, "key"), *to = text_of(request, "range_end"), lease[24];
    json_t *found = json_array();
    for (size_t i = 0; i < self->count; i++) {
        const struct gateway_key *key = &self->keys[i];
        if (strcmp(key->key, from) < 0 || strcmp(key->key, to) >= 0)
            continue;
        snprintf(lease, sizeof(lease), "%" PRId64, key->lease);
        json_array_append_new(found, json_pack("{s:o, s:o, s:s}", "key", etcd_text(key->key), "value",
                                               etcd_text(key->value), "lease", lease));
    }
    free(from);
    free(to);
    return json_pack("{s:o}", "kvs", found);
}

/* Its key, malloc'ed; an empty one: it is no such operation. */
static char *key_of(const json_t *operation)
{
    const json_t *put = json_object_get(operation, "requestPut");
    return text_of(put ? put : json_object_get(operation, "requestDeleteRange"), "key");
}

static bool has_twice(const json_t *operations)
{
    bool twice = false;
    for (size_t i = 0; i < json_array_size(operations); i++)
        for (size_t k = 0; k < i; k++) {
            char *one = key_of(json_array_get(operations, i)), *other = key_of(json_array_get(operations, k));
            twice = twice || strcmp(one, other) == 0;
            free(one);
            free(other);
        }
    return twice;
}

static void carry_out(struct etcd_gateway *self, const json_t *operation, size_t *puts, size_t *deletes)
{
    const json_t *put = json_object_get(operation, "requestPut");
    char *key = key_of(operation), *value = text_of(put, "value");
    if (put)
        etcd_gateway_put(self, key, value, etcd_number(put, "lease"));
    else
        forget(self, key);
    *puts += put != NULL;
    *deletes += put == NULL;
    free(key);
    free(value);
}

/* NULL: refused. */
static json_t *transact(struct etcd_gateway *self, const json_t *request)
{
    const json_t *operations = json_object_get(request, "success");
    size_t at = self->transaction_count, puts = 0, deletes = 0;
    if (json_array_size(operations) > OPERATIONS_MAX || has_twice(operations) || at == GATEWAY_TRANSACTIONS_MAX)
        return NULL;
    for (size_t i = 0; i < json_array_size(operations); i++)
        carry_out(self, json_array_get(operations, i), &puts, &deletes);
    self->transactions[at].puts = puts;
    self->transactions[at].deletes = deletes;
    self->transaction_count++;
    return json_pack("{s:b}", "succeeded", 1);
}

static json_t *grant(struct etcd_gateway *self)
{
    char id[24];
    snprintf(id, sizeof(id), "%" PRId64, ++self->leases);
    return json_pack("{s:s, s:s}", "ID", id, "TTL", "60");
}

static json_t *answer(struct etcd_gateway *self, const char *path, const json_t *request)
{
    if (strcmp(path, "/v3/kv/range") == 0)
        return range(self, request);
    if (strcmp(path, "/v3/kv/txn") == 0)
        return transact(self, request);
    return strcmp(path, "/v3/lease/grant") == 0 ? grant(self) : NULL;
}

/* --- HTTP: a request a connection --- */

static void exchange(struct etcd_gateway *self, FILE *stream)
{
    char line[2048], path[256] = "";
    size_t length = 0;
    if (!fgets(line, sizeof(line), stream) || sscanf(line, "POST %255s", path) != 1)
        return;
    while (fgets(line, sizeof(line), stream) && strcmp(line, "\r\n") != 0)
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            length = strtoul(line + 15, NULL, 10);
    char *body = length < TEXT_MAX ? malloc(length + 1) : NULL;
    if (!body || fread(body, 1, length, stream) != length)
        errx(1, "etcd gateway: a request of %zu bytes", length);
    json_t *request = json_loadb(body, length, 0, NULL), *answered = answer(self, path, request);
    self->refused += answered == NULL;
    char *text = answered ? json_dumps(answered, JSON_COMPACT) : strdup("{\"error\":\"no\",\"code\":3}");
    fseek(stream, 0, SEEK_CUR);
    fprintf(stream, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", answered ? "200 OK" : "400 No",
            strlen(text), text);
    free(text);
    free(body);
    json_decref(request);
    json_decref(answered);
}

static void *serve(void *context)
{
    struct etcd_gateway *self = context;
    for (int peer; (peer = accept(self->listener, NULL, NULL)) >= 0;) {
        FILE *stream = fdopen(peer, "r+");
        if (!stream)
            continue;
        exchange(self, stream);
        fclose(stream);
    }
    return NULL;
}

void etcd_gateway_start(struct etcd_gateway *self)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof(address);
    *self = (struct etcd_gateway){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (self->listener < 0 || bind(self->listener, (struct sockaddr *)&address, length) < 0 ||
        listen(self->listener, 16) < 0 || getsockname(self->listener, (struct sockaddr *)&address, &length) < 0)
        err(1, "etcd gateway");
    self->port = ntohs(address.sin_port);
    if (pthread_create(&self->thread, NULL, serve, self) != 0)
        errx(1, "etcd gateway: no thread");
}

void etcd_gateway_stop(struct etcd_gateway *self)
{
    shutdown(self->listener, SHUT_RDWR);
    pthread_join(self->thread, NULL);
    close(self->listener);
    while (self->count)
        forget(self, self->keys[0].key);
}
