#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "package_internal.h"

#define LINK_MAX 4096
#define FOLDER_DEPTH_MAX 100

struct reading {
    const char *location;
    struct package *package;
    struct err *err;
};

static int fail(struct err *err, const char *path)
{
    return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
}

static void join(struct strbuf *out, const char *folder, const char *name)
{
    strbuf_reset(out);
    strbuf_addf(out, "%s%s%s", folder, folder[0] ? "/" : "", name);
}

static int walk(struct reading *reading, int folder, const char *inside, int depth);

static int add_link(struct reading *reading, int folder, const char *name, const char *inside)
{
    char target[LINK_MAX + 1];
    ssize_t length = readlinkat(folder, name, target, LINK_MAX);
    if (length < 0)
        return fail(reading->err, inside);
    target[length] = '\0';
    return package_add(reading->package, inside, ENTRY_LINK, target, reading->err) ? 0
                                                                                    : reading->err->code;
}

static int add_folder(struct reading *reading, int folder, const char *name, const char *inside, int depth)
{
    if (!package_add(reading->package, inside, ENTRY_FOLDER, NULL, reading->err))
        return reading->err->code;
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? fail(reading->err, inside) : walk(reading, fd, inside, depth + 1);
}

static int add_one(struct reading *reading, int folder, const char *name, const char *inside, int depth)
{
    struct stat status;
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(reading->err, inside);
    if (S_ISLNK(status.st_mode))
        return add_link(reading, folder, name, inside);
    if (S_ISDIR(status.st_mode))
        return add_folder(reading, folder, name, inside, depth);
    if (!S_ISREG(status.st_mode))
        return err_set(reading->err, ERR_UNSUPPORTED,
                       "%s/%s: is a socket, pipe or device, which a release cannot hold; remove it",
                       reading->location, inside);
    struct entry *entry = package_add(reading->package, inside, ENTRY_FILE, NULL, reading->err);
    if (!entry)
        return reading->err->code;
    entry->size = (uint64_t)status.st_size;
    entry->executable = (status.st_mode & 0100) != 0;
    if (status.st_mtime > reading->package->time)
        reading->package->time = status.st_mtime;
    return 0;
}

/* Takes `folder` over. */
static int walk(struct reading *reading, int folder, const char *inside, int depth)
{
    struct strbuf path;
    struct dirent *found;
    int rc = 0;
    DIR *list = fdopendir(folder);
    if (!list) {
        close(folder);
        return fail(reading->err, inside);
    }
    strbuf_init(&path, 65536);
    if (depth > FOLDER_DEPTH_MAX)
        rc = err_set(reading->err, ERR_UNSUPPORTED, "%s: more than %d folders deep", inside, FOLDER_DEPTH_MAX);
    while (rc == 0 && (found = readdir(list))) {
        const char *name = found->d_name;
        bool top_git = depth == 0 && strcmp(name, ".git") == 0;
        if (top_git || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        join(&path, inside, name);
        rc = add_one(reading, dirfd(list), name, path.text, depth);
    }
    strbuf_release(&path);
    closedir(list);
    return rc;
}

static int read_file(void *context, struct entry *entry, entry_sink_fn *sink, void *sink_context,
                     struct err *err)
{
    struct reading *reading = context;
    struct strbuf path;
    char block[65536];
    uint64_t left = entry->size;
    int rc = 0;
    strbuf_init(&path, 65536);
    join(&path, reading->location, entry->path);
    int fd = open(path.text, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        rc = fail(err, path.text);
    while (rc == 0 && left) {
        ssize_t got = read(fd, block, left < sizeof(block) ? left : sizeof(block));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = fail(err, path.text);
        if (got <= 0)
            break;
        rc = sink(sink_context, block, (size_t)got, err);
        left -= (uint64_t)got;
    }
    if (fd >= 0)
        close(fd);
    strbuf_release(&path);
    return rc;
}

static int gather(struct reading *reading)
{
    int fd = open(reading->location, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(reading->err, reading->location);
    int rc = walk(reading, fd, "", 0);
    if (rc == 0)
        rc = package_seal(reading->package, read_file, reading, reading->err);
    return rc;
}

int package_from_directory(struct package **out, const char *location, struct err *err)
{
    struct reading reading = {.location = location, .err = err};
    int rc = package_new(&reading.package, err);
    *out = NULL;
    if (rc < 0)
        return rc;
    rc = gather(&reading);
    if (rc < 0) {
        package_free(reading.package);
        return rc;
    }
    package_name(reading.package, reading.package->manifest_sha256);
    reading.package->description = arena_strdup(&reading.package->arena, location);
    *out = reading.package;
    return 0;
}
