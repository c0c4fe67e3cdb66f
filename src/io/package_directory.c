#include "package_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 200 /* an open folder each */

struct walk {
    struct package *package;
    const char *location;
    struct strbuf
        path; /* of the folder being read, relative, ends with a slash unless it is the top */
    int64_t newest;
    unsigned depth;
    char *piece;
};
#define PIECE_SIZE (256 * 1024)

static int walk_folder(struct walk *walk, int folder, struct err *err);

static int fault(const struct walk *walk, const char *verb, struct err *err)
{
    char name[304];
    return err_set(err, ERR_IO, "cannot %s %s/%s: %s", verb, walk->location,
                   shown(name, walk->path.text), strerror(errno));
}

static void saw_time(struct walk *walk, const struct stat *status)
{
    if (status->st_mtim.tv_sec > walk->newest)
        walk->newest = status->st_mtim.tv_sec;
}

static int copy_content(struct walk *walk, int file, struct err *err)
{
    struct tree *tree = &walk->package->tree;
    while (true) {
        ssize_t got = read(file, walk->piece, PIECE_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fault(walk, "read", err);
        if (got == 0)
            return tree_file_end(tree, err);
        int rc = tree_file_write(tree, walk->piece, (size_t)got, err);
        if (rc < 0)
            return rc;
    }
}

static int walk_file(struct walk *walk, int folder, const char *name, struct err *err)
{
    struct stat status;
    int rc;
    int file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file < 0)
        return fault(walk, "open", err);
    if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode)) {
        errno = EBUSY;
        rc = fault(walk, "read, as it changes while it is read,", err);
    } else {
        saw_time(walk, &status);
        rc = tree_file_start(&walk->package->tree, walk->path.text, status.st_mode, err);
        if (rc == 0)
            rc = copy_content(walk, file, err);
    }
    close(file);
    return rc;
}

static int walk_link(struct walk *walk, int folder, const char *name, struct err *err)
{
    char target[TREE_PATH_MAX + 2];
    ssize_t length = readlinkat(folder, name, target, sizeof(target) - 1);
    if (length < 0)
        return fault(walk, "read the link", err);
    target[length] = '\0';
    return tree_add_link(&walk->package->tree, walk->path.text, target, err);
}

static int walk_below(struct walk *walk, int folder, const char *name, struct err *err)
{
    int below = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0)
        return fault(walk, "open", err);
    int rc = tree_add_folder(&walk->package->tree, walk->path.text, err);
    if (rc < 0) {
        close(below);
        return rc;
    }
    strbuf_addc(&walk->path, '/');
    return walk_folder(walk, below, err);
}

static int walk_entry(struct walk *walk, int folder, const char *name, struct err *err)
{
    struct stat status;
    char path[304];
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return fault(walk, "look at", err);
    if (S_ISDIR(status.st_mode))
        return walk_below(walk, folder, name, err);
    if (S_ISREG(status.st_mode))
        return walk_file(walk, folder, name, err);
    if (S_ISLNK(status.st_mode)) {
        saw_time(walk, &status);
        return walk_link(walk, folder, name, err);
    }
    return err_set(err, ERR_INPUT, "'%s' is a %s; a release holds files, folders and links only",
                   shown(path, walk->path.text),
                   S_ISSOCK(status.st_mode)   ? "socket"
                   : S_ISFIFO(status.st_mode) ? "pipe"
                                              : "device");
}

/* Takes over `folder`. */
static int walk_folder(struct walk *walk, int folder, struct err *err)
{
    size_t length = walk->path.length;
    int rc = 0;
    DIR *list = fdopendir(folder);
    if (!list || ++walk->depth > DEPTH_MAX) {
        char name[304];
        rc = !list ? fault(walk, "read", err)
                   : err_set(err, ERR_INPUT, "'%s' lies more than %d folders deep",
                             shown(name, walk->path.text), DEPTH_MAX);
        goto out;
    }
    while (rc == 0) {
        errno = 0;
        struct dirent *entry = readdir(list);
        if (!entry) {
            rc = errno ? fault(walk, "read", err) : 0;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (walk->depth == 1 && strcmp(entry->d_name, ".git") == 0))
            continue;
        strbuf_adds(&walk->path, entry->d_name);
        rc = walk->path.overflowed
                 ? err_set(err, ERR_INPUT, "a path below %s is too long", walk->location)
                 : walk_entry(walk, folder, entry->d_name, err);
        walk->path.length = length;
        walk->path.text[length] = '\0';
    }
    walk->depth--;
out:
    if (list)
        closedir(list);
    else
        close(folder);
    return rc;
}

int package_from_directory(struct package **out, const char *location, uint64_t bytes_max, struct err *err)
{
    struct walk walk = {.location = location};
    *out = NULL;
    int rc = package_create(&walk.package, bytes_max, err);
    if (rc < 0)
        return rc;
    strbuf_init(&walk.path, 2 * TREE_PATH_MAX);
    walk.piece = malloc(PIECE_SIZE);
    int folder = open(location, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        rc = err_set(err, errno == ENOENT    ? ERR_NOT_FOUND
                          : errno == ENOTDIR ? ERR_INPUT
                                             : ERR_IO, "cannot open the folder %s: %s",
                     location, strerror(errno));
    else if (!walk.piece) {
        close(folder);
        rc = err_set(err, ERR_MEMORY, "out of memory");
    } else
        rc = walk_folder(&walk, folder, err);
    if (rc < 0 && folder >= 0)
        err_prefix(err, "%s", location);
    if (rc == 0)
        rc = package_finish(walk.package, location, walk.newest, NULL, location, err);
    free(walk.piece);
    strbuf_release(&walk.path);
    if (rc < 0)
        package_free(walk.package);
    else
        *out = walk.package;
    return rc;
}
