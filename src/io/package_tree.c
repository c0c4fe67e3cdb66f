#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "package_internal.h"

#define MANIFEST_NAME ".deployctl-manifest"

/* --- what may be in a release --- */

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

/* Follows `path` from a folder `depth` levels below the top; false when it would leave the release. */
static bool stays_inside(const char *path, int depth)
{
    if (path[0] == '/' || path[0] == '\0')
        return false;
    while (*path) {
        size_t length = strcspn(path, "/");
        bool up = length == 2 && path[0] == '.' && path[1] == '.';
        bool here = length == 0 || (length == 1 && path[0] == '.');
        depth += up ? -1 : here ? 0 : 1;
        if (depth < 0)
            return false;
        path += length;
        path += *path == '/';
    }
    return true;
}

static int depth_of(const char *path)
{
    int depth = 0;
    for (; *path; path++)
        depth += *path == '/';
    return depth;
}

static int check_path(const char *path, struct err *err)
{
    if (has_control(path))
        return err_set(err, ERR_UNSUPPORTED,
                       "a file name holds a control character, which a release may not: rename it");
    if (!stays_inside(path, 0) || strstr(path, "/../") || strncmp(path, "../", 3) == 0)
        return err_set(err, ERR_UNSUPPORTED, "%s: the name leads out of the release", path);
    if (strcmp(path, MANIFEST_NAME) == 0)
        return err_set(err, ERR_UNSUPPORTED, "%s: the name is deployctl's own; rename the file", path);
    return 0;
}

struct entry *package_add(struct package *package, const char *path, enum entry_kind kind,
                          const char *target, struct err *err)
{
    if (check_path(path, err) < 0)
        return NULL;
    if (kind == ENTRY_LINK && (has_control(target) || !stays_inside(target, depth_of(path)))) {
        err_set(err, ERR_UNSUPPORTED,
                "%s: the symbolic link leads out of the release; make it relative and keep it inside, "
                "or share the path with [service] shared",
                path);
        return NULL;
    }
    struct entry *grown =
        arena_grow(&package->arena, package->entries, package->entry_count, sizeof(*grown));
    if (!grown) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    package->entries = grown;
    struct entry *entry = &grown[package->entry_count];
    *entry = (struct entry){.kind = kind, .path = arena_strdup(&package->arena, path)};
    if (target)
        entry->target = arena_strdup(&package->arena, target);
    if (!entry->path || (target && !entry->target)) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    package->entry_count++;
    return entry;
}

/* --- the canonical tar --- */

static int by_path(const void *left, const void *right)
{
    return strcmp(((const struct entry *)left)->path, ((const struct entry *)right)->path);
}

static int refuse_twins(const struct package *package, struct err *err)
{
    for (size_t i = 1; i < package->entry_count; i++)
        if (strcmp(package->entries[i - 1].path, package->entries[i].path) == 0)
            return err_set(err, ERR_UNSUPPORTED, "%s: stands twice in the source",
                           package->entries[i].path);
    return 0;
}

struct writing {
    struct archive *archive;
    struct digest *digest;
    uint64_t written;
};

static int archive_fail(struct archive *archive, const char *path, struct err *err)
{
    const char *text = archive_error_string(archive);
    return err_set(err, ERR_IO, "packing %s: %s", path, text ? text : "libarchive gave no reason");
}

static int write_piece(void *context, const void *bytes, size_t length, struct err *err)
{
    struct writing *writing = context;
    digest_add(writing->digest, bytes, length);
    writing->written += length;
    if (archive_write_data(writing->archive, bytes, length) != (la_ssize_t)length)
        return archive_fail(writing->archive, "a file", err);
    return 0;
}

static void describe(struct archive_entry *out, const struct package *package, const struct entry *entry)
{
    static const unsigned types[] = {AE_IFREG, AE_IFDIR, AE_IFLNK};
    archive_entry_clear(out);
    archive_entry_set_pathname(out, entry->path);
    archive_entry_set_filetype(out, types[entry->kind]);
    archive_entry_set_perm(out, entry->kind == ENTRY_LINK                          ? 0777
                                : entry->kind == ENTRY_FOLDER || entry->executable ? 0755
                                                                                   : 0644);
    archive_entry_set_size(out, entry->kind == ENTRY_FILE ? (la_int64_t)entry->size : 0);
    archive_entry_set_mtime(out, package->time, 0);
    if (entry->kind == ENTRY_LINK)
        archive_entry_set_symlink(out, entry->target);
}

static int write_entry(struct package *package, struct archive *archive, struct archive_entry *header,
                       struct entry *entry, entry_read_fn *read, void *context, struct err *err)
{
    struct writing writing = {.archive = archive};
    int rc = 0;
    describe(header, package, entry);
    if (archive_write_header(archive, header) != ARCHIVE_OK)
        return archive_fail(archive, entry->path, err);
    if (entry->kind == ENTRY_FILE) {
        writing.digest = digest_begin();
        rc = read(context, entry, write_piece, &writing, err);
        digest_end(writing.digest, entry->sha256);
        if (rc == 0 && writing.written != entry->size)
            rc = err_set(err, ERR_IO, "%s: changed while it was read; pack again when nothing writes there",
                         entry->path);
        package->unpacked_bytes += entry->size;
    } else if (entry->kind == ENTRY_LINK) {
        digest_sha256_hex(entry->target, strlen(entry->target), entry->sha256);
    }
    package->unpacked_bytes += 4096; /* what an inode and a last block may take */
    return rc;
}

static void note_entry(struct package *package, const struct entry *entry)
{
    if (entry->kind == ENTRY_FOLDER)
        return;
    const char *mode = entry->kind == ENTRY_LINK ? "120000" : entry->executable ? "100755" : "100644";
    size_t size = entry->kind == ENTRY_LINK ? strlen(entry->target) : entry->size;
    strbuf_addf(&package->manifest, "%s %s %zu %s\n", entry->sha256, mode, size, entry->path);
}

static int write_tar(struct package *package, entry_read_fn *read, void *context, struct err *err)
{
    struct archive *archive = archive_write_new();
    struct archive_entry *header = archive_entry_new();
    int rc = 0;
    if (!archive || !header) {
        rc = err_set(err, ERR_MEMORY, "out of memory");
        goto out;
    }
    /* GNU's long names and not pax: busybox tar skips pax headers and would cut a name at 100 bytes. */
    archive_write_set_format_gnutar(archive);
    if (archive_write_open_FILE(archive, package->spool) != ARCHIVE_OK) {
        rc = archive_fail(archive, "the release", err);
        goto out;
    }
    for (size_t i = 0; i < package->entry_count && rc == 0; i++) {
        struct entry *entry = &package->entries[i];
        rc = write_entry(package, archive, header, entry, read, context, err);
        if (rc == 0)
            note_entry(package, entry);
    }
    if (rc == 0 && archive_write_close(archive) != ARCHIVE_OK)
        rc = archive_fail(archive, "the release", err);
    if (rc == 0 && (fflush(package->spool) != 0 || package->manifest.overflowed))
        rc = err_set(err, ERR_IO, "packing: the temporary file cannot be written: %s", strerror(errno));
out:
    archive_entry_free(header);
    archive_write_free(archive);
    return rc;
}

int package_seal(struct package *package, entry_read_fn *read, void *context, struct err *err)
{
    if (package->entry_count)
        qsort(package->entries, package->entry_count, sizeof(*package->entries), by_path);
    int rc = refuse_twins(package, err);
    if (rc == 0)
        rc = write_tar(package, read, context, err);
    digest_sha256_hex(package->manifest.text, package->manifest.length, package->manifest_sha256);
    return rc;
}
