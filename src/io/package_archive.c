#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "package_internal.h"

/* Files' bytes are put aside in one temporary file, since a tar can be read only once and the manifest needs an order. */
struct unpacking {
    const char *location;
    struct package *package;
    struct archive *archive;
    FILE *aside;
    struct err *err;
};

static int archive_fail(struct unpacking *unpacking)
{
    const char *text = archive_error_string(unpacking->archive);
    return err_set(unpacking->err, ERR_IO, "%s: %s", unpacking->location,
                   text ? text : "cannot be read as an archive");
}

static int put_aside(struct unpacking *unpacking, struct entry *entry)
{
    char block[65536];
    la_ssize_t got;
    entry->position = ftello(unpacking->aside);
    entry->size = 0;
    while ((got = archive_read_data(unpacking->archive, block, sizeof(block))) > 0) {
        if (fwrite(block, 1, (size_t)got, unpacking->aside) != (size_t)got)
            return err_set(unpacking->err, ERR_IO, "a temporary file cannot be written: %s", strerror(errno));
        entry->size += (uint64_t)got;
    }
    return got < 0 ? archive_fail(unpacking) : 0;
}

/* `./a/` is `a`; the top itself is NULL. An absolute name stays, to be refused. */
static const char *plain_path(struct arena *arena, const char *path)
{
    while (strncmp(path, "./", 2) == 0)
        path += 2 + strspn(path + 2, "/");
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 0 || (length == 1 && path[0] == '.'))
        return NULL;
    return arena_strndup(arena, path, length);
}

static int take(struct unpacking *unpacking, struct archive_entry *from)
{
    struct package *package = unpacking->package;
    const char *raw = archive_entry_pathname(from);
    const char *path = raw ? plain_path(&package->arena, raw) : NULL;
    unsigned type = archive_entry_filetype(from);
    if (!path)
        return raw ? 0 : err_set(unpacking->err, ERR_UNSUPPORTED, "%s: an entry has no name", unpacking->location);
    if (archive_entry_hardlink(from) || (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK))
        return err_set(unpacking->err, ERR_UNSUPPORTED,
                       "%s: %s is a hard link, socket, pipe or device, which a release cannot hold",
                       unpacking->location, path);
    if (archive_entry_mtime(from) > package->time)
        package->time = archive_entry_mtime(from);
    const char *target = type == AE_IFLNK ? archive_entry_symlink(from) : NULL;
    enum entry_kind kind = type == AE_IFREG ? ENTRY_FILE : type == AE_IFDIR ? ENTRY_FOLDER : ENTRY_LINK;
    if (kind == ENTRY_LINK && !target)
        target = "";
    struct entry *entry = package_add(package, path, kind, target, unpacking->err);
    if (!entry)
        return unpacking->err->code;
    entry->executable = (archive_entry_perm(from) & 0100) != 0;
    return kind == ENTRY_FILE ? put_aside(unpacking, entry) : 0;
}

static int read_aside(void *context, struct entry *entry, entry_sink_fn *sink, void *sink_context,
                      struct err *err)
{
    struct unpacking *unpacking = context;
    char block[65536];
    uint64_t left = entry->size;
    int rc = 0;
    if (fseeko(unpacking->aside, entry->position, SEEK_SET) < 0)
        return err_set(err, ERR_IO, "a temporary file cannot be read: %s", strerror(errno));
    while (rc == 0 && left) {
        size_t got = fread(block, 1, left < sizeof(block) ? left : sizeof(block), unpacking->aside);
        if (got == 0)
            return err_set(err, ERR_IO, "a temporary file cannot be read: %s", strerror(errno));
        rc = sink(sink_context, block, got, err);
        left -= got;
    }
    return rc;
}

static int gather(struct unpacking *unpacking)
{
    struct archive_entry *from = NULL;
    int rc = 0, got = ARCHIVE_OK;
    archive_read_support_filter_all(unpacking->archive);
    archive_read_support_format_tar(unpacking->archive);
    if (archive_read_open_filename(unpacking->archive, unpacking->location, 65536) != ARCHIVE_OK)
        return archive_fail(unpacking);
    while (rc == 0 && (got = archive_read_next_header(unpacking->archive, &from)) == ARCHIVE_OK)
        rc = take(unpacking, from);
    if (rc == 0 && got != ARCHIVE_EOF)
        rc = archive_fail(unpacking);
    if (rc == 0 && fflush(unpacking->aside) != 0)
        rc = err_set(unpacking->err, ERR_IO, "a temporary file cannot be written: %s", strerror(errno));
    if (rc == 0)
        rc = package_seal(unpacking->package, read_aside, unpacking, unpacking->err);
    return rc;
}

int package_from_archive(struct package **out, const char *location, struct err *err)
{
    struct unpacking unpacking = {.location = location, .err = err};
    int rc = package_new(&unpacking.package, err);
    *out = NULL;
    if (rc < 0)
        return rc;
    unpacking.archive = archive_read_new();
    unpacking.aside = tmpfile();
    if (!unpacking.archive || !unpacking.aside)
        rc = err_set(err, ERR_IO, "a temporary file cannot be made: %s", strerror(errno));
    else
        rc = gather(&unpacking);
    archive_read_free(unpacking.archive);
    if (unpacking.aside)
        fclose(unpacking.aside);
    if (rc < 0) {
        package_free(unpacking.package);
        return rc;
    }
    package_name(unpacking.package, unpacking.package->manifest_sha256);
    unpacking.package->description = arena_strdup(&unpacking.package->arena, location);
    *out = unpacking.package;
    return 0;
}
