#include "app/service_lock.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/etcd.h"
#include "service_lock_value.h"

#define POLL_MS 1000
#define KEY_MAX 1200

/* One question to etcd, with the loop running until its answer. In the fleet's arena, since signal handlers outlive
 * it. */
struct asking {
    struct fleet *fleet;
    struct etcd *etcd;
    json_t *answer;
    struct err error;
    bool open, over;
    int signal_number;
};

struct service_lock {
    struct fleet *fleet;
    struct asking *asking;
    char key[KEY_MAX], counter[KEY_MAX + 16];
    char token[SERVICE_LOCK_TOKEN]; /* tells a lock of ours from another's when an answer was lost */
    int64_t lease, revision;
    uint64_t generation, seen;
    int64_t ttl_ms;
    struct lease held;
    struct timer *beat, *deadline;
    struct etcd_call *renewal;
    bool lost;
    char sentence[ERR_MESSAGE_MAX];
    void (*fn)(void *context, const char *sentence);
    void *context;
};

/* --- asking --- */

static void interrupted(void *context, int signal_number)
{
    struct asking *asking = context;
    if (asking->over || !asking->open)
        return;
    asking->signal_number = signal_number;
    loop_stop(asking->fleet->loop);
}

static int asking_begin(struct asking **out, struct fleet *fleet, struct err *err)
{
    struct asking *asking = arena_alloc(&fleet->arena, sizeof(*asking));
    int rc = asking ? 0 : err_set(err, ERR_MEMORY, "out of memory");
    *out = asking;
    if (rc < 0)
        return rc;
    asking->fleet = fleet;
    rc = etcd_create(&asking->etcd, fleet->loop, fleet->http, &fleet->playbook->lock.etcd, err);
    if (rc < 0)
        return err_prefix(err, "[lock]");
    if ((rc = loop_on_signal(fleet->loop, SIGINT, interrupted, asking, err)) == 0)
        rc = loop_on_signal(fleet->loop, SIGTERM, interrupted, asking, err);
    return rc;
}

static void asking_end(struct asking *asking)
{
    if (!asking)
        return;
    asking->over = true;
    json_decref(asking->answer);
    asking->answer = NULL;
    etcd_free(asking->etcd);
    asking->etcd = NULL;
}

static void answered(void *context, const json_t *answer, const struct err *error)
{
    struct asking *asking = context;
    err_clear(&asking->error);
    asking->answer = answer ? json_deep_copy(answer) : NULL;
    if (error)
        asking->error = *error;
    asking->open = false;
    loop_stop(asking->fleet->loop);
}

/* 0 with asking->answer, a signal's number, or an error. */
static int ask(struct asking *asking, const char *method, json_t *body, struct err *err)
{
    json_decref(asking->answer);
    asking->answer = NULL;
    asking->open = true;
    struct etcd_call *call = etcd_start(asking->etcd, method, body, answered, asking);
    if (!call)
        return err_set(err, ERR_MEMORY, "out of memory");
    while (asking->open && !asking->signal_number)
        loop_run(asking->fleet->loop);
    if (asking->open)
        etcd_cancel(call);
    asking->open = false;
    if (asking->signal_number)
        return asking->signal_number;
    if (asking->error.code) {
        *err = asking->error;
        return err_prefix(err, "[lock]");
    }
    return asking->answer ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}

static void woken(void *context)
{
    struct asking *asking = context;
    asking->open = false;
    loop_stop(asking->fleet->loop);
}

static int rest(struct asking *asking)
{
    asking->open = true;
    struct timer *timer = timer_start(asking->fleet->loop, POLL_MS, woken, asking);
    while (timer && asking->open && !asking->signal_number)
        loop_run(asking->fleet->loop);
    if (asking->open)
        timer_stop(timer);
    asking->open = false;
    return asking->signal_number;
}

/* --- the key --- */

static void name_key(char key[KEY_MAX], const struct fleet *fleet)
{
    snprintf(key, KEY_MAX, "%.1000s/%s", fleet->playbook->lock.prefix, fleet->playbook->service.name);
}

static json_t *range(const char *key)
{
    return json_pack("{s:o}", "key", etcd_text(key));
}

static json_t *range_operation(const char *key)
{
    return json_pack("[{s:o}]", "requestRange", range(key));
}

static const json_t *first_key(const json_t *answer)
{
    return json_array_get(json_object_get(answer, "kvs"), 0);
}

/* --- taking it --- */

static int grant(struct service_lock *lock, struct err *err)
{
    lease_sent(&lock->held, clock_boot_ms());
    int rc = ask(lock->asking, "lease/grant", json_pack("{s:I}", "TTL", (json_int_t)(lock->ttl_ms / 1000)), err);
    if (rc == 0 && (lock->lease = etcd_number(lock->asking->answer, "ID")) == 0)
        rc = err_set(err, ERR_PROTOCOL, "[lock]: etcd granted no lease");
    if (rc == 0)
        lease_acknowledged(&lock->held, lock->ttl_ms);
    return rc;
}

static char *value_of(const struct service_lock *lock, const struct service_lock_order *order)
{
    json_t *value = json_pack("{s:i, s:s, s:s, s:s}", "v", 1, "holder", order->holder, "rollout", order->rollout,
                              "token", lock->token);
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    return text;
}

/* 0: it is ours; 1: it is held, `held` says by whom; a negative error; a signal's number above 1. */
static int try_once(struct service_lock *lock, const struct service_lock_order *order, struct service_lock_view *held,
                    struct err *err)
{
    char *value = value_of(lock, order), token[SERVICE_LOCK_TOKEN];
    if (!value)
        return err_set(err, ERR_MEMORY, "[lock]: who we are is no text for etcd");
    json_t *put = json_pack("[o]", etcd_put(lock->key, value, lock->lease));
    free(value);
    int rc = ask(lock->asking, "kv/txn", etcd_txn(etcd_compare_created(lock->key, 0), put, range_operation(lock->key)), err);
    if (rc)
        return rc;
    const json_t *answer = lock->asking->answer;
    lock->revision = etcd_number(json_object_get(answer, "header"), "revision");
    if (json_is_true(json_object_get(answer, "succeeded")))
        return lock->revision > 0 ? 0 : err_set(err, ERR_PROTOCOL, "[lock]: etcd names no revision");
    const json_t *kv = first_key(json_object_get(json_array_get(json_object_get(answer, "responses"), 0), "response_range"));
    if (!kv)
        return err_set(err, ERR_PROTOCOL, "[lock]: etcd refused the lock and shows no holder");
    service_lock_value_read(held, token, kv);
    lock->revision = (int64_t)held->generation;
    return held->lease == lock->lease && strcmp(token, lock->token) == 0 ? 0 : 1;
}

static int refuse(const struct service_lock_view *held, struct err *err)
{
    return err_set(err, ERR_REFUSED,
                   "the service is locked in etcd by %s, rollout %s, generation %" PRIu64
                   "; wait for its end (--wait TIME), or `deployctl unlock`",
                   held->holder, held->rollout, held->generation);
}

static int take(struct service_lock *lock, const struct service_lock_order *order, struct err *err)
{
    struct loop *loop = lock->fleet->loop;
    int64_t ends_ms = loop_now_ms(loop) + order->wait_ms;
    bool told = false;
    while (true) {
        struct service_lock_view held;
        int rc = lock->lease ? 0 : grant(lock, err);
        if (rc == 0)
            rc = try_once(lock, order, &held, err);
        if (rc != 1)
            return rc;
        refuse(&held, err);
        if (loop_now_ms(loop) >= ends_ms)
            return ERR_REFUSED;
        if (!told && order->waiting)
            order->waiting(order->context, err->message);
        told = true;
        /* one that is waited with for long would expire: each try has a fresh one */
        if (ask(lock->asking, "lease/revoke", json_pack("{s:I}", "ID", (json_int_t)lock->lease), err) > 0)
            return lock->asking->signal_number;
        lock->lease = 0;
        if ((rc = rest(lock->asking)))
            return rc;
    }
}

/* The highest generation that a node is known to have had: ours begins above it. */
static int count_on(struct service_lock *lock, struct err *err)
{
    int rc = ask(lock->asking, "kv/range", range(lock->counter), err);
    if (rc)
        return rc;
    uint64_t counted = service_lock_counter_read(first_key(lock->asking->answer));
    lock->generation = lock->seen = (uint64_t)lock->revision;
    if (counted < lock->generation || counted >= INT64_MAX)
        return 0;
    lock->generation = counted + 1;
    lock->seen = lock->generation;
    char number[24];
    snprintf(number, sizeof(number), "%" PRIu64, lock->generation);
    json_t *put = json_pack("[o]", etcd_put(lock->counter, number, 0));
    return ask(lock->asking, "kv/txn", etcd_txn(etcd_compare_created(lock->key, lock->revision), put, NULL), err);
}

/* --- keeping it --- */

static void lose(struct service_lock *lock, const char *why)
{
    if (lock->lost)
        return;
    lock->lost = true;
    timer_stop(lock->beat);
    timer_stop(lock->deadline);
    lock->beat = lock->deadline = NULL;
    snprintf(lock->sentence, sizeof(lock->sentence), "the service's lock in etcd was lost: %.1400s", why);
    if (lock->fn)
        lock->fn(lock->context, lock->sentence);
}

static void overdue(void *context)
{
    struct service_lock *lock = context;
    lock->deadline = NULL;
    lose(lock, lock->sentence[0] ? lock->sentence : "etcd did not answer in time");
}

static void await_answer(struct service_lock *lock)
{
    int64_t left_ms = lease_ends_ms(&lock->held) - clock_boot_ms();
    timer_stop(lock->deadline);
    lock->deadline = timer_start(lock->fleet->loop, left_ms > 0 ? left_ms : 0, overdue, lock);
}

static void renewed(void *context, const json_t *answer, const struct err *error)
{
    struct service_lock *lock = context;
    lock->renewal = NULL;
    if (lock->lost)
        return;
    if (error && error->code != ERR_FAILED && error->code != ERR_AUTH) {
        snprintf(lock->sentence, sizeof(lock->sentence), "%s", error->message);
        return; /* the next beat tries again, until the ttl has passed */
    }
    if (error) {
        lose(lock, error->message);
        return;
    }
    if (etcd_number(answer, "TTL") <= 0) {
        lose(lock, "the lease is gone: it was broken, or taken over");
        return;
    }
    lease_acknowledged(&lock->held, lock->ttl_ms);
    lock->sentence[0] = '\0';
    await_answer(lock);
}

static void beat(void *context)
{
    struct service_lock *lock = context;
    lock->beat = timer_start(lock->fleet->loop, lock->ttl_ms / 3, beat, lock);
    if (lock->renewal)
        return;
    lease_sent(&lock->held, clock_boot_ms());
    lock->renewal = etcd_start(lock->asking->etcd, "lease/keepalive",
                               json_pack("{s:I}", "ID", (json_int_t)lock->lease), renewed, lock);
}

int service_lock_take(struct service_lock **out, const struct service_lock_order *order, struct err *err)
{
    const struct service_lock_settings *settings = &order->fleet->playbook->lock;
    *out = NULL;
    if (!settings->etcd.urls.count)
        return 0;
    struct service_lock *lock = arena_alloc(&order->fleet->arena, sizeof(*lock));
    if (!lock)
        return err_set(err, ERR_MEMORY, "out of memory");
    lock->fleet = order->fleet;
    lock->ttl_ms = settings->ttl_ms / 1000 * 1000; /* whole seconds, as in the request to etcd */
    snprintf(lock->token, sizeof(lock->token), "%016" PRIx64, clock_random());
    name_key(lock->key, order->fleet);
    snprintf(lock->counter, sizeof(lock->counter), "%s/generation", lock->key);
    int rc = asking_begin(&lock->asking, order->fleet, err);
    if (rc == 0)
        rc = take(lock, order, err);
    if (rc == 0)
        rc = count_on(lock, err);
    if (rc == 0) {
        beat(lock);
        await_answer(lock);
        *out = lock;
        return 0;
    }
    struct err ignored;
    service_lock_release(lock, rc > 0, &ignored);
    return rc;
}

uint64_t service_lock_generation(const struct service_lock *lock)
{
    return lock ? lock->generation : 0;
}

void service_lock_seen(struct service_lock *lock, uint64_t generation)
{
    if (lock && generation > lock->seen)
        lock->seen = generation;
}

bool service_lock_holds(struct service_lock *lock)
{
    if (!lock || (!lock->lost && lease_holds(&lock->held, clock_boot_ms())))
        return true;
    lose(lock, lock->sentence[0] ? lock->sentence : "it was not renewed in time; was this machine suspended, or the program stopped?");
    return false;
}

void service_lock_on_lost(struct service_lock *lock, void (*fn)(void *context, const char *sentence), void *context)
{
    if (!lock)
        return;
    lock->fn = fn;
    lock->context = context;
}

/* --- giving it back --- */

static int give_back(struct service_lock *lock, struct err *err)
{
    char number[24];
    int rc = 0;
    json_t *operations = json_pack("[o]", etcd_delete(lock->key));
    snprintf(number, sizeof(number), "%" PRIu64, lock->seen);
    if (lock->seen > (uint64_t)lock->revision)
        json_array_append_new(operations, etcd_put(lock->counter, number, 0));
    if (lock->generation)
        rc = ask(lock->asking, "kv/txn", etcd_txn(etcd_compare_created(lock->key, lock->revision), operations, NULL), err);
    else
        json_decref(operations);
    if (rc == 0 && lock->lease)
        rc = ask(lock->asking, "lease/revoke", json_pack("{s:I}", "ID", (json_int_t)lock->lease), err);
    return rc;
}

int service_lock_release(struct service_lock *lock, bool keeps, struct err *err)
{
    int rc = 0;
    if (!lock)
        return 0;
    lock->fn = NULL;
    timer_stop(lock->beat);
    timer_stop(lock->deadline);
    lock->beat = lock->deadline = NULL;
    etcd_cancel(lock->renewal);
    lock->renewal = NULL;
    if (lock->asking && lock->asking->etcd && !lock->lost && !keeps)
        rc = give_back(lock, err);
    asking_end(lock->asking);
    return rc;
}

/* --- looking at it, breaking it --- */

static int look(struct service_lock_view *out, struct asking *asking, struct err *err)
{
    char key[KEY_MAX], token[SERVICE_LOCK_TOKEN];
    name_key(key, asking->fleet);
    int rc = ask(asking, "kv/range", range(key), err);
    const json_t *kv = rc ? NULL : first_key(asking->answer);
    if (!kv)
        return rc;
    service_lock_value_read(out, token, kv);
    rc = ask(asking, "lease/timetolive", json_pack("{s:I}", "ID", (json_int_t)out->lease), err);
    if (rc == 0) {
        out->left_s = etcd_number(asking->answer, "TTL");
        out->ttl_s = etcd_number(asking->answer, "grantedTTL");
    }
    return rc;
}

int service_lock_look(struct service_lock_view *out, struct fleet *fleet, struct err *err)
{
    struct asking *asking;
    *out = (struct service_lock_view){.held = false};
    if (!fleet->playbook->lock.etcd.urls.count)
        return 0;
    int rc = asking_begin(&asking, fleet, err);
    if (rc == 0)
        rc = look(out, asking, err);
    asking_end(asking);
    return rc;
}

int service_lock_break(struct fleet *fleet, const struct service_lock_view *view, struct err *err)
{
    struct asking *asking;
    char key[KEY_MAX];
    name_key(key, fleet);
    int rc = asking_begin(&asking, fleet, err);
    if (rc == 0)
        rc = ask(asking, "kv/txn",
                 etcd_txn(etcd_compare_created(key, (int64_t)view->generation), json_pack("[o]", etcd_delete(key)), NULL),
                 err);
    if (rc == 0 && !json_is_true(json_object_get(asking->answer, "succeeded")))
        rc = err_set(err, ERR_REFUSED, "the service's lock in etcd has changed hands, or is free by now");
    /* by this its holder knows */
    if (rc == 0 && view->lease)
        rc = ask(asking, "lease/revoke", json_pack("{s:I}", "ID", (json_int_t)view->lease), err);
    if (rc == ERR_FAILED)
        rc = 0;
    asking_end(asking);
    return rc;
}
