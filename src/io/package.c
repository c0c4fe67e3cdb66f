#include "io/package.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "package_internal.h"

#define MANIFEST_NAME ".deployctl-manifest"
#define MANIFEST_MAX ((size_t)512 << 20)
#define TAR_END 1024 /* two blocks of zeros */

int package_new(struct package **out, struct err *err)
{
    struct package *package = calloc(1, sizeof(*package));
    *out = NULL;
    if (!package)
        return err_set(err, ERR_MEMORY, "out of memory");
    arena_init(&package->arena);
    strbuf_init(&package->manifest, MANIFEST_MAX);
    package->spool = tmpfile();
    if (!package->spool) {
        int rc = err_set(err, ERR_IO, "a temporary file cannot be made: %s", strerror(errno));
        package_free(package);
        return rc;
    }
    *out = package;
    return 0;
}

void package_free(struct package *package)
{
    if (!package)
        return;
    for (size_t i = 0; i < 2; i++)
        if (package->packed[i].made && package->packed[i].bytes.length)
            munmap((void *)(uintptr_t)package->packed[i].bytes.bytes, package->packed[i].bytes.length);
    if (package->spool)
        fclose(package->spool);
    strbuf_release(&package->manifest);
    arena_release(&package->arena);
    free(package);
}

const char *package_release(const struct package *package)
{
    return package->release;
}

const char *package_description(const struct package *package)
{
    return package->description ? package->description : "";
}

const char *package_manifest(const struct package *package, size_t *length)
{
    *length = package->manifest.length;
    return package->manifest.text;
}

const char *package_manifest_sha256(const struct package *package)
{
    return package->manifest_sha256;
}

uint64_t package_unpacked_bytes(const struct package *package)
{
    return package->unpacked_bytes;
}

uint64_t package_entries(const struct package *package)
{
    return package->entry_count;
}

void package_name(struct package *package, const char *hex)
{
    struct tm utc;
    gmtime_r(&package->time, &utc);
    strftime(package->release, sizeof(package->release), "%Y%m%dT%H%M%SZ-", &utc);
    strncat(package->release, hex, 12);
}

/* --- packing --- */

static int archive_fail(struct archive *archive, struct err *err)
{
    const char *text = archive_error_string(archive);
    return err_set(err, ERR_IO, "packing: %s", text ? text : "libarchive gave no reason");
}

/* The manifest as the first member of a tar, without the tar's end. */
static int manifest_head(const struct package *package, struct strbuf *out, struct err *err)
{
    size_t used = 0, room = package->manifest.length + 8192;
    char *bytes = malloc(room);
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    int rc = 0;
    if (!bytes || !archive || !entry) {
        rc = err_set(err, ERR_MEMORY, "out of memory");
        goto out;
    }
    archive_write_set_format_gnutar(archive);
    archive_write_set_bytes_per_block(archive, 0);
    archive_entry_set_pathname(entry, MANIFEST_NAME);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)package->manifest.length);
    archive_entry_set_mtime(entry, package->time, 0);
    if (archive_write_open_memory(archive, bytes, room, &used) != ARCHIVE_OK ||
        archive_write_header(archive, entry) != ARCHIVE_OK ||
        archive_write_data(archive, package->manifest.text, package->manifest.length) < 0 ||
        archive_write_close(archive) != ARCHIVE_OK || used < TAR_END) {
        rc = archive_fail(archive, err);
        goto out;
    }
    strbuf_add(out, bytes, used - TAR_END);
out:
    archive_entry_free(entry);
    archive_write_free(archive);
    free(bytes);
    return rc;
}

static int copy_spool(struct package *package, struct archive *archive, struct err *err)
{
    char block[65536];
    size_t got;
    rewind(package->spool);
    while ((got = fread(block, 1, sizeof(block), package->spool)) > 0)
        if (archive_write_data(archive, block, got) != (la_ssize_t)got)
            return archive_fail(archive, err);
    return ferror(package->spool) ? err_set(err, ERR_IO, "packing: the temporary file cannot be read") : 0;
}

/* Compresses head and spool as one stream: libarchive's raw format is the bare compressed data. */
static int compress_to(struct package *package, enum compression compression, FILE *file, struct err *err)
{
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    struct strbuf head;
    int rc;
    strbuf_init(&head, MANIFEST_MAX + 8192);
    if (!archive || !entry) {
        rc = err_set(err, ERR_MEMORY, "out of memory");
        goto out;
    }
    if ((rc = manifest_head(package, &head, err)) < 0)
        goto out;
    archive_write_set_format_raw(archive);
    if (compression == COMPRESSION_ZSTD)
        archive_write_add_filter_zstd(archive);
    else
        archive_write_add_filter_gzip(archive);
    archive_write_set_filter_option(archive, "gzip", "timestamp", NULL);
    archive_write_set_bytes_per_block(archive, 0);
    archive_entry_set_pathname(entry, "data");
    archive_entry_set_filetype(entry, AE_IFREG);
    if (archive_write_open_FILE(archive, file) != ARCHIVE_OK ||
        archive_write_header(archive, entry) != ARCHIVE_OK ||
        archive_write_data(archive, head.text, head.length) < 0) {
        rc = archive_fail(archive, err);
        goto out;
    }
    if ((rc = copy_spool(package, archive, err)) == 0 && archive_write_close(archive) != ARCHIVE_OK)
        rc = archive_fail(archive, err);
out:
    strbuf_release(&head);
    archive_entry_free(entry);
    archive_write_free(archive);
    return rc;
}

static int map_file(FILE *file, struct package_bytes *out, struct err *err)
{
    struct stat status;
    if (fflush(file) != 0 || fstat(fileno(file), &status) < 0)
        return err_set(err, ERR_IO, "packing: %s", strerror(errno));
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    if (bytes == MAP_FAILED)
        return err_set(err, ERR_MEMORY, "packing: %s", strerror(errno));
    out->bytes = bytes;
    out->length = (size_t)status.st_size;
    digest_sha256_hex(bytes, out->length, out->sha256);
    return 0;
}

int package_pack(struct package *package, enum compression compression, struct package_bytes *out,
                 struct err *err)
{
    struct packed *packed = &package->packed[compression];
    if (!packed->made) {
        FILE *file = tmpfile();
        if (!file)
            return err_set(err, ERR_IO, "a temporary file cannot be made: %s", strerror(errno));
        int rc = compress_to(package, compression, file, err);
        if (rc == 0)
            rc = map_file(file, &packed->bytes, err);
        fclose(file);
        if (rc < 0)
            return rc;
        packed->made = true;
    }
    *out = packed->bytes;
    return 0;
}
