#include <inttypes.h>
#include <string.h>

#include "session_internal.h"
#include "base/text.h"
#include "node/program.h"

#define PATH_MAX_SENT 4200
#define ERROR_OUTPUT_MAX 1024

static void release(struct upload *upload)
{
    timer_stop(upload->stall_timer);
    upload->stall_timer = NULL;
    if (upload->channel)
        ssh_channel_close(upload->channel);
    upload->channel = NULL;
}

void upload_abandon(struct session *session)
{
    release(&session->upload);
}

void upload_release(struct session *session)
{
    struct upload *upload = &session->upload;
    if (!upload->active)
        return;
    upload->active = false;
    release(upload);
    strbuf_release(&upload->path_line);
    strbuf_release(&upload->error_output);
}

static void finish(struct session *session, const struct err *error)
{
    upload_release(session);
    session->upload.done(session->upload.context, error);
}

bool upload_failed(struct session *session, const struct err *error)
{
    bool active = session->upload.active;
    if (active)
        finish(session, error);
    return active;
}

static void stalled(void *context)
{
    struct session *session = context;
    session->upload.stall_timer = NULL;
    struct err error;
    err_set(&error, ERR_TIMEOUT, "upload: nothing was accepted for %" PRId64 " ms",
            session->upload.stall_ms);
    session_lose(session, &error);
}

static void rearm(struct session *session)
{
    struct upload *upload = &session->upload;
    timer_stop(upload->stall_timer);
    upload->stall_timer = timer_start(session->settings.loop, upload->stall_ms, stalled, session);
}

static void pump(void *context)
{
    struct session *session = context;
    struct upload *upload = &session->upload;
    uint64_t head = upload->path_line.length;
    uint64_t before = upload->written;
    while (upload->written < upload->total) {
        const char *from = upload->written < head ? upload->path_line.text + upload->written
                                                  : upload->bytes + (upload->written - head);
        uint64_t length = (upload->written < head ? head : upload->total) - upload->written;
        size_t taken = ssh_channel_write(upload->channel, from, length);
        if (taken == 0)
            break;
        upload->written += taken;
    }
    if (upload->written == before)
        return;
    rearm(session);
    if (upload->progress && upload->written >= head)
        upload->progress(upload->context, upload->written - head, upload->total - head);
    if (upload->written == upload->total)
        ssh_channel_end(upload->channel);
}

static void received(void *context, const char *bytes, size_t length, bool is_error)
{
    struct session *session = context;
    if (is_error)
        strbuf_add(&session->upload.error_output, bytes, length);
}

static void closed(void *context, const struct err *error, int status)
{
    struct session *session = context;
    struct upload *upload = &session->upload;
    upload->channel = NULL;
    struct err failure;
    if (error) {
        failure = *error;
    } else if (status != 0 || upload->written < upload->total) {
        struct strbuf words;
        strbuf_init(&words, 400);
        strbuf_trim_end(&upload->error_output);
        text_sanitize(&words, upload->error_output.text, upload->error_output.length, false);
        err_set(&failure, ERR_FAILED, "upload: the node could not write the file: %s",
                words.length ? words.text : "no reason was given");
        strbuf_release(&words);
    } else {
        finish(session, NULL);
        return;
    }
    finish(session, &failure);
}

static const struct ssh_channel_events handlers = {
    .opened = pump, .received = received, .writable = pump, .closed = closed};

static void refuse(void *context)
{
    struct session *session = context;
    session->upload.stall_timer = NULL;
    struct err error;
    err_set(&error, ERR_UNREACHABLE, "upload: not connected");
    finish(session, &error);
}

void session_upload(struct session *session, const char *path, const void *bytes, size_t length,
                    int64_t stall_ms, upload_progress_fn *progress, upload_done_fn *done,
                    void *context)
{
    struct upload *upload = &session->upload;
    const char *elevated = session_trait(session, "elevated");
    *upload = (struct upload){.bytes = bytes,
                              .stall_ms = stall_ms,
                              .progress = progress,
                              .done = done,
                              .context = context,
                              .active = true};
    strbuf_init(&upload->path_line, PATH_MAX_SENT);
    strbuf_init(&upload->error_output, ERROR_OUTPUT_MAX);
    strbuf_addf(&upload->path_line, "%s\n", path);
    upload->total = upload->path_line.length + length;
    struct ssh *ssh = session_ssh(session);
    if (ssh)
        upload->channel =
            ssh_exec(ssh, node_receive_command(elevated && strcmp(elevated, "yes") == 0), &handlers,
                     session);
    if (upload->channel)
        rearm(session);
    else
        upload->stall_timer = timer_start(session->settings.loop, 0, refuse, session);
}

static void cancelled(void *context)
{
    struct session *session = context;
    session->upload.stall_timer = NULL;
    struct err error;
    err_set(&error, ERR_CANCELLED, "upload: cancelled");
    finish(session, &error);
}

void session_upload_cancel(struct session *session)
{
    struct upload *upload = &session->upload;
    if (!upload->active)
        return;
    release(upload);
    upload->stall_timer = timer_start(session->settings.loop, 0, cancelled, session);
}
