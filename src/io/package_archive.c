#include "package_internal.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Only what libarchive reads by itself: its other filters start programs. */
static struct archive *reader_create(void)
{
    struct archive *reader = archive_read_new();
    if (!reader)
        return NULL;
    archive_read_support_filter_gzip(reader);
    archive_read_support_filter_bzip2(reader);
    archive_read_support_filter_compress(reader);
    archive_read_support_filter_xz(reader);
    archive_read_support_filter_lzma(reader);
    archive_read_support_filter_lz4(reader);
    archive_read_support_filter_zstd(reader);
    archive_read_support_format_tar(reader);
    return reader;
}

static int fault(struct archive *reader, const char *location, struct err *err)
{
    const char *reason = archive_error_string(reader);
    return err_set(err, ERR_INPUT, "%s: %s; it must be a whole tar, plain or compressed", location,
                   reason ? reason : "cannot be read");
}

/* Names in the archive's bytes, or in UTF-8 where only that is known. */
static const char *name_of(const char *raw, const char *utf8)
{
    return raw ? raw : utf8;
}

/* `./a/b/` as `a/b`; an empty text for the top itself. */
static void plain_path(struct strbuf *out, const char *path)
{
    strbuf_reset(out);
    while (path[0] == '.' && (path[1] == '/' || path[1] == '\0')) {
        path++;
        path += strspn(path, "/");
    }
    strbuf_adds(out, path);
    while (out->length && out->text[out->length - 1] == '/')
        out->text[--out->length] = '\0';
}

static int copy_content(struct tree *tree, struct archive *reader, uint64_t size, const char *location,
                        struct err *err)
{
    const void *piece;
    size_t length;
    la_int64_t at;
    uint64_t written = 0;
    int step, rc = 0;
    /* By blocks: what lies between them, and behind the last one, are the holes of a sparse file. */
    while (rc == 0 && (step = archive_read_data_block(reader, &piece, &length, &at)) != ARCHIVE_EOF) {
        if (step < ARCHIVE_WARN || at < 0 || (uint64_t)at < written)
            return fault(reader, location, err);
        rc = tree_file_skip(tree, (uint64_t)at - written, err);
        if (rc == 0)
            rc = tree_file_write(tree, piece, length, err);
        written = (uint64_t)at + length;
    }
    if (rc == 0 && size > written)
        rc = tree_file_skip(tree, size - written, err);
    return rc < 0 ? rc : tree_file_end(tree, err);
}

static int add_hard_link(struct tree *tree, const char *path, const char *of, struct err *err)
{
    struct strbuf plain;
    strbuf_init(&plain, 2 * TREE_PATH_MAX);
    plain_path(&plain, of);
    int rc = tree_add_copy(tree, path, plain.text, err);
    strbuf_release(&plain);
    return rc;
}

static int add_entry(struct tree *tree, struct archive *reader, struct archive_entry *entry,
                     const char *path, const char *location, struct err *err)
{
    char name[304];
    const char *hard = name_of(archive_entry_hardlink(entry), archive_entry_hardlink_utf8(entry));
    const char *target = name_of(archive_entry_symlink(entry), archive_entry_symlink_utf8(entry));
    if (hard)
        return add_hard_link(tree, path, hard, err);
    switch (archive_entry_filetype(entry)) {
    case AE_IFDIR:
        return tree_add_folder(tree, path, err);
    case AE_IFLNK:
        return tree_add_link(tree, path, target ? target : "", err);
    case AE_IFREG: {
        la_int64_t size = archive_entry_size(entry);
        int rc = tree_file_start(tree, path, archive_entry_perm(entry), err);
        return rc < 0 ? rc : copy_content(tree, reader, size > 0 ? (uint64_t)size : 0, location, err);
    }
    default:
        return err_set(
            err, ERR_INPUT,
            "'%s' is a device, pipe or socket; a release holds files, folders and links only",
            shown(name, path));
    }
}

static int read_entries(struct package *package, struct archive *reader, const char *location,
                        int64_t *newest, struct err *err)
{
    struct archive_entry *entry;
    struct strbuf path;
    int rc = 0, step = ARCHIVE_OK;
    strbuf_init(&path, 2 * TREE_PATH_MAX);
    while (rc == 0 && (step = archive_read_next_header(reader, &entry)) >= ARCHIVE_WARN &&
           step != ARCHIVE_EOF) {
        const char *name =
            name_of(archive_entry_pathname(entry), archive_entry_pathname_utf8(entry));
        if (!name)
            rc = fault(reader, location, err);
        else
            plain_path(&path, name);
        if (rc < 0 || (path.length == 0 && archive_entry_filetype(entry) == AE_IFDIR))
            continue;
        if (archive_entry_filetype(entry) != AE_IFDIR && archive_entry_mtime(entry) > *newest)
            *newest = archive_entry_mtime(entry);
        rc = add_entry(&package->tree, reader, entry, path.text, location, err);
        if (rc < 0)
            err_prefix(err, "%s", location);
    }
    if (rc == 0 && step < ARCHIVE_WARN)
        rc = fault(reader, location, err);
    strbuf_release(&path);
    return rc;
}

/* A plain file only: a pipe could keep us for ever. */
static int open_file(int *out, const char *location, struct err *err)
{
    struct stat status;
    *out = open(location, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (*out < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
                       "cannot open the archive %s: %s", location, strerror(errno));
    if (fstat(*out, &status) < 0 || !S_ISREG(status.st_mode))
        return err_set(err, ERR_INPUT, "the archive %s is not a file%s", location,
                       S_ISDIR(status.st_mode) ? " but a folder; write dir = instead" : "");
    return 0;
}

int package_from_archive(struct package **out, const char *location, uint64_t bytes_max, struct err *err)
{
    struct package *package = NULL;
    struct archive *reader = NULL;
    int64_t newest = 0;
    int file = -1;
    *out = NULL;
    int rc = open_file(&file, location, err);
    if (rc < 0 || (rc = package_create(&package, bytes_max, err)) < 0)
        goto out;
    reader = reader_create();
    if (!reader) {
        rc = err_set(err, ERR_MEMORY, "out of memory");
        goto out;
    }
    if (archive_read_open_fd(reader, file, 256 * 1024) != ARCHIVE_OK)
        rc = fault(reader, location, err);
    else
        rc = read_entries(package, reader, location, &newest, err);
    if (rc == 0)
        rc = package_finish(package, location, newest, NULL, location, err);
out:
    archive_read_free(reader);
    if (file >= 0)
        close(file);
    if (rc < 0)
        package_free(package);
    else
        *out = package;
    return rc;
}
