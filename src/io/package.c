#include "package_internal.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MANIFEST_MAX ((size_t)1 << 30)
#define RELEASE_TIME_MAX INT64_C(253402300799) /* the last second of the year 9999 */

int package_create(struct package **out, uint64_t bytes_max, struct err *err)
{
    struct package *package = calloc(1, sizeof(*package));
    *out = NULL;
    if (!package)
        return err_set(err, ERR_MEMORY, "out of memory");
    strbuf_init(&package->manifest, MANIFEST_MAX);
    package->packed[0].file = package->packed[1].file = -1;
    int rc = tree_init(&package->tree, bytes_max, err);
    if (rc < 0)
        package_free(package);
    else
        *out = package;
    return rc;
}

static void packed_release(struct packed *packed)
{
    if (packed->bytes.bytes)
        munmap((void *)packed->bytes.bytes, packed->bytes.length);
    if (packed->file >= 0)
        close(packed->file);
    *packed = (struct packed){.file = -1};
}

void package_free(struct package *package)
{
    if (!package)
        return;
    packed_release(&package->packed[0]);
    packed_release(&package->packed[1]);
    tree_release(&package->tree);
    strbuf_release(&package->manifest);
    free(package->description);
    free(package->uncommitted);
    free(package);
}

int package_finish(struct package *package, const char *location, int64_t time, const char *hex,
                   const char *description, struct err *err)
{
    struct tm utc;
    time_t seconds = (time_t)time;
    int rc = tree_settle(&package->tree, err);
    if (rc < 0)
        return rc;
    tree_write_manifest(&package->tree, &package->manifest);
    if (package->manifest.overflowed)
        return err_set(err, ERR_MEMORY, "the manifest of %s is too large for memory", location);
    if (package->manifest.length == 0)
        return err_set(err, ERR_INPUT, "%s holds no file; an empty release is refused",
                       description);
    digest_sha256_hex(package->manifest.text, package->manifest.length, package->manifest_sha256);
    if (time < 0 || time > RELEASE_TIME_MAX || !gmtime_r(&seconds, &utc))
        return err_set(err, ERR_INPUT,
                       "%s: its time, %lld s since 1970, is none that can name a release", location,
                       (long long)time);
    package->time = time;
    size_t used = strftime(package->release, sizeof(package->release), "%Y%m%dT%H%M%SZ-", &utc);
    snprintf(package->release + used, sizeof(package->release) - used, "%.12s",
             hex ? hex : package->manifest_sha256);
    package->description = strdup(description);
    if (!package->description || !package->manifest_sha256[0])
        return err_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

const char *package_release(const struct package *package)
{
    return package->release;
}

const char *package_uncommitted(const struct package *package)
{
    return package->uncommitted;
}

const char *package_description(const struct package *package)
{
    return package->description;
}

const char *package_manifest(const struct package *package, size_t *length)
{
    if (length)
        *length = package->manifest.length;
    return package->manifest.text;
}

const char *package_manifest_sha256(const struct package *package)
{
    return package->manifest_sha256;
}

uint64_t package_unpacked_bytes(const struct package *package)
{
    return tree_disk_bytes(&package->tree);
}

uint64_t package_entries(const struct package *package)
{
    return package->tree.count;
}

/* --- the tar --- */

struct sink {
    int file;
    uint64_t written;
    struct digest *digest;
};

static la_ssize_t sink_write(struct archive *archive, void *context, const void *bytes,
                             size_t length)
{
    struct sink *sink = context;
    ssize_t put;
    do
        put = write(sink->file, bytes, length);
    while (put < 0 && errno == EINTR);
    if (put < 0 || digest_add(sink->digest, bytes, (size_t)put) < 0) {
        archive_set_error(archive, errno, "cannot write a temporary file: %s", strerror(errno));
        return -1;
    }
    sink->written += (uint64_t)put;
    return put;
}

/* GNU's form of long names and large sizes, not pax: busybox' tar skips pax headers, and would cut
 * the names. */
static int writer_open(struct archive *writer, enum compression compression, struct sink *sink)
{
    if (archive_write_set_format_gnutar(writer) != ARCHIVE_OK)
        return -1;
    int rc = compression == COMPRESSION_ZSTD ? archive_write_add_filter_zstd(writer)
                                             : archive_write_add_filter_gzip(writer);
    if (rc != ARCHIVE_OK)
        return -1;
    if (compression == COMPRESSION_GZIP &&
        archive_write_set_filter_option(writer, "gzip", "timestamp", NULL) != ARCHIVE_OK)
        return -1;
    archive_write_set_bytes_in_last_block(writer, 1);
    return archive_write_open2(writer, sink, NULL, sink_write, NULL, NULL) == ARCHIVE_OK ? 0 : -1;
}

static int write_bytes(struct archive *writer, const void *bytes, uint64_t length)
{
    const char *at = bytes;
    while (length) {
        size_t piece = length < (1 << 20) ? (size_t)length : 1 << 20;
        la_ssize_t put = archive_write_data(writer, at, piece);
        if (put <= 0)
            return -1;
        at += put;
        length -= (uint64_t)put;
    }
    return 0;
}

static int write_entry(struct archive *writer, struct archive_entry *header,
                       const struct tree_entry *entry, int64_t time, const unsigned char *content)
{
    static const unsigned types[] = {
        [TREE_FOLDER] = AE_IFDIR, [TREE_FILE] = AE_IFREG, [TREE_LINK] = AE_IFLNK};
    archive_entry_clear(header);
    archive_entry_set_pathname(header, entry->path);
    archive_entry_set_filetype(header, types[entry->kind]);
    archive_entry_set_perm(header, tree_mode(entry));
    archive_entry_set_mtime(header, (time_t)time, 0);
    archive_entry_set_size(header, entry->kind == TREE_FILE ? (la_int64_t)entry->size : 0);
    if (entry->kind == TREE_LINK)
        archive_entry_set_symlink(header, entry->target);
    if (archive_write_header(writer, header) != ARCHIVE_OK)
        return -1;
    return entry->kind == TREE_FILE ? write_bytes(writer, content, entry->size) : 0;
}

static int write_all(struct archive *writer, const struct package *package,
                     const unsigned char *spool)
{
    struct archive_entry *header = archive_entry_new();
    struct tree_entry manifest = {
        .kind = TREE_FILE, .access = ACCESS_ALL, .path = TREE_MANIFEST_NAME, .size = package->manifest.length};
    if (!header)
        return -1;
    int rc = write_entry(writer, header, &manifest, package->time,
                         (const unsigned char *)package->manifest.text);
    for (size_t i = 0; rc == 0 && i < package->tree.count; i++) {
        const struct tree_entry *entry = &package->tree.entries[i];
        rc = write_entry(writer, header, entry, package->time,
                         entry->size && entry->kind == TREE_FILE ? spool + entry->offset : NULL);
    }
    archive_entry_free(header);
    return rc == 0 && archive_write_close(writer) == ARCHIVE_OK ? 0 : -1;
}

static int pack(struct package *package, enum compression compression, struct packed *packed,
                struct err *err)
{
    struct sink sink = {.digest = package->tree.digest};
    const unsigned char *spool = NULL;
    unsigned char digest[SHA256_BYTES];
    struct archive *writer = archive_write_new();
    int rc =
        writer ? temporary_file(&packed->file, err) : err_set(err, ERR_MEMORY, "out of memory");
    if (rc < 0 || (rc = tree_map(&package->tree, &spool, err)) < 0)
        goto out;
    sink.file = packed->file;
    if (digest_start(sink.digest) < 0 || writer_open(writer, compression, &sink) < 0 ||
        write_all(writer, package, spool) < 0 || digest_end(sink.digest, digest) < 0) {
        const char *reason = archive_error_string(writer);
        rc = err_set(err, ERR_IO, "cannot pack the release: %s", reason ? reason : "out of memory");
        goto out;
    }
    rc = file_map(&packed->bytes.bytes, packed->file, sink.written, err);
    packed->bytes.length = sink.written;
    packed->bytes.tar_length = (uint64_t)archive_filter_bytes(writer, 0);
    digest_hex(digest, packed->bytes.sha256);
out:
    if (spool)
        munmap((void *)spool, package->tree.spooled);
    archive_write_free(writer);
    return rc;
}

int package_pack(struct package *package, enum compression compression, struct package_bytes *out,
                 struct err *err)
{
    struct packed *packed = &package->packed[compression];
    if (!packed->made) {
        int rc = pack(package, compression, packed, err);
        if (rc < 0) {
            packed_release(packed);
            return rc;
        }
        packed->made = true;
    }
    *out = packed->bytes;
    return 0;
}
