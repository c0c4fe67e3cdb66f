#include "outside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "io/files.h"
#include "io/http.h"
#include "io/process_identity.h"

#define FILES_MAX 16
#define FILE_BYTES_MAX (16u << 20)

struct kept_file {
    char path[200];
    struct strbuf text;
    size_t synced;
};

struct append_file {
    struct kept_file *kept;
};

struct package {
    char release[80];
};

static struct {
    struct kept_file files[FILES_MAX];
    size_t count;
    struct package packages[4];
    size_t package_count;
    const char *full;
} disk;

void outside_begin(void)
{
    disk.count = disk.package_count = 0;
    disk.full = NULL;
}

void outside_end(void)
{
    for (size_t i = 0; i < disk.count; i++)
        strbuf_release(&disk.files[i].text);
    disk.count = 0;
}

static struct kept_file *find(const char *path)
{
    for (size_t i = 0; i < disk.count; i++)
        if (strcmp(disk.files[i].path, path) == 0)
            return &disk.files[i];
    return NULL;
}

/* What was not synced is gone for whoever looks. */
const struct strbuf *outside_file(const char *path)
{
    struct kept_file *kept = find(path);
    if (!kept)
        return NULL;
    if (kept->synced < kept->text.length) {
        kept->text.length = kept->synced;
        kept->text.text[kept->synced] = '\0';
    }
    return &kept->text;
}

void outside_fill_disk(const char *suffix)
{
    disk.full = suffix;
}

/* --- io/files.h --- */

int append_open(struct append_file **out, const char *path, struct err *err)
{
    struct kept_file *kept = find(path);
    *out = malloc(sizeof(**out));
    if (!*out || (!kept && disk.count == FILES_MAX))
        return err_set(err, ERR_MEMORY, "out of memory");
    if (!kept) {
        kept = &disk.files[disk.count++];
        snprintf(kept->path, sizeof(kept->path), "%s", path);
        strbuf_init(&kept->text, FILE_BYTES_MAX);
        kept->synced = 0;
    }
    (*out)->kept = kept;
    return 0;
}

int append_line(struct append_file *file, const char *line, int sync, struct err *err)
{
    struct kept_file *kept = file->kept;
    size_t path = strlen(kept->path), suffix = disk.full ? strlen(disk.full) : 0;
    if (runner_dead(runner_current()))
        return 0;
    if (disk.full && path >= suffix && strcmp(kept->path + path - suffix, disk.full) == 0)
        return err_set(err, ERR_IO, "cannot write %s: no space left on device", kept->path);
    strbuf_adds(&kept->text, line);
    strbuf_addc(&kept->text, '\n');
    if (sync)
        kept->synced = kept->text.length;
    return 0;
}

int file_read(struct strbuf *out, const char *path, struct err *err)
{
    const struct strbuf *text = outside_file(path);
    strbuf_reset(out);
    if (!text)
        return err_set(err, ERR_NOT_FOUND, "cannot open %s: no such file", path);
    strbuf_add(out, text->text, text->length);
    return 0;
}

int append_sync(struct append_file *file, struct err *err)
{
    (void)err;
    if (!runner_dead(runner_current()))
        file->kept->synced = file->kept->text.length;
    return 0;
}

void append_close(struct append_file *file)
{
    free(file);
}

/* --- io/package.h --- */

struct package *outside_package(const char *release)
{
    struct package *package = &disk.packages[disk.package_count++ % 4];
    snprintf(package->release, sizeof(package->release), "%s", release);
    return package;
}

void package_free(struct package *package)
{
    (void)package;
}

const char *package_release(const struct package *package)
{
    return package->release;
}

const char *package_description(const struct package *package)
{
    return package->release;
}

const char *package_manifest_sha256(const struct package *package)
{
    (void)package;
    return "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
}

uint64_t package_unpacked_bytes(const struct package *package)
{
    (void)package;
    return 4096;
}

int package_pack(struct package *package, enum compression compression, struct package_bytes *out, struct err *err)
{
    static const unsigned char bytes[] = "a release";
    (void)package, (void)compression, (void)err;
    *out = (struct package_bytes){.bytes = bytes, .length = sizeof(bytes) - 1};
    snprintf(out->sha256, sizeof(out->sha256), "%s", package_manifest_sha256(package));
    return 0;
}

/* --- io/http.h: not here --- */

int http_client_create(struct http_client **out, struct loop *loop, struct err *err)
{
    (void)loop, (void)err;
    *out = NULL;
    return 0;
}

void http_client_free(struct http_client *client)
{
    (void)client;
}

struct http_call *http_start(struct http_client *client, const struct http_request *request, http_fn *fn, void *context,
                             struct err *err)
{
    (void)client, (void)request, (void)fn, (void)context;
    err_set(err, ERR_INPUT, "there is no http in the simulator");
    return NULL;
}

void http_cancel(struct http_call *call)
{
    (void)call;
}

struct tcp_probe *tcp_probe_start(struct loop *loop, struct ssh *via, const char *host, uint16_t port, int64_t timeout_ms,
                                  tcp_probe_fn *fn, void *context)
{
    (void)loop, (void)via, (void)host, (void)port, (void)timeout_ms, (void)fn, (void)context;
    return NULL;
}

void tcp_probe_cancel(struct tcp_probe *probe)
{
    (void)probe;
}

/* --- who a runner is --- */

void process_identity(char out[PROCESS_IDENTITY_MAX])
{
    out[0] = '\0';
}

bool process_has_ended(const char *identity)
{
    (void)identity;
    return false;
}
