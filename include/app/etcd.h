/*
 * An etcd cluster by its v3 JSON gateway: one request, one answer, in bounded time. Several endpoints are tried in
 * turn; user and password become a token, asked for again when it has expired. Never decides what stands in it.
 *
 * Names of requests and of their fields are etcd's own (etcd 3.4 and later, api/etcdserverpb/rpc.proto). Keys and
 * values travel in base64; 64-bit numbers as text. The password stays in memory here and in the body of
 * `auth/authenticate`: in no argument, log, message or journal.
 */
#ifndef APP_ETCD_H
#define APP_ETCD_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "io/http.h"
#include "io/loop.h"
#include "model/playbook.h"

struct etcd;

/* Reads the password from where the playbook says; `access` is borrowed for etcd's life. ERR_INPUT: the variable is
 * not set, the file is empty; ERR_NOT_FOUND, ERR_IO: the file. */
int etcd_create(struct etcd **out, struct loop *loop, struct http_client *http,
                const struct etcd_access *access, struct err *err);
/* Cancels what is under way: no callback comes after. Wipes the password. NULL is fine; not from a callback. */
void etcd_free(struct etcd *etcd);

/* `answer` is borrowed until the callback returns; NULL when `error` is not. ERR_UNREACHABLE or ERR_TIMEOUT: no
 * endpoint has answered; ERR_AUTH: user or password, or not allowed to; ERR_FAILED: etcd says no to the request;
 * ERR_PROTOCOL: no answer of etcd's. */
typedef void etcd_fn(void *context, const json_t *answer, const struct err *error);
struct etcd_call;
/* `method`: what stands behind /v3/, e.g. `kv/txn`. Takes over `body`, also on failure. The callback comes once, from
 * the loop, unless cancelled; the call is gone when it runs. A request whose answer was lost may have been done, and
 * may be sent once more to the next endpoint: make it repeatable. NULL: out of memory. */
struct etcd_call *etcd_start(struct etcd *etcd, const char *method, json_t *body, etcd_fn *fn, void *context);
/* NULL is fine. */
void etcd_cancel(struct etcd_call *call);
/* The most that a call takes. */
int64_t etcd_limit_ms(const struct etcd *etcd);

/* --- words of etcd's --- */

/* A string in base64, and the end of the range of all keys that begin with `prefix`. NULL when out of memory. */
json_t *etcd_text(const char *text);
json_t *etcd_range_end(const char *prefix);
/* An operation of a transaction: put (`lease` 0: for good), delete. */
json_t *etcd_put(const char *key, const char *value, int64_t lease);
json_t *etcd_delete(const char *key);
/* Holds when the key's create_revision is this; 0: when there is no such key. */
json_t *etcd_compare_created(const char *key, int64_t revision);
/* A transaction of 1 compare or none; takes over all three; NULL lists are empty. */
json_t *etcd_txn(json_t *compare, json_t *success, json_t *failure);

/* A 64-bit number that stands in an answer as text or as a number; 0 when it does not. */
int64_t etcd_number(const json_t *object, const char *name);
/* Appends the text behind a base64 string; -1 when it is none. */
int etcd_string(struct strbuf *out, const json_t *object, const char *name);

#endif
