#include "app/delivery.h"

#include <stdlib.h>
#include <string.h>

#define QUICK_TIMEOUT_MS 30000
#define KILL_GRACE_MS 15000

struct delivery {
    struct delivery_order order;
    struct package_bytes bytes;
    enum compression compression;
    uint32_t request;
    upload_progress_fn *progress;
    step_done_fn *done;
    void *context;
};

uint64_t delivery_needs_bytes(const struct package *package)
{
    /* The compressed copy is at most as large as the files, and both stand side by side for a
     * moment. */
    return package_unpacked_bytes(package) * 2;
}

uint32_t delivery_request(const struct delivery *delivery)
{
    return delivery->request;
}

static void end(struct delivery *delivery, const struct step_result *result)
{
    delivery->request = 0;
    delivery->done(delivery->context, result);
}

static void fail(struct delivery *delivery, const struct err *error)
{
    struct step_result result = step_from_error(error);
    end(delivery, &result);
}

static void begin(struct delivery *delivery, const char *verb)
{
    const struct delivery_order *order = &delivery->order;
    session_begin(order->session, verb);
    session_add(order->session, "release", package_release(order->package));
    session_add(order->session, "rollout", order->rollout);
    session_add(order->session, "token", order->token);
    session_add_fence(order->session, order->fence);
    session_add(order->session, "sha256", delivery->bytes.sha256);
    session_add(order->session, "compression",
                delivery->compression == COMPRESSION_ZSTD ? "zstd" : "gzip");
    session_add(order->session, "manifest_sha256", package_manifest_sha256(order->package));
}

static void on_unpacked(void *context, const struct reply *reply)
{
    struct delivery *delivery = context;
    struct step_result result = step_from_reply(reply);
    end(delivery, &result);
}

static void on_uploaded(void *context, const struct err *error)
{
    struct delivery *delivery = context;
    struct err err;
    if (error) {
        struct step_result result = step_from_error(error);
        result.retryable = error->code == ERR_FAILED;
        end(delivery, &result);
        return;
    }
    begin(delivery, "unpack");
    session_addu(delivery->order.session, "tar_bytes", delivery->bytes.tar_length);
    session_addu(delivery->order.session, "timeout_ms", (uint64_t)delivery->order.timeout_ms);
    delivery->request =
        session_submit(delivery->order.session, delivery->order.timeout_ms + KILL_GRACE_MS,
                       on_unpacked, delivery, &err);
    if (!delivery->request)
        fail(delivery, &err);
}

static void on_progress(void *context, uint64_t sent, uint64_t total)
{
    struct delivery *delivery = context;
    if (delivery->progress)
        delivery->progress(delivery->context, sent, total);
}

static void on_staged(void *context, const struct reply *reply)
{
    struct delivery *delivery = context;
    struct step_result result = step_from_reply(reply);
    const char *path = reply->error ? NULL : reply_get(reply, "path");
    if (result.status != DONE_OK || !path) {
        end(delivery, &result); /* refused, failed, or there already */
        return;
    }
    delivery->request = 0;
    session_upload(delivery->order.session, path, delivery->bytes.bytes, delivery->bytes.length,
                   delivery->order.timeout_ms, on_progress, on_uploaded, delivery);
}

static void start(struct delivery *delivery)
{
    struct session *session = delivery->order.session;
    struct package *package = delivery->order.package;
    const char *zstd = session_trait(session, "tool zstd");
    struct err err;
    delivery->compression = zstd && strcmp(zstd, "yes") == 0 ? COMPRESSION_ZSTD : COMPRESSION_GZIP;
    if (package_pack(package, delivery->compression, &delivery->bytes, &err) < 0) {
        fail(delivery, &err);
        return;
    }
    begin(delivery, "stage");
    session_addu(session, "bytes", delivery->bytes.length);
    session_addu(session, "unpacked", package_unpacked_bytes(package));
    delivery->request = session_submit(session, QUICK_TIMEOUT_MS, on_staged, delivery, &err);
    if (!delivery->request)
        fail(delivery, &err);
}

struct delivery *delivery_start(const struct delivery_order *order, upload_progress_fn *progress,
                                step_done_fn *done, void *context)
{
    struct delivery *delivery = calloc(1, sizeof(*delivery));
    if (!delivery)
        return NULL;
    delivery->order = *order;
    delivery->progress = progress;
    delivery->done = done;
    delivery->context = context;
    start(delivery);
    return delivery;
}

void delivery_free(struct delivery *delivery)
{
    free(delivery);
}
